"""``statustui shell-init``: the functions for shell scripts. Answered before this module is ever needed."""

import click

from statustui.cli.session import Session


@click.command(
    "shell-init",
    short_help="Print the functions for shell scripts.",
    epilog='Example: eval "$(statustui shell-init bash)"',
)
@click.argument("shell", type=click.Choice(["bash", "sh"]))
@click.pass_obj
def command(session: Session, shell: str) -> int:
    """Print genter, gexit, gmessage, track_progress, track_error and track_finish, and begin the run of the script."""
    from statustui.clients.shell.init import main

    return main([shell])
