"""The drainer at work: wait for something to happen, apply it, see who died, sample, beat, do what was asked."""

import gc
import os
import select
import signal
import time
from typing import TYPE_CHECKING

from statustui.drain import failpoint, lifecycle
from statustui.drain.adopted import Adopted
from statustui.drain.diary import Diary
from statustui.drain.last_words import LastWords
from statustui.drain.leftover import adopt_leftovers
from statustui.drain.lookout import Ending, Lookout
from statustui.drain.notify import Notice
from statustui.drain.place import Place, host_info
from statustui.drain.prune import Pruner
from statustui.drain.pump import Pump
from statustui.drain.requests import Requests
from statustui.drain.sampling import Sampling
from statustui.drain.sink import Poison, Sink
from statustui.model.times import utc_now

if TYPE_CHECKING:
    from statustui.config import Settings
    from statustui.store.apply import Sample
    from statustui.store.batch import Abandoned
    from statustui.store.open import Store

_BEAT_S = 5.0
_COUNTS_S = 0.5
_HOUSE_S = 2.0
_SCAN_S = 30.0
# Soon, since most drainers live for some seconds only: else journals would never be pruned.
_FIRST_SCAN_S = 2.0
_LEFTOVERS_S = (1.0, 600.0)
_SCAN_WITHOUT_NOTICE_S = (0.05, 0.5)
_SHORTEST_PACE_S = 0.05
_LONGEST_PACE_S = 0.2
_LONGEST_PROGRESS_PACE_S = 0.8
_GATHER_S = 0.01
_GATHER_EACH_S = 0.0001
# After a death, look at every turn whether a run is proven over: its last facts are being applied.
_DEATH_S = 5.0
# The share of one core that applying may take under load: a batch that took 50 ms is followed by 200 ms of gathering.
_DUTY = 4.0
# Without a writer and without a store: the journals lie safe, and the next writer, command or monitor starts anew.
_GIVE_UP_S = 3600.0


