"""``statustui cancel RUN…``."""

from typing import Any

import click

from statustui.cli.changing import announce, change_options, report, targets
from statustui.cli.selecting import RUN, selectors
from statustui.cli.session import NO, OK, Session, shared


@click.command(
    "cancel",
    short_help="End runs: TERM, then KILL.",
    epilog="Example: statustui cancel 4817 --reason 'wrong input'",
)
@click.argument("runs", nargs=-1, metavar="[RUN]...", type=RUN)
@selectors
@click.option("--now", is_flag=True, help="KILL at once.")
@click.option("--reason", metavar="TEXT", help="Why, for the trail.")
@change_options
@shared
@click.pass_obj
def command(
    session: Session, /, runs: tuple[str, ...], now: bool, reason: str | None, yes: bool, dry_run: bool, **options: Any
) -> int:
    """End each RUN: TERM, and KILL after the grace time. The drainer of its owner carries it out."""
    session.check_writable()
    with session.reading(write=not dry_run) as store:
        found = targets(store, runs, options, lambda run: run.status.open, "is open")
        ended = [run for run in found if not run.status.open]
        found = [run for run in found if run.status.open]
        if found:
            announce(session, "KILL" if now else "Cancel", found)
        results = [(run, "not open", f"it is {run.status.value}") for run in ended]
        if not dry_run and found:
            session.confirm("End them?" if len(found) > 1 else "End it?", yes=yes)
            from statustui.control.actor import actor
            from statustui.control.cancel import ask_cancel

            by = actor()
            for run in found:
                ask_cancel(store, run, by=by, now=now, reason=reason, settings=session.settings)
                results.append((run, "asked", f"statustui wait {run.id} waits for its end"))
    report(session, results)
    return OK if found else NO
