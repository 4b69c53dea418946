"""``@statustui.run(...)``: every call of a function as a run, whatever kind of function it is."""

import functools

from statustui.record.run import Run, current_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # inspect.CO_*


def decorated(given: "Mapping[str, Any]", function: "F") -> "F":
    """*function* with each call recorded; named for the function where *given* has no name."""
    if given.get("task") is None:
        given = {**given, "task": getattr(function, "__name__", None)}
    flags = _flags(function)
    call: Any = function
    wrapper: Any
    if flags & _ASYNC_GENERATOR:

        async def wrapper(*args: "Any", **kwargs: "Any") -> "Any":
            with Run(given):
                async for item in call(*args, **kwargs):
                    yield item

    elif flags & _COROUTINE:

        async def wrapper(*args: "Any", **kwargs: "Any") -> "Any":
            with Run(given):
                return await call(*args, **kwargs)

    elif flags & _GENERATOR:

        def wrapper(*args: "Any", **kwargs: "Any") -> "Any":
            return _driven(Run(given), call(*args, **kwargs))

    else:

        def wrapper(*args: "Any", **kwargs: "Any") -> "Any":
            with Run(given):
                return call(*args, **kwargs)

    result: Any = functools.wraps(function)(wrapper)
    return result  # type: ignore[no-any-return]


def _flags(function: object) -> int:
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    return getattr(code, "co_flags", 0)


def _driven(run: Run, generator: "Generator[Any, Any, Any]") -> "Generator[Any, Any, Any]":
    """Run a generator inside *run*, which is the current one only while the generator itself works."""
    before = current_run.get()
    sent: Any = None
    thrown: BaseException | None = None
    with run:
        run._shared = None
        inside, _ = current_run.get(), current_run.set(before)
        while True:
            outer = current_run.get()
            current_run.set(inside)
            try:
                item = generator.send(sent) if thrown is None else generator.throw(thrown)
            except StopIteration as end:
                return end.value
            finally:
                current_run.set(outer)
            sent, thrown = None, None
            try:
                sent = yield item
            except GeneratorExit:
                generator.close()
                raise
            except BaseException as error:  # passed on to the generator, which may handle it
                thrown = error
