"""Stores that are damaged, replaced, cut off or stalled under a working drainer: nothing is lost, nothing doubled."""

import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import psycopg
import pytest

from statustui import config
from statustui.drain.diary import Diary
from statustui.drain.sink import Sink
from statustui.model.status import RunStatus
from statustui.store import reads
from statustui.store.batch import Batch
from statustui.store.open import open_store
from support import pg
from support.drained import alone, drainer, finish, started, status, viewer
from support.processes import python, until
from support.stores import HOST, Journal, give

WAITS = """
import sys, statustui
with statustui.run(sys.argv[1]):
    print(1, flush=True)
    sys.stdin.readline()
"""
MANY = """
import sys, time, statustui
with statustui.run("job", subtasks=1) as run:
    print(1, flush=True)
    for number in run.track(range(400), "part"):
        run.log(str(number))
        time.sleep(0.005)
"""


def use(monkeypatch: pytest.MonkeyPatch, url: str) -> str:
    return config.spool_dir(alone(monkeypatch, url))


def all_there(url: str) -> None:
    """Each of the program's 400 lines is an event, once, and its count is whole."""
    with viewer(url) as store:
        detail = reads.detail(store, reads.find(store, "job")[0].run_id)
    assert sorted(int(e.message or "") for e in detail.events if e.kind == "log") == list(range(400))
    assert detail.run.status is RunStatus.FINISHED
    assert detail.subtasks[0].items_complete == 400


def _header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(90))


def _pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))


def _cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(3 * 4096 + 100)


def _empty(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(0)


@pytest.mark.parametrize("damage", [_header, _pages, _cut, _empty])
def test_a_damaged_store_is_moved_aside_and_made_again(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, damage: Callable[[Path], None]
) -> None:
    spool = use(monkeypatch, sqlite_url)
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with python(WAITS, "first") as one:
        started(one)
        finish(one)
    with drainer(spool) as working:
        assert working.wait(20) == 0
    with sqlite3.connect(path) as there:
        there.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    there.close()
    damage(path)
    with python(WAITS, "second") as program, drainer(spool):
        started(program)
        finish(program)
        until(lambda: status(sqlite_url, "second") is RunStatus.FINISHED, timeout=20)
        assert status(sqlite_url, "first") is RunStatus.FINISHED, "brought in again"
    if damage is _empty:
        return
    (aside,) = path.parent.glob("status.db.corrupt-*")
    assert aside.stat().st_mode & 0o077 == 0
    assert "WAS DAMAGED" in Path(f"{spool}/drainer.log").read_text()
    with viewer(sqlite_url) as store, store.read() as connection:
        told = connection.exec_driver_sql("SELECT message FROM events WHERE kind = 'store'").scalars().all()
    assert len(told) == 1
    assert str(aside) in told[0]
    said = subprocess.run(
        [sys.executable, "-m", "statustui", "doctor"], capture_output=True, text=True, check=False, timeout=30
    )
    assert str(aside) in said.stdout


@pytest.mark.parametrize("other", ["database", "text"])
def test_a_store_replaced_by_another_programs_file_is_never_written(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, other: str
) -> None:
    spool = use(monkeypatch, sqlite_url)
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    theirs = path.with_name("photos.db")
    theirs.parent.mkdir(mode=0o700)
    if other == "database":
        with sqlite3.connect(theirs) as db:
            db.execute("CREATE TABLE photos (name)")
        db.close()
    else:
        theirs.write_text("a text that somebody wrote\n" * 500)
    theirs.chmod(0o600)
    content = theirs.read_bytes()
    with python(WAITS, "job") as program, drainer(spool):
        started(program)
        until(lambda: status(sqlite_url) is not None)
        for ending in ("-wal", "-shm"):
            Path(f"{path}{ending}").unlink(missing_ok=True)
        os.rename(theirs, path)
        finish(program)
        log = Path(f"{spool}/drainer.log")
        until(lambda: log.exists() and "status.db" in log.read_text())
        until(lambda: "another program" in log.read_text() or "not a database" in log.read_text())
    assert path.read_bytes() == content
    assert not list(path.parent.glob("*.corrupt-*"))


@pytest.mark.pg
def test_a_server_that_throws_the_drainer_out_again_and_again_gets_everything_once(
    monkeypatch: pytest.MonkeyPatch, pg_server: pg.Server, pg_url: str
) -> None:
    spool = use(monkeypatch, pg_url)
    name = pg.database(pg_url)
    with python(MANY) as program, drainer(spool):
        started(program)
        thrown = 0
        with psycopg.connect(pg.plain(pg_server.admin_url), autocommit=True) as admin:
            while program.poll() is None or thrown < 5:
                thrown += len(
                    admin.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
                    ).fetchall()
                )
                time.sleep(0.1)
        until(lambda: status(pg_url) is RunStatus.FINISHED, timeout=30)
    all_there(pg_url)


