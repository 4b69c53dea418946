"""Fixtures of the monitor's tests."""

import asyncio
import inspect
import sys
import time
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


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run the tests that are coroutines, each in a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The viewer's time zone: UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
