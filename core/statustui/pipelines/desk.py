"""This process's access to the store, for what must be asked: its own journal is applied first.

Applying is done here and not waited for: it is idempotent by offset, so the drainer, which will read the same lines,
changes nothing with them. That costs one short transaction instead of a drainer's next turn.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import DataError, IntegrityError

from statustui.config import host_name
from statustui.journal.identity import user_name
from statustui.journal.reader import JournalReader, read_slot
from statustui.machine import boot_id
from statustui.record import state
from statustui.store.apply import Batch, HostInfo, JournalBatch, apply
from statustui.store.errors import StoreBusy, StoreUnavailable
from statustui.store.offsets import acked
from statustui.store.open import Store, open_store

_left_behind: list[Store] = []
"""Stores that a fork's parent opened: not to be closed, nor used, by the child."""
_READ_BYTES = 4 << 20


class Desk:
    """One connection; safe in threads, and opened anew in a forked child."""

    def __init__(self, session: Callable[[], state.Session | None], timeout: float = 30.0) -> None:
        """Nothing is opened yet.

        Args:
            session: gives the journal of this process; None where nothing is recorded.
            timeout: longest wait for the store, in seconds.
        """
        self._session = session
        self._timeout = timeout
        self._pid = 0
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._applied: dict[str, int] = {}
        self._shown: float | None = None

    @contextmanager
    def open(self, *, settled: bool = True) -> Iterator[Store]:
        """The store, with everything that this process has reported so far in it.

        Args:
            settled: False leaves the journal to the drainer.

        Raises:
            StoreUnavailable: it can not be reached, or nothing is recorded here.
        """
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            session = self._session()
            if session is None:
                raise StoreUnavailable("nothing is recorded here (STATUSTUI_DISABLE): there is no store to ask")
            if self._store is None:
                self._store = open_store(session.settings.store_url, timeout=self._timeout)
            if settled:
                self._settle(session, self._store)
            yield self._store

    def close(self) -> None:
        """Give the connection up; the next question makes a new one."""
        if self._pid == os.getpid():
            with self._lock:
                store, self._store = self._store, None
                if store is not None:
                    store.close()

    def _begin(self) -> None:
        """The first question of this process, or the first after a fork: nothing of the parent's is used."""
        if self._store is not None:
            _left_behind.append(self._store)
        self._lock, self._store, self._applied, self._shown = threading.RLock(), None, {}, None
        self._pid = os.getpid()

    def _settle(self, session: state.Session, store: Store) -> None:
        journal = session.writer.journal
        if journal is None:
            return
        session.show()
        written, slot = session.writer.offset, read_slot(session.writer.path("slot") or "")
        if slot is not None and slot.get("m") == self._shown:
            slot = None
        if slot is None and self._applied.get(journal, -1) >= written:
            return
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                if self._bring_in(session.spool, journal, written, store, slot):
                    self._shown = slot.get("m") if slot is not None else self._shown
                    return
            except StoreBusy:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            except (DataError, IntegrityError) as error:
                # A line that the store will not take: finding it, and putting it aside, is the drainer's.
                session.drainer()
                if state.wait_for_drainer(session, self._timeout):
                    return
                raise StoreUnavailable(f"this process's own journal can not be applied: {error.orig}") from error
            if time.monotonic() > deadline:
                raise StoreUnavailable("this process's own journal could not be applied in time")

    def _bring_in(self, spool: str, journal: str, written: int, store: Store, slot: dict[str, Any] | None) -> bool:
        """Apply what the store does not have yet; True when it has all that was written."""
        since = acked(store, [journal]).get(journal, 0)
        if since <= written or slot is not None:
            reader = JournalReader(spool, journal)
            lines = reader.read(since, _READ_BYTES)
            if not lines and since <= written:
                time.sleep(0.001)
                return False
            batch = JournalBatch(
                journal=journal,
                writer=reader.writer,
                acked=since,
                lines=tuple((line.offset, line.next_offset, line.record or {"k": "aside"}) for line in lines),
                slot=slot,
                skipped=sum(line.record is None for line in lines),
            )
            since = apply(store, Batch(host=host_of(spool), journals=(batch,))).acked.get(journal, 0)
        if since > written:
            self._applied[journal] = written
            return True
        return False


def host_of(spool: str) -> HostInfo:
    """This machine and user, as the store knows them; no drainer."""
    machine = spool.rstrip("/").rsplit("/", 3)[1]
    return HostInfo(
        machine=f"{machine}:{user_name()}",
        host=host_name(),
        user=user_name(),
        boot_id=boot_id(),
    )
