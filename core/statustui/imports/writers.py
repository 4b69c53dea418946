"""Which files living processes have open for writing: the evidence that a log is still being written."""

import os
import time
from collections.abc import Iterator

_WRITES = os.O_WRONLY | os.O_RDWR
# The time of a file is that of the kernel's last tick.
_SLACK_S = 0.02


def open_for_writing() -> set[tuple[int, int]]:
    """(device, inode) of the files that this user's processes have open for writing; none where there is no /proc.

    Processes of other users are seen by root alone.
    """
    found: set[tuple[int, int]] = set()
    own = os.getpid()
    for pid in _pids():
        if pid == own:
            continue
        try:
            with os.scandir(f"/proc/{pid}/fd") as entries:
                for entry in entries:
                    _add(found, pid, entry.name)
        except OSError:
            continue  # another user's, or gone
    return found


def _add(found: set[tuple[int, int]], pid: int, name: str) -> None:
    try:
        target = os.readlink(f"/proc/{pid}/fd/{name}")
        if not target.startswith("/") or target.startswith(("/dev/", "/proc/")):
            return
        with open(f"/proc/{pid}/fdinfo/{name}", "rb") as info:
            flags = next((int(line.split()[1], 8) for line in info if line.startswith(b"flags:")), 0)
        if flags & _WRITES:
            at = os.stat(f"/proc/{pid}/fd/{name}")
            found.add((at.st_dev, at.st_ino))
    except (OSError, ValueError, IndexError):
        return


def _pids() -> Iterator[int]:
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    for name in names:
        if name.isdigit():
            yield int(name)


class Watched:
    """The same for many files at once: asked for again only for a file that was written since."""

    def __init__(self, every: float) -> None:
        """*every*: seconds that an answer holds at most."""
        self._every = every
        self._asked = float("-inf")
        self._at = float("-inf")
        self._found: set[tuple[int, int]] = set()

    def __call__(self, written: float) -> set[tuple[int, int]]:
        """The files, as they were after *written* (epoch seconds)."""
        if time.monotonic() - self._asked > self._every or self._at <= written + _SLACK_S:
            self._at, self._asked = time.time(), time.monotonic()
            self._found = open_for_writing()
        return self._found
