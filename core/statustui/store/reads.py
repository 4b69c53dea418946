"""What viewers ask: short reads on the kept connection, each answered by an index made for it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, func, literal_column, select

from statustui.model.run import Host, Request, Run, RunDetail, Snapshot, Subtask, TaskStats
from statustui.model.status import RequestState, RunStatus
from statustui.model.times import from_epoch, to_epoch, utc_now
from statustui.store import records, sound
from statustui.store.open import Store
from statustui.store.records import SELECT_EVENTS, SELECT_HOSTS, SELECT_REQUESTS, SELECT_RUN, SELECT_TASKS
from statustui.store.rows import unpack_samples
from statustui.store.schema import events, meta, run_counts, run_details, subtasks, tasks
from statustui.store.schema import hosts as hosts_table
from statustui.store.schema import requests as requests_table
from statustui.store.schema import runs as runs_table
from statustui.store.selector import Selector
from statustui.store.sqlite import ask, data_version

_RUNNING_LIMIT = 10_000
_BAD_LIMIT = 1_000
_RECENT = 20
_EVENTS = 1_000
_SUBTASKS = 100_000
_CHAIN = 100
_FOUND = 200
_DONE_FOR = timedelta(minutes=1)
_WORDS = frozenset(status.value for status in RunStatus)
_NAMES: BindParameter[Any] = bindparam("names", expanding=True)

_RUNNING = SELECT_RUN.where(runs_table.c.ended_at.is_(None)).order_by(runs_table.c.id).limit(_RUNNING_LIMIT)
_BAD = (
    SELECT_RUN.where(runs_table.c.attention_at >= bindparam("since"))
    .order_by(runs_table.c.attention_at.desc())
    .limit(_BAD_LIMIT)
)
_NEWEST = SELECT_RUN.where(runs_table.c.ended_at.is_not(None)).order_by(runs_table.c.ended_at.desc()).limit(_RECENT)
# Two questions, one index each: with OR between them SQLite reads the whole table.
_OPEN_REQUESTS = SELECT_REQUESTS.where(requests_table.c.done_at.is_(None))
_LATE_REQUESTS = SELECT_REQUESTS.where(requests_table.c.done_at >= bindparam("since"))
_HOURS = (
    select(run_counts.c.status, func.sum(run_counts.c.n))
    .where(run_counts.c.hour > bindparam("hour"))
    .group_by(run_counts.c.status)
)
_PART_OF_HOUR = (
    select(runs_table.c.status, func.count())
    .where(runs_table.c.ended_at >= bindparam("since"), runs_table.c.ended_at < bindparam("until"))
    .group_by(runs_table.c.status)
)
_TOTAL = select(func.coalesce(func.sum(run_counts.c.n), 0)).where(run_counts.c.hour == 0)
_TASK_REVS = select(tasks.c.name, tasks.c.rev).where(tasks.c.name.in_(_NAMES))
_TASKS = SELECT_TASKS.where(tasks.c.name.in_(_NAMES))
# Drainers raise the rev of their own host's row, people's changes a counter in meta: nobody waits for a counter.
_PG_TOKEN = select(
    select(func.coalesce(func.sum(hosts_table.c.rev), 0)).scalar_subquery(),
    select(meta.c.value).where(meta.c.key == "changes").scalar_subquery(),
    literal_column("clock_timestamp()"),
)
# Each is the end of an index. A run that ends by a clock behind another host's may pass unseen: its tick shows it.
_NEWS = (
    "SELECT (SELECT max(id) FROM runs), (SELECT max(ended_at) FROM runs WHERE ended_at IS NOT NULL),"
    " (SELECT max(id) FROM requests), (SELECT max(done_at) FROM requests)"
)


def token(store: Store) -> object:
    """A value that changes whenever anything in the store has changed; one query."""
    return _token(store, store.connection)[0]


def news(store: Store) -> object:
    """A value that changes when a run began or ended or somebody asked for something; one query.

    All else does not change it: counters, messages, subtasks, logs, items, samples, the beats of hosts.
    """
    connection = store.connection
    if store.dialect == "sqlite":
        return ask(connection, _NEWS)
    return tuple(connection.exec_driver_sql(_NEWS).one())


def _token(store: Store, connection: Connection) -> tuple[object, datetime]:
    """The change token, and the time by the store's clock."""
    if store.dialect == "sqlite":
        version = data_version(connection)
        return (id(connection), version, store.changes), utc_now()
    revs, changes, now = connection.execute(_PG_TOKEN).one()
    return (int(revs), changes, store.changes), now


