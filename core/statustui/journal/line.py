"""A record as the line that is appended to a journal."""

from __future__ import annotations

import time

from statustui.journal.files import MAX_LINE
from statustui.journal.safe import MAX_TEXT, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _unknown(value: object) -> object:
    raise TypeError(type(value).__name__)


_chunks: Any = None
try:
    # The module in C alone: all of json brings the compiler of expressions with it, half of what a short process costs.
    from _json import encode_basestring_ascii, make_encoder
except ImportError:  # another Python
    pass
else:
    # ``json.dumps`` makes its C encoder anew for each record: a fifth of what a line costs. One without the list of
    # what is under way can be kept: a record that contains itself is then found out as one that is too deep.
    _chunks = make_encoder(None, _unknown, encode_basestring_ascii, None, ":", ",", False, False, False)


def _encode(record: object) -> str:
    if _chunks:
        return "".join(_chunks(record, 0))
    import json

    return json.dumps(record, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def line_of(kind: str, run: str | None, fields: dict[str, Any]) -> bytes:
    """One record as it is appended: a line feed, then the object, by one write.

    Args:
        kind: its ``k``.
        run: its run_id, where it is about a run.
        fields: the other fields; ``t`` and ``m`` are added unless they are among them.
    """
    record: dict[str, Any] = {"k": kind, "t": time.time(), "m": time.monotonic()}
    if run is not None:
        record["run"] = run
    record.update(fields)
    for value in fields.values():
        if type(value) is str and len(value) > MAX_TEXT:
            return _clean_line(record)
    try:
        text = _encode(record)
    except Exception:  # values of the program's own classes may raise anything; they are made plain instead
        return _clean_line(record)
    if len(text) > MAX_LINE - 2 or "\\u0000" in text or "\\ud" in text:
        return _clean_line(record)
    return b"\n" + text.encode("ascii")


def _clean_line(record: dict[str, Any]) -> bytes:
    """The line of a record that cannot be written as it is: made plain, then cut until it fits."""
    for text, items in ((MAX_TEXT, 10_000), (8192, 1000), (1024, 100), (200, 20)):
        line = _encode(clean(record, text=text, items=items))
        if len(line) <= MAX_LINE - 2:
            return b"\n" + line.encode("ascii")
    head = {key: record[key] for key in ("k", "t", "m", "run", "n", "i", "status", "task") if key in record}
    return b"\n" + _encode(clean(head, text=200, items=20)).encode("ascii")
