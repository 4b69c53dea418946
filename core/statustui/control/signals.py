"""Signals of the wrapper: taken one by one from a list, in its loop."""

import os
import signal
from types import FrameType

TO_GROUP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Passed to the command's whole group."""
TO_COMMAND = (signal.SIGUSR1, signal.SIGUSR2)
"""Passed to the command alone."""
_OWN = (signal.SIGCHLD, signal.SIGCONT, signal.SIGWINCH)
# Python ignores these for itself; the command gets the system's default.
_PYTHON_IGNORES = tuple(getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ", "SIGXFZ") if hasattr(signal, name))
_STOPS = (signal.SIGTTIN, signal.SIGTTOU)


class Signals:
    """Takes the signals that the wrapper passes on or acts upon. What was ignored at the start stays ignored."""

    def __init__(self) -> None:
        self.wakeup, self._write = os.pipe()
        """Readable when a signal has come."""
        os.set_blocking(self.wakeup, False)
        os.set_blocking(self._write, False)
        self._queue: list[int] = []
        self._ignored: dict[int, bool] = {}
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (*TO_GROUP, *TO_COMMAND, signal.SIGTSTP):
            self._ignored[number] = signal.getsignal(number) is signal.SIG_IGN
            if not self._ignored[number]:
                signal.signal(number, self._note)
        for own in _OWN:
            signal.signal(own, self._note)
        for stop in _STOPS:
            self._ignored[stop] = signal.signal(stop, signal.SIG_IGN) is signal.SIG_IGN

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._queue.append(number)

    def take(self) -> list[int]:
        """The signals that came since the last question, in their order."""
        try:
            while os.read(self.wakeup, 512):
                pass
        except BlockingIOError:
            pass
        taken, self._queue = self._queue, []
        return taken

    def drop(self, number: int) -> None:
        """Forget signals of one kind that wait in the list."""
        self._queue = [other for other in self._queue if other != number]

    def has(self, number: int) -> bool:
        """Does such a signal wait in the list?"""
        return number in self._queue

    def reset_in_command(self) -> None:
        """Between fork and exec: give the command the dispositions that it would have alone."""
        signal.set_wakeup_fd(-1)
        for number in (*_OWN, *_PYTHON_IGNORES):
            signal.signal(number, signal.SIG_DFL)
        for number, ignored in self._ignored.items():
            signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)

    def detach(self) -> None:
        """In the helper: only the command's end and what it is told matter."""
        for number in (*TO_GROUP, *TO_COMMAND, signal.SIGTSTP, signal.SIGWINCH, signal.SIGCONT):
            signal.signal(number, signal.SIG_IGN)
        self._queue = []
        signal.set_wakeup_fd(-1)
        os.close(self.wakeup)
        os.close(self._write)
        self.wakeup, self._write = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def stop_self(self, number: int) -> bool:
        """Stop our whole group as the terminal would have, until somebody continues it.

        Returns:
            False when nothing stopped: nobody would be there to continue us.
        """
        self.drop(signal.SIGCONT)
        before = signal.getsignal(number) if number != signal.SIGSTOP else None
        if number != signal.SIGSTOP:
            signal.signal(number, signal.SIG_DFL)
            os.killpg(0, number)
            signal.signal(number, before if before is not None else signal.SIG_DFL)
        else:
            os.kill(os.getpid(), signal.SIGSTOP)
        return self.has(signal.SIGCONT)
