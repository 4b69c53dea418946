"""Numbers and times as the command line writes them. Pure."""

import unicodedata
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from statustui.model.status import ItemStatus, RunStatus, SubtaskStatus

if TYPE_CHECKING:
    from statustui.insight.eta import Eta
    from statustui.model.run import Run

_COLOURS: dict[str, str] = {
    RunStatus.STARTED: "cyan", RunStatus.RUNNING: "cyan", RunStatus.FINISHED: "green", RunStatus.CANCELLED: "yellow",
    RunStatus.FAILED: "red", RunStatus.LOST: "red",
    SubtaskStatus.NOT_STARTED: "dim", SubtaskStatus.COMPLETED: "green", SubtaskStatus.SKIPPED: "dim",
    ItemStatus.PENDING: "dim", ItemStatus.PROCESSING: "cyan",
}  # fmt: skip
_SIZES = ("", "K", "M", "G", "T", "P")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def colour(status: RunStatus | SubtaskStatus | ItemStatus) -> str:
    """Style of a status."""
    return _COLOURS[status]


def duration(seconds: float | None) -> str:
    """Length of time: ``0:31``, ``1:02:03``, ``2d 4h``; empty when unknown."""
    if seconds is None:
        return ""
    minutes, secs = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24}d {hours % 24}h"
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes}:{secs:02}"


def rough(seconds: float) -> str:
    """Length of time in one unit: ``41m``, ``3h``."""
    for size, unit in _UNITS:
        if seconds >= 2 * size or unit == "s":
            return f"{max(0, int(seconds / size))}{unit}"
    raise AssertionError


def eta(estimate: "Eta | None", ascii: bool = False) -> str:
    """Time left as a range: ``12-15m``; empty without evidence."""
    if estimate is None:
        return ""
    if estimate.overdue:
        return "overdue"
    low, high = rough(estimate.low_s), rough(estimate.high_s)
    if low == high:
        return low
    dash = "-" if ascii else "–"
    return f"{low[:-1] if low[-1] == high[-1] else low}{dash}{high}"


def size(value: float | None) -> str:
    """Bytes in powers of 1024: ``812``, ``12M``, ``1.2G``; empty when unknown."""
    if value is None:
        return ""
    step = 0
    while value >= 1000 and step < len(_SIZES) - 1:
        value /= 1024
        step += 1
    return f"{value:.1f}{_SIZES[step]}" if value < 10 and step else f"{int(value)}{_SIZES[step]}"


def percent(value: float | None) -> str:
    """A progress percentage, cut, so that it is never 100 % before the end; empty when unknown."""
    return "" if value is None or value != value else f"{int(min(100.0, max(0.0, value)))}%"


def share(count: int, total: int) -> int:
    """Percentage that *count* is of *total*: nearest, but 100 only for all of them."""
    if not total:
        return 0
    near = round(100 * count / total)
    return 99 if near == 100 and count < total else near


def bar(fraction: float, width: int, ascii: bool) -> str:
    """A bar of *width* cells."""
    full = min(width, max(0, round(fraction * width)))
    if fraction > 0 and full == 0:
        full = 1
    return ("#" if ascii else "█") * full + ("." if ascii else "░") * (width - full)


def items(run: "Run") -> str:
    """``3/8``, or a bare count with its unit when the total is unknown; empty without items."""
    if run.items_complete is None:
        return ""
    if run.items_total is None:
        return counted(run.items_complete, None, run.unit)
    return counted(run.items_complete, run.items_total, run.unit if run.unit in BYTES else None)


BYTES = frozenset({"B", "byte", "bytes"})
"""The units of what is counted in bytes, as programs write them."""


def counted(complete: int, total: int | None, unit: str | None) -> str:
    """``3/8 files``, ``1,200 rows``; what is counted in bytes as sizes: ``1.2G/20G``."""
    if unit in BYTES:
        return size(complete) if total is None else f"{size(complete)}/{size(total)}"
    after = f" {unit}" if unit else ""
    return f"{complete:,}{after}" if total is None else f"{complete}/{total}{after}"


def subtasks(run: "Run") -> str:
    """``23/112`` subtasks done; empty when the run has none."""
    if run.total_subtasks:
        return f"{run.subtasks_done}/{run.total_subtasks}"
    return str(run.subtasks_done) if run.subtasks_done else ""


def elapsed(run: "Run", now: datetime) -> float:
    """Seconds that *run* took or has taken until *now*."""
    if run.duration_s is not None:
        return run.duration_s
    return max(0.0, ((run.ended_at or now) - run.started_at).total_seconds())


def clock(at: datetime | None, now: datetime) -> str:
    """Time of day in the viewer's zone, with the date unless it is today; empty when unknown."""
    if at is None:
        return ""
    local, today = at.astimezone(), now.astimezone()
    if local.date() == today.date():
        return local.strftime("%H:%M:%S")
    near = abs(today - local) < timedelta(days=300)
    return local.strftime("%d %b %H:%M" if near else "%Y-%m-%d %H:%M")


def cells(text: str) -> int:
    """Columns that *text* takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) or char == "\u200d" else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def fit(text: str, width: int, ascii: bool = False) -> str:
    """*text* cut to *width* columns, with a mark where something is missing."""
    if cells(text) <= width:
        return text
    mark = "~" if ascii else "…"
    kept = ""
    for char in text:
        if cells(kept + char) > width - 1:
            break
        kept += char
    return kept + mark if width > 0 else ""
