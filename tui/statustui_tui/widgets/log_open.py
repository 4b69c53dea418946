"""Where to begin to read the log of a run that failed."""

from statustui_tui.widgets.log_index import CANDIDATES, is_error
from statustui_tui.widgets.log_search import Matcher
from statustui_tui.widgets.log_source import LogFile

_NEAR_END = 1 << 20
"""Bytes before the end in which something like an error is looked for."""
_FAR_END = 8 << 20
"""Bytes before the end in which the recorded error is looked for."""
_MOST_LINES = 500
"""Lines that are looked at closely."""
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
        block = file.read(start, min(file.size, high + len(matcher.needle)) - start)
        found = matcher.rfind(block) if matcher.find(block) >= 0 else -1
        if found >= 0:
            return start + found
        high = start
    return None


def _last_error(file: LogFile) -> int | None:
    start = max(file.begin, file.size - _NEAR_END)
    block = file.read(start, _NEAR_END)
    lower = block.lower()
    # The last place of each word that errors are made of: few lines are then looked at closely.
    places = {word: lower.rfind(word) for word in CANDIDATES if word in lower}
    for _ in range(_MOST_LINES):
        last = max(places.values(), default=-1)
        if last < 0:
            break
        begin = block.rfind(b"\n", 0, last) + 1
        end = block.find(b"\n", last)
        if is_error(block[begin : end if end >= 0 else len(block)]):
            return file.line_start(start + begin)
        places = {w: lower.rfind(w, 0, begin) if place >= begin else place for w, place in places.items()}
    return None
