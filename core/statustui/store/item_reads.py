"""What viewers and programs ask about items: short reads, each answered by an index made for it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import BindParameter, Connection, RowMapping, bindparam, func, select

from statustui.errors import StatustuiError
from statustui.model.item_state import DEFAULT_PLAN, LETTERS, KnownStep, PipelineState
from statustui.model.items import Item, ItemDetail, ItemEvent, ItemStep
from statustui.model.pipeline import Definition, Plan, item_fraction
from statustui.model.status import ItemStatus
from statustui.store import item_definitions, item_rows
from statustui.store.item_definitions import NoSuchPipeline, ordered, pipeline_of
from statustui.store.item_schema import item_steps
from statustui.store.item_schema import items as items_table
from statustui.store.item_selector import ItemSelector, ItemSort, beyond, order
from statustui.store.item_summary import all_pipelines, failed, failure_groups, summary
from statustui.store.open import Store
from statustui.store.schema import events, runs

__all__ = [
    "ItemSelector", "ItemSort", "NoSuchItem", "NoSuchPipeline", "count", "definition", "failed", "failure_groups",
    "history", "item", "items", "of_run", "overall_many", "pipelines", "summary",
]  # fmt: skip

pipelines = all_pipelines
_EVENTS = 1_000
_PART = 500
_KEYS: BindParameter[Any] = bindparam("keys", expanding=True)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_PIPELINE: BindParameter[Any] = bindparam("pipeline")
_ITEM = select(items_table).where(items_table.c.pipeline == _PIPELINE)
_ONE = _ITEM.where(items_table.c.key == bindparam("key"))
_MANY = _ITEM.where(items_table.c.key.in_(_KEYS))
_CELLS = select(item_steps).where(item_steps.c.item == bindparam("item"))
_RUNNING = select(item_steps.c.item, item_steps.c.step, item_steps.c.progress).where(
    item_steps.c.item.in_(_IDS), item_steps.c.status == "processing", item_steps.c.progress.is_not(None)
)
_STORY = (
    select(events, runs.c.run_id)
    .select_from(events.outerjoin(runs, runs.c.id == events.c.run))
    .where(events.c.item == bindparam("item"))
    .order_by(events.c.id.desc())
    .limit(bindparam("most"))
)
_OF_RUN = (
    select(item_steps.c.item, item_steps.c.step)
    .where(item_steps.c.run_id == bindparam("run_id"))
    .order_by(item_steps.c.item, item_steps.c.step)
    .limit(bindparam("most"))
)
_BY_ID = select(items_table).where(items_table.c.id.in_(_IDS))


class NoSuchItem(StatustuiError):
    """The store knows no item of that key."""


def definition(store: Store, name: str) -> Definition:
    """A pipeline's definition.

    Raises:
        NoSuchPipeline: there is none.
    """
    with store.read() as connection:
        return pipeline_of(store, connection, name).definition


def item_of(row: RowMapping, pipeline: PipelineState) -> Item:
    """An item from its row."""
    log = item_rows.plan_log(row["plan"])
    plan = log.plan() if log is not None else DEFAULT_PLAN
    letters: str = row["states"]
    steps = [one for one in pipeline.shape(plan).steps if one.slot < len(letters) and letters[one.slot] != "."]
    states = {one.step.key: LETTERS[letters[one.slot]] for one in steps}
    cells = "".join(letters[one.slot] if one.slot < len(letters) else "." for one in ordered(pipeline))
    return Item(
        id=row["id"],
        pipeline=pipeline.name,
        key=row["key"],
        status=ItemStatus(row["status"]),
        kind=row["kind"],
        date=row["date"],
        attributes=row["attributes"] or {},
        states=states,
        ready=frozenset(one.step.key for one in steps if letters[one.slot] == "r"),
        cells=cells.replace("x", "s"),
        fraction=item_fraction([one.step for one in steps], states),
        current_step=_key(pipeline, row["current_step"]),
        error_step=_key(pipeline, row["error_step"]),
        last_error=row["last_error"],
        fingerprint=row["fingerprint"],
        failed_at=row["failed_at"],
        retries=row["retry_count"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        completed_at=row["completed_at"],
    )


def _key(pipeline: PipelineState, step: int | None) -> str | None:
    known = pipeline.by_id.get(step) if step is not None else None
    return known.step.key if known is not None else None


def _items(connection: Connection, pipeline: PipelineState, rows: Iterable[RowMapping]) -> list[Item]:
    """Items from their rows; those that run get the progress inside their steps, in one question."""
    found = [item_of(row, pipeline) for row in rows]
    running = {one.id: number for number, one in enumerate(found) if "w" in one.cells}
    numbers = sorted(running)
    progress: dict[int, dict[str, float]] = {}
    for start in range(0, len(numbers), _PART):
        for item, step, percent in connection.execute(_RUNNING, {"ids": numbers[start : start + _PART]}):
            key = _key(pipeline, step)
            if key is not None:
                progress.setdefault(item, {})[key] = percent
    for item, inside in progress.items():
        one = found[running[item]]
        steps = [pipeline.known[key].step for key in one.states if key in pipeline.known]
        found[running[item]] = replace(one, fraction=item_fraction(steps, one.states, inside))
    return found


def overall_many(store: Store, name: str, keys: Sequence[str]) -> dict[str, Item]:
    """Where several items stand, by key; those that the store does not know are left out.

    Raises:
        NoSuchPipeline: there is no such pipeline.
    """
    with store.read() as connection:
        pipeline = pipeline_of(store, connection, name)
        found: list[Item] = []
        for start in range(0, len(keys), _PART):
            values = {"pipeline": pipeline.id, "keys": list(keys[start : start + _PART])}
            found += _items(connection, pipeline, connection.execute(_MANY, values).mappings().all())
        return {one.key: one for one in found}


def items(
    store: Store,
    selector: ItemSelector,
    limit: int = 50,
    after: Item | None = None,
    *,
    sort: ItemSort = ItemSort.KEY,
    reverse: bool = False,
    skip: int = 0,
) -> list[Item]:
    """A page of the items that match.

    Args:
        store: the store.
        selector: which.
        limit: at most so many.
        after: the last item of the page before; None = the first page.
        sort: the order.
        reverse: backwards; with *after* that is the page before it.
        skip: leave out so many first, to jump into the middle of a list; the further, the dearer.

    Raises:
        NoSuchPipeline: there is no such pipeline.
    """
    with store.read() as connection:
        pipeline = pipeline_of(store, connection, selector.pipeline)
        where = selector.conditions(pipeline.id, _numbers(pipeline))
        where += beyond(sort, after, reverse=reverse, nulls_low=store.dialect == "sqlite")
        statement = select(items_table).where(*where).order_by(*order(sort, reverse=reverse)).limit(limit)
        if skip:
            statement = statement.offset(skip)
        return _items(connection, pipeline, connection.execute(statement).mappings().all())


def count(
    store: Store,
    selector: ItemSelector,
    *,
    before: Item | None = None,
    sort: ItemSort = ItemSort.KEY,
    reverse: bool = False,
) -> int:
    """How many items match.

    Args:
        store: the store.
        selector: which.
        before: count only those that come before this item: its place in the list, from 0.
        sort: the list's order.
        reverse: whether the list goes backwards.

    Raises:
        NoSuchPipeline: there is no such pipeline.
    """
    with store.read() as connection:
        pipeline = pipeline_of(store, connection, selector.pipeline)
        where = selector.conditions(pipeline.id, _numbers(pipeline))
        if before is not None:
            where += beyond(sort, before, reverse=not reverse, nulls_low=store.dialect == "sqlite")
        elif sort is ItemSort.FAILED:
            where.append(items_table.c.failed_at.is_not(None))
        return int(connection.execute(select(func.count()).select_from(items_table).where(*where)).scalar_one())


def _numbers(pipeline: PipelineState) -> dict[str, int]:
    found = {key: one.id for key, one in pipeline.known.items()}
    for step in pipeline.definition.steps:
        found |= {alias: pipeline.known[step.key].id for alias in step.aliases}
    return found


def item(store: Store, name: str, key: str) -> ItemDetail:
    """Everything about one item.

    Raises:
        NoSuchPipeline: there is no such pipeline.
        NoSuchItem: it has no such item.
    """
    with store.read() as connection:
        pipeline = pipeline_of(store, connection, name)
        row = connection.execute(_ONE, {"pipeline": pipeline.id, "key": key}).mappings().first()
        if row is None:
            raise NoSuchItem(f"pipeline {name!r} has no item {key!r}")
        (one,) = _items(connection, pipeline, [row])
        log = item_rows.plan_log(row["plan"])
        cells = {cell["step"]: cell for cell in connection.execute(_CELLS, {"item": one.id}).mappings()}
        return ItemDetail(
            item=one,
            plan=log.plan() if log is not None else Plan(),
            steps=tuple(_step(pipeline.known[step], one, cells.get(pipeline.known[step].id)) for step in one.states),
            events=_story(connection, pipeline, one),
        )


def history(store: Store, name: str, key: str) -> tuple[ItemEvent, ...]:
    """The story of an item, oldest first; the newest thousand lines.

    Raises:
        NoSuchPipeline: there is no such pipeline.
        NoSuchItem: it has no such item.
    """
    with store.read() as connection:
        pipeline = pipeline_of(store, connection, name)
        row = connection.execute(_ONE, {"pipeline": pipeline.id, "key": key}).mappings().first()
        if row is None:
            raise NoSuchItem(f"pipeline {name!r} has no item {key!r}")
        return _story(connection, pipeline, item_of(row, pipeline))


def of_run(store: Store, run_id: str, limit: int = 500) -> list[tuple[Item, str]]:
    """The items that a run works or worked on, each with the key of the step."""
    with store.read() as connection:
        places = connection.execute(_OF_RUN, {"run_id": run_id, "most": limit}).all()
        numbers = sorted({place.item for place in places})
        rows: dict[int, RowMapping] = {}
        for start in range(0, len(numbers), _PART):
            for row in connection.execute(_BY_ID, {"ids": numbers[start : start + _PART]}).mappings():
                rows[row["id"]] = row
        known = item_definitions.by_number(store, connection, {row["pipeline"] for row in rows.values()})
        found = {number: item_of(row, known[row["pipeline"]]) for number, row in rows.items()}
        return [(found[place.item], known[rows[place.item]["pipeline"]].by_id[place.step].step.key) for place in places]


def _step(known: KnownStep, one: Item, row: RowMapping | None) -> ItemStep:
    key = known.step.key
    if row is None:
        return ItemStep(step=known.step, status=one.states[key], ready=key in one.ready)
    return ItemStep(
        step=known.step,
        status=one.states[key],
        ready=key in one.ready,
        progress=row["progress"],
        tries=row["number"],
        metadata=row["metadata"] or {},
        **{
            field: row[field]
            for field in (
                "attempt", "fence", "owner", "lease_until", "started_at", "completed_at", "duration_s", "error",
                "permanent", "reason", "run_id", "input_hash",
            )
        },
    )  # fmt: skip


def _story(connection: Connection, pipeline: PipelineState, one: Item) -> tuple[ItemEvent, ...]:
    rows = connection.execute(_STORY, {"item": one.id, "most": _EVENTS}).mappings().all()
    # By when it happened: journals of several hosts arrive in any order.
    ordered_rows = sorted(rows, key=lambda row: (row["at"], row["id"]))
    return tuple(
        ItemEvent(
            at=row["at"], kind=row["kind"], status=row["status"], message=row["message"], detail=row["detail"],
            actor=row["actor"], run_id=row["run_id"], key=one.key, step=_key(pipeline, row["step"]),
            task_id=row["task_id"],
        )
        for row in ordered_rows
    )  # fmt: skip
