"""Opening a store: made when it may be, refused when it is not ours, never trusted blindly."""

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from statustui.model.times import from_epoch
from statustui.store import item_reads, reads, schema
from statustui.store.errors import NoStore, NotOurStore, StoreBusy, StoreNewer, StoreUnavailable
from statustui.store.migrate import upgrade
from statustui.store.open import Store, open_store
from statustui.store.selector import Selector
from support.item_facts import Told
from support.stores import T0, Journal, give


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o077, 0o777])
def test_a_new_file_is_private_whatever_the_umask(sqlite_url: str, mask: int) -> None:
    with umask(mask):
        open_store(sqlite_url).close()
    path = path_of(sqlite_url)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_viewer_makes_nothing(sqlite_url: str) -> None:
    for read_only in (True, False):
        with pytest.raises(NoStore, match="no store yet"):
            open_store(sqlite_url, create=False, read_only=read_only)
    assert not path_of(sqlite_url).parent.exists()


def test_an_empty_file_is_no_store_for_a_viewer_and_a_place_for_a_writer(sqlite_url: str) -> None:
    path_of(sqlite_url).parent.mkdir()
    path_of(sqlite_url).touch()
    with pytest.raises(NoStore):
        open_store(sqlite_url, create=False)
    open_store(sqlite_url).close()


@pytest.mark.pg
def test_a_viewer_makes_nothing_in_postgresql(pg_url: str) -> None:
    with pytest.raises(NoStore):
        open_store(pg_url, create=False)
    with open_store(pg_url) as made:
        assert "runs" in inspect(made.connection).get_table_names(schema="statustui")
        assert inspect(made.connection).get_table_names(schema="public") == []


def test_a_read_only_store_refuses_writes(store_url: str) -> None:
    with open_store(store_url) as made:
        give(made, beat=True)
    with (
        open_store(store_url, create=False, read_only=True) as store,
        pytest.raises(StoreUnavailable, match=r"read-?only"),
        store.write() as connection,
    ):
        connection.execute(text("DELETE FROM hosts"))


def test_links_and_other_programs_databases_are_left_alone(sqlite_url: str) -> None:
    path = path_of(sqlite_url)
    path.parent.mkdir()
    other = path.with_name("other.db")
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = other.read_bytes()
    with pytest.raises(NotOurStore, match="another program"):
        open_store(f"sqlite:///{other}")
    assert other.read_bytes()[100:] == before[100:]
    path.symlink_to(other)
    with pytest.raises(NotOurStore, match="symbolic link"):
        open_store(sqlite_url)
    path.unlink()
    path.mkdir()
    with pytest.raises(NotOurStore, match="regular file"):
        open_store(sqlite_url)


def test_a_directory_that_everybody_can_write_is_refused(sqlite_url: str) -> None:
    open_store(sqlite_url).close()
    path_of(sqlite_url).parent.chmod(0o777)
    with pytest.raises(NotOurStore, match="written by everybody"):
        open_store(sqlite_url)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a file of somebody else's")
def test_a_file_of_somebody_else_is_refused(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(sqlite_url).close()
    os.chown(path_of(sqlite_url), 4242, 4242)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NotOurStore, match="belongs to uid 4242"):
        open_store(sqlite_url)


@pytest.mark.parametrize(
    "planted",
    [
        "CREATE TRIGGER t AFTER UPDATE ON runs BEGIN DELETE FROM events; END",
        "CREATE VIEW v AS SELECT 1",
    ],
)
def test_planted_triggers_and_views_are_refused(sqlite_url: str, planted: str) -> None:
    with open_store(sqlite_url) as store:
        store.connection.execute(text(planted))
    with pytest.raises(NotOurStore, match="not statustui's"):
        open_store(sqlite_url)


def test_garbage_is_one_clear_line(sqlite_url: str) -> None:
    path_of(sqlite_url).parent.mkdir()
    path_of(sqlite_url).write_bytes(b"this is no database" * 500)
    with pytest.raises(StoreUnavailable, match=r"not a database.*choose another file.*move this one away") as caught:
        open_store(sqlite_url)
    assert "\n" not in str(caught.value)


def test_a_newer_store_is_refused_unless_it_says_otherwise(store: Store) -> None:
    newer = schema.SCHEMA_VERSION + 1

    def pretend(min_writer: int, min_reader: int) -> None:
        connection = store.connection
        for key, value in (("schema", newer), ("min_writer", min_writer), ("min_reader", min_reader)):
            connection.execute(schema.meta.update().where(schema.meta.c.key == key).values(value=str(value)))
        store.database.stamp(connection, newer)

    pretend(newer, newer)
    with pytest.raises(StoreNewer, match="upgrade it"):
        open_store(store.url)
    pretend(newer, schema.SCHEMA_VERSION)
    open_store(store.url, create=False, read_only=True).close()
    with pytest.raises(StoreNewer):
        open_store(store.url)
    pretend(schema.SCHEMA_VERSION, schema.SCHEMA_VERSION)
    open_store(store.url).close()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("pg", marks=pytest.mark.pg)])
