"""A plain page to select text from with the mouse: no colours, no frame, nothing that moves."""

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.content import Content
from textual.screen import Screen

from statustui_tui import keys, render
from statustui_tui.screens.parts.sheet import Sheet


class PlainPage(Screen[None]):
    """Shows what was copied, so that it can be selected where the terminal takes no copy from us."""

    BINDINGS: ClassVar[list[Any]] = keys.bindings(keys.HELP)

    def __init__(self, text: str, said: str) -> None:
        super().__init__()
        self._text = text
        self._said = said

    def compose(self) -> ComposeResult:
        """The text, below one line that says how to leave."""
        lines = [Content.styled(render.clean(self._said), "$foreground 60%"), Content("")]
        yield Sheet([*lines, *(render.content(line) for line in self._text.splitlines())])

    def action_move(self, how: str) -> None:
        """Scroll."""
        self.query_one(Sheet).move(how)

    def action_back(self) -> None:
        """Go back."""
        self.dismiss(None)

    def action_leave(self) -> None:
        """Go back."""
        self.dismiss(None)
