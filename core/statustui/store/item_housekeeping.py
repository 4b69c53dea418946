"""What a drainer does for items now and then, a little at a time, whoever's they are."""

import time
from typing import Any

from sqlalchemy import Connection, bindparam, select

from statustui.model.item_fold import catch_up
from statustui.store import item_definitions, item_load, item_save
from statustui.store.item_claims import expire_leases
from statustui.store.item_counts import fold_deltas
from statustui.store.item_schema import items, pipelines
from statustui.store.open import Store

_AT_ONCE = 500
_BUDGET_S = 0.2
_ANY = select(pipelines.c.id).limit(1)
_PIPELINES = select(pipelines.c.id, pipelines.c.name, pipelines.c.rev)
_STALE = (
    select(items.c.id)
    .where(items.c.pipeline == bindparam("pipeline"), items.c.definition < bindparam("rev"))
    .limit(bindparam("most"))
)


def keep_house(store: Store) -> bool:
    """Fold counters, return expired claims, bring items up to date with a changed definition.

    Returns:
        True when there is more to do than fitted into a fifth of a second.
    """
    if store.connection.execute(_ANY).first() is None:
        return False
    end = time.monotonic() + _BUDGET_S
    for task in (fold_deltas, expire_leases, derive_stale):
        while task(store):
            if time.monotonic() > end:
                return True
    return False


def derive_stale(store: Store) -> int:
    """Bring items up to date whose pipeline has another definition by now.

    Returns:
        How many were.
    """
    for pipeline, _, rev in store.connection.execute(_PIPELINES).all():
        values = {"pipeline": pipeline, "rev": rev, "most": 1}
        if store.connection.execute(_STALE, values).first() is not None:
            with store.write() as connection:
                return derive_again(store, connection, pipeline, _AT_ONCE)
    return 0


def derive_again(store: Store, connection: Connection, pipeline: int, most: int) -> int:
    """Derive at most so many items of a pipeline anew, within the present transaction."""
    state = item_definitions.by_number(store, connection, [pipeline])[pipeline]
    values: dict[str, Any] = {"pipeline": pipeline, "rev": state.rev, "most": most}
    statement = _STALE.with_for_update(skip_locked=True) if store.database.lock_rows else _STALE
    numbers = sorted(connection.execute(statement, values).scalars())
    found = item_load.by_id(store, connection, {pipeline: state}, numbers)
    item_load.all_cells(connection, found)
    for item in found:
        item.dirty = True
        catch_up(item)
    return item_save.save(connection, found)
