"""Rows of the store to states and back. Names are equal; only times and words change their form."""

import struct
from collections.abc import Iterable
from typing import Any

from sqlalchemy import RowMapping

from statustui.model.state import RunState, SubState, WriterState
from statustui.model.status import RunStatus, SubtaskStatus
from statustui.model.times import from_epoch, to_epoch
from statustui.store import schema

_RUN_TIMES = ("started_at", "ended_at", "last_update", "last_progress_at", "sampled_at", "attention_at")
_SAMPLE = struct.Struct("<dfq")

HOT = (
    "last_update", "last_progress_at", "progress_m", "longest_gap_s", "subtasks_done", "current_subtask", "work_done",
    "work_total", "overall_percent", "overall_message", "cpu_percent", "rss_bytes", "peak_rss_bytes", "read_bytes",
    "write_bytes", "connections", "processes", "sampled_at", "log_end",
)  # fmt: skip
"""Columns of a run that change while it merely goes on; none of them is indexed."""
# What people change (acknowledge) or other runs (retried) is not written from a state.
_OTHERS = {"id", "rev", "acked_by", "acked_at", "retried"}
RUN = tuple(c.name for c in schema.runs.columns if c.name not in _OTHERS)
DETAILS = tuple(c.name for c in schema.run_details.columns if c.name not in ("run", "samples"))
SUB = tuple(c.name for c in schema.subtasks.columns if c.name != "run")
WRITER = tuple(c.name for c in schema.journals.columns if c.name not in ("counts", "seen_at"))
_WRITER_ATTRIBUTES = tuple(WRITER)


def run_row(state: RunState, names: Iterable[str] = RUN) -> dict[str, Any]:
    """Values for a row of ``runs``."""
    row: dict[str, Any] = {}
    for name in names:
        value = getattr(state, name)
        if value is not None and name in _RUN_TIMES:
            value = from_epoch(value)
        elif name == "status" or (name == "inner_status" and value is not None):
            value = value.value
        row[name] = value
    return row


def details_row(state: RunState) -> dict[str, Any]:
    """Values for a row of ``run_details``."""
    row: dict[str, Any] = {name: getattr(state, name) or None for name in DETAILS}
    row["run"] = state.id
    row["samples"] = pack_samples(state.samples) if state.samples else None
    return row


def sub_row(run: int, sub: SubState) -> dict[str, Any]:
    """Values for a row of ``subtasks``."""
    row: dict[str, Any] = {name: getattr(sub, name) for name in SUB}
    row["run"] = run
    row["status"] = sub.status.value
    row["inner"] = sub.inner or None
    if sub.items_complete is not None and sub.items_complete >= 2**63:
        row["items_complete"] = 2**63 - 1
    for name in ("started_at", "ended_at"):
        if row[name] is not None:
            row[name] = from_epoch(row[name])
    return row


def writer_row(writer: WriterState) -> dict[str, Any]:
    """Values for a row of ``journals``."""
    row: dict[str, Any] = {name: getattr(writer, name) for name in _WRITER_ATTRIBUTES}
    counts: dict[str, Any] = {}
    if any(writer.counts.values()):
        counts["counts"] = {run: {str(n): c for n, c in subs.items()} for run, subs in writer.counts.items() if subs}
    if writer.counters:
        counts["counters"] = {str(i): list(place) for i, place in writer.counters.items()}
    if writer.joined:
        counts["joined"] = sorted(writer.joined)
    row["counts"] = counts or None
    return row


def run_state(row: RowMapping, details: RowMapping | None, subs: Iterable[SubState]) -> RunState:
    """The state of a run as it is stored."""
    values = {name: row[name] for name in RUN}
    for name in _RUN_TIMES:
        if values[name] is not None:
            values[name] = to_epoch(values[name])
    values["status"] = RunStatus(values["status"])
    if values["inner_status"] is not None:
        values["inner_status"] = RunStatus(values["inner_status"])
    for name in ("args", "tags"):
        values[name] = values[name] or []
    del values["subtasks_done"], values["work_done"]
    state = RunState(id=row["id"], rev=row["rev"], dirty=0, **values)
    if details is not None:
        for name in DETAILS:
            if details[name] is not None:
                setattr(state, name, details[name])
        state.profile = [(float(f), float(s)) for f, s in state.profile]
        state.samples = unpack_samples(details["samples"])
    state.put(subs)
    state.settle()
    state.counted = counted(state)
    return state


def counted(state: RunState) -> tuple[int, str] | None:
    """(hour since 1970, status) under which an ended run is counted; None while it is open."""
    return None if state.ended_at is None else (int(state.ended_at // 3600), state.status.value)


def sub_state(row: RowMapping) -> SubState:
    """The state of a subtask as it is stored."""
    values = {name: row[name] for name in SUB}
    values["status"] = SubtaskStatus(values["status"])
    values["inner"] = values["inner"] or {}
    for name in ("started_at", "ended_at"):
        if values[name] is not None:
            values[name] = to_epoch(values[name])
    return SubState(dirty=False, **values)


def writer_state(row: RowMapping) -> WriterState:
    """What has been applied of a journal, as it is stored."""
    values = {name: row[name] for name in _WRITER_ATTRIBUTES}
    values["role"] = values["role"] or "program"
    counts = row["counts"] or {}
    return WriterState(
        **values,
        counts={run: {int(n): c for n, c in subs.items()} for run, subs in counts.get("counts", {}).items()},
        counters={int(i): (run, number) for i, (run, number) in counts.get("counters", {}).items()},
        joined=set(counts.get("joined", ())),
        dirty=False,
    )


def pack_samples(samples: Iterable[tuple[float, float, int]]) -> bytes:
    """Samples (epoch seconds, CPU percent, bytes) as one value."""
    return b"".join(_SAMPLE.pack(at, cpu, min(rss, 2**63 - 1)) for at, cpu, rss in samples)


def unpack_samples(packed: bytes | None) -> list[tuple[float, float, int]]:
    """What ``pack_samples`` packed; a cut tail is left out."""
    if not packed or not isinstance(packed, bytes):
        return []
    whole = packed[: len(packed) // _SAMPLE.size * _SAMPLE.size]
    return [(at, round(cpu, 2), rss) for at, cpu, rss in _SAMPLE.iter_unpack(whole) if at - at == 0 == cpu - cpu]
