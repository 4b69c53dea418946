"""Work given to executors as a subtask with exact counts: ``with tracked(pool, "Parsing") as work: work.submit(…)``.

Every call is counted where it runs, when it returns or raises: in threads and in processes (fork, spawn, forkserver).
What a worker has counted stays counted when it is killed. Without an open run all of it is what it is without us.
"""

import concurrent.futures as _futures
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from statustui.contrib.joining import active
from statustui.model.status import SubtaskStatus
from statustui.record import border, ends
from statustui.record.track import _how_left

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import TracebackType
    from typing import Self

    from statustui.record.subtask import Subtask

__all__ = ["Tracked", "as_completed", "tracked"]

P = ParamSpec("P")
T = TypeVar("T")


class Counted(Generic[P, T]):
    """A function whose calls are counted in a subtask, however they end. It may be pickled for a worker process."""

    def __init__(self, function: "Callable[P, T]", sub: "Subtask") -> None:
        self.function = function
        self.sub = sub

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return self.function(*args, **kwargs)
        finally:
            self.sub.advance()


class Outcome:
    """What became of the calls of one subtask, and how it therefore ends."""

    def __init__(self, sub: "Subtask") -> None:
        self.sub = sub
        self.failed = 0
        self.broken: BaseException | None = None

    def note(self, error: BaseException | None) -> None:
        """One call has ended; with *error*, if it failed."""
        if error is None:
            return
        try:
            self.failed += 1
            if isinstance(error, _futures.BrokenExecutor):
                self.broken = error
            self.sub.update(message=f"{self.failed:,} failed, last: {ends.headline(error)}")
            self.sub.inner(failed=self.failed)
        except Exception as problem:
            border.swallow(problem, "future")

    def end(self, error: BaseException | None = None, *, broken: bool = False) -> None:
        """The subtask is over: by *error*, or well; never well where workers died."""
        try:
            error = error or self.broken
            if error is not None:
                self.sub._end(*ends.of_subtask(self.sub, error))
            elif broken:
                self.sub._broken_off(0, True, True)
            else:
                self.sub._end(SubtaskStatus.COMPLETED)
        except Exception as problem:
            border.swallow(problem, "end of futures")


def begin(name: str, total: int | None, unit: str | None) -> Outcome | None:
    """A subtask of the open run for some calls; None where nothing is recorded."""
    try:
        run = active()
        return None if run is None else Outcome(run._begin(name, total, unit, None))
    except Exception as error:
        border.swallow(error, "futures")
        return None


class Tracked(_futures.Executor):
    """An executor that counts in a subtask what another one does. Made by :func:`tracked`.

    Leaving its block waits until all that was submitted is done (as leaving the executor's own would), unless by an
    exception, and ends the subtask: ``failed`` by an exception, or when workers died (``BrokenProcessPool``); else
    ``completed``, with the number of failed calls as its message. The executor itself stays open.
    """

    def __init__(self, executor: _futures.Executor, name: str, total: int | None, unit: str | None) -> None:
        self._executor = executor
        self._outcome = begin(name, total, unit)
        self._grows = total is None
        self._submitted = 0
        self._open: set[Future[Any]] = set()

    def submit(self, fn: "Callable[P, T]", /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """As the executor's own; the call is counted when it has ended."""
        if self._outcome is None:
            return self._executor.submit(fn, *args, **kwargs)
        future = self._executor.submit(Counted(fn, self._outcome.sub), *args, **kwargs)
        self._expect(1)
        self._open.add(future)
        future.add_done_callback(self._done)
        return future

    def map(
        self, fn: "Callable[..., T]", *iterables: "Iterable[Any]", timeout: float | None = None, chunksize: int = 1,
        **more: "Any",
    ) -> "Iterator[T]":  # fmt: skip
        """As the executor's own; the calls are counted when they have ended, not by chunks."""
        if self._outcome is None:
            return self._executor.map(fn, *iterables, timeout=timeout, chunksize=chunksize, **more)
        rows = list(zip(*iterables, strict=False))
        self._expect(len(rows))
        columns: Iterable[Iterable[Any]] = zip(*rows, strict=True) if rows else [() for _ in iterables]
        counted = Counted(fn, self._outcome.sub)
        return self._executor.map(counted, *columns, timeout=timeout, chunksize=chunksize, **more)

    def _expect(self, number: int) -> None:
        self._submitted += number
        if self._grows and self._outcome is not None:
            self._outcome.sub.update(total=self._submitted)

    def _done(self, future: "Future[Any]") -> None:
        self._open.discard(future)
        if self._outcome is not None and not future.cancelled():
            self._outcome.note(future.exception())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the subtask, and shut the executor down."""
        self._executor.shutdown(wait, cancel_futures=cancel_futures)
        self.close()

    def close(self, error: BaseException | None = None) -> None:
        """End the subtask; the executor stays open."""
        outcome, self._outcome = self._outcome, None
        if outcome is not None:
            outcome.end(error)

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        if error is None:
            _futures.wait(tuple(self._open))
        self.close(error)


def tracked(
    executor: _futures.Executor, name: str = "calls", total: int | None = None, unit: str | None = None
) -> Tracked:
    """Count in a subtask of the open run what is submitted through the result.

    Args:
        executor: any executor of ``concurrent.futures``.
        name: what the calls do.
        total: how many there will be; None = as many as were submitted so far.
        unit: what one call works on.
    """
    return Tracked(executor, name, total, unit)


def as_completed(
    fs: "Iterable[Future[T]]", name: str = "futures", unit: str | None = None, timeout: float | None = None
) -> "Iterator[Future[T]]":
    """As ``concurrent.futures.as_completed``, counted in a subtask of the open run, failures included.

    Args:
        fs: the futures.
        name: what they do.
        unit: what each works on.
        timeout: seconds to wait for all of them.

    Raises:
        TimeoutError: they were not done in time.
    """
    waiting = set(fs)
    outcome = begin(name, len(waiting), unit)
    if outcome is None:
        yield from _futures.as_completed(waiting, timeout)
        return
    try:
        for future in _futures.as_completed(waiting, timeout):
            outcome.sub.advance()
            if not future.cancelled():
                outcome.note(future.exception())
            yield future
    except GeneratorExit:
        outcome.end(broken=_how_left(sys._getframe(1)) == "error")
        raise
    except BaseException as error:
        outcome.end(error)
        raise
    outcome.end()
