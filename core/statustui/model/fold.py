"""Application of journal records to the state of a run: the rules of the journal's format. Pure.

Records of one journal come in their order; journals may be interleaved in any way. Rules that a reader might miss:

- A terminal status is final, except that ``lost`` gives way to any later sign of life.
- A run that has a wrapper ends by the wrapper's word; the program's own end inside gives error and message, which the
  wrapper's end does not erase, and counts as the end when the wrapper dies without a word.
- A bad end closes the subtasks that were running with its own word; their numbers stay. A good end completes those
  that were left running. What had never begun stays ``not_started``.
- A subtask closed by its run still takes its own end when that is read later (from another journal).
- After a subtask's end only workers' counts still change its number: they are read after the workers' death.
"""

from collections.abc import Callable, Mapping
from typing import Any

from statustui.model import clean
from statustui.model.state import SAMPLE_POINTS, NewEvent, RunState, SubState, WriterState
from statustui.model.status import RunStatus, SubtaskStatus
from statustui.model.times import to_epoch

_NAME = 500
_MESSAGE = 4_096
_CLOSING = {
    RunStatus.FINISHED: SubtaskStatus.COMPLETED,
    RunStatus.FAILED: SubtaskStatus.FAILED,
    RunStatus.CANCELLED: SubtaskStatus.CANCELLED,
    RunStatus.LOST: SubtaskStatus.LOST,
}
_Record = Mapping[str, Any]


def fold(state: RunState, record: _Record, writer: WriterState, now: float) -> RunState:
    """Apply one record about this run; *state* and *writer* change in place.

    Args:
        state: the run, new or as stored.
        record: one line of a journal, parsed; unknown kinds and fields change nothing.
        writer: the journal that it stands in.
        now: time of receipt (epoch seconds), for writers without a clock.
    """
    handler = _HANDLERS.get(record.get("k", ""))
    if handler is None:
        return state
    at, m = _when(state, record, now)
    if state.status is RunStatus.LOST and (state.ended_at is None or at > state.ended_at):
        _revive(state)
    handler(state, record, writer, at, m)
    if at > state.last_update:
        state.last_update = at
    state.dirty = max(state.dirty, 1)
    return state


def new_run(run_id: str, machine: str | None, writer: WriterState, at: float) -> RunState:
    """A run of which nothing but its id is known yet."""
    return RunState(
        run_id=run_id, machine=machine, host=writer.host, user=writer.user, boot_id=writer.boot_id,
        pid_ns=writer.pid_ns, started_at=at, last_update=at,
    )  # fmt: skip


def _when(state: RunState, record: _Record, now: float) -> tuple[float, float | None]:
    """Wall clock and monotonic time of a record; the first is derived where the writer has no clock."""
    m = clean.real(record.get("m"))
    at = clean.real(record.get("t"), lowest=-6e10, highest=2.5e11)
    if at is None:
        at = state.started_at + (m - state.start_m) if m is not None and state.start_m is not None else now
    return at, m


def _progress(state: RunState, at: float, m: float | None) -> None:
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


# --- runs -------------------------------------------------------------------------------------------------------------

# field of the record -> (attribute, how it is cleaned)
_START: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("type", "type", lambda v: clean.text(v, 20)),
    ("args", "args", clean.texts),
    ("label", "label", lambda v: clean.text(v, _NAME)),
    ("attempt", "attempt", lambda v: clean.number(v, 2**31 - 1) or None),
    ("retry_of", "retry_of", lambda v: clean.text(v, 64)),
    ("parent", "parent_run_id", lambda v: clean.text(v, 64)),
    ("script_path", "script_path", lambda v: clean.text(v, _MESSAGE)),
    ("cwd", "cwd", lambda v: clean.text(v, _MESSAGE)),
    ("git_commit", "git_commit", lambda v: clean.text(v, 64)),
    ("env", "environment", lambda v: {k: str(x) for k, x in clean.mapping(v).items()} or None),
    ("grace", "grace_s", lambda v: clean.real(v, 0.0, 1e9)),
    ("max_attempts", "max_attempts", lambda v: clean.number(v, 2**31 - 1)),
)
_INFO: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("total", "total_subtasks", lambda v: clean.number(v, 2**31 - 1)),
    ("label", "label", lambda v: clean.text(v, _NAME)),
    ("tags", "tags", clean.texts),
    ("pid", "pid", clean.integer),
    ("start", "start_tick", clean.number),
    ("pgid", "pgid", clean.integer),
    ("log_path", "log_path", lambda v: clean.text(v, _MESSAGE)),
    ("log_inode", "log_inode", clean.number),
    ("log_start", "log_start", clean.number),
)


