"""Writing many rows of one table at once, the way each kind of database does it fastest.

SQLite takes rows one by one with next to no cost. PostgreSQL takes one statement with one array for each column: a
statement for each row costs it twice as much, and a list of values must be parsed anew each time. The arrays are
written here: the driver takes five times as long, since it looks at each value to find out what it is.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Date,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from statustui.store.columns import UtcTime

_PLAIN: tuple[type[TypeEngine[Any]], ...] = (Date, Boolean, Double, LargeBinary)


def _quoted(value: str) -> str:
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + value + '"'  # the text itself, also where it is a member of an Enum


_WORDS: tuple[tuple[type[TypeEngine[Any]], Callable[[Any], str]], ...] = (
    (DateTime, lambda at: str(at.isoformat())),
    (Date, lambda day: str(day.isoformat())),
    (Boolean, lambda yes: "t" if yes else "f"),
    (Double, lambda number: repr(float(number))),
    (LargeBinary, lambda data: f'"\\\\x{data.hex()}"'),
    (BigInteger, int.__repr__),
    (Text, _quoted),
)
"""How one value of each type is written within an array of PostgreSQL."""


class _Rows:
    """Hands rows to a statement, in the form that each kind of database takes."""

    _sqlite: Any
    _postgresql: Any

    def __init__(self, table: Table, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._json = frozenset(name for name in names if isinstance(table.c[name].type, JSON))
        self._kinds = {name: _element(table.c[name]) for name in names}
        self._words = {
            name: next(word for one, word in _WORDS if isinstance(kind, one)) for name, kind in self._kinds.items()
        }

    def _unnested(self) -> tuple[Any, dict[str, Any]]:
        """The rows as a table of PostgreSQL, and its columns by name."""
        # The name of a column may not be bound in an UPDATE.
        arrays = [cast(bindparam(f"all_{name}", type_=Text()), ARRAY(kind)) for name, kind in self._kinds.items()]
        new = func.unnest(*arrays).table_valued(*(column(name) for name in self.names), name="new").render_derived()
        return new, {name: cast(new.c[name], JSONB) if name in self._json else new.c[name] for name in self.names}

    def write(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Write *rows*, values in the order of the columns; no two of them may have one key."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            connection.execute(self._sqlite, [dict(zip(self.names, row, strict=True)) for row in rows])
        else:
            self._send(connection, zip(*rows, strict=True))

    def write_named(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """The same for rows whose values have names."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            connection.execute(self._sqlite, rows)
        else:
            self._send(connection, ([row[name] for row in rows] for name in self.names))

    def _send(self, connection: Connection, columns: Iterable[Sequence[Any]]) -> None:
        arrays = {}
        for name, values in zip(self.names, columns, strict=True):
            if name in self._json:
                values = [None if value is None else json.dumps(value) for value in values]
            arrays[f"all_{name}"] = _array(values, self._words[name])
        connection.execute(self._postgresql, arrays)


class Update(_Rows):
    """Changes rows that are there."""

    def __init__(self, table: Table, key: str, names: Sequence[str]) -> None:
        """Prepare the statements.

        Args:
            table: where.
            key: column that finds a row; rows have its value too.
            names: columns that change.
        """
        super().__init__(table, (key, *names))
        self._key, self._bound = key, f"b_{key}"
        self._sqlite = (
            update(table)
            .where(table.c[key] == bindparam(self._bound))
            .values({name: bindparam(name) for name in names})
        )
        new, values = self._unnested()
        self._postgresql = (
            update(table).where(table.c[key] == new.c[key]).values({name: values[name] for name in names})
        )

    def write_named(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Write *rows*; no two of them may have one key."""
        if connection.dialect.name == "sqlite":
            # The key itself must not be among what is set.
            rows = [{self._bound if name == self._key else name: row[name] for name in row} for row in rows]
        super().write_named(connection, rows)


class Bulk(_Rows):
    """Inserts rows, or brings those with the same keys up to date."""

    def __init__(self, table: Table, names: Sequence[str], keys: Sequence[str] = (), *, ignore: bool = False) -> None:
        """Prepare the statements.

        Args:
            table: where to.
            names: columns, in the order of the values of each row.
            keys: columns of the unique key; a row that has it already is updated. None: rows are only added.
            ignore: leave a row that is there as it is.
        """
        super().__init__(table, names)
        self._sqlite = self._conflict(sqlite.insert(table), keys, ignore)
        _, values = self._unnested()
        rows = postgresql.insert(table).from_select(list(names), select(*values.values()))
        self._postgresql = self._conflict(rows, keys, ignore)

    # The two dialects' inserts have one signature, but no common base that has it.
    def _conflict(self, statement: Any, keys: Sequence[str], ignore: bool) -> Any:
        if ignore:
            return statement.on_conflict_do_nothing()
        if not keys:
            return statement
        changes = {name: statement.excluded[name] for name in self.names if name not in keys}
        return statement.on_conflict_do_update(index_elements=list(keys), set_=changes)


def among(of: Column[Any], name: str, dialect: str) -> ColumnElement[bool]:
    """*of* is one of the values *name*: one array for PostgreSQL, so that the statement is always the same."""
    if dialect == "sqlite":
        return of.in_(bindparam(name, expanding=True))
    kind = BigInteger() if isinstance(of.type, Integer) else Text()
    return of == func.any(bindparam(name, type_=ARRAY(kind)))


def _array(values: Sequence[Any], word: Callable[[Any], str]) -> str:
    return "{" + ",".join(["NULL" if value is None else word(value) for value in values]) + "}"


def _element(of: Column[Any]) -> TypeEngine[Any]:
    kind = of.type
    if isinstance(kind, UtcTime):
        return DateTime(timezone=True)
    if isinstance(kind, _PLAIN):
        return kind
    if isinstance(kind, Integer):
        # The first kind of Id is BigInteger; the second one is for SQLite alone.
        return BigInteger()
    return Text()
