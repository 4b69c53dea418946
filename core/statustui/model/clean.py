"""Values from outside, made fit to be stored: what is wrong is cut, clamped or left out, and never raises."""

import json
import math
from typing import Any

MAX_COUNT = 2**53
"""The largest count of one writer; sums of many still fit a 64-bit column."""
_MAX_TEXT = 65_536
_MAX_DEPTH = 8
_MAX_ENTRIES = 1_000


def text(value: object, limit: int = _MAX_TEXT) -> str | None:
    """*value* as text that every database takes (no NUL, no lone surrogates), at most *limit* characters."""
    if not isinstance(value, str):
        if value is None or isinstance(value, dict | list):
            return None
        value = str(value)
    if len(value) > limit:
        value = value[: limit - 1] + "…"
    if "\0" in value:
        value = value.replace("\0", "\u2400")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            value = value.encode("utf-8", "backslashreplace").decode()
    return value


def number(value: object, highest: int = MAX_COUNT) -> int | None:
    """*value* as a whole number within 0..*highest*; None for what is no number."""
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return 0 if value < 0 else highest if value >= highest else int(value)
    if isinstance(value, int):
        return min(highest, max(0, int(value)))
    return None


def integer(value: object) -> int | None:
    """*value* as a signed 32-bit number, or None."""
    if isinstance(value, int) and -(2**31) <= value < 2**31:
        return int(value)
    return None


def real(value: object, lowest: float = -1e15, highest: float = 1e15) -> float | None:
    """*value* as a finite number within the bounds, or None."""
    if isinstance(value, int | float):
        try:
            found = float(value)
        except OverflowError:
            found = math.inf if value > 0 else -math.inf
        return None if math.isnan(found) else min(highest, max(lowest, found))
    return None


def texts(value: object, limit: int = _MAX_ENTRIES) -> list[str]:
    """*value* as a list of texts; what is none is left out."""
    if not isinstance(value, list | tuple):
        return []
    return [t for t in map(text, value[:limit]) if t is not None]


def plain(value: object, depth: int = _MAX_DEPTH) -> Any:
    """*value* as JSON that every database takes: no NaN, no NUL, not deeper than eight levels."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else float(value) if abs(value) < 1e300 else None
    if depth and isinstance(value, dict):
        return {text(key, 1000): plain(item, depth - 1) for key, item in list(value.items())[:_MAX_ENTRIES]}
    if depth and isinstance(value, list | tuple):
        return [plain(item, depth - 1) for item in value[:_MAX_ENTRIES]]
    return text(value)


def small(value: object, longest: int = 4_096) -> dict[str, Any]:
    """*value* as a JSON object of short entries: many such are merged, and none may make a row of many megabytes."""
    found = mapping(value)
    for key, item in found.items():
        if isinstance(item, str):
            found[key] = text(item, longest)
        elif isinstance(item, dict | list) and len(json.dumps(item)) > longest:
            found[key] = "…"
    return found


def mapping(value: object) -> dict[str, Any]:
    """*value* as a JSON object; empty when it is none."""
    cleaned = plain(value)
    return cleaned if isinstance(cleaned, dict) else {}
