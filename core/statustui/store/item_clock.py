"""How far this host's clock is from the store's: attempts of several hosts are ordered by one clock."""

import time

from statustui.model.times import to_epoch
from statustui.store.open import Store

_SMALL_S = 1.0


def offset(store: Store) -> float:
    """Seconds to add to a time of this host; measured once for each connection.

    Less than a second counts as none: clocks that are kept in step differ by less, and the measurement itself does.
    A file has no clock of its own, so for SQLite it is always 0.
    """
    if store.dialect == "sqlite":
        return 0.0
    known: float | None = store.cache.get("clock_offset")
    if known is None:
        before = time.time()
        there = store.connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        measured = to_epoch(there) - (before + time.time()) / 2
        known = store.cache["clock_offset"] = 0.0 if abs(measured) < _SMALL_S else float(round(measured))
    return known


def now(store: Store) -> float:
    """The present time by the store's clock, in epoch seconds."""
    if store.dialect == "sqlite":
        return round(time.time(), 6)
    return round(to_epoch(store.connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()), 6)
