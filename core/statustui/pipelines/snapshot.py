"""The progress of a run as one validated document: phases, files, pages, and where it failed.

A session is a run, a phase is one of its weighted subtasks; file k of n and page i of m stand in the subtask's inner
counters (:meth:`statustui.Subtask.inner`). The rules are checked when the document is made, so that whoever holds one
can rely on them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from statustui.model.progress import overall_percent, shown_percent, subtask_fraction
from statustui.model.run import RunDetail, Subtask
from statustui.model.status import RunStatus, SubtaskStatus

if TYPE_CHECKING:
    from statustui.record.run import Run

_STATUSES: dict[SubtaskStatus, Literal["pending", "in_progress", "completed", "failed"]] = {
    SubtaskStatus.NOT_STARTED: "pending",
    SubtaskStatus.RUNNING: "in_progress",
    SubtaskStatus.COMPLETED: "completed",
    SubtaskStatus.SKIPPED: "completed",
    SubtaskStatus.FAILED: "failed",
    SubtaskStatus.CANCELLED: "failed",
    SubtaskStatus.LOST: "failed",
}
_OWN = {"file", "files", "page", "pages", "name", "file_id", "regex_matches_found", "file_started_at"}


class FileProgress(BaseModel):
    """The file in hand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    file_id: str | None = None
    total_pages: int = Field(gt=0)
    current_page: int = Field(ge=0)
    """Pages that are done: 0 before the first, so that a file just opened adds nothing."""
    regex_matches_found: int = Field(default=0, ge=0)
    started_at: datetime | None = None
    completed_at: datetime | None = None

    @property
    def percentage(self) -> float:
        """Share of its pages that is done, 0 to 100."""
        return self.current_page / self.total_pages * 100

    @model_validator(mode="after")
    def _page_exists(self) -> Self:
        if self.current_page > self.total_pages:
            raise ValueError(f"{self.name}: page {self.current_page} of {self.total_pages}")
        return self


class ErrorContext(BaseModel):
    """What went wrong, and where."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    message: str
    context: dict[str, Any]
    """``phase``, and where they are known ``file`` and ``page``."""
    timestamp: datetime
    traceback: str | None = None


class PhaseProgress(BaseModel):
    """One phase."""

    model_config = ConfigDict(frozen=True, extra="allow")

    status: Literal["pending", "in_progress", "completed", "failed"]
    percentage: int = Field(ge=0, le=100)
    weight: float = Field(default=1.0, gt=0)
    started_at: datetime | None = None
    completed_at: datetime | None = None
    total_files: int | None = Field(default=None, ge=0)
    current_file_index: int | None = Field(default=None, ge=0)
    """From 0, as the files stand in a list; a person reads one more."""
    current_file: FileProgress | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.status == "completed" and self.percentage != 100:
            raise ValueError(f"a completed phase is at {self.percentage} %, not 100")
        if self.status == "in_progress" and self.started_at is None:
            raise ValueError("a phase in progress has no start")
        if self.started_at and self.completed_at and self.completed_at < self.started_at:
            raise ValueError("a phase ended before it began")
        return self


class ProcessingProgress(BaseModel):
    """The progress of one session (a run)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overall_percentage: int = Field(ge=0, le=100)
    current_phase: str
    """A key of ``phases``, or ``completed`` or ``failed`` at the end."""
    phases: dict[str, PhaseProgress] = Field(min_length=1)
    last_update: datetime
    status_message: str
    error: ErrorContext | None = None

    @model_validator(mode="after")
    def _phase_is_known(self) -> Self:
        if self.current_phase not in self.phases and self.current_phase not in ("completed", "failed"):
            raise ValueError(f"current phase {self.current_phase!r} is none of {', '.join(self.phases)}")
        return self


def snapshot(run: "Run | str", *, store: str | None = None) -> ProcessingProgress:
    """The progress of a run as one document, as the store has it; of an own run up to this moment.

    Args:
        run: the run, or its run_id.
        store: URL of the store; None = the configured one.

    Raises:
        KeyError: the store has no such run.
        StoreUnavailable: the store can not be asked.
        ValueError: the run has no subtasks yet, or what was reported breaks a rule; the message says which.
    """
    from statustui.pipelines.desk import Desk
    from statustui.record import state
    from statustui.store import reads

    desk = Desk(lambda: state.session(store))
    try:
        with desk.open() as opened:
            return from_detail(reads.detail(opened, run if isinstance(run, str) else run.run_id))
    finally:
        desk.close()


