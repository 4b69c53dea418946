"""Writing changed items, their steps, their story and the changes of the counters, in a few statements a batch."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from statustui.model.item_state import CellKey, ItemState, Tally
from statustui.model.status import ItemStatus
from statustui.model.times import from_epoch, to_epoch
from statustui.store import item_load, item_rows
from statustui.store.bulk import Bulk
from statustui.store.item_schema import item_steps, items, step_deltas
from statustui.store.schema import events

_ITEMS = Bulk(items, item_rows.ITEM, ("id",))
_CELLS = Bulk(item_steps, item_rows.CELL, ("item", "step"))
_READY = Bulk(item_steps, ("item", "step", "status", "ready", "updated_at"), ("item", "step"))
_EVENTS = Bulk(events, item_rows.EVENT)
_DELTAS = Bulk(step_deltas, ("pipeline", "kind", "date", "step", "status", "n", "duration_us", "durations"))


def save(connection: Connection, states: Iterable[ItemState]) -> int:
    """Store what changed of these items.

    Returns:
        How many of them had changed.
    """
    changed = sorted((item for item in states if item.dirty), key=lambda item: item.id or 0)
    if not changed:
        return 0
    whole = changed
    # Those that wait for a definition have no steps yet, and are not counted.
    changed = [item for item in changed if item.pipeline.rev]
    for item in changed:
        item.derive()
    # In the order of their keys, as everybody writes them: nobody waits in rings.
    cells = sorted(
        ((item, cell) for item in changed for cell in item.cells.values() if cell.dirty),
        key=lambda entry: (entry[0].id, entry[1].known.id),
    )
    _CELLS.write(connection, [item_rows.cell_row(item.id or 0, cell) for item, cell in cells if not cell.bare])
    _READY.write(
        connection,
        [
            (item.id, cell.known.id, cell.seen.status.value, cell.ready, from_epoch(cell.updated_at))
            for item, cell in cells
            if cell.bare
        ],
    )
    _completed(connection, changed)
    _ITEMS.write(connection, [item_rows.item_row(item) for item in whole])
    _EVENTS.write(
        connection,
        [
            (from_epoch(e.at), item.pipeline.id, item.id, e.step, e.kind, e.status, e.message, e.detail, e.actor,
             e.task_id)
            for item in changed
            for e in item.events
        ],
    )  # fmt: skip
    count(connection, changed)
    for item in changed:
        _stored(item)
    return len(whole)


def _completed(connection: Connection, changed: Sequence[ItemState]) -> None:
    """An item is completed when the last of its steps ended."""
    done = []
    for item in changed:
        if item.status in (ItemStatus.COMPLETED, ItemStatus.SKIPPED):
            done.append(item)
        else:
            item.completed_at = None
    if done:
        found = item_load.ends(connection, [item.id for item in done if item.id is not None])
        for item in done:
            at = found.get(item.id or 0)
            item.completed_at = None if at is None else to_epoch(at)


def count(connection: Connection, changed: Iterable[ItemState]) -> None:
    """Append what these items change of the counters."""
    tallies: dict[int, Tally] = {}
    by_pipeline = {}
    for item in changed:
        tallies.setdefault(item.pipeline.id, Tally()).count(item)
        by_pipeline[item.pipeline.id] = item.pipeline.by_slot
    for number, tally in sorted(tallies.items()):
        write_tally(connection, number, tally, tally.settle(by_pipeline[number]))


def write_tally(connection: Connection, pipeline: int, tally: Tally, places: Iterable[CellKey]) -> None:
    """Append changes of counters."""
    rows = []
    for place in places:
        kind, day, step, status = place
        lanes = {str(bucket): n for bucket, n in sorted(tally.durations.get(place, {}).items()) if n}
        rows.append((pipeline, kind, day, step, status, tally.n.get(place, 0), tally.us.get(place, 0), lanes or None))
    _DELTAS.write(connection, rows)


def _stored(item: ItemState) -> None:
    item.dirty = item.fresh = False
    item.events.clear()
    item.counted = (item.kind or "", item.date, item.status.value, item.states)
    for cell in item.cells.values():
        cell.dirty = False
        cell.stored_letter = item.letter(cell.known.slot)
        cell.stored_us = cell.duration_us if cell.stored_letter == "c" else None
