"""What changed in a directory, without looking at every file.

inotify is asked through ctypes, and not through watchfiles, because the loop waits for it and for the pidfds of
all writers in one ``poll``: that costs nothing while nothing happens. Where there is no inotify (macOS, or its
limit is reached) ``fd`` is None and the loop looks at everything at short intervals.
"""

import ctypes
import errno
import os
import struct

from statustui.process.identity import LINUX

_IN_MODIFY = 0x2
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_IN_DELETE_SELF = 0x400
_IN_MOVE_SELF = 0x800
_IN_ATTRIB = 0x4  # touch(2) of the wake file
_IN_Q_OVERFLOW = 0x4000
_IN_IGNORED = 0x8000
_IN_ONLYDIR = 0x01000000
_EVENT = struct.Struct("iIII")
_BUFFER = 1 << 16


class Notice:
    """Names of the files of one directory that changed since the last question."""

    def __init__(self, directory: str) -> None:
        self.fd = _open(directory) if LINUX else None
        """Readable when something changed; None when the kernel does not tell."""
        self._first = True

    def take(self) -> set[str] | None:
        """Names that changed; None when everything must be looked at."""
        everything = self._first or self.fd is None
        self._first = False
        names: set[str] = set()
        while self.fd is not None:
            try:
                data = os.read(self.fd, _BUFFER)
            except BlockingIOError:
                break
            at = 0
            while at + _EVENT.size <= len(data):
                _, mask, _, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size
                name = data[at : at + length].rstrip(b"\0")
                at += length
                if mask & (_IN_Q_OVERFLOW | _IN_IGNORED | _IN_DELETE_SELF | _IN_MOVE_SELF):
                    everything = True
                if name:
                    names.add(os.fsdecode(name))
        return None if everything else names

    def close(self) -> None:
        """Stop watching."""
        fd, self.fd = self.fd, None
        if fd is not None:
            os.close(fd)


def _open(directory: str) -> int | None:
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, AttributeError):
        return None
    if fd < 0:
        return None
    mask = _IN_MODIFY | _IN_MOVED_TO | _IN_CREATE | _IN_ATTRIB | _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_ONLYDIR
    if libc.inotify_add_watch(fd, os.fsencode(directory), mask) < 0:
        os.close(fd)
        if ctypes.get_errno() == errno.ENOENT:
            raise FileNotFoundError(errno.ENOENT, "no such directory", directory)
        return None
    return int(fd)
