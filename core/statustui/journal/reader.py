"""The tolerant reader of journals: whatever stands in the files, it reads on and says what it could not understand."""

import errno
import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from statustui.journal.counts import read_counts
from statustui.journal.files import MAX_LINE, SPAN, open_private, parse_segment_name, segment_path
from statustui.journal.safe import clean
from statustui.journal.slot import SlotReader, read_slot

__all__ = [
    "VERSION",
    "JournalReader",
    "Line",
    "Problem",
    "SlotReader",
    "check",
    "journals_and_sizes",
    "list_journals",
    "read_counts",
    "read_slot",
    "remove_journal",
]

VERSION = 1
"""Version of the format that this reader knows."""
_BLOCK = 1 << 20
_RAW = 4096
# A block of the shortest lines must not become a hundred megabytes of objects.
_MOST_LINES = 20_000
# What JSON allows and a store does not: NUL, lone surrogates, numbers that are no double or no 64-bit integer.
_UNSAFE = re.compile(rb"\\u0000|\\u[dD][89a-fA-F]|[eE]\+?\d{3}|\d{19}")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a journal, understood or not."""

    offset: int
    """Offset of its first byte; with the journal's id it names the record."""
    next_offset: int
    """Where to read on; acknowledged once this line is applied or put aside."""
    record: dict[str, Any] | None
    """The record; None when it was not understood."""
    error: str | None = None
    """Why it was not understood, in a few words."""
    raw: bytes = b""
    """The line as it stands; the first 4 KiB of one that is too long."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One line of a journal file that is not understood, or that may still be being written."""

    line: int
    """Number of the line in the file, from 1, as an editor counts."""
    offset: int
    """Offset of its first byte in the file."""
    reason: str


