"""What the monitor reads of pipelines and items, in the poller's thread."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from statustui.model.items import FailureGroup, Item, ItemDetail, PipelineSummary
from statustui.model.times import utc_now

if TYPE_CHECKING:
    from statustui.store.item_selector import ItemSelector, ItemSort
    from statustui.store.open import Store

WINDOW = timedelta(hours=24)
"""How far back failures of items go into *Needs you*."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """All pipelines in figures, and what has failed in them."""

    pipelines: tuple[PipelineSummary, ...] = ()
    """By name."""
    failures: tuple[FailureGroup, ...] = ()
    """Failed items of the last day, those of one kind together, the latest first."""

    def of(self, name: str) -> PipelineSummary | None:
        """The figures of one pipeline."""
        return next((one for one in self.pipelines if one.pipeline == name), None)


class Items(Protocol):
    """Questions about items; each may raise `Lost`, and all are asked in one thread."""

    def board(self) -> Board:
        """Everything that one refresh needs."""

    def page(
        self, selector: "ItemSelector", limit: int, after: Item | None, sort: "ItemSort", reverse: bool, skip: int = 0
    ) -> list[Item]:
        """The items that come after one in an order, at most *limit*, leaving out the first *skip*."""

    def count(
        self,
        selector: "ItemSelector",
        before: Item | None = None,
        sort: "ItemSort | None" = None,
        reverse: bool = False,
    ) -> int:
        """How many match; with *before* only those that come before that item in the order."""

    def item(self, pipeline: str, key: str) -> ItemDetail | None:
        """Everything about one item; None when there is none."""

    def of_run(self, run_id: str) -> list[tuple[Item, str]]:
        """The items that a run works or worked on, each with the key of the step."""


class StoreItems:
    """The items of a store.

    Args:
        need: Gives the open store.
        guard: Calls, and turns what can go wrong into `Lost`.
    """

    def __init__(self, need: "Callable[[], Store]", guard: Callable[[Callable[[], Any]], Any]) -> None:
        self._need = need
        self._guard = guard

    def board(self) -> Board:
        """The figures of every pipeline."""
        from statustui.store import item_reads

        def read() -> Board:
            store = self._need()
            names = [one.name for one in item_reads.pipelines(store)]
            if not names:
                return Board()
            return Board(
                pipelines=tuple(item_reads.summary(store, name) for name in names),
                failures=tuple(item_reads.failure_groups(store, utc_now() - WINDOW)),
            )

        board: Board = self._guard(read)
        return board

    def page(
        self, selector: "ItemSelector", limit: int, after: Item | None, sort: "ItemSort", reverse: bool, skip: int = 0
    ) -> list[Item]:
        """A page of a list, by the index that was made for it."""
        from statustui.store import item_reads

        found: list[Item] = self._guard(
            lambda: item_reads.items(self._need(), selector, limit, after, sort=sort, reverse=reverse, skip=skip)
        )
        return found

    def count(
        self,
        selector: "ItemSelector",
        before: Item | None = None,
        sort: "ItemSort | None" = None,
        reverse: bool = False,
    ) -> int:
        """How many match."""
        from statustui.store import item_reads

        order = sort or item_reads.ItemSort.KEY
        number: int = self._guard(
            lambda: item_reads.count(self._need(), selector, before=before, sort=order, reverse=reverse)
        )
        return number

    def item(self, pipeline: str, key: str) -> ItemDetail | None:
        """One item with its steps and its story."""
        from statustui.store import item_reads

        def read() -> ItemDetail | None:
            try:
                return item_reads.item(self._need(), pipeline, key)
            except (item_reads.NoSuchItem, item_reads.NoSuchPipeline):
                return None

        found: ItemDetail | None = self._guard(read)
        return found

    def of_run(self, run_id: str) -> list[tuple[Item, str]]:
        """What a run did."""
        from statustui.store import item_reads

        found: list[tuple[Item, str]] = self._guard(lambda: item_reads.of_run(self._need(), run_id))
        return found
