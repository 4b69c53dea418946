"""Applying what a drainer reads: one transaction, idempotent, with the acknowledged offsets."""

from typing import Any

import pytest
from sqlalchemy import select, text

from statustui.model.ids import new_id
from statustui.model.times import from_epoch
from statustui.store import reads, schema
from statustui.store.apply import Death, HostInfo, Sample, acked
from statustui.store.open import Store
from support.stores import T0, Journal, give


def rows(store: Store, table: Any = schema.runs) -> list[dict[str, Any]]:
    order = list(table.primary_key.columns)
    return [dict(row) for row in store.connection.execute(select(table).order_by(*order)).mappings()]


def one(store: Store) -> dict[str, Any]:
    (row,) = rows(store)
    return row


@pytest.fixture
def journal() -> Journal:
    return Journal()


def start(journal: Journal, run: str | None = None, **fields: Any) -> str:
    run = run or new_id()
    journal.fact("run.start", run, **({"task": "DAILY_01", "stage": "DAILY", "type": "python"} | fields))
    return run


def test_a_run_from_start_to_end(store: Store, journal: Journal) -> None:
    run = start(journal, total=2, args=["x.py"], env={"TZ": "UTC"})
    give(store, journal)
    assert one(store)["status"] == "started"
    journal.fact("sub.start", run, n=1, name="Load", total=10, unit="files")
    journal.fact("sub.info", run, n=1, complete=5)
    give(store, journal)
    row = one(store)
    assert (row["status"], row["current_subtask"], row["work_done"], row["work_total"]) == ("running", 1, 0.5, 2.0)
    journal.fact("sub.end", run, n=1, status="completed", complete=10)
    journal.fact("sub.start", run, n=2, name="Write")
    journal.fact("sub.end", run, n=2, status="completed")
    journal.fact("run.end", run, status="finished")
    done = give(store, journal)
    row = one(store)
    assert (row["status"], row["subtasks_done"], row["ended_at"]) == ("finished", 2, from_epoch(T0 + 7))
    assert row["duration_s"] == 6.0
    assert done.acked == {journal.name: journal.offset} == acked(store, [journal.name])
    assert [event["kind"] for event in rows(store, schema.events)] == ["started", "ended"]


def test_applying_twice_changes_nothing(store: Store, journal: Journal) -> None:
    run = start(journal)
    journal.fact("sub.start", run, n=1, name="Load", total=10)
    journal.fact("sub.info", run, n=1, complete=5)
    journal.fact("event", run, kind="log", message="hello")
    give(store, journal)
    tables = (schema.runs, schema.subtasks, schema.events, schema.journals, schema.tasks, schema.run_counts)
    before = [rows(store, table) for table in tables]
    give(store, journal)
    assert [rows(store, table) for table in tables] == before


def test_a_bad_end_closes_open_subtasks_and_completes_nothing(store: Store, journal: Journal) -> None:
    run = start(journal, total=3)
    journal.fact("sub.start", run, n=1, name="Load", total=10)
    journal.fact("sub.info", run, n=1, complete=4)
    journal.fact("sub.start", run, n=2, name="Later", announced=True)
    error = {"type": "KeyError", "message": "'FIPS'", "detail": "Traceback …", "fingerprint": "abc", "subtask": 1}
    journal.fact("run.end", run, status="failed", error=error)
    give(store, journal)
    row = one(store)
    assert (row["error_type"], row["error_subtask"], row["error_subtask_name"]) == ("KeyError", 1, "Load")
    subs = rows(store, schema.subtasks)
    assert [(s["status"], s["items_complete"]) for s in subs] == [("failed", 4), ("not_started", None)]
    assert row["attention_at"] == row["ended_at"]


def test_lost_gives_way_to_a_sign_of_life(store: Store, journal: Journal) -> None:
    run = start(journal)
    journal.fact("sub.start", run, n=1, name="Load")
    give(store, journal, deaths=[Death(run_id=run, at=from_epoch(T0 + 5), status="lost", reason="signal 9", signal=9)])
    assert (one(store)["status"], one(store)["lost_reason"]) == ("lost", "signal 9")
    assert rows(store, schema.subtasks)[0]["status"] == "lost"
    journal.fact("sub.info", run, at=8, n=1, message="still here")
    give(store, journal)
    row = one(store)
    assert (row["status"], row["ended_at"], row["lost_reason"], row["attention_at"]) == ("running", None, None, None)
    assert rows(store, schema.subtasks)[0]["status"] == "running"
    counts = {(c["hour"] > 0, c["status"]): c["n"] for c in rows(store, schema.run_counts)}
    assert counts == {(False, "all"): 1, (True, "lost"): 0}


