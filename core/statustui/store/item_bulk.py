"""Writing many rows of one table at once, the way each kind of database does it fastest.

SQLite takes rows one by one with next to no cost. PostgreSQL takes one statement with one array for each column: a
statement for each row costs it twice as much, and a list of values must be parsed anew each time. The arrays are
written here: the driver takes five times as long, since it looks at each value to find out what it is.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    Column,
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
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from statustui.store.columns import UtcTime

_PLAIN: tuple[type[TypeEngine[Any]], ...] = (Date, Boolean, Double, LargeBinary)


def _quoted(value: str) -> str:
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


_WORDS: tuple[tuple[type[TypeEngine[Any]], Callable[[Any], str]], ...] = (
    (DateTime, lambda at: str(at.isoformat())),
    (Date, lambda day: str(day.isoformat())),
    (Boolean, lambda yes: "t" if yes else "f"),
    (Double, repr),
    (LargeBinary, lambda data: f'"\\\\x{data.hex()}"'),
    (BigInteger, repr),
    (Text, _quoted),
)
"""How one value of each type is written within an array of PostgreSQL."""


class Bulk:
    """Inserts rows, or brings those with the same keys up to date."""

    def __init__(self, table: Table, names: Sequence[str], keys: Sequence[str] = (), *, ignore: bool = False) -> None:
        """Prepare the statements.

        Args:
            table: where to.
            names: columns, in the order of the values of each row.
            keys: columns of the unique key; a row that has it already is updated. None: rows are only added.
            ignore: leave a row that is there as it is.
        """
        self.names = tuple(names)
        self._json = tuple(i for i, name in enumerate(names) if isinstance(table.c[name].type, JSON))
        self._sqlite = self._conflict(sqlite.insert(table), keys, ignore)
        kinds = [_element(table.c[name]) for name in names]
        self._words = [next(word for kind, word in _WORDS if isinstance(one, kind)) for one in kinds]
        arrays = [cast(bindparam(name, type_=Text()), ARRAY(kind)) for name, kind in zip(names, kinds, strict=True)]
        new = func.unnest(*arrays).table_valued(*(column(name) for name in names), name="new").render_derived()
        values = [cast(new.c[name], JSONB) if isinstance(table.c[name].type, JSON) else new.c[name] for name in names]
        self._postgresql = self._conflict(
            postgresql.insert(table).from_select(list(names), select(*values)), keys, ignore
        )

    # The two dialects' inserts have one signature, but no common base that has it.
    def _conflict(self, statement: Any, keys: Sequence[str], ignore: bool) -> Any:
        if ignore:
            return statement.on_conflict_do_nothing()
        if not keys:
            return statement
        changes = {name: statement.excluded[name] for name in self.names if name not in keys}
        return statement.on_conflict_do_update(index_elements=list(keys), set_=changes)

    def write(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Write *rows*; no two of them may have one key."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            connection.execute(self._sqlite, [dict(zip(self.names, row, strict=True)) for row in rows])
            return
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        for place in self._json:
            columns[place] = [None if value is None else json.dumps(value) for value in columns[place]]
        arrays = map(_array, columns, self._words)
        connection.execute(self._postgresql, dict(zip(self.names, arrays, strict=True)))


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
