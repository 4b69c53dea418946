"""What record application knows of an item while it is at work: mutable, pure, and equal to what the store keeps.

Times are epoch seconds. The status of an item, its current step and which steps are ready always follow from its
steps; ``derive`` is the only place that sets them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date as Day
from typing import Any

from statustui.model import histogram
from statustui.model.fingerprint import fingerprint
from statustui.model.pipeline import Definition, Plan, Step, item_status
from statustui.model.status import ItemStatus
from statustui.model.steps import StepState, StepView, view

LETTERS: dict[str, ItemStatus] = {
    "p": ItemStatus.PENDING,
    "r": ItemStatus.PENDING,
    "w": ItemStatus.PROCESSING,
    "c": ItemStatus.COMPLETED,
    "f": ItemStatus.FAILED,
    "s": ItemStatus.SKIPPED,
    "x": ItemStatus.SKIPPED,
}
"""What the letters in an item's ``states`` mean; ``.`` = the step does not apply."""
READY = "ready"
"""Pseudo-status of the counters: the part of the pending steps that can begin."""
_LETTER_OF = {status: letter for letter, status in reversed(LETTERS.items()) if letter not in "rx"}


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownStep:
    """A step with the numbers that the store gave it."""

    id: int
    slot: int
    """Its place in the ``states`` of each item."""
    step: Step
    active: bool
    """False when it is no longer in the definition."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The steps that apply to items of one plan, worked out once."""

    steps: tuple[KnownStep, ...]
    before: tuple[tuple[int, ...], ...]
    """For each of them the slots of the steps that must be done before it."""
    size: int
    """Length of ``states``."""
    waits_for: Mapping[int, tuple[int, ...]]
    """The same as ``before``, by slot."""


@dataclass(slots=True, kw_only=True)
class PipelineState:
    """One pipeline: its definition and the numbers of its steps."""

    id: int
    name: str
    rev: int
    definition: Definition
    known: dict[str, KnownStep]
    """All steps ever seen, by key; those found later for single items, too."""
    shapes: dict[Plan, Shape] = field(default_factory=dict)
    by_slot: dict[int, KnownStep] = field(default_factory=dict)
    by_id: dict[int, KnownStep] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.index()

    def index(self) -> None:
        """Bring the other ways to find a step up to date."""
        self.by_slot = {one.slot: one for one in self.known.values()}
        self.by_id = {one.id: one for one in self.known.values()}
        self.shapes.clear()

    def step(self, key: str) -> KnownStep | None:
        """The step of this key or former key."""
        found = self.known.get(key)
        if found is None or not found.active:
            renamed = self.definition.step(key)
            if renamed is not None:
                return self.known.get(renamed.key)
        return found

    def shape(self, plan: Plan) -> Shape:
        """The steps that apply under *plan*."""
        found = self.shapes.get(plan)
        if found is None:
            if len(self.shapes) > 1000:
                self.shapes.clear()
            found = self.shapes[plan] = self._shape(plan)
        return found

    def _shape(self, plan: Plan) -> Shape:
        # A step that was switched off under a former key stays so.
        off = {self.definition.step(key) for key in plan.off}
        plan = plan.without(step.key for step in off if step is not None)
        apply = [self.known[step.key] for step in plan.steps(self.definition) if step.key in self.known]
        slots = {one.step.key: one.slot for one in apply}
        before = []
        for one in apply:
            found: list[int] = []
            todo = list(self.definition.prerequisites(one.step.key)) if one.step.key in self.definition else []
            seen: set[str] = set()
            while todo:
                key = todo.pop(0)
                if key in seen:
                    continue
                seen.add(key)
                if key in slots:
                    found.append(slots[key])
                else:  # What does not apply holds nobody up, but what comes before it does.
                    todo.extend(self.definition.prerequisites(key))
            before.append(tuple(found))
        return Shape(
            steps=tuple(apply),
            before=tuple(before),
            size=1 + max(self.by_slot, default=-1),
            waits_for={one.slot: slots_before for one, slots_before in zip(apply, before, strict=True)},
        )


