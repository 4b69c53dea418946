"""What adopted processes cost the drainer: their descriptors are looked at once a second."""

import os
import signal
import sqlite3
import time
from pathlib import Path

from benchmarks.drainer import _cpu, _drainer, _place
from benchmarks.harness import Line

PROCESSES = 50
_FILE = 1 << 40
_SETTLE_S = 6.0
_SPAN_S = 20.0


def lines() -> list[Line]:
    """All lines of this group."""
    with _place() as (home, env):
        os.environ.update(env)
        children = [_reader(home / f"{number}.bin") for number in range(PROCESSES)]
        try:
            return [_adopted(home, children)]
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _reader(path: Path) -> int:
    """A process that reads a large file without end, a little ten times a second."""
    with open(path, "wb") as file:
        file.truncate(_FILE)
    pid = os.fork()
    if pid == 0:
        try:
            with open(path, "rb", buffering=0) as file:
                while file.read(1 << 16):
                    time.sleep(0.1)
        finally:
            os._exit(0)
    return pid


def _adopted(home: Path, children: list[int]) -> Line:
    from statustui import config
    from statustui.control import adopt
    from statustui.process.descriptors import open_files

    settings = config.load()
    for number, pid in enumerate(children):
        adopt.adopt(settings, adopt.inspect(pid, []), by="bench", name=f"bench_{number}")
    end = time.monotonic() + 60
    while time.monotonic() < end and _moving(home) < PROCESSES:
        time.sleep(0.2)
    time.sleep(_SETTLE_S)
    drainer = _drainer(home)
    used = _cpu(drainer, _SPAN_S)
    began = time.process_time()
    for pid in children:
        open_files(pid)
    look = time.process_time() - began
    return Line(
        what=f"{PROCESSES} adopted processes, each reading a file",
        budget="≤ 5 % of a core",
        figure=f"{used:.1f} %, {drainer.memory_info().rss / 1e6:.0f} MB",
        beside=f"{_moving(home)} with moving progress; all their descriptors, once: {look * 1000:.1f} ms",
        ok=used <= 5.0,
    )


def _moving(home: Path) -> int:
    try:
        with sqlite3.connect(f"file:{home}/status.db?mode=ro", uri=True) as db:
            found = db.execute("SELECT count(*) FROM subtasks WHERE items_complete > 0").fetchone()
    except sqlite3.OperationalError:
        return 0
    return int(found[0])
