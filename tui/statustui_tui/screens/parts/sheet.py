"""A page of prepared lines that scrolls and repaints only the lines that changed."""

from collections.abc import Sequence
from typing import Any

from rich.segment import Segment
from textual.content import Content
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from statustui_tui.screens.parts.line import for_terminal


class Sheet(ScrollView, can_focus=True):
    """Shows lines of `Content`, drawn only where they are in view."""

    DEFAULT_CSS = """
    Sheet { height: 1fr; width: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; overflow-y: auto; }
    """

    def __init__(self, lines: Sequence[Content] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._lines: list[Content] = list(lines)

    def on_mount(self) -> None:
        """Take the size of the page."""
        self._resize()

    def on_resize(self) -> None:
        """Take the width of the page."""
        self._resize()

    def show(self, lines: Sequence[Content]) -> None:
        """Show other lines; the place on the page stays."""
        old, self._lines = self._lines, list(lines)
        if len(old) != len(self._lines):
            self._resize()
            self.refresh()
            return
        top, height, width = self.scroll_offset.y, self.size.height, self.size.width
        changed = [
            Region(0, i - top, width, 1)
            for i in range(top, min(top + height, len(old)))
            if old[i].plain != self._lines[i].plain or old[i].spans != self._lines[i].spans
        ]
        if changed:
            self.refresh(*changed)

    @property
    def text(self) -> str:
        """All lines as plain text."""
        return "\n".join(line.plain for line in self._lines)

    def move(self, how: str) -> None:
        """Scroll: ``up down half_up half_down page_down top end``."""
        page = max(1, self.size.height)
        target = {
            "up": self.scroll_offset.y - 1,
            "down": self.scroll_offset.y + 1,
            "half_up": self.scroll_offset.y - page // 2,
            "half_down": self.scroll_offset.y + page // 2,
            "page_down": self.scroll_offset.y + page - 1,
            "top": 0,
            "end": len(self._lines),
        }.get(how)
        if target is not None:
            self.scroll_to(y=target, animate=False, force=True)

    def _resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._lines))

    def render_line(self, y: int) -> Strip:
        """One line of the view."""
        width = self.size.width
        index = self.scroll_offset.y + y
        base = self.visual_style
        if index >= len(self._lines) or not width:
            return Strip.blank(width, base.rich_style)
        segments = for_terminal(self, self._lines[index].truncate(width, ellipsis=True)).render_segments(base)
        line = [Segment(text.replace("\n", " "), style, control) for text, style, control in segments]
        return Strip(line).adjust_cell_length(width, base.rich_style)
