"""Speaks for the processes that were adopted: what their descriptors show is written into their journals and slots.

An adopted process knows nothing of its journal. The command that adopted it wrote the first lines; what follows is
written here, by the one drainer of that directory, and read back like everybody's: the journal stays the whole truth,
and a drainer that takes over reads in it what the one before was at.
"""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from statustui.control.options import describe
from statustui.drain.diary import Diary
from statustui.drain.reading import Input, Reading, Watch
from statustui.drain.runs import ADOPTED, OpenRun, Registry
from statustui.drain.tail import Tails
from statustui.journal.files import JOURNAL_LIMIT, open_private, segment_path
from statustui.journal.line import line_of
from statustui.journal.reader import JournalReader, SlotReader
from statustui.journal.slot import SlotWriter
from statustui.model.redact import redact
from statustui.process import command_line, tree
from statustui.process.descriptors import OpenFile, open_files
from statustui.process.identity import LINUX, start_tick

_EVERY_S = 1.0
_FIRST_S = 0.3
_FAMILY_S = 5.0
_MEET_S = 0.3
# The share of one core that looking may take: what took 20 ms is not done again for 2 s.
_DUTY = 100.0
_MOST_SUBTASKS = 200
_RECALL_LOOKS = 15
_MOST_PROCESSES = 32

Process = tuple[int, int]
"""(pid, start tick)."""


class Adopted:
    """Looks at all adopted processes of one spool directory, about once a second."""

    def __init__(self, spool: str, tails: Tails, registry: Registry, diary: Diary) -> None:
        self._spool = spool
        self._tails = tails
        self._registry = registry
        self._diary = diary
        self._watched: dict[str, _Watched] = {}
        self._due = 0.0
        self._families_due = 0.0
        self._meet_due = 0.0

    def due_in(self, now: float) -> list[float]:
        """Seconds until the next look, by the monotonic clock; none when nothing is watched."""
        return [max(0.0, self._due - now)] if self._watched else []

    def tick(self, now: float) -> None:
        """Look, when it is time."""
        if not LINUX:
            return  # nobody tells positions there
        if now >= self._meet_due:
            self._meet_due = now + _MEET_S
            self._meet(now)
        if not self._watched or now < self._due:
            return
        began = time.thread_time()
        if now >= self._families_due:
            self._families_due = now + _FAMILY_S
            self._find_families()
        for watched in self._watched.values():
            try:
                watched.look()
            except OSError as error:  # a full disk: what is shown stands still
                self._diary.say("adopted", f"{watched.run.run_id}: {error}")
        self._due = now + max(_EVERY_S, (time.thread_time() - began) * _DUTY)

    def close(self) -> None:
        """Let go of the files."""
        for watched in self._watched.values():
            watched.close()
        self._watched.clear()

    def _meet(self, now: float) -> None:
        living: dict[str, tuple[OpenRun, str, Process]] = {}
        for run in self._registry.runs.values():
            for journal in run.speakers:
                tail = self._tails.get(journal)
                if (
                    tail is not None and tail.writer is not None and tail.writer.role == ADOPTED
                    and tail.handle is not None and tail.gone_at is None and not tail.handle.ended()
                ):  # fmt: skip
                    living[run.run_id] = run, journal, (tail.handle.pid, tail.handle.start)
        for run_id in self._watched.keys() - living.keys():
            self._watched.pop(run_id).close()
        for run_id in living.keys() - self._watched.keys():
            run, journal, process = living[run_id]
            try:
                self._watched[run_id] = _Watched(self._spool, run, journal, process)
            except OSError as error:
                self._diary.say("adopted", f"{run_id}: {error}")
                continue
            self._due = min(self._due, now + _FIRST_S)
            self._families_due = now

    def _find_families(self) -> None:
        families = tree.trees(*(watched.root[0] for watched in self._watched.values()))
        # A descendant that is tracked itself shows its own progress.
        others = {run.pid for run in self._registry.runs.values()} | {
            tail.writer.pid for tail in self._tails.active() if tail.writer is not None
        }
        for watched in self._watched.values():
            members = families.get(watched.root[0], [watched.root])
            watched.family = [
                process for process in members if process == watched.root or process[0] not in others
            ][:_MOST_PROCESSES]  # fmt: skip


