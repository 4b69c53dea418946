"""When a drainer works and when it ends: its lock, its beat, and the hand-over to a newer version."""

import json
import os
import time
from typing import NamedTuple

from statustui.journal import locks
from statustui.journal.files import open_private
from statustui.journal.versions import newer
from statustui.machine import boot_id, host_name

LINGER_S = 5.0
"""How long it waits for another writer after the last one, in seconds."""
_NEXT_LIMIT = 64 << 10
_NEXT_HOLDS_S = 30.0
"""The newer version works by then, or its writer has ended and never will."""


class Next(NamedTuple):
    """A newer version that waits for this one to end."""

    version: str
    interpreter: str
    command: list[str]
    """What starts it; empty where the note does not say."""


class DrainerLock:
    """The lock that one working drainer holds on a spool directory."""

    def __init__(self, spool: str) -> None:
        self._path = f"{spool}/drainer.lock"
        self._spool = spool
        self._fd: int | None = None
        self._inode: tuple[int, int] | None = None

    def take(self, version: str) -> bool:
        """Take it without waiting, and write into it who works here; False when another drainer has it.

        Raises:
            OSError: the directory is gone or not ours.
        """
        try:
            fd = locks.hold(self._path)
        except locks.LockHeld:
            return False
        found = os.fstat(fd)
        self._fd, self._inode = fd, (found.st_dev, found.st_ino)
        about = {
            "pid": os.getpid(),
            "version": version,
            "started": time.time(),
            "boot": boot_id(),
            "host": host_name(),
        }
        data = json.dumps(about).encode() + b"\n"
        try:
            os.pwrite(fd, data, 0)
            os.ftruncate(fd, len(data))
        except OSError:  # a full disk: the lock itself counts, not its text
            pass
        beat(self._spool)
        return True

    @property
    def held(self) -> bool:
        """True while this process holds the lock that others ask about.

        Somebody who removes the directory or the file lets a second drainer in; this one then stops.
        """
        if self._fd is None:
            return False
        try:
            found = os.stat(self._path, follow_symlinks=False)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._inode

    def free(self) -> None:
        """Let the next drainer in."""
        fd, self._fd = self._fd, None
        if fd is not None:
            locks.release(fd)


def beat(spool: str) -> None:
    """Show writers that the drainer works: touch ``drainer.beat``."""
    path = f"{spool}/drainer.beat"
    try:
        os.utime(path, follow_symlinks=False)
    except FileNotFoundError:
        try:
            os.close(open_private(path, os.O_WRONLY | os.O_CREAT))
        except OSError:
            return
    except OSError:
        return


def linger_s() -> float:
    """Seconds to wait after the last writer (``STATUSTUI_DRAINER_LINGER``)."""
    try:
        return max(0.0, min(float(os.environ["STATUSTUI_DRAINER_LINGER"]), 3600.0))
    except (KeyError, ValueError):
        return LINGER_S


def waiting(spool: str, version: str) -> Next | None:
    """The newer version noted in ``drainer.next``; None when there is none that could work.

    A note of an older or equal version, of an interpreter that is gone, or of half a minute ago is removed: it would
    lock everybody out.
    """
    path = f"{spool}/drainer.next"
    try:
        fd = open_private(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        data = os.read(fd, _NEXT_LIMIT)
        old = abs(time.time() - os.fstat(fd).st_mtime) > _NEXT_HOLDS_S
    except OSError:
        return None
    finally:
        os.close(fd)
    found = _parse_next(data)
    if found is None or old or not newer(found.version, version) or not os.access(found.interpreter, os.X_OK):
        try:
            os.unlink(path)
        except OSError:
            return None
        return None
    return found


def _parse_next(data: bytes) -> Next | None:
    try:
        value = json.loads(data)
        version, interpreter = value["version"], value["interpreter"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(version, str) or not isinstance(interpreter, str):
        return None
    command = value.get("command")
    sound = (
        isinstance(command, list) and command[:1] == [interpreter] and all(isinstance(part, str) for part in command)
    )
    return Next(version, interpreter, command if sound else [])
