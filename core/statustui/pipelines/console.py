"""What ``resume`` shows while it works: one live line on a terminal, plain lines elsewhere."""

import os
import shutil
import sys
import threading
import time
from typing import TextIO

from statustui.model.progress import shown_percent
from statustui.model.text import safe_text

_EVERY_S = 0.1
_PLAIN_EVERY_S = 10.0
_BAR = 24


class Console:
    """Writes to standard output. Safe in threads; a closed or full output ends nothing but the showing."""

    def __init__(self, *, show: bool, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._show = show
        self._live = show and self._is_terminal()
        encoding = (getattr(self._stream, "encoding", None) or "ascii").lower().replace("-", "")
        self.ascii = not encoding.startswith("utf")
        """True where block characters can not be written."""
        self._lock = threading.Lock()
        self._drawn = 0.0
        self._open = False

    def _is_terminal(self) -> bool:
        try:
            return self._stream.isatty() and os.environ.get("TERM") != "dumb"
        except ValueError:
            return False

    def line(self, text: str = "") -> None:
        """One line that stays."""
        with self._lock:
            self._clear()
            self._write(self._plain(text) + "\n")

    def bar(self, label: str, done: int, total: int, failed: int, began: float, *, last: bool = False) -> None:
        """Draw where a step stands.

        Args:
            label: of the step.
            done: items that ended.
            total: items in all.
            failed: of those that ended.
            began: ``time.monotonic()`` of the beginning.
            last: True at the end: it stays.
        """
        with self._lock:
            now = time.monotonic()
            if not last and now - self._drawn < (_EVERY_S if self._live else _PLAIN_EVERY_S):
                return
            if not self._live and not last and now - began < _PLAIN_EVERY_S:
                return
            self._drawn = now
            text = self._bar(label, done, total, failed, now - began, last)
            if self._live:
                width = shutil.get_terminal_size((80, 24)).columns
                self._write("\r\x1b[K" + text[: width - 1] + ("\n" if last else ""))
                self._open = not last
            else:
                self._write(text + "\n")

    def _bar(self, label: str, done: int, total: int, failed: int, seconds: float, last: bool) -> str:
        share = done / total if total else 1.0
        full, rest = ("#", ".") if self.ascii else ("█", "░")
        cells = min(_BAR, int(share * _BAR))
        percent = shown_percent(100.0 * share, ended_well=done >= total)
        minutes, secs = divmod(int(seconds), 60)
        words = f"{label}  {full * cells}{rest * (_BAR - cells)} {done}/{total} {percent}%"
        if failed:
            words += f"  {failed} failed"
        words += f"  {minutes}:{secs:02}"
        if not last and 0 < done < total:
            left = int(seconds / done * (total - done))
            words += f"  ~{left // 60}:{left % 60:02} left"
        return self._plain(words)

    def _plain(self, text: str) -> str:
        text = safe_text(text, limit=10_000)
        return text.encode("ascii", "backslashreplace").decode() if self.ascii else text

    def _clear(self) -> None:
        if self._open:
            self._write("\r\x1b[K")
            self._open = False

    def _write(self, text: str) -> None:
        if not self._show:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._show = False  # the reader has gone; the work goes on
