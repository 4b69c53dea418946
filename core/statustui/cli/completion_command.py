"""``statustui completion SHELL``."""

import click

from statustui.cli.session import OK, Session, shared

_HOW = {
    "bash": 'eval "$(statustui completion bash)"      in ~/.bashrc',
    "zsh": 'eval "$(statustui completion zsh)"       in ~/.zshrc',
    "fish": "statustui completion fish | source      in ~/.config/fish/config.fish",
}


@click.command(
    "completion",
    short_help="Print the completion script of a shell.",
    epilog='Example: eval "$(statustui completion bash)"',
)
@click.argument("shell", type=click.Choice(list(_HOW)))
@shared
@click.pass_obj
def command(session: Session, shell: str) -> int:
    """Print the completion script of SHELL, to be evaluated when the shell starts."""
    from click.shell_completion import get_completion_class

    from statustui.cli.group import cli

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(cli, {}, "statustui", "_STATUSTUI_COMPLETE")
    # Not .source(): for bash that starts a bash only to learn its version.
    text = script.source_template % script.source_vars()
    session.out.raw(f"# {_HOW[shell]}\n{text}\n")
    return OK
