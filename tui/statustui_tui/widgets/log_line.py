"""One line of a log as people should see it: bars folded, colours kept, everything else harmless."""

import re
from functools import lru_cache

from rich.color import Color
from rich.style import Style

from statustui.model.text import safe_text

MOST = 65536
"""Bytes of a line that are looked at."""
_SHOWN = 4096
"""Characters of a line that are shown."""
# Each part is bounded and none can match in two ways, so that no line is slow. What is not closed ends with the line.
_ESCAPE = re.compile(
    r"\x1b\[(?P<sgr>[0-9;:]{0,64})m"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_FLAGS = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 9: "strike"}
_UNFLAG = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("reverse",), 29: ("strike",)}

Pieces = tuple[tuple[str, Style | None], ...]


def fold(raw: bytes) -> bytes:
    """The last state of a line that was drawn over itself with carriage returns."""
    raw = raw.rstrip(b"\r\n")
    return raw.rpartition(b"\r")[2] if b"\r" in raw else raw


def parse(raw: bytes) -> Pieces:
    r"""A line as pieces of safe text, each with its colours or None.

    Only SGR sequences (colours and weight) act; all others are dropped. Bytes that are no UTF-8 are shown as ``\xff``.

    Args:
        raw: The line, with or without its end.
    """
    line = fold(raw)
    return _kept(line) if len(line) <= _SHOWN else _parse(line)


def _parse(line: bytes) -> Pieces:
    if line.isascii() and b"\x1b" not in line and len(line) <= _SHOWN:
        text = line.decode("ascii")
        return ((text if text.isprintable() else safe_text(text, limit=_SHOWN), None),)
    decoded = line[:MOST].decode("utf-8", "surrogateescape")
    pieces: list[tuple[str, Style | None]] = []
    codes: dict[str, object] = {}
    style: Style | None = None
    place = column = 0

    def add(text: str) -> None:
        nonlocal column
        if not text or column >= _SHOWN:
            return
        if "\t" in text:
            # Stops count from the line's beginning, not from the piece's.
            text = (" " * (column % 8) + text).expandtabs(8)[column % 8 :]
        text = safe_text(text, limit=_SHOWN - column)
        column += len(text)
        pieces.append((text, style))

    for found in _ESCAPE.finditer(decoded):
        add(decoded[place : found.start()])
        place = found.end()
        if found["sgr"] is not None:
            _apply(found["sgr"], codes)
            style = Style(**codes) if codes else None  # type: ignore[arg-type]
    add(decoded[place:])
    if len(line) > MOST and column < _SHOWN:
        pieces.append(("…", None))
    return tuple(pieces)


_kept = lru_cache(maxsize=2048)(_parse)


def plain(raw: bytes) -> str:
    """A line as safe text without colours."""
    return "".join(text for text, _ in parse(raw))


def _apply(parameters: str, codes: dict[str, object]) -> None:
    """Take one SGR sequence into *codes*, the keywords of a style."""
    numbers = [int(number) if number else 0 for number in parameters.replace(":", ";").split(";")]
    place = 0
    while place < len(numbers):
        number = numbers[place]
        place += 1
        if number == 0:
            codes.clear()
        elif number in _FLAGS:
            codes[_FLAGS[number]] = True
        elif number in _UNFLAG:
            for name in _UNFLAG[number]:
                codes.pop(name, None)
        elif number in (38, 48):
            name = "color" if number == 38 else "bgcolor"
            colour, place = _extended(numbers, place)
            if colour is not None:
                codes[name] = colour
        elif number in (39, 49):
            codes.pop("color" if number == 39 else "bgcolor", None)
        else:
            for first, name, base in ((30, "color", 0), (40, "bgcolor", 0), (90, "color", 8), (100, "bgcolor", 8)):
                if first <= number <= first + 7:
                    codes[name] = Color.from_ansi(number - first + base)


def _extended(numbers: list[int], place: int) -> tuple[Color | None, int]:
    """The colour of ``38;5;n`` or ``38;2;r;g;b`` and where the next parameter is."""
    kind = numbers[place] if place < len(numbers) else None
    if kind == 5 and place + 1 < len(numbers):
        number = numbers[place + 1]
        return (Color.from_ansi(number) if number < 256 else None), place + 2
    if kind == 2 and place + 3 < len(numbers):
        red, green, blue = numbers[place + 1 : place + 4]
        known = max(red, green, blue) < 256
        return (Color.from_rgb(red, green, blue) if known else None), place + 4
    return None, len(numbers)