class JournalReader:
    """Reads one journal over its segments, from any offset, as often as wanted. Keeps no file open."""

    def __init__(self, spool: str, journal: str) -> None:
        """Open nothing yet.

        Args:
            spool: directory of the journals.
            journal: id of the journal.
        """
        self.spool = spool
        self.journal = journal
        self.skipped = 0
        """Lines that were not understood, of those read by this reader."""
        self.pending = False
        """True when the last read stopped before something that may still be being written: a line without its end,
        or a segment that is followed by another but not sealed. Worth another read soon."""
        self._writer: dict[str, Any] | None = None

    @property
    def writer(self) -> dict[str, Any]:
        """The ``writer`` record that begins the journal; empty while there is none to be understood."""
        if self._writer is None:
            # Segment 0 first, without a look at the directory: a thousand journals would look a thousand times.
            for number in [0] if self._exists(0) else self.segments():
                first = _first_record(segment_path(self.spool, self.journal, number))
                if first is not None and first.get("k") == "writer":
                    # A drainer keeps one for each of a thousand writers, and most of the words are the same in all.
                    self._writer = {sys.intern(key): _shared(value) for key, value in first.items()}
                    break
        return self._writer or {}

    @property
    def newer(self) -> int | None:
        """The version of a journal that this reader does not know, which must be left alone; else None."""
        version = self.writer.get("v", VERSION)
        known = type(version) is int and version <= VERSION
        return None if known else (version if type(version) is int else 0)

    def segments(self) -> list[int]:
        """Numbers of the segments that are there, in order."""
        found = []
        try:
            with os.scandir(self.spool) as entries:
                for entry in entries:
                    name = parse_segment_name(entry.name)
                    if name is not None and name[0] == self.journal:
                        found.append(name[1])
        except OSError:
            return []
        return sorted(found)

    def read(self, from_offset: int, max_bytes: int = _BLOCK, *, final: bool = False) -> list[Line]:
        """The lines from an offset on. Never raises for what stands in the files.

        Args:
            from_offset: 0, or the ``next_offset`` of a line read before.
            max_bytes: about how much to read, but at least 512 KiB.
            final: True when the writer is proven gone: then a last line that is not whole is torn, and a segment
                without a seal is not waited for.

        Returns:
            The lines in order, fewer than there are when *max_bytes* is reached. A newer version gives none.

        Raises:
            OSError: a segment is there but cannot be read (not this user's, not a regular file, I/O error).
        """
        self.pending = False
        if self.newer is not None:
            return []
        lines: list[Line] = []
        number, start = divmod(max(from_offset, 0), SPAN)
        left = max(max_bytes, 1)
        while left > 0:
            try:
                read, sealed, end = self._read_segment(number, start, left, final, lines)
            except FileNotFoundError:
                later = [n for n in self.segments() if n > number]
                if not later:
                    break
                number, start = later[0], 0
                continue
            left -= read
            if end and not sealed and self._exists(number + 1):
                self.pending = self.pending or not final
            if sealed or (final and end and self._exists(number + 1)):
                number, start = number + 1, 0
                if lines:
                    lines[-1] = _moved(lines[-1], number * SPAN)
                continue
            break
        if final and left > 0:
            self._add_untold(lines[-1].next_offset if lines else from_offset, lines)
        self.skipped += sum(1 for line in lines if line.record is None)
        return lines

    def _add_untold(self, end: int, lines: list[Line]) -> None:
        """P6: what a writer that is gone has dropped without a line about it, as a line one byte behind its last."""
        number, at = divmod(end, SPAN)
        try:
            if os.stat(segment_path(self.spool, self.journal, number)).st_size != at or self._exists(number + 1):
                return
            fd = open_private(f"{self.spool}/{self.journal}.lock", os.O_RDONLY)
        except OSError:
            return
        try:
            said = os.read(fd, 32).strip()
        except OSError:
            return
        finally:
            os.close(fd)
        if said.isdigit() and int(said) > 0:
            lines.append(Line(end, end + 1, {"k": "dropped", "facts": int(said), "progress": 0}, None, b""))

    def drop_applied(self, acknowledged: int) -> int:
        """Delete the segments that lie wholly below an acknowledged offset; returns the bytes freed."""
        freed = 0
        for number in self.segments():
            if number < acknowledged // SPAN:
                path = segment_path(self.spool, self.journal, number)
                try:
                    size = os.stat(path, follow_symlinks=False).st_size
                    os.unlink(path)
                except OSError:
                    continue
                freed += size
        return freed

    def _exists(self, number: int) -> bool:
        return os.path.lexists(segment_path(self.spool, self.journal, number))

    def _read_segment(
        self, number: int, start: int, limit: int, final: bool, lines: list[Line]
    ) -> tuple[int, bool, bool]:
        """Add the lines of one segment; returns (bytes read, sealed, at its end)."""
        path = segment_path(self.spool, self.journal, number)
        found = os.stat(path, follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        sealed = not found.st_mode & stat.S_IWUSR  # nothing is added any more
        if found.st_size <= start:
            return 0, sealed, True
        base = number * SPAN
        fd = open_private(path, os.O_RDONLY)
        try:
            size = min(found.st_size, SPAN)
            at = start
            while at < size and (at - start < limit or not lines) and len(lines) < _MOST_LINES:
                chunk = os.pread(fd, min(max(limit, 2 * MAX_LINE), size - at), at)
                if not chunk:
                    break
                whole = at + len(chunk) >= size
                used = self._split(chunk, base + at, whole, final or sealed, lines)
                if used == 0 and not whole:
                    used = self._skip_long(fd, at, size, base, lines)
                at += used
                if whole and len(lines) < _MOST_LINES:
                    break
            return at - start, sealed and at >= size, at >= size
        finally:
            os.close(fd)

    def _split(self, chunk: bytes, at: int, whole: bool, final: bool, lines: list[Line]) -> int:
        """Add the lines of *chunk*, which begins at offset *at*; returns the bytes used."""
        used = 0
        while used < len(chunk) and len(lines) < _MOST_LINES:
            end = chunk.find(b"\n", used)
            last = end < 0
            if last:
                if not whole:
                    return used
                end = len(chunk)
            raw = chunk[used:end]
            if raw and not raw.isspace():
                line = _parse(raw, at + used, at + end)
                if last and line.record is None and not final and len(raw) <= MAX_LINE:
                    self.pending = True
                    return used
                # Later segments repeat the first line, for a reader that finds the first segment gone.
                if line.record is None or line.record["k"] != "writer" or at + used < SPAN:
                    lines.append(line)
            used = end if last else end + 1
        return used

    def _skip_long(self, fd: int, at: int, size: int, base: int, lines: list[Line]) -> int:
        """Add one error for a line that does not fit into a block; returns the bytes up to its end."""
        first = os.pread(fd, _RAW, at)
        end = at
        while end < size:
            block = os.pread(fd, _BLOCK, end)
            if not block:
                break
            feed = block.find(b"\n")
            if feed >= 0:
                end += feed
                break
            end += len(block)
        reason = f"longer than {MAX_LINE} bytes ({end - at})"
        lines.append(Line(base + at, base + end, None, reason, first))
        return end - at


def _moved(line: Line, next_offset: int) -> Line:
    return Line(line.offset, next_offset, line.record, line.error, line.raw)


def _parse(raw: bytes, offset: int, next_offset: int) -> Line:
    """One line, understood or with the reason why not."""
    if len(raw) > MAX_LINE:
        reason = f"longer than {MAX_LINE} bytes ({len(raw)})"
        return Line(offset, next_offset, None, reason, raw[:_RAW])
    body = raw.lstrip(b" \t\r")
    start = offset + len(raw) - len(body)
    record, error = understand(body)
    return Line(start, next_offset, record, error, raw)


def understand(body: bytes) -> tuple[dict[str, Any] | None, str | None]:
    """A record from the bytes of one line, or the reason why it is none."""
    record: Any
    if not body.startswith(b"{"):
        if not body.strip(b"\0"):
            return None, "filled with NUL bytes"
        return None, "binary, not JSON" if b"\0" in body else "not a JSON object"
    try:
        record = json.loads(body, parse_constant=_refuse)
    except UnicodeDecodeError:
        return None, "not UTF-8"
    except RecursionError:
        return None, "nested too deep"
    except ValueError:
        return None, "torn or not JSON" if not body.endswith(b"}") else "not JSON"
    if _UNSAFE.search(body):
        record = clean(record)
    return _checked(record)


def _checked(record: Any) -> tuple[dict[str, Any] | None, str | None]:
    if not isinstance(record, dict):
        return None, "not a JSON object"
    kind = record.get("k")
    if type(kind) is not str or not 0 < len(kind) <= 64:
        return None, "no kind (k)"
    for name in ("t", "m"):
        value = record.get(name)
        if value is not None and type(value) is not float and type(value) is not int:
            return None, f"{name} is not a number"
    run = record.get("run")
    if run is not None and (type(run) is not str or not 0 < len(run) <= 200):
        return None, "run is not a run id"
    return record, None


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _shared(value: Any) -> Any:
    return sys.intern(value) if type(value) is str else value


def _first_record(path: str) -> dict[str, Any] | None:
    try:
        fd = open_private(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        head = os.pread(fd, 65_536, 0)
    finally:
        os.close(fd)
    for raw in head.split(b"\n"):
        if raw.strip():
            return understand(raw.strip())[0]
    return None


def journals_and_sizes(spool: str) -> dict[str, int]:
    """The journals of a spool directory and the bytes that their segments take up, in the order of their ids."""
    sizes: dict[str, int] = {}
    try:
        with os.scandir(spool) as entries:
            for entry in entries:
                name = parse_segment_name(entry.name)
                if name is not None:
                    try:
                        size = entry.stat(follow_symlinks=False).st_size
                    except OSError:
                        continue
                    sizes[name[0]] = sizes.get(name[0], 0) + size
    except OSError:
        return {}
    return dict(sorted(sizes.items()))


def list_journals(spool: str) -> list[str]:
    """Ids of the journals in a spool directory, oldest first; empty when there is no such directory."""
    return list(journals_and_sizes(spool))


def remove_journal(spool: str, journal: str) -> None:
    """Delete all files of a journal whose writer is gone, its first line last."""
    numbers = JournalReader(spool, journal).segments()
    names = [f"{spool}/{journal}.{suffix}" for suffix in ("slot", "counts", "stack", "ack", "lock", "tick")]
    names += [segment_path(spool, journal, number) for number in reversed(numbers)]
    for name in names:
        try:
            os.unlink(name)
        except FileNotFoundError:
            continue


def check(path: str) -> Iterator[Problem]:
    """Name the lines of a journal file that a reader would put aside, with the reason.

    Args:
        path: a segment, or any file that should be one.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        number, offset, seen = 0, 0, False
        while raw := file.readline(MAX_LINE + 1):
            number += 1
            start, offset = offset, offset + len(raw)
            size = len(raw)
            while not raw.endswith(b"\n") and (more := file.readline(_BLOCK)):
                size, offset = size + len(more), offset + len(more)
                if more.endswith(b"\n"):
                    break
            body = raw.strip(b" \t\r\n")
            if not body:
                continue
            reason = _fault(body, size, seen)
            if reason is not None:
                yield Problem(number, start, reason)
            seen = True


def _fault(body: bytes, size: int, seen: bool) -> str | None:
    if size > MAX_LINE + 1:
        return f"longer than {MAX_LINE} bytes ({size})"
    record, error = understand(body)
    if record is None or seen:
        return error
    if record["k"] != "writer":
        return "the first line is no writer line"
    version = record.get("v")
    if type(version) is not int or version > VERSION:
        return f"version {version!r}, this program knows {VERSION}"
    return None
