"""``Pipeline.resume``: run what is left, step by step in order, as one run."""

import asyncio
import inspect
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from statustui.model.pipeline import Step
from statustui.model.status import ItemStatus
from statustui.pipelines import summary as texts
from statustui.pipelines.console import Console
from statustui.pipelines.handlers import Handler
from statustui.pipelines.retrying import Backoff, may_retry
from statustui.pipelines.work import Work
from statustui.store.errors import StoreUnavailable

if TYPE_CHECKING:
    from statustui.pipelines.coordinating import Coordinator
    from statustui.record.run import Run
    from statustui.record.subtask import Subtask

_AHEAD = 2
_MOST = 200
_PORTION_S = 0.5
_STILL_S = 0.2
_DEAD_S = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumed:
    """What one ``resume`` did."""

    run_id: str
    """Of the run that did it."""
    completed: int = 0
    """Steps completed."""
    skipped: int = 0
    """Steps that their handler skipped."""
    failed: int = 0
    """Steps that failed."""
    given_back: int = 0
    """Steps that were begun and are pending again."""
    errors: tuple[tuple[str, str, str], ...] = ()
    """(item, step, error) of the last failures, at most a hundred."""

    @property
    def ok(self) -> bool:
        """True when nothing failed."""
        return not self.failed


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How to resume."""

    since: Any = None
    until: Any = None
    max_retries: int = 3
    workers: int = 1
    show: bool = True
    backoff: Backoff = Backoff()  # noqa: RUF009 - frozen
    wait: bool = False
    task: str | None = None
    lease_s: float | None = None


class Resume:
    """One call of ``resume``."""

    def __init__(self, desk: "Coordinator", handlers: Mapping[str, Handler], options: Options) -> None:
        self._all = desk
        self._handlers = {desk.key_of(key): handler for key, handler in handlers.items()}
        self._options = options
        self._console = Console(show=options.show)
        self._counts = dict.fromkeys(ItemStatus, 0)
        self._errors: list[tuple[str, str, str]] = []
        self._tried: set[tuple[str, str]] = set()
        self._begun: set[str] = set()
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def run(self) -> Resumed:
        """Work until nothing that can be done is left."""
        import statustui

        name, options = self._all.name, self._options
        left = self._left()
        steps = [step for step in self._steps() if step.key in self._handlers]
        params = {"since": options.since, "until": options.until, "workers": options.workers}
        run = statustui.run(
            options.task or f"{name}_resume",
            params={key: str(value) for key, value in params.items() if value is not None},
            subtasks=len(steps),
            store=self._all.store_url,
        )
        try:
            self._work(run, steps, left)
        finally:
            self._all.settle()
        self._console.line(f"Resumed {name}: {self._told()}")
        if options.show:
            for line in self._still_failed():
                self._console.line(line)
        return Resumed(
            run_id=run.run_id,
            completed=self._counts[ItemStatus.COMPLETED],
            skipped=self._counts[ItemStatus.SKIPPED],
            failed=self._counts[ItemStatus.FAILED],
            given_back=self._counts[ItemStatus.PENDING],
            errors=tuple(self._errors[-100:]),
        )

    def _work(self, run: "Run", steps: list[Step], left: Mapping[str, int]) -> None:
        options = self._options
        with run:
            run.subtasks({self._title(step): float(max(1, left.get(step.key, 0))) for step in steps})
            looked = False
            while True:
                if self._pass(run, steps):
                    looked = False
                elif not looked and self._given_back(steps):
                    looked = True
                elif not (options.wait and self._wait_for_retries(steps)):
                    break
            for step in steps:
                if step.key not in self._begun and not self._stop.is_set():
                    run.subtask(self._title(step)).skip("nothing to do")
            run.message = self._told()

    def _told(self) -> str:
        words = {status: status.value for status in (ItemStatus.COMPLETED, ItemStatus.FAILED, ItemStatus.SKIPPED)}
        words[ItemStatus.PENDING] = "given back"
        told = [f"{self._counts[key]:,} {word}" for key, word in words.items() if self._counts[key]]
        return ", ".join(told) or "nothing was left to do"

    def _still_failed(self) -> Iterator[str]:
        """What has failed, now or before, and when it is tried again; the end of a call is no end of the work."""
        options = self._options
        with suppress(StoreUnavailable):
            found = self._all.failed(options.since, options.until)
            again = [options.backoff.due_at(one) for one in found if may_retry(one, options.max_retries)]
            if again:
                due = datetime.fromtimestamp(min(again)).astimezone()
                at = "now on" if due.timestamp() <= time.time() else f"{due:%H:%M:%S} on"
                yield (
                    f"{len(again):,} failed, tried again by a resume from {at}"
                    f" (sooner: statustui items retry --pipeline {self._all.name})"
                )
            if len(found) > len(again):
                yield f"{len(found) - len(again):,} failed for good: a permanent error, or no retries left"

    def _left(self) -> dict[str, int]:
        """Show the summary; how many items are not done, by step."""
        found = self._all.summary(self._options.since, self._options.until)
        for line in texts.lines(found, ascii=self._console.ascii, max_retries=self._options.max_retries):
            self._console.line("".join(text for text, _ in line))
        self._console.line("Resuming pipeline...")
        self._console.line(texts.RULE)
        return {one.step.key: one.total - one.done for one in found.steps}

    def _steps(self) -> list[Step]:
        """The steps in order, those found later for single items last."""
        known = list(self._all.definition.steps)
        extra = [key for key in self._handlers if self._all.definition.step(key) is None]
        return known + [Step(key=key) for key in extra]

    @staticmethod
    def _title(step: Step) -> str:
        return f"{step.shown_label} {step.shown}".strip()

    # --- passes ------------------------------------------------------------------------------------------------------

    def _pass(self, run: "Run", steps: list[Step]) -> int:
        """All steps once, in order; how many attempts were made."""
        return sum(self._step(run, step) for step in steps)

    def _step(self, run: "Run", step: Step) -> int:
        total = self._all.waiting(step.key, self._options)
        if not total:
            return 0
        self._begun.add(step.key)
        handler = self._handlers[step.key]
        began = time.monotonic()
        with run.subtask(self._title(step), total=total, unit="items") as sub:
            at_work = _AtStep(self, step, sub, total, began)
            works = self._claims(step, run)
            # A claim that is being made when everything ends goes with the run, which has ended then.
            with suppress(ValueError), closing(works):
                if _is_async(handler):
                    _in_loop(lambda: self._asynchronous(handler, works, at_work))
                elif self._options.workers > 1:
                    self._threads(handler, works, at_work)
                else:
                    for work in works:
                        self._one(handler, work, at_work)
            sub.update(total=at_work.done)
            at_work.show(last=True)
        return at_work.done

    def _claims(self, step: Step, run: "Run") -> Generator[Work, None, None]:
        """Claim what is ready, and what may be tried again, a few at a time; nothing twice in one call."""
        limit = self._options.workers * _AHEAD
        began = time.monotonic()
        while not self._stop.is_set():
            works = self._all.claim(step.key, limit, options=self._options, run=run.run_id, but=self._tried)
            again = [work for work in works if (work.key, work.step) in self._tried]
            for work in again:  # its handler gave it back: for another call, not for this one
                work.give_back()
            works = [work for work in works if work not in again]
            if not works:
                return
            self._tried.update((work.key, work.step) for work in works)
            for at, work in enumerate(works):
                if self._stop.is_set():
                    for left in works[at:]:
                        left.give_back("the worker was told to end")
                    return
                try:
                    yield work
                except GeneratorExit:
                    for left in works[at:]:
                        left.give_back("the worker ended")
                    raise
            now = time.monotonic()
            # Quick work is claimed in larger portions; slow work stays free for others.
            limit = min(_MOST, limit * 2) if now - began < _PORTION_S else max(self._options.workers, limit // 2)
            began = now

    def _given_back(self, steps: list[Step]) -> bool:
        """Whether a drainer gives back what others hold: those who were killed a moment ago are about to be found."""
        held = {step.key for step in steps}
        deadline = time.monotonic() + _DEAD_S
        while self._all.has_drainer and not self._stop.is_set():
            found = self._all.summary(self._options.since, self._options.until).steps
            if any(one.step.key in held and one.waiting for one in found):
                return True
            if time.monotonic() > deadline or not any(one.step.key in held and one.processing for one in found):
                return False
            self._stop.wait(_STILL_S)
        return False

    def _wait_for_retries(self, steps: list[Step]) -> bool:
        """Rest until a failed step may be tried again; False when there is none."""
        due = [at for at in (self._all.next_retry(step.key, self._options) for step in steps) if at is not None]
        if not due:
            return False
        seconds = max(0.0, min(due) - time.time())
        self._console.line(f"Waiting {seconds:.0f} s for the next retry ...")
        self._stop.wait(seconds + 0.01)
        self._tried.clear()
        return True

    # --- one item ----------------------------------------------------------------------------------------------------

    def _one(self, handler: Handler, work: Work, at_step: "_AtStep") -> None:
        try:
            with work:
                result = handler(work)
                work.complete(**_metadata(result))
        except Exception as error:  # whatever a handler raises is the item's failure, and told as such
            self._failed(work, error)
        finally:
            at_step.ended(work)

    async def _one_async(self, handler: Handler, work: Work, at_step: "_AtStep") -> None:
        try:
            async with work:
                result = handler(work)
                if inspect.isawaitable(result):
                    result = await result
                work.complete(**_metadata(result))
        except Exception as error:  # as above
            self._failed(work, error)
        finally:
            at_step.ended(work)

    def _failed(self, work: Work, error: Exception) -> None:
        from statustui.pipelines.step import describe

        with self._lock:
            self._errors.append((work.key, work.step, describe(error)))
            del self._errors[:-100]

    def count(self, work: Work) -> None:
        """One attempt has ended."""
        with self._lock:
            self._counts[work.result or ItemStatus.PENDING] += 1

    # --- several at once ---------------------------------------------------------------------------------------------

    def _threads(self, handler: Handler, works: Iterator[Work], at_step: "_AtStep") -> None:
        """Hand the claims to threads; Ctrl-C lets what is at work end, a second one leaves it."""
        todo: queue.Queue[Work | None] = queue.Queue(maxsize=self._options.workers)

        def loop() -> None:
            while (work := todo.get()) is not None:
                self._one(handler, work, at_step)

        threads = [threading.Thread(target=loop, daemon=True) for _ in range(self._options.workers)]
        for thread in threads:
            thread.start()
        try:
            for work in works:
                todo.put(work)
            _end(todo, threads)
        except BaseException:
            self._stop.set()
            _drop(todo)
            self._console.line("Interrupted: waiting for what is at work; again Ctrl-C leaves it to the next resume.")
            _end(todo, threads)
            raise

    async def _asynchronous(self, handler: Handler, works: Iterator[Work], at_step: "_AtStep") -> None:
        """Run up to ``workers`` handlers at once in one event loop."""
        turn = asyncio.Lock()

        async def loop() -> None:
            while True:
                async with turn:
                    work = await asyncio.to_thread(next, works, None)
                if work is None:
                    return
                await self._one_async(handler, work, at_step)

        async with asyncio.TaskGroup() as group:
            for _ in range(self._options.workers):
                group.create_task(loop())

    @property
    def console(self) -> Console:
        """Where it shows what it does."""
        return self._console


class _AtStep:
    """Where one step of a resume stands."""

    def __init__(self, owner: Resume, step: Step, sub: "Subtask", total: int, began: float) -> None:
        self._owner = owner
        self._sub = sub
        self._label = texts.marked(step)
        self._total = total
        self._began = began
        self._failed = 0
        self._lock = threading.Lock()
        self.done = 0

    def ended(self, work: Work) -> None:
        """One more of its items has ended, somehow."""
        self._owner.count(work)
        with self._lock:
            self.done += 1
            self._failed += work.result is ItemStatus.FAILED
        self._sub.advance(message=work.key)
        self.show()

    def show(self, *, last: bool = False) -> None:
        """Draw its bar."""
        total = self.done if last else max(self._total, self.done)
        self._owner.console.bar(self._label, self.done, total, self._failed, self._began, last=last)


def _end(todo: "queue.Queue[Work | None]", threads: list[threading.Thread]) -> None:
    for _ in threads:
        todo.put(None)
    for thread in threads:
        while thread.is_alive():  # in short waits, so that a signal is heard
            thread.join(_STILL_S)


def _drop(todo: "queue.Queue[Work | None]") -> None:
    """Give back what no thread has begun."""
    try:
        while True:
            work = todo.get_nowait()
            if work is not None:
                work.give_back("the worker was interrupted")
    except queue.Empty:
        return


def _metadata(result: object) -> dict[str, Any]:
    """What a handler returns is metadata when it is a mapping."""
    return {str(key): value for key, value in result.items()} if isinstance(result, Mapping) else {}


def _is_async(handler: object) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)


def _in_loop(make: Callable[[], Coroutine[Any, Any, None] | Awaitable[None]]) -> None:
    """Run a coroutine to its end, in a thread of its own where this one has a loop at work (a notebook)."""

    async def main() -> None:
        await make()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(main())
        return
    failure: list[BaseException] = []

    def apart() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=apart, daemon=True)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