def _run_start(state: RunState, record: _Record, writer: WriterState, at: float, m: float | None) -> None:
    guest = writer.role == "worker" or bool(record.get("prestarted"))
    if guest or state.owner_journal not in (None, writer.journal):
        guest = True
        if state.run_id not in writer.joined:
            writer.joined.add(state.run_id)
            writer.dirty = True
    first = state.owner_journal is None
    if guest and writer.role == "worker":
        return
    if not guest:
        state.owner_journal = writer.journal
        state.wrapped = bool(record.get("wrapped")) or writer.role == "wrapper"
        state.host, state.user = writer.host, writer.user
        state.boot_id, state.pid_ns = writer.boot_id, writer.pid_ns
        if "pid" not in record and not state.wrapped:
            state.pid, state.start_tick = writer.pid, writer.start_tick
    if first or m is None or state.start_m is None:
        state.started_at = at
        state.start_m = m if m is not None else state.start_m
    _name(state, record, guest=guest)
    for fields in (_START, _INFO):
        for name, attribute, cleaned in fields:
            if guest and attribute in ("pid", "start_tick", "pgid"):
                continue
            value = cleaned(record.get(name)) if name in record else None
            if value is None or (guest and not first and getattr(state, attribute)):
                continue
            setattr(state, attribute, value)
    if "params" in record:
        state.params |= clean.mapping(record["params"])
    if not guest:
        state.events.append(NewEvent(at=at, kind="started", status="started", message=state.label))
    if state.wrapped and state.pid is not None:
        _progress(state, at, m)  # The command itself was started.
    state.dirty = 2
    state.details_dirty = True


def _name(state: RunState, record: _Record, *, guest: bool) -> None:
    task = clean.text(record.get("task"), _NAME)
    if not task:
        return
    rank = 2 if guest else 1 if record.get("named") is False else 3
    if rank >= state.task_rank:
        state.task, state.task_rank = task, rank
        state.stage = clean.text(record.get("stage"), 100) or (state.stage if guest else None)


def _run_info(state: RunState, record: _Record, writer: WriterState, at: float, m: float | None) -> None:
    for name, attribute, cleaned in _INFO:
        if name not in record:
            continue
        value = cleaned(record[name])
        if value is not None and value != getattr(state, attribute):
            setattr(state, attribute, value)
            state.dirty = 2
    if "params" in record:
        state.params |= clean.mapping(record["params"])
        state.details_dirty = True
    _say(state, record, at, m)
    if state.wrapped and "pid" in record:
        _progress(state, at, m)


def _say(state: RunState, values: _Record, at: float, m: float | None) -> None:
    """Message and manual percent of a run, from a line or a slot."""
    changed = False
    if "message" in values:
        message = clean.text(values["message"], _MESSAGE)
        changed, state.overall_message = changed or message != state.overall_message, message
    if "percent" in values:
        percent = clean.real(values["percent"], 0.0, 100.0)
        changed, state.overall_percent = changed or percent != state.overall_percent, percent
    if changed:
        _progress(state, at, m)


def _run_end(state: RunState, record: _Record, writer: WriterState, at: float, m: float | None) -> None:
    status = _run_status(record.get("status"))
    guest = state.run_id in writer.joined or writer.role == "worker"
    _error(state, record, guest=guest)
    state.dirty = 2
    if guest:
        if state.inner_status is None:
            state.inner_status = status
            if state.status is RunStatus.LOST:
                _revive(state)
                _close(state, status, at)
        return
    if not state.status.open:
        if state.status is not RunStatus.LOST:
            return
        _revive(state)
    state.exit_code = clean.integer(record.get("exit_code"))
    state.signal = clean.integer(record.get("signal"))
    if "log_end" in record:
        state.log_end = clean.number(record["log_end"])
    if "log_tail" in record:
        state.log_tail = clean.texts(record["log_tail"], 200)
        state.details_dirty = True
    if status is RunStatus.LOST:
        state.lost_reason = clean.text(record.get("reason"), _MESSAGE)
    duration = clean.real(record.get("duration"), 0.0)
    if duration is None and m is not None and state.start_m is not None:
        duration = max(0.0, m - state.start_m)
    _close(state, status, at, duration)
    writer.counts.pop(state.run_id, None)
    writer.dirty = True