@pytest.mark.pg
def test_a_server_that_crashes_and_comes_back_gets_everything_once(
    monkeypatch: pytest.MonkeyPatch, pg_server: pg.Server, pg_url: str
) -> None:
    control = pg.control()
    with psycopg.connect(pg.plain(pg_server.admin_url), autocommit=True) as admin:
        row = admin.execute("SHOW data_directory").fetchone()
        assert row is not None
        data = str(row[0])
    if control is None or pg.GIVEN_URL or not os.path.isdir(data):
        pytest.skip("needs a server of the tests' own, with its pg_ctl")
    spool = use(monkeypatch, pg_url)
    owner = os.stat(data).st_uid
    with python(MANY) as program, drainer(spool):
        started(program)
        until(lambda: status(pg_url) is not None)
        for _ in range(2):
            command = [control, "restart", "-D", data, "-m", "immediate", "-w", "-l", f"{data}/log"]
            user = owner if os.geteuid() == 0 else None
            done = subprocess.run(command, user=user, cwd=data, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr + done.stdout
        until(lambda: program.poll() is not None, timeout=30)
        until(lambda: status(pg_url) is RunStatus.FINISHED, timeout=30)
    all_there(pg_url)


class Proxy:
    """Passes on what goes to a server, until it is told to stall: then the kernel still says that it got everything."""

    def __init__(self, target: Callable[[], socket.socket]) -> None:
        self._target = target
        self.told: Callable[[bytes], bytes] = bytes
        """What becomes of the server's answers."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.passing = threading.Event()
        self.passing.set()
        self._open: list[socket.socket] = []
        self._theirs: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = self._target()
                self._open += [ours, theirs]
                self._theirs.append(theirs)
                for one, other in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                if self.passing.is_set():
                    other.sendall(data if other in self._theirs else self.told(data))

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextmanager
def proxied(url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy before the server of *url*, and the URL that goes through it."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    login, _, address = parts.netloc.rpartition("@")
    directory = query.get("host", [""])[0]

    def target() -> socket.socket:
        if directory.startswith("/"):
            found = socket.socket(socket.AF_UNIX)
            found.connect(f"{directory}/.s.PGSQL.{query.get('port', ['5432'])[0]}")
            return found
        host, _, port = address.partition(":")
        return socket.create_connection((host, int(port or 5432)))

    proxy = Proxy(target)
    try:
        yield proxy, urlunsplit((parts.scheme, f"{login}@127.0.0.1:{proxy.port}", parts.path, "", ""))
    finally:
        proxy.close()


@pytest.mark.pg
def test_a_connection_that_stalls_although_acknowledged_is_given_up(
    monkeypatch: pytest.MonkeyPatch, pg_url: str
) -> None:
    with proxied(pg_url) as (proxy, url):
        spool = use(monkeypatch, url)
        with python(WAITS, "job") as program, drainer(spool):
            started(program)
            until(lambda: status(pg_url) is not None)
            proxy.passing.clear()
            finish(program)
            until(lambda: "no answer" in _log(spool), timeout=60, what="the drainer giving up")
            proxy.passing.set()
            until(lambda: status(pg_url) is RunStatus.FINISHED, timeout=30)


@pytest.mark.pg
def test_a_batch_that_was_begun_anew_is_told_of(pg_url: str, tmp_path: Path) -> None:
    sink = Sink(pg_url, Diary(str(tmp_path)))
    try:
        assert sink.offsets(["any"]) == {}
        batch = Batch(host=HOST, beat=True)
        assert sink.apply(batch, sink.opened) is not None
        assert "retried" not in _log(str(tmp_path))
        with psycopg.connect(pg.plain(pg_url)) as other:
            other.execute("SELECT FROM statustui.hosts FOR UPDATE")
            # Longer than a drainer waits for a lock.
            letting_go = threading.Timer(2.5, other.rollback)
            letting_go.start()
            applied = sink.apply(batch, sink.opened)
            letting_go.join()
    finally:
        sink.close()
    assert applied is not None
    assert applied.retried == 1
    assert "retried: a batch was begun anew (1×)" in _log(str(tmp_path))


@pytest.mark.pg
@pytest.mark.parametrize("pooled", [False, True])
def test_statements_are_prepared_only_where_no_pooler_is_in_between(pg_url: str, pooled: bool) -> None:
    def pooler(data: bytes) -> bytes:
        """Another number of the process, as a pooler tells: message K, of 12 bytes."""
        return re.sub(rb"K\x00\x00\x00\x0c....", b"K\x00\x00\x00\x0c\x7f\x00\x00\x01", data, flags=re.DOTALL)

    with proxied(pg_url) as (proxy, url):
        proxy.told = pooler if pooled else bytes
        with open_store(url) as store:
            for _ in range(6):
                give(store, Journal(), beat=True)
            prepared = store.connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar_one()
    assert bool(prepared) is not pooled


def _log(spool: str) -> str:
    path = Path(f"{spool}/drainer.log")
    return path.read_text() if path.exists() else ""
