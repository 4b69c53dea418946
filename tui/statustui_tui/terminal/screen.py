"""What the terminal shows, so that only the difference is sent. Pure: text goes in, text comes out.

Stock Textual rewrites each changed span with a full style for every piece: 6 to 17 kB a second for 20 changing rows.
Here its output is read into a picture of the screen (``wanted``), and what differs from the picture last sent goes out:
a fraction of that. Two more things follow. A terminal that is slow never has more than one update under way, because
the next one is made when it has taken the last. And whatever is no text, style, move or known mode is dropped, so that
this is a second wall behind the cleaning of texts (P10).
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from rich.cells import cell_len, get_character_cell_size

_CSI = re.compile(r"\[([<=>?]?)([\d;:]*)([ -/]*)([@-~])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# One cell wide in every terminal, and never joined with a neighbour.
_NARROW = re.compile(
    r"[ -~\xa1-\xac\xae-\u02ff\u0391-\u03a9\u03b1-\u03c9\u0410-\u044f\u2010-\u2027\u2190-\u21f3\u2500-\u25fc✓✗]*"
)
# Attributes, then a foreground, then a background: how Rich writes a style.
_STYLE = re.compile(r"((?:[1-9];?)*?);?(38;[25](?:;\d+){1,3}|3[0-79]|9[0-7])?;?(48;[25](?:;\d+){1,3}|4[0-79]|10[0-7])?")
_MODES = {"7", "25", "1000", "1002", "1003", "1004", "1006", "1015", "1016", "1049", "2004", "2026", "2048"}
_MOST_RAW = 65536
_GAP = 4
"""Unchanged cells that are cheaper to write again than to jump over."""


_UNKNOWN = "?"


@dataclass(slots=True)
class _Line:
    """One line of the screen: a text and a style for each cell; an empty text continues the cell before it."""

    texts: list[str | None]
    styles: list[str | None]


def _blank(width: int, known: bool) -> _Line:
    return _Line([" " if known else None] * width, ["" if known else None] * width)


@dataclass(slots=True)
class Screen:
    """The wanted and the sent picture of one terminal."""

    width: int
    height: int
    _wanted: list[_Line] = field(default_factory=list)
    _sent: list[_Line] = field(default_factory=list)
    _dirty: set[int] = field(default_factory=set)
    _raw: list[str] = field(default_factory=list)
    _raw_size: int = 0
    _x: int = 0
    _y: int = 0
    _style: str = ""
    _pen: str = ""
    """The style that the terminal writes in now; `_UNKNOWN` fits none."""
    _at: tuple[int, int] | None = None
    _drawing: bool = False
    _synchronised: bool = False

    def __post_init__(self) -> None:
        self.resize(self.width, self.height)

    # In

    def resize(self, width: int, height: int) -> None:
        """Take a new size; what the terminal shows is unknown now."""
        self.width, self.height = max(1, width), max(1, height)
        for line in self._wanted:
            del line.texts[self.width :], line.styles[self.width :]
            missing = self.width - len(line.texts)
            line.texts += [" "] * missing
            line.styles += [""] * missing
        del self._wanted[self.height :]
        while len(self._wanted) < self.height:
            self._wanted.append(_blank(self.width, known=True))
        self.forget()

    def forget(self) -> None:
        """Treat what the terminal shows as unknown: everything is sent again."""
        self._sent = [_blank(self.width, known=False) for _ in range(self.height)]
        self._dirty = set(range(self.height))
        self._at = None
        self._pen = _UNKNOWN

    def send(self, sequence: str) -> None:
        """Pass a control sequence of our own through as it is, before the next difference."""
        if self._raw_size + len(sequence) > _MOST_RAW:
            return
        self._raw.append(sequence)
        self._raw_size += len(sequence)

    @property
    def urgent(self) -> bool:
        """True when control sequences wait to be sent."""
        return bool(self._raw)

    def feed(self, data: str) -> None:
        """Read what Textual would write to the terminal."""
        if data == "\x07":
            self.send(data)
            return
        first, *parts = data.split("\x1b")
        if first:
            self._put(first)
        for part in parts:
            found = _CSI.match(part)
            if found is None:
                self._put(_after_string(part))
                continue
            prefix, numbers, between, final = found.groups()
            if final == "m" and not prefix and not between:
                self._style = "" if numbers in ("", "0") else f"{self._style};{numbers}" if self._style else numbers
            elif final == "H" and not prefix:
                y, _, x = numbers.partition(";")
                self._y, self._x = int(y or 1) - 1, int(x or 1) - 1
            elif self._known(prefix, numbers, between, final):
                self.send("\x1b" + found.group())
            if found.end() < len(part):
                self._put(part[found.end() :])

    def _known(self, prefix: str, numbers: str, between: str, final: str) -> bool:
        """True for a mode or question of Textual's own that must reach the terminal."""
        if prefix == "?" and final in "hl" and not between:
            if numbers == "2026":
                self._synchronised = True
                return False
            if numbers == "1049":
                self._drawing = final == "h"
                self.forget()
            return numbers in _MODES
        if final == "p":
            return prefix == "?" and between == "$" and numbers in _MODES
        return final == "u" and prefix in ("<", ">") and not between

    def _put(self, text: str) -> None:
        """Write *text* at the cursor in the present style."""
        if not text.isprintable():
            text = _CONTROL.sub("", text)
        cells = _cells(text)
        x, count = self._x, len(cells)
        self._x += count
        if not 0 <= self._y < self.height or x >= self.width or not cells:
            return
        line = self._wanted[self._y]
        texts, styles = line.texts, line.styles
        if x + count > self.width:
            del cells[self.width - x :]
            count = len(cells)
        if texts[x] == "":
            _break_left(texts, x)
        end = x + count
        if end < self.width and texts[end] == "":
            _break_right(texts, end)
        texts[x:end] = cells
        styles[x:end] = [self._style] * count
        self._dirty.add(self._y)

    # Out

    def take(self) -> str:
        """What must be written to bring the terminal to the wanted picture; empty when it is there."""
        control = "".join(self._raw)
        self._raw.clear()
        self._raw_size = 0
        if control and self._pen:
            control, self._pen = f"\x1b[0m{control}", ""
        if not self._drawing:
            return control
        out: list[str] = []
        style = self._pen
        for y in sorted(self._dirty):
            if y < self.height:
                style = self._difference(y, style, out)
        self._dirty.clear()
        # The style stays set: a clock that ticks then sends its digit, not its colours as well.
        self._pen = style
        cursor = (min(self._x, self.width - 1), min(self._y, self.height - 1))
        if self._at != cursor and (out or self._at is None or control):
            out.append(f"\x1b[{cursor[1] + 1};{cursor[0] + 1}H")
            self._at = cursor
        drawn = "".join(out)
        if drawn and self._synchronised:
            drawn = f"\x1b[?2026h{drawn}\x1b[?2026l"
        return control + drawn

    def _difference(self, y: int, style: str, out: list[str]) -> str:
        """Add what brings line *y* up to date to *out*; returns the style that the terminal has then."""
        wanted, sent = self._wanted[y], self._sent[y]
        texts, styles, old_texts, old_styles = wanted.texts, wanted.styles, sent.texts, sent.styles
        if texts == old_texts and styles == old_styles:
            return style
        for x, text in enumerate(texts):
            new_style = styles[x]
            if text == old_texts[x] and new_style == old_styles[x]:
                continue
            if not text:
                continue
            if self._at != (x, y):
                out.append(self._move(x, y, style, old_texts, old_styles))
            if new_style != style:
                out.append(_restyle(style, new_style or ""))
                style = new_style or ""
            out.append(text)
            self._at = (x + 1, y) if x + 1 < self.width and _NARROW.fullmatch(text) else None
        sent.texts, sent.styles = texts.copy(), styles.copy()
        return style

    def _move(self, x: int, y: int, style: str, texts: list[str | None], styles: list[str | None]) -> str:
        """The shortest way to bring the cursor to (x, y)."""
        if self._at is not None and self._at[1] == y and self._at[0] < x:
            start, gap = self._at[0], x - self._at[0]
            between = texts[start:x]
            if gap <= _GAP and all(kept == style for kept in styles[start:x]):
                again = "".join(kept or "" for kept in between)
                if len(again) == gap and _NARROW.fullmatch(again):
                    return again
            return f"\x1b[{gap}C" if gap > 1 else "\x1b[C"
        return f"\x1b[{y + 1};{x + 1}H"


