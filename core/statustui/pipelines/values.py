"""Values of people's programs as JSON: metadata of steps, attributes of items, dates."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from statustui.model import values

METADATA_LIMIT = 65_536
"""Longest metadata of one call, in characters of JSON; more is refused, never cut in the middle."""
_DEPTH = 8


def plain(value: object, depth: int = 0) -> Any:
    """*value* as what JSON can hold: UUID, datetime, Decimal, paths, numpy scalars, sets and the like included.

    Never raises: what is none of these becomes its text.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return plain(value.value, depth)
    if isinstance(value, int):
        return max(-(2**63), min(2**63 - 1, int(value)))
    if isinstance(value, float):
        return values.real(value)
    if isinstance(value, Decimal):
        # As text it stays exact; JSON numbers become binary fractions in most readers.
        return values.text(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str):
        return values.text(value)
    if depth >= _DEPTH:
        return values.text(value, 200)
    if isinstance(value, Mapping):
        return {values.text(key, 200): plain(one, depth + 1) for key, one in list(value.items())[:1000]}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one, depth + 1) for one in list(value)[:1000]]
    return _scalar(value)


def _scalar(value: object) -> Any:
    """A numpy scalar or something like it gives its plain value by ``item()``; anything else its text."""
    item = getattr(value, "item", None)
    if callable(item):
        try:
            got = item()
        except Exception:  # the recording border: somebody else's object
            return values.text(value)
        if isinstance(got, bool | int | float | str):
            return plain(got)
    return values.text(value)


def day(value: object) -> str | None:
    """*value* as an ISO date, ``2025-01-02``; None when there is none.

    Raises:
        ValueError: it is no date.
    """
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    text = values.text(value, 40).strip()
    try:
        return date.fromisoformat(text[:10]).isoformat() if len(text) >= 10 else date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"{text!r} is no date; write it as 2025-01-31") from None


def key(value: object) -> str:
    """*value* as the natural key of an item: text of at most 500 characters."""
    return values.text(value, values.NAME_LIMIT)
