"""Acknowledging bad ends, so that they no longer ask for a person."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from statustui.model.run import Run
    from statustui.store.open import Store


def acknowledge(store: "Store", runs: "Iterable[Run]", *, by: str) -> int:
    """Acknowledge the runs that ended badly and were not acknowledged before.

    Args:
        store: the store that holds the runs.
        runs: any runs; the others are left alone.
        by: who does (:func:`statustui.control.actor.actor`).

    Returns:
        How many were acknowledged.
    """
    from statustui.store import requests

    run_ids = [run.run_id for run in runs if run.status.bad and run.acked_by is None]
    return requests.acknowledge(store, run_ids, by) if run_ids else 0
