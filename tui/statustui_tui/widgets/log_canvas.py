"""The picture of a log: the rows of the window on it, and a line below that says where they stand."""

from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from statustui_tui.widgets import log_paint, log_status
from statustui_tui.widgets.log_index import LogIndex, is_error
from statustui_tui.widgets.log_prompt import Prompt
from statustui_tui.widgets.log_search import Matcher, Searcher
from statustui_tui.widgets.log_window import Line, LogWindow


class LogCanvas(Widget, can_focus=True, inherit_bindings=False):
    """Draws what a `LogView` has opened, found and been told; knows nothing of keys and files.

    Args:
        ascii: Draw with ASCII characters only.
        id: As of any widget.
        classes: As of any widget.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"log--status", "log--notice", "log--match", "log--error", "log--current"}
    DEFAULT_CSS = """
    LogCanvas {
        background: $background; color: $foreground;
        & > .log--status { color: $text-muted; background: $surface; }
        & > .log--notice { color: $text-warning; background: $surface; }
        & > .log--match { text-style: reverse; }
        & > .log--error { color: $text-error; }
        & > .log--current { text-style: bold; }
    }
    """

    @dataclass
    class Changed(Message, namespace="log_view"):
        """What the status line says is another."""

        view: "LogCanvas"
        status: str
        following: bool

        def can_replace(self, message: Message) -> bool:
            """Only the newest matters."""
            return isinstance(message, LogCanvas.Changed)

    def __init__(self, *, ascii: bool, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._ascii = ascii
        self._window: LogWindow | None = None
        self._index: LogIndex | None = None
        self._searcher: Searcher | None = None
        self._prompt: Prompt | None = None
        self._matcher: Matcher | None = None
        self._current: int | None = None
        self._refused = ""
        self._notice = ""
        self._following = False
        self._wrapping = False
        self._x = 0
        self._rows: list[tuple[Line, int]] | None = None
        self._said = ""

    # State that others ask for

    @property
    def following(self) -> bool:
        """True while the end of the log is kept on the screen."""
        return self._following

    @property
    def prompting(self) -> bool:
        """True while a text is being typed; the keys are the view's then."""
        return self._prompt is not None

    @property
    def status(self) -> str:
        """What the status line says."""
        return self._status()

    @property
    def _searching(self) -> bool:
        return self._searcher is not None and self._searcher.running

    @property
    def _height(self) -> int:
        return max(1, self.size.height - 1)

    def _fit(self) -> None:
        """Take over the width; keep the end at the bottom."""
        window = self._window
        if window is not None:
            window.wrap_at = max(1, self.size.width) if self._wrapping else None
            window.row = 0
            if self._following:
                window.to_end(self._height)
        self._redraw()

    def _visible(self) -> list[tuple[Line, int]]:
        if self._rows is None:
            self._rows = [] if self._window is None else self._window.rows(self._height)
        return self._rows

    def _redraw(self) -> None:
        self._rows = None
        self._speak()
        self.refresh()

    def _redraw_changed(self) -> None:
        """Redraw when the window has other rows now; else only the status line."""
        before, self._rows = self._rows, None
        if before != self._visible():
            self.refresh()
        else:
            self.refresh(Region(0, self._height, self.size.width, 1))
        self._speak()

    def _speak(self) -> None:
        status = self._status()
        if status != self._said:
            self._said = status
            self.post_message(self.Changed(self, status, self._following))

    # Painting

    def _status(self) -> str:
        if self._prompt is not None:
            return self._prompt.shown + ("  searching" if self._searching else "")
        window, index = self._window, self._index
        if window is None or index is None:
            return self._refused
        rows = self._visible()
        parts = (
            self._notice,
            "following" if self._following else "",
            "searching" if self._searching else "",
            log_status.matches(window.filter),
            log_status.errors(index, self._current),
            log_status.position(window.file, index, rows[-1][0] if rows else None),
        )
        return "  ".join(part for part in parts if part)

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width, base = self.size.width, self.rich_style
        if y >= self._height:
            style = self._component("log--notice" if self._notice or self._window is None else "log--status")
            return log_paint.one_line(" " + self._status(), base + style, width, self._ascii)
        rows = self._visible()
        if y >= len(rows):
            text = self._refused if self._window is None and y == 0 else ""
            return log_paint.one_line(text, base, width, self._ascii)
        line, row = rows[y]
        if is_error(line.raw):
            base += self._component("log--error")
        if line.start == self._current:
            base += self._component("log--current")
        strip = log_paint.highlight(line.strip(base), self._matcher, self._component("log--match"))
        start = row * width if self._wrapping else self._x
        return strip.crop(start, start + width).adjust_cell_length(width, base)

    def _component(self, name: str) -> Style:
        return self.get_component_rich_style(name, partial=True)
