"""The items of a run: what it works or worked on, and what became of each."""

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.content import Content

from statustui.model.items import Item
from statustui_tui import keys, render
from statustui_tui.items_source import Items
from statustui_tui.screens.acting import ActingScreen
from statustui_tui.screens.items_view import STYLES, done_of
from statustui_tui.screens.parts.footer import KeyBar
from statustui_tui.screens.parts.line import Line
from statustui_tui.sources import Frame
from statustui_tui.widgets.table import Table
from statustui_tui.widgets.table_model import Column, Row, Text

MOST = 500
"""Items that the source gives at most."""
COLUMNS: tuple[Column, ...] = (
    Column(key="sign", title="", width=1),
    Column(key="key", title="ITEM", width=10, flex=3, most=36, style="strong", crop="middle"),
    Column(key="pipeline", title="PIPELINE", width=10, flex=1, most=20, style="muted", priority=4),
    Column(key="step", title="STEP", width=12, flex=2, most=28),
    Column(key="now", title="STEP IS", width=10, priority=2),
    Column(key="done", title="DONE", width=5, align="right", priority=3),
    Column(key="error", title="", width=8, flex=5, priority=5),
)


class RunItemsScreen(ActingScreen):
    """One line for each step of an item that the run touched last."""

    NAME = keys.RUN_ITEMS
    BINDINGS: ClassVar[list[Any]] = keys.bindings(keys.RUN_ITEMS)
    AUTO_FOCUS = "#matrix"

    def __init__(self, run_id: str, title: str) -> None:
        super().__init__()
        self.run_id = run_id
        self._of = title
        self.found: list[tuple[Item, str]] | None = None

    def compose(self) -> ComposeResult:
        """Heading, list, footer."""
        ascii_only = self.monitor.ascii_only
        yield Line(id="head")
        yield Table(COLUMNS, ascii=ascii_only, id="matrix")
        yield Line(id="says")
        yield KeyBar(ascii_only=ascii_only)

    @property
    def table(self) -> Table:
        """The list."""
        return self.query_one("#matrix", Table)

    def begin(self) -> None:
        """Ask for the items."""
        self._read()

    def feed(self, frame: Frame, *, changed: bool) -> None:
        """Read the items anew."""
        if changed and self.up and self.is_current:
            self._read()

    def _read(self) -> None:
        run_id = self.run_id

        def read(items: Items) -> list[tuple[Item, str]]:
            return items.of_run(run_id)

        def took(found: list[tuple[Item, str]]) -> None:
            if self.up:
                self.found = found
                self.redraw()

        self.monitor.poller.ask(lambda source: read(source.items), took)

    def redraw(self) -> None:
        """Show the list."""
        if not self.up:
            return
        self.fit()
        found = self.found
        n = len(found) if found is not None else 0
        if found is None:
            said = "…"
        elif not n:
            said = "worked on no items"
        else:
            said = f"{n}{' or more' if n >= MOST else ''} {'step of an item' if n == 1 else 'steps of items'}"
        self.query_one("#head", Line).show(Content.assemble(" ", (render.clean(self._of), "bold"), f"  {said}"))
        self.table.set_rows([self._row(item, step) for item, step in found or ()])
        self.refresh_bindings()

    def _row(self, item: Item, step: str) -> Row:
        status = item.states.get(step, item.status)
        done, total = done_of(item)
        sign = render.glyph(item.status, self.monitor.ascii_only)
        return Row(
            key=(item.pipeline, item.key, step),
            cells=(
                Text(sign, STYLES[item.status]),
                item.key,
                item.pipeline,
                step,
                Text(status.value, STYLES[status]),
                f"{done}/{total}",
                Text(item.last_error or "", "failed"),
            ),
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What works now."""
        return not self.up or action != "open" or self.table.cursor_key is not None

    def on_table_opened(self, event: Table.Opened) -> None:
        """A second click opens."""
        self.action_open()

    def action_move(self, how: str) -> None:
        """Move the cursor."""
        self.table.move(how)

    def action_open(self) -> None:
        """The item under the cursor."""
        for item, step in self.found or ():
            if (item.pipeline, item.key, step) == self.table.cursor_key:
                self.monitor.open_item(item.pipeline, item.key)
                return
