"""Journals that nobody drains any more: those of a pid namespace (a container) that is gone."""

import os
import time

from statustui.drain import lifecycle, place
from statustui.drain.inline import bring_in
from statustui.errors import StatustuiError
from statustui.journal import locks
from statustui.journal.reader import list_journals

_LIMIT_S = 5.0


def adopt_leftovers(where: place.Place) -> int:
    """Bring in what lies in the directories of other namespaces of this machine, for the same store.

    A directory whose drainer works, or one of whose writers lives, is left to them.

    Returns:
        How many directories were brought in.
    """
    done = 0
    for spool in siblings(where.spool):
        lock = lifecycle.DrainerLock(spool)
        try:
            if _inhabited(spool) or not lock.take(place.own_version()):
                continue
            done += bring_in(place.read_place(spool), time.monotonic() + _LIMIT_S, prove=True)
        except (OSError, StatustuiError):
            continue
        finally:
            lock.free()
    return done


def siblings(spool: str) -> list[str]:
    """Directories of other pid namespaces of the same machine for the same store."""
    namespace_dir, store = os.path.split(spool)
    machine_dir, own = os.path.split(namespace_dir)
    try:
        names = sorted(os.listdir(machine_dir))
    except OSError:
        return []
    found = [f"{machine_dir}/{name}/{store}" for name in names if name.isdigit() and name != own]
    return [path for path in found if os.path.isfile(f"{path}/store.url")]


def _inhabited(spool: str) -> bool:
    return any(locks.holder(f"{spool}/{journal}.lock") is not None for journal in list_journals(spool))
