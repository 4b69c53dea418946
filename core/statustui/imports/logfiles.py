"""Log files as bytes, plain or gzip, of any size; what they are known by after they grew, moved or were copied."""

import gzip
import hashlib
import os
import re
import stat
import time
import zlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch

from statustui.errors import StatustuiError

PATTERNS = ("*.Rout", "*.log", "*.out", "*.Rout.*", "*.log.*", "*.out.*", "*.log-*", "*.out-*")
"""File names that are looked at where no pattern is given."""
_UNPACKED = 256 << 20
_WINDOW = 64 << 10
_TRAVELLED = re.compile(r"(?:\.gz|\.[0-9]{1,3}|[.-]\d{8}(?:[-T]?\d{2,6})?|[.-]\d{4}-\d\d-\d\d)$")
_EXTENSION = re.compile(r"\.(?:Rout|log|out|txt|stdout|stderr|err)$", re.IGNORECASE)
_SCRIPT = re.compile(r"\.(?:R|r|py|sh|bash|pl|sql|jl|Rmd)$")
_DATED = re.compile(
    r"[._-](?:19|20)\d\d[_-]?(?:0\d|1[0-2])[_-]?[0-3]\d(?:[T._-]?[0-2]\d[_:h-]?[0-5]\d(?:[_:m-]?[0-5]\d)?s?)?Z?$"
)
_TYPES = {"r": "R", "rmd": "R", "py": "python", "sh": "sh", "bash": "sh", "pl": "perl", "sql": "sql", "jl": "julia"}


class Unreadable(StatustuiError):
    """This file is no log that can be read; the message says why."""


class LogFile:
    """One log, open for reading. It may grow, shrink or vanish meanwhile: what was read stays read."""

    def __init__(self, path: str) -> None:
        """Open it.

        Raises:
            Unreadable: it can not be opened, or is no text.
        """
        self.path = path
        self.fd = -1
        self._unpacked: bytes | None = None
        try:
            # Neither a symbolic link nor a pipe may stand in its place.
            self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
            found = os.fstat(self.fd)
            if not stat.S_ISREG(found.st_mode):
                raise Unreadable("no regular file")
            self.packed = os.pread(self.fd, 2, 0) == b"\x1f\x8b"
            if self.packed:
                self._unpacked = _unpack(self.fd)
        except OSError as error:
            self.close()
            raise Unreadable(error.strerror or str(error)) from error
        except Unreadable:
            self.close()
            raise
        self.size = found.st_size if self._unpacked is None else len(self._unpacked)
        """Bytes of text."""
        self.written = min(max(86_400.0, found.st_mtime), time.time())
        """When it was last written, in epoch seconds; what lies before 1970 or ahead is no such time."""
        self.inode = found.st_ino
        self.device = found.st_dev
        self.uid = found.st_uid
        head = self.read(0, 8192)
        if not head:
            self.close()
            raise Unreadable("empty")
        if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
            self.close()
            raise Unreadable("UTF-16: not read (iconv -f UTF-16 -t UTF-8 makes text of it)")
        if b"\0" in head or sum(byte < 9 or 13 < byte < 27 for byte in head) > len(head) // 10:
            self.close()
            raise Unreadable("binary")

    def read(self, start: int, n: int) -> bytes:
        """Up to *n* bytes of its text from *start* on."""
        if self._unpacked is not None:
            return self._unpacked[start : start + n]
        parts = []
        while n > 0 and (part := os.pread(self.fd, min(n, 64 << 20), start)):
            parts.append(part)
            start += len(part)
            n -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def digest(self, n: int) -> str:
        """What tells its first *n* bytes from others: both ends of them, and how many they are."""
        of = hashlib.blake2b(b"%d\n" % n, digest_size=12)
        of.update(self.read(0, min(n, _WINDOW)))
        if n > _WINDOW:
            start = max(_WINDOW, n - _WINDOW)
            of.update(self.read(start, n - start))
        return of.hexdigest()

    def close(self) -> None:
        """Close it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> "LogFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _unpack(fd: int) -> bytes:
    parts = []
    size = 0
    try:
        with os.fdopen(os.dup(fd), "rb") as raw, gzip.GzipFile(fileobj=raw) as file:
            while part := file.read(1 << 20):
                parts.append(part)
                size += len(part)
                if size > _UNPACKED:
                    raise Unreadable(f"gzip of more than {_UNPACKED >> 20} MB: unpack it first")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Unreadable(f"damaged gzip: {error}") from error
    return b"".join(parts)


def find(top: str, patterns: Sequence[str] = PATTERNS) -> Iterator[str]:
    """Logs below a directory, those in hidden directories left out; symbolic links are not followed."""
    waiting = [top]
    while waiting:
        directory = waiting.pop()
        try:
            with os.scandir(directory) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith("."):
                    waiting.append(entry.path)
            elif wanted(entry.path, top, patterns) and entry.is_file(follow_symlinks=False):
                yield entry.path


def wanted(path: str, top: str, patterns: Sequence[str]) -> bool:
    """Does a pattern take this file, by its name or by its path below *top*?"""
    name = os.path.basename(path)
    return not name.startswith(".") and any(
        fnmatch(name, pattern) or ("/" in pattern and fnmatch(os.path.relpath(path, top), pattern))
        for pattern in patterns
    )


def task_of(path: str) -> tuple[str, str | None]:
    """Name of the task that a log is of, and its type where the name says it.

    ``DAILY_01.Rout`` → DAILY_01, R; ``load.py_2026-01-31.log.2.gz`` → load, python.
    """
    name = os.path.basename(path)
    while (match := _TRAVELLED.search(name)) is not None and match.start() > 0:
        name = name[: match.start()]
    kind = "R" if name.lower().endswith(".rout") else None
    name = _EXTENSION.sub("", name) or name
    name = _DATED.sub("", name) or name
    script = _SCRIPT.search(name)
    if script is not None and script.start() > 0:
        kind = kind or _TYPES[script[0][1:].lower()]
        name = name[: script.start()]
    return name or os.path.basename(path), kind
