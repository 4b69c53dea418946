"""What the drainer keeps of the runs that are open: who speaks for them, and what was last heard."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from statustui.model.status import RunStatus

ADOPTED = "adopted"
"""Role of a writer that knows nothing of its journal: it was adopted while it ran."""


@dataclass(slots=True)
class Writer:
    """The process that writes one journal, from its first line."""

    journal: str
    pid: int | None = None
    start: int | None = None
    boot: str | None = None
    namespace: int = 0
    role: str = "program"
    version: int = 1
    lang: str = "python"

    @classmethod
    def of(cls, journal: str, record: Mapping[str, Any]) -> "Writer":
        """Take what is sound out of a ``writer`` record; anything else is as if it had not been said."""
        return cls(
            journal=journal,
            pid=positive(record.get("pid")),
            start=positive(record.get("start")),
            boot=text(record.get("boot")),
            namespace=positive(record.get("ns")) or 0,
            role=text(record.get("role")) or "program",
            version=positive(record.get("v")) or 1,
            lang=text(record.get("lang")) or "python",
        )


@dataclass(slots=True)
class OpenRun:
    """One run that has begun and not ended, as its journals tell."""

    run_id: str
    speakers: set[str] = field(default_factory=set)
    """Journals (workers' not among them) whose writers speak for it."""
    wrapped: bool = False
    """A wrapper writes its end; the program's own end is only what it said."""
    pid: int | None = None
    """Of the command, where it is not the writer."""
    start: int | None = None
    pgid: int | None = None
    grace: float | None = None
    log_path: str | None = None
    log_inode: int | None = None
    log_start: int | None = None
    began: float | None = None
    """When it began, by its writer's clock."""
    log_limit: int | None = None
    """Where another run began in the same log after this one's end."""
    heard: float | None = None
    """When anything was last written, by the writer's clock."""
    said: RunStatus | None = None
    """What the program said of its end, inside a wrapper or before its process had ended."""
    ended: bool = False


class Registry:
    """Open runs, built by reading records in the order of each journal."""

    def __init__(self) -> None:
        self.runs: dict[str, OpenRun] = {}
        self.ending: dict[str, OpenRun] = {}
        """Runs that gave a provisional end: the exit status of their process may yet tell another."""
        self.closing: dict[str, OpenRun] = {}
        """Runs that told their end, and may still print: a traceback, what is in a buffer."""

    def see(self, writer: Writer, record: Mapping[str, Any]) -> None:
        """Take in one record; an unsound one changes nothing."""
        run_id = text(record.get("run"))
        if run_id is None:
            return
        kind = record.get("k")
        # A worker joins a run that another process began; a forked child may also begin one of its own.
        if kind == "run.start" and not (writer.role == "worker" and record.get("prestarted")):
            self._start(writer, run_id, record)
            return
        run = self.runs.get(run_id)
        if run is None:
            return
        run.heard = later(run.heard, record.get("t"))
        if kind == "run.info":
            _learn(run, record)
        elif kind == "run.end":
            self._end(writer, run, record)

    def hear(self, run_id: str, at: object) -> None:
        """Progress of a run was written at that time."""
        run = self.runs.get(run_id)
        if run is not None:
            run.heard = later(run.heard, at)

    def of_journal(self, journal: str) -> list[OpenRun]:
        """The open runs that the writer of a journal speaks for."""
        return [run for run in self.runs.values() if journal in run.speakers]

    def concerns(self, journal: str) -> bool:
        """Is anything left to find out of a run that this journal's writer spoke for?"""
        return any(journal in run.speakers for kept in (self.runs, self.ending, self.closing) for run in kept.values())

    def printing(self, journal: str) -> list[OpenRun]:
        """Those of the runs that told their end that this journal's writer spoke for."""
        return [run for run in self.closing.values() if journal in run.speakers]

    def forget(self, run_id: str) -> None:
        """The run is over."""
        self.runs.pop(run_id, None)
        self.ending.pop(run_id, None)

    def _start(self, writer: Writer, run_id: str, record: Mapping[str, Any]) -> None:
        run = self.runs.setdefault(run_id, OpenRun(run_id))
        run.speakers.add(writer.journal)
        if writer.role == "wrapper":
            run.wrapped = True
        grace = record.get("grace")
        if isinstance(grace, (int, float)) and 0 <= grace <= 86_400:
            run.grace = float(grace)
        run.heard = later(run.heard, record.get("t"))
        _learn(run, record)
        run.began = later(run.began, record.get("t"))
        if run.log_path is not None:
            for other in self.closing.values():
                _limit(other, run)

    def _end(self, writer: Writer, run: OpenRun, record: Mapping[str, Any]) -> None:
        if run.wrapped and writer.role != "wrapper":
            run.said = _status(record.get("status"))
            run.speakers.discard(writer.journal)
            return
        self.forget(run.run_id)
        if writer.role == "program" and run.log_path is not None and "log_end" not in record:
            for other in (*self.runs.values(), *self.closing.values()):  # journals are not read in order of time
                _limit(run, other)
            self.closing[run.run_id] = run
        if record.get("provisional") is True and writer.role == "program":
            run.said = _status(record.get("status"))
            if run.said is not None:
                self.ending[run.run_id] = run


def _learn(run: OpenRun, record: Mapping[str, Any]) -> None:
    pid = positive(record.get("pid"))
    if pid is not None:
        run.pid, run.start = pid, positive(record.get("start"))
    run.pgid = positive(record.get("pgid")) or run.pgid
    path = text(record.get("log_path"))
    if path is not None:
        run.log_path, run.log_inode = path, positive(record.get("log_inode"))
        run.log_start = positive(record.get("log_start"))


def _limit(ended: OpenRun, other: OpenRun) -> None:
    """Where the other began in the log of one that had ended, that one's part is over."""
    if (other.log_path, other.log_inode) != (ended.log_path, ended.log_inode) or (other.began or 0) <= (
        ended.heard or 0
    ):
        return
    first = other.log_start or 0
    if first >= (ended.log_start or 0) and (ended.log_limit is None or first < ended.log_limit):
        ended.log_limit = first


def _status(value: object) -> RunStatus | None:
    try:
        status = RunStatus(str(value))
    except ValueError:
        return None
    return None if status.open else status


def later(one: float | None, other: object) -> float | None:
    """The later of two times in seconds since 1970; what is no time does not count."""
    if isinstance(other, bool) or not isinstance(other, (int, float)) or not 0 < other < 1e11:
        return one
    return float(other) if one is None else max(one, float(other))


def positive(value: object) -> int | None:
    """The value when it is a whole number greater than 0 that fits 63 bits."""
    return value if type(value) is int and 0 < value < 1 << 63 else None


def text(value: object) -> str | None:
    """The value when it is a text that is not empty."""
    return value if type(value) is str and value else None
