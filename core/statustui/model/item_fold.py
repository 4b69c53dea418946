"""What the facts about one item change: pure, and the same in the end whatever the order in which journals arrive.

Each change leaves an event. What is not legal changes nothing and leaves a ``refused`` event with its reason; what
comes late, from an attempt that another has followed, leaves a ``late`` one.
"""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

from statustui.model import clean, steps
from statustui.model.item_state import Cell, ItemState, KnownStep, PlanLog
from statustui.model.status import ItemStatus
from statustui.model.steps import Attempt

_MESSAGE = 4096
_WAITING = 50
_WAITING_BYTES = 16_384
# Pending: its own worker gives it back.
_ENDS = tuple(status for status in ItemStatus if status is not ItemStatus.PROCESSING)

Record = dict[str, Any]


def fold_item(item: ItemState, record: Record, at: float, fact: str) -> None:
    """Apply one record to the item that it is about.

    Args:
        item: what is known; changed in place.
        record: a line of a journal.
        at: when it happened, by the store's clock, in epoch seconds.
        fact: what identifies the record: journal and offset.
    """
    handler = _HANDLERS.get(str(record.get("k")))
    if handler is None:
        return
    if not item.pipeline.rev:  # nobody has told of the pipeline yet
        _wait(item, record, at, fact)
        item.touch(at)
        return
    handler(item, record, at, fact)


def catch_up(item: ItemState) -> None:
    """Apply what waited for a definition or a plan that is there by now; all steps of the item must be at hand."""
    log = item.log
    if log is None or not log.waiting or not item.pipeline.rev:
        return
    # Where the whole item waited, each of its facts has its say, those that are refused, too.
    ready = [one for one in log.waiting if not item.created_at or _applies(item, one[2])]
    if ready:
        log.waiting = [one for one in log.waiting if one not in ready]
        item.dirty = True
        for at, fact, record in sorted(ready, key=lambda one: one[:2]):
            fold_item(item, record, at, fact)


def _wait(item: ItemState, record: Record, at: float, fact: str) -> None:
    log = item.log = item.log or PlanLog()
    if any(known[1] == fact for known in log.waiting) or len(json.dumps(record)) > _WAITING_BYTES:
        return
    log.waiting = sorted([*log.waiting, (at, fact, record)], key=lambda one: one[:2])[-_WAITING:]
    item.dirty = True


def _applies(item: ItemState, record: Record) -> bool:
    """Whether the steps that a record names are known, and the item's own."""
    if record.get("k") == "item.plan":
        names = [*clean.texts(record.get("on")), *clean.texts(record.get("off"))]
        return not names or any(item.pipeline.step(name) is not None for name in names)
    if "step" not in record:
        return True
    known = item.pipeline.step(clean.text(record.get("step"), 500) or "")
    return known is not None and known.slot in item.pipeline.shape(item.plan).waits_for


def _add(item: ItemState, record: Record, at: float, fact: str) -> None:
    values = clean.mapping(record.get("attributes"))
    kind = clean.text(record.get("kind"), 200)
    given: dict[str, Any] = {f"a:{key}": value for key, value in values.items()}
    if kind:
        given["kind"] = kind
    if record.get("date"):
        try:
            given["date"] = date.fromisoformat(str(record["date"])[:10])
        except ValueError:
            item.say(at, "refused", message=f"add: {str(record['date'])[:40]!r} is no date; write it as 2025-01-31")
    first = item.fresh and not item.events
    # First: what was told before of the item is older than this fact only as long as this one has told nothing.
    item.touch(at)
    changed = _told(item, given, at)
    if changed or first:
        said = json.dumps(values, ensure_ascii=False) if values else None
        item.say(at, "item.add", message=kind, detail=clean.text(said, _MESSAGE))


def _told(item: ItemState, given: dict[str, Any], at: float) -> bool:
    """Take over what is newer than what was told of the same thing before; True when anything changed."""
    have: dict[str, Any] = {f"a:{key}": value for key, value in item.attributes.items()}
    have |= {name: value for name in ("kind", "date") if (value := getattr(item, name)) is not None}
    taken = {name: value for name, value in given.items() if name not in have}
    if have and given:
        log = item.log = item.log or PlanLog()
        base = log.added_at if log.added_at is not None else item.created_at
        if not log.told:
            log.told = dict.fromkeys(have, base)
        for name, value in given.items():
            # Of two that were told at one moment the larger counts: any rule does that is the same everywhere.
            if name in have and (at, repr(value)) > (log.told.get(name, base), repr(have[name])):
                taken[name] = value
        log.told |= {name: max(at, log.told.get(name, at)) for name in given}
    elif given and item.created_at and item.created_at < at:
        item.log = item.log or PlanLog()
        item.log.added_at = at
    changed = False
    for name, value in taken.items():
        if name not in have or have[name] != value:
            changed = True
            if name.startswith("a:"):
                item.attributes = {**item.attributes, name[2:]: value}
            else:
                setattr(item, name, value)
    return changed


