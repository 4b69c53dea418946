"""What ends steps of items without a word of those who worked at them, and what hands them out: pure."""

from collections.abc import Mapping
from dataclasses import replace

from statustui.model import steps
from statustui.model.item_fold import change, retried
from statustui.model.item_state import Cell, ItemState, KnownStep
from statustui.model.status import ItemStatus
from statustui.model.steps import Attempt


def fold_progress(item: ItemState, step: str, att: str | None, percent: float, at: float, told: float | None) -> None:
    """Take over progress from a slot: of the running attempt only.

    Args:
        item: the item.
        step: key of the step.
        att: the attempt.
        percent: its progress.
        at: the present time, in epoch seconds.
        told: when the slot was written: after an end that was only presumed it is a sign of life.
    """
    known = item.pipeline.step(step)
    cell = item.cells.get(known.slot) if known is not None else None
    if cell is None or cell.seen.current is None or cell.seen.current.id != att:
        return
    if cell.seen.status is not ItemStatus.PROCESSING and not cell.seen.current.presumed:
        return
    if cell.put(steps.updated(cell.state, cell.seen.current.id, progress=percent, metadata={}, at=told), at):
        item.touch(at)


def fold_run_end(item: ItemState, ended: Mapping[str, tuple[float, str]]) -> None:
    """Steps that a run left processing when it ended: nobody works on them any more.

    One that was claimed waits again at once; any other has failed. Its own word, should it still come, counts more.

    Args:
        item: the item.
        ended: when each run ended, and what is said of that, by run_id.
    """
    for cell in item.cells.values():
        current = cell.seen.current
        if cell.seen.status is not ItemStatus.PROCESSING or current is None or current.run_id is None:
            continue
        if current.run_id in ended:
            _left(item, cell, current, *ended[current.run_id])


def fold_abandoned(item: ItemState, step: str, att: str, at: float, said: str) -> None:
    """A step whose worker is proven gone: it waits again where it was claimed, any other has failed.

    Args:
        item: the item.
        step: key of the step.
        att: the attempt; when another one has followed, or it has ended, nothing changes.
        at: when its worker ended.
        said: why, for the story.
    """
    known = item.pipeline.step(step)
    cell = item.cells.get(known.slot) if known is not None else None
    if cell is None or cell.seen.status is not ItemStatus.PROCESSING or cell.seen.current is None:
        return
    if cell.seen.current.id == att:
        _left(item, cell, cell.seen.current, at, said)


def _left(item: ItemState, cell: Cell, current: Attempt, at: float, said: str) -> None:
    at = max(at, current.started_at)
    if cell.lease_until is not None:
        release(item, cell, at, said)
        return
    end = replace(
        current, status=ItemStatus.FAILED, ended_at=at, error=said, presumed=True,
        duration_s=max(0.0, round(at - current.started_at, 6)),
    )  # fmt: skip
    change(item, cell, steps.ended(cell.state, end), at, "step.end", current.id, {}, message=said,
           word=ItemStatus.FAILED)  # fmt: skip


def release(item: ItemState, cell: Cell, at: float, said: str, *, own: bool = False) -> None:
    """A claim is over without an end: the step waits again, and what its holder still says counts no more.

    Args:
        item: the item.
        cell: the step.
        at: when.
        said: why, for the story.
        own: its own worker gave it back, so that it counts as no try.
    """
    current = cell.seen.current
    if current is None:
        return
    end = replace(current, status=ItemStatus.PENDING, ended_at=at, progress=None, presumed=not own)
    before = cell.seen.retries
    cell.put(steps.ended(cell.state, end), at)
    retried(item, cell, before)
    cell.fence += 1
    item.say(at, "lease", step=cell.known.id, status=ItemStatus.PENDING.value, message=said, task_id=current.id)


def claim(
    item: ItemState, known: KnownStep, att: str, at: float, lease_until: float, owner: str, run_id: str | None = None
) -> Cell:
    """Give a step to a worker: it is processing from now on, under a new fence."""
    cell = item.cell(known)
    latest = max((attempt.started_at for attempt in cell.state.attempts), default=0.0)
    # A clock that was set back would put the claim before an older attempt.
    at = max(round(at, 6), round(latest + 1e-6, 6))
    before = cell.seen.retries
    cell.fence += 1
    cell.put(steps.started(cell.state, Attempt(id=att, order=(at, att), run_id=run_id)), at)
    retried(item, cell, before)
    cell.owner, cell.claimed_at, cell.lease_until, cell.dirty = owner, at, round(lease_until, 6), True
    item.say(at, "claim", step=known.id, status=ItemStatus.PROCESSING.value, message=f"by {owner}", task_id=att,
             actor=owner)  # fmt: skip
    return cell
