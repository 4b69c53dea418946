"""Past runs by the hundred thousand, brought in as if each had been recorded: rows, trail, counters, tasks.

Applying a record costs some 100 µs, most of it for what a run may still become. A run that is over becomes nothing
any more, so its rows are made at once and go in by one statement for thousands of them.
"""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from statustui.model.status import BAD_RUN_STATUSES, RunStatus
from statustui.model.times import from_epoch
from statustui.store import save, statistics
from statustui.store.errors import StoreBusy
from statustui.store.load import parts, states_of
from statustui.store.open import Store
from statustui.store.requests import note_change
from statustui.store.schema import events, runs, tasks

_TRIES = 5
_KEPT = 50
_BAD = frozenset(status.value for status in BAD_RUN_STATUSES)
_FINISHED = RunStatus.FINISHED.value
_CANCELLED = RunStatus.CANCELLED.value

# In the order of the tables: so the statement that is made of them has its values.
RUN_COLUMNS = (
    "id", "run_id", "rev", "task", "task_rank", "stage", "type", "args", "status", "attempt", "retry_of", "host",
    "user", "started_at", "ended_at", "last_update", "duration_s", "overall_message", "error_type", "error_message",
    "fingerprint", "exit_code", "resolved", "attention_at",
)  # fmt: skip
EVENT_COLUMNS = ("id", "at", "run", "task", "kind", "status", "message")

# One parameter however many ids there are: as many parameters as ids cost more than the look-up.
_KNOWN = {
    "sqlite": text("SELECT run_id FROM runs WHERE run_id IN (SELECT value FROM json_each(:ids))"),
    "postgresql": text("SELECT run_id FROM runs WHERE run_id = ANY(CAST(:ids AS text[]))"),
}
_FOLLOWED = {
    "sqlite": text("SELECT retry_of FROM runs WHERE retry_of IN (SELECT value FROM json_each(:ids))"),
    "postgresql": text("SELECT retry_of FROM runs WHERE retry_of = ANY(CAST(:ids AS text[]))"),
}
# AUTOINCREMENT: no number is given twice, so the sequence counts too.
_NEXT = text(
    "SELECT max(coalesce((SELECT max(id) FROM runs), 0),"
    " coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'runs'), 0)),"
    " max(coalesce((SELECT max(id) FROM events), 0),"
    " coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0))"
)
# Others take numbers meanwhile: ours need not be an unbroken row.
_TAKE = text(
    "WITH sequence AS MATERIALIZED (SELECT CAST(pg_get_serial_sequence(:name, 'id') AS regclass) AS named)"
    " SELECT nextval(named) FROM sequence, generate_series(1, :n)"
)
_RESOLVE = (
    update(runs)
    .where(runs.c.task == bindparam("b_task"), runs.c.attention_at.is_not(None))
    .where(runs.c.started_at <= bindparam("b_started"))
    .values(attention_at=None, resolved=True, rev=runs.c.rev + 1)
)
_WAITING = (
    select(runs.c.task)
    .where(runs.c.task.in_(bindparam("names", expanding=True)), runs.c.attention_at.is_not(None))
    .distinct()
)
# As an expression: else a planner without statistics reads the finished runs of all tasks by the index of statuses.
_IS_FINISHED = runs.c.status.concat("") == _FINISHED
_LATEST = (
    select(runs.c.id)
    .where(runs.c.task == bindparam("task"), _IS_FINISHED)
    .order_by(runs.c.ended_at.desc(), runs.c.id.desc())
    .limit(_KEPT)
)
_FINISHED_RUNS = select(func.count()).where(runs.c.task == bindparam("task"), _IS_FINISHED)
_TELL = (
    update(tasks)
    .where(tasks.c.name == bindparam("b_name"))
    .values({"rev": tasks.c.rev + 1} | {name: bindparam(name) for name in ("durations", "gaps", "profiles")})
)


class Past(NamedTuple):
    """One run that is over. Texts are clean and free of secrets; times are epoch seconds."""

    run_id: str
    task: str
    started: float
    ended: float
    duration: float
    """Seconds."""
    status: str
    """``finished``, ``failed``, ``cancelled`` or ``lost``."""
    stage: str | None = None
    type: str | None = None
    args: tuple[str, ...] = ()
    attempt: int = 1
    retry_of: str | None = None
    host: str | None = None
    user: str | None = None
    exit_code: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    fingerprint: str | None = None
    message: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """What became of some past runs."""

    new: int
    known: int
    """The store had them."""


def known(store: Store, run_ids: Iterable[str]) -> set[str]:
    """Those of *run_ids* that the store has.

    Raises:
        StoreUnavailable: the store failed.
    """
    with store.read() as connection:
        return _known(connection, run_ids)


