"""Values as people read them. Pure functions: no clock, no locale, no terminal is asked."""

import math
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Protocol

from rich.cells import cell_len, get_character_cell_size
from textual.content import Content

from statustui.model.glyphs import glyph as glyph
from statustui.model.text import safe_text


class EtaLike(Protocol):
    """What :func:`eta` needs to know of an estimate."""

    @property
    def low_s(self) -> float:
        """Earliest likely end, in seconds from now."""

    @property
    def high_s(self) -> float:
        """Latest likely end, in seconds from now."""

    @property
    def overdue(self) -> bool:
        """True when the run is longer than every past one."""


def number(value: float, digits: int = 1) -> str:
    """A small number without needless digits: ``1.2``, ``12``, ``0.4``."""
    if abs(value) >= 10 or value == int(value):
        return str(int(value))
    return f"{value:.{digits}f}"


def duration(seconds: float | None) -> str:
    """Length of time: ``0:31``, ``3:10``, ``1:02:03``, ``2d 4h``; empty when unknown."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    whole = max(0, int(seconds))
    minutes, secs = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24}d {hours % 24}h"
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes}:{secs:02}"


def age(seconds: float | None) -> str:
    """How long ago, in one unit: ``4s``, ``18m``, ``3h``, ``2d``; empty when unknown."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    whole = max(0, int(seconds))
    if whole < 100:
        return f"{whole}s"
    if whole < 100 * 60:
        return f"{whole // 60}m"
    if whole < 48 * 3600:
        return f"{whole // 3600}h"
    return f"{whole // 86400}d"


def ago(seconds: float | None) -> str:
    """Age of something that is over: like :func:`age`, in steps of ten seconds, so that no list flickers.

    ``now`` within ten seconds, then ``10s``, ``50s``, ``1m``; empty when unknown.
    """
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds < 10:
        return "now"
    return f"{int(seconds) // 10 * 10}s" if seconds < 60 else "1m" if seconds < 120 else age(seconds)


def _scaled(value: float, step: float, units: str) -> str:
    """*value* with at most three figures and the largest unit that keeps it at or above 1."""
    sign = "-" if value < 0 else ""
    value = abs(value)
    unit = -1
    while value >= step or (unit >= 0 and value >= 999.5):
        if unit + 1 >= len(units):
            break
        value /= step
        unit += 1
    if unit < 0:
        return f"{sign}{int(value)}"
    # Cut, not rounded: 9.96 must not become the four figures "10.0".
    text = f"{math.floor(value * 10) / 10:.1f}" if value < 10 else str(int(value))
    return f"{sign}{text}{units[unit]}"


def size(value: float | None) -> str:
    """Bytes in powers of 1024: ``812``, ``12M``, ``1.2G``; empty when unknown."""
    if value is None or not math.isfinite(value):
        return ""
    return _scaled(value, 1024, "KMGTPE")


def count(value: float | None, unit: str | None = None) -> str:
    """A count in powers of 1000: ``999``, ``12k``, ``1.2M rows``, ``1.2MB``; empty when unknown."""
    if value is None or not math.isfinite(value):
        return ""
    text = _scaled(value, 1000, "kMGTPE")
    if unit == "B":
        return f"{text}B"
    return f"{text} {unit}" if unit else text


def rate(per_second: float | None, unit: str | None = None) -> str:
    """A speed in the unit of time that keeps it at or above 1: ``1.2k/s``, ``3/min``, ``2/h``."""
    if per_second is None or not math.isfinite(per_second) or per_second <= 0:
        return ""
    for factor, name in ((1, "s"), (60, "min"), (3600, "h"), (86400, "day")):
        if per_second * factor >= 1 or name == "day":
            value = per_second * factor
            text = number(value) if value < 1000 else count(value)
            return f"{text} {unit}/{name}" if unit else f"{text}/{name}"
    return ""


def percent(value: float | None) -> str:
    """A percentage, cut and kept within 0..100, so that 99.9 is ``99%``; empty when unknown."""
    if value is None or math.isnan(value):
        return ""
    return f"{int(min(100.0, max(0.0, value)))}%"


def load(value: float | None) -> str:
    """CPU of a process tree, 100 = one core: ``98%``, ``12.5c`` above ten cores."""
    if value is None or not math.isfinite(value):
        return ""
    return f"{round(max(0.0, value))}%" if value < 1000 else f"{value / 100:.1f}c"


