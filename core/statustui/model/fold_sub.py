"""Application of records about subtasks, and of the counts of many writers. Part of ``model.fold``. Pure."""

from collections.abc import Mapping
from typing import Any

from statustui.model import clean, named
from statustui.model.state import RunState, SubState, WriterState
from statustui.model.status import RunStatus, SubtaskStatus

_NAME = 500
_MESSAGE = 4_096
_INNER = 200
_CLOSING = {
    RunStatus.FINISHED: SubtaskStatus.COMPLETED,
    RunStatus.FAILED: SubtaskStatus.FAILED,
    RunStatus.CANCELLED: SubtaskStatus.CANCELLED,
    RunStatus.LOST: SubtaskStatus.LOST,
}
Record = Mapping[str, Any]


def progress(state: RunState, at: float, m: float | None) -> None:
    """The run has done something: it is running, and not stalled."""
    if state.status is RunStatus.STARTED:
        state.status = RunStatus.RUNNING
        state.dirty = 2
    if m is not None and (state.progress_m is None or m > state.progress_m):
        since = state.progress_m if state.progress_m is not None else state.start_m
        if since is not None and m - since > (state.longest_gap_s or 0.0):
            state.longest_gap_s = round(m - since, 3)
        state.progress_m = m
    if state.last_progress_at is None or at > state.last_progress_at:
        state.last_progress_at = at
    state.dirty = max(state.dirty, 1)


def close_sub(state: RunState, sub: SubState) -> None:
    """Close a running subtask with the word of its ended run."""
    state.count(sub, -1)
    sub.status = _CLOSING[state.status]
    sub.ended_at = state.ended_at
    sub.closed_by_run = True
    sub.dirty = True
    state.count(sub, 1)


def _sub(state: RunState, record: Record) -> SubState | None:
    """The subtask that a record is about."""
    return _numbered(state, named.number_of(state, record) if named.is_named(record) else record.get("n"))


def _numbered(state: RunState, number: object) -> SubState | None:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**31:
        return None
    sub = state.subs.get(number)
    if sub is None:
        sub = state.subs[number] = SubState(number=number)
        state.count(sub, 1)
    sub.dirty = True
    return sub


def sub_start(state: RunState, record: Record, writer: WriterState, at: float, m: float | None) -> None:
    """A subtask was announced or began."""
    by_name = named.is_named(record)
    parent = _heading_by_name(state, record, at, m) if by_name else _numbered(state, record.get("parent"))
    sub = _sub(state, record)
    if sub is None:
        return
    state.count(sub, -1)
    if parent is not None and parent is not sub:
        sub.parent = parent.number
    name = clean.text(record.get("name"), _NAME)
    if name:
        sub.name = name
    _size(sub, record)
    begins = not record.get("announced")
    if by_name and record.get("message") is not None:
        fill(sub, {"message": record["message"]})
    if not begins and not state.planned:
        state.planned, state.dirty = True, 2  # from now on the whole is known, which every later batch must know too
    state.count(sub, 1)
    if by_name and record.get("heading") and not sub.heading:
        _heading(state, sub)
    if parent is not None and parent is not sub and not parent.heading:
        _heading(state, parent)
    if begins:
        _begin(state, sub, at, m)
        progress(state, at, m)


def _begin(state: RunState, sub: SubState, at: float, m: float | None) -> None:
    """It runs now, unless it has begun before."""
    if sub.status is SubtaskStatus.NOT_STARTED:
        state.count(sub, -1)
        sub.status = SubtaskStatus.RUNNING
        sub.started_at, sub.start_m = at, m
        state.count(sub, 1)
    if not state.status.open and sub.status is SubtaskStatus.RUNNING:
        close_sub(state, sub)  # Its run's end came from another journal.


def _heading_by_name(state: RunState, record: Record, at: float, m: float | None) -> SubState | None:
    """The heading of a subtask that is told by name; it is begun with its first one."""
    number = named.heading_of(state, record)
    if number != 0:
        return _numbered(state, number)
    parent = _named(state, {"k": "sub.start", "n": 0, "name": record.get("under")}, at, m)
    if parent is not None and not parent.heading:
        _heading(state, parent)
    return parent


def _named(state: RunState, record: Record, at: float, m: float | None) -> SubState | None:
    """The subtask of a record; one that nobody has begun begins with it, where it is told by name."""
    sub = _sub(state, record)
    if sub is not None and sub.number >= named.FIRST and sub.status is SubtaskStatus.NOT_STARTED:
        if not sub.name:
            sub.name = next(name for name, number in reversed((state.named or {}).items()) if number == sub.number)
        _begin(state, sub, at, m)
    return sub


def _heading(state: RunState, sub: SubState) -> None:
    state.count(sub, -1)
    sub.heading, sub.dirty = True, True
    state.count(sub, 1)


