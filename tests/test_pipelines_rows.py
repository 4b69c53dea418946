"""Rows of a table or a query, in the shapes that drivers give them, and what is said where they can not be used."""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from statustui import Pipeline, Step
from statustui.pipelines.backfill import BadRule
from statustui.pipelines.rows import BadRows, mappings

Case = namedtuple("Case", ["number", "folio"])
WANTED = [{"number": "c1", "folio": "f1"}, {"number": "c2", "folio": None}]


def cursor(path: Path) -> sqlite3.Cursor:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE cases (number TEXT, folio TEXT)")
    database.executemany("INSERT INTO cases VALUES (?, ?)", [("c1", "f1"), ("c2", None)])
    return database.execute("SELECT * FROM cases")


def named(path: Path) -> Iterable[Any]:
    found = cursor(path)
    found.row_factory = sqlite3.Row
    return found


def rows_of_sqlalchemy(path: Path) -> Iterable[Any]:
    cursor(path).connection.commit()
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        return connection.execute(text("SELECT * FROM cases")).all()


@pytest.mark.parametrize(
    "give",
    [
        lambda path: WANTED,
        cursor,
        named,
        lambda path: list(named(path)),
        rows_of_sqlalchemy,
        lambda path: [Case("c1", "f1"), Case("c2", None)],
    ],
    ids=["dicts", "cursor", "cursor of sqlite3.Row", "list of sqlite3.Row", "sqlalchemy", "named tuples"],
)
def test_rows_are_taken_as_drivers_give_them(tmp_path: Path, give: Callable[[Path], Iterable[Any]]) -> None:
    assert [dict(row) for row in mappings(give(tmp_path / "cases.db"))] == WANTED


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("c1", "f1")], "row 1 is a tuple without names of columns: give dicts, or the cursor itself"),
        (["number", "folio"], "row 1 is a str without names"),  # what a DataFrame iterates over
        ("SELECT * FROM cases", "rows are needed, not the text 'SELECT * FROM cases': give what connection.execute"),
    ],
)
def test_rows_without_names_are_refused_with_what_to_do(rows: Iterable[Any], said: str) -> None:
    with pytest.raises(BadRows, match=f"^{said.replace('*', '[*]').replace('(', '[(]')}"):
        list(mappings(rows))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"rules": {"scrape": "extracted"}}, "extracted"),
        ({"key": "nummer"}, "nummer"),
        ({"date": "day"}, "day"),
        ({"kind": "sort"}, "sort"),
        ({"attributes": ["folios"]}, "folios"),
    ],
)
def test_a_column_that_is_not_there_is_named_and_nothing_is_written(change: dict[str, Any], name: str) -> None:
    cases = Pipeline("cases", [Step(key="scrape")])
    call: dict[str, Any] = {"rules": {"scrape": "folio"}, "key": "number", **change}
    with pytest.raises(BadRule, match=f"^there is no column '{name}'; there are number, folio$"):
        cases.backfill(WANTED, **call)
    assert cases.overall("c1") is None
    cases.close()
