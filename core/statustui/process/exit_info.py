"""How a process ended that is no child of ours: what the kernel itself tells, or nothing."""

import fcntl
import os
import struct

from statustui.process.identity import LINUX
from statustui.process.pidfd import Handle

# struct pidfd_info of linux/pidfd.h in its first size; what is asked for is in its first word.
_INFO = struct.Struct("=QQ11Ii")
_GET_INFO = 0xC000_0000 | _INFO.size << 16 | 0xFF << 8 | 11
_EXIT = 1 << 3
_STAT_EXIT_CODE = 49
"""Field 52 of ``/proc/<pid>/stat``, counted behind the name."""


def wait_status(handle: Handle) -> int | None:
    """The wait status of a process that has ended.

    A zombie tells it through ``/proc`` to its own user on every kernel; one that was reaped tells it through the pidfd
    that was opened while it lived (``PIDFD_GET_INFO``, Linux 6.15).

    Returns:
        The status as ``os.waitpid`` would give it (for ``os.WIFEXITED`` and the like); None when nobody can say.
    """
    if not LINUX or not handle.ended():
        return None
    # In this order: between the two looks a zombie may be reaped, never the other way round.
    found = of_zombie(handle.pid, handle.start)
    return found if found is not None else _of_pidfd(handle.fd)


def of_zombie(pid: int, start: int | None) -> int | None:
    """The wait status of a process that nobody has taken yet; None where there is none, or it may not be seen.

    Args:
        pid: the process.
        start: its start tick.
    """
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fields = os.read(fd, 4096).rpartition(b")")[2].split()
    except OSError:
        return None
    finally:
        os.close(fd)
    try:
        if fields[0] not in (b"Z", b"X") or int(fields[19]) != start:
            return None
        status = int(fields[_STAT_EXIT_CODE])
    except (ValueError, IndexError):
        return None
    return status if status or _may_look_inside(pid) else None


def _may_look_inside(pid: int) -> bool:
    """To those who may not the kernel shows 0, which would be a good end; the same right opens ``fdinfo``."""
    try:
        os.listdir(f"/proc/{pid}/fdinfo")
    except OSError:
        return False
    return True


def _of_pidfd(fd: int | None) -> int | None:
    if fd is None:
        return None
    answer = bytearray(_INFO.size)
    _INFO.pack_into(answer, 0, _EXIT, *([0] * 13))
    try:
        fcntl.ioctl(fd, _GET_INFO, answer)
    except OSError:  # an older kernel
        return None
    mask, *_, status = _INFO.unpack(answer)
    return int(status) if mask & _EXIT else None
