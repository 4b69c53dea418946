"""Real processes for tests; each ends with its test."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def python(code: str, *args: str, **options: object) -> Iterator["subprocess.Popen[bytes]"]:
    """Run Python code in a process of its own group; the whole group is killed at the end. Its stdin stays open."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        **options,  # type: ignore[call-overload]
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that does nothing for a long time."""
    process = subprocess.Popen(["sleep", "600"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], object], timeout: float = 10.0, what: str = "condition") -> None:
    """Wait until the condition holds; fail after *timeout* seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.005)
