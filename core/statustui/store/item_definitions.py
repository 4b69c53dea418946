"""Definitions of pipelines: read once and kept, brought up to date when a program tells of another one."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from statustui.errors import StatustuiError
from statustui.model import clean
from statustui.model.item_state import KnownStep, PipelineState
from statustui.model.pipeline import Definition, DefinitionError, Step
from statustui.model.times import from_epoch, to_epoch
from statustui.store.item_rows import STEP, known_step, step_row
from statustui.store.item_schema import pipelines, steps
from statustui.store.open import Store
from statustui.store.schema import events

_NAMES: BindParameter[Any] = bindparam("names", expanding=True)
_COUNT = select(func.count()).where(steps.c.pipeline == pipelines.c.id).scalar_subquery()
_REVS = (
    select(pipelines.c.id, pipelines.c.name, pipelines.c.rev, _COUNT.label("steps"))
    .where(pipelines.c.name.in_(_NAMES))
    .order_by(pipelines.c.name)
)
_ONE = select(pipelines.c.id, pipelines.c.rev, pipelines.c.changed_at).where(pipelines.c.name == bindparam("name"))
_NAMES_OF = select(pipelines.c.name).where(pipelines.c.id.in_(bindparam("numbers", expanding=True)))
_ALL = select(pipelines.c.name).where(pipelines.c.rev > 0).order_by(pipelines.c.name)
_STEPS = select(steps).where(steps.c.pipeline == bindparam("pipeline")).order_by(steps.c.position, steps.c.slot)
_NEW = {
    "sqlite": sqlite.insert(pipelines).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(pipelines).on_conflict_do_nothing(),
}
_RAISE = (
    update(pipelines)
    .where(pipelines.c.id == bindparam("b_id"))
    .values(rev=pipelines.c.rev + 1, changed_at=bindparam("b_at"))
)
_STEP = update(steps).where(steps.c.id == bindparam("b_id")).values({name: bindparam(name) for name in STEP})


class NoSuchPipeline(StatustuiError):
    """The store knows no pipeline of that name."""


def load(store: Store, connection: Connection, names: Iterable[str]) -> dict[str, PipelineState]:
    """The pipelines of these names, as far as the store has them; each is read again only when it has changed."""
    cached: dict[str, tuple[tuple[int, int], PipelineState]] = store.cache.setdefault("pipelines", {})
    found: dict[str, PipelineState] = {}
    wanted = sorted(set(names))
    for number, name, rev, count in connection.execute(_REVS, {"names": wanted}).all() if wanted else ():
        kept = cached.get(name)
        if kept is None or kept[0] != (rev, count) or kept[1].id != number:
            kept = cached[name] = ((rev, count), _read(connection, number, name, rev))
        found[name] = kept[1]
    return found


def _read(connection: Connection, number: int, name: str, rev: int) -> PipelineState:
    rows = connection.execute(_STEPS, {"pipeline": number}).mappings().all()
    known = {row["key"]: known_step(row) for row in rows}
    current = tuple(known[row["key"]].step for row in rows if row["active"] and row["position"] is not None)
    return PipelineState(id=number, name=name, rev=rev, definition=Definition(name=name, steps=current), known=known)


def parse(record: Mapping[str, Any]) -> Definition:
    """The definition that a record tells.

    Raises:
        DefinitionError: it contradicts itself.
    """
    name = clean.text(record.get("name"), 200) or ""
    told = record.get("steps")
    if not name or not isinstance(told, list):
        raise DefinitionError("a pipeline needs a name and steps")
    return Definition(name=name, steps=tuple(_step(one) for one in told[:1000] if isinstance(one, Mapping)))


def _step(told: Mapping[str, Any]) -> Step:
    weight, retries = clean.real(told.get("weight"), 0, 1e9), told.get("max_retries")
    return Step(
        key=clean.text(told.get("key"), 500) or "",
        label=clean.text(told.get("label"), 100) or "",
        title=clean.text(told.get("title"), 500) or "",
        short=clean.text(told.get("short"), 100) or "",
        after=None if told.get("after") is None else tuple(clean.texts(told["after"])),
        weight=1.0 if weight is None else weight,
        group=clean.text(told.get("group"), 200) or "main",
        optional=told.get("optional") is True,
        max_retries=None if retries is None else clean.integer(retries),
        aliases=tuple(clean.texts(told.get("aliases"))),
    )


def define(store: Store, connection: Connection, definition: Definition, at: float) -> tuple[str, ...]:
    """Bring a pipeline's definition into the store; one that is there already changes nothing.

    Returns:
        What changed, one sentence each.
    """
    there = load(store, connection, [definition.name]).get(definition.name)
    if there is not None and there.rev and there.definition == definition:
        return ()
    when = from_epoch(at)
    connection.execute(_NEW[store.dialect], {"name": definition.name, "rev": 0, "first_seen": when, "changed_at": when})
    number, rev, changed_at = _locked(store, connection, definition.name)
    there = _read(connection, number, definition.name, rev)
    # A journal that comes late tells of an older one: the latest counts, whatever the order.
    if rev and (there.definition == definition or at < changed_at):
        store.cache["pipelines"].pop(definition.name, None)
        return ()
    said = definition.changes_since(there.definition) if rev else (f"{len(definition.steps)} steps",)
    _write(connection, there, definition)
    connection.execute(_RAISE, {"b_id": number, "b_at": when})
    message = clean.text("; ".join(said) or "titles, weights or other details changed", 4096)
    connection.execute(
        insert(events),
        {"at": when, "pipeline": number, "kind": "pipeline", "status": "changed" if rev else "defined",
         "message": message},
    )  # fmt: skip
    store.cache["pipelines"].pop(definition.name, None)
    return said


def expect(store: Store, connection: Connection, name: str, at: float) -> bool:
    """Make a pipeline known that nobody has told of yet, so that facts about its items can wait for it.

    Returns:
        False when it was known.
    """
    if connection.execute(_ONE, {"name": name}).first() is not None:
        return False
    when = from_epoch(at)
    connection.execute(_NEW[store.dialect], {"name": name, "rev": 0, "first_seen": when, "changed_at": when})
    return True


def _locked(store: Store, connection: Connection, name: str) -> tuple[int, int, float]:
    # Not against those who only point to it: they would wait, and with them those who wait for them.
    statement = _ONE.with_for_update(key_share=True) if store.database.lock_rows else _ONE
    row = connection.execute(statement, {"name": name}).one()
    return row.id, row.rev, to_epoch(row.changed_at)


def _write(connection: Connection, there: PipelineState, definition: Definition) -> None:
    """Steps keep their numbers: by their key, else by a former one; what is new gets the next free place."""
    slot = 1 + max(there.by_slot, default=-1)
    kept: set[int] = set()
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for position, step in enumerate(definition.steps):
        known = there.known.get(step.key) or next(
            (there.known[alias] for alias in step.aliases if alias in there.known), None
        )
        if known is None or known.id in kept:
            new.append(step_row(there.id, step, slot, position, active=True))
            slot += 1
        else:
            kept.add(known.id)
            changed.append(step_row(there.id, step, known.slot, position, active=True) | {"b_id": known.id})
    for known in there.known.values():
        if known.id not in kept and known.active and known.step.key in there.definition:
            row = step_row(there.id, known.step, known.slot, None, active=False)
            changed.append(row | {"b_id": known.id})
    if changed:
        connection.execute(_STEP, changed)
    if new:
        connection.execute(insert(steps), new)


def extend(store: Store, connection: Connection, pipeline: PipelineState, wanted: Mapping[str, str]) -> PipelineState:
    """Give numbers to steps that were found later for single items.

    Args:
        store: the store.
        connection: its connection, in a transaction.
        pipeline: theirs.
        wanted: group by key.
    """
    if all(key in pipeline.known for key in wanted):
        return pipeline
    number, rev, _ = _locked(store, connection, pipeline.name)
    there = _read(connection, number, pipeline.name, rev)
    slot = 1 + max(there.by_slot, default=-1)
    new = [
        step_row(number, Step(key=key, group=group, after=()), slot + i, None, active=True)
        for i, (key, group) in enumerate((k, g) for k, g in wanted.items() if k not in there.known)
    ]
    if new:
        connection.execute(insert(steps), new)
    store.cache.get("pipelines", {}).pop(pipeline.name, None)
    return load(store, connection, [pipeline.name])[pipeline.name]


def by_number(store: Store, connection: Connection, numbers: Iterable[int]) -> dict[int, PipelineState]:
    """Pipelines by their numbers."""
    wanted = sorted(set(numbers))
    names = connection.execute(_NAMES_OF, {"numbers": wanted}).scalars().all() if wanted else ()
    return {one.id: one for one in load(store, connection, names).values()}


def names(connection: Connection) -> list[str]:
    """All pipelines that were told of, by name."""
    return list(connection.execute(_ALL).scalars())


def pipeline_of(store: Store, connection: Connection, name: str) -> PipelineState:
    """A pipeline by its name.

    Raises:
        NoSuchPipeline: there is none.
    """
    found = load(store, connection, [name]).get(name)
    if found is None or not found.rev:
        raise NoSuchPipeline(f"the store has no pipeline {name!r}")
    return found


def ordered(pipeline: PipelineState) -> tuple[KnownStep, ...]:
    """The steps of the definition, in order, and after them those of single items."""
    own = [pipeline.known[step.key] for step in pipeline.definition.steps]
    there = {one.id for one in own}
    extra = [one for one in pipeline.by_slot.values() if one.active and one.id not in there]
    return (*own, *sorted(extra, key=lambda one: one.slot))
