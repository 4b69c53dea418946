"""The items of a pipeline, one line each with a sign for every step: a window on the store, however many there are."""

from collections.abc import Hashable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input

from statustui.model.items import Item, PipelineSummary
from statustui.model.pipeline import Step
from statustui.store.item_selector import ItemSort
from statustui_tui import keys, render
from statustui_tui.items_actions import Verb, Wish
from statustui_tui.items_source import Items
from statustui_tui.screens import items_view, matrix_window
from statustui_tui.screens.dialogs import Choice, Menu
from statustui_tui.screens.header import Trouble
from statustui_tui.screens.items_acting import CHANGES, ItemsActingScreen
from statustui_tui.screens.matrix_filter import HINT, ItemFilter, parse
from statustui_tui.screens.matrix_window import Part, Query, Unread, Window
from statustui_tui.screens.parts.filter_line import FilteredScreen, FilterLine
from statustui_tui.screens.parts.footer import KeyBar
from statustui_tui.screens.parts.line import Line, rule, spread
from statustui_tui.sources import Frame
from statustui_tui.widgets.table import Table
from statustui_tui.widgets.table_model import Cell, Column, Row, Text

SORTS = {
    ItemSort.KEY: ("i", "key"),
    ItemSort.DATE: ("d", "date"),
    ItemSort.UPDATED: ("u", "last changed first"),
    ItemSort.STATUS: ("t", "status"),
    ItemSort.FAILED: ("f", "failed last first"),
}
NEWEST_FIRST = (ItemSort.UPDATED, ItemSort.FAILED)
TYPING_S = 0.2
"""Seconds without a key after which the store is asked."""


