"""Where to begin to read the log of a run that failed."""

from statustui_tui.widgets.log_index import is_error
from statustui_tui.widgets.log_search import Matcher
from statustui_tui.widgets.log_source import LogFile

_NEAR_END = 1 << 20
"""Bytes before the end in which something like an error is looked for."""
_FAR_END = 16 << 20
"""Bytes before the end in which the recorded error is looked for."""
_SHORTEST = 4
"""Characters below which a message says too little to be looked for."""


def place_of_error(file: LogFile, error: str) -> int | None:
    """The last line with the recorded *error*, else the last in the final MiB that looks like one, else None."""
    lines = error.strip().splitlines()
    texts = [lines[0].strip(), lines[0].partition(": ")[2].strip()] if lines else []
    for text in texts:
        if len(text) >= _SHORTEST:
            found = _last_match(file, Matcher(text))
            if found is not None:
                return file.line_start(found)
    return _last_error(file)


def _last_match(file: LogFile, matcher: Matcher) -> int | None:
    low = max(file.begin, file.size - _FAR_END)
    high = file.size
    while high > low:
        start = max(low, high - _NEAR_END)
        found = matcher.rfind(file.read(start, min(file.size, high + len(matcher.needle)) - start))
        if found >= 0:
            return start + found
        high = start
    return None


def _last_error(file: LogFile) -> int | None:
    start = max(file.begin, file.size - _NEAR_END)
    block = file.read(start, _NEAR_END)
    place = len(block)
    for line in reversed(block.split(b"\n")):
        place -= len(line)
        if is_error(line):
            return file.line_start(start + place)
        place -= 1
    return None
