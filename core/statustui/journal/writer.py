"""The writer of a journal: what a program touches when it records a fact.

A fact is one ``write`` to a file opened for appending, so it needs no lock, survives the death of the process, and may
come from any thread or signal handler. Nothing here raises into the caller; what could not be written is counted, and
told in the journal when there is room again.
"""

from __future__ import annotations

import errno
import itertools
import os
import time
from _thread import allocate_lock
from collections.abc import Iterator

from statustui.journal import locks
from statustui.journal.counts import CountsWriter
from statustui.journal.files import (
    JOURNAL_LIMIT,
    SEGMENT_BYTES,
    SPAN,
    make_spool,
    move_high,
    open_private,
    prepare_spool,
    same_file,
    segment_path,
)
from statustui.journal.identity import describe
from statustui.journal.line import line_of
from statustui.journal.slot import SlotWriter
from statustui.model.ids import new_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType
    from typing import Any

# What may go wrong with a disk or a value; all of it is counted, none of it reaches the program (P1).
_FAILURES = (OSError, ValueError, TypeError, MemoryError, RecursionError, OverflowError, RuntimeError)
_RETRY_S = 0.5


class _Segment:
    """One open segment, known by its inode, since a program may close our descriptor and use the number again."""

    __slots__ = ("dev", "fd", "ino", "number", "path")

    def __init__(self, path: str, number: int, flags: int) -> None:
        fd = move_high(open_private(path, flags))
        found = os.fstat(fd)
        self.path = path
        self.number = number
        self.fd = fd
        self.dev = found.st_dev
        self.ino = found.st_ino

    def close(self) -> None:
        if same_file(self.fd, self.dev, self.ino):
            os.close(self.fd)


class _State:
    """The open journal of one process. Never touched by a forked child, which makes its own."""

    __slots__ = (
        "counts",
        "guard",
        "inflight",
        "journal",
        "lock",
        "offset",
        "segment",
        "slot",
        "started",
        "tokens",
        "unsealed",
    )

    def __init__(self, journal: str, lock: int, segment: _Segment, started: dict[str, Any]) -> None:
        self.journal = journal
        self.lock = lock
        self.segment = segment
        self.started = started
        self.offset = 0
        self.counts: CountsWriter | None = None
        self.slot: SlotWriter | None = None
        # Appends under way: token → the segment that they write to. A segment is sealed when none is left in it.
        self.inflight: dict[int, _Segment] = {}
        self.tokens: Iterator[int] = itertools.count()
        # By number; whoever takes one out seals it.
        self.unsealed: dict[int, _Segment] = {}
        # For slot and counts only; waited for briefly, never by a fact.
        self.guard = allocate_lock()


