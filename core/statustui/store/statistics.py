"""What the past runs of a task tell, kept with the task; and which bad ends a later good one has settled."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from statustui.model.state import UNKNOWN_TASK, RunState
from statustui.model.status import RunStatus
from statustui.model.times import from_epoch
from statustui.store.load import parts
from statustui.store.rows import counted
from statustui.store.schema import runs, tasks
from statustui.store.unsettle import corrected, relearn, unsettle

DURATIONS = 50
"""Durations and gaps that a task keeps."""
PROFILES = 20
"""Time profiles that a task keeps."""
_CHAIN = 50
_SUBTASKS = 300
_TASKS = select(tasks).where(tasks.c.name.in_(bindparam("names", expanding=True))).order_by(tasks.c.name)
_INSERT = {
    "sqlite": sqlite.insert(tasks).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(tasks).on_conflict_do_nothing(),
}
_NAMES = ("stage", "grace_s", "max_attempts", "last_run", "last_started_at", "good_started_at", "expected_subtasks",
          "runs", "finished", "durations", "gaps", "profiles")  # fmt: skip
_UPDATE = (
    update(tasks)
    .where(tasks.c.name == bindparam("b_name"))
    .values({"rev": tasks.c.rev + 1} | {name: bindparam(name) for name in _NAMES})
)
_SETTLE = {"attention_at": None, "resolved": True, "rev": runs.c.rev + 1}
_RESOLVE_TASK = (
    update(runs)
    .where(runs.c.task == bindparam("b_task"), runs.c.attention_at.is_not(None))
    .where(runs.c.started_at <= bindparam("b_started"))
    .values(_SETTLE)
)
_RESOLVE_RUN = update(runs).where(runs.c.run_id == bindparam("b_run_id")).values(_SETTLE)
SUPERSEDE = (
    update(runs)
    .where(runs.c.run_id == bindparam("b_run_id"), runs.c.attention_at.is_not(None))
    .values(attention_at=None, rev=runs.c.rev + 1)
)
_below = runs.alias("below")
_ONLY_CHILD = (
    update(runs)
    .where(runs.c.parent_run_id == bindparam("b_parent"), runs.c.attention_at.is_not(None))
    .where(select(func.count()).where(_below.c.parent_run_id == bindparam("b_parent")).scalar_subquery() == 1)
    .values(attention_at=None, rev=runs.c.rev + 1)
)
_BEFORE = select(runs.c.retry_of).where(runs.c.run_id == bindparam("run_id"))
_FORGET = delete(tasks).where(
    tasks.c.last_run == bindparam("b_run"),
    tasks.c.name != bindparam("b_task"),
    tasks.c.runs == 0,
    ~tasks.c.registered,
)

Task = dict[str, Any]


def load_tasks(connection: Connection, states: Iterable[RunState], now: float, *, lock: bool) -> dict[str, Task]:
    """Rows of the tasks whose runs began or ended in this batch, made where missing and locked in one order."""
    return load_named(connection, {s.task for s in states if s.task != UNKNOWN_TASK}, now, lock=lock)


def load_named(connection: Connection, wanted: Iterable[str], now: float, *, lock: bool) -> dict[str, Task]:
    """Rows of these tasks, made where missing and locked in one order."""
    names = sorted(wanted)
    statement = _TASKS.with_for_update() if lock else _TASKS

    def read(wanted: Sequence[str]) -> dict[str, Task]:
        found: dict[str, Task] = {}
        for part in parts(wanted):
            found |= {row["name"]: dict(row) for row in connection.execute(statement, {"names": part}).mappings()}
        return found

    known = read(names)
    missing = [name for name in names if name not in known]
    if missing:
        seen = from_epoch(now)
        # Waits for another drainer that is making the same row; what that one counted is then read below.
        connection.execute(_INSERT[connection.dialect.name], [{"name": name, "first_seen": seen} for name in missing])
        known |= read(missing)
    return known


def _changed(state: RunState) -> bool:
    """Is this end news? The first one, or one that corrects what was counted."""
    return counted(state) != state.counted


def settle_attention(states: Iterable[RunState], known: Mapping[str, Task]) -> None:
    """A bad end that is read after a later good one needs nobody."""
    for state in states:
        task = known.get(state.task)
        if state.attention_at is None or task is None or task["good_started_at"] is None:
            continue
        if task["good_started_at"] > from_epoch(state.started_at) and _changed(state):
            state.attention_at, state.resolved = None, True


def update_tasks(states: Iterable[RunState], known: Mapping[str, Task]) -> dict[str, Task]:
    """What changes in the tasks' rows by these runs (already stored, ``counted`` still as before)."""
    changed: dict[str, Task] = {}
    for state in states:
        task = known.get(state.task)
        if task is None:
            continue
        before = dict(task)
        _latest(task, state)
        if state.counted is not None and _changed(state):
            _taken_back(task, state)
        if _changed(state) and not state.status.open:
            _ended(task, state)
        if task != before:
            changed[state.task] = task
    return changed


def _latest(task: Task, state: RunState) -> None:
    started = from_epoch(state.started_at)
    if task["last_started_at"] is None or started >= task["last_started_at"]:
        task["last_started_at"], task["last_run"] = started, state.id
        for name in ("stage", "grace_s", "max_attempts"):
            value = getattr(state, name)
            if value is not None:
                task[name] = value


