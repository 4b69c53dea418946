"""Fixtures of the monitor's tests."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.terminal import Terminal

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent


@pytest.fixture
def widget_terminal() -> Iterator[Callable[..., Terminal]]:
    """Runs the small program of ``support.widget_app`` in a terminal of its own; it is ended with the test."""
    with ExitStack() as stack:

        def run(
            *arguments: str,
            cols: int = 100,
            rows: int = 30,
            before: str = "",
            env: dict[str, str] | None = None,
        ) -> Terminal:
            places = ":".join(str(place) for place in (TESTS, ROOT / "core", ROOT / "tui"))
            command = [sys.executable, "-W", "ignore", str(TESTS / "support" / "widget_app.py"), *arguments]
            if before:
                command = ["/bin/sh", "-c", f'{before} exec "$@"', "sh", *command]
            environment = {"PYTHONPATH": places, **(env or {})}
            return stack.enter_context(Terminal(command, cols=cols, rows=rows, env=environment))

        yield run
