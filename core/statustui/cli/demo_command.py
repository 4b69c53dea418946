"""``statustui demo``: answered by the demo itself."""

import click

from statustui.cli.session import Session


@click.command(
    "demo",
    short_help="Start real work and watch it.",
    epilog="Example: statustui demo",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def command(session: Session, arguments: tuple[str, ...]) -> int:
    """Start several real tasks, in a store of their own, and open the monitor on them."""
    from statustui.demo import main

    return main(list(arguments))
