r"""Bytes of a terminal's or a log's output → the few lines and redrawn bars in which a number could be progress.

Ordinary lines are passed over by one search; only what could be progress is cut, cleaned and decoded. A bar is drawn
again by ``\r``, ``\b`` or by moving the cursor; a read may end anywhere, within a line or a character.
"""

import re

LONGEST = 1_000
"""Characters of a text that rules look at; a longer one is cut."""
MOST = 600
"""Texts taken from one piece of output; of more, the last ones."""
_CARRY = 4_096
_LINE = 65_536

# A digit and what makes a number of it that could be progress.
_WORTH = re.compile(
    rb"[0-9](?:%(?![0-9A-F]{2})|[A-Z]?/[0-9][0-9.,]*[kKMGTP]?(?:[\s\]):]|$)"
    rb"| (?:%|of [0-9]|out of [0-9]|/ [0-9]|bytes )|:(?:[0-9]=|[0-9]{2} {1,4}(?:[0-9]{1,2}:[0-9]{2}:|--:--))"
    rb"|[KMGT]i?B/[0-9]|[A-Za-z]{1,12} \[[0-9])"
    rb"|\x1b(?:\]9;4;|\[[0-9]*[AF])|time=[0-9]|Duration: [0-9]"
)
_WORTH_OF_ANY = re.compile(rb"[^\r\n]")
_COLOUR = re.compile(rb"\x1b(?:\[[0-9;:]*m|\[\?[0-9;]+[hl]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|[()][0-9A-Za-z]|[=>])")
# Where a text ends: a control character, or a sequence that moves the cursor or clears.
_CUT = re.compile(
    rb"(?:\x1b\[[0-9]{0,3}[AF]){1,50}|[\r\n\b]+|\x1b\[[0-9;?]*[A-HJKSTfsudGPX]|\x1b[78DEMc]|\x1b\[[0-9;]*r"
)
_OSC = re.compile(rb"\x1b\]9;4;([0-4])(?:;([0-9]{1,3}))?(?:\x07|\x1b\\)")
_UP = re.compile(rb"\x1b\[([0-9]{0,3})[AF]")
_ANY_ESCAPE = re.compile(rb"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]{0,400}(?:\x07|\x1b\\)?|.)|[\0-\x08]")
_FULL_SCREEN = re.compile(rb"\x1b\[\?(?:1049|1047|47)([hl])")


class Text:
    """One line, or one state of a bar."""

    __slots__ = ("_data", "_older", "_start", "redrawn", "text", "up")

    def __init__(self, text: str, redrawn: bool, up: int, data: bytes, start: int, older: bytes) -> None:
        self.text = text
        self.redrawn = redrawn
        """True: it was drawn over something, or something will be drawn over it."""
        self.up = up
        """How many lines the cursor went up right behind it: it stands so far below another bar."""
        self._data, self._start, self._older = data, start, older

    def above(self) -> str:
        """The last line before it that says something and has no such number; empty when none is near."""
        line = _said(self._data, self._start) or self._older
        return _plain(line)


