"""``statustui pipelines``: all pipelines, with their items by status; ``pipelines view`` makes one for SQL."""

from datetime import UTC, datetime

import click

from statustui.cli import figures
from statustui.cli.itemizing import statistics_object
from statustui.cli.output import Column, Span
from statustui.cli.pipelines_view import view
from statustui.cli.session import OK, Session, shared
from statustui.cli.shapes import VERSION, time_or_none
from statustui.model.progress import shown_share
from statustui.model.status import ItemStatus

_BAR = 16


_EPILOG = """\b
Examples:
  statustui pipelines --json
  statustui pipelines view auctions
"""


@click.group(
    "pipelines",
    invoke_without_command=True,
    short_help="List pipelines, and make a view of one for SQL.",
    epilog=_EPILOG,
)
@shared
@click.pass_context
def command(context: click.Context) -> int:
    """List pipelines with their items by status; as JSON with the figures of each step."""
    if context.invoked_subcommand is not None:
        return OK
    session = context.ensure_object(Session)
    with session.reading() as store:
        from statustui.store.item_summary import all_pipelines, summary

        found = all_pipelines(store)
        figures_of = {one.name: summary(store, one.name) for one in found}
    if session.as_json:
        session.out.json(
            {
                "version": VERSION,
                "timestamp": time_or_none(datetime.now(UTC)),
                "pipelines": [
                    {
                        "name": one.name,
                        "items": {status.value: one.statuses.get(status, 0) for status in ItemStatus},
                        "changed_at": time_or_none(one.changed_at),
                        "steps": {step.step.key: statistics_object(step) for step in figures_of[one.name].steps},
                    }
                    for one in found
                ],
            }
        )
        return OK
    if not found:
        session.out.line("No pipelines yet: a program that uses statustui.Pipeline makes one.")
        return OK
    out = session.out
    rows: list[list[Span]] = []
    for one in found:
        done = one.statuses.get(ItemStatus.COMPLETED, 0) + one.statuses.get(ItemStatus.SKIPPED, 0)
        failed = one.statuses.get(ItemStatus.FAILED, 0)
        waiting = max(figures_of[one.name].steps, key=lambda step: step.waiting, default=None)
        rows.append(
            [
                one.name,
                f"{one.total:,}",
                (figures.bar(done / one.total if one.total else 0.0, _BAR, out.ascii), "green"),
                f"{shown_share(done, one.total)}%",
                f"{one.statuses.get(ItemStatus.PROCESSING, 0):,}",
                f"{one.statuses.get(ItemStatus.PENDING, 0):,}",
                (f"{failed:,}", "red" if failed else ""),
                f"{waiting.waiting:,} at {waiting.step.shown}" if waiting is not None and waiting.waiting else "",
            ]
        )
    out.table(
        [
            Column(title="PIPELINE", least=10),
            Column(title="ITEMS", right=True),
            Column(title=""),
            Column(title="DONE", right=True),
            Column(title="RUNNING", right=True),
            Column(title="PENDING", right=True),
            Column(title="FAILED", right=True),
            Column(title="WAITING", least=8),
        ],
        rows,
    )
    return OK


command.add_command(view)
