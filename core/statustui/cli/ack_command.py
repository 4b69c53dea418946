"""``statustui ack RUN…``."""

from typing import Any

import click

from statustui.cli.changing import announce, change_options, report, targets
from statustui.cli.selecting import RUN, selectors
from statustui.cli.session import OK, Session, shared
from statustui.model.run import Run


def _open_question(run: Run) -> bool:
    return run.status.bad and run.acked_by is None


@click.command(
    "ack",
    short_help="Acknowledge bad ends, so that they leave 'needs you'.",
    epilog="Example: statustui ack --task 'DAILY_*' --status failed --yes",
)
@click.argument("runs", nargs=-1, metavar="[RUN]...", type=RUN)
@selectors
@change_options
@shared
@click.pass_obj
def command(session: Session, /, runs: tuple[str, ...], yes: bool, dry_run: bool, **options: Any) -> int:
    """Acknowledge the bad end of each RUN: it was seen and needs nobody any more."""
    session.check_writable()
    with session.reading(write=not dry_run) as store:
        found = targets(store, runs, options, _open_question, "has a bad end that nobody has acknowledged")
        announce(session, "Acknowledge", found)
        if dry_run:
            return OK
        # One that was named by its id needs no question: nothing is lost by it.
        session.confirm("Acknowledge them?", yes=yes or (len(found) == 1 and bool(runs)))
        from statustui.control.ack import acknowledge
        from statustui.control.actor import actor

        acknowledge(store, found, by=actor())
    report(session, [(run, "acknowledged", "") for run in found])
    return OK
