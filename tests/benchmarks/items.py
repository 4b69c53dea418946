"""Items through steps: summaries of a million of them, and many writers at once.

``STATUSTUI_BENCH_ITEMS`` makes the store smaller for a quick look (default 1,000,000).
"""

import multiprocessing
import os
import tempfile
import time
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select

from benchmarks.harness import Line, ms, quantile
from statustui.model import histogram
from statustui.store import item_counts, item_reads
from statustui.store.batch import HostInfo
from statustui.store.bulk import Bulk
from statustui.store.item_schema import item_counts as item_counts_table
from statustui.store.item_schema import items, step_counts, step_totals
from statustui.store.open import Store, open_store
from support import pg
from support.item_facts import Told
from support.stores import Journal, give

ITEMS = int(os.environ.get("STATUSTUI_BENCH_ITEMS", "1000000"))
STEPS = [{"key": f"step_{n:02}", "label": str(n)} for n in range(1, 13)]
KINDS = ("foreclosure", "tax deed")
FIRST = date(2024, 1, 1)
DAYS = 730
WRITERS = 16
BATCH = 250
_PART = 50_000


def lines() -> list[Line]:
    """All lines of this group."""
    with tempfile.TemporaryDirectory(prefix="stt-items-") as home:
        result = _summaries(f"sqlite:///{home}/status.db", "SQLite")
    try:
        with pg.server() as server:
            url = server.create()
            result += _summaries(url, "PostgreSQL")
            server.drop(url)
            url = server.create()
            result += _writers(url)
            server.drop(url)
    except pg.NoServer as error:
        result.append(Line(what="items on PostgreSQL", budget="", figure=str(error), beside="", ok=None))
    return result


def _define(store: Store) -> None:
    told = Told(defined=False)
    told.journal.fact("pipeline", None, name="auctions", steps=STEPS)
    told.add("first", date=FIRST.isoformat())
    told.give(store)


def _fill(store: Store) -> None:
    """A million items at every step of the way; a completed step has a row of its own for the first of them only."""
    _define(store)
    connection = store.connection
    at = select(func.max(items.c.updated_at))
    now = connection.execute(at).scalar_one()
    names = "pipeline key status states kind date failed_at created_at updated_at definition"
    bulk = Bulk(items, names.split())
    for start in range(0, ITEMS, _PART):
        rows = []
        for n in range(start, min(ITEMS, start + _PART)):
            done = n % 13
            states = "c" * done + ("f" if done < 12 and n % 17 == 0 else "r" if done < 12 else "")
            states += "p" * (12 - len(states))
            status = "completed" if done == 12 else "failed" if "f" in states else "pending"
            failed = now + timedelta(seconds=n * 7919 % ITEMS) if status == "failed" else None
            kind, day = KINDS[n % 7 == 0], FIRST + timedelta(n % DAYS)
            rows.append((1, f"2024-CA-{n:07}", status, states, kind, day, failed, now, now, 1))
        with store.write() as connection:
            bulk.write(connection, rows)
    _count(store)


def _count(store: Store) -> None:
    """Counters of all that, with durations, as folding would have made them."""
    with store.write() as connection:
        for table in (item_counts_table, step_counts, step_totals):
            connection.execute(table.delete())
        sums = item_counts.counted(connection)
        for (_, _, _, step, status), one in sums.items():
            if step and status == "completed":
                lanes: dict[int, int] = {}
                for part in range(40):
                    lanes[60 + part + step] = one.n // 40 + (part < one.n % 40)
                one.add(0, int(sum(histogram.middle(b) * n for b, n in lanes.items()) * 1e6), lanes)
        item_counts.write(connection, sums)


def _times(work: Any, rounds: int) -> float:
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return quantile(took, 0.5)


