"""``statustui import logs``: runs out of the logs that programs left."""

import os
import signal
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from statustui.cli import figures
from statustui.cli.changing import change_options
from statustui.cli.import_history import importing, patterns
from statustui.cli.output import Column, Span, warn
from statustui.cli.progress import ProgressBar
from statustui.cli.session import OK, USAGE, Session, Stop, shared, store_errors
from statustui.cli.shapes import VERSION
from statustui.model.glyphs import glyph
from statustui.model.status import RunStatus
from statustui.model.times import from_epoch, to_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from statustui.imports.follow import State
    from statustui.imports.logs import LogImporter, ToldFile

_SHOWN = 100
_LEFT_OUT = 20


@click.command(
    "logs",
    short_help="Runs out of .Rout, .log and .out files.",
    epilog="""\b
Examples:
  statustui import logs /var/log/etl --dry-run
  statustui import logs ~/pipeline --pattern '*.Rout' --pattern 'cron/*.txt'
  statustui import logs /var/log/etl --follow --yes
""",
)
@click.argument("directory", metavar="DIR")
@click.option(
    "--pattern", "wanted", metavar="GLOB", multiple=True, help="Names of the logs (default: .Rout, .log, .out)."
)
@click.option("--follow", is_flag=True, help="Go on: what is written appears as running, until Ctrl-C.")
@click.option("--tz", metavar="ZONE", help="Zone of times that name none (default: this machine's).")
@change_options
@shared
@click.pass_obj
def logs_command(
    session: Session,
    /,
    directory: str,
    wanted: tuple[str, ...],
    follow: bool,
    tz: str | None,
    yes: bool,
    dry_run: bool,
) -> int:
    """Bring in the runs that logs tell of: when they were, how they ended and why, their parts.

    The task is the file's name without dates, rotation and extension. Times come out of the log (ISO 8601, date,
    syslog, Python's logging, [HH:MM:SS], R's proc.time()), else from the file; the table says from where. An end
    counts only where the log proves it; else the run is lost: the log ends without saying how. Secrets are taken out.

    The same again changes nothing; what has grown, was rotated or copied is known again.
    """
    from statustui.imports.fields import BadMap, zone_of
    from statustui.imports.follow import states
    from statustui.imports.logfiles import PATTERNS, find
    from statustui.imports.logs import LogImporter, Means, look_at
    from statustui.imports.writers import Watched

    if follow and dry_run:
        raise Stop(USAGE, "--follow writes what it sees: give it without --dry-run")
    if not dry_run:
        session.check_writable()
    top = os.path.abspath(directory)
    if not os.path.isdir(top):
        hint = f"it is a file: give its directory, and --pattern {os.path.basename(top)!r}"
        raise Stop(USAGE, f"{directory}: {hint if os.path.exists(top) else 'no such directory'}")
    try:
        zone = zone_of(tz)
    except BadMap as error:
        raise Stop(USAGE, str(error)) from error
    globs = wanted or PATTERNS
    settings = session.settings
    paths = list(find(top, globs))
    seen = states(paths)
    if not paths and not follow:
        raise Stop(USAGE, f"no log in {directory}: looked for {' '.join(globs)} (--pattern GLOB)")
    if not dry_run:
        session.confirm(f"Bring the runs of {len(paths):,} logs below {directory} in?", yes=yes)
    means = Means(zone=zone, patterns=patterns(settings), prefixes=settings.stage_prefixes)
    told: list[ToldFile] = []
    bar = ProgressBar(session, "logs")

    def shown(one: "ToldFile") -> None:
        told.append(one)
        bar.show(len(told), len(told) / len(paths), len(paths))

    with store_errors(settings.store_url), importing(session, dry_run=dry_run) as store, _ended_by_signals() as stop:
        importer = LogImporter(store, means, dry_run=dry_run, live=follow, written_by=Watched(1.0 if follow else 60.0))
        try:
            look_at(importer, paths, shown, stop)
            importer.finish()
        finally:
            bar.close()
        if not dry_run:
            from statustui.control.logs import trust

            trust(settings, top)
        if session.as_json:
            session.out.json(_as_json(told, dry_run=dry_run))
        else:
            _write(session, told, top, dry_run=dry_run)
        if follow and not stop.is_set():
            _go_on(session, importer, top, globs, stop, seen)
    return OK


