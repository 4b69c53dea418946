"""P9: what somebody else writes into the store is a wish at most, and only its owner's own wishes are carried out."""

import contextlib
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import DBAPIError

from statustui import config
from statustui.errors import StatustuiError
from statustui.model.status import RequestKind, RequestState
from statustui.store import reads, requests
from statustui.store.open import Store, open_store
from support.drained import PROGRAM, alone, drainer, started, the_run
from support.processes import python, until
from support.stores import HOST, Journal, give

ROW = (
    "INSERT INTO requests (kind, run_id, machine, state, asked_by, asked_from, asked_at)"
    " VALUES ('{kind}', '{run}', '{machine}', '{state}', 'etl', 'db1', '2026-11-22T00:00:00.000000Z')"
)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> config.Settings:
    """A store, and no drainer but the test's own."""
    return alone(monkeypatch, sqlite_url)


@pytest.fixture
def spool(settings: config.Settings) -> str:
    return config.spool_dir(settings)


def begun(store: Store) -> str:
    journal = Journal()
    journal.fact("run.start", "run-1", task="t", pid=100)
    give(store, journal, beat=True)
    return "run-1"


@contextlib.contextmanager
def mallory(store: Store, url: str) -> Iterator[Store]:
    """Another database role that may write to every table."""
    store.connection.exec_driver_sql("CREATE ROLE mallory_threat LOGIN")
    try:
        for right in (
            "USAGE ON SCHEMA statustui",
            "SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA statustui",
            "USAGE ON ALL SEQUENCES IN SCHEMA statustui",
        ):
            store.connection.exec_driver_sql(f"GRANT {right} TO mallory_threat")
        with open_store(url.replace("postgres:@", "mallory_threat:@", 1), create=False) as other:
            yield other
    finally:
        store.connection.exec_driver_sql("DROP OWNED BY mallory_threat")
        store.connection.exec_driver_sql("DROP ROLE mallory_threat")


@pytest.mark.pg
def test_a_row_that_looks_taken_already_counts_no_more_than_one_that_is_asked(pg_url: str) -> None:
    with open_store(pg_url) as store:
        run = begun(store)
        with mallory(store, pg_url) as other:
            row = ROW.format(kind="kill", run=run, machine=HOST.machine, state="taken")
            other.connection.exec_driver_sql(row)
            assert requests.resume(store, HOST.machine) == []
            (refused,) = reads.requests(store, [RequestState.REFUSED])
            assert "mallory_threat" in (refused.answer or "")


@pytest.mark.pg
@pytest.mark.parametrize(
    "change",
    [
        "run_id = 'run-2'",
        "kind = 'retry'",
        "machine = 'm2'",
        "asked_by = 'somebody else'",
        "state = 'asked', done_at = NULL",
        "done_at = NULL",
    ],
)
def test_what_the_owner_asked_for_can_not_be_rewritten(pg_url: str, change: str) -> None:
    with open_store(pg_url) as store:
        asked = requests.ask(store, RequestKind.CANCEL, begun(store), by="etl", origin="db1")
        requests.take(store, HOST.machine)
        requests.update(store, asked.id, RequestState.DONE, answer="ended by TERM")
        with mallory(store, pg_url) as other, pytest.raises(DBAPIError, match="answered, not changed"):
            other.connection.exec_driver_sql(f"UPDATE requests SET {change}")
        assert requests.take(store, HOST.machine) == []


def test_a_taken_row_in_a_file_that_others_can_write_is_refused(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        row = ROW.format(kind="kill", run=begun(store), machine=HOST.machine, state="taken")
        store.connection.exec_driver_sql(row)
        os.chmod(sqlite_url.removeprefix("sqlite:///"), 0o660)
        assert requests.resume(store, HOST.machine) == []
        (refused,) = reads.requests(store, [RequestState.REFUSED])
        assert "can not tell who asks" in (refused.answer or "")


def test_an_unknown_kind_is_refused_and_holds_nobody_up(store: Store) -> None:
    run = begun(store)
    store.connection.exec_driver_sql(ROW.format(kind="reboot", run=run, machine=HOST.machine, state="asked"))
    good = requests.ask(store, RequestKind.CANCEL, run, by="etl", origin="db1")
    assert [one.id for one in requests.take(store, HOST.machine)] == [good.id]
    assert [one.id for one in reads.requests(store) if one.state is RequestState.TAKEN] == [good.id]


def test_a_flood_of_rows_is_taken_in_parts(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        run = begun(store)
        row = ROW.format(kind="cancel", run=run, machine=HOST.machine, state="asked")
        with store.write() as connection:
            for _ in range(1000):
                connection.exec_driver_sql(row)
        assert 0 < len(requests.take(store, HOST.machine)) < 1000


def forge(url: str, pid: int, start: int | None = None) -> None:
    """Make every run of the store point at another process."""
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute("UPDATE runs SET pid = ?, pgid = ?, start_tick = ?", (pid, pid, start))


def test_the_pid_in_the_store_is_never_signalled(settings: config.Settings, spool: str) -> None:
    victim = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        with python(PROGRAM, "job") as program, drainer(spool):
            pid = started(program)
            until(lambda: (run := the_run(settings.store_url)) is not None and run.items_complete == 3)
            forge(settings.store_url, victim.pid)
            with open_store(settings.store_url) as store:
                run = the_run(settings.store_url)
                assert run.pid == victim.pid
                requests.ask(store, RequestKind.KILL, run.run_id, by="etl", origin="db1")
            assert program.wait(10) == -signal.SIGKILL
            assert pid == program.pid
        assert victim.poll() is None, "the process that the row named is left alone"
    finally:
        victim.kill()
        victim.wait()


def test_a_second_cancel_and_one_of_an_ended_run_do_nothing(
    settings: config.Settings,
    spool: str,
) -> None:
    with python(PROGRAM, "job") as program, drainer(spool):
        started(program)
        until(lambda: the_run(settings.store_url) is not None)
        run = the_run(settings.store_url)
        with open_store(settings.store_url) as store:
            first = requests.ask(store, RequestKind.CANCEL, run.run_id, by="etl", origin="db1")
            assert requests.ask(store, RequestKind.CANCEL, run.run_id, by="ben", origin="db1").id == first.id
            until(lambda: [one for one in reads.requests(store) if one.done_at is not None])
            assert program.wait(10) == -signal.SIGTERM
    with open_store(settings.store_url) as store:
        again = requests.ask(store, RequestKind.KILL, run.run_id, by="etl", origin="db1")
        with drainer(spool):
            until(lambda: [one for one in reads.requests(store) if one.id == again.id and one.done_at is not None])
        (answered,) = [one for one in reads.requests(store) if one.id == again.id]
        assert answered.state is RequestState.REFUSED
        assert "not running" in (answered.answer or "")


def test_a_run_that_is_not_there_is_nobodys(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store, pytest.raises(StatustuiError):
        requests.ask(store, RequestKind.KILL, "../../x", by="etl", origin="db1")
