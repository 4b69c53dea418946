"""The command group: each command is one file, imported only when it is called."""

import os
import sys
from importlib import import_module

import click

from statustui.cli.output import warn
from statustui.cli.session import NO, OK, USAGE, Session, Stop, shared
from statustui.errors import ConfigError, StatustuiError

GROUPS = {
    "Watch what runs": {
        "status": "What needs you, what runs, what failed.",
        "runs": "List runs.",
        "show": "Everything about one run.",
        "tail": "Show or follow the log of a run.",
        "wait": "Wait until runs have ended.",
    },
    "Change a run": {
        "cancel": "End runs: TERM, then KILL.",
        "retry": "Start runs again as new attempts.",
        "ack": "Acknowledge bad ends, so that they leave 'needs you'.",
        "mark": "Say that a run is lost.",
    },
    "Record a program": {
        "run": "Run a command and record it.",
        "adopt": "Track a process that already runs.",
        "event": "Note an event in the story of a run.",
        "progress": "Say how far a run is.",
        "subtask": "Begin or end a subtask of a run.",
        "shell-init": "Print the functions for shell scripts.",
        "r-install": "Install the R package.",
    },
    "Items through steps": {
        "pipelines": "List pipelines, and make a view of one for SQL.",
        "items": "List items, and retry, reset or skip them.",
        "item": "Everything about one item.",
        "verify": "Compare items with the files on disk.",
    },
    "Bring in what ran before": {
        "import": "Bring in logs, histories of runs, events of items.",
    },
    "Look after it, try it": {
        "doctor": "Look for what is wrong with the set-up.",
        "drain": "Bring journals into the store.",
        "completion": "Print the completion script of a shell.",
        "demo": "Start real work and watch it.",
    },
}
"""What a person wants → command → its line in the help; the file ``cli/<command>_command.py`` has the command."""

COMMANDS = {name: line for commands in GROUPS.values() for name, line in commands.items()}
"""Command → its line in the help."""

_EPILOG = """\b
Examples:
  statustui                          open the monitor
  statustui run -- ./nightly.sh      run and record a command
  statustui status                   the same as plain text
  statustui runs --status bad --since 2d
"""
_COMPLETE = "_STATUSTUI_COMPLETE"
EXIT_PIPE = 141
"""What a shell reports of a program that ended because its reader had gone."""
EXIT_INTERRUPT = 130


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command *cmd_name*."""
        if cmd_name not in COMMANDS:
            from difflib import get_close_matches

            near = get_close_matches(cmd_name, COMMANDS, n=1)
            meant = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"There is no command '{cmd_name}'.{meant}", ctx)
        command = import_module(f"statustui.cli.{cmd_name.replace('-', '_')}_command").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, grouped by what a person wants, without importing any."""
        # One width for all, so that the groups line up.
        width = max(map(len, COMMANDS))
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), line) for name, line in commands.items()])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--read-only", is_flag=True, help="Open the monitor without the keys that change something.")
@click.option("--version", is_flag=True, expose_value=False, help="Show the version.")
@shared
@click.pass_context
def cli(context: click.Context, read_only: bool) -> int:
    """Htop for data pipelines: record runs from any program; watch, cancel, retry and tail them over SSH.

    Without a command it opens the monitor.
    """
    session = context.ensure_object(Session)
    if context.invoked_subcommand is not None:
        return OK
    if not (sys.stdin.isatty() and sys.stderr.isatty()) or session.as_json:
        from statustui.cli.status_command import show_status

        return show_status(session)
    from statustui_tui.app import main

    return main(session.settings, read_only=read_only or session.settings.read_only)


def entry(arguments: list[str]) -> int:
    """Run the command line after ``run`` and ``--version`` have been dealt with; returns the exit status."""
    try:
        if _COMPLETE in os.environ:
            cli.main(arguments, prog_name="statustui", complete_var=_COMPLETE, obj=Session())
        # Not cli.main(): that makes an exit status of its own out of a reader that has gone.
        with cli.make_context("statustui", arguments, obj=Session()) as context:
            code = cli.invoke(context)
        sys.stdout.flush()
        return code if isinstance(code, int) else OK
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "statustui"
        warn(f"{path}: {error.format_message()} Try '{path} --help'.")
        return USAGE
    except click.Abort:
        return EXIT_INTERRUPT
    except KeyboardInterrupt:
        return EXIT_INTERRUPT
    except BrokenPipeError:
        # The reader has gone; what is still buffered must not be reported at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_PIPE
    except OSError as error:
        if error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        warn(f"statustui: the answer could not be written: {error.strerror}")
        return NO
    except Stop as error:
        warn(f"statustui: {error}")
        return error.code
    except ConfigError as error:
        warn(f"statustui: {error}")
        return USAGE
    except StatustuiError as error:
        warn(f"statustui: {error}")
        return NO