@lru_cache(maxsize=4096)
def _restyle(old: str, new: str) -> str:
    """The shortest sequence that turns one style into another: where only a colour differs, that colour alone."""
    if not new:
        return "\x1b[0m"
    before, after = _colours(old), _colours(new)
    if before is None or after is None or before[0] != after[0]:
        return f"\x1b[0;{new}m"
    changed = []
    for was, wanted in zip(before[1:], after[1:], strict=True):
        if was and not wanted:
            return f"\x1b[0;{new}m"
        if was != wanted:
            changed.append(wanted)
    return f"\x1b[{';'.join(changed)}m" if changed else ""


def _colours(style: str) -> tuple[str, str, str] | None:
    """Attributes, foreground and background of a style; None where it is of another make."""
    found = _STYLE.fullmatch(style)
    return None if found is None else ((found[1] or "").rstrip(";"), found[2] or "", found[3] or "")


def _after_string(part: str) -> str:
    """What is text behind an escape that is no CSI: strings (OSC, DCS, …) are dropped up to their end."""
    if part[:1] in ("]", "P", "_", "^", "X"):
        return part.partition("\x07")[2]
    return part[1:]


def _cells(text: str) -> list[str | None]:
    """*text* as one entry for each cell; wide and joined characters are followed by empty entries."""
    if _NARROW.fullmatch(text):
        return list(text)
    cells: list[str | None] = []
    for character in text:
        size = get_character_cell_size(character)
        if size == 0:
            head = next((i for i in range(len(cells) - 1, -1, -1) if cells[i]), None)
            if head is not None:
                cells[head] = f"{cells[head]}{character}"
            continue
        cells.append(character)
        cells += [""] * (size - 1)
    total = cell_len(text)
    if total != len(cells):
        # Joined emoji: Textual counts the whole sequence as one, so it is kept whole.
        return [text, *([""] * (total - 1))] if total else []
    return cells


def _break_left(texts: list[str | None], x: int) -> None:
    """The beginning of a wide character is left without its end: terminals blank it."""
    while x > 0 and texts[x] == "":
        x -= 1
        if texts[x]:
            texts[x] = " "
            return
        texts[x] = " "


def _break_right(texts: list[str | None], x: int) -> None:
    """The end of a wide character is left without its beginning."""
    while x < len(texts) and texts[x] == "":
        texts[x] = " "
        x += 1
