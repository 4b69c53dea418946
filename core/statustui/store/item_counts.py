"""Counters of items and steps: folding what writers appended, and proving them by counting everything anew."""

from collections.abc import Iterable
from datetime import UTC, datetime
from datetime import date as Day
from typing import Any

from sqlalchemy import ARRAY, BigInteger, BindParameter, Connection, bindparam, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from statustui.model import histogram
from statustui.model.item_state import LETTERS, READY
from statustui.model.items import Difference
from statustui.store.item_schema import (
    item_counts,
    item_steps,
    items,
    pipelines,
    step_counts,
    step_deltas,
    step_totals,
    steps,
)
from statustui.store.open import Store
from statustui.store.requests import note_change
from statustui.store.schema import events

_AT_ONCE = 20_000
_LOCK = 0x7374_5549_0002
_PERIODS: BindParameter[Any] = bindparam("periods", expanding=True)
_ANY = select(step_deltas.c.id).limit(1)
_DELTAS = select(step_deltas).order_by(step_deltas.c.id).limit(_AT_ONCE)
_BELOW = delete(step_deltas).where(step_deltas.c.id <= bindparam("last"))
_THESE = delete(step_deltas).where(step_deltas.c.id == func.any(bindparam("ids", type_=ARRAY(BigInteger()))))
_OLD_COUNTS = select(step_counts).where(
    step_counts.c.pipeline == bindparam("pipeline"), step_counts.c.period.in_(_PERIODS),
    step_counts.c.status == "completed",
)  # fmt: skip
_OLD_TOTALS = select(step_totals).where(
    step_totals.c.pipeline == bindparam("pipeline"), step_totals.c.status == "completed"
)
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

Place = tuple[int, str, str, int, str]
"""(pipeline, period, kind, step or 0, status)."""


class _Sum:
    """One counter."""

    __slots__ = ("lanes", "n", "us")

    def __init__(self) -> None:
        self.n = 0
        self.us = 0
        self.lanes: dict[int, int] = {}

    def add(self, n: int, us: int, lanes: dict[int, int]) -> None:
        self.n += n
        self.us += us
        for number, change in lanes.items():
            self.lanes[number] = self.lanes.get(number, 0) + change

    def value(self) -> tuple[int, int, dict[int, int]]:
        return self.n, self.us, {number: n for number, n in self.lanes.items() if n}


Sums = dict[Place, _Sum]


def periods(day: Day | None) -> tuple[str, ...]:
    """The periods in which something of a date is counted: all dates, its month, its day."""
    return ("",) if day is None else ("", day.isoformat()[:7], day.isoformat())


def _upsert(dialect: str, table: Any, keys: tuple[str, ...], *, timed: bool) -> Any:
    statement = _INSERTS[dialect](table)
    changes = {"n": table.c.n + statement.excluded.n}
    if timed:
        changes["duration_us"] = table.c.duration_us + statement.excluded.duration_us
        # Only one folds at a time, and it has read the old one.
        changes["durations"] = func.coalesce(statement.excluded.durations, table.c.durations)
    return statement.on_conflict_do_update(index_elements=list(keys), set_=changes)


_COUNTS = {d: _upsert(d, step_counts, ("pipeline", "period", "kind", "step", "status"), timed=True) for d in _INSERTS}
_TOTALS = {d: _upsert(d, step_totals, ("pipeline", "kind", "step", "status"), timed=True) for d in _INSERTS}
_ITEMS = {d: _upsert(d, item_counts, ("pipeline", "period", "kind", "status"), timed=False) for d in _INSERTS}


