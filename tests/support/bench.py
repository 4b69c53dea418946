"""Real programs, a real drainer, a real store, a real terminal."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

OURS = [sys.executable, "-m", "statustui"]

TWO_LEVELS = """
import pathlib, sys, time
import statustui
gate = pathlib.Path(sys.argv[2])
with statustui.run(sys.argv[1], subtasks=3) as run:
    for part in range(3):
        with run.subtask(f"Part {part + 1} of the work", total=200, unit="rows") as sub:
            for row in range(200):
                sub.advance(message=f"row {row}")
                print(f"{run.task}: part {part + 1} row {row}", flush=True)
                end = time.monotonic() + 120
                while not gate.exists() and row >= 20 * (part + 1) and time.monotonic() < end:
                    time.sleep(0.02)
                time.sleep(0.005)
"""
FAILS = """
import pathlib, sys
import statustui
with statustui.run(sys.argv[1], subtasks=1) as run:
    print("reading the table", flush=True)
    with run.subtask("Join counties", total=10, unit="rows") as sub:
        sub.advance(4)
        if not pathlib.Path(sys.argv[2]).exists():
            {}["FIPS"]
"""


class Bench:
    """One test's place: its store, its programs, its commands."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {
            **os.environ,
            "STATUSTUI_STORE": f"sqlite:///{home}/status.db",
            "STATUSTUI_DRAINER_LINGER": "1",
            "PYTHONUNBUFFERED": "1",
        }
        self.programs: list[subprocess.Popen[bytes]] = []

    def start(self, code: str, *args: str) -> "subprocess.Popen[bytes]":
        """Start a program; its output goes to a log file named after its first argument."""
        script = self.home / f"{args[0]}.py"
        script.write_text(code)
        with (self.home / f"{args[0]}.log").open("ab") as log:
            program = subprocess.Popen(
                [sys.executable, str(script), *args],
                env=self.env,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.programs.append(program)
        return program

    def command(self, *args: str, timeout: float = 30) -> "subprocess.CompletedProcess[str]":
        """Run one of our commands to its end."""
        return subprocess.run(
            [*OURS, *args],
            env=self.env,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def runs(self, *args: str) -> list[dict[str, Any]]:
        """What ``statustui runs --json`` says."""
        done = self.command("runs", "--json", *args)
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)["runs"]
        return found

    def run_of(self, task: str, holds: Callable[[dict[str, Any]], bool], timeout: float = 20) -> dict[str, Any]:
        """Wait until the latest run of *task* satisfies a condition; that run."""
        end = time.monotonic() + timeout
        last: dict[str, Any] | None = None
        while time.monotonic() < end:
            last = next((run for run in self.runs("--task", task)), last)
            if last is not None and holds(last):
                return last
            time.sleep(0.1)
        raise AssertionError(f"{task} did not get there in {timeout} s; last seen: {json.dumps(last, indent=1)}")

    def close(self) -> None:
        """End the programs that are left."""
        for program in self.programs:
            if program.poll() is None:
                program.kill()
            program.wait()
