"""Starting the command in a process group of its own."""

import errno
import os
import signal
from collections.abc import Callable, Mapping, Sequence

from statustui.control import terminal

_ALL_SIGNALS = signal.valid_signals()


def candidates(name: str, env: Mapping[str, str]) -> list[str]:
    """Paths to try for a command, in order."""
    if "/" in name:
        return [name]
    return [os.path.join(directory or ".", name) for directory in os.get_exec_path(dict(env))]


def resolve(name: str, env: Mapping[str, str]) -> str | None:
    """Absolute path of a command, or None when it is not found."""
    for path in candidates(name, env):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return os.path.abspath(path)
    return None


def start(
    argv: Sequence[str],
    env: Mapping[str, str],
    descriptors: Mapping[int, int],
    reset: Callable[[], None],
    foreground: int | None,
) -> int:
    """Start a command as the leader of a new process group.

    Args:
        argv: the command and its arguments.
        env: its whole environment.
        descriptors: its descriptor → ours, for those that change.
        reset: called in the child; gives back the signals' dispositions.
        foreground: terminal that the new group gets before the command begins, or None.

    Returns:
        Its pid, which is its group too.

    Raises:
        OSError: it could not be executed; errno says why.
    """
    told, tell = os.pipe()
    # A signal between fork and exec must find the command's dispositions, not ours.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            _child(argv, env, descriptors, reset, foreground, mask, tell)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(tell)
    try:
        answer = os.read(told, 64)
    finally:
        os.close(told)
    if answer:
        os.waitpid(pid, 0)
        number = int(answer)
        raise OSError(number, os.strerror(number), argv[0])
    return pid


def _child(
    argv: Sequence[str],
    env: Mapping[str, str],
    descriptors: Mapping[int, int],
    reset: Callable[[], None],
    foreground: int | None,
    mask: set[signal.Signals] | set[int],
    tell: int,
) -> None:
    number = errno.ENOEXEC
    try:
        os.setpgid(0, 0)
        if foreground is not None:
            terminal.give(foreground, os.getpid())
        for target, source in descriptors.items():
            os.dup2(source, target, inheritable=True)
        reset()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _exec(argv, env)
    except OSError as error:
        number = error.errno or number
    finally:
        os.write(tell, str(number).encode())
        os._exit(127)


def _exec(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """As execvp(3): try each place, hand a script without ``#!`` to the shell."""
    refused: OSError | None = None
    missing: OSError | None = None
    for path in candidates(argv[0], env):
        try:
            os.execve(path, list(argv), env)
        except (FileNotFoundError, NotADirectoryError) as error:
            missing = error
        except OSError as error:
            if error.errno == errno.ENOEXEC:
                os.execve("/bin/sh", ["/bin/sh", path, *argv[1:]], env)
            if error.errno != errno.EACCES:
                raise
            refused = error
    raise refused or missing or FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
