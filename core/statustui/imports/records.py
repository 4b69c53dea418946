"""Rows of a run history, read one by one from CSV, a JSON array, JSON lines or the answer of ``runs --json``."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from statustui.errors import StatustuiError

_CHUNK = 1 << 18
_LONGEST = 4 << 20
_SNIFF = 1 << 16
_OURS = re.compile(r'\s*\{(?:\s*"version"\s*:\s*\d+\s*,)?\s*"runs"\s*:\s*\[')
_SPACE = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()

Row = tuple[int, "Sequence[Any] | str"]
"""(line number, values in the order of the fields), or (line number, why it can not be read)."""


class NoHistory(StatustuiError):
    """What is to be brought in can not be read as a history of runs."""


class Source:
    """An open file of records. Bytes are counted as they are read, for a progress bar."""

    def __init__(self, stream: IO[bytes], name: str, size: int | None) -> None:
        """Nothing is read yet.

        Args:
            stream: the bytes.
            name: what messages call it.
            size: bytes in all; None where that is not known.
        """
        self.name = name
        self.size = size
        self._stream = _Counted(stream)
        # What is no UTF-8 stays visible as \xNN.
        self.text: IO[str] = io.TextIOWrapper(
            io.BufferedReader(self._stream, _CHUNK), encoding="utf-8-sig", errors="backslashreplace", newline=""
        )

    @property
    def read(self) -> int:
        """Bytes read so far."""
        return self._stream.count


class _Counted(io.RawIOBase):
    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self.count += len(data)
        return len(data)


Place = Callable[[Sequence[str]], Sequence[Any]]
"""Names of columns → for each field the name of its column, or None."""


def csv_rows(source: Source, place: Place) -> Iterator[Row]:
    """Rows of a CSV file; the separator is found out from the first line.

    Args:
        source: the file.
        place: finds the columns; called once with the first line.

    Raises:
        NoHistory: it is empty, or not CSV.
    """
    first = _line(source.text)
    if not first.strip():
        raise NoHistory(f"{source.name} is empty: the first line must name the columns")
    separator = max("\t;|,", key=first.count)
    try:
        names = next(csv.reader([first], delimiter=separator))
    except csv.Error as error:
        raise NoHistory(f"{source.name} is no CSV: its first line: {error}") from error
    wanted = place(names)
    indexes = [None if name is None else names.index(name) for name in wanted]
    width, least = len(names), max((index for index in indexes if index is not None), default=0) + 1
    lines = _Lines(source.text)
    reader = csv.reader(lines, delimiter=separator)
    while True:
        before = lines.number
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lost = lines.number - before
            told = f"; {lost:,} lines up to here are lost, a quote may lack its end" if lost > 1 else ""
            yield lines.number, f"not CSV: {error}{told}"
            continue
        if not row:
            continue
        if len(row) < least or len(row) > width:
            yield lines.number, f"{len(row)} columns where the first line has {width}"
            continue
        yield lines.number, [None if index is None else row[index] for index in indexes]


class _Lines:
    """Lines below the first one; none is kept that is longer than any row could be."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self.number = 1
        """Of the line that was given last."""

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = _line(self._text)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > _LONGEST:
            raise csv.Error("a line of more than 4 MB")
        return line


def _line(text: IO[str]) -> str:
    """The next line; of one that is too long no more than shows that it is."""
    line = text.readline(_LONGEST + 1)
    if len(line) > _LONGEST and line[-1] not in "\r\n":
        while (rest := text.readline(_LONGEST)) and rest[-1] not in "\r\n":
            pass
    return line


def json_rows(source: Source, place: Place) -> Iterator[Row]:
    """Rows of a JSON array, of JSON lines, or of what ``statustui runs --json`` prints; never all of it in memory.

    Raises:
        NoHistory: it is empty, or neither of these.
    """
    head = source.text.read(_SNIFF)
    if not head.strip():
        raise NoHistory(f"{source.name} is empty")
    ours = _OURS.match(head)
    values = _Values(place)
    if ours is not None or head.lstrip().startswith("["):
        start = ours.end() if ours is not None else head.index("[") + 1
        yield from _array(source, head, start, values)
    elif head.lstrip().startswith("{"):
        yield from _lines(source, head, values)
    else:
        raise NoHistory(f"{source.name} is no JSON: it begins with {head.lstrip()[:20]!r}")


class _Values:
    """Picks the values of the fields out of objects, whose keys may differ from one to the next."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._known: dict[tuple[str, ...], Sequence[Any]] = {}

    def __call__(self, found: object) -> Sequence[Any] | str:
        if not isinstance(found, Mapping):
            return f"no object: {json.dumps(found)[:40]}"
        keys = tuple(found)
        names = self._known.get(keys)
        if names is None:
            names = self._place(keys)
            if len(self._known) < 1_000:
                self._known[keys] = names
        return [None if name is None else found[name] for name in names]


def _array(source: Source, buffer: str, start: int, values: _Values) -> Iterator[Row]:
    line = buffer.count("\n", 0, start) + 1
    while True:
        # To the next value, or to the end of the array.
        space = _SPACE.match(buffer, start)
        assert space is not None
        line += buffer.count("\n", start, space.end())
        start = space.end()
        if start < len(buffer) and buffer[start] == "]":
            return
        try:
            found, end = _DECODER.raw_decode(buffer, start)
        except json.JSONDecodeError as error:
            more = source.text.read(_CHUNK)
            if not more or len(buffer) - start > _LONGEST:
                what = "the array is cut off" if not more else f"not JSON: {error.msg}"
                yield line, f"{what}; nothing after this line was read"
                return
            buffer, start = buffer[start:] + more, 0
            continue
        except (RecursionError, ValueError) as error:
            what = "nested too deep" if isinstance(error, RecursionError) else "a number of thousands of digits"
            yield line, f"{what}; nothing after this line was read"
            return
        yield line, values(found)
        line += buffer.count("\n", start, end)
        start = end
        if start > _CHUNK:
            buffer, start = buffer[start:], 0


def _lines(source: Source, head: str, values: _Values) -> Iterator[Row]:
    number = 0
    for text in _joined(head, source.text):
        number += 1
        if not text.strip():
            continue
        if len(text) > _LONGEST:
            yield number, "a line of more than 4 MB"
            continue
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            if number == 1 and text.strip() == "{":
                raise NoHistory(f"{source.name} is one object: a list of them, or one a line, is needed") from None
            yield number, "not JSON"
            continue
        yield number, values(found)


def _joined(head: str, rest: IO[str]) -> Iterator[str]:
    *whole, last = head.split("\n")
    yield from whole
    yield last + _line(rest)
    while text := _line(rest):
        yield text
