"""``statustui drain``: journals into the store, by hand."""

import json
import os
import signal
import time
from contextlib import suppress
from typing import Any

import click

from statustui.cli import bring
from statustui.cli.session import NO, OK, USAGE, Session, Stop, shared
from statustui.cli.shapes import VERSION
from statustui.journal import reader, spawn
from statustui.journal.locks import holder

_STOP_S = 10.0
_NOTHING = "No journals of yours for this store on this host."


@click.command(
    "drain",
    short_help="Bring journals into the store.",
    epilog="Example: statustui drain          statustui drain status",
)
@click.argument("action", type=click.Choice(["run", "status"]), default="run")
@click.option(
    "--check",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Only say whether everything is in the store (status 1 if not); with FILE name the lines of that journal "
    "that are not understood.",
)
@click.option("--stop", is_flag=True, help="End the drainer; the next recorded run starts it again.")
@click.option("--timeout", type=click.FloatRange(min=0), default=60.0, metavar="S", help="Longest wait (default 60).")
@shared
@click.pass_obj
def command(session: Session, action: str, check: str | None, stop: bool, timeout: float) -> int:
    """Bring this user's journals on this host into the store, and wait until that is done.

    The drainer does so by itself while programs record; this is for journals that were left behind.
    """
    if check:
        return _check(session, check)
    if check is not None and stop:
        raise Stop(USAGE, "--check and --stop do not go together")
    if stop:
        return _stop(session)
    if action == "status" or check is not None:
        return _status(session, quiet=check is not None)
    return _drain(session, timeout)


def _check(session: Session, path: str) -> int:
    """Name line and reason of what a reader would put aside."""
    try:
        problems = list(reader.check(path))
    except OSError as error:
        raise Stop(USAGE, f"{path}: {error.strerror}") from error
    if session.as_json:
        found = [{"line": problem.line, "offset": problem.offset, "reason": problem.reason} for problem in problems]
        session.out.json({"version": VERSION, "file": path, "problems": found})
    else:
        for problem in problems:
            session.out.line(f"{path}:{problem.line}: {problem.reason}")
        if not problems:
            session.out.line(f"{path}: a journal of version {reader.VERSION}, every line is understood")
    return NO if problems else OK


def _states(session: Session) -> list[dict[str, Any]]:
    states = []
    with bring.Asking(session.settings.store_url) as asking:
        for spool in bring.spools(session.settings):
            ends = bring.journal_ends(spool)
            states.append(
                {
                    "spool": spool,
                    "drainer_pid": holder(f"{spool}/drainer.lock"),
                    "drainer_version": _about(spool).get("version"),
                    "journals": len(ends),
                    "unapplied": len(asking.missing(ends)),
                }
            )
    return states


def _about(spool: str) -> dict[str, Any]:
    """What the drainer's lock says of its holder."""
    with suppress(OSError, ValueError), open(f"{spool}/drainer.lock", encoding="utf-8") as file:
        found = json.loads(file.read(4096))
        if isinstance(found, dict):
            return found
    return {}


def _status(session: Session, *, quiet: bool) -> int:
    states = _states(session)
    if session.as_json:
        session.out.json({"version": VERSION, "spools": states})
    elif not states:
        session.out.line(_NOTHING)
    else:
        for state in states:
            pid = state["drainer_pid"]
            working = f"drainer {pid} works" if pid else "no drainer works"
            session.out.line(
                f"{state['spool']}: {working}, {state['journals']} journals, {state['unapplied']} not applied"
            )
    return NO if quiet and any(state["unapplied"] for state in states) else OK


def _drain(session: Session, timeout: float) -> int:
    deadline = time.monotonic() + timeout
    settings = session.settings
    waiting = {spool: ends for spool in bring.spools(settings) if (ends := bring.journal_ends(spool))}
    with bring.Asking(settings.store_url) as asking:
        while left := {spool: ends for spool, ends in waiting.items() if not asking.holds(ends)}:
            if time.monotonic() >= deadline:
                raise Stop(NO, f"not all is applied after {timeout:g} s; see {next(iter(left))}/drainer.log")
            for spool in left:
                if settings.drainer == "process":
                    spawn.ensure_drainer(spool)
                else:
                    from statustui.drain import inline

                    inline.run(spool, deadline)
            time.sleep(0.05)
    count = sum(len(ends) for ends in waiting.values())
    if session.as_json:
        session.out.json({"version": VERSION, "journals": count})
    else:
        session.out.line(
            f"{count} journals, all applied." if count else "No journals of yours for this store on this host."
        )
    return OK


def _stop(session: Session) -> int:
    stopped: list[int] = []
    for spool in bring.spools(session.settings):
        # The kernel says who holds the lock: no pid from a file is ever signalled.
        pid = holder(f"{spool}/drainer.lock")
        if pid is None or pid <= 1:
            continue
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_S
        while holder(f"{spool}/drainer.lock") == pid:
            if time.monotonic() >= deadline:
                raise Stop(NO, f"drainer {pid} did not end within {_STOP_S:g} s; see {spool}/drainer.log")
            time.sleep(0.02)
        stopped.append(pid)
    if session.as_json:
        session.out.json({"version": VERSION, "stopped": stopped})
    else:
        session.out.line(f"stopped: {', '.join(map(str, stopped))}" if stopped else "no drainer works")
    return OK
