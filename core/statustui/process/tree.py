"""What process trees use: one pass over ``/proc/*/stat`` answers for all of them at once."""

import os
import time
from collections.abc import Container, Hashable, Mapping
from dataclasses import dataclass

from statustui.process import details, portable
from statustui.process.identity import LINUX, Stat, parse_stat

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_DETAIL_BUDGET = 64
_DETAIL_EVERY_S = 14.0
_ALL_EVERY_S = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeSample:
    """What one process and all its descendants use at one moment."""

    cpu_percent: float
    """Since the sample before (since the start of the process in the first one); 100 = one core."""
    rss_bytes: int
    """Resident memory of the tree, in bytes."""
    peak_rss_bytes: int
    """Largest resident memory of the tree seen so far, in bytes; at least the root's high-water mark."""
    processes: int
    """How many processes the tree has."""
    read_bytes: int | None = None
    """Read from storage by the tree, children that were reaped included; None when it may not be looked at."""
    write_bytes: int | None = None
    """Written to storage, likewise."""
    connections: int | None = None
    """Open TCP and connected UDP sockets; None when it may not be looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessInfo:
    """One process of a tree, as the Run screen shows it."""

    pid: int
    ppid: int
    depth: int
    """0 for the root, 1 for its children, …"""
    command: str
    """Redacted command line, or the name in brackets when there is none."""
    state: str
    """One letter, as ``ps`` has it: ``R``, ``S``, ``D``, ``T``, ``Z``."""
    cpu_s: float
    """User and system time so far, in seconds."""
    rss_bytes: int
    started_s: float
    """Seconds since it started."""


class Sampler:
    """Samples any number of trees in one pass, and keeps what the next sample needs.

    Args:
        costly: Read I/O, connections and the root's own high-water mark too, a few trees in each pass.
    """

    def __init__(self, *, costly: bool = True) -> None:
        self._costly = costly
        self._seen: dict[Hashable, _Before] = {}
        self._roots: dict[Hashable, tuple[int, int | None]] = {}
        self._strangers: set[str] = set()
        self._all_at = float("-inf")

    def sample(self, roots: Mapping[Hashable, tuple[int, int | None]]) -> dict[Hashable, TreeSample]:
        """Sample trees.

        Args:
            roots: for each key the pid of the root and its start tick (None: whoever has the pid).

        Returns:
            A sample for each root that lives; the others are left out and forgotten.
        """
        for key in self._seen.keys() - roots.keys():
            del self._seen[key]
        if not roots:
            return {}
        if not LINUX:
            return self._sample_portable(roots)
        now = time.monotonic()
        table = self._look(roots, now)
        children = _children(table)
        found: dict[Hashable, TreeSample] = {}
        trees: dict[Hashable, list[int]] = {}
        for key, (pid, start) in roots.items():
            root = table.get(pid)
            if root is None or (start is not None and root.start != start) or root.state in "ZX":
                self._seen.pop(key, None)
                continue
            trees[key] = _tree(pid, children)
            self._seen.setdefault(key, _Before())
        self._strangers.update(map(str, table.keys() - {pid for tree in trees.values() for pid in tree}))
        if self._costly:
            self._refresh_details(trees, now)
        for key, members in trees.items():
            found[key] = self._one(key, members, table, now)
        return found

    def _look(self, roots: Mapping[Hashable, tuple[int, int | None]], now: float) -> dict[int, Stat]:
        """The processes that may belong to a tree: on a host of thousands, most have been seen to belong to none.

        What is no member seldom becomes one later (by its number being used again), so all are read now and then, and
        whenever there is a new root.
        """
        if now - self._all_at >= _ALL_EVERY_S or roots.items() - self._roots.items():
            self._all_at = now
            self._strangers.clear()
        self._roots = dict(roots)
        return read_table(self._strangers)

    def _one(self, key: Hashable, members: list[int], table: Mapping[int, Stat], now: float) -> TreeSample:
        ticks = sum(table[pid].cpu_ticks for pid in members)
        rss = sum(table[pid].rss_pages for pid in members) * _PAGE
        before = self._seen[key]
        if before.at is None:
            since = max(_uptime() - table[members[0]].start / _TICKS, 0.01)
            used = ticks
        else:
            since = max(now - before.at, 0.001)
            used = max(ticks - before.ticks, 0)  # an orphan leaves the tree and takes its time along
        # A tick is 10 ms: two samples close together would show noise.
        percent = before.percent if before.at is not None and since < 0.2 else 100.0 * used / _TICKS / since
        if before.at is None or since >= 0.2:
            before.at, before.ticks, before.percent = now, ticks, percent
        before.peak = max(before.peak, rss, before.details.peak_rss_bytes)
        return TreeSample(
            cpu_percent=percent,
            rss_bytes=rss,
            peak_rss_bytes=before.peak,
            processes=len(members),
            read_bytes=before.details.read_bytes,
            write_bytes=before.details.write_bytes,
            connections=before.details.connections,
        )

    def _refresh_details(self, trees: Mapping[Hashable, list[int]], now: float) -> None:
        """Read I/O, high-water marks and sockets of the trees whose figures are oldest.

        They cost ten times what ``stat`` costs, so each pass looks at a bounded number of processes.
        """
        due = sorted(
            (key for key in trees if now - self._seen[key].details_at >= _DETAIL_EVERY_S),
            key=lambda key: self._seen[key].details_at,
        )
        budget = _DETAIL_BUDGET
        sockets = details.Sockets()
        for key in due:
            members = trees[key]
            if budget < _DETAIL_BUDGET and len(members) > budget:
                break
            budget -= len(members)
            before = self._seen[key]
            before.details = details.of_tree(members, sockets)
            before.details_at = now
            if budget <= 0:
                break

    def _sample_portable(self, roots: Mapping[Hashable, tuple[int, int | None]]) -> dict[Hashable, TreeSample]:
        now = time.monotonic()
        found = {}
        for key, (pid, start) in roots.items():
            usage = portable.usage(pid, start)
            if usage is None:
                self._seen.pop(key, None)
                continue
            before = self._seen.setdefault(key, _Before())
            since = usage.age_s if before.at is None else now - before.at
            ticks = int(usage.cpu_s * _TICKS)
            percent = 100.0 * max(ticks - before.ticks, 0) / _TICKS / max(since, 0.01)
            before.at, before.ticks, before.peak = now, ticks, max(before.peak, usage.rss_bytes)
            found[key] = TreeSample(
                cpu_percent=percent,
                rss_bytes=usage.rss_bytes,
                peak_rss_bytes=before.peak,
                processes=usage.processes,
            )
        return found


class _Before:
    """What the last sample of one tree leaves for the next."""

    __slots__ = ("at", "details", "details_at", "peak", "percent", "ticks")

    def __init__(self) -> None:
        self.at: float | None = None
        self.ticks = 0
        self.percent = 0.0
        self.peak = 0
        self.details = details.Details()
        self.details_at = float("-inf")


def sample(roots: Mapping[Hashable, tuple[int, int | None]]) -> dict[Hashable, TreeSample]:
    """One sample without a past: CPU is the average since each root started."""
    return Sampler().sample(roots)


def members(*roots: int) -> list[tuple[int, int]]:
    """(pid, start tick) of living processes and all their descendants, parents before children."""
    if not LINUX:
        return [member for root in roots for member in portable.members(root)]
    table = read_table()
    children = _children(table)
    found: dict[int, int] = {}
    for root in roots:
        if root in table and root not in found:
            found.update((pid, table[pid].start) for pid in _tree(root, children))
    return list(found.items())


def trees(*roots: int) -> dict[int, list[tuple[int, int]]]:
    """(pid, start tick) of each living root and its descendants, parents before children, by root."""
    if not LINUX:
        return {root: portable.members(root) for root in roots}
    table = read_table()
    children = _children(table)
    return {root: [(pid, table[pid].start) for pid in _tree(root, children)] for root in roots if root in table}


def describe(pid: int) -> list[ProcessInfo]:
    """The living processes of one tree, parents before children; empty when the root has ended."""
    if not LINUX:
        return [ProcessInfo(**values) for values in portable.describe(pid)]
    table = read_table()
    if pid not in table:
        return []
    children = _children(table)
    uptime = _uptime()
    result: list[ProcessInfo] = []
    stack = [(pid, 0)]
    done: set[int] = set()
    while stack:
        number, depth = stack.pop()
        if number in done:
            continue
        done.add(number)
        stat = table[number]
        result.append(
            ProcessInfo(
                pid=number,
                ppid=stat.ppid,
                depth=depth,
                command=details.command(number),
                state=stat.state,
                cpu_s=stat.own_ticks / _TICKS,
                rss_bytes=stat.rss_pages * _PAGE,
                started_s=max(uptime - stat.start / _TICKS, 0.0),
            )
        )
        stack.extend((child, depth + 1) for child in sorted(children.get(number, ()), reverse=True))
    return result


def read_table(without: Container[str] = ()) -> dict[int, Stat]:
    """``stat`` of every process that can be seen, by pid; of those in *without* it is not read."""
    table = {}
    # Relative to the directory, and without a context for each file: this is done a thousand times.
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in os.listdir(proc):
            if not name.isdigit() or name in without:
                continue
            try:
                fd = os.open(f"{name}/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
            except OSError:
                continue
            try:
                stat = parse_stat(os.read(fd, 1024))
            except OSError:
                stat = None
            os.close(fd)
            if stat is not None:
                table[int(name)] = stat
    finally:
        os.close(proc)
    return table


def _children(table: Mapping[int, Stat]) -> dict[int, list[int]]:
    """Children by parent. An orphan whose group's leader lives stays with that leader (``cmd &`` in a script)."""
    children: dict[int, list[int]] = {}
    for pid, stat in table.items():
        parent = stat.ppid
        if parent == 1 and stat.pgrp != pid and stat.pgrp in table:
            parent = stat.pgrp
        children.setdefault(parent, []).append(pid)
    return children


def _tree(root: int, children: Mapping[int, list[int]]) -> list[int]:
    members = [root]
    known = {root}
    for pid in members:  # grows while it is walked
        for child in children.get(pid, ()):
            if child not in known:
                known.add(child)
                members.append(child)
    return members


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
