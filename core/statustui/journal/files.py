"""Names, sizes and private files of a spool directory."""

import errno
import fcntl
import os
import stat

SPAN = 1 << 32
"""Offsets that one segment takes up: a record in segment n at byte b has the offset ``n * SPAN + b``."""
SEGMENT_BYTES = 8 << 20
"""A segment that is larger is followed by a new one."""
MAX_LINE = 256 << 10
"""Bytes of the longest line that is read."""
JOURNAL_LIMIT = 64_000_000
"""Bytes of unapplied journal that one writer keeps."""

# Above what programs use, close in a loop or hand to select().
_HIGH_DESCRIPTORS = (800, 200, 64)


def segment_path(spool: str, journal: str, number: int) -> str:
    """Path of one segment of a journal."""
    return f"{spool}/{journal}.{number}.jsonl"


def parse_segment_name(name: str) -> tuple[str, int] | None:
    """The (journal, segment number) that a file name stands for, or None for another file."""
    # By hand: a process that says one line need not load the compiler of expressions.
    stem, dot, ending = name.rpartition(".")
    journal, dot, number = stem.rpartition(".")
    if ending != "jsonl" or not dot or not 1 <= len(journal) <= 64 or not 1 <= len(number) <= 6 or not name.isascii():
        return None
    if not number.isdigit() or number != str(int(number)) or journal[0] in "_-":
        return None
    return (journal, int(number)) if journal.replace("_", "a").replace("-", "a").isalnum() else None


def make_spool(spool: str) -> None:
    """Make a spool directory and those above it up to the state directory, as ``make_private_dirs`` does.

    Raises:
        OSError: one of them cannot be made, is no directory, or belongs to somebody else.
    """
    parts = spool.rsplit("/", 4)  # state directory, "spool", machine, namespace, store
    is_one = len(parts) == 5 and all(parts) and parts[1] == "spool" and parts[3].isascii() and parts[3].isdigit()
    is_one = is_one and len(parts[4]) == 16 and not set(parts[4]) - set("0123456789abcdef")
    make_private_dirs(spool, parts[0] if is_one else None)


def make_private_dirs(path: str, state: str | None = None) -> None:
    """Make *path* and what is missing above it, 0700 whatever the umask.

    Args:
        path: the directory.
        state: the state directory that it is, or lies in. That and all on the way to *path* must be this user's own
            then: where another user owns one of them, what is below could be exchanged at any time.

    Raises:
        OSError: it cannot be made, is no directory, or belongs to somebody else.
    """
    if state is not None and path != state and path.startswith(state + "/"):
        make_private_dirs(os.path.dirname(path), state)
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        _make_above(os.path.dirname(path))
        try:
            os.mkdir(path, 0o700)
            os.chmod(path, 0o700)
        except FileExistsError:
            pass
        found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode) and state == path and found.st_uid == os.geteuid():
        found = os.stat(path)  # the user's own link to a larger disk; nothing within is a link
    if not stat.S_ISDIR(found.st_mode):
        raise OSError(errno.ENOTDIR, "not a directory", path)
    if found.st_uid != os.geteuid():
        raise OSError(errno.EPERM, "belongs to another user", path)
    if found.st_mode & stat.S_ISVTX:
        raise OSError(errno.EPERM, "is for everybody: name a directory of your own", path)
    if found.st_mode & 0o077:
        os.chmod(path, 0o700)
    if state == path and _open_to_all(os.path.dirname(os.path.realpath(path))):
        raise OSError(errno.EPERM, "lies where everybody can replace it: chmod o-w the directory above", path)


def _make_above(path: str) -> None:
    if not path or os.path.isdir(path):
        return
    _make_above(os.path.dirname(path))
    try:
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)
    except FileExistsError:
        return


def _open_to_all(path: str) -> bool:
    mode = os.stat(path).st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def open_private(path: str, flags: int) -> int:
    """Open *path* as a private file: no symbolic link, not inherited, 0600 whatever the umask.

    Raises:
        OSError: it cannot be opened, or is no regular file of this user.
    """
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        if found.st_uid != os.geteuid():
            raise OSError(errno.EPERM, "belongs to another user", path)
        if flags & os.O_CREAT and stat.S_IMODE(found.st_mode) != 0o600:
            os.fchmod(fd, 0o600)
    except OSError:
        os.close(fd)
        raise
    return fd


def move_high(fd: int) -> int:
    """Move a descriptor out of the range that programs use for their own files."""
    for least in _HIGH_DESCRIPTORS:
        try:
            high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, least)
        except OSError:
            continue  # above the limit of this process
        os.close(fd)
        return high
    return fd


def same_file(fd: int, dev: int, ino: int) -> bool:
    """True when *fd* is open on that very file: a program may have closed it and used the number again."""
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return found.st_ino == ino and found.st_dev == dev


def replace_private(path: str, data: bytes) -> None:
    """Put *data* at *path* as a private file, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    part = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    fd = open_private(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)
        os.replace(part, path)
    except OSError:
        os.unlink(part)
        raise


def prepare_spool(spool: str, store_url: str) -> None:
    """Make the spool directory and note in it which store it is for (``store.url``).

    A URL that is there already gives way to another one of the same store, but a password is not taken from the
    drainer by somebody who does not know it.

    Raises:
        OSError: it cannot be made.
    """
    make_spool(spool)
    path = f"{spool}/store.url"
    data = (store_url + "\n").encode("utf-8", "backslashreplace")
    try:
        fd = open_private(path, os.O_RDONLY)
    except FileNotFoundError:
        replace_private(path, data)
        return
    try:
        present = os.read(fd, 16 << 10)
    finally:
        os.close(fd)
    if present == data:
        return
    from statustui.urls import has_password

    if has_password(store_url) or not has_password(present.decode("utf-8", "replace").strip()):
        replace_private(path, data)
