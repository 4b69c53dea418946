"""Applying what a drainer read: one transaction, with the acknowledged offsets; doing it twice changes nothing."""

import time
from collections.abc import Iterator
from dataclasses import replace
from heapq import merge
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from statustui.model import clean
from statustui.model.fold import fold, fold_count, fold_death, fold_sample, fold_slot, new_run
from statustui.model.state import Cancel, RunState, WriterState
from statustui.model.status import RunStatus
from statustui.model.times import to_epoch
from statustui.store import cancels, load, save, statistics
from statustui.store.batch import Applied, Batch, Death, HostInfo, JournalBatch, Line, Sample
from statustui.store.errors import StoreBusy
from statustui.store.item_apply import Items
from statustui.store.offsets import acked
from statustui.store.open import Store
from statustui.store.rows import counted

__all__ = ["Applied", "Batch", "Death", "HostInfo", "JournalBatch", "Line", "Sample", "acked", "apply"]

_TRIES = 4
_CACHED_RUNS = 4_000
_CACHED_WRITERS = 4_000


def apply(store: Store, batch: Batch) -> Applied:
    """Bring a batch into the store in one transaction.

    Lines that the store already has are passed over, whatever the drainer believed.

    Raises:
        StoreUnavailable: nothing of it was applied (or, when the answer to the commit was lost, all of it).
    """
    for attempt in range(1, _TRIES + 1):
        try:
            return replace(_apply(store, batch), retried=attempt - 1)
        except (StoreBusy, IntegrityError):
            # A deadlock between drainers, or both made the same row at once: it is there now.
            if attempt == _TRIES or store.dialect == "sqlite":
                raise
            time.sleep(0.005 * attempt)
    raise AssertionError("unreachable")


def _apply(store: Store, batch: Batch) -> Applied:
    try:
        with store.write() as connection:
            work = _Work(store, connection, batch)
            work.run()
    except BaseException:
        # States were changed that the store does not have.
        store.cache.pop("runs", None)
        store.cache.pop("writers", None)
        raise
    work.remember()
    return Applied(
        acked={w.journal: w.offset for w in work.writers.values()},
        runs=tuple(state.run_id for state in work.changed),
    )


