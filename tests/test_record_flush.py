"""Waiting until what was recorded is in the store: ``flush``, the exit wait, and the drainer inside the program."""

import sqlite3
import time
from pathlib import Path

import pytest

from support.recording import environment, run_script

CODE = """
    import sys, time, statustui
    with statustui.run("x") as run:
        list(run.track(range(10), "loop"))
        if sys.argv[1:]:
            begin = time.monotonic()
            print(statustui.flush(float(sys.argv[1])), time.monotonic() - begin < 15)
"""


def rows(env: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(env / "s.db") as db:
        return db.execute("SELECT task, status FROM runs").fetchall()


@pytest.mark.parametrize("mode", ["process", "inline"])
def test_flush_returns_when_it_is_in_the_store(mode: str, env: Path) -> None:
    look = "import sqlite3; print(sqlite3.connect(sys.argv[2]).execute('SELECT task FROM runs').fetchall())"
    code = f"{CODE}            {look}\n"
    environ = environment(STATUSTUI_DRAINER=mode, STATUSTUI_STORE=str(env / "s.db"))
    done = run_script(env / "x.py", code, "20", str(env / "s.db"), env=environ)
    assert (done.stdout, done.stderr) == ("True True\n[('x',)]\n", "")


def test_flush_gives_up_at_its_time(env: Path) -> None:
    (env / "s.db").write_text("no database, and not going to be one in the time that this test takes")
    environ = environment(STATUSTUI_DRAINER="process", STATUSTUI_STORE=str(env / "s.db"))
    done = run_script(env / "x.py", CODE, "0.3", env=environ)
    assert (done.stdout, done.stderr) == ("False True\n", "")


def test_without_a_drainer_there_is_nothing_to_wait_for(env: Path) -> None:
    done = run_script(env / "x.py", CODE, "20", env=environment(STATUSTUI_DRAINER="off"))
    assert done.stdout == "False True\n"


def test_the_inline_drainer_has_applied_everything_at_the_exit(env: Path) -> None:
    environ = environment(STATUSTUI_DRAINER="inline", STATUSTUI_STORE=str(env / "s.db"))
    done = run_script(env / "x.py", CODE, env=environ)
    assert (done.stdout, done.stderr) == ("", "")
    assert rows(env) == [("x", "finished")]


def test_a_program_waits_at_its_exit_where_it_is_told_to(env: Path) -> None:
    environ = environment(STATUSTUI_DRAINER="process", STATUSTUI_STORE=str(env / "s.db"), STATUSTUI_EXIT_WAIT="20")
    run_script(env / "x.py", CODE, env=environ)
    assert rows(env) == [("x", "finished")]


def test_a_program_does_not_wait_for_a_store_that_is_not_there(env: Path) -> None:
    (env / "s.db").write_text("no database, and not going to be one in the time that this test takes")
    environ = environment(STATUSTUI_DRAINER="process", STATUSTUI_STORE=str(env / "s.db"))
    begin = time.monotonic()
    done = run_script(env / "x.py", CODE, env=environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - begin < 10
