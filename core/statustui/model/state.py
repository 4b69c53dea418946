"""What record application knows of a run while it is at work: mutable, pure, and equal to what the store keeps.

Times are epoch seconds (``_at``), clocks ``_m`` are the host's monotonic seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from statustui.model.progress import expected_weight, overall_fraction, subtask_fraction
from statustui.model.status import RunStatus, SubtaskStatus

UNKNOWN_TASK = "(unknown)"
"""Name of a run's task until its start has been read (its journals are read one after another)."""
PROFILE_POINTS = 64
SAMPLE_POINTS = 120


@dataclass(slots=True, kw_only=True)
class SubState:
    """One subtask."""

    number: int
    name: str = ""
    heading: bool = False
    parent: int | None = None
    status: SubtaskStatus = SubtaskStatus.NOT_STARTED
    weight: float = 1.0
    items_total: int | None = None
    items_complete: int | None = None
    """Sum over the writers."""
    unit: str | None = None
    percent: float | None = None
    message: str | None = None
    inner: dict[str, Any] = field(default_factory=dict)
    started_at: float | None = None
    ended_at: float | None = None
    start_m: float | None = None
    duration_s: float | None = None
    error: str | None = None
    closed_by_run: bool = False
    """Closed by the end of its run, not by a word of its own: its own end still counts."""
    dirty: bool = True

    @property
    def fraction(self) -> float | None:
        """How much of it is done, 0..1."""
        return subtask_fraction(self.status, self.items_complete, self.items_total, self.percent)


@dataclass(slots=True, kw_only=True)
class NewEvent:
    """A line of the audit trail that is not stored yet."""

    at: float
    kind: str
    status: str | None = None
    message: str | None = None
    detail: str | None = None
    actor: str | None = None


class Cancel(NamedTuple):
    """Somebody's wish that a run ends, taken by the drainer of its owner."""

    at: float
    """When it was taken; TERM came after this."""
    text: str
    """For people: who asked, and why."""


