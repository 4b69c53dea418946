"""Items through steps: summaries of a million of them, and many writers at once.

``STATUSTUI_BENCH_ITEMS`` makes the store smaller for a quick look (default 1,000,000).
"""

import gc
import multiprocessing
import os
import tempfile
import time
from dataclasses import dataclass
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
WANTED = 20_000
"""Facts a second, of all writers together."""
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
            result += _writers(server)
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


def _work(url: str, number: int, count: int, size: int, pace_s: float, ready: Any, results: Any) -> None:
    """Be a drainer: a first batch, then all others, one each *pace_s* seconds (0: as fast as it can)."""
    journal = _facts(number, count)
    host = HostInfo(machine=f"m{number}", host=f"db{number}")
    took: list[float] = []
    retried = 0
    with open_store(url) as store:
        full = tuple(journal.lines)
        journal.lines = list(full[:size])
        give(store, journal, host=host)
        # As a drainer does.
        gc.collect()
        gc.freeze()
        ready.wait()
        due = time.monotonic() + pace_s * number / WRITERS
        for start in range(size, len(full), size):
            time.sleep(max(0.0, due - time.monotonic()))
            due += pace_s
            journal.lines = list(full[start : start + size])
            begin = time.perf_counter()
            retried += give(store, journal, host=host).retried
            took.append(time.perf_counter() - begin)
    results.put((len(full) - size, took, retried))


def _writers(server: pg.Server) -> list[Line]:
    """Sixteen drainers on the same counters: as fast as they can, and as fast as is promised."""
    whole = _written(server, size=1000, seconds=0)
    paced = _written(server, size=250, seconds=15)
    return [
        Line(what=f"{WRITERS} drainers, the same counters, PostgreSQL, as fast as they can",
             budget=f"≥ {WANTED:,} facts/s", figure=f"{whole.rate:,.0f} facts/s, {whole.wrong} counters wrong",
             beside=f"batches of 1,000: {ms(whole.p50)} p50, {ms(whole.worst)} worst; {os.cpu_count()} cores",
             ok=whole.rate >= WANTED and not whole.wrong),
        Line(what=f"the same, when {WANTED:,} facts/s come", budget="worst ≤ 200 ms, no deadlock",
             figure=f"{ms(paced.p50)} p50, {ms(paced.p99)} p99, {ms(paced.worst)} worst, {paced.retried} deadlocks",
             beside=f"batches of 250: {paced.rate:,.0f} facts/s, {paced.wrong} counters wrong",
             ok=paced.worst <= 0.2 and not paced.retried and not paced.wrong and paced.rate >= 0.97 * WANTED),
    ]  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class _Written:
    """What many writers at once came to."""

    rate: float
    """Facts a second."""
    p50: float
    """Of a batch, in seconds."""
    p99: float
    worst: float
    retried: int
    """Batches begun anew: after a deadlock, or when another one made the same row."""
    wrong: int
    """Counters that are not what counting gives."""


def _written(server: pg.Server, *, size: int, seconds: float) -> _Written:
    """Sixteen drainers with batches of *size*, for *seconds* at the rate that is wanted (0: a while, unpaced)."""
    url = server.create()
    with open_store(url) as store:
        _define(store)
    context = multiprocessing.get_context("spawn")
    results, ready = context.Queue(), context.Barrier(WRITERS + 1)
    pace_s = size * WRITERS / WANTED if seconds else 0.0
    count = size // 2 * (1 + round(seconds / pace_s)) if seconds else max(2 * size, ITEMS // 250)
    started = [
        context.Process(target=_work, args=(url, number, count, size, pace_s, ready, results))
        for number in range(WRITERS)
    ]
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
    took = [seconds for _, of_one, _ in told for seconds in of_one]
    with open_store(url) as store:
        while item_counts.fold_deltas(store):
            pass
        wrong = len(item_counts.recount(store))
    server.drop(url)
    return _Written(
        rate=sum(facts for facts, _, _ in told) / spent,
        p50=quantile(took, 0.5),
        p99=quantile(took, 0.99),
        worst=max(took),
        retried=sum(again for _, _, again in told),
        wrong=wrong,
    )
