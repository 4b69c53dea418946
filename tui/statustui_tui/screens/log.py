"""The Log screen: the log of one run, with a heading that says whose it is."""

import os
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.content import Content

from statustui.insight.needs import error_words
from statustui.model.run import Run, RunDetail
from statustui_tui import keys, render
from statustui_tui.screens.header import Trouble
from statustui_tui.screens.one_run import OneRunScreen
from statustui_tui.screens.parts.footer import KeyBar
from statustui_tui.screens.parts.line import Line, rule, spread
from statustui_tui.screens.parts.sheet import Sheet
from statustui_tui.screens.run_view import DIM, STYLES
from statustui_tui.screens.view import elapsed
from statustui_tui.sources import Frame, Process
from statustui_tui.widgets.log_source import LogFile, LogRefused
from statustui_tui.widgets.log_view import LogView


class LogScreen(OneRunScreen):
    """Shows the log file of a run; where there is none, the last lines that the store keeps."""

    NAME = keys.LOG
    BINDINGS: ClassVar[list[Any]] = keys.bindings(keys.LOG)

    def __init__(self, run: Run) -> None:
        super().__init__(run.run_id)
        self.run = run
        self.frame: Frame | None = None
        self.unreadable: str | None = None
        """Why the log that the run is said to have is not shown."""

    def compose(self) -> ComposeResult:
        """Heading, the log, the footer."""
        yield Line(id="head")
        yield self._body()
        yield Line(id="says")
        yield KeyBar(ascii_only=self.monitor.ascii_only)

    def _body(self) -> LogView | Sheet:
        run = self.run
        path = self._log()
        if path is None:
            return Sheet([Content("")], id="no-log")
        error = run.error_message or run.error_type if run.status.bad else None
        return LogView(
            path,
            start=run.log_start or 0,
            end=run.log_end,
            inode=run.log_inode,
            error=error,
            ascii=self.monitor.ascii_only,
            id="log",
        )

    def _log(self) -> str | None:
        """The log file; None when there is none, or only somebody else's word for one."""
        from statustui.control.logs import LogDistrusted, log_path

        try:
            path = log_path(self.run, self.monitor.settings)
        except LogDistrusted as error:
            self.unreadable = str(error)
            return None
        if path is None or not os.path.isabs(path):
            return None
        if not self.run.status.open:
            # Nobody writes it any more: what the store keeps says more than an empty view.
            try:
                LogFile(path, inode=self.run.log_inode).close()
            except LogRefused as error:
                self.unreadable = str(error)
                return None
        return path

    @property
    def log_view(self) -> LogView | None:
        """The log, where the run has one."""
        found = self.query(LogView)
        return found.first() if found else None

    def begin(self) -> None:
        """Give the keys to the log."""
        self.want()
        (self.log_view or self.query_one(Sheet)).focus()

    def on_screen_resume(self) -> None:
        """Ask again after another screen was in front."""
        self.want()

    @property
    def covered(self) -> bool:
        """True while the log stands alone, too."""
        return super().covered or self.has_class("-zoomed")

    def redraw(self) -> None:
        """Show the heading as of now."""
        if self.up:
            self.fit()
            self._head()

    def tick(self) -> None:
        """Show the time running."""
        self._head()

    def feed(self, frame: Frame, *, changed: bool) -> None:
        """Take a new frame."""
        self.frame = frame

    def lose(self, trouble: Trouble) -> None:
        """A log can be read without the store."""

    def take(self, detail: RunDetail, processes: tuple[Process, ...], generation: int) -> None:
        """Take what the store knows of the run now."""
        if generation != self._generation:
            return
        self.detail, self.run = detail, detail.run
        if not self.up:
            return
        self._head()
        if self.log_view is None:
            self.query_one(Sheet).show(self._tail(detail))
        self.refresh_bindings()

    def _tail(self, detail: RunDetail) -> list[Content]:
        """What the store keeps, where there is no file to show: the error, the traceback, the last lines."""
        run, ascii_only, width = self.run, self.monitor.ascii_only, self.size.width
        why = self.unreadable or ("" if run.log_path else "this run has no log file")
        lines = [Content.styled(f" {render.clean(why)}", DIM)] if why else []
        error = error_words(run) if run.status.bad or run.error_message else ""
        sections = (
            ("Error", "", [error] if error else []),
            ("Traceback", "kept in the store", (detail.error_detail or "").rstrip().splitlines()),
            ("Last lines of its output", "kept in the store", detail.log_tail),
        )
        for name, source, texts in sections:
            if texts:
                lines += [Content(""), rule(name, source, width, ascii_only=ascii_only)]
                lines += [Content.assemble(" ", render.content(text)) for text in texts]
        if len(lines) <= 1 and not self.unreadable:
            lines += [Content(""), Content.styled(" For one, start it with: statustui run -- COMMAND", DIM)]
        return lines

    def _head(self) -> None:
        if not self.up:
            return
        run, width = self.run, self.size.width
        style = STYLES[run.status.value]
        status = run.status.value.upper() if run.status.bad else run.status.value
        left = Content.assemble(
            (f" {render.glyph(run.status, self.monitor.ascii_only)} ", style), (render.clean(run.task), "bold"),
            (f" {run.id}", DIM), "  ", (status, f"bold {style}"),
            f"  {render.duration(elapsed(run, self.monitor.now()))}  ",
        )  # fmt: skip
        room = width - left.cell_length - 1
        path = render.crop_middle(render.clean(run.log_path or "no log file"), max(0, room), self.monitor.ascii_only)
        self.query_one("#head", Line).show(spread(left, Content.assemble((path, DIM), " "), width))

    def selected(self) -> tuple[Run, ...]:
        """This run."""
        return (self.run,)

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What works now."""
        if not self.up:
            return True
        if self.log_view is not None and self.log_view.prompting:
            return False  # its letters
        if action == "attempt":
            by = parameters[0]
            return isinstance(by, int) and self.attempt(by) is not None
        if action in ("follow", "wrap", "next_error", "previous_error", "only", "search", "next_hit", "previous_hit"):
            return self.log_view is not None
        return super().check_action(action, parameters)

    def action_attempt(self, by: int) -> None:
        """The log of the attempt before or after this one."""
        run = self.attempt(by)
        if run is not None:
            self.app.switch_screen(LogScreen(run))

    def action_move(self, how: str) -> None:
        """Scroll."""
        view = self.log_view
        if view is not None:
            view.move(how)
        else:
            self.query_one(Sheet).move(how)

    def action_follow(self) -> None:
        """Follow the end, or stay."""
        if self.log_view is not None:
            self.log_view.toggle_follow()

    def action_wrap(self) -> None:
        """Wrap long lines, or not."""
        if self.log_view is not None:
            self.log_view.toggle_wrap()

    def action_next_error(self) -> None:
        """The next error."""
        if self.log_view is not None:
            self.log_view.next_error(step=1)

    def action_previous_error(self) -> None:
        """The error before."""
        if self.log_view is not None:
            self.log_view.next_error(step=-1)

    def action_search(self) -> None:
        """Search."""
        if self.log_view is not None:
            self.log_view.prompt("search")

    def action_only(self) -> None:
        """Show only matching lines."""
        if self.log_view is not None:
            self.log_view.prompt("only")

    def action_next_hit(self) -> None:
        """The next match."""
        if self.log_view is not None:
            self.log_view.next_hit(step=1)

    def action_previous_hit(self) -> None:
        """The match before."""
        if self.log_view is not None:
            self.log_view.next_hit(step=-1)

    def action_zoom(self) -> None:
        """The log alone."""
        zoomed = not self.has_class("-zoomed")
        self.set_class(zoomed, "-zoomed")
        self.query_one("#head").display = not zoomed
        self.fit()

    def action_back(self) -> None:
        """Back to where the log was opened."""
        if self.has_class("-zoomed"):
            self.action_zoom()
        else:
            self.monitor.go_back()
