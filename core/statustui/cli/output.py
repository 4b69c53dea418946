"""Writing to the terminal: the only place where the command line prints.

Every text passes ``safe_text`` here, whoever wrote it (P10); styles are added afterwards.
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from statustui.cli.figures import cells, fit
from statustui.model.text import safe_text
from statustui.signs import ascii_by_locale

_SGR = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2", "": ""}

Span = str | tuple[str, str]
"""Text, or text and the name of its style."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table."""

    title: str
    right: bool = False
    """Align to the right."""
    least: int = 0
    """Cells that it may be narrowed to where the line is too long; 0 = never narrowed."""
    most: int = 0
    """Cells that it may take at most, on a pipe, too; 0 = as many as it needs."""


class Output:
    """Where a command writes its answer."""

    def __init__(self, *, color: bool | None = None, stream: TextIO | None = None) -> None:
        """Decide on colour and glyphs.

        Args:
            color: False switches colour off; None leaves it to the terminal and NO_COLOR.
            stream: Where to; standard output when None.
        """
        self._stream = stream or sys.stdout
        self.tty = self._stream.isatty()
        if color is None:
            color = self.tty and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._color = color
        encoding = (getattr(self._stream, "encoding", None) or "ascii").lower().replace("-", "")
        # For programs that read on, names stay as they are.
        self.ascii = (self.tty and ascii_by_locale(os.environ) is True) or not encoding.startswith("utf")

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None where the output is no terminal and nothing is cut."""
        return shutil.get_terminal_size((80, 24)).columns if self.tty or os.environ.get("COLUMNS") else None

    def paint(self, text: str, style: str) -> str:
        """Clean *text* and give it a style."""
        text = safe_text(text, limit=100_000)
        if self.ascii:
            text = text.encode("ascii", "backslashreplace").decode("ascii")
        code = _SGR[style] if self._color else ""
        return f"\x1b[{code}m{text}\x1b[0m" if code and text else text

    def line(self, *spans: Span) -> None:
        """Write one line of spans, whatever its length."""
        parts = [self.paint(span, "") if isinstance(span, str) else self.paint(*span) for span in spans]
        self._stream.write("".join(parts).rstrip(" ") + "\n")

    def fitted(self, *spans: Span) -> None:
        """Write one line, cut at the right edge of the terminal."""
        left = self.width
        if left is None:
            self.line(*spans)
            return
        kept: list[Span] = []
        for span in spans:
            text, style = (span, "") if isinstance(span, str) else span
            text = fit(safe_text(text), left, self.ascii)
            kept.append((text, style))
            left -= cells(text)
        self.line(*kept)

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Span]], indent: int = 0) -> None:
        """Write rows in columns as wide as they need; the narrowable ones give way at the terminal's edge."""
        cleaned = [
            [(safe_text(cell, limit=2000), "") if isinstance(cell, str) else (safe_text(cell[0], limit=2000), cell[1])
             for cell in row]
            for row in rows
        ]  # fmt: skip
        heads = [(column.title, "dim") for column in columns]
        lines = ([heads] if any(column.title for column in columns) else []) + cleaned
        widths = [max(cells(line[i][0]) for line in lines) if lines else 0 for i in range(len(columns))]
        widths = [min(width, column.most or width) for width, column in zip(widths, columns, strict=True)]
        self._narrow(columns, widths, indent)
        for line in lines:
            parts: list[Span] = [" " * indent]
            for column, width, (text, style) in zip(columns, widths, line, strict=True):
                text = fit(text, width, self.ascii)
                space = " " * (width - cells(text))
                parts += [space, (text, style)] if column.right else [(text, style), space]
                parts.append("  ")
            self.line(*parts[:-1])

    def _narrow(self, columns: Sequence[Column], widths: list[int], indent: int) -> None:
        if self.width is None:
            return
        excess = indent + sum(widths) + 2 * (len(widths) - 1) - self.width
        while excess > 0:
            able = [i for i, column in enumerate(columns) if column.least and widths[i] > column.least]
            if not able:
                return
            widest = max(able, key=lambda i: widths[i])
            widths[widest] -= 1
            excess -= 1

    def json(self, value: dict[str, Any]) -> None:
        """Write one JSON object: ASCII, no NaN."""
        self._stream.write(json.dumps(value, ensure_ascii=True, allow_nan=False) + "\n")

    def flush(self) -> None:
        """Let a reader have what was written, for commands that go on."""
        self._stream.flush()

    def raw(self, text: str) -> None:
        """Write program text of our own, such as a completion script, as it is."""
        self._stream.write(text)


def warn(text: str) -> None:
    """One line for a person on standard error."""
    sys.stderr.write(safe_text(text, limit=2000).encode("utf-8", "backslashreplace").decode() + "\n")
