"""``statustui --store URL progress …``; plain ``statustui progress`` is answered before click is imported."""

import click


@click.command(
    "progress",
    short_help="Say how far a run is.",
    epilog="Example: statustui progress +1 --unit files",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Say how far a run is."""
    from statustui.cli.calls import main

    return main("progress", list(arguments))
