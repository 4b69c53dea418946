"""Taking back what a run's end did to others, when the kernel's word corrects a provisional good end into a bad one."""

from typing import Any

from sqlalchemy import Connection, bindparam, case, exists, func, null, or_, select, update

from statustui.model.state import RunState
from statustui.model.status import RunStatus
from statustui.store.schema import runs, subtasks

_CHAIN = 50
_BAD = [status.value for status in RunStatus if status.bad]
_later = runs.alias("later")
_LATEST_GOOD = (
    select(runs.c.id, runs.c.started_at)
    .where(runs.c.task == bindparam("task"), runs.c.status == RunStatus.FINISHED.value)
    .order_by(runs.c.started_at.desc())
    .limit(1)
)
_LEAVES = select(func.count()).where(subtasks.c.run == bindparam("id"), ~subtasks.c.heading)
_UNSETTLE = {
    "resolved": False,
    "rev": runs.c.rev + 1,
    # Of attempts that failed one after the other the last one asks for attention.
    "attention_at": case(
        (exists().where(_later.c.retry_of == runs.c.run_id, _later.c.status.in_(_BAD)), null()),
        else_=runs.c.ended_at,
    ),
}
_OF_TASK = (
    update(runs)
    .where(runs.c.task == bindparam("b_task"), runs.c.resolved, runs.c.status.in_(_BAD))
    .where(or_(bindparam("b_since", type_=runs.c.started_at.type).is_(None), runs.c.started_at > bindparam("b_since")))
    .values(_UNSETTLE)
)
_OF_RUN = update(runs).where(runs.c.run_id == bindparam("b_run_id"), runs.c.resolved).values(_UNSETTLE)
_BEFORE = select(runs.c.retry_of).where(runs.c.run_id == bindparam("run_id"))


def corrected(state: RunState) -> bool:
    """Was this run stored as finished, and is it now known to have ended otherwise?"""
    return state.counted is not None and state.counted[1] == RunStatus.FINISHED and not _good(state)


def _good(state: RunState) -> bool:
    return state.status is RunStatus.FINISHED


def relearn(connection: Connection, task: dict[str, Any]) -> None:
    """Take from the runs that are stored which good one is now the task's latest, and how many subtasks it had."""
    row = connection.execute(_LATEST_GOOD, {"task": task["name"]}).first()
    task["good_started_at"] = None if row is None else row.started_at
    leaves = 0 if row is None else connection.execute(_LEAVES, {"id": row.id}).scalar()
    task["expected_subtasks"] = leaves or None


def unsettle(connection: Connection, state: RunState, task: dict[str, Any] | None) -> None:
    """Bad ends that this run alone had settled (*task* as :func:`relearn` left it) need somebody again."""
    if task is not None:
        connection.execute(_OF_TASK, {"b_task": state.task, "b_since": task["good_started_at"]})
    before = state.retry_of
    for _ in range(_CHAIN):
        if before is None:
            break
        connection.execute(_OF_RUN, {"b_run_id": before})
        before = connection.execute(_BEFORE, {"run_id": before}).scalar()