def _run_status(value: object) -> RunStatus:
    try:
        status = RunStatus(str(value))
    except ValueError:
        return RunStatus.FAILED
    return RunStatus.FAILED if status.open else status


def _error(state: RunState, record: _Record, *, guest: bool) -> None:
    """Take over message and error of an end; the word of the program inside a wrapper is the better one."""
    if record.get("message") is not None and (guest or not state.inner_status or not state.overall_message):
        state.overall_message = clean.text(record["message"], _MESSAGE)
    error = record.get("error")
    if not isinstance(error, dict) or (not guest and state.inner_status and state.error_type):
        return
    state.error_type = clean.text(error.get("type"), 200)
    state.error_message = clean.text(error.get("message"))
    state.error_detail = clean.text(error.get("detail"), 262_144)
    state.fingerprint = clean.text(error.get("fingerprint"), 64)
    number = clean.number(error.get("subtask"), 2**31 - 1)
    if number is not None:
        state.error_subtask = number
    state.details_dirty = True


def _close(state: RunState, status: RunStatus, at: float, duration: float | None = None) -> None:
    """The run has ended."""
    state.status = status
    state.ended_at = max(at, state.started_at)
    state.duration_s = duration if duration is not None else state.ended_at - state.started_at
    state.attention_at = state.ended_at if status.bad else None
    state.resolved = False
    state.settle()
    stood_at = state.current_subtask
    for number in [n for n in state.open_subs if not state.subs[n].closed_by_run]:
        _close_sub(state, state.subs[number])
    if status is not RunStatus.FINISHED:
        if state.error_subtask is None:
            state.error_subtask = stood_at
        if state.error_subtask in state.subs:
            state.error_subtask_name = state.subs[state.error_subtask].name
    state.events.append(
        NewEvent(
            at=at, kind="ended", status=status.value,
            message=state.lost_reason or state.error_message or state.overall_message,
        )
    )  # fmt: skip
    state.dirty = 2


def _close_sub(state: RunState, sub: SubState) -> None:
    """Close a running subtask with the word of its ended run."""
    state.count(sub, -1)
    sub.status = _CLOSING[state.status]
    sub.ended_at = state.ended_at
    sub.closed_by_run = True
    sub.dirty = True
    state.count(sub, 1)


def _revive(state: RunState) -> None:
    """It was thought to be lost, and lives."""
    state.status = RunStatus.RUNNING if state.last_progress_at is not None else RunStatus.STARTED
    state.ended_at = state.duration_s = state.attention_at = None
    state.lost_reason = state.signal = state.exit_code = None
    state.error_subtask = state.error_subtask_name = None
    for sub in state.subs.values():
        if sub.closed_by_run:
            state.count(sub, -1)
            sub.status, sub.closed_by_run, sub.ended_at, sub.dirty = SubtaskStatus.RUNNING, False, None, True
            state.count(sub, 1)
    state.dirty = 2


# --- subtasks ---------------------------------------------------------------------------------------------------------


def _sub(state: RunState, record: _Record) -> SubState | None:
    number = record.get("n")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**31:
        return None
    sub = state.subs.get(number)
    if sub is None:
        sub = state.subs[number] = SubState(number=number)
        state.count(sub, 1)
    sub.dirty = True
    return sub


def _sub_start(state: RunState, record: _Record, writer: WriterState, at: float, m: float | None) -> None:
    sub = _sub(state, record)
    if sub is None:
        return
    parent = _sub(state, {"n": record.get("parent")})
    state.count(sub, -1)
    if parent is not None and parent is not sub:
        sub.parent = parent.number
    name = clean.text(record.get("name"), _NAME)
    if name:
        sub.name = name
    _size(sub, record)
    begins = not record.get("announced")
    if not begins:
        state.planned = True
    elif sub.status is SubtaskStatus.NOT_STARTED:
        sub.status = SubtaskStatus.RUNNING
        sub.started_at, sub.start_m = at, m
    state.count(sub, 1)
    if parent is not None and parent is not sub and not parent.heading:
        _heading(state, parent)
    if begins:
        _progress(state, at, m)
        if not state.status.open and sub.status is SubtaskStatus.RUNNING:
            _close_sub(state, sub)  # Its run's end came from another journal.


