"""What needs a person: bad ends that nobody has dealt with, those of one kind folded into one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from statustui.model.run import Run, Snapshot
from statustui.model.status import RunStatus

_RANK = {RunStatus.FAILED: 0, RunStatus.LOST: 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Bad ends of one kind: one row, which can be acted on at once."""

    key: str
    """Stays the same while the group lives: what a cursor is bound to."""
    runs: tuple[Run, ...]
    """Newest end first."""
    tasks: tuple[str, ...]
    """Names of their tasks, in the order of the runs, each once."""

    @property
    def count(self) -> int:
        """How many runs are folded."""
        return len(self.runs)

    @property
    def newest(self) -> Run:
        """The run that ended last."""
        return self.runs[0]

    @property
    def status(self) -> RunStatus:
        """``failed`` where any of them failed, else ``lost``."""
        return min((run.status for run in self.runs), key=lambda status: _RANK.get(status, 2))

    @property
    def since(self) -> datetime:
        """When the first of them ended."""
        return ended(self.runs[-1])

    @property
    def title(self) -> str:
        """The task's name, or what the names have in common: ``DAILY_*``."""
        if len(self.tasks) == 1:
            return self.tasks[0]
        first, last = min(self.tasks), max(self.tasks)
        common = next((first[:i] for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), first)
        return f"{common}*" if common else f"{self.tasks[0]} …"

    @property
    def message(self) -> str:
        """Why, in the words of the newest: error type and message, or how it was lost."""
        return reason(self.newest)


def ended(run: Run) -> datetime:
    """When *run* ended, or was last heard of."""
    return run.ended_at or run.last_update


def error_words(run: Run) -> str:
    """Type and message of *run*'s error; a command that said nothing has its exit status for both."""
    return ": ".join(dict.fromkeys(part for part in (run.error_type, run.error_message) if part))


def reason(run: Run) -> str:
    """Why *run* ended badly, in one line; empty when nothing is known."""
    if run.status is RunStatus.LOST:
        return f"lost: {run.lost_reason}" if run.lost_reason else "lost"
    said = error_words(run)
    if said:
        return said
    if run.signal is not None:
        return f"signal {run.signal}"
    return f"exit status {run.exit_code}" if run.exit_code else ""


def kind_of(run: Run) -> str:
    """Equal for bad ends of one kind, so that they fold; its own for a run of which nothing is known."""
    if run.fingerprint:
        return f"fingerprint {run.fingerprint}"
    if run.status is RunStatus.LOST and run.lost_reason:
        # A reboot loses every run of the host in one go.
        return f"lost {run.machine or run.host} {run.lost_reason}"
    return f"run {run.run_id}"


def fold(runs: Sequence[Run]) -> tuple[Group, ...]:
    """Fold *runs* by kind; failed before lost, then the newest first."""
    kinds: dict[str, list[Run]] = {}
    for run in sorted(runs, key=ended, reverse=True):
        kinds.setdefault(kind_of(run), []).append(run)
    groups = [
        Group(key=key, runs=tuple(members), tasks=tuple(dict.fromkeys(run.task for run in members)))
        for key, members in kinds.items()
    ]
    return tuple(sorted(groups, key=lambda group: _RANK.get(group.status, 2)))


def needs_you(snapshot: Snapshot, now: datetime | None = None) -> tuple[Group, ...]:
    """What a person should look at: failed and lost runs not acknowledged, nor made good by a later one.

    Args:
        snapshot: What was read from the store.
        now: Leaves out what ends after it (a clock ahead of this one is not trusted); None: all.
    """
    wanted = [
        run
        for run in snapshot.ended
        if run.status.bad and run.acked_by is None and not run.resolved and (now is None or run.started_at <= now)
    ]
    return fold(wanted)
