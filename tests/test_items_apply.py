"""Facts about items become rows, whatever the order in which journals arrive; what is not legal changes nothing."""

import json
from datetime import UTC, date, datetime
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from statustui.store import item_changes, item_claims, item_reads, schema
from statustui.store.batch import Death, HostInfo
from statustui.store.open import Store
from support.item_facts import STEPS, Told, define, picture, sound, states
from support.stores import T0, Journal, give


@pytest.fixture
def told() -> Told:
    return Told()


def events(store: Store, key: str) -> list[tuple[str, str | None, str | None]]:
    return [(event.kind, event.step, event.status) for event in item_reads.history(store, "auctions", key)]


def step(store: Store, key: str, name: str) -> Any:
    return next(one for one in item_reads.item(store, "auctions", key).steps if one.step.key == name)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(T0 + seconds, UTC)


def test_an_item_goes_through_its_steps(store: Store, told: Told) -> None:
    told.add("k1", kind="foreclosure", date="2025-01-02", attributes={"parcel": "7"})
    told.give(store)
    assert states(store) == {"k1": "rppp"}
    told.start("k1", "scrape", "a1", at=10)
    told.update("k1", "scrape", "a1", progress=45.5, meta={"pages": 2000})
    told.give(store)
    assert states(store) == {"k1": "wppp"}
    running = step(store, "k1", "scrape")
    assert (running.progress, running.metadata, running.started_at) == (45.5, {"pages": 2000}, at(10))
    told.end("k1", "scrape", att="a1", at=20, meta={"total": 4386})
    for name in ("judge", "photos", "market"):
        told.start("k1", name)
        told.end("k1", name)
    told.give(store)
    one = item_reads.item(store, "auctions", "k1").item
    assert (one.status, one.cells, one.fraction, one.current_step) == ("completed", "cccc", 1.0, None)
    assert (one.kind, one.date, one.attributes) == ("foreclosure", date(2025, 1, 2), {"parcel": "7"})
    done = step(store, "k1", "scrape")
    assert (done.duration_s, done.metadata, done.tries) == (10.0, {"pages": 2000, "total": 4386}, 1)
    assert one.completed_at == step(store, "k1", "market").completed_at
    sound(store)


def test_each_change_leaves_its_line_in_the_story(store: Store, told: Told) -> None:
    told.add("k1")
    told.start("k1", "scrape", "a1")
    told.end("k1", "scrape", "failed", "a1", error="OSError: disk")
    told.give(store)
    told.give(store)
    assert events(store, "k1") == [
        ("item.add", None, None),
        ("step.start", "scrape", "processing"),
        ("step.end", "scrape", "failed"),
    ]
    assert item_reads.history(store, "auctions", "k1")[-1].message == "OSError: disk"
    assert item_reads.history(store, "auctions", "k1")[-1].task_id == "a1"


def test_a_new_attempt_starts_clean_and_counts_as_a_retry(store: Store, told: Told) -> None:
    told.start("k1", "scrape", "a1")
    told.update("k1", "scrape", "a1", progress=90, meta={"pages": 3})
    told.end("k1", "scrape", "failed", "a1", error="timeout")
    told.give(store)
    one = item_reads.item(store, "auctions", "k1").item
    assert (one.status, one.error_step, one.last_error, one.retries) == ("failed", "scrape", "timeout", 0)
    told.start("k1", "scrape", "a2")
    told.give(store)
    now = step(store, "k1", "scrape")
    assert (now.error, now.progress, now.completed_at, now.tries) == (None, None, None, 2)
    assert now.metadata == {"pages": 3}
    one = item_reads.item(store, "auctions", "k1").item
    assert (one.status, one.error_step, one.last_error, one.retries) == ("processing", None, None, 1)
    sound(store)