@dataclass(slots=True, kw_only=True)
class Cell:
    """One step of one item."""

    known: KnownStep
    state: StepState = field(default_factory=StepState)
    seen: StepView = field(default_factory=StepView)
    fence: int = 0
    owner: str | None = None
    claimed_at: float | None = None
    lease_until: float | None = None
    updated_at: float = 0.0
    ready: bool = False
    dirty: bool = True
    bare: bool = False
    """Made without a look at its row: where there is one, its attempts and its fence must stay."""
    stored_letter: str = "."
    """As the stored counters hold it."""
    stored_us: int | None = None

    def put(self, state: StepState, at: float) -> bool:
        """Take over a new state; True when it differs."""
        if state == self.state:
            return False
        before, self.state, self.seen, self.dirty, self.bare = self.seen, state, view(state), True, False
        if at > self.updated_at and not _same(before, self.seen):
            self.updated_at = at
        if self.seen.status is not ItemStatus.PROCESSING:
            self.owner = self.lease_until = None
        return True

    @property
    def letter(self) -> str:
        """Its status in ``states`` (without ``r``)."""
        current = self.seen.current
        if current is not None and current.whole and self.seen.status is ItemStatus.SKIPPED:
            return "x"
        return _LETTER_OF[self.seen.status]

    @property
    def fingerprint(self) -> str | None:
        """Key of its kind of failure."""
        current = self.seen.current
        if current is None or self.seen.status is not ItemStatus.FAILED:
            return None
        return fingerprint("", current.error or "", self.known.step.key)

    @property
    def duration_us(self) -> int | None:
        """Microseconds that the counters hold for it: those of a completed attempt."""
        current = self.seen.current
        if current is None or self.seen.status is not ItemStatus.COMPLETED or current.duration_s is None:
            return None
        return round(current.duration_s * 1e6)


def _same(before: StepView, after: StepView) -> bool:
    """Whether two looks show the same; what was refused is not shown."""
    return (
        before.status is after.status
        and before.tries == after.tries
        and before.current == after.current
        and before.metadata == after.metadata
    )


@dataclass(slots=True, kw_only=True)
class ItemEvent:
    """A line of an item's story that is not stored yet."""

    at: float
    kind: str
    step: int | None = None
    """Id of the step."""
    status: str | None = None
    message: str | None = None
    detail: str | None = None
    actor: str | None = None
    task_id: str | None = None


@dataclass(slots=True, kw_only=True)
class PlanLog:
    """What was said about the steps of one item, so that its order of arrival does not count."""

    added: dict[str, tuple[float, str, str]] = field(default_factory=dict)
    """(when, by which fact, group) by key, of steps found later: the earliest word counts."""
    switched: dict[str, tuple[float, str, bool]] = field(default_factory=dict)
    """(when, by which fact, on) by key: the latest word counts."""
    skips: list[tuple[float, str, str]] = field(default_factory=list)
    """(when, by which fact, reason): the whole item was skipped."""
    told: dict[str, float] = field(default_factory=dict)
    """When kind, date and each attribute were told; empty while the item was told of once."""
    added_at: float | None = None
    """When the item was told of; None = when it was created."""
    waiting: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    """(when, which, the record) of facts about steps that do not apply, or not yet: what brings them may come later."""

    def plan(self) -> Plan:
        """The plan that follows."""
        ordered = sorted(self.added.items(), key=lambda entry: entry[1][:2])
        return Plan(
            added=tuple((key, group) for key, (_, _, group) in ordered),
            off=frozenset(key for key, (_, _, on) in self.switched.items() if not on),
        )


DEFAULT_PLAN = Plan()


