"""What is new in the journals of one spool directory."""

import json
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from statustui.drain.aside import put_aside
from statustui.drain.runs import Writer
from statustui.journal.files import SPAN, open_private, parse_segment_name, segment_path
from statustui.journal.reader import VERSION, JournalReader, Line, SlotReader, read_counts
from statustui.process.cgroup import OomCounter
from statustui.process.pidfd import Handle

_CLOSE = b'"k":"close"'
_TAIL_BYTES = 512
_SEGMENTS_KEPT = 4
_RECENT_S = 600.0


class News(NamedTuple):
    """What one journal has to tell that is not applied yet."""

    tail: "Tail"
    lines: tuple[Line, ...]
    slot: dict[str, Any] | None
    counts: tuple[int, ...] | None
    more: bool
    """True when there is more to read."""

    @property
    def bytes(self) -> int:
        """About how much was read, in bytes."""
        return sum(len(line.raw) for line in self.lines)

    @property
    def skipped(self) -> int:
        """How many of the lines were not understood."""
        return sum(1 for line in self.lines if line.record is None)

    @property
    def next_offset(self) -> int:
        """Where to read on after this."""
        return self.lines[-1].next_offset if self.lines else self.tail.offset


class Tail:
    """How far one journal is applied, and who writes it."""

    def __init__(self, spool: str, journal: str, offset: int) -> None:
        self.journal = journal
        self.offset = offset
        """Applied and acknowledged up to here."""
        self.writer: Writer | None = None
        self.about: dict[str, Any] = {}
        """The writer's own words: its first record."""
        self.lines_waiting = False
        self.slot_waiting = False
        self.has_counts = False
        self.closed = False
        """It said that it ends in good order."""
        self.primed = offset == 0
        """True when its records up to the offset have been looked at for open runs."""
        self.gone_at: float | None = None
        """When its writer was proven gone, in seconds since 1970."""
        self.exit_status: int | None = None
        """How its writer ended, as far as the kernel told: a wait status."""
        self.handle: Handle | None = None
        """The writer, held from the moment that it was met; None when it is not of this boot and namespace, or gone."""
        self.oom: OomCounter | None = None
        self.attended = False
        """True when its writer was looked for."""
        self.bytes = 0
        """Size of its segments when the directory was last scanned."""
        self._spool = spool
        self._reader = JournalReader(spool, journal)
        self._slots = SlotReader(f"{spool}/{journal}.slot")
        self._slot: dict[str, Any] | None = None
        self._counts: tuple[int, ...] | None = None
        self._counts_moved = False

    @property
    def newer(self) -> bool:
        """True when the journal is of a version that this drainer does not know: it is left alone."""
        return self.writer is not None and self.writer.version > VERSION

    @property
    def waiting(self) -> bool:
        """Is there anything that may not be applied yet?"""
        return self.lines_waiting or self.slot_waiting or self._counts_moved

    def news(self, limit: int) -> News | None:
        """Read what is new, up to about *limit* bytes; None when there is nothing.

        Raises:
            OSError: the journal cannot be read.
        """
        lines: list[Line] = []
        more = False
        if self.lines_waiting:
            lines = self._reader.read(self.offset, limit, final=self.gone_at is not None)
            end = lines[-1].next_offset if lines else self.offset
            more = bool(lines) and end - self.offset >= limit
            self.introduce(lines)
            if not lines:
                self.lines_waiting = False  # the end of a line that is being written makes itself known
        read_to = lines[-1].next_offset if lines else self.offset
        slot = self._fresh_slot(read_to)
        counts = self._fresh_counts()
        if not lines and slot is None and counts is None:
            return None
        return News(self, tuple(lines), slot, counts, more)

    def applied(self, news: News) -> None:
        """Note that the store has it."""
        self.offset = news.next_offset
        if news.lines and not news.more and not self._reader.pending:
            self.lines_waiting = self._has_more()
        if news.slot is not None:
            self._slot = None
        if news.counts is not None:
            self._counts = news.counts
        if news.next_offset // SPAN != (news.lines[0].offset if news.lines else news.next_offset) // SPAN:
            self.drop_applied()
        self.closed = self.closed or any(_is_close(line) for line in news.lines)

    def prime(self) -> Iterator[Line]:
        """The lines that were applied before this drainer began, once."""
        self.primed = True
        at = 0
        while at < self.offset:
            lines = [line for line in self._reader.read(at) if line.offset < self.offset]
            if not lines:
                return
            self.introduce(lines)
            at = lines[-1].next_offset
            self.closed = self.closed or any(_is_close(line) for line in lines)
            yield from lines

    def introduce(self, lines: Iterable[Line]) -> None:
        """Learn from the first line who writes; from a later segment's when the first is gone."""
        if self.writer is not None:
            return
        self.about = self._reader.writer or next(
            (line.record for line in lines if line.record is not None and line.record["k"] == "writer"), {}
        )
        if self.about:
            self.writer = Writer.of(self.journal, self.about)

    def closes(self) -> bool:
        """Does its last line say that it ended in good order? A cheap look at its last bytes."""
        path = segment_path(self._spool, self.journal, self.offset // SPAN)
        try:
            fd = open_private(path, os.O_RDONLY)
        except OSError:
            return False
        try:
            size = os.fstat(fd).st_size
            data = os.pread(fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        except OSError:
            return False
        finally:
            os.close(fd)
        return _CLOSE in data.rpartition(b"\n")[2]

    def recent(self) -> bool:
        """Was anything written to it within the last ten minutes?"""
        try:
            written = os.stat(segment_path(self._spool, self.journal, self.offset // SPAN)).st_mtime
        except OSError:
            return False
        return time.time() - written < _RECENT_S

    def finished(self) -> None:
        """Its writer is proven gone: a last look at all it left."""
        self.lines_waiting = self.slot_waiting = True
        self._counts_moved = self.has_counts

    def drop_applied(self) -> int:
        """Delete applied segments but the newest few: a writer stops at 64 MB that are still there.

        Returns:
            The bytes freed.
        """
        number = self.offset // SPAN
        return self._reader.drop_applied((number - _SEGMENTS_KEPT) * SPAN) if number > _SEGMENTS_KEPT else 0

    def again(self, offset: int) -> None:
        """The store has less than it was thought to have: read from there again."""
        self.offset = offset
        self._slots = SlotReader(f"{self._spool}/{self.journal}.slot")
        self._counts = None
        self.finished()

    def unreadable(self) -> None:
        """It could not be read: not before it changes again."""
        self.lines_waiting = self.slot_waiting = False

    def look_at_counts(self) -> None:
        """Counters are written through a mapping, which tells nobody: look whether any has moved."""
        if self.has_counts and self.writer is not None:  # else nobody wrote it: it would keep the drainer for ever
            self._counts_moved = True

    def let_go(self) -> None:
        """Close what is held open."""
        if self.handle is not None:
            self.handle.close()
            self.handle = None

    def _fresh_slot(self, read_to: int) -> dict[str, Any] | None:
        if self.slot_waiting:
            self.slot_waiting = False
            self._slot = self._slots.read() or self._slot
        slot = self._slot
        if slot is None:
            return None
        off = slot.get("off")
        # It belongs after the record at that offset: kept until that is applied too.
        return slot if type(off) is int and off <= read_to else None

    def _fresh_counts(self) -> tuple[int, ...] | None:
        if not self._counts_moved:
            return None
        self._counts_moved = False
        values = read_counts(f"{self._spool}/{self.journal}.counts")
        while values and values[-1] == 0:
            values.pop()
        counts = tuple(values)
        return counts if counts and counts != self._counts else None

    def _has_more(self) -> bool:
        number, at = divmod(self.offset, SPAN)
        try:
            if os.stat(segment_path(self._spool, self.journal, number)).st_size > at:
                return True
        except OSError:
            return False
        return os.path.exists(segment_path(self._spool, self.journal, number + 1))


class Tails:
    """All journals of one spool directory."""

    def __init__(self, spool: str) -> None:
        self.spool = spool
        self._tails: dict[str, Tail] = {}
        self._active: dict[str, Tail] = {}

    def active(self) -> list[Tail]:
        """Those from which something may still come."""
        return list(self._active.values())

    def settle(self, tail: Tail) -> None:
        """Nothing will come from it any more, unless its files change."""
        tail.let_go()
        self._active.pop(tail.journal, None)

    def wake(self, tail: Tail) -> None:
        """Something may come from it."""
        self._active[tail.journal] = tail

    def __iter__(self) -> Iterator[Tail]:
        return iter(list(self._tails.values()))

    def __len__(self) -> int:
        return len(self._tails)

    def get(self, journal: str) -> Tail | None:
        """The tail of a journal that was met before."""
        return self._tails.get(journal)

    def scan(self) -> dict[str, tuple[int, int, int]]:
        """Look at every file of the directory: (last segment, its size, bytes in all) of each journal.

        Raises:
            FileNotFoundError: the directory is gone.
        """
        ends: dict[str, tuple[int, int, int]] = {}
        with os.scandir(self.spool) as entries:
            for entry in entries:
                name = parse_segment_name(entry.name)
                if name is None:
                    if entry.name.partition(".")[0] in self._active:
                        self.note(entry.name)
                    continue
                try:
                    size = entry.stat(follow_symlinks=False).st_size
                except OSError:
                    continue
                journal, number = name
                last, last_size, total = ends.get(journal, (-1, 0, 0))
                last, last_size = max((last, last_size), (number, size))
                ends[journal] = last, last_size, total + size
        return ends

    def adopt(self, ends: dict[str, tuple[int, int, int]], offsets: dict[str, int]) -> None:
        """Take in journals that were found, with what the store has of each; forget those that are gone."""
        for journal, (number, size, total) in sorted(ends.items()):
            tail = self._tails.get(journal)
            if tail is None:
                tail = self._tails[journal] = Tail(self.spool, journal, offsets.get(journal, 0))
                tail.slot_waiting = tail.offset == 0 or not tail.closes()
                tail.has_counts = os.path.lexists(f"{self.spool}/{journal}.counts")
                tail.look_at_counts()
                self.wake(tail)
            tail.bytes = total
            if number * SPAN + size > tail.offset:
                tail.lines_waiting = True
                self.wake(tail)
        for journal in self._tails.keys() - ends.keys():
            self.forget(journal)

    def note(self, name: str) -> bool:
        """A file changed; True when it belongs to a journal that is not known yet."""
        journal, dot, rest = name.partition(".")
        if not dot:
            return False
        tail = self._tails.get(journal)
        if tail is None:
            return rest.endswith("jsonl")
        if rest.endswith("jsonl"):
            tail.lines_waiting = True
            self.wake(tail)
        elif rest == "slot":
            tail.slot_waiting = True
            self.wake(tail)
        elif rest == "counts":
            tail.has_counts = True
        return False

    def forget(self, journal: str) -> None:
        """A journal is gone."""
        tail = self._tails.pop(journal, None)
        self._active.pop(journal, None)
        if tail is not None:
            tail.let_go()

    def set_aside(self, tail: Tail, lines: Iterable[Line]) -> int:
        """Keep what was not understood in ``aside/``; returns how many lines."""
        return put_aside(self.spool, tail.journal, [line for line in lines if line.record is None])

    def set_aside_record(self, journal: str, offset: int, record: dict[str, Any], error: str) -> None:
        """Keep a record that the store refuses."""
        raw = json.dumps(record).encode("ascii", "backslashreplace")
        put_aside(self.spool, journal, [Line(offset, offset, None, error, raw)])


def _is_close(line: Line) -> bool:
    return line.record is not None and line.record["k"] == "close"
