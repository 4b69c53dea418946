"""``statustui items``: a list of items; ``items retry``, ``reset``, ``skip`` and ``ack`` change them."""

from datetime import UTC, datetime
from typing import Any

import click

from statustui.cli.itemizing import (
    glyph,
    item_object,
    item_selectors,
    percent,
    pipeline_of,
    selector,
    step_words,
)
from statustui.cli.items_changes import ack, reset, retry, skip
from statustui.cli.output import Column, Output, Span
from statustui.cli.session import OK, Session, shared
from statustui.cli.shapes import VERSION
from statustui.model.items import Item, PipelineInfo

_EPILOG = """\b
Examples:
  statustui items --status failed --step 5
  statustui items --search 2024-CA --since 2025-01-02
  statustui items retry --step 5 --dry-run
  statustui items reset 2024-CA-12345 --step ori_ingested
"""


@click.group(
    "items", invoke_without_command=True, short_help="List items, and retry, reset or skip them.", epilog=_EPILOG
)
@item_selectors
@click.option("--sort", type=click.Choice(["key", "date", "updated", "failed"]), default="key", help="Order.")
@click.option("--reverse", is_flag=True, help="Backwards.")
@click.option("-n", "--limit", type=click.IntRange(1, 100_000), default=50, help="At most so many (default 50).")
@shared
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """List the items of a pipeline."""
    if context.invoked_subcommand is not None:
        return OK
    session = context.ensure_object(Session)
    with session.reading() as store:
        from statustui.store import item_reads
        from statustui.store.item_selector import ItemSort

        info = pipeline_of(store, options["pipeline"])
        wanted = selector(info, **options)
        found = item_reads.items(
            store, wanted, options["limit"], sort=ItemSort(options["sort"]), reverse=options["reverse"]
        )
        total = item_reads.count(store, wanted) if len(found) == options["limit"] else len(found)
    if session.as_json:
        objects = [item_object(item) for item in found]
        session.out.json({"version": VERSION, "pipeline": info.name, "total": total, "items": objects})
        return OK
    if not found:
        session.out.line("No items match.")
        return OK
    _write(session.out, info, found, datetime.now(UTC))
    if total > len(found):
        session.out.line((f"{len(found):,} of {total:,}; more with -n", "dim"))
    return OK


def _write(out: Output, info: PipelineInfo, found: list[Item], now: datetime) -> None:
    from statustui.cli.figures import clock

    columns = [
        Column(title="KEY", least=10),
        Column(title="STATUS"),
        Column(title="DONE", right=True),
        Column(title="STEP", least=8),
        Column(title="KIND", least=6),
        Column(title="DATE"),
        Column(title="UPDATED"),
        Column(title="NOTE", least=10),
    ]
    rows: list[list[Span]] = []
    for item in found:
        sign, style = glyph(item.status, out.ascii)
        tries = f" (retry {item.retries})" if item.retries and item.last_error else ""
        rows.append(
            [
                item.key,
                (f"{sign} {item.status.value}", style),
                percent(item),
                step_words(info, item.error_step or item.current_step),
                item.kind or "",
                item.date.isoformat() if item.date else "",
                clock(item.updated_at, now),
                ((item.last_error or "") + tries, "red"),
            ]
        )
    out.table(columns, rows)


for _each in (retry, reset, skip, ack):
    command.add_command(_each)
