"""How runs of R programs end: errors, interrupts, workers, blocks; under Rscript, R CMD BATCH and in a session."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.processes import until
from support.recording import Recorded, recorded
from support.rscripts import NEEDS_R, library, only, run, subs

pytestmark = NEEDS_R

LOOP = """library(statustui)
f <- function(password) { genter("long"); cat("at work\\n"); for (i in 1:900) Sys.sleep(.1) }
f("geheim")
"""


@pytest.fixture(autouse=True)
def no_drainer(monkeypatch: pytest.MonkeyPatch, base_dir: Path) -> None:
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")
    monkeypatch.setenv("R_LIBS", library(base_dir))


def runs(state_dir: Path) -> dict[str, Recorded]:
    return {found.start["task"]: found for found in recorded(state_dir).values()}


def test_an_interrupt_cancels(env: Path, state_dir: Path) -> None:
    (env / "job.R").write_text(LOOP)
    with subprocess.Popen(["Rscript", "job.R"], cwd=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        while b"at work" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 1
    found = only(state_dir)
    assert (found.end["status"], found.end["signal"], subs(found)) == ("cancelled", 2, [("long", "cancelled")])


def session(env: Path) -> tuple[int, int]:
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(env)
        os.execvp("R", ["R", "--no-save", "--no-restore", "--no-readline", "-q"])
    return pid, fd


def says(fd: int, text: str) -> str:
    """Read from a terminal until it shows *text*."""
    seen, end = "", time.monotonic() + 60
    while text not in seen:
        assert time.monotonic() < end, seen
        if select.select([fd], [], [], 1)[0]:
            seen += os.read(fd, 65536).decode(errors="replace")
    return seen


def test_a_session_that_sources_scripts(env: Path, state_dir: Path) -> None:
    (env / "first.R").write_text(LOOP)
    (env / "second.R").write_text('library(statustui)\ngenter("b")\nstop("no rows")\n')
    (env / "third.R").write_text('library(statustui)\ngenter("c")\ngexit()\ncat("third done\\n")\n')
    pid, fd = session(env)
    try:
        says(fd, "> ")
        os.write(fd, b'source("first.R")\n')
        says(fd, "at work")
        os.write(fd, b"\x03")
        until(lambda: runs(state_dir)["first"].end != {}, what="the end of the first")
        os.write(fd, b'source("second.R")\n')
        says(fd, "no rows")
        os.write(fd, b'source("third.R")\n')
        says(fd, "third done")
        until(lambda: runs(state_dir)["third"].end != {}, what="the end of the third")
        os.write(fd, b'q("no")\n')
        assert os.waitpid(pid, 0)[1] == 0
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(fd)
    assert {task: found.end["status"] for task, found in runs(state_dir).items()} == {
        "first": "cancelled", "second": "failed", "third": "finished",
    }  # fmt: skip
    assert runs(state_dir)["second"].end["error"]["message"] == "no rows"


def test_a_traceback_holds_calls_and_no_values(env: Path, state_dir: Path) -> None:
    body = """
library(statustui)
options(warn = 2)
inner <- function(password, rows) as.integer(password)
outer <- function(p) do.call(inner, list(password = p, rows = 1:1000))
genter("a")
outer("geheim")
"""
    assert run(body, env).returncode == 1
    error = only(state_dir).end["error"]
    assert error["message"] == "(converted from warning) NAs introduced by coercion"
    assert 'outer("...")\ndo.call(inner, list(password = p, rows = 1 : 1000))' in error["detail"]
    assert "geheim" not in json.dumps(only(state_dir).end)


def test_r_cmd_batch_finds_script_and_log(env: Path, state_dir: Path) -> None:
    assert run('library(statustui)\ngenter("a")\nstop("x")\n', env, "R", "CMD", "BATCH").returncode == 1
    found = only(state_dir)
    assert (found.start["task"], found.start["stage"]) == ("DAILY_01_load", "DAILY")
    assert found.start["log_path"] == str(env / "DAILY_01_load.Rout")
    assert found.start["script_path"] == str(env / "DAILY_01_load.R")
    assert found.end["status"] == "failed"


@pytest.mark.parametrize("command", [("Rscript",), ("R", "CMD", "BATCH"), ("R", "--vanilla", "-f")])
def test_the_launch_file_starts_it_again(command: tuple[str, ...], env: Path, state_dir: Path) -> None:
    run('library(statustui)\ngenter("a")\ncat("again\\n", file = "done", append = TRUE)\n', env, *command)
    (launch,) = state_dir.glob("launch/*.json")
    record = json.loads(launch.read_text())
    again = subprocess.run(record["argv"], executable=record["exe"], cwd=record["cwd"], timeout=60,
                           capture_output=True, check=False)  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert (env / "done").read_text() == "again\nagain\n"
    assert [found.start["task"] for found in recorded(state_dir).values()] == ["DAILY_01_load"] * 2


def test_frames_that_return_or_fail_close_what_they_opened(env: Path, state_dir: Path) -> None:
    body = """
library(statustui)
good <- function() { genter("returns"); genter("inside"); on.exit(cat("x"), add = TRUE); 1 }
bad <- function() { genter("fails"); stop("x") }
over <- function() { genter("on.exit replaced"); on.exit(cat("y")); 1 }
good(); try(bad(), silent = TRUE); over(); local(genter("local"))
loop <- function() for (i in 1:3) { genter("loop"); gexit() }
loop()
genter("last")
"""
    assert run(body, env).stderr == ""
    found = only(state_dir)
    assert subs(found) == [
        ("returns", "completed"), ("inside", "completed"), ("fails", "failed"), ("on.exit replaced", "completed"),
        ("local", "completed"), *[("loop", "completed")] * 3, ("last", "running"),
    ]  # fmt: skip
    assert [sub.parent for sub in found.subs.values()] == [None, 1, *[None] * 7]


def test_blocks_and_loops_end_as_they_were_left(env: Path, state_dir: Path) -> None:
    body = """
