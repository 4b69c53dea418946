"""Reading items and their steps for ``item_apply``; rows are locked in one order, so that nobody waits in rings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, bindparam, func, select

from statustui.model.item_state import ItemState, PipelineState
from statustui.store import item_rows
from statustui.store.bulk import Bulk, among
from statustui.store.item_schema import item_steps, items
from statustui.store.open import Store

_PART = 1000
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_NEW = Bulk(items, ("pipeline", "key", "created_at", "updated_at"), ignore=True)


def _each(make: Callable[[str], Select[Any]]) -> dict[str, Select[Any]]:
    return {dialect: make(dialect) for dialect in ("sqlite", "postgresql")}


_OF_KEYS = _each(lambda d: select(items.c.key).where(
    items.c.pipeline == bindparam("pipeline"), among(items.c.key, "keys", d)))  # fmt: skip
_BY_KEY = _each(lambda d: select(items).where(
    items.c.pipeline == bindparam("pipeline"), among(items.c.key, "keys", d)).order_by(items.c.id))  # fmt: skip
_BY_ID = _each(lambda d: select(items).where(among(items.c.id, "ids", d)).order_by(items.c.pipeline, items.c.id))
_ALL_CELLS = _each(lambda d: select(item_steps).where(among(item_steps.c.item, "ids", d)))
_SOME_CELLS = _each(lambda d: select(item_steps).where(
    among(item_steps.c.item, "ids", d), among(item_steps.c.step, "steps", d)))  # fmt: skip
_ENDS = (
    select(item_steps.c.item, func.max(item_steps.c.completed_at))
    .where(item_steps.c.item.in_(_IDS))
    .group_by(item_steps.c.item)
)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def make(connection: Connection, pipeline: PipelineState, keys: Iterable[str]) -> None:
    """Make rows for those items that are not there.

    Whoever makes items of several pipelines does so in the order of their numbers, and before any item is locked.
    """
    wanted = sorted(set(keys))
    statement = _OF_KEYS[connection.dialect.name]
    there: set[str] = set()
    for part in _parts(connection, wanted):
        there.update(connection.execute(statement, {"pipeline": pipeline.id, "keys": part}).scalars())
    _NEW.write(connection, [(pipeline.id, key, _LONG_AGO, _LONG_AGO) for key in wanted if key not in there])


def by_key(store: Store, connection: Connection, pipeline: PipelineState, keys: Iterable[str]) -> dict[str, ItemState]:
    """Items of one pipeline by their keys, as far as they are there; locked in the order of their numbers."""
    found: dict[str, ItemState] = {}
    statement = _BY_KEY[store.dialect].with_for_update() if store.database.lock_rows else _BY_KEY[store.dialect]
    for part in _parts(connection, sorted(set(keys))):
        for row in connection.execute(statement, {"pipeline": pipeline.id, "keys": part}).mappings():
            found[row["key"]] = item_rows.item_state(row, pipeline)
    return found


def by_id(
    store: Store, connection: Connection, known: Mapping[int, PipelineState], ids: Iterable[int]
) -> list[ItemState]:
    """Items by their numbers, locked in the order of pipelines and numbers."""
    found: list[ItemState] = []
    statement = _BY_ID[store.dialect].with_for_update() if store.database.lock_rows else _BY_ID[store.dialect]
    for part in _parts(connection, sorted(set(ids))):
        for row in connection.execute(statement, {"ids": part}).mappings():
            found.append(item_rows.item_state(row, known[row["pipeline"]]))
    return found


def _parts(connection: Connection, wanted: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """All at once for PostgreSQL: two statements would lock in an order of their own."""
    size = _PART if connection.dialect.name == "sqlite" else max(1, len(wanted))
    return (wanted[start : start + size] for start in range(0, len(wanted), size))


def all_cells(connection: Connection, states: Sequence[ItemState]) -> None:
    """Put the rows of all steps into these items."""
    _put(connection, states, _ALL_CELLS[connection.dialect.name], {})


def some_cells(connection: Connection, states: Sequence[ItemState], steps: Iterable[int]) -> None:
    """Put the rows of these steps into these items."""
    wanted = sorted(set(steps))
    if wanted:
        _put(connection, states, _SOME_CELLS[connection.dialect.name], {"steps": wanted})


def _put(connection: Connection, states: Sequence[ItemState], statement: Any, values: dict[str, Any]) -> None:
    by_number = {item.id: item for item in states if item.id is not None}
    numbers = sorted(by_number)
    for start in range(0, len(numbers), _PART):
        part = {"ids": numbers[start : start + _PART]} | values
        for row in connection.execute(statement, part).mappings():
            item = by_number[row["item"]]
            known = item.pipeline.by_id.get(row["step"])
            if known is None or known.slot in item.cells:
                continue
            cell = item_rows.cell(row, known)
            cell.stored_letter = item.letter(known.slot)
            cell.stored_us = cell.duration_us if cell.stored_letter == "c" else None
            item.cells[known.slot] = cell


def ends(connection: Connection, numbers: Sequence[int]) -> dict[int, datetime]:
    """When the last step of each of these items ended, among those that are stored."""
    found: dict[int, datetime] = {}
    for start in range(0, len(numbers), _PART):
        for number, at in connection.execute(_ENDS, {"ids": numbers[start : start + _PART]}):
            if at is not None:
                found[number] = at
    return found


def failed_steps(states: Iterable[ItemState]) -> set[int]:
    """Steps that failed: an item shows the latest of its failures, and only the rows tell when they were."""
    return {
        item.pipeline.by_slot[slot].id for item in states for slot, letter in enumerate(item.states) if letter == "f"
    }
