"""What bringing in costs: a million past runs out of a CSV file, a large log, a directory of logs."""

import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.harness import Line

ROWS = int(os.environ.get("STATUSTUI_BENCH_IMPORT", "200000"))
"""Past runs to import; the budget is about a million."""
LOGS = 2_000
LARGE_MB = int(os.environ.get("STATUSTUI_BENCH_LOG_MB", "500"))
_ROUNDS = 3


def lines() -> list[Line]:
    """All lines of this group."""
    from support import pg

    with tempfile.TemporaryDirectory(prefix="stt-bench-") as home:
        text = _csv()
        result = [_history("SQLite", f"sqlite:///{home}/db/status.db", text)]
        try:
            with pg.server() as server:
                url = server.create()
                result.append(_history("PostgreSQL", url, text))
                server.drop(url)
        except pg.NoServer as error:
            print(f"no PostgreSQL: {error}", file=sys.stderr)
        return [*result, _large(Path(home)), _many(Path(home))]


def _csv() -> str:
    """A history of 200 tasks over half a year, one run in fifty failed."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    step = timedelta(seconds=15_000_000 / ROWS)

    def rows() -> Iterator[str]:
        yield "job_name,start_time,end_time,state,host,error\n"
        for i in range(ROWS):
            at = start + i * step
            bad = i % 50 == 0
            yield (
                f"DAILY_{i % 200:03},{at.isoformat()},{(at + timedelta(seconds=60 + i % 40)).isoformat()},"
                f"{'failure' if bad else 'success'},db{i % 3},{f'KeyError: FIPS_{i}' if bad else ''}\n"
            )

    return "".join(rows())


def _history(name: str, url: str, text: str) -> Line:
    from statustui.imports import fields, history, records
    from statustui.store.open import open_store

    with open_store(url, timeout=30) as store:
        columns, reader = fields.Columns({}), fields.Reader(UTC)
        source = records.Source(io.BytesIO(text.encode()), "history.csv", None)
        wall, cpu = time.perf_counter(), time.process_time()
        told = history.bring_in(records.csv_rows(source, columns.place), reader, store)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        assert told.new == ROWS, told
        source = records.Source(io.BytesIO(text.encode()), "history.csv", None)
        again = time.perf_counter()
        assert history.bring_in(records.csv_rows(source, columns.place), reader, store).known == ROWS
        again = time.perf_counter() - again
    return Line(
        what=f"import {ROWS:,} past runs from CSV, {name}",
        budget="≥ 20 k rows/s",
        figure=f"{ROWS / wall:,.0f} rows/s",
        beside=f"{cpu / ROWS * 1e6:.0f} µs of our own processor time a row; a second time {ROWS / again:,.0f} rows/s",
        ok=ROWS / wall >= 20_000,
    )


def _large(home: Path) -> Line:
    from statustui.imports.logfiles import LogFile
    from statustui.imports.logruns import runs_of
    from statustui.imports.logtimes import Zone

    path = home / "large.log"
    filler = b"2026-02-01 02:30:00,123 INFO etl.load: 12,345 rows of county 17 of state 23 are written\n" * 11_500
    with path.open("wb") as out:
        out.write(b"2026-02-01 02:00:00,000 INFO etl: load begins\n")
        while out.tell() < LARGE_MB << 20:
            out.write(filler)
        out.write(b"2026-02-01 05:00:00,000 INFO etl: load finished\n")

    def read() -> float:
        began = time.perf_counter()
        with path.open("rb", buffering=0) as file:
            while file.read(8 << 20):
                pass
        return time.perf_counter() - began

    def understand() -> float:
        began = time.perf_counter()
        with LogFile(str(path)) as file:
            assert len(runs_of(file, Zone(local=UTC, written=file.written))) == 1
        return time.perf_counter() - began

    limit = statistics.median(read() for _ in range(_ROUNDS))
    found = statistics.median(understand() for _ in range(_ROUNDS))
    path.unlink()
    return Line(
        what=f"understand a log of {LARGE_MB} MB",
        budget="hundreds of MB/s",
        figure=f"{LARGE_MB / found:,.0f} MB/s",
        beside=f"reading it {LARGE_MB / limit:,.0f} MB/s, ratio {found / limit:.1f}",
        ok=LARGE_MB / found >= 200,
    )


def _many(home: Path) -> Line:
    import threading

    from statustui.imports.logfiles import find
    from statustui.imports.logs import LogImporter, Means, look_at
    from statustui.store.open import open_store

    top = home / "logs"
    top.mkdir()
    for n in range(LOGS):
        day = f"2026-02-{1 + n % 28:02}"
        work = "".join(f"[02:00:{s:02}] part {s} of {n}\n" for s in range(10))
        (top / f"DAILY_{n % 50}_{n}.log").write_text(f"{day} 02:00:00 begin\n{work}{day} 02:01:00 load {n} finished\n")

    def bring() -> float:
        began = time.perf_counter()
        with open_store(f"sqlite:///{home}/logs.db", timeout=30) as store:
            importer = LogImporter(store, Means(zone=UTC))
            look_at(importer, find(str(top)), lambda told: None, threading.Event())
            importer.finish()
        return time.perf_counter() - began

    first, second = bring(), bring()
    return Line(
        what=f"import {LOGS:,} logs of 10 parts each",
        budget="",
        figure=f"{LOGS / first:,.0f} logs/s",
        beside=f"with nothing new in them {LOGS / second:,.0f} logs/s",
        ok=None,
    )
