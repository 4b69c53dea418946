"""Finds where in its log the output of a run ended that could not say so itself.

A program tells its end before it has printed its traceback and emptied its buffers. Several runs often append to one
file, night after night: each has its own part of it.
"""

import time

from statustui.drain.runs import OpenRun, Registry
from statustui.drain.sampling import output
from statustui.drain.tail import Tail, Tails

_AFTER_ITS_END_S = 1.0
_SETTLES_IN_S = 1.0
"""So long until all that began meanwhile has been read: a busy drainer sees an end late."""


class LogEnds:
    """Sizes of logs at the moment when their programs ended."""

    def __init__(self, tails: Tails, registry: Registry) -> None:
        self._tails = tails
        self._registry = registry
        self._seen: dict[str, tuple[float, int | None]] = {}

    def died(self, tail: Tail) -> None:
        """The process has just been found to have ended: what it printed is in its files."""
        for run in self._registry.of_journal(tail.journal) + self._registry.printing(tail.journal):
            self._seen[run.run_id] = time.monotonic(), output(run)[0]

    def of(self, run: OpenRun) -> int | None:
        """Where the log of a run ends whose process is gone."""
        return self._seen[run.run_id][1] if run.run_id in self._seen else output(run)[0]

    def found(self) -> list[tuple[str, int | None]]:
        """The ended runs of which it is known now, or never will be (None)."""
        ends: list[tuple[str, int | None]] = []
        for run in self._registry.closing.values():
            if run.log_limit is not None:
                ends.append((run.run_id, run.log_limit))
            elif not self._lives(run):
                since, size = self._seen.setdefault(run.run_id, (time.monotonic(), self._last(run)))
                if time.monotonic() - since >= _SETTLES_IN_S:
                    ends.append((run.run_id, size))
        return ends

    def forget(self, run_id: str) -> None:
        """The store has it."""
        self._registry.closing.pop(run_id, None)
        self._seen.pop(run_id, None)

    def tidy(self) -> None:
        """Let go of what was seen of runs that are over."""
        for run_id in self._seen.keys() - self._registry.runs.keys() - self._registry.ending.keys():
            if run_id not in self._registry.closing:
                del self._seen[run_id]

    def _lives(self, run: OpenRun) -> bool:
        tails = [tail for tail in map(self._tails.get, run.speakers) if tail is not None]
        return any(not tail.attended or (tail.handle is not None and tail.gone_at is None) for tail in tails)

    def _last(self, run: OpenRun) -> int | None:
        size, moved = output(run)  # it was gone before anybody looked: who else has written since?
        soon = moved is not None and run.heard is not None and moved <= run.heard + _AFTER_ITS_END_S
        return size if soon else None
