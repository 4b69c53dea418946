"""Values that come from somebody else's program, made safe to write: never raises, always bounded."""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TEXT_LIMIT = 65_000
"""Longest text that is kept, in characters; a longer one is cut with a note."""
NAME_LIMIT = 500
"""Longest name of a task or subtask, in characters."""
INT_MAX = 2**63 - 1
"""Largest whole number that every store can hold."""
_DEPTH = 6
_ENTRIES = 1_000


def text(value: object, limit: int = TEXT_LIMIT) -> str:
    r"""*value* as text that any store and any JSON reader takes.

    Args:
        value: anything; an object whose ``__str__`` raises becomes a note that says so.
        limit: longest result, not counting the note about what was cut.

    Returns:
        Text without NUL and without lone surrogates (both stay visible as U+2400 and ``\udcxx``).
    """
    whole = value if type(value) is str else _as_str(value)
    if len(whole) > limit:  # cut before anything copies it (a message may have 100 MB)
        whole = f"{whole[:limit]}… [cut, {len(whole):,} characters]"
    if whole.isascii():
        return whole.replace("\0", "\u2400") if "\0" in whole else whole
    try:
        whole.encode()
    except UnicodeEncodeError:
        whole = whole.encode("utf-8", "backslashreplace").decode()
    return whole.replace("\0", "\u2400")


def _as_str(value: object) -> str:
    try:
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value[: TEXT_LIMIT + 1]).decode("utf-8", "backslashreplace")
        return str.__str__(str(value))  # an exact str, whatever a subclass makes of itself
    except Exception as error:  # the recording border: somebody else's __str__
        return f"<{type(value).__name__} whose text could not be made: {type(error).__name__}>"


def name(value: object) -> str:
    """*value* as a name: one line, at most 500 characters."""
    one = text(value, NAME_LIMIT)
    return " ".join(one.split()) if not one.isprintable() else one


def count(value: object) -> int | None:
    """*value* as a number of items, clamped to 0 … 2**63 − 1; None where it is no number (NaN too)."""
    if type(value) is not int:
        whole = _whole(value)
        if whole is None:
            return None
        value = whole
    return 0 if value < 0 else min(value, INT_MAX)


def _whole(value: object) -> int | None:
    if value is None or isinstance(value, str | bytes):
        return None
    try:
        if hasattr(value, "__index__"):
            return int(value.__index__())
        number = float(value)  # type: ignore[arg-type]
    except Exception:  # the recording border: somebody else's number
        return None
    if number != number:
        return None
    return int(max(-1.0, min(number, 9.2e18)))


def real(value: object) -> float | None:
    """*value* as a finite float; None where it is none (NaN, infinities, text)."""
    if value is None or isinstance(value, str | bytes):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except Exception:  # the recording border: somebody else's number
        return None
    return number if number - number == 0 else None


def percent(value: object) -> float | None:
    """*value* as a percentage, clamped to 0 … 100; None where it is no number."""
    number = real(value)
    return None if number is None else max(0.0, min(number, 100.0))


def scalar(value: object) -> bool | int | float | str | None:
    """*value* as a number, a text, a boolean or None; NaN and infinities become None."""
    if value is None or value is True or value is False or type(value) is str:
        return text(value) if type(value) is str else value
    if isinstance(value, int):
        return max(-INT_MAX, min(int(value), INT_MAX))
    if isinstance(value, float):
        return real(value)
    if isinstance(value, str | bytes):
        return text(value)
    if hasattr(value, "__float__") or hasattr(value, "__index__"):
        return _number_of(value)
    return text(value)


def _number_of(value: object) -> int | float | str | None:
    try:
        if hasattr(value, "__index__"):
            return max(-INT_MAX, min(int(value.__index__()), INT_MAX))
        number = float(value)  # type: ignore[arg-type]
    except Exception:  # the recording border: somebody else's number
        return text(value)
    return number if number - number == 0 else None


def plain(value: object, depth: int = _DEPTH) -> Any:
    """*value* as what JSON can hold: objects, lists, scalars; deeper than six levels as text."""
    if isinstance(value, Mapping) and depth > 0:
        return mapping(value, depth)
    if isinstance(value, list | tuple | set | frozenset) and depth > 0:
        return [plain(entry, depth - 1) for entry in list(value)[:_ENTRIES]]
    return scalar(value)


def mapping(value: object, depth: int = _DEPTH) -> dict[str, Any]:
    """*value* as an object with text keys; at most 1,000 entries, {} where it is no mapping."""
    if not isinstance(value, Mapping):
        return {}
    result: dict[str, Any] = {}
    try:
        for key, entry in value.items():
            if len(result) >= _ENTRIES:
                break
            result[name(key)] = plain(entry, depth - 1)
    except Exception as error:  # the recording border: somebody else's mapping
        result["…"] = f"unreadable: {type(error).__name__}"
    return result
