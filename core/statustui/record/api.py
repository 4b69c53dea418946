"""The functions that a program calls."""

import time

from statustui.record import border, state
from statustui.record.begin import current as _current
from statustui.record.run import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeVar, overload

    F = TypeVar("F", bound=Callable[..., Any])
else:

    def overload(function: object) -> None:
        """Stands in for ``typing.overload``, which a program that records need not load."""


@overload
def run(task: "F", /) -> "F": ...  # noqa: D103
@overload
def run(  # noqa: D103, F811
    task: "str | None" = None,
    *,
    stage: "str | None" = None,
    subtasks: "int | None" = None,
    params: "Mapping[str, Any] | None" = None,
    log: "str | os.PathLike[str] | None" = None,
    tags: "Iterable[str] | None" = None,
    label: "str | None" = None,
    store: "str | os.PathLike[str] | None" = None,
    grace: "float | None" = None,
    max_attempts: "int | None" = None,
    strict: "bool | None" = None,
) -> Run: ...
def run(  # noqa: F811
    task: "str | Callable[..., Any] | None" = None,
    *,
    stage: "str | None" = None,
    subtasks: "int | None" = None,
    params: "Mapping[str, Any] | None" = None,
    log: "str | os.PathLike[str] | None" = None,
    tags: "Iterable[str] | None" = None,
    label: "str | None" = None,
    store: "str | os.PathLike[str] | None" = None,
    grace: "float | None" = None,
    max_attempts: "int | None" = None,
    strict: "bool | None" = None,
) -> "Any":
    """Record a run: ``with statustui.run("DAILY_01_load") as run:``, ``async with``, or ``@statustui.run(...)``.

    Inside another run it is a child run of that one.

    Args:
        task: name of the task; the script's name (for a decorated function, the function's) where it is left out.
        stage: group of the task; derived from the name's prefix where it is left out.
        subtasks: how many leaf subtasks there will be.
        params: what this run was asked to do; secrets are taken out by their names.
        log: file that the program writes its log to; found by itself where stdout or stderr is a regular file.
        tags: words to find it by.
        label: what tells this run from others of its task, in a few words.
        store: URL or path of the store, instead of the configured one.
        grace: seconds between TERM and KILL when it is cancelled.
        max_attempts: tries that the task is allowed.
        strict: raise errors of recording instead of counting them, for tests.
    """
    if strict is not None:
        border.strict = bool(strict)
    given = {
        "task": task, "stage": stage, "subtasks": subtasks, "params": params, "log": log, "tags": tags, "label": label,
        "store": store, "grace": grace, "max_attempts": max_attempts,
    }  # fmt: skip
    if callable(task):
        return Run({**given, "task": None})(task)
    return Run(given)


def current() -> Run:
    """The run that this code works in; where there is none, one on which every call does nothing (and is false)."""
    try:
        found = _current()
    except Exception as error:
        border.swallow(error, "current")
        found = None
    return found if found is not None else Run._view(None, "", "")


def flush(timeout: float = 5.0) -> bool:
    """Wait until everything recorded so far is in the store.

    Args:
        timeout: seconds to wait at most.

    Returns:
        True when it is there; False when the time was over or there is no drainer.
    """
    try:
        done = True
        limit = time.monotonic() + timeout
        for one in state.every():
            one.show()
            if one.settings.drainer == "inline":
                done = state.drain_here(one, max(0.0, limit - time.monotonic())) and done
            elif one.settings.drainer == "process":
                one.drainer()
                done = state.wait_for_drainer(one, max(0.0, limit - time.monotonic())) and done
            else:
                done = False
        return done
    except Exception as error:
        border.swallow(error, "flush")
        return False
