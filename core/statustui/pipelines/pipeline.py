"""A pipeline as people's programs hold it."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from statustui.model.pipeline import Definition, DefinitionError, Step
from statustui.model.status import ItemStatus
from statustui.pipelines.reporting import Reporter
from statustui.pipelines.retrying import MAX_RETRIES, Backoff
from statustui.pipelines.step import StepBlock, describe, is_permanent

if TYPE_CHECKING:
    from statustui.model.items import (
        Failure,
        GroupProgress,
        Item,
        ItemDetail,
        ItemEvent,
        ItemStep,
        PipelineSummary,
        StepSummary,
    )
    from statustui.pipelines.backfill import Backfilled, Rule
    from statustui.pipelines.coordinating import Coordinator
    from statustui.pipelines.handlers import Handler
    from statustui.pipelines.importing import Imported
    from statustui.pipelines.resume import Resumed
    from statustui.pipelines.verify import Verified
    from statustui.pipelines.work import Work

_left_behind: list[object] = []
"""What belongs to the parent of a forked process: neither used nor closed here."""


class Pipeline:
    """A named set of steps that items pass through.

    *Reporting* (:meth:`add`, :meth:`start`, :meth:`update`, :meth:`complete`, :meth:`fail`, :meth:`skip`, :meth:`step`)
    writes facts and never raises. *Coordinating* (:meth:`claim`, :meth:`resume`, :meth:`can_start`, :meth:`reset`, and
    every question) asks the store, where all that this process has reported is then applied; it raises
    ``StoreUnavailable`` where the store can not be asked.

    Example:
        >>> auctions = Pipeline("auctions", [Step(key="scrape", label="1"), Step(key="judge", label="2")])
        >>> auctions.add("2024-CA-12345", kind="foreclosure", date="2025-01-02")
        >>> with auctions.step("2024-CA-12345", "scrape") as step:
        ...     step.update(50, pages=12)
        >>> auctions.resume({"scrape": scrape, "judge": judge}, workers=4)
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
        if isinstance(steps, str):
            raise DefinitionError(f"pipeline {name!r}: steps are a list, not the text {steps!r}")
        made = tuple(step if isinstance(step, Step) else Step(key=step) for step in steps)
        self.definition = Definition(name=name, steps=made)
        self.store = store
        self._reporter = Reporter(self.definition, store=store)
        self._asked: tuple[int, Coordinator] | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return self.definition.name

    def __repr__(self) -> str:
        return f"<statustui.Pipeline {self.name!r}, {len(self.definition.steps)} steps>"

    def __reduce__(self) -> tuple[Callable[..., "Pipeline"], tuple[Any, ...]]:
        return _revive, (self.name, self.definition.steps, self.store)

    # --- reporting ---------------------------------------------------------------------------------------------------

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
        self._reporter.end(key, step, ItemStatus.COMPLETED, metadata=metadata)

    def fail(self, key: object, step: str, error: object, *, permanent: bool | None = None, **metadata: Any) -> None:
        """A step failed; *error* is an exception or a text."""
        if isinstance(error, BaseException):
            permanent = is_permanent(error) if permanent is None else permanent
            error = describe(error)
        self._reporter.end(key, step, ItemStatus.FAILED, error=error, permanent=permanent, metadata=metadata)

    def skip(self, key: object, step: str | None = None, reason: str = "") -> None:
        """A step does not apply to this item; without a step, all that is open of the item is skipped."""
        if step is None:
            self._reporter.skip_item(key, reason)
        else:
            self._reporter.end(key, step, ItemStatus.SKIPPED, reason=reason)

    def step(self, key: object, step: str, *, input_hash: str | None = None) -> StepBlock:
        """``with p.step(key, "embedding") as s:`` starts the step and ends it as the block ends; also async."""
        return StepBlock(self._reporter, key, step, input_hash=input_hash)

    def log(self, key: object, step: str | None, message: str, *, detail: str | None = None) -> None:
        """A line in the item's story that changes nothing."""
        self._reporter.event(key, step, "log", message=message, detail=detail)

    # --- questions ---------------------------------------------------------------------------------------------------

    def is_complete(self, key: object, step: str) -> bool:
        """True when the step is completed or skipped."""
        status = self._ask.status(key, step)
        return status is not None and status.done

    def can_start(self, key: object, step: str) -> bool:
        """True when the step waits, and all that it comes after is done."""
        return self._ask.can_start(key, step)

    def ready(self, step: str, *, limit: int = 1000, since: object = None, until: object = None) -> list[str]:
        """Keys of items whose step could begin now, at most *limit*; to work on them, :meth:`claim` them."""
        return self._ask.ready(step, limit, since, until)

    def progress(self, key: object) -> float:
        """Share of the item's plan that is done, 0 to 100; 0 for an item that is not known."""
        found = self._ask.item(key)
        return 0.0 if found is None else 100.0 * found.fraction

    def current_step(self, key: object) -> str | None:
        """Key of the step where the item stands; None at its end."""
        found = self._ask.item(key)
        return None if found is None else found.current_step

    def overall(self, key: object) -> "Item | None":
        """Where an item stands: status, progress, errors, steps; None when it is not known."""
        return self._ask.item(key)

    def overall_many(self, keys: Iterable[object]) -> "dict[str, Item]":
        """The same for many items in one query; unknown ones are left out."""
        return self._ask.items(keys)

    def groups(self, key: object) -> "dict[str, GroupProgress]":
        """How far each group of the item's steps is (``main``, ``uploads``).

        Raises:
            NoSuchItem: the store does not know it.
        """
        return self._ask.groups(key)

    def step_of(self, key: object, step: str) -> "ItemStep | None":
        """Where one step of an item stands: tries, times, error, metadata; None when it does not apply.

        Raises:
            NoSuchItem: the store does not know the item.
        """
        return self._ask.step(key, step)

    def detail(self, key: object) -> "ItemDetail":
        """An item with all its steps and its story.

        Raises:
            NoSuchItem: the store does not know it.
        """
        return self._ask.detail(key)

    def history(self, key: object) -> "tuple[ItemEvent, ...]":
        """The story of an item, oldest first.

        Raises:
            NoSuchItem: the store does not know it.
        """
        return self._ask.history(key)

    def summary(self, since: object = None, until: object = None) -> "PipelineSummary":
        """The pipeline in figures: by kind, by status, by step, with the latest failures.

        Args:
            since: only items of this date or later.
            until: only items of this date or earlier.
        """
        return self._ask.summary(since, until)

    def statistics(self) -> "dict[str, StepSummary]":
        """Each step in figures, by its key: how many items have each status, how long it takes."""
        return self._ask.statistics()

    def failed(self, since: object = None, until: object = None, max_retries: int | None = None) -> "list[Failure]":
        """Failed steps of items, the latest first; with *max_retries* only those that may be tried again."""
        return self._ask.failed(since, until, max_retries)

    # --- changes -----------------------------------------------------------------------------------------------------

    def claim(
        self, step: str, limit: int = 1, *, lease: float | None = None, keys: Sequence[object] | None = None
    ) -> "list[Work]":
        """Take up to *limit* items whose step is ready; nobody else gets them while this process lives.

        Args:
            step: key of the step.
            limit: at most so many.
            lease: seconds after which a claim is over that nobody renews (60); this process renews its own.
            keys: only these items.

        Example:
            >>> for work in p.claim("embedding", limit=10):
            ...     with work:
            ...         embed(work.key)
        """
        return self._ask.claim(step, limit, lease_s=lease, keys=keys)

    def resume(
        self,
        handlers: "Mapping[str, Handler]",
        since: object = None,
        until: object = None,
        max_retries: int = MAX_RETRIES,
        workers: int = 1,
        show: bool = True,
        *,
        backoff: Backoff | None = None,
        wait: bool = False,
        lease: float | None = None,
        task: str | None = None,
    ) -> "Resumed":
        """Work on all that is left, step by step in order, skipping what is complete, as one run.

        Prints the summary first and then a live bar for each step. What fails is noted and the rest goes on; a failed
        step is taken again once its back-off is over, unless its error is permanent or its retries are used up.
        Ctrl-C (or a death) leaves everything such that the next call goes on from there. Several processes may
        resume at once.

        Args:
            handlers: by the key of the step, what to call with each claimed item (:class:`Work`); plain or async. A
                mapping that it returns is kept as metadata. Steps without one are left alone.
            since: only items of this date or later.
            until: only items of this date or earlier.
            max_retries: tries after the first, for steps that have no number of their own.
            workers: how many items at once: threads, or tasks of one event loop for async handlers.
            show: False prints nothing.
            backoff: how long failed steps rest: 60, 300, 900 s ± 20 %.
            wait: stay until the failed steps that may be tried again were tried.
            lease: seconds after which the claim of a dead worker is over (60).
            task: name of the run's task; ``<pipeline>_resume`` when it is left out.

        Returns:
            What was done.

        Raises:
            UnknownStep: a handler is for a step that is none.
            BadHandler: a handler can not be called with one item; nothing was begun.
            StoreUnavailable: the store can not be reached.
        """
        from statustui.pipelines.resume import Options, Resume

        coordinator = self._ask
        coordinator.check_handlers(handlers)
        options = Options(
            since=since,
            until=until,
            max_retries=max_retries,
            workers=max(1, workers),
            show=show,
            backoff=backoff or Backoff(),
            wait=wait,
            task=task,
            lease_s=lease,
        )
        return Resume(coordinator, handlers, options).run()

    def reset(self, key: object, step: str, reason: str | None = None) -> tuple[str, ...]:
        """Make a step, and all that depends on it, pending again; returns the keys of the steps that changed.

        Raises:
            StatustuiError: there is no such item, or no such step; the message names it.
        """
        from statustui.control.actor import actor

        return self._ask.reset(key, step, reason, actor())

    def retry_failed(
        self, since: object = None, until: object = None, max_retries: int = MAX_RETRIES
    ) -> "list[Failure]":
        """Let failed steps be tried again at once, without waiting for their back-off; those that were let."""
        from statustui.control.actor import actor

        found = self._ask.failed(since, until, max_retries)
        self._ask.retry(found, actor())
        return found

    def verify(
        self, patterns: Mapping[str, str], *, root: str | os.PathLike[str] = ".", fix: bool = False
    ) -> "Verified":
        """Compare what the store says with the files that are there.

        Args:
            patterns: by step, the path of what it makes, such as ``data/properties/{key}/documents/*.pdf``;
                ``{attribute}`` stands for an attribute of the item.
            root: directory that the patterns are relative to.
            fix: True brings the store up to date with the files.
        """
        from statustui.pipelines.verify import verify

        return verify(self._ask, patterns, root=os.fspath(root), fix=fix)

    def backfill(
        self,
        rows: Iterable[Any],
        rules: "Mapping[str, Rule]",
        *,
        key: str = "key",
        kind: str | None = None,
        date: str | None = None,
        attributes: Sequence[str] = (),
        root: str | os.PathLike[str] = ".",
        dry_run: bool = False,
    ) -> "Backfilled":
        """Infer where items stand from existing rows and files. Running it again changes nothing.

        Args:
            rows: of a table or a query: dicts, ``sqlite3.Row``, SQLAlchemy's rows, or a cursor.
            rules: by step, when it is done: the name of a column (done when it has a value; a time is when), a path
                such as ``data/{folio}/*.pdf`` (done when there is one), or a function of the row that gives a time, a
                truth value or None.
            key: column of the item's key.
            kind: column of its kind.
            date: column of its date.
            attributes: columns to keep as attributes.
            root: directory that paths are relative to.
            dry_run: True only counts.

        Raises:
            BadRule: a rule is for a step that is none, or a column is not there; the message names it.
            BadRows: the rows do not say how their columns are called.
        """
        from statustui.pipelines.backfill import Columns, backfill

        columns = Columns(key=key, kind=kind, date=date, attributes=tuple(attributes))
        return backfill(self._ask, rows, rules, columns, root=os.fspath(root), dry_run=dry_run)

    def import_events(
        self,
        rows: Iterable[Any],
        *,
        columns: Mapping[str, str] | None = None,
        key: object = None,
        dry_run: bool = False,
    ) -> "Imported":
        """Rebuild where items stand from the append-only log of another system. Running it again changes nothing.

        Args:
            rows: lines of the log: dicts, ``sqlite3.Row``, SQLAlchemy's rows, or a cursor.
            columns: which column is the ``item``, ``step``, ``status``, ``at``, ``message``, ``detail`` and
                ``task_id``, where they have unusual names.
            key: this item only.
            dry_run: True writes nothing.

        Returns:
            What was brought in, and what differs afterwards.
        """
        from statustui.pipelines.importing import columns_of, import_events
        from statustui.pipelines.source import Rows

        source = Rows(rows)
        try:
            wanted = columns_of(source.columns, columns or {})
            only = None if key is None else str(key)
            return import_events(self._ask, source, wanted, only=only, dry_run=dry_run)
        finally:
            source.close()

    def compare_events(
        self, rows: Iterable[Any], *, columns: Mapping[str, str] | None = None, key: object = None
    ) -> "Imported":
        """List the steps that are missing, extra or different in the store, compared with a log; changes nothing."""
        from statustui.pipelines.importing import columns_of, verify_events
        from statustui.pipelines.source import Rows

        source = Rows(rows)
        try:
            wanted = columns_of(source.columns, columns or {})
            return verify_events(self._ask, source, wanted, None if key is None else str(key))
        finally:
            source.close()

    @property
    def _ask(self) -> "Coordinator":
        """What asks the store; made anew in a forked process."""
        from statustui.pipelines.coordinating import Coordinator

        if self._asked is None or self._asked[0] != os.getpid():
            if self._asked is not None:
                _left_behind.append(self._asked)
            self._asked = os.getpid(), Coordinator(self._reporter)
        return self._asked[1]

    def close(self) -> None:
        """Give up the connection to the store; the next question makes a new one."""
        if self._asked is not None and self._asked[0] == os.getpid():
            self._asked[1].desk.close()


def _revive(name: str, steps: tuple[Step, ...], store: str | None) -> Pipeline:
    return Pipeline(name, steps, store=store)