def _heading(state: RunState, sub: SubState) -> None:
    state.count(sub, -1)
    sub.heading, sub.dirty = True, True
    state.count(sub, 1)


def _size(sub: SubState, record: _Record) -> None:
    """What a subtask is made of: total, unit, weight."""
    if "total" in record:
        sub.items_total = clean.number(record["total"])
    if record.get("unit") is not None:
        sub.unit = clean.text(record["unit"], 50)
    weight = clean.real(record.get("weight"), 0.0, 1e9)
    if weight:
        sub.weight = weight


def _sub_info(state: RunState, record: _Record, writer: WriterState, at: float, m: float | None) -> None:
    sub = _sub(state, record)
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
        _fill(sub, record)
    _count_items(state, sub, writer, record.get("complete"))
    state.count(sub, 1)
    _progress(state, at, m)


def _ended(sub: SubState) -> bool:
    """True when the subtask has had its own end."""
    return not sub.status.open and not sub.closed_by_run


def _fill(sub: SubState, values: _Record) -> None:
    if "percent" in values:
        sub.percent = clean.real(values["percent"], 0.0, 100.0)
    if "message" in values:
        sub.message = clean.text(values["message"], _MESSAGE)
    if values.get("inner"):
        sub.inner = {**sub.inner, **clean.mapping(values["inner"])}


def _count_items(state: RunState, sub: SubState, writer: WriterState, complete: object) -> bool:
    """Take over what one writer has counted: the subtask's items are the sum over its writers."""
    value = clean.number(complete) if complete is not None else None
    if value is None or (_ended(sub) and writer.role != "worker"):
        return False
    counts = writer.counts.setdefault(state.run_id, {})
    before = counts.get(sub.number)
    if before == value and sub.items_complete is not None:
        return False
    counts[sub.number] = value
    sub.items_complete = max(0, (sub.items_complete or 0) + value - (before or 0))
    sub.dirty = writer.dirty = True
    return True


def _sub_end(state: RunState, record: _Record, writer: WriterState, at: float, m: float | None) -> None:
    sub = _sub(state, record)
    if sub is None or _ended(sub):
        return
    state.count(sub, -1)
    _size(sub, record)
    _fill(sub, record)
    _count_items(state, sub, writer, record.get("complete"))
    sub.status, sub.closed_by_run = _sub_status(record.get("status")), False
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
    if writer.role != "worker" and sub.number in writer.counts.get(state.run_id, {}):
        del writer.counts[state.run_id][sub.number]
        writer.dirty = True
    _progress(state, at, m)


def _sub_status(value: object) -> SubtaskStatus:
    try:
        status = SubtaskStatus(str(value))
    except ValueError:
        return SubtaskStatus.FAILED
    return SubtaskStatus.COMPLETED if status.open else status


# --- the rest ---------------------------------------------------------------------------------------------------------


def _event(state: RunState, record: _Record, writer: WriterState, at: float, m: float | None) -> None:
    state.events.append(
        NewEvent(
            at=at,
            kind=clean.text(record.get("kind"), 50) or "log",
            status=clean.text(record.get("status"), 50),
            message=clean.text(record.get("message")),
            detail=clean.text(record.get("detail")),
            actor=clean.text(record.get("actor"), 200),
        )
    )


def _metric(state: RunState, record: _Record, writer: WriterState, at: float, m: float | None) -> None:
    _metrics(state, {str(record.get("name")): record.get("value")}, at, m)


def _metrics(state: RunState, values: _Record, at: float, m: float | None) -> None:
    changed = {k: v for k, v in clean.mapping(dict(values)).items() if k not in state.metrics or state.metrics[k] != v}
    if changed:
        state.metrics = dict(list({**state.metrics, **changed}.items())[-500:])
        state.details_dirty = True
        _progress(state, at, m)


def _counter(state: RunState, record: _Record, writer: WriterState, at: float, m: float | None) -> None:
    index, number = record.get("i"), record.get("n")
    if isinstance(index, int) and isinstance(number, int) and index >= 0:
        writer.counters[index] = (state.run_id, number)
        writer.dirty = True


