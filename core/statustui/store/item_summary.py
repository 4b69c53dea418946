"""Pipelines in figures: from the counters, and what writers have appended to them and nobody has folded yet."""

from collections.abc import Iterable, Sequence
from datetime import date as Day
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, Connection, Date, Row, bindparam, func, select

from statustui.model import histogram
from statustui.model.item_state import READY, PipelineState
from statustui.model.items import Failure, FailureGroup, PipelineInfo, PipelineSummary, StepSummary
from statustui.model.status import ItemStatus
from statustui.store import item_definitions
from statustui.store.item_acks import acknowledged
from statustui.store.item_definitions import ordered, pipeline_of
from statustui.store.item_schema import item_counts, item_steps, pipelines, step_counts, step_deltas, step_totals
from statustui.store.item_schema import items as items_table
from statustui.store.open import Store

_FAILURES = 10
_PIPELINE: BindParameter[Any] = bindparam("pipeline")
_PERIODS: BindParameter[Any] = bindparam("periods", expanding=True)
_TOTALS = select(
    step_totals.c.step, step_totals.c.status, step_totals.c.n, step_totals.c.duration_us, step_totals.c.durations
).where(step_totals.c.pipeline == _PIPELINE)
_COUNTS = (
    select(step_counts.c.step, step_counts.c.status, func.sum(step_counts.c.n), func.sum(step_counts.c.duration_us))
    .where(step_counts.c.pipeline == _PIPELINE, step_counts.c.period.in_(_PERIODS))
    .group_by(step_counts.c.step, step_counts.c.status)
)
_DURATIONS = select(step_counts.c.step, step_counts.c.durations).where(
    step_counts.c.pipeline == _PIPELINE, step_counts.c.period.in_(_PERIODS), step_counts.c.durations.is_not(None)
)
_ITEMS = (
    select(item_counts.c.kind, item_counts.c.status, func.sum(item_counts.c.n))
    .where(item_counts.c.pipeline == _PIPELINE, item_counts.c.period.in_(_PERIODS))
    .group_by(item_counts.c.kind, item_counts.c.status)
)
_DELTAS = select(
    step_deltas.c.kind, step_deltas.c.step, step_deltas.c.status, step_deltas.c.n, step_deltas.c.duration_us,
    step_deltas.c.durations,
).where(step_deltas.c.pipeline == _PIPELINE)  # fmt: skip
_DELTAS_OF_RANGE = _DELTAS.where(step_deltas.c.date >= bindparam("since"), step_deltas.c.date <= bindparam("until"))
_DATED = (items_table.c.pipeline == _PIPELINE, items_table.c.date.is_not(None))
_DATES = select(
    select(func.min(items_table.c.date)).where(*_DATED).scalar_subquery(),
    select(func.max(items_table.c.date)).where(*_DATED).scalar_subquery(),
)
_FAILED = (
    select(
        items_table.c.id, items_table.c.key, items_table.c.kind, items_table.c.date, items_table.c.states,
        item_steps.c.step, item_steps.c.error, item_steps.c.completed_at, item_steps.c.number, item_steps.c.permanent,
        item_steps.c.fingerprint, item_steps.c.run_id, items_table.c.updated_at,
    )
    .select_from(item_steps.join(items_table, items_table.c.id == item_steps.c.item))
)  # fmt: skip
_LATEST = (
    select(items_table.c.id)
    .where(items_table.c.pipeline == _PIPELINE, items_table.c.failed_at.is_not(None))
    .order_by(items_table.c.failed_at.desc())
    .limit(_FAILURES)
)
# A function, so that the index of failures is walked, which has the date too, and not that of dates, to be sorted.
_DAY = func.date(items_table.c.date, type_=Date())
_THESE = _FAILED.where(
    items_table.c.id.in_(bindparam("ids", expanding=True)), item_steps.c.step == items_table.c.error_step
).order_by(items_table.c.failed_at.desc())
_ALL_FAILED = _FAILED.where(
    item_steps.c.status == "failed", item_steps.c.step.in_(bindparam("steps", expanding=True))
).order_by(item_steps.c.completed_at.desc(), items_table.c.id.desc())
_KINDS = select(
    items_table.c.pipeline, items_table.c.error_step, items_table.c.fingerprint, func.count().label("n"),
    func.max(items_table.c.failed_at).label("newest"), func.max(items_table.c.id).label("one"),
).group_by(items_table.c.pipeline, items_table.c.error_step, items_table.c.fingerprint)  # fmt: skip
_GROUPS = (
    _KINDS.where(items_table.c.pipeline.in_(bindparam("pipelines", expanding=True)))
    .where(items_table.c.failed_at >= bindparam("since"))
    .order_by(func.max(items_table.c.failed_at).desc())
    .limit(200)
)
_SINCE_ACK = _KINDS.where(
    items_table.c.pipeline == bindparam("pipeline"), items_table.c.error_step == bindparam("step"),
    items_table.c.fingerprint == bindparam("fingerprint"), items_table.c.failed_at > bindparam("at"),
)  # fmt: skip
_WORDS = select(items_table.c.id, items_table.c.key, items_table.c.last_error).where(
    items_table.c.id.in_(bindparam("ids", expanding=True))
)
_ABOUT = select(pipelines).where(pipelines.c.rev > 0).order_by(pipelines.c.name)
_BY_STATUS = (
    select(item_counts.c.pipeline, item_counts.c.status, func.sum(item_counts.c.n))
    .where(item_counts.c.period == "")
    .group_by(item_counts.c.pipeline, item_counts.c.status)
)
_NEW_BY_STATUS = (
    select(step_deltas.c.pipeline, step_deltas.c.status, func.sum(step_deltas.c.n))
    .where(step_deltas.c.step == 0)
    .group_by(step_deltas.c.pipeline, step_deltas.c.status)
)


