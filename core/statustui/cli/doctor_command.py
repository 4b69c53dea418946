"""``statustui doctor``: what is wrong with the set-up, and what to do about it."""

import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from glob import escape, glob

import click

from statustui.cli import bring
from statustui.cli.session import NO, OK, USAGE, Session, Stop, shared, store_errors
from statustui.cli.shapes import VERSION
from statustui.config import display_url, known_stores
from statustui.journal.locks import holder
from statustui.places import on_network
from statustui.urls import without_password

_ROOM = 200 << 20
_MOST = 5


_EPILOG = """\b
Examples:
  statustui doctor --cron '0 3 * * * statustui run -- nightly.sh'
  statustui doctor --recount
"""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    grade: str
    """``ok``, ``note`` or ``bad``."""
    about: str
    text: str


@click.command(
    "doctor",
    short_help="Look for what is wrong with the set-up.",
    epilog=_EPILOG,
)
@click.option("--cron", metavar="LINE", help="Test a crontab line in cron's bare environment, without running it.")
@click.option("--recount", is_flag=True, help="Prove the counters of items equal to counting everything anew.")
@click.option("--fix", is_flag=True, help="With --recount: make them what counting gives.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@shared
@click.pass_obj
def command(session: Session, cron: str | None, recount: bool, fix: bool, yes: bool) -> int:
    """Look at configuration, store, state directory, drainer and terminal; exit status 1 if something is wrong."""
    if fix and not recount:
        raise Stop(USAGE, "--fix mends what --recount finds: say both")
    if recount:
        from statustui.cli.recounting import show_recount

        return show_recount(session, fix=fix, yes=yes)
    if cron is not None:
        from statustui.cli.cron import report_line

        return report_line(session, cron)
    findings = list(_findings(session))
    if session.as_json:
        session.out.json(
            {"version": VERSION, "findings": [{"grade": f.grade, "about": f.about, "text": f.text} for f in findings]}
        )
    else:
        for finding in findings:
            _write(session, finding)
    return NO if any(finding.grade == "bad" for finding in findings) else OK


def _write(session: Session, finding: Finding) -> None:
    sign, style = {"ok": ("ok  ", "green"), "note": ("note", "yellow"), "bad": ("BAD ", "red")}[finding.grade]
    session.out.line((sign, style), f"  {finding.about + ':':<14} {finding.text}")


def _findings(session: Session) -> Iterator[Finding]:
    settings = session.settings
    for path in settings.files:
        yield Finding(grade="ok", about="configuration", text=path)
    for note in settings.notes:
        yield Finding(grade="note", about="configuration", text=note)
    for key, expressions in (("progress", settings.progress), ("redact", settings.redact)):
        yield from _expressions(key, expressions)
    yield from _store(session)
    yield from _state(settings.state_dir)
    yield from _drainers(session)
    yield from _journals(session)
    yield from _cron(session)
    yield from _terminal(session)


def _expressions(key: str, expressions: tuple[str, ...]) -> Iterator[Finding]:
    """Those that the recorder passes over, because the command must run."""
    from statustui.control.options import UsageError, expression

    for text in expressions:
        try:
            if key == "progress":
                expression(text)
            else:
                re.compile(text)
        except UsageError as error:
            yield Finding(grade="bad", about="configuration", text=str(error).replace("--progress", "progress", 1))
        except re.error as error:
            told = f"{key}: {text[:80]!r} is no regular expression: {error}"
            yield Finding(grade="bad", about="configuration", text=told)


def _store(session: Session) -> Iterator[Finding]:
    settings = session.settings
    where = f"{display_url(settings.store_url)} (from {settings.store_source})"
    path = settings.store_url.removeprefix("sqlite:///")
    if path.startswith("/") and on_network(os.path.dirname(path)):
        yield Finding(
            grade="bad", about="store", text=f"{path} is on a network file system, where SQLite's WAL is unsafe"
        )
    if path.startswith("/"):
        for aside in sorted(glob(f"{escape(path)}.corrupt-*")):
            if not aside.endswith(("-wal", "-shm")):
                text = f"was damaged and made again from the journals; for what is older: sqlite3 {aside} .recover"
                yield Finding(grade="note", about="store", text=text)
    if not session.store_exists():
        others = [display_url(url) for url in known_stores() if url != without_password(settings.store_url)]
        hint = f"; you have used {', '.join(others[:3])}" if others else ""
        yield Finding(grade="note", about="store", text=f"none yet at {where}{hint}")
        return
    try:
        with store_errors(settings.store_url):
            from statustui.store.open import open_store

            with open_store(settings.store_url, create=False, read_only=True):
                yield Finding(grade="ok", about="store", text=where)
    except Stop as error:
        yield Finding(grade="bad", about="store", text=str(error))


def _state(directory: str) -> Iterator[Finding]:
    if not os.path.isdir(directory):
        yield Finding(
            grade="note", about="state", text=f"{directory} is not there yet; the first recorded run makes it"
        )
        return
    info = os.stat(directory)
    if info.st_uid != os.geteuid():
        yield Finding(grade="bad", about="state", text=f"{directory} belongs to uid {info.st_uid}, not to you")
    elif stat.S_IMODE(info.st_mode) & 0o077:
        yield Finding(grade="note", about="state", text=f"{directory} is open to others: chmod 700 {directory}")
    elif not os.access(directory, os.W_OK | os.X_OK):
        yield Finding(grade="bad", about="state", text=f"{directory} can not be written to: nothing is recorded")
    else:
        yield Finding(grade="ok", about="state", text=directory)
    free = shutil.disk_usage(directory).free
    if free < _ROOM:
        yield Finding(grade="bad", about="disk", text=f"{free >> 20} MiB free at {directory}")


def _drainers(session: Session) -> Iterator[Finding]:
    if session.settings.drainer != "process":
        yield Finding(
            grade="note", about="drainer", text=f"switched to {session.settings.drainer!r} by the configuration"
        )
    with bring.Asking(session.settings.store_url) as asking:
        for spool in bring.spools(session.settings):
            ends = bring.journal_ends(spool)
            left = len(asking.missing(ends))
            pid = holder(f"{spool}/drainer.lock")
            if left and pid is None:
                text = f"{left} of {len(ends)} journals are not in the store and no drainer works: statustui drain"
                yield Finding(grade="bad", about="drainer", text=text)
            else:
                text = f"works as process {pid}" if pid else "idle; everything is in the store"
                yield Finding(grade="ok", about="drainer", text=text)


def _journals(session: Session) -> Iterator[Finding]:
    """What did not come into the store, and where it is kept (P6)."""
    if not session.store_exists():
        return
    from statustui.errors import StatustuiError
    from statustui.store.offsets import losses
    from statustui.store.open import open_store

    try:
        with open_store(session.settings.store_url, create=False, read_only=True) as store:
            found = losses(store)
    except StatustuiError:
        return  # said before
    spools = list(bring.spools(session.settings))
    for one in [one for one in found if one.skipped][:_MOST]:
        kept = [path for spool in spools if os.path.exists(path := f"{spool}/aside/{one.journal}")]
        where = f"kept in {kept[0]}" if kept else f"kept aside on {one.host or 'its host'}"
        lines = "1 line was" if one.skipped == 1 else f"{one.skipped:,} lines were"
        yield Finding(grade="note", about="journal", text=f"{one.journal}: {lines} not understood, {where}")
    left = sum(1 for one in found if one.skipped) - _MOST
    if left > 0:
        yield Finding(grade="note", about="journal", text=f"and {left:,} more journals with lines not understood")
    facts, progress = sum(one.facts_dropped for one in found), sum(one.progress_dropped for one in found)
    if facts or progress:
        text = f"{facts:,} facts and {progress:,} reports of progress were dropped: the disk was full"
        yield Finding(grade="note", about="journal", text=text)


def _cron(session: Session) -> Iterator[Finding]:
    """What a job under cron would not see."""
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "STATUSTUI_STATE_DIR", "STATUSTUI_STORE"):
        if os.environ.get(name):
            where = "the user configuration" if name.startswith("STATUSTUI") else "~/.config/statustui/config.toml"
            text = f"{name} is set here; cron jobs do not have it: set it in the crontab, or the store in {where}"
            yield Finding(grade="note", about="cron", text=text)
    if shutil.which("statustui", path="/usr/bin:/bin") is None:
        found = shutil.which("statustui") or os.path.abspath(sys.argv[0])
        yield Finding(
            grade="note", about="cron", text=f"not on cron's PATH: write {found} in crontabs (doctor --cron 'LINE')"
        )


def _terminal(session: Session) -> Iterator[Finding]:
    if not session.out.tty:
        return
    term = os.environ.get("TERM", "")
    if term in ("", "dumb"):
        yield Finding(
            grade="note", about="terminal", text=f"TERM is {term!r}: the monitor can not draw; use statustui status"
        )
    elif session.out.ascii:
        yield Finding(grade="note", about="terminal", text="no UTF-8 locale: shown in ASCII (export LANG=C.UTF-8)")
    else:
        yield Finding(grade="ok", about="terminal", text=term)
