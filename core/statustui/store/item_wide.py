"""One wide view for each pipeline that wants it: a row for each item, a column for each step."""

import re
from typing import Any

from sqlalchemy import ColumnElement, Label, Select, case, func, literal, select

from statustui.model.item_state import PipelineState
from statustui.store.item_definitions import ordered, pipeline_of
from statustui.store.item_schema import item_steps, items, steps
from statustui.store.open import Store

_PLAIN = ("kind", "date", "status", "last_error", "retry_count", "created_at", "updated_at", "completed_at")


def make_view(store: Store, name: str) -> str:
    """Make (or make anew) the view ``status_<pipeline>``: ``step_<key>`` is when that step was completed.

    ``current_step`` is the label of the last completed step, ``0`` before the first; ``error_step`` the key of the one
    that failed. After a change of the definition it must be made anew.

    Returns:
        The name of the view.

    Raises:
        NoSuchPipeline: there is no such pipeline.
    """
    with store.write() as connection:
        pipeline = pipeline_of(store, connection, name)
        view = view_name(name)
        quoted = connection.dialect.identifier_preparer.quote(view)
        body = _body(pipeline).compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {quoted}")
        # Names and numbers only: nothing in it was typed by anybody but as a quoted identifier.
        connection.exec_driver_sql(f"CREATE VIEW {quoted} AS {str(body).replace('%', '%%')}")
        return view


def view_name(pipeline: str) -> str:
    """``status_auctions`` for the pipeline ``auctions``; letters, digits and underscores."""
    return f"status_{_plain(pipeline)}"[:60]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "x"


def _body(pipeline: PipelineState) -> Select[Any]:
    columns: list[Label[Any]] = []
    taken: set[str] = set()
    known = ordered(pipeline)
    for one in known:
        label = f"step_{_plain(one.step.key)}"[:58]
        while label in taken:
            label += "_"
        taken.add(label)
        ended = select(item_steps.c.completed_at).where(
            item_steps.c.item == items.c.id, item_steps.c.step == one.id, item_steps.c.status == "completed"
        )
        columns.append(ended.scalar_subquery().label(label))
    last: ColumnElement[str] = literal("0")
    if known:
        whens = [
            (func.substr(items.c.states, one.slot + 1, 1) == "c", literal(one.step.shown_label or str(place)))
            for place, one in reversed(list(enumerate(known, 1)))
        ]
        last = case(*whens, else_=literal("0"))
    failed = select(steps.c.key).where(steps.c.id == items.c.error_step).scalar_subquery()
    return select(
        items.c.key, *columns, last.label("current_step"), failed.label("error_step"),
        *(items.c[name] for name in _PLAIN),
    ).where(items.c.pipeline == pipeline.id)  # fmt: skip
