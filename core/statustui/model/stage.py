"""The stage of a task, derived from its name by prefixes (seed 001, ``_detect_task_stage``)."""

from collections.abc import Mapping

DEFAULT_PREFIXES: Mapping[str, str] = {
    "STATIC_": "STATIC",
    "DAILY_": "DAILY",
    "ANNUAL_DEC_": "ANNUAL_DEC",
    "ANNUAL_SEPT_": "ANNUAL_SEPT",
    "ANNUAL_JUNE_": "ANNUAL_JUNE",
    "PERIODIC_": "PERIODIC",
    "PREREQ_": "PREREQ",
}


def stage_of(task: str, prefixes: Mapping[str, str] = DEFAULT_PREFIXES) -> str | None:
    """The stage that *task* belongs to by the longest matching prefix, or None."""
    best = max((p for p in prefixes if p and task.startswith(p)), key=len, default=None)
    return prefixes[best] if best is not None else None
