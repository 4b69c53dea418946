"""``statustui import events``: the state of items from the append-only log of another system."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from statustui.cli.changing import change_options
from statustui.cli.import_history import csv_command, json_command
from statustui.cli.import_logs import logs_command
from statustui.cli.progress import ProgressBar
from statustui.cli.session import NO, OK, USAGE, NoStoreYet, Session, Stop, shared
from statustui.cli.shapes import VERSION

if TYPE_CHECKING:
    from statustui.model.pipeline import Definition
    from statustui.pipelines.importing import Imported, Readable

_SHOWN = 20
_EPILOG = """\b
Examples:
  statustui import events processing_logs.csv --pipeline files --dry-run
  statustui import events processing_logs --from sqlite:///app.db --pipeline files
  statustui import events app.db --table processing_logs --pipeline files --item 42
"""
_COLUMNS = ("item", "step", "status", "at", "message", "detail", "task_id")


@click.group(
    "import",
    short_help="Bring in logs, histories of runs, events of items.",
    epilog="""\b
Examples:
  statustui import logs /var/log/etl --dry-run
  statustui import csv history.csv --dry-run
  statustui import events old_log.jsonl --pipeline auctions --dry-run
""",
)
def command() -> None:
    """Bring in logs, histories of runs, events of items."""


command.add_command(csv_command)
command.add_command(json_command)
command.add_command(logs_command)


def _column_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for name in reversed(_COLUMNS):
        flag = f"--{name.replace('_', '-')}-column"
        function = click.option(flag, f"{name}_column", metavar="NAME", help=f"Column of the {name}.")(function)
    return function


@command.command("events", short_help="Rebuild steps of items from a log.", epilog=_EPILOG)
@click.argument("source", metavar="FILE|TABLE")
@click.option("-p", "--pipeline", metavar="NAME", required=True, help="The pipeline; made where it is new.")
@click.option("--from", "url", metavar="URL", help="Database that the table is in (default: the store's).")
@click.option("--table", metavar="TABLE", help="Table, where FILE is an SQLite database.")
@click.option("--steps", metavar="A,B,C", help="Order of the steps of a new pipeline (default: as in the log).")
@click.option("--item", metavar="KEY", help="Only this item.")
@click.option("--verify", is_flag=True, help="Only compare the store with the log.")
@_column_options
@change_options
@shared
@click.pass_obj
def events(
    session: Session,
    /,
    source: str,
    pipeline: str,
    url: str | None,
    table: str | None,
    steps: str | None,
    item: str | None,
    verify: bool,
    yes: bool,
    dry_run: bool,
    **columns: str | None,
) -> int:
    """Replay a log in the order of its times, and list what differs afterwards. A second time it changes nothing."""
    writes = not (dry_run or verify)
    if writes:
        session.check_writable()
    from statustui.pipelines.importing import columns_of, import_events, verify_events

    with _opened(session, source, url, table) as rows:
        named = {name: columns[f"{name}_column"] or "" for name in _COLUMNS}
        wanted = columns_of(rows.columns, {name: value for name, value in named.items() if value})
        definition = _definition(session, pipeline, steps, rows, wanted)
        from statustui.cli.coordinated import coordinator_of

        coordinator = coordinator_of(session, pipeline, definition)
        if writes:
            session.confirm(f"Bring {source} into pipeline {pipeline}?", yes=yes)
        bar = ProgressBar(session, "lines")

        def shown(done: int, total: int | None) -> None:
            bar.show(done, done / total if total else None, total)

        try:
            if verify:
                told = verify_events(coordinator, rows, wanted, item, shown=shown)
            else:
                told = import_events(coordinator, rows, wanted, only=item, dry_run=dry_run, shown=shown)
        finally:
            bar.close()
    if session.as_json:
        session.out.json(_as_json(pipeline, told))
    else:
        _write(session, told, verify=verify)
    return OK if told.ok else NO


@contextmanager
def _opened(session: Session, source: str, url: str | None, table: str | None) -> "Iterator[Readable]":
    from statustui.pipelines.source import Table, from_file, is_sqlite

    if url is not None:
        yield Table(session_url(url), source)
    elif os.path.isfile(source) and is_sqlite(source):
        if table is None:
            raise Stop(USAGE, f"{source} is a database: say which --table")
        yield Table(f"sqlite:///{os.path.abspath(source)}", table)
    elif os.path.isfile(source):
        with from_file(source) as rows:
            yield rows
    elif os.sep in source or source.endswith((".csv", ".json", ".jsonl")):
        raise Stop(USAGE, f"no file {source!r}")
    else:
        yield Table(session.settings.store_url, source)


def session_url(url: str) -> str:
    """A database's URL as SQLAlchemy takes it; a path is an SQLite file that must be there."""
    from statustui.urls import canonical_url

    made = canonical_url(url)
    if made.startswith("sqlite:///") and not os.path.isfile(made.removeprefix("sqlite:///")):
        raise Stop(USAGE, f"no database {url!r}")
    return made


def _definition(
    session: Session, pipeline: str, steps: str | None, rows: "Readable", columns: dict[str, str]
) -> "Definition":
    """The pipeline as the store has it, or a new one with the steps of the log."""
    from statustui.model.pipeline import Definition, Step
    from statustui.store.item_reads import NoSuchPipeline, definition

    try:
        with session.reading() as store:
            return definition(store, pipeline)
    except (NoStoreYet, NoSuchPipeline):
        pass  # it is new
    if steps is not None:
        keys = [key.strip() for key in steps.split(",") if key.strip()]
    else:
        found: dict[str, None] = {}
        for row in rows.rows(columns["item"]):
            if row.get(columns["step"]) is not None:
                found[str(row[columns["step"]])] = None
        keys = list(found)
    return Definition(name=pipeline, steps=tuple(Step(key=key) for key in keys))


def _write(session: Session, told: "Imported", *, verify: bool) -> None:
    out = session.out
    if not verify:
        verb = "would bring in" if told.dry_run else "brought in"
        out.line(f"{told.items:,} items, {told.lines:,} lines: {verb} {told.new:,} lines of {told.changed:,} items.")
    for word, number in told.unknown.items():
        out.line(f"  {word!r} is no status; kept as a line of the story of {number:,} items")
    if told.unreadable:
        out.line((f"  {told.unreadable:,} lines without a step or a time were left out", "yellow"))
    if told.dry_run and not verify:
        return
    if told.ok:
        out.line("Verified: the store says what the log says.")
        return
    out.line((f"{len(told.differences):,} steps differ:", "red"))
    for one in told.differences[:_SHOWN]:
        log = one.log.value if one.log else "-"
        store = one.store.value if one.store else "-"
        out.line(f"  {one.key} @ {one.step}: {one.kind} (log {log}, store {store})")
    if len(told.differences) > _SHOWN:
        out.line(f"  ... and {len(told.differences) - _SHOWN:,} more")


def _as_json(pipeline: str, told: "Imported") -> dict[str, Any]:
    return {
        "version": VERSION,
        "pipeline": pipeline,
        "dry_run": told.dry_run,
        "items": told.items,
        "lines": told.lines,
        "new": told.new,
        "changed": told.changed,
        "unknown": told.unknown,
        "unreadable": told.unreadable,
        "differences": [
            {
                "key": one.key,
                "step": one.step,
                "kind": one.kind,
                "log": one.log.value if one.log else None,
                "store": one.store.value if one.store else None,
            }
            for one in told.differences
        ],
    }
