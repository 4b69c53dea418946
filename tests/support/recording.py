"""What tests of the recorder share: programs run beside the test, and what their journals say, added up."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from statustui.journal.reader import list_journals, read_counts, read_slot
from statustui.record import border, state
from support.journals import CORE, lines


@dataclass
class Sub:
    """One subtask as its journals have it."""

    name: str = ""
    status: str = "running"
    complete: int = 0
    total: int | None = None
    heading: bool = False
    parent: int | None = None
    message: str | None = None
    error: str | None = None
    weight: float | None = None
    announced: bool = False


@dataclass
class Recorded:
    """One run as its journals have it."""

    start: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    subs: dict[int, Sub] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    message: str | None = None
    percent: float | None = None

    @property
    def leaves(self) -> list[Sub]:
        """Subtasks that are no headings."""
        return [sub for sub in self.subs.values() if not sub.heading]

    def named(self, name: str) -> Sub:
        """The only subtask of that name."""
        (sub,) = [sub for sub in self.subs.values() if sub.name == name]
        return sub

    @property
    def done(self) -> int:
        """Leaf subtasks completed or skipped."""
        return sum(sub.status in ("completed", "skipped") for sub in self.leaves)


def recorded(state: Path, *, joined: bool = False) -> dict[str, Recorded]:
    """All runs below a state directory by their run_id, counts of all writers added up.

    With *joined*, a run may have two starts and ends: those of its wrapper, and of the program that joined it.
    """
    runs: dict[str, Recorded] = {}
    for spool in state.glob("spool/*/*/*"):
        for journal in list_journals(str(spool)):
            _add(runs, spool, journal, joined)
    return runs


def _add(runs: dict[str, Recorded], spool: Path, journal: str, joined: bool) -> None:
    counted: dict[tuple[str, int], int] = {}
    cells = read_counts(f"{spool}/{journal}.counts")
    slot = read_slot(f"{spool}/{journal}.slot") or {}
    ended: set[tuple[str, int]] = set()
    for line in lines(spool, journal):
        record = line.record
        assert record is not None, line
        if "run" not in record:
            continue
        run_id = str(record["run"])
        run = runs.setdefault(run_id, Recorded())
        _apply(run, record, joined)
        key = (run_id, int(record.get("n", 0)))
        if record["k"] == "sub.end":
            ended.add(key)
            if "complete" in record:
                counted[key] = int(record["complete"])
        elif record["k"] == "counter":
            counted[key] = cells[int(record["i"])]
    for run_id, shown in slot.get("runs", {}).items():
        run = runs.setdefault(run_id, Recorded())
        run.message = shown.get("message", run.message)
        run.percent = shown.get("percent", run.percent)
        for number, entry in shown.get("subs", {}).items():
            key = (run_id, int(number))
            if key not in ended:
                sub = run.subs.setdefault(int(number), Sub())
                sub.total = entry.get("t", sub.total)
                sub.message = entry.get("msg", sub.message)
                if "c" in entry:
                    counted[key] = entry["c"]
    for (run_id, number), complete in counted.items():
        runs[run_id].subs.setdefault(number, Sub()).complete += complete


def _apply(run: Recorded, record: dict[str, Any], joined: bool) -> None:
    kind = record["k"]
    if kind == "run.start":
        run.start = {**run.start, **record} if record.get("wrapped") else {**record, **run.start} if joined else record
    elif kind == "run.end":
        assert joined or not run.end, "ended twice"
        guest = joined and "exit_code" not in record  # a wrapper's end has it, or a signal
        run.end = {**record, **run.end} if guest and "signal" not in record else {**run.end, **record}
    elif kind == "run.info":
        run.info.update(record)
    elif kind == "event":
        run.events.append(record)
    elif kind == "metric":
        run.metrics[record["name"]] = record["value"]
    elif kind in ("sub.start", "sub.info", "sub.end"):
        sub = run.subs.setdefault(record["n"], Sub())
        for name in ("name", "total", "heading", "parent", "message", "error", "weight", "status"):
            if name in record:
                setattr(sub, name, record[name])
        if kind == "sub.start":
            sub.announced = record.get("announced", False)


def only_run(state: Path) -> Recorded:
    """The only run below a state directory."""
    (run,) = recorded(state).values()
    return run


@contextmanager
def recording_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process record, without a drainer; what recording swallows is raised."""
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")
    monkeypatch.setattr(border, "strict", True)
    state.sessions.clear()
    yield
    state.stop_timer()
    state.sessions.clear()


def environment(**more: str) -> dict[str, str]:
    """The test's environment for a program, which finds the package and starts no drainer."""
    return {**os.environ, "PYTHONPATH": str(CORE), "STATUSTUI_DRAINER": "off", "STATUSTUI_STRICT": "", **more}


def script(path: Path, code: str) -> Path:
    """A program made of *code* at *path*."""
    path.write_text(textwrap.dedent(code))
    return path


def run_script(
    path: Path, code: str, *arguments: str, timeout: float = 60.0, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program made of *code* to its end."""
    command = [sys.executable, str(script(path, code)), *arguments]
    return subprocess.run(
        command, env=env or environment(), capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
    )
