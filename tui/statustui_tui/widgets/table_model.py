"""What a table shows: columns, rows, cells, and a model that may hold more rows than memory."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from statustui_tui import render


@runtime_checkable
class Cell(Protocol):
    """A cell that draws itself; compared by value to find out what changed."""

    def spans(self, width: int) -> tuple[tuple[str, str], ...]:
        """Pieces of text, each with its style name, for a column of *width* cells."""


@dataclass(frozen=True, slots=True)
class Text:
    """One piece of text with a style name."""

    text: str
    """As it came; it is cleaned when it is drawn."""
    style: str = ""
    """Name of a component class of the table without its prefix (``failed``, ``muted``), or empty."""

    def spans(self, width: int) -> tuple[tuple[str, str], ...]:
        """The piece itself."""
        return ((render.clean(self.text), self.style),)


@dataclass(frozen=True, slots=True)
class Pieces:
    """Several pieces of text side by side, each with its own style name."""

    parts: tuple[tuple[str, str], ...]
    """(text, style name), left to right."""

    def spans(self, width: int) -> tuple[tuple[str, str], ...]:
        """The pieces, cleaned."""
        return tuple((render.clean(text), style) for text, style in self.parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of a table."""

    key: str
    title: str
    width: int
    """Cells; for a flexible column the fewest."""
    flex: int = 0
    """Share of the spare cells that it takes; 0 = always ``width``."""
    most: int | None = None
    """Cells at which a flexible column stops growing."""
    align: Literal["left", "right"] = "left"
    style: str = ""
    """Style name of cells that name none."""
    priority: int = 0
    """0 = never left out; of the others the highest number goes first when there is no room."""
    crop: Literal["end", "middle"] = "end"
    """Where too long a text is cut."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of a table."""

    key: Hashable
    """What the cursor and the marks are bound to."""
    cells: tuple[Cell | str, ...]
    """One for each column; of a section: its title and, if there is a second, what stands at the right."""
    style: str = ""
    """Style name of the whole row (``failed``, ``running``, …)."""
    section: bool = False
    """True for a heading that the cursor passes over."""


class RowModel(Protocol):
    """Rows by position, so that a window on a database can stand behind a table."""

    def __len__(self) -> int:
        """Number of rows."""

    def row(self, index: int) -> Row:
        """The row at *index*, from 0."""

    def index_of(self, key: Hashable) -> int | None:
        """Where *key* stands now; None when it is gone."""


class ListModel:
    """Rows held in memory."""

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self._rows = rows
        self._index: dict[Hashable, int] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, index: int) -> Row:
        """The row at *index*."""
        return self._rows[index]

    def index_of(self, key: Hashable) -> int | None:
        """Where *key* stands; the first of equal keys."""
        if self._index is None:
            self._index = {row.key: index for index, row in reversed(list(enumerate(self._rows)))}
        return self._index.get(key)


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a column stands on the screen."""

    index: int
    """Position in the list of columns."""
    x: int
    width: int


def lay_out(columns: Sequence[Column], width: int, start: int = 0) -> tuple[Slot, ...]:
    """Give *width* cells to the columns, one cell apart, leaving out what has no room.

    Args:
        columns: In their order on the screen.
        width: Cells of the table.
        start: Cells kept free at the left.
    """
    shown = list(range(len(columns)))
    room = width - start

    def needed() -> int:
        return sum(columns[index].width for index in shown) + max(0, len(shown) - 1)

    while needed() > room:
        optional = [index for index in shown if columns[index].priority > 0]
        if not optional:
            break
        shown.remove(max(optional, key=lambda index: (columns[index].priority, index)))
    widths = {index: columns[index].width for index in shown}
    _grow(columns, widths, room - needed())
    slots = []
    x = start
    for index in shown:
        cells = min(widths[index], width - x)
        if cells <= 0:
            break
        slots.append(Slot(index, x, cells))
        x += cells + 1
    return tuple(slots)


def _grow(columns: Sequence[Column], widths: dict[int, int], spare: int) -> None:
    """Share *spare* cells among the flexible columns by their weights, up to what each may take."""
    growing = [index for index in widths if columns[index].flex > 0]
    while spare > 0 and growing:
        weights = sum(columns[index].flex for index in growing)
        given = 0
        for index in growing:
            share = max(1, spare * columns[index].flex // weights)
            most = columns[index].most
            share = min(share, spare - given, share if most is None else most - widths[index])
            widths[index] += max(0, share)
            given += max(0, share)
        growing = [i for i in growing if columns[i].most is None or widths[i] < (columns[i].most or 0)]
        spare -= given
        if given == 0:
            break
