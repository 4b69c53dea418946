"""What tests of a real drainer process share: starting one, and looking at what came of a run."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy.exc import SQLAlchemyError

from statustui import config
from statustui.errors import StatustuiError
from statustui.model.status import RunStatus
from statustui.store import reads
from statustui.store.open import Store, open_store
from support.processes import until

PROGRAM = """
import os, sys, time, statustui
with statustui.run(sys.argv[1], subtasks=2) as run:
    with run.subtask("part", total=10) as part:
        part.advance(3)
        print(os.getpid(), flush=True)
        sys.stdin.readline()
"""
"""Starts a run of the task it is given, does 3 of 10, says its pid, and ends after a line."""


def alone(monkeypatch: pytest.MonkeyPatch, url: str) -> config.Settings:
    """The settings of a test whose programs start no drainer: the test's own ends soon after the last of them."""
    monkeypatch.setenv("STATUSTUI_STORE", url)
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")
    monkeypatch.setenv("STATUSTUI_DRAINER_LINGER", "0.3")
    return config.load(start="/")


@contextmanager
def drainer(spool: str, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A drainer that works in *spool*, which somebody makes within ten seconds."""
    until(lambda: os.path.exists(f"{spool}/store.url"), what="a spool directory")
    command = [sys.executable, "-m", "statustui.drain", spool]
    process = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def started(process: "subprocess.Popen[bytes]") -> int:
    """Wait until the program says a number."""
    assert process.stdout is not None
    return int(process.stdout.readline())


def finish(process: "subprocess.Popen[bytes]") -> None:
    """Let a program that waits for a line go on to its end."""
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    process.wait(10)


@contextmanager
def viewer(url: str) -> Iterator[Store]:
    """The store, as soon as there is one."""
    until(lambda: _there(url), what="a store")
    with open_store(url) as opened:
        yield opened


def _there(url: str) -> bool:
    try:
        open_store(url, create=False).close()
    except (StatustuiError, SQLAlchemyError):
        return False
    return True


def the_run(url: str, task: str = "job") -> Any:
    """The newest run of a task; None when there is none yet, or no store."""
    try:
        with open_store(url, create=False) as opened:
            found = reads.find(opened, task)
    except (StatustuiError, SQLAlchemyError):  # not there yet, locked, or just deleted
        return None
    return found[0] if found else None


def status(url: str, task: str = "job") -> RunStatus | None:
    """Its status."""
    found = the_run(url, task)
    return None if found is None else found.status
