"""Rebuilding the state of steps from the append-only log of another system, and proving that it came over."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

from statustui.errors import StatustuiError
from statustui.model.items import Item, ItemEvent
from statustui.model.status import ItemStatus
from statustui.model.times import to_epoch
from statustui.pipelines import values
from statustui.pipelines.bulk import Bulk
from statustui.pipelines.coordinating import Coordinator
from statustui.pipelines.replay import LogLine, Replayed, moment, replay

_AT_ONCE = 200
_SHOWN = 1000
_GROUPS = (("queue_", "uploads"), ("upload_", "uploads"))
# Names that columns of such logs have, the likeliest first.
_USUAL = {
    "item": ("item", "key", "file_id", "document_id", "case_number", "item_key", "record_id"),
    "step": ("step", "step_name", "stage", "stage_name", "phase"),
    "status": ("status", "state", "result"),
    "at": ("timestamp", "at", "time", "created_at", "logged_at", "date"),
    "message": ("message", "msg", "text"),
    "detail": ("detail", "details", "error", "traceback"),
    "task_id": ("task_id", "task", "job_id", "run_id"),
}
_NEEDED = ("item", "step", "status", "at")


class ImportRefused(StatustuiError):
    """The log can not be brought in."""


class Readable(Protocol):
    """Rows, those of one item together."""

    columns: tuple[str, ...]

    def count(self) -> int | None:
        """How many rows there are, where that is known."""

    def rows(self, item: str, only: str | None = None) -> Iterator[Mapping[str, Any]]:
        """The rows, those of one item together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A step that the store has otherwise than the log."""

    key: str
    step: str
    kind: str
    """``missing`` (only in the log), ``extra`` (only in the store) or ``different``."""
    log: ItemStatus | None = None
    store: ItemStatus | None = None


@dataclass(slots=True)
class Imported:
    """What an import did, or would do."""

    items: int = 0
    """Items in the log."""
    lines: int = 0
    """Lines in the log."""
    new: int = 0
    """Lines that the store did not have."""
    changed: int = 0
    """Items that had any."""
    unknown: dict[str, int] = field(default_factory=dict)
    """Status words that are none of ours, with the number of items; kept as lines of the story."""
    unreadable: int = 0
    """Lines without a step or with a time that is none; left out."""
    differences: list[Difference] = field(default_factory=list)
    """What differs afterwards, at most a thousand."""
    dry_run: bool = False

    @property
    def ok(self) -> bool:
        """True when the store says what the log says."""
        return not self.differences


def columns_of(there: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """Which column holds what: as given, else by its usual name.

    Raises:
        ImportRefused: one that is needed is not there.
    """
    found: dict[str, str] = {}
    for what, usual in _USUAL.items():
        name = given.get(what) or next((one for one in usual if one in there and one not in found.values()), None)
        if name is not None and name not in there:
            raise ImportRefused(f"there is no column {name!r}; there are {', '.join(there)}")
        if name is not None:
            found[what] = name
        elif what in _NEEDED:
            raise ImportRefused(f"no column looks like the {what}: name it; there are {', '.join(there)}")
    return found


def import_events(
    coordinator: Coordinator,
    source: Readable,
    columns: Mapping[str, str],
    *,
    only: str | None = None,
    dry_run: bool = False,
    shown: Callable[[int, int | None], None] = lambda done, total: None,
) -> Imported:
    """Bring a log in, item by item; what the store has of it already is left alone.

    Args:
        coordinator: of the pipeline.
        source: the log.
        columns: which column holds what, from :func:`columns_of`.
        only: one item.
        dry_run: True writes nothing.
        shown: called with the lines read so far, and all of them where that is known.

    Raises:
        StoreUnavailable: the store can not be reached; what was brought in so far stays, and the rest comes next time.
    """
    told = Imported(dry_run=dry_run)
    groups = _by_item(source.rows(columns["item"], only), columns, told)
    with Bulk(coordinator.desk, coordinator.reporter) as bulk:
        while batch := _some(groups):
            there = coordinator.items(key for key, _ in batch)
            expected: dict[str, Replayed] = {}
            for key, lines in batch:
                expected[key] = replayed = replay(coordinator.name, lines)
                known = _known(coordinator.history(key)) if key in there else set()
                new = _new(replayed, known)
                told.items += 1
                told.lines += len(lines)
                told.new += len({fact.line for fact in new})
                told.changed += bool(new)
                for word in replayed.unknown:
                    told.unknown[word] = told.unknown.get(word, 0) + 1
                if new and not dry_run:
                    _give(bulk, coordinator, key, lines, replayed, new)
            if not dry_run:
                bulk.flush()
                there = coordinator.items(expected)
                told.differences += _differences(coordinator, expected, there)[: _SHOWN - len(told.differences)]
            shown(told.lines, source.count())
    return told


def verify_events(
    coordinator: Coordinator,
    source: Readable,
    columns: Mapping[str, str],
    only: str | None = None,
    *,
    shown: Callable[[int, int | None], None] = lambda done, total: None,
) -> Imported:
    """Compare the store with a log, changing nothing; *shown* as for :func:`import_events`."""
    told = Imported(dry_run=True)
    groups = _by_item(source.rows(columns["item"], only), columns, told)
    while batch := _some(groups):
        expected = {key: replay(coordinator.name, lines) for key, lines in batch}
        told.items += len(batch)
        told.lines += sum(len(lines) for _, lines in batch)
        there = coordinator.items(expected)
        told.differences += _differences(coordinator, expected, there)[: _SHOWN - len(told.differences)]
        shown(told.lines, source.count())
    return told


def _by_item(
    rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str], told: Imported
) -> Iterator[tuple[str, list[LogLine]]]:
    for found, group in groupby(rows, key=lambda row: str(row[columns["item"]])):
        lines: list[LogLine] = []
        for number, row in enumerate(group):
            try:
                lines.append(_line(found, row, columns, number))
            except (ValueError, TypeError, OverflowError):
                told.unreadable += 1
        if lines:
            yield lines[0].item, lines


def _line(item: str, row: Mapping[str, Any], columns: Mapping[str, str], number: int) -> LogLine:
    def text(what: str) -> str | None:
        value = row.get(columns[what]) if what in columns else None
        return None if value is None or value == "" else str(value)

    step, status = text("step"), text("status")
    if step is None or status is None:
        raise ValueError("no step or no status")
    return LogLine(
        item=values.key(item),
        step=step,
        word=status,
        at=round(moment(row[columns["at"]]), 6),
        message=text("message"),
        detail=text("detail"),
        task_id=text("task_id"),
        number=number,
    )


def _some(groups: Iterator[tuple[str, list[LogLine]]]) -> list[tuple[str, list[LogLine]]]:
    batch = []
    for one in groups:
        batch.append(one)
        if len(batch) >= _AT_ONCE:
            break
    return batch


Seen = tuple[float, str | None, str | None]


def _known(story: Iterable[ItemEvent]) -> set[Seen]:
    return {(round(to_epoch(event.at), 6), event.step, event.status) for event in story}


def _new(replayed: Replayed, known: set[Seen]) -> list[Any]:
    """Facts of lines that the item's story does not have."""
    if not known:
        return list(replayed.facts)
    had: dict[int, bool] = {}
    for fact in replayed.facts:
        if fact.kind != "step.reset":
            status = fact.fields.get("status", ItemStatus.PROCESSING.value)
            seen = (round(fact.at, 6), fact.step, status) in known or (round(fact.at, 6), None, status) in known
            had[fact.line] = had.get(fact.line, True) and seen
    return [fact for fact in replayed.facts if not had.get(fact.line, False)]