def snapshot(store: Store, *, since: datetime, now: datetime | None = None) -> Snapshot:
    """Everything that one refresh of the monitor needs, read at one moment.

    Args:
        store: the store.
        since: start of the window for bad ends and counts.
        now: the present time; the store's own clock when None.
    """
    connection = store.connection
    # Before the reads: what changes meanwhile is then seen by the next look.
    version, clock = _token(store, connection)
    now = now or clock
    with store.read() as connection:
        running = _runs(connection, _RUNNING)
        return Snapshot(
            at=now,
            token=version,
            running=running,
            ended=_runs(connection, _BAD, since=since),
            recent=_runs(connection, _NEWEST),
            counts=_counts(connection, since, running),
            hosts=_hosts(connection, now),
            requests=(
                *_requests(connection, _LATE_REQUESTS, since=now - _DONE_FOR),
                *_requests(connection, _OPEN_REQUESTS),
            ),
            stats=_stats(store, connection, {run.task for run in running}),
            since=since,
            total_runs=_whole(connection.execute(_TOTAL).scalar_one()),
        )


def _runs(connection: Connection, statement: Any, **values: Any) -> tuple[Run, ...]:
    return tuple(records.run(row) for row in connection.execute(statement, values).all())


def _counts(connection: Connection, since: datetime, running: Sequence[Run]) -> dict[RunStatus, int]:
    """Runs by status: counters for whole hours, the index for the rest of the first one."""
    hour = int(to_epoch(since) // 3600)
    found: dict[RunStatus, int] = {}
    whole = connection.execute(_HOURS, {"hour": max(hour, 0)}).all()
    part = connection.execute(_PART_OF_HOUR, {"since": since, "until": from_epoch((hour + 1) * 3600)}).all()
    for word, number in (*whole, *part):
        if isinstance(number, (int, Decimal)) and number and word in _WORDS:
            status = RunStatus(word)
            found[status] = found.get(status, 0) + int(number)
    for run in running:
        found[run.status] = found.get(run.status, 0) + 1
    return found


def _whole(number: object) -> int:
    return int(number) if isinstance(number, (int, Decimal)) else 0


def _hosts(connection: Connection, now: datetime) -> tuple[Host, ...]:
    found = [records.host(row, now) for row in connection.execute(SELECT_HOSTS).mappings().all()]
    return tuple(sorted(found, key=lambda host: (host.host, host.user or "", host.machine)))


def _requests(connection: Connection, statement: Any, **values: Any) -> tuple[Request, ...]:
    return records.known_requests(connection.execute(statement, values).mappings().all())


def _stats(store: Store, connection: Connection, names: Iterable[str]) -> dict[str, TaskStats]:
    """Statistics of tasks; parsed again only when a task's row has changed."""
    wanted = sorted(set(names))
    cached: dict[str, tuple[int, TaskStats]] = store.cache.setdefault("stats", {})
    revs: dict[str, int] = {}
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        revs.update({row[0]: row[1] for row in connection.execute(_TASK_REVS, {"names": part}).all()})
    old = [name for name, rev in revs.items() if name not in cached or cached[name][0] != rev]
    for start in range(0, len(old), 500):
        for row in connection.execute(_TASKS, {"names": old[start : start + 500]}).mappings().all():
            cached[row["name"]] = (row["rev"], records.stats(row))
    return {name: cached[name][1] for name in revs}


def runs(store: Store, selector: Selector, limit: int = 50, before: int | None = None) -> list[Run]:
    """Runs that match, the newest first: by their start, also those that were imported lately.

    Where more is asked than times, it is the largest id first, which the indexes of tasks and statuses answer.

    Args:
        store: the store.
        selector: which.
        limit: at most so many.
        before: only what comes after the run of this id: the next page.
    """
    statement = SELECT_RUN.where(*selector.conditions()).limit(limit)
    started, number = runs_table.c.started_at, runs_table.c.id
    with store.read() as connection:
        if not selector.only_times():
            statement = statement.order_by(number.desc())
            return list(_runs(connection, statement if before is None else statement.where(number < before)))
        statement = statement.order_by(started.desc(), number.desc())
        if before is not None:
            at = connection.execute(select(started).where(number == before)).scalar_one_or_none()
            after = number < before if at is None else (started < at) | (number < before)
            statement = statement.where(after) if at is None else statement.where(started <= at, after)
        return list(_runs(connection, statement))


def count(store: Store, selector: Selector) -> int:
    """How many runs match."""
    statement = select(func.count()).select_from(runs_table).where(*selector.conditions())
    with store.read() as connection:
        return int(connection.execute(statement).scalar_one())


def find(store: Store, text: str) -> list[Run]:
    """Runs that a person means by *text*: a short id, else a task's name (its latest runs), else the start of a run_id.

    Returns:
        At most 200 runs, the newest first; open ones of a task are always among them.
    """
    text = text.strip()
    newest = SELECT_RUN.order_by(runs_table.c.id.desc()).limit(_FOUND)
    with store.read() as connection:
        if text.isascii() and text.isdigit() and len(text) < 19:
            found = _runs(connection, newest.where(runs_table.c.id == int(text)))
            if found:
                return list(found)
        of_task = {run.id: run for run in _runs(connection, newest.where(runs_table.c.task == text))}
        if of_task:
            still_open = newest.where(runs_table.c.task == text, runs_table.c.ended_at.is_(None))
            of_task |= {run.id: run for run in _runs(connection, still_open)}
            return sorted(of_task.values(), key=lambda run: -run.id)
        start = text.lower()
        if len(start) < 4 or set(start) - set("0123456789abcdef-"):
            exact = newest.where(runs_table.c.run_id == text)
            return list(_runs(connection, exact))
        return list(_runs(connection, newest.where(runs_table.c.run_id >= start, runs_table.c.run_id < start + "g")))


def detail(store: Store, run_id: str) -> RunDetail:
    """Everything that the store holds of one run.

    Raises:
        KeyError: there is no such run.
    """
    with store.read() as connection:
        found = _runs(connection, SELECT_RUN.where(runs_table.c.run_id == run_id))
        if not found:
            raise KeyError(run_id)
        run = found[0]
        row = connection.execute(select(run_details).where(run_details.c.run == run.id)).mappings().first()
        more = dict(row) if row is not None else {}
        of_run = select(subtasks).where(subtasks.c.run == run.id).order_by(subtasks.c.number).limit(_SUBTASKS)
        told = SELECT_EVENTS.where(events.c.run == run.id).order_by(events.c.id.desc()).limit(_EVENTS)
        asked = SELECT_REQUESTS.where(requests_table.c.run_id == run_id).order_by(requests_table.c.id)
        children = SELECT_RUN.where(runs_table.c.parent_run_id == run_id).order_by(runs_table.c.id).limit(_FOUND)
        return RunDetail(
            run=run,
            error_detail=sound.text(more.get("error_detail")),
            log_tail=tuple(map(str, sound.items(more.get("log_tail")))),
            environment=sound.table(more.get("environment")),
            params=sound.table(more.get("params")),
            metrics=sound.table(more.get("metrics")),
            samples=tuple(unpack_samples(more.get("samples"))),
            subtasks=_named(map(records.subtask, connection.execute(of_run).mappings().all())),
            events=tuple(map(records.event, reversed(connection.execute(told).mappings().all()))),
            attempts=_attempts(connection, run),
            children=_runs(connection, children),
            requests=_requests(connection, asked),
        )


def _named(found: Iterable[Subtask]) -> tuple[Subtask, ...]:
    """Without headings that have neither a name nor anything below them: what was taken for a subtask, and was none."""
    all_of_it = tuple(found)
    parents = {one.parent for one in all_of_it}
    return tuple(one for one in all_of_it if not one.heading or one.name or one.number in parents)


def _attempts(connection: Connection, run: Run) -> tuple[Run, ...]:
    """All attempts of the chain of *run*, oldest first."""
    chain = {run.run_id: run}
    before = run.retry_of
    while before is not None and before not in chain and len(chain) < _CHAIN:
        found = _runs(connection, SELECT_RUN.where(runs_table.c.run_id == before))
        if not found:
            break
        chain[before] = found[0]
        before = found[0].retry_of
    fresh = list(chain)
    while fresh and len(chain) < _CHAIN:
        later = _runs(connection, SELECT_RUN.where(runs_table.c.retry_of.in_(fresh)).limit(_CHAIN))
        fresh = [r.run_id for r in later if r.run_id not in chain]
        chain |= {r.run_id: r for r in later}
    return tuple(sorted(chain.values(), key=lambda r: (r.attempt, r.id)))


def stats(store: Store, names: Iterable[str]) -> dict[str, TaskStats]:
    """What the past runs of these tasks tell; a task never seen is left out."""
    with store.read() as connection:
        return _stats(store, connection, names)


def hosts(store: Store) -> list[Host]:
    """Machines and users whose drainer has been heard of."""
    _, now = _token(store, store.connection)
    with store.read() as connection:
        return list(_hosts(connection, now))


def requests(store: Store, states: Iterable[RequestState] = ()) -> list[Request]:
    """What people asked for, in these states (all when none is given), oldest first."""
    wanted = [state.value for state in states]
    statement = SELECT_REQUESTS.order_by(requests_table.c.id)
    if wanted:
        statement = statement.where(requests_table.c.state.in_(wanted))
    with store.read() as connection:
        return list(_requests(connection, statement))
