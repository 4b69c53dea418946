"""Program and drainer are killed at random points: nothing that was acknowledged is lost, nothing is doubled."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from statustui.store.open import open_store
from statustui.store.schema import events, runs

SCRIPT = Path(__file__).parent / "support" / "kill_loop.py"


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_however_often_program_and_drainer_are_killed(
    env: Path, store_url: str, pytestconfig: pytest.Config
) -> None:
    cycles: int = pytestconfig.getoption("--cycles")
    seed = int.from_bytes(os.urandom(4))
    environment = {
        **os.environ,
        "STATUSTUI_STORE": store_url,
        "STATUSTUI_DRAINER": "off",
        "STATUSTUI_DRAINER_LINGER": "0.3",
    }
    command = [sys.executable, str(SCRIPT), str(cycles), str(seed), str(env)]
    done = subprocess.run(command, env=environment, timeout=60 + cycles, capture_output=True, text=True)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"

    counted = struct.unpack(f"<{cycles}Q", (env / "counted").read_bytes())
    logged: dict[str, list[str]] = {}
    query = select(runs.c.task, events.c.message).join(runs, runs.c.id == events.c.run).where(events.c.kind == "log")
    with open_store(store_url) as store, store.read() as connection:
        rows = connection.execute(select(runs.c.task, runs.c.status, runs.c.id)).all()
        for task, message in connection.execute(query.order_by(events.c.id)):
            logged.setdefault(task, []).append(message)

    assert sum(counted) > 10 * cycles, "the programs hardly ran"
    begun = [cycle for cycle in range(cycles) if counted[cycle]]
    assert {f"kill-{cycle}" for cycle in begun} <= {task for task, _, _ in rows}
    assert len({task for task, _, _ in rows}) == len(rows), f"seed {seed}: a run stands there twice"
    assert {status for _, status, _ in rows} == {"lost"}, f"seed {seed}"
    for cycle in begun:
        numbers = [int(message) for message in logged.get(f"kill-{cycle}", [])]
        # The last call may have been cut off after its fact was written.
        assert len(numbers) in (counted[cycle], counted[cycle] + 1), f"seed {seed}, cycle {cycle}"
        assert numbers == list(range(len(numbers))), f"seed {seed}, cycle {cycle}"
