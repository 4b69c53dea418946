"""Fixtures that every test has: an empty environment and a state directory of its own, and stores of both kinds."""

import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as hypothesis_settings

from support import pg

if TYPE_CHECKING:
    from statustui.store.open import Store

# In checks that must say the same of the same commit, the same examples; on a desk, new ones each time.
hypothesis_settings.register_profile("checks", derandomize=True, deadline=None)
if os.environ.get("CI"):
    hypothesis_settings.load_profile("checks")

_KEPT = {
    "PATH", "LANG", "LC_ALL", "TERM", "USER", "LOGNAME", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR",
}  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--cycles N``: how often the kill loop kills (200 when it is left out)."""
    parser.addoption("--cycles", type=int, default=200, help="kill -9 cycles of the kill loop")


@pytest.fixture(scope="session")
def base_dir() -> Iterator[Path]:
    """Directory of this test session; the run fails if a drainer that works in it survives."""
    # Short: socket and log paths below it are shown on 80 columns.
    base = Path(tempfile.mkdtemp(prefix="st-"))
    yield base
    survivors = drainers(base)
    for pid in survivors:
        end(pid)
    shutil.rmtree(base, ignore_errors=True)
    assert not survivors, f"drainers outlived their tests: {survivors}"


@pytest.fixture(autouse=True)
def env(base_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An environment without our variables, with HOME and a state directory of the test's own (its path)."""
    home = Path(tempfile.mkdtemp(dir=base_dir, prefix="t"))
    for name in list(os.environ):
        if name not in _KEPT and not name.startswith(("PYTEST_", "PYTHON")):
            monkeypatch.delenv(name)
    (home / "s").mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("STATUSTUI_STATE_DIR", str(home / "s"))
    yield home
    for pid in {*_locked(home / "s"), *drainers(home)}:
        end(pid)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def state_dir(env: Path) -> Path:
    """The test's own state directory (STATUSTUI_STATE_DIR)."""
    return env / "s"


def _locked(state: Path) -> Iterator[int]:
    """Pids that the drainer locks below *state* name, as far as they still are drainers."""
    for lock in state.glob("spool/*/*/*/drainer.lock"):
        with suppress(OSError, ValueError, TypeError, KeyError):
            pid = int(json.loads(lock.read_text())["pid"])
            if b"statustui.drain" in Path(f"/proc/{pid}/cmdline").read_bytes():
                yield pid


def drainers(base: Path) -> list[int]:
    """Pids of the living drainers that work below *base*."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = entry.read_bytes()
            if b"statustui.drain" in command and os.fsencode(base) in command:
                found.append(int(entry.parent.name))
    return found


def end(pid: int, grace: float = 3.0) -> None:
    """End one process: TERM, and KILL after *grace* seconds."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline and _lives(pid):
            time.sleep(0.01)
        if _lives(pid):
            os.kill(pid, signal.SIGKILL)


def _lives(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """``wait_for(condition, timeout=10)``: returns when the condition is true, fails after the deadline."""

    def wait(condition: Callable[[], object], timeout: float = 10.0, what: str = "condition") -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
            time.sleep(0.01)

    return wait


@pytest.fixture(scope="session")
def pg_server() -> Iterator[pg.Server]:
    """The PostgreSQL server of this session."""
    context = pg.server()
    try:
        running = context.__enter__()
    except pg.NoServer as error:
        pytest.skip(str(error))
    try:
        yield running
    finally:
        context.__exit__(None, None, None)


@pytest.fixture(scope="session")
def pg_template(pg_server: pg.Server) -> str:
    """Name of a database that holds our empty schema, for cloning."""
    from statustui.store.open import open_store

    url = pg_server.create()
    open_store(url).close()
    return pg.database(url)


@pytest.fixture
def pg_url(pg_server: pg.Server) -> Iterator[str]:
    """URL of an empty PostgreSQL database without our schema."""
    url = pg_server.create()
    yield url
    pg_server.drop(url)


@pytest.fixture
def sqlite_url(env: Path) -> str:
    """URL of an SQLite file that does not exist yet."""
    return f"sqlite:///{env}/db/status.db"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.pg)])
def store_url(request: pytest.FixtureRequest, env: Path) -> Iterator[str]:
    """URL of an empty store, of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{env}/db/status.db"
        return
    server: pg.Server = request.getfixturevalue("pg_server")
    url = server.create(request.getfixturevalue("pg_template"))
    yield url
    server.drop(url)


@pytest.fixture
def store(store_url: str) -> Iterator["Store"]:
    """An open, empty store, of each kind in turn."""
    from statustui.store.open import open_store

    with open_store(store_url) as opened:
        yield opened
