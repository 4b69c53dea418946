"""``statustui import csv`` and ``statustui import json``: run histories of other systems."""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from statustui.cli.changing import change_options
from statustui.cli.progress import ProgressBar
from statustui.cli.session import NO, OK, USAGE, F, Session, Stop, shared, store_errors
from statustui.cli.shapes import VERSION

if TYPE_CHECKING:
    from statustui.config import Settings
    from statustui.imports.history import HistoryImport
    from statustui.imports.records import Source
    from statustui.store.open import Store

_SHOWN = 10
_ABOUT = """

Task, start, end and status suffice; the duration may stand for the end, the exit code for the status. Columns are
known by their usual names in any letter case (job_name, start_time, finished, state, ...); others are named with
--map, or passed over and told. Also read: host, user, stage, type, args, attempt, error, error_type, message, run_id.

A time without a zone is local time of --tz (default: of this machine); numbers are seconds since 1970, or milliseconds
where they are that large. A row that tells of no run that is over is reported with its line and left out. A run is
known by its run_id, else by task, start, host and id, so that the same file again changes nothing.
"""


def _options(command: F) -> F:
    for option in (
        click.option("--strict", is_flag=True, help="Stop at the first row that can not be used."),
        click.option("--tz", metavar="ZONE", help="Zone of times that name none (default: this machine's)."),
        click.option(
            "--map", "maps", metavar="FIELD=COLUMN", multiple=True, help="Where a field stands: task=job_name."
        ),
        click.argument("file", metavar="FILE"),
    ):
        command = option(command)
    return command


@click.command(
    "csv",
    short_help="Past runs out of a CSV file.",
    help="Bring in past runs out of a CSV file (or - for standard input), so that estimates work from day one."
    + _ABOUT,
    epilog="""\b
Examples:
  statustui import csv history.csv --dry-run
  statustui import csv jobs.csv --map task=job_name,ended_at=finish --tz Europe/Berlin
  psql -c "\\copy (SELECT ...) TO STDOUT CSV HEADER" | statustui import csv - --yes
""",
)
@_options
@change_options
@shared
@click.pass_obj
def csv_command(session: Session, /, **options: Any) -> int:
    """Bring in past runs out of a CSV file."""
    return _bring_in(session, "csv", **options)


@click.command(
    "json",
    short_help="Past runs out of a JSON file.",
    help="Bring in past runs out of a JSON array, JSON lines, or what 'statustui runs --json' prints (- for standard"
    " input)." + _ABOUT,
    epilog="""\b
Examples:
  statustui import json runs.jsonl --dry-run
  statustui runs --json -n 100000 --store old.db | statustui import json - --yes
""",
)
@_options
@change_options
@shared
@click.pass_obj
def json_command(session: Session, /, **options: Any) -> int:
    """Bring in past runs out of a JSON file."""
    return _bring_in(session, "json", **options)


def _bring_in(
    session: Session,
    kind: str,
    *,
    file: str,
    maps: tuple[str, ...],
    tz: str | None,
    strict: bool,
    yes: bool,
    dry_run: bool,
) -> int:
    from statustui.imports import records
    from statustui.imports.fields import BadMap, Columns, Reader, zone_of
    from statustui.imports.history import bring_in

    if not dry_run:
        session.check_writable()
    try:
        columns, zone = Columns(_mapped(maps)), zone_of(tz)
    except BadMap as error:
        raise Stop(USAGE, str(error)) from error
    settings = session.settings
    reader = Reader(zone, patterns=patterns(settings), prefixes=settings.stage_prefixes)
    with _opened(file) as source:
        if not dry_run:
            session.confirm(f"Bring the runs of {source.name} in?", yes=yes)
        rows = (records.csv_rows if kind == "csv" else records.json_rows)(source, columns.place)
        bar = ProgressBar(session, "rows")
        began = time.monotonic()

        def shown(told: "HistoryImport") -> None:
            bar.show(told.rows, source.read / source.size if source.size else None)

        try:
            with store_errors(settings.store_url), importing(session, dry_run=dry_run) as store:
                told = bring_in(rows, reader, store, dry_run=dry_run, strict=strict, shown=shown)
        except BadMap as error:
            raise Stop(USAGE, f"{source.name}: {error}") from error
        except records.NoHistory as error:
            raise Stop(NO, str(error)) from error
        finally:
            bar.close()
    if session.as_json:
        session.out.json(_as_json(told, list(columns.unknown), dry_run=dry_run))
    else:
        _write(
            session, told, list(columns.unknown), reader.naive and tz is None, time.monotonic() - began, dry_run=dry_run
        )
    return NO if told.stopped or (told.bad and not told.new + told.known) else OK


