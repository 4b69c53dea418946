"""Before anything is read: the user's own journals that are not in the store yet are brought in."""

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from statustui.config import Settings, machine_id, store_key
from statustui.journal import spawn
from statustui.journal.files import SPAN, parse_segment_name
from statustui.journal.locks import holder

if TYPE_CHECKING:
    from statustui.store.open import Store

WAIT_S = 1.0
"""Longest wait for a drainer that has to be started, in seconds."""
WORKING_WAIT_S = 0.5
"""Longest wait for one that works already; a program that writes all the time must not hold its readers up."""
FIRST_WAIT_S = 3.0
"""The same while the store does not exist: its making takes longer."""
_LINE_FEEDS = 2
"""Bytes behind the last record that may be its line feed and another: no record is that short."""


def spools(settings: Settings) -> Iterator[str]:
    """The spool directories of this machine for the store, those of gone pid namespaces too."""
    base = os.path.join(settings.state_dir, "spool", machine_id())
    key = store_key(settings.store_url)
    try:
        names = sorted(os.listdir(base))
    except OSError:
        return
    for name in names:
        path = os.path.join(base, name, key)
        if os.path.isdir(path):
            yield path


def journal_ends(spool: str) -> dict[str, int]:
    """Where each journal of a spool ends by now, as an offset."""
    ends: dict[str, int] = {}
    try:
        with os.scandir(spool) as entries:
            for entry in entries:
                name = parse_segment_name(entry.name)
                if name is not None:
                    end = name[1] * SPAN + entry.stat(follow_symlinks=False).st_size
                    ends[name[0]] = max(ends.get(name[0], 0), end)
    except OSError:
        return ends
    return ends


def keep_draining(settings: Settings) -> None:
    """See to it that drainers work where there are journals: for commands that wait."""
    if settings.drainer == "process":
        for spool in spools(settings):
            if journal_ends(spool):
                spawn.ensure_drainer(spool)


def bring_in(settings: Settings) -> None:
    """Have the user's own journals applied, waiting about a second at most. Never raises for what it finds."""
    waiting = {spool: ends for spool in spools(settings) if (ends := journal_ends(spool))}
    if settings.drainer == "off" or not waiting:
        return
    with Asking(settings.store_url) as asking:
        waiting = {spool: ends for spool, ends in waiting.items() if not asking.holds(ends)}
        if not waiting:
            return
        if settings.drainer == "inline":
            from statustui.drain import inline

            for spool in waiting:
                inline.run(spool, time.monotonic() + FIRST_WAIT_S)
            return
        started = all(map(_works, waiting))
        for spool in waiting:
            spawn.ensure_drainer(spool)
        longest = WORKING_WAIT_S if started else WAIT_S
        _wait(asking, waiting, longest if asking.reached else FIRST_WAIT_S)


def _works(spool: str) -> bool:
    return holder(f"{spool}/drainer.lock") is not None


def _wait(asking: "Asking", waiting: dict[str, dict[str, int]], longest: float) -> None:
    deadline = time.monotonic() + longest
    started = False
    while time.monotonic() < deadline:
        time.sleep(0.02)
        if all(asking.holds(ends) for ends in waiting.values()):
            return
        working = any(map(_works, waiting))
        # It came and went: what is left can not be applied, such as a torn last line.
        if started and not working:
            return
        started = started or working


class Asking:
    """Asks the store how far journals are applied; a store that is not there or does not answer holds nothing."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: Store | None = None
        self._next = 0.0

    @property
    def reached(self) -> bool:
        """True once the store has answered."""
        return self._store is not None

    def __enter__(self) -> "Asking":
        return self

    def __exit__(self, *_: object) -> None:
        if self._store is not None:
            self._store.close()

    def holds(self, ends: dict[str, int]) -> bool:
        """True when all of these journals are applied to their ends."""
        return not self.missing(ends)

    def missing(self, ends: dict[str, int]) -> list[str]:
        """Those of these journals that are not applied to their ends."""
        from sqlalchemy.exc import SQLAlchemyError

        from statustui.errors import StatustuiError
        from statustui.store.offsets import acked
        from statustui.store.open import open_store

        if self._store is None and time.monotonic() < self._next:
            return list(ends)
        try:
            if self._store is None:
                self._next = time.monotonic() + 0.1
                self._store = open_store(self._url, create=False, read_only=True, timeout=1.0)
            known = acked(self._store, ends)
        except (StatustuiError, SQLAlchemyError):
            return list(ends)
        return [journal for journal, end in ends.items() if known.get(journal, 0) + _LINE_FEEDS < end]
