"""The store as the drainer sees it: opened late, left alone for a while when it fails, never given up."""

import os
import random
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from statustui.drain.diary import Diary
from statustui.errors import StatustuiError
from statustui.urls import display_url

if TYPE_CHECKING:
    from statustui.store.apply import Applied, Batch
    from statustui.store.open import Store

T = TypeVar("T")

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_PERMANENT_WAIT_S = 60.0
_BUSY_TIMEOUT_S = 2.0
# Causes that waiting does not cure: a person must act, so asking once a minute is enough.
_PERMANENT_WORDS = (
    "password authentication failed",
    "does not exist",
    "permission denied",
    "readonly database",
    "read-only",
    "malformed",
    "not a database",
    "no such table",
    "no such column",
    "upgrade it",
)
_DAMAGE_WORDS = ("malformed", "not a database")


class Poison(Exception):
    """The store refuses this batch for what is in it, not for the state that it is in."""


class Sink:
    """Opens the store when it is needed and due, and sorts its errors."""

    def __init__(self, url: str, diary: Diary) -> None:
        self._url = url
        self._diary = diary
        self._store: Store | None = None
        self._path = _sqlite_path(url)
        self._inode: tuple[int, int] | None = None
        self._wait_s = 0.0
        self._due = 0.0
        self._failing_since = 0.0
        self._aside: str | None = None
        self._trusted = False
        self.opened = 0
        """How often a store was opened: after each time it may have less than it had."""

    @property
    def due_in(self) -> float:
        """Seconds until it may be asked again; 0 when nothing is wrong."""
        return max(0.0, self._due - time.monotonic()) if self._wait_s else 0.0

    @property
    def failing_s(self) -> float:
        """For how long every call has failed, in seconds; 0 when the last one did not."""
        return time.monotonic() - self._failing_since if self._wait_s else 0.0

    def call(self, work: "Callable[[Store], T]") -> T | None:
        """Do something with the store.

        Returns:
            What *work* gave; None when the store cannot be used now.

        Raises:
            Poison: the store works, but not with these values.
        """
        if self.due_in > 0:
            return None
        import sqlalchemy.exc

        if self.moved():
            self._replaced()
        try:
            store = self._opened()
            result = work(store)
        except StatustuiError as error:
            self._failed(error, permanent=_is_permanent(error) or _is_foreign(error))
        except (sqlalchemy.exc.DataError, sqlalchemy.exc.IntegrityError) as error:
            self._restart(trusted=True)
            raise Poison(_placed(error)) from error
        except sqlalchemy.exc.DBAPIError as error:
            self._failed(error, permanent=_is_permanent(error))
        except (OSError, sqlalchemy.exc.InvalidRequestError) as error:
            self._failed(error, permanent=False)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            self._restart(trusted=True)
            raise Poison(_placed(error)) from error
        except sqlalchemy.exc.StatementError as error:
            self._restart(trusted=True)
            raise Poison(_placed(error)) from error
        else:
            if self._wait_s:
                self._diary.say("store", f"{display_url(self._url)} works again")
            self._wait_s = 0.0
            return result
        return None

    def apply(self, batch: "Batch", opened: int) -> "Applied | None":
        """Apply a batch; None when the store cannot take it now.

        Args:
            batch: what was read from where this store was known to be.
            opened: value of ``opened`` when that was asked. A store that was opened since then may have less: a
                server that crashed, or the one that took its place, may have lost what it had confirmed.

        Raises:
            Poison: it will never take it as it is.
        """
        from statustui.store.apply import apply

        applied = self.call(lambda store: apply(store, batch) if self.opened == opened else None)
        if applied is not None and applied.retried:
            # Rare, and harmless; where it is not rare, somebody wants to know why it is slow.
            self._diary.say(
                "retried", f"a batch was begun anew ({applied.retried}×): others held or made the same rows"
            )
        return applied

    def offsets(self, journals: Iterable[str]) -> dict[str, int] | None:
        """Acknowledged offsets; None when the store cannot be asked now."""
        from statustui.store.apply import acked

        names = list(journals)
        try:
            return self.call(lambda store: acked(store, names))
        except Poison as error:
            self._failed(error, permanent=False)
            return None

    def moved(self) -> bool:
        """Has the file of an SQLite store been removed or replaced since it was opened?

        SQLite itself does not notice: it goes on writing into the file that has no name any more.
        """
        return self._store is not None and self._path is not None and _inode(self._path) != self._inode

    def fail(self, error: Exception) -> None:
        """The store takes nothing, whatever it is: leave it alone for a while."""
        self._failed(error, permanent=True)

    def close(self) -> None:
        """Close the store."""
        self._restart()

    def _opened(self) -> "Store":
        if self._store is None:
            from statustui.store.open import open_store

            self._store = open_store(self._url, create=True, timeout=_BUSY_TIMEOUT_S)
            self._inode = None if self._path is None else _inode(self._path)
            self.opened += not self._trusted
            self._trusted = False
            if self._aside is not None:
                from statustui.store import corrupt

                corrupt.tell(self._store, self._aside)
                self._aside = None
        return self._store

    def _replaced(self) -> None:
        self._diary.say("replaced", f"{display_url(self._url)} was removed or replaced: applying journals again")
        self._restart()

    def _restart(self, *, trusted: bool = False) -> None:
        """Close the store; *trusted* when nothing was wrong with it, so that it still has what it had."""
        store, self._store = self._store, None
        self._trusted = trusted and store is not None
        if store is None:
            return
        import sqlalchemy.exc

        try:
            store.close()
        except (OSError, StatustuiError, sqlalchemy.exc.SQLAlchemyError) as error:
            self._diary.say("close", _short(error))

    def _failed(self, error: Exception, *, permanent: bool) -> None:
        self._restart()
        if not self._wait_s:
            self._failing_since = time.monotonic()
        if permanent:
            self._wait_s = _PERMANENT_WAIT_S
        else:
            self._wait_s = min(max(self._wait_s * 2, _FIRST_WAIT_S), _LONGEST_WAIT_S)
        # Jitter, so that many drainers do not come back at the same moment.
        self._due = time.monotonic() + self._wait_s * random.uniform(0.5, 1.0)
        self._diary.say("store", f"{display_url(self._url)}: {_short(error)}")
        if self._path is not None and any(word in str(error) for word in _DAMAGE_WORDS):
            self._rescue(self._path)

    def _rescue(self, path: str) -> None:
        """Move a damaged file aside: the next use makes a new one, and all journals are applied to it again."""
        from statustui.store import corrupt

        try:
            aside = corrupt.set_aside(path)
        except OSError as error:
            self._diary.say("corrupt", f"{path} is damaged and can not be moved aside: {error}")
            return
        if aside is not None:
            self._aside = aside
            self._wait_s = self._due = 0.0
            self._diary.say("corrupt", f"{path} WAS DAMAGED: moved to {aside}, made again from the journals")


def _is_permanent(error: BaseException) -> bool:
    words = str(error).lower()
    return any(word in words for word in _PERMANENT_WORDS)


def _is_foreign(error: StatustuiError) -> bool:
    """It is not ours, or made by a newer version: left alone until a person has done something."""
    from statustui.store.errors import NotOurStore, StoreNewer

    return isinstance(error, (NotOurStore, StoreNewer))


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"


def _placed(error: BaseException) -> str:
    """The same with the place in the code: an error about values may be one of ours."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return _short(error)
    name = os.path.basename(trace.tb_frame.f_code.co_filename)
    return f"{_short(error)} ({name}:{trace.tb_lineno})"


def _sqlite_path(url: str) -> str | None:
    scheme, mark, rest = url.partition(":///")
    return rest.partition("?")[0] if mark and scheme.startswith("sqlite") and rest else None


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
