"""Tasks of rich's progress displays as subtasks: ``from statustui.contrib.rich import Progress, track``.

Or ``statustui.contrib.rich.hook()`` once, for every display of the program, or ``hook(progress)`` for one that exists.
Tasks are recorded while a run is open (or the program was started by ``statustui run``); else nothing happens. They are
read twice a second: ``update`` and ``advance`` cost what they cost without us.
"""

import sys
import types
import weakref
from itertools import chain
from typing import TYPE_CHECKING, Any

from rich import progress as _rich
from rich.text import Text

from statustui.contrib import bars, everywhere
from statustui.model import values
from statustui.record import border
from statustui.record.track import _End

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from rich.progress import open, track, wrap_file

    from statustui.contrib.levels import Bar, Reading

__all__ = ["Progress", "hook", "open", "track", "wrap_file"]

_KEY = "_statustui"


class Progress(_rich.Progress):
    """rich's own class; what its tasks count is recorded, too."""


def hook(progress: _rich.Progress | None = None) -> None:
    """Record the tasks of *progress*, or of every display of this program."""
    if progress is None:
        install(_rich.Progress)
        return
    try:
        kind = type(progress)
        recorded = type(kind.__name__, (kind,), {"__module__": kind.__module__, "__doc__": kind.__doc__})
        install(recorded)
        progress.__class__ = recorded
        display = _display(progress)
        for task in progress.tasks:
            if task.started and not task.finished:
                display.begin(task.id, None)
    except Exception as error:
        border.swallow(error, "rich")


class _Display:
    """The bars of one display."""

    __slots__ = ("bars", "loops", "progress")

    def __init__(self, progress: _rich.Progress) -> None:
        self.bars: dict[_rich.TaskID, _Shown] = {}
        self.progress = weakref.ref(progress, self._gone)
        self.loops: list[_Loop] = []

    def begin(self, task_id: _rich.TaskID, frame: "FrameType | None") -> None:
        """A task was started by *frame*, which may be one of rich's own loops and readers."""
        progress = self.progress()
        task = None if progress is None else progress._tasks.get(task_id)
        if task is None or task_id in self.bars:
            return
        self.sweep()
        loop = next((one for one in self.loops if frame is not None and one.generator.gi_frame is frame), None)
        reads = frame is not None and frame.f_code in _READERS
        shown = _Shown(task)
        shown.bar = bars.begin(shown.read, shown.name, "B" if reads else None, loops=loop is not None)
        self.bars[task_id] = shown
        if loop is not None:
            loop.task_id = task_id

    def reset(self, task_id: _rich.TaskID, *, start: bool) -> None:
        """A task begins anew, at once or (not *start*) later."""
        shown = self.bars.get(task_id)
        if not start:
            self.end(task_id)
        elif shown is None:
            self.begin(task_id, None)
        elif shown.bar is not None:
            bars.restart(shown.bar)

    def sweep(self) -> None:
        """End what has come to its total."""
        for task_id, shown in tuple(self.bars.items()):
            if shown.task.finished and shown.bar is not None and not shown.bar.loops:
                self.end(task_id)

    def end(self, task_id: _rich.TaskID | None, *, broken: bool = False) -> None:
        """A task is done, or was taken away."""
        shown = None if task_id is None else self.bars.pop(task_id, None)
        if shown is not None and shown.bar is not None:
            bars.end(shown.bar, broken=broken)

    def park(self, *, shown: bool) -> None:
        """The display was stopped, perhaps for a question to the person, or started again."""
        if not shown:
            self.sweep()
        for task in tuple(self.bars.values()):
            if task.bar is not None:
                bars.park(task.bar, shown=shown)

    def _gone(self, _: object) -> None:
        for task_id in tuple(self.bars):
            self.end(task_id)

    def close(self, frame: "FrameType | None") -> None:
        """The display's block was left: what has not come to its total ends as the exception says, if any."""
        self.sweep()
        while self.bars:
            _, shown = self.bars.popitem()
            if shown.bar is not None:
                bars.close(shown.bar, frame, "rich", known=shown.error)


_READERS = (_rich.Progress.open.__code__, _rich.Progress.wrap_file.__code__)


class _Shown:
    """One task, as it was when it began."""

    __slots__ = ("bar", "error", "name", "task", "thread")

    def __init__(self, task: _rich.Task) -> None:
        self.task = task
        self.thread: Any = None
        """rich's own thread that tells the task how far its loop is, ten times a second; it knows at any time."""
        self.name = _plain(task.description)
        self.bar: Bar | None = None
        self.error = sys.exc_info()[1]

    def read(self) -> "Reading":
        """Items done, items in all, and what it says."""
        task = self.task
        description = _plain(task.description)
        total: Any = task.total
        done = int(task.completed if self.thread is None else max(task.completed, self.thread.completed))
        return done, total, description if description != self.name else None


