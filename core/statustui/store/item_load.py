"""Reading items and their steps for ``item_apply``; rows are locked in one order, so that nobody waits in rings."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, func, select

from statustui.model.item_state import ItemState, PipelineState
from statustui.store import item_rows
from statustui.store.item_bulk import Bulk
from statustui.store.item_schema import item_steps, items
from statustui.store.open import Store

_PART = 1000
_KEYS: BindParameter[Any] = bindparam("keys", expanding=True)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_STEPS: BindParameter[Any] = bindparam("steps", expanding=True)
_THERE = select(items.c.key).where(items.c.pipeline == bindparam("pipeline"), items.c.key.in_(_KEYS))
_BY_KEY = select(items).where(items.c.pipeline == bindparam("pipeline"), items.c.key.in_(_KEYS)).order_by(items.c.key)
_BY_ID = select(items).where(items.c.id.in_(_IDS)).order_by(items.c.pipeline, items.c.key)
_NEW = Bulk(items, ("pipeline", "key", "created_at", "updated_at"), ignore=True)
_SOME_CELLS = select(item_steps).where(item_steps.c.item.in_(_IDS), item_steps.c.step.in_(_STEPS))
_ALL_CELLS = select(item_steps).where(item_steps.c.item.in_(_IDS))
_ENDS = (
    select(item_steps.c.item, func.max(item_steps.c.completed_at))
    .where(item_steps.c.item.in_(_IDS))
    .group_by(item_steps.c.item)
)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def by_key(
    store: Store, connection: Connection, pipeline: PipelineState, keys: Iterable[str], *, make: bool
) -> dict[str, ItemState]:
    """Items of one pipeline by their keys, locked.

    Args:
        store: the store.
        connection: its connection, in a transaction.
        pipeline: theirs.
        keys: which.
        make: make rows for those that are not there.
    """
    wanted = sorted(set(keys))
    found: dict[str, ItemState] = {}
    statement = _BY_KEY.with_for_update() if store.database.lock_rows else _BY_KEY
    for start in range(0, len(wanted), _PART):
        part = wanted[start : start + _PART]
        values: dict[str, Any] = {"pipeline": pipeline.id, "keys": part}
        if make:
            there = set(connection.execute(_THERE, values).scalars())
            new = [(pipeline.id, key, _LONG_AGO, _LONG_AGO) for key in part if key not in there]
            _NEW.write(connection, new)
        for row in connection.execute(statement, values).mappings():
            found[row["key"]] = item_rows.item_state(row, pipeline)
    return found


def by_id(
    store: Store, connection: Connection, known: Mapping[int, PipelineState], ids: Iterable[int]
) -> list[ItemState]:
    """Items by their numbers, locked."""
    wanted = sorted(set(ids))
    found: list[ItemState] = []
    statement = _BY_ID.with_for_update() if store.database.lock_rows else _BY_ID
    for start in range(0, len(wanted), _PART):
        for row in connection.execute(statement, {"ids": wanted[start : start + _PART]}).mappings():
            found.append(item_rows.item_state(row, known[row["pipeline"]]))
    return found


def all_cells(connection: Connection, states: Sequence[ItemState]) -> None:
    """Put the rows of all steps into these items."""
    _put(connection, states, _ALL_CELLS, {})


def some_cells(connection: Connection, states: Sequence[ItemState], steps: Iterable[int]) -> None:
    """Put the rows of these steps into these items."""
    wanted = sorted(set(steps))
    if wanted:
        _put(connection, states, _SOME_CELLS, {"steps": wanted})


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
