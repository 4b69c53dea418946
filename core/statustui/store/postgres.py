"""What is peculiar to a store in PostgreSQL."""

from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, ProgrammingError
from sqlalchemy.pool import NullPool

from statustui.store.errors import StoreUnavailable
from statustui.store.sound import decoded
from statustui.urls import display_url

SCHEMA = "statustui"
"""All our tables live in a schema of their own: the database may belong to somebody else's tables too."""
_LOCK = 0x7374_5549_0001
_UNDEFINED = {"42P01", "3F000"}
_PASSING = {"40001", "40P01", "55P03", "57014"}
_PREPARED_AFTER = 3

ROLE_GUARD = (
    """
CREATE FUNCTION requests_role() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.role := CASE WHEN TG_OP = 'INSERT' THEN session_user ELSE OLD.role END;
    IF TG_OP = 'UPDATE' AND (
        (NEW.id, NEW.kind, NEW.run_id, NEW.machine, NEW.asked_by, NEW.asked_from, NEW.asked_at, NEW.reason)
        IS DISTINCT FROM
        (OLD.id, OLD.kind, OLD.run_id, OLD.machine, OLD.asked_by, OLD.asked_from, OLD.asked_at, OLD.reason)
        OR (OLD.done_at IS NOT NULL AND NEW.done_at IS DISTINCT FROM OLD.done_at)
        OR (OLD.state <> 'asked' AND NEW.state = 'asked')
    ) THEN
        RAISE EXCEPTION 'what somebody asked for can be answered, not changed' USING ERRCODE = '42501';
    END IF;
    RETURN NEW;
END $$
""",
    """
CREATE TRIGGER requests_role BEFORE INSERT OR UPDATE ON requests FOR EACH ROW EXECUTE FUNCTION requests_role()
""",
)
"""Makes the server itself write down which role asks; else another role could rewrite what the owner asked for."""


class Postgres:
    """Opens one PostgreSQL database."""

    name = "postgresql"
    begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    lock_rows = True

    def __init__(self, url: str, *, read_only: bool, timeout: float) -> None:
        self._url = url
        self.read_only = read_only
        self.timeout = timeout

    def connect(self, *, create: bool) -> Connection:
        """Connect, and set what a session needs.

        Raises:
            StoreUnavailable: the driver is missing or the URL makes no sense.
        """
        try:
            engine = create_engine(
                make_url(self._url),
                poolclass=NullPool,
                isolation_level="AUTOCOMMIT",
                connect_args=self._arguments(),
                use_native_hstore=False,
                json_deserializer=decoded,
            )
        except ModuleNotFoundError as error:
            raise StoreUnavailable("PostgreSQL needs its driver: pip install 'statustui[postgres]'") from error
        except ArgumentError as error:
            raise StoreUnavailable(f"{display_url(self._url)}: {error}") from error
        event.listen(engine, "do_connect", self._patiently)
        event.listen(engine, "connect", self._prepare)
        connection = engine.connect()
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            connection.close()
            raise StoreUnavailable(f"{display_url(self._url)}: its encoding is {encoding}; use a UTF8 database")
        return connection

    def _arguments(self) -> dict[str, Any]:
        seconds = max(2, round(self.timeout))  # libpq takes nothing shorter than 2.
        return {
            "connect_timeout": seconds,
            # Both are needed: one ends a query that waits for its answer, the other one that can not be sent.
            "tcp_user_timeout": seconds * 1000,
            "keepalives": 1,
            "keepalives_idle": 2,
            "keepalives_interval": 1,
            "keepalives_count": 3,
            "application_name": "statustui",
            # Until it is known that no pooler is between us and the server.
            "prepare_threshold": None,
        }

    @property
    def _statement_s(self) -> float:
        """When the server ends a statement, in seconds; somewhat later the client gives the connection up."""
        return max(self.timeout, 3.0) * 4

    def _patiently(self, _dialect: Any, _record: Any, args: Any, arguments: Any) -> Any:
        from statustui.store.patience import PatientConnection

        made = PatientConnection.connect(*args, **arguments)
        made.limit_s = self._statement_s + 3.0
        return made

    def _prepare(self, connection: Any, _record: Any) -> None:
        answer, wait = int(self._statement_s * 1000), int(self.timeout * 1000)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_backend_pid(), set_config('search_path', %s, false),"
                " set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false),"
                " set_config('timezone', 'UTC', false),"
                " set_config('idle_in_transaction_session_timeout', '30000', false),"
                " set_config('default_transaction_read_only', %s, false)",
                (f"{SCHEMA}, pg_catalog", str(answer), str(wait), "on" if self.read_only else "off"),
            )
            process = cursor.fetchone()[0]
        if not self.read_only and process == connection.info.backend_pid:
            # A pooler tells a number of its own: it may hand each transaction to another session, which knows nothing
            # of what was prepared. To plan the same statements for each batch took a fifth of the server's time.
            connection.prepare_threshold = _PREPARED_AFTER

    def begin(self, connection: Connection) -> None:
        """Begin a transaction that may write."""
        connection.exec_driver_sql("BEGIN")

    def moved(self) -> bool:
        """Never: a server does not lose its database unnoticed."""
        return False

    def version(self, connection: Connection) -> int | None:
        """Schema version; None when there are no tables of ours."""
        try:
            found = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'schema'").scalar()
        except ProgrammingError as error:
            if getattr(error.orig, "sqlstate", None) in _UNDEFINED:
                return None
            raise
        return int(found) if found is not None else None

    def stamp(self, connection: Connection, version: int) -> None:
        """Nothing: the version stands in the table ``meta``."""

    def lock_schema(self, connection: Connection) -> None:
        """One at a time makes or changes the tables; the lock goes with the transaction."""
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        exists = connection.exec_driver_sql(
            "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", (SCHEMA,)
        ).scalar()
        if not exists:
            connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")

    def guard(self, connection: Connection) -> None:
        """The server itself writes down which role asks: no client can ask in another's name."""
        for statement in ROLE_GUARD:
            connection.exec_driver_sql(statement)

    def role(self, connection: Connection) -> str | None:
        """The database role of this session."""
        return str(connection.exec_driver_sql("SELECT session_user").scalar_one())

    def distrust(self, role: str | None, me: str | None, operators: tuple[str, ...]) -> str | None:
        """Why a request does not count; None when the same role asked, or one that the owner lists."""
        if role is not None and (role == me or role in operators):
            return None
        return f"database role {role} is not among the operators of this run's owner"

    def busy(self, error: BaseException) -> bool:
        """True for an error that passes by itself: deadlock, lock or statement timeout."""
        return getattr(getattr(error, "orig", None), "sqlstate", None) in _PASSING

    def explain(self, error: BaseException) -> str:
        """One line about what the server said, without the password."""
        return f"{display_url(self._url)}: {' '.join(str(error).split())}"