def test_what_is_not_legal_is_refused_with_its_reason(store: Store, told: Told) -> None:
    told.start("k1", "scrape", "a1")
    told.end("k1", "scrape", att="a1")
    told.end("k1", "judge", "failed", "b1", error="x")
    told.give(store)
    before = picture(store)
    told.start("k1", "scrape", "a2")
    told.end("k1", "judge", "completed", "b2")
    told.start("k1", "embalm", "c1")
    told.end("k1", "photos", "exploded")
    told.update("k1", "market", progress=5)
    told.give(store)
    said = [event.message for event in item_reads.history(store, "auctions", "k1") if event.kind == "refused"]
    assert said == [
        "k1: processing: step 'scrape' is completed; reset it first",
        "k1: completed: step 'judge' is failed; start it first",
        "k1: start: auctions has no step 'embalm'",
        "k1: end: 'exploded' ends no step",
        "k1: update: step 'market' is pending",
    ]
    after = picture(store)
    before["k1"]["updated_at"] = after["k1"]["updated_at"]
    assert after == before
    sound(store)


def test_a_late_end_of_an_earlier_attempt_is_only_an_event(store: Store, told: Told) -> None:
    told.start("k1", "scrape", "a1", at=1)
    told.start("k1", "scrape", "a2", at=5)
    told.end("k1", "scrape", "completed", "a1", at=9)
    told.give(store)
    assert states(store) == {"k1": "wppp"}
    assert events(store, "k1")[-1] == ("late", "scrape", None)


def test_an_end_from_another_process_applies_to_the_running_attempt(store: Store, told: Told) -> None:
    told.start("k1", "scrape", "a1")
    other = Told(defined=False)
    other.end("k1", "scrape", at=50)
    give(store, told.journal, other.journal)
    now = step(store, "k1", "scrape")
    assert (now.status, now.attempt, now.tries) == ("completed", "a1", 1)


def test_skipped_counts_as_done_and_an_optional_failure_fails_nothing(store: Store, told: Told) -> None:
    told.end("k1", "scrape")
    told.end("k1", "photos", "failed", error="no camera")
    told.start("k1", "photos")
    told.end("k1", "photos", "failed", error="no camera")
    told.end("k1", "judge", "skipped", reason="no images found")
    told.end("k1", "market")
    told.give(store)
    one = item_reads.item(store, "auctions", "k1").item
    assert (one.status, one.cells, one.retries, one.last_error) == ("completed", "csfc", 0, None)
    assert step(store, "k1", "judge").reason == "no images found"
    sound(store)


def test_a_skipped_item_is_skipped_with_all_that_was_open_of_it(store: Store, told: Told) -> None:
    told.end("k1", "scrape")
    told.skip_item("k1", "invalid parcel")
    told.skip_item("k2", "invalid parcel")
    told.give(store)
    for key, cells in (("k1", "csss"), ("k2", "ssss")):
        one = item_reads.item(store, "auctions", key).item
        assert (one.status, one.cells, one.current_step) == ("skipped", cells, None)
    told.reset("k1", "judge")
    told.give(store)
    assert states(store)["k1"] == "crxp"
    sound(store)


def test_each_item_has_its_own_plan(store: Store, told: Told) -> None:
    told.add("k1", date="2025-01-02")
    told.plan("k1", add=["upload_dropbox", "upload_s3"], group="uploads")  # their order is kept, on every store
    told.plan("k1", add=["upload_s3"], group="uploads")
    told.plan("k1", off=["judge"])
    told.add("k2", date="2025-01-02")
    told.give(store)
    one = item_reads.item(store, "auctions", "k1")
    assert list(one.item.states) == ["scrape", "photos", "market", "upload_dropbox", "upload_s3"]
    assert {s.step.key: s.step.group for s in one.steps}["upload_s3"] == "uploads"
    assert one.item.ready == {"scrape", "upload_s3", "upload_dropbox"}
    assert list(item_reads.item(store, "auctions", "k2").item.states) == ["scrape", "judge", "photos", "market"]
    told.end("k1", "scrape")
    told.give(store)
    # What comes before a step that does not apply is waited for in its place.
    assert "market" in item_reads.item(store, "auctions", "k1").item.ready
    told.end("k2", "upload_s3")
    told.end("k1", "judge")
    told.give(store)
    said = [event.message for key in ("k1", "k2") for event in item_reads.history(store, "auctions", key)
            if event.kind == "refused"]  # fmt: skip
    assert said == [
        "k1: end: step 'judge' is switched off for it",
        "k2: end: step 'upload_s3' is not one of its steps",
    ]
    sound(store)