def fold_deltas(store: Store) -> int:
    """Bring what writers appended into the counters. Who comes while another folds has nothing to do.

    Returns:
        How many rows were folded; call it again while it is many.
    """
    if store.connection.execute(_ANY).first() is None:
        return 0
    with store.write() as connection:
        if not _alone(store, connection):
            return 0
        rows = connection.execute(_DELTAS).mappings().all()
        if not rows:
            return 0
        sums: Sums = {}
        _gather(sums, rows)
        write(connection, sums)
        if store.dialect == "sqlite":
            connection.execute(_BELOW, {"last": rows[-1]["id"]})
        else:  # A smaller number may still be on its way.
            connection.execute(_THESE, {"ids": [row["id"] for row in rows]})
        return len(rows)


def _alone(store: Store, connection: Connection) -> bool:
    """Whether nobody else folds; on SQLite the transaction itself sees to it."""
    if store.dialect == "sqlite":
        return True
    if not connection.execute(select(func.pg_try_advisory_xact_lock(_LOCK))).scalar_one():
        return False
    # A recount that mends holds this: what it deletes must not have been read before.
    connection.exec_driver_sql("LOCK TABLE step_totals IN ROW EXCLUSIVE MODE")
    return True


def _gather(sums: Sums, rows: Iterable[Any]) -> None:
    for row in rows:
        lanes = {int(number): n for number, n in (row["durations"] or {}).items()}
        for period in periods(row["date"]):
            place = (row["pipeline"], period, row["kind"], row["step"], row["status"])
            sums.setdefault(place, _Sum()).add(row["n"], row["duration_us"], lanes)


def write(connection: Connection, sums: Sums) -> None:
    """Add *sums* to the stored counters."""
    dialect = connection.dialect.name
    old = _stored_durations(connection, sums)
    rows: dict[str, list[dict[str, Any]]] = {"items": [], "totals": [], "counts": []}
    for place in sorted(sums):
        pipeline, period, kind, step, status = place
        n, us, lanes = sums[place].value()
        if not (n or us or lanes):
            continue
        row: dict[str, Any] = {"pipeline": pipeline, "kind": kind, "status": status, "n": n}
        if not step:
            rows["items"].append(row | {"period": period})
            continue
        row |= {"step": step, "duration_us": us, "durations": histogram.add(old.get(place), lanes) if lanes else None}
        if lanes and row["durations"] is None:
            row["durations"] = b""
        rows["counts" if period else "totals"].append(row | {"period": period} if period else row)
    for name, statement in (("items", _ITEMS), ("totals", _TOTALS), ("counts", _COUNTS)):
        if rows[name]:
            connection.execute(statement[dialect], rows[name])


def _stored_durations(connection: Connection, sums: Sums) -> dict[Place, bytes]:
    wanted: dict[int, set[str]] = {}
    for (pipeline, period, _, step, _), one in sums.items():
        if step and one.lanes:
            wanted.setdefault(pipeline, set()).add(period)
    found: dict[Place, bytes] = {}
    for pipeline, names in wanted.items():
        rows = list(connection.execute(_OLD_TOTALS, {"pipeline": pipeline}).mappings())
        days = sorted(names - {""})
        for start in range(0, len(days), 500):
            values = {"pipeline": pipeline, "periods": days[start : start + 500]}
            rows += connection.execute(_OLD_COUNTS, values).mappings()
        for row in rows:
            if row["durations"]:
                place = (pipeline, row.get("period", ""), row["kind"], row["step"], row["status"])
                found[place] = row["durations"]
    return found


def recount(store: Store, *, fix: bool = False) -> list[Difference]:
    """Count everything anew and compare; with *fix* the counters are made what counting gives.

    What changes meanwhile is not in the way: one snapshot is looked at. Only mending holds others up (SQLite).

    Returns:
        The counters that differed.
    """
    if not fix:
        with store.read() as connection:
            _take_time(store, connection)
            return _compare(connection, _stored(connection), counted(connection))
    with store.write() as connection:
        if store.dialect == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            # Waits until nobody folds; only the first question after it takes the snapshot.
            connection.exec_driver_sql("LOCK TABLE step_totals IN SHARE ROW EXCLUSIVE MODE")
            _take_time(store, connection)
        found = counted(connection)
        different = _compare(connection, _stored(connection), found)
        if different:
            for table in (step_deltas, step_counts, step_totals, item_counts):
                connection.execute(delete(table))
            write(connection, found)
        return different