class _Figures:
    """Sums by step and status."""

    def __init__(self) -> None:
        self.n: dict[tuple[int, str], int] = {}
        self.us: dict[int, int] = {}
        self.durations: dict[int, int] = {}
        self.kinds: dict[str, int] = {}
        self.statuses: dict[ItemStatus, int] = {}

    def add(self, step: int, status: str, n: int, us: int) -> None:
        self.n[step, status] = self.n.get((step, status), 0) + int(n)
        if us:
            self.us[step] = self.us.get(step, 0) + int(us)

    def add_item(self, kind: str, status: str, n: int) -> None:
        self.kinds[kind] = self.kinds.get(kind, 0) + int(n)
        word = ItemStatus(status)
        self.statuses[word] = self.statuses.get(word, 0) + int(n)

    def add_durations(self, step: int, lanes: int) -> None:
        self.durations[step] = self.durations.get(step, 0) + lanes

    def add_deltas(self, rows: Iterable[Any]) -> None:
        for kind, step, status, n, us, durations in rows:
            if not step:
                self.add_item(kind, status, n)
                continue
            self.add(step, status, n, us)
            if durations:
                self.add_durations(step, histogram.total({int(number): x for number, x in durations.items()}))


def summary(store: Store, name: str, *, since: Day | None = None, until: Day | None = None) -> PipelineSummary:
    """Where all items of a pipeline stand, or those of a range of dates (both ends included).

    Items without a date are in no range.

    Raises:
        NoSuchPipeline: there is no such pipeline.
    """
    with store.read() as connection:
        pipeline = pipeline_of(store, connection, name)
        values = {"pipeline": pipeline.id}
        first, last = connection.execute(_DATES, values).one()
        figures = _Figures()
        if since is None and until is None:
            _of_all(connection, figures, pipeline.id)
        elif first is not None:
            _of_range(connection, figures, pipeline.id, max(since or first, first), min(until or last, last))
        return PipelineSummary(
            pipeline=name,
            since=since,
            until=until,
            first_date=first,
            last_date=last,
            total=sum(figures.statuses.values()),
            kinds={kind: n for kind, n in sorted(figures.kinds.items()) if n},
            statuses={status: n for status, n in figures.statuses.items() if n},
            steps=_steps(pipeline, figures),
            failures=_latest(connection, pipeline, since, until) if figures.statuses.get(ItemStatus.FAILED) else (),
        )


