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

import re
from collections.abc import Callable, Sequence
from typing import Any

from statustui.model import clean, named
from statustui.model.fingerprint import fingerprint
from statustui.model.fold_sub import (
    Record,
    close_sub,
    count_items,
    fill,
    fold_count,
    progress,
    sub_end,
    sub_info,
    sub_start,
)
from statustui.model.state import SAMPLE_POINTS, NewEvent, RunState, WriterState
from statustui.model.status import RunStatus, SubtaskStatus
from statustui.model.times import to_epoch

__all__ = ["fold", "fold_count", "fold_death", "fold_sample", "fold_slot", "new_run"]

_NEVER = -7e10
_NAME = 500
_MESSAGE = 4_096
_PARAM = 16_384
_ENTRIES = 500


def fold(state: RunState, record: Record, writer: WriterState, now: float) -> RunState:
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
        pid_ns=writer.pid_ns, started_at=at, last_update=_NEVER,
    )  # fmt: skip


def _when(state: RunState, record: Record, now: float) -> tuple[float, float | None]:
    """Wall clock and monotonic time of a record; the first is derived where the writer has no clock."""
    m = clean.real(record.get("m"))
    at = clean.real(record.get("t"), lowest=-6e10, highest=2.5e11)
    if at is None:
        at = state.started_at + (m - state.start_m) if m is not None and state.start_m is not None else now
    return at, m


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


def _run_start(state: RunState, record: Record, writer: WriterState, at: float, m: float | None) -> None:
    # A forked worker may begin runs of its own: its role alone makes it no guest.
    guest = bool(record.get("prestarted")) or state.owner_journal not in (None, writer.journal)
    if guest and state.run_id not in writer.joined:
        writer.joined.add(state.run_id)
        writer.dirty = True
    first = state.owner_journal is None
    if not guest:
        state.owner_journal = writer.journal
        state.wrapped = bool(record.get("wrapped")) or writer.role == "wrapper"
        state.host, state.user = writer.host, writer.user
        state.boot_id, state.pid_ns = writer.boot_id, writer.pid_ns
        if "pid" not in record and not state.wrapped:
            state.pid, state.start_tick = writer.pid, writer.start_tick
    began = clean.real(record.get("began"), lowest=-6e10, highest=at)
    if first or m is None or state.start_m is None:
        state.started_at = at if began is None else began
        state.start_m = m - (at - state.started_at) if m is not None else state.start_m
    if began is not None and not guest:  # it runs, and what it did unseen was no pause
        state.progress_m = m
        progress(state, at, m)
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
        _params(state, record["params"])
    if not guest:
        state.events.append(NewEvent(at=state.started_at, kind="started", status="started", message=state.label))
    if state.wrapped and state.pid is not None:
        progress(state, at, m)  # The command itself was started.
    state.dirty = 2
    state.details_dirty = True


def _name(state: RunState, record: Record, *, guest: bool) -> None:
    task = clean.text(record.get("task"), _NAME)
    if not task:
        return
    named = record.get("named") is not False
    rank = (3 if named else 1) if guest else (4 if named else 2)
    if rank >= state.task_rank:
        state.task, state.task_rank = task, rank
        state.stage = clean.text(record.get("stage"), 100) or (state.stage if guest else None)


def _run_info(state: RunState, record: Record, writer: WriterState, at: float, m: float | None) -> None:
    for name, attribute, cleaned in _INFO:
        if name not in record:
            continue
        value = cleaned(record[name])
        cleared = name == "total" and record[name] is None
        if (value is not None or cleared) and value != getattr(state, attribute):
            setattr(state, attribute, value)
            state.dirty = 2
    if "params" in record:
        _params(state, record["params"])
        state.details_dirty = True
    _say(state, record, at, m)
    if state.wrapped and "pid" in record:
        progress(state, at, m)


def _sub_info(state: RunState, record: Record, writer: WriterState, at: float, m: float | None) -> None:
    if named.is_named(record) and named.about_the_run(state, record):
        _say(state, record, at, m)
    else:
        sub_info(state, record, writer, at, m)


