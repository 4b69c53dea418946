"""Counting a loop without slowing it: the iterator that does the work already knows how far it is.

Lists and their like are read through ``__length_hint__`` of their own iterator (nothing an item); any other iterable
goes through ``compress`` with a ``repeat`` whose hint counts. A marker chained behind records exhaustion when it is
asked for the next item, and ``break``, ``return`` or an exception when it is dropped.
"""

import sys
from collections import deque
from itertools import chain, compress, repeat

from statustui.model import values
from statustui.model.status import SubtaskStatus
from statustui.record import border
from statustui.record.subtask import FarSubtask, Subtask, iterate_far

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
    from types import FrameType
    from typing import Any, Generic, TypeVar

    from statustui.record.run import Run

    T = TypeVar("T")

    class Base(Generic[T]):  # noqa: D101 - for the type checker alone
        pass

else:

    class Base:
        """Stands in for ``typing.Generic``, which a program that records need not load."""

        __slots__ = ()

        def __class_getitem__(cls, item: object) -> type:
            """Take a type argument and ignore it."""
            return cls


# Their iterators tell exactly how many items are left.
_HINTED = frozenset((list, tuple, range, dict, set, frozenset, str, bytes, bytearray, deque))
_EMPTY: dict[object, object] = {}
_HINTED_VIEWS = (type(_EMPTY.keys()), type(_EMPTY.values()), type(_EMPTY.items()))
_MANY = sys.maxsize
_COROUTINE = 0x80  # inspect.CO_COROUTINE


class Track(Base["T"]):
    """A tracked iterable: iterate it with ``for`` or ``async for``. Every loop over it is one subtask."""

    __slots__ = ("_into", "_iterable", "_name", "_run", "_total", "_unit", "_weight")

    def __init__(
        self,
        run: "Run",
        iterable: "Iterable[T] | AsyncIterable[T]",
        name: str,
        total: int | None,
        unit: str | None,
        weight: float | None,
        into: Subtask | None = None,
    ) -> None:
        self._run = run
        self._iterable = iterable
        self._name = name
        self._total = total
        self._unit = unit
        self._weight = weight
        self._into = into

    def __iter__(self) -> "Iterator[T]":
        iterable: Any = self._iterable
        source: Iterator[T] = iter(iterable)  # a TypeError here is the program's own, as without us
        try:
            return self._started(iterable, source)
        except Exception as error:
            border.swallow(error, "track")
            return source

    def _started(self, iterable: "Any", source: "Iterator[T]") -> "Iterator[T]":
        if self._run._session is None:
            return source
        sub, ends = self._subtask()
        if isinstance(sub, FarSubtask) or not sub._mine:
            return iterate_far(sub, source, ends)
        handed, items = _counted(iterable, source)
        if sub._read is not None:
            sub._base = sub._count()
        sub._read = handed
        sub._awake()
        return chain(items, _End(sub, handed, ends))

    def _subtask(self) -> tuple[Subtask, bool]:
        total = self._total if self._total is not None else _length(self._iterable)
        if self._into is None:
            return self._run._begin(self._name, total, self._unit, self._weight), True
        if total is not None or self._unit is not None:
            self._into.update(total=total)
        return self._into, False

    async def __aiter__(self) -> "AsyncIterator[T]":
        iterable: Any = self._iterable
        source = aiter(iterable)
        if self._run._session is None:
            async for item in source:
                yield item
            return
        sub, ends = self._subtask()
        status, error = SubtaskStatus.COMPLETED, ""
        try:
            async for item in source:
                yield item
                sub.advance()
        except GeneratorExit:
            sub.advance()
            raise
        except BaseException as problem:
            from statustui.record.ends import of_subtask

            status, said = of_subtask(sub, problem)
            error = said or ""
            raise
        finally:
            if ends:
                sub.end(status, error=error or None)

    def __length_hint__(self) -> int:
        """How many items there will be, as the iterable itself has it: ``list()`` takes room for as many."""
        return _length(self._iterable) or 0

    def __repr__(self) -> str:
        return f"<statustui.Track {self._name!r}>"


def _length(iterable: object) -> int | None:
    try:
        if hasattr(iterable, "__len__"):
            return values.count(len(iterable))
        hint = getattr(iterable, "__length_hint__", None)
        number = hint() if hint is not None else None
    except Exception:  # somebody else's __len__
        return None
    return number if type(number) is int and number > 0 else None


