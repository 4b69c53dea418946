"""What anybody can see of one process: whose it is, since when it runs, how it was called."""

import os
import time
from typing import NamedTuple

from statustui.process import command_line
from statustui.process.identity import LINUX, read_stat, start_tick

_TICKS = os.sysconf("SC_CLK_TCK")


class Facts(NamedTuple):
    """One process at one moment."""

    pid: int
    start: int
    """Start tick: with the pid it names the process exactly."""
    ppid: int
    uid: int
    state: str
    """One letter, as ``ps`` has it."""
    age_s: float
    """Seconds since it started."""
    argv: tuple[str, ...]
    """Empty for a kernel thread and a zombie."""
    thread_of: int | None = None
    """The process, where the number given is that of one of its threads."""


def facts(pid: int) -> Facts | None:
    """Look at a process; None when there is none of that number."""
    if not LINUX:
        return _by_psutil(pid)
    stat = read_stat(pid)
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
        with open(f"/proc/{pid}/status", "rb") as file:
            status = file.read(4096)
    except OSError:
        return None
    if stat is None:
        return None
    group = int(status.partition(b"\nTgid:")[2].split(None, 1)[0] or 0)
    argv = tuple(command_line.arguments(pid))
    age = max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - stat.start / _TICKS)
    thread_of = group if group not in (0, pid) else None
    return Facts(pid, stat.start, stat.ppid, uid, stat.state, age, argv, thread_of)


def ancestors(pid: int) -> list[int]:
    """The parent of a process, its parent, and so on, as far as they can be seen."""
    found: list[int] = []
    while True:
        if LINUX:
            stat = read_stat(pid)
            parent = 0 if stat is None else stat.ppid
        else:
            about = _by_psutil(pid)
            parent = 0 if about is None else about.ppid
        if parent <= 0 or parent in found:
            return found
        found.append(parent)
        pid = parent


def pids() -> list[int]:
    """All processes that can be seen."""
    if LINUX:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    import psutil

    return list(psutil.pids())


def _by_psutil(pid: int) -> Facts | None:
    import psutil

    start = start_tick(pid)
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            zombie = process.status() == psutil.STATUS_ZOMBIE
            created = process.create_time()
            return Facts(
                pid, start or int(created * 1_000_000), process.ppid(), process.uids().effective,
                "Z" if zombie else "R", max(0.0, time.time() - created), tuple(command_line.arguments(pid)),
            )  # fmt: skip
    except psutil.Error:
        return None