library(statustui)
genter("outer")
r <- with_tracking({ genter("in a"); 1 }, name = "normal")
f <- function() { with_tracking({ genter("in b"); return(5) }, name = "returned"); 6 }
stopifnot(f() == 5)
for (i in 1:3) with_tracking(if (i == 1) break, name = "broken off")
try(with_tracking(stop("boo"), name = "failed"), silent = TRUE)
with_tracking({ try(stop("handled"), silent = TRUE) }, name = "handled")
x <- track_along(c(a = 1, b = 2), function(v) v * 2, name = "named")
stopifnot(identical(x, list(a = 2, b = 4)), length(track_along(NULL, identity, name = "none")) == 0)
try(track_along(1:5, function(i) if (i == 3) stop("x") else i, name = "error"), silent = TRUE)
callCC(function(k) track_along(1:5, function(i) if (i == 3) k(i), name = "left"))
track_along(1:4, function(i) { genter("part"); i }, name = "parts")
gexit()
"""
    done = run(body, env)
    assert (done.returncode, done.stderr) == (0, "")
    found = runs(state_dir)
    assert {task: one.end["status"] for task, one in found.items()} == {
        "DAILY_01_load": "finished", "normal": "finished", "returned": "finished", "broken off": "finished",
        "failed": "failed", "handled": "finished",
    }  # fmt: skip
    assert subs(found["DAILY_01_load"])[:6] == [
        ("outer", "completed"), ("named", "completed"), ("none", "completed"), ("error", "failed"),
        ("left", "completed"), ("parts", "completed"),
    ]  # fmt: skip
    assert found["failed"].end["error"]["message"] == "boo"
    assert {one.start.get("parent") is not None for task, one in found.items() if task != "DAILY_01_load"} == {True}


def test_workers_that_fail_or_are_killed(env: Path, state_dir: Path) -> None:
    body = """
library(statustui)
r <- suppressWarnings(track_along(1:10, function(i) if (i == 4) stop("x") else i, name = "fails", cores = 2))
k <- suppressWarnings(track_along(1:10, function(i) if (i == 6) tools::pskill(Sys.getpid(), 9) else i,
                                  name = "killed", cores = 2))
cat("end\\n")
"""
    done = run(body, env)
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
    found = only(state_dir)
    assert found.end["status"] == "finished"
    assert found.named("killed").complete == 5 + 2, "items 1 3 5 7 9 of one worker, 2 and 4 of the one that died"
    assert found.named("fails").status == "failed"


def test_the_journal_is_bounded_and_tells_what_was_dropped(env: Path, state_dir: Path) -> None:
    body = """
library(statustui)
genter("a")
st <- statustui:::.st
st$limit <- st$bytes + 300
for (i in 1:50) { genter("b"); gexit() }
"""
    run(body, env)
    kinds = [json.loads(line) for path in state_dir.glob("spool/*/*/*/*.jsonl") for line in path.read_text().split("\n")
             if line]  # fmt: skip
    dropped = sum(record["facts"] for record in kinds if record["k"] == "dropped")
    assert dropped + sum(record["k"] in ("sub.start", "sub.end") for record in kinds) == 101
    assert dropped > 90
    assert kinds[-1]["k"] == "run.end"


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting a tmpfs needs root")
def test_a_full_disk_is_survived_and_its_drops_are_told(env: Path, state_dir: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k,mode=700", "none", str(state_dir)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        body = """
library(statustui)
genter("a")
full <- file.path(Sys.getenv("STATUSTUI_STATE_DIR"), "full")
suppressWarnings(try(writeBin(raw(2e5), full), silent = TRUE))
for (i in 1:400) { genter("b"); gexit(); if (i %% 100 == 0) Sys.sleep(1.1) }
unlink(full)
Sys.sleep(1.1)
genter("c"); gexit()
cat("end\\n")
"""
        done = run(body, env)
        assert (done.returncode, done.stderr, done.stdout.splitlines()[-1]) == (0, "", "end")
        lines = [line for path in state_dir.glob("spool/*/*/*/*.jsonl") for line in path.read_text().split("\n")]
        found = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        assert sum(record["facts"] for record in found if record["k"] == "dropped") > 200
        assert found[-1]["k"] == "run.end"
    finally:
        subprocess.run(["umount", str(state_dir)], check=True)


def test_a_program_that_was_removed_gives_one_warning(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = env / "lib"
    shutil.copytree(Path(os.environ["R_LIBS"]) / "statustui", place / "statustui")
    (place / "statustui" / "program.txt").write_text("/nowhere/python\n-m\nstatustui\n")
    monkeypatch.setenv("R_LIBS", str(place))
    rscript = shutil.which("Rscript")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    done = run(
        'options(warn = 2)\nlibrary(statustui)\ntryCatch({ for (i in 1:3) { genter("a"); gexit() } }, '
        'warning = function(w) quit(status = 9))\ncat("end\\n")\n',
        env, str(rscript),
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "end")
    assert done.stderr == "Warning: statustui: the program 'statustui' was not found\n"
