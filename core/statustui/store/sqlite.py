"""What is peculiar to a store in an SQLite file."""

import os
import random
import sqlite3
import time
from functools import partial
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from statustui.places import on_network
from statustui.store import files, schema
from statustui.store.errors import NotOurStore
from statustui.store.sound import decoded
from statustui.store.views import VIEWS

_PRAGMAS = (
    "PRAGMA synchronous=NORMAL",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    "PRAGMA mmap_size=0",
    "PRAGMA journal_size_limit=67108864",
    # Whoever fills these pages brings them into the file, which takes two fsyncs: at SQLite's 1,000 it was one batch in
    # fifty.
    "PRAGMA wal_autocheckpoint=4000",
)
# What we write is shorter by far: a cell of a gigabyte must not end a reader.
_LONGEST = 16 << 20
# SQLite's own waiting backs off to 0.1 s: with eight writers the unlucky one came 15 times too late.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.0005, 0.01


class Sqlite:
    """Opens one SQLite file."""

    name = "sqlite"
    begin_read = "BEGIN"
    lock_rows = False
    """IMMEDIATE locks the whole file: rows need no locks of their own."""

    def __init__(self, url: str, *, read_only: bool, timeout: float) -> None:
        self.path = url.partition("///")[2]
        self.read_only = read_only
        self.timeout = timeout
        self._inode: tuple[int, int] | None = None

    def connect(self, *, create: bool) -> Connection:
        """Open the file after looking at it.

        Raises:
            StatustuiError: one of ``store.errors``.
        """
        if create:
            files.make(self.path)
        self._inode = files.check(self.path)
        connection = self._engine().connect()
        try:
            if self.read_only:
                self._check_readable(connection)
            elif create:
                self.version(connection)  # before anything is written: it may be another program's
                self._wal(connection)
            for pragma in _PRAGMAS:
                connection.exec_driver_sql(pragma)
        except BaseException:
            connection.close()
            raise
        return connection

    def _engine(self) -> Engine:
        return create_engine("sqlite://", creator=self._open, poolclass=NullPool, json_deserializer=decoded)

    def _open(self) -> sqlite3.Connection:
        mode = "ro" if self.read_only else "rw"
        uri = f"file:{quote(self.path)}?mode={mode}"
        if self.read_only and not os.access(os.path.dirname(self.path), os.W_OK) and not _has_wal(self.path):
            # Without a -wal, and where none can be made, only this opens; nothing can be newer than the file then.
            uri += "&immutable=1"
        connection = sqlite3.connect(
            uri, uri=True, timeout=self.timeout, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        # Text that another program stored may be no UTF-8: it is shown with replacement characters, not raised over.
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        return connection

    def _check_readable(self, connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA query_only=ON")

    def _wal(self, connection: Connection) -> None:
        """Switch to the write-ahead log; the busy handler does not cover this, so it is tried for a while."""
        if on_network(self.path):
            return
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL").fetchall()
                return
            except Exception as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def begin(self, connection: Connection) -> None:
        """Begin a transaction that may write, as soon as whoever writes now is done.

        Raises:
            OperationalError: not within the timeout.
        """
        deadline = time.monotonic() + self.timeout
        pause = _FIRST_PAUSE_S
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
        try:
            while True:
                try:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                    return
                except OperationalError as error:
                    if not self.busy(error) or time.monotonic() >= deadline:
                        raise
                time.sleep(pause * random.uniform(0.5, 1.5))
                pause = min(pause * 1.2, _LONGEST_PAUSE_S)
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={self.timeout * 1000:.0f}")

    def moved(self) -> bool:
        """True when the file was removed or replaced: SQLite itself goes on with the nameless one."""
        return files.inode(self.path) != self._inode

    def version(self, connection: Connection) -> int | None:
        """Schema version; None when the file is empty.

        Raises:
            NotOurStore: it is somebody else's database.
        """
        for _ in range(2):  # its tables may be made between these questions: then the second time tells
            application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if application == schema.APPLICATION_ID:
                self._check_objects(connection)
                return int(version)
            rows = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
            if application == 0 and version == 0 and rows == 0:
                return None
        raise NotOurStore(f"{self.path} is a database of another program: choose another file (--store)")

    def _check_objects(self, connection: Connection) -> None:
        """Refuse what is not ours and would run inside our statements: triggers, views, tables that are code."""
        found = connection.exec_driver_sql(
            "SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view')"
            " UNION ALL SELECT 'virtual table', name FROM sqlite_master"
            " WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL%'"
        ).fetchall()
        for kind, name in found:
            if kind != "view" or (name not in VIEWS and not f"{name}_".startswith("status_")):
                raise NotOurStore(f"{self.path} has a {kind} {name!r} that is not statustui's: drop it to go on")

    def stamp(self, connection: Connection, version: int) -> None:
        """Write whose file this is and its schema version, within the present transaction."""
        connection.exec_driver_sql(f"PRAGMA application_id={schema.APPLICATION_ID:d}")
        connection.exec_driver_sql(f"PRAGMA user_version={version:d}")

    def lock_schema(self, connection: Connection) -> None:
        """Nothing: the IMMEDIATE transaction is the lock."""

    def guard(self, connection: Connection) -> None:
        """Nothing: who may write to the file is all that SQLite knows of rights."""

    def role(self, connection: Connection) -> str | None:
        """SQLite knows nobody by name."""
        return None

    def distrust(self, role: str | None, me: str | None, operators: tuple[str, ...]) -> str | None:
        """Why a request in this file does not count; None when only its owner can have written it."""
        if files.private(self.path):
            return None
        return "others can write this SQLite file, so it can not tell who asks: do it as the run's owner"

    def busy(self, error: BaseException) -> bool:
        """True for an error that passes by itself."""
        return "database is locked" in str(error)

    def explain(self, error: BaseException) -> str:
        """One line about what the database said."""
        said = " ".join(str(error).split())
        if "not a database" in said:
            said += " of SQLite: choose another file (--store), or move this one away; a new store is then made"
        return f"{self.path}: {said}"


def data_version(connection: Connection) -> int:
    """A number that changes with every commit of another connection.

    Raises:
        DBAPIError: as for any statement.
    """
    return int(ask(connection, "PRAGMA data_version")[0])


def ask(connection: Connection, question: str) -> tuple[Any, ...]:
    """The first row that answers a question which viewers ask several times a second for as long as they are open.

    Asked of the driver itself it costs a tenth.

    Raises:
        DBAPIError: as for any statement.
    """
    raw = connection.connection.dbapi_connection
    if not isinstance(raw, sqlite3.Connection):
        return tuple(connection.exec_driver_sql(question).one())
    try:
        return tuple(raw.execute(question).fetchone())
    except sqlite3.Error as error:
        raise DBAPIError.instance(question, None, error, sqlite3.Error) from error


def _has_wal(path: str) -> bool:
    return os.path.exists(path + "-wal")
