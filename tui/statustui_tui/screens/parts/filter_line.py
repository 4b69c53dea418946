"""The line in which a filter is typed, in the place of the footer."""

from typing import Any, ClassVar

from textual.widgets import Input

from statustui_tui.screens.parts.screen import StoreScreen


class FilterLine(Input):
    """The line in which a filter is typed; arrows leave it for the list."""

    BINDINGS: ClassVar[list[Any]] = [("escape", "screen.clear", "clear"), ("down", "screen.list", "list")]


class FilteredScreen(StoreScreen):
    """A screen with a `FilterLine`."""

    @property
    def filter_line(self) -> FilterLine:
        """The line, whether it is open or not."""
        return self.query_one(FilterLine)

    @property
    def covered(self) -> bool:
        """True while a filter is typed, too."""
        return super().covered or self.filter_line.display

    def open_filter(self, text: str) -> None:
        """Let somebody go on typing at *text*."""
        line = self.filter_line
        line.value = text
        line.display = True
        self.fit()
        self.set_focus(line)

    def close_filter(self) -> None:
        """Put the line away."""
        self.filter_line.display = False
        self.fit()