def add(store: Store, past: Sequence[Past]) -> Stored:
    """Store runs that are over, in one transaction; those that the store has are passed over.

    What tasks tell of their past (durations and the like) is left to :func:`recount`, once at the end.

    Raises:
        StoreUnavailable: none of them was stored.
    """
    unique = {run.run_id: run for run in reversed(past)}
    for attempt in range(1, _TRIES + 1):
        try:
            with store.write() as connection:
                there = _known(connection, unique)
                fresh = sorted(
                    (run for run in unique.values() if run.run_id not in there),
                    key=lambda run: (run.started, run.run_id),
                )
                if fresh:
                    _Addition(store, connection, fresh).run()
            return Stored(new=len(fresh), known=len(past) - len(fresh))
        except (StoreBusy, IntegrityError):
            # Somebody else holds the store, or brings in the same runs.
            if attempt == _TRIES:
                raise
            time.sleep(0.02 * attempt)
    raise AssertionError("unreachable")


def _known(connection: Connection, run_ids: Iterable[str]) -> set[str]:
    return _ask(connection, _KNOWN, run_ids)


def _ask(connection: Connection, statements: dict[str, Any], ids: Iterable[str]) -> set[str]:
    dialect = connection.dialect.name
    given: Any = list(ids)
    return set(
        connection.execute(statements[dialect], {"ids": json.dumps(given) if dialect == "sqlite" else given}).scalars()
    )


