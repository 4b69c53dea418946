"""What a person can change of items: planned and carried out in a worker thread, over a connection of its own."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from statustui.errors import StatustuiError
from statustui.model.items import Item
from statustui.model.status import ItemStatus
from statustui_tui.actions import Outcome

if TYPE_CHECKING:
    from statustui.config import Settings
    from statustui.model.items import FailureGroup
    from statustui.store.item_selector import ItemSelector
    from statustui.store.open import Store

MOST = 100_000
"""Items that one request changes at most."""
EXAMPLES = 12
"""Items that a dialog names."""
_PAGE = 1_000
_AT_ONCE = 500


class Verb(StrEnum):
    """What is done to items."""

    RETRY = "retry"
    """Failed steps may be tried again at once."""
    RESET = "reset"
    """A step, and what depends on it, begins anew."""
    SKIP = "skip"
    """A step, or all that is open, is left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a person wants done, and to which items."""

    verb: Verb
    pipeline: str
    keys: tuple[str, ...] = ()
    """Named or marked ones."""
    selector: "ItemSelector | None" = None
    """Everything that the filter matches, in place of keys."""
    options: tuple[str, ...] = ()
    """The filter on the command line."""
    step: str | None = None
    """Key of the step; None: all that have failed, or all that is open."""
    reason: str = ""

    @property
    def command(self) -> str:
        """The command line that does the same."""
        return self.command_on(self.keys)

    def command_on(self, keys: Sequence[str]) -> str:
        """The same, with the items named one by one."""
        words = ["statustui", "items", self.verb.value, *keys[:20], *self.options, "--pipeline", self.pipeline]
        words += ["--step", self.step] if self.step is not None else []
        words += ["--reason", self.reason] if self.reason else []
        # A person who looks at them may want those with a permanent error, too.
        words += ["--force"] if self.verb is Verb.RETRY else []
        return shlex.join(words) + (" ..." if len(keys) > 20 else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemPlan:
    """What a wish comes to."""

    wish: Wish
    places: tuple[tuple[str, str | None], ...] = ()
    """(key of the item, key of the step)."""
    examples: tuple[Item, ...] = ()
    """The first of them."""
    items: int = 0
    """Items that would change."""
    left: int = 0
    """Items of which nothing would change."""
    problem: str | None = None
    """Why it can not be done."""

    @property
    def command(self) -> str:
        """The command line that does the same; it knows no filter by kind of failure, so that it names the items."""
        selector = self.wish.selector
        if selector is None or not selector.fingerprints:
            return self.wish.command
        return self.wish.command_on(list(dict.fromkeys(key for key, _ in self.places)))


class ItemActions(Protocol):
    """Changes of items. Every method may block and is called from a worker thread."""

    def plan(self, wish: Wish) -> ItemPlan:
        """Find out what would be changed."""

    def carry_out(self, plan: ItemPlan) -> Outcome:
        """Change it."""

    def acknowledge(self, groups: "Sequence[FailureGroup]") -> Outcome:
        """Take failures of these kinds out of *Needs you*."""


class StoreItemActions:
    """Changes the store of the settings."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings

    def plan(self, wish: Wish) -> ItemPlan:
        """Look at each item."""
        from statustui.store.open import open_store

        places: list[tuple[str, str | None]] = []
        examples: list[Item] = []
        items = left = 0
        try:
            with open_store(self._settings.store_url, create=False, read_only=True) as store:
                for item in _items(store, wish):
                    steps = steps_of(item, wish)
                    if not steps:
                        left += 1
                        continue
                    items += 1
                    places += [(item.key, step) for step in steps]
                    if len(examples) < EXAMPLES:
                        examples.append(item)
                    if items >= MOST:
                        break
        except StatustuiError as error:
            return ItemPlan(wish=wish, problem=str(error))
        return ItemPlan(wish=wish, places=tuple(places), examples=tuple(examples), items=items, left=left)

    def carry_out(self, plan: ItemPlan) -> Outcome:
        """Change the items, some hundreds in each transaction."""
        from statustui.control.actor import actor
        from statustui.store.open import open_store

        done = 0
        try:
            with open_store(self._settings.store_url, create=False) as store:
                for n in _changes(store, plan, actor()):
                    done += n
        except StatustuiError as error:
            return Outcome(ok=False, text=f"{error}" + (f"; {done:,} were changed before it" if done else ""))
        word = {Verb.RETRY: "may be tried again", Verb.RESET: "begin anew", Verb.SKIP: "skipped"}[plan.wish.verb]
        what = "step" if plan.wish.verb is not Verb.SKIP or plan.wish.step else "item"
        return Outcome(
            ok=done > 0, text=f"{done:,} {what}{'' if done == 1 else 's'} {word}" if done else "nothing changed"
        )

    def acknowledge(self, groups: "Sequence[FailureGroup]") -> Outcome:
        """Write down who has seen them."""
        from statustui.control.actor import actor
        from statustui.store.item_acks import acknowledge
        from statustui.store.open import open_store

        try:
            with open_store(self._settings.store_url, create=False) as store:
                number = acknowledge(store, groups, actor())
        except StatustuiError as error:
            return Outcome(ok=False, text=str(error))
        return Outcome(ok=True, text=f"acknowledged {number:,} failed item{'' if number == 1 else 's'}")


def steps_of(item: Item, wish: Wish) -> list[str | None]:
    """The steps of an item that a wish would change; [None] stands for all that is open."""
    if wish.verb is Verb.RETRY:
        failed = [key for key, status in item.states.items() if status is ItemStatus.FAILED]
        return [key for key in failed if wish.step in (None, key)]
    if wish.verb is Verb.RESET:
        return [wish.step] if wish.step in item.states else []
    if wish.step is None:
        return [] if item.status.done else [None]
    status = item.states.get(wish.step)
    return [wish.step] if status is not None and not status.done else []


def _items(store: "Store", wish: Wish) -> Iterator[Item]:
    from statustui.store import item_reads

    if wish.selector is None:
        yield from item_reads.overall_many(store, wish.pipeline, wish.keys).values()
        return
    # What has failed stands together in one index: nobody has to look at a million others.
    sort = item_reads.ItemSort.FAILED if wish.verb is Verb.RETRY else item_reads.ItemSort.KEY
    last: Item | None = None
    while True:
        page = item_reads.items(store, wish.selector, _PAGE, last, sort=sort)
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1]


def _changes(store: "Store", plan: ItemPlan, by: str) -> Iterator[int]:
    from statustui.store import item_changes

    wish = plan.wish
    if wish.verb is Verb.RETRY:
        pairs: Sequence[tuple[str, str]] = [(key, step) for key, step in plan.places if step is not None]
        for start in range(0, len(pairs), _AT_ONCE):
            yield item_changes.retry_many(store, wish.pipeline, pairs[start : start + _AT_ONCE], actor=by)
        return
    keys = list(dict.fromkeys(key for key, _ in plan.places))
    for start in range(0, len(keys), _AT_ONCE):
        part, why = keys[start : start + _AT_ONCE], wish.reason or None
        if wish.verb is Verb.SKIP:
            yield len(item_changes.skip_many(store, wish.pipeline, part, wish.step, actor=by, reason=why))
        elif wish.step is not None:
            changed = item_changes.reset_many(store, wish.pipeline, part, wish.step, actor=by, reason=why)
            yield sum(map(len, changed.values()))
