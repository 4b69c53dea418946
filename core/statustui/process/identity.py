"""Which process is meant: pid, start tick, boot and pid namespace together name one exactly."""

import os
import sys
from typing import NamedTuple

from statustui.machine import boot_id, pid_namespace

LINUX = sys.platform.startswith("linux")
_STAT_LIMIT = 4096


class Stat(NamedTuple):
    """The fields of ``/proc/<pid>/stat`` that anything here uses."""

    state: str
    """One letter: ``R``, ``S``, ``D``, ``T``, ``Z`` …"""
    ppid: int
    pgrp: int
    own_ticks: int
    """User and system time of the process itself, in clock ticks."""
    cpu_ticks: int
    """User and system time of the process and of the children it has reaped, in clock ticks."""
    start: int
    """Clock ticks between boot and the start of the process (field 22)."""
    rss_pages: int


def read_stat(pid: int) -> Stat | None:
    """Read ``/proc/<pid>/stat``; None when there is no such process or no ``/proc``."""
    if pid <= 0:
        return None
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.read(fd, _STAT_LIMIT)
    except OSError:  # ESRCH: it ended between open and read
        return None
    finally:
        os.close(fd)
    return parse_stat(data)


def parse_stat(data: bytes) -> Stat | None:
    """Take the fields out of one line of ``stat``.

    The name stands in parentheses and may itself hold blanks and parentheses, so the last one counts.
    """
    at = data.rfind(b")")
    fields = data[at + 2 :].split(b" ", 22)
    if at < 0 or len(fields) < 22:
        return None
    try:
        own = int(fields[11]) + int(fields[12])
        return Stat(
            fields[0].decode("ascii", "replace"),
            int(fields[1]),
            int(fields[2]),
            own,
            own + int(fields[13]) + int(fields[14]),
            int(fields[19]),
            int(fields[21]),
        )
    except ValueError:
        return None


def start_tick(pid: int) -> int | None:
    """The start of a process in clock ticks since boot; None when there is no such process.

    Without ``/proc`` it is the start in microseconds since 1970: as exact, and used in the same way.
    """
    if LINUX:
        stat = read_stat(pid)
        return None if stat is None else stat.start
    return _start_by_psutil(pid)


def ended(pid: int, start: int | None) -> bool | None:
    """Has this process ended (zombies have)? None when a process with the pid lives and *start* is unknown."""
    if pid <= 0:
        return None
    if not LINUX:
        now = _start_by_psutil(pid)
        state = "" if now is None else "R"
    else:
        stat = read_stat(pid)
        now, state = (None, "") if stat is None else (stat.start, stat.state)
    if now is None or state in ("Z", "X", "x"):
        return True
    if start is None:
        return None
    return now != start


def alive(pid: int, start: int | None, boot: str | None = None, namespace: int | None = None) -> bool | None:
    """Does the process live?

    Args:
        pid: its number in *namespace*.
        start: its start tick, None when nobody knows it.
        boot: the boot id under which it ran, None for this one.
        namespace: inode of its pid namespace; None or 0 for this one.

    Returns:
        True or False when that is proven, None when it cannot be judged from here: another boot (perhaps
        another machine), another pid namespace, or an unknown start.
    """
    if boot and boot != boot_id():
        return None
    if namespace and namespace != pid_namespace():
        return None
    gone = ended(pid, start)
    return None if gone is None else not gone


def booted_at() -> float | None:
    """When this machine was booted, in seconds since 1970; None when it does not tell."""
    if not LINUX:
        import psutil

        return float(psutil.boot_time())
    try:
        with open("/proc/stat", encoding="ascii", errors="replace") as stat:
            for line in stat:
                if line.startswith("btime "):
                    return float(line.split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return None


def _start_by_psutil(pid: int) -> int | None:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return int(process.create_time() * 1_000_000)
    except psutil.Error:
        return None
