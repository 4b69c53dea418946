"""An older drainer makes room: a newer writer leaves a note of itself beside the lock."""

from __future__ import annotations

import os

from statustui.journal.files import open_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LIMIT = 4096
_asked: dict[str, int] = {}


def newer(one: str, other: str) -> bool:
    """Is version *one* newer than *other*? Numbers count as numbers (``0.10`` > ``0.9``)."""
    return _key(one) > _key(other)


def ask_for_room(spool: str, holder: int, version: str, command: Callable[[], list[str]]) -> None:
    """Leave ``drainer.next`` where the drainer at work is older than *version*; looks once at each drainer.

    Args:
        spool: directory of the journals.
        holder: pid of the drainer at work.
        version: of this library.
        command: what starts its drainer.
    """
    if _asked.get(spool) == holder:
        return
    _asked[spool] = holder
    at_work = _version_at_work(f"{spool}/drainer.lock")
    if at_work is None or not newer(version, at_work):
        return
    import json  # seldom

    start = command()
    note = json.dumps({"version": version, "interpreter": start[0], "command": start}).encode()
    part = f"{spool}/drainer.next.{os.getpid()}"
    fd = open_private(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(fd, note)
    finally:
        os.close(fd)
    os.rename(part, f"{spool}/drainer.next")


def _version_at_work(path: str) -> str | None:
    from statustui.journal import locks

    if locks.holder(path) == os.getpid():
        return None  # to open its file again would free the lock
    fd = open_private(path, os.O_RDONLY)
    try:
        text = os.read(fd, _LIMIT).decode("utf-8", "replace")
    finally:
        os.close(fd)
    return text.partition('"version": "')[2].partition('"')[0] or None


def _key(version: str) -> tuple[int, ...]:
    digits = "".join(sign if sign in "0123456789" else " " for sign in version.partition("+")[0])
    return tuple(int(part[:9]) for part in digits.split()[:6])