def from_detail(detail: RunDetail) -> ProcessingProgress:
    """The same from what was read of a run.

    Raises:
        ValueError: the run has no subtasks yet, or what was reported breaks a rule; the message says which.
    """
    run, parts = detail.run, [sub for sub in detail.subtasks if not sub.heading]
    if not parts:
        raise ValueError(f"run {run.run_id} has no subtasks: there are no phases to show")
    current = _current(run.status, parts)
    ended_well = run.status is RunStatus.FINISHED
    percent = run.percent
    if percent is None:
        percent = overall_percent((sub.weight, _fraction(sub)) for sub in parts)
    return ProcessingProgress(
        overall_percentage=100 if ended_well else shown_percent(percent) or 0,
        current_phase="completed" if ended_well else current.name,
        phases={sub.name: _phase(sub) for sub in parts},
        last_update=run.last_update,
        status_message=_message(run.overall_message, current, ended_well),
        error=_error(detail, current),
    )


def _current(status: RunStatus, parts: list[Subtask]) -> Subtask:
    """The phase at work, else the one that ended badly, else the first that waits, else the last."""
    for wanted in (
        (SubtaskStatus.RUNNING,),
        (SubtaskStatus.FAILED, SubtaskStatus.CANCELLED, SubtaskStatus.LOST),
        (SubtaskStatus.NOT_STARTED,),
    ):
        for sub in parts:
            if sub.status in wanted and (status.open or wanted != (SubtaskStatus.NOT_STARTED,)):
                return sub
    return parts[-1]


def _fraction(sub: Subtask) -> float | None:
    return subtask_fraction(sub.status, sub.items_complete, sub.items_total, sub.percent)


def _phase(sub: Subtask) -> PhaseProgress:
    inner = sub.inner
    done = sub.status.done
    more: dict[str, Any] = {key: value for key, value in inner.items() if key not in _OWN}
    if sub.items_total is not None and "files" not in inner:
        more["items_total"], more["items_complete"] = sub.items_total, sub.items_complete
    fraction = _fraction(sub)
    return PhaseProgress(
        status=_STATUSES[sub.status],
        percentage=100 if done else shown_percent(None if fraction is None else 100.0 * fraction) or 0,
        weight=sub.weight,
        started_at=sub.started_at,
        completed_at=sub.ended_at if done else None,
        total_files=inner.get("files"),
        current_file_index=max(0, int(inner["file"]) - 1) if inner.get("file") else None,
        current_file=_file(inner, sub),
        **more,
    )


def _file(inner: Mapping[str, Any], sub: Subtask) -> FileProgress | None:
    if not inner.get("pages"):
        return None
    return FileProgress(
        name=str(inner.get("name") or f"file {inner.get('file', 1)}"),
        file_id=inner.get("file_id"),
        total_pages=inner["pages"],
        current_page=inner.get("page") or 0,
        regex_matches_found=inner.get("regex_matches_found") or 0,
        started_at=inner.get("file_started_at") or sub.started_at,
        completed_at=sub.ended_at if sub.status.done else None,
    )


def _message(said: str | None, current: Subtask, ended_well: bool) -> str:
    """What a person reads: "processing file 2 of 3: page 5/12"."""
    if said:
        return said
    if ended_well:
        return "completed"
    words = current.name
    inner = current.inner
    if inner.get("files"):
        words += f" file {inner.get('file', 0)} of {inner['files']}"
    if inner.get("pages"):
        words += f": page {inner.get('page', 0)}/{inner['pages']}"
    return f"{words}: {current.message}" if current.message else words


def _error(detail: RunDetail, current: Subtask) -> ErrorContext | None:
    run = detail.run
    if run.status in (RunStatus.FINISHED, RunStatus.STARTED, RunStatus.RUNNING):
        return None
    phase = next((sub for sub in detail.subtasks if sub.number == run.error_subtask), current)
    where: dict[str, Any] = {"phase": phase.name}
    if phase.inner.get("name"):
        where["file"] = phase.inner["name"]
    if phase.inner.get("page") is not None:
        where["page"] = phase.inner["page"]
    return ErrorContext(
        type=run.error_type or run.status.value,
        message=run.error_message or run.lost_reason or run.status.value,
        context=where,
        timestamp=run.ended_at or run.last_update,
        traceback=detail.error_detail,
    )
