"""Inferring where items stand from rows and files that were there before: a migration that can be repeated."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import Any

from statustui.errors import StatustuiError
from statustui.model.items import Item
from statustui.model.status import ItemStatus
from statustui.pipelines import values
from statustui.pipelines.bulk import Bulk
from statustui.pipelines.coordinating import Coordinator
from statustui.pipelines.replay import moment
from statustui.pipelines.rows import Row, mappings
from statustui.pipelines.verify import files_of

_AT_ONCE = 500
_PROBLEMS = 100

Rule = str | Callable[[Row], object]
"""When a step is done: a column, a path with ``{column}`` in it, or a function of the row."""


class BadRule(StatustuiError):
    """A rule of a backfill can not be used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Which columns of the rows hold what."""

    key: str
    kind: str | None = None
    date: str | None = None
    attributes: tuple[str, ...] = ()


@dataclass(slots=True)
class Backfilled:
    """What a backfill did, or would do."""

    items: int = 0
    """Rows that were looked at."""
    added: int = 0
    """Items that the store did not know."""
    completed: dict[str, int] = field(default_factory=dict)
    """Steps that were completed, by step."""
    problems: list[str] = field(default_factory=list)
    """Rows that could not be used and why, at most a hundred."""
    dry_run: bool = False

    @property
    def steps(self) -> int:
        """Steps that were completed in all."""
        return sum(self.completed.values())


def backfill(
    coordinator: Coordinator,
    rows: Iterable[Any],
    rules: Mapping[str, Rule],
    columns: Columns,
    *,
    root: str = ".",
    dry_run: bool = False,
) -> Backfilled:
    """Complete the steps that existing rows and files show to be done; everything else stays as it is.

    Raises:
        BadRule: a rule is for a step that is none, or a column is not there.
        BadRows: the rows have no names of columns.
        StoreUnavailable: the store can not be reached.
    """
    known: dict[str, Rule] = {}
    for step, rule in rules.items():
        found = coordinator.definition.step(step)
        if found is None:
            raise BadRule(f"{coordinator.name} has no step {step!r}")
        known[found.key] = rule
    order = {step.key: place for place, step in enumerate(coordinator.definition.steps)}
    known = dict(sorted(known.items(), key=lambda entry: order[entry[0]]))
    told, source = Backfilled(dry_run=dry_run), mappings(rows)
    with Bulk(coordinator.desk, coordinator.reporter) as bulk:
        while batch := list(islice(source, _AT_ONCE)):
            if told.items == 0:
                _check(batch, known, columns)
            usable = list(_usable(batch, columns, told))
            there = coordinator.items(key for key, _ in usable)
            for key, row in usable:
                _one(bulk, coordinator.name, key, row, known, columns, there.get(key), root, told)
            if not dry_run:
                bulk.flush()
    return told


def _check(batch: Sequence[Row], rules: Mapping[str, Rule], columns: Columns) -> None:
    """A column that no row has would silently leave its step (or kind, or date) empty."""
    there = dict.fromkeys(str(name) for row in batch for name in row)
    wanted = [name for name in (columns.key, columns.kind, columns.date, *columns.attributes) if name is not None]
    wanted += [rule for rule in rules.values() if isinstance(rule, str) and "{" not in rule]
    for name in wanted:
        if name not in there:
            raise BadRule(f"there is no column {name!r}; there are {', '.join(there)}")


def _usable(batch: Iterable[Row], columns: Columns, told: Backfilled) -> Iterator[tuple[str, Row]]:
    for row in batch:
        told.items += 1
        try:
            key = values.key(row.get(columns.key))
            values.day(row.get(columns.date) if columns.date else None)
        except ValueError as error:
            if len(told.problems) < _PROBLEMS:
                told.problems.append(f"row {told.items}: {error}")
            continue
        yield key, row


def _one(
    bulk: Bulk,
    pipeline: str,
    key: str,
    row: Row,
    rules: Mapping[str, Rule],
    columns: Columns,
    item: Item | None,
    root: str,
    told: Backfilled,
) -> None:
    now = time.time()
    about = {name: row[name] for name in columns.attributes if row.get(name) is not None}
    day = values.day(row.get(columns.date)) if columns.date else None
    kind = str(row[columns.kind]) if columns.kind and row.get(columns.kind) is not None else None
    write = not told.dry_run
    if item is None:
        told.added += 1
    if write and (item is None or _news(item, kind, day, about)):
        bulk.fact("item.add", key, now, kind=kind, date=day, attributes=values.bounded(about) if about else None)
    for step, rule in rules.items():
        at = _done_at(rule, row, root, now)
        status = item.states.get(step, ItemStatus.SKIPPED) if item is not None else ItemStatus.PENDING
        if at is None or status is not ItemStatus.PENDING:
            continue
        told.completed[step] = told.completed.get(step, 0) + 1
        if write:
            named = "\x1f".join((pipeline, key, step)).encode("utf-8", "replace")
            attempt = "backfill-" + hashlib.blake2b(named, digest_size=12).hexdigest()
            bulk.fact(
                "step.end", key, at, step=step, att=attempt, status=ItemStatus.COMPLETED.value, message="backfill"
            )


def _news(item: Item, kind: str | None, day: str | None, about: Mapping[str, Any]) -> bool:
    """Whether a row says anything of an item that the store does not have."""
    if kind is not None and kind != item.kind:
        return True
    if day is not None and (item.date is None or item.date.isoformat() != day):
        return True
    plain = values.bounded(about) if about else {}
    return any(item.attributes.get(name) != value for name, value in plain.items())


def _done_at(rule: Rule, row: Row, root: str, now: float) -> float | None:
    """When a step was done by its rule, in epoch seconds; None when it was not."""
    if callable(rule):
        found = rule(row)
    elif "{" in rule:
        files = files_of(rule, row, root)
        found = max((os.path.getmtime(os.path.join(root, path)) for path in files), default=None)
    else:
        found = row.get(rule)
    if found is None or found is False or found == "" or found == 0:
        return None
    return min(_moment(found) or now, now)


def _moment(value: object) -> float | None:
    """When, where the value is a time."""
    if isinstance(value, bool):
        return None
    if isinstance(value, datetime | date | str):
        text = value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value
        try:
            at = moment(text)
        except ValueError:
            return None
        return at if at > 86_400 * 365 else None
    # A time of a file, or of an epoch column; a count is none.
    return float(value) if isinstance(value, float | int) and value > 1e8 else None
