"""The first thing that a drainer runs: it leaves the program that started it behind, then becomes the drainer.

Run as a script by an isolated interpreter, without site-packages: ``python -I -S start_drainer.py statustui.drain SPOOL
PATH…``. The paths are the directories that hold statustui and what it needs; they come after the standard library.
"""

import fcntl
import os
import signal
import struct
import sys
from contextlib import suppress


def main(arguments: list[str]) -> None:
    """Detach from the starter and run the drainer on a spool directory.

    Args:
        arguments: the drainer's module, the spool directory, then what the module search path lacks.
    """
    module, spool, paths = arguments[0], arguments[1], arguments[2:]
    _detach()
    if _locked(f"{spool}/drainer.lock"):
        return  # somebody was faster; find out before anything heavy is imported
    sys.path += [path for path in paths if path not in sys.path]
    sys.argv = [module, spool]
    import runpy

    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _detach() -> None:
    with suppress(OSError):  # it may lead a session already
        os.setsid()
    for number in signal.valid_signals():
        with suppress(OSError, ValueError):  # KILL and STOP have none
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as Python has it
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.chdir("/")
    os.umask(0o077)
    _close_all()
    _be_modest()


def _close_all() -> None:
    """Nothing of the program stays open: not its pipes, not its terminal, not its locks."""
    try:
        open_now = [int(name) for name in os.listdir("/proc/self/fd")]
        os.closerange(3, max(open_now) + 1)
    except (OSError, ValueError):
        os.closerange(3, 65_536)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    if null > 2:
        os.close(null)


def _be_modest() -> None:
    """Give way to everybody, die first, and do not inherit the limits that the program set for itself."""
    import resource

    with suppress(OSError):
        os.nice(max(0, 10 - os.nice(0)))
    with suppress(OSError):
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        try:
            os.write(fd, b"1000")
        finally:
            os.close(fd)
    for name in ("AS", "CPU", "DATA", "FSIZE", "NOFILE", "RSS"):
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is not None:
            with suppress(OSError, ValueError):
                hard = resource.getrlimit(kind)[1]
                resource.setrlimit(kind, (hard, hard))


def _locked(path: str) -> bool:
    # Not statustui.journal.locks: the search path is not set, and this process holds no lock yet.
    darwin = sys.platform == "darwin"
    layout = struct.Struct("@qqihh" if darwin else "@hhqqi4x")
    asked = layout.pack(0, 0, 0, fcntl.F_WRLCK, 0) if darwin else layout.pack(fcntl.F_WRLCK, 0, 0, 0, 0)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        answer = layout.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    except OSError:
        return False
    finally:
        os.close(fd)
    return bool(answer[3 if darwin else 0] != fcntl.F_UNLCK)


if __name__ == "__main__":
    main(sys.argv[1:])