def test_a_reset_takes_along_what_depends_on_the_step(store: Store, told: Told) -> None:
    for name in ("scrape", "judge", "photos", "market"):
        told.start("k1", name)
        told.end("k1", name)
    told.give(store)
    told.reset("k1", "judge", reason="new model")
    told.give(store)
    assert states(store) == {"k1": "crcp"}
    assert [e for e in events(store, "k1") if e[0] == "step.reset"] == [
        ("step.reset", "judge", "pending"),
        ("step.reset", "market", "pending"),
    ]
    assert step(store, "k1", "judge").tries == 0
    told.start("k1", "judge")
    told.give(store)
    assert states(store) == {"k1": "cwcp"}
    sound(store)


def test_a_completed_step_runs_again_when_its_input_changed(store: Store, told: Told) -> None:
    told.start("k1", "scrape", "a1", hash="h1")
    told.end("k1", "scrape", att="a1")
    told.start("k1", "scrape", "a2", hash="h1")
    told.give(store)
    assert states(store) == {"k1": "crrp"}
    told.start("k1", "scrape", "a3", hash="h2")
    told.give(store)
    assert states(store)["k1"][0] == "w"


def test_a_start_before_its_prerequisites_is_accepted_and_noted(store: Store, told: Told) -> None:
    told.start("k1", "market")
    told.give(store)
    assert states(store) == {"k1": "rppw"}
    assert item_reads.history(store, "auctions", "k1")[-1].message == "before judge"


def test_a_definition_may_change_and_old_rows_are_kept(store: Store, told: Told) -> None:
    for name in ("scrape", "judge", "photos", "market"):
        told.end("k1", name)
    told.give(store)
    renamed = [STEPS[0], {"key": "verdict", "label": "2", "aliases": ["judge"]}, STEPS[3] | {"after": ["verdict"]}]
    define(told.journal, [*renamed, {"key": "tax", "label": "12"}])
    told.give(store)
    one = item_reads.item(store, "auctions", "k1").item
    assert {key: status.value for key, status in one.states.items()} == {
        "scrape": "completed", "verdict": "completed", "market": "completed", "tax": "pending",
    }  # fmt: skip
    assert one.status == "pending"
    told.end("k1", "judge", "failed")  # under its former key, and it is completed
    told.end("k1", "tax")
    told.give(store)
    assert item_reads.item(store, "auctions", "k1").item.status == "completed"
    sound(store)
    define(told.journal, STEPS)
    told.give(store)
    # The step that was taken out and comes back finds its rows again.
    assert item_reads.item(store, "auctions", "k1").item.states["photos"] == "completed"
    sound(store)
    from statustui.store.schema import events as table

    rows = store.connection.execute(table.select().where(table.c.kind == "pipeline").order_by(table.c.id))
    said = [row.message for row in rows]
    assert said[0] == "4 steps"
    assert said[1] == "step judge is now verdict; step tax was added; step photos was removed"


def test_a_contradictory_definition_is_refused(store: Store) -> None:
    told = Told(defined=False)
    define(told.journal, [{"key": "a", "after": ["b"]}, {"key": "b", "after": ["a"]}])
    told.add("k1")
    told.give(store)
    assert item_reads.pipelines(store) == []


def test_other_dates_and_kinds_move_what_is_counted(store: Store, told: Told) -> None:
    told.add("k1", kind="foreclosure", date="2025-01-02")
    told.start("k1", "scrape")
    told.end("k1", "scrape")
    told.give(store)
    told.add("k1", kind="tax deed", date="2025-03-04")
    told.add("k1", date="the day after")
    told.give(store)
    found = item_reads.summary(store, "auctions", since=date(2025, 3, 1), until=date(2025, 3, 31))
    assert (found.total, found.kinds, found.steps[0].done) == (1, {"tax deed": 1}, 1)
    assert item_reads.summary(store, "auctions", since=date(2025, 1, 1), until=date(2025, 1, 31)).total == 0
    assert events(store, "k1")[-1][0] == "refused"
    sound(store)


