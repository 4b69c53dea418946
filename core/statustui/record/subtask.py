"""One numbered part of a run, as the program that records it holds it."""

import sys
import time
from contextvars import ContextVar, Token

from statustui.model import values
from statustui.model.status import SubtaskStatus
from statustui.record import border, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Any, Self, TypeVar

    from statustui.record.run import Run
    from statustui.record.track import Track

    T = TypeVar("T")


def _end_word(status: object) -> SubtaskStatus:
    """The status that a subtask ends with: what is no such word is told as a fault of recording, and is a good end."""
    try:
        word = SubtaskStatus(values.text(status, 100))
    except ValueError as error:
        border.swallow(error, "end of a subtask")
        return SubtaskStatus.COMPLETED
    return SubtaskStatus.COMPLETED if word.open else word


current_subtask: ContextVar["Subtask | None"] = ContextVar("statustui_subtask", default=None)
_MESSAGE = 16_384


class Subtask:
    """One numbered part of a run with a count of items. Use it as a context manager, or call :meth:`end`.

    It may be handed to threads, to forked children and, pickled, to worker processes: the counts of all of them add
    up, however a worker ends.
    """

    __slots__ = (
        "_base", "_cell", "_ended", "_inner", "_left_by", "_message", "_mine", "_n", "_percent", "_read", "_run",
        "_started", "_token", "_total", "_unit", "name", "number",
    )  # fmt: skip

    def __init__(self, run: "Run", number: int, name: str, total: int | None, unit: str | None) -> None:
        self._run = run
        self.number = number
        """1-based number in the run."""
        self.name = name
        self._total = total
        self._unit = unit
        self._n = 0
        self._base = 0
        self._read: Callable[[], int] | None = None
        self._percent: float | None = None
        self._message: str | None = None
        self._inner: dict[str, Any] | None = None
        self._started = time.monotonic()
        self._ended = False
        self._mine = True
        self._left_by: str | None = None
        self._cell: tuple[memoryview, int] | None = None
        self._token: Token[Subtask | None] | None = None

    # advance() is called once an item: the checks below are what keeps a count exact. In a forked child, and after a
    # fork, _n is not there: the slow way finds out where the count belongs.
    def advance(self, n: int = 1, message: str | None = None) -> None:
        """Count *n* more items as done.

        Args:
            n: how many; a negative number or something that is no number counts nothing.
            message: what is shown beside the bar.
        """
        try:
            if n.__class__ is int and n >= 0:
                self._n += n
            else:
                self._odd(n)
        except AttributeError:
            self._odd(n)
        if message is not None:
            self._say(message)

    def update(
        self,
        complete: int | None = None,
        total: int | None = None,
        percent: float | None = None,
        message: str | None = None,
    ) -> None:
        """Set what is known; what is left out stays as it is.

        Args:
            complete: items done (by this process, where several count).
            total: items in all.
            percent: done, 0 to 100, where there is nothing to count.
            message: what is shown beside the bar.
        """
        try:
            if complete is not None:
                self._set(values.count(complete))
            if total is not None:
                number = values.count(total)
                self._total = self._total if number is None else number
            if percent is not None:
                number_ = values.percent(percent)
                self._percent = self._percent if number_ is None else number_
            if message is not None:
                self._say(message)
            if state._timer is None and not self._ended:
                self._awake()
        except Exception as error:
            border.swallow(error, "update")

    def inner(
        self,
        file: int | None = None,
        files: int | None = None,
        page: int | None = None,
        pages: int | None = None,
        **more: "Any",
    ) -> None:
        """Say where inside an item it stands; what is left out stays as it is.

        With *files* the subtask's percent follows: (files done + page / pages) / files.

        Args:
            file: number of the file in hand, from 1.
            files: how many there are.
            page: pages of this file that are done.
            pages: pages that it has.
            more: anything else worth showing (``name="statement_002.pdf"``, ``regex_matches_found=23``).
        """
        try:
            given = {"file": file, "files": files, "page": page, "pages": pages, **more}
            news = values.mapping({key: value for key, value in given.items() if value is not None})
            known = self._inner or {}
            if "file" in news and news["file"] != known.get("file"):
                known = {"files": known["files"]} if "files" in known else {}  # another file: its pages begin anew
            self._inner = known = {**known, **news}
            if known.get("files"):
                from statustui.model.progress import files_pages

                place = [values.count(known.get(key)) or 0 for key in ("file", "files", "page", "pages")]
                share = files_pages(max(0, place[0] - 1), *place[1:])
                self._percent = None if share is None else min(100.0, 100.0 * share)
            if state._timer is None and not self._ended:
                self._awake()
        except Exception as error:
            border.swallow(error, "inner")

    def skip(self, reason: str | None = None) -> None:
        """End the subtask as left out on purpose; it counts as done."""
        self.end(SubtaskStatus.SKIPPED, message=reason)

    def end(
        self, status: str = SubtaskStatus.COMPLETED, *, message: str | None = None, error: str | None = None
    ) -> None:
        """End the subtask. Later calls change nothing.

        Args:
            status: ``completed``, ``failed``, ``skipped`` or ``cancelled``, in any letter case; also the words of
                older code (``success``, ``failure``).
            message: last message.
            error: what went wrong, in one line.
        """
        try:
            if message is not None:
                self._say(message)
            self._end(_end_word(status), error)
        except Exception as problem:
            border.swallow(problem, "end of a subtask")

    def subtask(
        self, name: str, total: int | None = None, unit: str | None = None, weight: float | None = None
    ) -> "Subtask":
        """Begin a subtask inside this one, which turns into a heading: shown, not counted."""
        return self._run._begin(name, total, unit, weight, parent=self)

    def track(
        self, iterable: "Iterable[T] | AsyncIterable[T]", total: int | None = None, unit: str | None = None
    ) -> "Track[T]":
        """Iterate, counting the items as items of this subtask. The end of the loop does not end the subtask."""
        from statustui.record.track import Track

        return Track(self._run, iterable, self.name, total, unit, None, into=self)

    @property
    def complete(self) -> int:
        """Items done, as counted by this process."""
        return self._count()

    @property
    def total(self) -> int | None:
        """Items in all; None where it is not known."""
        return self._total

    def __enter__(self) -> "Self":
        if self._mine:
            self._token = current_subtask.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        token, self._token = self._token, None
        if token is not None:
            try:
                current_subtask.reset(token)
            except ValueError:  # left in another context than entered (a generator, a callback)
                current_subtask.set(None)
        if not self._mine:
            return  # a forked child leaves the block: the subtask goes on in the parent
        try:
            from statustui.record import ends

            self._end(*ends.of_subtask(self, error))
        except Exception as problem:
            border.swallow(problem, "end of a subtask")

    async def __aenter__(self) -> "Self":
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.__exit__(kind, error, trace)

    def __reduce__(self) -> "tuple[Any, ...]":
        from statustui.record.handoff import revive_subtask

        return revive_subtask, (self._run.context(), self.number, self.name, self._unit)

    def __repr__(self) -> str:
        total = "" if self._total is None else f"/{self._total}"
        return f"<statustui.Subtask {self.number} {self.name!r} {self._count()}{total}>"

    # --- how it is counted ---------------------------------------------------------------------------------------

    def _odd(self, n: object) -> None:
        """The slow way: an odd number, the first count after a fork, or a count in a forked child."""
        try:
            amount = values.count(n)
            if amount is None:
                raise ValueError(f"advance() of no number: {values.text(n, 100)}")
            if not self._mine:
                self.__class__ = FarSubtask
                self.advance(amount)
                return
            self._awake()
            self._n = min(self._n + amount, values.INT_MAX)
        except Exception as error:
            border.swallow(error, "advance")

    def _say(self, message: object) -> None:
        short = type(message) is str and len(message) <= _MESSAGE
        self._message = message if short else values.text(message, _MESSAGE)  # type: ignore[assignment]

    def _awake(self) -> None:
        """After a fork: count here again, and have it shown."""
        if not hasattr(self, "_n"):
            self._n, self._base = self._base, 0
        if state._timer is None and not self._ended and self._run._session is not None:
            state.start_timer()

    def _park(self) -> None:
        """Before a fork: put the count where advance() does not find it, in neither process."""
        if hasattr(self, "_n"):
            self._base += self._n
            del self._n

    def _disown(self) -> None:
        """In a forked child: what was counted is the parent's; from now on this process counts for itself."""
        self._mine = False
        self._cell = None
        self._base = 0
        self._total = self._percent = self._message = self._inner = None
        self._read = None
        if hasattr(self, "_n"):
            del self._n

    def _set(self, number: int | None) -> None:
        if number is None:
            raise ValueError("complete= is no number")
        if not self._mine:
            self.__class__ = FarSubtask
            self._set(number)
            return
        self._awake()
        self._base = 0
        self._n = number

    def _count(self) -> int:
        read = self._read
        number = self._base + getattr(self, "_n", 0)
        return number + max(0, read() - 1) if read is not None else number

    # --- how it is written ---------------------------------------------------------------------------------------

    def _progress(self) -> "dict[str, Any]":
        """Its part of the slot."""
        entry: dict[str, Any] = {"c": min(self._count(), values.INT_MAX)}
        return self._more_progress(entry)

    def _more_progress(self, entry: "dict[str, Any]") -> "dict[str, Any]":
        session = self._run._session
        if self._total is not None:
            entry["t"] = self._total
        if self._percent is not None:
            entry["p"] = self._percent
        if self._message is not None and session is not None:
            entry["msg"] = session.text(self._message)
        if self._inner:
            entry["in"] = self._inner
        return entry

    def _end(self, status: SubtaskStatus, error: str | None = None, *, provisional: bool = False) -> None:
        session = self._run._session
        if self._ended or session is None:
            return
        self._ended = True
        session.open.pop(id(self), None)
        self._run._subs.pop(self.number, None)
        session.attached.pop((self._run.run_id, self.number), None)
        final = self._progress()
        if self._inner:  # the slot is never applied to what has ended
            session.fact("sub.info", self._run.run_id, n=self.number, inner=self._inner)
        session.fact(
            "sub.end",
            self._run.run_id,
            n=self.number,
            status=status.value,
            complete=final.get("c"),
            total=final.get("t"),
            percent=final.get("p"),
            message=final.get("msg"),
            error=session.text(error) if error else None,
            duration=round(time.monotonic() - self._started, 6),
            **({"provisional": True} if provisional else {}),
        )

    # --- what the end marker of a track tells ---------------------------------------------------------------------

    def _exhausted(self, handed: int, ends: bool) -> None:
        if self._mine:
            self._read = None
            self._awake()
            self._n += handed
            if ends:
                self._end(SubtaskStatus.COMPLETED)

    def _broken_off(self, handed: int, ends: bool, by_error: bool) -> None:
        """The loop was left: by ``break`` or ``return`` (all that was handed out is done), or by an exception."""
        if self._mine and not self._ended:
            self._read = None
            self._awake()
            self._n += handed
            if not ends:
                return
            if by_error:
                # How it ends depends on where the exception goes: the run's end, or its next fact, decides.
                self._left_by = "error"
                self._run._pending.append(self)
            else:
                self._end(SubtaskStatus.COMPLETED)


