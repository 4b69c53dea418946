"""Moving bytes from the command to where our own output goes, and into the log."""

import errno
import os
import select

from statustui.control import terminal
from statustui.control.logcopy import LogCopy
from statustui.control.streams import Route

_CHUNK = 65_536
# Taken after the end from a pipe that others hold open: more than a pipe or terminal can hold.
_LEFT_OVER = 1 << 20


class _Way:
    """One route while it is open."""

    __slots__ = ("log", "pending", "read", "sink", "size_of")

    def __init__(self, route: Route, log: LogCopy | None) -> None:
        self.read = route.read
        self.log = log
        self.sink = terminal.reopen(route.sink)
        self.pending = b""
        self.size_of = -1
        """Terminal whose size the pseudo-terminal follows; -1 = none."""
        if route.pty and os.isatty(route.sink):
            self.size_of = self.sink


class Copier:
    """All routes of one command, served by one loop that never waits for a slow reader of one of them."""

    def __init__(self, routes: list[Route], log: LogCopy | None) -> None:
        self._poll = select.poll()
        self._ways: dict[int, _Way] = {}
        self._by_fd: dict[int, _Way] = {}
        for route in routes:
            way = _Way(route, log)
            self._ways[way.read] = way
            self._listen(way)
        self._others: set[int] = set()

    @property
    def open(self) -> bool:
        """True while the command, or something that it left behind, can still write."""
        return bool(self._ways)

    @property
    def pending(self) -> bool:
        """True while bytes wait for a slow reader."""
        return any(way.pending for way in self._ways.values())

    def watch(self, fd: int) -> None:
        """Let :meth:`turn` return when *fd* can be read too."""
        self._others.add(fd)
        self._poll.register(fd, select.POLLIN)

    def forget(self, fd: int) -> None:
        """Undo :meth:`watch`."""
        self._others.discard(fd)
        self._poll.unregister(fd)

    def turn(self, timeout_ms: int | None = None) -> tuple[set[int], int]:
        """Wait for something to do, and do it.

        Returns:
            (watched descriptors that can be read, bytes taken from the command).
        """
        ready: set[int] = set()
        taken = 0
        for fd, _ in self._poll.poll(timeout_ms):
            if fd in self._others:
                ready.add(fd)
                continue
            way = self._by_fd.get(fd)
            if way is None:
                continue
            if way.pending:
                self._push(way)
            else:
                taken += self._pull(way)
        return ready, taken

    def finish(self) -> None:
        """After the command's end: take what is there, and deliver it. What others write later is not waited for."""
        left = _LEFT_OVER
        while self._ways and left > 0:
            waiting = self.pending
            _, taken = self.turn(None if waiting else 0)
            left -= taken
            if not taken and not waiting:
                return

    def hang_up(self) -> None:
        """Close everything: who still writes gets what a closed pipe or terminal gives."""
        for way in list(self._ways.values()):
            self._close(way)

    def follow_size(self) -> bool:
        """Bring pseudo-terminals to the size of the terminals behind them. True when one changed."""
        changed = False
        for way in self._ways.values():
            if way.size_of >= 0:
                now = terminal.size(way.size_of)
                if now is not None and now != terminal.size(way.read):
                    terminal.set_size(way.read, now)
                    changed = True
        return changed

    def _listen(self, way: _Way) -> None:
        """Wait for input, or, while something is pending, for room."""
        for fd in (way.read, way.sink):
            if self._by_fd.pop(fd, None) is not None:
                self._poll.unregister(fd)
        fd, event = (way.sink, select.POLLOUT) if way.pending else (way.read, select.POLLIN)
        self._by_fd[fd] = way
        self._poll.register(fd, event)

    def _pull(self, way: _Way) -> int:
        try:
            data = os.read(way.read, _CHUNK)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""  # a pseudo-terminal that nobody holds any more
        if not data:
            self._close(way)
            return 0
        way.pending = data
        if way.log is not None:
            way.log.add(data)
        self._push(way)
        return len(data)

    def _push(self, way: _Way) -> None:
        try:
            written = os.write(way.sink, way.pending)
        except BlockingIOError:
            written = 0
        except OSError:
            # The reader is gone (EPIPE, EIO) or its disk is full: the writer shall see what it would see alone.
            self._close(way)
            return
        was_pending = way.sink in self._by_fd
        way.pending = way.pending[written:]
        if bool(way.pending) != was_pending:
            self._listen(way)

    def _close(self, way: _Way) -> None:
        for fd in (way.read, way.sink):
            if self._by_fd.pop(fd, None) is not None:
                self._poll.unregister(fd)
        self._ways.pop(way.read, None)
        os.close(way.read)
        os.close(way.sink)
