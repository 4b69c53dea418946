"""The costly figures of a Linux process tree: I/O, high-water mark, sockets, command lines."""

import os
from collections.abc import Iterable
from typing import NamedTuple

from statustui.model.redact import redact_argv

_COMMAND_LIMIT = 4096
_SOCKET_LINKS = 8192
_NET_LIMIT = 4 * 1024 * 1024
_NET_FILES = ("tcp", "tcp6", "udp", "udp6")
_LISTEN = b"0A"


class Details(NamedTuple):
    """Figures of one tree that are read less often."""

    read_bytes: int | None = None
    write_bytes: int | None = None
    peak_rss_bytes: int = 0
    connections: int | None = None


class Sockets:
    """Inodes of connected network sockets, read once for each network namespace that is asked for."""

    def __init__(self) -> None:
        self._by_namespace: dict[str, frozenset[bytes]] = {}
        self.links_left = _SOCKET_LINKS
        """How many more descriptors may be looked at in this pass."""

    def of(self, pid: int) -> frozenset[bytes]:
        """Inodes of the connected sockets in the network namespace of *pid*."""
        try:
            namespace = os.readlink(f"/proc/{pid}/ns/net")
        except OSError:
            return frozenset()
        known = self._by_namespace.get(namespace)
        if known is None:
            known = frozenset(inode for name in _NET_FILES for inode in _connected(f"/proc/{pid}/net/{name}"))
            self._by_namespace[namespace] = known
        return known


def of_tree(members: Iterable[int], sockets: Sockets) -> Details:
    """Read the figures of a tree; the first member is its root."""
    read: int | None = None
    written: int | None = None
    peak = 0
    connections: int | None = None
    for position, pid in enumerate(members):
        if position == 0:
            peak = _high_water(pid)
        io = _io(pid)
        if io is not None:
            read = (read or 0) + io[0]
            written = (written or 0) + io[1]
        count = _connections(pid, sockets)
        if count is not None:
            connections = (connections or 0) + count
    return Details(read, written, peak, connections)


def command(pid: int) -> str:
    """Redacted command line of a process; its name in brackets when it has none."""
    data = _read(f"/proc/{pid}/cmdline", _COMMAND_LIMIT)
    if data:
        args = data.rstrip(b"\0").decode("utf-8", "backslashreplace").split("\0")
        return " ".join(redact_argv(args))
    name = (_read(f"/proc/{pid}/comm", 64) or b"?").decode("utf-8", "backslashreplace").strip()
    return f"[{name}]"


def _io(pid: int) -> tuple[int, int] | None:
    data = _read(f"/proc/{pid}/io", 4096)
    if not data:
        return None
    fields = dict(line.split(b": ", 1) for line in data.splitlines() if b": " in line)
    try:
        return int(fields[b"read_bytes"]), int(fields[b"write_bytes"])
    except (KeyError, ValueError):
        return None


def _high_water(pid: int) -> int:
    data = _read(f"/proc/{pid}/status", 8192) or b""
    at = data.find(b"\nVmHWM:")
    if at < 0:
        return 0
    try:
        return int(data[at + 7 :].split(None, 1)[0]) * 1024
    except (ValueError, IndexError):
        return 0


def _connections(pid: int, sockets: Sockets) -> int | None:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:  # somebody else's, or gone
        return None
    sockets.links_left -= len(names)
    if sockets.links_left < 0:
        return None
    inodes = set()
    for name in names:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1].encode())
    return len(inodes & sockets.of(pid)) if inodes else 0


def _connected(path: str) -> Iterable[bytes]:
    """Inodes of the sockets in one table that have a peer."""
    for line in (_read(path, _NET_LIMIT) or b"").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] != _LISTEN and not fields[2].endswith(b":0000"):
            yield fields[9]


def _read(path: str, limit: int) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    parts = []
    try:
        while limit > 0:
            part = os.read(fd, limit)
            if not part:
                break
            parts.append(part)
            limit -= len(part)
    except OSError:
        return None if not parts else b"".join(parts)
    finally:
        os.close(fd)
    return b"".join(parts)
