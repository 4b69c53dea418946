"""CPU, memory, I/O and output of the runs of this host, for the store."""

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from statustui.drain.runs import OpenRun
from statustui.model.times import from_epoch
from statustui.process.tree import Sampler

if TYPE_CHECKING:
    from statustui.store.apply import Sample

_EVERY_S = 5.0
_FIRST_S = 0.5


class Root:
    """The process whose tree is a run's."""

    __slots__ = ("pid", "run", "start")

    def __init__(self, run: OpenRun, pid: int, start: int | None) -> None:
        self.run = run
        self.pid = pid
        self.start = start


class Sampling:
    """Samples all open runs in one pass: soon after a run began, then every few seconds."""

    def __init__(self) -> None:
        self._sampler = Sampler()
        self._due = 0.0
        self._known: frozenset[str] = frozenset()
        self._peaks: dict[str, int] = {}

    def due_in(self, now: float) -> float:
        """Seconds until the next pass, by the monotonic clock."""
        return max(0.0, self._due - now)

    def expect(self, run_ids: Iterable[str]) -> None:
        """Tell which runs are open: a new one is sampled soon."""
        known = frozenset(run_ids)
        if known - self._known:
            self._due = min(self._due, time.monotonic() + _FIRST_S)
        for run_id in self._known - known:
            self._peaks.pop(run_id, None)
        self._known = known

    def peak(self, run_id: str) -> int | None:
        """Largest memory of the run's tree that was seen, in bytes."""
        return self._peaks.get(run_id)

    def take(self, roots: Iterable[Root]) -> "tuple[Sample, ...]":
        """Sample the trees of *roots*."""
        from statustui.store.apply import Sample

        self._due = time.monotonic() + _EVERY_S
        by_run = {root.run.run_id: root for root in roots}
        found = self._sampler.sample({key: (root.pid, root.start) for key, root in by_run.items()})
        at = from_epoch(time.time())
        samples = []
        for key, tree in found.items():
            run_id = str(key)
            peak = self._peaks[run_id] = max(tree.peak_rss_bytes, self._peaks.get(run_id, 0))
            _, moved = output(by_run[run_id].run)
            samples.append(
                Sample(
                    run_id=run_id,
                    at=at,
                    cpu_percent=tree.cpu_percent,
                    rss_bytes=tree.rss_bytes,
                    peak_rss_bytes=peak,
                    read_bytes=tree.read_bytes,
                    write_bytes=tree.write_bytes,
                    connections=tree.connections,
                    processes=tree.processes,
                    output_moved_at=None if moved is None else from_epoch(moved),
                    log_end=None,
                )
            )
        return tuple(samples)


def output(run: OpenRun) -> tuple[int | None, float | None]:
    """Size of the run's log and when it last grew (seconds since 1970); None where there is none.

    A log with another inode than recorded was rotated and says nothing about this run.
    """
    if run.log_path is None:
        return None, None
    try:
        found = os.stat(run.log_path)
    except (OSError, ValueError):
        return None, None
    if run.log_inode is not None and found.st_ino != run.log_inode:
        return None, None
    return found.st_size, found.st_mtime