@pytest.mark.parametrize("way", ["death", "end"])
def test_steps_that_a_lost_run_left_are_failed_and_say_so(store: Store, told: Told, way: str) -> None:
    told.journal.fact("run.start", "r1", task="update", pid=7)
    told.start("k1", "scrape", "a1", run="r1")
    told.give(store)
    if way == "death":
        give(store, told.journal, deaths=[Death(run_id="r1", at=at(60), status="lost", reason="signal 9")])
        word = "its run was lost: signal 9"
    else:
        told.journal.fact("run.end", "r1", status="cancelled")
        told.give(store)
        word = "its run was cancelled"
    now = step(store, "k1", "scrape")
    assert (now.status, now.error, now.run_id) == ("failed", word, "r1")
    assert [(one.key, name) for one, name in item_reads.of_run(store, "r1")] == [("k1", "scrape")]
    # Its own word, should it still come, counts more.
    told.end("k1", "scrape", "completed", "a1", run="r1")
    told.give(store)
    now = step(store, "k1", "scrape")
    assert (now.status, now.error, now.tries) == ("completed", None, 1)
    sound(store)


def test_progress_in_the_slot_is_for_the_running_attempt(store: Store, told: Told) -> None:
    told.start("k1", "scrape", "a1")
    place = "auctions\x1fk1\x1fscrape"

    def slot(att: str, percent: float, m: float) -> None:
        items = {place: {"att": att, "p": percent}}
        batch = told.journal.batch(slot={"off": told.journal.offset, "t": T0 + 60, "m": m, "items": items})
        give(store, batch)

    slot("a1", 40, 2000.0)
    assert step(store, "k1", "scrape").progress == 40
    assert item_reads.overall_many(store, "auctions", ["k1"])["k1"].fraction == pytest.approx(0.08)
    slot("another", 90, 2001.0)
    assert step(store, "k1", "scrape").progress == 40


def test_facts_wait_for_the_definition_that_another_journal_brings(store: Store) -> None:
    first = Told(Journal(), defined=False)
    first.add("k1", kind="deed", attributes={"parcel": 7})
    first.plan("k1", add=["upload_s3"], group="uploads")
    first.plan("k1", off=["photos"])
    first.start("k1", "scrape", "a1", at=10)
    first.end("k1", "scrape", att="a1", at=20)
    first.end("k1", "upload_s3", at=30)
    first.give(store)
    first.give(store)
    assert item_reads.pipelines(store) == []
    with pytest.raises(item_reads.NoSuchPipeline):
        item_reads.definition(store, "auctions")
    from statustui.store.schema import events as table

    said = [row.message for row in store.connection.execute(table.select().where(table.c.kind == "waiting"))]
    assert said == ["no program has told of a pipeline 'auctions' yet: facts about its items wait for it"]
    Told(Journal(clock=40)).give(store)
    one = item_reads.item(store, "auctions", "k1").item
    assert {key: status.value for key, status in one.states.items()} == {
        "scrape": "completed", "judge": "pending", "market": "pending", "upload_s3": "completed",
    }  # fmt: skip
    assert (one.kind, dict(one.attributes), set(one.ready)) == ("deed", {"parcel": 7}, {"judge"})
    assert step(store, "k1", "scrape").duration_s == 10.0
    assert [name for name, _, _ in events(store, "k1")][-4:] == ["item.plan", "step.start", "step.end", "step.end"]
    sound(store)


def test_facts_wait_for_the_plan_that_another_journal_brings(store: Store, told: Told) -> None:
    told.add("k1")
    told.give(store)
    worker = Told(Journal(clock=50))
    worker.start("k1", "upload_s3", "u1")
    worker.end("k1", "upload_s3", att="u1", meta={"bytes": 3})
    worker.start("k1", "photos", "p1")
    worker.give(store)
    assert ("refused", None, None) in events(store, "k1")
    told.plan("k1", add=["upload_s3"], group="uploads", at=40)
    told.give(store)
    found = step(store, "k1", "upload_s3")
    assert (found.status.value, found.metadata, found.duration_s) == ("completed", {"bytes": 3}, 1.0)
    sound(store)


