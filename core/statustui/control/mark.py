"""Saying what became of a run that nothing else can tell of."""

from typing import TYPE_CHECKING

from statustui.errors import StatustuiError

if TYPE_CHECKING:
    from statustui.model.run import Run
    from statustui.store.open import Store


class AlreadyEnded(StatustuiError):
    """This run has ended; only an open run can be marked lost."""


def mark_lost(store: "Store", run: "Run", *, reason: str, by: str) -> None:
    """Mark an open run as lost; a later sign of life undoes it.

    Args:
        store: the store that holds the run.
        run: the run.
        reason: why, for the trail.
        by: who says so (:func:`statustui.control.actor.actor`).

    Raises:
        AlreadyEnded: the run is not open.
    """
    from statustui.store import requests

    if not run.status.open or not requests.mark_lost(store, run.run_id, reason, by):
        raise AlreadyEnded(f"{run.task} {run.id} has ended; only an open run can be marked lost")
