"""One log file, read by position: nothing of it is held, and nothing but an own regular file is opened."""

import contextlib
import os
import stat
from enum import Enum
from pathlib import Path

_FORBIDDEN = ("/proc", "/sys", "/dev")
_BLOCK = 65536
_FAR = 4 * 1024 * 1024
"""Bytes after which the search for a line's beginning gives up: such a line is shown in parts."""
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "lustre", "gpfs", "beegfs", "ceph", "9p", "afs"}


class LogRefused(Exception):
    """The log cannot be shown; the message says why, as one line."""


class Change(Enum):
    """What has happened to a log since it was opened."""

    NONE = "nothing"
    """It is as it was."""
    GROWN = "grown"
    """It is longer."""
    TRUNCATED = "truncated"
    """It was emptied in place and is written anew."""
    ROTATED = "rotated"
    """Another file has its name now."""
    GONE = "gone"
    """No file has its name now; what is open can still be read."""


class LogFile:
    """An open log, or the part of it that belongs to one run."""

    def __init__(
        self,
        path: str,
        *,
        start: int | None = None,
        end: int | None = None,
        inode: int | None = None,
        uid: int | None = None,
    ) -> None:
        """Open a log.

        Args:
            path: Where it lies.
            start: First byte of the run in it.
            end: Byte after the last one of the run; None while the run is open.
            inode: The file that the run wrote to: where *path* is another one by now, it is looked for beside it.
            uid: Who must own the file; this process's user when None.

        Raises:
            LogRefused: it is missing, not a regular file, somebody else's, or in a place that is no log's.
        """
        self.path = path
        self.opened_path = _of_inode(path, inode)
        self._fd = _open(self.opened_path, os.geteuid() if uid is None else uid)
        found = os.fstat(self._fd)
        self.inode, self._device = found.st_ino, found.st_dev
        self.other = inode is not None and inode != found.st_ino
        if self.other:
            start = end = None  # Positions in a file that is gone.
        self.begin = max(0, start or 0)
        if self.begin > found.st_size:
            self.begin = 0  # It was truncated since.
        self._end = end
        self.size = self.begin
        self._seen = self.begin
        self.update()

    def update(self) -> int:
        """Bytes up to which there is something to read now."""
        size = os.fstat(self._fd).st_size
        self._seen = size
        self.size = max(self.begin, size if self._end is None else min(size, self._end))
        return self.size

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from *offset* on, within the part of the run; fewer where it ends."""
        offset = max(self.begin, offset)
        length = min(length, self.size - offset)
        return os.pread(self._fd, length, offset) if length > 0 else b""

    def look(self) -> Change:
        """What has happened to the file; the new size is taken over."""
        before = self._seen, self.size
        self.update()
        if self._seen < before[0]:
            return Change.TRUNCATED
        try:
            found = os.stat(self.opened_path, follow_symlinks=False)
        except OSError:
            return Change.GONE
        if (found.st_ino, found.st_dev) != (self.inode, self._device):
            return Change.ROTATED
        return Change.GROWN if self.size > before[1] else Change.NONE

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # Lines

    def line_start(self, offset: int) -> int:
        """Where the line that holds the byte at *offset* begins."""
        offset = min(offset, self.size)
        limit = max(self.begin, offset + 1 - _FAR)
        high = offset
        while high > limit:
            low = max(limit, high - _BLOCK)
            found = self.read(low, high - low).rfind(b"\n")
            if found >= 0:
                return low + found + 1
            high = low
        return limit

    def previous_line(self, start: int) -> int | None:
        """Where the line before the one that begins at *start* begins; None at the first."""
        return None if start <= self.begin else self.line_start(start - 1)

    def line_end(self, start: int) -> int:
        """Where the line after the one that begins at *start* begins."""
        low = start
        while low < min(self.size, start + _FAR):
            block = self.read(low, _BLOCK)
            if not block:
                break
            found = block.find(b"\n")
            if found >= 0:
                return low + found + 1
            low += len(block)
        return min(low, self.size)


def _of_inode(path: str, inode: int | None) -> str:
    """*path*, or the file beside it that has *inode*: a log that was rotated keeps its inode."""
    if inode is None:
        return path
    with contextlib.suppress(OSError):
        if os.stat(path, follow_symlinks=False).st_ino == inode:
            return path
    stem = os.path.splitext(os.path.basename(path))[0]
    with contextlib.suppress(OSError), os.scandir(os.path.dirname(path) or ".") as entries:
        for _, entry in zip(range(5000), entries, strict=False):
            # The inode is the store's word: only a name that a rotation gives is believed.
            if entry.inode() == inode and entry.name.startswith(stem) and entry.is_file(follow_symlinks=False):
                return entry.path
    return path


def _open(path: str, uid: int) -> int:
    """Open for reading what may be read, and nothing that reacts to being opened."""
    real = os.path.realpath(path)
    if any(real == place or real.startswith(place + "/") for place in _FORBIDDEN):
        raise LogRefused(f"not a log file: {path}")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise LogRefused(f"the log is missing: {path}") from error
    except OSError as error:
        if os.path.islink(path):
            raise LogRefused(f"the log is a link now, which is not followed: {path}") from error
        raise LogRefused(f"the log cannot be opened ({error.strerror}): {path}") from error
    found = os.fstat(fd)
    reason = None
    if not stat.S_ISREG(found.st_mode):
        reason = f"not a regular file: {path}"
    elif found.st_uid != uid:
        reason = f"the log belongs to another user (uid {found.st_uid}): {path}"
    if reason is not None:
        os.close(fd)
        raise LogRefused(reason)
    return fd


def on_network(path: str, mounts: str | None = None) -> bool:
    """True when *path* lies on a network file system, where changes by other hosts are not announced."""
    if mounts is None:
        try:
            mounts = Path("/proc/mounts").read_text("utf-8", "replace")
        except OSError:
            return False
    real = os.path.realpath(path)
    best, kind = -1, ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        place = fields[1].replace("\\040", " ").rstrip("/")
        if (real == place or real.startswith(place + "/")) and len(place) >= best:
            best, kind = len(place), fields[2]
    return kind in _NETWORK