def _give(
    bulk: Bulk, coordinator: Coordinator, key: str, lines: Sequence[LogLine], replayed: Replayed, new: Sequence[Any]
) -> None:
    first = min(line.at for line in lines)
    bulk.fact("item.add", key, first)
    extra: dict[str, list[str]] = {}
    for step in replayed.statuses:
        if coordinator.definition.step(step) is None:
            group = next((group for start, group in _GROUPS if step.startswith(start)), "main")
            extra.setdefault(group, []).append(step)
    for group, steps in extra.items():
        bulk.fact("item.plan", key, first, add=steps, group=group)
    for fact in new:
        step = coordinator.key_of(fact.step)
        bulk.fact(fact.kind, key, fact.at, step=step, **fact.fields)


def _differences(
    coordinator: Coordinator, expected: Mapping[str, Replayed], there: Mapping[str, Item]
) -> list[Difference]:
    found: list[Difference] = []
    for key, replayed in expected.items():
        have = there[key].states if key in there else {}
        wanted = {coordinator.key_of(step): status for step, status in replayed.statuses.items()}
        for step, status in wanted.items():
            store = have.get(step)
            if store is None:
                found.append(Difference(key=key, step=step, kind="missing", log=status))
            elif store is not status:
                found.append(Difference(key=key, step=step, kind="different", log=status, store=store))
        for step, store in have.items():
            if step not in wanted and store is not ItemStatus.PENDING:
                found.append(Difference(key=key, step=step, kind="extra", store=store))
    return found
