"""A text that is being typed in the log view's status line."""

from dataclasses import dataclass
from typing import Literal

from statustui_tui import render

_MOST = 500


@dataclass(kw_only=True, slots=True)
class Prompt:
    """What is typed, for what, and where the screen stood when it began."""

    kind: Literal["search", "only"]
    """What the text is for."""
    origin: tuple[int, int]
    """Position of the first line and first row of it that were shown."""
    text: str = ""

    @property
    def shown(self) -> str:
        """As it stands in the status line."""
        return f"{'/' if self.kind == 'search' else '&'}{self.text}_"

    def key(self, key: str, character: str | None) -> Literal["given up", "done", "changed"] | None:
        """Take one key; what came of it."""
        if key == "escape":
            return "given up"
        if key == "enter":
            return "done"
        before = self.text
        if key in ("backspace", "ctrl+h"):
            self.text = self.text[:-1]
        elif key in ("ctrl+u", "ctrl+w"):
            self.text = ""
        elif character is not None:
            self.text = (self.text + character)[:_MOST]
        return "changed" if self.text != before else None

    def paste(self, text: str) -> None:
        """Take the first line of a pasted text."""
        self.text = (self.text + render.clean(text.partition("\n")[0]))[:_MOST]
