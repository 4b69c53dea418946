"""One wide view for each pipeline that wants it: a row for each item, a column for each step."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Label,
    Select,
    case,
    cast,
    func,
    insert,
    inspect,
    literal,
    literal_column,
    null,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from statustui.errors import StatustuiError
from statustui.model.item_state import KnownStep, PipelineState
from statustui.store.item_definitions import ordered, pipeline_of
from statustui.store.item_schema import item_steps, items
from statustui.store.open import Store
from statustui.store.schema import events

_PLAIN = ("kind", "date", "status", "last_error", "retry_count", "created_at", "updated_at", "completed_at")
_LONGEST = 60
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_MARK = "a view of statustui"
_TOLD = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE name = ?",
    "postgresql": "SELECT obj_description(to_regclass(quote_ident(%s)), 'pg_class')",
}


class BadView(StatustuiError):
    """The view can not be made."""


def make_view(
    store: Store,
    name: str,
    *,
    view: str | None = None,
    columns: Mapping[str, str] | None = None,
    actor: str | None = None,
) -> str:
    """Make (or make anew) the view of a pipeline: ``step_<key>`` is when that step was completed.

    ``current_step`` is the label of the last completed step, 0 before the first; ``error_step`` the label of the one
    that failed: numbers where all labels are. After a change of the definition it must be made anew.

    Args:
        store: the store.
        name: the pipeline.
        view: what it shall be called: ``status``, or with that and ``_`` in front; ``status_<pipeline>`` when None.
        columns: further columns, as people's SQL knows them: ``key``, ``parcel`` … ``attributes.<name>`` by name.
        actor: who does it, for the trail.

    Returns:
        The name of the view.

    Raises:
        NoSuchPipeline: there is no such pipeline.
        BadView: something else has this name, or a column's source is none.
    """
    with store.write() as connection:
        pipeline = pipeline_of(store, connection, name)
        called = view or view_name(name)
        sql = _sql(connection, pipeline, columns or {})
        quoted = connection.dialect.identifier_preparer.quote(called)
        _drop(connection, called)
        # Names and numbers only: nothing in it was typed by anybody but as a quoted identifier or literal.
        mark = f"/* {_MARK} */ " if store.dialect == "sqlite" else ""
        connection.exec_driver_sql(f"CREATE VIEW {quoted} AS {mark}{sql}")
        if store.dialect == "postgresql":
            connection.exec_driver_sql(f"COMMENT ON VIEW {quoted} IS '{_MARK}'")
        _note(connection, pipeline, f"view {called} made", actor)
        return called


def view_sql(
    store: Store, name: str, *, view: str | None = None, columns: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """Name and query of the view that would be made; changes nothing.

    Raises:
        NoSuchPipeline: there is no such pipeline.
        BadView: something else has this name, or a column's source is none.
    """
    with store.read() as connection:
        called = view or view_name(name)
        _ours(connection, called)
        sql = _sql(connection, pipeline_of(store, connection, name), columns or {})
        return called, sql.replace("%%", "%")


def drop_view(store: Store, name: str, *, view: str | None = None, actor: str | None = None) -> str | None:
    """Remove the view of a pipeline.

    Returns:
        The name that it had; None when there was none.

    Raises:
        NoSuchPipeline: there is no such pipeline.
        BadView: what has this name is not ours.
    """
    with store.write() as connection:
        pipeline = pipeline_of(store, connection, name)
        called = view or view_name(name)
        if not _drop(connection, called):
            return None
        _note(connection, pipeline, f"view {called} removed", actor)
        return called


def view_name(pipeline: str) -> str:
    """``status_auctions`` for the pipeline ``auctions``; letters, digits and underscores."""
    return f"status_{_plain(pipeline)}"[:_LONGEST]


def _drop(connection: Connection, view: str) -> bool:
    there = _ours(connection, view)
    if there:
        connection.exec_driver_sql(f"DROP VIEW {connection.dialect.identifier_preparer.quote(view)}")
    return there


def _ours(connection: Connection, view: str) -> bool:
    """Whether there is such a view.

    Raises:
        BadView: something of this name is there that we did not make.
    """
    # By these names a store knows that they are ours, and no trap (Sqlite.version).
    if len(view) > _LONGEST or not re.fullmatch(r"status(_[A-Za-z0-9_]+)?", view):
        raise BadView(f"{view[:80]!r} is no name for a view: status, or status_ and letters, digits, underscores")
    found = inspect(connection)
    if view not in {*found.get_view_names(), *found.get_table_names()}:
        return False
    told = connection.exec_driver_sql(_TOLD[connection.dialect.name], (view,)).scalar()
    if _MARK not in (told or ""):
        raise BadView(f"the store has something else called {view}: choose another name with --name")
    return True


def _note(connection: Connection, pipeline: PipelineState, message: str, actor: str | None) -> None:
    row = {"at": datetime.now(UTC), "pipeline": pipeline.id, "kind": "pipeline", "message": message, "actor": actor}
    connection.execute(insert(events), row)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "x"


def _sql(connection: Connection, pipeline: PipelineState, columns: Mapping[str, str]) -> str:
    body = _body(pipeline, columns, connection.dialect.name)
    made = body.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    return str(made).replace("%", "%%")


def _body(pipeline: PipelineState, columns: Mapping[str, str], dialect: str) -> Select[Any]:
    known = ordered(pipeline)
    further = [_further(name, source, dialect) for name, source in columns.items()]
    taken = set(columns)
    steps: list[Label[Any]] = []
    for one in known:
        label = f"step_{_plain(one.step.key)}"[: _LONGEST - 2]
        while label in taken:
            label += "_"
        taken.add(label)
        ended = select(item_steps.c.completed_at).where(
            item_steps.c.item == items.c.id, item_steps.c.step == one.id, item_steps.c.status == "completed"
        )
        steps.append(ended.scalar_subquery().label(label))
    labels = _labels(known)
    last = [
        (func.substr(items.c.states, one.slot + 1, 1) == "c", labels[one.id])
        for one in reversed(known)
    ]  # fmt: skip
    failed = [(items.c.error_step == one.id, labels[one.id]) for one in known]
    nothing = literal_column("0") if _numbers(known) else literal("0")
    own = [
        items.c.key,
        *steps,
        (case(*last, else_=nothing) if known else nothing).label("current_step"),
        (case(*failed, else_=null()) if known else null()).label("error_step"),
        *(items.c[name] for name in _PLAIN),
    ]
    return select(*further, *(one for one in own if one.name not in columns)).where(items.c.pipeline == pipeline.id)


def _further(name: str, source: str, dialect: str) -> Label[Any]:
    """A column under a name of people's own."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,59}", name):
        raise BadView(f"{name[:80]!r} is no name for a column: use letters, digits and underscores")
    if source in ("key", *_PLAIN):
        return items.c[source].label(name)
    head, _, attribute = source.partition(".")
    if head != "attributes" or not attribute:
        known = ", ".join(("key", *_PLAIN))
        raise BadView(f"column {name}: {source[:80]!r} is none of {known} and attributes.NAME")
    attributes = items.c.attributes
    if dialect == "sqlite":
        # Not json_extract: a view of a file that is not trusted (trusted_schema) may not use it.
        entries = func.json_each(attributes).table_valued("key", "value")
        return select(entries.c.value).where(entries.c.key == attribute).scalar_subquery().label(name)
    value: ColumnElement[Any] = cast(attributes, JSONB)[attribute].astext
    return value.label(name)


def _words(known: Sequence[KnownStep]) -> dict[int, str]:
    """What each step is called: its short label, else its key; its place where no step has a label."""
    bare = not any(one.step.short or one.step.label for one in known)
    return {
        one.id: one.step.short or one.step.label or (str(place) if bare else one.step.key)
        for place, one in enumerate(known, 1)
    }


def _numbers(known: Sequence[KnownStep]) -> bool:
    return all(_NUMBER.fullmatch(word) for word in _words(known).values())


def _labels(known: Sequence[KnownStep]) -> dict[int, ColumnElement[Any]]:
    """The same as SQL: numbers, where all are, so that they may be compared and sorted."""
    if _numbers(known):
        return {number: literal_column(word) for number, word in _words(known).items()}
    return {number: literal(word) for number, word in _words(known).items()}
