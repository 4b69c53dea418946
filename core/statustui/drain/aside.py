"""Lines that were not understood are kept for people in ``aside/``, within limits."""

import json
import os
from collections.abc import Sequence

from statustui.journal.files import make_private_dirs, open_private
from statustui.journal.reader import Line

_LIMIT = 4 << 20
_RAW = 4096


def put_aside(spool: str, journal: str, lines: Sequence[Line]) -> int:
    """Append lines to the journal's file there (at most 4 MiB); a full disk loses them, the count remains.

    Returns:
        How many lines there were.
    """
    if not lines:
        return 0
    path = f"{spool}/aside/{journal}"
    try:
        make_private_dirs(os.path.dirname(path))
        fd = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError:
        return len(lines)
    try:
        room = _LIMIT - os.fstat(fd).st_size
        for line in lines:
            note = {
                "offset": line.offset,
                "error": line.error,
                "raw": line.raw[:_RAW].decode("utf-8", "backslashreplace"),
            }
            data = json.dumps(note).encode("ascii") + b"\n"
            room -= len(data)
            if room < 0:
                break
            os.write(fd, data)
    except OSError:
        return len(lines)
    finally:
        os.close(fd)
    return len(lines)
