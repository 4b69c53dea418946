"""Writing changed states to the store: a few statements for a whole batch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from statustui.model.state import RunState, WriterState
from statustui.model.times import from_epoch, utc_now
from statustui.store import rows
from statustui.store.batch import HostInfo
from statustui.store.bulk import Bulk, Update
from statustui.store.load import parts
from statustui.store.schema import events, hosts, journals, run_counts, run_details, subtasks
from statustui.store.schema import runs as runs_table

# Of one signature, but of two classes that have no common base with it.
_DIALECTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


_FULL_NAMES = tuple(name for name in rows.RUN if name != "run_id")
_NEW = Bulk(runs_table, (*rows.RUN, "rev"))
_HOT = Update(runs_table, "id", ("rev", *rows.HOT))
_FULL = Update(runs_table, "id", ("rev", *_FULL_NAMES))
_DETAILS = Bulk(run_details, ("run", *rows.DETAILS, "samples"), ("run",))
_SUBS = Bulk(subtasks, ("run", *rows.SUB), ("run", "number"))
_EVENTS = Bulk(events, ("at", "run", "task", "kind", "status", "message", "detail", "actor"))
_JOURNALS = Bulk(journals, (*rows.WRITER, "counts", "seen_at"), ("journal",))
_IDS = select(runs_table.c.run_id, runs_table.c.id).where(runs_table.c.run_id.in_(bindparam("ids", expanding=True)))
_ATTEMPT = select(runs_table.c.attempt).where(runs_table.c.run_id == bindparam("retry_of"))
_FOLLOWED = select(runs_table.c.retry_of).where(runs_table.c.retry_of.in_(bindparam("ids", expanding=True)))
_RETRIED = (
    update(runs_table)
    .where(runs_table.c.run_id == bindparam("b_retry_of"), runs_table.c.retried.is_(False))
    .values(retried=True, rev=runs_table.c.rev + 1)
)


def _counter(dialect: str) -> Any:
    statement = _DIALECTS[dialect](run_counts)
    return statement.on_conflict_do_update(
        index_elements=["hour", "status", "machine"], set_={"n": run_counts.c.n + statement.excluded.n}
    )


_COUNTERS = {dialect: _counter(dialect) for dialect in _DIALECTS}


def runs(connection: Connection, states: Sequence[RunState]) -> None:
    """Store new and changed runs with their details, subtasks, events and counters."""
    counters: dict[tuple[int, str, str], int] = {}
    _insert(connection, [s for s in states if s.id is None], counters)
    known = [s for s in states if s.rev]
    for statement, names, changed in (
        (_HOT, rows.HOT, [s for s in known if s.dirty == 1]),
        (_FULL, _FULL_NAMES, [s for s in known if s.dirty == 2]),
    ):
        statement.write_named(connection, [rows.run_row(s, names) | {"id": s.id, "rev": s.rev + 1} for s in changed])
    _mark_retried(connection, states)
    _DETAILS.write_named(connection, [rows.details_row(s) for s in states if s.details_dirty])
    _SUBS.write_named(
        connection, [rows.sub_row(s.id or 0, sub) for s in states for sub in s.subs.values() if sub.dirty]
    )
    _EVENTS.write(
        connection,
        [
            (from_epoch(e.at), s.id, s.task, e.kind, e.status, e.message, e.detail, e.actor)
            for s in states
            for e in s.events
        ],
    )
    _count(states, counters)
    count(connection, counters)
    for state in states:
        _stored(state)


def _insert(connection: Connection, states: Sequence[RunState], counters: dict[tuple[int, str, str], int]) -> None:
    if not states:
        return
    for state in states:
        if state.retry_of and state.attempt <= 1:
            state.attempt = (connection.execute(_ATTEMPT, {"retry_of": state.retry_of}).scalar() or 1) + 1
    # Short numbers follow the order of starts.
    ordered = sorted(states, key=lambda s: (s.started_at, s.start_m or 0.0, s.run_id))
    _NEW.write_named(connection, [rows.run_row(s) | {"rev": 1} for s in ordered])
    ids: dict[str, int] = {}
    for part in parts([s.run_id for s in states]):
        ids.update({row[0]: row[1] for row in connection.execute(_IDS, {"ids": part})})
    for state in states:
        state.id = ids[state.run_id]
        key = (0, "all", state.machine or "")
        counters[key] = counters.get(key, 0) + 1


def _mark_retried(connection: Connection, states: Iterable[RunState]) -> None:
    """Mark the attempts that these runs follow, and those of these runs that another follows already.

    Journals come in any order: the program inside a wrapper may make the run known before the wrapper says what it
    is a retry of, and a retry may be known before the attempt that it follows.
    """
    changed = [s for s in states if s.dirty == 2]
    mark_followed(connection, {s.retry_of for s in changed}, [s.run_id for s in changed if not s.rev])


def mark_followed(connection: Connection, before: Iterable[str | None], new: Sequence[str]) -> None:
    """Mark attempts that others follow: *before* by what was just stored, and those of *new* by what was there."""
    earlier = {run_id for run_id in before if run_id}
    for part in parts(new):
        earlier.update(connection.execute(_FOLLOWED, {"ids": part}).scalars())
    if earlier:
        connection.execute(_RETRIED, [{"b_retry_of": run_id} for run_id in sorted(earlier)])


def count(connection: Connection, counters: Mapping[tuple[int, str, str], int]) -> None:
    """Add to the counters of runs: (hour of the end, status, machine) → how many more."""
    changes = [{"hour": h, "status": st, "machine": m, "n": n} for (h, st, m), n in sorted(counters.items()) if n]
    if changes:
        connection.execute(_COUNTERS[connection.dialect.name], changes)


def _count(states: Iterable[RunState], counters: dict[tuple[int, str, str], int]) -> None:
    """Changes of the counters of ended runs."""
    for state in states:
        now = rows.counted(state)
        if now == state.counted:
            continue
        for place, change in ((state.counted, -1), (now, 1)):
            if place is not None:
                key = (*place, state.machine or "")
                counters[key] = counters.get(key, 0) + change


def _stored(state: RunState) -> None:
    state.rev += 1
    state.dirty = 0
    state.details_dirty = False
    state.events.clear()
    for sub in state.subs.values():
        sub.dirty = False


def writers(connection: Connection, states: Iterable[WriterState], now: float) -> None:
    """Store the offsets of journals and what each writer has counted."""
    changed = sorted((w for w in states if w.dirty), key=lambda w: w.journal)
    if not changed:
        return
    seen = from_epoch(now)
    _JOURNALS.write_named(connection, [rows.writer_row(w) | {"seen_at": seen} for w in changed])
    for writer in changed:
        writer.dirty = False


def _heard(dialect: str) -> Any:
    names = ("machine", "host", "user", "boot_id", "drainer_pid", "drainer_version", "facts_dropped",
             "progress_dropped")  # fmt: skip
    values: dict[str, Any] = {name: bindparam(name) for name in names} | {"rev": 1}
    # By the store's clock: the clocks of hosts differ.
    values["last_heard"] = func.clock_timestamp() if dialect == "postgresql" else bindparam("last_heard")
    statement = _DIALECTS[dialect](hosts).values(values)
    changes: dict[str, Any] = {name: statement.excluded[name] for name in ("host", "user", "last_heard")}
    for name in ("boot_id", "drainer_pid", "drainer_version"):  # a program that applies its own journal is no drainer
        changes[name] = func.coalesce(statement.excluded[name], hosts.c[name])
    for name in ("facts_dropped", "progress_dropped", "rev"):
        changes[name] = hosts.c[name] + statement.excluded[name]
    return statement.on_conflict_do_update(index_elements=["machine"], set_=changes)


_HEARD = {dialect: _heard(dialect) for dialect in _DIALECTS}


def host(connection: Connection, info: HostInfo, dropped: Sequence[int]) -> None:
    """The host has been heard of, and its drainer has changed something."""
    dialect = connection.dialect.name
    values = {
        "machine": info.machine, "host": info.host, "user": info.user, "boot_id": info.boot_id,
        "drainer_pid": info.pid, "drainer_version": info.version, "facts_dropped": dropped[0],
        "progress_dropped": dropped[1],
    }  # fmt: skip
    connection.execute(_HEARD[dialect], values if dialect == "postgresql" else values | {"last_heard": utc_now()})