class _Watched:
    """One adopted process and its descendants."""

    def __init__(self, spool: str, run: OpenRun, journal: str, root: Process) -> None:
        self.run = run
        self.root = root
        self.family = [root]
        self._spool = spool
        self._journal = journal
        self._watches: dict[Process, Watch] = {}
        self._open: dict[str, int] = {}
        """Subtasks that are under way: key of the piece of work → number."""
        self._said: dict[str, dict[str, Any]] = {}
        self._totals: dict[str, int | None] = {}
        self._next = 1
        self._stands_for: list[Process] | None = None
        self._whole = False
        self._about: dict[str, Any] = {}
        self._last = 0
        self._recall()
        self._recalled = dict.fromkeys(self._open, _RECALL_LOOKS)
        slots = SlotReader(f"{spool}/{journal}.slot")
        slots.read()
        self._slot = SlotWriter(f"{spool}/{journal}.slot", slots.sequence)
        self._fd = open_private(segment_path(spool, journal, 0), os.O_WRONLY | os.O_APPEND)

    def look(self) -> None:
        """One look at all of its processes; what is news is written."""
        for gone in self._watches.keys() - set(self.family):
            del self._watches[gone]
        found: dict[str, Reading] = {}
        for process in self.family:
            files = open_files(process[0])
            if start_tick(process[0]) != process[1]:
                continue  # after the look: it was this process that was seen
            if process not in self._watches:
                self._watches[process] = self._watch(process, files)
            reading = self._watches[process].look(files)
            if reading is not None:
                found[f"{process[0]}:{process[1]}:{reading.key}"] = reading
        self._tell(found)

    def close(self) -> None:
        """Let go of the files."""
        os.close(self._fd)
        self._slot.close()

    def _watch(self, process: Process, files: Sequence[OpenFile]) -> Watch:
        chosen = self._about.get("progress_file")
        if isinstance(chosen, list) and len(chosen) == 2 and all(type(part) is int for part in chosen):
            return Watch(chosen=(chosen[0], chosen[1]))
        argv, cwd = command_line.arguments(process[0]), command_line.directory(process[0])
        script = describe(argv, cwd).script if argv else None
        ignore = {place for place in map(_place, (self.run.log_path, script)) if place is not None}
        written = {(file.dev, file.ino) for file in files if file.mode != "r"}
        inputs = [
            Input(path=path, dev=dev, ino=ino, size=size)
            for path, dev, ino, size in command_line.files_named(argv, cwd)
            if (dev, ino) not in ignore | written
        ]
        return Watch(inputs, ignore=ignore)

    def _tell(self, found: Mapping[str, Reading]) -> None:
        waiting = self._wait_for(found)
        for key in self._open.keys() - found.keys() - waiting:
            self._end(key)
        for key, reading in found.items():
            if key not in self._open and self._next <= _MOST_SUBTASKS:
                self._begin(key, reading)
            if key in self._open and self._totals.get(key) != reading.total:
                self._totals[key] = reading.total
                self._write("sub.info", n=self._open[key], total=reading.total)
        whole = len(found) == 1 and all(self._is_whole(key, reading) for key, reading in found.items())
        if not waiting:
            self._set_whole(whole and self._next == 2)
        entries = {key: self._entry(found[key]) for key in self._open.keys() & found.keys()}
        if entries != self._said:
            self._said = entries
            subs = {str(self._open[key]): entry for key, entry in entries.items()}
            now = {"t": round(time.time(), 3), "m": round(time.monotonic(), 3)}
            self._slot.write({"off": self._last, **now, "runs": {self.run.run_id: {"subs": subs}}})

    def _is_whole(self, key: str, reading: Reading) -> bool:
        """All that there is to do: for the process itself, or for the one that it only stands for."""
        process = key.removesuffix(f":{reading.key}")
        return reading.whole and process in {f"{pid}:{start}" for pid, start in self._proxies()}

    def _proxies(self) -> list[Process]:
        """The root, and its child where the root only starts it (``timeout 1h sha512sum big.iso``)."""
        children = [each for each in self.family if each != self.root]
        if not children:
            return [self.root]
        if self._stands_for is None:
            own, said = command_line.arguments(self.root[0]), command_line.arguments(children[0][0])
            proxy = bool(said) and len(own) > len(said) and own[-len(said) :] == said
            self._stands_for = [self.root, children[0]] if proxy else [self.root]
        return self._stands_for

    def _wait_for(self, found: Mapping[str, Reading]) -> set[str]:
        """What a drainer before this one had begun is given time to be seen moving again."""
        self._recalled = {key: looks - 1 for key, looks in self._recalled.items() if key not in found and looks > 1}
        return set(self._recalled)

    def _entry(self, reading: Reading) -> dict[str, Any]:
        entry: dict[str, Any] = {"t": reading.total, "msg": None if not reading.message else redact(reading.message)}
        if reading.complete is not None:
            entry["c"] = reading.complete
        if reading.inner:
            entry["in"] = reading.inner
        return entry

    def _begin(self, key: str, reading: Reading) -> None:
        number, self._next = self._next, self._next + 1
        self._open[key] = number
        self._totals[key] = reading.total
        self._write("sub.start", n=number, name=redact(reading.name), total=reading.total, unit="B", of=key)

    def _end(self, key: str) -> None:
        """It is over: how far it came is what was seen last, which may be a second old."""
        said = self._said.pop(key, {})
        figures = {"complete": said["c"]} if "c" in said else {}
        self._totals.pop(key, None)
        self._write("sub.end", n=self._open.pop(key), status="completed", **figures)

    def _set_whole(self, whole: bool) -> None:
        """The one subtask is the whole run as long as the command line says so; then its percent is the run's."""
        if whole != self._whole:
            self._whole = whole
            self._write("run.info", total=1 if whole else None)

    def _write(self, kind: str, **fields: Any) -> None:
        size = os.fstat(self._fd).st_size
        if size > JOURNAL_LIMIT:
            return
        line = line_of(kind, self.run.run_id, fields)
        os.write(self._fd, line + b"\n")
        self._last = size + 1

    def _recall(self) -> None:
        """What its journal says already: written when it was adopted, and by a drainer before this one."""
        at = 0
        while lines := JournalReader(self._spool, self._journal).read(at):
            at = lines[-1].next_offset
            for line in lines:
                record = line.record or {}
                self._last = line.offset
                kind, number = record.get("k"), record.get("n")
                if kind == "run.start":
                    self._about = record
                elif kind == "run.info" and "total" in record:
                    self._whole = record["total"] is not None
                elif kind == "sub.start" and type(number) is int:
                    self._next = max(self._next, number + 1)
                    self._open[str(record.get("of"))] = number
                elif kind == "sub.end":
                    self._open = {key: n for key, n in self._open.items() if n != number}


def _place(path: str | None) -> tuple[int, int] | None:
    try:
        found = os.stat(path or "")
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
