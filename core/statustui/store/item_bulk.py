"""Writing many rows of one table at once, the way each kind of database does it fastest.

SQLite takes rows one by one with next to no cost. PostgreSQL takes one statement with one array for each column: a
statement for each row costs it twice as much, and a list of values must be parsed anew each time.
"""

import json
from collections.abc import Sequence
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
        arrays = [bindparam(name, type_=ARRAY(_element(table.c[name]))) for name in names]
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
        columns: list[list[Any]] = [list(values) for values in zip(*rows, strict=True)]
        for place in self._json:
            columns[place] = [None if value is None else json.dumps(value) for value in columns[place]]
        connection.execute(self._postgresql, dict(zip(self.names, columns, strict=True)))


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
