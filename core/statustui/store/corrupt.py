"""An SQLite store whose file is damaged: proven, moved aside for rescue, never thrown away."""

import os
import sqlite3
import time
from urllib.parse import quote

from sqlalchemy import insert

from statustui.journal import locks
from statustui.model.times import utc_now
from statustui.store import schema
from statustui.store.open import Store

_ENDINGS = ("", "-wal", "-shm")
_MAGIC = b"SQLite format 3\0"
# Where the header is destroyed, the text of our own tables tells whose file it was.
_OURS = (b"CREATE TABLE run_details", b"CREATE TABLE step_deltas", b"CREATE TABLE subtasks")
_SEARCHED = 8 << 20


def set_aside(path: str) -> str | None:
    """Move a damaged store to ``<path>.corrupt-<time>``, so that a new one can be made at its place.

    Nothing is moved unless the damage shows again in a fresh look, and unless the file was ours. No connection to
    it may be open in this process.

    Returns:
        The new name; None when the file is sound, is not ours, or somebody else is just looking after it.

    Raises:
        OSError: it can not be moved.
    """
    lock = f"{path}.repair"
    try:
        held = locks.hold(lock)
    except locks.LockHeld:
        return None
    try:
        if not (_ours(path) and _damaged(path)):
            return None
        aside = _free_name(f"{path}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        for ending in _ENDINGS:  # the file first: what is left of a log without it is dropped by SQLite
            if os.path.lexists(path + ending):
                os.rename(path + ending, aside + ending)
        return aside
    finally:
        os.unlink(lock)
        locks.release(held)


def tell(store: Store, aside: str) -> None:
    """Say it in the audit trail of the new store."""
    message = f"the store was damaged and was made again from the journals; the old file is {aside}"
    with store.write() as connection:
        connection.execute(insert(schema.events).values(at=utc_now(), kind="store", status="corrupt", message=message))


def _ours(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        head = os.pread(fd, 100, 0)
        if head.startswith(_MAGIC) and len(head) == 100:
            return int.from_bytes(head[68:72], "big") == schema.APPLICATION_ID
        data = os.pread(fd, _SEARCHED, 0)
    finally:
        os.close(fd)
    return sum(text in data for text in _OURS) >= 2


def _damaged(path: str) -> bool:
    """Does SQLite itself find damage? What it can not look at (locked, unreadable) is not proven damaged."""
    try:
        connection = sqlite3.connect(f"file:{quote(path)}?mode=rw", uri=True, timeout=1.0)
    except sqlite3.OperationalError:
        return False
    try:
        return bool(connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",))
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:
        return True
    finally:
        connection.close()


def _free_name(name: str) -> str:
    number, free = 1, name
    while os.path.lexists(free):
        number += 1
        free = f"{name}-{number}"
    return free
