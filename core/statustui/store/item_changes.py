"""What people change of items: guarded, and written into the story with who did it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from statustui.model import item_fold, steps
from statustui.model.clean import text as cleaned
from statustui.model.ids import new_id
from statustui.model.item_state import ItemState, KnownStep
from statustui.model.status import ItemStatus
from statustui.store import item_clock, item_load, item_save
from statustui.store.item_claims import UnknownStep
from statustui.store.item_definitions import pipeline_of
from statustui.store.item_reads import NoSuchItem
from statustui.store.open import Store
from statustui.store.requests import note_change

__all__ = ["reset", "reset_many", "retry", "retry_many", "skip", "skip_many"]


@contextmanager
def _loaded(store: Store, name: str, keys: Sequence[str]) -> Iterator[list[ItemState]]:
    """Items with all their steps, locked; what the block changes of them is stored.

    Raises:
        NoSuchPipeline: there is no such pipeline.
        NoSuchItem: it has no such item.
    """
    with store.write() as connection:
        pipeline = pipeline_of(store, connection, name)
        found = item_load.by_key(store, connection, pipeline, keys)
        absent = next((key for key in keys if key not in found), None)
        if absent is not None:
            raise NoSuchItem(f"pipeline {name!r} has no item {absent!r}")
        states = list(found.values())
        item_load.all_cells(connection, states)
        for item in states:
            item_fold.catch_up(item)
            if item.definition != pipeline.rev:
                item.dirty = True
                item.derive()
        yield states
        if item_save.save(connection, states):
            note_change(connection)


def _step(item: ItemState, step: str) -> KnownStep:
    known = item.pipeline.step(step)
    if known is None or item.letter(known.slot) == ".":
        raise UnknownStep(f"item {item.key!r} of pipeline {item.pipeline.name!r} has no step {step!r}")
    return known


def reset(store: Store, name: str, key: str, step: str, *, actor: str, reason: str | None = None) -> tuple[str, ...]:
    """Let a step, and what depends on it, begin anew: without tries, error or result.

    Returns:
        Keys of the steps that were not pending, the step itself included.

    Raises:
        NoSuchPipeline: there is no such pipeline.
        NoSuchItem: it has no such item.
        UnknownStep: the item has no such step.
    """
    return reset_many(store, name, [key], step, actor=actor, reason=reason)[key]


def reset_many(
    store: Store, name: str, keys: Sequence[str], step: str, *, actor: str, reason: str | None = None
) -> dict[str, tuple[str, ...]]:
    """The same for many items, in one transaction: some hundreds at once.

    Returns:
        The same by item.
    """
    with _loaded(store, name, keys) as states:
        at, fact = item_clock.now(store), new_id()
        return {
            item.key: item_fold.reset_steps(
                item, _step(item, step), at, fact, actor=cleaned(actor, 200), reason=cleaned(reason, 4096), cascade=True
            )
            for item in states
        }


def skip(store: Store, name: str, key: str, step: str | None = None, *, actor: str, reason: str | None = None) -> bool:
    """Skip a step of an item; without a step all that is open of it.

    Returns:
        False when nothing was open.

    Raises:
        NoSuchPipeline: there is no such pipeline.
        NoSuchItem: it has no such item.
        UnknownStep: the item has no such step.
    """
    return bool(skip_many(store, name, [key], step, actor=actor, reason=reason))


def skip_many(
    store: Store, name: str, keys: Sequence[str], step: str | None = None, *, actor: str, reason: str | None = None
) -> list[str]:
    """The same for many items, in one transaction: some hundreds at once.

    Returns:
        Keys of the items of which anything was open.
    """
    with _loaded(store, name, keys) as states:
        at = round(item_clock.now(store), 6)
        return [item.key for item in states if _skip(item, step, at, actor, reason)]


def _skip(item: ItemState, step: str | None, at: float, actor: str, reason: str | None) -> bool:
    told = {"k": "item.skip" if step is None else "step.end", "reason": reason or ""}
    if step is not None:
        known = _step(item, step)
        if item.letter(known.slot) in "csx":
            return False
        told |= {"step": known.step.key, "status": ItemStatus.SKIPPED.value, "att": new_id()}
    elif not set("prwf") & set(item.states):
        return False
    item_fold.fold_item(item, told, at, new_id())
    for event in item.events:
        event.actor = cleaned(actor, 200)
    return True


def retry(store: Store, name: str, key: str, step: str, *, actor: str) -> bool:
    """Let a failed step be tried again at once; its tries still count.

    Returns:
        False when it had not failed.

    Raises:
        NoSuchPipeline: there is no such pipeline.
        NoSuchItem: it has no such item.
    """
    return retry_many(store, name, [(key, step)], actor=actor) == 1


def retry_many(store: Store, name: str, failures: Iterable[tuple[str, str]], *, actor: str) -> int:
    """The same for many (key, step) at once, in one transaction.

    Returns:
        How many of them had failed.
    """
    wanted: dict[str, list[str]] = {}
    for key, step in failures:
        wanted.setdefault(key, []).append(step)
    if not wanted:
        return 0
    with _loaded(store, name, sorted(wanted)) as states:
        at, fact = round(item_clock.now(store), 6), new_id()
        return sum(_again(item, step, at, fact, actor) for item in states for step in wanted[item.key])


def _again(item: ItemState, step: str, at: float, fact: str, actor: str) -> bool:
    known = item.pipeline.step(step)
    if known is None or item.letter(known.slot) != "f":
        return False
    cell = item.cell(known)
    current = cell.seen.current
    if current is not None and current.ended_at is not None:
        at = max(at, current.ended_at)
    cell.put(steps.tried_again(cell.state, (at, fact)), at)
    item.say(
        at, "step.retry", step=known.id, status=ItemStatus.PENDING.value, actor=cleaned(actor, 200),
        message=f"may be tried again after {cell.seen.tries} tries",
    )  # fmt: skip
    return True