class _Loop:
    """A loop over ``track``: what its end marker tells."""

    __slots__ = ("display", "generator", "task_id")

    def __init__(self, display: _Display, generator: Any) -> None:
        self.display = display
        self.generator = generator
        self.task_id: _rich.TaskID | None = None

    def _exhausted(self, handed: int, ends: bool) -> None:
        self._left(False)

    def _broken_off(self, handed: int, ends: bool, by_error: bool) -> None:
        self.generator.close()  # now, not when it is collected: so its last count is there
        frame = sys._getframe(2)
        inside = frame.f_globals.get("__name__") == _rich.__name__  # rich's own track() around this one
        self._left(bars.dropped(frame, "rich") if inside else by_error)

    def _left(self, by_error: bool) -> None:
        if self in self.display.loops:
            self.display.loops.remove(self)
        self.display.end(self.task_id, broken=by_error)


def _plain(description: object) -> str:
    text = values.name(description)
    if "[" in text:
        try:
            text = Text.from_markup(text).plain
        except Exception:  # no markup after all
            return text.strip()
    return text.strip()


def _display(progress: Any) -> _Display:
    display: _Display | None = progress.__dict__.get(_KEY)
    if display is None:
        display = progress.__dict__[_KEY] = _Display(progress)
    return display


def _ask_threads() -> None:
    """Ask rich's own threads how far loops are, where this version of rich has them."""
    thread: Any = getattr(_rich, "_TrackThread", None)
    if thread is None or hasattr(thread, _KEY):
        return
    setattr(thread, _KEY, True)
    enter = thread.__enter__

    def __enter__(self: Any) -> Any:
        display: _Display | None = getattr(self.progress, "__dict__", {}).get(_KEY)
        shown = None if display is None else display.bars.get(self.task_id)
        if shown is not None:
            shown.thread = self
        return enter(self)

    thread.__enter__ = __enter__


def _tell(progress: Any, what: "Callable[[_Display], None]") -> None:
    """Tell its display what has become of *progress*; whatever goes wrong stays here (P1)."""
    try:
        what(_display(progress))
    except Exception as error:
        border.swallow(error, "rich")


def install(cls: Any) -> None:
    """Record the tasks of one class of displays, and of those derived from it. A second time changes nothing."""
    if getattr(cls, _KEY, None) is not None:
        return
    setattr(cls, _KEY, True)
    _ask_threads()
    names = ("start", "start_task", "stop_task", "remove_task", "reset", "track", "stop", "__exit__")
    original = {name: getattr(cls, name) for name in names}

    def start_task(self: Any, task_id: Any) -> None:
        original["start_task"](self, task_id)
        caller: FrameType | None = sys._getframe(1)
        if caller is not None and caller.f_globals is _rich.__dict__:
            caller = caller.f_back  # add_task
        _tell(self, lambda display: display.begin(task_id, caller))

    def stop_task(self: Any, task_id: Any) -> None:
        original["stop_task"](self, task_id)
        _tell(self, lambda display: display.end(task_id))

    def remove_task(self: Any, task_id: Any) -> None:
        original["remove_task"](self, task_id)
        _tell(self, lambda display: display.end(task_id))

    def reset(self: Any, task_id: Any, **given: Any) -> None:
        _tell(self, _Display.sweep)
        original["reset"](self, task_id, **given)
        _tell(self, lambda display: display.reset(task_id, start=given.get("start", True)))

    def track(self: Any, *args: Any, **kwargs: Any) -> "Iterator[Any]":
        generator = original["track"](self, *args, **kwargs)
        try:
            display = _display(self)
            loop = _Loop(display, generator)
            given = kwargs.get("task_id", args[3] if len(args) > 3 else None)
            if given is not None:
                loop.task_id = given
                shown = display.bars.get(given)
                if shown is not None and shown.bar is not None:
                    shown.bar.loops = True
            display.loops.append(loop)
            return chain(generator, _End(loop, int, True))  # type: ignore[arg-type]
        except Exception as error:
            border.swallow(error, "rich")
            return generator  # type: ignore[no-any-return]

    def stop(self: Any) -> None:
        original["stop"](self)
        _tell(self, lambda display: display.park(shown=False))

    def start(self: Any) -> None:
        original["start"](self)
        _tell(self, lambda display: display.park(shown=True))

    def __exit__(self: Any, *exception: Any) -> None:
        original["__exit__"](self, *exception)
        frame = sys._getframe(1)
        _tell(self, lambda display: display.close(frame))

    bars.take_over(cls, start, start_task, stop_task, remove_task, reset, track, stop, __exit__)


install(Progress)
if "rich" in everywhere:
    hook()
if not TYPE_CHECKING:
    # rich's own functions, with our class in place of its
    _names = {**_rich.__dict__, "Progress": Progress}
    track, wrap_file, open = (
        types.FunctionType(own.__code__, _names, own.__name__, own.__defaults__, own.__closure__)
        for own in (_rich.track, _rich.wrap_file, _rich.open)
    )
    for _ours, _own in ((track, _rich.track), (wrap_file, _rich.wrap_file), (open, _rich.open)):
        _ours.__kwdefaults__, _ours.__doc__, _ours.__wrapped__ = _own.__kwdefaults__, _own.__doc__, _own
