"""What is known of runs, as frozen values. They are read models: the store makes them, readers use them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from statustui.model.status import RequestKind, RequestState, RunStatus, SubtaskStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One execution of a task."""

    run_id: str
    """Time-ordered UUID made by the program."""
    id: int
    """Short number given by the store; what people type."""
    task: str
    """Name of the task."""
    stage: str | None = None
    """Group of the task (``DAILY``)."""
    type: str | None = None
    """Language or kind: ``python``, ``R``, ``sh``, ``command``."""
    args: tuple[str, ...] = ()
    """Redacted argument vector."""
    label: str | None = None
    """What tells this run from others of its task, in a few words."""
    status: RunStatus = RunStatus.STARTED
    attempt: int = 1
    """1 for a first try; a retry counts on."""
    retry_of: str | None = None
    """run_id of the attempt before this one."""
    parent_run_id: str | None = None
    """run_id of the run that this one is nested in."""
    machine: str | None = None
    """Stable id of the machine and user (key of ``hosts``)."""
    host: str | None = None
    user: str | None = None
    pid: int | None = None
    start_tick: int | None = None
    """Field 22 of /proc/pid/stat: with pid and boot id it names a process exactly."""
    boot_id: str | None = None
    pid_ns: int | None = None
    """Inode of the pid namespace; a pid means something only inside it."""
    pgid: int | None = None
    """Process group that our wrapper made for the command; None when it made none."""
    script_path: str | None = None
    cwd: str | None = None
    log_path: str | None = None
    log_inode: int | None = None
    log_start: int | None = None
    """First byte of this run in the log, so that runs appending to one file are told apart."""
    log_end: int | None = None
    """Byte after the last one of this run; None while it is open."""
    started_at: datetime
    ended_at: datetime | None = None
    last_update: datetime
    """When anything was last heard from the run."""
    last_progress_at: datetime | None = None
    """When a fact, a count or output last moved."""
    duration_s: float | None = None
    """Seconds from start to end by the program's monotonic clock; None while open."""
    total_subtasks: int | None = None
    """Leaf subtasks expected; None when not said."""
    subtasks_done: int = 0
    """Leaf subtasks completed or skipped."""
    current_subtask: int | None = None
    """Number of the leaf subtask that started last and is open."""
    derived_percent: float | None = None
    """Overall percent from the subtasks, 0..100 (model.progress); None when unknown."""
    overall_percent: float | None = None
    """Percent set by the program by hand; None = derived."""
    overall_message: str | None = None
    subtask_name: str | None = None
    """Of the current subtask, like the fields below it."""
    subtask_status: SubtaskStatus | None = None
    subtask_percent: float | None = None
    """Percent of the current subtask set by hand; None = derived from its items."""
    subtask_message: str | None = None
    items_complete: int | None = None
    items_total: int | None = None
    unit: str | None = None
    cpu_percent: float | None = None
    """CPU of the process tree, 100 = one core."""
    rss_bytes: int | None = None
    """Resident memory of the process tree, in bytes."""
    peak_rss_bytes: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    connections: int | None = None
    """Open network connections of the process tree."""
    processes: int | None = None
    """Number of processes in the tree."""
    sampled_at: datetime | None = None
    error_type: str | None = None
    error_message: str | None = None
    error_subtask: int | None = None
    """Number of the subtask that was open when the run failed."""
    error_subtask_name: str | None = None
    fingerprint: str | None = None
    """Equal for failures of one kind; what *Needs you* folds by."""
    lost_reason: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    git_commit: str | None = None
    tags: tuple[str, ...] = ()
    acked_by: str | None = None
    acked_at: datetime | None = None
    grace_s: float | None = None
    """Seconds between TERM and KILL on a cancel; None = default."""
    wrapped: bool = False
    """True when ``statustui run`` made it."""
    retried: bool = False
    """True when a later attempt exists."""
    resolved: bool = False
    """True when a later attempt, or a later run of the task, finished."""
    max_attempts: int | None = None
    """Tries that the task is allowed, when it says so."""

    @property
    def percent(self) -> float | None:
        """Overall percent as it is shown: by hand where set, else derived."""
        return self.overall_percent if self.overall_percent is not None else self.derived_percent

    @property
    def percent_source(self) -> str | None:
        """``manual``, ``derived`` or None when there is no percent."""
        if self.overall_percent is not None:
            return "manual"
        return "derived" if self.derived_percent is not None else None


