"""Rows in the shapes that programs have them (of a driver, a cursor, dicts), as mappings from columns to values."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from statustui.errors import StatustuiError

Row = Mapping[str, Any]


class BadRows(StatustuiError):
    """The rows can not be used."""


def mappings(rows: Iterable[Any]) -> Iterator[Row]:
    """Each row as a mapping: of ``sqlite3.Row``, of SQLAlchemy, named tuples, or what a cursor has.

    Raises:
        BadRows: the rows do not say how their columns are called; the message says what to do.
    """
    if isinstance(rows, str | bytes):
        raise BadRows(f"rows are needed, not the text {rows!r}: give what connection.execute(…) returns")
    # A cursor knows the names of its columns, whatever its rows are.
    described = getattr(rows, "description", None)
    names = [column[0] for column in described] if described else None
    for number, row in enumerate(rows, 1):
        yield _mapping(row, names, number)


def _mapping(row: Any, names: list[str] | None, number: int) -> Row:
    if isinstance(row, Mapping):
        return row
    # SQLAlchemy's rows.
    inner = getattr(row, "_mapping", None)
    if isinstance(inner, Mapping):
        return inner
    if hasattr(row, "keys"):
        return dict(row)
    if hasattr(row, "_asdict"):
        return dict(row._asdict())
    if names is not None and isinstance(row, tuple | list) and len(row) == len(names):
        return dict(zip(names, row, strict=True))
    raise BadRows(
        f"row {number} is a {type(row).__name__} without names of columns: give dicts, or the cursor itself, "
        "or frame.to_dict('records')"
    )
