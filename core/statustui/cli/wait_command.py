"""``statustui wait RUN…``: until runs have ended."""

import time
from typing import TYPE_CHECKING, Any

import click

from statustui.cli import figures
from statustui.cli.bring import keep_draining
from statustui.cli.selecting import RUN, given, one_run, selector, selectors
from statustui.cli.session import NO, OK, USAGE, Session, Stop, shared, store_errors
from statustui.cli.shapes import VERSION
from statustui.insight.needs import reason
from statustui.model.glyphs import glyph
from statustui.model.run import Run
from statustui.model.status import RunStatus

if TYPE_CHECKING:
    from statustui.store.open import Store

_POLL_S = 0.25
_MOST = 10_000
_DRAIN_EVERY_S = 5.0


@click.command(
    "wait",
    short_help="Wait until runs have ended.",
    epilog="Example: statustui wait 4817 && statustui run -- ./next.sh",
)
@click.argument("runs", nargs=-1, metavar="[RUN]...", type=RUN)
@selectors
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Give up after so many seconds (status 1).")
@shared
@click.pass_obj
def command(session: Session, /, runs: tuple[str, ...], timeout: float | None, **options: Any) -> int:
    """Wait until every RUN has ended; the exit status is 1 unless all finished well.

    With options that select, those that are open now are waited for.
    """
    if not runs and not given(options):
        raise Stop(USAGE, "say which runs to wait for: a RUN, or --task, --stage, --status, --host, --user, --since")
    deadline = None if timeout is None else time.monotonic() + timeout
    with session.reading() as store:
        from statustui.store import reads

        waiting = {run.run_id: run for run in _chosen(store, runs, options)}
        ended: dict[str, Run] = {}
        token: object = None
        drain_at = time.monotonic() + _DRAIN_EVERY_S
        while True:
            with store_errors(session.settings.store_url):
                now = reads.token(store)
                if now != token:
                    token = now
                    found = {key: reads.detail(store, key).run for key in waiting}
                    ended.update((key, run) for key, run in found.items() if not run.status.open)
                    waiting = {key: run for key, run in found.items() if run.status.open}
            if not waiting:
                break
            if deadline is not None and time.monotonic() >= deadline:
                still = ", ".join(f"{run.id} {run.task}" for run in waiting.values())
                raise Stop(NO, f"still open after {timeout:g} s: {still}")
            if time.monotonic() >= drain_at:
                drain_at = time.monotonic() + _DRAIN_EVERY_S
                keep_draining(session.settings)
            time.sleep(_POLL_S)
    good = all(run.status is RunStatus.FINISHED for run in ended.values())
    _report(session, list(ended.values()))
    return OK if good else NO


def _chosen(store: "Store", names: tuple[str, ...], options: dict[str, Any]) -> list[Run]:
    from statustui.store import reads

    found = [one_run(store, text) for text in names]
    if given(options):
        found += [run for run in reads.runs(store, selector(**options), limit=_MOST) if run.status.open]
    return found


def _report(session: Session, ended: list[Run]) -> None:
    if session.as_json:
        runs = [{"id": run.id, "run_id": run.run_id, "task": run.task, "status": run.status.value} for run in ended]
        session.out.json({"version": VERSION, "runs": runs})
        return
    for run in ended:
        sign = glyph(run.status, session.out.ascii)
        why = f": {reason(run)}" if run.status.bad and reason(run) else ""
        session.out.line((f"{sign} {run.status.value}", figures.colour(run.status)), f" {run.id} {run.task}{why}")
