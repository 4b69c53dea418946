"""The slot: a writer's latest progress in two halves, so that a reader never takes a torn one.

Each half carries a sequence number, a length and a CRC over both and the payload. They are written in turn.
"""

from __future__ import annotations

import json
import os
import struct
import time
import zlib

from statustui.journal.files import move_high, open_private, same_file
from statustui.journal.safe import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HALF = 65_536
"""Bytes of one half."""
_HEAD = struct.Struct("<4sQII")
_MAGIC = b"SSL1"
MAX_PAYLOAD = HALF - _HEAD.size
"""Bytes of the longest payload."""

_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def _crc(sequence: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(struct.pack("<QI", sequence, len(payload))))


class SlotWriter:
    """Writes the slot of one writer. Made and used by one process; a forked child makes its own."""

    __slots__ = ("_dev", "_fd", "_ino", "_path", "_sequence")

    def __init__(self, path: str, sequence: int = 0) -> None:
        """Prepare; nothing is opened yet.

        Args:
            path: of the slot.
            sequence: that of its newest half, where another process wrote it before.
        """
        self._path = path
        self._sequence = sequence
        self._fd = -1
        self._dev = self._ino = -1

    def write(self, payload: dict[str, Any]) -> None:
        """Replace the payload; one that is too long loses its texts and inner values, then its metrics.

        Raises:
            OSError: it could not be written.
        """
        data = encode_payload(payload)
        if not same_file(self._fd, self._dev, self._ino):
            self._open()
        sequence = self._sequence = self._sequence + 1
        head = _HEAD.pack(_MAGIC, sequence, len(data), _crc(sequence, data))
        whole = head + data
        if os.pwrite(self._fd, whole, HALF * (sequence % 2)) != len(whole):
            raise OSError(28, "slot cut short", self._path)

    def close(self) -> None:
        """Close the file, unless the program has closed or reused the descriptor."""
        if same_file(self._fd, self._dev, self._ino):
            os.close(self._fd)
        self._fd = -1

    def _open(self) -> None:
        fd = move_high(open_private(self._path, os.O_RDWR | os.O_CREAT))
        found = os.fstat(fd)
        self._fd, self._dev, self._ino = fd, found.st_dev, found.st_ino


def encode_payload(payload: dict[str, Any]) -> bytes:
    """The payload as bytes of JSON that fit into a half; what it cannot say is left out, its counts last."""
    for shrink in (_whole, _cleaned, _terse, _bare):
        try:
            text = _encode(shrink(payload))
        except (ValueError, TypeError, RecursionError):
            continue
        if len(text) <= MAX_PAYLOAD and "\\u0000" not in text and ("\\ud" not in text or shrink is not _whole):
            return text.encode("ascii")
    return _encode({"off": clean(payload.get("off"))}).encode("ascii")


def _whole(payload: dict[str, Any]) -> object:
    return payload


def _cleaned(payload: dict[str, Any]) -> object:
    return clean(payload, text=2000)


def _terse(payload: dict[str, Any]) -> object:
    return clean(payload, text=100)


def _bare(payload: dict[str, Any]) -> object:
    runs = {}
    for run_id, run in payload.get("runs", {}).items():
        subs = {n: {k: sub[k] for k in ("c", "t", "p") if k in sub} for n, sub in run.get("subs", {}).items()}
        runs[run_id] = {k: run[k] for k in ("percent",) if k in run} | {"subs": subs}
    return clean({k: v for k, v in payload.items() if k != "runs"} | {"runs": runs}, text=100)


class SlotReader:
    """Reads one writer's slot again and again, and notices cheaply when nothing was written."""

    __slots__ = ("_path", "_seen", "sequence")

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self.sequence = 0
        """Sequence of the payload that was read last; 0 before the first."""

    def read(self) -> dict[str, Any] | None:
        """The payload when it is newer than the last one read, else None. Never a torn one, never raises."""
        try:
            found = os.stat(self._path, follow_symlinks=False)
            seen = (found.st_mtime_ns, found.st_ino)
            if seen == self._seen:
                return None
            fd = open_private(self._path, os.O_RDONLY)
        except OSError:
            return None
        try:
            best = _newest(fd, self.sequence)
        except OSError:
            return None
        finally:
            os.close(fd)
        if best is None:
            return None
        # File times stand still for some milliseconds: a slot this fresh may change again without showing it.
        self._seen = seen if time.time_ns() - found.st_mtime_ns > 100_000_000 else None
        self.sequence, payload = best
        return payload


def read_slot(path: str) -> dict[str, Any] | None:
    """The latest whole payload of the slot at *path*, or None when there is none. Never raises."""
    return SlotReader(path).read()


def _newest(fd: int, above: int) -> tuple[int, dict[str, Any]] | None:
    for _ in range(5):  # a writer faster than the reader may tear both halves once; five times it does not
        heads = []
        for half in (0, 1):
            head = os.pread(fd, _HEAD.size, half * HALF)
            if len(head) == _HEAD.size:
                magic, sequence, length, crc = _HEAD.unpack(head)
                if magic == _MAGIC and length <= MAX_PAYLOAD and sequence > above:
                    heads.append((sequence, length, crc, half))
        for sequence, length, crc, half in sorted(heads, reverse=True):
            data = os.pread(fd, length, half * HALF + _HEAD.size)
            if len(data) == length and _crc(sequence, data) == crc:
                payload = _parse(data)
                if payload is not None:
                    return sequence, payload
        if not heads:
            return None
    return None


def _parse(data: bytes) -> dict[str, Any] | None:
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError):
        return None
    cleaned = clean(payload)
    return cleaned if isinstance(cleaned, dict) else None
