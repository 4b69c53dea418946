"""One line of text that repaints only the cells that changed."""

from typing import Any

from rich.cells import cell_len
from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget

_ASCII = str.maketrans({"…": ".", "·": "-", "“": '"', "”": '"', "–": "-", "×": "x", "’": "'", "•": "*"})


def for_terminal(widget: Widget, content: Content) -> Content:
    """*content* as it can be drawn: where the terminal shows only ASCII, other characters are replaced."""
    if content.plain.isascii() or not getattr(widget.app, "ascii_only", False):
        return content
    text = content.plain.translate(_ASCII).encode("ascii", "replace").decode()
    return Content(text, list(content.spans))


class Line(Widget):
    """A line of `Content`. Over SSH a clock then costs the digits that moved, not the line."""

    DEFAULT_CSS = """
    Line { height: 1; width: 1fr; }
    """

    def __init__(self, content: Content | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._content = content or Content("")

    @property
    def text(self) -> str:
        """What the line says."""
        return self._content.plain

    def render(self) -> Content:
        """The line."""
        return for_terminal(self, self._content)

    def show(self, content: Content) -> None:
        """Show *content*; nothing is drawn when it is what is shown already."""
        content = for_terminal(self, content)
        old, self._content = self._content, content
        if old.plain == content.plain and old.spans == content.spans:
            return
        if old.spans == content.spans and len(old.plain) == len(content.plain):
            pairs = list(zip(old.plain, content.plain, strict=True))
            first = next(i for i, (a, b) in enumerate(pairs) if a != b)
            last = next(i for i in range(len(pairs) - 1, -1, -1) if pairs[i][0] != pairs[i][1])
            if cell_len(old.plain) == cell_len(content.plain) == len(content.plain):
                self.refresh(Region(first, 0, last - first + 1, 1))
                return
        self.refresh()


def spread(left: Content, right: Content, width: int, fill: str = " ", style: str = "") -> Content:
    """*left* and *right* at the two ends of *width* cells; the right one goes when there is no room."""
    room = width - left.cell_length - right.cell_length
    if room < 1:
        return left.truncate(width, ellipsis=True) if left.cell_length > width else left
    return Content.assemble(left, (fill * room, style), right)


def rule(title: str, right: str, width: int, *, ascii_only: bool, focused: bool = False) -> Content:
    """A section's heading: ``─ Title ─────────── right ─``."""
    dash = "-" if ascii_only else "─"
    line = "$foreground 30%" if not focused else "$primary"
    left = Content.assemble((f"{dash} ", line), (title, "bold $primary" if focused else "bold"), (" ", ""))
    tail = Content.assemble((" ", ""), (right, "$foreground 60%"), (f" {dash}", line)) if right else Content("")
    return spread(left, tail, width, dash, line)
