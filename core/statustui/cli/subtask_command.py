"""``statustui --store URL subtask …``; plain ``statustui subtask`` is answered before click is imported."""

import click


@click.command(
    "subtask",
    short_help="Begin or end a subtask of a run.",
    epilog='Example: statustui subtask "load DE" -- ./load.sh DE',
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Begin or end a subtask of a run."""
    from statustui.cli.calls import main

    return main("subtask", list(arguments))
