"""``statustui demo``: real work over files that every machine has, and the monitor on it."""

import os
import sys
import threading
from pathlib import Path

import click

from statustui.cli.output import warn
from statustui.cli.session import NO, OK, Session, Stop, shared
from statustui.config import Settings, display_url, load, spool_dir
from statustui.journal.spawn import ensure_drainer

_ROUNDS = 20
_QUICK = 1


@click.command("demo", short_help="Start real work and watch it.", epilog="Example: statustui demo")
@click.option("--rounds", type=click.IntRange(1, 100), help="How much work: one takes about ten seconds on two cores.")
@shared
@click.pass_obj
def command(session: Session, rounds: int | None) -> int:
    """Start several real tasks side by side and open the monitor on them.

    Files of the Python standard library are hashed, compressed, parsed and indexed; two of the tasks fail, since the
    files really do not decode or parse. They record themselves in a store of the demo's own, unless --store names one.
    Without a terminal it waits for them and prints the status.
    """
    from statustui.demo import launch

    home = Path(session.settings.state_dir) / "demo"
    if session.store is None:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        session.store = str(home / "demo.db")
        session.__dict__.pop("settings", None)
    settings = load(store=session.store)
    if sys.stdin.isatty() and sys.stderr.isatty() and not session.as_json:
        return _watch(settings, home / "work", rounds or _ROUNDS)
    shown = display_url(settings.store_url)
    demo = launch(store_url=settings.store_url, workdir=home / "work", rounds=rounds or _QUICK)
    print(f"statustui demo: {len(demo.processes)} tasks, recorded in {shown}", flush=True)
    left = demo.wait()
    if left:
        warn(f"statustui demo: {left} tasks still run after ten minutes; see statustui --store {_short(shown)} status")
        return NO
    from statustui.cli.status_command import show_status

    show_status(session)
    return OK


def _watch(settings: Settings, workdir: Path, rounds: int) -> int:
    """Open the monitor first, and start the tasks once it is there: it then has the processors to itself."""
    from statustui.demo import Demo, launch
    from statustui_tui.app import main

    started: list[Demo] = []
    wrong: list[OSError] = []

    def begin() -> None:
        try:
            # Before the tasks take the processors.
            ensure_drainer(spool_dir(settings))
            started.append(launch(store_url=settings.store_url, workdir=workdir, rounds=rounds))
        except OSError as error:
            wrong.append(error)
            return
        # Ended tasks are reaped at once, so that no zombie stands in a process tree.
        started[0].wait(86_400.0)

    code = main(settings, started=lambda: threading.Thread(target=begin, daemon=True).start())
    if wrong:
        raise Stop(NO, f"the demo could not be started: {wrong[0]}")
    if code == OK:
        shown = _short(display_url(settings.store_url))
        print(f"The demo is recorded in {shown}; look again with: statustui --store {shown}")
        left = sum(process.poll() is None for demo in started for process in demo.processes)
        if left:
            print(f"{left} of its tasks still run; they end by themselves.")
    return code


def _short(shown: str) -> str:
    path = shown.removeprefix("sqlite:///")
    home = os.path.expanduser("~")
    return f"~{path[len(home) :]}" if path.startswith(home + "/") else path