def _plan(item: ItemState, record: Record, at: float, fact: str) -> None:
    log = item.log = item.log or PlanLog()
    item.touch(at)
    before, added = item.plan, dict(log.added)
    group = clean.text(record.get("group"), 200) or "main"
    for place, key in enumerate(clean.texts(record.get("add"))):
        old = log.added.get(key)
        # Their order is that of the list; stores do not keep the order of an object's keys (JSONB).
        word = f"{fact} {place:06}" if place else fact
        if key not in item.pipeline.definition and (old is None or (at, word) < old[:2]):
            log.added[key] = (at, word, group)
        _switch(log, key, (at, fact, True), new=True)
    for name, on in (("on", True), ("off", False)):
        for key in clean.texts(record.get(name)):
            known = item.pipeline.step(key)
            if known is None:
                _refuse(item, at, f"switch {name}: {item.pipeline.name} has no step {key!r}")
                _wait(item, {"k": "item.plan", name: [key]}, at, f"{fact} {name} {key}")
            else:
                _switch(log, known.step.key, (at, fact, on))
    item.plan = log.plan()
    if item.plan != before or log.added != added:
        # A step that was added earlier than known so far may have been there when the item was skipped.
        for skip in log.skips:
            _skip_steps(item, *skip)
    if item.plan != before:
        said = {name: record[name] for name in ("add", "on", "off") if record.get(name)}
        item.say(at, "item.plan", message=clean.text(json.dumps(said), _MESSAGE))
        catch_up(item)


def _switch(log: PlanLog, key: str, word: tuple[float, str, bool], *, new: bool = False) -> None:
    old = log.switched.get(key)
    if old is None or word[:2] > old[:2]:
        log.switched[key] = word


def _skip(item: ItemState, record: Record, at: float, fact: str) -> None:
    reason = clean.text(record.get("reason"), _MESSAGE) or ""
    log = item.log = item.log or PlanLog()
    if not any(known[:2] == (at, fact) for known in log.skips):
        log.skips.append((at, fact, reason))
        log.skips.sort()
    if _skip_steps(item, at, fact, reason):
        item.say(at, "item.skip", status=ItemStatus.SKIPPED.value, message=reason)
    else:
        item.say(at, "refused", message="skip: nothing of it is open")


def _skip_steps(item: ItemState, at: float, fact: str, reason: str) -> bool:
    """Skip what was open of an item at that time; True when anything was."""
    changed = False
    for known in item.pipeline.shape(item.plan).steps:
        added = item.log.added.get(known.step.key) if item.log is not None else None
        if added is not None and added[:2] > (at, fact):
            continue
        cell = item.cell(known)
        skipped = Attempt(id=fact, order=(at, fact), status=ItemStatus.SKIPPED, ended_at=at, reason=reason, whole=True)
        before = cell.seen.retries
        cell.put(steps.ended(cell.state, skipped), at)
        retried(item, cell, before)
        changed |= cell.seen.current is not None and cell.seen.current.id == fact
    return changed


def _found(item: ItemState, record: Record, at: float, fact: str) -> KnownStep | None:
    """The step that a record is about; refused when the item has none such, and kept in case that it comes to it."""
    key = clean.text(record.get("step"), 500) or ""
    what = str(record.get("k")).partition(".")[2]
    known = item.pipeline.step(key)
    if known is None:
        _refuse(item, at, f"{what}: {item.pipeline.name} has no step {key!r}")
        _wait(item, record, at, fact)
        return None
    if known.slot not in item.pipeline.shape(item.plan).waits_for:
        off = known.step.key in item.plan.off
        why = "is switched off for it" if off else "is not one of its steps"
        _refuse(item, at, f"{what}: step {key!r} {why}", known)
        _wait(item, record, at, fact)
        return None
    return known


def _refuse(item: ItemState, at: float, why: str, known: KnownStep | None = None, task: str | None = None) -> None:
    step = known.id if known is not None else None
    item.say(at, "refused", step=step, message=clean.text(f"{item.key}: {why}", _MESSAGE), task_id=task)


