"""What the commands that change something share: whom it concerns, the question, the answer."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from statustui.cli import figures
from statustui.cli.selecting import eligible_run, given, selector
from statustui.cli.session import USAGE, F, Session, Stop
from statustui.cli.shapes import VERSION
from statustui.model.glyphs import glyph
from statustui.model.run import Run

if TYPE_CHECKING:
    from statustui.store.open import Store

_MOST = 10_000
_SHOWN = 20


def change_options(command: F) -> F:
    """Add ``--yes`` and ``--dry-run``."""
    command = click.option("--dry-run", is_flag=True, help="Only show what it would be done to.")(command)
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(command)


def targets(
    store: "Store", names: Sequence[str], options: dict[str, Any], eligible: Callable[[Run], bool], what: str
) -> list[Run]:
    """The runs that were named, or that the selectors choose among the eligible ones.

    Raises:
        Stop: nothing was named, or nothing matches.
    """
    if names and given(options):
        raise Stop(USAGE, "give runs or selectors, not both")
    if names:
        found = {run.run_id: run for run in (eligible_run(store, name, eligible, what) for name in names)}
        return list(found.values())
    if not given(options):
        raise Stop(USAGE, "say which: a run, or --task, --stage, --status, --host, --user, --since, --until")
    from statustui.store import reads

    wanted = [run for run in reads.runs(store, selector(**options), limit=_MOST, before=None) if eligible(run)]
    if not wanted:
        raise Stop(USAGE, f"no run that matches {what}")
    return wanted


def announce(session: Session, verb: str, runs: Sequence[Run]) -> None:
    """Show how many and which runs a change concerns, the count first."""
    if session.as_json:
        return
    plural = "run" if len(runs) == 1 else "runs"
    session.out.line((f"{verb} {len(runs)} {plural}:", "bold"))
    for run in runs[:_SHOWN]:
        place = "@".join(filter(None, (run.user, run.host)))
        pid = f" pid {run.pid}" if run.pid and run.status.open else ""
        arguments = f"  {' '.join(run.args)}" if run.args else ""
        sign = glyph(run.status, session.out.ascii)
        session.out.fitted(f"  {run.id} {run.task} ", (f"{sign} {run.status.value}", figures.colour(run.status)),
                           f" {place}{pid}{arguments}")  # fmt: skip
    if len(runs) > _SHOWN:
        session.out.line(f"  ... and {len(runs) - _SHOWN} more")


def report(session: Session, results: Sequence[tuple[Run, str, str]]) -> None:
    """Say what came of it: (run, state, words) for each."""
    if session.as_json:
        session.out.json(
            {
                "version": VERSION,
                "runs": [
                    {"id": run.id, "run_id": run.run_id, "task": run.task, "state": state, "message": words or None}
                    for run, state, words in results
                ],
            }
        )
        return
    for run, state, words in results:
        session.out.line(f"{state}: {run.id} {run.task}", f" ({words})" if words else "")
