"""Pipelines as values: steps in an order, prerequisites, plans of items, and what follows from them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from statustui.model.status import ItemStatus


class DefinitionError(ValueError):
    """The steps of a pipeline contradict one another; the message names the step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One stop of a pipeline."""

    key: str
    """Name in code and store, unique in its pipeline."""
    label: str = ""
    """Number shown before the title; text, since ``1`` may stand twice and ``3.5`` and ``9/10`` occur."""
    title: str = ""
    """Name shown to people; the key when empty."""
    short: str = ""
    """Short form of the label (``9`` for ``9/10``); the label when empty."""
    after: tuple[str, ...] | None = None
    """Keys of the steps that must be done before; None = the step before it in the list."""
    weight: float = 1.0
    """Share of the item's progress, relative to the other steps."""
    group: str = "main"
    """Steps that are counted together (``uploads``)."""
    optional: bool = False
    """True when its failure does not fail the item."""
    max_retries: int | None = None
    """Retries allowed; None = the caller's default."""
    aliases: tuple[str, ...] = ()
    """Former keys of this step."""

    @property
    def shown(self) -> str:
        """The title, or the key where there is none."""
        return self.title or self.key

    @property
    def shown_label(self) -> str:
        """The short label, or the label."""
        return self.short or self.label


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """A named, partly ordered set of steps. Making one checks it.

    Raises:
        DefinitionError: a key stands twice or is empty, a prerequisite is unknown, a weight is not
            positive, or the prerequisites form a circle.
    """

    name: str
    steps: tuple[Step, ...]
    _by_key: dict[str, Step] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_key: dict[str, Step] = {}
        if not self.name.strip():
            raise DefinitionError("a pipeline needs a name")
        for step in self.steps:
            if not step.key:
                raise DefinitionError(f"pipeline {self.name!r}: a step has no key")
            if step.key in by_key:
                raise DefinitionError(f"pipeline {self.name!r}: step {step.key!r} stands twice")
            if step.max_retries is not None and step.max_retries < 0:
                raise DefinitionError(f"pipeline {self.name!r}: step {step.key!r} has {step.max_retries} retries")
            if not step.weight > 0:
                raise DefinitionError(
                    f"pipeline {self.name!r}: step {step.key!r} has weight {step.weight}, not above 0"
                )
            by_key[step.key] = step
        for step in self.steps:
            for alias in step.aliases:
                if alias in by_key:
                    raise DefinitionError(
                        f"pipeline {self.name!r}: alias {alias!r} of step {step.key!r} is a step itself"
                    )
        object.__setattr__(self, "_by_key", by_key)
        graph = {step.key: self.prerequisites(step.key) for step in self.steps}
        for key, before in graph.items():
            for other in before:
                if other not in by_key:
                    raise DefinitionError(
                        f"pipeline {self.name!r}: step {key!r} comes after {other!r}, which is no step"
                    )
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circle = " → ".join(reversed(error.args[1]))
            raise DefinitionError(
                f"pipeline {self.name!r}: the steps wait for one another in a circle: {circle}"
            ) from None

    def __contains__(self, key: object) -> bool:
        return key in self._by_key

    def step(self, key: str) -> Step | None:
        """The step of this key or former key, or None."""
        found = self._by_key.get(key)
        if found is None:
            found = next((step for step in self.steps if key in step.aliases), None)
        return found

    def position(self, key: str) -> int:
        """Place of a step in the list, from 0; after all others for a key that is none."""
        return next((i for i, step in enumerate(self.steps) if step.key == key), len(self.steps))

    def prerequisites(self, key: str) -> tuple[str, ...]:
        """Keys of the steps that must be done directly before this one."""
        step = self._by_key[key]
        if step.after is not None:
            return step.after
        place = self.position(key)
        return (self.steps[place - 1].key,) if place > 0 else ()

    def dependents(self, key: str) -> tuple[str, ...]:
        """Keys of all steps that depend on this one, directly or not, in the order of the list."""
        found: set[str] = set()
        todo = [key]
        while todo:
            now = todo.pop()
            for step in self.steps:
                if step.key not in found and now in self.prerequisites(step.key):
                    found.add(step.key)
                    todo.append(step.key)
        return tuple(step.key for step in self.steps if step.key in found)

    def changes_since(self, older: "Definition") -> tuple[str, ...]:
        """What differs from an older definition of the same pipeline, one sentence each."""
        said: list[str] = []
        for step in self.steps:
            if step.key not in older:
                renamed = next((alias for alias in step.aliases if alias in older), None)
                said.append(f"step {renamed} is now {step.key}" if renamed else f"step {step.key} was added")
        for step in older.steps:
            if self.step(step.key) is None:
                said.append(f"step {step.key} was removed")
        kept = [step.key for step in self.steps if step.key in older]
        if kept != [step.key for step in older.steps if step.key in self]:
            said.append("the order of the steps changed")
        return tuple(said)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Which steps apply to one item."""

    added: tuple[tuple[str, str], ...] = ()
    """(key, group) of steps that were found later, in the order in which they came."""
    off: frozenset[str] = frozenset()
    """Keys of steps switched off for this item."""

    def with_steps(self, keys: Iterable[str], group: str = "main") -> "Plan":
        """The plan with further steps; those it has already stay as they are."""
        have = {key for key, _ in self.added}
        new = tuple((key, group) for key in dict.fromkeys(keys) if key not in have)
        return Plan(added=self.added + new, off=self.off.difference(key for key, _ in new))

    def without(self, keys: Iterable[str]) -> "Plan":
        """The plan with steps switched off."""
        return Plan(added=self.added, off=self.off.union(keys))

    def steps(self, definition: Definition) -> tuple[Step, ...]:
        """The steps that apply, in order: those of the definition, then the added ones."""
        own = [step for step in definition.steps if step.key not in self.off]
        extra = [
            Step(key=key, group=group, after=())
            for key, group in self.added
            if key not in definition and key not in self.off
        ]
        return (*own, *extra)


def item_status(steps: Sequence[Step], states: Mapping[str, ItemStatus], whole: Collection[str] = ()) -> ItemStatus:
    """The status of an item, derived from its steps and never set apart from them (DESIGN section 2).

    Args:
        steps: those that apply to the item.
        states: status by key; a missing key is ``pending``.
        whole: keys of the steps that were skipped together with the whole item: it is then ``skipped``.
    """
    have = [(step, states.get(step.key, ItemStatus.PENDING)) for step in steps]
    if any(status is ItemStatus.PROCESSING for _, status in have):
        return ItemStatus.PROCESSING
    if any(status is ItemStatus.FAILED and not step.optional for step, status in have):
        return ItemStatus.FAILED
    if have and all(status is ItemStatus.SKIPPED for _, status in have):
        return ItemStatus.SKIPPED
    if have and all(status.done or (step.optional and status is ItemStatus.FAILED) for step, status in have):
        return ItemStatus.SKIPPED if any(step.key in whole for step in steps) else ItemStatus.COMPLETED
    return ItemStatus.PENDING


def item_fraction(
    steps: Sequence[Step], states: Mapping[str, ItemStatus], progress: Mapping[str, float] | None = None
) -> float:
    """Share of an item's plan that is done, 0..1, weighted; running steps add their fraction (DESIGN section 7).

    Args:
        steps: those that apply to the item.
        states: status by key; a missing key is ``pending``.
        progress: percent of running steps by key, 0..100.
    """
    whole = sum(step.weight for step in steps)
    if whole <= 0:
        return 0.0
    done = 0.0
    for step in steps:
        status = states.get(step.key, ItemStatus.PENDING)
        if status.done:
            done += step.weight
        elif status is ItemStatus.PROCESSING and progress:
            done += step.weight * min(100.0, max(0.0, progress.get(step.key, 0.0))) / 100.0
    return min(1.0, done / whole)


def current_step(steps: Sequence[Step], states: Mapping[str, ItemStatus]) -> str | None:
    """Key of the step where the item stands: running, else failed, else the first that is not done; None at its end."""
    for wanted in (ItemStatus.PROCESSING, ItemStatus.FAILED, ItemStatus.PENDING):
        for step in steps:
            if states.get(step.key, ItemStatus.PENDING) is wanted and not (
                step.optional and wanted is ItemStatus.FAILED
            ):
                return step.key
    return None


def can_start(definition: Definition, plan: Plan, states: Mapping[str, ItemStatus], key: str) -> bool:
    """True when the step waits and all that it comes after is done (or does not apply to the item)."""
    applies = {step.key for step in plan.steps(definition)}
    if key not in applies or states.get(key, ItemStatus.PENDING) is not ItemStatus.PENDING:
        return False
    return not missing(definition, plan, states, key)


def missing(definition: Definition, plan: Plan, states: Mapping[str, ItemStatus], key: str) -> tuple[str, ...]:
    """Keys of the prerequisites of *key* that are not done; through steps that are switched off, those before them.

    A failed optional step holds nobody up.
    """
    applies = {step.key: step for step in plan.steps(definition)}
    found: list[str] = []
    todo = list(definition.prerequisites(key)) if key in definition else []
    seen: set[str] = set()
    while todo:
        before = todo.pop(0)
        if before in seen:
            continue
        seen.add(before)
        if before not in applies:
            todo.extend(definition.prerequisites(before))
            continue
        status = states.get(before, ItemStatus.PENDING)
        if not status.done and not (applies[before].optional and status is ItemStatus.FAILED):
            found.append(before)
    return tuple(found)
