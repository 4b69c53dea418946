"""Rows of items and their steps to states and back."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping

from statustui.model.item_state import DEFAULT_PLAN, Cell, ItemState, KnownStep, PipelineState, PlanLog
from statustui.model.pipeline import Step
from statustui.model.status import ItemStatus
from statustui.model.steps import Attempt, StepState, view
from statustui.model.times import from_epoch, to_epoch
from statustui.store import item_schema

ITEM = tuple(column.name for column in item_schema.items.columns)
CELL = (
    "item", "step", "status", "ready", "number", "fence", "owner", "claimed_at", "lease_until", "metadata",
    "updated_at", "history", "progress", "attempt", "started_at", "completed_at", "duration_s", "error", "fingerprint",
    "permanent", "reason", "run_id", "input_hash",
)  # fmt: skip
_NO_ATTEMPT = (None, None, None, None, None, None, None, False, None, None, None)
STEP = tuple(column.name for column in item_schema.steps.columns if column.name != "id")
EVENT = ("at", "pipeline", "item", "step", "kind", "status", "message", "detail", "actor", "task_id")
_ERROR_KEPT = 4096


def known_step(row: RowMapping) -> KnownStep:
    """A step from its row."""
    return KnownStep(
        id=row["id"],
        slot=row["slot"],
        active=row["active"],
        step=Step(
            key=row["key"],
            label=row["label"],
            short=row["short"],
            title=row["title"],
            weight=row["weight"],
            after=None if row["after"] is None else tuple(row["after"]),
            group=row["group"],
            optional=row["optional"],
            max_retries=row["max_retries"],
            aliases=tuple(row["aliases"] or ()),
        ),
    )


def step_row(pipeline: int, step: Step, slot: int, position: int | None, *, active: bool) -> dict[str, Any]:
    """Values for a row of ``steps``."""
    return {
        "pipeline": pipeline, "key": step.key, "slot": slot, "position": position, "label": step.label,
        "short": step.short, "title": step.title, "weight": step.weight,
        "after": None if step.after is None else list(step.after), "group": step.group, "optional": step.optional,
        "max_retries": step.max_retries, "aliases": list(step.aliases) or None, "active": active,
    }  # fmt: skip


def item_state(row: RowMapping, pipeline: PipelineState) -> ItemState:
    """The state of an item as it is stored, without its steps."""
    fresh = row["definition"] == 0
    log = plan_log(row["plan"])
    item = ItemState(
        pipeline=pipeline,
        key=row["key"],
        id=row["id"],
        log=log,
        plan=log.plan() if log is not None else DEFAULT_PLAN,
        kind=row["kind"],
        date=row["date"],
        attributes=row["attributes"] or {},
        created_at=0.0 if fresh else to_epoch(row["created_at"]),
        updated_at=0.0 if fresh else to_epoch(row["updated_at"]),
        completed_at=_epoch(row["completed_at"]),
        status=ItemStatus(row["status"]),
        states=row["states"],
        current_step=row["current_step"],
        error_step=row["error_step"],
        last_error=row["last_error"],
        fingerprint=row["fingerprint"],
        failed_at=_epoch(row["failed_at"]),
        retry_count=row["retry_count"],
        definition=row["definition"],
        fresh=fresh,
    )
    if not fresh:
        item.counted = (item.kind or "", item.date, item.status.value, item.states)
    return item


def item_row(item: ItemState) -> tuple[Any, ...]:
    """Values for a row of ``items``, in the order of ``ITEM``."""
    return (
        item.id, item.pipeline.id, item.key, item.status.value, item.states, item.kind, item.date,
        item.attributes or None, item.current_step, item.error_step, item.last_error, item.fingerprint,
        _time(item.failed_at), item.retry_count, from_epoch(item.created_at), from_epoch(item.updated_at),
        _time(item.completed_at), plan_json(item.log), item.definition,
    )  # fmt: skip


def plan_log(value: Any) -> PlanLog | None:
    """What was said about the steps of an item, as it is stored."""
    if not isinstance(value, Mapping):
        return None
    return PlanLog(
        added={key: (at, fact, group) for key, (at, fact, group) in value.get("added", {}).items()},
        switched={key: (at, fact, on) for key, (at, fact, on) in value.get("switched", {}).items()},
        skips=[(at, fact, reason) for at, fact, reason in value.get("skips", ())],
        told=dict(value.get("told", {})),
        added_at=value.get("added_at"),
        waiting=[(at, fact, record) for at, fact, record in value.get("waiting", ()) if isinstance(record, dict)],
    )


def plan_json(log: PlanLog | None) -> dict[str, Any] | None:
    """The same for storing; None where there is nothing to keep."""
    if log is None:
        return None
    found: dict[str, Any] = {
        "added": {key: list(word) for key, word in log.added.items()},
        "switched": {key: list(word) for key, word in log.switched.items()},
        "skips": [list(skip) for skip in log.skips],
        "told": log.told,
        "added_at": log.added_at,
        "waiting": [list(fact) for fact in log.waiting],
    }
    return {name: value for name, value in found.items() if value} or None


def cell(row: RowMapping, known: KnownStep) -> Cell:
    """A step of an item as it is stored."""
    state = _state(row)
    return Cell(
        known=known,
        state=state,
        seen=view(state),
        fence=row["fence"],
        owner=row["owner"],
        claimed_at=_epoch(row["claimed_at"]),
        lease_until=_epoch(row["lease_until"]),
        updated_at=to_epoch(row["updated_at"]),
        ready=row["ready"],
        dirty=False,
    )


def cell_row(item: int, one: Cell) -> tuple[Any, ...]:
    """Values for a row of ``item_steps``, in the order of ``CELL``."""
    seen = one.seen
    now = seen.current if seen.status is not ItemStatus.PENDING else None
    told: tuple[Any, ...] = _NO_ATTEMPT
    if now is not None:
        told = (
            now.progress, now.id, from_epoch(now.order[0]) if now.begun else None, _time(now.ended_at), now.duration_s,
            now.error, one.fingerprint, now.permanent, now.reason, now.run_id, now.input_hash,
        )  # fmt: skip
    return (
        item, one.known.id, seen.status.value, one.ready, seen.tries, one.fence, one.owner, _time(one.claimed_at),
        _time(one.lease_until), seen.metadata or None, from_epoch(one.updated_at), _history(one.state, now), *told,
    )  # fmt: skip


def _history(state: StepState, current: Attempt | None) -> dict[str, Any] | None:
    """What the columns do not say: None for a step without attempts, or with one that they tell wholly."""
    if not state.resets and not state.again and not state.forgotten:
        if not state.attempts:
            return None
        if current is not None and state.attempts == (current,) and not (current.whole or current.presumed):
            return None
    found: dict[str, Any] = {"attempts": [_attempt(one, keep=one is current) for one in state.attempts]}
    if state.resets:
        found["resets"] = [list(order) for order in state.resets]
    if state.again:
        found["again"] = [list(order) for order in state.again]
    if state.forgotten:
        found["forgotten"] = state.forgotten
    return found


_SHORT = ("ended_at", "progress", "error", "duration_s", "run_id", "input_hash", "reason")


def _attempt(attempt: Attempt, *, keep: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"id": attempt.id, "at": attempt.order[0], "status": attempt.status.value}
    for name in _SHORT:
        value = getattr(attempt, name)
        if value is not None:
            told[name] = value
    if not keep and len(told.get("error", "")) > 200:
        # The whole text stands in the events.
        told["error"] = told["error"][:199] + "…"
    if attempt.metadata:
        told["metadata"] = dict(attempt.metadata)
    for name in ("permanent", "whole", "presumed"):
        if getattr(attempt, name):
            told[name] = True
    if not attempt.begun:
        told["begun"] = False
    return told


def _state(row: RowMapping) -> StepState:
    history = row["history"]
    if isinstance(history, Mapping):
        attempts = tuple(_stored_attempt(told) for told in history.get("attempts", ()))
        resets = tuple((at, fact) for at, fact in history.get("resets", ()))
        again = tuple((at, fact) for at, fact in history.get("again", ()))
        return StepState(attempts=attempts, resets=resets, again=again, forgotten=history.get("forgotten", 0))
    if row["attempt"] is None:
        return StepState()
    start, end = _epoch(row["started_at"]), _epoch(row["completed_at"])
    only = Attempt(
        id=row["attempt"],
        order=((start if start is not None else end) or 0.0, row["attempt"]),
        status=ItemStatus(row["status"]),
        ended_at=end,
        progress=row["progress"],
        error=row["error"],
        duration_s=row["duration_s"],
        metadata=row["metadata"] or {},
        run_id=row["run_id"],
        input_hash=row["input_hash"],
        begun=start is not None,
        permanent=row["permanent"],
        reason=row["reason"],
    )
    return StepState(attempts=(only,))


def _stored_attempt(told: Mapping[str, Any]) -> Attempt:
    return Attempt(
        id=told["id"],
        order=(told["at"], told["id"]),
        status=ItemStatus(told["status"]),
        metadata=told.get("metadata", {}),
        begun=told.get("begun", True),
        permanent=told.get("permanent", False),
        whole=told.get("whole", False),
        presumed=told.get("presumed", False),
        **{name: told.get(name) for name in _SHORT},
    )


def _time(at: float | None) -> Any:
    return None if at is None else from_epoch(at)


def _epoch(at: Any) -> float | None:
    return None if at is None else to_epoch(at)
