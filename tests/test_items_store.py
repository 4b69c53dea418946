"""Asking about items, claiming them, changing them by hand, and proving the counters."""

import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from statustui.model.items import Claim
from statustui.model.status import ItemStatus
from statustui.store import item_acks, item_changes, item_claims, item_counts, item_reads, item_summary, item_wide
from statustui.store.batch import Death
from statustui.store.item_housekeeping import keep_house
from statustui.store.item_schema import item_steps, step_totals
from statustui.store.item_selector import ItemSelector, ItemSort
from statustui.store.open import Store, open_store
from statustui.store.schema import events
from support.item_facts import Told, sound, states
from support.stores import give

AUCTIONS = ItemSelector(pipeline="auctions")


@pytest.fixture
def told() -> Told:
    return Told()


def filled(store: Store, told: Told, number: int = 12) -> None:
    """Items of three months: every third completed at its first step, every fourth failed there."""
    for n in range(number):
        day = date(2025, 1, 20) + timedelta(days=4 * n)
        told.add(f"k{n:03}", kind="deed" if n % 5 == 0 else "foreclosure", date=day.isoformat() if n % 6 else None)
        if n % 3 == 0:
            told.end(f"k{n:03}", "scrape", duration=10.0 + n)
        elif n % 4 == 0:
            told.end(f"k{n:03}", "scrape", "failed", error=f"OSError: disk {n}")
    told.give(store)


@pytest.mark.parametrize("fold", [False, True])
def test_a_summary_is_what_counting_gives(store: Store, told: Told, fold: bool) -> None:
    filled(store, told)
    if fold:
        assert keep_house(store) is False
        assert item_counts.fold_deltas(store) == 0
    found = item_reads.summary(store, "auctions")
    assert (found.total, found.kinds) == (12, {"deed": 3, "foreclosure": 9})
    assert found.statuses == {ItemStatus.PENDING: 10, ItemStatus.FAILED: 2}
    first = found.steps[0]
    assert (first.done, first.total, first.failed, first.pending, first.waiting) == (4, 12, 2, 6, 6)
    assert first.mean_s == pytest.approx((10 + 13 + 16 + 19) / 4)
    assert first.p50_s == pytest.approx(13, rel=0.05)
    assert first.p90_s == pytest.approx(19, rel=0.05)
    assert found.slowest == first
    assert found.steps[1].waiting == 4
    assert [failure.key for failure in found.failures] == ["k008", "k004"]


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize(
    "since, until",
    [
        (date(2025, 1, 1), date(2025, 12, 31)),
        (date(2025, 1, 25), date(2025, 2, 10)),
        (date(2025, 2, 1), date(2025, 2, 28)),
        (None, date(2025, 2, 1)),
        (date(2025, 2, 2), None),
        (date(2026, 1, 1), date(2026, 12, 31)),
    ],
)
def test_a_summary_of_a_range_counts_the_items_of_its_days(
    store: Store, told: Told, fold: bool, since: date | None, until: date | None
) -> None:
    filled(store, told, 24)
    if fold:
        item_counts.fold_deltas(store)
    expected = [
        one
        for one in item_reads.items(store, AUCTIONS, 100)
        if one.date and (since or date.min) <= one.date <= (until or date.max)
    ]
    found = item_reads.summary(store, "auctions", since=since, until=until)
    assert found.total == len(expected)
    assert found.statuses.get(ItemStatus.FAILED, 0) == sum(one.status == "failed" for one in expected)
    assert found.steps[0].done == sum(one.cells[0] == "c" for one in expected)
    assert sum(found.kinds.values()) == len(expected)


def test_months_cover_what_is_whole_and_days_the_rest() -> None:
    assert item_summary.covering(date(2025, 1, 30), date(2025, 4, 2)) == [
        "2025-01-30", "2025-01-31", "2025-02", "2025-03", "2025-04-01", "2025-04-02",
    ]  # fmt: skip
    assert item_summary.covering(date(2024, 2, 1), date(2024, 2, 29)) == ["2024-02"]
    assert item_summary.covering(date(9999, 12, 1), date.max) == ["9999-12"]
    assert item_summary.covering(date(2025, 1, 2), date(2025, 1, 1)) == []


@pytest.mark.parametrize("sort", list(ItemSort))
@pytest.mark.parametrize("reverse", [False, True])
def test_pages_follow_one_another_in_every_order(store: Store, told: Told, sort: ItemSort, reverse: bool) -> None:
    filled(store, told, 30)
    whole = item_reads.items(store, AUCTIONS, 100, sort=sort, reverse=reverse)
    paged = item_reads.items(store, AUCTIONS, 4, sort=sort, reverse=reverse)
    for _ in range(10):
        paged += item_reads.items(store, AUCTIONS, 4, paged[-1], sort=sort, reverse=reverse)
    assert paged == whole
    assert len(whole) == (sum(one.failed_at is not None for one in whole) if sort is ItemSort.FAILED else 30)
    back = item_reads.items(store, AUCTIONS, 100, whole[5] if len(whole) > 5 else None, sort=sort, reverse=not reverse)
    assert back == whole[:5][::-1] if len(whole) > 5 else back == whole[::-1]


