"""The Pipelines screen: how far each pipeline is, and where in it the items wait, run and fail."""

from dataclasses import dataclass
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.content import Content

from statustui.model.items import PipelineSummary, StepSummary
from statustui.model.status import ItemStatus
from statustui_tui import keys, render
from statustui_tui.items_source import Board
from statustui_tui.screens import lists
from statustui_tui.screens.acting import ActingScreen
from statustui_tui.screens.header import header
from statustui_tui.screens.items_view import StatusBar, counts, waiting, whole
from statustui_tui.screens.parts.footer import KeyBar
from statustui_tui.screens.parts.line import Line, rule
from statustui_tui.screens.parts.sheet import Sheet
from statustui_tui.sources import Frame
from statustui_tui.widgets.bars import BarCell
from statustui_tui.widgets.table import Table
from statustui_tui.widgets.table_model import Cell, Column, Pieces, Row, Text

PIPELINES: tuple[Column, ...] = (
    Column(key="name", title="PIPELINE", width=10, flex=2, most=30, style="strong"),
    Column(key="items", title="ITEMS", width=7, align="right"),
    Column(key="bar", title="", width=8, flex=3, most=50, priority=5),
    Column(key="counts", title="", width=24, flex=4, most=46, priority=2),
    Column(key="waiting", title="MOST WAIT", width=10, flex=1, most=18, priority=3),
)
STEPS: tuple[Column, ...] = (
    Column(key="label", title="STEP", width=4, align="right", style="muted"),
    Column(key="title", title="", width=9, flex=3, most=34, style="strong"),
    Column(key="done", title="DONE", width=14, flex=4, most=48),
    Column(key="waiting", title="WAIT", width=5, align="right", priority=1),
    Column(key="running", title="RUN", width=4, align="right", priority=2),
    Column(key="failed", title="FAIL", width=5, align="right", priority=1),
    Column(key="mean", title="AVG", width=5, flex=1, most=8, align="right", priority=4),
    Column(key="p50", title="P50", width=5, flex=1, most=8, align="right", priority=5),
    Column(key="p90", title="P90", width=5, flex=1, most=8, align="right", priority=6),
    Column(key="slow", title="", width=7, priority=3, style="warning"),
)