def _late(cell: Cell, item: ItemState, record: Record, at: float, att: str | None) -> bool:
    """True for a fact of a holder whose claim is over: kept as an event only."""
    fence = record.get("fence")
    if isinstance(fence, int) and not isinstance(fence, bool):
        if fence < cell.fence:
            what = str(record.get("k")).partition(".")[2]
            told = record.get("status") or what
            item.say(
                at, "late", step=cell.known.id, task_id=att, detail=clean.text(record.get("error"), _MESSAGE),
                message=f"{told} under claim {fence}, which is over (now {cell.fence}): changes nothing",
            )  # fmt: skip
            return True
        if fence > cell.fence:
            cell.fence, cell.dirty = min(fence, 2**62), True
    return False


def _order(record: Record, at: float, att: str) -> steps.Order:
    claimed = clean.real(record.get("claimed"), 0, 2.5e11)
    return (at if claimed is None else round(claimed, 6), att)


def _start(item: ItemState, record: Record, at: float, fact: str) -> None:
    known = _found(item, record, at, fact)
    if known is None:
        return
    cell = item.cell(known)
    att = clean.text(record.get("att"), 200) or fact
    if _late(cell, item, record, at, att):
        return
    attempt = Attempt(
        id=att, order=_order(record, at, att), run_id=clean.text(record.get("run"), 64),
        input_hash=clean.text(record.get("hash"), 200),
    )  # fmt: skip
    waits = item.waits(known)
    note = f"before {', '.join(waits)}" if waits else None
    note = note or clean.text(record.get("message"), _MESSAGE)
    change(item, cell, steps.started(cell.state, attempt), at, "step.start", att, record, message=note)


def _update(item: ItemState, record: Record, at: float, fact: str) -> None:
    known = _found(item, record, at, fact)
    if known is None:
        return
    cell = item.cell(known)
    current = cell.seen.current
    att = clean.text(record.get("att"), 200) or (current.id if current is not None else "")
    if _late(cell, item, record, at, att):
        return
    running = cell.seen.status is ItemStatus.PROCESSING
    if not running and all(attempt.id != att for attempt in cell.state.attempts):
        _refuse(item, at, f"update: step {known.step.key!r} is {cell.seen.status.value}", known, att)
        return
    meta = clean.mapping(record.get("meta"))
    progress = clean.real(record.get("progress"), 0, 100)
    before = cell.seen.status
    changed = cell.put(steps.updated(cell.state, att, progress=progress, metadata=meta, at=at), at)
    if changed:
        item.touch(at)
    if not running and cell.seen.status is ItemStatus.PROCESSING:
        running = True
        alive = f"was {before.value}: it is at work after all"
        item.say(at, "step.start", step=known.id, status=cell.seen.status.value, message=alive, task_id=att)
    if meta:
        kind = "step.update" if running and current is not None and current.id == att else "late"
        message = f"{progress:g} %" if progress is not None else None
        item.say(at, kind, step=known.id, status=cell.seen.status.value, message=message, task_id=att,
                 detail=clean.text(json.dumps(meta, ensure_ascii=False), _MESSAGE))  # fmt: skip


def _end(item: ItemState, record: Record, at: float, fact: str) -> None:
    known = _found(item, record, at, fact)
    if known is None:
        return
    cell = item.cell(known)
    current = cell.seen.current
    # Where its end was only presumed, because its process was gone, the word of whoever took it over counts.
    lost = cell.seen.status is ItemStatus.FAILED and current is not None and current.presumed
    open_yet = cell.seen.status is ItemStatus.PROCESSING or lost
    att = clean.text(record.get("att"), 200) or (current.id if open_yet and current is not None else fact)
    if _late(cell, item, record, at, att):
        return
    try:
        status = ItemStatus(str(record.get("status")))
    except ValueError:
        status = ItemStatus.PROCESSING
    if status not in _ENDS:
        _refuse(item, at, f"end: {str(record.get('status'))[:40]!r} ends no step", known, att)
        return
    mine = next((attempt for attempt in cell.state.attempts if attempt.id == att), None)
    order = mine.order if mine is not None else _order(record, at, att)
    duration = clean.real(record.get("duration"), 0, 1e10)
    if duration is None and mine is not None and mine.begun:
        duration = max(0.0, round(at - mine.started_at, 6))
    attempt = Attempt(
        id=att, order=order, status=status, ended_at=max(at, order[0]), duration_s=duration,
        error=clean.text(record.get("error"), _MESSAGE) if status is ItemStatus.FAILED else None,
        metadata=clean.mapping(record.get("meta")), run_id=clean.text(record.get("run"), 64),
        permanent=record.get("permanent") is True, reason=clean.text(record.get("reason"), _MESSAGE),
    )  # fmt: skip
    told = attempt.error or attempt.reason or clean.text(record.get("message"), _MESSAGE)
    change(item, cell, steps.ended(cell.state, attempt), at, "step.end", att, record, message=told, word=status)


