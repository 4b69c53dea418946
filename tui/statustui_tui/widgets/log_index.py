"""What a log holds as a whole, found out in the background: its lines and its errors."""

import re
import threading
import time
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable

from statustui_tui.widgets.log_source import LogFile

BLOCK = 1 << 20
MOST_HITS = 1_000_000
_MOST_BYTES = 16 << 30
"""Bytes after which reading the whole log costs more than it tells."""
CANDIDATES = (b"error", b"exception", b"fatal", b"critical", b"panic", b"fault", b"failed", b"denied", b"not found")
_ERROR = re.compile(
    rb"(?i:\b[\w.]{0,60}(?:error|exception)\b *(?:[:(]|$)|^\W*(?:error|fatal|panic)\b|segmentation fault|core dumped"
    rb"|permission denied|command not found|: no such file)|\b(?:ERROR|FATAL|CRITICAL|SEVERE|PANIC|FAILED)\b"
)
_NO_ERROR = re.compile(rb"(?i:\b(?:0|no) errors?\b|errors?\W{1,3}0\b)")


def is_error(line: bytes) -> bool:
    """True for a line that looks like an error to a person."""
    line = line[:2048]
    return _ERROR.search(line) is not None and _NO_ERROR.search(line) is None


class Scanner(ABC):
    """Reads a log once, block by block and line by line complete, in a thread; then what is added to it."""

    def __init__(self, file: LogFile, notify: Callable[[], None], name: str) -> None:
        """Begin.

        Args:
            file: The log.
            notify: Called from the thread, at most ten times a second, when more is known.
            name: Of the thread.
        """
        self.file = file
        self.scanned = file.begin
        self.complete = False
        self._notify = notify
        self._stopped = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def grown(self) -> None:
        """The log has become longer."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread; the log may be closed afterwards."""
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    @abstractmethod
    def take(self, base: int, block: bytes) -> None:
        """Work on whole lines that begin at *base*."""

    def _run(self) -> None:
        told = 0.0
        while not self._stopped:
            self._wake.clear()
            if self.scanned - self.file.begin > _MOST_BYTES:
                return
            block = self.file.read(self.scanned, BLOCK)
            cut = block.rfind(b"\n") + 1
            if not cut and len(block) == BLOCK:
                cut = BLOCK
            if not cut:
                self.complete = True
                self._notify()
                self._wake.wait()
                continue
            self.take(self.scanned, block[:cut])
            self.scanned += cut
            now = time.monotonic()
            if now - told > 0.1:
                told = now
                self._notify()
            time.sleep(0.0005)  # Lets the screen be drawn.


class LogIndex(Scanner):
    """Counts the lines of a log and finds those that look like errors."""

    def __init__(self, file: LogFile, notify: Callable[[], None]) -> None:
        super().__init__(file, notify, "log-index")
        self.lines = 0
        self.errors = array("Q")
        self._starts = array("Q")
        self._counts = array("Q")

    def take(self, base: int, block: bytes) -> None:
        """Count, and look for errors."""
        self._starts.append(base)
        self._counts.append(self.lines)
        self.lines += block.count(b"\n")
        if len(self.errors) < MOST_HITS:
            lower = block.lower()
            found = set()
            for word in CANDIDATES:
                place = lower.find(word)
                while place >= 0:
                    start = block.rfind(b"\n", 0, place) + 1
                    end = block.find(b"\n", place)
                    end = len(block) if end < 0 else end
                    if start not in found and is_error(block[start:end]):
                        found.add(start)
                    place = lower.find(word, end)
            self.errors.extend(base + start for start in sorted(found))

    def number(self, offset: int) -> int | None:
        """Number of the line that begins at *offset*, from 1; None where it was not read yet."""
        if offset > self.scanned or not self._starts:
            return None
        block = bisect_right(self._starts, offset) - 1
        start = self._starts[block]
        return self._counts[block] + self.file.read(start, offset - start).count(b"\n") + 1

    def error_after(self, offset: int) -> int | None:
        """Position of the first error behind *offset*."""
        place = bisect_right(self.errors, offset)
        return self.errors[place] if place < len(self.errors) else None

    def error_before(self, offset: int) -> int | None:
        """Position of the last error before *offset*."""
        place = bisect_left(self.errors, offset) - 1
        return self.errors[place] if place >= 0 else None

    def error_place(self, offset: int) -> int | None:
        """Place, from 0, among the errors of the line that begins at *offset*; None when it is none."""
        place = bisect_left(self.errors, offset)
        return place if place < len(self.errors) and self.errors[place] == offset else None
