"""Which items a list or a bulk action is about, and in which order they come."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date as Day
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, literal, or_, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from statustui.model.items import Item
from statustui.model.status import ItemStatus
from statustui.store.item_schema import items


class ItemSort(StrEnum):
    """What a list of items is ordered by; the key decides among equals."""

    KEY = "key"
    """By natural key."""
    DATE = "date"
    """By the item's own date."""
    UPDATED = "updated"
    """By when it was last told of."""
    STATUS = "status"
    """By status, those of one status together."""
    FAILED = "failed"
    """By when it failed; others are left out."""


_COLUMNS: dict[ItemSort, tuple[ColumnElement[Any], ColumnElement[Any]]] = {
    ItemSort.KEY: (items.c.key, items.c.key),
    ItemSort.DATE: (items.c.date, items.c.key),
    ItemSort.UPDATED: (items.c.updated_at, items.c.id),
    ItemSort.STATUS: (items.c.status, items.c.key),
    ItemSort.FAILED: (items.c.failed_at, items.c.id),
}


class _Rare(FunctionElement[Any]):
    """A condition that few rows meet. SQLite has no statistics, and would read all in the order of the list instead."""

    # Of no type: SQLite would be asked whether it equals 1, which its indexes do not answer.
    inherit_cache = True


@compiles(_Rare)  # type: ignore[no-untyped-call, untyped-decorator, unused-ignore]
def _plain(element: _Rare, compiler: SQLCompiler, **how: Any) -> str:
    return compiler.process(element.clauses, **how)


@compiles(_Rare, "sqlite")  # type: ignore[no-untyped-call, untyped-decorator, unused-ignore]
def _likelihood(element: _Rare, compiler: SQLCompiler, **how: Any) -> str:
    return f"likelihood({compiler.process(element.clauses, **how)}, 0.0001)"


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemSelector:
    """Items that satisfy everything that is given; what is empty does not count."""

    pipeline: str
    keys: tuple[str, ...] = ()
    statuses: tuple[ItemStatus, ...] = ()
    steps: tuple[str, ...] = ()
    """Keys of the steps at which they stand."""
    kinds: tuple[str, ...] = ()
    since: Day | None = None
    """First date."""
    until: Day | None = None
    """Last date."""
    text: str = ""
    """Part of the key."""
    updated_since: datetime | None = None
    fingerprints: tuple[str, ...] = ()
    """Kinds of their failures."""

    def conditions(self, pipeline: int, steps: Mapping[str, int]) -> list[ColumnElement[bool]]:
        """The same as conditions on ``items``.

        Args:
            pipeline: its number.
            steps: numbers of its steps by key.
        """
        found: list[ColumnElement[bool]] = [items.c.pipeline == pipeline]
        if self.keys:
            found.append(items.c.key.in_(self.keys))
        if self.statuses:
            found.append(items.c.status.in_([status.value for status in self.statuses]))
        if self.steps:
            found.append(items.c.current_step.in_([steps[key] for key in self.steps if key in steps]))
        if self.kinds:
            found.append(items.c.kind.in_(self.kinds))
        if self.since is not None:
            found.append(items.c.date >= self.since)
        if self.until is not None:
            found.append(items.c.date <= self.until)
        if self.text:
            found.append(items.c.key.icontains(self.text, autoescape=True))
        if self.fingerprints:
            # Only what has failed has a kind of failure: the index of those is enough.
            found += [items.c.failed_at.is_not(None), _Rare(items.c.fingerprint.in_(self.fingerprints))]
        if self.updated_since is not None:
            found.append(items.c.updated_at >= self.updated_since)
        return found


def order(sort: ItemSort, *, reverse: bool) -> list[ColumnElement[Any]]:
    """The ORDER BY of a list: that of the index that was made for it."""
    columns = dict.fromkeys(_COLUMNS[sort])
    return [column.desc() if reverse else column.asc() for column in columns]


def beyond(sort: ItemSort, after: Item | None, *, reverse: bool, nulls_low: bool) -> list[ColumnElement[bool]]:
    """Conditions for what comes after an item in a list.

    Args:
        sort: the list's order.
        after: the last item of the page before; None = from the beginning.
        reverse: whether the list goes backwards.
        nulls_low: whether the database puts what has no date before all dates (SQLite) or behind them (PostgreSQL).
    """
    found: list[ColumnElement[bool]] = []
    first, second = _COLUMNS[sort]
    if sort is ItemSort.FAILED:
        found.append(items.c.failed_at.is_not(None))
    if after is None:
        return found
    values: dict[ItemSort, tuple[Any, Any]] = {
        ItemSort.KEY: (after.key, after.key),
        ItemSort.DATE: (after.date, after.key),
        ItemSort.UPDATED: (after.updated_at, after.id),
        ItemSort.STATUS: (after.status.value, after.key),
        ItemSort.FAILED: (after.failed_at, after.id),
    }
    value, tie = values[sort]
    if sort is ItemSort.KEY:
        found.append(first < value if reverse else first > value)
        return found
    same = second < tie if reverse else second > tie
    nulls_first = nulls_low != reverse
    if value is None:
        here = and_(first.is_(None), same)
        found.append(or_(here, first.is_not(None)) if nulls_first else here)
        return found
    pair, bound = tuple_(first, second), tuple_(literal(value, first.type), literal(tie, second.type))
    past: ColumnElement[bool] = pair < bound if reverse else pair > bound
    found.append(past if nulls_first or sort is not ItemSort.DATE else or_(past, first.is_(None)))
    return found
