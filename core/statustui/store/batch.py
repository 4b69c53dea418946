"""What a drainer hands to the store, and what it gets back."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Line = tuple[int, int, dict[str, Any]]
"""(offset of a record, offset after it, the record)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HostInfo:
    """The machine and user that a drainer works for."""

    machine: str
    """Stable id of the machine and user: key of ``hosts``."""
    host: str
    user: str | None = None
    boot_id: str | None = None
    pid: int | None = None
    """Of the drainer."""
    version: str | None = None
    """Of the drainer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalBatch:
    """What is new in one journal."""

    journal: str
    writer: dict[str, Any] = field(default_factory=dict)
    """Its first line."""
    acked: int = 0
    """Offset that the drainer believes to be applied; the store's own word counts."""
    lines: tuple[Line, ...] = ()
    slot: dict[str, Any] | None = None
    """Latest progress; applied only when all records before its ``off`` are."""
    counts: tuple[int, ...] | None = None
    """The counters of a worker, by index."""
    skipped: int = 0
    """Lines among these that could not be understood."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One look at the process tree of a run; what is None was not looked at."""

    run_id: str
    at: datetime
    cpu_percent: float | None = None
    rss_bytes: int | None = None
    peak_rss_bytes: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    connections: int | None = None
    processes: int | None = None
    output_moved_at: datetime | None = None
    """When the output last grew."""
    log_end: int | None = None
    """Size of the log."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Death:
    """The proven end of a process that did not say how it ended."""

    run_id: str
    at: datetime
    status: str
    """``lost``, ``cancelled``, or what the program inside a dead wrapper had said."""
    reason: str | None = None
    signal: int | None = None
    exit_code: int | None = None
    detail: str | None = None
    """Stack, where there is one."""
    instead_of: str | None = None
    """The provisional end that this corrects; a run that has ended in any other way stays as it is."""
    error: dict[str, Any] | None = None
    """As in a ``run.end``: type, message, fingerprint."""
    log_tail: tuple[str, ...] = ()
    """Last lines of its log, redacted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Abandoned:
    """A step of an item that was begun, and whose workers are all proven gone without having ended it."""

    pipeline: str
    key: str
    """Of the item."""
    step: str
    """Key of the step."""
    attempt: str
    at: datetime
    """When the last of them ended, as far as known."""
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """One transaction's worth of news from one drainer."""

    host: HostInfo
    journals: tuple[JournalBatch, ...] = ()
    samples: tuple[Sample, ...] = ()
    deaths: tuple[Death, ...] = ()
    abandoned: tuple[Abandoned, ...] = ()
    beat: bool = False
    """Say that the host is heard of, even when nothing else is new."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """What became of a batch."""

    acked: dict[str, int]
    """Offset applied, by journal."""
    runs: tuple[str, ...] = ()
    """run_ids of the runs that changed."""
    retried: int = 0
    """How often it was begun anew: after a deadlock, or when another one made the same row at once."""