class _Addition:
    """Runs that the store does not have, on their way into it."""

    def __init__(self, store: Store, connection: Connection, fresh: Sequence[Past]) -> None:
        self.store = store
        self.connection = connection
        self.fresh = fresh
        self.tasks = statistics.load_named(
            connection, {run.task for run in fresh}, time.time(), lock=store.database.lock_rows
        )

    def run(self) -> None:
        """Rows, trail, counters, tasks, and which bad ends are settled."""
        numbers, trail_numbers = _numbers(self.connection, len(self.fresh))
        good = self._good()
        superseded = {run.retry_of for run in self.fresh if run.retry_of and run.status in _BAD}
        rows: list[tuple[Any, ...]] = []
        trail: list[tuple[Any, ...]] = []
        moment = _moments(self.store.dialect)
        for index, (number, run) in enumerate(zip(numbers, self.fresh, strict=True)):
            started, ended = moment(run.started), moment(run.ended)
            before = good.get(run.task)
            settled = before is not None and run.status in _BAD and run.started <= before
            attention = ended if run.status in _BAD and not settled and run.run_id not in superseded else None
            rows.append(
                (
                    number, run.run_id, 1, run.task, 4, run.stage, run.type,
                    json.dumps(run.args) if run.args else None, run.status, run.attempt, run.retry_of, run.host,
                    run.user, started, ended, ended, run.duration, run.message, run.error_type, run.error_message,
                    run.fingerprint, run.exit_code, settled, attention,
                )
            )  # fmt: skip
            said = run.error_message or run.message
            trail.append((trail_numbers[2 * index], started, number, run.task, "started", "started", None))
            trail.append((trail_numbers[2 * index + 1], ended, number, run.task, "ended", run.status, said))
        put(self.connection, "runs", RUN_COLUMNS, rows)
        put(self.connection, "events", EVENT_COLUMNS, trail)
        self._count()
        self._tasks(numbers)
        self._settle(good)
        note_change(self.connection)

    def _good(self) -> dict[str, float]:
        """When the newest good run of each task began, what the store knows of it first."""
        good: dict[str, float] = {}
        for name, task in self.tasks.items():
            if task["good_started_at"] is not None:
                good[name] = task["good_started_at"].timestamp()
        for run in self.fresh:
            if run.status == _FINISHED and run.started >= good.get(run.task, run.started):
                good[run.task] = run.started
        return good

    def _count(self) -> None:
        counters: dict[tuple[int, str, str], int] = {(0, "all", ""): len(self.fresh)}
        for run in self.fresh:
            key = (int(run.ended // 3600), run.status, "")
            counters[key] = counters.get(key, 0) + 1
        save.count(self.connection, counters)

    def _tasks(self, numbers: Sequence[int]) -> None:
        changed: dict[str, statistics.Task] = {}
        for number, run in zip(numbers, self.fresh, strict=True):
            task = self.tasks[run.task]
            changed[run.task] = task
            started = from_epoch(run.started)
            if task["last_started_at"] is None or started >= task["last_started_at"]:
                task["last_started_at"], task["last_run"] = started, number
                task["stage"] = run.stage or task["stage"]
            if run.status != _CANCELLED:
                task["runs"] += 1
            if run.status == _FINISHED:
                task["finished"] += 1
                if task["good_started_at"] is None or started > task["good_started_at"]:
                    task["good_started_at"] = started
        statistics.store_tasks(self.connection, changed)

    def _settle(self, good: dict[str, float]) -> None:
        """Earlier bad ends that these runs make good, and attempts that others follow."""
        finished = {run.task for run in self.fresh if run.status == _FINISHED}
        for part in parts(sorted(finished)):
            if waiting := self.connection.execute(_WAITING, {"names": part}).scalars().all():
                self.connection.execute(
                    _RESOLVE, [{"b_task": name, "b_started": from_epoch(good[name])} for name in waiting]
                )
        linked = [run for run in self.fresh if run.retry_of]
        for run in linked:
            if run.status in _BAD:
                self.connection.execute(statistics.SUPERSEDE, {"b_run_id": run.retry_of})
            elif run.status == _FINISHED:
                statistics.resolve_chain(self.connection, run.retry_of)
        followed = _ask(self.connection, _FOLLOWED, [run.run_id for run in self.fresh])
        save.mark_followed(self.connection, {run.retry_of for run in linked} | followed, ())


def _moments(dialect: str) -> Any:
    """How the database keeps a time."""
    if dialect != "sqlite":
        return from_epoch

    def moment(at: float) -> str:
        return from_epoch(at).isoformat(timespec="microseconds")[:26] + "Z"

    return moment


def _numbers(connection: Connection, n: int) -> tuple[Sequence[int], Sequence[int]]:
    """Numbers for *n* runs, and for twice as many events, both rising."""
    if connection.dialect.name == "sqlite":
        run, event = connection.execute(_NEXT).one()
        return range(run + 1, run + n + 1), range(event + 1, event + 2 * n + 1)
    found = [
        connection.execute(_TAKE, {"name": name, "n": many}).scalars()
        for name, many in (("runs", n), ("events", 2 * n))
    ]
    return sorted(found[0]), sorted(found[1])


@cache
def _insert(dialect: Any, name: str, columns: tuple[str, ...]) -> str:
    table = runs if name == "runs" else events
    return str(insert(table).compile(dialect=dialect, column_keys=list(columns)))


def put(connection: Connection, name: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Insert rows of ``runs`` or ``events`` by the database's quickest way; values are as the database keeps them."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_insert(connection.dialect, name, columns), rows)
        return
    quote = connection.dialect.identifier_preparer.quote
    statement = f"COPY {quote(name)} ({', '.join(map(quote, columns))}) FROM STDIN"
    driver: Any = connection.connection.driver_connection
    base: Any = connection.dialect.loaded_dbapi
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except base.Error as error:
        raise DBAPIError.instance(statement, None, error, base.Error, dialect=connection.dialect) from error


def recount(store: Store, names: Iterable[str]) -> None:
    """Make durations, gaps and profiles of tasks those of their latest runs, whatever the order they came in.

    Raises:
        StoreUnavailable: the store failed; doing it again does no harm.
    """
    for part in parts(sorted(names)):
        for start in range(0, len(part), 20):
            with store.write() as connection:
                some = statistics.load_named(
                    connection, part[start : start + 20], time.time(), lock=store.database.lock_rows
                )
                changed = [told for name, task in some.items() if (told := _told(connection, name, task)) is not None]
                if changed:
                    connection.execute(_TELL, changed)
                    note_change(connection)


def _told(connection: Connection, name: str, task: statistics.Task) -> dict[str, Any] | None:
    """What a task's latest finished runs tell; None where that stands there already."""
    ids = connection.execute(_LATEST, {"task": name}).scalars().all()
    states = sorted(
        states_of(connection, ids).values(), key=lambda state: (state.ended_at or 0.0, state.id or 0), reverse=True
    )
    lists: dict[str, list[Any]] = {
        "durations": [round(state.duration_s or 0.0, 3) for state in states],
        "gaps": [statistics.longest_gap(state) for state in states],
        "profiles": [statistics.profile(state) for state in states],
    }
    if len(states) < _KEPT and task["finished"] > len(states):
        # Runs that were pruned are older than all that are left: what they told stays at the end.
        there = connection.execute(_FINISHED_RUNS, {"task": name}).scalar_one()
        for key, told in lists.items():
            told += (task[key] or [])[there:]
    found: dict[str, Any] = {
        "durations": lists["durations"][: statistics.DURATIONS] or None,
        "gaps": lists["gaps"][: statistics.DURATIONS] or None,
        "profiles": lists["profiles"][: statistics.PROFILES] or None,
    }
    plain = json.loads(json.dumps(found))
    if all(plain[key] == task[key] for key in plain):
        return None
    return found | {"b_name": name}
