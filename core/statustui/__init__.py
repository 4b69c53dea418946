"""statustui: htop for data pipelines.

The public face. Names are resolved when they are first used, so that importing it costs a program next to nothing.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from statustui import script
    from statustui.model.pipeline import Step
    from statustui.pipelines.pipeline import Pipeline
    from statustui.pipelines.snapshot import snapshot
    from statustui.record.api import current, flush, run
    from statustui.record.handoff import Context
    from statustui.record.run import Run
    from statustui.record.subtask import Subtask

__all__ = [
    "Context",
    "Pipeline",
    "Run",
    "Step",
    "Subtask",
    "__version__",
    "current",
    "flush",
    "run",
    "script",
    "snapshot",
]

_PLACES = {
    "run": "statustui.record.api",
    "current": "statustui.record.api",
    "flush": "statustui.record.api",
    "Run": "statustui.record.run",
    "Subtask": "statustui.record.subtask",
    "Context": "statustui.record.handoff",
    "Pipeline": "statustui.pipelines.pipeline",
    "Step": "statustui.model.pipeline",
    "snapshot": "statustui.pipelines.snapshot",
}


def __getattr__(name: str) -> object:
    import sys

    place = _PLACES.get(name, "statustui.script" if name == "script" else None)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    __import__(place)
    found: object = sys.modules[place] if name == "script" else getattr(sys.modules[place], name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
