"""Which logs the store knows: a file is itself after it grew, was rotated or was copied, and not when written anew.

Each log has a row among the journals, for its bytes are applied as those of a journal are. The row's name says how the
file began when it was first met (so many bytes, with this digest); what it was like at the last time stands in the row.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import bindparam, select, update

from statustui.imports.logfiles import LogFile
from statustui.store.open import Store
from statustui.store.schema import journals

_PREFIX = "log-"
_ALL = (
    select(journals.c.journal, journals.c.offset, journals.c.counts)
    .where(journals.c.journal >= _PREFIX, journals.c.journal < "log.", journals.c.machine == bindparam("machine_id"))
    .order_by(journals.c.journal)
)
_NOTE = update(journals).where(journals.c.journal == bindparam("b_journal")).values(counts=bindparam("counts"))
_MOST_COPIES = 64


@dataclass(slots=True, kw_only=True)
class Known:
    """One log that is in the store."""

    journal: str
    size: int
    """Bytes applied."""
    digest: str
    """Of so many bytes: *measured*."""
    measured: int
    path: str = ""
    inode: int = 0
    last: int = 0
    """Where its last run begins."""
    status: str = ""
    """Of its last run; ``running`` while nothing says how it ended."""

    @property
    def began(self) -> int:
        """When its first run began, in milliseconds since 1970, as it was understood first."""
        return int(self.journal.split("-")[1], 16)


class Register:
    """The logs of one machine that the store knows."""

    def __init__(self) -> None:
        self._exact: dict[tuple[int, str], Known] = {}
        self._paths: dict[str, list[Known]] = {}
        self._inodes: dict[int, list[Known]] = {}
        self._all: dict[str, Known] = {}

    @classmethod
    def of(cls, store: Store, machine: str) -> "Register":
        """What the store knows.

        Raises:
            StoreUnavailable: the store failed.
        """
        register = cls()
        with store.read() as connection:
            for journal, offset, counts in connection.execute(_ALL, {"machine_id": machine}):
                known = _known(journal, offset, counts)
                if known is not None:
                    register.add(known)
        return register

    def add(self, known: Known) -> None:
        """Note a log, or what has become of it."""
        self._all[known.journal] = known
        self._exact[(known.measured, known.digest)] = known
        for there in (self._paths.setdefault(known.path, []), self._inodes.setdefault(known.inode, [])):
            if known not in there:
                there.append(known)

    def find(self, file: LogFile) -> Known | None:
        """The log that this file is, or has grown out of; None for one never met, or written anew."""
        exact = self._exact.get((file.size, file.digest(file.size)))
        if exact is not None:
            return exact
        tried: set[str] = set()
        for known in self._candidates(file):
            if known.journal in tried or known.size > file.size or known.measured > file.size:
                continue
            tried.add(known.journal)
            if file.digest(known.measured) == known.digest:
                return known
        return None

    def _candidates(self, file: LogFile) -> Iterator[Known]:
        yield from reversed(self._paths.get(file.path, ()))
        yield from reversed(self._inodes.get(file.inode, ()))
        # Copied, and grown before or after it: the newest are asked, not all.
        yield from islice(reversed(self._all.values()), _MOST_COPIES)


def name(file: LogFile, size: int, began: float) -> str:
    """The name among the journals of a log that is met for the first time."""
    return f"{_PREFIX}{max(0, int(began * 1000)):012x}-{size:x}-{file.digest(size)}"


def _known(journal: str, offset: int, counts: Any) -> Known | None:
    parts = journal.split("-")
    if len(parts) != 4:
        return None
    told = counts.get("log") if isinstance(counts, dict) else None
    try:
        found = Known(journal=journal, size=offset, measured=int(parts[2], 16), digest=parts[3])
        if isinstance(told, dict):
            found.measured, found.digest = int(told["size"]), str(told["digest"])
            found.path, found.inode = str(told["path"]), int(told["inode"])
            found.last, found.status = int(told["last"]), str(told["status"])
        found.began  # noqa: B018 - the name must say it
    except (ValueError, KeyError, TypeError):
        return None
    return found


def note(store: Store, logs: Iterable[Known]) -> None:
    """Keep what logs were like when they were read.

    Raises:
        StoreUnavailable: the store failed; the names alone tell most of it.
    """
    rows = [
        {
            "b_journal": one.journal,
            "counts": {
                "log": {
                    "size": one.measured, "digest": one.digest, "path": one.path, "inode": one.inode,
                    "last": one.last, "status": one.status,
                }
            },
        }
        for one in logs
    ]  # fmt: skip
    if rows:
        with store.write() as connection:
            connection.execute(_NOTE, rows)
    store.cache.pop("writers", None)
