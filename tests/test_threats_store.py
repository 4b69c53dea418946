"""Opening a store that somebody prepared: refused in one line, or read for what it is; never a crash, never obeyed."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from statustui.errors import StatustuiError
from statustui.insight import eta, marks, needs
from statustui.store import reads, schema
from statustui.store.errors import NoStore
from statustui.store.open import open_store
from statustui.store.selector import Selector
from support.filled import fill
from support.users import NOBODY, OTHER, as_user, only_root

SINCE = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def place(env: Path) -> Path:
    """A directory with nothing in it."""
    (env / "db").mkdir(mode=0o700)
    return env / "db"


@pytest.fixture
def path(place: Path) -> Path:
    """A filled store."""
    fill(f"sqlite:///{place}/status.db")
    return place / "status.db"


def look(path: Path) -> None:
    """Ask everything that a viewer asks."""
    now = datetime.now(UTC)
    with open_store(str(path), create=False, read_only=True) as store:
        reads.token(store)
        shot = reads.snapshot(store, since=SINCE)
        runs = reads.runs(store, Selector(), 50)
        for run in runs:
            reads.detail(store, run.run_id)
        reads.find(store, "cccc")
        reads.hosts(store)
        reads.requests(store)
        reads.stats(store, [run.task for run in runs])
    for run in shot.running:
        eta.estimate(run, shot.stats.get(run.task), now)
        marks.marks(run, shot.stats.get(run.task), None, now)
    needs.needs_you(shot, now)


def refused(path: Path, match: str) -> None:
    for options in ({"create": True}, {"create": False}, {"create": False, "read_only": True}):
        with pytest.raises(StatustuiError, match=match) as caught:
            open_store(str(path), **options)
        assert "\n" not in str(caught.value)


def status(path: Path, *args: str, command: str = "status") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "statustui", command, *args, "--store", str(path)],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def links(path: Path) -> None:
    path.rename(path.with_name("real.db"))
    path.symlink_to("real.db")


def dangles(path: Path) -> None:
    path.unlink()
    path.symlink_to("/tmp/st-made-through-a-link.db")


def is_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def is_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def is_garbage(path: Path) -> None:
    path.write_bytes(os.urandom(200_000))


def is_text(path: Path) -> None:
    path.write_text("SQLite format 3\0 not really" * 1000)


def is_cut(path: Path) -> None:
    os.truncate(path, 5000)


def has_trigger(path: Path) -> None:
    change(path, "CREATE TRIGGER t AFTER UPDATE ON runs BEGIN UPDATE requests SET state = 'asked', kind = 'kill'; END")


def has_view(path: Path) -> None:
    change(path, "CREATE VIEW evil AS SELECT 1")


def has_view_for_table(path: Path) -> None:
    change(path, "DROP TABLE requests")
    change(
        path, "CREATE VIEW requests AS WITH RECURSIVE r(id) AS (SELECT 1 UNION ALL SELECT id+1 FROM r) SELECT * FROM r"
    )


def has_virtual_table(path: Path) -> None:
    change(path, "DROP TABLE meta")
    change(path, "CREATE VIRTUAL TABLE meta USING fts5(key, value)")


def has_foreign_id(path: Path) -> None:
    change(path, "PRAGMA application_id = 7")


def everybody_writes(path: Path) -> None:
    path.parent.chmod(0o777)


def has_linked_wal(path: Path) -> None:
    Path(f"{path}-wal").unlink(missing_ok=True)
    os.symlink("/etc/hostname", f"{path}-wal")


def has_journal_fifo(path: Path) -> None:
    os.mkfifo(f"{path}-journal")


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement, values)


@pytest.mark.parametrize(
    ("prepare", "match"),
    [
        (links, "symbolic link"),
        (dangles, "symbolic link"),
        (is_directory, "no regular file"),
        (is_fifo, "no regular file"),
        (is_garbage, "not a database"),
        (is_text, "not a database|malformed"),
        (is_cut, "malformed|disk image"),
        (has_trigger, "trigger 't'"),
        (has_view, "view 'evil'"),
        (has_view_for_table, "view 'requests'"),
        (has_virtual_table, "not statustui's"),
        (has_foreign_id, "another program"),
        (everybody_writes, "written by everybody"),
        (has_linked_wal, "-wal is no regular file"),
        (has_journal_fifo, "-journal is no regular file"),
    ],
)
def test_what_is_no_store_of_ours_is_refused(path: Path, prepare: Callable[[Path], None], match: str) -> None:
    subprocess.run(["sync", "-f", str(path)], check=False)
    change(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    prepare(path)
    refused(path, match)
    done = status(path)
    if prepare is dangles:  # nothing is there, and nothing is made where it points
        assert done.returncode == 0, done
    else:
        assert (done.returncode, done.stderr.count("\n")) == (3, 1), done
    assert not Path("/tmp/st-made-through-a-link.db").exists()
    path.parent.chmod(0o700)


def test_views_of_our_names_that_never_end_hold_nobody_up(path: Path) -> None:
    endless = "AS WITH RECURSIVE r(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM r) SELECT * FROM r"
    with open_store(str(path)) as store:
        found = store.connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall()
    for (name,) in found:
        change(path, f"DROP VIEW {name}")
        change(path, f"CREATE VIEW {name} {endless}")
    change(path, f"CREATE VIEW status_evil {endless}")
    began = time.monotonic()
    look(path)
    assert time.monotonic() - began < 5


@only_root
def test_a_file_or_journal_of_another_user_is_refused(path: Path) -> None:
    for directory in (path.parent, *path.parent.parents[:2]):
        directory.chmod(0o755)
    shutil.chown(path.parent, OTHER, OTHER)
    for file in path.parent.iterdir():
        shutil.chown(file, NOBODY, NOBODY)
        file.chmod(0o644)
    said = as_user(OTHER, lambda: open_store(str(path), create=False, read_only=True))
    assert said.startswith("NotOurStore"), said
    assert f"uid {NOBODY}" in said
    # The file is one's own, and beside it lies what somebody else put there in a directory like /tmp.
    shutil.chown(path, OTHER, OTHER)
    path.parent.chmod(0o1777)
    for ending in ("-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    Path(f"{path}-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(2000))
    shutil.chown(f"{path}-journal", NOBODY, NOBODY)
    said = as_user(OTHER, lambda: open_store(str(path), create=False))
    assert said.startswith("NotOurStore"), said
    assert "-journal belongs to uid" in said


def test_an_empty_file_is_no_store_yet(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    path.touch(0o600)
    with pytest.raises(NoStore):
        open_store(str(path), create=False, read_only=True)
    done = status(path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "no store yet" in done.stdout.lower() or "nothing" in done.stdout.lower(), done.stdout


def test_a_reader_beside_the_making_of_a_store_sees_none_or_a_whole_one(place: Path) -> None:
    problems: list[BaseException] = []
    seen = 0
    for number in range(15):
        path = place / f"{number}.db"
        stop = threading.Event()

        def read(path: Path = path, stop: threading.Event = stop) -> None:
            nonlocal seen
            while not stop.is_set():
                try:
                    with open_store(str(path), create=False, read_only=True) as store:
                        reads.snapshot(store, since=SINCE)
                        seen += 1
                except NoStore:
                    continue
                except BaseException as error:
                    problems.append(error)
                    return

        thread = threading.Thread(target=read)
        thread.start()
        with open_store(str(path)) as store:
            reads.snapshot(store, since=SINCE)
        stop.set()
        thread.join()
    assert not problems, problems


VALUES: tuple[object, ...] = (
    "garbage", 2**62, float("inf"), b"\x80\xff", '[[1,2],"x",null]', '{"x":1}', "0001-01-01T00:00:00.000000Z",
)  # fmt: skip


def test_any_value_in_any_column_leaves_the_rest_readable(path: Path) -> None:
    change(
        path,
        "INSERT INTO requests (kind, run_id, machine, state, asked_by, asked_from, asked_at)"
        " VALUES ('cancel', 'cccc3333', 'm', 'asked', 'a', 'b', '2026-11-22T00:00:00.000000Z')",
    )
    looked = 0
    for table in schema.metadata.sorted_tables:
        if table.name in ("meta", schema.REVISIONS) or table.name.startswith(("item", "step", "pipeline")):
            continue
        for column in table.columns:
            for value in VALUES:
                with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                    old = connection.execute(f'SELECT rowid, "{column.name}" FROM "{table.name}"').fetchall()
                    try:
                        connection.execute(f'UPDATE "{table.name}" SET "{column.name}" = ?', (value,))
                    except sqlite3.IntegrityError:
                        continue
                try:
                    look(path)
                except Exception as error:  # whatever it is: it names the value that did it
                    raise AssertionError(f"{table.name}.{column.name} = {value!r}") from error
                looked += 1
                with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                    for rowid, before in old:
                        if isinstance(rowid, int) and column.name != "id":
                            connection.execute(
                                f'UPDATE "{table.name}" SET "{column.name}" = ? WHERE rowid = ?', (before, rowid)
                            )
            if column.name in ("id", "run", "number"):
                shutil.rmtree(path.parent)
                path.parent.mkdir(mode=0o700)
                fill(f"sqlite:///{path}")
    assert looked > 400


def test_commands_print_nonsense_as_json_and_as_text(path: Path) -> None:
    change(
        path, "UPDATE runs SET overall_percent = 9e999, started_at = '9999-12-31T23:59:59.000000Z', args = '[1e999]'"
    )
    change(path, "UPDATE run_details SET params = '{\"a\": NaN, \"b\": 1e999}', metrics = '[' || params")
    for zone in ("UTC", "Asia/Tokyo", "America/Los_Angeles"):
        os.environ["TZ"] = zone
        for command in ("status", "runs"):
            for options in ((), ("--json",)):
                done = status(path, *options, command=command)
                assert done.returncode == 0, done.stderr
        for options in ((), ("--json",)):
            done = subprocess.run(
                [sys.executable, "-m", "statustui", "show", "3", "--store", str(path), *options],
                capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            if options:
                json.loads(done.stdout, parse_constant=lambda name: pytest.fail(name))


def test_a_cell_of_many_megabytes_ends_in_one_line(path: Path) -> None:
    change(path, "UPDATE runs SET overall_message = hex(zeroblob(60000000))")
    before = _peak()
    done = status(path)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1), done.stderr
    assert "too big" in done.stderr
    with pytest.raises(Exception, match="too big"):
        look(path)
    assert _peak() - before < 100_000


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_a_cell_of_a_megabyte_is_cut_where_it_is_shown(path: Path) -> None:
    change(path, "UPDATE runs SET overall_message = hex(zeroblob(500000)), task = hex(zeroblob(500000))")
    done = status(path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) < 500_000
