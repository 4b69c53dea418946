"""Where rows to bring in come from: a file (CSV, JSON, JSON lines) or a table of a database, read item by item."""

import csv
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

from statustui.errors import StatustuiError
from statustui.pipelines.rows import Row, mappings

_SQLITE = b"SQLite format 3\0"


class NoSource(StatustuiError):
    """What is to be brought in can not be read."""


class Table:
    """Rows of one table of a database."""

    def __init__(self, url: str, table: str) -> None:
        """Look the table up.

        Raises:
            NoSource: there is none of that name, or the database can not be reached.
        """
        from sqlalchemy import MetaData, create_engine
        from sqlalchemy import Table as SqlTable
        from sqlalchemy.exc import ArgumentError, NoSuchTableError, SQLAlchemyError
        from sqlalchemy.pool import NullPool

        schema, _, name = table.rpartition(".")
        try:
            self._engine = create_engine(url, poolclass=NullPool)
            self._table = SqlTable(name, MetaData(), autoload_with=self._engine, schema=schema or None)
        except NoSuchTableError as error:
            raise NoSource(f"there is no table {table!r}") from error
        except (ArgumentError, SQLAlchemyError) as error:
            raise NoSource(f"{table}: {getattr(error, 'orig', None) or error}") from error
        self.columns: tuple[str, ...] = tuple(column.name for column in self._table.columns)
        """Names of the columns."""

    def count(self) -> int:
        """How many rows there are."""
        from sqlalchemy import func, select

        with self._engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(self._table)).scalar_one())

    def rows(self, item: str, only: str | None = None) -> Iterator[Row]:
        """The rows, those of one item together.

        Args:
            item: column of the item's key.
            only: rows of this item only.
        """
        from sqlalchemy import Text, cast, select

        key = self._table.columns[item]
        statement = select(self._table).where(key.is_not(None)).order_by(key, *self._table.primary_key.columns)
        if only is not None:
            statement = statement.where(cast(key, Text) == only)
        with self._engine.connect().execution_options(yield_per=2000) as connection:
            for row in connection.execute(statement).mappings():
                yield dict(row)


class Rows:
    """Rows that a program has, or a file; kept in a temporary database, so that their number does not matter."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._rows = mappings(rows)
        first = next(self._rows, None)
        if first is None:
            raise NoSource("there are no rows")
        self._first: Row = first
        self.columns: tuple[str, ...] = tuple(map(str, first))
        """Names of the columns of the first row."""
        self._item: str | None = None
        self._number = 0
        self._directory = tempfile.TemporaryDirectory(prefix="statustui-")
        self._database = sqlite3.connect(os.path.join(self._directory.name, "rows.db"))

    def count(self) -> int | None:
        """How many rows there are; None before they were read."""
        return self._number or None

    def rows(self, item: str, only: str | None = None) -> Iterator[Row]:
        """The rows, those of one item together, in the order in which they came."""
        self._load(item)
        if only is None:
            found = self._database.execute("SELECT line FROM lines ORDER BY item, number")
        else:
            found = self._database.execute("SELECT line FROM lines WHERE item = ? ORDER BY number", (only,))
        for (line,) in found:
            yield json.loads(line)

    def _load(self, item: str) -> None:
        if self._item is not None:
            return
        self._item = item
        self._database.execute("CREATE TABLE lines (number INTEGER PRIMARY KEY, item TEXT, line TEXT)")
        for row in chain([self._first], self._rows):
            self._number += 1
            key = row.get(item)
            if key is not None:
                told = json.dumps({str(name): value for name, value in row.items()}, default=str)
                self._database.execute("INSERT INTO lines (item, line) VALUES (?, ?)", (str(key), told))
        self._database.execute("CREATE INDEX of_item ON lines (item, number)")
        self._database.commit()

    def close(self) -> None:
        """Remove the temporary database."""
        self._database.close()
        self._directory.cleanup()


@contextmanager
def from_file(path: str) -> Iterator[Rows]:
    """The rows of a file: CSV, TSV, JSON (a list) or JSON lines.

    Raises:
        NoSource: it can not be read.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = Rows(_rows_of(path, file))
            try:
                yield rows
            finally:
                rows.close()
    except (OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise NoSource(f"{path}: {error}") from error


def _rows_of(path: str, file: Any) -> Iterator[Row]:
    if path.endswith(".csv") or path.endswith(".tsv"):
        yield from csv.DictReader(file, delimiter="\t" if path.endswith(".tsv") else ",")
    elif path.endswith(".json"):
        yield from _objects(path, json.load(file))
    else:
        yield from _objects(path, (json.loads(line) for line in file if line.strip()))


def _objects(path: str, found: Any) -> Iterator[Row]:
    if isinstance(found, dict):
        raise NoSource(f"{path}: one object; a list of rows is needed")
    for number, row in enumerate(found, 1):
        if not isinstance(row, dict):
            raise NoSource(f"{path}: row {number} is no object")
        yield row


def is_sqlite(path: str) -> bool:
    """Whether a file is an SQLite database."""
    try:
        with open(path, "rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False
