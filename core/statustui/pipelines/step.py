"""A step at work: the context manager that starts it, reports from it, and ends it as its block ends."""

import time
from types import TracebackType
from typing import Any, Self

from statustui.model.status import ItemStatus
from statustui.pipelines.reporting import Reporter, Ticket

_PERMANENT = (ValueError, TypeError, KeyError, LookupError, AttributeError, NotImplementedError)


def is_permanent(error: BaseException) -> bool:
    """Whether a retry of the same step with the same input can not help.

    An error may say so itself, by an attribute ``transient`` or ``permanent``; else errors of values and names are
    permanent, and all others (network, time, memory) are transient.
    """
    for name, meaning in (("permanent", True), ("transient", False)):
        said = getattr(error, name, None)
        if isinstance(said, bool):
            return said if meaning else not said
    return isinstance(error, _PERMANENT)


def describe(error: BaseException) -> str:
    """An exception as one short text: type and message."""
    try:
        text = str(error)
    except Exception as problem:  # the recording border: somebody else's __str__
        text = f"<its text could not be made: {type(problem).__name__}>"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class StepBlock:
    """One attempt of one step of one item, as ``with p.step(key, step) as s:`` holds it. Also ``async with``."""

    def __init__(
        self,
        reporter: Reporter,
        key: object,
        step: str,
        *,
        input_hash: str | None = None,
        ticket: Ticket | None = None,
        run: str | None = None,
    ) -> None:
        self._reporter = reporter
        self._key = key
        self._step = step
        self._hash = input_hash
        self._ticket = ticket
        self._run = run
        self._began = time.monotonic()
        self._ended = False
        self.attempt: str | None = None
        """Id of the attempt, once the block is entered."""

    def update(self, progress: float | None = None, **metadata: Any) -> None:
        """Report progress in percent, and what is worth keeping; metadata is merged."""
        self._reporter.update(self._key, self._step, progress, metadata, self.attempt)

    def skip(self, reason: str) -> None:
        """End the step as not applicable to this item; leaving the block then changes nothing."""
        self._end(ItemStatus.SKIPPED, reason=reason)

    def complete(self, **metadata: Any) -> None:
        """End the step as done before the block ends."""
        self._end(ItemStatus.COMPLETED, metadata=metadata)

    def fail(self, error: object, *, permanent: bool | None = None) -> None:
        """End the step as failed without raising."""
        text = describe(error) if isinstance(error, BaseException) else str(error)
        self._end(ItemStatus.FAILED, error=text, permanent=permanent)

    def give_back(self, reason: str = "") -> None:
        """Leave the step as if it had not begun: it is pending again, and no retry is used up."""
        self._end(ItemStatus.PENDING, reason=reason or None)

    def _end(self, status: ItemStatus, **fields: Any) -> None:
        if self._ended:
            return
        self._ended = True
        duration = round(time.monotonic() - self._began, 6)
        self._reporter.end(
            self._key, self._step, status, duration=duration, attempt=self.attempt, ticket=self._ticket, **fields
        )

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._ended = False
        self.attempt = self._reporter.start(
            self._key, self._step, input_hash=self._hash, ticket=self._ticket, run=self._run
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end(ItemStatus.COMPLETED)
        elif not isinstance(error, Exception) or type(error).__name__ == "CancelledError":
            # Ctrl-C, sys.exit, a cancelled task: nothing is wrong with the item.
            self._end(ItemStatus.PENDING, reason=f"interrupted by {type(error).__name__}")
        else:
            self._end(ItemStatus.FAILED, error=describe(error), permanent=is_permanent(error))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)
