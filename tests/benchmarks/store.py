"""What the store costs: a monitor's refresh over growing histories, batches, many users of one file."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.harness import Line, ms, quantile

HISTORY = int(os.environ.get("STATUSTUI_BENCH_RUNS", "1000000"))
_START = datetime(2026, 1, 1, tzinfo=UTC)


def lines() -> list[Line]:
    """All lines of this group."""
    result = _refreshes("SQLite", _sqlite, budget_ms=2.0)
    from support import pg

    try:
        with pg.server() as server:
            result += _refreshes("PostgreSQL", lambda: _postgres(server), budget_ms=8.0)
            result += _hosts(server)
    except pg.NoServer as error:
        print(f"no PostgreSQL: {error}", file=sys.stderr)
    return [*result, *_many_users()]


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="stt-bench-") as home:
        yield f"sqlite:///{home}/status.db"


@contextmanager
def _postgres(server: Any) -> Iterator[str]:
    url = server.create()
    yield url
    server.drop(url)


def fill(store: Any, n: int) -> None:
    """*n* ended runs of 200 tasks over half a year, one in fifty failed, and twenty that run."""
    from sqlalchemy import insert

    from statustui.model.ids import new_id
    from statustui.store.bulk import Bulk
    from statustui.store.schema import runs, tasks

    names = ("run_id", "task", "status", "started_at", "ended_at", "last_update", "duration_s", "host", "resolved",
             "attention_at")  # fmt: skip
    bulk = Bulk(runs, names)
    now = datetime.now(UTC)
    with store.write() as connection:
        connection.execute(
            insert(tasks), [{"name": f"task_{i}", "first_seen": _START, "runs": n // 200} for i in range(200)]
        )
        for start in range(0, n, 20_000):
            rows = []
            for i in range(start, min(n, start + 20_000)):
                # The same last day in each, so that each refresh reads the same.
                left = n - i
                at = now - timedelta(seconds=left * 40 if left <= 2000 else 80_000 + left * 15_000_000 / n)
                bad = left % 50 == 0
                rows.append(
                    {
                        "run_id": new_id(),
                        "task": f"task_{i % 200}",
                        "status": "failed" if bad else "finished",
                        "started_at": at,
                        "ended_at": at + timedelta(seconds=10),
                        "last_update": at,
                        "duration_s": 10.0,
                        "host": "db1",
                        "resolved": bad and i < n - 2000,
                        "attention_at": at if bad and i >= n - 2000 else None,
                    }
                )
            bulk.write_named(connection, rows)
        connection.execute(
            insert(runs),
            [
                {
                    "run_id": new_id(),
                    "task": f"task_{i}",
                    "status": "running",
                    "started_at": now,
                    "last_update": now,
                    "host": "db1",
                }
                for i in range(20)
            ],
        )


def _refresh(store: Any, rounds: int = 60) -> tuple[float, float]:
    """Median seconds of (a whole refresh, a look that finds nothing changed)."""
    from statustui.store import reads

    since = datetime.now(UTC) - timedelta(hours=24)
    whole, token = [], []
    for _ in range(rounds):
        at = time.perf_counter()
        reads.snapshot(store, since=since)
        whole.append(time.perf_counter() - at)
        at = time.perf_counter()
        reads.token(store)
        token.append(time.perf_counter() - at)
    return statistics.median(whole), statistics.median(token)


def _refreshes(kind: str, place: Any, budget_ms: float) -> list[Line]:
    from statustui.store.open import open_store

    figures: dict[int, tuple[float, float]] = {}
    for n in (10_000, HISTORY):
        with place() as url, open_store(url) as store:
            fill(store, n)
            with store.write() as connection:
                connection.exec_driver_sql("ANALYZE")
            figures[n] = _refresh(store)
    small, large = figures[10_000], figures[HISTORY]
    return [
        Line(
            what=f"one monitor refresh, {kind}, {HISTORY:,} runs",
            budget=f"≤ {budget_ms:.0f} ms in SQL, flat",
            figure=f"{ms(large[0])}, Python and 60 rows included",
            beside=f"10,000 runs {ms(small[0])}: {large[0] / small[0]:.2f}×",
            ok=large[0] * 1000 <= budget_ms + 2 and large[0] <= 2 * small[0],
        ),
        Line(
            what=f"nothing changed, {kind}",
            budget="one token query",
            figure=ms(large[1]),
            beside=f"10,000 runs {ms(small[1])}",
            ok=large[1] <= 0.001,
        ),
    ]


_USER = """
import gc, sys, time
from statustui.store.apply import apply
from statustui.store.open import open_store
sys.path.insert(0, sys.argv[3])
from support.stores import Journal, HOST
from statustui.store.apply import Batch
from statustui.model.ids import new_id
number, url, seconds = sys.argv[1], sys.argv[2], 8.0
took, errors = [], 0
def one():
    global errors
    journal, run = Journal(), new_id()
    journal.fact("run.start", run, task=f"task_{number}", type="python")
    journal.fact("run.end", run, status="finished")
    at = time.perf_counter()
    try:
        apply(store, Batch(host=HOST, journals=(journal.batch(),)))
    except Exception as error:
        errors += 1
        print(error, file=sys.stderr)
    return time.perf_counter() - at
