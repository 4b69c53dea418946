"""The counts file: counters that a worker process writes in place, so that no death loses a count.

An aligned 8-byte store into a shared mapping is whole and outlives the process, however it ends.
"""

import itertools
import mmap
import os
import struct

from statustui.journal.files import move_high, open_private

COUNTERS = 1023
"""Counters of one file."""
_BYTES = 8 * (COUNTERS + 1)
_MAGIC = b"SSC1"

# A mapping keeps a descriptor of its own, and closes that number when it goes. A program that closed and reused the
# number would lose its own file, so mappings are kept as long as the process lives.
_kept: list[mmap.mmap] = []


class CountsWriter:
    """The counters of one worker process. A forked child must make its own: the mapping is shared with its parent."""

    __slots__ = ("_unused", "view")

    def __init__(self, path: str) -> None:
        """Make the file and map it.

        Raises:
            OSError: it cannot be made, or its disk is full.
        """
        fd = move_high(open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
        try:
            # Real blocks, not a hole: a store into a hole of a full disk would end the program with SIGBUS (P7).
            if os.write(fd, _MAGIC.ljust(_BYTES, b"\0")) != _BYTES:
                raise OSError(28, "counts file cut short", path)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, 0, _BYTES)
            mapping = mmap.mmap(fd, _BYTES)
        except OSError:
            os.unlink(path)
            raise
        finally:
            os.close(fd)
        _kept.append(mapping)
        self.view = memoryview(mapping)[8:].cast("Q")
        """The counters; ``view[i] += n`` is all that counting takes."""
        self._unused = itertools.count()

    def take(self) -> int:
        """Index of a counter that nobody uses yet.

        Raises:
            IndexError: all are in use.
        """
        index = next(self._unused)
        if index >= COUNTERS:
            raise IndexError("all counters of this process are in use")
        return index


def read_counts(path: str) -> list[int]:
    """The counters of the file at *path*, or an empty list when there is none that is whole. Never raises."""
    try:
        fd = open_private(path, os.O_RDONLY)
    except OSError:
        return []
    try:
        data = os.pread(fd, _BYTES, 0)
    except OSError:
        return []
    finally:
        os.close(fd)
    if len(data) < 8 or data[:4] != _MAGIC:
        return []
    number = (len(data) - 8) // 8
    return list(struct.unpack_from(f"<{number}Q", data, 8))
