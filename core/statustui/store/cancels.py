"""Who asked for the end of runs that are about to be recorded as ended badly."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, select

from statustui.model.state import Cancel, RunState
from statustui.model.status import RequestKind, RequestState, RunStatus
from statustui.model.times import to_epoch
from statustui.store.batch import Batch
from statustui.store.load import parts
from statustui.store.open import Store
from statustui.store.requests import named
from statustui.store.schema import requests, runs

_DEPTH = 16
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_PARENTS = select(runs.c.run_id, runs.c.parent_run_id).where(runs.c.run_id.in_(_IDS), runs.c.parent_run_id.is_not(None))
_ASKED = (
    select(requests.c.run_id, requests.c.asked_by, requests.c.role, requests.c.reason, requests.c.taken_at)
    .where(
        requests.c.run_id.in_(_IDS),
        requests.c.kind.in_((RequestKind.CANCEL.value, RequestKind.KILL.value)),
        requests.c.state.in_((RequestState.TAKEN.value, RequestState.DONE.value)),
        requests.c.taken_at.is_not(None),
    )
    .order_by(requests.c.id.desc())
)


def taken(store: Store, connection: Connection, batch: Batch, states: Mapping[str, RunState]) -> dict[str, Cancel]:
    """Cancels that a drainer has taken, of the runs that *batch* ends badly and of the runs around those.

    Returns:
        run_id → who asked; the first request counts, and a run's own before those of the runs around it.
    """
    ending = set(_ending_badly(batch))
    if not ending:
        return {}
    parents = _parents(connection, batch, states, ending)
    asked: dict[str, Cancel] = {}
    for part in parts(sorted({*ending, *parents, *parents.values()})):
        for run_id, by, role, reason, at in connection.execute(_ASKED, {"ids": part}):
            me = store.database.role(connection) if role is not None else None
            text = f"cancelled by {named(by, role, me)}" + (f": {reason}" if reason else "")
            asked[run_id] = Cancel(to_epoch(at), text)
    found = {}
    for run_id in ending if asked else ():
        around: str | None = run_id
        for _ in range(_DEPTH):  # parents may go in a circle: nobody checks what programs say
            if around is None or around in asked:
                break
            around = parents.get(around)
        if around is not None and around in asked:
            found[run_id] = asked[around]
    return found


def _ending_badly(batch: Batch) -> Iterable[str]:
    for journal in batch.journals:
        for _, _, record in journal.lines:
            if record.get("k") == "run.end" and record.get("status") != RunStatus.FINISHED.value:
                run_id = record.get("run")
                if isinstance(run_id, str) and run_id:
                    yield run_id
    for death in batch.deaths:
        if death.status != RunStatus.FINISHED:
            yield death.run_id


def _parents(connection: Connection, batch: Batch, states: Mapping[str, RunState], ending: set[str]) -> dict[str, str]:
    """run_id → the run around it, upwards from those that end."""
    found = {state.run_id: state.parent_run_id for state in states.values() if state.parent_run_id is not None}
    for journal in batch.journals:
        for _, _, record in journal.lines:
            run_id, parent = record.get("run"), record.get("parent")
            if record.get("k") == "run.start" and isinstance(run_id, str) and isinstance(parent, str):
                found.setdefault(run_id, parent)
    asked = set(ending)
    for _ in range(_DEPTH):
        above = {found[run_id] for run_id in asked if run_id in found}
        unknown = sorted(run_id for run_id in above if run_id not in found)
        for part in parts(unknown):
            for run_id, parent in connection.execute(_PARENTS, {"ids": part}):
                found[run_id] = parent
        if not above - asked:
            break
        asked |= above
    return found
