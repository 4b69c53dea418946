"""What the facts about one step of one item add up to, whatever the order in which they arrive.

Facts of several processes and hosts reach the store in any interleaving. So that the end is always the same, a
step's state is not changed in place: its attempts are kept, ordered by when they started, and the state is what
replaying them in that order gives.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from statustui.model.status import ItemStatus

KEPT_ATTEMPTS = 16
"""Attempts kept for the replay; older ones live on in the events and in the count."""

Order = tuple[float, str]
"""(start by the store's clock in epoch seconds, attempt): total, and equal on every reader.

A claim is stamped by the store, later than all attempts before it, so that fences and starts are of one order.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One try of one step, as far as its facts have arrived."""

    id: str
    """Made by its writer; the number is only shown."""
    order: Order
    status: ItemStatus = ItemStatus.PROCESSING
    ended_at: float | None = None
    """Epoch seconds; None while it runs."""
    progress: float | None = None
    """Percent, 0..100."""
    error: str | None = None
    duration_s: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    run_id: str | None = None
    input_hash: str | None = None
    begun: bool = True
    """False for an end that was told without a start."""
    permanent: bool = False
    """True when another try can not help."""
    reason: str | None = None
    """Why it was skipped."""
    whole: bool = False
    """Skipped together with its whole item."""
    presumed: bool = False
    """Ended because its run had; a word of its own still counts."""

    @property
    def started_at(self) -> float:
        """Epoch seconds."""
        return self.order[0]

    def status_at(self, at: float) -> ItemStatus:
        """What a look at the time *at* would have shown."""
        return self.status if self.ended_at is not None and self.ended_at <= at else ItemStatus.PROCESSING


@dataclass(frozen=True, kw_only=True, slots=True)
class StepState:
    """Everything that the state of one step of one item follows from."""

    attempts: tuple[Attempt, ...] = ()
    """In their order."""
    resets: tuple[Order, ...] = ()
    """When it was reset, in their order."""
    again: tuple[Order, ...] = ()
    """When somebody let a failed step be tried again: it waits, and its tries still count."""
    forgotten: int = 0
    """Attempts that are no longer kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepView:
    """Where a step stands: the replay of its attempts."""

    status: ItemStatus = ItemStatus.PENDING
    current: Attempt | None = None
    """The attempt that the status comes from."""
    tries: int = 0
    """Attempts since the last reset that were accepted."""
    refused: frozenset[str] = frozenset()
    """Attempts that came when the step was done already."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Merged over the accepted attempts since the last reset, later ones over earlier ones."""

    @property
    def retries(self) -> int:
        """Attempts after the first."""
        return max(0, self.tries - 1)


def view(state: StepState) -> StepView:
    """Replay the attempts and resets of a step in their order."""
    if len(state.attempts) == 1 and not (state.resets or state.again):  # as almost all are: nothing to replay
        only = state.attempts[0]
        tries = state.forgotten + _counts(only)
        return StepView(status=only.status, current=only, tries=tries, metadata=dict(only.metadata))
    current: Attempt | None = None
    tries = state.forgotten
    refused: set[str] = set()
    metadata: dict[str, Any] = {}
    entries: list[tuple[Order, Attempt | bool]] = [(a.order, a) for a in state.attempts]
    entries += [(order, False) for order in state.resets]
    entries += [(order, True) for order in state.again]
    entries.sort(key=lambda entry: (entry[0], isinstance(entry[1], Attempt)))
    for order, attempt in entries:
        if attempt is False:
            current, tries, metadata = None, 0, {}
        elif attempt is True:
            if current is not None and current.status_at(order[0]) is ItemStatus.FAILED:
                current = None
        elif current is not None and not _may_follow(current, attempt):
            refused.add(attempt.id)
        else:
            tries += _counts(attempt)
            metadata.update(attempt.metadata)
            current = attempt
    return StepView(
        status=current.status if current is not None else ItemStatus.PENDING,
        current=current,
        tries=tries,
        refused=frozenset(refused),
        metadata=metadata,
    )


def _counts(attempt: Attempt) -> bool:
    """Whether it is a try: not a mere skip, and not what its own worker gave back (an expired claim is one)."""
    if attempt.status is ItemStatus.PENDING:
        return attempt.presumed
    return attempt.begun or attempt.status is not ItemStatus.SKIPPED


def _may_follow(before: Attempt, attempt: Attempt) -> bool:
    """Whether an attempt may take over from the one before it.

    Not from one that was done, unless its input changed; and a failed one is not completed without a new start.
    """
    status = before.status_at(attempt.started_at)
    if status is ItemStatus.FAILED:
        return attempt.begun or attempt.status is ItemStatus.SKIPPED
    if not status.done:
        return True
    return attempt.input_hash is not None and attempt.input_hash != before.input_hash


def started(state: StepState, attempt: Attempt) -> StepState:
    """A start arrived. One that is known already (told twice, or after its own end) changes only what it adds."""
    known = _find(state, attempt.id)
    if known is None:
        return _with(state, attempt)
    merged = replace(
        known,
        order=known.order if known.begun else attempt.order,
        run_id=known.run_id or attempt.run_id,
        input_hash=known.input_hash or attempt.input_hash,
        begun=True,
    )
    if merged == known:
        return state
    return _with(state, merged)


def updated(
    state: StepState, attempt_id: str, *, progress: float | None, metadata: Mapping[str, Any], at: float | None = None
) -> StepState:
    """Progress or metadata arrived for an attempt; unknown attempts change nothing.

    Args:
        state: of the step.
        attempt_id: the attempt.
        progress: percent.
        metadata: merged.
        at: when it was told, in epoch seconds: after an end that was only presumed it is a sign of life.
    """
    known = _find(state, attempt_id)
    if known is None:
        return state
    presumed_at = known.ended_at if known.presumed and known.status is ItemStatus.FAILED else None
    if at is not None and presumed_at is not None and at > presumed_at:
        known = replace(known, status=ItemStatus.PROCESSING, ended_at=None, error=None, duration_s=None, presumed=False)
    percent = known.progress
    if progress is not None and known.ended_at is None and progress == progress:  # not NaN
        percent = min(100.0, max(0.0, progress))
    return _with(state, replace(known, progress=percent, metadata={**known.metadata, **metadata}))


def ended(state: StepState, attempt: Attempt) -> StepState:
    """An end arrived: *attempt* carries id, status, error and times. The first end of an attempt stays.

    Only one that was presumed gives way to the attempt's own word.
    """
    known = _find(state, attempt.id)
    if known is None:
        return _with(state, replace(attempt, begun=False))
    if known.ended_at is not None and (attempt.presumed or not known.presumed or known.status is ItemStatus.PENDING):
        return state
    # Not ``replace``, which takes as long as all else that an end needs.
    merged = Attempt(
        id=known.id,
        order=known.order,
        status=attempt.status,
        ended_at=attempt.ended_at,
        progress=known.progress,
        error=attempt.error,
        duration_s=attempt.duration_s,
        metadata={**known.metadata, **attempt.metadata},
        run_id=known.run_id or attempt.run_id,
        input_hash=known.input_hash,
        begun=known.begun,
        permanent=attempt.permanent,
        reason=attempt.reason,
        whole=attempt.whole,
        presumed=attempt.presumed,
    )
    return _with(state, merged)


def reset(state: StepState, order: Order) -> StepState:
    """The step was reset: what started before that moment no longer counts."""
    if order in state.resets:
        return state
    return replace(state, resets=tuple(sorted({*state.resets, order})))


def tried_again(state: StepState, order: Order) -> StepState:
    """A failed step may be tried again: from that moment on it waits."""
    return replace(state, again=tuple(sorted({*state.again, order})))


def _find(state: StepState, attempt_id: str) -> Attempt | None:
    for attempt in state.attempts:
        if attempt.id == attempt_id:
            return attempt
    return None


def _with(state: StepState, attempt: Attempt) -> StepState:
    """The state with this attempt, in place of the one that has its id."""
    attempts = (*(a for a in state.attempts if a.id != attempt.id), attempt) if state.attempts else (attempt,)
    if len(attempts) > 1:
        attempts = tuple(sorted(attempts, key=lambda a: a.order))
    forgotten = state.forgotten
    if len(attempts) > KEPT_ATTEMPTS:
        attempts, forgotten = attempts[1:], forgotten + 1
    return StepState(attempts=attempts, resets=state.resets, again=state.again, forgotten=forgotten)
