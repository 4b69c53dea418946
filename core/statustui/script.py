"""The functions of existing scripts: ``track_init``, ``genter``, ``gexit``, ``gmessage`` and the others.

They keep their names, their meaning and what they print (``[HH:MM:SS] message``). The first ``genter`` begins the run
where ``track_init`` was not called. A ``genter`` inside an open one turns the outer into a heading, so that only leaf
pairs count as subtasks. Messages are printed and recorded as they are: where R interpolates ``{name}``, Python has
f-strings. Every function takes the argument names of older code too (``task_items_complete``, ``script_name``, …).
"""

import sys
import time

from statustui.model import values
from statustui.model.status import RunStatus, SubtaskStatus
from statustui.record import border, ends
from statustui.record.context import base_name
from statustui.record.run import Run
from statustui.record.subtask import Subtask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "genter",
    "gexit",
    "gmessage",
    "track_error",
    "track_finish",
    "track_init",
    "track_status",
    "track_task_progress",
]

_OLD = {
    "script_name": "task_name", "total_tasks": "total_subtasks", "category": "stage", "task_stage": "stage",
    "current_task": "current_subtask", "task_status": "subtask_status", "task_percent": "subtask_percent",
    "task_message": "subtask_message", "task_items_total": "subtask_items_total",
    "task_items_complete": "subtask_items_complete", "message": "message",
}  # fmt: skip


