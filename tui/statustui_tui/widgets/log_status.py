"""What the status line of the log view says."""

from statustui_tui import render
from statustui_tui.widgets.log_index import LogIndex
from statustui_tui.widgets.log_search import LineFilter
from statustui_tui.widgets.log_source import LogFile
from statustui_tui.widgets.log_window import Line


def errors(index: LogIndex, current: int | None) -> str:
    """``error 3 of 17`` on one, else ``17 errors``; with a ``+`` while the log is still being read."""
    count = len(index.errors)
    more = "" if index.complete else "+"
    place = None if current is None else index.error_place(current)
    if place is not None:
        return f"error {place + 1} of {count}{more}"
    return f"{render.count(count)}{more} error{'s' if count > 1 else ''}" if count else ""


def matches(only: LineFilter | None) -> str:
    """``only Delaware: 12 lines``; empty when all lines are shown."""
    if only is None:
        return ""
    sign = "without" if only.matcher.inverted else "only"
    more = "" if only.complete else "+"
    return f"{sign} {render.clean(only.matcher.text)}: {render.count(len(only.offsets))}{more} lines"


def position(file: LogFile, index: LogIndex, last: Line | None) -> str:
    """``line 1,204 of 9,001  13%`` for the last line on the screen; the size until the lines are counted."""
    size = file.size - file.begin
    if not size:
        return "empty"
    share = render.percent(100 * ((last.end if last is not None else file.begin) - file.begin) / size)
    number = index.number(last.start) if last is not None and index.complete else None
    where = render.size(size) if number is None else f"line {number:,} of {max(number, index.lines):,}"
    return f"{where}  {share}"