def _say(state: RunState, values: Record, at: float, m: float | None) -> None:
    """Message and manual percent of a run, from a line or a slot."""
    changed = False
    if "message" in values:
        message = clean.text(values["message"], _MESSAGE)
        changed, state.overall_message = changed or message != state.overall_message, message
    if "percent" in values:
        percent = clean.real(values["percent"], 0.0, 100.0)
        changed, state.overall_percent = changed or percent != state.overall_percent, percent
    if changed:
        progress(state, at, m)


def _run_end(state: RunState, record: Record, writer: WriterState, at: float, m: float | None) -> None:
    status = _cancelled(state, _run_status(record.get("status")), at)
    guest = state.run_id in writer.joined or writer.journal != (state.owner_journal or writer.journal)
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
    duration = clean.real(record.get("duration"), 0.0)
    if duration is None and m is not None and state.start_m is not None:
        duration = max(0.0, m - state.start_m)
    if status is RunStatus.LOST:
        state.lost_reason = clean.text(record.get("reason"), _MESSAGE)
    elif status is RunStatus.CANCELLED and state.cancel is not None:
        state.lost_reason = state.cancel.text
    _close(state, status, at, duration)
    writer.counts.pop(state.run_id, None)
    writer.dirty = True


def _cancelled(state: RunState, status: RunStatus, at: float) -> RunStatus:
    """A bad end after somebody's cancel is what was asked for, whatever the program calls it."""
    if state.cancel is None or at < state.cancel.at or status not in (RunStatus.FAILED, RunStatus.LOST):
        return status
    return RunStatus.CANCELLED


def _run_status(value: object) -> RunStatus:
    try:
        status = RunStatus(str(value))
    except ValueError:
        return RunStatus.FAILED
    return RunStatus.FAILED if status.open else status


def _error(state: RunState, record: Record, *, guest: bool) -> None:
    """Take over message and error of an end; the word of the program inside a wrapper is the better one."""
    if record.get("message") is not None and (guest or not state.inner_status or not state.overall_message):
        state.overall_message = clean.text(record["message"], _MESSAGE)
    error = record.get("error")
    if not isinstance(error, dict) or (not guest and state.inner_status and state.error_type):
        return
    state.error_type = clean.text(error.get("type"), 200)
    state.error_message = clean.text(error.get("message"))
    state.error_detail = clean.text(error.get("detail"), 262_144)
    state.fingerprint = clean.text(error.get("fingerprint"), 64) or _fingerprint(state)
    number = clean.number(error.get("subtask"), 2**31 - 1)
    if number is not None:
        state.error_subtask = number
    state.details_dirty = True


_BARE = re.compile(r"(?:exit )?status \d+(?:, line \d+)?|quit\(status = \d+\)")


def _fingerprint(state: RunState) -> str | None:
    """Key of a failure told by a client that makes none (a shell, R); tasks do not share a bare exit status."""
    if not state.error_type and not state.error_message:
        return None
    message = state.error_message or ""
    place = state.task if not message or _BARE.fullmatch(message) else None
    return fingerprint(state.error_type or "", message, place)


def _close(state: RunState, status: RunStatus, at: float, duration: float | None = None) -> None:
    """The run has ended."""
    state.status = status
    state.ended_at = max(at, state.started_at)
    state.duration_s = duration if duration is not None else state.ended_at - state.started_at
    state.attention_at = state.ended_at if status.bad else None
    state.resolved = False
    for sub in state.subs.values():
        if sub.status is SubtaskStatus.RUNNING:
            close_sub(state, sub)
        elif (
            state.cancel is not None and status is RunStatus.CANCELLED and sub.status is SubtaskStatus.FAILED
            and sub.ended_at is not None and sub.ended_at >= state.cancel.at
        ):  # fmt: skip
            sub.status, sub.dirty = SubtaskStatus.CANCELLED, True  # neither is done: no figure changes
    state.events.append(
        NewEvent(
            at=at, kind="ended", status=status.value,
            message=state.lost_reason or state.error_message or state.overall_message,
        )
    )  # fmt: skip
    state.dirty = 2


def _revive(state: RunState) -> None:
    """It was thought to be lost, and lives; or what it said of its end is corrected."""
    state.counted_s = state.duration_s
    state.status = RunStatus.RUNNING if state.last_progress_at is not None else RunStatus.STARTED
    state.ended_at = state.duration_s = state.attention_at = None
    state.lost_reason = state.signal = state.exit_code = None
    for sub in state.subs.values():
        if sub.closed_by_run:
            state.count(sub, -1)
            sub.status, sub.closed_by_run, sub.ended_at, sub.dirty = SubtaskStatus.RUNNING, False, None, True
            state.count(sub, 1)
    state.dirty = 2


