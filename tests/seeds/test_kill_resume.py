"""``kill -9`` in the middle of ``resume`` with four workers, and of the drainer: no completion lost, none twice."""

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from support.kill_resume import ITEMS_EACH, STEPS

TESTS = Path(__file__).parents[1]
CYCLES = 20


@pytest.mark.slow
def test_no_completion_is_lost_or_recorded_twice(env: Path, sqlite_url: str, pytestconfig: pytest.Config) -> None:
    asked: int = pytestconfig.getoption("--cycles")
    cycles = CYCLES if asked == 200 else asked  # 200 is what the option says where nobody asked
    seed = int.from_bytes(os.urandom(4))
    environment = {
        **os.environ,
        "STATUSTUI_STORE": sqlite_url,
        "STATUSTUI_DRAINER": "off",
        "STATUSTUI_DRAINER_LINGER": "0.3",
        "PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent / "core"))),
    }
    command = [sys.executable, "-m", "support.kill_resume", str(cycles), str(seed), str(env)]
    done = subprocess.run(command, env=environment, timeout=120 + 2 * cycles, capture_output=True, text=True)
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-3000:]}"

    places = {(f"f{number:05}", step) for number in range(ITEMS_EACH * cycles) for step in STEPS}
    told = Counter(tuple(line.split()) for line in (env / "told").read_text().splitlines())
    database = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    try:
        states = database.execute(
            "SELECT i.key, s.key, x.status FROM item_steps x"
            " JOIN items i ON i.id = x.item JOIN steps s ON s.id = x.step"
        ).fetchall()
        ends = database.execute(
            "SELECT i.key, s.key FROM events e JOIN items i ON i.id = e.item JOIN steps s ON s.id = e.step"
            " WHERE e.kind = 'step.end' AND e.status = 'completed'"
        ).fetchall()
        (interrupted,) = database.execute("SELECT count(*) FROM events WHERE kind = 'lease'").fetchone()
    finally:
        database.close()
    assert interrupted >= cycles, "hardly any work was interrupted"
    assert {(key, step) for key, step, status in states if status == "completed"} == places, f"seed {seed}"
    assert Counter(ends) == Counter(dict.fromkeys(places, 1)), f"seed {seed}: recorded twice, or not"
    assert set(told.values()) == {1}, f"seed {seed}: a completion was lost and the work done again"