OUTPUT_NUMBERS = 3 << 29
"""Subtasks that ``statustui run`` reads out of a command's output are numbered from here on, where neither programs,
nor their workers (odd multiples of 1024), nor names (from 2^30 on) have theirs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subtask:
    """One numbered part of a run."""

    number: int
    """1-based, in the order in which it was announced or started."""
    name: str
    heading: bool = False
    """True when it only contains others; shown, not counted."""
    parent: int | None = None
    """Number of the heading it stands under."""
    status: SubtaskStatus = SubtaskStatus.NOT_STARTED
    weight: float = 1.0
    items_total: int | None = None
    items_complete: int | None = None
    unit: str | None = None
    percent: float | None = None
    """Percent set by hand; None = derived from the items."""
    message: str | None = None
    inner: Mapping[str, Any] = field(default_factory=dict)
    """Inner counters, such as ``{"file": 2, "files": 3, "page": 5, "pages": 12}``."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: float | None = None
    """Seconds by the program's monotonic clock; None while open."""
    error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One immutable line of the audit trail."""

    at: datetime
    kind: str
    """``started``, ``ended``, ``log``, ``metric``, ``cancel``, ``retry``, ``ack``, ``mark``, ``refused``, …"""
    status: str | None = None
    message: str | None = None
    detail: str | None = None
    actor: str | None = None
    """Who did it, where a person did."""
    run_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """Something a person asked for."""

    id: int
    kind: RequestKind
    run_id: str
    state: RequestState
    asked_by: str
    asked_from: str
    """Host (and terminal) of the person."""
    asked_at: datetime
    role: str | None = None
    """Database role that asked, written down by the server; None where the store knows no roles."""
    taken_at: datetime | None = None
    done_at: datetime | None = None
    kill_at: datetime | None = None
    """When TERM turns into KILL, while a cancel is under way."""
    reason: str | None = None
    answer: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """One machine and user whose drainer has been heard of."""

    machine: str
    host: str
    user: str | None
    boot_id: str | None
    drainer_pid: int | None
    drainer_version: str | None
    last_heard: datetime
    """By the store's clock."""
    silent_s: float
    """Seconds since it was heard of, by the store's clock at the read."""
    facts_dropped: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskStats:
    """What the past runs of one task tell."""

    task: str
    stage: str | None = None
    runs: int = 0
    """Ended runs that were counted."""
    finished: int = 0
    durations_s: tuple[float, ...] = ()
    """Durations of the latest finished runs, newest first, at most 50."""
    longest_gap_s: float | None = None
    """Longest usual time without any progress in past runs, in seconds."""
    profiles: tuple["Profile", ...] = ()
    """Time profiles of the latest finished runs, newest first, at most 20."""
    grace_s: float | None = None
    max_attempts: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """How one finished run spent its time: what share of it had gone when it was how far."""

    duration_s: float
    points: tuple[tuple[float, float], ...] = ()
    """(overall fraction done, seconds since the start), both rising, at most 64 points."""
    subtasks: tuple[tuple[str, float, float], ...] = ()
    """(name, start, end) of each leaf subtask in seconds since the start of the run, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunDetail:
    """Everything that the store holds of one run."""

    run: Run
    error_detail: str | None = None
    log_tail: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    samples: tuple[tuple[float, float, int], ...] = ()
    """(epoch seconds, cpu percent, rss bytes), oldest first, at most 120."""
    subtasks: tuple[Subtask, ...] = ()
    events: tuple[Event, ...] = ()
    attempts: tuple[Run, ...] = ()
    """All attempts of this chain, oldest first, this one included."""
    children: tuple[Run, ...] = ()
    requests: tuple[Request, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """Everything that one refresh of the monitor needs, read at one moment."""

    at: datetime
    """When it was read, by the store's clock."""
    token: object = None
    """Equal tokens: nothing has changed in the store."""
    running: tuple[Run, ...] = ()
    """Open runs."""
    ended: tuple[Run, ...] = ()
    """Bad ends (failed, lost) since the window began, newest first, not acknowledged nor resolved."""
    recent: tuple[Run, ...] = ()
    """The newest ended runs of any status, newest first, at most 20."""
    counts: Mapping[RunStatus, int] = field(default_factory=dict)
    """Runs by status since the window began, the open ones whatever their age."""
    hosts: tuple[Host, ...] = ()
    requests: tuple[Request, ...] = ()
    """Requests that are not done, and those done within the last minute."""
    stats: Mapping[str, TaskStats] = field(default_factory=dict)
    """By task name, for the tasks of the running runs."""
    since: datetime | None = None
    """Start of the window for ``ended`` and ``counts``."""
    total_runs: int = 0
    """All runs that the store holds."""
