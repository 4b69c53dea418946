"""One thread that reads the store and posts what it found; no other part of the monitor reads it.

It asks the change token first, many times a second, and reads a snapshot only when the token moved: at once when a run
began or ended, with the next tick when nothing but progress is new. It rests at least ``REST`` times as long as its
reading took, so that a slow store is asked less often.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from textual.message import Message

from statustui.model.run import Run, RunDetail, Snapshot
from statustui_tui.items_source import Board
from statustui_tui.sources import Frame, Lost, Process, Source, Usage

T = TypeVar("T")
LOOK = 0.2
"""Seconds between two looks at the change token."""
LOOK_STILL = 0.5
"""The same while nothing runs."""
LOOK_BLURRED = 0.5
"""The same while the terminal has lost the focus: it may still be in sight."""
TICK = 0.9
"""Least seconds between two frames while progress keeps coming, so that a busy store costs no more to draw; with the
way into the store and onto the screen that makes no more than a second."""
AHEAD = 3.0
"""Frames for news come early, by at most this many ticks in all, which time makes up for: news that never ends thus
draws twice as often as progress alone, and no more."""
SAMPLE = 2.0
"""Seconds between two samples of the local process trees."""
SHARE = 110.0
"""Least time between two frames, as a multiple of the processor time that reading one took: a thousand running tasks
are drawn every three to four seconds, twenty every second."""
BOARD_REST = 20.0
"""The pipelines are read again after this many times as long as reading them took: with a hundred thousand failures
of a day that is every few seconds, else every time."""
REST = 4.0
"""Rest at least this many times as long as the reading took."""
RETRY_MOST = 5.0
"""Longest wait between two tries on a lost store."""


@dataclass
class Arrived(Message):
    """A new frame was read."""

    frame: Frame
    changed: bool
    """False when only the sampled figures are new."""

    def can_replace(self, message: Message) -> bool:
        """Only the newest frame matters, but a change must not hide behind a mere sample."""
        return isinstance(message, Arrived) and (self.changed or not message.changed)


@dataclass
class StoreLost(Message):
    """The store could not be read; what is shown grows old."""

    kind: str
    text: str
    tries: int
    """Tries in a row that failed."""
    good_at: float | None
    """`time.monotonic` of the last look that succeeded; None when none did."""

    def can_replace(self, message: Message) -> bool:
        """Only the newest failure matters."""
        return isinstance(message, StoreLost)


@dataclass
class DetailArrived(Message):
    """The answer to a request for one run."""

    generation: int
    """That of the request; an older one is stale."""
    detail: RunDetail
    processes: tuple[Process, ...]

    def can_replace(self, message: Message) -> bool:
        """Only the newest detail matters."""
        return isinstance(message, DetailArrived) and self.generation >= message.generation


@dataclass
class Found(Message):
    """The answer to a search of the palette."""

    generation: int
    runs: tuple[Run, ...]


@dataclass
class Answered(Message):
    """The answer to a question of a screen."""

    hand_over: Callable[[], None]
    """Gives it to who asked; called by the application."""


class Poller:
    """Reads a `Source` in its own daemon thread and posts messages.

    Args:
        source: What is read; opened, used and closed in the thread.
        post: Thread-safe; takes a message. Returns False when nobody listens any more.
    """

    def __init__(self, source: Source, post: Callable[[Message], object]) -> None:
        self._source = source
        self._post = post
        self._wake = threading.Event()
        self._stop = False
        self._paused = False
        self._blurred = False
        self._force = False
        self._detail: tuple[str, int] | None = None
        self._search: tuple[str, int] | None = None
        self._questions: deque[Callable[[], Message]] = deque()
        self._thread = threading.Thread(target=self._run, name="poller", daemon=True)
        self._snapshot: Snapshot | None = None
        self._usage: Mapping[str, Usage] = {}
        self._board = Board()
        self._board_old = False
        self._board_next = 0.0
        self._token: object = None
        self._news: object = None
        self._posted = 0.0
        self._least = TICK
        self._cost = 0.0
        self._even_at = 0.0
        self._waiting = False
        self._sampled = 0.0
        self._detailed: tuple[tuple[str, int] | None, object, float] = (None, None, 0.0)

    # Called by the monitor

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, wait: float = 0.5) -> None:
        """End; a read that hangs is left to die with the process."""
        self._stop = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(wait)

    def pause(self, paused: bool) -> None:
        """Stop or resume posting frames."""
        self._paused = paused
        self._wake.set()

    def blur(self, blurred: bool) -> None:
        """Look less often while nobody looks."""
        self._blurred = blurred
        self._wake.set()

    def reload(self) -> None:
        """Read now, whatever the token says."""
        self._force = True
        self._wake.set()

    def want_detail(self, run_id: str | None, generation: int = 0) -> None:
        """Keep the details of one run coming, or stop with None."""
        self._detail = (run_id, generation) if run_id is not None else None
        self._wake.set()

    def search(self, text: str, generation: int) -> None:
        """Look for runs; answered by `Found`."""
        self._search = (text, generation)
        self._wake.set()

    def ask(self, call: Callable[[Source], T], then: Callable[[T], None]) -> None:
        """Ask the store something once, between two looks; *then* gets the answer where messages are handled.

        A question that meets a lost store is not answered: the next frame is the time to ask again.
        """

        def answer() -> Message:
            value = call(self._source)
            return Answered(lambda: then(value))

        self._questions.append(answer)
        self._wake.set()

    # In the thread

    def _run(self) -> None:
        tries = 0
        opened = False
        good_at: float | None = None
        while not self._stop:
            began = time.monotonic()
            try:
                if not opened:
                    self._source.open()
                    opened = True
                    self._token = None
                self._look()
                tries, good_at = 0, time.monotonic()
                wait = max(self._pace(), REST * (time.monotonic() - began))
            except Lost as error:
                tries += 1
                opened = False
                self._post(StoreLost(kind=error.kind, text=str(error), tries=tries, good_at=good_at))
                # A store that was never there is made by the first program that records: that must not be missed.
                wait = LOOK_STILL if good_at is None else min(RETRY_MOST, 0.25 * 2 ** min(tries, 5))
            self._wake.wait(wait)
            self._wake.clear()
        try:
            self._source.close()
        except Lost:
            return

    def _pace(self) -> float:
        """Seconds to the next look at the token, or to the frame that is due."""
        if self._blurred:
            pace = LOOK_BLURRED
        else:
            pace = LOOK if self._snapshot is None or self._snapshot.running else LOOK_STILL
        return min(pace, max(0.0, self._due_in(time.monotonic()))) if self._waiting else pace

    def _look(self) -> None:
        now = time.monotonic()
        if self._search is not None:
            (text, generation), self._search = self._search, None
            self._post(Found(generation=generation, runs=tuple(self._source.find(text))))
        while self._questions:
            self._post(self._questions.popleft()())
        if self._paused and not self._force:
            return
        token = self._source.token()
        self._waiting = token != self._token or self._snapshot is None
        if self._force or (self._waiting and (self._due_in(now) <= 0 or self._told(now))):
            self._force = self._waiting = False
            self._read(token, now)
        elif self._snapshot is not None and self._read_board(now):
            self._send(now, changed=True)
        elif self._waiting:
            pass  # a sample would only put off the frame that comes next and brings one
        elif self._snapshot is not None and self._snapshot.running and now - self._sampled >= SAMPLE:
            self._sample(now)
            self._send(now, changed=False)
        self._look_closer(token, now)

    def _due_in(self, now: float) -> float:
        """Seconds until the next frame of mere progress."""
        return self._posted + self._least - now

    def _told(self, now: float) -> bool:
        """Has anything happened that is worth a frame before the tick, and may there be one?"""
        if self._even_at - now > AHEAD * self._least or self._source.news() == self._news:
            return False
        self._even_at = max(self._even_at, now) + self._due_in(now)
        return True

    def _read(self, token: object, now: float) -> None:
        began = time.thread_time()
        self._news = self._source.news()  # before the reads: what happens meanwhile is then seen by the next look
        self._snapshot = self._source.snapshot()
        self._board_old = True
        self._read_board(now)
        cost = time.thread_time() - began
        # The first reading builds the statements, which says nothing of the next; one slow one may be chance.
        self._least = max(TICK, SHARE * min(cost, self._cost))
        self._cost = cost
        self._token = token
        self._sample(now)
        self._send(now, changed=True)

    def _read_board(self, now: float) -> bool:
        """Read the pipelines, unless reading them took so long that it must rest."""
        if not self._board_old or now < self._board_next:
            return False
        began = time.monotonic()
        self._board = self._source.items.board()
        self._board_next = now + BOARD_REST * (time.monotonic() - began)
        self._board_old = False
        return True

    def _sample(self, now: float) -> None:
        if self._snapshot is not None and now - self._sampled >= SAMPLE:
            self._usage = self._source.usage(self._snapshot)
            self._sampled = now

    def _send(self, now: float, *, changed: bool) -> None:
        assert self._snapshot is not None
        self._posted = now
        self._post(Arrived(frame=Frame(snapshot=self._snapshot, usage=self._usage, board=self._board), changed=changed))

    def _look_closer(self, token: object, now: float) -> None:
        want = self._detail
        if want is None:
            return
        last, last_token, at = self._detailed
        fresh = last == want and token == last_token and now - at < SAMPLE
        if fresh or (last == want and now - at < TICK):
            return
        detail = self._source.detail(want[0])
        processes = self._source.processes(detail.run) if detail.run.status.open else ()
        self._detailed = (want, token, now)
        self._post(DetailArrived(generation=want[1], detail=detail, processes=processes))
