"""Items, their steps and pipelines as viewers get them: frozen values, times aware and in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from statustui.model.pipeline import Plan, Step
from statustui.model.run import Event
from statustui.model.status import ItemStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One unit of work, without its steps."""

    pipeline: str
    key: str
    status: ItemStatus = ItemStatus.PENDING
    kind: str | None = None
    date: "date | None" = None
    """The item's own date."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    states: Mapping[str, ItemStatus] = field(default_factory=dict)
    """Status by key of every step that applies to it, in order."""
    ready: frozenset[str] = frozenset()
    """Keys of the steps that can begin."""
    cells: str = ""
    """How each step of the pipeline stands, one letter each in their order, for a matrix: ``.`` does not apply, ``p``
    pending, ``r`` ready, ``w`` processing, ``c`` completed, ``f`` failed, ``s`` skipped."""
    id: int = 0
    """Number that the store gave it."""
    fraction: float = 0.0
    """Share of its plan that is done, 0..1, weighted."""
    current_step: str | None = None
    """Key of the step where it stands; None at its end."""
    error_step: str | None = None
    last_error: str | None = None
    failed_at: datetime | None = None
    """When the step that it shows as its error failed."""
    fingerprint: str | None = None
    """Equal for failures of one kind."""
    retries: int = 0
    """Attempts after the first, over its mandatory steps."""
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None = None

    @property
    def has_errors(self) -> bool:
        """True when any of its steps has failed, an optional one too."""
        return ItemStatus.FAILED in self.states.values()


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemStep:
    """Where one step of one item stands."""

    step: Step
    status: ItemStatus = ItemStatus.PENDING
    ready: bool = False
    progress: float | None = None
    """Percent, 0..100."""
    tries: int = 0
    """Attempts since the last reset."""
    attempt: str | None = None
    """Id of the attempt that the status comes from."""
    fence: int = 0
    owner: str | None = None
    """Who holds the claim."""
    lease_until: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    """When it ended, well or badly."""
    duration_s: float | None = None
    error: str | None = None
    permanent: bool = False
    """True when another try can not help."""
    reason: str | None = None
    """Why it was skipped."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    run_id: str | None = None
    """The run that made the attempt."""
    input_hash: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemEvent(Event):
    """One line of an item's story."""

    key: str = ""
    """Of the item."""
    step: str | None = None
    """Key of the step that it is about."""
    task_id: str | None = None
    """What made it: the id of an attempt, or of a task of another system."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemDetail:
    """One item with everything that belongs to it."""

    item: Item
    plan: Plan = field(default_factory=Plan)
    steps: tuple[ItemStep, ...] = ()
    """All that apply to it, in order."""
    events: tuple[ItemEvent, ...] = ()
    """Oldest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupProgress:
    """How far one group of an item's steps is (``main``, ``uploads``)."""

    group: str
    counts: Mapping[ItemStatus, int]
    """Steps by status."""
    done: int
    """Completed or skipped."""
    total: int
    fraction: float
    """Share that is done, 0..1, weighted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A step of an item that failed."""

    key: str
    """Of the item."""
    step: Step
    error: str | None = None
    at: datetime
    """When it failed."""
    tries: int = 1
    """Attempts since the last reset."""
    max_retries: int | None = None
    """The step's own; None = the caller's."""
    permanent: bool = False
    kind: str | None = None
    date: "date | None" = None
    fingerprint: str | None = None
    run_id: str | None = None
    """The run that made the attempt."""

    @property
    def retries(self) -> int:
        """Attempts after the first."""
        return max(0, self.tries - 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepSummary:
    """All items at one step."""

    step: Step
    pending: int = 0
    processing: int = 0
    completed: int = 0
    failed: int = 0
    skipped: int = 0
    waiting: int = 0
    """Those of the pending that could begin."""
    mean_s: float | None = None
    """Seconds that a completed attempt took, on average."""
    p50_s: float | None = None
    p90_s: float | None = None

    @property
    def done(self) -> int:
        """Completed or skipped."""
        return self.completed + self.skipped

    @property
    def total(self) -> int:
        """Items that this step applies to."""
        return self.pending + self.processing + self.completed + self.failed + self.skipped

    @property
    def running(self) -> int:
        """The same as processing."""
        return self.processing


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineSummary:
    """A pipeline, or its items of a range of dates, in figures."""

    pipeline: str
    since: date | None = None
    """First date that was asked for."""
    until: date | None = None
    """Last date that was asked for."""
    first_date: date | None = None
    """Earliest date of an item."""
    last_date: date | None = None
    total: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[ItemStatus, int] = field(default_factory=dict)
    steps: tuple[StepSummary, ...] = ()
    """In the order of the definition, then those found later."""
    failures: tuple[Failure, ...] = ()
    """The latest, at most ten."""

    @property
    def slowest(self) -> StepSummary | None:
        """The step that takes longest on average."""
        timed = [one for one in self.steps if one.mean_s is not None]
        return max(timed, key=lambda one: one.mean_s or 0.0, default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineInfo:
    """A pipeline in a list."""

    name: str
    steps: tuple[Step, ...] = ()
    statuses: Mapping[ItemStatus, int] = field(default_factory=dict)
    """Items by status."""
    first_seen: datetime
    changed_at: datetime
    """When its definition last changed."""

    @property
    def total(self) -> int:
        """Items in all."""
        return sum(self.statuses.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A step of an item that was handed to one worker."""

    key: str
    """Of the item."""
    step: str
    """Key of the step."""
    attempt: str
    """Id of the attempt, made by the store."""
    fence: int
    """Rises with each claim: what is told under an older one changes nothing."""
    claimed: float
    """When, by the store's clock, in epoch seconds."""
    lease_until: datetime | None = None
    """When it is over unless it is renewed, by the store's clock."""
    item: int = 0
    """Number of the item in the store."""
    step_id: int = 0
    """Number of the step in the store."""
    tries: int = 1
    """This one included."""
    kind: str | None = None
    date: "date | None" = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class FailureGroup:
    """Failures of items that are of one kind, for *Needs you*."""

    pipeline: str
    step: str
    """Key of the step."""
    fingerprint: str
    error: str
    """Of the newest of them."""
    count: int
    newest: datetime
    key: str
    """The newest of the items."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A counter that is not what counting gives."""

    pipeline: str
    period: str
    """A day, a month, or '' for all dates."""
    kind: str
    step: str
    """Key of the step; '' for items."""
    status: str
    stored: int
    counted: int