def test_many_may_make_the_same_store_at_once(kind: str, request: pytest.FixtureRequest) -> None:
    url: str = request.getfixturevalue(f"{kind}_url")
    errors: list[BaseException] = []
    ready = threading.Barrier(6)

    def make() -> None:
        ready.wait()
        try:
            with open_store(url) as store:
                reads.runs(store, Selector())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []


def shape(connection: Connection, name: str | None) -> dict[str, object]:
    """Everything that a schema is made of, in a form that can be compared."""
    found: dict[str, object] = {}
    looked = inspect(connection)
    for table in looked.get_table_names(schema=name):
        if table == "sqlite_sequence":
            continue
        found[table] = (
            sorted(
                (c["name"], str(c["type"]), c["nullable"], str(c["default"])) for c in looked.get_columns(table, name)
            ),
            looked.get_pk_constraint(table, name),
            sorted(map(str, looked.get_foreign_keys(table, name))),
            sorted(
                (str(i["name"]), i["column_names"], [str(where) for where in i.get("dialect_options", {}).values()])
                for i in looked.get_indexes(table, name)
            ),
            sorted(map(str, looked.get_unique_constraints(table, name))),
        )
    found["views"] = sorted(looked.get_view_names(name))
    return found


def test_the_migrations_lead_to_what_a_fresh_store_is(store: Store) -> None:
    name = None if store.dialect == "sqlite" else "statustui"
    connection = store.connection
    fresh = shape(connection, name)
    assert len(fresh) > 10
    for view in fresh["views"]:  # type: ignore[attr-defined]
        connection.exec_driver_sql(f"DROP VIEW {view}")
    schema.metadata.drop_all(connection)
    if store.dialect == "postgresql":
        connection.exec_driver_sql("DROP FUNCTION requests_role")
    with store.write() as inside:
        upgrade(inside)
    assert shape(connection, name) == fresh
    rows = connection.exec_driver_sql(f"SELECT version_num FROM {schema.REVISIONS}").fetchall()
    assert [tuple(row) for row in rows] == [(schema.REVISION,)]


