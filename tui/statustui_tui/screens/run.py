"""The Run screen: how far it is, what it does, what it uses, what went wrong, and what was tried before."""

import time
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content

from statustui.insight.eta import estimate
from statustui.insight.marks import host_of
from statustui.insight.marks import marks as marks_of
from statustui.insight.order import one_row_each
from statustui.model.run import Run, RunDetail
from statustui_tui import keys, render
from statustui_tui.screens import run_facts, run_view, view
from statustui_tui.screens.one_run import OneRunScreen
from statustui_tui.screens.parts.footer import KeyBar
from statustui_tui.screens.parts.line import Line
from statustui_tui.screens.parts.sheet import Sheet
from statustui_tui.screens.run_tail import last_lines
from statustui_tui.sources import Frame, Process

WIDE = 110
"""Cells from which the page has two columns."""
KEPT = 120
"""Samples of its own that the screen keeps."""


class RunScreen(OneRunScreen):
    """Everything about one run."""

    NAME = keys.RUN
    BINDINGS: ClassVar[list[Any]] = keys.bindings(keys.RUN)
    AUTO_FOCUS = "#left"

    def __init__(self, run_id: str, run: Run | None = None) -> None:
        super().__init__(run_id)
        self.run = run
        self.frame: Frame | None = None
        self.processes: tuple[Process, ...] = ()
        self.output: tuple[str, ...] = ()
        """The end of its log, of a run that has no subtasks to show."""
        self._output_whole = False
        self.zoomed = False
        self._history: list[tuple[float, float, int]] = []
        self._held = False
        self._drawn_at = float("-inf")

    def compose(self) -> ComposeResult:
        """Heading, banner, the two bars, and the page in one or two columns."""
        yield Line(id="head")
        yield Line(id="banner")
        yield Sheet(id="bars")
        with Horizontal(id="page"):
            yield Sheet(id="left")
            yield Sheet(id="right")
        yield Line(id="says")
        yield KeyBar(ascii_only=self.monitor.ascii_only)

    def begin(self) -> None:
        """Ask for the details."""
        self.query_one("#bars", Sheet).can_focus = False
        self.want()

    def on_screen_resume(self) -> None:
        """Ask again after another screen was in front."""
        self.want()
        self.redraw()

    def feed(self, frame: Frame, *, changed: bool) -> None:
        """Take a new frame: its samples, a cancel under way."""
        self.frame, self.trouble = frame, None
        usage = frame.usage.get(self.run_id)
        if usage is not None and usage.cpu_percent is not None and usage.rss_bytes is not None:
            last = self._history[-1] if self._history else None
            point = (time.time(), usage.cpu_percent, usage.rss_bytes)
            if last is None or last[1:] != point[1:]:
                self._history = [*self._history[1 - KEPT :], point]
        self.redraw()
        if self.up:
            self.pace(by_frame=True)

    def take(self, detail: RunDetail, processes: tuple[Process, ...], generation: int) -> None:
        """Take the answer to a request; one to an older request is dropped."""
        if generation != self._generation:
            return
        self.detail, self.run, self.processes = detail, detail.run, processes
        self._ask_output(detail)
        self.redraw()

    def _ask_output(self, detail: RunDetail) -> None:
        """Have the end of its log read, in the poller's thread, where there are no subtasks to look at."""
        run, settings, generation = detail.run, self.monitor.settings, self._generation
        if detail.subtasks or self._output_whole:
            return
        self._output_whole = not run.status.open

        def show(lines: tuple[str, ...]) -> None:
            if generation == self._generation and lines != self.output:
                self.output = lines
                self.redraw()

        self.monitor.poller.ask(lambda _: last_lines(run, settings), show)

    def tick(self) -> None:
        """Show the ages as of now."""
        self.redraw()

    def selected(self) -> tuple[Run, ...]:
        """This run."""
        return (self.run,) if self.run is not None else ()

    def hold(self, held: bool) -> None:
        """Keep the page still while a dialog is open."""
        self._held = held

    def page(self) -> run_view.Page | None:
        """What the page is made from; None before the first answer."""
        if self.detail is None:
            return None
        detail = self.detail
        run = one_row_each((detail.run, *detail.children))[0]
        now = self.monitor.now()
        usage = self.frame.usage.get(run.run_id) if self.frame else None
        stats = self.frame.snapshot.stats.get(run.task) if self.frame else None
        marks: tuple[Any, ...] = ()
        if run.status.open and self.frame is not None:
            hosts = view.hosts_now(self.frame.snapshot, now)
            marks = marks_of(run, stats, host_of(run, hosts), now)
        request = view.cancels(self.detail.requests).get(run.run_id) if run.status.open else None
        entry = view.Entry(run=run, marks=marks, usage=usage, request=request)
        stored = self.detail.samples[-1][0] if self.detail.samples else 0.0
        return run_view.Page(
            detail=self.detail,
            entry=entry,
            left=estimate(run, stats, now),
            now=now,
            processes=self.processes if run.status.open else (),
            usage_history=tuple(point for point in self._history if point[0] > stored),
            output=self.output,
            rows=self.query_one("#left", Sheet).size.height,
            ascii_only=self.monitor.ascii_only,
        )

    def redraw(self) -> None:
        """Show the run as of now."""
        if not self.up:
            return
        self.fit()
        if self._held or (self.monitor.paused and self._drawn_at > 0):
            return
        self._drawn_at = self.monitor.clock.monotonic()
        width, height = self.size.width, self.size.height
        self.show_banner()
        page = self.page()
        if page is None:
            name = render.clean(self.run.task) if self.run is not None else "the run"
            self.query_one("#head", Line).show(Content.assemble(" ", (name, "bold"), "  …"))
            return
        self.query_one("#head", Line).show(run_view.heading(page, width))
        self._bars(page, width, height)
        wide = width >= WIDE and not self.zoomed
        left, right = run_facts.pages(page, width - 1, wide=wide)
        right_sheet = self.query_one("#right", Sheet)
        right_sheet.display = bool(right)
        self.query_one("#left", Sheet).styles.width = "3fr" if right else "1fr"
        right_sheet.styles.width = "2fr"
        self.query_one("#left", Sheet).show(left)
        right_sheet.show(right)
        self.refresh_bindings()

    def _bars(self, page: run_view.Page, width: int, height: int) -> None:
        sheet = self.query_one("#bars", Sheet)
        lines = run_view.big_bars(page, width)
        if height >= 20:
            lines = [Content(""), *lines, Content("")]
        sheet.display = not self.zoomed
        sheet.styles.height = min(len(lines), max(1, height // 3))
        sheet.show(lines)

    def action_items(self) -> None:
        """The items that this run works or worked on."""
        name = self.run.task if self.run is not None else ""
        self.monitor.open_run_items(self.run_id, name)

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What works now."""
        if action == "attempt":
            by = parameters[0]
            return isinstance(by, int) and self.attempt(by) is not None
        if action == "items":
            return self.frame is not None and bool(self.frame.board.pipelines)
        if action == "other_list":
            return self.up and self.query_one("#right").display
        return super().check_action(action, parameters)

    def action_attempt(self, by: int) -> None:
        """The attempt before or after this one."""
        run = self.attempt(by)
        if run is not None:
            self.run_id, self.run, self.detail, self.processes, self._history = run.run_id, run, None, (), []
            self.output, self._output_whole = (), False
            self.want()
            self.redraw()

    def action_move(self, how: str) -> None:
        """Scroll the column that has the focus."""
        right = self.query_one("#right", Sheet)
        (right if right.has_focus and right.display else self.query_one("#left", Sheet)).move(how)

    def action_other_list(self) -> None:
        """To the other column."""
        left, right = self.query_one("#left", Sheet), self.query_one("#right", Sheet)
        (left if right.has_focus else right).focus()

    def action_zoom(self) -> None:
        """The page alone, in one column, to read and to select from."""
        self.zoomed = not self.zoomed
        self.redraw()

    def action_back(self) -> None:
        """Back to the list."""
        if self.zoomed:
            self.action_zoom()
        else:
            self.monitor.go_back()
