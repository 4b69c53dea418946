"""``drainer.log``: what the drainer has to say. One line a minute for each kind of thing, at most 1 MiB."""

import os
import time

from statustui.journal.files import open_private

_LIMIT = 1 << 20
_KEEP = 256 << 10
_EVERY_S = 60.0
_KINDS = 1000


class Diary:
    """Writes lines for people; never raises, since a full disk must not stop the drainer."""

    def __init__(self, spool: str) -> None:
        self._path = f"{spool}/drainer.log"
        self._last: dict[str, tuple[float, int]] = {}

    def say(self, kind: str, text: str) -> None:
        """Write a line unless one of this *kind* was written within the last minute; those are counted."""
        now = time.monotonic()
        at, hidden = self._last.get(kind, (float("-inf"), 0))
        if now - at < _EVERY_S:
            self._last[kind] = (at, hidden + 1)
            return
        if len(self._last) > _KINDS:
            self._last.clear()
        self._last[kind] = (now, 0)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        more = f" (and {hidden} more like it)" if hidden else ""
        one_line = " ".join(text.split())[:2000]
        self._append(f"{stamp} [{os.getpid()}] {kind}: {one_line}{more}\n".encode("utf-8", "backslashreplace"))

    def _append(self, line: bytes) -> None:
        try:
            fd = open_private(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        except OSError:
            return
        try:
            size = os.fstat(fd).st_size
            if size + len(line) > _LIMIT:
                tail = os.pread(fd, _KEEP, max(0, size - _KEEP))
                os.ftruncate(fd, 0)
                os.write(fd, tail[tail.find(b"\n") + 1 :])
            os.write(fd, line)
        except OSError:
            return
        finally:
            os.close(fd)
