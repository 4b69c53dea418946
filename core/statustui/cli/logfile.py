"""Reading the log of a run: only its own part of the file, and only a file that this user may trust to be it."""

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from statustui.cli.session import NO, Stop
from statustui.config import Settings, host_name
from statustui.control.elsewhere import there
from statustui.control.logs import LogDistrusted, log_path
from statustui.model.run import Run

_BLOCK = 65_536
_POLL_S = 0.2
_LONGEST = 1 << 20
_FORBIDDEN = ("/proc", "/dev", "/sys")
_SGR = re.compile(rb"\x1b\[[0-9;:]{0,64}m")


@dataclass(kw_only=True)
class OpenLog:
    """An open log file and the part of it that belongs to one run."""

    path: str
    fd: int
    start: int
    end: int | None
    """None while the run is open."""
    note: str | None = None
    """What the reader should know first."""
    position: int = field(init=False)
    """Where the log ended when it was opened: what comes later is for ``follow``."""

    def __post_init__(self) -> None:
        size = os.fstat(self.fd).st_size
        self.position = size if self.end is None else min(self.end, size)


def open_log(run: Run, settings: Settings) -> OpenLog:
    """Open the log of a run.

    The path comes from the run's launch file, which only its owner can write (``control.logs``); whatever names it,
    only a regular file of this very user is opened.

    Raises:
        Stop: there is no log, or none that may be read from here.
    """
    if run.host is not None and run.host != host_name():
        raise Stop(NO, f"the log of {run.id} is on {run.host}: {there(run.host, settings, 'tail', run.id)}")
    try:
        path = log_path(run, settings)
    except LogDistrusted as error:
        raise Stop(NO, str(error)) from error
    if not path:
        raise Stop(NO, f"run {run.id} has no log that is known; statustui show {run.id} has its last lines if any")
    if not os.path.isabs(path) or any(_under(os.path.realpath(path), place) for place in _FORBIDDEN):
        raise Stop(NO, f"{path}: not a log file")
    fd = _open_file(path, run.id)
    start, end, note = run.log_start or 0, run.log_end, None
    if run.log_inode is not None and os.fstat(fd).st_ino != run.log_inode:
        other = _by_inode(path, run.log_inode)
        os.close(fd)
        if other is None:
            raise Stop(NO, f"the log of {run.id} was rotated away: {path} is another file now")
        path, note = other, f"rotated to {other}"
        fd = _open_file(path, run.id)
    return OpenLog(path=path, fd=fd, start=start, end=end, note=note)


def _under(path: str, place: str) -> bool:
    return path == place or path.startswith(place + "/")


def _open_file(path: str, number: int) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Stop(NO, f"the log of {number} is gone: {path}") from None
    except OSError as error:
        raise Stop(NO, f"{path}: {error.strerror}") from error
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid():
        os.close(fd)
        raise Stop(NO, f"{path}: not a regular file of yours; ask its owner")
    return fd


def _by_inode(path: str, inode: int) -> str | None:
    """Where log rotation has put a file: a name beside it that begins with its name."""
    directory, base = os.path.split(path)
    try:
        with os.scandir(directory) as entries:
            return next(
                (entry.path for entry in entries if entry.name.startswith(base) and entry.inode() == inode), None
            )
    except OSError:
        return None


def last_lines(log: OpenLog, count: int) -> list[bytes]:
    """The last *count* lines of the run's part of the log, read from its end."""
    position = end = log.position
    data = b""
    while position > log.start and data.count(b"\n") <= count and end - position < count * _LONGEST:
        step = min(_BLOCK, position - log.start)
        position -= step
        data = os.pread(log.fd, step, position) + data
    lines = data.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    return lines[-count:] if count else []


def hold_back(log: OpenLog) -> None:
    """Leave an unfinished last line to :func:`follow`, which yields it once, when it is whole or the run has ended."""
    first = max(log.start, log.position - _LONGEST)
    data = os.pread(log.fd, log.position - first, first)
    found = data.rfind(b"\n")
    if found >= 0 or first == log.start:
        log.position = first + found + 1


def follow(log: OpenLog, ended: Callable[[], bool]) -> Iterator[list[bytes]]:
    """Yield lines as they come, from where the log ended when it was opened, until the run has ended and all is read.

    A file that was rotated is read to its end before the new one; a truncated one from its beginning.
    """
    position, rest = log.position, b""
    while True:
        over = ended()
        data = os.pread(log.fd, _BLOCK, position)
        if data:
            position += len(data)
            *lines, rest = (rest + data).split(b"\n")
            if len(rest) > _LONGEST:
                lines, rest = [*lines, rest], b""
            if lines:
                yield lines
            continue
        if os.fstat(log.fd).st_size < position:
            position, rest = 0, b""
            continue
        if _rotated(log):
            position = 0
            continue
        if over:
            if rest:
                yield [rest]
            return
        time.sleep(_POLL_S)


def _rotated(log: OpenLog) -> bool:
    """Go on with the file that has taken the log's name; False when it is still the same, or none is there yet."""
    try:
        found = os.stat(log.path, follow_symlinks=False)
    except OSError:
        return False
    mine = os.fstat(log.fd)
    if (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino):
        return False
    try:
        fd = _open_file(log.path, 0)
    except Stop:
        return False
    os.close(log.fd)
    log.fd = fd
    return True


def as_text(line: bytes) -> str:
    """A log line without its colours; what else is in it is cleaned where it is printed."""
    return _SGR.sub(b"", line).decode("utf-8", "surrogateescape")
