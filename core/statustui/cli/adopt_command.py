"""``statustui adopt PID``: a process that already runs becomes a run."""

import time
from typing import TYPE_CHECKING, Any

import click

from statustui.cli import figures
from statustui.cli.output import Column, warn
from statustui.cli.session import NO, OK, USAGE, NoStoreYet, Session, Stop, shared
from statustui.cli.shapes import VERSION

if TYPE_CHECKING:
    from statustui.control.adopt import Adoption
    from statustui.control.candidates import Candidate
    from statustui.model.run import Run
    from statustui.process.facts import Facts

_WAIT_S = 10.0
_OPEN = 10_000
_COMMAND_CELLS = 160
"""A command of thousands of characters is in --json; in a list it only hides the others."""


@click.command(
    "adopt",
    short_help="Track a process that already runs.",
    epilog="Example: statustui adopt 4711 --name nightly_hashes",
)
@click.argument("pid", required=False, type=int)
@click.option("--name", metavar="TASK", help="Name of the task (default: that of its script or program).")
@click.option("--stage", metavar="STAGE", help="Group of the task (default: by the prefix of its name).")
@click.option("--log", metavar="FILE", help="Its log (default: the file that its output goes to).")
@click.option("--progress-file", metavar="FILE", help="The one open file whose position is its progress.")
@shared
@click.pass_obj
def command(
    session: Session, /, pid: int | None, name: str | None, stage: str | None, log: str | None,
    progress_file: str | None,
) -> int:  # fmt: skip
    """Track the process PID from now on, without a restart; without PID list what could be adopted.

    It gets its end, CPU, memory, log, and the progress of the files it reads, as far as their positions prove it.
    It can be cancelled like any run. Only your own processes (root: all).
    """
    if pid is None:
        if name or stage or log or progress_file:
            raise Stop(USAGE, "say which process: statustui adopt PID")
        return _list(session)
    if pid <= 0:
        raise Stop(USAGE, f"{pid} is no process id")
    for option, value in (("--name", name), ("--stage", stage), ("--log", log), ("--progress-file", progress_file)):
        if value is not None and not value.strip():
            raise Stop(USAGE, f"{option} needs a value")
    session.check_writable()
    from statustui.control.actor import actor
    from statustui.control.adopt import adopt, inspect

    about = inspect(pid, _open_runs(session))
    try:
        done = adopt(session.settings, about, by=actor(), name=name, stage=stage, log=log, progress_file=progress_file)
    except OSError as error:
        raise Stop(NO, f"{error.filename or 'the journal'}: {error.strerror}") from error
    _report(session, about, done)
    return OK


def _open_runs(session: Session) -> "list[Run]":
    """The runs that are open now; none where there is no store yet."""
    from statustui.model.status import OPEN_RUN_STATUSES
    from statustui.store import reads
    from statustui.store.selector import Selector

    try:
        with session.reading() as store:
            return list(reads.runs(store, Selector(statuses=OPEN_RUN_STATUSES), limit=_OPEN))
    except NoStoreYet:
        return []


def _report(session: Session, about: "Facts", done: "Adoption") -> None:
    number = _number(session, done.run_id)
    if session.as_json:
        session.out.json(
            {
                "version": VERSION, "run_id": done.run_id, "id": number, "task": done.task, "pid": about.pid,
                "log_path": done.log_path, "notes": list(done.notes),
            }
        )  # fmt: skip
        return
    which = f"run {number}" if number is not None else "a run that the drainer brings in soon"
    session.out.line(
        f"adopted: process {about.pid} is {which} ({done.task}), running for {figures.duration(about.age_s)}"
    )
    session.out.line(f"log: {done.log_path}" if done.log_path else "log: none (its output goes to no file; give --log)")
    for note in done.notes:
        warn(f"statustui: {note}")


def _number(session: Session, run_id: str) -> int | None:
    """The short id, as soon as the store has the run; None when that takes too long."""
    from sqlalchemy.exc import SQLAlchemyError

    from statustui.errors import StatustuiError
    from statustui.store import reads
    from statustui.store.open import open_store

    deadline = time.monotonic() + (_WAIT_S if session.settings.drainer == "process" else 0.0)
    while True:
        try:
            with open_store(session.settings.store_url, create=False, read_only=True, timeout=1.0) as store:
                found = reads.find(store, run_id)
            if found:
                return found[0].id
        except (StatustuiError, SQLAlchemyError):
            pass
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.05)


def _list(session: Session) -> int:
    from statustui.control.candidates import candidates

    found = candidates(_open_runs(session))
    if session.as_json:
        session.out.json({"version": VERSION, "processes": [_as_json(one) for one in found]})
        return OK
    if not found:
        session.out.line("none of your processes has run for 10 s or more without being tracked")
        return OK
    session.out.table(
        [Column(title="PID", right=True), Column(title="RUNS", right=True), Column(title="CPU", right=True),
         Column(title="MEM", right=True), Column(title="NAME", least=8),
         Column(title="COMMAND", least=12, most=_COMMAND_CELLS)],
        [
            [str(one.about.pid), figures.duration(one.about.age_s), f"{one.cpu_percent:.0f}%",
             figures.size(one.rss_bytes), one.name, one.command]
            for one in found
        ],
    )  # fmt: skip
    session.out.line(("statustui adopt PID tracks one of them", "dim"))
    return OK


def _as_json(one: "Candidate") -> dict[str, Any]:
    return {
        "pid": one.about.pid,
        "name": one.name,
        "age_s": round(one.about.age_s, 1),
        "cpu_s": round(one.cpu_s, 1),
        "cpu_percent": round(one.cpu_percent, 1),
        "rss_bytes": one.rss_bytes,
        "processes": one.processes,
        "command": one.command,
    }
