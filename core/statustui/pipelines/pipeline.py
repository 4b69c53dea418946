"""A pipeline as people's programs hold it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from statustui.model.pipeline import Definition, Step
from statustui.pipelines.reporting import Reporter
from statustui.pipelines.step import StepBlock, describe, is_permanent


class Pipeline:
    """A named set of steps that items pass through.

    Reporting (:meth:`add`, :meth:`start`, :meth:`update`, :meth:`complete`, :meth:`fail`, :meth:`skip`, :meth:`step`)
    writes facts and never raises.

    Example:
        >>> auctions = Pipeline("auctions", [Step(key="scrape", label="1"), Step(key="judge", label="2")])
        >>> auctions.add("2024-CA-12345", kind="foreclosure", date="2025-01-02")
        >>> with auctions.step("2024-CA-12345", "scrape") as step:
        ...     step.update(50, pages=12)
    """

    def __init__(self, name: str, steps: Sequence[Step | str], *, store: str | None = None) -> None:
        """Define it.

        Args:
            name: what people call it; one pipeline of a name in a store.
            steps: in their order; a text is a step with that key.
            store: URL of the store; None = the configured one.

        Raises:
            DefinitionError: the steps contradict one another; the message names the step.
        """
        made = tuple(step if isinstance(step, Step) else Step(key=step) for step in steps)
        self.definition = Definition(name=name, steps=made)
        self.store = store
        self._reporter = Reporter(self.definition, store=store)

    @property
    def name(self) -> str:
        """What people call it."""
        return self.definition.name

    def add(
        self,
        key: object,
        *,
        kind: str | None = None,
        date: object = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Make an item known, or add to what is known of it. Idempotent.

        Args:
            key: natural key (``2024-CA-12345``).
            kind: what sort of item it is (``foreclosure``).
            date: the item's own date, for ranges; a ``date`` or ISO text.
            attributes: anything worth keeping; merged.
        """
        self._reporter.add(key, kind=kind, date=date, attributes=attributes)

    def add_steps(self, key: object, steps: Iterable[str], *, group: str = "main") -> None:
        """Steps that were found later and apply to this item only. Idempotent."""
        self._reporter.plan(key, add=steps, group=group)

    def switch_on(self, key: object, steps: Iterable[str]) -> None:
        """Steps that apply to this item after all. Idempotent."""
        self._reporter.plan(key, on=steps)

    def switch_off(self, key: object, steps: Iterable[str]) -> None:
        """Steps that do not apply to this item. Idempotent."""
        self._reporter.plan(key, off=steps)

    def start(self, key: object, step: str, *, input_hash: str | None = None) -> str:
        """A step begins; returns the attempt's id."""
        return self._reporter.start(key, step, input_hash=input_hash)

    def update(self, key: object, step: str, *, progress: float | None = None, **metadata: Any) -> None:
        """Progress in percent of a running step, and metadata, which is merged."""
        self._reporter.update(key, step, progress, metadata)

    def complete(self, key: object, step: str, **metadata: Any) -> None:
        """A step is done."""
        self._reporter.end(key, step, "completed", metadata=metadata)

    def fail(self, key: object, step: str, error: object, *, permanent: bool | None = None, **metadata: Any) -> None:
        """A step failed; *error* is an exception or a text."""
        if isinstance(error, BaseException):
            permanent = is_permanent(error) if permanent is None else permanent
            error = describe(error)
        self._reporter.end(key, step, "failed", error=error, permanent=permanent, metadata=metadata)

    def skip(self, key: object, step: str | None = None, reason: str = "") -> None:
        """A step does not apply to this item; without a step, all that is open of the item is skipped."""
        if step is None:
            self._reporter.skip_item(key, reason)
        else:
            self._reporter.end(key, step, "skipped", reason=reason)

    def step(self, key: object, step: str, *, input_hash: str | None = None) -> StepBlock:
        """``with p.step(key, "embedding") as s:`` starts the step and ends it as the block ends."""
        return StepBlock(self._reporter, key, step, input_hash=input_hash)