def done(complete: float | None, total: float | None) -> str:
    """``23/112``; a count alone when the total is unknown; ``120/100`` stays as it is."""
    if complete is None:
        return ""
    if total is None:
        return count(complete)
    if complete < 100_000 and total < 100_000:
        return f"{int(complete)}/{int(total)}"
    return f"{count(complete)}/{count(total)}"


def _rough(seconds: float) -> tuple[int, str]:
    """*seconds* as a whole number of the unit in which people estimate."""
    if seconds < 90:
        return max(0, math.ceil(seconds / 5) * 5), "s"
    if seconds < 100 * 60:
        return math.ceil(seconds / 60), "m"
    if seconds < 48 * 3600:
        return math.ceil(seconds / 3600), "h"
    return math.ceil(seconds / 86400), "d"


def eta(estimate: EtaLike | None, ascii: bool = False) -> str:
    """What is left: ``12–15m``, ``50s–2m``, ``overdue``, ``?`` without evidence."""
    if estimate is None:
        return "?"
    if estimate.overdue:
        return "overdue"
    low, low_unit = _rough(estimate.low_s)
    high, high_unit = _rough(estimate.high_s)
    if (low, low_unit) == (high, high_unit):
        return f"{high}{high_unit}"
    dash = "-" if ascii else "–"
    return f"{low}{dash}{high}{high_unit}" if low_unit == high_unit else f"{low}{low_unit}{dash}{high}{high_unit}"


def eta_clock(estimate: EtaLike | None, now: datetime, zone: tzinfo | None = None) -> str:
    """Clock time of the middle of an estimate in the viewer's zone: ``~14:40``; empty without one."""
    if estimate is None or estimate.overdue:
        return ""
    middle = (estimate.low_s + estimate.high_s) / 2
    if middle > 20 * 3600:
        return ""
    return "~" + datetime.fromtimestamp(now.timestamp() + middle, zone).strftime("%H:%M")


def clock(at: datetime | None, now: datetime | None = None, zone: tzinfo | None = None) -> str:
    """Clock time in the viewer's zone; with the day in front when it is not that of *now*."""
    if at is None:
        return ""
    local = at.astimezone(zone)
    if now is not None and now.astimezone(zone).date() != local.date():
        return local.strftime("%d %b %H:%M")
    return local.strftime("%H:%M:%S")


@lru_cache(maxsize=8192)
def clean(text: str) -> str:
    """Text from outside as one safe line (P10); kept, since the same names come back each second."""
    return text if text.isascii() and text.isprintable() else safe_text(text, one_line=True)


def content(text: object, style: str = "") -> Content:
    """Literal content of cleaned text: no markup, no escape sequence. Several lines stay several lines."""
    return Content.styled(safe_text(str(text), one_line=False), style)


def width(text: str) -> int:
    """Cells that *text* takes."""
    return len(text) if text.isascii() else cell_len(text)


def crop(text: str, cells: int, ascii: bool = False) -> str:
    """*text* cut to *cells*, with an ellipsis where something is missing."""
    if width(text) <= cells:
        return text
    mark = "." if ascii else "…"
    return _take(text, cells - 1) + mark if cells > 0 else ""


def crop_middle(text: str, cells: int, ascii: bool = False) -> str:
    """*text* cut in its middle to *cells*: for paths and names whose end tells them apart."""
    if width(text) <= cells:
        return text
    if cells < 4:
        return crop(text, cells, ascii)
    mark = "." if ascii else "…"
    tail = (cells - 1) // 2
    return _take(text, cells - 1 - tail) + mark + _take(text[::-1], tail)[::-1]


def _take(text: str, cells: int) -> str:
    """The longest beginning of *text* that fits in *cells*."""
    if text.isascii():
        return text[: max(0, cells)]
    used = 0
    for position, character in enumerate(text):
        used += get_character_cell_size(character)
        if used > cells:
            return text[:position]
    return text


def fit(text: str, cells: int, right: bool = False, ascii: bool = False) -> str:
    """*text* cropped or padded to exactly *cells*."""
    text = crop(text, cells, ascii)
    space = " " * (cells - width(text))
    return space + text if right else text + space
