"""Values of people's programs as JSON: metadata of steps, attributes of items, dates, keys."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from statustui.model import values

METADATA_LIMIT = 65_536
"""Longest metadata of one call, in characters of JSON; more is refused, never cut in the middle."""
_DEPTH = 8


class TooLarge(ValueError):
    """Metadata or attributes are longer than what is kept of one call."""


class _Budget:
    """Characters that are left; stops a huge value before it is copied."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = METADATA_LIMIT

    def take(self, number: int) -> None:
        self.left -= number
        if self.left < 0:
            raise TooLarge(f"more than {METADATA_LIMIT:,} characters; keep large things in a file and name it here")


def bounded(given: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata as what JSON can hold: UUID, datetime, Decimal, paths, numpy scalars, sets and the like included.

    Raises:
        TooLarge: it is longer than ``METADATA_LIMIT``.
    """
    budget = _Budget()
    return {_name(name, budget): _plain(value, 1, budget) for name, value in given.items()}


def _name(value: object, budget: _Budget) -> str:
    text = values.text(value, 200)
    budget.take(len(text) + 4)
    return text


def _plain(value: object, depth: int, budget: _Budget) -> Any:
    budget.take(2)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return _plain(value.value, depth + 1, budget)
    if isinstance(value, int):
        return max(-(2**63), min(2**63 - 1, int(value)))
    if isinstance(value, float):
        return values.real(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str):
        budget.take(len(value))
        return values.text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        budget.take(len(value))
        return values.text(value)
    if isinstance(value, Decimal) or depth >= _DEPTH:
        # As text a Decimal stays exact; JSON numbers become binary fractions in most readers.
        return _text(value, budget)
    if isinstance(value, Mapping):
        return {_name(name, budget): _plain(one, depth + 1, budget) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one, depth + 1, budget) for one in value]
    return _foreign(value, depth, budget)


def _foreign(value: object, depth: int, budget: _Budget) -> Any:
    """A numpy scalar or array gives its plain values by ``tolist()``; anything else its text."""
    to_list = getattr(value, "tolist", None)
    if callable(to_list):
        budget.take(2 * int(getattr(value, "size", 0) or 0))
        try:
            got = to_list()
        except (TypeError, ValueError, AttributeError):
            return _text(value, budget)
        if isinstance(got, bool | int | float | str | list | datetime | date):
            return _plain(got, depth + 1, budget)
    return _text(value, budget)


def _text(value: object, budget: _Budget) -> str:
    text = values.text(value)
    budget.take(len(text))
    return text


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
        if isinstance(value, int | float | bool):
            raise ValueError
        return (date if len(text) <= 10 else datetime).fromisoformat(text).strftime("%Y-%m-%d").zfill(10)
    except ValueError:
        raise ValueError(f"{text!r} is no date; write it as 2025-01-31") from None


def key(value: object) -> str:
    """*value* as the natural key of an item.

    Raises:
        ValueError: it is empty, or longer than 500 characters.
    """
    text = values.name(value)
    if not text.strip() or value is None:
        raise ValueError("an item needs a key that is not empty")
    if len(text) > values.NAME_LIMIT:
        raise ValueError(f"the key has more than {values.NAME_LIMIT} characters: {text[:60]}…")
    return text
