"""One run of a task, as the program that records it holds it."""

import itertools
import os
import time
import zlib
from contextvars import ContextVar

from statustui.model import values
from statustui.model.status import RunStatus, SubtaskStatus
from statustui.record import border, state
from statustui.record.subtask import FarSubtask, Subtask, current_subtask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
    from types import TracebackType
    from typing import Any, Self, TypeVar

    from statustui.record.handoff import Context
    from statustui.record.state import Session
    from statustui.record.track import Track

    T = TypeVar("T")
    F = TypeVar("F", bound=Callable[..., Any])

_AS_SUBTASK = {
    RunStatus.FINISHED: SubtaskStatus.COMPLETED,
    RunStatus.FAILED: SubtaskStatus.FAILED,
    RunStatus.CANCELLED: SubtaskStatus.CANCELLED,
}
current_run: ContextVar["Run | None"] = ContextVar("statustui_run", default=None)


class Run:
    """One run of a task: a context manager (also ``async with``) and a decorator. Made by :func:`statustui.run`."""

    __slots__ = (
        "_announced", "_failed", "_foreign", "_given", "_message", "_numbers", "_parent", "_pending",
        "_percent", "_session", "_shared", "_started", "_state", "_stopped", "_subs", "run_id", "task",
    )  # fmt: skip

    def __init__(self, given: "Mapping[str, Any]") -> None:
        """Not for programs: call :func:`statustui.run`."""
        self._given = given
        self.run_id = ""
        """Id of the run; empty before it has begun."""
        self.task = ""
        """Name of the task; empty before the run has begun."""
        self._reset()

    def _reset(self) -> None:
        self._session: Session | None = None
        self._state = "new"  # new, open, ended
        self._foreign = False
        self._shared: bool | None = False  # True: for every thread; None: for nobody but its own generator
        self._parent: Run | None = None
        self._started = 0.0
        self._stopped = ""
        self._message: str | None = None
        self._percent: float | None = None
        self._numbers: Iterator[int] = itertools.count(1)
        self._subs: dict[int, Subtask] = {}
        self._announced: dict[str, list[tuple[int, float | None]]] = {}
        self._pending: list[Subtask] = []
        self._failed: tuple[int, int, str] | None = None

    @classmethod
    def _view(cls, session: "Session | None", run_id: str, task: str) -> "Run":
        """A run of another process, as this process sees it."""
        run = cls({})
        run.run_id, run.task, run._session = run_id, task, session
        run._foreign = True
        run._state = "open"
        run._renumber()
        return run

    def _renumber(self) -> None:
        """Numbers that no other process of this run gives: what a worker begins must not meet what others begin."""
        first = (zlib.crc32(f"{os.getpid()} {time.time_ns()}".encode()) & 0x1FFFFF | 1) << 10
        self._numbers = itertools.count(first)

    # --- begin and end -------------------------------------------------------------------------------------------

    def start(self) -> "Self":
        """Begin the run without a block: it ends with :meth:`finish`, :meth:`fail`, or with the program.

        How the program ended is known from uncaught errors, ``sys.exit`` and ``exit``; a ``raise SystemExit(n)`` of its
        own only where the kernel tells the drainer (Linux 6.15), to a block, or to ``statustui run``.
        """
        try:
            self._begin_run()
            if self._state == "open":
                from statustui.record import ends

                ends.watch()
        except Exception as error:
            border.swallow(error, "start")
        return self

    def finish(self, message: str | None = None) -> None:
        """End the run well. Later calls change nothing."""
        try:
            self._end(RunStatus.FINISHED, message=message)
        except Exception as error:
            border.swallow(error, "finish")

    def fail(self, error: object, detail: str | None = None) -> None:
        """End the run as failed.

        Args:
            error: an exception, or a text that says what went wrong.
            detail: more about it, several lines.
        """
        try:
            self._fail(error, detail)
        except Exception as problem:
            border.swallow(problem, "fail")

    def _fail(self, error: object, detail: str | None) -> None:
        from statustui.record import ends

        if self._state != "open" or self._session is None:
            return
        if isinstance(error, BaseException):
            record = ends.error_record(self, error)
            if detail is not None:
                record["detail"] = self._session.text(detail)
        else:
            record = ends.make_error(self, "Error", values.text(error), detail, *self._current())
        self._end(RunStatus.FAILED, error=record)

    def _current(self) -> tuple[int | None, str | None]:
        newest = max(tuple(self._subs.values()), key=lambda sub: sub.number, default=None)
        return (newest.number, newest.name) if newest is not None else (None, None)

    def __enter__(self) -> "Self":
        try:
            self._begin_run()
            current_run.set(self)
        except Exception as error:
            border.swallow(error, "start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        try:
            if current_run.get() is self:
                current_run.set(self._parent)
            self._close(error, None)
        except Exception as problem:
            border.swallow(problem, "end")

    async def __aenter__(self) -> "Self":
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: "F") -> "F":
        """Record every call of *function* as a run of its own."""
        from statustui.record.decorate import decorated

        return decorated(self._given, function)

    def _begin_run(self) -> None:
        if self._state == "open":
            return
        self._reset()
        from statustui.record import begin

        begin.begin(self, self._given)

    def _close(self, error: BaseException | None, exit_code: int | None, *, provisional: bool = False) -> None:
        """End the run as *error* says that left its block, or the program."""
        if self._state != "open" or self._foreign or self._session is None:
            return
        from statustui.record import ends

        status, code = ends.status_of(error)
        record = None
        if error is not None and status is RunStatus.FAILED:
            try:
                record = ends.error_record(self, error)
            except Exception as problem:  # the end itself must be told all the same
                border.swallow(problem, "error of a run")
        exit_code = code if exit_code is None else exit_code
        self._end(status, error=record, exit_code=exit_code, provisional=provisional)

    def _end(
        self,
        status: RunStatus,
        *,
        error: "dict[str, Any] | None" = None,
        message: str | None = None,
        exit_code: int | None = None,
        provisional: bool = False,
    ) -> None:
        session = self._session
        if self._state != "open" or self._foreign or session is None:
            return
        if message is not None:
            self._message = values.text(message)
        self._settle(_AS_SUBTASK[status], provisional=provisional)
        if self._percent is not None:
            session.fact("run.info", self.run_id, percent=self._percent)
        self._tell_swallowed(session)
        self._state, self._stopped = "ended", status.value
        session.runs.pop(self.run_id, None)
        session.fact(
            "run.end",
            self.run_id,
            status=status.value,
            duration=round(time.monotonic() - self._started, 6),
            message=None if self._message is None else session.text(self._message),
            error=error,
            exit_code=exit_code,
            **({"provisional": True} if provisional else {}),
        )
        if not any(one.runs or one.open or one.items for one in state.every()):
            from statustui.record import signals

            state.stop_timer()
            signals.forget()
        session.drainer()

    def _settle(self, status: SubtaskStatus, *, provisional: bool = False) -> None:
        """Give every open subtask its end; the loops that an exception left come first, they know that it was one."""
        pending, self._pending = self._pending, []
        for sub in pending:
            sub._end(SubtaskStatus.FAILED if status is SubtaskStatus.COMPLETED else status)
        for sub in tuple(self._subs.values()):
            sub._end(status, provisional=provisional)

    def _tell_swallowed(self, session: "Session") -> None:
        number, first = border.take()
        if number:
            told = f"{number} recording calls failed, first: {first}"
            session.fact("event", self.run_id, kind="warning", message=session.text(told))

    # --- what happens in it --------------------------------------------------------------------------------------

    def subtask(
        self, name: str, total: int | None = None, unit: str | None = None, weight: float | None = None
    ) -> Subtask:
        """Begin a numbered part of the run; inside another one it turns that one into a heading.

        Args:
            name: what it does.
            total: items in it; None where that is not known.
            unit: what the items are (``rows``).
            weight: its share of the run's progress against the others' (default 1).
        """
        return self._begin(name, total, unit, weight)

    def subtasks(self, names: "Iterable[str] | Mapping[str, float]") -> None:
        """Announce the subtasks that will come, in their order; with a mapping, their weights too."""
        try:
            session = self._session
            if session is None or self._state != "open":
                return
            weights: Mapping[str, float] = names if isinstance(names, dict) else {}
            for each in names:
                name, number = session.text(values.name(each)), next(self._numbers)
                weight = values.real(weights[each]) if weights else None
                self._announced.setdefault(name, []).append((number, weight))
                session.fact("sub.start", self.run_id, n=number, name=name, weight=weight, announced=True)
        except Exception as error:
            border.swallow(error, "subtasks")

    def track(
        self,
        iterable: "Iterable[T] | AsyncIterable[T]",
        name: str = "items",
        total: int | None = None,
        unit: str | None = None,
        weight: float | None = None,
    ) -> "Track[T]":
        """Iterate over *iterable* as a subtask whose items are counted; the loop's end is its end.

        Args:
            iterable: anything for ``for`` or ``async for``.
            name: what the loop does.
            total: items in it; its length where it has one.
            unit: what the items are.
            weight: its share of the run's progress against the others' (default 1).
        """
        from statustui.record.track import Track

        return Track(self, iterable, name, total, unit, weight)

    def log(self, event: object, kind: str = "log", detail: object = None) -> None:
        """Note something that happened; it is never lost (P3) and stays in the trail.

        Args:
            event: one line.
            kind: ``log``, ``warning``, or a word of the program's own.
            detail: more about it.
        """
        try:
            session = self._session
            if session is not None:
                fields = {"kind": "log" if kind == "log" else values.name(kind), "message": session.text(event)}
                if detail is not None:
                    fields["detail"] = session.text(detail)
                session.writer.fact("event", self.run_id, **fields)
                if self._pending:
                    self._settle_pending()
        except Exception as error:
            border.swallow(error, "log")

    def metric(self, name: str, value: object) -> None:
        """Keep a figure of the run (rows, bytes, a score): a number, a text, a boolean or None."""
        try:
            session = self._session
            if session is not None:
                from statustui.model.redact import MARK, is_secret_name

                plain = values.scalar(value)
                key = values.name(name)
                if isinstance(plain, str):
                    plain = MARK if is_secret_name(key) else session.text(plain)
                # value= must be there even when it is None: a metric can be unknown
                session.writer.fact("metric", self.run_id, name=key, value=plain)
                if self._pending:
                    self._settle_pending()
        except Exception as error:
            border.swallow(error, "metric")

    @property
    def message(self) -> str | None:
        """What is shown beside the run's bar."""
        return self._message

    @message.setter
    def message(self, text: object) -> None:
        try:
            self._message = None if text is None else values.text(text)
            self._wake()
        except Exception as error:
            border.swallow(error, "message")

    @property
    def percent(self) -> float | None:
        """Overall progress set by hand, 0 to 100; None = derived from the subtasks."""
        return self._percent

    @percent.setter
    def percent(self, number: object) -> None:
        try:
            plain = values.percent(number)
            if plain is None and number is not None:
                return  # NaN or no number: what was shown stays
            cleared = plain is None and self._percent is not None
            self._percent = plain
            if cleared and self._session is not None:
                self._session.writer.fact("run.info", self.run_id, percent=None)
            self._wake()
        except Exception as error:
            border.swallow(error, "percent")

    def context(self) -> "Context":
        """A small picklable handle of this run for worker processes."""
        from statustui.record.handoff import Context

        return Context(self.run_id, self.task, self._session.spool if self._session is not None else "")

    def __reduce__(self) -> "tuple[Any, ...]":
        if self._state == "new":
            return Run, (dict(self._given),)
        from statustui.record.handoff import revive_run

        return revive_run, (self.context(),)

    def __bool__(self) -> bool:
        """True while it is open and recorded."""
        return self._state == "open" and self._session is not None

    def __repr__(self) -> str:
        return f"<statustui.Run {self.task!r} {self._stopped or self._state} {self.run_id}>"

    # --- how it is done ------------------------------------------------------------------------------------------

    def _begin(
        self, name: object, total: object, unit: object, weight: object, parent: Subtask | None = None
    ) -> Subtask:
        """Begin a subtask; never raises, and gives one that counts nowhere where nothing is recorded."""
        try:
            return self._begin_subtask(name, total, unit, weight, parent)
        except Exception as error:
            border.swallow(error, "subtask")
            return Subtask(Run._view(None, self.run_id, self.task), 0, "", None, None)

    def _begin_subtask(
        self, name: object, total: object, unit: object, weight: object, parent: Subtask | None
    ) -> Subtask:
        session = self._session
        items = values.count(total)
        if session is None or self._state != "open":
            return Subtask(Run._view(None, self.run_id, self.task), 0, values.name(name), items, None)
        if self._pending:
            self._settle_pending()
        what = session.text(values.name(name))
        share = values.real(weight)
        waiting = self._announced.get(what)
        number, announced_weight = waiting.pop(0) if waiting else (next(self._numbers), None)
        if share is None:
            share = announced_weight
        parent = parent if parent is not None else current_subtask.get()
        if parent is not None and (parent._run is not self or parent._ended):
            parent = None
        sub = Subtask(self, number, what, items, None if unit is None else session.text(values.name(unit)))
        session.fact(
            "sub.start",
            self.run_id,
            n=number,
            name=what,
            total=items,
            unit=sub._unit,
            weight=share if share is None or share >= 0 else None,
            parent=None if parent is None else parent.number,
        )
        if parent is not None:
            session.fact("sub.info", self.run_id, n=parent.number, heading=True)
        self._subs[number] = sub
        if self._foreign:
            # in a worker process every count must be safe at once
            sub.__class__ = FarSubtask
            session.attached[self.run_id, number] = sub
        session.open[id(sub)] = sub
        state.start_timer()
        return sub

    def _settle_pending(self) -> None:
        """A loop was left by an exception and the program went on: the loop's subtask has failed."""
        pending, self._pending = self._pending, []
        for sub in pending:
            sub._end(SubtaskStatus.FAILED)

    def _wake(self) -> None:
        if self._session is not None and state._timer is None and self._state == "open":
            state.start_timer()

    def _progress(self) -> "dict[str, Any]":
        """Its own part of the slot."""
        shown: dict[str, Any] = {}
        if self._message is not None and self._session is not None:
            shown["message"] = self._session.text(self._message)
        if self._percent is not None:
            shown["percent"] = self._percent
        return shown
