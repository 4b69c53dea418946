"""The copy of a command's output, kept beside its run."""

import os

HEAD_BYTES = 8 << 20
"""Bytes kept of the beginning."""
TAIL_BYTES = 256 << 20
"""Bytes kept, at least, of the end."""


class LogCopy:
    """A file that output is appended to. What can not be written is left out, and never stops anything else."""

    __slots__ = ("_fd", "_head", "_left_out", "_limited", "_position", "_tail", "failed")

    def __init__(self, fd: int, *, limited: bool, head: int = HEAD_BYTES, tail: int = TAIL_BYTES) -> None:
        """Take over an open file.

        Args:
            fd: opened for reading and writing; with O_APPEND when it is the user's own file.
            limited: keep the beginning and the end only; else all.
            head: bytes to keep of the beginning.
            tail: bytes to keep of the end, at least; twice as many at most.
        """
        self._fd = fd
        self._limited = limited
        self._head = head
        self._tail = tail
        self._position = 0
        self._left_out = 0
        self.failed = False
        """True when something could not be written."""

    def add(self, data: bytes) -> None:
        """Append output."""
        try:
            if self._limited and self._position + len(data) > self._head + 2 * self._tail:
                self._shorten()
            self._position += os.write(self._fd, data)
        except OSError:
            self.failed = True  # disk full, quota, file size limit: the next piece is tried again

    def _shorten(self) -> None:
        """Drop the middle: move the last part down to behind the first."""
        start = self._position - self._tail
        lead = os.pread(self._fd, 65_536, start)
        start += lead.find(b"\n") + 1
        already = self._left_out
        self._left_out += start - self._head - (_NOTE_BYTES if already else 0)
        note = f"\n[statustui: {self._left_out:>18} bytes left out here]\n".encode()
        os.pwrite(self._fd, note, self._head)
        target = self._head + len(note)
        while start < self._position:
            part = os.pread(self._fd, min(1 << 20, self._position - start), start)
            if not part:
                break
            target += os.pwrite(self._fd, part, target)
            start += len(part)
        os.ftruncate(self._fd, target)
        os.lseek(self._fd, target, os.SEEK_SET)
        self._position = target


_NOTE_BYTES = len(f"\n[statustui: {0:>18} bytes left out here]\n")
