"""Logs into the store: each log is applied as if it were a journal, its offsets being those of the log.

So it goes through the same door as every client's facts: one transaction for what is applied and how far, the same
rules for ends, subtasks, statistics and counters, nothing changed by doing it twice. A file of its own in the spool
would add nothing: its name the next import can not know, and the log itself is there to be read again.
"""

import os
import pwd
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from statustui.imports import logknown
from statustui.imports.fields import made_id
from statustui.imports.logfiles import LogFile, Unreadable, task_of
from statustui.imports.logknown import Known, Register
from statustui.imports.logruns import LogRun, runs_of
from statustui.imports.logtimes import Zone
from statustui.journal.identity import user_name
from statustui.machine import host_name, machine_id
from statustui.model.fingerprint import fingerprint
from statustui.model.redact import redact
from statustui.model.stage import stage_of
from statustui.model.status import RunStatus
from statustui.places import on_network
from statustui.store import history
from statustui.store.apply import Batch, HostInfo, JournalBatch, Line, apply
from statustui.store.open import Store

_AT_ONCE = 50
_LINES = 2_000
RECENT_S = 60.0
"""A log that was written so lately may be still written to, where its writer can not be seen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToldRun:
    """One run, as it was understood."""

    task: str
    status: RunStatus
    started: float
    duration: float
    times_from: str
    knew: str
    message: str | None = None


@dataclass(kw_only=True, slots=True)
class ToldFile:
    """What was understood of one file."""

    path: str
    state: str
    """``new``, ``grown``, ``known``, ``skipped``."""
    runs: list[ToldRun] = field(default_factory=list)
    """Those that were brought in, or brought up to date."""
    why: str | None = None
    """Why something of it was left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """What a log is read with."""

    zone: Any = None
    """Zone of times that name none; None is that of this machine."""
    patterns: Sequence[re.Pattern[str]] = ()
    """Further secrets, as configured."""
    prefixes: Any = None
    """Prefix of a task's name → stage."""


