"""``statustui mark RUN lost --reason …``."""

import click

from statustui.cli.changing import announce, change_options, report
from statustui.cli.selecting import RUN, eligible_run
from statustui.cli.session import NO, OK, Session, Stop, shared


@click.command(
    "mark",
    short_help="Say that a run is lost.",
    epilog="Example: statustui mark 4817 lost --reason 'db3 was reinstalled'",
)
@click.argument("run", type=RUN)
@click.argument("status", type=click.Choice(["lost"]))
@click.option("--reason", required=True, metavar="TEXT", help="How you know, for the trail.")
@change_options
@shared
@click.pass_obj
def command(session: Session, run: str, status: str, reason: str, yes: bool, dry_run: bool) -> int:
    """Mark RUN as lost where nothing can prove it; a later sign of life undoes it."""
    session.check_writable()
    with session.reading(write=not dry_run) as store:
        found = eligible_run(store, run, lambda one: one.status.open, "is open")
        if not found.status.open:
            raise Stop(NO, f"run {found.id} is {found.status.value}, not open")
        announce(session, "Mark as lost", [found])
        if dry_run:
            return OK
        session.confirm("Mark it?", yes=yes)
        from statustui.control.actor import actor
        from statustui.control.mark import mark_lost

        mark_lost(store, found, reason=reason, by=actor())
    report(session, [(found, status, reason)])
    return OK
