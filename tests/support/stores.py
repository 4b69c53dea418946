"""Whole stores for tests: what a drainer would hand over, made by a few short calls."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from statustui.model.ids import new_id
from statustui.store.apply import Applied, Batch, Death, HostInfo, JournalBatch, Sample, apply
from statustui.store.open import Store

T0 = 1_795_000_000.0
"""A moment in 2026 from which tests count, in epoch seconds."""

HOST = HostInfo(machine="m1-db1:etl", host="db1", user="etl", boot_id="boot-1", pid=4242, version="0.1.0")


def writer_record(journal: str, **fields: Any) -> dict[str, Any]:
    """The first line of a journal."""
    return {
        "k": "writer",
        "v": 1,
        "journal": journal,
        "pid": 100,
        "start": 5000,
        "boot": "boot-1",
        "ns": 1,
        "machine": "m1",
        "host": "db1",
        "user": "etl",
        "uid": 1000,
        "version": "0.1.0",
        "lang": "python",
        "role": "program",
        "t": T0,
        "m": 1000.0,
    } | fields


@dataclass
class Journal:
    """A journal in memory: appended to by ``fact``, given to a store by ``batch``."""

    name: str = field(default_factory=new_id)
    lines: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    offset: int = 0
    clock: float = 0.0
    """Seconds since T0 of the next fact."""
    writer: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.writer = writer_record(self.name, **self.writer)
        self._append(self.writer)

    def _append(self, record: dict[str, Any]) -> None:
        size = 100
        self.lines.append((self.offset, self.offset + size, record))
        self.offset += size

    def fact(self, kind: str, run: str | None = None, /, *, at: float | None = None, **fields: Any) -> None:
        """Append a record; *at* are seconds since T0 (the clock goes on from there)."""
        self.clock = self.clock + 1.0 if at is None else at
        record: dict[str, Any] = {"k": kind, "t": T0 + self.clock, "m": 1000.0 + self.clock}
        if run is not None:
            record["run"] = run
        self._append(record | fields)

    def batch(self, **fields: Any) -> JournalBatch:
        """Everything so far, as a drainer hands it over."""
        return JournalBatch(journal=self.name, writer=self.writer, acked=0, lines=tuple(self.lines), **fields)


def give(
    store: Store,
    *journals: Journal | JournalBatch,
    samples: Sequence[Sample] = (),
    deaths: Sequence[Death] = (),
    beat: bool = False,
    host: HostInfo = HOST,
) -> Applied:
    """Apply what the journals hold (all of it, each time: applying is idempotent)."""
    batches = tuple(j.batch() if isinstance(j, Journal) else j for j in journals)
    return apply(
        store,
        Batch(host=host, journals=batches, samples=tuple(samples), deaths=tuple(deaths), beat=beat),
    )
