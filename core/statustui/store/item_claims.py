"""Handing steps of items to workers: each to one only, under a fence, for as long as it is renewed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date as Day
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, bindparam, select, update

from statustui.errors import StatustuiError
from statustui.model import item_ends
from statustui.model.ids import new_id
from statustui.model.item_fold import catch_up
from statustui.model.item_state import Cell, ItemState, KnownStep, PipelineState
from statustui.model.items import Claim
from statustui.model.status import ItemStatus
from statustui.model.times import from_epoch
from statustui.store import item_clock, item_definitions, item_load, item_save
from statustui.store.item_definitions import pipeline_of
from statustui.store.item_schema import item_steps, items
from statustui.store.open import Store

_AT_ONCE = 500
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_JOINED = item_steps.join(items, items.c.id == item_steps.c.item)
_READY = (
    select(items.c.id, items.c.key)
    .select_from(_JOINED)
    .where(item_steps.c.step == bindparam("step"), item_steps.c.ready)
    .order_by(item_steps.c.item)
    .limit(bindparam("most"))
)
_FAILED = (
    select(items.c.id, items.c.key)
    .select_from(_JOINED)
    .where(item_steps.c.step == bindparam("step"), item_steps.c.status == "failed")
    .order_by(item_steps.c.item)
    .limit(bindparam("most"))
)
_LOCK = select(items.c.id).where(items.c.id.in_(_IDS)).order_by(items.c.pipeline, items.c.id)
_RENEW = (
    update(item_steps)
    .where(
        item_steps.c.item == bindparam("b_item"), item_steps.c.step == bindparam("b_step"),
        item_steps.c.attempt == bindparam("b_attempt"), item_steps.c.fence == bindparam("b_fence"),
        item_steps.c.status == "processing", item_steps.c.lease_until.is_not(None),
    )
    .values(lease_until=bindparam("b_until"))
)  # fmt: skip
_OVER = (
    select(item_steps.c.item, items.c.pipeline)
    .select_from(_JOINED)
    .where(item_steps.c.lease_until < bindparam("now"))
    .order_by(item_steps.c.lease_until)
    .limit(_AT_ONCE)
)


class UnknownStep(StatustuiError, ValueError):
    """The pipeline has no such step."""


def ready(
    store: Store, name: str, step: str, *, limit: int = 1000, since: Day | None = None, until: Day | None = None
) -> list[str]:
    """Keys of items at which a step waits and can begin, the oldest first.

    Raises:
        NoSuchPipeline: there is no such pipeline.
        UnknownStep: it has no such step.
    """
    with store.read() as connection:
        known = _known(pipeline_of(store, connection, name), step)
        rows = connection.execute(_within(_READY, since, until, None), {"step": known.id, "most": limit})
        return [row.key for row in rows]


def claim(
    store: Store,
    name: str,
    step: str,
    *,
    limit: int = 1,
    lease_s: float = 60.0,
    owner: str,
    run_id: str | None = None,
    keys: Sequence[str] | None = None,
    since: Day | None = None,
    until: Day | None = None,
    failed: bool = False,
) -> list[Claim]:
    """Take items that are ready at a step; nobody else gets them while the claim is renewed.

    Args:
        store: the store.
        name: the pipeline.
        step: key of the step.
        limit: at most so many.
        lease_s: seconds until the claim is over unless it is renewed.
        owner: who takes them, for people.
        run_id: the run that works on them; when it ends the claims are over.
        keys: only these items.
        since: first date of the items.
        until: last date of the items.
        failed: take items whose step has failed, not those that are ready.

    Raises:
        NoSuchPipeline: there is no such pipeline.
        UnknownStep: it has no such step.
    """
    if limit < 1 or (keys is not None and not keys):
        return []
    with store.write() as connection:
        pipeline = pipeline_of(store, connection, name)
        known = _known(pipeline, step)
        statement = _within(_FAILED if failed else _READY, since, until, keys)
        if store.database.lock_rows:
            # Whoever comes meanwhile takes the next ones and does not wait.
            statement = statement.with_for_update(of=items, skip_locked=True)
        ids = [row.id for row in connection.execute(statement, {"step": known.id, "most": limit})]
        if not ids:
            return []
        states = _loaded(store, connection, {pipeline.id: pipeline}, ids, known)
        now = item_clock.now(store)
        wanted = "f" if failed else "r"
        claims = []
        for item in states:
            if item.letter(known.slot) == wanted:
                cell = item_ends.claim(item, known, new_id(), now, now + lease_s, owner, run_id)
                claims.append(_told(item, known, cell))
        item_save.save(connection, states)
        return claims


def _known(pipeline: PipelineState, step: str) -> KnownStep:
    known = pipeline.step(step)
    if known is None:
        raise UnknownStep(f"pipeline {pipeline.name!r} has no step {step!r}")
    return known


def _within(statement: Select[Any], since: Day | None, until: Day | None, keys: Sequence[str] | None) -> Select[Any]:
    if since is not None:
        statement = statement.where(items.c.date >= since)
    if until is not None:
        statement = statement.where(items.c.date <= until)
    if keys is not None:
        statement = statement.where(items.c.key.in_(list(keys)))
    return statement


def _loaded(
    store: Store, connection: Connection, pipelines: dict[int, PipelineState], ids: Iterable[int], known: KnownStep
) -> list[ItemState]:
    states = item_load.by_id(store, connection, pipelines, ids)
    stale = [item for item in states if item.definition != item.pipeline.rev]
    sound = [item for item in states if item.definition == item.pipeline.rev]
    item_load.all_cells(connection, stale)
    item_load.some_cells(connection, sound, {known.id, *item_load.failed_steps(sound)})
    for item in stale:
        item.dirty = True
        catch_up(item)
        item.derive()
    return states


def _told(item: ItemState, known: KnownStep, cell: Cell) -> Claim:
    current = cell.seen.current
    return Claim(
        key=item.key,
        step=known.step.key,
        attempt=current.id if current is not None else "",
        fence=cell.fence,
        claimed=cell.claimed_at or 0.0,
        lease_until=from_epoch(cell.lease_until or 0.0),
        item=item.id or 0,
        step_id=known.id,
        tries=cell.seen.tries,
        kind=item.kind,
        date=item.date,
        attributes=item.attributes,
    )


def renew(store: Store, claims: Iterable[Claim], lease_s: float) -> list[Claim]:
    """Keep claims for *lease_s* more seconds.

    Returns:
        Those that still are; whoever holds another one has lost it.
    """
    held = sorted(claims, key=lambda one: (one.item, one.step_id))
    kept: list[Claim] = []
    if not held:
        return kept
    with store.write() as connection:
        if store.database.lock_rows:
            connection.execute(_LOCK.with_for_update(), {"ids": sorted({one.item for one in held})})
        until = from_epoch(item_clock.now(store) + lease_s)
        for one in held:
            values = {"b_item": one.item, "b_step": one.step_id, "b_attempt": one.attempt, "b_fence": one.fence}
            if connection.execute(_RENEW, values | {"b_until": until}).rowcount == 1:
                kept.append(replace(one, lease_until=until))
    return kept


def release(store: Store, claims: Iterable[Claim], reason: str = "given back by its worker") -> int:
    """Give claims back: their steps wait again, and the attempt counts as no try.

    Returns:
        How many still were claimed.
    """
    held = {(one.item, one.step_id): one for one in claims}

    def over(item: ItemState, cell: Cell) -> bool:
        one = held.get((item.id or 0, cell.known.id))
        return one is not None and cell.fence == one.fence

    if not held:
        return 0
    with store.write() as connection:
        return _end(store, connection, {number for number, _ in held}, over, reason, own=True)


def expire_leases(store: Store) -> int:
    """Return steps whose claim nobody renewed to those that wait, with an event for each.

    Returns:
        How many, at most five hundred at once.
    """
    now = from_epoch(item_clock.now(store))
    if store.connection.execute(_OVER, {"now": now}).first() is None:
        return 0
    with store.write() as connection:
        at = item_clock.now(store)
        numbers = {row.item for row in connection.execute(_OVER, {"now": from_epoch(at)})}

        def over(item: ItemState, cell: Cell) -> bool:
            return cell.lease_until is not None and cell.lease_until < at

        return _end(store, connection, numbers, over, "its claim was not renewed", own=False)


def _end(
    store: Store,
    connection: Connection,
    numbers: Iterable[int],
    over: Callable[[ItemState, Cell], bool],
    reason: str,
    *,
    own: bool,
) -> int:
    """End those claims on these items that are over."""
    ids = sorted(numbers)
    if not ids:
        return 0
    theirs = select(items.c.pipeline).where(items.c.id.in_(ids)).distinct()
    pipelines = item_definitions.by_number(store, connection, connection.execute(theirs).scalars())
    states = item_load.by_id(store, connection, pipelines, ids)
    item_load.all_cells(connection, states)
    at = item_clock.now(store)
    ended = 0
    for item in states:
        catch_up(item)
        for cell in list(item.cells.values()):
            if cell.seen.status is ItemStatus.PROCESSING and over(item, cell):
                who = f" ({cell.owner})" if cell.owner else ""
                item_ends.release(item, cell, at, f"{reason}{who}", own=own)
                ended += 1
    item_save.save(connection, states)
    return ended
