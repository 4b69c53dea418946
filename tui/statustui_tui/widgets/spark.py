"""Sparklines: the recent past of a number in one line."""

import math
from collections.abc import Sequence

_LEVELS = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS = "_.-=+*%#"


def sparkline(values: Sequence[float | None], width: int, *, ascii: bool = False, top: float | None = None) -> str:
    """The newest values as columns of eight heights, exactly *width* cells.

    Longer series are thinned by the largest value of each column, so that a peak is never lost; shorter ones stand
    at the right. Unknown values are blank.

    Args:
        values: Oldest first; None and NaN are unknown.
        width: Cells.
        ascii: Use ASCII characters.
        top: Value of a full column; the largest value when None.
    """
    if width <= 0:
        return ""
    columns = _columns([_known(value) for value in values], width)
    known = [value for value in columns if value is not None]
    highest = top if top is not None and top > 0 else max(known, default=0.0)
    levels = _ASCII_LEVELS if ascii else _LEVELS
    drawn = "".join(" " if value is None else levels[_level(value, highest)] for value in columns)
    return drawn.rjust(width)


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else max(0.0, value)


def _level(value: float, highest: float) -> int:
    return min(7, int(value / highest * 8)) if highest > 0 else 0


def _columns(values: list[float | None], width: int) -> list[float | None]:
    """At most *width* values: the largest of each equal share."""
    if len(values) <= width:
        return values
    columns: list[float | None] = []
    for column in range(width):
        share = values[column * len(values) // width : (column + 1) * len(values) // width]
        columns.append(max((value for value in share if value is not None), default=None))
    return columns
