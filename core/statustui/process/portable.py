"""The same figures through psutil, where there is no ``/proc`` (macOS). Slower, and without sockets and I/O."""

import time
from typing import Any, NamedTuple

from statustui.model.redact import redact_argv


class Usage(NamedTuple):
    """What one tree uses."""

    cpu_s: float
    rss_bytes: int
    processes: int
    age_s: float


def usage(pid: int, start: int | None) -> Usage | None:
    """Figures of the tree of *pid*; None when it has ended or is another process."""
    import psutil

    try:
        root = psutil.Process(pid)
        created = root.create_time()
        if start is not None and int(created * 1_000_000) != start:
            return None
        members = [root, *root.children(recursive=True)]
    except psutil.Error:
        return None
    cpu, rss, count = 0.0, 0, 0
    for member in members:
        try:
            with member.oneshot():
                times = member.cpu_times()
                cpu += times.user + times.system
                rss += member.memory_info().rss
                count += 1
        except psutil.Error:
            continue
    return Usage(cpu, rss, count, max(time.time() - created, 0.01)) if count else None


def members(pid: int) -> list[tuple[int, int]]:
    """(pid, start) of a process and its descendants."""
    import psutil

    try:
        root = psutil.Process(pid)
        return [(each.pid, int(each.create_time() * 1_000_000)) for each in (root, *root.children(recursive=True))]
    except psutil.Error:
        return []


def describe(pid: int) -> list[dict[str, Any]]:
    """One mapping for each process of a tree, parents first."""
    import psutil

    result: list[dict[str, Any]] = []

    def visit(process: psutil.Process, depth: int) -> None:
        try:
            with process.oneshot():
                times = process.cpu_times()
                result.append(
                    {
                        "pid": process.pid,
                        "ppid": process.ppid(),
                        "depth": depth,
                        "command": " ".join(redact_argv(process.cmdline())) or f"[{process.name()}]",
                        "state": process.status()[:1].upper(),
                        "cpu_s": times.user + times.system,
                        "rss_bytes": process.memory_info().rss,
                        "started_s": max(time.time() - process.create_time(), 0.0),
                    }
                )
            children = process.children()
        except psutil.Error:
            return
        for child in sorted(children, key=lambda child: child.pid):
            visit(child, depth + 1)

    try:
        visit(psutil.Process(pid), 0)
    except psutil.Error:
        return []
    return result
