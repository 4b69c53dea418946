"""What ``resume`` calls for each item, and whether that can be called at all."""

import inspect
from collections.abc import Callable

from statustui.errors import StatustuiError
from statustui.pipelines.work import Work

Handler = Callable[[Work], object]


class BadHandler(StatustuiError):
    """A handler is no function that takes one item."""


def check_handler(step: str, handler: object) -> None:
    """Refuse what would fail for each item, or do nothing for any.

    Args:
        step: key of its step, for the message.
        handler: what was given; whatever shows no signature (a function written in C) is believed.

    Raises:
        BadHandler: it can not be called with one item, or is a generator, whose body would never run.
    """
    wanted = f"def {_plain(step)}(work): ..."
    if not callable(handler):
        raise BadHandler(f"step {step!r}: {handler!r:.100} is no function; it must be one such as {wanted}")
    for one in (handler, type(handler).__call__):
        if inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one):
            raise BadHandler(
                f"step {step!r}: {_name(handler)} has a yield, so that calling it does nothing: write {wanted}"
            )
    try:
        signature = inspect.signature(handler)
    except (ValueError, TypeError):
        return
    try:
        signature.bind(None)
    except TypeError as error:
        told = f"{_name(handler)}{signature}"
        raise BadHandler(f"step {step!r}: {told:.200} is called with one item ({error}): write {wanted}") from None


def _name(handler: object) -> str:
    inner = getattr(handler, "func", handler)
    return str(getattr(inner, "__name__", None) or type(handler).__name__)


def _plain(step: str) -> str:
    return step if step.isidentifier() else "handler"
