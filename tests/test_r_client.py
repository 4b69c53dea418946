"""R scripts that record themselves: the package installed for real, its scripts run by Rscript."""

import shutil
import subprocess
from pathlib import Path

import pytest

from support.recording import recorded
from support.rscripts import NEEDS_R, library, only, run

pytestmark = NEEDS_R


@pytest.fixture(autouse=True)
def no_drainer(monkeypatch: pytest.MonkeyPatch, base_dir: Path) -> None:
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")
    monkeypatch.setenv("R_LIBS", library(base_dir))


OWN = """
genter <- function(m) { cat("OWN>", m, "\\n"); invisible(m) }
gexit <- function() cat("OWN<\\n")
gmessage <- function(m) cat("OWN:", m, "\\n")
"""
PART = """
states <- c("DE", "NY")
genter("all states")
for (s in states) { genter("load {s}"); gmessage("rows of {s}"); gexit() }
gexit()
"""


@pytest.mark.parametrize("before", [True, False])
def test_functions_of_the_script_are_recorded_and_still_called(before: bool, env: Path, state_dir: Path) -> None:
    plain = run(OWN + PART, env)
    script = OWN + "library(statustui)\n" + PART if before else "library(statustui)\n" + OWN + PART
    done = run(script, env)
    assert (done.returncode, done.stdout, done.stderr) == (0, plain.stdout, plain.stderr)
    found = only(state_dir)
    assert (found.start["task"], found.start["stage"], found.start["type"]) == ("DAILY_01_load", "DAILY", "R")
    assert [(sub.name, sub.status) for sub in found.subs.values()] == [
        ("all states", "completed"), ("load DE", "completed"), ("load NY", "completed"),
    ]  # fmt: skip
    assert {sub.parent for sub in list(found.subs.values())[1:]} == {1}
    assert found.end["status"] == "finished"


def test_ours_print_where_there_are_none(env: Path, state_dir: Path) -> None:
    done = run(
        'library(statustui)\nx <- 3\ngenter("a {x} {{b}} {nope}")\ntrack_task_progress(1, 2, "is {x+1}")\ngexit()', env
    )
    assert [line.partition("] ")[2] for line in done.stdout.splitlines()] == ["a 3 {b} {nope}", "is 4"]
    sub = only(state_dir).subs[1]
    assert (sub.name, sub.total, sub.status) == ("a 3 {b} {nope}", 2, "completed")


def test_any_text_gives_correct_json(env: Path, state_dir: Path) -> None:
    run('library(statustui)\ngenter("q\\" b\\\\ t\\t n\\n c\\001 x\\xff")\ngexit()\ngenter("Größe 中文")\ngexit()', env)
    first, second = only(state_dir).subs.values()
    assert first.name == 'q" b\\ t\t n\n c\x01 x<ff>'
    assert second.name == "Größe 中文"


def test_stop_fails_the_run_with_message_and_traceback(env: Path, state_dir: Path) -> None:
    done = run(
        'library(statustui)\ng <- function(v) stop("no rows for ", v)\ngenter("load")\ntry(g(0), silent = TRUE)\ng(7)',
        env,
    )
    assert done.returncode == 1
    assert "no rows for 7" in done.stderr
    assert done.stderr.endswith("Execution halted\n")
    end = only(state_dir).end
    assert (end["status"], end["error"]["message"], end["error"]["subtask"]) == ("failed", "no rows for 7", 1)
    assert "g(7)" in end["error"]["detail"]


def test_a_caught_error_changes_nothing(env: Path, state_dir: Path) -> None:
    run('library(statustui)\ngenter("load")\ntryCatch(stop("x"), error = function(e) NULL)\ngexit()', env)
    assert only(state_dir).end["status"] == "finished"


def test_quit_with_a_status(env: Path, state_dir: Path) -> None:
    assert run('library(statustui)\ngenter("load")\nquit(status = 3)', env).returncode == 3
    end = only(state_dir).end
    assert (end["status"], end["exit_code"]) == ("failed", 3)


def test_workers_count_exactly(env: Path, state_dir: Path) -> None:
    body = """
library(statustui)
a <- track_along(1:100, function(i) i^2, name = "loop")
b <- track_along(1:100, function(i) i^2, name = "forked", cores = 2)
cl <- parallel::makeCluster(2)
d <- track_along(1:100, function(i) i^2, name = "cluster", cl = cl)
parallel::stopCluster(cl)
stopifnot(identical(a, b), identical(a, d))
"""
    done = run(body, env)
    assert done.returncode == 0, done.stderr
    found = only(state_dir)
    assert {sub.name: (sub.complete, sub.status) for sub in found.subs.values() if sub.name != "loop"} == {
        "forked": (100, "completed"), "cluster": (100, "completed"),
    }  # fmt: skip


def test_what_a_function_left_open_is_closed(env: Path, state_dir: Path) -> None:
    run(
        'library(statustui)\nf <- function() { genter("inner"); 1 }\ngenter("outer")\nf()\ngexit()\ngenter("next")',
        env,
    )
    found = only(state_dir)
    assert [(sub.name, sub.parent) for sub in found.subs.values()] == [("outer", None), ("inner", 1), ("next", None)]


def test_with_tracking_and_functions_of_the_document(env: Path, state_dir: Path) -> None:
    body = """
library(statustui)
r <- with_tracking({ genter("a"); gexit(); 7 }, name = "block.R")
stopifnot(r == 7)
track_init("DAILY_01_BDC_Locations.R", total_tasks = 4, category = "DAILY")
genter("x"); track_task_progress(2, 4, "half"); gexit()
track_status(subtask_name = "y", subtask_items_total = 3, subtask_items_complete = 1)
track_error("no rows", "table empty")
"""
    done = run(body, env)
    assert done.stderr.endswith("ERROR: no rows\n")
    runs = {found.start["task"]: found for found in recorded(state_dir).values()}
    assert runs["block"].end["status"] == "finished"
    second = runs["DAILY_01_BDC_Locations"]
    assert (second.start["total"], second.end["status"], second.end["error"]["detail"]) == (4, "failed", "table empty")
    assert [sub.name for sub in second.subs.values()] == ["x", "y"]


def test_where_nothing_can_be_recorded_there_is_one_warning(env: Path, state_dir: Path) -> None:
    shutil.rmtree(state_dir)
    state_dir.write_text("a file stands in its place")
    done = run(
        'library(statustui)\nfor (i in 1:3) { genter("a"); track_task_progress(i, 3); gexit() }\ncat("end\\n")', env
    )
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "end"
    assert done.stderr.count("statustui") == 1


def test_a_full_disk_is_silent(env: Path, state_dir: Path) -> None:
    body = """
library(statustui)
genter("a"); gexit()
file <- statustui:::.st$file
close(statustui:::.st$con)
assign("con", suppressWarnings(base::file("/dev/full", "ab")), envir = statustui:::.st)
for (i in 1:100) { genter("b"); gexit() }
cat("end\\n")
"""
    done = run(body, env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "end"


@pytest.mark.slow
def test_the_package_passes_its_check(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from statustui.clients.r.install import prepare

    monkeypatch.delenv("R_LIBS")
    package = prepare(env)
    subprocess.run(["R", "CMD", "build", str(package)], cwd=env, check=True, capture_output=True, timeout=120)
    monkeypatch.setenv("_R_CHECK_FORCE_SUGGESTS_", "false")
    done = subprocess.run(
        ["R", "CMD", "check", "--no-manual", "statustui_0.1.0.tar.gz"],
        cwd=env, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "WARNING" not in done.stdout
    assert "ERROR" not in done.stdout
