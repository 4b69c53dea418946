"""``statustui runs``: a list of runs."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from statustui.cli import figures
from statustui.cli.output import Column, Output, Span
from statustui.cli.selecting import selector, selectors
from statustui.cli.session import OK, Session, shared
from statustui.cli.shapes import VERSION, run_object
from statustui.cli.status_command import now_words
from statustui.insight.marks import by_machine
from statustui.insight.needs import reason
from statustui.insight.order import one_row_each
from statustui.model.glyphs import glyph
from statustui.model.run import Run


class _Number(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic since click 8.2
    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if str(value).isdecimal() and int(value) > 0:
            return int(value)
        self.fail(f"{str(value)!r} is no number of a run; for runs of a task: --task TASK", param, ctx)


@click.command(
    "runs", short_help="List runs.", epilog="Example: statustui runs --status bad --since 2d --task 'DAILY_*'"
)
@click.argument("ids", nargs=-1, type=_Number(), metavar="[ID]...")
@selectors
@click.option("-n", "--limit", type=click.IntRange(1, 100_000), default=50, help="At most so many (default 50).")
@click.option("--before", type=int, metavar="ID", help="Only runs below this one in the list: the next page.")
@shared
@click.pass_obj
def command(session: Session, /, ids: tuple[int, ...], limit: int, before: int | None, **options: Any) -> int:
    """List runs, the newest first."""
    wanted = selector(ids, **options)
    with session.reading() as store:
        from statustui.store import reads

        found = reads.runs(store, wanted, limit=limit, before=before)
        tasks = {run.task for run in found if run.status.open}
        stats = reads.stats(store, tasks) if tasks else {}
        hosts = by_machine(reads.hosts(store))
    now = datetime.now(UTC)
    if session.as_json:
        session.out.json(
            {"version": VERSION, "runs": [run_object(run, stats.get(run.task), hosts, now) for run in found]}
        )
        return OK
    if not found:
        session.out.line("No runs match.")
        return OK
    write_runs(session.out, one_row_each(found), now)
    if len(found) == limit and session.out.tty:
        session.out.line((f"More: --before {found[-1].id}", "dim"))
    return OK


def write_runs(out: Output, runs: Sequence[Run], now: datetime) -> None:
    """Write a table of runs that fits the terminal."""
    hosts = len({run.host for run in runs}) > 1
    columns = [
        Column(title="ID", right=True),
        Column(title="TASK", least=12),
        Column(title="STATUS"),
        Column(title="STARTED"),
        Column(title="TIME", right=True),
        Column(title="DONE", right=True),
        Column(title="", right=True),
        *([Column(title="HOST", least=4)] if hosts else []),
        Column(title="NOTE", least=8),
    ]
    rows: list[list[Span]] = []
    for run in runs:
        sign = glyph(run.status, out.ascii)
        rows.append(
            [
                str(run.id),
                run.task,
                (f"{sign} {run.status.value}", figures.colour(run.status)),
                figures.clock(run.started_at, now),
                figures.duration(figures.elapsed(run, now)),
                figures.subtasks(run),
                figures.percent(run.percent) if run.status.open else "",
                *([run.host or ""] if hosts else []),
                now_words(run) if run.status.open else reason(run) if run.status.bad else "",
            ]
        )
    out.table(columns, rows)
