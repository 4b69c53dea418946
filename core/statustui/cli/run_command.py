"""``statustui --store URL run …``; plain ``statustui run`` is answered before click is imported."""

import click

from statustui.cli.session import Session


@click.command(
    "run",
    short_help="Run a command and record it.",
    epilog="Example: statustui run --name nightly_backup -- rsync -a /data /backup",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def command(session: Session, arguments: tuple[str, ...]) -> int:
    """Run a command and record it."""
    from statustui.control.wrapper import main

    return main([*(["--store", session.store] if session.store else []), *arguments])
