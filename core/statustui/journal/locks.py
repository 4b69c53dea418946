"""Locks that prove life: held with ``lockf`` by one descriptor, asked about without being taken.

A POSIX lock is freed when its process closes *any* descriptor of the file. So a lock file is opened once by its
holder and never again: ``holder`` knows what this process holds and opens only the locks of others.
"""

import errno
import fcntl
import os
import struct
import sys

from statustui.journal.files import move_high, open_private, same_file

# struct flock of the platform: (l_type, l_whence, l_start, l_len, l_pid) in its own order.
_DARWIN = sys.platform == "darwin"
_FLOCK = struct.Struct("@qqihh" if _DARWIN else "@hhqqi4x")

# (device, inode) → (pid, descriptor) of the locks that this process holds.
_held: dict[tuple[int, int], tuple[int, int]] = {}


class LockHeld(OSError):
    """Somebody else holds the lock."""


def hold(path: str) -> int:
    """Take the lock at *path*, making the file if need be, without waiting.

    The lock lasts until ``release`` or the end of the process. A forked child does not have it.

    Returns:
        The descriptor that holds it.

    Raises:
        LockHeld: another process, or this one, holds it.
        OSError: the file cannot be opened.
    """
    for _ in range(100):
        if _own(path) is not None:
            raise LockHeld(errno.EAGAIN, "held by this process", path)
        fd = move_high(open_private(path, os.O_RDWR | os.O_CREAT))
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.fstat(fd)
            named = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            os.close(fd)  # removed meanwhile: what we hold is not what others ask about
            continue
        except OSError as error:
            os.close(fd)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise LockHeld(errno.EAGAIN, "held by another process", path) from error
            raise
        if (named.st_dev, named.st_ino) != (found.st_dev, found.st_ino):
            os.close(fd)
            continue
        _held[found.st_dev, found.st_ino] = (os.getpid(), fd)
        return fd
    raise OSError(errno.ESTALE, "the lock file is replaced all the time", path)


def release(fd: int) -> None:
    """Free a lock that ``hold`` gave. Does nothing when the program has closed the descriptor meanwhile."""
    for key, (pid, held) in list(_held.items()):
        if held == fd and pid == os.getpid():
            del _held[key]
            try:
                found = os.fstat(fd)
            except OSError:
                return
            if (found.st_dev, found.st_ino) == key:
                os.close(fd)
            return


def forget(fd: int) -> None:
    """Forget a lock whose descriptor the program has closed, which freed it."""
    for key, (pid, held) in list(_held.items()):
        if held == fd and pid == os.getpid():
            del _held[key]


def close_inherited() -> None:
    """In a forked child: close the parent's lock files, which it does not hold, and forget them."""
    for key, (pid, fd) in list(_held.items()):
        if pid != os.getpid():
            del _held[key]
            if same_file(fd, *key):
                os.close(fd)


def holder(path: str) -> int | None:
    """The process that holds the lock at *path*, or None when it is free or there is no such file.

    Returns:
        Its pid in this pid namespace; 0 when it is held by a process of another namespace or host.

    Raises:
        OSError: the file is there but cannot be asked.
    """
    own = _own(path)
    if own is not None:
        return own
    try:
        fd = open_private(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        if _DARWIN:
            asked = _FLOCK.pack(0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
            _, _, pid, kind, _ = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
        else:
            asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    finally:
        os.close(fd)
    return None if kind == fcntl.F_UNLCK else max(int(pid), 0)


def _own(path: str) -> int | None:
    if not _held:
        return None
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    entry = _held.get((found.st_dev, found.st_ino))
    if entry is None or entry[0] != os.getpid() or not same_file(entry[1], found.st_dev, found.st_ino):
        return None
    return entry[0]