def change(
    item: ItemState,
    cell: Cell,
    state: steps.StepState,
    at: float,
    kind: str,
    att: str,
    record: Record,
    *,
    message: str | None = None,
    word: ItemStatus | None = None,
) -> None:
    """Take over a step's new state, and say what became of the fact; an imported one brings words of its own."""
    detail, task = clean.text(record.get("detail")), clean.text(record.get("task_id"), 200) or att
    before = cell.seen.retries
    changed = cell.put(state, at)
    retried(item, cell, before)
    current, key = cell.seen.current, cell.known.step.key
    told = (word or ItemStatus.PROCESSING).value
    if att in cell.seen.refused:
        why = f"{told}: step {key!r} is {cell.seen.status.value}"
        hint = "; reset it first" if cell.seen.status.done else "; start it first"
        _refuse(item, at, why + hint, cell.known, att)
    elif not changed:
        # Told twice (a start that the claim wrote already is the usual way to come here), or after its end.
        if word is not None:
            item.say(at, "late", step=cell.known.id, message=f"{told}: it had ended already", task_id=att)
        elif kind == "step.start":
            item.say(at, kind, step=cell.known.id, status=told, message=message, detail=detail, task_id=task)
    elif current is None or current.id != att:
        note = f" ({message})" if message else ""
        said = clean.text(f"{told}: a later attempt counts{note}", _MESSAGE)
        item.say(at, "late", step=cell.known.id, message=said, task_id=att)
    else:
        item.say(at, kind, step=cell.known.id, status=told, message=message, detail=detail, task_id=task)


def retried(item: ItemState, cell: Cell, before: int) -> None:
    """Keep the item's count of retries: an optional step does not use them up."""
    if not cell.known.step.optional:
        item.retry_count = max(0, item.retry_count + cell.seen.retries - before)


def _reset(item: ItemState, record: Record, at: float, fact: str) -> None:
    known = _found(item, record, at, fact)
    if known is None:
        return
    actor, reason = clean.text(record.get("actor"), 200), clean.text(record.get("reason"), _MESSAGE)
    reset_steps(item, known, at, fact, actor=actor, reason=reason, cascade=record.get("only") is not True)


def reset_steps(
    item: ItemState, known: KnownStep, at: float, fact: str, *, actor: str | None, reason: str | None, cascade: bool
) -> tuple[str, ...]:
    """Reset a step, and what depends on it.

    Returns:
        Keys of the steps that it changed.
    """
    definition = item.pipeline.definition
    keys: tuple[str, ...] = (known.step.key,)
    if cascade and known.step.key in definition:
        keys += definition.dependents(known.step.key)
    changed = []
    for one in item.pipeline.shape(item.plan).steps:
        if one.step.key not in keys:
            continue
        # Kept even where nothing was done yet: a fact from before may still be on its way.
        cell = item.cell(one)
        was, before = cell.seen.status, cell.seen.retries
        # The fence rises: whoever still holds a claim on it has lost it.
        if cell.put(steps.reset(cell.state, (at, fact)), at) and cell.lease_until is not None:
            cell.fence += 1
        retried(item, cell, before)
        if was is not ItemStatus.PENDING or one.slot == known.slot:
            changed.append(one.step.key)
            message = f"was {was.value}" + (f": {reason}" if reason else "")
            item.say(at, "step.reset", step=one.id, status=ItemStatus.PENDING.value, message=message, actor=actor)
    return tuple(changed)


def _told_refused(item: ItemState, record: Record, at: float, fact: str) -> None:
    known = item.pipeline.step(str(record.get("step")))
    what = clean.text(record.get("what"), 100) or "refused"
    _refuse(item, at, f"{what}: {clean.text(record.get('reason'), 2000) or ''}", known)


def _foreign(item: ItemState, record: Record, at: float, fact: str) -> None:
    known = item.pipeline.step(str(record.get("step")))
    item.say(
        at, clean.text(record.get("kind"), 50) or "log", step=known.id if known is not None else None,
        status=clean.text(record.get("status"), 50), message=clean.text(record.get("message"), _MESSAGE),
        detail=clean.text(record.get("detail")), task_id=clean.text(record.get("task_id"), 200),
        actor=clean.text(record.get("actor"), 200),
    )  # fmt: skip


_HANDLERS: dict[str, Callable[[ItemState, Record, float, str], None]] = {
    "item.add": _add,
    "item.plan": _plan,
    "item.skip": _skip,
    "step.start": _start,
    "step.update": _update,
    "step.end": _end,
    "step.reset": _reset,
    "step.event": _foreign,
    "refused": _told_refused,
}
KINDS = frozenset(_HANDLERS)
"""Kinds of records that are about one item."""
