"""Waiting until what was recorded is in the store: ``flush``, the exit wait, and the drainer inside the program."""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import wrapped
from support.recording import environment, run_script, script

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


def test_the_wrapper_waits_at_its_end_where_it_is_told_to(env: Path) -> None:
    environ = environment(STATUSTUI_DRAINER="process", STATUSTUI_STORE=str(env / "s.db"), STATUSTUI_EXIT_WAIT="20")
    done = subprocess.run([*wrapped.RUN, "--name", "w", "--", "sh", "-c", "exit 6"], env=environ, timeout=60)
    assert done.returncode == 6
    assert rows(env) == [("w", "failed")]


@pytest.mark.parametrize("first", ["program", "wrapper", "shell"])
def test_in_a_container_that_ends_with_it_nothing_is_left_behind(first: str, env: Path) -> None:
    container = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*container, "true"], capture_output=True).returncode:
        pytest.skip("this user may not make a pid namespace (unshare --pid)")
    path = script(env / "x.py", CODE)
    program = [sys.executable, str(path)]
    command = {
        "program": program,
        "wrapper": [*wrapped.RUN, "--", *program],
        "shell": ["sh", "-c", '"$@"; exit $?', "sh", *program],
    }[first]
    environ = environment(STATUSTUI_DRAINER="process", STATUSTUI_STORE=str(env / "s.db"))
    for _ in range(3):  # it waits 2 s at most, which a machine at its limit may need for its first drainer
        done = subprocess.run([*container, *command], env=environ, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        if ("x", "finished") in rows(env):
            return
    pytest.fail(f"nothing is in the store: {rows(env)}")


def test_a_program_does_not_wait_for_a_store_that_is_not_there(env: Path) -> None:
    (env / "s.db").write_text("no database, and not going to be one in the time that this test takes")
    environ = environment(STATUSTUI_DRAINER="process", STATUSTUI_STORE=str(env / "s.db"))
    begin = time.monotonic()
    done = run_script(env / "x.py", CODE, env=environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - begin < 10