class Stream:
    """The texts of one stream of output.

    Args:
        every: give every text, for rules of the user's own.
    """

    def __init__(self, *, every: bool = False) -> None:
        self._worth = _WORTH_OF_ANY if every else _WORTH
        self._carry = b""
        self._redraws = False
        self._above = b""
        self._hidden = False

    def feed(self, data: bytes) -> list[Text]:
        """Take in output; the texts that are complete by now."""
        data = self._carry + (data.replace(b"\0", b"") if b"\0" in data else data)  # a truncated file begins with them
        last = len(data) - 1
        end = max(data.rfind(b"\n"), data.rfind(b"\r", 0, last), data.rfind(b"\b", 0, last)) + 1
        whole, carry = data[:end], data[end:]
        if len(carry) > _CARRY:
            carry = carry[: _CARRY // 2] + carry[-_CARRY // 2 :]
        self._carry = carry
        if not whole:
            return []
        found = self._texts(whole)
        self._redraws = whole[-1:] != b"\n"
        self._above = _said(whole, len(whole)) or self._above
        return found

    def rest(self) -> list[Text]:
        """What stands at the end without an end of its own; it stays, and may be given again when it has grown."""
        return self._texts(self._carry) if self._carry else []

    @property
    def tail(self) -> bytes:
        """The bytes behind the last end of a line or of a bar's state."""
        return self._carry

    def skip(self) -> None:
        """Some output was left out."""
        self._carry = b""
        self._redraws = False

    def _texts(self, data: bytes) -> list[Text]:
        found: list[Text] = []
        if b"\x1b[?" in data or self._hidden:
            data = self._visible(data)
        position, size = 0, len(data)
        search, plain, above = self._worth.search, b"\x1b" not in data and b"\b" not in data, self._above
        while position < size:
            hit = search(data, position)
            if hit is None:
                break
            at = hit.start()
            start = data.rfind(b"\n", position, at) + 1 or position
            end = data.find(b"\n", at)
            end = size if end < 0 else end
            if plain and start and (last := data.find(b"\r", start, end)) in (-1, end - 1):
                # Nearly all lines: no control characters but those of its end.
                line = data[start : end if last < 0 else last]
                found.append(
                    Text(line[: 4 * LONGEST].decode("utf-8", "replace")[:LONGEST], False, 0, data, start, above)
                )
            else:
                self._line(data, start, end, found)
            position = end + 1
        return found[-MOST:]

    def _line(self, data: bytes, start: int, end: int, found: list[Text]) -> None:
        """Cut what stands between two line feeds into the states of its bars."""
        line = data[start:end]
        if end < len(data):
            line = line.removesuffix(b"\r")
        redrawn = start == 0 and self._redraws

        def add(piece: bytes, redrawn: bool, up: int) -> None:
            text = piece[: 4 * LONGEST].decode("utf-8", "replace").rstrip()[:LONGEST]
            found.append(Text(text, redrawn, up, data, start, self._above))

        if b"\x1b" not in line and b"\r" not in line and b"\b" not in line:
            add(line, redrawn, 0)
            return
        line = line[-_LINE:]
        for hit in _OSC.finditer(line):
            add(hit[0], True, 0)
        line = _COLOUR.sub(b"", line) if b"\x1b" in line else line
        begin = 0
        for cut in _CUT.finditer(line):
            piece = line[begin : cut.start()]
            if piece and self._worth.search(piece):
                add(piece, True, sum(int(lines or 1) for lines in _UP.findall(cut[0])))
            redrawn = True
            begin = cut.end()
        piece = line[begin:]
        if piece and self._worth.search(piece):
            add(piece, redrawn, 0)

    def _visible(self, data: bytes) -> bytes:
        """Without what a full-screen program draws: that is no progress of anything."""
        parts: list[bytes] = []
        begin = 0
        for hit in _FULL_SCREEN.finditer(data):
            if not self._hidden:
                parts.append(data[begin : hit.start()])
            self._hidden = hit[1] == b"h"
            begin = hit.end()
        if not self._hidden:
            parts.append(data[begin:])
        return b"".join(parts)


def _said(data: bytes, end: int) -> bytes:
    """The last line before *end*, of the last three, that has words and nothing in it that could be progress."""
    for _ in range(3):
        end -= 1
        while end > 0 and data[end] in b"\r\n \t":
            end -= 1
        if end <= 0:
            return b""
        start = max(data.rfind(b"\n", 0, end), data.rfind(b"\r", 0, end)) + 1
        line = data[start : min(end + 1, start + 400)]
        if not _WORTH.search(line):
            return line
        end = start
    return b""


def _plain(line: bytes) -> str:
    return _ANY_ESCAPE.sub(b"", line).decode("utf-8", "replace").strip() if line else ""
