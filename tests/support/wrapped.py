"""Running commands through ``statustui run``, and reading what it recorded."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from statustui import config
from statustui.journal import reader

RUN = (sys.executable, "-m", "statustui.control.wrapper")


def run(*argv: str, options: Sequence[str] = (), **kwargs: Any) -> "subprocess.CompletedProcess[bytes]":
    """Run a command through the wrapper to its end."""
    kwargs.setdefault("capture_output", "stdout" not in kwargs and "stderr" not in kwargs)
    kwargs.setdefault("timeout", 60)
    return subprocess.run([*RUN, *options, "--", *argv], **kwargs)


def popen(*argv: str, options: Sequence[str] = (), **kwargs: Any) -> "subprocess.Popen[bytes]":
    """Start a command through the wrapper."""
    return subprocess.Popen([*RUN, *options, "--", *argv], **kwargs)


def facts(kind: str | None = None) -> list[dict[str, Any]]:
    """All records of all journals of this test, in their order."""
    spool = config.spool_dir(config.load())
    found: list[dict[str, Any]] = []
    if not os.path.isdir(spool):
        return found
    for journal in reader.list_journals(spool):
        lines = reader.JournalReader(spool, journal).read(0, 1 << 20)
        found += [line.record for line in lines if line.record is not None]
    return [record for record in found if kind is None or record["k"] == kind]


def only(kind: str) -> dict[str, Any]:
    """The one record of a kind."""
    found = facts(kind)
    assert len(found) == 1, found
    return found[0]


def launch_file(state_dir: Path) -> Path:
    """The one launch file."""
    (path,) = (state_dir / "launch").glob("*.json")
    return path


def until(condition: Callable[[], object], timeout: float = 15.0) -> None:
    """Wait until *condition* holds.

    Raises:
        AssertionError: it did not within *timeout* seconds.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Is there such a process that has not ended?"""
    try:
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