def _ended(task: Task, state: RunState) -> None:
    """Count an end. Cancelled runs tell nothing of how the task usually goes."""
    if state.status is RunStatus.CANCELLED:
        return
    task["runs"] += 1
    if state.status is not RunStatus.FINISHED:
        return
    task["finished"] += 1
    started = from_epoch(state.started_at)
    if task["good_started_at"] is None or started > task["good_started_at"]:
        task["good_started_at"] = started
    task["expected_subtasks"] = state.leaves or None
    task["durations"] = [round(state.duration_s or 0.0, 3), *(task["durations"] or [])][:DURATIONS]
    task["gaps"] = [longest_gap(state), *(task["gaps"] or [])][:DURATIONS]
    task["profiles"] = [profile(state), *(task["profiles"] or [])][:PROFILES]


def _taken_back(task: Task, state: RunState) -> None:
    """The end that was counted turned out to be none, or another one."""
    status = None if state.counted is None else state.counted[1]
    if status == RunStatus.CANCELLED:
        return
    task["runs"] = max(0, task["runs"] - 1)
    if status != RunStatus.FINISHED:
        return
    task["finished"] = max(0, task["finished"] - 1)
    before = round(state.counted_s or 0.0, 3)
    durations = list(task["durations"] or [])
    if before in durations:
        place = durations.index(before)
        task["durations"] = durations[:place] + durations[place + 1 :]
        task["gaps"] = (task["gaps"] or [])[:place] + (task["gaps"] or [])[place + 1 :]
    profiles = list(task["profiles"] or [])
    known = next((place for place, one in enumerate(profiles) if one.get("d") == before), None)
    if known is not None:
        task["profiles"] = profiles[:known] + profiles[known + 1 :]


def longest_gap(state: RunState) -> float:
    """Longest time without progress in a run that has ended, its last stretch included."""
    last = state.progress_m
    gap = state.longest_gap_s or 0.0
    if last is not None and state.start_m is not None and state.duration_s is not None:
        gap = max(gap, state.start_m + state.duration_s - last)
    elif last is None:
        gap = state.duration_s or 0.0
    return round(gap, 3)


def profile(state: RunState) -> dict[str, Any]:
    """How a finished run spent its time, as it is kept: duration, points, and its leaf subtasks in their order."""
    start = state.start_m
    timed: list[tuple[str, float, float]] = []
    for sub in state.subs.values():
        if sub.heading or sub.start_m is None or start is None or len(timed) >= _SUBTASKS:
            continue
        begin = max(0.0, sub.start_m - start)
        last = state.duration_s or begin
        end = begin + sub.duration_s if sub.duration_s is not None else max(begin, last)
        timed.append((sub.name[:100], round(begin, 3), round(end, 3)))
    timed.sort(key=lambda part: part[1])
    return {
        "d": round(state.duration_s or 0.0, 3),
        "p": [list(point) for point in state.profile],
        "s": [list(part) for part in timed],
    }


def update_attention(connection: Connection, states: Iterable[RunState]) -> None:
    """What an end settles. A good one: earlier bad ends of its task, and the attempts before it.

    A bad one of a later attempt speaks for the attempt before, that of a wrapper for its only child: one problem,
    not two.
    """
    for state in states:
        if not _changed(state) or state.status.open:
            continue
        if state.status.bad and state.retry_of is not None:
            connection.execute(SUPERSEDE, {"b_run_id": state.retry_of})
        if state.status.bad and state.wrapped and not state.leaves:
            connection.execute(_ONLY_CHILD, {"b_parent": state.run_id})
        if state.status is not RunStatus.FINISHED:
            continue
        connection.execute(_RESOLVE_TASK, {"b_task": state.task, "b_started": from_epoch(state.started_at)})
        resolve_chain(connection, state.retry_of)


def resolve_chain(connection: Connection, before: str | None) -> None:
    """A good end makes the attempts before it good: *before* (a run_id), and those that it follows."""
    for _ in range(_CHAIN):
        if before is None:
            break
        connection.execute(_RESOLVE_RUN, {"b_run_id": before})
        before = connection.execute(_BEFORE, {"run_id": before}).scalar()


def store_tasks(connection: Connection, changed: Mapping[str, Task]) -> None:
    """Store rows of tasks that changed."""
    if changed:
        connection.execute(
            _UPDATE,
            [{name: task[name] for name in _NAMES} | {"b_name": key} for key, task in sorted(changed.items())],
        )


def save(connection: Connection, states: Sequence[RunState], known: Mapping[str, Task]) -> None:
    """Store what these runs (just stored themselves) change in their tasks, and settle earlier bad ends."""
    changed = update_tasks(states, known)
    again = [state for state in states if corrected(state)]
    for name in {state.task for state in again} & known.keys():
        relearn(connection, known[name])
        changed[name] = known[name]
    store_tasks(connection, changed)
    for state in again:
        unsettle(connection, state, known.get(state.task))
    renamed = [{"b_run": s.id, "b_task": s.task} for s in states if s.task_rank == 3 and s.status.open]
    if renamed:
        connection.execute(_FORGET, renamed)
    update_attention(connection, states)
