"""The one function through which text from outside reaches a terminal (P10).

What other people's data may do to a terminal, and how each kind of character is shown instead:
controls as their Unicode pictures, so that tampering stays visible; C1 controls, bidirectional
overrides and invisible characters as backslash escapes; a bar redrawn by carriage returns as its
last state; emoji made of several characters as the first of them, since terminals do not agree on
how wide the rest is, and one that is counted wrong shifts all that stands behind it.
"""

import re

TAB = 8
"""Cells between tab stops."""
MAX_MARKS = 8
"""Combining marks kept on one character."""
_CUT = "…"


def _table() -> dict[int, str]:
    table = {code: chr(0x2400 + code) for code in range(0x20) if code != 0x0A}
    table[0x7F] = "\u2421"
    table.update({code: f"\\x{code:02x}" for code in range(0x80, 0xA0)})
    # What reorders, hides or breaks a line; ZWNJ stays (Persian).
    for first, last in (
        (0x00AD, 0x00AD),
        (0x061C, 0x061C),
        (0x180B, 0x180E),
        (0x200B, 0x200B),
        (0x200E, 0x200F),
        (0x2028, 0x202E),
        (0x2060, 0x206F),
        (0xFEFF, 0xFEFF),
        (0xFFF9, 0xFFFB),
    ):
        table.update({code: f"\\u{code:04x}" for code in range(first, last + 1)})
    table.update({code: f"\\U{code:08x}" for code in range(0xE0000, 0xE1000)})
    # Parts of emoji: joiner, variations, skin tones; a flag is the two letters that it stands for.
    table.update(dict.fromkeys((0x200D, 0xFE0E, 0xFE0F, *range(0x1F3FB, 0x1F400)), ""))
    table.update({0x1F1E6 + letter: chr(ord("A") + letter) for letter in range(26)})
    return table


_SHOWN = _table()
_JOINED = re.compile(
    "([\u2190-\u2bff\U0001f000-\U0001f3fa\U0001f400-\U0001faff])(?:[\ufe0f\U0001f3fb-\U0001f3ff]*\u200d[^\\s\\w])+"
)
"""An emoji joined to others."""


def safe_text(text: str, *, one_line: bool = True, limit: int = 4096) -> str:
    """Make *text* harmless on a terminal, and still readable.

    Args:
        text: Anything: from a store, a log, a file name.
        one_line: Show line feeds as ``⏎``; otherwise they stay, and *limit* counts for each line.
        limit: Longest text, in characters, before it is cut and ends in ``…``.

    Returns:
        Text without any control character but, where *one_line* is False, the line feed.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    if one_line:
        # A megabyte in a cell is cut before it is worked on; what is added below only makes it longer.
        cut = len(text) > 4 * limit
        text = text[: 4 * limit] if cut else text
        lines = [_safe_line(line, limit) for line in text.split("\n")]
        joined = "⏎".join(lines)
        return joined if len(joined) <= limit and not cut else joined[: limit - 1] + _CUT
    return "\n".join(_safe_line(line, limit) for line in text.split("\n"))


def _safe_line(line: str, limit: int) -> str:
    if len(line) <= limit and line.isascii() and line.isprintable():
        return line
    if "\r" in line:
        # The last thing that a redrawn progress bar showed; a trailing return redraws nothing.
        line = line.rstrip("\r").rpartition("\r")[2]
    cut = len(line) > limit
    line = line[:limit]
    if "\t" in line:
        line = line.expandtabs(TAB)
    if line.isascii():
        line = line if line.isprintable() else line.translate(_SHOWN)
    else:
        if "\u200d" in line:
            line = _JOINED.sub(r"\1", line)
        line = _fewer_marks(_without_surrogates(line.translate(_SHOWN)))
    return line if len(line) <= limit and not cut else line[: limit - 1] + _CUT


def _without_surrogates(line: str) -> str:
    """Show undecodable bytes, which came as lone surrogates, as hex escapes."""
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        return "".join(
            f"\\x{ord(char) - 0xDC00:02x}"
            if "\udc80" <= char <= "\udcff"
            else f"\\u{ord(char):04x}"
            if "\ud800" <= char <= "\udfff"
            else char
            for char in line
        )
    return line


def _fewer_marks(line: str) -> str:
    """At most MAX_MARKS combining marks in a row: more are drawn over the lines around it."""
    import unicodedata

    kept, marks, dropped = [], 0, False
    for char in line:
        if char >= "\u0300" and unicodedata.category(char) in ("Mn", "Me"):
            marks += 1
            if marks > MAX_MARKS:
                dropped = True
                continue
        else:
            marks = 0
        kept.append(char)
    return "".join(kept) if dropped else line
