"""Does the command report by itself? Then what it prints is silent.

A program that uses a client of ours joins the wrapper's run: its own journal names the run. Only journals that began
after the run did are looked at, and only their beginnings until they are known to be the run's.
"""

import os

_BEGINNING = 16_384
_MOST = 1 << 20


class Joined:
    """The journals of one run's programs, beside the wrapper's own.

    Args:
        spool: directory of the journals.
        run_id: the run.
        own: the wrapper's journal.
    """

    def __init__(self, spool: str, run_id: str, own: str | None) -> None:
        self._spool = spool
        self._run = run_id.encode()
        self._own = own
        self._since = run_id[:8]
        self._read: dict[str, int] = {}
        """Bytes that were read of a segment that belongs to the run; -1 of one that does not."""
        self._sizes: dict[str, int] = {}

    def has_subtasks(self) -> bool:
        """Has a program of this run begun subtasks of its own?"""
        try:
            names = os.listdir(self._spool)
        except OSError:
            return False
        return any(
            self._tells(name) for name in names
            if name.endswith(".jsonl") and name >= self._since and name[:36] != self._own
        )  # fmt: skip

    def _tells(self, name: str) -> bool:
        begin = self._read.get(name, 0)
        if begin < 0:
            return False
        path = f"{self._spool}/{name}"
        try:
            size = os.stat(path, follow_symlinks=False).st_size
            if size == self._sizes.get(name):
                return False
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            self._sizes[name] = size
            data = os.pread(fd, _MOST if name in self._read else _BEGINNING, begin)
        except OSError:
            return False
        finally:
            os.close(fd)
        if name not in self._read and self._run not in data:
            if size >= _BEGINNING:
                self._read[name] = -1
            return False
        end = data.rfind(b"\n") + 1
        last = data[end:]
        self._read[name] = begin + (len(data) if last.endswith(b"}") else end)
        return any(
            self._run in line and (b'"sub.start"' in line or b'"sub.info"' in line) for line in data.split(b"\n")
        )
