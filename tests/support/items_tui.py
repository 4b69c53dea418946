"""Pipelines and items for the monitor's tests: as many as asked for, none of them kept."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from statustui.model.items import (
    FailureGroup,
    Item,
    ItemDetail,
    ItemEvent,
    ItemStep,
    PipelineSummary,
    StepSummary,
)
from statustui.model.pipeline import Plan, Step, current_step, item_fraction, item_status
from statustui.model.status import ItemStatus
from statustui.store.item_selector import ItemSelector, ItemSort
from statustui_tui.actions import Outcome
from statustui_tui.items_actions import ItemPlan, Wish, steps_of
from statustui_tui.items_source import Board
from support.tui import NOW, FakeSource, ago, busy

STEPS = tuple(
    Step(key=key, label=label, title=title, short=short, optional=key == "photos")
    for key, label, short, title in (
        ("scrape", "1", "", "Scraped"), ("judge", "2", "", "Judged"), ("parcel", "3", "", "Parcel found"),
        ("photos", "3.5", "", "Photos"), ("market", "4", "", "Market value"), ("harvest", "5", "", "HomeHarvest"),
        ("zillow", "6", "", "Zillow"), ("owner", "7", "", "Ownership"), ("tax", "8", "", "Tax history"),
        ("report", "9/10", "9", "Report"), ("bid", "11", "", "Bid sheet"), ("publish", "12", "", "Published"),
    )
)  # fmt: skip
_LETTER = {"p": ItemStatus.PENDING, "r": ItemStatus.PENDING, "w": ItemStatus.PROCESSING, "c": ItemStatus.COMPLETED,
           "f": ItemStatus.FAILED, "s": ItemStatus.SKIPPED}  # fmt: skip
_PATTERNS = (
    "c" * 12, "ccccccrppppp", "ccccfppppppp", "ccccccccwppp", "c" * 12, "cccsccccccrp", "c" * 12, "rppppppppppp",
    "c" * 12, "s" * 12, "ccccccccccccc"[:12], "ccfppppppppp", "c" * 12,
)  # fmt: skip
ERROR = "HTTPError: 503 from the county's server"


def make_item(n: int) -> Item:
    """The item of a number; every thirteenth is alike."""
    cells = _PATTERNS[n % len(_PATTERNS)]
    states = {step.key: _LETTER[letter] for step, letter in zip(STEPS, cells, strict=True)}
    failed = next((key for key, status in states.items() if status is ItemStatus.FAILED), None)
    return Item(
        id=n + 1,
        pipeline="auctions",
        key=f"2024-CA-{n:07}",
        status=item_status(STEPS, states),
        kind="tax deed" if n % 3 == 0 else "foreclosure",
        date=date(2026, 1, 1) + timedelta(days=n % 60),
        attributes={"county": "Duval", "judge": "[red]B. Strange"},
        states=states,
        ready=frozenset(s.key for s, letter in zip(STEPS, cells, strict=True) if letter == "r"),
        cells=cells,
        fraction=item_fraction(STEPS, states),
        current_step=current_step(STEPS, states),
        error_step=failed,
        last_error=ERROR if failed else None,
        failed_at=ago(minutes=n % 50) if failed else None,
        fingerprint="beef" if failed else None,
        created_at=ago(hours=5),
        updated_at=ago(seconds=30 * (n % 100)),
    )


class FakeItems:
    """So many items of one pipeline, in the order of their keys; answers like a store."""

    def __init__(self, n: int = 156) -> None:
        self.n = n
        self.asked: list[str] = []
        """What was asked for, and how much of it."""
        self.given = 0
        """Items handed out."""

    def board(self) -> Board:
        shares = {status: 0 for status in ItemStatus}
        for pattern in range(len(_PATTERNS)):
            shares[make_item(pattern).status] += (self.n + len(_PATTERNS) - 1 - pattern) // len(_PATTERNS)
        steps = tuple(
            StepSummary(
                step=step, completed=self.n - 12 * i - 8, pending=12 * i + 3, processing=2, failed=3 - i % 3,
                skipped=i % 3, waiting=41 if step.key == "zillow" else 3, mean_s=0.2 + 7.5 * i,
                p50_s=0.18 + 7 * i, p90_s=0.9 + 20 * i,
            )
            for i, step in enumerate(STEPS)
        )  # fmt: skip
        auctions = PipelineSummary(
            pipeline="auctions", first_date=date(2026, 1, 1), last_date=date(2026, 3, 1), total=self.n,
            kinds={"foreclosure": self.n - self.n // 3, "tax deed": self.n // 3},
            statuses={status: n for status, n in shares.items() if n}, steps=steps,
        )  # fmt: skip
        uploads = PipelineSummary(
            pipeline="documents", total=40, statuses={ItemStatus.PENDING: 40},
            steps=(StepSummary(step=Step(key="ocr"), pending=40, waiting=40),),
        )  # fmt: skip
        group = FailureGroup(
            pipeline="auctions", step="market", fingerprint="beef", error=ERROR, count=10, newest=ago(minutes=1),
            key=make_item(2).key,
        )  # fmt: skip
        return Board(pipelines=(auctions, uploads), failures=(group,))

    def _matching(self, numbers: Sequence[int], selector: ItemSelector) -> Iterator[Item]:
        for n in numbers:
            item = make_item(n)
            if selector.statuses and item.status not in selector.statuses:
                continue
            if selector.steps and item.current_step not in selector.steps:
                continue
            if selector.fingerprints and item.fingerprint not in selector.fingerprints:
                continue
            if selector.text.lower() in item.key.lower():
                yield item

    def page(
        self, selector: ItemSelector, limit: int, after: Item | None, sort: ItemSort, reverse: bool, skip: int = 0
    ) -> list[Item]:
        if reverse:
            numbers = range((after.id - 1 if after else self.n) - 1, -1, -1)
        else:
            numbers = range(after.id if after else 0, self.n)
        plain = selector == ItemSelector(pipeline=selector.pipeline)
        found: list[Item] = []
        for item in self._matching(numbers[skip:] if plain else numbers, selector):
            if len(found) == limit:
                break
            found.append(item)
        self.asked.append(f"page {sort.value} {limit}{' back' if reverse else ''}{f' skip {skip}' if skip else ''}")
        self.given += len(found)
        return found

    def count(
        self, selector: ItemSelector, before: Item | None = None, sort: ItemSort | None = None, reverse: bool = False
    ) -> int:
        self.asked.append("count")
        if selector == ItemSelector(pipeline=selector.pipeline):
            return self.n if before is None else self.n - before.id if reverse else before.id - 1
        return sum(1 for _ in self._matching(range(self.n if before is None else before.id - 1), selector))

    def item(self, pipeline: str, key: str) -> ItemDetail | None:
        item = next((one for one in map(make_item, range(self.n)) if one.key == key), None)
        return None if item is None else detail_of(item)

    def of_run(self, run_id: str) -> list[tuple[Item, str]]:
        return [(make_item(n), "market") for n in (2, 3, 4)]


def detail_of(item: Item) -> ItemDetail:
    """An item with its steps and its story."""
    steps = []
    for i, step in enumerate(STEPS):
        status = item.states[step.key]
        begun = status is not ItemStatus.PENDING
        ended = begun and status is not ItemStatus.PROCESSING
        steps.append(
            ItemStep(
                step=step, status=status, ready=step.key in item.ready, tries=2 if status is ItemStatus.FAILED else 1,
                started_at=ago(minutes=20 - i) if begun else None,
                completed_at=ago(minutes=20 - i, seconds=-12) if ended else None,
                duration_s=12.0 if ended else None,
                error=f"{ERROR}\n  in load() line 41" if status is ItemStatus.FAILED else None,
                metadata={"pages": 12, "bytes": 4711} if status is ItemStatus.COMPLETED else {},
                run_id="run-1" if begun else None,
                progress=45.5 if status is ItemStatus.PROCESSING else None,
            )
        )  # fmt: skip
    events = [
        ItemEvent(at=ago(minutes=25), kind="item.add", key=item.key, message="foreclosure"),
        ItemEvent(at=ago(minutes=16), kind="step.start", status="processing", key=item.key, step="market"),
        ItemEvent(at=ago(minutes=15), kind="step.end", status="failed", key=item.key, step="market", message=ERROR),
        ItemEvent(at=ago(minutes=9), kind="step.retry", status="pending", key=item.key, step="market", actor="ben@db1"),
    ]
    return ItemDetail(
        item=item, plan=Plan(added=(("upload_to_dropbox", "uploads"),), off=frozenset({"photos"})), steps=tuple(steps),
        events=tuple(events),
    )  # fmt: skip


class FakeItemActions:
    """Writes down what was asked for."""

    def __init__(self, items: FakeItems) -> None:
        self.items = items
        self.planned: list[Wish] = []
        self.done: list[ItemPlan] = []
        self.acknowledged: list[FailureGroup] = []

    def acknowledge(self, groups: Sequence[FailureGroup]) -> Outcome:
        self.acknowledged += groups
        return Outcome(ok=True, text=f"acknowledged {sum(group.count for group in groups)} failed items")

    def plan(self, wish: Wish) -> ItemPlan:
        self.planned.append(wish)
        if wish.selector is not None:
            found = self.items.page(wish.selector, 1_000, None, ItemSort.KEY, False)
        else:
            found = [one for one in map(make_item, range(self.items.n)) if one.key in wish.keys]
        able = [one for one in found if steps_of(one, wish)]
        places = tuple((one.key, step) for one in able for step in steps_of(one, wish))
        return ItemPlan(
            wish=wish, places=places, examples=tuple(able[:12]), items=len(able), left=len(found) - len(able)
        )

    def carry_out(self, plan: ItemPlan) -> Outcome:
        self.done.append(plan)
        return Outcome(ok=True, text=f"{len(plan.places)} done")


def source(n: int = 156, **fields: Any) -> FakeSource:
    """A busy night with so many items."""
    made = FakeSource(replace(busy(), **fields))
    made.items = FakeItems(n)
    return made


__all__ = ["NOW", "FakeItemActions", "FakeItems", "detail_of", "make_item", "source"]
