"""The journal of calls: one for each run, to which processes append that live for one line (``statustui event``).

Nobody holds it open. Each caller appends its lines by one write; counts are told as what is added, so that they add up
however many processes call at once. Whoever finds no journal, or a full segment, makes the next with its first line in
it and then gives it its name, so that nobody ever appends to one without. Nothing here waits for another process.
"""

import errno
import fcntl
import os
import stat
import time

from statustui.journal.files import (
    JOURNAL_LIMIT,
    SEGMENT_BYTES,
    make_spool,
    open_private,
    parse_segment_name,
    segment_path,
)
from statustui.journal.line import line_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TRIES = 100
_COUNT = b"%020d\n"
_PATIENCE_S = 0.02


class CallJournal:
    """The journal of calls of one run."""

    def __init__(
        self, spool: str, run_id: str, first: "dict[str, Any]", *, limit: int = JOURNAL_LIMIT,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:  # fmt: skip
        """Open nothing yet.

        Args:
            spool: directory of the journals.
            run_id: whose calls these are.
            first: fields of the ``writer`` line but ``v``, ``journal`` and ``role``.
            limit: bytes of unapplied journal to keep; what is beyond is dropped, and counted.
            segment_bytes: size after which a new segment begins.
        """
        self.spool = spool
        self.journal = f"{run_id}-calls"
        self._first = {"v": 1, "journal": self.journal, **first, "role": "worker"}
        self._limit = limit
        self._segment_bytes = segment_bytes

    def append(self, lines: bytes, facts: int) -> None:
        """Append lines by one write; they are with the kernel when this returns (P3).

        Args:
            lines: of ``line_of``, one behind the other.
            facts: how many they are: what is counted as dropped when they can not be written.

        Raises:
            OSError: they could not be written. That is counted as far as there is room for a number (P6).
        """
        untold = self._dropped()
        try:
            told = line_of("dropped", None, {"facts": untold, "progress": 0}) if untold else b""
            self._write(told + lines)
        except OSError:
            self._count(facts)
            raise
        if untold:
            self._count(-untold)

    def _write(self, data: bytes) -> None:
        number = 0
        for attempt in range(_TRIES):
            if attempt or not os.path.lexists(segment_path(self.spool, self.journal, number)):
                number = self._newest()
            if number < 0:
                self._make(0)
                continue
            try:
                # For reading too: where flock is made of POSIX locks, a shared one wants it.
                fd = open_private(segment_path(self.spool, self.journal, number), os.O_RDWR | os.O_APPEND)
            except (FileNotFoundError, PermissionError) as error:
                if isinstance(error, PermissionError) and not self._is_sealed(number):
                    raise
                self._make_next(number)
                continue
            try:
                if self._written(fd, number, data):
                    return
            finally:
                os.close(fd)
        raise OSError(errno.EAGAIN, "the journal is replaced all the time")

    def _written(self, fd: int, number: int, data: bytes) -> bool:
        """Write to the segment that is open; False when there is another one to write to."""
        try:
            # Held by all who write, for as long as they do: the segment is sealed by one who finds nobody.
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False  # just being sealed
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
        found = os.fstat(fd)
        if not found.st_mode & stat.S_IWUSR:
            self._make_next(number)
            return False
        if found.st_size + len(data) > self._segment_bytes and found.st_size >= 4096:
            self._make_next(number)
            fcntl.flock(fd, fcntl.LOCK_UN)
            _seal(fd)
            return False
        if os.write(fd, data) != len(data):
            raise OSError(errno.ENOSPC, "line cut short")  # what is there is torn, and spoils only itself
        fcntl.flock(fd, fcntl.LOCK_UN)
        if os.path.lexists(segment_path(self.spool, self.journal, number + 1)):
            _seal(fd)  # it was made meanwhile, and whoever made it found us here
        if number and not self._is_sealed(number - 1):
            self._seal_before(number)
        return True

    def _seal_before(self, number: int) -> None:
        """Seal the segment before: those who should have were killed."""
        try:
            fd = open_private(segment_path(self.spool, self.journal, number - 1), os.O_RDWR)
        except OSError:
            return  # just done by another
        try:
            _seal(fd)
        finally:
            os.close(fd)

    def _newest(self) -> int:
        """Number of the newest segment, -1 when there is none."""
        try:
            names = [parse_segment_name(name) for name in os.listdir(self.spool)]
        except FileNotFoundError:
            return -1
        return max((name[1] for name in names if name is not None and name[0] == self.journal), default=-1)

    def _is_sealed(self, number: int) -> bool:
        try:
            found = os.stat(segment_path(self.spool, self.journal, number), follow_symlinks=False)
        except FileNotFoundError:
            return True
        return not found.st_mode & stat.S_IWUSR

    def _make_next(self, number: int) -> None:
        if os.path.lexists(segment_path(self.spool, self.journal, number + 1)):
            return
        if self._unapplied(number) >= self._limit:
            raise OSError(errno.EDQUOT, "too much is unapplied")
        self._make(number + 1)

    def _unapplied(self, number: int) -> int:
        """Bytes that are still there: the drainer deletes a segment when it has applied it."""
        total = 0
        while number >= 0:
            try:
                total += os.stat(segment_path(self.spool, self.journal, number)).st_size
            except FileNotFoundError:
                break
            number -= 1
        return total

    def _make(self, number: int) -> None:
        """Make a segment with its first line, and give it its name unless another process was faster."""
        path = segment_path(self.spool, self.journal, number)
        part = f"{self.spool}/.{self.journal}.{os.getpid()}.{os.urandom(4).hex()}"
        try:
            fd = open_private(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileNotFoundError:
            make_spool(self.spool)
            fd = open_private(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            line = line_of("writer", None, self._first)
            if os.write(fd, line) != len(line):
                raise OSError(errno.ENOSPC, "first line cut short", path)
            _name(part, path, line)
        except FileExistsError:
            return
        finally:
            os.close(fd)
            os.unlink(part)
        if number == 0:
            self._count(0)  # the block is there before the disk is full

    def _dropped(self) -> int:
        try:
            fd = open_private(f"{self.spool}/{self.journal}.lock", os.O_RDONLY)
        except OSError:
            return 0
        try:
            said = os.read(fd, 32).strip()
        finally:
            os.close(fd)
        return int(said) if said.isdigit() else 0

    def _count(self, facts: int) -> None:
        """Add to the number of facts that were dropped; where that can not be done, the caller still says so."""
        try:
            fd = open_private(f"{self.spool}/{self.journal}.lock", os.O_RDWR | os.O_CREAT)
        except OSError:
            return
        try:
            deadline = time.monotonic() + _PATIENCE_S
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        return
                    time.sleep(0.001)
            said = os.read(fd, 32).strip()
            os.pwrite(fd, _COUNT % max(0, (int(said) if said.isdigit() else 0) + facts), 0)
        except OSError:
            return
        finally:
            os.close(fd)


def _name(part: str, path: str, line: bytes) -> None:
    """Give a file its name unless another has it; where files have one name only, it is made anew.

    Raises:
        FileExistsError: another has it.
    """
    try:
        os.link(part, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        fd = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            os.write(fd, line)
        finally:
            os.close(fd)


def _seal(fd: int) -> None:
    """End a segment that has a next one, unless somebody still writes to it: then that one does it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    os.fchmod(fd, 0o400)