class FarSubtask(Subtask):
    """A subtask of another process: what is counted here goes at once to this process's own counts file."""

    __slots__ = ()

    def advance(self, n: int = 1, message: str | None = None) -> None:
        """Count *n* more items as done; the count survives any death of this process."""
        try:
            if n.__class__ is int and n >= 0:
                view, index = self._cell  # type: ignore[misc]
                view[index] += n
            else:
                self._odd(n)
        except (TypeError, ValueError):
            self._odd(n)
        if message is not None:
            self._say(message)
            if state._timer is None:
                self._awake()

    def _odd(self, n: object) -> None:
        try:
            amount = values.count(n)
            if amount is None:
                raise ValueError(f"advance() of no number: {values.text(n, 100)}")
            view, index = self._attach()
            view[index] = min(view[index] + amount, values.INT_MAX)
        except Exception as error:
            border.swallow(error, "advance")

    def _attach(self) -> tuple[memoryview, int]:
        cell = self._cell
        if cell is None:
            session = self._run._session
            if session is None:
                cell = memoryview(bytearray(8)).cast("Q"), 0
            else:
                cell = session.counter(self._run.run_id, self.number)
                session.attached[self._run.run_id, self.number] = self
                session.open[id(self)] = self
                session.drainer()
            self._cell = cell
        return cell

    def _awake(self) -> None:
        self._attach()
        if state._timer is None and not self._ended and self._run._session is not None:
            state.start_timer()

    def _park(self) -> None:
        pass

    def _set(self, number: int | None) -> None:
        if number is None:
            raise ValueError("complete= is no number")
        view, index = self._attach()
        view[index] = number

    def _count(self) -> int:
        return 0 if self._cell is None else self._cell[0][self._cell[1]]

    def _progress(self) -> "dict[str, Any]":
        return self._more_progress({})  # the count stands in the counts file

    def _exhausted(self, handed: int, ends: bool) -> None:
        if ends and self._mine:
            self._end(SubtaskStatus.COMPLETED)


def iterate_far(sub: Subtask, iterable: "Iterable[T]", ends: bool) -> "Iterator[T]":
    """Iterate in a worker process: every item is counted in the counts file when the next is asked for."""
    try:
        for item in iterable:
            yield item
            sub.advance()
    except GeneratorExit:
        sub.advance()  # left by break or return
        if ends and sub._mine:
            sub._end(SubtaskStatus.COMPLETED)
        raise
    except BaseException:
        if ends and sub._mine:
            sub._end(SubtaskStatus.FAILED, f"{sys.exc_info()[0].__name__}")  # type: ignore[union-attr]
        raise
    if ends and sub._mine:
        sub._end(SubtaskStatus.COMPLETED)