with open_store(url) as store:
    first = one()
    # As a drainer does.
    gc.collect()
    gc.freeze()
    print(flush=True)
    sys.stdin.readline()
    # Drainers know nothing of one another.
    time.sleep(int(number) / 80)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        took.append(one())
        time.sleep(max(0.0, 0.1 - took[-1]))
print(len(took), errors, first, *took)
"""
_WATCHER = """
import sys, time
from datetime import UTC, datetime, timedelta
from statustui.store import reads
from statustui.store.open import open_store
print(flush=True)
sys.stdin.readline()
end = time.monotonic() + 8
errors = 0
with open_store(sys.argv[1], create=False, read_only=True) as store:
    while time.monotonic() < end:
        try:
            reads.snapshot(store, since=datetime.now(UTC) - timedelta(hours=24))
        except Exception as error:
            errors += 1
            print(error, file=sys.stderr)
        time.sleep(1)
print(0, errors, 0.0)
"""


_HOST = """
import sys, time
sys.path.insert(0, sys.argv[3])
from statustui.model.ids import new_id
from statustui.store.apply import Batch, HostInfo, apply
from statustui.store.open import open_store
from support.stores import Journal
name, url, n = sys.argv[1], sys.argv[2], int(sys.argv[4])
host = HostInfo(machine=f"m{name}", host=f"db{name}", user="etl", boot_id="b", pid=1, version="0")
journal, runs, took = Journal(), [new_id() for _ in range(n)], []
now = time.time()
for i, run in enumerate(runs):
    journal.fact("run.start", run, task=f"task_{i % 50}", type="python", t=now)
    journal.fact("sub.start", run, n=1, name="Rows", total=100_000, t=now)
with open_store(url) as store:
    apply(store, Batch(host=host, journals=(journal.batch(),), beat=True))
    journal.lines.clear()
    print(flush=True)
    sys.stdin.readline()
    # Hosts know nothing of one another: they do not all tell at the same moment.
    time.sleep(int(name) / 8)
    end, count = time.monotonic() + 20, 0
    while time.monotonic() < end:
        at = time.monotonic()
        count += 7
        shown = {run: {"subs": {"1": {"c": count, "msg": f"row {count}"}}} for run in runs}
        for start in range(0, n, 125):
            part = dict(list(shown.items())[start : start + 125])
            slot = {"off": 0, "t": time.time(), "m": 10_000.0 + count + start / 1e6, "runs": part}
            begin = time.perf_counter()
            apply(store, Batch(host=host, journals=(journal.batch(slot=slot),), beat=start == 0))
            took.append(time.perf_counter() - begin)
        time.sleep(max(0.0, 2.0 - (time.monotonic() - at)))
print(*took)
"""


def _hosts(server: Any) -> list[Line]:
    """Sixteen hosts with 625 live runs each, every one told anew every two seconds."""
    from statustui.store.open import open_store

    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with _postgres(server) as url:
        open_store(url).close()
        hosts = [
            subprocess.Popen(
                [sys.executable, "-c", _HOST, str(i), url, tests, "625"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for i in range(16)
        ]
        _start_at_once(hosts)
        took = [float(value) for host in hosts for value in host.communicate(timeout=120)[0].split()]
    per_s = len(took) * 125 / 20
    p50, p99 = quantile(took, 0.5), quantile(took, 0.99)
    return [
        Line(
            what="10,000 live runs of 16 hosts on PostgreSQL, progress at 0.5 Hz",
            budget="p99 of a batch ≤ 150 ms",
            figure=f"p50 {ms(p50)}, p99 {ms(p99)} (125 runs a batch)",
            beside=f"{per_s:,.0f} of 5,000 runs/s told; writers and server share two cores",
            ok=p99 <= 0.150 and per_s >= 4_900,
        )
    ]


def _start_at_once(programs: list[subprocess.Popen[str]]) -> None:
    """Wait until each says that it is ready, then tell them all to begin."""
    for program in programs:
        assert program.stdout is not None
        program.stdout.readline()
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("\n")
        program.stdin.flush()


def _many_users() -> list[Line]:
    """Eight drainers and three monitors on one SQLite file, each drainer ten batches a second."""
    from statustui.store.open import open_store

    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with _sqlite() as url:
        open_store(url).close()
        wanted = [[_USER, str(i), url, tests] for i in range(8)] + [[_WATCHER, url]] * 3
        programs = [
            subprocess.Popen([sys.executable, "-c", *one], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for one in wanted
        ]
        _start_at_once(programs)
        answers = [program.communicate(timeout=60)[0].split() for program in programs]
    took = [float(value) for answer in answers for value in answer[3:]]
    first = max(float(answer[2]) for answer in answers)
    errors = sum(int(answer[1]) for answer in answers)
    p50, p99 = quantile(took, 0.5), quantile(took, 0.99)
    return [
        Line(
            what="8 drainers and 3 monitors on one SQLite file",
            budget="0 errors, p99 ≤ 10 ms",
            figure=f"{errors} errors, p50 {ms(p50)}, p99 {ms(p99)}, worst {ms(max(took))}",
            beside=f"{len(took) / 8:.0f} batches/s in all, two cores; the first of each, all at once: {ms(first)}",
            ok=errors == 0 and p99 <= 0.010,
        )
    ]
