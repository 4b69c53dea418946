"""A window on a list of items in a store: of a million only some hundreds are in memory. No Textual, no clock."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

from statustui.model.items import Item, PipelineSummary
from statustui.model.status import ItemStatus
from statustui.store.item_selector import ItemSelector, ItemSort
from statustui_tui.items_source import Items
from statustui_tui.widgets.table_model import Row

CHUNK = 200
"""Items that are read at once."""
KEPT = 600
"""Items that are kept."""
RANGE = 10_000
"""Items that a range marks at most."""
_RANGE_PAGE = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """Which items, in which order."""

    selector: ItemSelector
    sort: ItemSort = ItemSort.KEY
    reverse: bool = False

    def total(self, items: Items, figures: PipelineSummary | None) -> int:
        """How many match: from the counters where they can tell."""
        wanted = self.selector
        plain = replace(wanted, statuses=()) == ItemSelector(pipeline=wanted.pipeline)
        if not plain or figures is None or self.sort is ItemSort.FAILED:
            return items.count(wanted, sort=self.sort)
        if wanted.statuses:
            return sum(figures.statuses.get(status, 0) for status in set(wanted.statuses))
        return figures.total

    def after(self, items: Items, item: Item | None, limit: int = CHUNK, skip: int = 0) -> list[Item]:
        """What comes after an item; None: from the top."""
        return items.page(self.selector, limit, item, self.sort, self.reverse, skip)

    def before(self, items: Items, item: Item | None, limit: int = CHUNK, skip: int = 0) -> list[Item]:
        """What comes before an item, in the order of the list; None: its end."""
        return items.page(self.selector, limit, item, self.sort, not self.reverse, skip)[::-1]

    def place(self, items: Items, item: Item) -> int:
        """How many come before an item."""
        return items.count(self.selector, item, self.sort, self.reverse)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Neighbouring items of a list."""

    first: int = 0
    """Place of the first of them, from 0."""
    items: tuple[Item, ...] = ()
    total: int = 0
    """Length of the whole list."""

    @property
    def end(self) -> int:
        """Place after the last of them."""
        return self.first + len(self.items)


def at(items: Items, query: Query, part: Part, index: int) -> Part:
    """A part of the list that holds *index*: the present one grown, or another one."""
    if part.items and part.end <= index < part.end + CHUNK:
        more = query.after(items, part.items[-1])
        held = (*part.items, *more)[-KEPT:]
        end = part.end + len(more)
        return Part(first=end - len(held), items=held, total=end if len(more) < CHUNK else max(part.total, end))
    if part.items and part.first - CHUNK <= index < part.first:
        more = query.before(items, part.items[0])
        first = 0 if len(more) < CHUNK else max(0, part.first - len(more))
        moved = first + len(more) - part.first
        return Part(first=first, items=(*more, *part.items)[:KEPT], total=part.total + moved)
    return _jump(items, query, index, part.total)


def _jump(items: Items, query: Query, index: int, total: int) -> Part:
    """Some items around *index*, counted from the nearer end."""
    if index <= total // 2:
        skip = max(0, index - CHUNK // 2)
        found = query.after(items, None, skip=skip)
        short = len(found) < CHUNK
        return Part(first=skip, items=tuple(found), total=skip + len(found) if short else total)
    skip = max(0, total - index - CHUNK // 2)
    found = query.before(items, None, skip=skip)
    first = 0 if len(found) < CHUNK else max(0, total - skip - len(found))
    return Part(first=first, items=tuple(found), total=first + len(found) + skip)


def around(items: Items, query: Query, item: Item, total: int) -> Part:
    """The part of the list in which an item stands."""
    above = query.before(items, item, CHUNK // 2)
    below = query.after(items, item)
    place = query.place(items, item)
    first = max(0, place - len(above))
    end = place + 1 + len(below)
    return Part(first=first, items=(*above, item, *below), total=end if len(below) < CHUNK else max(total, end))


def again(items: Items, query: Query, part: Part, top: int, figures: PipelineSummary | None) -> Part:
    """The part of the list from some lines above *top*, as it is now."""
    total = query.total(items, figures)
    begin = min(max(0, top - CHUNK // 4), max(0, part.end - 1))
    if begin <= part.first and part.first > 0:
        begin = part.first + 1
    anchor = part.items[begin - 1 - part.first] if begin > 0 and part.items and begin > part.first else None
    first = begin if anchor is not None else 0
    found = query.after(items, anchor)
    if not found:
        return _jump(items, query, max(0, total - 1), total)
    if anchor is not None and total != part.total:
        first = query.place(items, found[0])
    end = first + len(found)
    return Part(first=first, items=tuple(found), total=end if len(found) < CHUNK else max(total, end))


@dataclass(frozen=True, slots=True)
class Unread:
    """Key of a row that has not been read yet."""

    index: int


class Window:
    """The rows of a table, made of the part that is in memory; asks for others when they come into view.

    Args:
        make: Makes the row of an item.
        want: Called with the place of a row that is not there.
    """

    def __init__(self, make: Callable[[Item], Row], want: Callable[[int], None]) -> None:
        self._make = make
        self._want = want
        self._part = Part()
        self._rows: dict[int, Row] = {}
        self._index: dict[Hashable, int] = {}

    @property
    def part(self) -> Part:
        """What is in memory."""
        return self._part

    def take(self, part: Part) -> None:
        """Hold another part."""
        self._part = part
        self._index = {item.key: part.first + i for i, item in enumerate(part.items)}
        self._rows.clear()

    def forget_rows(self) -> None:
        """Make the rows anew: their ages have changed."""
        self._rows.clear()

    def item(self, key: Hashable) -> Item | None:
        """The item of a key, if it is in memory."""
        place = self._index.get(key)
        return None if place is None else self._part.items[place - self._part.first]

    def items(self, keys: Sequence[Hashable]) -> list[Item]:
        """Those of several keys that are in memory."""
        return [item for key in keys if (item := self.item(key)) is not None]

    def __len__(self) -> int:
        return self._part.total

    def row(self, index: int) -> Row:
        """The row at *index*; dots where it has not been read yet."""
        part = self._part
        if not part.first <= index < part.end:
            self._want(index)
            return Row(key=Unread(index), cells=("", "..."), style="muted")
        row = self._rows.get(index)
        if row is None:
            row = self._rows[index] = self._make(part.items[index - part.first])
        return row

    def index_of(self, key: Hashable) -> int | None:
        """Where a key stands, as far as it is known."""
        if isinstance(key, Unread):
            return key.index if key.index < self._part.total else None
        return self._index.get(key)


def next_failure(items: Items, query: Query, item: Item, *, back: bool) -> Item | None:
    """The failed item that comes after another one in the list, or before it."""
    statuses = query.selector.statuses
    if statuses and ItemStatus.FAILED not in statuses:
        return None
    wanted = replace(query, selector=replace(query.selector, statuses=(ItemStatus.FAILED,)))
    found = wanted.before(items, item, 1) if back else wanted.after(items, item, 1)
    return found[0] if found else None


def between(items: Items, query: Query, one: Item, other: Item) -> list[str] | None:
    """Keys of the items from one to another, both included, in whichever order they stand.

    Returns:
        None when there are more than ten thousand.
    """
    first, last = (one, other) if query.place(items, one) <= query.place(items, other) else (other, one)
    found = [first.key]
    at = first
    while at.key != last.key:
        more = query.after(items, at, _RANGE_PAGE)
        found += [item.key for item in more]
        if last.key in found:
            return found[: found.index(last.key) + 1]
        if not more or len(found) > RANGE:
            return None
        at = more[-1]
    return found
