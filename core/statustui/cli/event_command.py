"""``statustui --store URL event …``; plain ``statustui event`` is answered before click is imported."""

import click


@click.command(
    "event",
    short_help="Note an event in the story of a run.",
    epilog='Example: statustui event --level warning "3 files were empty"',
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Note an event in the story of a run."""
    from statustui.cli.calls import main

    return main("event", list(arguments))
