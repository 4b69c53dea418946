"""An existing script with ``genter`` and ``gexit``, through the real store, on the command line and on the monitor."""

import json
from pathlib import Path

import pytest

from support.bench import OURS, Bench
from support.terminal import Terminal

SCRIPT = """
import pathlib, sys, time
from statustui.script import *

gate = pathlib.Path(sys.argv[2])
state_codes = [f"S{n:02}" for n in range(1, 57)]
track_init("DAILY_01_BDC_Locations.py", total_tasks=len(state_codes) * 2)
genter("processing state location data")
for i, state_code in enumerate(state_codes, 1):
    genter(f"loading file for state '{state_code}'")
    gexit()
    genter("writing data to database")
    track_task_progress(i, len(state_codes), f"Writing {state_code}: 100 rows")
    end = time.monotonic() + 120
    while i == 12 and not gate.exists() and time.monotonic() < end:
        time.sleep(0.02)
    gexit()
gexit()
track_finish(f"Successfully processed {len(state_codes)} states")
"""
TASK = "DAILY_01_BDC_Locations"


def test_112_leaves_under_one_heading_and_23_done_while_the_24th_runs(bench: Bench, env: Path, store_url: str) -> None:
    bench.env["STATUSTUI_STORE"] = store_url
    bench.start(SCRIPT, "script", str(env / "gate"))
    run = bench.run_of(TASK, lambda run: run["items_complete"] == 12)
    assert (run["stage"], run["status"], run["percent_source"]) == ("DAILY", "running", "derived")
    assert (run["subtasks_done"], run["total_subtasks"], int(run["overall_percent"])) == (23, 112, 20)
    assert (run["subtask_name"], run["items_total"]) == ("writing data to database", 56)
    assert run["subtask_message"] == "Writing S12: 100 rows"
    for words in (bench.command("status").stdout, bench.command("runs").stdout):
        (line,) = [line for line in words.splitlines() if TASK in line]
        assert "23/112" in line and "20%" in line and "writing data to database 12/56" in line
    with Terminal(OURS, cols=120, rows=40, env=bench.env, cwd=str(bench.home)) as terminal:
        terminal.wait_for(lambda text: "23/112" in text and "12/56" in text)
        terminal.send("q")
        assert terminal.wait() == 0

    (env / "gate").touch()
    run = bench.run_of(TASK, lambda run: run["status"] != "running")
    assert (run["status"], run["subtasks_done"], run["overall_percent"]) == ("finished", 112, 100.0)
    assert run["overall_message"] == "Successfully processed 56 states"
    subtasks = json.loads(bench.command("show", TASK, "--json").stdout)["subtasks"]
    assert [sub["name"] for sub in subtasks if sub["heading"]] == ["processing state location data"]
    assert [sub["status"] for sub in subtasks if not sub["heading"]] == ["completed"] * 112
    printed = (env / "script.log").read_text().splitlines()
    assert len(printed) == 1 + 3 * 56 + 1
    assert all(line[0] == "[" and line[3] == line[6] == ":" and line[9:11] == "] " for line in printed)


@pytest.mark.parametrize(
    ("name", "stage"),
    [("PREREQ_01_x.R", "PREREQ"), ("ANNUAL_SEPT_2.py", "ANNUAL_SEPT"), ("PERIODIC_p.sh", "PERIODIC"), ("x.py", None)],
)
def test_the_stage_is_that_of_the_names_prefix(name: str, stage: str | None, bench: Bench) -> None:
    code = f"from statustui.script import *\ntrack_init({name!r})\ngenter('a')\ngexit()\ntrack_finish()\n"
    bench.start(code, "script")
    run = bench.run_of(name.rpartition(".")[0], lambda run: run["status"] == "finished")
    assert run["stage"] == stage