def _event(state: RunState, record: Record, writer: WriterState, at: float, m: float | None) -> None:
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


def _metric(state: RunState, record: Record, writer: WriterState, at: float, m: float | None) -> None:
    _metrics(state, {str(record.get("name")): record.get("value")}, at, m)


def _params(state: RunState, values: object) -> None:
    state.params = dict(list((state.params | clean.small(values, _PARAM)).items())[:_ENTRIES])


def _metrics(state: RunState, values: Record, at: float, m: float | None) -> None:
    found = clean.small(values)
    changed = {k: v for k, v in found.items() if k not in state.metrics or state.metrics[k] != v}
    if changed:
        state.metrics = dict(list({**state.metrics, **changed}.items())[-_ENTRIES:])
        state.details_dirty = True
        progress(state, at, m)


def _counter(state: RunState, record: Record, writer: WriterState, at: float, m: float | None) -> None:
    index, number = record.get("i"), record.get("n")
    if isinstance(index, int) and isinstance(number, int) and 0 <= index < _COUNTERS:
        writer.counters[index] = (state.run_id, number)
        writer.dirty = True


_COUNTERS = 1_023
"""Counters of one counts file."""

_HANDLERS: dict[str, Callable[[RunState, Record, WriterState, float, float | None], None]] = {
    "run.start": _run_start,
    "run.info": _run_info,
    "run.end": _run_end,
    "sub.start": sub_start,
    "sub.info": _sub_info,
    "sub.end": sub_end,
    "event": _event,
    "metric": _metric,
    "counter": _counter,
}


def fold_slot(state: RunState, values: Record, writer: WriterState, at: float, m: float | None) -> None:
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
        fill(sub, {new: part[old] for old, new in _SLOT_FIELDS if old in part})
        count_items(state, sub, writer, part.get("c"))
        state.count(sub, 1)
        if before != (sub.items_complete, sub.items_total, sub.percent, sub.message, sub.inner):
            sub.dirty = moved = True
    if moved:
        progress(state, at, m)
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


def fold_death(
    state: RunState,
    status: RunStatus,
    at: float,
    *,
    reason: str | None = None,
    signal: int | None = None,
    exit_code: int | None = None,
    detail: str | None = None,
    error: Record | None = None,
    log_tail: Sequence[str] = (),
    instead_of: str | None = None,
) -> None:
    """The run's process is proven to be dead without having said how it ended; changes nothing if it had.

    An end that was given while the process lived (*instead_of*) is no word on how it ended: the kernel's counts.
    """
    if not state.status.open:
        if state.status.value != instead_of:
            return
        _revive(state)
        state.error_type = state.error_message = state.error_detail = state.fingerprint = state.error_subtask = None
    if state.inner_status is not None and status is RunStatus.LOST:
        status = state.inner_status  # The program inside had said how it ended; only its wrapper had not.
    if state.cancel is not None and status.bad:
        status, state.lost_reason = RunStatus.CANCELLED, state.cancel.text
    elif status is not RunStatus.FINISHED:
        if status is RunStatus.FAILED and error is None and state.error_type is None:
            error = {"type": "ExitStatus", "message": reason}
        _error(state, {"error": error}, guest=False)
        state.lost_reason = clean.text(reason, _MESSAGE)
        if log_tail:
            state.log_tail = clean.texts(log_tail, 200)
            state.details_dirty = True
        if detail is not None:
            state.error_detail = clean.text(detail, 262_144)
            state.details_dirty = True
    state.signal, state.exit_code = signal, exit_code
    _close(state, status, at)


def fold_sample(state: RunState, sample: Any) -> None:
    """Apply a sample of the run's process tree (any object with the fields of ``store.apply.Sample``)."""
    if not state.status.open:
        if sample.log_end is not None and state.log_end is None:
            state.log_end, state.dirty = sample.log_end, max(state.dirty, 1)
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
        progress(state, to_epoch(sample.output_moved_at), None)
    state.dirty = max(state.dirty, 1)