def _take_time(store: Store, connection: Connection) -> None:
    if store.dialect == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


def note_recount(store: Store, number: int, actor: str) -> None:
    """Write into the trail that so many counters were mended, and by whom."""
    with store.write() as connection:
        message = f"doctor --recount --fix: {number} counters mended"
        connection.execute(
            insert(events), {"at": datetime.now(UTC), "kind": "recount", "message": message, "actor": actor}
        )
        note_change(connection)


def counted(connection: Connection) -> Sums:
    """What the counters should be, from the items and their steps themselves."""
    sums: Sums = {}
    slots: dict[tuple[int, int], int] = {}
    for row in connection.execute(select(steps.c.id, steps.c.pipeline, steps.c.slot)):
        slots[row.pipeline, row.slot] = row.id
    columns = (items.c.pipeline, items.c.kind, items.c.date, items.c.status, items.c.states)
    for pipeline, kind, day, status, states, n in connection.execute(
        select(*columns, func.count()).where(items.c.definition > 0).group_by(*columns)
    ):
        cells = [(0, status)]
        for slot, letter in enumerate(states):
            if letter != ".":
                cells.append((slots[pipeline, slot], LETTERS[letter].value))
                if letter == "r":
                    cells.append((slots[pipeline, slot], READY))
        for period in periods(day):
            for step, word in cells:
                sums.setdefault((pipeline, period, kind or "", step, word), _Sum()).add(n, 0, {})
    timed = (
        select(items.c.pipeline, items.c.kind, items.c.date, item_steps.c.step, item_steps.c.duration_s)
        .select_from(item_steps.join(items, items.c.id == item_steps.c.item))
        .join(steps, steps.c.id == item_steps.c.step)
        .where(item_steps.c.status == "completed", item_steps.c.duration_s.is_not(None))
        .where(func.substr(items.c.states, steps.c.slot + 1, 1) == "c")
    )
    # Not all at once: there may be millions.
    for pipeline, kind, day, step, seconds in connection.execute(timed, execution_options={"yield_per": _AT_ONCE}):
        us = round(seconds * 1e6)
        lanes = {histogram.bucket(us / 1e6): 1}
        for period in periods(day):
            sums.setdefault((pipeline, period, kind or "", step, "completed"), _Sum()).add(0, us, lanes)
    return sums


def _stored(connection: Connection) -> Sums:
    sums: Sums = {}
    _gather(sums, connection.execute(select(step_deltas)).mappings())
    for table in (step_counts, step_totals, item_counts):
        for row in connection.execute(select(table)).mappings():
            place = (row["pipeline"], row.get("period", ""), row["kind"], row.get("step", 0), row["status"])
            lanes = histogram.counts(histogram.unpack(row.get("durations")))
            sums.setdefault(place, _Sum()).add(row["n"], row.get("duration_us", 0), lanes)
    return sums


def _compare(connection: Connection, stored: Sums, found: Sums) -> list[Difference]:
    names = {row.id: row.name for row in connection.execute(select(pipelines.c.id, pipelines.c.name))}
    keys = {row.id: row.key for row in connection.execute(select(steps.c.id, steps.c.key))}
    nothing = _Sum()
    different = []
    for place in sorted({*stored, *found}):
        have, true = stored.get(place, nothing).value(), found.get(place, nothing).value()
        if have != true:
            pipeline, period, kind, step, status = place
            different.append(
                Difference(
                    pipeline=names.get(pipeline, str(pipeline)), period=period, kind=kind,
                    step=keys.get(step, str(step)) if step else "", status=status, stored=have[0], counted=true[0],
                )
            )  # fmt: skip
    return different
