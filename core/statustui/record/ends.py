"""How runs and subtasks end: what an exception, an exit status or the end of the process says."""

import sys

from statustui.model import values
from statustui.model.status import RunStatus, SubtaskStatus
from statustui.record import border, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, NoReturn

    from statustui.record.run import Run
    from statustui.record.subtask import Subtask

_DETAIL = 60_000
_HUGE = 1_000_000
_CANCELS = ("KeyboardInterrupt", "CancelledError")


def status_of(error: BaseException | None) -> tuple[RunStatus, int | None]:
    """The (run status, exit code) that leaving a block by *error* stands for."""
    if error is None or isinstance(error, GeneratorExit):
        return RunStatus.FINISHED, None
    if isinstance(error, SystemExit):
        code = error.code
        if code is None or code is False or (isinstance(code, int) and code == 0):
            return RunStatus.FINISHED, None if code is None else 0
        return RunStatus.FAILED, code & 0xFF if isinstance(code, int) else 1
    if any(kind.__name__ in _CANCELS for kind in type(error).__mro__):
        return RunStatus.CANCELLED, None
    return RunStatus.FAILED, None


def of_subtask(sub: "Subtask", error: BaseException | None) -> tuple[SubtaskStatus, str | None]:
    """The (subtask status, error text) for a block that was left by *error*; remembers where it came from."""
    status, _ = status_of(error)
    if status is RunStatus.FINISHED:
        return SubtaskStatus.COMPLETED, None
    if sub._run._failed is None or sub._run._failed[0] != id(error):
        sub._run._failed = (id(error), sub.number, sub.name)
    if status is RunStatus.CANCELLED:
        return SubtaskStatus.CANCELLED, None
    return SubtaskStatus.FAILED, None if error is None else headline(error)


def type_name(error: BaseException) -> str:
    """Name of an error's type as a traceback has it."""
    kind = type(error)
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"


def message_of(error: BaseException) -> str:
    """What an error says, in words that stand alone."""
    if isinstance(error, SystemExit):
        return f"exit status {error.code}" if isinstance(error.code, int) else values.text(error.code)
    return values.text(error)


def headline(error: BaseException) -> str:
    """Type and message in one text."""
    message = message_of(error)
    return f"{type_name(error)}: {message}" if message else type_name(error)


def detail_of(error: BaseException) -> str:
    """The traceback, without local variables, its middle cut where it is long."""
    import traceback

    try:
        if len(str(error)) > _HUGE:  # a message of 100 MB is not copied for its traceback
            return "".join(traceback.format_tb(error.__traceback__, limit=-200)) + headline(error)[:_DETAIL]
        text = "".join(traceback.format_exception(error, limit=-200))
    except Exception as problem:  # somebody else's __str__ or source file
        return f"no traceback: {type(problem).__name__}"
    if len(text) <= _DETAIL:
        return text
    return f"{text[: _DETAIL // 3]}\n… [{len(text):,} characters] …\n{text[-_DETAIL // 3 * 2 :]}"


def error_record(run: "Run", error: BaseException) -> "dict[str, Any]":
    """The ``error`` field of a ``run.end``."""
    number, name = None, None
    if run._failed is not None and run._failed[0] == id(error):
        number, name = run._failed[1:]
    elif run._subs:
        newest = max(tuple(run._subs.values()), key=lambda sub: sub.number)
        number, name = newest.number, newest.name
    detail = None if isinstance(error, SystemExit) else detail_of(error)
    return make_error(run, type_name(error), message_of(error), detail, number, name)


def make_error(
    run: "Run", kind: str, message: str, detail: str | None, number: int | None, name: str | None
) -> "dict[str, Any]":
    """The ``error`` field from its parts, redacted, with the fingerprint of its kind."""
    from statustui.model.fingerprint import fingerprint

    session = run._session
    assert session is not None
    message = session.text(message)
    if kind == "SystemExit" and message.startswith("exit status "):
        # A bare number is no kind of failure that tasks could share.
        name = f"{run.task} {name or ''}"
    return {
        "type": values.name(kind),
        "message": message,
        "detail": session.text(detail) if detail else None,
        "fingerprint": fingerprint(kind, message, name),
        "subtask": number,
    }


# --- programs without a with-block -------------------------------------------------------------------------------

_watching = False
_uncaught: BaseException | None = None
_exit_called: tuple[object, int] | None = None
facts = 0
"""Recording calls of runs that nobody closes; tells whether an exit was caught and the program went on."""


def watch() -> None:
    """Learn how this program ends, for a run that no block closes: uncaught exceptions and ``sys.exit``."""
    global _watching
    if _watching:
        return
    _watching = True
    _chain_excepthook()
    _chain_exit()


def _chain_excepthook() -> None:
    previous = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: "TracebackType | None") -> None:
        global _uncaught
        _uncaught = error
        try:
            close_open(error)
        except Exception as problem:
            border.swallow(problem, "excepthook")
        previous(kind, error, trace)

    sys.excepthook = excepthook


def _chain_exit() -> None:
    previous: Callable[..., NoReturn] = sys.exit

    def exit(status: object = None, /) -> "NoReturn":
        global _exit_called
        _exit_called = (status, facts)
        previous(status)

    exit.__doc__ = previous.__doc__
    sys.exit = exit
    _chain_quitter()


def _chain_quitter() -> None:
    """``exit(n)`` and ``quit(n)`` raise SystemExit themselves, without ``sys.exit``."""
    import builtins

    kind = type(getattr(builtins, "exit", None))
    if kind.__module__ != "_sitebuiltins":
        return  # python -S, a notebook
    previous: Callable[[object, object], NoReturn] = kind.__call__

    def call(self: object, code: object = None) -> "NoReturn":
        global _exit_called
        _exit_called = (code, facts)
        previous(self, code)

    kind.__call__ = call  # type: ignore[method-assign]


def close_open(error: BaseException | None, exit_code: int | None = None, *, provisional: bool = False) -> None:
    """End the runs of this process that no block closes; *provisional* where only its exit status will tell."""
    for one in state.every():
        for run in reversed(tuple(one.runs.values())):
            run._close(error, exit_code, provisional=provisional)


def process_ends() -> None:
    """At exit: the last chance to say how the runs ended that no block closed."""
    if _exit_called is not None and _exit_called[1] == facts:
        close_open(SystemExit(_exit_called[0]))
    elif _uncaught is None and not hasattr(sys, "ps1"):
        # another excepthook may have replaced ours; the interpreter keeps the error all the same
        error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
        # Nobody is told of a `raise SystemExit(3)`: the kernel is.
        close_open(error, provisional=error is None)
    else:
        close_open(None)
