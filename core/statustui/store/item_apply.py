"""Applying facts about items, inside the transaction of the batch that brought them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, insert, select

from statustui.model import clean
from statustui.model.fold_sub import progress as run_progress
from statustui.model.item_ends import fold_abandoned, fold_progress, fold_run_end
from statustui.model.item_fold import KINDS, catch_up, fold_item
from statustui.model.item_state import ItemState, PipelineState
from statustui.model.pipeline import DefinitionError
from statustui.model.state import RunState, WriterState
from statustui.model.status import RunStatus
from statustui.model.times import from_epoch, to_epoch
from statustui.store import item_clock, item_definitions, item_load, item_save
from statustui.store.batch import Abandoned
from statustui.store.item_housekeeping import derive_again
from statustui.store.item_schema import item_steps, items, pipelines
from statustui.store.open import Store
from statustui.store.schema import events

_RUNS: BindParameter[Any] = bindparam("runs", expanding=True)
_LEFT = (
    select(pipelines.c.name, items.c.key, item_steps.c.step)
    .select_from(item_steps.join(items, items.c.id == item_steps.c.item).join(pipelines))
    .where(item_steps.c.run_id.in_(_RUNS), item_steps.c.status == "processing")
)
# What changes which steps apply, or reaches beyond the step that it names, needs all steps of its item.
_DERIVED_AT_ONCE = 2_000
_WIDE = frozenset({"item.plan", "item.skip", "step.reset"})


@dataclass(frozen=True, slots=True)
class _Fact:
    record: dict[str, Any]
    at: float
    name: str
    """Journal and offset."""


class Items:
    """The facts about items in one batch."""

    def __init__(self, store: Store, connection: Connection, now: float) -> None:
        self._store = store
        self._connection = connection
        self._now = now
        self._definitions: list[_Fact] = []
        self._of_none: list[_Fact] = []  # refusals about what can be no key
        self._facts: dict[tuple[str, str], list[_Fact]] = {}
        self._progress: dict[tuple[str, str], list[tuple[str, str | None, float, float | None]]] = {}
        self._abandoned: dict[tuple[str, str], list[Abandoned]] = {}

    @staticmethod
    def wants(record: Mapping[str, Any]) -> bool:
        """Whether a record is about items."""
        kind = record.get("k")
        return kind == "pipeline" or kind in KINDS

    def take(self, record: dict[str, Any], writer: WriterState, states: Mapping[str, RunState]) -> None:
        """Keep a record until all of the batch are read."""
        told = clean.real(record.get("t"), -6e10, 2.5e11)
        at = round(self._now if told is None else told + item_clock.offset(self._store), 6)
        fact = _Fact(record, at, f"{writer.journal}:{writer.offset}")
        if record.get("k") == "pipeline":
            self._definitions.append(fact)
            return
        name, key = clean.text(record.get("p"), 200), clean.text(record.get("key"), 500)
        if name and key:
            self._facts.setdefault((name, key), []).append(fact)
            run = states.get(str(record.get("run")))
            if run is not None and run.status.open:
                # A run that works through items is not stalled while they get on.
                run_progress(run, at, clean.real(record.get("m")))
        elif name and record.get("k") == "refused":
            self._of_none.append(fact)

    def slot(self, slot: Mapping[str, Any]) -> None:
        """Keep the progress that a slot tells of running steps."""
        told, at = slot.get("items"), clean.real(slot.get("t"), -6e10, 2.5e11)
        at = None if at is None else at + item_clock.offset(self._store)
        for place, values in told.items() if isinstance(told, dict) else ():
            parts = str(place).split("\x1f")
            percent = clean.real(values.get("p"), 0, 100) if isinstance(values, dict) else None
            if len(parts) == 3 and percent is not None:
                self._progress.setdefault((parts[0], parts[1]), []).append((parts[2], values.get("att"), percent, at))

    def abandon(self, one: Abandoned) -> None:
        """Keep that nobody works at a step any more."""
        name, key = clean.text(one.pipeline, 200), clean.text(one.key, 500)
        if name and key:
            self._abandoned.setdefault((name, key), []).append(one)

    def finish(self, runs: Iterable[RunState]) -> int:
        """Fold and store everything.

        Args:
            runs: those of the batch, as they are now.

        Returns:
            How many items changed.
        """
        for fact in self._of_none:
            said = ": ".join(clean.text(fact.record.get(name), 2000) or "" for name in ("p", "what", "reason"))
            row = {"at": from_epoch(fact.at), "kind": "refused", "message": clean.text(said, 4096)}
            self._connection.execute(insert(events), row)
        changed, known = self._settle()
        ended = {run.run_id: _said(run) for run in runs if not run.status.open}
        places = {*self._facts, *self._progress, *self._abandoned}
        left: dict[tuple[str, str], set[int]] = {}
        if ended:
            for name, key, step in self._connection.execute(_LEFT, {"runs": sorted(ended)}):
                left.setdefault((name, key), set()).add(step)
        absent = {name for name, _ in {*places, *left}} - known.keys()
        if absent:
            known |= item_definitions.load(self._store, self._connection, absent)
        states = self._loaded(known, places, left)
        self._cells(states, left)
        for item in states:
            self._fold(item)
            if ended:
                fold_run_end(item, ended)
            for one in self._abandoned.get((item.pipeline.name, item.key), ()):
                at = to_epoch(one.at) + item_clock.offset(self._store)
                fold_abandoned(item, one.step, one.attempt, round(at, 6), one.reason)
        saved = item_save.save(self._connection, states)
        for name in changed:
            # A few at once, so that a small pipeline is right at once; a drainer sees to the others. The last thing:
            # it passes over locked items, but who waited for others while holding these would make a ring.
            pipeline = item_definitions.pipeline_of(self._store, self._connection, name)
            derive_again(self._store, self._connection, pipeline.id, _DERIVED_AT_ONCE)
        return saved + len(self._definitions) + len(self._of_none)

    def _loaded(
        self, known: Mapping[str, PipelineState], places: Iterable[tuple[str, str]], left: Iterable[tuple[str, str]]
    ) -> list[ItemState]:
        """The items, locked: all new rows first, then all locks, both in the order of pipelines."""
        there: dict[str, set[str]] = {}
        new: dict[str, set[str]] = {}
        for name, key in (*places, *left):
            there.setdefault(name, set()).add(key)
        for name, key in self._facts:
            new.setdefault(name, set()).add(key)
        mine = sorted((known[name] for name in there.keys() & known.keys()), key=lambda pipeline: pipeline.id)
        for pipeline in mine:
            item_load.make(self._connection, pipeline, new.get(pipeline.name, ()))
        states: list[ItemState] = []
        for pipeline in mine:
            states += item_load.by_key(self._store, self._connection, pipeline, there[pipeline.name]).values()
        return states

    def _settle(self) -> tuple[list[str], dict[str, PipelineState]]:
        """Bring in definitions and the steps found for single items, in the order of names, before items are locked.

        Returns:
            Pipelines whose definition changed, and those that were looked at and are as they were.
        """
        defined: dict[str, list[_Fact]] = {}
        for fact in self._definitions:
            defined.setdefault(clean.text(fact.record.get("name"), 200) or "", []).append(fact)
        wanted = self._wanted()
        facts: dict[str, list[_Fact]] = {}
        for (name, _), of_item in self._facts.items():
            facts.setdefault(name, []).extend(of_item)
        known = item_definitions.load(self._store, self._connection, facts) if facts else {}
        unknown = {name for name in facts if name not in known or not known[name].rev}
        changed = []
        for name in sorted({*defined, *wanted, *unknown}):
            # Each of them, not any: they come in order, and the last one counts.
            if any([self._define(fact) for fact in defined.get(name, ())]):
                changed.append(name)
            elif name in unknown:
                self._await(name, facts[name])
            known.pop(name, None)
            if name in wanted:
                pipeline = item_definitions.load(self._store, self._connection, [name]).get(name)
                if pipeline is not None:
                    item_definitions.extend(self._store, self._connection, pipeline, wanted[name])
        return changed, known

    def _define(self, fact: _Fact) -> bool:
        try:
            definition = item_definitions.parse(fact.record)
        except DefinitionError as error:
            row = {"at": from_epoch(fact.at), "kind": "refused", "message": clean.text(f"pipeline: {error}", 4096)}
            self._connection.execute(insert(events), row)
            return False
        return bool(item_definitions.define(self._store, self._connection, definition, fact.at))

    def _await(self, name: str, facts: Iterable[_Fact]) -> None:
        """Make room for items whose facts wait for the definition of their pipeline."""
        at = max(fact.at for fact in facts)
        if item_definitions.expect(self._store, self._connection, name, at):
            message = clean.text(
                f"no program has told of a pipeline {name!r} yet: facts about its items wait for it", 4096
            )
            self._connection.execute(insert(events), {"at": from_epoch(at), "kind": "waiting", "message": message})

    def _wanted(self) -> dict[str, dict[str, str]]:
        """Steps that these facts find for single items: group by key, by pipeline."""
        wanted: dict[str, dict[str, str]] = {}
        for (name, _), facts in self._facts.items():
            for fact in facts:
                if fact.record.get("k") == "item.plan":
                    group = clean.text(fact.record.get("group"), 200) or "main"
                    for key in clean.texts(fact.record.get("add")):
                        wanted.setdefault(name, {}).setdefault(key, group)
        return wanted

    def _cells(self, states: Iterable[ItemState], left: Mapping[tuple[str, str], set[int]]) -> None:
        """Read the rows of those steps that matter."""
        whole: list[ItemState] = []
        part: list[ItemState] = []
        steps: set[int] = set()
        for item in states:
            place = (item.pipeline.name, item.key)
            facts = self._facts.get(place, ())
            if item.fresh:
                continue
            waits = item.log is not None and bool(item.log.waiting)
            if waits or item.definition != item.pipeline.rev or any(_wide(item, fact.record) for fact in facts):
                whole.append(item)
                continue
            part.append(item)
            told = [str(fact.record.get("step")) for fact in facts if "step" in fact.record]
            told += [step for step, *_ in self._progress.get(place, ())]
            told += [one.step for one in self._abandoned.get(place, ())]
            for key in told:
                known = item.pipeline.step(key)
                if known is not None:
                    steps.add(known.id)
            steps |= left.get(place, set())
        steps |= item_load.failed_steps(part)
        item_load.all_cells(self._connection, whole)
        item_load.some_cells(self._connection, part, steps)

    def _fold(self, item: ItemState) -> None:
        place = (item.pipeline.name, item.key)
        if item.fresh or item.definition != item.pipeline.rev:
            item.dirty = True
        catch_up(item)
        for fact in self._facts.get(place, ()):
            fold_item(item, fact.record, fact.at, fact.name)
        for step, att, percent, told in self._progress.get(place, ()):
            fold_progress(item, step, att, percent, self._now, told)


def _wide(item: ItemState, record: Mapping[str, Any]) -> bool:
    kind = record.get("k")
    if kind == "item.add":
        # Another kind or date moves everything that is counted of it.
        return bool(record.get("kind") or record.get("date")) and "c" in item.states
    return kind in _WIDE


def _said(run: RunState) -> tuple[float, str]:
    """When a run ended, and what that means for a step that it left processing."""
    at = run.ended_at or run.last_update
    if run.status is RunStatus.LOST:
        return at, f"its run was lost: {run.lost_reason or 'nobody knows why'}"
    if run.status is RunStatus.FAILED:
        return at, f"its run failed: {run.error_message or run.error_type or 'without a word'}"
    if run.status is RunStatus.CANCELLED:
        return at, "its run was cancelled"
    return at, "its run finished without ending it"
