"""The Item screen: its steps, and the story of how it came there."""

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content

from statustui.model.items import Item, ItemDetail, ItemStep
from statustui.model.pipeline import Step
from statustui.model.status import ItemStatus
from statustui_tui import keys, render
from statustui_tui.screens import item_page
from statustui_tui.screens.items_acting import CHANGES, ItemsActingScreen
from statustui_tui.screens.parts.footer import KeyBar
from statustui_tui.screens.parts.line import Line
from statustui_tui.screens.parts.sheet import Sheet
from statustui_tui.sources import Frame
from statustui_tui.widgets.table import Table

WIDE = 120
"""Cells from which the page stands beside the steps."""


class ItemScreen(ItemsActingScreen):
    """Everything about one item."""

    NAME = keys.ITEM
    BINDINGS: ClassVar[list[Any]] = keys.bindings(keys.ITEM)
    AUTO_FOCUS = "#steps"

    def __init__(self, pipeline: str, key: str, frame: Frame | None) -> None:
        super().__init__()
        self.pipeline = pipeline
        self.key = key
        self.frame = frame
        self.detail: ItemDetail | None = None
        self.gone = False
        """True when the store has no such item."""
        self._held = False
        self._placed = False
        """Whether the cursor was put where the item stands."""
        self._asking = 0

    def compose(self) -> ComposeResult:
        """Heading, banner, bar, the steps and the page."""
        ascii_only = self.monitor.ascii_only
        yield Line(id="head")
        yield Line(id="banner")
        yield Line(id="item-bar")
        with Horizontal(id="item"):
            yield Table(item_page.COLUMNS, ascii=ascii_only, id="steps")
            yield Sheet(id="story")
        yield Line(id="says")
        yield KeyBar(ascii_only=ascii_only)

    @property
    def table(self) -> Table:
        """The steps."""
        return self.query_one("#steps", Table)

    @property
    def sheet(self) -> Sheet:
        """The page."""
        return self.query_one("#story", Sheet)

    def begin(self) -> None:
        """Ask for the item."""
        self._read()

    def on_screen_resume(self) -> None:
        """Ask again after another screen was in front."""
        if self.up:
            self._read()

    def feed(self, frame: Frame, *, changed: bool) -> None:
        """Take a new frame, and read the item anew."""
        self.frame, self.trouble = frame, None
        if changed and self.up and self.is_current:
            self._read()

    def hold(self, held: bool) -> None:
        """Keep all in its place while a dialog is open."""
        self._held = held
        self.table.frozen = held

    def tick(self) -> None:
        """Show how long a step runs already."""
        if self.detail is not None and self.detail.item.status is ItemStatus.PROCESSING:
            self.redraw()

    def _read(self) -> None:
        self._asking = generation = self.monitor.next_generation()
        pipeline, key = self.pipeline, self.key

        def took(detail: ItemDetail | None) -> None:
            if generation == self._asking and self.up:
                self.detail, self.gone = detail or self.detail, detail is None
                self.redraw()

        self.monitor.poller.ask(lambda source: source.items.item(pipeline, key), took)

    # Drawing

    def redraw(self) -> None:
        """Show the item as of now."""
        if not self.up or self._held:
            return
        width, height = self.size.width, self.size.height
        ascii_only = self.monitor.ascii_only
        self.fit()
        self.show_banner()
        detail = self.detail
        if detail is None:
            said = "  is not there" if self.gone else "  …"
            self.query_one("#head", Line).show(Content.assemble(" ", (render.clean(self.key), "bold"), said))
            return
        now = self.monitor.now()
        self.query_one("#head", Line).show(item_page.heading(detail, width, ascii_only=ascii_only))
        line = self.query_one("#item-bar", Line)
        line.display = height >= 20
        line.show(item_page.progress_line(detail, width, ascii_only=ascii_only))
        self._arrange(len(detail.steps), width, height)
        self.table.set_rows(item_page.rows(detail, now, ascii_only=ascii_only))
        if not self._placed:
            self._placed = True
            self.table.select(detail.item.error_step or detail.item.current_step)
        self._story()
        self.refresh_bindings()

    def _arrange(self, steps: int, width: int, height: int) -> None:
        """Side by side where there is room, else one above the other."""
        wide = width >= WIDE
        box = self.query_one("#item")
        box.styles.layout = "horizontal" if wide else "vertical"
        self.sheet.display = wide or height >= 9
        self.table.styles.width = "3fr" if wide else "1fr"
        self.sheet.styles.width = "2fr" if wide else "1fr"
        self.table.styles.height = "1fr" if wide or height < 9 else min(steps + 1, max(3, (height - 3) * 3 // 5))
        self.sheet.styles.height = "1fr"

    def _story(self) -> None:
        if self.detail is None:
            return
        width = self.size.width * 2 // 5 if self.size.width >= WIDE else self.size.width
        found = item_page.page(
            self.detail, self.step_detail(), self.monitor.now(), width - 1, ascii_only=self.monitor.ascii_only
        )
        self.sheet.show(found)

    # What is selected

    def step_detail(self) -> ItemStep | None:
        """The step under the cursor."""
        steps = self.detail.steps if self.detail is not None else ()
        return next((one for one in steps if one.step.key == self.table.cursor_key), None)

    def step_here(self) -> Step | None:
        """The step that a reset or a skip is about."""
        one = self.step_detail()
        return one.step if one is not None else None

    def steps(self) -> tuple[Step, ...]:
        """The steps that apply to the item."""
        return tuple(one.step for one in self.detail.steps) if self.detail is not None else ()

    def chosen(self) -> tuple[Item, ...]:
        """This item."""
        return (self.detail.item,) if self.detail is not None else ()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What works now."""
        if not self.up:
            return True
        if action == "item_skip":
            one = self.step_detail()
            return self.can_change(action) and one is not None and not one.status.done
        if action in CHANGES:
            return self.can_change(action)
        if action == "open":
            one = self.step_detail()
            return one is not None and one.run_id is not None
        if action == "copy":
            return self.detail is not None
        if action == "other_list":
            return self.sheet.display
        return True

    # Keys

    def on_table_moved(self, event: Table.Moved) -> None:
        """The page begins with the step under the cursor."""
        if self.up:
            self._story()
            self.refresh_bindings()

    def on_table_opened(self, event: Table.Opened) -> None:
        """A second click opens."""
        if self.check_action("open", ()):
            self.action_open()

    def action_move(self, how: str) -> None:
        """Move among the steps, or scroll the page."""
        if self.focused is self.sheet:
            self.sheet.move(how)
        else:
            self.table.move(how)

    def action_other_list(self) -> None:
        """To the page, and back."""
        self.set_focus(self.table if self.focused is self.sheet else self.sheet)

    def action_open(self) -> None:
        """The run that made the attempt of the step under the cursor."""
        one = self.step_detail()
        if one is not None and one.run_id is not None:
            self.monitor.open_run_id(one.run_id)

    def action_copy(self) -> None:
        """Copy the key, where it stands and what went wrong."""
        if self.detail is not None:
            item = self.detail.item
            parts = [item.key, item.status.value, item.error_step or item.current_step or "", item.last_error or ""]
            self.monitor.copy("  ".join(render.clean(part) for part in parts if part))