def _of_all(connection: Connection, figures: _Figures, pipeline: int) -> None:
    values = {"pipeline": pipeline}
    for step, status, n, us, durations in connection.execute(_TOTALS, values).all():
        figures.add(step, status, n, us)
        if durations:
            figures.add_durations(step, histogram.unpack(durations))
    for kind, status, n in connection.execute(_ITEMS, values | {"periods": [""]}):
        figures.add_item(kind, status, n)
    figures.add_deltas(connection.execute(_DELTAS, values))


def _of_range(connection: Connection, figures: _Figures, pipeline: int, since: Day, until: Day) -> None:
    found = covering(since, until)
    values: dict[str, Any] = {"pipeline": pipeline, "since": since, "until": until}
    for start in range(0, len(found), 500):
        part = {"pipeline": pipeline, "periods": found[start : start + 500]}
        for step, status, n, us in connection.execute(_COUNTS, part).all():
            figures.add(step, status, n, us)
        for step, durations in connection.execute(_DURATIONS, part).all():
            figures.add_durations(step, histogram.unpack(durations))
        for kind, status, n in connection.execute(_ITEMS, part):
            figures.add_item(kind, status, n)
    figures.add_deltas(connection.execute(_DELTAS_OF_RANGE, values))


def covering(since: Day, until: Day) -> list[str]:
    """The whole months between two days, and the days at both ends that make up no month."""
    found: list[str] = []
    day = since
    while day <= until:
        month_end = (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1) if (
            day.year, day.month) < (9999, 12) else Day(9999, 12, 31)  # fmt: skip
        if day.day == 1 and month_end <= until:
            found.append(day.isoformat()[:7])
            step = (month_end - day).days + 1
        else:
            found.append(day.isoformat())
            step = 1
        if (Day.max - day).days < step:
            break
        day += timedelta(days=step)
    return found


def _steps(pipeline: PipelineState, figures: _Figures) -> tuple[StepSummary, ...]:
    made = []
    for one in ordered(pipeline):
        n = {status: figures.n.get((one.id, status.value), 0) for status in ItemStatus}
        timed = histogram.counts(figures.durations.get(one.id, 0))
        number = sum(timed.values())
        p50, p90 = histogram.quantiles(timed, (0.5, 0.9))
        made.append(
            StepSummary(
                step=one.step,
                pending=n[ItemStatus.PENDING],
                processing=n[ItemStatus.PROCESSING],
                completed=n[ItemStatus.COMPLETED],
                failed=n[ItemStatus.FAILED],
                skipped=n[ItemStatus.SKIPPED],
                waiting=figures.n.get((one.id, READY), 0),
                mean_s=figures.us.get(one.id, 0) / 1e6 / number if number else None,
                p50_s=p50,
                p90_s=p90,
            )
        )
    return tuple(made)


def _latest(
    connection: Connection, pipeline: PipelineState, since: Day | None, until: Day | None
) -> tuple[Failure, ...]:
    statement = _LATEST
    if since is not None:
        statement = statement.where(since <= _DAY)
    if until is not None:
        statement = statement.where(until >= _DAY)
    ids = list(connection.execute(statement, {"pipeline": pipeline.id}).scalars())
    rows = connection.execute(_THESE, {"ids": ids}).all() if ids else ()
    return tuple(_failure(pipeline, row) for row in rows)


def _failure(pipeline: PipelineState, row: Any) -> Failure:
    step = pipeline.by_id[row.step].step
    return Failure(
        key=row.key, step=step, error=row.error, at=row.completed_at or row.updated_at, tries=row.number,
        max_retries=step.max_retries, permanent=row.permanent, kind=row.kind, date=row.date,
        fingerprint=row.fingerprint, run_id=row.run_id,
    )  # fmt: skip