def test_a_step_that_is_ready_keeps_its_story_while_others_go_on(store: Store, told: Told) -> None:
    told.end("k1", "scrape")
    told.start("k1", "judge", "a1", meta={})
    told.update("k1", "judge", "a1", meta={"pages": 3})
    told.end("k1", "judge", "failed", "a1", error="no")
    told.give(store)
    assert item_changes.retry(store, "auctions", "k1", "judge", actor="ann")
    before = step(store, "k1", "judge")
    assert (before.ready, before.tries) == (True, 1)
    told.start("k1", "photos")  # of judge nothing is read now
    told.give(store)
    assert step(store, "k1", "judge") == before
    (claim,) = item_claims.claim(store, "auctions", "judge", owner="w1")
    assert claim.tries == 2
    item_claims.release(store, [claim])
    assert item_changes.reset(store, "auctions", "k1", "scrape", actor="ann")
    told.end("k1", "scrape", at=told.journal.clock + 1e9)
    told.give(store)
    assert step(store, "k1", "judge").ready
    assert step(store, "k1", "judge").fence > claim.fence
    sound(store)


def test_a_definition_that_comes_late_undoes_no_later_one(store: Store) -> None:
    new, old = Journal(clock=100), Journal(clock=50)
    define(new, [*STEPS, {"key": "tax"}])
    define(old)
    give(store, new)
    give(store, old)
    assert [one.key for one in item_reads.definition(store, "auctions").steps][-1] == "tax"


def test_what_waits_is_bounded(store: Store, told: Told) -> None:
    for number in range(80):
        told.start("k1", "nowhere", f"a{number}")
    told.start("k1", "nowhere", "big", note="x" * 20_000)
    told.give(store)
    with store.read() as connection:
        plan = connection.exec_driver_sql("SELECT plan FROM items").scalar_one()
    kept = (json.loads(plan) if isinstance(plan, str) else plan)["waiting"]
    assert len(kept) == 50
    assert kept[-1][2]["att"] == "a79"


keys = st.sampled_from(["k1", "k2"])
names = st.sampled_from(["scrape", "judge", "photos", "market", "nowhere", "upload"])
ends = st.sampled_from(["completed", "failed", "skipped", "pending"])
attempt = st.tuples(
    st.just("attempt"), keys, names, st.integers(0, 30), st.none() | st.integers(0, 9), ends,
    st.sampled_from([None, None, "h1", "h2"]),
)  # fmt: skip
other = st.one_of(
    st.tuples(st.just("reset"), keys, names, st.integers(0, 40)),
    st.tuples(st.just("skip"), keys, st.integers(0, 40)),
    st.tuples(st.just("add"), keys, st.sampled_from(["a", "b"]), st.integers(1, 3), st.integers(0, 40)),
    st.tuples(st.just("off"), keys, st.sampled_from(["judge", "photos"]), st.booleans(), st.integers(0, 40)),
    st.tuples(st.just("later"), keys, st.integers(0, 40)),
)
workers = st.lists(st.lists(attempt | other, max_size=4), min_size=1, max_size=3)


