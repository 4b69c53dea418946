"""``statustui tail RUN``: the log of a run."""

import os
import sys
import time
from typing import TYPE_CHECKING

import click

from statustui.cli.logfile import as_text, follow, hold_back, last_lines, open_log
from statustui.cli.output import warn
from statustui.cli.selecting import RUN, one_run
from statustui.cli.session import NO, OK, Session, Stop, shared, store_errors
from statustui.cli.shapes import VERSION
from statustui.model.run import Run

if TYPE_CHECKING:
    from statustui.store.open import Store

_USUAL = 50
_ASK_EVERY_S = 1.0


@click.command("tail", short_help="Show or follow the log of a run.", epilog="Example: statustui tail -f 4817")
@click.argument("run", type=RUN)
@click.option("-n", "--lines", type=click.IntRange(0, 10_000_000), help=f"Print the last N lines (default {_USUAL}).")
@click.option("-f", "--follow", "following", is_flag=True, help="Print what comes, until the run has ended.")
@shared
@click.pass_obj
def command(session: Session, run: str, lines: int | None, following: bool) -> int:
    """Show the log of RUN. On a terminal, without -n and -f, it opens the monitor's log view."""
    plain = lines is not None or following or session.as_json or not (sys.stdin.isatty() and session.out.tty)
    with session.reading() as store:
        found = one_run(store, run)
        if not plain:
            store.close()
            from statustui_tui.app import main

            return main(session.settings, read_only=session.settings.read_only, run=found.run_id, screen="log")
        return _print(session, store, found, _USUAL if lines is None else lines, following)


def _print(session: Session, store: "Store", run: Run, count: int, following: bool) -> int:
    try:
        log = open_log(run, session.settings)
    except Stop as error:
        return _stored_tail(session, store, run, count, error)
    try:
        if following and run.status.open:
            hold_back(log)
        last = [as_text(line) for line in last_lines(log, count)]
        if session.as_json:
            session.out.json({"version": VERSION, "run_id": run.run_id, "path": log.path, "lines": last})
            return OK
        if log.note:
            warn(f"statustui: {log.note}")
        for line in last:
            session.out.line(line)
        if not following:
            return OK
        sys.stdout.flush()
        for lines in follow(log, _Ended(session, store, run)):
            for raw in lines:
                session.out.line(as_text(raw))
            sys.stdout.flush()
        return OK
    finally:
        os.close(log.fd)


def _stored_tail(session: Session, store: "Store", run: Run, count: int, error: Stop) -> int:
    """The last lines that the record keeps of a bad end, where the log itself can not be read."""
    from statustui.store import reads

    kept = reads.detail(store, run.run_id).log_tail
    if not kept:
        raise error
    if session.as_json:
        session.out.json({"version": VERSION, "run_id": run.run_id, "path": None, "lines": list(kept[-count:])})
        return OK
    warn(f"statustui: {error}; from the record:")
    for line in kept[-count:] if count else ():
        session.out.line(line)
    return NO if not count else OK


class _Ended:
    """Has the run ended? Asks the store once a second."""

    def __init__(self, session: Session, store: "Store", run: Run) -> None:
        self._session = session
        self._store = store
        self._run = run
        self._next = 0.0
        self._over = not run.status.open

    def __call__(self) -> bool:
        if self._over or time.monotonic() < self._next:
            return self._over
        self._next = time.monotonic() + _ASK_EVERY_S
        from statustui.store import reads

        with store_errors(self._session.settings.store_url):
            self._over = not reads.detail(self._store, self._run.run_id).run.status.open
        return self._over