class Drainer:
    """Works on one spool directory until there is nothing left to do, or it is told to end."""

    def __init__(self, where: Place, settings: "Settings", version: str) -> None:
        spool = where.spool
        self._where = where
        self._spool = spool
        self._version = version
        self._diary = Diary(spool)
        self._notice = Notice(spool)
        self._sink = Sink(where.url, self._diary)
        self._pump = Pump(spool, self._sink, self._diary, host_info(where))
        self._sampling = Sampling()
        self._lookout = Lookout(spool, self._pump.tails, self._pump.registry, self._sampling, self._pump.steps)
        self._pump.met = self._lookout.greet
        self._last_words = LastWords(settings)
        self._adopted = Adopted(spool, self._pump.tails, self._pump.registry, self._diary)
        self._requests = Requests(self._sink, where.owner, settings, self._pump.registry, self._lookout, self._diary)
        self._pruner = Pruner(spool, self._pump.tails, self._diary)
        self._stop = False
        self._settled = False
        self._lock: lifecycle.DrainerLock | None = None
        now = time.monotonic()
        self._active_at = now
        self._beat_due = now
        self._counts_due = now
        self._house_due = now
        self._scan_due = now + _FIRST_SCAN_S
        self._leftovers_due = now + _LEFTOVERS_S[0]
        self._next_batch = now
        self._next_progress = now
        self._look_again = now  # what was applied last may have ended a run
        self._deaths_until = now
        self._deaths_due = now
        self._quick = _SCAN_WITHOUT_NOTICE_S[0]
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def run(self, lock: lifecycle.DrainerLock) -> None:
        """Work until the end, with the drainer's lock held.

        Raises:
            OSError: the directory is gone.
        """
        self._lock = lock
        signal.signal(signal.SIGTERM, self._told_to_end)
        signal.signal(signal.SIGINT, self._told_to_end)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        poll = self._lookout.poll
        poll.register(self._wake_read, select.POLLIN)
        if self._notice.fd is not None:
            poll.register(self._notice.fd, select.POLLIN)
        self._diary.say("start", f"statustui {self._version}")
        linger = lifecycle.linger_s()
        while not self._stop:
            self._turn()
            if not lock.held:
                self._diary.say("end", "the directory or its lock is gone")
                return
            if lifecycle.waiting(self._spool, self._version) is not None:
                self._diary.say("end", "a newer version waits")
                return
            if self._idle() and time.monotonic() - self._active_at >= linger:
                return
            self._wait(linger)

    def pending(self) -> bool:
        """A last look, after the lock was freed: has anything come meanwhile?"""
        self._pump.note(self._notice.take())
        self._pump.note(None)
        try:
            return not self._stop and self._pump.refresh() and self._pump.has_news()
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Let go of the store and all processes."""
        signal.set_wakeup_fd(-1)
        self._requests.close()
        self._adopted.close()
        self._lookout.close()
        self._sink.close()
        self._notice.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _turn(self) -> None:
        now = time.monotonic()
        self._hear(now)
        failpoint.reached("turn")
        if now >= self._beat_due:
            lifecycle.beat(self._spool)
        if self._lookout.attend():
            self._next_batch = now  # a death is told at once
            self._deaths_until = now + _DEATH_S
            self._active_at = now
        if self._sink.due_in == 0:
            self._work(now)
            self._keep_house(now)
        if not self._pump.priming:
            self._requests.tick()
        self._adopted.tick(now)
        self._lookout.tidy()

    def _hear(self, now: float) -> None:
        """Note what changed in the directory and on the clock."""
        names = self._notice.take()
        if names:
            self._quick = _SCAN_WITHOUT_NOTICE_S[0]
            if "wake" in names:
                self._requests.wake()
        if names is None or now < self._scan_due:
            self._pump.note(names)
        else:
            self._pump.note(names)
            self._pump.note(None)
            self._scan_due = now + _SCAN_S
            self._pruner.prune()
        if now >= self._leftovers_due:
            self._leftovers_due = now + _LEFTOVERS_S[1]
            adopt_leftovers(self._where)
        if now >= self._counts_due:
            self._counts_due = now + _COUNTS_S
            for tail in self._pump.tails.active():
                tail.look_at_counts()
        if self._sink.moved():
            self._pump.note(None)

    def _work(self, now: float) -> None:
        """One batch, when it is time for one."""
        if now < self._next_batch or not self._pump.refresh():
            return
        beat = now >= self._beat_due
        endings: list[Ending] = []
        abandoned: tuple[Abandoned, ...] = ()
        if now < self._deaths_until or now >= self._deaths_due:
            self._deaths_due = now + 1.0
            endings = self._lookout.endings(self._requests.cancels())
            abandoned = self._lookout.abandoned()
        samples: tuple[Sample, ...] = ()
        self._sampling.expect(self._pump.registry.runs)
        if self._pump.registry.runs and self._sampling.due_in(now) == 0:
            samples = self._sampling.take(self._lookout.roots())
            beat = True  # in the same transaction
        deaths = tuple(map(self._last_words.of, endings))
        ended = [(ending.run.run_id, ending.log_end) for ending in endings]
        printed = self._lookout.log_ends.found()
        samples += tuple(_last_sample(*one) for one in ended + printed if one[1] is not None)
        began = time.monotonic()
        progress = now >= self._next_progress
        done = self._pump.push(samples, deaths, beat, progress, abandoned)
        if done is None:
            return
        if beat:
            self._beat_due = now + _BEAT_S
            lifecycle.beat(self._spool)
        for step in abandoned:
            self._diary.say(f"step {step.pipeline} {step.key} {step.step}", step.reason)
        for run_id, _ in printed:
            self._lookout.log_ends.forget(run_id)
        for ending in endings:
            self._lookout.forget(ending.run.run_id)
            self._diary.say(f"run {ending.run.run_id}", f"{ending.verdict.status.value}: {ending.verdict.reason}")
        if done and not self._settled:
            self._settled = True
            # The store's libraries stay for good, too: looking through them took 20 ms, often with its lock held.
            gc.collect()
            gc.freeze()
        if done:
            spent = time.monotonic() - began
            pause = min(max(spent * _DUTY, _SHORTEST_PACE_S, self._crowd_s()), _LONGEST_PACE_S)
            if progress:  # facts need not wait for the many that only count on
                self._next_progress = time.monotonic() + min(spent * _DUTY, _LONGEST_PROGRESS_PACE_S)
            if self._pump.behind:  # a backlog first: nobody sees what is current while it lasts
                pause = spent
            self._next_batch = self._look_again = time.monotonic() + pause
        else:  # what woke us can wait: gather more of it
            self._next_batch = time.monotonic() + self._crowd_s()
        self._pump.prime()

    def _crowd_s(self) -> float:
        """How long to gather before the next turn: a turn looks at every writer."""
        return _GATHER_S + len(self._pump.tails.active()) * _GATHER_EACH_S

    def _keep_house(self, now: float) -> None:
        """See to the counters and claims of items; the loop wakes for its beat at the latest."""
        if now < self._house_due or self._pump.behind or not self._sink.opened:
            return
        try:
            more = self._sink.call(_house)
        except Poison as error:
            self._diary.say("items", str(error))
            more = False
        self._house_due = time.monotonic() + (_SHORTEST_PACE_S if more else _HOUSE_S)

    def _idle(self) -> bool:
        """Is there nothing to wait for? While something is, the time of the last activity is now."""
        busy = (
            self._lookout.living()
            or self._requests.busy
            or (self._pump.unapplied() and self._sink.failing_s < _GIVE_UP_S)
            or bool(self._lookout.roots())
            or time.monotonic() < self._look_again
            or (self._sink.failing_s < _GIVE_UP_S and bool(self._lookout.abandoned()))
        )
        if busy:
            self._active_at = time.monotonic()
        return not busy

    def _wait(self, linger: float) -> None:
        """Sleep until a file changes, a process ends, a signal comes or the clock says so."""
        now = time.monotonic()
        until = [
            self._beat_due - now,
            self._requests.due_in(now),
            max(0.0, linger - (now - self._active_at)) + 0.01,
        ]
        if self._pump.registry.runs:
            until.append(self._sampling.due_in(now))
            until += self._adopted.due_in(now)
        if any(tail.has_counts for tail in self._pump.tails.active()):
            until.append(self._counts_due - now)
        if self._sink.failing_s:
            until = [self._sink.due_in, self._beat_due - now]
        elif self._pump.facts_waiting():
            until.append(self._next_batch - now)
        elif self._pump.unapplied():
            until.append(max(self._next_batch, self._next_progress) - now)
        if self._notice.fd is None:
            self._quick = min(self._quick * 1.3, _SCAN_WITHOUT_NOTICE_S[1])
            until.append(self._quick)
        gather = self._next_batch - now
        if gather > 0.002:  # let changes gather instead of waking for each of them
            time.sleep(min(gather, _LONGEST_PACE_S))
            until = [delay - gather for delay in until]
        events = self._lookout.poll.poll(max(0.0, min(until)) * 1000)
        self._lookout.ready({descriptor for descriptor, _ in events})
        self._drain_wake()

    def _drain_wake(self) -> None:
        try:
            while os.read(self._wake_read, 512):
                pass
        except BlockingIOError:
            return

    def _told_to_end(self, *_: object) -> None:
        self._stop = True


def _house(store: "Store") -> bool:
    from statustui.store.item_housekeeping import keep_house

    return keep_house(store)


def _last_sample(run_id: str, log_end: int | None) -> "Sample":
    """Where the log of a run ended that could not say so itself."""
    from statustui.store.apply import Sample

    return Sample(run_id=run_id, at=utc_now(), log_end=log_end)