@dataclass(slots=True, kw_only=True)
class ItemState:
    """One item."""

    pipeline: PipelineState
    key: str
    id: int | None = None
    log: PlanLog | None = None
    plan: Plan = DEFAULT_PLAN
    kind: str | None = None
    date: Day | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    created_at: float = 0.0
    updated_at: float = 0.0
    completed_at: float | None = None
    status: ItemStatus = ItemStatus.PENDING
    states: str = ""
    current_step: int | None = None
    error_step: int | None = None
    last_error: str | None = None
    fingerprint: str | None = None
    failed_at: float | None = None
    retry_count: int = 0
    definition: int = 0
    cells: dict[int, Cell] = field(default_factory=dict)
    """By slot; those that were loaded or touched."""
    events: list[ItemEvent] = field(default_factory=list)
    dirty: bool = False
    fresh: bool = False
    """Not in the counters yet."""
    counted: tuple[str, Day | None, str, str] | None = None
    """(kind, date, status, states) as the stored counters hold it."""

    def letter(self, slot: int) -> str:
        """How the step at *slot* stands, as ``states`` has it."""
        return self.states[slot] if slot < len(self.states) else "."

    def letters(self) -> dict[int, str]:
        """Status of each step by slot, as far as it is not merely pending."""
        found = {slot: letter for slot, letter in enumerate(self.states) if letter not in ".pr"}
        for slot, cell in self.cells.items():
            found[slot] = cell.letter
        return found

    def waits(self, known: KnownStep) -> list[str]:
        """Keys of the steps that must be done before this one, and are not."""
        by_slot = self.pipeline.by_slot
        found = []
        for slot in self.pipeline.shape(self.plan).waits_for[known.slot]:
            cell = self.cells.get(slot)
            letter = self.letter(slot) if cell is None else cell.letter
            if not self._past(letter, slot):
                found.append(by_slot[slot].step.key)
        return found

    def cell(self, known: KnownStep) -> Cell:
        """The row of a step; made when it is not there."""
        found = self.cells.get(known.slot)
        if found is None:
            found = self.cells[known.slot] = Cell(known=known)
        return found

    def say(self, at: float, kind: str, **more: Any) -> None:
        """Add a line to its story."""
        self.events.append(ItemEvent(at=at, kind=kind, **more))
        self.touch(at)

    def touch(self, at: float) -> None:
        """Something was told of it at that time."""
        self.dirty = True
        self.updated_at = max(self.updated_at, at)
        if not self.created_at or at < self.created_at:
            if self.created_at and (self.attributes or self.kind or self.date):
                self.log = self.log or PlanLog()
                if self.log.added_at is None:
                    self.log.added_at = self.created_at
            self.created_at = at

    def derive(self) -> None:
        """Bring everything up to date that follows from the steps."""
        shape = self.pipeline.shape(self.plan)
        letters = self.letters()
        states = ["."] * shape.size
        for one, before in zip(shape.steps, shape.before, strict=True):
            letter = letters.get(one.slot, "p")
            if letter == "p" and all(self._past(letters.get(slot, "p"), slot) for slot in before):
                letter = "r"
            states[one.slot] = letter
        self.states = "".join(states).rstrip(".")
        self.definition = self.pipeline.rev
        self._place(shape)
        self._mark_ready(shape)
        self._error(shape)

    def _past(self, letter: str, slot: int) -> bool:
        return letter in "csx" or (letter == "f" and self.pipeline.by_slot[slot].step.optional)

    def _place(self, shape: Shape) -> None:
        """Status and current step."""
        steps = [one.step for one in shape.steps]
        letters = [self.letter(one.slot) for one in shape.steps]
        states = {step.key: LETTERS[letter] for step, letter in zip(steps, letters, strict=True)}
        whole = {step.key for step, letter in zip(steps, letters, strict=True) if letter == "x"}
        self.status = item_status(steps, states, whole)
        self.current_step = None
        for wanted in ("w", "f", "pr"):
            at = next(
                (
                    one.id
                    for one, letter in zip(shape.steps, letters, strict=True)
                    if letter in wanted and not (wanted == "f" and one.step.optional)
                ),
                None,
            )
            if at is not None:
                self.current_step = at
                break

    def _mark_ready(self, shape: Shape) -> None:
        for one in shape.steps:
            ready = self.letter(one.slot) == "r"
            cell = self.cells.get(one.slot)
            if cell is None and ready:
                cell = self.cells[one.slot] = Cell(known=one, updated_at=self.updated_at, bare=True)
            if cell is not None and cell.ready != ready:
                cell.ready, cell.dirty = ready, True
        applies = {one.slot for one in shape.steps}
        for slot, cell in self.cells.items():
            if slot not in applies and cell.ready:
                cell.ready, cell.dirty = False, True

    def _error(self, shape: Shape) -> None:
        """The failure that the item shows: the latest of a mandatory step."""
        failed = [
            (cell.seen.current.ended_at or 0.0, cell)
            for one in shape.steps
            if self.letter(one.slot) == "f" and not one.step.optional
            if (cell := self.cells.get(one.slot)) is not None and cell.seen.current is not None
        ]
        if not failed:
            self.error_step = self.last_error = self.fingerprint = self.failed_at = None
            return
        at, cell = max(failed, key=lambda entry: (entry[0], -entry[1].known.slot))
        current = cell.seen.current
        self.error_step, self.failed_at = cell.known.id, at
        self.last_error = current.error if current is not None else None
        self.fingerprint = cell.fingerprint


