"""The last lines of a log, for a run that ended badly."""

import os
import re

LINES = 200
"""Lines that are kept of a bad end."""
_BYTES = 256 << 10
_LINE = 2_000
# In all, so that the record stays far below the longest line of a journal.
_TOTAL = 100_000
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[@-Z\\-_])")
_TELLING = re.compile(
    r"(?i)\b(?:error|exception|fatal|failed|cannot|can't|could not|denied|refused|not found|no such)\b"
)


def last_lines(
    path: str, start: int, end: int | None = None, lines: int = LINES, inode: int | None = None
) -> list[str]:
    """The last lines of a file from byte *start* to *end*: without terminal sequences, of a bar its last state.

    None of a file that is not *inode*, where that is known: who owns the directory may have put another in its place,
    which this process may read and they may not (P9).
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return []
    try:
        found = os.fstat(fd)
        if inode is not None and found.st_ino != inode:
            return []
        size = found.st_size if end is None else min(end, found.st_size)
        first = max(start, size - _BYTES)
        data = os.pread(fd, min(_BYTES, max(0, size - first)), first)
    except OSError:
        return []
    finally:
        os.close(fd)
    if first > start:
        data = data[data.find(b"\n") + 1 :]
    return [
        cleaned(line) for line in data.decode("utf-8", "backslashreplace").split("\n")[-lines - 1 :] if line.strip()
    ][-lines:]


def merge(parts: list[list[str]]) -> list[str]:
    """One list of the last lines of several files: the later ones (stderr) are kept longest."""
    merged: list[str] = []
    size = 0
    for line in reversed([line for part in parts for line in part]):
        size += len(line)
        if len(merged) >= LINES or size > _TOTAL:
            break
        merged.append(line)
    return merged[::-1]


def telling(lines: list[str]) -> str:
    """The line that says most about a failure: the last that looks like an error, else the last."""
    for line in reversed(lines[-40:]):
        if _TELLING.search(line):
            return line.strip()
    return lines[-1].strip() if lines else ""


def cleaned(line: str) -> str:
    """A line without terminal sequences, of a progress bar its last state, at most 2,000 characters."""
    line = _ESCAPES.sub("", line.rstrip("\r")[-4 * _LINE :])
    return line[line.rfind("\r") + 1 :][:_LINE]
