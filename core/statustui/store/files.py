"""The file of an SQLite store: made private, and not trusted when somebody else could have put it there.

Nothing here ever opens an existing database file: closing any descriptor of it would free SQLite's locks.
"""

import os
import stat
from contextlib import suppress

from statustui.store.errors import NoStore, NotOurStore, StoreUnavailable


def make(path: str) -> None:
    """Make the file (0600) and its directory (0700), whatever the umask; fine when they are there.

    Raises:
        StoreUnavailable: that is not possible.
    """
    directory = os.path.dirname(path)
    try:
        _make_directories(directory)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror}") from error
    try:
        shared = os.stat(directory).st_mode & stat.S_ISGID
        # A directory that was made for a group (setgid) is the explicit wish to share.
        os.fchmod(descriptor, 0o660 if shared else 0o600)
    finally:
        os.close(descriptor)


def _make_directories(directory: str) -> None:
    if os.path.isdir(directory):
        return
    _make_directories(os.path.dirname(directory))
    with suppress(FileExistsError):
        os.mkdir(directory, 0o700)
        os.chmod(directory, 0o700)


def check(path: str) -> tuple[int, int]:
    """Look at the file before it is opened.

    Returns:
        Device and inode.

    Raises:
        NoStore: it is not there.
        NotOurStore: it is no regular file of this user's, or lies where others could replace it.
    """
    try:
        found = os.lstat(path)
        parent = os.stat(os.path.dirname(path))
    except FileNotFoundError:
        raise NoStore(f"{path}: there is no store yet") from None
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror}") from error
    if stat.S_ISLNK(found.st_mode):
        raise NotOurStore(f"{path} is a symbolic link: name the file itself")
    if not stat.S_ISREG(found.st_mode):
        raise NotOurStore(f"{path} is no regular file")
    if parent.st_mode & stat.S_IWOTH and not parent.st_mode & stat.S_ISVTX:
        raise NotOurStore(f"{os.path.dirname(path)} can be written by everybody: chmod o-w it")
    _check_beside(path, found, parent)
    me = os.geteuid()
    if me != 0 and found.st_uid not in (me, 0) and not _shared(found, parent):
        raise NotOurStore(f"{path} belongs to uid {found.st_uid}: share it by a setgid directory of a common group")
    return found.st_dev, found.st_ino


def _check_beside(path: str, found: os.stat_result, parent: os.stat_result) -> None:
    """SQLite takes what lies beside the file for its own: a planted journal would be written into the store."""
    for ending in ("-wal", "-shm", "-journal"):
        try:
            beside = os.lstat(path + ending)
        except OSError:
            continue
        if not stat.S_ISREG(beside.st_mode):
            raise NotOurStore(f"{path}{ending} is no regular file: remove it")
        if beside.st_uid not in (found.st_uid, os.geteuid(), 0) and not _shared(beside, parent):
            raise NotOurStore(f"{path}{ending} belongs to uid {beside.st_uid}, the store does not: remove it")


def _shared(found: os.stat_result, parent: os.stat_result) -> bool:
    """True for a file that lies in a setgid directory of a group that this user is in."""
    groups = {os.getegid(), *os.getgroups()}
    return bool(parent.st_mode & stat.S_ISGID) and parent.st_gid in groups and found.st_gid == parent.st_gid


def inode(path: str) -> tuple[int, int] | None:
    """Device and inode of the file now; None when it is gone."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def private(path: str) -> bool:
    """True when nobody but this user (and root) can have written to the file."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    return found.st_uid in (os.geteuid(), 0) and not found.st_mode & 0o022
