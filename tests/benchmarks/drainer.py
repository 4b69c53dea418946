"""What the drainer costs, and how fast a fact gets from a program to the store."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.harness import Line, ms, quantile
from support import pg

_PROGRAM = """
import sys, time, statustui
with statustui.run("bench_facts") as run:
    for line in sys.stdin:
        run.log(line.strip())
        print(time.monotonic(), flush=True)
"""
WRITERS = 1000


def lines() -> list[Line]:
    """All lines of this group."""
    with _place() as (home, env):
        result = [*_latency(home, env)]
    with _place() as (home, env):
        result += _many(home, env)
    with _place() as (_, env):
        result.append(_asking(env, "SQLite"))
    try:
        with pg.server() as server, _place() as (_, env):
            result.append(_asking(env | {"STATUSTUI_STORE": server.create()}, "PostgreSQL"))
    except pg.NoServer as error:
        result.append(Line(what="a coordination call, PostgreSQL", budget="", figure=str(error), beside="", ok=None))
    return result


_ASKING = """
import statistics, time
from statustui import Pipeline
p = Pipeline("bench", ["first", "second"])
p.add("k")
took = []
for i in range(60):
    p.update("k", "first", progress=i, page=i)
    at = time.perf_counter()
    p.is_complete("k", "first")
    took.append(time.perf_counter() - at)
print(statistics.median(took[10:]))
"""


def _asking(env: dict[str, str], name: str) -> Line:
    """A question after a fact: this process's own journal is applied first."""
    done = subprocess.run([sys.executable, "-c", _ASKING], env=env, capture_output=True, text=True, check=True)
    took = float(done.stdout)
    return Line(
        what=f"a coordination call (own journal applied, then asked), {name}",
        budget="≤ 10 ms p50",
        figure=f"{ms(took)} p50",
        beside="drainer at work",
        ok=took <= 0.010,
    )


@contextmanager
def _place() -> Iterator[tuple[Path, dict[str, str]]]:
    with tempfile.TemporaryDirectory(prefix="stt-bench-") as name:
        home = Path(name)
        env = {
            **os.environ,
            "STATUSTUI_STATE_DIR": name,
            "STATUSTUI_STORE": f"sqlite:///{name}/status.db",
            "STATUSTUI_DRAINER": "process",
            "STATUSTUI_DRAINER_LINGER": "600",
            "HOME": name,
        }
        try:
            yield home, env
        finally:
            command = [sys.executable, "-m", "statustui", "drain", "--stop"]
            subprocess.run(command, env=env, check=False, capture_output=True)


def _seen(home: Path, message: str, deadline: float = 10.0) -> float:
    """The monotonic time at which an event with this message can be read from the store."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        try:
            with sqlite3.connect(f"file:{home}/status.db?mode=ro", uri=True) as db:
                row = db.execute("SELECT 1 FROM events WHERE message = ?", (message,)).fetchone()
            if row:
                return time.monotonic()
        except sqlite3.OperationalError:
            pass
        time.sleep(0.003)
    raise RuntimeError(f"{message} did not arrive in {deadline} s")


def _drainer(home: Path) -> psutil.Process:
    lock = next(home.glob("spool/*/*/*/drainer.lock"))
    return psutil.Process(int(json.loads(lock.read_text())["pid"]))


def _cpu(process: psutil.Process, seconds: float) -> float:
    before, at = process.cpu_times(), time.monotonic()
    time.sleep(seconds)
    after = process.cpu_times()
    spent = after.user + after.system - before.user - before.system
    return float(spent) / (time.monotonic() - at) * 100


def _latency(home: Path, env: dict[str, str]) -> list[Line]:
    command = [sys.executable, "-c", _PROGRAM]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None

        def fact(name: str) -> float:
            assert program.stdin is not None
            assert program.stdout is not None
            program.stdin.write(f"{name}\n")
            program.stdin.flush()
            told = float(program.stdout.readline())
            return _seen(home, name) - told

        first = fact("first")
        took = []
        for i in range(60):
            time.sleep(0.05 + (i % 7) * 0.02)
            took.append(fact(f"fact {i}"))
        drainer = _drainer(home)
        time.sleep(3)
        idle = _cpu(drainer, 20)
        memory = drainer.memory_info().rss / 1e6
        program.stdin.close()
    p50, p99 = quantile(took, 0.5), quantile(took, 0.99)
    return [
        Line(
            what="a fact in the store, drainer running",
            budget="≤ 0.3 s p50, ≤ 1 s p99",
            figure=f"{ms(p50)} p50, {ms(p99)} p99",
            beside="",
            ok=p50 <= 0.3 and p99 <= 1.0,
        ),
        Line(
            what="start of the drainer → first batch",
            budget="≤ 0.6 s",
            figure=ms(first),
            beside="from the first fact of the program that starts it",
            ok=first <= 0.6,
        ),
        Line(
            what="memory of the drainer",
            budget="≤ 60 MB",
            figure=f"{memory:.0f} MB",
            beside="sqlalchemy + psutil 38 MB",
            ok=memory <= 60,
        ),
        Line(
            what="the drainer, idle",
            budget="≤ 0.2 % CPU",
            figure=f"{idle:.2f} %",
            beside="one live, quiet program",
            ok=idle <= 0.2,
        ),
    ]


def _many(home: Path, env: dict[str, str]) -> list[Line]:
    """One process that keeps a thousand journals and rewrites each slot twice a second."""
    os.environ.update(env)
    from statustui import config
    from statustui.journal.spawn import ensure_drainer
    from statustui.journal.writer import Writer
    from statustui.model.ids import new_id

    settings = config.load()
    spool = config.spool_dir(settings)
    writers = [Writer(spool, store_url=settings.store_url) for _ in range(WRITERS)]
    runs = [new_id() for _ in writers]
    for i, (writer, run) in enumerate(zip(writers, runs, strict=True)):
        writer.fact("run.start", run, task=f"bench_{i}", type="python", total=4)
        writer.fact("sub.start", run, n=1, name="Rows", total=1_000_000)
    ensure_drainer(spool)
    stop = threading.Event()

    def beat() -> None:
        count = 0
        while not stop.is_set():
            start = time.monotonic()
            count += 7
            for writer, run in zip(writers, runs, strict=True):
                payload: dict[str, Any] = {"runs": {run: {"subs": {"1": {"c": count, "msg": f"row {count}"}}}}}
                writer.slot({"t": time.time(), "m": time.monotonic(), **payload})
            stop.wait(max(0.0, 0.5 - (time.monotonic() - start)))

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end and _known(home) < WRITERS:
            time.sleep(0.2)
        time.sleep(5)
        drainer = _drainer(home)
        used = _cpu(drainer, 20)
        memory = drainer.memory_info().rss / 1e6
    finally:
        stop.set()
        thread.join()
        for writer in writers:
            writer.close()
    return [
        Line(
            what=f"{WRITERS:,} writers at 2 Hz",
            budget="≤ 25 % of a core",
            figure=f"{used:.0f} %, {memory:.0f} MB",
            beside=f"{_known(home):,} runs live in the store",
            ok=used <= 25,
        )
    ]


def _known(home: Path) -> int:
    try:
        with sqlite3.connect(f"file:{home}/status.db?mode=ro", uri=True) as db:
            return int(db.execute("SELECT count(*) FROM runs WHERE status = 'running'").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