CellKey = tuple[str, Day | None, int, str]
"""(kind or '', date, step or 0 for the item, status or ``ready``)."""


@dataclass(slots=True)
class Tally:
    """Changes of counters of one pipeline."""

    n: dict[CellKey, int] = field(default_factory=dict)
    us: dict[CellKey, int] = field(default_factory=dict)
    durations: dict[CellKey, dict[int, int]] = field(default_factory=dict)
    moves: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def count(self, item: ItemState) -> None:
        """Add what changed of an item since it was counted."""
        now = (item.kind or "", item.date, item.status.value, item.states)
        before = item.counted
        for place, change in ((before, -1), (now, 1)):
            if place is not None:
                self.moves[place] = self.moves.get(place, 0) + change
        for cell in item.cells.values():
            letter = item.letter(cell.known.slot)
            us = cell.duration_us if letter == "c" else None
            if before is not None and cell.stored_us is not None and cell.stored_letter == "c":
                self._duration((before[0], before[1], cell.known.id, "completed"), cell.stored_us, -1)
            if us is not None:
                self._duration((now[0], now[1], cell.known.id, "completed"), us, 1)

    def _duration(self, place: CellKey, us: int, change: int) -> None:
        self.us[place] = self.us.get(place, 0) + change * us
        lanes = self.durations.setdefault(place, {})
        number = histogram.bucket(us / 1e6)
        lanes[number] = lanes.get(number, 0) + change

    def settle(self, by_slot: Mapping[int, KnownStep]) -> Iterable[CellKey]:
        """Work out the changes; the places where anything changed."""
        for (kind, day, status, states), change in self.moves.items():
            if change:
                self._add((kind, day, 0, status), change)
                for slot, letter in enumerate(states):
                    if letter != ".":
                        step = by_slot[slot].id
                        self._add((kind, day, step, LETTERS[letter].value), change)
                        if letter == "r":
                            self._add((kind, day, step, READY), change)
        self.moves.clear()
        return sorted(
            {place for place, n in self.n.items() if n}
            | {place for place, us in self.us.items() if us}
            | {place for place, lanes in self.durations.items() if any(lanes.values())},
            key=lambda place: (place[0], str(place[1]), place[2], place[3]),
        )

    def _add(self, place: CellKey, change: int) -> None:
        self.n[place] = self.n.get(place, 0) + change
