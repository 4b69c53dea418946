"""What viewers ask of the store, and what people change in it."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given as always
from hypothesis import strategies as st

from statustui.model.ids import new_id
from statustui.model.status import RequestKind, RequestState, RunStatus
from statustui.model.times import from_epoch, utc_now
from statustui.store import history, reads, requests
from statustui.store.apply import Death
from statustui.store.history import Past
from statustui.store.open import Store, open_store
from statustui.store.requests import NoSuchRun
from statustui.store.selector import Selector, escaped
from support.stores import HOST, T0, Journal, give

SINCE = from_epoch(T0 - 3600)


@pytest.fixture
def journal() -> Journal:
    return Journal()


def start(journal: Journal, task: str = "DAILY_01", **fields: Any) -> str:
    run = new_id()
    journal.fact("run.start", run, **({"task": task, "stage": "DAILY", "type": "python"} | fields))
    return run


def end(journal: Journal, run: str, status: str = "finished", **fields: Any) -> None:
    journal.fact("run.end", run, status=status, **fields)


def test_a_snapshot_of_an_empty_store(store: Store) -> None:
    shot = reads.snapshot(store, since=SINCE)
    assert (shot.running, shot.ended, shot.total_runs, dict(shot.counts)) == ((), (), 0, {})


def test_a_snapshot_holds_what_runs_and_what_needs_a_person(store: Store, journal: Journal) -> None:
    runs = [start(journal, f"DAILY_0{n}", total=4) for n in range(4)]
    journal.fact("sub.start", runs[0], n=1, name="Load", total=8, unit="files")
    journal.fact("sub.info", runs[0], n=1, complete=2, message="Delaware")
    for run, status in zip(runs[1:], ("failed", "finished", "lost"), strict=True):
        end(journal, run, status)
    give(store, journal)
    shot = reads.snapshot(store, since=SINCE)
    (live,) = shot.running
    assert (live.status, live.percent, live.subtask_name, live.items_complete, live.items_total, live.unit) == (
        RunStatus.RUNNING, 6.25, "Load", 2, 8, "files",
    )  # fmt: skip
    assert live.percent_source == "derived"
    assert [run.status for run in shot.ended] == [RunStatus.LOST, RunStatus.FAILED]
    assert [run.status for run in shot.recent] == [RunStatus.LOST, RunStatus.FINISHED, RunStatus.FAILED][:3]
    assert shot.counts == {status: 1 for status in (
        RunStatus.RUNNING, RunStatus.FAILED, RunStatus.FINISHED, RunStatus.LOST)}  # fmt: skip
    assert shot.total_runs == 4
    assert shot.hosts[0].machine == HOST.machine
    assert shot.hosts[0].silent_s < 60
    assert set(shot.stats) == {"DAILY_00"}


@pytest.mark.parametrize("hours", [0.5, 1.0, 24.0, 26.5, 1000.0])
def test_counts_agree_with_the_rows_whatever_the_window(store: Store, hours: float) -> None:
    journal = Journal()
    for n in range(60):
        run = start(journal, f"T{n}")
        end(journal, run, ["finished", "failed", "cancelled"][n % 3], message=None)
        journal.lines[-1][2]["t"] = T0 - n * 1700.0
        journal.lines[-2][2]["t"] = T0 - n * 1700.0 - 5
    give(store, journal)
    since = from_epoch(T0 - hours * 3600)
    everything = reads.runs(store, Selector(), limit=100)
    expected = {
        status: n
        for status in RunStatus
        if (n := sum(r.status is status and r.ended_at is not None and r.ended_at >= since for r in everything))
    }
    assert reads.snapshot(store, since=since).counts == expected


def test_the_token_changes_when_anything_does(store_url: str, journal: Journal) -> None:
    with open_store(store_url) as writer, open_store(store_url, create=False, read_only=True) as viewer:
        seen = [reads.token(viewer)]
        assert reads.token(viewer) == seen[0]
        run = start(journal)
        give(writer, journal)
        seen.append(reads.token(viewer))
        give(writer, beat=True)
        seen.append(reads.token(viewer))
        requests.ask(writer, RequestKind.CANCEL, run, by="ann", origin="db1")
        seen.append(reads.token(viewer))
        assert reads.snapshot(viewer, since=SINCE).token == seen[-1]
        assert len(set(seen)) == 4
        assert reads.token(viewer) == seen[-1]


def test_news_are_starts_ends_and_requests_and_no_progress(store_url: str, journal: Journal) -> None:
    with open_store(store_url) as writer, open_store(store_url, create=False, read_only=True) as viewer:
        seen = [reads.news(viewer)]
        run = start(journal, total=2)
        give(writer, journal)
        seen.append(reads.news(viewer))
        journal.fact("sub.start", run, n=1, name="Rows", total=10)
        journal.fact("event", run, kind="log", message="half of it")
        slot = {"off": 0, "t": T0 + 5, "m": 1005.0, "runs": {run: {"subs": {"1": {"c": 5}}}}}
        token = reads.token(viewer)
        give(writer, journal.batch(slot=slot), beat=True)
        assert reads.token(viewer) != token and reads.news(viewer) == seen[-1]
        requests.ask(writer, RequestKind.CANCEL, run, by="ann", origin="db1")
        seen.append(reads.news(viewer))
        end(journal, run, "finished")
        give(writer, journal)
        seen.append(reads.news(viewer))
        assert len(set(map(repr, seen))) == 4


def test_runs_are_selected_and_paged(store: Store, journal: Journal) -> None:
    for n in range(7):
        run = start(journal, f"DAILY_0{n}" if n % 2 else f"ANNUAL_{n}%", label=f"state {n}")
        if n > 2:
            end(journal, run, "failed" if n == 5 else "finished", error={"type": "E", "message": "100% broken"})
    give(store, journal)

    def ids(**fields: Any) -> list[int]:
        return [run.id for run in reads.runs(store, Selector(**fields))]

    assert ids() == [7, 6, 5, 4, 3, 2, 1]
    assert ids(tasks=("DAILY_*",)) == [6, 4, 2]
    assert ids(tasks=("ANNUAL_4%", "DAILY_01")) == [5, 2]
    assert ids(tasks=("%",)) == []
    assert ids(statuses=(RunStatus.STARTED, RunStatus.RUNNING)) == [3, 2, 1]
    assert ids(statuses=(RunStatus.FAILED,), hosts=("db1",), users=("etl",), stages=("DAILY",)) == [6]
    assert ids(text="STATE 3") == [4]
    assert ids(text="%") == [7, 6, 5, 4, 3, 1]
    assert ids(since=from_epoch(T0 + 100)) == []
    assert [run.id for run in reads.runs(store, Selector(), limit=2, before=6)] == [5, 4]
    assert reads.count(store, Selector(tasks=("DAILY_*",))) == 3


def test_old_runs_that_are_imported_later_are_not_the_newest(store: Store, journal: Journal) -> None:
    start(journal, "recorded")
    give(store, journal)
    old = [
        Past(f"00000000-0000-4000-8000-{n:012}", "old", 1e9 + n // 2, 1e9 + n + 60, 60.0, "finished") for n in range(5)
    ]
    history.add(store, old)

    def starts(**page: Any) -> list[int]:
        return [run.id for run in reads.runs(store, Selector(until=from_epoch(T0 + 1_000)), **page)]

    whole = starts()
    assert [whole[0], sorted(whole[1:])] == [1, [2, 3, 4, 5, 6]]
    times = [run.started_at for run in reads.runs(store, Selector())]
    assert times == sorted(times, reverse=True)
    assert whole == [run.id for run in reads.runs(store, Selector())]
    paged, page = [], starts(limit=2)
    while page:
        paged += page
        page = starts(limit=2, before=page[-1])
    assert paged == whole
    assert reads.runs(store, Selector(tasks=("old",)), limit=1)[0].id == 6, "by its number where a task is named"


def test_a_heading_without_name_and_content_is_not_shown(store: Store, journal: Journal) -> None:
    run = start(journal)
    for n, parent in ((1, None), (2, None), (3, 2)):
        journal.fact("sub.start", run, n=n, name="inner" if n == 3 else "", parent=parent)
    for n in (1, 2):
        journal.fact("sub.info", run, n=n, heading=True, total=None)
    give(store, journal)
    assert [sub.number for sub in reads.detail(store, run).subtasks] == [2, 3]


def test_runs_are_found_as_people_name_them(store: Store, journal: Journal) -> None:
    first, second = start(journal, "load.py"), start(journal, "load.py")
    give(store, journal)
    assert [run.run_id for run in reads.find(store, "1")] == [first]
    assert [run.run_id for run in reads.find(store, second[:30])] == [second]
    assert [run.run_id for run in reads.find(store, second.upper())] == [second]
    assert [run.run_id for run in reads.find(store, "load.py")] == [second, first]
    assert reads.find(store, "nothing") == reads.find(store, "99") == reads.find(store, "'; --") == []


def test_the_detail_of_a_run(store: Store, journal: Journal) -> None:
    first = start(journal, params={"state": "DE"}, env={"TZ": "UTC"})
    journal.fact("sub.start", first, n=1, name="Load", total=3)
    journal.fact("metric", first, name="rows", value=12)
    end(journal, first, "failed", error={"type": "E", "message": "no", "detail": "Traceback"}, log_tail=["a", "b"])
    second = start(journal, retry_of=first)
    child = start(journal, "inner", parent=second)
    give(store, journal)
    requests.ask(store, RequestKind.CANCEL, second, by="ann", origin="db1", reason="wrong day")
    old = reads.detail(store, first)
    assert (old.error_detail, old.log_tail, old.params, old.environment, old.metrics) == (
        "Traceback", ("a", "b"), {"state": "DE"}, {"TZ": "UTC"}, {"rows": 12},
    )  # fmt: skip
    assert [(s.number, s.name, s.status.value) for s in old.subtasks] == [(1, "Load", "failed")]
    assert [e.kind for e in old.events] == ["started", "ended"]
    assert old.run.retried
    new = reads.detail(store, second)
    assert [run.attempt for run in new.attempts] == [run.attempt for run in old.attempts] == [1, 2]
    assert [run.run_id for run in new.children] == [child]
    assert [(e.kind, e.actor, e.message) for e in new.events][-1] == ("cancel", "ann", "wrong day")
    assert new.requests[0].state is RequestState.ASKED
    with pytest.raises(KeyError):
        reads.detail(store, "none")


def test_a_request_is_taken_once_and_answered_once(store: Store, journal: Journal) -> None:
    run = start(journal)
    give(store, journal)
    asked = requests.ask(store, RequestKind.CANCEL, run, by="ann", origin="db1 pts/3")
    assert requests.ask(store, RequestKind.CANCEL, run, by="ben", origin="db2").id == asked.id
    assert requests.take(store, "another machine") == []
    (taken,) = requests.take(store, HOST.machine)
    assert (taken.state, taken.asked_by, taken.taken_at is not None) == (RequestState.TAKEN, "ann", True)
    assert requests.take(store, HOST.machine) == []
    kill_at = utc_now() + timedelta(seconds=10)
    assert requests.update(store, taken.id, RequestState.TAKEN, kill_at=kill_at)
    (shown,) = reads.snapshot(store, since=SINCE).requests
    assert shown.kill_at == kill_at
    assert requests.update(store, taken.id, RequestState.DONE, answer="ended by TERM")
    assert not requests.update(store, taken.id, RequestState.REFUSED, answer="too late")
    (done,) = reads.requests(store, [RequestState.DONE])
    assert (done.answer, done.done_at is not None) == ("ended by TERM", True)
    told = [(e.kind, e.status, e.actor) for e in reads.detail(store, run).events]
    assert told[1:] == [("cancel", "asked", "ann"), ("cancel", "done", "ann")]
    assert requests.ask(store, RequestKind.CANCEL, run, by="ann", origin="db1", now=True).kind is RequestKind.KILL


def test_nothing_is_asked_of_a_run_that_is_not_there(store: Store) -> None:
    with pytest.raises(NoSuchRun, match="no run nope"):
        requests.ask(store, RequestKind.RETRY, "nope", by="ann", origin="db1")


def test_a_request_in_a_file_that_others_can_write_is_refused(sqlite_url: str, journal: Journal) -> None:
    import os

    with open_store(sqlite_url) as store:
        run = start(journal)
        give(store, journal)
        requests.ask(store, RequestKind.KILL, run, by="mallory", origin="db1")
        os.chmod(sqlite_url.removeprefix("sqlite:///"), 0o660)
        assert requests.take(store, HOST.machine) == []
        (refused,) = reads.requests(store, [RequestState.REFUSED])
        assert "can not tell who asks" in (refused.answer or "")


@pytest.mark.pg
def test_no_role_can_ask_in_the_name_of_another(pg_url: str, journal: Journal) -> None:
    from sqlalchemy import text

    with open_store(pg_url) as store:
        run = start(journal)
        give(store, journal)
        store.connection.execute(text("CREATE ROLE mallory_test LOGIN"))
        try:
            for right in ("USAGE ON SCHEMA statustui", "SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA statustui"):
                store.connection.exec_driver_sql(f"GRANT {right} TO mallory_test")
            with open_store(pg_url.replace("postgres:@", "mallory_test:@", 1), create=False) as other:
                assert "mallory" in str(other.connection.exec_driver_sql("SELECT session_user").scalar())
                asked = requests.ask(other, RequestKind.KILL, run, by="etl", origin="db1")
                other.connection.execute(text("UPDATE requests SET role = 'postgres'"))
            assert requests.take(store, HOST.machine) == []
            (refused,) = reads.requests(store, [RequestState.REFUSED])
            assert (refused.id, "mallory_test" in (refused.answer or "")) == (asked.id, True)
        finally:
            store.connection.exec_driver_sql("DROP OWNED BY mallory_test")
            store.connection.exec_driver_sql("DROP ROLE mallory_test")


def test_an_acknowledged_failure_leaves(store: Store, journal: Journal) -> None:
    run = start(journal)
    end(journal, run, "failed")
    give(store, journal)
    assert requests.acknowledge(store, [run, "nope"], "ann") == 1
    assert requests.acknowledge(store, [run], "ben") == 0
    shot = reads.snapshot(store, since=SINCE)
    assert (shot.ended, shot.recent[0].acked_by, shot.counts[RunStatus.FAILED]) == ((), "ann", 1)


def test_a_later_good_run_settles_earlier_failures_of_its_task_only(store: Store, journal: Journal) -> None:
    for task in ("A", "A", "B"):
        end(journal, start(journal, task), "failed")
    end(journal, start(journal, "A"))
    give(store, journal)
    shot = reads.snapshot(store, since=SINCE)
    assert [run.task for run in shot.ended] == ["B"]
    assert [run.resolved for run in shot.recent] == [False, False, True, True]


def test_a_run_marked_lost_comes_back_with_a_sign_of_life(store: Store, journal: Journal) -> None:
    run = start(journal)
    give(store, journal)
    assert requests.mark_lost(store, run, "host scrapped", "ann")
    assert not requests.mark_lost(store, run, "again", "ann")
    shot = reads.snapshot(store, since=SINCE)
    assert "marked lost by ann: host scrapped" in (shot.ended[0].lost_reason or "")
    assert shot.counts == {RunStatus.LOST: 1}
    journal.fact("sub.start", run, n=1, name="On it goes")
    journal.lines[-1][2]["t"] = utc_now().timestamp() + 5
    give(store, journal)
    shot = reads.snapshot(store, since=SINCE)
    assert (len(shot.ended), shot.running[0].status, shot.counts) == (0, RunStatus.RUNNING, {RunStatus.RUNNING: 1})


def test_deaths_say_why(store: Store, journal: Journal) -> None:
    run = start(journal)
    give(store, journal, deaths=[Death(run_id=run, at=from_epoch(T0 + 9), status="lost", reason="signal 9", signal=9)])
    (lost,) = reads.snapshot(store, since=SINCE).ended
    assert (lost.lost_reason, lost.signal) == ("signal 9", 9)


def test_people_find_their_old_columns(store: Store, journal: Journal) -> None:
    run = start(journal, total=4, script_path="/opt/etl/DAILY_01.R")
    journal.fact("sub.start", run, n=1, name="Load", total=8)
    journal.fact("sub.info", run, n=1, complete=2)
    give(store, journal)
    row = store.connection.exec_driver_sql("SELECT * FROM pipeline_status").mappings().one()
    assert (row["task_name"], row["execution_status"], row["script_file"]) == ("DAILY_01", "RUNNING", "DAILY_01.R")
    assert (float(row["overall_percent_complete"]), float(row["subtask_percent_complete"])) == (6.25, 25.0)
    assert (row["subtask_items_total"], row["subtask_status"], row["hostname"]) == (8, "RUNNING", "db1")


@always(st.text())
def test_text_in_a_search_stands_for_itself(text: str) -> None:
    import sqlite3

    connection = sqlite3.connect(":memory:")
    try:
        if "\0" not in text:
            assert connection.execute("SELECT ? LIKE ? ESCAPE '\\'", (text, escaped(text))).fetchone() == (1,)
    except UnicodeEncodeError:
        pass
    finally:
        connection.close()
