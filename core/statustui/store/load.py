"""Reading states from the store for ``apply``, with a cache that a changed row invalidates."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from statustui.model.state import RunState, SubState, WriterState
from statustui.model.times import from_epoch
from statustui.store import rows
from statustui.store.batch import JournalBatch
from statustui.store.bulk import among
from statustui.store.open import Store
from statustui.store.schema import journals, run_details, subtasks
from statustui.store.schema import runs as runs_table

_PART = 500
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_OFFSETS = {
    dialect: select(journals.c.journal, journals.c.offset)
    .where(among(journals.c.journal, "ids", dialect))
    .order_by(journals.c.journal)
    for dialect in ("sqlite", "postgresql")
}
_WRITERS = select(journals).where(journals.c.journal.in_(_IDS))
_REVS = {
    dialect: select(runs_table.c.run_id, runs_table.c.id, runs_table.c.rev)
    .where(among(runs_table.c.run_id, "ids", dialect))
    .order_by(runs_table.c.run_id)
    for dialect in ("sqlite", "postgresql")
}
_OFFSETS_LOCKED, _REVS_LOCKED = (
    {dialect: statement.with_for_update() for dialect, statement in of.items()} for of in (_OFFSETS, _REVS)
)
_RUNS = select(runs_table).where(runs_table.c.id.in_(_IDS))
_DETAILS = select(run_details).where(run_details.c.run.in_(_IDS))
_SUBS = select(subtasks).where(subtasks.c.run.in_(_IDS)).order_by(subtasks.c.run, subtasks.c.number)
_NEW_JOURNAL = {
    "sqlite": sqlite.insert(journals).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(journals).on_conflict_do_nothing(),
}


def parts(names: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """*names* in parts that fit the number of parameters of one statement."""
    for start in range(0, len(names), _PART):
        yield names[start : start + _PART]


def introduce(writer: WriterState, record: dict[str, Any]) -> None:
    """Learn who writes, once."""
    if writer.pid is None:
        writer.take(record)


def writers(
    store: Store, connection: Connection, batches: Iterable[JournalBatch], now: float
) -> dict[str, WriterState]:
    """What has been applied of each journal of a batch; a row is made (and thereby locked) for a new one."""
    names = sorted({batch.journal for batch in batches})
    cached: dict[str, WriterState] = store.cache.get("writers", {})
    fresh = [name for name in names if name not in cached]
    if fresh:
        seen = from_epoch(now)
        connection.execute(_NEW_JOURNAL[store.dialect], [{"journal": name, "seen_at": seen} for name in fresh])
    found: dict[str, WriterState] = {}
    statement = (_OFFSETS_LOCKED if store.database.lock_rows else _OFFSETS)[store.dialect]
    stale: list[str] = []
    for part in parts(names):
        for journal, offset in connection.execute(statement, {"ids": part}):
            writer = cached.get(journal)
            if writer is None or writer.offset != offset:
                stale.append(journal)
            else:
                found[journal] = writer
    for part in parts(stale):
        for row in connection.execute(_WRITERS, {"ids": part}).mappings():
            found[row["journal"]] = rows.writer_state(row)
    return found


def runs(store: Store, connection: Connection, run_ids: Iterable[str], *, lock: bool) -> dict[str, RunState]:
    """States of those runs that the store has; rows are locked in one order, so that drainers do not block in rings."""
    cached: dict[str, RunState] = store.cache.get("runs", {})
    found: dict[str, RunState] = {}
    stale: list[int] = []
    statement = (_REVS_LOCKED if lock else _REVS)[store.dialect]
    for part in parts(sorted(run_ids)):
        for run_id, number, rev in connection.execute(statement, {"ids": part}):
            state = cached.get(run_id)
            if state is not None and state.rev == rev and state.id == number:
                found[run_id] = state
            else:
                stale.append(number)
    for part in parts(stale):
        found.update(states_of(connection, part))
    return found


def states_of(connection: Connection, ids: Sequence[int]) -> dict[str, RunState]:
    """States of runs by their numbers, as they are stored; at most 500 of them."""
    details = {row["run"]: row for row in connection.execute(_DETAILS, {"ids": ids}).mappings()}
    subs: dict[int, list[SubState]] = {}
    for row in connection.execute(_SUBS, {"ids": ids}).mappings():
        subs.setdefault(row["run"], []).append(rows.sub_state(row))
    return {
        row["run_id"]: rows.run_state(row, details.get(row["id"]), subs.get(row["id"], ()))
        for row in connection.execute(_RUNS, {"ids": ids}).mappings()
    }
