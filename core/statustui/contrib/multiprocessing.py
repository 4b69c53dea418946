"""Work given to ``multiprocessing.Pool`` as a subtask with exact counts: ``pool_map(pool, parse, paths, "Parsing")``.

A call is counted in its worker when it returns or raises (fork, spawn and forkserver); the counts of all of them add
up. Without an open run these functions are the pool's own.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from multiprocessing.pool import Pool
from operator import length_hint
from typing import Any, Generic, TypeVar

from statustui.contrib.futures import Counted, Outcome, begin
from statustui.record import border
from statustui.record.track import _how_left

__all__ = ["pool_imap", "pool_imap_unordered", "pool_map", "pool_starmap"]

S = TypeVar("S")
T = TypeVar("T")


def pool_map(
    pool: Pool, function: Callable[[S], T], items: Iterable[S], name: str = "items", *,
    unit: str | None = None, chunksize: int | None = None,
) -> list[T]:  # fmt: skip
    """``pool.map(function, items)`` as a subtask.

    Args:
        pool: a pool of processes or threads.
        function: what is called with each item.
        items: what there is to do.
        name: what the calls do.
        unit: what one item is.
        chunksize: items handed to a worker at once.
    """
    return _map(pool.map, function, items, name, unit, chunksize)


def pool_starmap(
    pool: Pool, function: Callable[..., T], items: Iterable[Iterable[Any]], name: str = "items", *,
    unit: str | None = None, chunksize: int | None = None,
) -> list[T]:  # fmt: skip
    """``pool.starmap(function, items)`` as a subtask; the arguments are those of :func:`pool_map`."""
    return _map(pool.starmap, function, items, name, unit, chunksize)


def _map(
    does: Callable[..., list[T]], function: Callable[..., T], items: Iterable[Any], name: str, unit: str | None,
    chunksize: int | None,
) -> list[T]:  # fmt: skip
    known = items if isinstance(items, Sized) else list(items)  # the pool makes a list of it, too
    outcome = begin(name, len(known), unit)
    if outcome is None:
        return does(function, known, chunksize)
    try:
        result = does(Counted(function, outcome.sub), known, chunksize)
    except BaseException as error:
        outcome.end(error)
        raise
    outcome.end()
    return result


def pool_imap(
    pool: Pool, function: Callable[[S], T], items: Iterable[S], name: str = "items", *,
    total: int | None = None, unit: str | None = None, chunksize: int = 1,
) -> Iterator[T]:  # fmt: skip
    """``pool.imap(function, items)`` as a subtask, which ends with the last result or when the loop is left.

    Args:
        pool: a pool of processes or threads.
        function: what is called with each item.
        items: what there is to do.
        name: what the calls do.
        total: how many items there are, where *items* does not tell.
        unit: what one item is.
        chunksize: items handed to a worker at once.
    """
    return _imap(pool.imap, function, items, name, total, unit, chunksize)


def pool_imap_unordered(
    pool: Pool, function: Callable[[S], T], items: Iterable[S], name: str = "items", *,
    total: int | None = None, unit: str | None = None, chunksize: int = 1,
) -> Iterator[T]:  # fmt: skip
    """``pool.imap_unordered(function, items)`` as a subtask; the arguments are those of :func:`pool_imap`."""
    return _imap(pool.imap_unordered, function, items, name, total, unit, chunksize)


def _imap(
    does: Callable[..., Iterator[T]], function: Callable[..., T], items: Iterable[Any], name: str, total: int | None,
    unit: str | None, chunksize: int,
) -> Iterator[T]:  # fmt: skip
    outcome = begin(name, total if total is not None else length_hint(items) or None, unit)
    if outcome is None:
        return does(function, items, chunksize)
    try:
        return _Results(does(Counted(function, outcome.sub), items, chunksize), outcome)
    except BaseException as error:
        outcome.end(error)
        raise


class _Results(Generic[T]):
    """The results of ``imap``: an error of one call is raised by ``next``, and the results after it can be had."""

    def __init__(self, results: Iterator[T], outcome: Outcome) -> None:
        self._results = results
        self._outcome: Outcome | None = outcome

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self, *timeout: float) -> T:
        try:
            return self._results.next(*timeout) if timeout else next(self._results)  # type: ignore[attr-defined]
        except StopIteration:
            self._end(broken=False)
            raise
        except Exception as error:
            from multiprocessing import TimeoutError

            if self._outcome is not None and not isinstance(error, TimeoutError):
                self._outcome.note(error)
            raise

    next = __next__

    def _end(self, *, broken: bool) -> None:
        outcome, self._outcome = self._outcome, None
        if outcome is not None:
            outcome.end(broken=broken)

    def __del__(self) -> None:
        try:
            if self._outcome is not None:
                self._end(broken=_how_left(sys._getframe(1)) != "left")
        except Exception as error:
            border.swallow(error, "end of imap")
