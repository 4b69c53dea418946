"""How a process was started, as the kernel tells: arguments, directory, program, variables. Texts may be anything."""

import os
import stat
from typing import NamedTuple

from statustui.process.identity import LINUX

_LIMIT = 4 << 20
_WORDS = 100_000
# What follows these is written, not read.
_OUTPUTS = frozenset(("-o", "-O", "--output", "--out", "--outfile", "--log", "--log-file"))


class Named(NamedTuple):
    """A regular file that a command line names."""

    path: str
    dev: int
    ino: int
    size: int


def arguments(pid: int) -> list[str]:
    """The argument list; empty for a kernel thread, a zombie, and where it may not be seen."""
    if not LINUX:
        import psutil

        try:
            return list(psutil.Process(pid).cmdline())
        except psutil.Error:
            return []
    data = _read(f"/proc/{pid}/cmdline")
    return [os.fsdecode(word) for word in data.rstrip(b"\0").split(b"\0")] if data.strip(b"\0") else []


def directory(pid: int) -> str | None:
    """The working directory; None when it may not be seen or is gone."""
    if not LINUX:
        import psutil

        try:
            return str(psutil.Process(pid).cwd()) or None
        except psutil.Error:
            return None
    path = _link(f"/proc/{pid}/cwd")
    return None if path is None or path.endswith(" (deleted)") else path


def program(pid: int) -> str | None:
    """The file that is executed, links resolved; None when it may not be seen."""
    if not LINUX:
        import psutil

        try:
            return psutil.Process(pid).exe() or None
        except psutil.Error:
            return None
    path = _link(f"/proc/{pid}/exe")
    return None if path is None else path.removesuffix(" (deleted)")


def environment(pid: int) -> dict[str, str]:
    """The variables that it was started with; empty when they may not be seen."""
    if not LINUX:
        import psutil

        try:
            return dict(psutil.Process(pid).environ())
        except psutil.Error:
            return {}
    found = {}
    for entry in _read(f"/proc/{pid}/environ").split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if equals and name:
            found[os.fsdecode(name)] = os.fsdecode(value)
    return found


def resolve(argv: list[str], cwd: str | None, path: str | None) -> str | None:
    """The file that a shell would have found for a command, links not resolved; None when there is none now.

    Args:
        argv: the command.
        cwd: its working directory.
        path: its ``PATH``.
    """
    first = argv[0] if argv else ""
    if "/" in first:
        places = [os.path.join(cwd or "/", first)]
    else:
        places = [os.path.join(cwd or "/", part, first) for part in (path or os.defpath).split(":") if first]
    return next((place for place in places if os.path.isfile(place) and os.access(place, os.X_OK)), None)


def files_named(argv: list[str], cwd: str | None) -> list[Named]:
    """The regular files that the words behind the program name, or what follows a ``=`` in them, in their order."""
    found: dict[tuple[int, int], Named] = {}
    before = ""
    for word in argv[1:_WORDS]:
        option, before = before, word
        key, equals, value = word.partition("=")
        if option in _OUTPUTS or (equals and (key in _OUTPUTS or key == "of")):
            continue
        for text in (word, value) if equals else (word,):
            if not text or "\0" in text:
                continue
            path = os.path.join(cwd or "/", text)
            try:
                about = os.stat(path)
            except (OSError, ValueError):
                continue
            if stat.S_ISREG(about.st_mode) and about.st_size > 0:
                found.setdefault((about.st_dev, about.st_ino), Named(path, about.st_dev, about.st_ino, about.st_size))
            break
    return list(found.values())


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _read(path: str) -> bytes:
    parts, left = [], _LIMIT
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        while left > 0 and (part := os.read(fd, left)):
            parts.append(part)
            left -= len(part)
    except OSError:
        return b""
    finally:
        os.close(fd)
    return b"".join(parts)