def test_a_finished_run_stays_finished(store: Store, journal: Journal) -> None:
    run = start(journal)
    journal.fact("run.end", run, status="finished")
    give(store, journal, deaths=[Death(run_id=run, at=from_epoch(T0 + 5), status="lost")])
    journal.fact("run.end", run, status="failed")
    give(store, journal)
    assert one(store)["status"] == "finished"


def test_the_wrapper_has_the_last_word_and_the_program_the_better_one(store: Store) -> None:
    wrapper, program = Journal(writer={"role": "wrapper"}), Journal()
    run = start(wrapper, task="load.py", wrapped=True, named=False)
    wrapper.fact("run.info", run, pid=321, start=9, pgid=321)
    start(program, run, task="DAILY_07", prestarted=True, total=1)
    program.fact("run.end", run, status="failed", error={"type": "ValueError", "message": "bad"})
    give(store, wrapper, program)
    row = one(store)
    assert (row["status"], row["task"], row["pid"], row["ended_at"]) == ("running", "DAILY_07", 321, None)
    wrapper.fact("run.end", run, status="failed", exit_code=1, error={"type": "exit", "message": "exit status 1"})
    give(store, wrapper, program)
    row = one(store)
    assert (row["status"], row["error_message"], row["exit_code"]) == ("failed", "bad", 1)
    assert [task["name"] for task in rows(store, schema.tasks)] == ["DAILY_07"]


def test_a_wrapper_that_dies_leaves_the_word_of_its_program(store: Store) -> None:
    wrapper, program = Journal(writer={"role": "wrapper"}), Journal()
    run = start(wrapper, wrapped=True)
    start(program, run, prestarted=True)
    program.fact("run.end", run, status="finished")
    give(store, wrapper, program, deaths=[Death(run_id=run, at=from_epoch(T0 + 9), status="lost", reason="killed")])
    assert one(store)["status"] == "finished"


def test_counts_of_workers_add_up_even_after_the_end_of_the_subtask(store: Store, journal: Journal) -> None:
    run = start(journal)
    journal.fact("sub.start", run, n=1, name="Load", total=100)
    journal.fact("sub.info", run, n=1, complete=10)
    workers = [Journal(writer={"role": "worker"}) for _ in range(3)]
    for worker in workers:
        worker.fact("counter", run, i=0, n=1)
    give(store, journal, *(worker.batch(counts=(20, 0)) for worker in workers))
    assert rows(store, schema.subtasks)[0]["items_complete"] == 70
    journal.fact("sub.end", run, n=1, status="completed")
    give(store, journal, *(worker.batch(counts=(30, 0)) for worker in workers))
    assert rows(store, schema.subtasks)[0]["items_complete"] == 100


def test_a_forked_worker_may_have_runs_of_its_own(store: Store) -> None:
    worker = Journal(writer={"role": "worker"})
    run = start(worker, task="inner", parent="outer")
    worker.fact("sub.start", run, n=1, name="Load")
    worker.fact("run.end", run, status="finished")
    give(store, worker)
    assert (one(store)["status"], one(store)["task"], one(store)["parent_run_id"]) == ("finished", "inner", "outer")


def test_a_slot_applies_only_after_the_records_before_it(store: Store, journal: Journal) -> None:
    run = start(journal)
    journal.fact("sub.start", run, n=1, name="Load", total=100)
    slot = {
        "off": journal.offset, "t": T0 + 9, "m": 1009.0,
        "runs": {run: {"message": "half", "metrics": {"rows": 5}, "subs": {"1": {"c": 50, "msg": "Delaware"}}}},
    }  # fmt: skip
    early = Journal(name=journal.name, lines=journal.lines[:-1])
    give(store, early.batch(slot=slot))
    assert rows(store, schema.subtasks) == []
    give(store, journal.batch(slot=slot))
    sub = rows(store, schema.subtasks)[0]
    assert (sub["items_complete"], sub["message"], one(store)["overall_message"]) == (50, "Delaware", "half")
    assert rows(store, schema.run_details)[0]["metrics"] == {"rows": 5}


