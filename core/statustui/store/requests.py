"""What people ask for and change: each change guarded, and written into the audit trail with who did it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, cast, func, insert, select
from sqlalchemy import Text as SqlText
from sqlalchemy import update as sql_update

from statustui.errors import StatustuiError
from statustui.model.clean import text as cleaned
from statustui.model.fold import fold_death
from statustui.model.run import Request
from statustui.model.state import NewEvent
from statustui.model.status import RequestKind, RequestState, RunStatus
from statustui.model.times import to_epoch, utc_now
from statustui.store import load, records, rows, save, statistics
from statustui.store.open import Store
from statustui.store.schema import events, meta, requests, runs

__all__ = ["NoSuchRun", "acknowledge", "ask", "event", "mark_lost", "named", "resume", "take", "update"]

_OPEN = (RequestState.ASKED.value, RequestState.TAKEN.value)
_KINDS = frozenset(kind.value for kind in RequestKind)
# A drainer looks once a second: a flood of rows must not become one long transaction.
_AT_ONCE = 200
# Built once: an idle drainer asks it every second, and making a statement costs more than its answer.
_WAITING = (
    select(requests)
    .where(
        requests.c.machine == bindparam("owner"),
        requests.c.done_at.is_(None),
        requests.c.state == bindparam("wanted"),
    )
    .order_by(requests.c.id)
    .limit(_AT_ONCE)
)
_ANY = _WAITING.with_only_columns(requests.c.id).limit(1)


class NoSuchRun(StatustuiError):
    """There is no such run in the store."""


def ask(
    store: Store,
    kind: RequestKind,
    run_id: str,
    *,
    by: str,
    origin: str,
    reason: str | None = None,
    now: bool = False,
) -> Request:
    """Write down what a person wants; the drainer of the run's owner carries it out or refuses.

    Asking again for what is asked already gives the same request.

    Args:
        store: the store.
        kind: what.
        run_id: of which run.
        by: who asks.
        origin: host and terminal of the person.
        reason: why, for the trail.
        now: end at once: a cancel becomes a kill.

    Raises:
        NoSuchRun: the store has no such run.
    """
    if now and kind is RequestKind.CANCEL:
        kind = RequestKind.KILL
    at = utc_now()
    with store.write() as connection:
        run = connection.execute(select(runs.c.id, runs.c.machine, runs.c.task).where(runs.c.run_id == run_id)).first()
        if run is None:
            raise NoSuchRun(f"there is no run {run_id} in the store")
        there = connection.execute(
            select(requests).where(
                requests.c.run_id == run_id, requests.c.kind == kind.value, requests.c.done_at.is_(None)
            )
        ).mappings().first()  # fmt: skip
        if there is not None:
            return records.request(there)
        values = {
            "kind": kind.value, "run_id": run_id, "machine": run.machine, "state": RequestState.ASKED.value,
            "asked_by": cleaned(by, 200) or "", "asked_from": cleaned(origin, 200) or "", "asked_at": at,
            "reason": cleaned(reason, 4096), "role": store.database.role(connection),
        }  # fmt: skip
        made = connection.execute(insert(requests).values(values)).inserted_primary_key
        _tell(connection, run.id, run.task, kind.value, at, by, status=RequestState.ASKED.value, message=reason)
        note_change(connection)
        row = connection.execute(select(requests).where(requests.c.id == (made[0] if made else 0))).mappings().one()
        return records.request(row)


def take(store: Store, machine: str, operators: Iterable[str] = ()) -> list[Request]:
    """Take what is asked of the drainer of *machine*; each request is given to one taker only.

    A request counts only when the store can tell that the run's owner asked: the same database role (or one of
    *operators*), or a file that only the owner can write. What does not count is refused, with the reason.
    """
    return _trusted(store, machine, operators, RequestState.ASKED)


def resume(store: Store, machine: str, operators: Iterable[str] = ()) -> list[Request]:
    """What an earlier drainer of *machine* had taken and not done; believed no more than what is asked now.

    Whoever can write to the store can also write a row that looks taken.
    """
    return _trusted(store, machine, operators, RequestState.TAKEN)


def _trusted(store: Store, machine: str, operators: Iterable[str], state: RequestState) -> list[Request]:
    wanted = {"owner": machine, "wanted": state.value}
    if store.connection.execute(_ANY, wanted).first() is None:
        return []
    taken: list[Request] = []
    with store.write() as connection:
        me = store.database.role(connection)
        for row in connection.execute(_WAITING, wanted).mappings().all():
            refusal = store.database.distrust(row["role"], me, tuple(operators))
            if refusal is None and row["kind"] not in _KINDS:
                refusal = "this statustui knows no such request"
            to = RequestState.TAKEN if refusal is None else RequestState.REFUSED
            if _update(connection, row["id"], to, refusal, None, (state.value,), me) and refusal is None:
                taken.append(
                    records.request(
                        connection.execute(select(requests).where(requests.c.id == row["id"])).mappings().one()
                    )
                )
        note_change(connection)
    return taken


def update(
    store: Store,
    id: int,
    state: RequestState,
    answer: str | None = None,
    kill_at: datetime | None = None,
) -> bool:
    """Say how far a request has come; one that is done stays as it is.

    Returns:
        False when it was done already.
    """
    with store.write() as connection:
        me = store.database.role(connection) if state is not RequestState.TAKEN else None
        changed = _update(connection, id, state, answer, kill_at, _OPEN, me)
        if changed:
            note_change(connection)
        return changed


def _update(
    connection: Connection,
    number: int,
    state: RequestState,
    answer: str | None,
    kill_at: datetime | None,
    allowed: tuple[str, ...],
    me: str | None,
) -> bool:
    at = utc_now()
    values: dict[str, Any] = {"state": state.value}
    if answer is not None:
        values["answer"] = cleaned(answer, 4096)
    if kill_at is not None:
        values["kill_at"] = kill_at
    if state is RequestState.TAKEN:
        values["taken_at"] = func.coalesce(requests.c.taken_at, at)
    done = state in (RequestState.DONE, RequestState.REFUSED)
    if done:
        values["done_at"] = at
    guarded = sql_update(requests).where(
        requests.c.id == number, requests.c.done_at.is_(None), requests.c.state.in_(allowed)
    )
    if connection.execute(guarded.values(values)).rowcount != 1:
        return False
    if done:
        row = connection.execute(
            select(requests.c.kind, requests.c.asked_by, requests.c.role, runs.c.id, runs.c.task)
            .select_from(requests.outerjoin(runs, runs.c.run_id == requests.c.run_id))
            .where(requests.c.id == number)
        ).one()
        who = named(row.asked_by, row.role, me)
        _tell(connection, row.id, row.task, row.kind, at, who, status=state.value, message=answer)
    return True


def named(by: str, role: str | None, me: str | None) -> str:
    """Who asked, for the trail: what the client says, and the database role where it is not the owner's own (*me*)."""
    return by if role is None or role == me else f"{by} (database role {role})"