def test_a_selector_narrows_a_list(store: Store, told: Told) -> None:
    filled(store, told)
    failed = ItemSelector(pipeline="auctions", statuses=(ItemStatus.FAILED,))
    assert [one.key for one in item_reads.items(store, failed)] == ["k004", "k008"]
    assert item_reads.count(store, ItemSelector(pipeline="auctions", steps=("judge",))) == 4
    assert item_reads.count(store, ItemSelector(pipeline="auctions", text="K00")) == 10
    assert item_reads.count(store, ItemSelector(pipeline="auctions", text="%")) == 0
    assert item_reads.count(store, ItemSelector(pipeline="auctions", kinds=("deed",))) == 3
    assert item_reads.count(store, ItemSelector(pipeline="auctions", keys=("k001", "nobody"))) == 1
    with pytest.raises(item_reads.NoSuchPipeline, match="no pipeline 'nothing'"):
        item_reads.count(store, ItemSelector(pipeline="nothing"))
    with pytest.raises(item_reads.NoSuchItem, match="has no item 'nobody'"):
        item_reads.item(store, "auctions", "nobody")


def test_failures_of_one_kind_come_together(store: Store, told: Told) -> None:
    filled(store, told, 20)
    (group,) = item_reads.failure_groups(store, datetime(2020, 1, 1, tzinfo=UTC))
    assert (group.pipeline, group.step, group.count, group.key) == ("auctions", "scrape", 3, "k016")
    assert group.error == "OSError: disk 16"
    assert item_reads.failure_groups(store, datetime(2036, 1, 1, tzinfo=UTC)) == []
    assert item_acks.acknowledge(store, [group], "ann@db1") == 3
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    assert item_reads.failure_groups(store, long_ago) == []
    told.end("k017", "scrape", "failed", error="OSError: disk 17")
    told.give(store)
    (again,) = item_reads.failure_groups(store, long_ago)
    assert (again.count, again.key, again.fingerprint) == (1, "k017", group.fingerprint)
    trail = select(events.c.message, events.c.actor).where(events.c.kind == "ack")
    assert [tuple(row) for row in store.connection.execute(trail)] == [
        ("3 failed items acknowledged: OSError: disk 16", "ann@db1")
    ]
    failed = item_reads.failed(store, "auctions", step="scrape")
    assert [one.key for one in failed] == ["k017", "k016", "k008", "k004"]


def claimed(store: Store, **more: object) -> list[Claim]:
    return item_claims.claim(store, "auctions", "scrape", owner="etl@db1 pid 7", **more)  # type: ignore[arg-type]


def test_a_claim_hands_a_step_to_one_worker(store: Store, told: Told) -> None:
    for n in range(3):
        told.add(f"k{n}")
    told.give(store)
    assert item_claims.ready(store, "auctions", "scrape") == ["k0", "k1", "k2"]
    first, second = claimed(store, limit=2)
    assert (first.key, first.fence, first.tries, first.step) == ("k0", 1, 1, "scrape")
    (third,) = claimed(store, limit=5)
    assert (third.key, claimed(store)) == ("k2", [])
    assert states(store) == {"k0": "wppp", "k1": "wppp", "k2": "wppp"}
    # The start that the worker then tells is of the same attempt.
    ticket: dict[str, Any] = {"fence": second.fence, "claimed": second.claimed}
    told.start("k1", "scrape", second.attempt, run="r1", hash="h", **ticket)
    told.end("k1", "scrape", att=second.attempt, **ticket)
    told.give(store)
    step = item_reads.item(store, "auctions", "k1").steps[0]
    assert (step.status, step.tries, step.run_id, step.lease_until) == ("completed", 1, "r1", None)
    sound(store)


def test_an_expired_claim_returns_and_its_holder_is_fenced_off(store: Store, told: Told) -> None:
    told.add("k1")
    told.give(store)
    (one,) = claimed(store, lease_s=-1)
    assert item_claims.expire_leases(store) == 1
    assert item_claims.expire_leases(store) == 0
    assert states(store) == {"k1": "rppp"}
    (again,) = claimed(store, lease_s=60)
    assert (again.tries, again.fence > one.fence) == (2, True)
    told.end("k1", "scrape", att=one.attempt, fence=one.fence, claimed=one.claimed)
    told.give(store)
    assert states(store) == {"k1": "wppp"}
    kinds = [event.kind for event in item_reads.history(store, "auctions", "k1")]
    assert sorted(kinds) == ["claim", "claim", "item.add", "late", "lease"]
    sound(store)


