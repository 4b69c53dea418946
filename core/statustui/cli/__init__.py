"""The command line. What runs inside scripts, and ``--version``, is answered before anything heavy is imported."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments without the program's name; those of this process when None.

    Returns:
        The exit status: 0 ok, 1 the answer is no or a run ended badly, 2 usage, 3 the store can not be used; for
        ``run`` that of the command.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["run"]:
        from statustui.control.wrapper import main as run

        status = run(arguments[1:])
        if argv is None:
            _leave(status)
        return status
    if arguments[:1] in (["event"], ["progress"], ["subtask"]):
        from statustui.cli.calls import main as call

        status = call(arguments[0], arguments[1:])
        if argv is None:
            _leave(status)
        return status
    _fill_streams()
    if arguments[:1] in (["--version"], ["-V"]):
        from statustui import __version__

        sys.stdout.write(f"statustui {__version__}\n")
        return 0
    if arguments[:1] == ["shell-init"]:
        from statustui.clients.shell.init import main as shell_init

        return shell_init(arguments[1:])
    if arguments[:1] == ["r-begin"]:
        from statustui.clients.r.begin import main as r_begin

        return r_begin(arguments[1:])
    from statustui.cli.group import entry

    return entry(arguments)


def _fill_streams() -> None:
    """What the caller has closed becomes /dev/null, so that no file of ours gets its number."""
    while (fd := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(fd, True)
    os.close(fd)
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _leave(status: int) -> "NoReturn":
    """Nothing is left to be done: tearing the interpreter down would only keep the caller waiting."""
    try:
        if sys.stdout is not None:  # P7: the caller may have closed it
            sys.stdout.flush()
    except OSError:  # a help text that nobody reads any more
        pass
    os._exit(status)
