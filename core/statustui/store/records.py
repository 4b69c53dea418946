"""Rows of the store as the frozen values that readers get."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, Select, and_, select

from statustui.model.progress import overall_fraction
from statustui.model.run import Event, Host, Profile, Request, Run, Subtask, TaskStats
from statustui.model.status import RequestKind, RequestState, RunStatus, SubtaskStatus
from statustui.store import sound
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

_EVENT = ("at", "kind", "status", "message", "detail", "actor", "run_id")

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
).select_from(runs.outerjoin(subtasks, and_(subtasks.c.run == runs.c.id, subtasks.c.number == runs.c.current_subtask)))
SELECT_EVENTS: Select[Any] = select(events, runs.c.run_id).select_from(
    events.outerjoin(runs, runs.c.id == events.c.run)
)
SELECT_REQUESTS: Select[Any] = select(requests)
SELECT_HOSTS: Select[Any] = select(hosts)
SELECT_TASKS: Select[Any] = select(tasks)
_check_run = sound.Checker(SELECT_RUN.selected_columns)
_checks = {
    name: sound.Checker(statement.selected_columns)
    for name, statement in (
        ("subtask", select(subtasks)), ("event", SELECT_EVENTS), ("request", SELECT_REQUESTS),
        ("host", SELECT_HOSTS), ("task", SELECT_TASKS),
    )
}  # fmt: skip


def _checked(kind: str, row: RowMapping) -> dict[str, Any]:
    return dict(zip(row.keys(), _checks[kind](tuple(row.values())), strict=True))


def run(row: Sequence[Any]) -> Run:
    """A run from a row of ``SELECT_RUN``."""
    row = _check_run(row)
    values = dict(zip(_NAMES, row[:_PLAIN], strict=True))
    status_word, args, tags, done, total, subtask_status = row[_PLAIN:]
    status = sound.run_status(status_word, ended=values["ended_at"] is not None)
    fraction = 1.0 if status is RunStatus.FINISHED else overall_fraction(done, total)
    if values["error_subtask"] is None and not status.open and status is not RunStatus.FINISHED:
        # Where it stood is where it failed, unless the program said otherwise.
        values["error_subtask"], values["error_subtask_name"] = values["current_subtask"], values["subtask_name"]
    return Run(
        status=status,
        args=tuple(map(str, sound.items(args))),
        tags=tuple(map(str, sound.items(tags))),
        derived_percent=None if fraction is None else fraction * 100.0,
        subtask_status=None if subtask_status is None else sound.subtask_status(subtask_status),
        **values,
    )


def subtask(row: RowMapping) -> Subtask:
    """A subtask from its row."""
    found = _checked("subtask", row)
    return Subtask(
        status=sound.subtask_status(found["status"]) or SubtaskStatus.LOST,
        inner=sound.table(found["inner"]),
        **{name: found[name] for name in _SUBTASK},
    )


def event(row: RowMapping) -> Event:
    """An event from a row of ``SELECT_EVENTS``."""
    found = _checked("event", row)
    return Event(**{name: found[name] for name in _EVENT})


def request(row: RowMapping) -> Request:
    """A request from its row.

    Raises:
        ValueError: it is of a kind or in a state that nobody knows.
    """
    names = (
        "id", "run_id", "asked_by", "asked_from", "asked_at", "role", "taken_at", "done_at", "kill_at", "reason",
        "answer",
    )  # fmt: skip
    found = _checked("request", row)
    return Request(
        kind=RequestKind(found["kind"]), state=RequestState(found["state"]), **{name: found[name] for name in names}
    )


def known_requests(rows: Iterable[RowMapping]) -> tuple[Request, ...]:
    """Requests from their rows, without those that nobody knows."""
    return tuple(
        request(row)
        for row in rows
        if row["kind"] in RequestKind.__members__.values() and row["state"] in RequestState.__members__.values()
    )


def host(row: RowMapping, now: datetime) -> Host:
    """A host from its row, with its silence by the store's clock."""
    found = _checked("host", row)
    return Host(
        machine=found["machine"], host=found["host"], user=found["user"], boot_id=found["boot_id"],
        drainer_pid=found["drainer_pid"], drainer_version=found["drainer_version"], last_heard=found["last_heard"],
        silent_s=max(0.0, (now - found["last_heard"]).total_seconds()), facts_dropped=found["facts_dropped"],
    )  # fmt: skip


def stats(row: RowMapping) -> TaskStats:
    """What the past runs of a task tell, from its row."""
    found = _checked("task", row)
    gaps = sorted(sound.numbers(found["gaps"]))
    return TaskStats(
        task=found["name"],
        stage=found["stage"],
        runs=found["runs"],
        finished=found["finished"],
        durations_s=sound.numbers(found["durations"]),
        # Usual: nine in ten runs had none longer.
        longest_gap_s=gaps[min(len(gaps) - 1, int(0.9 * len(gaps)))] if gaps else None,
        profiles=tuple(filter(None, map(_profile, sound.items(found["profiles"])))),
        grace_s=found["grace_s"],
        max_attempts=found["max_attempts"],
    )


def _profile(kept: object) -> Profile | None:
    try:
        return Profile(
            duration_s=float(kept["d"]),  # type: ignore[index]
            points=tuple((float(part), float(s)) for part, s in kept["p"]),  # type: ignore[index]
            subtasks=tuple((str(name), float(a), float(b)) for name, a, b in kept["s"]),  # type: ignore[index]
        )
    except (ValueError, TypeError, LookupError):
        return None  # an estimate without it is better than none at all
