"""Subtasks that are told by name alone (``n`` 0), by writers that live for one line and know no numbers. Pure.

They get numbers of their own, far above those that programs give, in the order in which their journal begins them. What
a name stands for follows from that journal alone, so that it is the same in whatever order journals are read.
"""

from collections.abc import Mapping
from typing import Any

from statustui.model import clean
from statustui.model.state import RunState, SubState

FIRST = 1 << 30
"""Number of the first of them; numbers end below 2^31."""
_COUNTED = 1024
_NAME = 500
_DEPTH = 50


def shown(number: int | None) -> str:
    """The number of a subtask as people count; empty for one that a worker gave, or nobody."""
    return str(number) if number is not None and 0 < number < _COUNTED else ""


def is_named(record: Mapping[str, Any]) -> bool:
    """Does the record leave it to the reader which subtask it is about?"""
    number = record.get("n")
    return type(number) is int and number == 0


def about_the_run(state: RunState, record: Mapping[str, Any]) -> bool:
    """True for a record about the subtask begun last where there is none, and nothing is counted: it means the run."""
    counts = any(record.get(name) is not None for name in ("add", "complete", "total"))
    return not counts and not record.get("name") and not record.get("parent") and _latest(state, None) is None


def number_of(state: RunState, record: Mapping[str, Any]) -> int:
    """The number that *record* means; one that is not known yet is a new subtask's.

    A ``sub.start`` means the one of its name under its heading that has not had its own end, so that many processes may
    begin the same. Any other means the last of its name; without a name the one that was begun last and is open (below
    ``parent``, where that is given), else ``parent`` itself, else one that is called after its unit.
    """
    name = clean.text(record.get("name"), _NAME)
    known = _known(state)
    parent = _number(record.get("parent"))
    if not name:
        found = _latest(state, parent)
        if found is not None or parent is not None:
            return found if found is not None else parent or 0
        name = clean.text(record.get("unit"), 50) or "progress"
    number = known.get(name)
    if number is not None and record.get("k") == "sub.start":
        sub = state.subs[number]
        above = heading_of(state, record)
        if (not sub.status.open and not sub.closed_by_run) or (above is not None and sub.parent not in (None, above)):
            number = None
    if number is None:
        number = FIRST + state.named_count
        state.named_count += 1
        known[name] = number
    return number


def heading_of(state: RunState, record: Mapping[str, Any]) -> int | None:
    """Number of the heading that a named subtask is begun under, if any; 0 for one by name that is not there yet."""
    name = clean.text(record.get("under"), _NAME)
    return _known(state).get(name, 0) if name else _number(record.get("parent"))


def _known(state: RunState) -> dict[str, int]:
    """The last number of each name. Numbers have no gaps, so those that were stored are found again by counting."""
    if state.named is None:
        state.named = {}
        while (sub := state.subs.get(FIRST + state.named_count)) is not None:
            state.named[sub.name] = sub.number
            state.named_count += 1
    return state.named


def _latest(state: RunState, parent: int | None) -> int | None:
    """The named leaf that was begun last and that nothing but the end of the run has closed."""
    _known(state)
    below = [n for n in state.open_subs if n >= FIRST and (parent is None or _is_below(state, n, parent))]
    return max(below, default=None)


def _is_below(state: RunState, number: int, above: int) -> bool:
    sub: SubState | None = state.subs.get(number)
    for _ in range(_DEPTH):
        if sub is None or sub.parent is None:
            return False
        if sub.parent == above:
            return True
        sub = state.subs.get(sub.parent)
    return False


def _number(value: object) -> int | None:
    return value if type(value) is int and 0 < value < 1 << 31 else None
