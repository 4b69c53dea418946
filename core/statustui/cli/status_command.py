"""``statustui status``: the state of things as plain text."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import click

from statustui.cli import figures
from statustui.cli.itemizing import DAY, pipeline_option
from statustui.cli.output import Column, Output, Span
from statustui.cli.selecting import TIME
from statustui.cli.session import OK, USAGE, NoStoreYet, Session, Stop, say_notes, shared
from statustui.cli.shapes import VERSION, group_object, run_object, time_or_none
from statustui.config import display_url, known_stores
from statustui.insight.eta import estimate
from statustui.insight.marks import by_machine, host_of, marks
from statustui.insight.needs import Group, needs_you, reason
from statustui.insight.order import one_row_each, ordered
from statustui.model.glyphs import glyph
from statustui.model.named import shown
from statustui.model.run import Host, Run, Snapshot
from statustui.model.status import Mark, RunStatus
from statustui.urls import without_password

_RULE = "=" * 60
_FAILURES = 5
_RUNNING = 20
_BAR = 28
_DAY = timedelta(hours=24)
_EPILOG = """\b
Examples:
  statustui status --since 7d
  statustui status --pipeline auctions --start-date 2025-01-02 --end-date 2025-02-10
"""
# In the order and with the words of the summary; started ones are running for whoever looks at it.
_LINES = (
    ("Finished", (RunStatus.FINISHED,)),
    ("Running", (RunStatus.STARTED, RunStatus.RUNNING)),
    ("Cancelled", (RunStatus.CANCELLED,)),
    ("Lost", (RunStatus.LOST,)),
    ("Failed", (RunStatus.FAILED,)),
)


@click.command("status", short_help="What needs you, what runs, what failed.", epilog=_EPILOG)
@click.option("--since", type=TIME, metavar="TIME", help="Count runs since then: 2h, 3d, yesterday (default 24h).")
@pipeline_option
@click.option("--start-date", type=DAY, metavar="DATE", help="With --pipeline: items of this date or later.")
@click.option("--end-date", type=DAY, metavar="DATE", help="With --pipeline: items of this date or earlier.")
@click.option("--times", is_flag=True, help="With --pipeline: how long each step takes, and what waits there.")
@shared
@click.pass_obj
def command(
    session: Session,
    since: datetime | None,
    pipeline: str | None,
    start_date: date | None,
    end_date: date | None,
    times: bool,
) -> int:
    """Show what needs you, what runs and what failed recently; or where the items of a pipeline stand."""
    if pipeline is not None:
        from statustui.cli.pipeline_status import show_pipeline

        return show_pipeline(session, pipeline, start_date, end_date, times=times)
    if start_date or end_date or times:
        raise Stop(USAGE, "--start-date, --end-date and --times need --pipeline")
    return show_status(session, since)


def show_status(session: Session, since: datetime | None = None) -> int:
    """Print the status of the store; without a store, how to begin."""
    now = datetime.now(UTC)
    since = since or now - _DAY
    if not session.as_json:
        say_notes(session.settings)
    try:
        with session.reading() as store:
            from statustui.store import reads

            snapshot = reads.snapshot(store, since=since)
    except NoStoreYet:
        _no_store(session, since)
        return OK
    groups = needs_you(snapshot)
    hosts = by_machine(snapshot.hosts)
    running = ordered(one_row_each(snapshot.running), stats=snapshot.stats, hosts=hosts, now=snapshot.at)
    if session.as_json:
        session.out.json(_as_json(snapshot, since, groups, running, hosts))
        return OK
    _Summary(session.out, snapshot, since, hosts).write(display_url(session.settings.store_url), groups, running)
    return OK


def _as_json(
    snapshot: Snapshot, since: datetime, groups: Sequence[Group], running: Sequence[Run], hosts: dict[str, Host]
) -> dict[str, Any]:
    def shape(run: Run) -> dict[str, Any]:
        return run_object(run, snapshot.stats.get(run.task), hosts, snapshot.at)

    return {
        "version": VERSION,
        "since": time_or_none(since),
        "counts": {status.value: snapshot.counts.get(status, 0) for status in RunStatus},
        "needs_you": [group_object(group) for group in groups],
        "running": [shape(run) for run in running],
        "failures": [shape(run) for run in snapshot.ended],
    }


def _no_store(session: Session, since: datetime) -> None:
    where = display_url(session.settings.store_url)
    others = [url for url in known_stores() if url != without_password(session.settings.store_url)]
    if session.as_json:
        empty = Snapshot(at=since)
        session.out.json(_as_json(empty, since, (), (), {}))
        return
    out = session.out
    out.line(f"No store yet at {where}: nothing has been recorded.")
    if others:
        out.line("Other stores that you have used:")
        for url in others[:5]:
            out.line(f"  statustui status --store {display_url(url)}")
    out.line("To begin:")
    out.line("  statustui run -- COMMAND     record any command")
    out.line("  statustui demo               see it with real work")


class _Summary:
    """The plain text of the status."""

    def __init__(self, out: Output, snapshot: Snapshot, since: datetime, hosts: dict[str, Host]) -> None:
        self._out = out
        self._snapshot = snapshot
        self._since = since
        self._hosts = hosts
        self._now = snapshot.at

    def write(self, where: str, groups: Sequence[Group], running: Sequence[Run]) -> None:
        """Write all of it."""
        out = self._out
        out.line(_RULE)
        out.line(("PIPELINE STATUS SUMMARY", "bold"))
        out.line(_RULE)
        out.line(f"Store: {where}")
        out.line(f"Since: {figures.clock(self._since, self._now)} ({figures.rough(self._age())})")
        out.line()
        self._counts()
        self._needs(groups)
        self._running(running)
        self._failures()
        self._hosts_line()
        out.line(_RULE)

    def _age(self) -> float:
        return (self._now - self._since).total_seconds()

    def _counts(self) -> None:
        out, counts = self._out, self._snapshot.counts
        total = sum(counts.values())
        out.line(f"Total Runs: {total}")
        if not total:
            out.line()
            return
        out.line()
        out.line("By Status:")
        width = len(str(total))
        for word, statuses in _LINES:
            count = sum(counts.get(status, 0) for status in statuses)
            share = f"({figures.share(count, total)}%)"
            style = figures.colour(statuses[0]) if count else "dim"
            bar = figures.bar(count / total, _BAR, out.ascii)
            out.line(f"  {word + ':':<11} {count:>{width}} {share:<6} ", (bar, style))
        out.line()

    def _needs(self, groups: Sequence[Group]) -> None:
        if not groups:
            return
        out = self._out
        out.line((f"Needs You ({sum(group.count for group in groups)}):", "bold"))
        rows: list[list[Span]] = []
        for group in groups[:_FAILURES]:
            name = str(group.newest.id) if group.count == 1 else f"x{group.count}" if out.ascii else f"×{group.count}"
            age = figures.rough((self._now - (group.newest.ended_at or group.newest.last_update)).total_seconds())
            rows.append(
                [
                    (glyph(group.status, out.ascii), "red"),
                    name,
                    age,
                    group.title if len(group.tasks) == 1 else f"{group.title} {len(group.tasks)} tasks",
                    group.newest.host or "",
                    _where(group.newest) + group.message,
                ]
            )
        columns = [Column(title=""), Column(title="", right=True), Column(title="", right=True),
                   Column(title="", least=12), Column(title="", least=4), Column(title="", least=16)]  # fmt: skip
        out.table(columns, rows, indent=2)
        if len(groups) > _FAILURES:
            out.line("  ...")
        out.line()

    def _running(self, running: Sequence[Run]) -> None:
        if not running:
            return
        out = self._out
        shown = f", showing {_RUNNING}" if len(running) > _RUNNING else ""
        out.line((f"Running ({len(running)}{shown}):", "bold"))
        columns = [
            Column(title="ID", right=True),
            Column(title="TASK", least=12),
            Column(title="TIME", right=True),
            Column(title="DONE", right=True),
            Column(title="", right=True),
            Column(title="NOW", least=10),
            Column(title="LEFT", right=True),
            Column(title="CPU", right=True),
            Column(title="MEM", right=True),
        ]
        out.table(columns, [self._row(run) for run in running[:_RUNNING]], indent=2)
        out.line()

    def _row(self, run: Run) -> list[Span]:
        eta = estimate(run, self._snapshot.stats.get(run.task), self._now)
        return [
            str(run.id),
            run.task,
            figures.duration(figures.elapsed(run, self._now)),
            figures.subtasks(run),
            figures.percent(run.percent),
            self._now_words(run),
            figures.eta(eta, self._out.ascii) or "?",
            "" if run.cpu_percent is None else f"{run.cpu_percent:.0f}%",
            figures.size(run.rss_bytes),
        ]

    def _now_words(self, run: Run) -> Span:
        remarks = marks(run, self._snapshot.stats.get(run.task), host_of(run, self._hosts), self._now)
        words = [remark_words(mark, number) for mark, number in remarks]
        words += [now_words(run)]
        text = " - ".join(filter(None, words)) if self._out.ascii else " · ".join(filter(None, words))
        return (text, "yellow") if remarks else text

    def _failures(self) -> None:
        failures = self._snapshot.ended
        if not failures:
            return
        out = self._out
        total = sum(self._snapshot.counts.get(status, 0) for status in (RunStatus.FAILED, RunStatus.LOST))
        shown = min(_FAILURES, len(failures))
        out.line((f"Recent Failures (showing {shown} of {max(total, len(failures))}):", "bold"))
        for run in failures[:_FAILURES]:
            tries = f" (try {run.attempt}/{run.max_attempts})" if run.max_attempts else ""
            again = tries or (f" (try {run.attempt})" if run.attempt > 1 else "")
            out.fitted(f"  {run.id} {run.task} {_where(run)}", (reason(run) or run.status.value, "red"), again)
        if len(failures) > _FAILURES:
            out.line("  ...")
        out.line()

    def _hosts_line(self) -> None:
        dropped = sum(host.facts_dropped for host in self._snapshot.hosts)
        if dropped:
            # P6: what was lost is said.
            self._out.line((f"{dropped} facts were dropped: disk and store were both full or gone.", "red"))
            self._out.line()


def _where(run: Run) -> str:
    """``@ 4 Join counties: `` where a failure happened."""
    if run.error_subtask is None and not run.error_subtask_name:
        return ""
    return "@" + " ".join(filter(None, (shown(run.error_subtask), run.error_subtask_name))) + ": "


def now_words(run: Run) -> str:
    """What a run is doing: subtask, its items, its message."""
    done = figures.items(run)
    if not done and run.subtask_percent is not None:
        done = figures.percent(run.subtask_percent)
    name = " ".join(filter(None, (run.subtask_name, done)))
    message = run.subtask_message or run.overall_message
    return ": ".join(filter(None, (name, message)))


def remark_words(mark: Mark, number: float) -> str:
    """A mark with its number: ``stalled 41m``, ``slow 3.2x``."""
    return f"slow {number:.1f}x" if mark is Mark.SLOW else f"{mark.value} {figures.rough(number)}"