def test_a_failed_upgrade_changes_nothing(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        before = shape(store.connection, None)
        with pytest.raises(StoreUnavailable, match="already exists"), store.write() as connection:
            connection.execute(schema.revisions.delete())
            connection.exec_driver_sql("DROP INDEX ix_events_at")
            upgrade(connection)
        assert shape(store.connection, None) == before


def test_a_replaced_or_removed_file_is_noticed(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        give(store, beat=True)
        os.rename(path_of(sqlite_url), path_of(sqlite_url).with_name("moved.db"))
        with pytest.raises(StoreUnavailable, match="removed or replaced"):
            give(store, beat=True)
        give(store, beat=True)
        assert path_of(sqlite_url).exists()
        assert len(reads.hosts(store)) == 1


def test_a_locked_file_is_busy_and_nothing_is_lost(sqlite_url: str) -> None:
    journal = Journal()
    journal.fact("run.start", "r1", task="A")
    with open_store(sqlite_url) as other, open_store(sqlite_url, timeout=0.1) as store:
        with other.write(), pytest.raises(StoreBusy, match="locked"):
            give(store, journal)
        give(store, journal)
        assert [run.run_id for run in reads.runs(store, Selector())] == ["r1"]


def test_whoever_waits_for_the_file_looks_often(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    with open_store(sqlite_url) as one, open_store(sqlite_url, timeout=5.0) as other:
        holder = one.write()
        holder.__enter__()

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 60:
                holder.__exit__(None, None, None)

        monkeypatch.setattr("statustui.store.sqlite.time.sleep", pause)
        with other.write():
            pass
    assert max(pauses) <= 0.02
    assert sum(pauses) > 0.1, "and not in a loop that burns the processor"


def test_another_programs_file_stays_byte_for_byte(sqlite_url: str) -> None:
    path = path_of(sqlite_url)
    path.parent.mkdir(mode=0o700)
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE photos (name)")
    theirs.close()
    before = path.read_bytes()
    with pytest.raises(NotOurStore):
        open_store(sqlite_url)
    assert path.read_bytes() == before, "not even its journal mode has changed"


def test_a_store_that_is_just_being_made_is_none_yet_or_whole(sqlite_url: str) -> None:
    met: list[str] = []
    done = threading.Event()

    def look(read_only: bool) -> None:
        while not done.is_set():
            try:
                with open_store(sqlite_url, create=False, read_only=read_only) as store:
                    reads.token(store)
            except NoStore:
                continue
            except Exception as error:  # whatever it is, it fails the test
                met.append(repr(error))
                return

    viewers = [threading.Thread(target=look, args=(read_only,)) for read_only in (True, False)]
    for viewer in viewers:
        viewer.start()
    path = path_of(sqlite_url)
    for _ in range(5):
        open_store(sqlite_url).close()
    done.set()
    for viewer in viewers:
        viewer.join()
    assert met == []
    assert path.exists()


def test_reading_goes_on_while_somebody_writes(store_url: str) -> None:
    with open_store(store_url) as writer, open_store(store_url, create=False, read_only=True, timeout=0.1) as viewer:
        give(writer, beat=True)
        with writer.write() as connection:
            connection.execute(text("DELETE FROM hosts"))
            assert len(reads.snapshot(viewer, since=from_epoch(T0)).hosts) == 1
        assert len(reads.snapshot(viewer, since=from_epoch(T0)).hosts) == 0


def test_text_that_is_no_text_does_not_break_a_viewer(sqlite_url: str) -> None:
    journal = Journal()
    journal.fact("run.start", "r1", task="A", label="b")
    with open_store(sqlite_url) as store:
        give(store, journal)
        store.connection.execute(text("UPDATE runs SET label = CAST(x'80ff41' AS TEXT), started_at = 'yesterday'"))
        (run,) = reads.runs(store, Selector())
        assert (run.label, run.started_at) == ("\ufffd\ufffdA", from_epoch(0))


@pytest.mark.pg
def test_a_lost_connection_is_made_anew(pg_url: str) -> None:
    with open_store(pg_url) as store, open_store(pg_url) as other:
        give(store, beat=True)
        pid = store.connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        other.connection.exec_driver_sql("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        with pytest.raises(StoreUnavailable) as caught:
            give(store, beat=True)
        assert "\n" not in str(caught.value)
        give(store, beat=True)


@pytest.mark.pg
@pytest.mark.parametrize(
    ("change", "said"),
    [(("/statustui_", "/nothing_"), "does not exist"), (("postgres:@", "nobody_here:secret@"), "does not exist")],
)
def test_what_is_wrong_with_the_server_is_said_without_the_password(
    pg_url: str, change: tuple[str, str], said: str
) -> None:
    with pytest.raises(StoreUnavailable, match=said) as caught:
        open_store(pg_url.replace(*change))
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def plan(store: Store, statement: str, values: tuple[object, ...]) -> str:
    explained = store.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
    return "\n".join(row[-1] for row in explained.fetchall())


def test_every_read_of_a_refresh_is_answered_by_its_index(sqlite_url: str) -> None:
    from sqlalchemy import event

    journal = Journal()
    journal.fact("run.start", "r1", task="A")
    asked: list[tuple[str, tuple[object, ...]]] = []
    with open_store(sqlite_url) as store:
        give(store, journal)
        reads.snapshot(store, since=from_epoch(T0))
        event.listen(
            store.connection, "before_cursor_execute",
            lambda _c, _cursor, statement, values, _context, _many: asked.append((statement, values)),
        )  # fmt: skip
        reads.snapshot(store, since=from_epoch(T0))
        selects = [one for one in asked if one[0].startswith("SELECT")]
        plans = "\n".join(plan(store, *one) for one in selects)
    assert [one for one in selects if "FROM runs" in one[0]]
    for index in ("ix_runs_open", "ix_runs_attention", "ix_runs_ended"):
        assert index in plans, plans
    assert "SCAN runs\n" not in plans + "\n", plans
    assert "TEMP B-TREE FOR ORDER BY" not in plans, plans


def test_failures_of_one_kind_are_found_without_reading_the_others(sqlite_url: str) -> None:
    from sqlalchemy import event

    told = Told()
    for number in range(300):
        told.add(f"other {number}")
    for number in range(3):
        told.start(f"item {number}", "scrape")
        told.end(f"item {number}", "scrape", "failed", error="KeyError: 'FIPS'")
    asked: list[tuple[str, tuple[object, ...]]] = []
    with open_store(sqlite_url) as store:
        told.give(store)
        (group,) = item_reads.failure_groups(store, from_epoch(T0))
        event.listen(
            store.connection, "before_cursor_execute",
            lambda _c, _cursor, statement, values, _context, _many: asked.append((statement, values)),
        )  # fmt: skip
        alike = item_reads.ItemSelector(pipeline="auctions", fingerprints=(group.fingerprint,))
        for sort in item_reads.ItemSort:
            assert len(item_reads.items(store, alike, sort=sort)) == item_reads.count(store, alike) == group.count == 3
        mine = [one for one in asked if "items.fingerprint IN" in one[0]]
        plans = [plan(store, *one) for one in mine]
    assert len(plans) == 10
    assert all("ix_items_kind" in one for one in plans), plans


def test_nothing_changed_costs_one_query(store: Store) -> None:
    from sqlalchemy import event

    asked: list[str] = []
    event.listen(store.connection, "before_cursor_execute", lambda *args: asked.append(args[2]))
    raw = store.connection.connection.dbapi_connection
    if isinstance(raw, sqlite3.Connection):
        raw.set_trace_callback(asked.append)  # asked past SQLAlchemy, which costs more than the answer
    reads.token(store)
    assert len(asked) == 1


def test_a_token_that_cannot_be_asked_is_an_error_of_the_database(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        raw = store.connection.connection.dbapi_connection
        assert raw is not None
        raw.close()
        with pytest.raises(DBAPIError, match="closed"):
            reads.token(store)
