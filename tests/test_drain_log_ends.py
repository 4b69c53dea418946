"""Which bytes of a file are a run's own when programs append to it one after another."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from statustui import config
from support.drained import drainer, the_run
from support.processes import until

PROGRAM = """
import sys, time
import statustui

name, pause = sys.argv[1], float(sys.argv[2])
with statustui.run(name):
    print("begin of", name)
    time.sleep(pause)
    print("end of", name)  # still in a buffer when the run ends
    if name == "bad":
        raise ValueError("not today")
"""
SEVERAL = """
import statustui

for name in ("first", "second"):
    with statustui.run(name):
        print("begin of", name, flush=True)
    print("after", name, flush=True)
"""


def part(url: str, log: Path, name: str) -> list[str]:
    """The lines that are the run's own, once the store has its end."""
    until(lambda: getattr(the_run(url, name), "log_end", None) is not None, timeout=30, what=f"the part of {name}")
    run = the_run(url, name)
    return log.read_text().encode()[run.log_start or 0 : run.log_end].decode().splitlines()


def start(log: Path, *arguments: str) -> None:
    with log.open("a") as out:
        subprocess.run([sys.executable, *arguments], stdout=out, stderr=out, timeout=60, check=False)


def test_short_and_long_runs_of_one_log_are_told_apart(env: Path) -> None:
    """Traceback and buffered lines, too, which come after the end that the program told."""
    program, log, url = env / "job.py", env / "night.log", config.load().store_url
    program.write_text(PROGRAM)
    for name, pause in (("one", "0"), ("bad", "0"), ("slow", "1.2"), ("last", "0")):
        start(log, str(program), name, pause)
    assert part(url, log, "one") == ["begin of one", "end of one"]
    bad = part(url, log, "bad")
    assert bad[:2] == ["begin of bad", "end of bad"] and bad[-1] == "ValueError: not today"
    assert part(url, log, "slow") == ["begin of slow", "end of slow"]
    assert part(url, log, "last") == ["begin of last", "end of last"]


def test_runs_of_one_program_too(env: Path) -> None:
    program, log, url = env / "job.py", env / "night.log", config.load().store_url
    program.write_text(SEVERAL)
    start(log, str(program))
    assert part(url, log, "first") == ["begin of first", "after first"]
    assert part(url, log, "second") == ["begin of second", "after second"]


def test_what_an_earlier_drainer_had_applied_keeps_no_later_one_at_work(
    env: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end that the exit status may yet correct, of a process that is long gone."""
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")  # nobody else starts one
    program, settings = env / "job.py", config.load()
    program.write_text("import statustui\nstatustui.run('early').start()\nraise SystemExit(4)\n")
    start(env / "log", str(program))
    spool = config.spool_dir(settings)
    for name in ("early", "later"):
        with drainer(spool, STATUSTUI_DRAINER="process", STATUSTUI_DRAINER_LINGER="0.3") as working:
            until(partial(the_run, settings.store_url, name), timeout=30, what=f"the run {name}")
            working.wait(30)
        program.write_text("import statustui\nwith statustui.run('later'):\n    pass\n")
        start(env / "log", str(program))
