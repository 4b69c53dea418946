"""How the lines of a table are drawn."""

from collections.abc import Callable, Iterator, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from statustui_tui import render
from statustui_tui.widgets.table_model import Cell, Column, Row, Slot, lay_out

_GUTTER = 1
"""Cells at the left for the signs of cursor and mark."""


class Painter:
    """Draws lines for the columns that have room."""

    def __init__(self, columns: Sequence[Column], look_up: Callable[[str], Style], *, ascii: bool = False) -> None:
        """Draw *columns*.

        Args:
            columns: In their order on the screen.
            look_up: Style by its name; the empty name is that of the table itself, the others are laid over it.
            ascii: Draw with ASCII characters only.
        """
        self.columns = tuple(columns)
        self.ascii = ascii
        self._look_up = look_up
        self._slots: tuple[Slot, ...] = ()
        self._slots_width = -1

    def layout(self, width: int) -> tuple[Slot, ...]:
        """Where the columns stand in *width* cells."""
        if width != self._slots_width:
            self._slots = lay_out(self.columns, width, _GUTTER)
            self._slots_width = width
        return self._slots

    def column_at(self, x: int, width: int) -> Column | None:
        """The column at cell *x*."""
        for slot in self.layout(width):
            if slot.x <= x <= slot.x + slot.width:
                return self.columns[slot.index]
        return None

    def header(self, width: int, sort: tuple[str, bool] | None) -> Strip:
        """The titles."""
        style = self._look_up("") + self._look_up("header")
        pieces: list[tuple[str, Style]] = []
        for slot in self.layout(width):
            column = self.columns[slot.index]
            title = column.title
            if sort is not None and sort[0] == column.key:
                arrow = ("v" if sort[1] else "^") if self.ascii else ("▾" if sort[1] else "▴")
                title = render.crop(title, slot.width - 1, self.ascii) + arrow
            pieces.append((" " * (slot.x - _end(pieces)), style))
            pieces.append((render.fit(title, slot.width, column.align == "right", self.ascii), style))
        return _strip(pieces, width, style)

    def section(self, row: Row, width: int) -> Strip:
        """A heading across all columns."""
        style = self._look_up("") + self._look_up("section") + self._look_up(row.style)
        texts = ["".join(text for text, _ in _spans(cell, width)) for cell in row.cells[:2]]
        title = render.crop(texts[0] if texts else "", max(0, width - 4), self.ascii)
        right = f" {texts[1]} " if len(texts) > 1 and texts[1] else ""
        line = "-" if self.ascii else "─"
        left = f"{line} {title} " if title else line
        room = width - render.width(left) - render.width(right) - bool(right)
        if room < 1:
            right, room = "", width - render.width(left)
        return _strip([(left + line * max(0, room) + right + (line if right else ""), style)], width, style)

    def row(self, row: Row, width: int, marked: bool, cursor: int) -> Strip:
        """One row; *cursor* is 0 without the cursor, 1 with it, 2 with the focus too."""
        base = self._look_up("") + self._look_up(row.style)
        if marked:
            base += self._look_up("marked")
        over = self._look_up(("", "cursor-blurred", "cursor")[cursor]) if cursor else None
        if over is not None:
            base += over
        pieces = [(self._sign(marked, cursor), base)]
        for slot in self.layout(width):
            column = self.columns[slot.index]
            pieces.append((" " * (slot.x - _end(pieces)), base))
            cell = row.cells[slot.index] if slot.index < len(row.cells) else ""
            for text, name in self._cell(cell, column, slot.width):
                style = base + self._look_up(name or column.style) if name or column.style else base
                pieces.append((text, style if over is None else style + over))
        return _strip(pieces, width, base)

    def _sign(self, marked: bool, cursor: int) -> str:
        here = cursor == 2  # of several lists only the one that keys go to shows the sign
        if marked and here:
            return "+" if self.ascii else "»"
        return ">" if here else "*" if marked else " "

    def _cell(self, cell: Cell | str, column: Column, width: int) -> Iterator[tuple[str, str]]:
        """The pieces of a cell, together exactly *width* cells."""
        cut = render.crop_middle if column.crop == "middle" else render.crop
        pieces: list[tuple[str, str]] = []
        left = width
        for text, style in _spans(cell, width):
            if left <= 0 or not text:
                continue
            text = cut(text, left, self.ascii)
            left -= render.width(text)
            pieces.append((text, style))
        space = (" " * max(0, left), "")
        yield from (space, *pieces) if column.align == "right" else (*pieces, space)


def _spans(cell: Cell | str, width: int) -> tuple[tuple[str, str], ...]:
    return ((render.clean(cell), ""),) if isinstance(cell, str) else cell.spans(width)


def _end(pieces: list[tuple[str, Style]]) -> int:
    """Cell after the last piece."""
    return sum(render.width(text) for text, _ in pieces)


def _strip(pieces: list[tuple[str, Style]], width: int, fill: Style) -> Strip:
    """Pieces as one line, neighbours of one style joined, cut or filled to *width*."""
    segments: list[Segment] = []
    text, style = "", fill
    for piece, piece_style in pieces:
        if piece_style is style or piece_style == style:
            text += piece
        else:
            if text:
                segments.append(Segment(text, style))
            text, style = piece, piece_style
    if text:
        segments.append(Segment(text, style))
    return Strip(segments).adjust_cell_length(width, fill).simplify()
