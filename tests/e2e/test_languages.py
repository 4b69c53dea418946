"""R, bash, Python, a program that knows nothing of us and one that ran before, side by side on one screen."""

import hashlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statustui.clients.r.install import install
from support.bench import OURS, Bench
from support.terminal import Terminal

NEEDED = ("Rscript", "bash", "rsync", "cp")
pytestmark = pytest.mark.skipif(
    any(shutil.which(name) is None for name in NEEDED),
    reason=f"needs {', '.join(NEEDED)}; missing: {', '.join(n for n in NEEDED if shutil.which(n) is None)}",
)
TASKS = ("read_in_R", "read_in_bash", "read_in_python", "copy_away", "sum_up")
"""The last two are unmodified: `rsync` under the wrapper, and a program that was adopted while it ran."""
R = """
library(statustui)
track_init("read_in_R")
quick <- file.exists("quick")
genter("all files")
for (part in c("first", "second")) {
  genter("part {part}")
  for (i in 1:300) { track_task_progress(i, 300); if (!quick) Sys.sleep(0.1) }
  gexit()
}
gexit()
track_finish()
"""
BASH = """
eval "$({ours} shell-init bash)"
genter "all files"
for part in first second; do
  genter "part $part"
  for i in $(seq 1 300); do track_progress "$i" 300; [ -e quick ] || sleep 0.1; done
  gexit
done
gexit
"""
PYTHON = """
import pathlib, time
import statustui
quick = pathlib.Path("quick").exists()
with statustui.run("read_in_python", subtasks=2) as run:
    for part in ("first", "second"):
        for _ in run.track(range(300), f"part {part}", unit="files"):
            if not quick:
                time.sleep(0.1)
"""
UNMODIFIED = """
import hashlib, pathlib, sys, time
digest = hashlib.sha256()
with open(sys.argv[1], "rb", buffering=0) as file:
    while chunk := file.read(1 << 16):
        digest.update(chunk)
        if not pathlib.Path("quick").exists():
            time.sleep(0.15)
pathlib.Path("sum").write_text(digest.hexdigest())
"""


class Desk:
    """Five programs of five kinds, and what a person sees of them."""

    def __init__(self, bench: Bench, library: Path) -> None:
        self.bench = bench
        bench.env["R_LIBS"] = str(library)
        self.big = bench.home / "big.bin"
        self.big.write_bytes(bytes(range(256)) * (1 << 17))  # 32 MiB

    def file(self, name: str, text: str) -> str:
        path = self.bench.home / name
        path.write_text(text)
        return str(path)

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        with (self.bench.home / "output.log").open("ab") as log:
            program = subprocess.Popen(
                command, env=self.bench.env, cwd=self.bench.home, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.bench.programs.append(program)
        return program

    def start_all(self) -> None:
        self.start("Rscript", self.file("read_in_R.R", R))
        self.start("bash", self.file("read_in_bash.sh", BASH.replace("{ours}", " ".join(OURS))))
        self.start(sys.executable, self.file("read_in_python.py", PYTHON))
        rsync = ("rsync", "--info=progress2", "--bwlimit=500", str(self.big), str(self.bench.home / "copy.bin"))
        self.start(*OURS, "run", "--name", "copy_away", "--", *rsync)
        own = self.start(sys.executable, self.file("unmodified.py", UNMODIFIED), str(self.big))
        adopted = self.bench.command("adopt", str(own.pid), "--name", "sum_up")
        assert adopted.returncode == 0, adopted.stderr

    def latest(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for run in self.bench.runs():
            if run["task"] in TASKS and run["task"] not in found:
                found[run["task"]] = run
        return found


@pytest.fixture(scope="module")
def library(base_dir: Path) -> Iterator[Path]:
    """A library of R packages with ours in it."""
    yield install(str(base_dir / "rlib-languages"))


def rows(text: str) -> dict[str, str]:
    """What stands in the row of each task, from its progress on."""
    lines = text.splitlines()
    return {task: line.split(task, 1)[1] for task in TASKS for line in lines if f" {task} " in line}


def done(row: str) -> list[str]:
    """The counts and shares in a row (not its times)."""
    return re.findall(r"\d+%|\d+/\d+|[▏▎▍▌▋▊▉█]+", row.split("?")[0])


def test_five_kinds_of_program_move_on_one_screen_are_cancelled_and_retried(bench: Bench, library: Path) -> None:
    desk = Desk(bench, library)
    desk.start_all()
    with Terminal([*OURS], cols=120, rows=40, env=bench.env, cwd=str(bench.home)) as terminal:
        terminal.wait_for(lambda text: all(done(row) for row in rows(text).values()) and len(rows(text)) == 5, 30)
        first = rows(terminal.text)
        terminal.wait_for(lambda text: all(done(rows(text).get(t, "")) != done(first[t]) for t in TASKS), 30)

        for task in TASKS:
            terminal.send(f"/{task}\r")
            terminal.wait_for(lambda text, task=task: list(rows(text)) == [task])  # type: ignore[misc]
            terminal.send("x")
            terminal.wait_for(re.compile(r"(?i)cancel .*\?"))
            terminal.settle()
            terminal.send("y")
            bench.run_of(task, lambda run: run["status"] == "cancelled")
            terminal.send("\x1b")
        assert {run["status"] for run in desk.latest().values()} == {"cancelled"}

        (bench.home / "quick").touch()
        for task in TASKS:
            if task == "copy_away":
                continue  # its speed is in its arguments: the command line mends them
            made = bench.command("retry", task, "--yes")
            assert made.returncode == 0, (task, made.stderr)
        edited = ("rsync", "--info=progress2", str(desk.big), str(bench.home / "copy.bin"))
        made = bench.command("retry", "copy_away", "--yes", "--", *edited)
        assert made.returncode == 0, made.stderr
        for task in TASKS:
            run = bench.run_of(task, lambda run: run["status"] == "finished", 40)
            assert run["attempt"] == 2, task
        terminal.send("q")
        assert terminal.wait() == 0
    digest = hashlib.sha256(desk.big.read_bytes())
    assert (bench.home / "sum").read_text() == digest.hexdigest()
    assert (bench.home / "copy.bin").stat().st_size == desk.big.stat().st_size
    end = time.monotonic() + 10
    while any(program.poll() is None for program in bench.programs) and time.monotonic() < end:
        time.sleep(0.05)
    assert all(program.poll() not in (None, -signal.SIGKILL) for program in bench.programs)
