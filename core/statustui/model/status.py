"""The status words. One Enum for each kind of thing, used by writers and readers alike."""

from enum import Enum, StrEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class _Status(StrEnum):
    """Lower-case status words that also accept other letter cases and the synonyms of older code."""

    @classmethod
    def _missing_(cls, value: object) -> "Self | None":
        if not isinstance(value, str):
            return None
        word = value.strip().lower()
        word = _SYNONYMS.get(word, word)
        for member in cls:
            if member.value == word:
                return member
        other = _CROSS.get(word)
        if other is not None:
            for member in cls:
                if member.value in other:
                    return member
        return None


class RunStatus(_Status):
    """Where a run stands."""

    STARTED = "started"
    """The program has said that it began; it has not yet done anything it told of."""
    RUNNING = "running"
    """The program has reported work."""
    FINISHED = "finished"
    """It ended well."""
    FAILED = "failed"
    """It ended with an error or an exit status other than 0."""
    CANCELLED = "cancelled"
    """A person or a signal stopped it."""
    LOST = "lost"
    """The process ended without saying how, and that is proven."""

    @property
    def open(self) -> bool:
        """True while the run has not ended."""
        return self is RunStatus.STARTED or self is RunStatus.RUNNING

    @property
    def bad(self) -> bool:
        """True for an end that somebody should look at (failed or lost)."""
        return self is RunStatus.FAILED or self is RunStatus.LOST


class SubtaskStatus(_Status):
    """Where a subtask stands."""

    NOT_STARTED = "not_started"
    """Announced, not begun."""
    RUNNING = "running"
    """Being worked on."""
    COMPLETED = "completed"
    """Done."""
    FAILED = "failed"
    """Ended by an error, or open when its run failed."""
    SKIPPED = "skipped"
    """Left out on purpose; counts as done."""
    CANCELLED = "cancelled"
    """Open when its run was cancelled."""
    LOST = "lost"
    """Open when its run was lost."""

    @property
    def done(self) -> bool:
        """True when it counts as done in a progress figure."""
        return self is SubtaskStatus.COMPLETED or self is SubtaskStatus.SKIPPED

    @property
    def open(self) -> bool:
        """True while it has not ended."""
        return self is SubtaskStatus.NOT_STARTED or self is SubtaskStatus.RUNNING


class ItemStatus(_Status):
    """Where an item, or one step of an item, stands."""

    PENDING = "pending"
    """Waiting."""
    PROCESSING = "processing"
    """Being worked on now."""
    COMPLETED = "completed"
    """Done."""
    FAILED = "failed"
    """Ended by an error."""
    SKIPPED = "skipped"
    """Left out on purpose; counts as done."""

    @property
    def done(self) -> bool:
        """True when it counts as done in a progress figure."""
        return self is ItemStatus.COMPLETED or self is ItemStatus.SKIPPED


class RequestKind(StrEnum):
    """What a person can ask for."""

    CANCEL = "cancel"
    """End a run: TERM, a grace time, then KILL."""
    KILL = "kill"
    """End a run at once."""
    RETRY = "retry"
    """Start a new attempt from the owner's launch file."""


class RequestState(StrEnum):
    """How far a request has come."""

    ASKED = "asked"
    """Written; nobody has picked it up."""
    TAKEN = "taken"
    """The owner's drainer is carrying it out."""
    DONE = "done"
    """Carried out."""
    REFUSED = "refused"
    """Not carried out; the answer says why."""


class Mark(Enum):
    """Remarks about a living run, derived when it is read; never stored."""

    STALLED = "stalled"
    """Alive, but without a fact, a count or output for too long."""
    SLOW = "slow"
    """Longer than nine in ten of its past runs."""
    SILENT = "silent"
    """Its host's drainer has not been heard of: what is shown is old."""
    LATE = "late"
    """Should have run and has not."""


OPEN_RUN_STATUSES = (RunStatus.STARTED, RunStatus.RUNNING)
BAD_RUN_STATUSES = (RunStatus.FAILED, RunStatus.LOST)

# Words of existing code (DESIGN section 2).
_SYNONYMS = {
    "in_progress": "processing",
    "in progress": "processing",
    "success": "completed",
    "failure": "failed",
    "queued": "pending",
    "canceled": "cancelled",
    "not started": "not_started",
}
# The same idea has another word in another kind of thing.
_CROSS = {
    "processing": ("running",),
    "running": ("processing",),
    "completed": ("finished",),
    "finished": ("completed",),
    "pending": ("not_started", "started"),
}