class PipelinesScreen(ActingScreen):
    """The pipelines, and below them the steps of the one under the cursor."""

    NAME = keys.PIPELINES
    BINDINGS: ClassVar[list[Any]] = keys.bindings(keys.PIPELINES)
    AUTO_FOCUS = "#all-pipelines"

    def __init__(self, frame: Frame | None) -> None:
        super().__init__()
        self.frame = frame
        self._held = False

    def compose(self) -> ComposeResult:
        """Heading, banner and the two lists."""
        ascii_only = self.monitor.ascii_only
        yield Line(id="head")
        yield Line(id="banner")
        yield Line(id="all-title", classes="title")
        yield Table(PIPELINES, ascii=ascii_only, id="all-pipelines")
        yield Line(id="steps-title", classes="title")
        yield Table(STEPS, ascii=ascii_only, id="steps")
        yield Sheet(id="empty")
        yield Line(id="says")
        yield KeyBar(ascii_only=ascii_only)

    def on_screen_resume(self) -> None:
        """Catch up after another screen was in front."""
        self.frame = self.monitor.frame or self.frame
        self.redraw()

    def feed(self, frame: Frame, *, changed: bool) -> None:
        """Take a new frame."""
        self.frame, self.trouble = frame, None
        self.redraw()

    def tick(self) -> None:
        """Show the clock."""
        self._head()

    def hold(self, held: bool) -> None:
        """Freeze the lists."""
        for table in self.tables:
            table.frozen = held

    @property
    def tables(self) -> tuple[Table, Table]:
        """The two lists."""
        return self.query_one("#all-pipelines", Table), self.query_one("#steps", Table)

    @property
    def table(self) -> Table:
        """The list that keys go to."""
        pipelines, steps = self.tables
        return steps if self.focused is steps else pipelines

    @property
    def board(self) -> Board:
        """What is shown."""
        return self.frame.board if self.frame is not None else Board()

    @property
    def current(self) -> PipelineSummary | None:
        """The pipeline under the cursor."""
        return self.board.of(str(self.tables[0].cursor_key))

    # Drawing

    def _head(self) -> None:
        monitor, width = self.monitor, self.size.width
        remark = f"PAUSED {render.age(monitor.paused_for())}" if monitor.paused else monitor.remark
        line = header(monitor.who, monitor.store_name, None, monitor.clock.wall(), width, remark)
        self.query_one("#head", Line).show(line)
        self.show_banner()

    def redraw(self) -> None:
        """Show the figures."""
        if not self.up:
            return
        short = self.fit()
        self._head()
        board, ascii_only = self.board, self.monitor.ascii_only
        pipelines = self.tables[0]
        empty = not board.pipelines
        sheet = self.query_one("#empty", Sheet)
        sheet.display = empty
        for part in ("#all-title", "#all-pipelines", "#steps-title", "#steps"):
            self.query_one(part).display = not empty
        if empty:
            sheet.show(_EMPTY)
            return
        pipelines.set_rows([_pipeline_row(one, ascii_only=ascii_only) for one in board.pipelines])
        pipelines.styles.height = min(len(board.pipelines) + 1, max(2, self.size.height // 3))
        self.query_one("#steps-title").display = not short
        self.query_one("#all-title").display = not short
        self._show_steps()
        self.refresh_bindings()

    def _show_steps(self) -> None:
        pipelines, steps = self.tables
        ascii_only, width = self.monitor.ascii_only, self.size.width
        one = self.current
        if one is None:
            return
        steps.set_rows([_step_row(step, one, ascii_only=ascii_only) for step in one.steps])
        n = len(self.board.pipelines)
        self.query_one("#all-title", Line).show(
            rule(f"Pipelines {n}", "", width, ascii_only=ascii_only, focused=self.focused is pipelines)
        )
        kinds = "  ".join(f"{render.clean(kind or 'no kind')} {whole(n)}" for kind, n in one.kinds.items() if kind)
        dates = f"{one.first_date} to {one.last_date}" if one.first_date is not None else ""
        right = "  ".join(part for part in (kinds, dates) if part)
        title = f"Steps of {render.clean(one.pipeline)}"
        room = width - len(title) - 8
        self.query_one("#steps-title", Line).show(
            rule(
                title,
                right if len(right) <= room else dates if len(dates) <= room else "",
                width,
                ascii_only=ascii_only,
                focused=self.focused is steps,
            )
        )

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What works now."""
        if not self.up:
            return True
        if action == "open":
            return self.table.cursor_key is not None
        if action == "other_list":
            return lists.following(self.tables, self.table) is not None
        return True

    def on_table_moved(self, event: Table.Moved) -> None:
        """The steps are those of the pipeline under the cursor."""
        if self.up and event.table is self.tables[0]:
            self._show_steps()
        self.refresh_bindings()

    def on_table_opened(self, event: Table.Opened) -> None:
        """A second click opens."""
        self.action_open()

    def on_descendant_focus(self) -> None:
        """Show which list keys go to."""
        if self.up and self.board.pipelines:
            self._show_steps()

    def action_move(self, how: str) -> None:
        """Move the cursor, from one list into the other at its ends."""
        table = lists.move(self.tables, self.table, how)
        if table is not self.table:
            self.set_focus(table)

    def action_other_list(self) -> None:
        """To the other list."""
        other = lists.following(self.tables, self.table)
        if other is not None:
            self.set_focus(other)

    def action_open(self) -> None:
        """The items of the pipeline, or those that stand at the step."""
        one = self.current
        if one is None:
            return
        step = self.tables[1].cursor_key if self.table is self.tables[1] else None
        self.monitor.open_matrix(one.pipeline, step=str(step) if step is not None else None)


_EMPTY = [
    Content(""),
    Content.styled("  No pipelines yet.", "bold"),
    Content("  Track items through steps in a Python program:"),
    Content.styled("      from statustui import Pipeline, Step", "$accent"),
    Content.styled('      p = Pipeline("auctions", steps=[Step(key="scrape")])', "$accent"),
    Content.styled('      with p.step("2024-CA-12345", "scrape"):', "$accent"),
    Content.styled("          scrape()", "$accent"),
]


def _pipeline_row(one: PipelineSummary, *, ascii_only: bool) -> Row:
    statuses = tuple(one.statuses.items())
    return Row(
        key=one.pipeline,
        cells=(
            one.pipeline,
            whole(one.total),
            StatusBar(statuses=statuses, longest=50, ascii=ascii_only),
            CountsCell(statuses, ascii_only),
            waiting(one),
        ),
    )


@dataclass(frozen=True, slots=True)
class CountsCell:
    """How many items have each status; the shares where there is room."""

    statuses: tuple[tuple[ItemStatus, int], ...]
    ascii: bool

    def spans(self, width: int) -> tuple[tuple[str, str], ...]:
        """The counts that fit."""
        for shares in (True, False):
            found = counts(dict(self.statuses), shares=shares, ascii_only=self.ascii)
            if sum(len(text) + 2 for text, _ in found) - 2 <= width:
                break
        return tuple(part for i, piece in enumerate(found) for part in ((("  ", ""), piece) if i else (piece,)))


def _step_row(one: StepSummary, of: PipelineSummary, *, ascii_only: bool) -> Row:
    slowest = of.slowest
    slow = slowest is not None and slowest.step.key == one.step.key and len(of.steps) > 1
    optional = " (optional)" if one.step.optional else ""
    group = f" {one.step.group}" if one.step.group != "main" else ""
    cells: tuple[Cell | str, ...] = (
        one.step.shown_label,
        Pieces(((one.step.shown, "strong"), (group + optional, "muted"))),
        BarCell(
            fraction=one.done / one.total if one.total else None,
            label=f"{whole(one.done):>{len(whole(of.total))}}/{whole(one.total)}",
            longest=34,
            ascii=ascii_only,
        ),
        _number(one.waiting, ""),
        _number(one.running, "accent"),
        _number(one.failed, "failed"),
        _seconds(one.mean_s),
        _seconds(one.p50_s),
        _seconds(one.p90_s),
        "slowest" if slow else "",
    )
    return Row(key=one.step.key, cells=cells)


def _number(n: int, style: str) -> Text:
    return Text(render.count(n) if n >= 10_000 else str(n) if n else "-", style if n else "muted")


def _seconds(value: float | None) -> str:
    """``400ms`` or ``4.2s`` below ten seconds, else as any length of time."""
    if value is None:
        return ""
    if value < 0.95:
        return f"{value * 1000:.0f}ms"
    return f"{value:.1f}s" if value < 9.95 else render.duration(value)
