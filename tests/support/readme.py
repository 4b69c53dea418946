"""The tables of the README that are made from the code: ``python tests/support/readme.py`` brings them up to date."""

import re
from pathlib import Path

import click

from statustui.cli import calls
from statustui.cli.group import GROUPS, cli
from statustui.control.options import HELP
from statustui_tui import keys

README = Path(__file__).resolve().parents[2] / "README.md"
_EVERYWHERE = {"--store", "--json", "--no-color", "--help"}
# Answered before click, so that click knows nothing of their arguments.
_GIVEN = {"run": "-- CMD…", "event": "MESSAGE…", "progress": "[+N \\| N/M \\| P%]", "subtask": "NAME [-- CMD…]"}
_SELECTORS = {"--task", "--stage", "--status", "--host", "--user", "--since", "--until"}


def commands() -> str:
    """One line for each command: what is given to it, what it does, its own options."""
    lines = [
        "| command | does | options |",
        "| --- | --- | --- |",
        "| `statustui` | Open the monitor. | `--read-only` |",
    ]
    with click.Context(cli, info_name="statustui") as context:
        for title, group in GROUPS.items():
            lines.append(f"| **{title}** | | |")
            for name, does in group.items():
                command = cli.get_command(context, name)
                assert command is not None
                usage = f"statustui {name} {_given(command, name, context)}".rstrip()
                lines.append(f"| `{usage}` | {does} | {_options(command)} |")
    return "\n".join(lines)


def _given(command: click.Command, name: str, context: click.Context) -> str:
    if name in _GIVEN:
        return _GIVEN[name]
    pieces = command.collect_usage_pieces(click.Context(command, info_name=name, parent=context))
    given = " ".join(piece for piece in pieces if piece != "[OPTIONS]")
    return given.replace("...", "…").replace("[RUN]", "RUN").replace("|", "\\|")


def _options(command: click.Command) -> str:
    text = HELP if command.name == "run" else calls.HELP.get(command.name or "")
    if text is not None:
        names = list(dict.fromkeys(re.findall(r"(?<![a-z])--[a-z-]{2,}", text)))
    else:
        names = [param.opts[-1] for param in command.params if isinstance(param, click.Option)]
    names = [name for name in names if name not in _EVERYWHERE]
    if set(names) >= _SELECTORS:
        return " ".join(["*selectors*", *(f"`{name}`" for name in names if name not in _SELECTORS)])
    return " ".join(f"`{name}`" for name in names)


def tables() -> dict[str, str]:
    """Each table by the name of its markers."""
    return {"commands": commands(), "keys": keys.markdown().strip()}


def with_tables(text: str) -> str:
    """*text* with each table between its markers."""
    for name, table in tables().items():
        start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
        before, _, rest = text.partition(start)
        _, found, after = rest.partition(end)
        assert found, f"README.md has no {start} … {end}"
        text = f"{before}{start}\n{table}\n{end}{after}"
    return text


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