def _summaries(url: str, name: str) -> list[Line]:
    with open_store(url) as store:
        _fill(store)
    with open_store(url, create=False, read_only=True) as store:
        if store.dialect == "postgresql":
            with open_store(url) as writer:
                writer.connection.exec_driver_sql("ANALYZE")
        whole = _times(lambda: item_reads.summary(store, "auctions"), 200)
        since, until = FIRST + timedelta(45), FIRST + timedelta(45 + 400)
        part = _times(lambda: item_reads.summary(store, "auctions", since=since, until=until), 50)
        auctions = item_reads.ItemSelector(pipeline="auctions")
        page = _times(lambda: item_reads.items(store, auctions, 50), 50)
        middle = item_reads.overall_many(store, "auctions", [f"2024-CA-{ITEMS // 2:07}"]).popitem()[1]
        deep = _times(lambda: item_reads.items(store, auctions, 50, middle), 50)
        group = select(items.c.states, func.count()).group_by(items.c.states)
        counting = _times(lambda: store.connection.execute(group).all(), 1)
    slack = 1 if name == "SQLite" else 4
    return [
        Line(what=f"summary of {ITEMS:,} items × 12 steps, {name}", budget=f"≤ {slack} ms", figure=ms(whole),
             beside=f"counting instead: {ms(counting)}", ok=whole <= slack / 1000),
        Line(what=f"the same for 400 of {DAYS} days, {name}", budget="≤ 10 ms", figure=ms(part), beside="",
             ok=part <= 0.010),
        Line(what=f"50 items of the matrix, first and middle, {name}", budget="", figure=f"{ms(page)}, {ms(deep)}",
             beside="", ok=None),
    ]  # fmt: skip


def _facts(number: int, count: int) -> Journal:
    """What one process tells that takes items through their steps."""
    told = Told(Journal(name=f"bench-{number:02}"), defined=False)
    told.journal.fact("pipeline", None, name="auctions", steps=STEPS)
    for n in range(count):
        key = f"w{number:02}-{n // 12:05}"
        step = str(STEPS[n % 12]["key"])
        told.start(key, step, f"{key}-{step}", at=n)
        told.end(key, step, att=f"{key}-{step}", at=n + 0.5)
    return told.journal


def _work(url: str, number: int, count: int, ready: Any, results: Any) -> None:
    journal = _facts(number, count)
    host = HostInfo(machine=f"m{number}", host=f"db{number}")
    took: list[float] = []
    with open_store(url) as store:
        full, size = tuple(journal.lines), BATCH
        ready.wait()
        for start in range(0, len(full), size):
            journal.lines = list(full[start : start + size])
            begin = time.perf_counter()
            give(store, journal, host=host)
            took.append(time.perf_counter() - begin)
    results.put((len(full), took))


def _writers(url: str) -> list[Line]:
    """Sixteen drainers on the same counters."""
    with open_store(url) as store:
        _define(store)
    context = multiprocessing.get_context("spawn")
    results, ready = context.Queue(), context.Barrier(WRITERS + 1)
    count = max(500, ITEMS // 250)
    started = [context.Process(target=_work, args=(url, number, count, ready, results)) for number in range(WRITERS)]
    for one in started:
        one.start()
    try:
        ready.wait(120)
        begin = time.perf_counter()
        told = [results.get(timeout=600) for _ in started]
        spent = time.perf_counter() - begin
    finally:
        for one in started:
            one.join(5)
            if one.is_alive():
                one.kill()
    facts = sum(number for number, _ in told)
    took = [seconds for _, of_one in told for seconds in of_one]
    with open_store(url) as store:
        while item_counts.fold_deltas(store):
            pass
        wrong = len(item_counts.recount(store))
    rate = facts / spent
    return [
        Line(what=f"{WRITERS} drainers, the same counters, PostgreSQL", budget="≥ 20,000 facts/s",
             figure=f"{rate:,.0f} facts/s, {wrong} counters wrong",
             beside=f"batches of {BATCH}: {ms(quantile(took, 0.5))} p50, {ms(max(took))} worst; {os.cpu_count()} cores",
             ok=rate >= 20_000 and not wrong),
    ]  # fmt: skip
