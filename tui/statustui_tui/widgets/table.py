"""A table that draws only the rows on the screen, and of those only the ones that changed.

The cursor and the marks are bound to keys: when rows come, go and change places, they stay with what they were set on.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from statustui_tui.widgets.table_model import Column, ListModel, Row, RowModel
from statustui_tui.widgets.table_paint import Painter

_ROW_STYLES = (
    "started", "running", "finished", "completed", "failed", "lost", "cancelled", "skipped",
    "stalled", "slow", "silent", "late",
    "muted", "strong", "accent", "warning", "error", "success", "bar", "bar-2", "section",
    "part-completed", "part-skipped", "part-processing", "part-failed",
)  # fmt: skip


class Table(ScrollView, can_focus=True, inherit_bindings=False):
    """A virtualised table: columns that adapt to the width, a cursor and marks bound to keys."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--header",
        "table--cursor",
        "table--cursor-blurred",
        "table--marked",
        *(f"table--{name}" for name in _ROW_STYLES),
    }
    DEFAULT_CSS = """
    Table {
        background: $background; color: $foreground; overflow-x: hidden; overflow-y: auto;
        scrollbar-size-vertical: 1; scrollbar-gutter: auto;
        & > .table--header { color: $text-muted; text-style: bold; }
        & > .table--cursor { background: $primary-muted; text-style: bold; }
        &:ansi > .table--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
        & > .table--cursor-blurred { background: $surface; }
        & > .table--marked { color: $accent; text-style: bold; }
        & > .table--section { color: $text-muted; text-style: bold; }
        & > .table--running { color: $foreground; }
        & > .table--finished, & > .table--completed, & > .table--success { color: $text-success; }
        & > .table--failed, & > .table--lost, & > .table--error { color: $text-error; }
        & > .table--stalled, & > .table--late, & > .table--warning { color: $text-warning; }
        & > .table--slow, & > .table--accent { color: $text-accent; }
        & > .table--cancelled, & > .table--skipped, & > .table--silent, & > .table--muted { color: $text-muted; }
        & > .table--strong { text-style: bold; }
        & > .table--bar { color: $primary; background: $surface; }
        & > .table--bar-2 { color: $secondary; background: $surface; }
    }
    """
    frozen: reactive[bool] = reactive(False, repaint=False)
    """While True new rows wait, so that nothing moves under a dialog."""

    @dataclass
    class Opened(Message):
        """The row under the cursor was opened (Enter, or a second click)."""

        table: "Table"
        key: Hashable

        @property
        def control(self) -> "Table":
            """The table."""
            return self.table

    @dataclass
    class Moved(Message):
        """The cursor is on another key; None when there are no rows."""

        table: "Table"
        key: Hashable | None

        @property
        def control(self) -> "Table":
            """The table."""
            return self.table

        def can_replace(self, message: Message) -> bool:
            """Only the newest place of the cursor matters."""
            return isinstance(message, Table.Moved)

    @dataclass
    class Marked(Message):
        """The marks changed."""

        table: "Table"
        keys: frozenset[Hashable]

        @property
        def control(self) -> "Table":
            """The table."""
            return self.table

    @dataclass
    class HeaderClicked(Message):
        """A column title was clicked."""

        table: "Table"
        column: str

        @property
        def control(self) -> "Table":
            """The table."""
            return self.table

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        header: bool = True,
        ascii: bool = False,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """Make an empty table.

        Args:
            columns: In their order on the screen.
            header: Show the titles in the first line.
            ascii: Draw with ASCII characters only.
            id: As of any widget.
            classes: As of any widget.
        """
        super().__init__(id=id, classes=classes)
        self._painter = Painter(columns, self._style, ascii=ascii)
        self._head = 1 if header else 0
        self._model: RowModel = ListModel()
        self._waiting: RowModel | None = None
        self._cursor = 0
        self._cursor_key: Hashable | None = None
        self._marks: set[Hashable] = set()
        self._anchor: Hashable | None = None
        self._sort: tuple[str, bool] | None = None
        self._styles_by_name: dict[str, Style] = {}
        self._painted: dict[int, object] = {}

    # What others ask and say

    @property
    def cursor_key(self) -> Hashable | None:
        """Key under the cursor; None when there is no row to stand on."""
        return self._cursor_key

    @property
    def model(self) -> RowModel:
        """The rows that are shown."""
        return self._model

    @property
    def marked(self) -> frozenset[Hashable]:
        """Keys that are marked, those of an unfinished range included."""
        return frozenset(self._marks | self._range_keys())

    @property
    def selection(self) -> tuple[Hashable, ...]:
        """What a command applies to: the marked keys that are still there, in their order, else the cursor's."""
        places = [(place, key) for key in self.marked if (place := self._model.index_of(key)) is not None]
        if places:
            return tuple(key for _, key in sorted(places, key=lambda pair: pair[0]))
        return () if self._cursor_key is None else (self._cursor_key,)

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, those without room included."""
        return self._painter.columns

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show other columns; the rows that come next must have as many cells."""
        if tuple(columns) != self._painter.columns:
            self._painter = Painter(columns, self._style, ascii=self._painter.ascii)
            self._redraw()

    def set_sort(self, column: str | None, descending: bool = False) -> None:
        """Mark the title of the column by which the rows are sorted."""
        sort = None if column is None else (column, descending)
        if sort != self._sort:
            self._sort = sort
            self.refresh(Region(0, 0, self._width, self._head))

    def set_ascii(self, ascii: bool) -> None:
        """Draw with ASCII characters only, or not."""
        if ascii != self._painter.ascii:
            self._painter = Painter(self._painter.columns, self._style, ascii=ascii)
            self._redraw()

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show *rows*; the cursor stays with its key and at its place on the screen."""
        self.set_model(ListModel(rows))

    def set_model(self, model: RowModel) -> None:
        """Show what *model* holds, like :meth:`set_rows`; while the table is frozen, later."""
        if self.frozen:
            self._waiting = model
            return
        height = self._body_height()
        place = self._cursor - self.scroll_offset.y
        self._model = model
        found = model.index_of(self._cursor_key) if self._cursor_key is not None else None
        index = self._standable(self._cursor) if found is None else found
        self._fit_height()
        if found is not None and found != self._cursor and 0 <= place < height:
            self._keep_place(found, place, height)
        elif self.scroll_offset.y > self._max_scroll():
            self._scroll(self._max_scroll())
        self._stand(index)
        self.refresh_changed()

    def select(self, key: Hashable) -> bool:
        """Put the cursor on *key*; False when it is not there."""
        index = self._model.index_of(key)
        if index is None:
            return False
        self._move_to(index)
        return True

    def clear_marks(self) -> bool:
        """Forget all marks and an unfinished range; False when there were none."""
        if not self._marks and self._anchor is None:
            return False
        self._marks.clear()
        self._anchor = None
        self._marks_changed()
        return True

    def mark_keys(self, keys: Iterable[Hashable]) -> None:
        """Mark exactly *keys*."""
        self._marks = set(keys)
        self._anchor = None
        self._marks_changed()

    def refresh_changed(self) -> None:
        """Redraw the rows on the screen that would look different now, and no others."""
        width = self._width
        regions: list[Region] = []
        for line in range(self._head, self.size.height):
            if self._painted.get(line, self) != self._look(line):
                if regions and regions[-1].bottom == line:
                    regions[-1] = regions[-1].grow((0, 0, 1, 0))
                else:
                    regions.append(Region(0, line, width, 1))
        if regions:
            self.refresh(*regions)

    # What keys do; which keys is said by the table of all keys

    def move(self, how: str) -> None:
        """Move the cursor.

        Args:
            how: ``up``, ``down``, ``half_up``, ``half_down``, ``page_up``, ``page_down``, ``top`` or ``end``.
        """
        page = max(1, self._body_height() - 1)
        steps = {
            "up": -1,
            "down": 1,
            "half_up": -max(1, page // 2),
            "half_down": max(1, page // 2),
            "page_up": -page,
            "page_down": page,
        }
        if how in ("top", "end"):
            self._move_to(0 if how == "top" else len(self._model) - 1, 1 if how == "top" else -1)
        elif how in steps:
            self._move_to(self._cursor + steps[how], steps[how])

    def open_cursor(self) -> None:
        """Open the row under the cursor."""
        if self._cursor_key is not None:
            self.post_message(self.Opened(self, self._cursor_key))

    def toggle_mark(self) -> None:
        """Mark or unmark the row under the cursor and go on to the next; or end a range and keep it."""
        if self._cursor_key is None:
            return
        if self._anchor is not None:
            self.toggle_range()
            return
        self._marks ^= {self._cursor_key}
        self._marks_changed()
        self.move("down")

    def toggle_range(self) -> None:
        """Begin a range at the cursor; a second time: mark everything between."""
        if self._anchor is None:
            self._anchor = self._cursor_key
        else:
            self._marks |= self._range_keys()
            self._anchor = None
        self._marks_changed()

    # Cursor

    def _standable(self, index: int, direction: int = 1) -> int:
        """The nearest row to *index* that is not a section, looking in *direction* first."""
        last = len(self._model) - 1
        index = max(0, min(index, last))
        for step in (1 if direction >= 0 else -1, -1 if direction >= 0 else 1):
            place = index
            while 0 <= place <= last:
                if not self._model.row(place).section:
                    return place
                place += step
        return -1

    def _stand(self, index: int) -> None:
        """Take *index* as the cursor's place, and say so when its key is another one."""
        key = self._model.row(index).key if 0 <= index < len(self._model) else None
        self._cursor = max(0, index)
        if key != self._cursor_key:
            self._cursor_key = key
            self.post_message(self.Moved(self, key))

    def _move_to(self, index: int, direction: int = 1) -> None:
        self._stand(self._standable(index, direction))
        height, top = self._body_height(), self.scroll_offset.y
        if self._cursor < top:
            above = self._cursor
            # A heading directly above the first row comes into view with it.
            if above > 0 and self._model.row(above - 1).section:
                above -= 1
            self._scroll(above)
        elif self._cursor >= top + height:
            self._scroll(self._cursor - height + 1)
        self.refresh_changed()

    def _keep_place(self, found: int, place: int, height: int) -> None:
        """Scroll so that the cursor's row stays where the eye is, except at the top, which stays the top."""
        if self.scroll_offset.y == 0 and found < height:
            return
        self._scroll(max(0, min(found - place, self._max_scroll())))

    def _scroll(self, y: int) -> None:
        self.scroll_to(y=y, animate=False, force=True, immediate=True)

    @property
    def _width(self) -> int:
        """Cells of a row: what the scrollbar leaves."""
        return max(1, self.size.width - (self.scrollbar_size_vertical if self.show_vertical_scrollbar else 0))

    def _body_height(self) -> int:
        return max(1, self.size.height - self._head)

    def _max_scroll(self) -> int:
        return max(0, len(self._model) - self._body_height())

    def _fit_height(self) -> None:
        size = Size(max(1, self._width), len(self._model) + self._head)
        if size != self.virtual_size:
            self.virtual_size = size

    # Marks

    def _range_bounds(self) -> tuple[int, int]:
        """First and last row of an unfinished range; (0, -1) without one."""
        start = None if self._anchor is None else self._model.index_of(self._anchor)
        if start is None or self._cursor_key is None:
            return 0, -1
        return min(start, self._cursor), max(start, self._cursor)

    def _range_keys(self) -> set[Hashable]:
        first, last = self._range_bounds()
        rows = (self._model.row(index) for index in range(first, last + 1))
        return {row.key for row in rows if not row.section}

    def _marks_changed(self) -> None:
        self.post_message(self.Marked(self, self.marked))
        self.refresh_changed()

    # Events

    def watch_frozen(self, frozen: bool) -> None:
        """Bring in what waited."""
        if not frozen and self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self.set_model(waiting)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """All lines show other rows now."""
        self._painted.clear()
        super().watch_scroll_y(old_value, new_value)

    def notify_style_update(self) -> None:
        """Colours changed."""
        super().notify_style_update()
        self._styles_by_name.clear()
        self._painted.clear()

    def on_mount(self) -> None:
        """Take the size for what rows there are."""
        self._fit_height()

    def on_resize(self) -> None:
        """Keep the cursor on the screen."""
        self._fit_height()
        self._painted.clear()
        if self._cursor_key is not None:
            self._move_to(self._cursor)

    def on_focus(self) -> None:
        """Show where keys go."""
        self.refresh_changed()

    def on_blur(self) -> None:
        """Show that keys go elsewhere."""
        self.refresh_changed()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor under the mouse; the second click opens; a click on a title asks to sort."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y < self._head:
            column = self._painter.column_at(offset.x, self._width)
            if column is not None:
                self.post_message(self.HeaderClicked(self, column.key))
            return
        index = offset.y - self._head + self.scroll_offset.y
        if not 0 <= index < len(self._model) or self._model.row(index).section:
            return
        again = event.chain > 1 and index == self._cursor
        self._move_to(index)
        if again:
            self.open_cursor()

    # Painting

    def _redraw(self) -> None:
        self._painted.clear()
        self.refresh()

    def _look(self, line: int) -> tuple[Row, bool, int] | None:
        """Everything that decides what a line looks like: its row, marked, cursor (1 without the focus, 2 with it)."""
        index = self.scroll_offset.y + line - self._head
        if index >= len(self._model):
            return None
        row = self._model.row(index)
        first, last = self._range_bounds()
        marked = row.key in self._marks or first <= index <= last
        at_cursor = not row.section and index == self._cursor and row.key == self._cursor_key
        return row, marked, 1 + self.has_focus if at_cursor else 0

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self._width
        if y < self._head:
            return self._painter.header(width, self._sort)
        look = self._look(y)
        self._painted[y] = look
        if look is None:
            return Strip.blank(width, self._style(""))
        row, marked, cursor = look
        painter = self._painter
        return painter.section(row, width) if row.section else painter.row(row, width, marked, cursor)

    def _style(self, name: str) -> Style:
        style = self._styles_by_name.get(name)
        if style is None:
            if name:
                style = self.get_component_rich_style(f"table--{name}", partial=True, default=Style.null())
            else:
                style = self.rich_style
            self._styles_by_name[name] = style
        return style
