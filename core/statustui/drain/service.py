"""One drainer process from its start to its end."""

import gc
import os
import resource
import sys

from statustui import config
from statustui.drain import lifecycle, place
from statustui.drain.diary import Diary
from statustui.errors import ConfigError, StatustuiError

_DESCRIPTORS = 65_536


def serve(spool: str) -> int:
    """Work on a spool directory until nothing is left to do.

    Returns:
        0 when it worked or another drainer does, 1 when the directory cannot be worked on.
    """
    spool = os.path.abspath(spool)
    _raise_descriptor_limit()
    try:
        where = place.read_place(spool)
    except StatustuiError:
        return 1
    version = place.own_version()
    lock = lifecycle.DrainerLock(spool)
    try:
        while lifecycle.waiting(spool, version) is None and lock.take(version):
            again = _work(where, lock, version)
            if not again:
                break
    except OSError as error:  # the directory is gone, or its disk is full
        Diary(spool).say("end", str(error))
        return 1
    finally:
        lock.free()
    _hand_over(spool, version)
    return 0


def _work(where: place.Place, lock: lifecycle.DrainerLock, version: str) -> bool:
    """Work with the lock held; True when something came in between the last look and the end of the lock."""
    _import_sqlalchemy()
    from statustui.drain.loop import Drainer

    drainer = Drainer(where, _settings(where), version)
    # What was imported stays for good: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    try:
        drainer.run(lock)
        lock.free()
        return drainer.pending()
    finally:
        lock.free()
        drainer.close()


def _import_sqlalchemy() -> None:
    """Import SQLAlchemy without OpenSSL, which asyncio and hashlib bring along: no drainer has any use for it."""
    unwanted = {name for name in ("ssl", "_hashlib") if name not in sys.modules}
    sys.modules.update(dict.fromkeys(unwanted))  # type: ignore[arg-type]
    try:
        import sqlalchemy  # noqa: F401
    finally:
        for name in unwanted:
            del sys.modules[name]


def _settings(where: place.Place) -> config.Settings:
    """The owner's own configuration; one that cannot be read must not keep facts from the store."""
    try:
        return config.load(store=where.url, start="/")
    except ConfigError as error:
        Diary(where.spool).say("configuration", str(error))
        return config.Settings(where.url, state_dir=where.state_dir)


def _hand_over(spool: str, version: str) -> None:
    """Start the newer version that waits for this one to end."""
    waiting = lifecycle.waiting(spool, version)
    if waiting is not None:
        from statustui.journal.spawn import start_another

        start_another(waiting.command or [waiting.interpreter, "-I", "-m", "statustui.drain", spool])


def _raise_descriptor_limit() -> None:
    """A pidfd for each writer needs more than the usual 1,024 descriptors."""
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return