class MatrixScreen(FilteredScreen, ItemsActingScreen):
    """Item × step."""

    NAME = keys.MATRIX
    BINDINGS: ClassVar[list[Any]] = keys.bindings(keys.MATRIX)
    AUTO_FOCUS = "#matrix"

    def __init__(self, pipeline: str, frame: Frame | None, *, fingerprint: str = "", filter: str = "") -> None:
        super().__init__()
        self.pipeline = pipeline
        self.frame = frame
        self.everything = False
        """True: what is asked for is done to all that the filter matches."""
        self.fingerprint = fingerprint
        self.filter = parse(filter, pipeline, self.steps(), fingerprint)
        # Failures of one kind stand together in an index, the newest at its end.
        self.sort, self.reverse = (ItemSort.FAILED, True) if fingerprint else (ItemSort.KEY, False)
        self.window = Window(self._row, self._want)
        self._asking = 0
        """Generation of the question that is under way; 0: none."""
        self._anew = False
        """True until a list in another order or with another filter has come."""
        self._held = False
        self._range: Item | None = None
        """Where a range of marks was begun."""
        self._later: Any = None
        self._shape: tuple[Column, ...] = ()
        self._ruler = items_view.Ruler((), "")

    def compose(self) -> ComposeResult:
        """Heading, banner, the matrix, and the line at the foot."""
        ascii_only = self.monitor.ascii_only
        yield Line(id="head")
        yield Line(id="banner")
        yield Line(id="matrix-title", classes="title")
        yield Table((), ascii=ascii_only, id="matrix")
        yield FilterLine(id="filter", placeholder=HINT, compact=True)
        yield Line(id="says")
        yield KeyBar(ascii_only=ascii_only)

    @property
    def table(self) -> Table:
        """The list."""
        return self.query_one("#matrix", Table)

    @property
    def figures(self) -> PipelineSummary | None:
        """The pipeline's counters."""
        return self.frame.board.of(self.pipeline) if self.frame is not None else None

    @property
    def query_now(self) -> Query:
        """What is asked for."""
        return Query(selector=self.filter.selector, sort=self.sort, reverse=self.reverse)

    def steps(self) -> tuple[Step, ...]:
        """The steps, as the signs of an item follow one another."""
        figures = self.figures
        return tuple(one.step for one in figures.steps) if figures is not None else ()

    # Life

    def begin(self) -> None:
        """Ask for the first items."""
        self.table.set_model(self.window)
        self._reload()

    def on_screen_resume(self) -> None:
        """Catch up after another screen was in front."""
        self.frame = self.monitor.frame or self.frame
        if self.up:
            self._reload()

    def feed(self, frame: Frame, *, changed: bool) -> None:
        """Take a new frame, and read the items in view anew."""
        self.frame, self.trouble = frame, None
        if changed and self.up and self.is_current:
            self._reload()
        self.redraw()
        if self.up:
            self.pace(by_frame=True)

    def lose(self, trouble: Trouble) -> None:
        """Say that the store cannot be read."""
        self._asking = 0
        super().lose(trouble)

    def hold(self, held: bool) -> None:
        """Keep all in its place while a dialog is open."""
        self._held = held
        self.table.frozen = held
        if not held:
            self._reload()

    def tick(self) -> None:
        """Show the ages as of now."""
        self.redraw()

    # Reading

    def _ask(self, call: Any, then: Any) -> None:
        self._asking = generation = self.monitor.next_generation()

        def took(answer: Any) -> None:
            if generation != self._asking or not self.up:
                return
            self._asking = 0
            if not self._held:
                then(answer)

        self.monitor.poller.ask(lambda source: call(source.items), took)

    def _reload(self, *, anew: bool = False) -> None:
        """Read what is in view as it is now; *anew*: from the top."""
        anew = self._anew = anew or self._anew
        if self._held:
            return
        query, figures = self.query_now, self.figures
        part = Part() if anew else self.window.part
        top = 0 if anew else self.table.scroll_offset.y

        def read(items: Items) -> Part:
            return matrix_window.again(items, query, part, top, figures)

        self._ask(read, self._show_first if anew else self._show_part)

    def _want(self, index: int) -> None:
        """A row came into view that is not in memory."""
        top = self.table.scroll_offset.y
        # A cursor that was left behind is asked for, too, and would fetch its part back for ever.
        if self._asking or self._held or not self.up or not top <= index < top + self.table.size.height:
            return
        query, part = self.query_now, self.window.part
        self._ask(lambda items: matrix_window.at(items, query, part, index), self._show_part)

    def _show_part(self, part: Part) -> None:
        self.window.take(part)
        self.table.set_model(self.window)
        self.redraw()

    def _show_first(self, part: Part) -> None:
        self._anew = False
        self._show_part(part)
        self.table.move("top")

    # Drawing

    def redraw(self) -> None:
        """Show the items as of now."""
        if not self.up:
            return
        width = self.size.width
        short = self.fit()
        self.show_banner()
        self.query_one("#head", Line).show(self._heading(width))
        title = self.query_one("#matrix-title", Line)
        title.display = not short
        self._columns(width)
        if not self._held:
            self.window.forget_rows()
            self.table.refresh_changed()
        title.show(self._title(width))
        self.refresh_bindings()

    def _heading(self, width: int) -> Content:
        figures, ascii_only = self.figures, self.monitor.ascii_only
        left = Content.assemble(" ", (render.clean(self.pipeline), "bold"))
        if figures is None:
            return left
        left = Content.assemble(left, f"  {items_view.whole(figures.total)} items")
        for shares in (True, False):
            found = items_view.counts(figures.statuses, shares=shares, ascii_only=ascii_only)
            if sum(len(text) + 2 for text, _ in found) + left.cell_length + 20 <= width:
                break
        colours = {items_view.STYLES[status]: colour for status, colour in items_view.COLOURS.items()}
        parts = [Content.assemble("  ", (text, colours.get(style, ""))) for text, style in found]
        waits = items_view.waiting(figures)
        remark = f"PAUSED {render.age(self.monitor.paused_for())}" if self.monitor.paused else self.monitor.remark
        right = Content.assemble(
            (remark, "bold $warning"), "  " if remark else "",
            (f"waiting: {render.clean(waits)}" if waits else "", "$foreground 60%"), " ",
        )  # fmt: skip
        return spread(Content.assemble(left, *parts), right, width)

    def _title(self, width: int) -> Content:
        total, figures = len(self.window), self.figures
        of = f" of {items_view.whole(figures.total)}" if figures is not None and figures.total != total else ""
        count = f"{items_view.whole(total)}{of} {'item' if total == 1 and not of else 'items'}"
        notes = []
        if self.everything:
            notes.append(f"ALL {items_view.whole(total)} chosen")
        elif marked := len(self._marked()):
            notes.append(f"{marked} marked")
        if self.fingerprint:
            notes.append("failures of one kind")
        if self.filter.text:
            notes.append(f"filter: {render.clean(self.filter.text)}")
        if self.filter.problem:
            notes.append(render.clean(self.filter.problem))
        turned = " (reversed)" if self.reverse != (self.sort in NEWEST_FIRST) else ""
        notes.append(f"sort: {SORTS[self.sort][1]}{turned}")
        return rule(count, "  ".join(notes), width, ascii_only=self.monitor.ascii_only, focused=True)

    def _columns(self, width: int) -> None:
        room = max(6, width // 2 if width >= 60 else width - 16)
        self._ruler = items_view.ruler(self.steps(), room, ascii_only=self.monitor.ascii_only)
        steps = max(1, min(self._ruler.width, room))
        shape = (
            Column(key="sign", title="", width=1),
            Column(key="key", title="ITEM", width=self._longest(width), style="strong", crop="middle"),
            Column(key="steps", title=self._ruler.title, width=steps),
            Column(key="done", title="DONE", width=5, align="right", priority=2),
            Column(key="ago", title="AGO", width=4, align="right", style="muted", priority=1),
            Column(key="date", title="DATE", width=10, priority=5),
            Column(key="kind", title="KIND", width=8, flex=1, most=14, priority=6, style="muted"),
            Column(key="error", title="", width=10, flex=5, priority=4),
        )
        if shape != self._shape:
            self._shape = shape
            self.table.set_columns(shape)

    def _longest(self, width: int) -> int:
        """Cells for the keys: those of the longest in memory, as far as there is room."""
        longest = max((render.width(render.clean(item.key)) for item in self.window.part.items), default=10)
        return max(6, min(longest, 36, width // 3))

    def _row(self, item: Item) -> Row:
        ascii_only = self.monitor.ascii_only
        done, total = items_view.done_of(item)
        step = next((one for one in self.steps() if one.key == item.error_step), None)
        where = f"@{items_view.name(step)} " if step is not None else ""
        cells: dict[str, Cell | str] = {
            "sign": Text(render.glyph(item.status, ascii_only), items_view.STYLES[item.status]),
            "key": item.key,
            "steps": items_view.StepsCell(item.cells, self._ruler.places, ascii_only),
            "done": f"{done}/{total}",
            "ago": render.ago((self.monitor.now() - item.updated_at).total_seconds()),
            "date": item.date.isoformat() if item.date is not None else "",
            "kind": item.kind or "",
            "error": Text(f"{where}{item.last_error or ''}", "failed" if item.last_error else "muted"),
        }
        return Row(key=item.key, cells=tuple(cells[column.key] for column in self._shape))

    # What is selected

    def _marked(self) -> list[str]:
        return sorted(key for key in self.table.marked if isinstance(key, str))

    def chosen(self) -> tuple[Item, ...]:
        """The marked items, else the one under the cursor; marked ones out of view are not among them."""
        marks: list[Hashable] = [*self._marked()]
        if marks:
            return tuple(self.window.items(marks))
        key = self.table.cursor_key
        return tuple(self.window.items([key]))

    def wish(self, verb: Verb, step: str | None = None, reason: str = "") -> Wish:
        """A change of the marked items, or of everything that the filter matches."""
        if self.everything:
            selector = self.filter.selector
            return Wish(
                verb=verb, pipeline=self.pipeline, selector=selector, options=tuple(self.filter.options()), step=step,
                reason=reason,
            )  # fmt: skip
        marks = self._marked()
        found = tuple(marks) if marks else tuple(item.key for item in self.chosen())
        return Wish(verb=verb, pipeline=self.pipeline, keys=found, step=step, reason=reason)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What works now."""
        if not self.up:
            return True
        if isinstance(self.focused, Input) and action not in ("clear", "list"):
            return False  # it is being typed into
        if action in CHANGES:
            many = self.everything or bool(self._marked())
            can = not self.monitor.read_only and self.monitor.item_actions is not None
            return can and len(self.window) > 0 if many else self.can_change(action)
        if action in ("open", "mark", "range", "copy"):
            return bool(self.window.item(self.table.cursor_key))
        if action == "everything":
            return len(self.window) > 0 and not self.monitor.read_only
        return True

    # Keys

    def on_table_moved(self, event: Table.Moved) -> None:
        """What is possible depends on what is under the cursor."""
        self.refresh_bindings()

    def on_table_marked(self, event: Table.Marked) -> None:
        """Count the marks."""
        self.everything = False
        self.redraw()

    def on_table_opened(self, event: Table.Opened) -> None:
        """A second click opens."""
        self.action_open()

    def action_move(self, how: str) -> None:
        """Move the cursor."""
        self.table.move(how)

    def action_open(self) -> None:
        """The item under the cursor."""
        key = self.table.cursor_key
        if isinstance(key, str):
            self.monitor.open_item(self.pipeline, key)

    def action_mark(self) -> None:
        """Mark the item under the cursor."""
        if not isinstance(self.table.cursor_key, Unread):
            self.table.toggle_mark()

    def action_range(self) -> None:
        """Begin a range of marks at the item under the cursor; a second time: mark all between."""
        begun, item, query = self._range, self.window.item(self.table.cursor_key), self.query_now
        if item is None:
            return
        self._range = item if begun is None else None
        if begun is None:
            self.say(f"a range from {item.key} on: V again ends it, here or anywhere")
            return

        def then(found: list[str] | None) -> None:
            if found is None:
                self.say(f"more than {matrix_window.RANGE:,} items: filter, and choose all with A", "bold $error")
            else:
                self.table.mark_keys({*self.table.marked, *found})

        self._ask(lambda items: matrix_window.between(items, query, begun, item), then)

    def action_everything(self) -> None:
        """Choose all that the filter matches, or not."""
        self.everything = not self.everything
        self.redraw()

    def action_failure(self, by: int) -> None:
        """The next failed item, or the one before."""
        item = self.window.item(self.table.cursor_key)
        if item is None:
            return
        query, total = self.query_now, len(self.window)

        def look(items: Items) -> tuple[Item, Part] | None:
            found = matrix_window.next_failure(items, query, item, back=by < 0)
            return None if found is None else (found, matrix_window.around(items, query, found, total))

        def then(found: tuple[Item, Part] | None) -> None:
            if found is None:
                self.say("no failed item after this one" if by > 0 else "no failed item before this one")
                return
            self._show_part(found[1])
            self.table.select(found[0].key)

        self._ask(look, then)

    def action_sort(self) -> None:
        """Choose the order."""
        choices = [Choice(key=letter, label=label, value=by.value) for by, (letter, label) in SORTS.items()]

        def then(by: str | None) -> None:
            if by is not None:
                chosen = ItemSort(by)
                again = chosen is self.sort
                self.reverse = not self.reverse if again else chosen in NEWEST_FIRST
                self.sort = chosen
                self._reload(anew=True)

        self.ask(Menu("Sort by (again: reversed)", choices, self.sort.value, self.monitor.ascii_only), then)

    def action_filter(self) -> None:
        """Type a filter."""
        self.open_filter(self.filter.text)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter when the typing rests."""
        if self.filter_line.display:
            if self._later is not None:
                self._later.stop()
            self._later = self.set_timer(TYPING_S, lambda: self._use(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter and go to the list."""
        self._use(event.value)
        self.action_list()

    def _use(self, text: str) -> None:
        found = parse(text, self.pipeline, self.steps(), self.fingerprint)
        if found != self.filter:
            self._set_filter(found)

    def _set_filter(self, found: ItemFilter) -> None:
        self.filter, self.everything = found, False
        self._reload(anew=True)
        self.redraw()

    def action_list(self) -> None:
        """From the filter to the list."""
        if self._later is not None:
            self._later.stop()
        self.close_filter()
        self.set_focus(self.table)

    def action_clear(self) -> None:
        """Clear one thing: the filter being typed, the choice, the marks, the filter; then back."""
        if self.filter_line.display:
            self.action_list()
            self._set_filter(parse("", self.pipeline, self.steps(), self.fingerprint))
        elif self.everything:
            self.action_everything()
        elif self.table.marked or self._range is not None:
            self._range = None
            self.table.clear_marks()
        elif self.filter.text:
            self._set_filter(parse("", self.pipeline, self.steps(), self.fingerprint))
        else:
            self.monitor.go_back()

    def action_copy(self) -> None:
        """Copy the keys of what is selected."""
        marks = self._marked() or [item.key for item in self.chosen()]
        self.monitor.copy("\n".join(render.clean(key) for key in marks))
