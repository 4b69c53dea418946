"""What tests of items share: a process that reports into a store of the test's own, and the command line beside it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from statustui import Pipeline
from statustui.record import border, state

STEPS = ["fetch", "parse", "load"]
"""The steps of the pipeline that most of them use."""


@contextmanager
def reporting_to(url: str, monkeypatch: pytest.MonkeyPatch, drainer: str = "off") -> Iterator[str]:
    """Let this process report and ask; what recording swallows is raised."""
    monkeypatch.setenv("STATUSTUI_STORE", url)
    monkeypatch.setenv("STATUSTUI_DRAINER", drainer)
    monkeypatch.setattr(border, "strict", True)
    state.sessions.clear()
    yield url
    state.stop_timer()
    for session in state.every():
        session.close()
    state.sessions.clear()


def fill(pipeline: Pipeline, number: int) -> list[str]:
    """Add that many items: f000, f001 and so on; their keys."""
    keys = [f"f{n:03}" for n in range(number)]
    for key in keys:
        pipeline.add(key)
    return keys


def nothing(work: object) -> None:
    """A handler that has nothing to do."""


def states(pipeline: Pipeline, key: str) -> dict[str, str]:
    """The word for each of its steps."""
    item = pipeline.overall(key)
    assert item is not None
    return {step: status.value for step, status in item.states.items()}


def command(*arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """One of our commands, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "statustui", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
        check=False,
    )
