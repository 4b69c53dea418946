"""SIGTERM and SIGHUP: no Python handler, which would wait behind a long C call. The stack goes into a side file.

faulthandler writes it at once and passes the signal on, so the process dies as it would without us. It is registered
only while the disposition is the default one, and taken back only while it is still ours: a handler that the program
sets itself wins.
"""

import faulthandler
import os
import signal

from statustui.journal.files import move_high, open_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from statustui.record.state import Session

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_registered: list[signal.Signals] = []
_file: int | None = None
_mask: "set[signal.Signals | int] | None" = None


def register(session: "Session") -> None:
    """Have the stack written beside *session*'s journal when a signal ends this process. Once a process."""
    global _file
    if _registered:
        return
    path = session.writer.path("stack")
    free = [number for number in _SIGNALS if signal.getsignal(number) == signal.SIG_DFL]
    if path is None or not free:
        return
    try:
        if _file is None:
            _file = move_high(open_private(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
        for number in free:
            faulthandler.register(number, file=_file, all_threads=False, chain=True)
            _registered.append(number)
    except (OSError, ValueError, RuntimeError):
        return  # no stack then; how it died is proven all the same


def before_fork() -> None:
    """Hold the signals back: one that meets the child before it has unregistered would write into the parent's file."""
    global _mask
    if _registered:
        _mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def after_fork() -> None:
    """Let them through again."""
    global _mask
    mask, _mask = _mask, None
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def forget() -> None:
    """Take the registration back: the last run has ended, or this is a forked child."""
    global _file
    taken, _registered[:] = list(_registered), []
    for number in taken:
        # A handler of the program replaced ours: taking ours back would remove theirs.
        if signal.getsignal(number) == signal.SIG_DFL:
            faulthandler.unregister(number)
    file, _file = _file, None
    if file is not None:
        try:
            os.close(file)
        except OSError:
            return  # the program closed it already