class _Brief:
    """Holds a lock that is waited for 10 ms at most: a signal handler may find its own thread holding it."""

    __slots__ = ("_lock",)

    def __init__(self, lock: LockType) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=0.01):
            raise OSError(errno.EDEADLK, "another thread is writing progress")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Writer:
    """The journal of this process, opened by the first fact. Safe in threads, signal handlers and forked children.

    A forked child that uses the writer gets a journal of its own, with the role ``worker``.
    """

    def __init__(
        self,
        spool: str,
        *,
        role: str = "program",
        lang: str = "python",
        limit: int = JOURNAL_LIMIT,
        store_url: str | None = None,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        """Open nothing yet.

        Args:
            spool: directory of the journals, made when needed.
            role: ``program``, ``worker`` or ``wrapper``.
            lang: language of the program.
            limit: bytes of unapplied journal to keep; facts beyond it are dropped and counted.
            store_url: canonical URL for ``store.url``; None when somebody else writes that file.
            segment_bytes: size after which a new segment begins.
        """
        self.spool = spool
        self.role = role
        """Said in the journal's first line; may be changed until the first fact."""
        self.lang = lang
        self.dropped = 0
        """Facts that this process could not write."""
        self.dropped_progress = 0
        """Slots and counters that this process could not write."""
        self.failure: BaseException | None = None
        """Why the last thing could not be written; None while all is well."""
        self._limit = limit
        self._store_url = store_url
        self._segment_bytes = segment_bytes
        self._told = (0, 0)  # drops that the journal tells of
        self._states: dict[int, _State] = {}
        self._blocked_until = 0.0
        _writers.append(self)

    @property
    def journal(self) -> str | None:
        """Id of this process's journal; None while it is not open."""
        state = self._states.get(os.getpid())
        return state.journal if state else None

    @property
    def offset(self) -> int:
        """Offset of the last record of this process; 0 before the first."""
        state = self._states.get(os.getpid())
        return state.offset if state else 0

    def path(self, suffix: str) -> str | None:
        """Path of a side file of this journal (``stack``); None while it is not open."""
        journal = self.journal
        return f"{self.spool}/{journal}.{suffix}" if journal else None

    def open(self) -> bool:
        """Open the journal now, before the program uses up its descriptors. True when it is open."""
        try:
            self._state()
        except _FAILURES as error:
            self.failure = error
            return False
        return True

    def fact(self, kind: str, run: str | None = None, /, **fields: Any) -> int:
        """Append one record; it is with the kernel when this returns (P3). Never raises.

        Args:
            kind: the record's ``k``.
            run: run_id, where the record is about a run.
            fields: its other fields; ``t`` and ``m`` are added unless given.

        Returns:
            The offset of the record, or -1 when it was dropped (and counted).
        """
        try:
            return self._append(line_of(kind, run, fields))
        except _FAILURES as error:
            self.failure = error
            self.dropped += 1
            self._note_drops(self.dropped - self._told[0])
            return -1

    def slot(self, payload: dict[str, Any]) -> bool:
        """Replace the latest progress. ``off`` is added unless given. Never raises.

        Returns:
            True when it was written; else it is counted as dropped progress.
        """
        try:
            state = self._state()
            if "off" not in payload:
                payload = {"off": state.offset, **payload}
            with _Brief(state.guard):
                if state.slot is None:
                    state.slot = SlotWriter(f"{self.spool}/{state.journal}.slot")
                state.slot.write(payload)
        except _FAILURES as error:
            self.failure = error
            self.dropped_progress += 1
            return False
        return True

    def counter(self, run: str, n: int) -> tuple[memoryview, int]:
        """A counter of this process for subtask *n*: ``view[index] += k`` counts. Never raises.

        The view belongs to this process alone: a forked child must ask for its own.

        Returns:
            (view, index). Where no counts file can be made the view is private memory, and that is counted.
        """
        try:
            state = self._state()
            with _Brief(state.guard):
                counts = state.counts
                if counts is None:
                    counts = state.counts = CountsWriter(f"{self.spool}/{state.journal}.counts")
                index = counts.take()
            if self.fact("counter", run, i=index, n=n) >= 0:
                return counts.view, index
        except (*_FAILURES, IndexError) as error:
            self.failure = error
        self.dropped_progress += 1
        return memoryview(bytearray(8)).cast("Q"), 0

    def close(self) -> None:
        """End the journal in good order. A later fact begins a new one."""
        pid = os.getpid()
        if pid in self._states:
            self.fact("close")
            state = self._states.pop(pid)
            _close(state)

    def _state(self) -> _State:
        state = self._states.get(os.getpid())
        return state if state is not None else self._open()

    def _open(self) -> _State:
        """Open a journal of this process. Two threads may do so at once: the first to publish wins, no lock is held."""
        if time.monotonic() < self._blocked_until:
            raise self.failure if self.failure is not None else OSError(errno.EAGAIN, "journal not open")
        try:
            state = self._make()
        except OSError:
            self._blocked_until = time.monotonic() + _RETRY_S
            raise
        published = self._states.setdefault(os.getpid(), state)
        if published is not state:
            _close(state)
            for name in (segment_path(self.spool, state.journal, 0), f"{self.spool}/{state.journal}.lock"):
                os.unlink(name)
        return published

    def _make(self) -> _State:
        if self._store_url is None:
            make_spool(self.spool)
        else:
            prepare_spool(self.spool, self._store_url)
        journal = new_id()
        lock_path, path = f"{self.spool}/{journal}.lock", segment_path(self.spool, journal, 0)
        lock = locks.hold(lock_path)
        try:
            os.pwrite(lock, b"%020d\n" % 0, 0)  # the block is there before the disk is full
            started = {"v": 1, "journal": journal, **describe(), "lang": self.lang, "role": self.role}
            segment = _new_segment(path, 0, started)
        except BaseException:
            locks.release(lock)
            os.unlink(lock_path)
            raise
        state = _State(journal, lock, segment, started)
        state.offset = 1
        return state

    def _append(self, line: bytes) -> int:
        state = self._state()
        told, drops = self._told, (self.dropped, self.dropped_progress)
        data = line
        if drops != told:
            data = self._drops_line(told, drops) + line
            self._told = drops
        token = next(state.tokens)
        try:
            segment = self._write(state, token, data)
            end = os.lseek(segment.fd, 0, os.SEEK_CUR)
        except BaseException:
            self._told = told
            raise
        finally:
            state.inflight.pop(token, None)
            if state.unsealed:
                _seal(state)
        # Another thread may have appended meanwhile: then this is later than the record, never earlier.
        offset = segment.number * SPAN + end - len(line) + 1
        if offset > state.offset:
            state.offset = offset
        self.failure = None
        if data is not line:
            self._note_drops(self.dropped - self._told[0])
        return offset

    def _write(self, state: _State, token: int, data: bytes) -> _Segment:
        for last in (False, False, True):
            segment = self._enter(state, token, len(data))
            try:
                if os.write(segment.fd, data) == len(data):
                    return segment
            except OSError as error:
                if error.errno != errno.EFBIG or last:
                    raise
                self._rotate(state, segment)  # the program limits the size of its files
        raise OSError(errno.ENOSPC, "line cut short")  # what is there is torn, and spoils only itself

    def _enter(self, state: _State, token: int, size: int) -> _Segment:
        """The segment to write to, entered in the list of appends under way."""
        for _ in range(100):
            segment = state.segment
            state.inflight[token] = segment
            if segment is not state.segment:
                continue  # it was replaced before we were on the list
            if state.unsealed:
                _seal(state)  # before the first record after it, so that a reader woken by that one goes on
            try:
                found = os.fstat(segment.fd)
            except OSError:
                found = None
            if found is None or found.st_ino != segment.ino or found.st_dev != segment.dev:
                self._reopen(state, segment)  # the program closed our descriptor: the number may be its own file now
            elif found.st_nlink == 0:
                self._rotate(state, segment)
            elif (
                found.st_size + size <= self._segment_bytes or found.st_size < 4096 or not self._rotate(state, segment)
            ):
                return segment  # it has room, or another thread is just beginning the next
        raise OSError(errno.EIO, "no segment to write to")

    def _reopen(self, state: _State, old: _Segment) -> None:
        try:
            segment = _Segment(old.path, old.number, os.O_WRONLY | os.O_APPEND)
        except FileNotFoundError:
            self._rotate(state, old)
            return
        if (segment.dev, segment.ino) != (old.dev, old.ino):
            segment.close()
            raise OSError(errno.ESTALE, "the journal was replaced by another file")
        if state.segment is old:
            state.segment = segment
        if locks.holder(f"{self.spool}/{state.journal}.lock") is None:
            locks.forget(state.lock)
            state.lock = locks.hold(f"{self.spool}/{state.journal}.lock")

    def _rotate(self, state: _State, old: _Segment) -> bool:
        """Begin the next segment. False when another thread is just doing it.

        Raises:
            OSError: too much is unapplied, or there is no room.
        """
        now = time.monotonic()
        if now < self._blocked_until:
            raise OSError(errno.EDQUOT, "too much is unapplied")
        if self._unapplied(state, old.number) >= self._limit:
            self._blocked_until = now + 0.05
            raise OSError(errno.EDQUOT, "too much is unapplied")
        make_spool(self.spool)
        number = old.number + 1
        try:
            segment = _new_segment(segment_path(self.spool, state.journal, number), number, state.started)
        except FileExistsError:
            return False
        state.unsealed[old.number] = old
        state.segment = segment
        return True

    def _unapplied(self, state: _State, number: int) -> int:
        """Bytes of this journal that are still there: the drainer deletes a segment when it has applied it."""
        total = 0
        while number >= 0:
            try:
                total += os.stat(segment_path(self.spool, state.journal, number)).st_size
            except FileNotFoundError:
                break
            number -= 1
        return total

    def _note_drops(self, untold: int) -> None:
        """P6: a disk that stays full takes no line, so the count goes into the block that the lock file owns."""
        state = self._states.get(os.getpid())
        if state is None:
            return
        try:
            os.pwrite(state.lock, b"%020d\n" % untold, 0)
        except OSError as error:
            self.failure = error  # the next line that has room tells it

    def _drops_line(self, told: tuple[int, int], drops: tuple[int, int]) -> bytes:
        return line_of("dropped", None, {"facts": drops[0] - told[0], "progress": drops[1] - told[1]})

    def _forked(self) -> None:
        """In a forked child: forget the parent's drops and take a new role; its journal is left alone."""
        self._told = (0, 0)
        self.dropped = self.dropped_progress = 0
        self._blocked_until = 0.0
        self.failure = None
        self.role = "worker"
        parents, self._states = self._states, {}
        for state in parents.values():
            _close_files(state)
        locks.close_inherited()


def _new_segment(path: str, number: int, started: dict[str, Any]) -> _Segment:
    segment = _Segment(path, number, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL)
    line = line_of("writer", None, started)
    try:
        if os.write(segment.fd, line) != len(line):
            raise OSError(errno.ENOSPC, "first line cut short", path)
    except OSError:
        segment.close()
        os.unlink(path)
        raise
    return segment


def _seal(state: _State) -> None:
    """End the segments that nobody writes to any more: a reader goes on to the next one only then.

    The seal is the mode 0400, which can be set on a full disk too.
    """
    for number in list(state.unsealed):
        if any(segment.number == number for segment in list(state.inflight.values())):
            continue
        old = state.unsealed.pop(number, None)
        if old is None:
            continue  # another thread is just doing it
        try:
            if not same_file(old.fd, old.dev, old.ino):
                old.fd = open_private(old.path, os.O_WRONLY | os.O_APPEND)  # the program closed ours
            os.fchmod(old.fd, 0o400)
            os.close(old.fd)
        except FileNotFoundError:
            continue  # deleted: there is nothing to end
        except OSError:
            state.unsealed[number] = old  # no descriptor: the next append tries again


def _close(state: _State) -> None:
    _close_files(state)
    locks.release(state.lock)


def _close_files(state: _State) -> None:
    for segment in (*state.unsealed.values(), state.segment):
        segment.close()
    if state.slot is not None:
        state.slot.close()


_writers: list[Writer] = []


def _after_fork_in_child() -> None:
    for writer in _writers:
        writer._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
