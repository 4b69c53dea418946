"""Rows made sound: SQLite keeps any value in any column, and whoever may write to a store can leave one there.

A reader that met a text where a number belongs would end; here the value becomes one that means "not known".
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Boolean, Double, Integer, LargeBinary, Text
from sqlalchemy.sql.elements import ColumnElement

from statustui.model.status import RunStatus, SubtaskStatus

_KNOWN_AT_MOST = 4_096
_MAX_INT = 2**63 - 1
_DEPTH = 32


class Checker:
    """Knows what the columns of one SELECT hold; rows of types that were met before pass in about a microsecond."""

    def __init__(self, columns: Iterable[ColumnElement[Any]]) -> None:
        columns = tuple(columns)
        self._repairs = tuple(_repair(column) for column in columns)
        self._floats = tuple(i for i, column in enumerate(columns) if isinstance(column.type, Double))
        self._good: set[tuple[type, ...]] = set()

    def __call__(self, row: Sequence[Any]) -> Sequence[Any]:
        """*row*, or a copy in which what makes no sense is replaced."""
        kinds = tuple(map(type, row))
        if kinds in self._good:
            for i in self._floats:
                value = row[i]
                if value is not None and value - value != 0.0:  # no number, or without end
                    break
            else:
                return row
        repaired = tuple(repair(value) for repair, value in zip(self._repairs, row, strict=True))
        if all(new is old for new, old in zip(repaired, row, strict=True)):
            if len(self._good) < _KNOWN_AT_MOST:
                self._good.add(kinds)
            return row
        return repaired


def decoded(text: str | bytes) -> Any:
    """JSON from a store; None for what is none, for numbers that are none, and for what is nested without sense."""
    try:
        # Made once: `json.loads` makes a decoder for each call that wants more than the usual.
        written = text.decode() if isinstance(text, bytes) else text
        value = _DECODER.decode(written)
    except (ValueError, TypeError, RecursionError):
        return None
    if written.count("[") + written.count("{") > _DEPTH and _deeper(value, _DEPTH):
        return None
    return value


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if number - number == 0.0 else None


_DECODER = json.JSONDecoder(parse_constant=lambda _: None, parse_float=_finite)


def _deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(one, levels - 1) for one in inner)


def run_status(word: object, *, ended: bool) -> RunStatus:
    """The status of a run; one that nobody knows is taken for ``lost``, or ``running`` while there is no end."""
    try:
        return RunStatus(str(word))
    except ValueError:
        return RunStatus.LOST if ended else RunStatus.RUNNING


def subtask_status(word: object) -> SubtaskStatus | None:
    """The status of a subtask; None for one that nobody knows."""
    try:
        return SubtaskStatus(str(word))
    except ValueError:
        return None


def items(value: object) -> tuple[Any, ...]:
    """The members of a JSON list; nothing for anything else."""
    return tuple(value) if isinstance(value, list) else ()


def numbers(value: object) -> tuple[float, ...]:
    """The numbers in a JSON list."""
    return tuple(one for one in items(value) if _is_number(one))


def table(value: object) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def _repair(column: ColumnElement[Any]) -> Callable[[Any], Any]:
    kind = column.type
    needed = getattr(column, "nullable", True) is False
    if isinstance(kind, Boolean):
        return lambda value: value if value is None or isinstance(value, bool) else bool(value)
    if isinstance(kind, Integer):
        return _needed_integer if needed else _integer
    if isinstance(kind, Double):
        return _needed_real if needed else _real
    if isinstance(kind, Text):
        return _needed_text if needed else text
    if isinstance(kind, LargeBinary):
        return lambda value: value if value is None or isinstance(value, bytes) else None
    return lambda value: value


def _is_number(value: object) -> bool:
    return type(value) is int or (type(value) is float and value - value == 0.0)


def _integer(value: Any) -> Any:
    if value is None or (type(value) is int and -_MAX_INT <= value <= _MAX_INT):
        return value
    return int(value) if _is_number(value) and abs(value) <= _MAX_INT else None


def _needed_integer(value: Any) -> Any:
    found = _integer(value)
    return 0 if found is None else found


def _real(value: Any) -> Any:
    return value if value is None or _is_number(value) else None


def _needed_real(value: Any) -> Any:
    found = _real(value)
    return 0.0 if found is None else found


def text(value: Any) -> Any:
    """A text, or None: bytes and numbers become one."""
    if value is None or isinstance(value, str):
        return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _needed_text(value: Any) -> Any:
    return "" if value is None else text(value)
