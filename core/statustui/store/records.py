"""Rows of the store as the frozen values that readers get."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, Select, and_, select

from statustui.model.progress import overall_fraction
from statustui.model.run import Event, Host, Profile, Request, Run, Subtask, TaskStats
from statustui.model.status import RequestKind, RequestState, RunStatus, SubtaskStatus
from statustui.store.schema import events, hosts, requests, runs, subtasks, tasks

_RUN = (
    "run_id", "id", "task", "stage", "type", "label", "attempt", "retry_of", "parent_run_id", "machine", "host",
    "user", "pid", "start_tick", "boot_id", "pid_ns", "pgid", "script_path", "cwd", "log_path", "log_inode",
    "log_start", "log_end", "started_at", "ended_at", "last_update", "last_progress_at", "duration_s",
    "total_subtasks", "subtasks_done", "current_subtask", "overall_percent", "overall_message", "cpu_percent",
    "rss_bytes", "peak_rss_bytes", "read_bytes", "write_bytes", "connections", "processes", "sampled_at",
    "error_type", "error_message", "error_subtask", "error_subtask_name", "fingerprint", "lost_reason", "exit_code",
    "signal", "git_commit", "acked_by", "acked_at", "grace_s", "wrapped", "retried", "resolved", "max_attempts",
)  # fmt: skip
_CURRENT = (
    ("subtask_name", "name"), ("subtask_percent", "percent"), ("subtask_message", "message"),
    ("items_complete", "items_complete"), ("items_total", "items_total"), ("unit", "unit"),
)  # fmt: skip
_NAMES = (*_RUN, *(name for name, _ in _CURRENT))
_PLAIN = len(_NAMES)
_SUBTASK = ("number", "name", "heading", "parent", "weight", "items_total", "items_complete", "unit", "percent",
            "message", "started_at", "ended_at", "duration_s", "error")  # fmt: skip

# What follows the plain columns: status, args, tags, work done and in all, status of the current subtask.
SELECT_RUN: Select[Any] = select(
    *(runs.c[name] for name in _RUN),
    *(subtasks.c[column].label(name) for name, column in _CURRENT),
    runs.c.status,
    runs.c.args,
    runs.c.tags,
    runs.c.work_done,
    runs.c.work_total,
    subtasks.c.status.label("subtask_status"),
).select_from(
    runs.outerjoin(subtasks, and_(subtasks.c.run == runs.c.id, subtasks.c.number == runs.c.current_subtask))
)
SELECT_EVENTS: Select[Any] = select(events, runs.c.run_id).select_from(
    events.outerjoin(runs, runs.c.id == events.c.run)
)
SELECT_REQUESTS: Select[Any] = select(requests)
SELECT_HOSTS: Select[Any] = select(hosts)
SELECT_TASKS: Select[Any] = select(tasks)


def run(row: Sequence[Any]) -> Run:
    """A run from a row of ``SELECT_RUN``."""
    values = dict(zip(_NAMES, row[:_PLAIN], strict=True))
    status_word, args, tags, done, total, subtask_status = row[_PLAIN:]
    status = RunStatus(status_word)
    fraction = 1.0 if status is RunStatus.FINISHED else overall_fraction(done, total)
    if values["error_subtask"] is None and not status.open and status is not RunStatus.FINISHED:
        # Where it stood is where it failed, unless the program said otherwise.
        values["error_subtask"], values["error_subtask_name"] = values["current_subtask"], values["subtask_name"]
    return Run(
        status=status,
        args=tuple(map(str, args or ())),
        tags=tuple(map(str, tags or ())),
        derived_percent=None if fraction is None else fraction * 100.0,
        subtask_status=None if subtask_status is None else SubtaskStatus(subtask_status),
        **values,
    )


def subtask(row: RowMapping) -> Subtask:
    """A subtask from its row."""
    return Subtask(
        status=SubtaskStatus(row["status"]), inner=row["inner"] or {}, **{name: row[name] for name in _SUBTASK}
    )


def event(row: RowMapping) -> Event:
    """An event from a row of ``SELECT_EVENTS``."""
    return Event(
        at=row["at"], kind=row["kind"], status=row["status"], message=row["message"], detail=row["detail"],
        actor=row["actor"], run_id=row["run_id"],
    )  # fmt: skip


def request(row: RowMapping) -> Request:
    """A request from its row."""
    names = ("id", "run_id", "asked_by", "asked_from", "asked_at", "taken_at", "done_at", "kill_at", "reason", "answer")
    return Request(
        kind=RequestKind(row["kind"]), state=RequestState(row["state"]), **{name: row[name] for name in names}
    )


def host(row: RowMapping, now: datetime) -> Host:
    """A host from its row, with its silence by the store's clock."""
    return Host(
        machine=row["machine"], host=row["host"], user=row["user"], boot_id=row["boot_id"],
        drainer_pid=row["drainer_pid"], drainer_version=row["drainer_version"], last_heard=row["last_heard"],
        silent_s=max(0.0, (now - row["last_heard"]).total_seconds()), facts_dropped=row["facts_dropped"],
    )  # fmt: skip


def stats(row: RowMapping) -> TaskStats:
    """What the past runs of a task tell, from its row."""
    gaps = sorted(row["gaps"] or ())
    return TaskStats(
        task=row["name"],
        stage=row["stage"],
        runs=row["runs"],
        finished=row["finished"],
        durations_s=tuple(row["durations"] or ()),
        # Usual: nine in ten runs had none longer.
        longest_gap_s=gaps[min(len(gaps) - 1, int(0.9 * len(gaps)))] if gaps else None,
        profiles=tuple(map(_profile, row["profiles"] or ())),
        grace_s=row["grace_s"],
        max_attempts=row["max_attempts"],
    )


def _profile(kept: dict[str, Any]) -> Profile:
    return Profile(
        duration_s=kept["d"],
        points=tuple((fraction, seconds) for fraction, seconds in kept["p"]),
        subtasks=tuple((name, start, end) for name, start, end in kept["s"]),
    )