def _counted(iterable: "Any", source: "Iterator[T]") -> "tuple[Callable[[], int], Iterator[T]]":
    """A function that tells how many items were handed out, and the iterator that hands them out."""
    kind = type(iterable)
    if kind is list:
        left = source.__length_hint__  # type: ignore[attr-defined]
        return lambda: max(0, len(iterable) - left()), source  # exact while the list grows, too
    if kind in _HINTED or kind in _HINTED_VIEWS:
        total, left = len(iterable), source.__length_hint__  # type: ignore[attr-defined]
        return lambda: max(0, total - left()), source
    ticks = repeat(True, _MANY)
    ticks_left = ticks.__length_hint__
    return lambda: _MANY - ticks_left(), compress(source, ticks)


class _End:
    """The last link of a tracked loop: asked for an item when the others are used up, dropped when the loop is left."""

    __slots__ = ("_ends", "_handed", "_sub")

    def __init__(self, sub: Subtask, handed: "Callable[[], int]", ends: bool) -> None:
        self._sub: Subtask | None = sub
        self._handed: Callable[[], int] | None = handed
        self._ends = ends

    def __iter__(self) -> "_End":
        return self

    def __next__(self) -> "Any":
        sub, self._sub = self._sub, None
        handed, self._handed = self._handed, None
        if sub is not None and handed is not None:
            try:
                sub._exhausted(handed(), self._ends)
            except Exception as error:
                border.swallow(error, "end of a loop")
        raise StopIteration

    def __del__(self) -> None:
        sub, handed = self._sub, self._handed
        if sub is None or handed is None:
            return
        try:
            number = handed()
            leaving = _how_left(sys._getframe(1))
            if leaving == "error" and number:
                number -= 1  # the item that was being worked on is not done
            sub._broken_off(number, self._ends, by_error=leaving != "left")
        except Exception as error:
            border.swallow(error, "end of a loop")


# What a frame is doing when it drops a loop's iterator in good order.
_LEAVING = (
    "POP_TOP", "POP_ITER", "END_FOR", "RETURN_VALUE", "RETURN_CONST", "RETURN_GENERATOR", "STORE_FAST", "STORE_NAME",
    "STORE_GLOBAL", "STORE_DEREF", "DELETE_FAST", "DELETE_NAME", "DELETE_GLOBAL", "DELETE_DEREF",
    "STORE_FAST_LOAD_FAST", "STORE_FAST_STORE_FAST",
)  # fmt: skip


_YOUNG = 20_000
# What takes only some of the items that it is given.
_TAKERS = frozenset(("next", "islice", "takewhile", "zip", "any", "all", "iter"))


def _how_left(frame: "FrameType", held: int = 0) -> str:
    """How a loop in *frame* was left: ``left`` (break, return, enough), ``source`` (its iterable raised), or ``error``.

    Args:
        frame: the one that has dropped the iterator.
        held: references to the frame that the caller holds besides the one that it gives here.
    """
    from opcode import opname

    code, at = frame.f_code.co_code, frame.f_lasti
    while at > 0 and opname[code[at]] == "CACHE":
        at -= 2  # room of the interpreter's own behind an instruction
    operation = opname[code[at]] if at >= 0 else "POP_TOP"
    if operation in _LEAVING:
        return "left"
    if operation == "YIELD_VALUE" and not frame.f_code.co_flags & _COROUTINE:
        return "left"  # a generator that is closed, as by a consumer's break
    # An exception that leaves a loop has put the frame into its traceback, which refers to it. One that passes through
    # a call or an iterator in C drops their arguments before; then it is just made.
    if _references(frame) <= _unseen(sys._getframe()) + held and not _raised():
        if operation.startswith("FOR_ITER") or operation == "CONTAINS_OP":
            return "left"  # islice() or zip() around it was used up
        # In Python 3.11 an exception that C raises is no object yet.
        if operation.startswith(("CALL", "PRECALL")) and not _TAKERS.isdisjoint(frame.f_code.co_names):
            return "left"
    return "source" if operation.startswith("FOR_ITER") else "error"


def _unseen(frame: "FrameType") -> int:
    """References to a frame that runs, and that no traceback knows."""
    return _references(frame)


def _raised() -> bool:
    """May there be an exception that was made a moment ago?"""
    import gc

    # They are all among the youngest objects, unless nobody collects.
    if gc.get_count()[0] > _YOUNG:
        return True
    return any(
        isinstance(found, BaseException) and not isinstance(found, GeneratorExit)
        for found in gc.get_objects(generation=0)
    )


def _references(frame: "FrameType") -> int:
    count = getattr(sys, "getrefcount", None)
    return count(frame) if count is not None else sys.maxsize