def test_samples_are_kept_with_their_history(store: Store, journal: Journal) -> None:
    run = start(journal)
    give(store, journal)
    for second in range(130):
        sample = Sample(run_id=run, at=from_epoch(T0 + second), cpu_percent=50.0, rss_bytes=1000 + second)
        give(store, journal, samples=[sample])
    row = one(store)
    assert (row["rss_bytes"], row["peak_rss_bytes"], row["cpu_percent"]) == (1129, 1129, 50.0)
    from statustui.store.rows import unpack_samples

    samples = unpack_samples(rows(store, schema.run_details)[0]["samples"])
    assert len(samples) == 120
    assert samples[-1] == (T0 + 129, 50.0, 1129)


def test_a_retry_is_linked_and_settles_the_failure(store: Store, journal: Journal) -> None:
    first = start(journal)
    journal.fact("run.end", first, status="failed")
    give(store, journal)
    assert one(store)["attention_at"] is not None
    second = start(journal, retry_of=first)
    give(store, journal)
    old, new = rows(store)
    assert (old["retried"], old["resolved"], new["attempt"]) == (True, False, 2)
    assert new["error_type"] is None
    journal.fact("run.end", second, status="finished")
    give(store, journal)
    old = rows(store)[0]
    assert (old["attention_at"], old["resolved"], old["status"]) == (None, True, "failed")


def test_a_retry_that_fails_too_is_one_problem(store: Store, journal: Journal) -> None:
    first = start(journal)
    journal.fact("run.end", first, status="failed")
    second = start(journal, retry_of=first)
    give(store, journal)
    assert [row["attention_at"] is not None for row in rows(store)] == [True, False], "while it runs the old one stays"
    journal.fact("run.end", second, status="failed")
    give(store, journal)
    assert [row["attention_at"] is not None for row in rows(store)] == [False, True]
    third = start(journal, retry_of=second)
    journal.fact("run.end", third, status="cancelled")
    give(store, journal)
    asking = [row["attention_at"] is not None for row in rows(store)]
    assert asking == [False, True, False], "a cancelled try says nothing"
    assert [row["resolved"] for row in rows(store)] == [False, False, False]


@pytest.mark.parametrize("children", [1, 2])
def test_a_wrapper_speaks_for_its_only_child(children: int, store: Store, journal: Journal) -> None:
    outer = start(journal, task="nightly.sh", wrapped=True)
    for n in range(children):
        inner = start(journal, task=f"part {n}", parent=outer)
        journal.fact("run.end", inner, status="failed")
    give(store, journal)
    journal.fact("run.end", outer, status="failed", exit_code=1)
    give(store, journal)
    asking = [row["task"] for row in rows(store) if row["attention_at"] is not None]
    assert asking == (["nightly.sh"] if children == 1 else ["nightly.sh", "part 0", "part 1"])


def test_a_failure_read_after_a_later_success_needs_nobody(store: Store) -> None:
    late, good = Journal(), Journal()
    failed = start(late)
    late.fact("run.end", failed, status="failed")
    finished = start(good)
    good.lines[-1][2]["t"] = T0 + 60
    good.fact("run.end", finished, at=70, status="finished")
    give(store, good)
    give(store, late)
    row = next(r for r in rows(store) if r["status"] == "failed")
    assert (row["attention_at"], row["resolved"]) == (None, True)


def test_tasks_learn_from_finished_runs(store: Store, journal: Journal) -> None:
    for number in range(3):
        run = start(journal, total=1)
        journal.fact("sub.start", run, n=1, name="Load", total=10)
        for complete in range(1, 11):
            journal.fact("sub.info", run, n=1, complete=complete)
            give(store, journal)
        journal.fact("sub.end", run, n=1, status="completed")
        journal.fact("run.end", run, status="finished" if number else "failed")
    give(store, journal)
    (task,) = rows(store, schema.tasks)
    assert (task["runs"], task["finished"], task["durations"]) == (3, 2, [13.0, 13.0])
    profile = task["profiles"][0]
    assert profile["d"] == 13.0
    assert len(profile["p"]) >= 9
    assert profile["s"] == [["Load", 1.0, 12.0]]
    assert task["last_run"] == 3