def test_a_claim_lives_as_long_as_it_is_renewed(store: Store, told: Told) -> None:
    told.add("k1")
    told.add("k2")
    told.give(store)
    held = claimed(store, limit=2, lease_s=-1)
    kept = item_claims.renew(store, held, 60)
    assert [one.key for one in kept] == ["k1", "k2"]
    assert item_claims.expire_leases(store) == 0
    item_changes.reset(store, "auctions", "k1", "scrape", actor="ben")
    assert [one.key for one in item_claims.renew(store, held, 60)] == ["k2"]
    assert item_claims.release(store, held) == 1
    assert [(one.key, one.tries) for one in claimed(store, limit=2)] == [("k1", 1), ("k2", 1)]
    sound(store)


def test_a_claim_of_a_run_that_is_lost_is_over_at_once(store: Store, told: Told) -> None:
    told.journal.fact("run.start", "r1", task="update", pid=7)
    told.add("k1")
    told.give(store)
    claimed(store, run_id="r1")
    give(store, told.journal, deaths=[Death(run_id="r1", at=datetime(2026, 11, 22, tzinfo=UTC), status="lost")])
    assert states(store) == {"k1": "rppp"}
    assert claimed(store)[0].tries == 2
    sound(store)


def test_many_workers_never_get_one_item_twice(store_url: str, told: Told) -> None:
    for n in range(60):
        told.add(f"k{n:02}")
    with open_store(store_url) as store:
        told.give(store)
    got: list[str] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with open_store(store_url) as mine:
                while claims := claimed(mine, limit=3):
                    got.extend(one.key for one in claims)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert sorted(got) == [f"k{n:02}" for n in range(60)]
    with open_store(store_url) as store:
        sound(store)


def test_failed_steps_are_claimed_when_asked_for(store: Store, told: Told) -> None:
    told.end("k1", "scrape", "failed", error="x")
    told.give(store)
    assert claimed(store) == []
    (one,) = claimed(store, failed=True, keys=["k1"])
    assert one.tries == 2
    assert item_reads.item(store, "auctions", "k1").item.retries == 1
    sound(store)


def test_people_retry_reset_and_skip(store: Store, told: Told) -> None:
    told.end("k1", "scrape", "failed", error="x")
    told.end("k2", "scrape")
    told.give(store)
    assert item_changes.retry(store, "auctions", "k1", "scrape", actor="ben") is True
    assert item_changes.retry(store, "auctions", "k1", "scrape", actor="ben") is False
    assert (states(store)["k1"], claimed(store)[0].tries) == ("rppp", 2)
    assert item_changes.reset(store, "auctions", "k2", "scrape", actor="ben", reason="new source") == ("scrape",)
    assert item_changes.skip(store, "auctions", "k2", "scrape", actor="ben", reason="no images") is True
    assert item_changes.skip(store, "auctions", "k2", "scrape", actor="ben") is False
    assert item_changes.skip(store, "auctions", "k2", actor="ben", reason="gone") is True
    assert item_reads.item(store, "auctions", "k2").item.status == "skipped"
    told_by = {(event.kind, event.actor) for event in item_reads.history(store, "auctions", "k2")}
    assert {("step.reset", "ben"), ("step.end", "ben"), ("item.skip", "ben")} <= told_by
    with pytest.raises(item_claims.UnknownStep, match="no step 'embalm'"):
        item_changes.reset(store, "auctions", "k2", "embalm", actor="ben")
    sound(store)


def test_a_recount_finds_and_mends_what_is_wrong(store: Store, told: Told) -> None:
    filled(store, told)
    item_counts.fold_deltas(store)
    with store.write() as connection:
        connection.execute(update(step_totals).where(step_totals.c.status == "failed").values(n=77))
        connection.execute(delete(step_totals).where(step_totals.c.status == "ready"))
    wrong = item_counts.recount(store)
    assert {(one.step, one.status, one.stored, one.counted) for one in wrong} >= {("scrape", "failed", 77, 2)}
    before = item_reads.summary(store, "auctions")
    assert item_counts.recount(store, fix=True) == wrong
    assert item_counts.recount(store) == []
    assert item_reads.summary(store, "auctions") != before
    sound(store)


def test_an_item_of_the_store_may_have_lost_its_rows(store: Store, told: Told) -> None:
    filled(store, told)
    with store.write() as connection:
        connection.execute(delete(item_steps))
    assert item_reads.item(store, "auctions", "k000").steps[0].status == "completed"
    told.start("k001", "scrape")
    told.give(store)
    assert states(store)["k001"] == "wppp"