@contextmanager
def _ended_by_signals() -> "Iterator[threading.Event]":
    """Set at INT and TERM: then what is under way is stored, and it ends in good order."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _go_on(
    session: Session,
    importer: "LogImporter",
    top: str,
    globs: "tuple[str, ...]",
    stop: threading.Event,
    seen: "dict[str, State]",
) -> None:
    from statustui.imports.follow import follow

    said: dict[tuple[str, float], RunStatus] = {}

    def shown(told: "list[ToldFile]") -> None:
        if session.as_json:
            session.out.json(_as_json(told, dry_run=False))
        else:
            now = datetime.now(UTC)
            for one in told:
                for run in one.runs:
                    if said.get((one.path, run.started)) is run.status:
                        continue  # it goes on; the monitor shows how far
                    said[(one.path, run.started)] = run.status
                    sign = glyph(run.status, session.out.ascii)
                    session.out.fitted(f"{figures.clock(now, now)} {run.task} ",
                                       (f"{sign} {run.status.value}", figures.colour(run.status)),
                                       f"  {figures.duration(run.duration)}  {run.message or run.knew}")  # fmt: skip
        session.out.flush()

    if not session.as_json:
        session.out.line((f"Following {top}; Ctrl-C ends it.", "dim"))
        session.out.flush()
    follow(importer, top, globs, stop, shown, lambda error: warn(f"statustui: {error}; trying again"), seen=seen)
    importer.finish()
    if importer.open and not session.as_json:
        session.out.line(f"{len(importer.open):,} runs go on unseen: the next import or --follow says how they end.")


def _write(session: Session, told: "list[ToldFile]", top: str, *, dry_run: bool) -> None:
    out, now = session.out, datetime.now(UTC)
    rows: list[list[Span]] = []
    for one in told:
        for run in one.runs:
            sign = glyph(run.status, out.ascii)
            rows.append(
                [
                    os.path.relpath(one.path, top),
                    run.task,
                    (f"{sign} {run.status.value}", figures.colour(run.status)),
                    figures.clock(from_epoch(run.started), now),
                    figures.duration(run.duration),
                    run.times_from,
                    f"{run.knew}: {run.message}" if run.message and run.message not in run.knew else run.knew,
                ]
            )
    if rows:
        out.table(
            [
                Column(title="FILE", least=10), Column(title="TASK", least=10), Column(title="STATUS"),
                Column(title="STARTED"), Column(title="TIME", right=True), Column(title="TIMES FROM", least=10),
                Column(title="HOW IT KNEW", least=14),
            ],
            rows[:_SHOWN],
        )  # fmt: skip
        if len(rows) > _SHOWN:
            out.line(f"... and {len(rows) - _SHOWN:,} more (--json has them all)")
    left = [one for one in told if one.why is not None]
    for one in left[:_LEFT_OUT]:
        out.line((f"{os.path.relpath(one.path, top)}: {one.why}", "yellow"))
    if len(left) > _LEFT_OUT:
        out.line((f"... and {len(left) - _LEFT_OUT:,} more", "yellow"))
    known = sum(one.state == "known" for one in told)
    verb = "would bring in" if dry_run else "brought in"
    same = f", {known:,} had nothing new" if known else ""
    skipped = sum(one.state == "skipped" for one in told)
    out.line(f"{len(told):,} logs: {verb} {len(rows):,} runs{same}{f', {skipped:,} left out' if skipped else ''}.")


def _as_json(told: "list[ToldFile]", *, dry_run: bool) -> dict[str, Any]:
    return {
        "version": VERSION,
        "dry_run": dry_run,
        "files": [
            {
                "path": one.path,
                "state": one.state,
                "why": one.why,
                "runs": [
                    {
                        "task": run.task,
                        "status": run.status.value,
                        "started_at": to_text(from_epoch(run.started)),
                        "duration_s": round(run.duration, 3),
                        "times_from": run.times_from,
                        "knew": run.knew,
                        "message": run.message,
                    }
                    for run in one.runs
                ],
            }
            for one in told
        ],
    }
