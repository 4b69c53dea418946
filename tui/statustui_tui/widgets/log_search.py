"""Finds text in a log of any size, in threads of its own."""

import re
import threading
import time
from array import array
from collections.abc import Callable

from statustui_tui.widgets.log_index import BLOCK, MOST_HITS, Scanner
from statustui_tui.widgets.log_source import LogFile


class Matcher:
    """Finds lines with a text; without a capital letter in it, whatever the case of the line."""

    def __init__(self, text: str) -> None:
        """Take what was typed; a ``!`` in front inverts."""
        self.inverted = text.startswith("!")
        self.text = text[1:] if self.inverted else text
        self._folds = self.text == self.text.lower()
        self.needle = self.text.encode("utf-8", "replace")

    def find(self, data: bytes, start: int = 0, end: int | None = None) -> int:
        """First place in *data*; -1 without one."""
        data = data.lower() if self._folds else data
        return data.find(self.needle, start, len(data) if end is None else end)

    def rfind(self, data: bytes) -> int:
        """Last place in *data*; -1 without one."""
        return (data.lower() if self._folds else data).rfind(self.needle)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where *text* matches, for showing it."""
        if not self.text or self.inverted:
            return []
        lowered = text.lower() if self._folds else text
        if len(lowered) != len(text):
            return []
        return [found.span() for found in re.finditer(re.escape(self.text), lowered)]


class LineFilter(Scanner):
    """The lines of a log that match, as positions."""

    def __init__(self, file: LogFile, matcher: Matcher, notify: Callable[[], None]) -> None:
        super().__init__(file, notify, "log-filter")
        self.matcher = matcher
        self.offsets = array("Q")

    def take(self, base: int, block: bytes) -> None:
        """Note the lines that match."""
        if len(self.offsets) >= MOST_HITS:
            return
        matcher = self.matcher
        if matcher.inverted:
            place = 0
            for line in block.splitlines(keepends=True):
                if matcher.find(line) < 0:
                    self.offsets.append(base + place)
                place += len(line)
            return
        lower = Matcher(matcher.text)
        data = block.lower() if lower._folds else block
        place = data.find(matcher.needle)
        while place >= 0:
            self.offsets.append(base + block.rfind(b"\n", 0, place) + 1)
            end = block.find(b"\n", place)
            place = data.find(matcher.needle, end) if end >= 0 else -1


def search(file: LogFile, matcher: Matcher, start: int, *, forward: bool, stopped: Callable[[], bool]) -> int | None:
    """Position of the next match from *start* on, or of the one before it; None without one or when *stopped*.

    Blocks overlap by the length of the text, so that no match is missed between them.
    """
    overlap = max(0, len(matcher.needle) - 1)
    if not matcher.needle:
        return None
    place = start
    while not stopped():
        if forward:
            block = file.read(place, BLOCK + overlap)
            found = matcher.find(block)
            if found >= 0:
                return max(file.begin, place) + found
            if place + BLOCK >= file.size:
                return None
            place += BLOCK
        else:
            low = max(file.begin, place - BLOCK)
            block = file.read(low, min(place + overlap, file.size, start) - low)
            # Looking backwards is three times slower: only where there is something.
            found = matcher.rfind(block) if matcher.find(block) >= 0 else -1
            if found >= 0:
                return low + found
            if low <= file.begin:
                return None
            place = low
        time.sleep(0)
    return None


class Searcher:
    """Runs one search at a time; a new one ends the one before."""

    def __init__(self, file: LogFile, found: Callable[[int, int | None, bool, bool], None]) -> None:
        """Prepare to search.

        Args:
            file: The log.
            found: Called from a thread with the number of the search, the position (None: nowhere), whether it went
                forward, and whether it went past an end of the log.
        """
        self._file = file
        self._found = found
        self._lock = threading.Lock()
        self.number = 0
        """Of the newest search."""
        self.running = False

    def start(self, matcher: Matcher, start: int, *, forward: bool) -> None:
        """Search from *start*, and from the other end when nothing is found."""
        self.number += 1
        self.running = True
        threading.Thread(
            target=self._run, args=(self.number, matcher, start, forward), name="log-search", daemon=True
        ).start()

    def stop(self) -> None:
        """End what is under way, without waiting."""
        self.number += 1
        self.running = False

    def close(self) -> None:
        """End what is under way; the log may be closed afterwards."""
        self.stop()
        with self._lock:
            pass

    def _run(self, number: int, matcher: Matcher, start: int, forward: bool) -> None:
        def stopped() -> bool:
            return number != self.number

        with self._lock:
            offset = search(self._file, matcher, start, forward=forward, stopped=stopped)
            wrapped = offset is None and not stopped()
            if wrapped:
                again = self._file.begin if forward else self._file.size
                offset = search(self._file, matcher, again, forward=forward, stopped=stopped)
        if not stopped():
            self._found(number, offset, forward, wrapped)