def test_many_items_are_changed_in_one_transaction(store: Store, told: Told) -> None:
    filled(store, told)
    keys = [f"k{n:03}" for n in range(12)]
    before = store.changes
    done = item_changes.reset_many(store, "auctions", keys, "scrape", actor="ann", reason="anew")
    assert done == {key: ("scrape",) for key in keys}
    assert set(states(store).values()) == {"rppp"}
    assert item_changes.skip_many(store, "auctions", keys[:3], "judge", actor="ann") == keys[:3]
    assert item_changes.skip_many(store, "auctions", keys, "judge", actor="ann") == keys[3:]
    assert item_changes.skip_many(store, "auctions", keys, actor="ann", reason="no more") == keys
    assert store.changes == before + 4
    with pytest.raises(item_claims.UnknownStep):
        item_changes.reset_many(store, "auctions", keys, "nowhere", actor="ann")
    assert {event.actor for event in item_reads.history(store, "auctions", "k005")[1:]} == {"ann"}
    sound(store)


def test_a_view_has_the_names_that_peoples_sql_knows(store: Store, told: Told) -> None:
    filled(store, told)
    told.add("k000", attributes={"parcel_id": "17-2"})
    told.give(store)
    columns = {"case_number": "key", "parcel_id": "attributes.parcel_id", "auction_date": "date"}
    assert item_wide.view_sql(store, "auctions", view="status", columns=columns)[0] == "status"
    assert item_wide.make_view(store, "auctions", view="status", columns=columns, actor="ann") == "status"
    read = store.connection.exec_driver_sql
    last = "SELECT case_number, parcel_id, current_step, error_step FROM status WHERE current_step >= 1 ORDER BY 1"
    assert [tuple(row) for row in read(last)] == [
        ("k000", "17-2", 1, None), ("k003", None, 1, None), ("k006", None, 1, None), ("k009", None, 1, None),
    ]  # fmt: skip
    assert read("SELECT COUNT(*) FROM status WHERE error_step = 1").scalar() == 2
    said = select(events.c.message, events.c.actor).where(events.c.kind == "pipeline").order_by(events.c.id.desc())
    assert tuple(store.connection.execute(said).first() or ()) == ("view status made", "ann")
    assert item_wide.drop_view(store, "auctions", view="status") == "status"
    assert item_wide.drop_view(store, "auctions", view="status") is None
    with store.write() as connection:
        connection.exec_driver_sql("CREATE VIEW status_mine AS SELECT 1 AS one")
    for view, column, words in (
        ("status_mine", "key", "something else called status_mine"),
        ("runs", "key", "is no name for a view"),
        ("x; DROP TABLE runs", "key", "is no name for a view"),
        ("status", "price", "column c: 'price' is none of key, kind"),
    ):
        with pytest.raises(item_wide.BadView, match=words):
            item_wide.make_view(store, "auctions", view=view, columns={"c": column})
    assert read("SELECT one FROM status_mine").scalar() == 1


def test_people_read_views_under_their_own_names(store: Store, told: Told) -> None:
    filled(store, told)
    told.plan("k000", add=["upload 100% 'x'"], group="uploads")
    told.give(store)
    assert item_wide.make_view(store, "auctions") == "status_auctions"
    assert item_wide.make_view(store, "auctions") == "status_auctions"
    read = store.connection.exec_driver_sql
    wide = read("SELECT * FROM status_auctions ORDER BY key").mappings().all()
    assert [(row["key"], row["current_step"], row["error_step"]) for row in wide[3:6]] == [
        ("k003", "1", None), ("k004", "0", "1"), ("k005", "0", None),
    ]  # fmt: skip
    assert wide[3]["step_scrape"] is not None
    assert wide[3]["step_judge"] is None
    stages = read("SELECT * FROM vw_stage_statistics WHERE stage_name = 'scrape'").mappings().one()
    assert (stages["pending_count"], stages["completed_count"], stages["failed_count"]) == (6, 4, 2)
    assert float(stages["avg_duration_seconds"]) == 14.5
    documents = read("SELECT * FROM vw_documents_by_stage WHERE filename = 'k003'").mappings().one()
    assert (documents["current_stage"], float(documents["progress_percentage"])) == ("judge", 20.0)
    rows = read("SELECT step_name, status FROM file_processing_steps WHERE file_key = 'k004' ORDER BY id").fetchall()
    assert [tuple(row) for row in rows][:2] == [("scrape", "failure"), ("judge", "pending")]
    logs = read("SELECT * FROM processing_logs WHERE file_key = 'k004' ORDER BY id").mappings().all()
    assert [(row["kind"], row["status"], row["step_name"]) for row in logs][-1] == ("step.end", "failure", "scrape")
    assert logs[-1]["task_id"]
    with open_store(store.url) as again:
        assert item_reads.count(again, AUCTIONS) == 12