@dataclass(slots=True, kw_only=True)
class WriterState:
    """What has been applied of one journal."""

    journal: str
    role: str = "program"
    offset: int = 0
    machine: str | None = None
    host: str | None = None
    user: str | None = None
    uid: int | None = None
    pid: int | None = None
    start_tick: int | None = None
    boot_id: str | None = None
    pid_ns: int | None = None
    lang: str | None = None
    version: str | None = None
    counts: dict[str, dict[int, int]] = field(default_factory=dict)
    """What this writer counted: run_id -> subtask -> items."""
    counters: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Index in the counts file -> (run_id, subtask)."""
    joined: set[str] = field(default_factory=set)
    """Runs that it joined as a guest: its ``run.end`` does not end them."""
    slot_m: float | None = None
    closed: bool = False
    facts_dropped: int = 0
    progress_dropped: int = 0
    skipped: int = 0
    dirty: bool = True

    def take(self, record: dict[str, Any]) -> None:
        """Learn who writes from the first line of the journal."""
        for attribute, name in _WRITER_TEXT:
            value = record.get(name)
            if isinstance(value, str):
                setattr(self, attribute, value)
        for attribute, name in _WRITER_NUMBERS:
            value = record.get(name)
            if isinstance(value, int):
                setattr(self, attribute, value)
        self.dirty = True


_WRITER_TEXT = (
    ("role", "role"), ("machine", "machine"), ("host", "host"), ("user", "user"), ("boot_id", "boot"),
    ("lang", "lang"), ("version", "version"),
)  # fmt: skip
_WRITER_NUMBERS = (("uid", "uid"), ("pid", "pid"), ("start_tick", "start"), ("pid_ns", "ns"))


@dataclass(slots=True, kw_only=True)
class RunState:
    """One run with its subtasks. The names are those of the columns in the store."""

    run_id: str
    id: int | None = None
    rev: int = 0
    task: str = UNKNOWN_TASK
    task_rank: int = 0
    """Whose name the task has: 0 nobody's, 1 a joining program's file, 2 a wrapper's command, 3 what a joining program
    calls itself, 4 the owner's word."""
    stage: str | None = None
    type: str | None = None
    args: list[str] = field(default_factory=list)
    label: str | None = None
    status: RunStatus = RunStatus.STARTED
    attempt: int = 1
    retry_of: str | None = None
    parent_run_id: str | None = None
    machine: str | None = None
    host: str | None = None
    user: str | None = None
    pid: int | None = None
    start_tick: int | None = None
    boot_id: str | None = None
    pid_ns: int | None = None
    pgid: int | None = None
    script_path: str | None = None
    cwd: str | None = None
    log_path: str | None = None
    log_inode: int | None = None
    log_start: int | None = None
    log_end: int | None = None
    started_at: float = 0.0
    ended_at: float | None = None
    last_update: float = 0.0
    last_progress_at: float | None = None
    duration_s: float | None = None
    start_m: float | None = None
    progress_m: float | None = None
    longest_gap_s: float | None = None
    total_subtasks: int | None = None
    planned: bool = False
    """True when subtasks were announced before they began: what is known is then the whole."""
    subtasks_done: int = 0
    current_subtask: int | None = None
    work_done: float = 0.0
    """Σ weight × fraction of the leaf subtasks."""
    work_total: float | None = None
    """Σ weights of all leaf subtasks, expected ones too (at the mean of the known); None when that is not known."""
    overall_percent: float | None = None
    overall_message: str | None = None
    cpu_percent: float | None = None
    rss_bytes: int | None = None
    peak_rss_bytes: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    connections: int | None = None
    processes: int | None = None
    sampled_at: float | None = None
    error_type: str | None = None
    error_message: str | None = None
    error_subtask: int | None = None
    error_subtask_name: str | None = None
    fingerprint: str | None = None
    lost_reason: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    git_commit: str | None = None
    tags: list[str] = field(default_factory=list)
    grace_s: float | None = None
    max_attempts: int | None = None
    wrapped: bool = False
    owner_journal: str | None = None
    inner_status: RunStatus | None = None
    """The word of the program inside a wrapper; it counts when the wrapper never gives its own."""
    attention_at: float | None = None
    """When it ended badly, while nobody has acknowledged it and nothing has made it good."""
    resolved: bool = False
    # Kept in the table of details.
    environment: dict[str, str] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    error_detail: str | None = None
    log_tail: list[str] = field(default_factory=list)
    samples: list[tuple[float, float, int]] = field(default_factory=list)
    profile: list[tuple[float, float]] = field(default_factory=list)
    """(overall fraction, seconds since the start), both rising."""
    # Bookkeeping.
    subs: dict[int, SubState] = field(default_factory=dict)
    open_subs: set[int] = field(default_factory=set)
    """Leaf subtasks that run, or that the end of the run closed."""
    named: dict[str, int] | None = field(default=None, compare=False)
    """Last number of each subtask that is told by name (``model.named``); None until somebody asks."""
    named_count: int = field(default=0, compare=False)
    leaves: int = 0
    leaf_weight: float = 0.0
    events: list[NewEvent] = field(default_factory=list)
    dirty: int = 2
    """0 as stored; 1 progress changed; 2 anything may have changed."""
    details_dirty: bool = False
    counted: tuple[int, str] | None = None
    """(hour, status) under which the stored counters hold it as ended."""
    counted_s: float | None = field(default=None, compare=False)
    """Duration that was counted with an end which has been taken back since."""
    cancel: Cancel | None = None
    """Known only while an end is applied: a bad end after it is a cancelled one."""

    def put(self, subs: Iterable[SubState]) -> None:
        """Take over subtasks as they are stored."""
        for sub in subs:
            self.subs[sub.number] = sub
            self.count(sub, 1)
        self.subtasks_done = sum(not s.heading and s.status.done for s in self.subs.values())

    def count(self, sub: SubState, sign: int) -> None:
        """Add *sub* to the sums of the run (or, with -1, take it out before it changes)."""
        if sub.heading:
            self.open_subs.discard(sub.number)
            return
        self.leaves += sign
        self.leaf_weight += sign * sub.weight
        if sub.status.done:
            self.subtasks_done += sign
        if sign > 0 and (sub.status is SubtaskStatus.RUNNING or sub.closed_by_run):
            self.open_subs.add(sub.number)
        else:
            self.open_subs.discard(sub.number)
        fraction = sub.fraction
        if fraction:
            self.work_done += sign * sub.weight * fraction

    def settle(self) -> None:
        """Bring the figures that follow from the subtasks up to date."""
        self.work_done = max(0.0, round(self.work_done, 9)) if self.leaves else 0.0
        expected = self.total_subtasks or 0
        if self.total_subtasks is None and not self.planned:
            self.work_total = None
        else:
            weight = round(self.leaf_weight, 9)  # summed up in any order
            self.work_total = expected_weight(weight, self.leaves, max(0, expected - self.leaves))
        if self.error_subtask in self.subs:
            self.error_subtask_name = self.subs[self.error_subtask].name
        self.current_subtask = max(self.open_subs, key=lambda n: (self.subs[n].start_m or 0.0, n), default=None)

    @property
    def fraction(self) -> float | None:
        """Overall fraction done, 0..1, a percent by hand first."""
        if self.overall_percent is not None:
            return self.overall_percent / 100.0
        return overall_fraction(self.work_done, self.work_total)

    def note_profile(self, m: float | None) -> None:
        """Remember how far the run was at monotonic time *m*; at most 64 points."""
        fraction = self.fraction
        if fraction is None or m is None or self.start_m is None:
            return
        elapsed = max(0.0, m - self.start_m)
        last = self.profile[-1] if self.profile else (0.0, 0.0)
        if fraction >= last[0] + 1.0 / PROFILE_POINTS and elapsed >= last[1] and len(self.profile) < PROFILE_POINTS:
            self.profile.append((round(fraction, 5), round(elapsed, 3)))
            self.details_dirty = True