def failed(
    store: Store,
    name: str,
    *,
    since: Day | None = None,
    until: Day | None = None,
    step: str | None = None,
    limit: int | None = None,
) -> list[Failure]:
    """Failed steps of items, optional ones too, the latest first.

    Args:
        store: the store.
        name: the pipeline.
        since: first date of the items.
        until: last date of the items.
        step: only of this step.
        limit: at most so many.

    Raises:
        NoSuchPipeline: there is no such pipeline.
    """
    with store.read() as connection:
        pipeline = pipeline_of(store, connection, name)
        known = pipeline.step(step) if step is not None else None
        numbers = [one.id for one in ordered(pipeline)] if step is None else [known.id] if known is not None else []
        statement = _ALL_FAILED
        if since is not None:
            statement = statement.where(items_table.c.date >= since)
        if until is not None:
            statement = statement.where(items_table.c.date <= until)
        if limit is not None:
            statement = statement.limit(limit)
        rows = connection.execute(statement, {"steps": numbers}).all() if numbers else ()
        return [_failure(pipeline, row) for row in rows if _counts(pipeline, row)]


def _counts(pipeline: PipelineState, row: Any) -> bool:
    """A step that no longer applies to its item keeps its row."""
    slot = pipeline.by_id[row.step].slot
    states: str = row.states
    return slot < len(states) and states[slot] == "f"


def failure_groups(store: Store, since: datetime) -> list[FailureGroup]:
    """Failed items of all pipelines, those of one kind together, the latest first."""
    with store.read() as connection:
        numbers = [row.id for row in connection.execute(_ABOUT)]
        if not numbers:
            return []
        rows = connection.execute(_GROUPS, {"pipelines": numbers, "since": since}).all()
        rows = _unseen(connection, rows) if rows else rows
        known = item_definitions.by_number(store, connection, {row.pipeline for row in rows})
        words = {row.id: row for row in connection.execute(_WORDS, {"ids": [row.one for row in rows]})}
        return [
            FailureGroup(
                pipeline=known[row.pipeline].name, step=known[row.pipeline].by_id[row.error_step].step.key,
                fingerprint=row.fingerprint or "", error=words[row.one].last_error or "", count=row.n,
                newest=row.newest, key=words[row.one].key,
            )
            for row in rows
        ]  # fmt: skip


def _unseen(connection: Connection, rows: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
    """Without the kinds that were acknowledged; of those that failed again since, only what came after."""
    seen = acknowledged(connection)
    if not seen:
        return rows
    found: list[Row[Any]] = []
    for row in rows:
        at = seen.get((row.pipeline, row.error_step, row.fingerprint or ""))
        if at is None:
            found.append(row)
        elif row.newest > at:
            values = {"pipeline": row.pipeline, "step": row.error_step, "fingerprint": row.fingerprint, "at": at}
            found += connection.execute(_SINCE_ACK, values).all()
    return found


def all_pipelines(store: Store) -> list[PipelineInfo]:
    """All pipelines, each with its items by status."""
    with store.read() as connection:
        rows = connection.execute(_ABOUT).all()
        known = item_definitions.load(store, connection, [row.name for row in rows])
        statuses: dict[int, dict[ItemStatus, int]] = {}
        for statement in (_BY_STATUS, _NEW_BY_STATUS):
            for pipeline, status, n in connection.execute(statement):
                of_one = statuses.setdefault(pipeline, {})
                of_one[ItemStatus(status)] = of_one.get(ItemStatus(status), 0) + int(n)
        return [
            PipelineInfo(
                name=row.name,
                steps=tuple(one.step for one in ordered(known[row.name])),
                statuses={status: n for status, n in statuses.get(row.id, {}).items() if n},
                first_seen=row.first_seen,
                changed_at=row.changed_at,
            )
            for row in rows
        ]