def acknowledge(store: Store, run_ids: Iterable[str], by: str) -> int:
    """Somebody has seen these bad ends: they leave *Needs you*.

    Returns:
        How many were not acknowledged before.
    """
    at = utc_now()
    number = 0
    with store.write() as connection:
        for run_id in run_ids:
            guarded = sql_update(runs).where(
                runs.c.run_id == run_id, runs.c.ended_at.is_not(None), runs.c.acked_at.is_(None)
            )
            values = {"acked_by": cleaned(by, 200), "acked_at": at, "attention_at": None, "rev": runs.c.rev + 1}
            if connection.execute(guarded.values(values)).rowcount == 1:
                number += 1
                run = connection.execute(select(runs.c.id, runs.c.task).where(runs.c.run_id == run_id)).one()
                _tell(connection, run.id, run.task, "ack", at, by)
        if number:
            note_change(connection)
    return number


def mark_lost(store: Store, run_id: str, reason: str, by: str) -> bool:
    """Somebody knows that a run is gone; a later sign of life undoes it.

    Returns:
        False when the run had ended already.

    Raises:
        NoSuchRun: the store has no such run.
    """
    at = utc_now()
    lock = store.database.lock_rows
    try:
        with store.write() as connection:
            state = load.runs(store, connection, [run_id], lock=lock).get(run_id)
            if state is None:
                raise NoSuchRun(f"there is no run {run_id} in the store")
            if not state.status.open:
                return False
            state.events.append(NewEvent(at=to_epoch(at), kind="mark", status="lost", message=reason, actor=by))
            fold_death(state, RunStatus.LOST, to_epoch(at), reason=f"marked lost by {by}: {reason}")
            known = statistics.load_tasks(connection, [state], to_epoch(at), lock=lock)
            statistics.settle_attention([state], known)
            save.runs(connection, [state])
            statistics.save(connection, [state], known)
            state.counted = rows.counted(state)
            note_change(connection)
    finally:
        store.cache.pop("runs", None)
    return True


def event(store: Store, run_id: str, kind: str, message: str | None, actor: str | None) -> None:
    """Add a line to the audit trail.

    Raises:
        NoSuchRun: the store has no such run.
    """
    with store.write() as connection:
        run = connection.execute(select(runs.c.id, runs.c.task).where(runs.c.run_id == run_id)).first()
        if run is None:
            raise NoSuchRun(f"there is no run {run_id} in the store")
        _tell(connection, run.id, run.task, kind, utc_now(), actor, message=message)
        note_change(connection)


def _tell(
    connection: Connection,
    run: int | None,
    task: str | None,
    kind: str,
    at: datetime,
    actor: str | None,
    *,
    status: str | None = None,
    message: str | None = None,
) -> None:
    values = {
        "run": run, "task": task, "kind": cleaned(kind, 50), "at": at, "actor": cleaned(actor, 200), "status": status,
        "message": cleaned(message, 4096),
    }  # fmt: skip
    connection.execute(insert(events).values(values))


def note_change(connection: Connection) -> None:
    """Let viewers notice a change that no drainer made."""
    raised = cast(cast(meta.c.value, BigInteger) + 1, SqlText)
    connection.execute(sql_update(meta).where(meta.c.key == "changes").values(value=raised))
