"""tqdm's bars as subtasks: ``from statustui.contrib.tqdm import tqdm, trange`` in place of ``from tqdm import …``.

Or ``statustui.contrib.tqdm.hook()`` once, for every bar of the program, whoever makes it. Bars are recorded while a
run is open (or the program was started by ``statustui run``); else nothing happens. A bar is read twice a second, so
its loop costs what it costs without us; one with ``disable=True`` is counted as :meth:`statustui.Run.track` counts.
"""

import sys
import weakref
from itertools import chain
from typing import TYPE_CHECKING, Any

from tqdm import std as _std

from statustui.contrib import bars, everywhere
from statustui.model import values
from statustui.record import border
from statustui.record.track import _counted, _End

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from statustui.contrib.levels import Reading

__all__ = ["hook", "tqdm", "trange"]

_KEY = "_statustui"


class tqdm(_std.tqdm):  # type: ignore[misc]
    """tqdm's own class; what its bars count is recorded, too."""


def trange(*args: Any, **kwargs: Any) -> tqdm:
    """A shortcut for ``tqdm(range(*args), **kwargs)``."""
    return tqdm(range(*args), **kwargs)


def hook() -> None:
    """Record every bar of tqdm in this program: also those of pandas, other libraries, notebooks and asyncio."""
    install(_std.tqdm)


class _Counter:
    """How far one bar of tqdm is, and how it began and ended. Holds no bar alive: tqdm closes those nobody has."""

    __slots__ = ("bar", "desc", "done", "error", "handed", "last", "meter", "scale")

    def __init__(self, meter: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.meter = weakref.ref(meter)
        self.handed: Callable[[], int] | None = None
        """How many items the loop of a bar that is switched off has handed out."""
        self.done: Any = None
        """What a bar that is switched off has counted."""
        self.error = sys.exc_info()[1]
        """An exception that was being handled when it began: it has not ended it."""
        self.last: Reading = (0, None, None)
        shown = not meter.disable
        desc = meter.desc if shown else kwargs.get("desc", args[1] if len(args) > 1 else None)
        unit = meter.unit if shown else kwargs.get("unit", "it")
        scale = meter.unit_scale if shown else kwargs.get("unit_scale", False)
        self.scale: Any = scale if type(scale) in (int, float) and scale else 1
        self.desc = _plain(desc)
        if not shown:
            self.done = meter.n
            meter.update = self.update
        self.bar = bars.begin(self.read, self.desc, None if unit == "it" else values.name(unit))

    def read(self) -> "Reading":
        """Items done, items in all, and what it says."""
        meter = self.meter()
        if meter is not None:
            self.last = self._reading(meter)
        return self.last

    def _reading(self, meter: Any) -> "Reading":
        done = meter.n if self.done is None else self.done
        if self.handed is not None:
            done += max(0, self.handed() - 1)
        total = meter.total
        if self.scale != 1:
            done, total = done * self.scale, None if total is None else total * self.scale
        desc = _plain(getattr(meter, "desc", None))
        said = [desc] if desc and desc != self.desc else []
        postfix = getattr(meter, "postfix", None)
        if postfix:
            said.append(values.text(postfix, 500))
        return done, total, ", ".join(said) or None

    def update(self, n: Any = 1) -> None:
        """Count for a bar that is switched off, whose own ``update`` does nothing."""
        try:
            self.done += n
        except TypeError as error:
            border.swallow(error, "tqdm.update")

    def loop(self, meter: Any) -> "Iterator[Any]":
        """Iterate for a bar that is switched off."""
        source = iter(meter.iterable)
        self.handed, items = _counted(meter.iterable, source)
        self.loops()
        return chain(items, _End(_Loop(self, meter), self.handed, True))  # type: ignore[arg-type]

    def loops(self) -> None:
        """It is a loop that has begun."""
        if self.bar is not None:
            self.bar.loops = True

    def closes(self, meter: Any, frame: "FrameType | None") -> None:
        """``close()`` was called: by the program, or by the end of the loop in *frame*."""
        self.last = self._reading(meter)
        bar, self.bar = self.bar, None
        if bar is not None:
            bars.close(bar, frame, "tqdm", known=self.error)

    def leaves(self, *, broken: bool) -> None:
        """The loop of a bar that is switched off has ended."""
        bar, self.bar = self.bar, None
        if bar is not None:
            bars.end(bar, broken=broken)


class _Loop:
    """What the end marker of a loop tells; keeps the bar while its loop is under way, as tqdm's own generator does."""

    __slots__ = ("counter", "meter")

    def __init__(self, counter: _Counter, meter: Any) -> None:
        self.counter = counter
        self.meter = meter

    def _exhausted(self, handed: int, ends: bool) -> None:
        self._left(handed, False)

    def _broken_off(self, handed: int, ends: bool, by_error: bool) -> None:
        self._left(handed, by_error)

    def _left(self, handed: int, by_error: bool) -> None:
        counter = self.counter
        counter.handed = None
        counter.done += handed
        counter.leaves(broken=by_error)


def _plain(desc: object) -> str:
    return values.name(desc).strip().removesuffix(":").strip() if desc else ""


def install(cls: Any) -> None:
    """Record the bars of one class of tqdm, and of those derived from it. A second time changes nothing."""
    if _KEY in cls.__dict__:
        return
    setattr(cls, _KEY, None)
    original = {name: getattr(cls, name) for name in ("__init__", "__iter__", "close", "reset")}

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original["__init__"](self, *args, **kwargs)
        if _KEY not in self.__dict__:
            try:
                self.__dict__[_KEY] = None
                self.__dict__[_KEY] = _Counter(self, args, kwargs)
            except Exception as error:
                border.swallow(error, "tqdm")

    def __iter__(self: Any) -> "Iterator[Any]":
        counter: _Counter | None = self.__dict__.get(_KEY)
        if counter is not None and counter.bar is not None:
            try:
                if self.disable and counter.handed is None:
                    return counter.loop(self)
                counter.loops()
            except TypeError:
                pass  # not iterable: tqdm says so itself
            except Exception as error:
                border.swallow(error, "tqdm")
        return original["__iter__"](self)  # type: ignore[no-any-return]

    def close(self: Any) -> None:
        counter: _Counter | None = self.__dict__.get(_KEY)
        if counter is not None and counter.bar is not None:
            try:
                counter.closes(self, sys._getframe(1))
            except Exception as error:
                border.swallow(error, "tqdm")
        original["close"](self)

    def reset(self: Any, total: Any = None) -> None:
        original["reset"](self, total)
        counter: _Counter | None = self.__dict__.get(_KEY)
        if counter is not None and counter.bar is not None:
            if counter.done is not None:
                counter.done = 0
            bars.restart(counter.bar)

    bars.take_over(cls, __init__, __iter__, close, reset)


install(tqdm)
if "tqdm" in everywhere:
    hook()
