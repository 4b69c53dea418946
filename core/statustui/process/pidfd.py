"""A hold on one process: its end is known at once, and a signal can reach nobody else."""

import os
import select
import signal
import time

from statustui.process import identity

_NO_PIDFD = not hasattr(os, "pidfd_open")


class Handle:
    """One process that was verified when it was opened.

    With a pidfd (Linux ≥ 5.3) a reused pid never deceives. Where there is none, each question and each
    signal checks pid and start tick again, which leaves a window of microseconds.
    """

    __slots__ = ("_gone", "fd", "pid", "start")

    def __init__(self, pid: int, start: int, fd: int | None) -> None:
        self.pid = pid
        self.start = start
        self.fd = fd
        self._gone = False

    @classmethod
    def open(cls, pid: int, start: int | None) -> "Handle | None":
        """Take hold of a process.

        Args:
            pid: must be greater than 1: 0 and negative numbers mean groups, 1 is never ours.
            start: its start tick. None trusts whoever has the pid now.

        Returns:
            None when the process has ended or another one has its pid.
        """
        if pid <= 1:
            return None
        fd = None
        if not _NO_PIDFD:
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                return None
            except OSError:  # EMFILE, or a sandbox that forbids it
                fd = None
        now = identity.start_tick(pid)  # after opening: what is checked is what is held
        if now is None or (start is not None and now != start) or identity.ended(pid, now):
            if fd is not None:
                os.close(fd)
            return None
        return cls(pid, now, fd)

    def ended(self) -> bool:
        """Has it ended (reaped or not)?"""
        if not self._gone:
            if self.fd is None:
                self._gone = identity.ended(self.pid, self.start) is True
            else:
                poll = select.poll()
                poll.register(self.fd, select.POLLIN)
                self._gone = bool(poll.poll(0))
        return self._gone

    def wait(self, timeout: float) -> bool:
        """Wait up to *timeout* seconds for its end; True when it has ended."""
        deadline = time.monotonic() + timeout
        if self.fd is not None and not self._gone:
            poll = select.poll()
            poll.register(self.fd, select.POLLIN)
            self._gone = bool(poll.poll(max(0, int(timeout * 1000))))
            return self._gone
        while not self.ended() and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.ended()

    def send(self, number: int) -> bool:
        """Send a signal to exactly this process.

        Returns:
            False when it had ended.

        Raises:
            PermissionError: it belongs to somebody else.
        """
        try:
            if self.fd is not None:
                signal.pidfd_send_signal(self.fd, number)
            elif self.ended():
                return False
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            self._gone = True
            return False
        return True

    def close(self) -> None:
        """Let go; the process is not touched."""
        fd, self.fd = self.fd, None
        if fd is not None:
            os.close(fd)

    def __enter__(self) -> "Handle":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