class _Script:
    """The run of this script and the ``genter`` calls that are open."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.open: list[Subtask] = []
        self.by_number: dict[int, Subtask] = {}

    def begun(self) -> Run:
        """The run, begun now where it was not."""
        ends.facts += 1
        if self.run is None or self.run._state != "open":
            self.begin(None, None, None)
        assert self.run is not None
        return self.run

    def begin(self, name: object, total: object, stage: object) -> Run:
        """Begin the run; one that is still open ends."""
        if self.run is not None and self.run._state == "open":
            self.run.finish()
        self.open, self.by_number = [], {}
        self.run = Run({"task": name, "subtasks": total, "stage": stage}).start()
        return self.run


_script = _Script()


def _say(message: object, file: "Any" = None) -> None:
    """Print as the functions always did; a closed stdout must not end the script."""
    try:
        print(f"[{time.strftime('%H:%M:%S')}] {values.text(message)}", file=file)
    except (OSError, ValueError):
        return


def _renamed(given: "dict[str, Any]", allowed: tuple[str, ...], function: str) -> "dict[str, Any]":
    """Older argument names as ours."""
    result = {}
    for key, value in given.items():
        new = _OLD.get(key, key)
        if new not in allowed:
            raise TypeError(f"{function}() got an unexpected keyword argument {key!r}")
        result[new] = value
    return result


def track_init(
    task_name: str | None = None, total_subtasks: int | None = None, stage: str | None = None, **older: "Any"
) -> str | None:
    """Begin the run of this script.

    Args:
        task_name: name of the script; an ending such as ``.R`` or ``.py`` is not part of the task's name.
        total_subtasks: how many leaf subtasks (``genter`` … ``gexit``) there will be.
        stage: group of the task; from its prefix (``DAILY_``) where it is left out.
        older: the same under the names ``script_name``, ``total_tasks`` and ``category``.

    Returns:
        The id of the run, or None where nothing is recorded.
    """
    more = _renamed(older, ("task_name", "total_subtasks", "stage"), "track_init")
    name = more.get("task_name", task_name)
    try:
        if name is not None:
            name = base_name(values.name(name))
        run = _script.begin(name, more.get("total_subtasks", total_subtasks), more.get("stage", stage))
        return run.run_id if run else None
    except Exception as error:
        border.swallow(error, "track_init")
        return None


_STATUS_ARGUMENTS = (
    "status", "current_subtask", "subtask_name", "subtask_status", "overall_percent", "overall_message",
    "subtask_percent", "subtask_message", "subtask_items_total", "subtask_items_complete", "total_subtasks",
)  # fmt: skip


def track_status(
    status: str = "RUNNING",
    current_subtask: int | None = None,
    subtask_name: str | None = None,
    subtask_status: str | None = None,
    overall_percent: float | None = None,
    overall_message: str | None = None,
    subtask_percent: float | None = None,
    subtask_message: str | None = None,
    subtask_items_total: int | None = None,
    subtask_items_complete: int | None = None,
    **older: "Any",
) -> None:
    """Tell how far the script is; what is left out stays as it is.

    Args:
        status: ``RUNNING``, ``FINISHED``, ``FAILED`` or ``CANCELLED``; the latter three end the run.
        current_subtask: number of the subtask that the other arguments are about.
        subtask_name: its name; another name than that of the open subtask begins the next one.
        subtask_status: ``RUNNING``, ``COMPLETED``, ``FAILED`` or ``SKIPPED``.
        overall_percent: progress of the whole, set by hand.
        overall_message: message about the whole.
        subtask_percent: progress of the subtask, set by hand.
        subtask_message: message about the subtask.
        subtask_items_total: items in the subtask.
        subtask_items_complete: items done.
        older: the same under the names ``task_…``.

    Prints ``[HH:MM:SS] message``: the subtask's message, else the overall one.
    """
    more = _renamed(older, _STATUS_ARGUMENTS, "track_status")
    items_total = more.get("subtask_items_total", subtask_items_total)
    items_complete = more.get("subtask_items_complete", subtask_items_complete)
    message = more.get("subtask_message", subtask_message)
    if _script.run is None:
        return  # as ever: silent where nothing was begun
    try:
        run = _script.begun()
        sub = _subtask(run, more.get("current_subtask", current_subtask), subtask_name)
        if sub is not None:
            percent = more.get("subtask_percent", subtask_percent)
            sub.update(complete=items_complete, total=items_total, percent=percent, message=message)
            _maybe_end(sub, more.get("subtask_status", subtask_status))
        elif message is not None:
            run.message = message
        if overall_percent is not None:
            run.percent = overall_percent
        if overall_message is not None:
            run.message = overall_message
        _maybe_end_run(run, status)
    except Exception as error:
        border.swallow(error, "track_status")
    if message or overall_message:
        _say(message or overall_message)


def _subtask(run: Run, number: object, name: object) -> Subtask | None:
    """The subtask that a status is about: by number, by a new name, else the innermost open one."""
    wanted = values.count(number)
    newest = _script.open[-1] if _script.open else None
    if wanted is not None:
        found = _script.by_number.get(wanted)
        if found is None and wanted > 0:
            found = _enter(run, name if name is not None else f"Subtask {wanted}", inside=False)
            _script.by_number[wanted] = found
        return found if found is not None else newest
    if name is not None and (newest is None or newest.name != values.name(name)):
        return _enter(run, name, inside=False)
    return newest


def _enter(run: Run, name: object, *, inside: bool) -> Subtask:
    """Begin a subtask, inside the open one or after it."""
    if not inside and _script.open:
        _script.open.pop().end()
    parent = _script.open[-1] if _script.open else None
    sub = run._begin(name, None, None, None, parent=parent)
    _script.open.append(sub)
    return sub


def _maybe_end(sub: Subtask, status: object) -> None:
    if status is None:
        return
    word = SubtaskStatus(values.text(status, 100))
    if word.open:
        return
    sub.end(word.value)
    if sub in _script.open:
        _script.open.remove(sub)


def _maybe_end_run(run: Run, status: object) -> None:
    word = RunStatus(values.text(status, 100))
    if word is RunStatus.FINISHED:
        run.finish()
    elif word is RunStatus.FAILED:
        run.fail(run.message or "the script reported a failure")
    elif word is RunStatus.CANCELLED:
        run._end(word)
    if not word.open:
        _script.open.clear()


def track_task_progress(
    items_complete: int | None = None, items_total: int | None = None, message: str | None = None, **older: "Any"
) -> None:
    """Tell how many items of the open subtask are done, and print *message*.

    Inside one subtask after another of the same loop the numbers are those of the loop, as in
    ``track_task_progress(i, len(states), "Writing …")``.
    """
    more = _renamed(older, ("subtask_items_complete", "subtask_items_total", "subtask_message"), "track_task_progress")
    track_status(
        subtask_items_complete=more.get("subtask_items_complete", items_complete),
        subtask_items_total=more.get("subtask_items_total", items_total),
        subtask_message=more.get("subtask_message", message),
    )


def track_finish(message: str = "Script completed successfully") -> None:
    """End the run well and print *message*."""
    if _script.run is None:
        return
    try:
        _script.run.message = message
        _script.run.finish()
        _script.open.clear()
    except Exception as error:
        border.swallow(error, "track_finish")
    _say(message)


def track_error(error_msg: object, error_detail: object = None, **older: "Any") -> None:
    """End the run as failed, and print ``ERROR: message`` on stderr.

    Args:
        error_msg: a text, or the exception itself.
        error_detail: more about it, several lines.
        older: the same under the names ``error_message`` and ``detail``.
    """
    for key, value in older.items():
        if key == "error_message":
            error_msg = value
        elif key == "detail":
            error_detail = value
        else:
            raise TypeError(f"track_error() got an unexpected keyword argument {key!r}")
    if _script.run is None:
        return
    _script.run.fail(error_msg, None if error_detail is None else values.text(error_detail))
    _script.open.clear()
    try:
        print(f"ERROR: {values.text(error_msg)}", file=sys.stderr)
    except (OSError, ValueError):
        return


def genter(message: object) -> None:
    """Begin a subtask and print its name; inside an open one, that one turns into a heading."""
    try:
        _enter(_script.begun(), message, inside=True)
    except Exception as error:
        border.swallow(error, "genter")
    _say(message)


def gexit(message: object = None) -> None:
    """End the subtask that ``genter`` began last; *message*, if any, is printed."""
    try:
        if _script.open:
            ends.facts += 1
            _script.open.pop().end(message=None if message is None else values.text(message))
    except Exception as error:
        border.swallow(error, "gexit")
    if message is not None:
        _say(message)


def gmessage(message: object) -> None:
    """Tell something about what is going on: print it, and show it beside the open subtask."""
    try:
        run = _script.begun()
        if _script.open:
            _script.open[-1].update(message=values.text(message))
        else:
            run.message = message
    except Exception as error:
        border.swallow(error, "gmessage")
    _say(message)