class _Work:
    """One batch on its way into the store."""

    def __init__(self, store: Store, connection: Connection, batch: Batch) -> None:
        self.store = store
        self.connection = connection
        self.batch = batch
        self.now = time.time()
        self.writers: dict[str, WriterState] = {}
        self.states: dict[str, RunState] = {}
        self.dropped = [0, 0]
        self.changed: list[RunState] = []
        self.cancels: dict[str, Cancel] = {}
        self.items = Items(store, connection, self.now)

    def run(self) -> None:
        """Read what is there, fold the news in, write what changed."""
        lock = self.store.database.lock_rows
        self.writers = load.writers(self.store, self.connection, self.batch.journals, self.now)
        self.states = load.runs(self.store, self.connection, self._run_ids(), lock=lock)
        self.cancels = cancels.taken(self.store, self.connection, self.batch, self.states)
        for run_id, cancel in self.cancels.items():
            if run_id in self.states:
                self.states[run_id].cancel = cancel
        self._fold()
        self.changed = sorted((s for s in self.states.values() if s.dirty), key=lambda s: s.run_id)
        for state in self.changed:
            state.settle()
            if state.status.open:
                state.note_profile(state.progress_m)
        told = [state for state in self.changed if state.dirty == 2]
        known = statistics.load_tasks(self.connection, told, self.now, lock=lock)
        statistics.settle_attention(told, known)
        save.runs(self.connection, self.changed)
        statistics.save(self.connection, told, known)
        for state in self.changed:
            state.counted = counted(state)
        items = self.items.finish(self.states.values())
        save.writers(self.connection, self.writers.values(), self.now)
        if self.changed or items or self.batch.beat or any(self.dropped):
            save.host(self.connection, self.batch.host, self.dropped)

    def remember(self) -> None:
        """Keep the states of open runs for the next batch; the store has them now."""
        cached = self.store.cache.setdefault("runs", {})
        for state in self.states.values():
            if state.status.open:
                cached[state.run_id] = state
            else:
                cached.pop(state.run_id, None)
        kept = self.store.cache.setdefault("writers", {})
        for writer in self.writers.values():
            kept[writer.journal] = writer
        # The oldest go, and are read again if need be: a drainer may work for months.
        for states, most in ((cached, _CACHED_RUNS), (kept, _CACHED_WRITERS)):
            for key in list(states)[: max(0, len(states) - most)]:
                del states[key]

    def _run_ids(self) -> set[str]:
        found: set[str] = set()
        for journal in self.batch.journals:
            writer = self.writers[journal.journal]
            for offset, _, record in journal.lines:
                if offset >= writer.offset and "run" in record:
                    found.add(_run_id(record["run"]))
            found.update(map(_run_id, _slot_runs(journal)))
            if journal.counts is not None:
                found.update(run for run, _ in writer.counters.values())
        found.update(sample.run_id for sample in self.batch.samples)
        found.update(death.run_id for death in self.batch.deaths)
        found.discard("")
        return found

    def _state(self, run_id: str, writer: WriterState) -> RunState:
        state = self.states.get(run_id)
        if state is None:
            state = self.states[run_id] = new_run(run_id, self.batch.host.machine, writer, self.now)
            state.cancel = self.cancels.get(run_id)
        return state

    def _fold(self) -> None:
        for journal in self.batch.journals:
            if journal.writer:
                load.introduce(self.writers[journal.journal], journal.writer)
        # One host's clock orders the lines of its journals, so that events come in the order they happened.
        for _, next_offset, record, writer in merge(*map(self._lines, self.batch.journals), key=lambda line: line[0]):
            writer.offset = next_offset
            writer.dirty = True
            self._line(record, writer)
        for journal in self.batch.journals:
            self._progress(journal, self.writers[journal.journal])
        for sample in self.batch.samples:
            state = self.states.get(sample.run_id)
            if state is not None:
                fold_sample(state, sample)
        for death in self.batch.deaths:
            state = self.states.get(death.run_id)
            if state is not None:
                fold_death(
                    state, RunStatus(death.status), to_epoch(death.at), reason=death.reason, signal=death.signal,
                    exit_code=death.exit_code, detail=death.detail, error=death.error, log_tail=death.log_tail,
                    instead_of=death.instead_of,
                )  # fmt: skip

        for abandoned in self.batch.abandoned:
            self.items.abandon(abandoned)

    def _lines(self, journal: JournalBatch) -> Iterator[tuple[float, int, dict[str, Any], WriterState]]:
        """Lines of a journal that the store does not have, each with a time that never falls."""
        writer = self.writers[journal.journal]
        start, latest = writer.offset, 0.0
        for offset, next_offset, record in journal.lines:
            m = record.get("m")
            if isinstance(m, int | float) and m > latest:
                latest = m
            if offset >= start:
                yield latest, next_offset, record, writer

    def _line(self, record: dict[str, Any], writer: WriterState) -> None:
        kind = record.get("k")
        if kind == "writer":
            load.introduce(writer, record)
        elif kind == "close":
            writer.closed = True
        elif kind == "dropped":
            facts, progress = clean.number(record.get("facts")) or 0, clean.number(record.get("progress")) or 0
            writer.facts_dropped += facts
            writer.progress_dropped += progress
            self.dropped[0] += facts
            self.dropped[1] += progress
        elif Items.wants(record):
            self.items.take(record, writer, self.states)
        else:
            run_id = _run_id(record.get("run"))
            if run_id:
                fold(self._state(run_id, writer), record, writer, self.now)

    def _progress(self, journal: JournalBatch, writer: WriterState) -> None:
        """Slot and counters of one journal, after its lines."""
        if journal.skipped:
            writer.skipped += journal.skipped
            writer.dirty = True
        slot = journal.slot
        if slot is not None and (clean.number(slot.get("off"), 2**63 - 1) or 0) <= writer.offset:
            m = clean.real(slot.get("m"))
            if m is None or writer.slot_m is None or m > writer.slot_m:
                at = clean.real(slot.get("t"), -6e10, 2.5e11) or self.now
                for key, values in _slot_runs(journal).items():
                    state = self.states.get(_run_id(key))
                    if state is not None and isinstance(values, dict):
                        fold_slot(state, values, writer, at, m)
                self.items.slot(slot)
                writer.slot_m, writer.dirty = m, True
        if journal.counts is not None:
            self._counts(journal.counts, writer)

    def _counts(self, counts: tuple[int, ...], writer: WriterState) -> None:
        sums: dict[tuple[str, int], int] = {}
        for index, place in writer.counters.items():
            if index < len(counts):
                sums[place] = sums.get(place, 0) + counts[index]
        for (run_id, number), complete in sums.items():
            state = self.states.get(run_id)
            if state is not None:
                fold_count(state, number, complete, writer, self.now, None)


def _run_id(value: object) -> str:
    return (clean.text(value, 64) or "") if isinstance(value, str) else ""


def _slot_runs(journal: JournalBatch) -> dict[str, Any]:
    runs = journal.slot.get("runs") if journal.slot else None
    return runs if isinstance(runs, dict) else {}
