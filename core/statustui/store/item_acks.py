"""Failures of items that somebody has seen: they leave *Needs you*, until one of their kind fails again."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from statustui.model.clean import text as cleaned
from statustui.model.items import FailureGroup
from statustui.model.times import from_text, to_text, utc_now
from statustui.store.item_definitions import pipeline_of
from statustui.store.open import Store
from statustui.store.requests import note_change
from statustui.store.schema import events, meta

_HEAD = "acked-items:"
_KEPT = timedelta(days=30)
_ALL = select(meta.c.key, meta.c.value).where(meta.c.key.startswith(_HEAD, autoescape=True))

Kind = tuple[int, int, str]
"""(pipeline, step, fingerprint)."""


def acknowledge(store: Store, groups: Iterable[FailureGroup], by: str) -> int:
    """Somebody has seen these failures; those that come after the newest of them ask again.

    Args:
        store: the store.
        groups: kinds of failures, as they were shown.
        by: who.

    Returns:
        How many failures that are.

    Raises:
        NoSuchPipeline: one is of a pipeline that is none.
    """
    number, now = 0, utc_now()
    with store.write() as connection:
        for group in groups:
            pipeline = pipeline_of(store, connection, group.pipeline)
            step = pipeline.known[group.step].id
            key = f"{_HEAD}{pipeline.id}:{step}:{group.fingerprint}"
            connection.execute(delete(meta).where(meta.c.key == key))
            value = json.dumps({"at": to_text(group.newest), "by": cleaned(by, 200)})
            connection.execute(insert(meta), {"key": key, "value": value})
            message = cleaned(f"{group.count} failed items acknowledged: {group.error}", 4096)
            connection.execute(
                insert(events),
                {"at": now, "pipeline": pipeline.id, "step": step, "kind": "ack", "message": message,
                 "actor": cleaned(by, 200)},
            )  # fmt: skip
            number += group.count
        if number:
            _forget(connection, now - _KEPT)
            note_change(connection)
    return number


def acknowledged(connection: Connection) -> dict[Kind, datetime]:
    """Up to when failures of each kind were seen."""
    found: dict[Kind, datetime] = {}
    for key, value in connection.execute(_ALL):
        pipeline, _, rest = key[len(_HEAD) :].partition(":")
        step, _, fingerprint = rest.partition(":")
        at = _at(value)
        if pipeline.isdecimal() and step.isdecimal() and at is not None:
            found[int(pipeline), int(step), fingerprint] = at
    return found


def _at(value: str) -> datetime | None:
    try:
        return from_text(json.loads(value)["at"])
    except (ValueError, TypeError, KeyError):
        return None


def _forget(connection: Connection, before: datetime) -> None:
    """Leave out those that are older than anything that *Needs you* shows."""
    old = [key for key, value in connection.execute(_ALL).all() if (_at(value) or before) < before]
    if old:
        connection.execute(delete(meta).where(meta.c.key.in_(old)))
