"""Program and drainer are killed at random points: nothing that was acknowledged is lost, nothing is doubled."""

import os
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "support" / "kill_loop.py"


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_however_often_program_and_drainer_are_killed(
    env: Path, sqlite_url: str, pytestconfig: pytest.Config
) -> None:
    cycles: int = pytestconfig.getoption("--cycles")
    seed = int.from_bytes(os.urandom(4))
    environment = {
        **os.environ,
        "STATUSTUI_STORE": sqlite_url,
        "STATUSTUI_DRAINER": "off",
        "STATUSTUI_DRAINER_LINGER": "0.3",
    }
    command = [sys.executable, str(SCRIPT), str(cycles), str(seed), str(env)]
    done = subprocess.run(command, env=environment, timeout=60 + cycles, capture_output=True, text=True)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"

    counted = struct.unpack(f"<{cycles}Q", (env / "counted").read_bytes())
    database = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    try:
        rows = database.execute("SELECT task, status, id FROM runs").fetchall()
        events: dict[str, list[str]] = {}
        query = "SELECT r.task, e.message FROM events e JOIN runs r ON r.id = e.run WHERE e.kind = 'log' ORDER BY e.id"
        for task, message in database.execute(query):
            events.setdefault(task, []).append(message)
    finally:
        database.close()

    assert sum(counted) > 10 * cycles, "the programs hardly ran"
    begun = [cycle for cycle in range(cycles) if counted[cycle]]
    assert {f"kill-{cycle}" for cycle in begun} <= {task for task, _, _ in rows}
    assert len({task for task, _, _ in rows}) == len(rows), f"seed {seed}: a run stands there twice"
    assert {status for _, status, _ in rows} == {"lost"}, f"seed {seed}"
    for cycle in begun:
        numbers = [int(message) for message in events.get(f"kill-{cycle}", [])]
        # The last call may have been cut off after its fact was written.
        assert len(numbers) in (counted[cycle], counted[cycle] + 1), f"seed {seed}, cycle {cycle}"
        assert numbers == list(range(len(numbers))), f"seed {seed}, cycle {cycle}"
