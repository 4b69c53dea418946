"""The drainer's work done once, inside a program or a command: no sampling, no cancel, no process of its own."""

import time

from statustui.drain import lifecycle, place
from statustui.drain.diary import Diary
from statustui.drain.lookout import Lookout
from statustui.drain.pump import Pump
from statustui.drain.sampling import Sampling
from statustui.drain.sink import Poison, Sink
from statustui.errors import StatustuiError


def run(spool: str, deadline: float) -> bool:
    """Bring everything in a spool directory into its store.

    Args:
        spool: the directory.
        deadline: until when to try, by ``time.monotonic()``.

    Returns:
        True when nothing is left to apply; False when the deadline passed, another drainer works there, or the
        directory is none.
    """
    try:
        where = place.read_place(spool)
        lock = lifecycle.DrainerLock(where.spool)
        while not lock.take(place.own_version()):
            if time.monotonic() + 0.02 >= deadline:
                return False
            time.sleep(0.02)
    except (OSError, StatustuiError):
        return False
    try:
        return bring_in(where, deadline)
    finally:
        lock.free()


def bring_in(where: place.Place, deadline: float, *, prove: bool = False) -> bool:
    """Apply what lies in a directory whose drainer's lock is held.

    Args:
        where: the directory.
        deadline: until when to try, by ``time.monotonic()``.
        prove: also say which runs are lost.
    """
    diary = Diary(where.spool)
    sink = Sink(where.url, diary)
    pump = Pump(where.spool, sink, diary, place.host_info(where))
    lookout = Lookout(where.spool, pump.tails, pump.registry, Sampling(), pump.steps)
    try:
        while True:
            if pump.refresh():
                done = pump.push()
                pump.prime()
                if prove:
                    lookout.attend()
                if done is False and not pump.unapplied():
                    break
            wait = max(sink.due_in, 0.005 if sink.failing_s else 0.0)
            if time.monotonic() + wait >= deadline:
                return False
            time.sleep(wait)
        _keep_house(sink, diary, deadline)
        if prove:
            deaths = tuple(ending.death() for ending in lookout.endings({}))
            pump.push(deaths=deaths, abandoned=lookout.abandoned())
        return True
    except OSError:
        return False
    finally:
        lookout.close()
        sink.close()


def _keep_house(sink: Sink, diary: Diary, deadline: float) -> None:
    """See to the counters and claims of items, as far as time allows; what is left waits for whoever comes next."""
    if not sink.opened:
        return
    from statustui.store.item_housekeeping import keep_house

    try:
        while time.monotonic() < deadline and sink.call(keep_house):
            pass
    except Poison as error:
        diary.say("items", str(error))