def test_nothing_of_a_batch_is_left_when_it_fails(store: Store, journal: Journal) -> None:
    run = start(journal)
    give(store, journal)
    journal.fact("sub.start", run, n=1, name="Load")
    store.connection.execute(text("ALTER TABLE subtasks RENAME TO hidden"))
    with pytest.raises(Exception, match="subtasks"):
        give(store, journal)
    store.connection.execute(text("ALTER TABLE hidden RENAME TO subtasks"))
    assert acked(store, [journal.name])[journal.name] < journal.offset
    give(store, journal)
    assert (one(store)["status"], rows(store, schema.subtasks)[0]["name"]) == ("running", "Load")


def test_two_drainers_may_meet_in_one_run(store_url: str) -> None:
    from statustui.store.open import open_store

    mine, other = Journal(), Journal(writer={"role": "worker"})
    run = start(mine)
    mine.fact("sub.start", run, n=1, name="Load", total=10)
    other.fact("counter", run, i=0, n=1)
    with open_store(store_url) as here, open_store(store_url) as there:
        give(here, mine)
        elsewhere = HostInfo(machine="m2:etl", host="db2")
        for count in range(1, 4):
            give(there, other.batch(counts=(count,)), host=elsewhere)
            mine.fact("sub.info", run, n=1, complete=count)
            give(here, mine)
        assert rows(here, schema.subtasks)[0]["items_complete"] == 6


@pytest.mark.parametrize("poison", ["nul \0 in text", "lone \ud800 surrogate", "x" * 300_000])
def test_odd_text_is_stored_in_some_form(store: Store, journal: Journal, poison: str) -> None:
    run = start(journal, label=poison, params={poison: [float("nan"), 2**70]}, tags=[poison])
    journal.fact("event", run, kind="log", message=poison, detail=poison)
    journal.fact("metric", run, name=poison, value=float("inf"))
    give(store, journal)
    assert one(store)["label"]


def test_unknown_kinds_and_fields_change_nothing(store: Store, journal: Journal) -> None:
    run = start(journal, colour="blue")
    journal.fact("run.dance", run, steps=3)
    journal.fact("aside")
    journal.fact("item.start", None, key="x")
    give(store, journal)
    assert one(store)["status"] == "started"
    assert acked(store, [journal.name]) == {journal.name: journal.offset}


def test_what_was_dropped_is_counted(store: Store, journal: Journal) -> None:
    start(journal)
    journal.fact("dropped", facts=3, progress=10)
    give(store, journal)
    give(store, journal)
    (host,) = rows(store, schema.hosts)
    assert (host["facts_dropped"], host["progress_dropped"]) == (3, 10)


def test_many_drainers_that_end_runs_of_one_task_lose_nothing(store_url: str) -> None:
    import threading

    from statustui.store import reads
    from statustui.store.open import open_store
    from statustui.store.selector import Selector

    errors: list[BaseException] = []

    def drain(number: int) -> None:
        host = HostInfo(machine=f"m{number}", host=f"db{number}")
        try:
            with open_store(store_url, timeout=20) as own:
                for status in ("failed", "failed", "finished", "failed", "finished"):
                    journal = Journal()
                    run = start(journal)
                    journal.fact("sub.start", run, n=1, name="Load")
                    give(own, journal, host=host)
                    journal.fact("run.end", run, status=status)
                    give(own, journal, host=host)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=drain, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    with open_store(store_url) as store:
        shot = reads.snapshot(store, since=from_epoch(T0 - 3600))
        assert {status.value: n for status, n in shot.counts.items()} == {"failed": 18, "finished": 12}
        (task,) = rows(store, schema.tasks)
        assert (task["runs"], task["finished"]) == (30, 12)
        assert reads.count(store, Selector()) == shot.total_runs == 30


def test_an_attempt_is_marked_as_retried_in_whatever_order_its_runs_come(store: Store) -> None:
    for first_known in ("attempt", "retry", "program inside the retry"):
        one, two = new_id(), new_id()
        attempt, retry, inside = Journal(), Journal(writer={"role": "wrapper"}), Journal()
        attempt.fact("run.start", one, task="nightly", type="python", at=1)
        attempt.fact("run.end", one, status="failed", at=2)
        retry.fact("run.start", two, task="nightly", retry_of=one, attempt=2, wrapped=True, at=10)
        inside.fact("run.start", two, task="nightly", prestarted=True, at=11)
        order = {
            "attempt": (attempt, retry, inside),
            "retry": (retry, inside, attempt),
            "program inside the retry": (attempt, inside, retry),
        }[first_known]
        for journal in order:
            give(store, journal)
        assert reads.detail(store, one).run.retried, first_known
        assert reads.detail(store, two).run.attempt == 2, first_known
