"""Progress bars, drawn in eighths of a cell, or in ASCII."""

import math
from dataclasses import dataclass

from statustui_tui import render

_EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(fraction: float | None, width: int, *, ascii: bool = False) -> str:
    """A bar of exactly *width* cells.

    It is full only when *fraction* is 1 or more, and shows something as soon as it is above 0.

    Args:
        fraction: Share that is done; below 0, above 1 and NaN are taken to the nearest end, None is empty.
        width: Cells, brackets of the ASCII form included.
        ascii: Draw ``[####..]``.
    """
    if width <= 0:
        return ""
    share = 0.0 if fraction is None or math.isnan(fraction) else min(1.0, max(0.0, fraction))
    if ascii:
        inner = width - 2 if width > 4 else width
        full = _parts(share, inner)
        body = "#" * full + "." * (inner - full)
        return f"[{body}]" if inner != width else body
    full, eighth = divmod(_parts(share, width * 8), 8)
    return ("█" * full + (_EIGHTHS[eighth] if full < width else "")).ljust(width)


def _parts(share: float, parts: int) -> int:
    """*share* of *parts*, cut, but never 0 for something nor all for less than everything."""
    if share <= 0:
        return 0
    if share >= 1:
        return parts
    return max(1 if parts > 1 else 0, min(parts - 1, int(share * parts)))


ALIGNED = 14
"""Columns of at least this many cells have room for labels of one length."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BarCell:
    """A table cell with a bar that fills its column, and a label to the right of it."""

    fraction: float | None
    """Share that is done; None: only the label is drawn."""
    label: str = ""
    style: str = "bar"
    """Style name of the bar."""
    label_style: str = ""
    longest: int = 20
    """Cells that the bar takes at most."""
    ascii: bool = False

    def spans(self, width: int) -> tuple[tuple[str, str], ...]:
        """Pieces of the cell, each with its style name, for a column of *width* cells."""
        label = render.clean(self.label)
        if self.fraction is None:
            return ((label, self.label_style),)
        if label and width >= ALIGNED:
            label = label.rjust(len("23/112"))  # bars below each other end together, and so compare
        room = min(self.longest, width - render.width(label) - 1 if label else width)
        if room < 3:
            return ((label or bar(self.fraction, width, ascii=self.ascii), self.label_style),)
        drawn = (bar(self.fraction, room, ascii=self.ascii), self.style)
        return (drawn, (" " + label, self.label_style)) if label else (drawn,)