def _mapped(maps: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in (pair for given in maps for pair in given.split(",") if pair.strip()):
        name, sign, column = pair.partition("=")
        if not (sign and name.strip() and column.strip()):
            raise Stop(USAGE, f"--map {pair!r}: say FIELD=COLUMN, such as task=job_name")
        found[name.strip()] = column.strip()
    return found


@contextmanager
def _opened(file: str) -> "Iterator[Source]":
    from statustui.imports.records import Source

    if file == "-":
        if sys.stdin.isatty():
            raise Stop(USAGE, "standard input is this terminal: name a file, or pipe one in")
        yield Source(sys.stdin.buffer, "standard input", None)
        return
    try:
        stream = open(file, "rb")  # noqa: SIM115
    except OSError as error:
        raise Stop(USAGE, f"{file}: {error.strerror}") from error
    with stream:
        try:
            size = os.fstat(stream.fileno()).st_size
            yield Source(stream, file, size or None)
        except OSError as error:
            raise Stop(NO, f"{file}: {error.strerror}") from error


@contextmanager
def importing(session: Session, *, dry_run: bool) -> "Iterator[Store | None]":
    """The store to bring something into, made where there is none; only looked at (None: not there) in a dry run."""
    from statustui.config import remember_store
    from statustui.store.open import open_store

    url = session.settings.store_url
    if dry_run and not session.store_exists():
        yield None
        return
    # A bulk of rows may have to wait for another one: longer than a single fact would.
    with open_store(url, create=not dry_run, read_only=dry_run, timeout=30.0) as store:
        if not dry_run:
            remember_store(url)
        yield store


def patterns(settings: "Settings") -> list[re.Pattern[str]]:
    """Further secrets, as configured; what is no expression is left to ``doctor``."""
    found = []
    for one in settings.redact:
        try:
            found.append(re.compile(one))
        except re.error:
            continue
    return found


def _write(
    session: Session, told: "HistoryImport", unknown: list[str], naive: bool, seconds: float, *, dry_run: bool
) -> None:
    from statustui.imports.fields import listed

    out = session.out
    verb = "would bring in" if dry_run else "brought in"
    there = f", {told.known:,} were there already" if told.known else ""
    out.line(f"{told.rows:,} rows: {verb} {told.new:,} runs of {len(told.tasks):,} tasks{there}"
             f" ({seconds:.1f} s, {told.rows / max(seconds, 0.001):,.0f} rows/s).")  # fmt: skip
    if naive:
        zone = f"local time of this machine ({time.strftime('%Z')})"
        out.line(f"  times without a zone were read as {zone}; --tz ZONE for another")
    if unknown:
        out.line((f"  columns that mean nothing here: {listed(unknown)} (--map FIELD=COLUMN)", "yellow"))
    if told.bad:
        out.line((f"{told.bad:,} rows {'would be' if dry_run else 'were'} left out:", "yellow"))
        for line, reason in told.bad_rows[:_SHOWN]:
            out.line(f"  line {line:,}: {reason}")
        if told.bad > _SHOWN:
            for reason, number in sorted(told.reasons.items(), key=lambda one: -one[1])[:_SHOWN]:
                out.line(f"  {number:,} in all: {reason}")
    if told.stopped:
        out.line(
            ("stopped there (--strict); what came before it is in", "red") if not dry_run else ("stopped there", "red")
        )


def _as_json(told: "HistoryImport", unknown: list[str], *, dry_run: bool) -> dict[str, Any]:
    return {
        "version": VERSION,
        "dry_run": dry_run,
        "rows": told.rows,
        "new": told.new,
        "known": told.known,
        "bad": told.bad,
        "bad_rows": [{"line": line, "reason": reason} for line, reason in told.bad_rows],
        "reasons": told.reasons,
        "tasks": len(told.tasks),
        "unknown_columns": unknown,
        "stopped": told.stopped,
    }
