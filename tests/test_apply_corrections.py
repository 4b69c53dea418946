"""A provisional good end that the exit status of its process corrects: as if it had never been told."""

from typing import Any

import pytest
from sqlalchemy import select

from statustui.model.ids import new_id
from statustui.model.times import from_epoch
from statustui.store import schema
from statustui.store.apply import Death
from statustui.store.open import Store
from support.stores import T0, Journal, give

SETTLED = ("runs", "finished", "durations", "gaps", "profiles", "good_started_at", "expected_subtasks")


def rows(store: Store, table: Any = schema.runs) -> list[dict[str, Any]]:
    order = list(table.primary_key.columns)
    return [dict(row) for row in store.connection.execute(select(table).order_by(*order)).mappings()]


def task(store: Store) -> dict[str, Any]:
    (row,) = rows(store, schema.tasks)
    return {name: row[name] for name in SETTLED}


def begin(journal: Journal, **fields: Any) -> str:
    run = new_id()
    journal.fact("run.start", run, task="DAILY_01", **fields)
    journal.fact("sub.start", run, n=1, name="Load", total=10)
    return run


def provisional(store: Store, journal: Journal, **fields: Any) -> str:
    run = begin(journal, **fields)
    journal.fact("sub.end", run, n=1, status="completed", complete=4, provisional=True)
    journal.fact("run.end", run, status="finished", provisional=True)
    give(store, journal)
    return run


def ended(store: Store, journal: Journal, status: str, **fields: Any) -> str:
    run = begin(journal, **fields)
    journal.fact("sub.end", run, n=1, status="completed")
    journal.fact("run.end", run, status=status)
    give(store, journal)
    return run


def correct(store: Store, run: str, status: str, **fields: Any) -> None:
    at = from_epoch(T0 + 500)
    give(store, deaths=[Death(run_id=run, at=at, status=status, instead_of="finished", reason="x", **fields)])


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.mark.parametrize("status", ["failed", "lost", "cancelled"])
def test_statistics_are_as_if_it_had_never_finished(status: str, store: Store, journal: Journal) -> None:
    ended(store, journal, "finished")
    before = task(store)
    run = provisional(store, journal)
    assert (task(store)["runs"], task(store)["finished"]) == (2, 2)
    correct(store, run, status, exit_code=3)
    after = task(store)
    assert after == before | {"runs": 1 if status == "cancelled" else 2}
    counted = {(row["status"], row["n"]) for row in rows(store, schema.run_counts) if row["hour"] and row["n"]}
    assert counted == {("finished", 1), (status, 1)}
    correct(store, run, status, exit_code=3)
    assert task(store) == after, "once"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_failures_that_it_settled_need_somebody_again(status: str, store: Store, journal: Journal) -> None:
    old = ended(store, journal, "failed")
    ended(store, journal, "finished")
    first = ended(store, journal, "failed")
    run = provisional(store, journal)
    assert [row["attention_at"] for row in rows(store)] == [None] * 4
    correct(store, run, status)
    found = {row["run_id"]: row for row in rows(store)}
    assert (found[first]["resolved"], found[first]["attention_at"]) == (False, found[first]["ended_at"])
    assert (found[old]["resolved"], found[old]["attention_at"]) == (True, None), "another good end settled that one"
    assert (found[run]["attention_at"] is not None) is (status == "failed")
    good = ended(store, journal, "finished")
    assert [row["attention_at"] for row in rows(store)] == [None] * 5
    assert good


def test_of_a_chain_of_attempts_the_last_one_speaks(store: Store, journal: Journal) -> None:
    first = ended(store, journal, "failed")
    second = ended(store, journal, "failed", retry_of=first)
    third = provisional(store, journal, retry_of=second)
    assert [row["resolved"] for row in rows(store)] == [True, True, False]
    correct(store, third, "failed", exit_code=3)
    assert [row["resolved"] for row in rows(store)] == [False, False, False]
    assert [row["attention_at"] is not None for row in rows(store)] == [False, False, True]


def test_a_later_success_settles_what_is_corrected_after_it(store: Store, journal: Journal) -> None:
    run = provisional(store, journal)
    ended(store, journal, "finished")
    correct(store, run, "failed")
    row = rows(store)[0]
    assert (row["status"], row["attention_at"], row["resolved"]) == ("failed", None, True)
    assert (task(store)["runs"], task(store)["finished"], len(task(store)["durations"])) == (2, 1, 1)


@pytest.mark.parametrize(("status", "word"), [("failed", "failed"), ("lost", "lost"), ("cancelled", "cancelled")])
def test_subtasks_closed_with_it_end_as_the_run_does(status: str, word: str, store: Store, journal: Journal) -> None:
    run = provisional(store, journal)
    assert rows(store)[0]["subtasks_done"] == 1
    correct(store, run, status)
    (sub,) = rows(store, schema.subtasks)
    assert (sub["status"], sub["items_complete"], rows(store)[0]["subtasks_done"]) == (word, 4, 0)


def test_a_run_thought_to_be_lost_is_counted_once(store: Store, journal: Journal) -> None:
    run = begin(journal)
    give(store, journal)
    give(store, deaths=[Death(run_id=run, at=from_epoch(T0 + 3), status="lost")])
    assert task(store)["runs"] == 1
    journal.fact("sub.end", run, at=50, n=1, status="completed")
    give(store, journal)
    assert task(store)["runs"] == 0
    journal.fact("run.end", run, at=60, status="finished")
    give(store, journal)
    assert (task(store)["runs"], task(store)["finished"]) == (1, 1)