def journal_of(number: int, deeds: list[tuple[Any, ...]], name: str) -> Told:
    """One process at work on pipeline *name*: what it does, in the order of its clock."""
    facts: list[tuple[float, str, dict[str, Any]]] = []
    for place, deed in enumerate(deeds):
        what, key, *rest = deed
        # No two facts at one moment: a clock of microseconds does not show that.
        shift = number * 0.001 + place * 0.0001
        if what == "attempt":
            step_key, begin, lasts, status, digest = rest
            att = f"{number}-{place}"
            facts.append((begin + shift, "step.start", {"key": key, "step": step_key, "att": att, "hash": digest}))
            meta = {att: place}
            facts.append((begin + shift, "step.update", {"key": key, "step": step_key, "att": att, "meta": meta}))
            if lasts is not None:
                told = {"key": key, "step": step_key, "att": att, "status": status, "error": f"e{place}"}
                facts.append((begin + lasts + shift, "step.end", told))
        elif what == "reset":
            facts.append((rest[1] + shift, "step.reset", {"key": key, "step": rest[0], "only": True}))
        elif what == "skip":
            facts.append((rest[0] + shift, "item.skip", {"key": key, "reason": "no"}))
        elif what == "add":
            facts.append((rest[2] + shift, "item.add", {"key": key, "attributes": {rest[0]: rest[1]}}))
        elif what == "later":
            facts.append((rest[0] + shift, "item.plan", {"key": key, "add": ["upload"], "group": "uploads"}))
        else:
            facts.append((rest[2] + shift, "item.plan", {"key": key, "on" if rest[1] else "off": [rest[0]]}))
    # Only one of them tells of the definition: the facts of the others wait for it.
    told_by = Told(Journal(name=f"{name}-{number}"), name=name, defined=not number)
    for when, kind, fields in sorted(facts, key=lambda fact: fact[0]):
        told_by.journal.fact(kind, None, at=when, p=name, **fields)
    return told_by


def interleaved(draw: Any, journals: list[Told], store: Store) -> None:
    """Give the journals in pieces, in any order."""
    left = {number: len(told.journal.lines) for number, told in enumerate(journals)}
    done = dict.fromkeys(left, 0)
    while left:
        number = draw(st.sampled_from(sorted(left)))
        done[number] += draw(st.integers(1, 5))
        journal = journals[number].journal
        full = tuple(journal.lines)
        journal.lines = list(full[: done[number]])
        give(store, journal, host=HostInfo(machine=f"m{number}", host=f"db{number}"))
        journal.lines = list(full)
        if done[number] >= len(full):
            del left[number]


@given(st.data(), workers)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_interleaving_of_journals_gives_the_same_rows(
    store: Store, data: st.DataObject, deeds: list[list[tuple[Any, ...]]]
) -> None:
    found = []
    for _ in range(2):
        # Names of one length, so that what they decide among equals is decided alike.
        name = f"p{next(_numbers):05}"
        journals = [journal_of(number, one, name) for number, one in enumerate(deeds)]
        interleaved(data.draw, journals, store)
        sound(store)
        once = picture(store, name)
        give(store, *(told.journal for told in journals))
        assert picture(store, name) == once
        for item in once.values():
            item.pop("updated_at")
            item.pop("states")  # a step's place in it is that of its arrival
            # A step that is switched off may keep a row of before, or have none: it does not apply.
            item["steps"] = {key: cell for key, cell in item["steps"].items() if key in item["letters"]}
            for cell in item["steps"].values():
                # An attempt without an id of its own is named after its journal.
                cell["attempt"] = (cell["attempt"] or "").removeprefix(f"{name}-")
        found.append(once)
    assert found[0] == found[1]


_numbers = count()


def test_two_additions_at_one_moment_decide_alike_whatever_came_before_them(store: Store) -> None:
    later = Told(defined=False)
    for name in ("one", "two"):
        adds = Told(name=name)
        adds.add("k", at=5, attributes={"a": 1})
        adds.add("k", at=5, attributes={"a": 2})
        skip = Told(later.journal, name=name, defined=False)
        skip.skip_item("k", at=6)
        for told in (adds, skip) if name == "one" else (Told(name=name), skip, adds):
            told.give(store)
        assert picture(store, name)["k"]["attributes"] == {"a": 2}


def test_what_can_be_no_key_makes_no_item(store: Store, told: Told) -> None:
    told.journal.fact(
        "refused", p="auctions", step="judge", what="complete", reason="an item needs a key that is not empty"
    )
    told.give(store)
    told.give(store)
    with store.read() as connection:
        rows = connection.execute(select(schema.events.c.kind, schema.events.c.item, schema.events.c.message)).all()
    assert [tuple(row) for row in rows if row.kind == "refused"] == [
        ("refused", None, "auctions: complete: an item needs a key that is not empty")
    ]
    assert states(store) == {}