def _size(sub: SubState, record: Record) -> None:
    """What a subtask is made of: total, unit, weight."""
    if "total" in record:
        sub.items_total = clean.number(record["total"])
    if record.get("unit") is not None:
        sub.unit = clean.text(record["unit"], 50)
    weight = clean.real(record.get("weight"), 0.0, 1e9)
    if weight:
        sub.weight = weight


def sub_info(state: RunState, record: Record, writer: WriterState, at: float, m: float | None) -> None:
    """Something more is known of a subtask."""
    sub = _named(state, record, at, m) if named.is_named(record) else _sub(state, record)
    if sub is None:
        return
    if record.get("heading") and not sub.heading:
        _heading(state, sub)
    state.count(sub, -1)
    name = clean.text(record.get("name"), _NAME)
    if name:
        sub.name = name
    if not _ended(sub):
        _size(sub, record)
        fill(sub, record)
    count_items(state, sub, writer, _counted(state, sub, writer, record))
    state.count(sub, 1)
    progress(state, at, m)


def _counted(state: RunState, sub: SubState, writer: WriterState, record: Record) -> object:
    """What this writer has counted when the record is applied: ``complete``, or ``add`` more than before."""
    more = clean.number(record["add"]) if "add" in record else None
    if more is None:
        return record.get("complete")
    before = clean.number(record["complete"]) if record.get("complete") is not None else None
    if before is None:
        before = writer.counts.get(state.run_id, {}).get(sub.number, 0)
    return before + more


def _ended(sub: SubState) -> bool:
    """True when the subtask has had its own end."""
    return not sub.status.open and not sub.closed_by_run


def fill(sub: SubState, values: Record) -> None:
    """Percent, message and inner counters of a subtask, from a line or a slot."""
    if "percent" in values:
        sub.percent = clean.real(values["percent"], 0.0, 100.0)
    if "message" in values:
        sub.message = clean.text(values["message"], _MESSAGE)
    if values.get("inner"):
        sub.inner = dict(list({**sub.inner, **clean.small(values["inner"])}.items())[-_INNER:])


def _counts_late(state: RunState, writer: WriterState) -> bool:
    """True for a worker in somebody else's run: what it counted may be read after the end of the subtask."""
    return writer.role == "worker" and writer.journal != state.owner_journal


def count_items(state: RunState, sub: SubState, writer: WriterState, complete: object) -> bool:
    """Take over what one writer has counted: the subtask's items are the sum over its writers."""
    value = clean.number(complete) if complete is not None else None
    if value is None or (_ended(sub) and not _counts_late(state, writer)):
        return False
    counts = writer.counts.setdefault(state.run_id, {})
    before = counts.get(sub.number)
    if before == value and sub.items_complete is not None:
        return False
    counts[sub.number] = value
    sub.items_complete = max(0, (sub.items_complete or 0) + value - (before or 0))
    sub.dirty = writer.dirty = True
    return True


def sub_end(state: RunState, record: Record, writer: WriterState, at: float, m: float | None) -> None:
    """A subtask gave its own end, which is final."""
    sub = _named(state, record, at, m) if named.is_named(record) else _sub(state, record)
    if sub is None or _ended(sub):
        return
    state.count(sub, -1)
    _size(sub, record)
    fill(sub, record)
    count_items(state, sub, writer, record.get("complete"))
    # What is closed with a provisional end of the run ends as the run turns out to have ended.
    sub.status, sub.closed_by_run = _sub_status(record.get("status")), record.get("provisional") is True
    sub.started_at = sub.started_at if sub.started_at is not None else at
    sub.ended_at = max(at, sub.started_at)
    duration = clean.real(record.get("duration"), 0.0)
    if duration is None and m is not None and sub.start_m is not None:
        duration = max(0.0, m - sub.start_m)
    sub.duration_s = duration
    error = record.get("error")
    if error is not None:
        sub.error = clean.text(error.get("message") if isinstance(error, dict) else error)
    state.count(sub, 1)
    if not _counts_late(state, writer) and sub.number in writer.counts.get(state.run_id, {}):
        del writer.counts[state.run_id][sub.number]
        writer.dirty = True
    progress(state, at, m)


def _sub_status(value: object) -> SubtaskStatus:
    try:
        status = SubtaskStatus(str(value))
    except ValueError:
        return SubtaskStatus.FAILED
    return SubtaskStatus.COMPLETED if status.open else status


def fold_count(state: RunState, number: int, complete: int, writer: WriterState, at: float, m: float | None) -> None:
    """Apply a worker's counter; also after the subtask's end, since counters are read after the worker's death."""
    sub = _sub(state, {"n": number})
    if sub is None:
        return
    state.count(sub, -1)
    changed = count_items(state, sub, writer, complete)
    state.count(sub, 1)
    if changed and state.status.open:
        progress(state, at, m)
    elif changed:
        state.dirty = max(state.dirty, 1)
