"""Asking for a run's end. The drainer of its owner carries it out (``drain.requests``)."""

import os
from typing import TYPE_CHECKING

from statustui.journal.files import make_private_dirs, open_private

if TYPE_CHECKING:
    from statustui.config import Settings
    from statustui.model.run import Request, Run
    from statustui.store.open import Store


def ask_cancel(
    store: "Store",
    run: "Run",
    *,
    by: str,
    now: bool = False,
    reason: str | None = None,
    settings: "Settings | None" = None,
) -> "Request":
    """Ask that a run ends: TERM, its grace time, KILL.

    Args:
        store: the store that holds the run.
        run: the run.
        by: who asks (:func:`statustui.control.actor.actor`).
        now: KILL at once.
        reason: why, for the trail.
        settings: with them the drainer on this host is woken; else it looks within a second.
    """
    from statustui.model.status import RequestKind
    from statustui.store import requests

    kind = RequestKind.KILL if now else RequestKind.CANCEL
    who, _, origin = by.partition("@")
    asked = requests.ask(store, kind, run.run_id, by=who, origin=origin or os.uname().nodename, reason=reason, now=now)
    if settings is not None:
        wake(settings)
    return asked


def wake(settings: "Settings") -> None:
    """Let the drainer of this user, host and store look for requests now, and start it where none works."""
    from statustui import config
    from statustui.journal import spawn

    spool = config.spool_dir(settings)
    if not os.path.isdir(spool):
        return
    try:
        fd = open_private(f"{spool}/wake", os.O_WRONLY | os.O_CREAT)
        os.utime(fd)
        os.close(fd)
    except OSError:
        return  # it looks once a second anyway
    if settings.drainer == "process":
        spawn.ensure_drainer(spool)


def note_asked(state_dir: str, run_id: str) -> None:
    """Leave word for a run's wrapper that the end it is about to see was asked for.

    Raises:
        OSError: it can not be written.
    """
    directory = f"{state_dir}/launch"
    make_private_dirs(directory, state_dir)
    os.close(open_private(f"{directory}/{_checked(run_id)}.cancel", os.O_WRONLY | os.O_CREAT))


def was_asked(state_dir: str, run_id: str) -> bool:
    """Was the end of this run asked for? The word is taken away."""
    try:
        os.unlink(f"{state_dir}/launch/{_checked(run_id)}.cancel")
    except OSError:
        return False
    return True


def _checked(run_id: str) -> str:
    if not run_id.replace("-", "").isalnum():
        raise OSError(f"not a run id: {run_id[:40]!r}")
    return run_id