_HANDLERS: dict[str, Callable[[RunState, _Record, WriterState, float, float | None], None]] = {
    "run.start": _run_start,
    "run.info": _run_info,
    "run.end": _run_end,
    "sub.start": _sub_start,
    "sub.info": _sub_info,
    "sub.end": _sub_end,
    "event": _event,
    "metric": _metric,
    "counter": _counter,
}


def fold_slot(state: RunState, values: _Record, writer: WriterState, at: float, m: float | None) -> None:
    """Apply what a slot says of this run: its latest progress, never to what has ended."""
    if state.status is RunStatus.LOST and state.ended_at is not None and at > state.ended_at:
        _revive(state)
    if not state.status.open:
        return
    moved = False
    for key, part in clean_subs(values.get("subs")):
        sub = state.subs.get(key)
        if sub is None or not sub.status.open:
            continue
        before = (sub.items_complete, sub.items_total, sub.percent, sub.message, sub.inner)
        state.count(sub, -1)
        if "t" in part:
            sub.items_total = clean.number(part["t"])
        _fill(sub, {new: part[old] for old, new in _SLOT_FIELDS if old in part})
        _count_items(state, sub, writer, part.get("c"))
        state.count(sub, 1)
        if before != (sub.items_complete, sub.items_total, sub.percent, sub.message, sub.inner):
            sub.dirty = moved = True
    if moved:
        _progress(state, at, m)
    _say(state, values, at, m)
    if isinstance(values.get("metrics"), dict):
        _metrics(state, values["metrics"], at, m)
    if at > state.last_update:
        state.last_update = at
        state.dirty = max(state.dirty, 1)


_SLOT_FIELDS = (("p", "percent"), ("msg", "message"), ("in", "inner"))


def clean_subs(value: object) -> list[tuple[int, dict[str, Any]]]:
    """The subtasks of a slot: (number, values); what is none is left out."""
    if not isinstance(value, dict):
        return []
    return [(int(k), v) for k, v in value.items() if str(k).isdecimal() and isinstance(v, dict)]


def fold_count(state: RunState, number: int, complete: int, writer: WriterState, at: float, m: float | None) -> None:
    """Apply a worker's counter; also after the subtask's end, since counters are read after the worker's death."""
    sub = _sub(state, {"n": number})
    if sub is None:
        return
    state.count(sub, -1)
    changed = _count_items(state, sub, writer, complete)
    state.count(sub, 1)
    if changed and state.status.open:
        _progress(state, at, m)
    elif changed:
        state.dirty = max(state.dirty, 1)


def fold_death(
    state: RunState,
    status: RunStatus,
    at: float,
    *,
    reason: str | None = None,
    signal: int | None = None,
    exit_code: int | None = None,
    detail: str | None = None,
) -> None:
    """The run's process is proven to be dead without having said how it ended; changes nothing if it had."""
    if not state.status.open:
        return
    if state.inner_status is not None and status is RunStatus.LOST:
        status = state.inner_status  # The program inside had said how it ended; only its wrapper had not.
    elif status is not RunStatus.FINISHED:
        state.lost_reason = clean.text(reason, _MESSAGE)
        if detail is not None:
            state.error_detail = clean.text(detail, 262_144)
            state.details_dirty = True
    state.signal, state.exit_code = signal, exit_code
    _close(state, status, at)


def fold_sample(state: RunState, sample: Any) -> None:
    """Apply a sample of the run's process tree (any object with the fields of ``store.apply.Sample``)."""
    if not state.status.open:
        return
    for name in ("cpu_percent", "rss_bytes", "peak_rss_bytes", "read_bytes", "write_bytes", "connections", "processes"):
        value = getattr(sample, name)
        if value is not None:
            setattr(state, name, value)
    if sample.peak_rss_bytes is None and sample.rss_bytes is not None:
        state.peak_rss_bytes = max(state.peak_rss_bytes or 0, sample.rss_bytes)
    at = to_epoch(sample.at)
    state.sampled_at = at
    if sample.cpu_percent is not None or sample.rss_bytes is not None:
        state.samples = [
            *state.samples[1 - SAMPLE_POINTS :], (at, sample.cpu_percent or 0.0, sample.rss_bytes or 0)
        ]  # fmt: skip
        state.details_dirty = True
    if sample.log_end is not None:
        state.log_end = sample.log_end
    if sample.output_moved_at is not None:
        _progress(state, to_epoch(sample.output_moved_at), None)
    state.dirty = max(state.dirty, 1)
