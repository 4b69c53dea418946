"""Opening a store, and the one connection that is kept to it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InvalidRequestError

from statustui.errors import StatustuiError
from statustui.model.times import to_text, utc_now
from statustui.store import schema
from statustui.store.errors import NoStore, NotOurStore, StoreBusy, StoreNewer, StoreUnavailable
from statustui.store.item_views import create_item_views
from statustui.store.postgres import Postgres
from statustui.store.sqlite import Sqlite
from statustui.store.views import create_views
from statustui.urls import canonical_url, display_url

__all__ = ["NoStore", "NotOurStore", "Store", "StoreBusy", "StoreNewer", "StoreUnavailable", "open_store"]


class Store:
    """One open store with one connection; not to be used by two threads at once.

    After an error the connection is given up, and the next use makes a new one.
    """

    def __init__(self, url: str, database: Sqlite | Postgres, *, create: bool) -> None:
        self.url = url
        self.database = database
        self.create = create
        self.changes = 0
        """How often this connection has written: its own writes are not in SQLite's data_version."""
        self.cache: dict[str, Any] = {}
        """What ``apply`` and ``reads`` remember as long as the connection lives."""
        self._connection: Connection | None = None

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.database.name

    @property
    def read_only(self) -> bool:
        """True when it was opened for looking only."""
        return self.database.read_only

    @property
    def connection(self) -> Connection:
        """The kept connection, made anew when it was lost.

        Raises:
            StatustuiError: the store can not be opened, is newer, or is not ours.
        """
        if self._connection is not None and self.database.moved():
            self.drop()
            raise StoreUnavailable(f"{display_url(self.url)} was removed or replaced")
        if self._connection is None:
            with self._translated():
                self._connection = self._open()
        return self._connection

    def _open(self) -> Connection:
        connection = self.database.connect(create=self.create)
        try:
            version = self.database.version(connection)
            if version is None or (version < schema.SCHEMA_VERSION and self.create):
                if not self.create:
                    raise NoStore(f"{display_url(self.url)}: there is no store yet")
                _prepare(self, connection)
            elif version > schema.SCHEMA_VERSION:
                _check_newer(self, connection, version)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that may write; undone when the block raises.

        Raises:
            StoreBusy: somebody else holds the store; nothing was changed.
            StoreUnavailable: the store failed; nothing was changed, or (rarely) the answer to the commit was lost.
        """
        connection = self.connection
        with self._translated():
            self.database.begin(connection)
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                self._undo(connection)
                raise
        self.changes += 1

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One short transaction that sees the store at one moment.

        Raises:
            StoreUnavailable: the store failed.
        """
        connection = self.connection
        with self._translated():
            connection.exec_driver_sql(self.database.begin_read)
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                self._undo(connection)
                raise

    def _undo(self, connection: Connection) -> None:
        try:
            connection.exec_driver_sql("ROLLBACK")
        except (DBAPIError, InvalidRequestError):
            self.drop()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of the database become one line that says what is wrong."""
        try:
            yield
        except (DataError, IntegrityError):
            raise  # About the values, not about the store.
        except DBAPIError as error:
            said = self.database.explain(error.orig or error)
            if self.database.busy(error):
                raise StoreBusy(said) from error
            self.drop()
            raise StoreUnavailable(said) from error

    def drop(self) -> None:
        """Give the connection up; the next use makes a new one."""
        connection, self._connection = self._connection, None
        self.cache.clear()
        if connection is not None:
            with suppress(DBAPIError, InvalidRequestError):
                connection.close()
            connection.engine.dispose()

    def close(self) -> None:
        """Close the connection."""
        self.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(url: str, *, create: bool = True, read_only: bool = False, timeout: float = 5.0) -> Store:
    """Open a store, and make or upgrade its tables where *create* allows it.

    Args:
        url: a path or URL, as ``urls.canonical_url`` takes it.
        create: make the file, the directory and the tables where they are missing. A viewer never does.
        read_only: for looking only; the database itself refuses writes.
        timeout: seconds to wait for a lock, a connection or an answer.

    Raises:
        NoStore: there is none, and it may not be made.
        StoreUnavailable: it can not be reached.
        StoreNewer: it needs a newer statustui.
        NotOurStore: it is a database of something else.
    """
    url = canonical_url(url)
    kind = Sqlite if url.startswith("sqlite") else Postgres
    store = Store(url, kind(url, read_only=read_only, timeout=timeout), create=create and not read_only)
    try:
        _ = store.connection
    except StatustuiError:
        store.close()
        raise
    return store


def _check_newer(store: Store, connection: Connection, version: int) -> None:
    """A newer schema is fine as long as it says so: additive changes lock no older environment out."""
    known = {row[0]: row[1] for row in connection.execute(select(schema.meta.c.key, schema.meta.c.value))}
    needed = known.get("min_reader" if store.read_only else "min_writer", str(version))
    if int(needed) > schema.SCHEMA_VERSION:
        raise StoreNewer(
            f"{display_url(store.url)} has schema {version}, this statustui knows {schema.SCHEMA_VERSION}:"
            " upgrade it (pip install -U statustui)"
        )


def _prepare(store: Store, connection: Connection) -> None:
    """Make the tables, or bring older ones up to date; whoever comes second finds it done."""
    store.database.begin(connection)
    try:
        store.database.lock_schema(connection)
        version = store.database.version(connection) if store.dialect == "sqlite" else _pg_version(store, connection)
        if version is None:
            schema.metadata.create_all(connection)
            create_views(connection)
            create_item_views(connection)
            store.database.guard(connection)
            connection.execute(insert(schema.revisions).values(version_num=schema.REVISION))
            _describe(connection)
        elif version < schema.SCHEMA_VERSION:
            from statustui.store.migrate import upgrade  # alembic takes 0.3 s to import

            upgrade(connection)
            _describe(connection)
        store.database.stamp(connection, schema.SCHEMA_VERSION)
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        with suppress(DBAPIError, InvalidRequestError):
            connection.exec_driver_sql("ROLLBACK")
        raise


def _pg_version(store: Store, connection: Connection) -> int | None:
    """The version, asked so that a missing table does not spoil the transaction."""
    if connection.exec_driver_sql("SELECT to_regclass('meta')").scalar() is None:
        return None
    return store.database.version(connection)


def _describe(connection: Connection) -> None:
    values = {
        "schema": str(schema.SCHEMA_VERSION),
        "min_reader": str(schema.MIN_READER),
        "min_writer": str(schema.MIN_WRITER),
        "changes": "0",
        "made_at": to_text(utc_now()),
    }
    there = set(connection.execute(select(schema.meta.c.key)).scalars())
    for key, value in values.items():
        if key not in there:
            connection.execute(insert(schema.meta).values(key=key, value=value))
        elif key in ("schema", "min_reader", "min_writer"):
            connection.execute(schema.meta.update().where(schema.meta.c.key == key).values(value=value))