class LogImporter:
    """Looks at logs one by one, and stores in batches what is new in them."""

    def __init__(
        self, store: Store | None, means: Means, *, dry_run: bool = False, live: bool = False,
        written_by: Callable[[float], set[tuple[int, int]]] = lambda written: set(),
    ) -> None:  # fmt: skip
        """Ask the store which logs it knows.

        Args:
            store: where to; None in a dry run where there is none.
            means: what logs are read with.
            dry_run: True writes nothing.
            live: True takes logs that are still written to as running runs.
            written_by: (device, inode) of the files that living processes had open for writing after a time.

        Raises:
            StoreUnavailable: the store failed.
        """
        self._store = store
        self._means = means
        self._dry_run = dry_run
        self._live = live
        self._written_by = written_by
        self._machine = machine_id()
        self._user = user_name()
        self._register = Register.of(store, self._machine) if store is not None else Register()
        self._first: list[JournalBatch] = []
        self._batches: list[JournalBatch] = []
        self._noted: list[Known] = []
        self._lines = 0
        self._stale = False
        self._writers_seen: set[tuple[int, int]] = set()
        self._text = lru_cache(maxsize=2048)(lambda text: redact(text, means.patterns))
        self.tasks: set[str] = set()
        """Names of the tasks met."""
        self.open: dict[str, str] = {}
        """Path → task of the logs whose last run goes on."""

    def look(self, path: str) -> ToldFile:
        """Understand one file, and take in what is new in it.

        Raises:
            StoreUnavailable: the store failed; looking again at everything brings in what is missing.
        """
        if self._stale and self._store is not None:
            self._register = Register.of(self._store, self._machine)
            self._stale = False
        try:
            with LogFile(path) as file:
                return self._look(file)
        except (Unreadable, OSError) as error:
            return ToldFile(path=path, state="skipped", why=str(error))

    def finish(self) -> None:
        """Store what is left, and bring the statistics of the tasks into the order in which runs ended."""
        self.flush()
        if self._store is not None and not self._dry_run:
            history.recount(self._store, self.tasks)

    def _look(self, file: LogFile) -> ToldFile:
        task, kind = task_of(file.path)
        task = self._text(task)
        self.tasks.add(task)
        known = self._register.find(file)
        going = known is not None and known.status == RunStatus.RUNNING.value
        if known is not None and known.inode == file.inode and known.path != file.path:
            self.open.pop(known.path, None)  # rotated
            known.path = file.path
            self._register.add(known)
        if known is not None and known.size >= file.size and not going:
            elsewhere = known.path not in ("", file.path) and known.inode != file.inode
            copy = f"the same as {known.path}" if elsewhere else None
            return ToldFile(path=file.path, state="known", why=copy)
        zone = Zone(local=self._means.zone, written=file.written)
        runs = runs_of(file, zone, known.last if known is not None else 0, kind)
        told = ToldFile(path=file.path, state="new" if known is None else "grown")
        open_run = self._goes_on(file, runs[-1], known)
        if open_run and going and known is not None and known.size >= file.size:
            told.state = "known"
            if self._live:
                self.open[file.path] = task
            return told
        if open_run and not self._live:
            told.why = "still written to: import it again later, or --follow it"
            runs = runs[:-1]
            if not runs or (known is not None and runs[-1].end <= known.size):
                told.state = "skipped"
                return told
        self._take(file, task, runs, known, open_run=open_run and self._live, told=told)
        return told

    def _goes_on(self, file: LogFile, last: LogRun, known: Known | None) -> bool:
        """Is the last run still going on, by evidence?"""
        if file.packed:
            return False
        if (file.device, file.inode) in self._written_by(file.written):
            self._writers_seen.add((file.device, file.inode))
            return True
        if last.ending.proven or (file.device, file.inode) in self._writers_seen:
            return False
        recent = time.time() - file.written < RECENT_S
        if self._live:
            return recent or (known is not None and known.status == RunStatus.RUNNING.value)
        # Processes of this user on this host would have been seen.
        return recent and (file.uid != os.geteuid() or on_network(file.path))

    def _take(
        self, file: LogFile, task: str, runs: list[LogRun], known: Known | None, *, open_run: bool, told: ToldFile
    ) -> None:
        end = runs[-1].end
        digest = file.digest(end)
        fresh = known is None
        if known is None:
            journal = logknown.name(file, end, runs[0].started)
            known = Known(journal=journal, size=0, measured=end, digest=digest)
        else:
            known = Known(journal=known.journal, size=known.size, measured=end, digest=digest, status=known.status)
        writer = self._writer(file, known.journal)
        lines: list[Line] = []
        for run in runs:
            ends_here = not (open_run and run is runs[-1])
            run_id = made_id(known.began / 1000, f"log\0{known.journal}\0{run.start}")
            lines += self._records(file, task, run, run_id, ends=ends_here)
            if run.end > known.size or not ends_here or fresh or known.status == RunStatus.RUNNING.value:
                told.runs.append(self._told(file, task, run, ends=ends_here))
        if not fresh and known.status in (RunStatus.LOST.value, RunStatus.RUNNING.value):
            self._first.append(self._sign_of_life(file, known, runs[0], writer))
        if known.size >= end and not open_run and known.status == RunStatus.RUNNING.value:
            # It was read to here already; only how it ended is new.
            offset = known.size
            lines = [(offset, offset, record) for _, _, record in lines[-1:]]
        self._batches.append(JournalBatch(journal=known.journal, writer=writer, acked=known.size, lines=tuple(lines)))
        self._lines += len(lines)
        known.size, known.path, known.inode, known.last = end, file.path, file.inode, runs[-1].start
        known.status = RunStatus.RUNNING.value if open_run else runs[-1].ending.status.value
        self._register.add(known)
        self._noted.append(known)
        if open_run:
            self.open[file.path] = task
        else:
            self.open.pop(file.path, None)
            self._writers_seen.discard((file.device, file.inode))
        if len(self._batches) >= _AT_ONCE or self._lines >= _LINES:
            self.flush()

    def flush(self) -> None:
        """Store what was taken in so far.

        Raises:
            StoreUnavailable: nothing of it was stored, or all.
        """
        first, batches, noted = self._first, self._batches, self._noted
        self._first, self._batches, self._noted, self._lines = [], [], [], 0
        if self._store is None or self._dry_run or not batches:
            return
        host = HostInfo(machine=f"{self._machine}:{self._user}", host=host_name(), user=self._user)
        if first:
            # What was thought to be lost lives again, before it is said how it ended.
            apply(self._store, Batch(host=host, journals=tuple(first)))
        apply(self._store, Batch(host=host, journals=tuple(batches)))
        logknown.note(self._store, noted)

    def forget(self) -> None:
        """Give up what was not stored; the store is asked again what it knows when it is back."""
        self._first, self._batches, self._noted, self._lines = [], [], [], 0
        self._stale = True

    def _writer(self, file: LogFile, journal: str) -> dict[str, Any]:
        try:
            user = pwd.getpwuid(file.uid).pw_name
        except KeyError:
            user = f"uid {file.uid}"
        return {"k": "writer", "v": 1, "journal": journal, "role": "program", "machine": self._machine,
                "host": host_name(), "user": user, "uid": file.uid, "lang": "log", "t": file.written}  # fmt: skip

    def _records(self, file: LogFile, task: str, run: LogRun, run_id: str, *, ends: bool) -> list[Line]:
        """What a program that tells of itself would have told, each at its place in the log."""
        found: list[tuple[int, dict[str, Any]]] = []

        def tell(place: int, kind: str, at: float, /, **fields: Any) -> None:
            found.append((place, {"k": kind, "run": run_id, "t": at, "m": at, **fields}))

        where: dict[str, Any] = {} if file.packed else {
            "log_path": file.path, "log_inode": file.inode, "log_start": run.start,
        }  # fmt: skip
        tell(
            run.start, "run.start", run.started, task=task, stage=stage_of(task, *self._prefixes()), type=run.type,
            params={"imported_from": self._text(file.path), "times_from": run.times_from}, **where,
        )  # fmt: skip
        for number, part in enumerate(run.parts, 1):
            tell(part.place, "sub.start", part.started, n=number, name=self._text(part.name))
            if part.closed is not None and part.ended is not None:
                tell(part.closed, "sub.end", part.ended, n=number, status="completed")
        found.sort(key=lambda one: one[0])
        if ends:
            tell(run.end - 1, "run.end", run.ended, **self._end(file, run))
        else:
            tell(run.end - 1, "run.info", max(run.ended, run.started), message=self._text(run.last or ""))
        offsets = [place for place, _ in found[1:]] + [run.end]
        return [(place, max(place, after), record) for (place, record), after in zip(found, offsets, strict=True)]

    def _prefixes(self) -> tuple[Any, ...]:
        return (self._means.prefixes,) if self._means.prefixes else ()

    def _end(self, file: LogFile, run: LogRun) -> dict[str, Any]:
        how = run.ending
        fields: dict[str, Any] = {"status": how.status.value, "duration": run.duration}
        if not file.packed:
            fields["log_end"] = run.end
        if how.exit_code is not None:
            fields["exit_code"] = how.exit_code
        if how.signal is not None:
            fields["signal"] = how.signal
        if how.status is RunStatus.FINISHED:
            fields["message"] = self._text(how.said) if how.said else None
            return fields
        fields["log_tail"] = [self._text(line) for line in run.tail]
        if how.status is RunStatus.LOST:
            fields["reason"] = self._reason(file, run)
        if how.error_type is not None:
            message = self._text(how.message or how.error_type)
            fields["error"] = {
                "type": how.error_type, "message": message,
                "detail": self._text(how.detail) if how.detail else None,
                "fingerprint": fingerprint(how.error_type, message),
            }  # fmt: skip
        return fields

    def _reason(self, file: LogFile, run: LogRun) -> str | None:
        if run.ending.status is not RunStatus.LOST:
            return None
        gone = "its writer is gone; " if (file.device, file.inode) in self._writers_seen else ""
        return f"{gone}{run.ending.knew}"

    def _told(self, file: LogFile, task: str, run: LogRun, *, ends: bool) -> ToldRun:
        how = run.ending
        knew = (self._reason(file, run) or how.knew) if ends else "it is written to"
        message = how.message if ends else run.last
        return ToldRun(
            task=task, status=how.status if ends else RunStatus.RUNNING, started=run.started, duration=run.duration,
            times_from=run.times_from, knew=self._text(knew), message=self._text(message) if message else None,
        )  # fmt: skip

    def _sign_of_life(self, file: LogFile, known: Known, run: LogRun, writer: dict[str, Any]) -> JournalBatch:
        run_id = made_id(known.began / 1000, f"log\0{known.journal}\0{run.start}")
        at = max(run.ended, file.written)
        record = {"k": "run.info", "run": run_id, "t": at, "m": at, "message": self._text(run.last or "")}
        line = (known.size, known.size, record)
        return JournalBatch(journal=known.journal, writer=writer, acked=known.size, lines=(line,))


def look_at(
    importer: LogImporter, paths: Iterable[str], shown: Callable[[ToldFile], None], stop: threading.Event
) -> None:
    """Look at many files until *stop* is set, the oldest first: so short numbers follow the order of runs."""
    for path in sorted(paths, key=_written):
        if stop.is_set():
            return
        shown(importer.look(path))


def _written(path: str) -> float:
    try:
        return os.stat(path, follow_symlinks=False).st_mtime
    except OSError:
        return 0.0
