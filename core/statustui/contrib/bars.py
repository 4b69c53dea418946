"""Progress bars of other libraries as subtasks of the run: what the hooks for tqdm and rich share.

A bar is read, never told: twice a second, when another bar begins or ends, and at its own end. So it costs the loop
that it counts nothing. What becomes of it is said in :mod:`statustui.contrib.levels`.
"""

import _thread
import os
import sys
from collections import deque

from statustui.contrib import levels
from statustui.contrib.joining import active
from statustui.contrib.levels import Bar
from statustui.model import values
from statustui.record import border, state
from statustui.record.track import _how_left

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from statustui.contrib.levels import Reading

_WAIT_S = 0.02
_GENERATOR = 0x20 | 0x80 | 0x200  # also coroutines: what called them is not what they are in


class _Guard:
    """Holds the lock for a change of the bars, and keeps what fails in it from the program (P1, P2)."""

    def __init__(self) -> None:
        self.lock = _thread.RLock()  # of the same thread: the collector may close a bar while one begins

    def __enter__(self) -> bool:
        if not self.lock.acquire(timeout=_WAIT_S):
            return False
        _end_late()
        return True

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        try:
            self.lock.release()
        except RuntimeError:
            return error is None  # it was not had
        if isinstance(error, Exception):
            border.swallow(error, "progress bar")
            return True
        return False


def _end_late() -> None:
    """End the bars whose end met somebody else changing them. The lock is held."""
    while _late:
        try:
            levels.end(*_late.popleft())
        except Exception as error:
            border.swallow(error, "progress bar")


_guard = _Guard()
_late: "deque[tuple[Bar, BaseException | None, bool]]" = deque()
_inherited = False
"""True in a forked worker whose parent had a bar open: it works for that one."""


def take_over(cls: "Any", *ours: "Any") -> None:
    """Put functions in the place of those of the same name in *cls*; ``help()`` shows the old signatures."""
    for function in ours:
        function.__wrapped__ = getattr(cls, function.__name__)
        function.__doc__ = function.__wrapped__.__doc__
        setattr(cls, function.__name__, function)


def begin(read: "Callable[[], Reading]", name: str, unit: str | None = None, *, loops: bool = False) -> "Bar | None":
    """A bar has begun.

    Args:
        read: tells how far it is; called from any thread, cheap, may raise.
        name: what it counts, as its own library shows it.
        unit: what the items are.
        loops: it is a ``for`` loop under way: what begins before its next item is inside it.

    Returns:
        The bar, to be ended by :func:`end`; None where nothing is recorded.
    """
    with _guard as held:
        if not held:
            border.swallow(TimeoutError("other threads are changing the bars"), "progress bar")
            return None
        run = active()
        if run is None or _inherited:
            return None
        bar = Bar(run, read, values.name(name).strip(), unit)
        bar.loops = loops
        _watch()
        levels.place(bar)
        return bar
    return None


def restart(bar: Bar) -> None:
    """*bar* begins anew with the same object (``reset``)."""
    with _guard as held:
        if held:
            levels.again(bar)


def end(bar: Bar, error: BaseException | None = None, *, broken: bool = False) -> None:
    """*bar* has ended; later calls change nothing.

    Args:
        bar: what :func:`begin` gave.
        error: what ended it.
        broken: an exception ended it that is not known here.
    """
    with _guard as held:
        if not held:
            _late.append((bar, error, broken))
        elif not bar.ended:
            levels.end(bar, error, broken)


def park(bar: Bar, *, shown: bool) -> None:
    """The display of *bar* was taken from the screen for a while, or is shown again."""
    with _guard as held:
        if held:
            levels.park(bar, shown=shown)


def close(bar: Bar, frame: "FrameType | None", package: str, *, known: BaseException | None = None) -> None:
    """End *bar* as the exception says that is being handled now, if any.

    Args:
        bar: what :func:`begin` gave.
        frame: that of the library which called; where its generator was dropped, the loop stands further out.
        package: name of the library.
        known: an exception that was being handled before *bar* began: it has not ended it.
    """
    error = sys.exc_info()[1]
    if error is None or error is known or not _passes(error, frame, package):
        end(bar)
    elif isinstance(error, GeneratorExit):
        end(bar, broken=dropped(frame, package))
    else:
        end(bar, error)


def _passes(error: BaseException, frame: "FrameType | None", package: str) -> bool:
    """True where *error* is on its way through *frame*; not where it is being handled by whoever asked for an item."""
    if isinstance(error, StopIteration | StopAsyncIteration) or error.__traceback__ is None:
        return False
    place = error.__traceback__.tb_frame
    while frame is not None and frame is not place:
        if frame.f_code.co_flags & _GENERATOR or not _is_of(frame, package):
            return False
        frame = frame.f_back
    return frame is not None


def _is_of(frame: "FrameType", package: str) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] == package


def dropped(frame: "FrameType | None", package: str) -> bool:
    """True where the loop that has dropped a generator of *package* was left by an exception."""
    while frame is not None and _is_of(frame, package):
        frame = frame.f_back
    return frame is not None and _how_left(frame, held=1) == "error"


def _watch() -> None:
    if look not in state.watchers:
        state.watchers.append(look)
        os.register_at_fork(after_in_child=_forked)


def look() -> None:
    """Bring all open bars up to date; called by the timer before progress is shown."""
    if _guard.lock.acquire(False):
        try:
            _end_late()
            for bar in tuple(levels.opened):
                levels.look(bar)
            levels.keep_total()
        finally:
            _guard.lock.release()


def _forked() -> None:
    """In a forked child: the bars are the parent's."""
    global _inherited
    _guard.lock = _thread.RLock()
    _inherited = _inherited or bool(levels.opened)
    for bar in levels.opened:
        for one in (bar, *bar.inners, *bar.others):
            one.ended = True
    levels.opened.clear()
    _late.clear()
    levels.forget()
