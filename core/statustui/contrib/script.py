"""What ``python -m statustui run script.py`` starts: the script as ``__main__``, with hooks for the tools it imports.

``python -m statustui.contrib.script FILE [ARGUMENT]…`` or ``… -m MODULE [ARGUMENT]…`` is a direct child of the wrapper.
The program gets the arguments, ``sys.path``, ``__main__``, tracebacks and exit status that plain Python would give it.
When tqdm or rich is imported, its bars are recorded; the first one, or an uncaught exception, joins the run.
"""

import os
import sys

from statustui.contrib import everywhere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType, TracebackType
    from typing import Any

_WATCHED = {"tqdm.std": "tqdm", "rich.progress": "rich"}


class _Finder:
    """Imports our hook after the tool that it is for."""

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        tool = _WATCHED.get(name)
        if tool is None:
            return None
        for finder in tuple(sys.meta_path):
            find: Any = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if finder is self or find is None else find(name, path, target)
            if spec is not None:
                _after(spec, name, tool)
                return spec
        return None


def _after(spec: "ModuleSpec", name: str, tool: str) -> None:
    loader: Any = spec.loader
    execute = getattr(loader, "exec_module", None)
    if execute is None:
        return

    def exec_module(module: "ModuleType") -> None:
        execute(module)
        if module.__name__ == name:  # a loader may serve several modules
            _hook(tool)

    try:
        loader.exec_module = exec_module
    except (AttributeError, TypeError):
        return  # a loader without room for it: its bars are not seen


def _hook(tool: str) -> None:
    try:
        __import__(f"statustui.contrib.{tool}")
    except Exception as error:
        from statustui.record import border

        border.swallow(error, f"hook for {tool}")


def _script(path: str) -> "tuple[ModuleType, CodeType]":
    """``__main__`` and its code for a file, as ``python FILE`` makes them."""
    from importlib.machinery import SourceFileLoader
    from io import open_code

    main = type(sys)("__main__")
    main.__file__ = os.path.abspath(path)
    main.__loader__ = SourceFileLoader("__main__", main.__file__)
    main.__dict__.update(__cached__=None, __builtins__=__builtins__, __package__=None, __annotations__={})
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    sys.modules["__main__"] = main
    with open_code(main.__file__) as file:
        return main, compile(file.read(), main.__file__, "exec", dont_inherit=True)


def _module(name: str) -> "tuple[ModuleType, CodeType]":
    """``__main__`` and its code for a module, as ``python -m`` makes them."""
    from importlib.util import find_spec

    try:
        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            name, package = f"{name}.__main__", name
            spec = find_spec(name)
            if spec is None:
                missing = f"{name}; {package!r} is a package and cannot be directly executed"
                sys.exit(f"{sys.executable}: No module named {missing}")
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the package itself misses one
        spec = None
    code: CodeType | None = None if spec is None else spec.loader.get_code(spec.name)  # type: ignore[union-attr]
    if spec is None or code is None:
        sys.exit(f"{sys.executable}: No module named {name}")
    main = type(sys)("__main__")
    main.__file__, main.__spec__, main.__loader__, main.__package__ = spec.origin, spec, spec.loader, spec.parent
    main.__dict__.update(__cached__=spec.cached, __builtins__=__builtins__)
    sys.argv[0] = spec.origin or name
    sys.modules["__main__"] = main
    return main, code


def main() -> None:
    """Run the program that the arguments name."""
    del sys.argv[0]
    everywhere.update(_WATCHED.values())
    sys.meta_path.insert(0, _Finder())
    for name, tool in _WATCHED.items():
        if name in sys.modules:
            _hook(tool)
    try:
        if sys.argv[0] == "-m":
            name = sys.argv.pop(1)
            module, code = _module(name)
        else:
            module, code = _script(sys.argv[0])
        exec(code, module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        _failed(error)
        raise
    _forget_file()


def _forget_file() -> None:
    """As plain Python does when a script has come to its end."""
    names = sys.modules["__main__"].__dict__
    if names.get("__spec__") is None:
        names.pop("__file__", None)
        names.pop("__cached__", None)


def _failed(error: BaseException) -> None:
    """Record an exception that nobody caught, and leave our own frames out of what is printed of it."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace):
        trace = trace.tb_next
    error.__traceback__ = trace
    try:
        from statustui.record import join

        if join.offered():
            from statustui.record.run import Run

            Run({}).start()
    except Exception as problem:
        from statustui.record import border

        border.swallow(problem, "join")
    previous = sys.excepthook

    def excepthook(kind: type[BaseException], value: BaseException, _: "TracebackType | None") -> None:
        sys.excepthook, sys.last_traceback = previous, trace
        previous(kind, value.with_traceback(trace), trace)
        _forget_file()

    sys.excepthook = excepthook  # the interpreter adds our frames again on the way to it


def _is_ours(trace: "TracebackType") -> bool:
    names = trace.tb_frame.f_globals
    return names is globals() or str(names.get("__name__")).startswith("importlib.")


if __name__ == "__main__":
    main()
