"""Journals are kept for a day after they were applied: a store that loses something is repaired from them."""

import os
import time

from statustui.drain.diary import Diary
from statustui.drain.tail import Tails
from statustui.journal.files import SPAN, segment_path
from statustui.journal.reader import remove_journal

KEEP_S = 24 * 3600.0
_EVERY_S = 600.0
_ASIDE_KEEP_S = 30 * 24 * 3600.0


class Pruner:
    """Removes what nobody needs any more, now and then."""

    def __init__(self, spool: str, tails: Tails, diary: Diary) -> None:
        self._spool = spool
        self._tails = tails
        self._diary = diary
        self._due = 0.0

    def prune(self, now: float | None = None) -> int:
        """Delete journals whose writer is gone and whose last line was applied a day ago.

        Returns:
            How many journals were deleted.
        """
        monotonic = time.monotonic()
        if monotonic < self._due:
            return 0
        self._due = monotonic + _EVERY_S
        wall = time.time() if now is None else now
        active = {tail.journal for tail in self._tails.active()}
        removed = 0
        for tail in self._tails:
            if tail.journal in active or tail.waiting or not tail.primed:
                continue
            path = segment_path(self._spool, tail.journal, tail.offset // SPAN)
            try:
                if wall - os.stat(path, follow_symlinks=False).st_mtime < KEEP_S:
                    continue
                remove_journal(self._spool, tail.journal)
            except OSError as error:
                self._diary.say("prune", f"{tail.journal}: {error}")
                continue
            self._tails.forget(tail.journal)
            removed += 1
        self._prune_aside(wall)
        return removed

    def _prune_aside(self, wall: float) -> None:
        try:
            with os.scandir(f"{self._spool}/aside") as entries:
                for entry in entries:
                    if wall - entry.stat(follow_symlinks=False).st_mtime > _ASIDE_KEEP_S:
                        os.unlink(entry.path)
        except OSError:
            return
