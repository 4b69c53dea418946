"""Open files of a process and how far it is in each: what the kernel tells without asking the program.

Only Linux tells positions (``/proc/<pid>/fdinfo``); elsewhere nothing is known of them.
"""

import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from statustui.process.identity import LINUX

MOST = 256
"""Descriptors of one process that are looked at."""
_KERNELS_OWN = ("/dev/", "/proc/", "/sys/", "/memfd:", "/anon_hugepage")


class OpenFile(NamedTuple):
    """One descriptor that stands for a regular file."""

    fd: int
    path: str
    """As the kernel names it; of a deleted file the name that it had."""
    dev: int
    ino: int
    position: int
    """Byte at which the next read or write happens."""
    size: int
    """Bytes of the file now."""
    mode: str
    """``r`` opened for reading alone, ``w`` for writing alone, ``a`` for appending, ``+`` for both."""


def open_files(pid: int, most: int = MOST) -> list[OpenFile]:
    """The regular files that a process has open; empty when they may not be looked at, or where there is no ``/proc``.

    Args:
        pid: the process; who asks has made sure which it is.
        most: descriptors looked at.
    """
    if not LINUX:
        return []
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return []
    found = []
    for name in names[:most]:
        link = f"/proc/{pid}/fd/{name}"
        try:
            path = os.readlink(link)
            if not path.startswith("/") or path.startswith(_KERNELS_OWN):
                continue
            about = os.stat(link)
            if not stat.S_ISREG(about.st_mode):
                continue
            told = _fdinfo(pid, name)
        except (OSError, ValueError):  # it was closed between two looks
            continue
        if told is not None:
            found.append(_file(int(name), path, about, *told))
    return found


def output_file(pid: int, fits: Callable[[str], bool] = lambda path: True) -> OpenFile | None:
    """The regular file that stdout, else stderr, of a process goes to; None where there is none or it is deleted.

    Args:
        pid: the process.
        fits: a file for which it gives False is passed over.
    """
    if not LINUX:
        return None
    for number in (1, 2):
        link = f"/proc/{pid}/fd/{number}"
        try:
            path, about = os.readlink(link), os.stat(link)
            if not stat.S_ISREG(about.st_mode) or path.endswith(" (deleted)"):
                continue
            told = _fdinfo(pid, str(number))
        except (OSError, ValueError):
            continue
        if told is not None and told[1] & os.O_ACCMODE != os.O_RDONLY and fits(path):
            return _file(number, path, about, *told)
    return None


def _file(fd: int, path: str, about: os.stat_result, position: int, flags: int) -> OpenFile:
    access = flags & os.O_ACCMODE
    mode = "r" if access == os.O_RDONLY else "a" if flags & os.O_APPEND else "w" if access == os.O_WRONLY else "+"
    name = path.removesuffix(" (deleted)")
    return OpenFile(fd, name, about.st_dev, about.st_ino, position, about.st_size, mode)


def _fdinfo(pid: int, name: str) -> tuple[int, int] | None:
    """(position, flags) of one descriptor.

    Raises:
        OSError: it is closed.
    """
    fd = os.open(f"/proc/{pid}/fdinfo/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(fd, 512)
    finally:
        os.close(fd)
    position = flags = None
    for line in data.split(b"\n", 3)[:3]:
        key, _, value = line.partition(b":")
        if key == b"pos":
            position = int(value)
        elif key == b"flags":
            flags = int(value, 8)
    return None if position is None or flags is None else (position, flags)
