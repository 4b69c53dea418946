"""The JSON that commands print: version 1. Keys are a public contract; unknown is null, times are ISO 8601 UTC."""

from datetime import datetime
from typing import Any

from statustui.insight.eta import estimate
from statustui.insight.marks import host_of, marks
from statustui.insight.needs import Group
from statustui.model.run import Event, Host, Run, RunDetail, Subtask, TaskStats
from statustui.model.status import Mark
from statustui.model.times import to_text

VERSION = 1
"""Changes when a key goes or changes its meaning; new keys may come without."""


def finite(value: Any) -> Any:
    """*value* without what JSON has no word for: NaN and infinities become null, other things text."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(key): finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value if value is None or isinstance(value, str | int) else str(value)


def time_or_none(at: datetime | None) -> str | None:
    """ISO 8601 UTC text of *at*."""
    return None if at is None else to_text(at)


def run_object(run: Run, stats: TaskStats | None, hosts: dict[str, Host], now: datetime) -> dict[str, Any]:
    """One run."""
    eta = estimate(run, stats, now)
    remarks = dict(marks(run, stats, host_of(run, hosts), now))
    return {
        "id": run.id,
        "run_id": run.run_id,
        "task": run.task,
        "stage": run.stage,
        "type": run.type,
        "args": list(run.args),
        "status": run.status.value,
        "host": run.host,
        "user": run.user,
        "pid": run.pid,
        "attempt": run.attempt,
        "retry_of": run.retry_of,
        "parent_run_id": run.parent_run_id,
        "started_at": time_or_none(run.started_at),
        "ended_at": time_or_none(run.ended_at),
        "last_update": time_or_none(run.last_update),
        "last_progress_at": time_or_none(run.last_progress_at),
        "duration_s": finite(run.duration_s),
        "overall_percent": finite(run.percent),
        "percent_source": run.percent_source,
        "overall_message": run.overall_message,
        "total_subtasks": run.total_subtasks,
        "subtasks_done": run.subtasks_done,
        "current_subtask": run.current_subtask,
        "subtask_name": run.subtask_name,
        "subtask_status": run.subtask_status.value if run.subtask_status else None,
        "subtask_percent": finite(_subtask_percent(run)),
        "subtask_message": run.subtask_message,
        "items_complete": run.items_complete,
        "items_total": run.items_total,
        "unit": run.unit,
        "eta_low_s": finite(eta.low_s) if eta else None,
        "eta_high_s": finite(eta.high_s) if eta else None,
        "eta_basis": eta.basis if eta else None,
        "rss_bytes": run.rss_bytes,
        "peak_rss_bytes": run.peak_rss_bytes,
        "cpu_percent": finite(run.cpu_percent),
        "error_type": run.error_type,
        "error_message": run.error_message,
        "fingerprint": run.fingerprint,
        "lost_reason": run.lost_reason,
        "exit_code": run.exit_code,
        "signal": run.signal,
        "log_path": run.log_path,
        "git_commit": run.git_commit,
        "silent_s": remarks.get(Mark.SILENT),
        "stalled_s": remarks.get(Mark.STALLED),
        "slow_ratio": remarks.get(Mark.SLOW),
        "acked_by": run.acked_by,
    }


def _subtask_percent(run: Run) -> float | None:
    if run.subtask_percent is not None:
        return run.subtask_percent
    if run.items_total and run.items_complete is not None:
        return min(100.0, 100.0 * run.items_complete / run.items_total)
    return None


def subtask_object(subtask: Subtask) -> dict[str, Any]:
    """One subtask."""
    return {
        "number": subtask.number,
        "name": subtask.name,
        "heading": subtask.heading,
        "status": subtask.status.value,
        "weight": finite(subtask.weight),
        "items_total": subtask.items_total,
        "items_complete": subtask.items_complete,
        "unit": subtask.unit,
        "percent": finite(subtask.percent),
        "message": subtask.message,
        "started_at": time_or_none(subtask.started_at),
        "ended_at": time_or_none(subtask.ended_at),
        "error": subtask.error,
    }


def event_object(event: Event) -> dict[str, Any]:
    """One event."""
    return {
        "at": time_or_none(event.at),
        "kind": event.kind,
        "status": event.status,
        "message": event.message,
        "actor": event.actor,
    }


def detail_object(detail: RunDetail, stats: TaskStats | None, hosts: dict[str, Host], now: datetime) -> dict[str, Any]:
    """One run under ``run``, and beside it what lists leave out."""
    run = detail.run
    return {
        "run": run_object(run, stats, hosts, now),
        "error_detail": detail.error_detail,
        "log_tail": list(detail.log_tail),
        "cwd": run.cwd,
        "script_path": run.script_path,
        "environment": finite(dict(detail.environment)),
        "params": finite(dict(detail.params)),
        "metrics": finite(dict(detail.metrics)),
        "subtasks": [subtask_object(subtask) for subtask in detail.subtasks],
        "events": [event_object(event) for event in detail.events],
        "attempts": [{"id": one.id, "run_id": one.run_id, "status": one.status.value} for one in detail.attempts],
    }


def group_object(group: Group) -> dict[str, Any]:
    """One row of what needs a person."""
    return {
        "key": group.key,
        "status": group.status.value,
        "count": group.count,
        "task": group.title,
        "ids": [run.id for run in group.runs],
        "since": time_or_none(group.since),
        "message": group.message,
        "fingerprint": group.newest.fingerprint,
    }
