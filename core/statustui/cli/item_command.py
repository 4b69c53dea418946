"""``statustui item KEY``: everything about one item."""

from datetime import UTC, datetime

import click

from statustui.cli import figures
from statustui.cli.itemizing import detail_object, glyph, percent, pipeline_of, pipeline_option
from statustui.cli.output import Column, Output, Span
from statustui.cli.session import NO, OK, Session, Stop, shared
from statustui.cli.shapes import VERSION
from statustui.model.items import ItemDetail, ItemStep
from statustui.model.status import ItemStatus

_EVENTS = 20


@click.command(
    "item", short_help="Everything about one item.", epilog="Example: statustui item 2024-CA-12345 --pipeline auctions"
)
@click.argument("key")
@pipeline_option
@click.option("--all", "everything", is_flag=True, help="The whole story, not only its last 20 lines.")
@shared
@click.pass_obj
def command(session: Session, key: str, pipeline: str | None, everything: bool) -> int:
    """Show the steps and the story of the item KEY."""
    with session.reading() as store:
        from statustui.store import item_reads

        info = pipeline_of(store, pipeline)
        try:
            detail = item_reads.item(store, info.name, key)
        except item_reads.NoSuchItem as error:
            raise Stop(NO, f"{error}; statustui items --search lists them") from error
    if session.as_json:
        session.out.json({"version": VERSION, **detail_object(detail)})
        return OK
    _write(session.out, detail, datetime.now(UTC), everything=everything)
    return OK


def _write(out: Output, detail: ItemDetail, now: datetime, *, everything: bool) -> None:
    item = detail.item
    sign, style = glyph(item.status, out.ascii)
    about = " ".join(filter(None, (item.kind, item.date.isoformat() if item.date else None)))
    out.line((item.key, "bold"), f"  {item.pipeline}  {about}")
    out.line((f"{sign} {item.status.value}", style), f"  {percent(item)}")
    for name, value in item.attributes.items():
        out.fitted(f"  {name}: {value}")
    out.line()
    columns = [Column(title=""), Column(title="STEP", least=12), Column(title="STATUS"), Column(title="STARTED"),
               Column(title="TIME", right=True), Column(title="TRY", right=True),
               Column(title="NOTE", least=10)]  # fmt: skip
    out.table(columns, [_row(step, out, now) for step in detail.steps], indent=2)
    out.line()
    events = detail.events if everything else detail.events[-_EVENTS:]
    if len(events) < len(detail.events):
        out.line((f"Story (the last {len(events)} of {len(detail.events)}; --all shows it whole):", "bold"))
    else:
        out.line(("Story:", "bold"))
    for event in events:
        words = " ".join(filter(None, (event.step, event.status)))
        told = event.message or event.detail or ""
        actor = f" by {event.actor}" if event.actor and event.actor not in told else ""
        style = "red" if event.status == ItemStatus.FAILED.value or event.kind == "refused" else ""
        out.fitted(f"  {figures.clock(event.at, now)}  {event.kind:<11} {words}  ", (told, style), actor)


def _row(step: ItemStep, out: Output, now: datetime) -> list[Span]:
    sign, style = glyph(step.status, out.ascii)
    note = step.error or step.reason or ""
    if not note and step.status is ItemStatus.PROCESSING:
        note = f"{figures.percent(step.progress)} {step.owner or ''}".strip()
    if not note and step.ready:
        note = "can begin"
    if not note and step.metadata:
        note = ", ".join(f"{key}={value}" for key, value in step.metadata.items())
    return [
        step.step.shown_label,
        step.step.shown,
        (f"{sign} {step.status.value}", style),
        figures.clock(step.started_at, now),
        figures.duration(step.duration_s),
        str(step.tries) if step.tries > 1 else "",
        (note, "red" if step.error else ""),
    ]
