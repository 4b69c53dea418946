"""Coordinating: what the store must be asked, after everything that this process reported is in it.

May block for its timeout, and raises ``StoreUnavailable``; reporting does neither.
"""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from statustui.errors import StatustuiError
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
from statustui.model.pipeline import Definition, item_fraction
from statustui.model.status import ItemStatus
from statustui.pipelines import values
from statustui.pipelines.desk import Desk
from statustui.pipelines.handlers import Handler, check_handler
from statustui.pipelines.reporting import Reporter
from statustui.pipelines.retrying import may_retry
from statustui.pipelines.summary import as_date, as_range
from statustui.pipelines.work import Keeper, Work

if TYPE_CHECKING:
    from statustui.pipelines.resume import Options
    from statustui.store.open import Store

LEASE_S = 60.0
_BATCH = 500


class Coordinator:
    """Asks the store about one pipeline. Safe in threads; each process makes its own."""

    def __init__(self, reporter: Reporter, lease_s: float = LEASE_S, *, announce: bool = True) -> None:
        """Nothing is asked yet.

        Args:
            reporter: of the pipeline.
            lease_s: seconds after which a claim is over that nobody renews.
            announce: tell the store the definition first; False where it came from there.
        """
        self.reporter = reporter
        """Writes the facts."""
        self._announce = announce
        self.desk = Desk(lambda: reporter.session)
        self._keeper = Keeper(self.desk, lease_s)

    @property
    def name(self) -> str:
        """Of the pipeline."""
        return self.reporter.definition.name

    @property
    def definition(self) -> Definition:
        """As this program has it."""
        return self.reporter.definition

    @property
    def store_url(self) -> str | None:
        """As it was given; None = the configured one."""
        return self.reporter.store_url

    def check_handlers(self, handlers: "Mapping[str, Handler]") -> None:
        """Refuse handlers for steps that nobody has, and those that could never work: each item would fail.

        Raises:
            UnknownStep: a key is neither a step of the definition nor one that was found for an item.
            BadHandler: one is no function that takes one item; the message names its step.
        """
        for key, handler in handlers.items():
            check_handler(key, handler)
        unknown = [key for key in handlers if self.definition.step(key) is None]
        if unknown:
            found = {one.step.key for one in self.summary().steps}
            wrong = next((key for key in unknown if key not in found), None)
            if wrong is not None:
                known = ", ".join(step.key for step in self.definition.steps)
                from statustui.store.item_claims import UnknownStep

                raise UnknownStep(f"{self.name} has no step {wrong!r}; it has {known}")

    def settle(self) -> None:
        """Have everything that this process reported in the store, if it can be reached; else the drainer brings it."""
        with suppress(StatustuiError), self.desk.open():
            pass

    @property
    def has_drainer(self) -> bool:
        """True where a drainer finds out who has died."""
        session = self.reporter.session
        return session is not None and session.settings.drainer == "process"

    # --- questions about one item ------------------------------------------------------------------------------------

    def item(self, key: object) -> Item | None:
        """One item; None when the store does not know it."""
        return self.items([key]).get(values.key(key))

    def items(self, keys: Iterable[object]) -> dict[str, Item]:
        """Several items by key, in one query for each five hundred; unknown ones are left out."""
        from statustui.store import item_reads

        wanted = [values.key(key) for key in keys]
        found: dict[str, Item] = {}
        with self._asking() as store, suppress(item_reads.NoSuchPipeline):
            for at in range(0, len(wanted), _BATCH):
                found |= item_reads.overall_many(store, self.name, wanted[at : at + _BATCH])
        return found

    def page(self, limit: int, after: Item | None) -> list[Item]:
        """The next items in the order of their keys."""
        from statustui.store import item_reads
        from statustui.store.item_selector import ItemSelector

        with self._asking() as store:
            return item_reads.items(store, ItemSelector(pipeline=self.name), limit, after)

    def status(self, key: object, step: str) -> ItemStatus | None:
        """Where a step of an item stands; None when the item is unknown or the step does not apply to it."""
        found = self.item(key)
        return None if found is None else found.states.get(self.key_of(step))

    def can_start(self, key: object, step: str) -> bool:
        """True when the step waits, and what it comes after is done."""
        found = self.item(key)
        return found is not None and self.key_of(step) in found.ready

    def detail(self, key: object) -> ItemDetail:
        """Everything about one item.

        Raises:
            NoSuchItem: the store does not know it.
        """
        from statustui.store import item_reads

        with self._asking() as store:
            return item_reads.item(store, self.name, values.key(key))

    def groups(self, key: object) -> dict[str, GroupProgress]:
        """How far each group of an item's steps is.

        Raises:
            NoSuchItem: the store does not know it.
        """
        grouped: dict[str, list[ItemStep]] = {}
        for one in self.detail(key).steps:
            grouped.setdefault(one.step.group, []).append(one)
        found: dict[str, GroupProgress] = {}
        for group, steps in grouped.items():
            states = {one.step.key: one.status for one in steps}
            inside = {one.step.key: one.progress for one in steps if one.progress is not None}
            found[group] = GroupProgress(
                group=group,
                counts=Counter(states.values()),
                done=sum(status.done for status in states.values()),
                total=len(steps),
                fraction=item_fraction([one.step for one in steps], states, inside),
            )
        return found

    def step(self, key: object, step: str) -> ItemStep | None:
        """One step of one item; None when it does not apply."""
        wanted = self.key_of(step)
        return next((one for one in self.detail(key).steps if one.step.key == wanted), None)

    def history(self, key: object) -> tuple[ItemEvent, ...]:
        """The story of an item, oldest first.

        Raises:
            NoSuchItem: the store does not know it.
        """
        return self.detail(key).events

    # --- questions about all of them ---------------------------------------------------------------------------------

    def summary(self, since: object = None, until: object = None) -> PipelineSummary:
        """The pipeline in figures, of all items or those of a range of dates (both included)."""
        from statustui.store import item_summary

        first, last = as_range(since, until)
        with self._asking() as store:
            return item_summary.summary(store, self.name, since=first, until=last)

    def statistics(self) -> dict[str, StepSummary]:
        """Each step in figures, by its key."""
        return {one.step.key: one for one in self.summary().steps}

    def ready(self, step: str, limit: int = 1000, since: object = None, until: object = None) -> list[str]:
        """Keys of items that wait at a step and could begin there, at most *limit*."""
        from statustui.store import item_claims

        first, last = as_range(since, until)
        with self._asking() as store:
            return item_claims.ready(store, self.name, self.key_of(step), limit=limit, since=first, until=last)

    def failed(
        self, since: object = None, until: object = None, max_retries: int | None = None, step: str | None = None
    ) -> list[Failure]:
        """Failed steps of items, the latest first; with *max_retries* only those that may be tried again."""
        from statustui.store import item_summary

        first, last = as_range(since, until)
        with self._asking() as store:
            found = item_summary.failed(
                store,
                self.name,
                since=first,
                until=last,
                step=None if step is None else self.key_of(step),
            )
        if max_retries is None:
            return list(found)
        return [one for one in found if may_retry(one, max_retries)]

    def due(self, step: str, options: "Options") -> list[tuple[float, Failure]]:
        """Failed ones at a step that may be tried again, each with the time (epoch seconds) from which on."""
        found = self.failed(options.since, options.until, options.max_retries, step)
        return sorted(((options.backoff.due_at(one), one) for one in found), key=lambda entry: entry[0])

    def next_retry(self, step: str, options: "Options") -> float | None:
        """When the next failed item at a step may be tried again, in epoch seconds; None when there is none."""
        found = self.due(step, options)
        return found[0][0] if found else None

    def waiting(self, step: str, options: "Options") -> int:
        """How many items can be worked on at a step now."""
        now = time.time()
        summary = self.summary(options.since, options.until)
        ready = next((one.waiting for one in summary.steps if one.step.key == step), 0)
        return ready + sum(at <= now for at, _ in self.due(step, options))

    # --- claims ------------------------------------------------------------------------------------------------------

    def claim(
        self,
        step: str,
        limit: int = 1,
        *,
        lease_s: float | None = None,
        keys: Sequence[object] | None = None,
        options: "Options | None" = None,
        run: str | None = None,
        but: Collection[tuple[str, str]] = (),
    ) -> list[Work]:
        """Take items that are ready at a step; each is given to one worker only.

        Args:
            step: key of the step.
            limit: at most so many.
            lease_s: seconds after which a claim that nobody renews is over.
            keys: only these items.
            options: range of dates; failed items that may be tried again are taken, too.
            run: run_id that the claims belong to; when it ends they are over.
            but: (item, step) pairs to leave alone.
        """
        from statustui.store import item_claims

        name = self.key_of(step)
        wanted = None if keys is None else [values.key(key) for key in keys]
        lease_s = lease_s or (options.lease_s if options is not None else None)
        if lease_s:
            self._keeper.lease_s = lease_s
        with self._asking() as store:
            item_claims.expire_leases(store)
            claims = item_claims.claim(
                store,
                self.name,
                name,
                limit=limit,
                lease_s=self._keeper.lease_s,
                owner=self._owner(),
                run_id=run,
                keys=wanted,
                since=as_date(options.since) if options else None,
                until=as_date(options.until) if options else None,
            )
        if options is not None and len(claims) < limit:
            claims = [*claims, *self._claim_again(name, limit - len(claims), options, run, but)]
        works = [Work(self.reporter, self._keeper, one, run=run) for one in claims]
        self._keeper.hold(works)
        return works

    def _claim_again(
        self, step: str, limit: int, options: "Options", run: str | None, but: Collection[tuple[str, str]]
    ) -> list[Any]:
        """Claims on failed items whose time has come."""
        from statustui.store import item_claims

        now = time.time()
        due = [one.key for at, one in self.due(step, options) if at <= now and (one.key, step) not in but]
        if not due:
            return []
        with self._asking() as store:
            return list(
                item_claims.claim(
                    store,
                    self.name,
                    step,
                    limit=limit,
                    lease_s=self._keeper.lease_s,
                    owner=self._owner(),
                    run_id=run,
                    keys=due[:limit],
                    failed=True,
                )
            )

    # --- changes by people -------------------------------------------------------------------------------------------

    def reset(self, key: object, step: str, reason: str | None, actor: str) -> tuple[str, ...]:
        """Reset a step and what depends on it; the keys of the steps that changed."""
        from statustui.store import item_changes

        with self._asking() as store:
            return item_changes.reset(store, self.name, values.key(key), self.key_of(step), actor=actor, reason=reason)

    def retry(self, failures: Iterable[Failure], actor: str) -> int:
        """Let failed steps be tried again at once; how many."""
        from statustui.store import item_changes

        wanted = [(one.key, one.step.key) for one in failures]
        number = 0
        with self._asking() as store:
            for at in range(0, len(wanted), _BATCH):
                number += item_changes.retry_many(store, self.name, wanted[at : at + _BATCH], actor=actor)
        return number

    # --- how it is done ----------------------------------------------------------------------------------------------

    def _asking(self) -> AbstractContextManager["Store"]:
        if self._announce:
            self.reporter.announce()
        return self.desk.open()

    def key_of(self, step: str) -> str:
        """Key of a step that may be named by a former key."""
        known = self.definition.step(step)
        return known.key if known is not None else step

    def _owner(self) -> str:
        import os

        from statustui.config import host_name
        from statustui.journal.identity import user_name

        return f"{user_name()}@{host_name()} pid {os.getpid()}"
