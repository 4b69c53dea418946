"""Reading a run's output back from its log, gently, and writing down the progress that is in it.

What the person sees is never touched: the output goes its way, into the copy that the wrapper keeps or into the
regular file that the command writes itself, and is read from there by the wrapper's own process while it waits.
"""

import os
import stat
import time

from statustui.control.output.joined import Joined
from statustui.control.output.stream import Stream
from statustui.model.run import OUTPUT_NUMBERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from statustui.control.options import Command
    from statustui.control.output.levels import Levels
    from statustui.control.output.own import Own
    from statustui.control.report import Log
    from statustui.journal.writer import Writer

PACE_S = 0.5
"""Seconds between two looks at a log that grows."""
SLOW_PACE_S = 2.0
"""The same after a minute without anything new."""
_CHUNK = 65_536
_MOST = 4
"""Chunks of one look; the rest waits for the next."""
_BEHIND = 1 << 20
"""Bytes after which output is left out: the newest counts."""
_JOINED_S = 2.0


class _Source:
    """One file that output goes to."""

    def __init__(self, path: str, start: int, number: int, *, every: bool) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(self.fd).st_mode):
            os.close(self.fd)
            raise OSError(f"{path} is no regular file")
        self.position = start
        self.number = number
        self.stream = Stream(every=every)
        self.fresh = False
        """True: what stands at the end without an end of its own has not been weighed since it came."""

    def read(self) -> bytes:
        """What has come, or a part of it."""
        size = os.fstat(self.fd).st_size
        if size < self.position:  # truncated by logrotate, or a long copy was shortened
            self.position = size
            self.stream.skip()
        if size - self.position > _BEHIND:
            self.position = size - _CHUNK
            self.stream.skip()
        data = os.pread(self.fd, min(_CHUNK, size - self.position), self.position) if size > self.position else b""
        self.position += len(data)
        return data


class Follower:
    """Progress of one run out of its output.

    Args:
        log: where the output is.
        command: what runs.
        argv: the command and its arguments.
        progress: ``auto`` or the user's own expression.
        own: the user's expressions from the configuration.
        writer: of the wrapper's journal.
        spool: directory of the journals.
        run_id: the run.
        clean: takes secrets out of a text.
    """

    def __init__(
        self, log: "Log", command: "Command", argv: list[str], progress: str, own: tuple[str, ...], *, writer: "Writer",
        spool: str, run_id: str, clean: "Callable[[str], str]",
    ) -> None:  # fmt: skip
        self._writer = writer
        self._run_id = run_id
        self._clean = clean
        self._argv = argv
        self._kind = command.type
        self._own = _own(progress, own)
        self._made: Levels | None = None
        self._sources = []
        for number, (path, start) in enumerate(log.parts()):
            try:
                self._sources.append(_Source(path, start, number, every=self._own is not None))
            except OSError:
                continue  # gone, or not ours to read: then there is nothing to see
        self._joined = Joined(spool, run_id, writer.journal)
        self._joined_at = 0.0
        self._silent = False
        self._shown: dict[str, Any] = {}
        self._named: dict[int, str] = {}
        self._withdrawn: set[int] = set()
        self._total: int | None = None
        self._moved_at = time.monotonic()

    @property
    def _levels(self) -> "Levels":
        """Made when there is something to weigh: compiling the rules takes longer than many commands."""
        if self._made is None:
            from statustui.control.output import copied
            from statustui.control.output.levels import Levels

            self._made = Levels(
                self,
                program=os.path.basename(self._argv[0]),
                kind=self._kind,
                total=copied.total(self._argv),
                own=self._own,
                words=self._argv,
            )
        return self._made

    def look(self) -> float:
        """Take in what has come since the last time; seconds until the next look, negative when there is none."""
        if self._silent or not self._sources:
            return -1.0
        now = time.monotonic()
        for source in self._sources:
            self._take(source, now)
        if self._made is None:
            return PACE_S if now - self._moved_at < 60 else SLOW_PACE_S
        if self._named and now - self._joined_at >= _JOINED_S:
            self._check_joined(now)
        self._show()
        if self._own is not None and self._own.note is not None:
            self._writer.fact("event", self._run_id, kind="warning", message=self._own.note)
            self._own.note = None
        return PACE_S if now - self._moved_at < 60 else SLOW_PACE_S

    def finish(self) -> None:
        """The command has ended: take in the last of it."""
        if self._silent:
            return
        self.look()
        now = time.monotonic()
        for source in self._sources:
            for text in source.stream.rest():
                self._levels.evidence.take(text, now, source.number)
        if self._named:
            self._check_joined(now)
        if not self._silent and self._made is not None:
            self._made.finish()
            self._show()

    def _take(self, source: _Source, now: float) -> None:
        stream = source.stream
        for _ in range(_MOST):
            before, data = stream.tail, source.read()
            if not data:
                break
            self._moved_at = now
            source.fresh = True
            for text in stream.feed(data):
                self._levels.evidence.take(text, now, source.number)
            if self._kind == "R":
                self._levels.evidence.grown(before, data, stream.tail, now, source.number)
        else:
            return
        if source.fresh and now > self._moved_at:  # it stands as it is: a bar that waits for its next state
            source.fresh = False
            for text in stream.rest():
                self._levels.evidence.take(text, now, source.number)

    def _check_joined(self, now: float) -> None:
        self._joined_at = now
        if not self._joined.has_subtasks():
            return
        self._silent = True
        self._levels.drop()
        if self._total is not None:
            self._writer.fact("run.info", self._run_id, total=None)
        for number in self._named:
            if number not in self._withdrawn:
                self.withdraw(number)

    def _show(self) -> None:
        values = {str(OUTPUT_NUMBERS + int(n)): self._told(entry) for n, entry in self._levels.values().items()}
        shown: dict[str, Any] = {"subs": values}
        if self._levels.message:
            shown["message"] = self._clean(self._levels.message)
        if shown != self._shown and not self._silent and (values or self._levels.message):
            payload = {"t": time.time(), "m": time.monotonic(), "runs": {self._run_id: shown}}
            if self._writer.slot(payload):
                self._shown = shown

    def _told(self, entry: "dict[str, Any]") -> "dict[str, Any]":
        if "msg" in entry:
            entry["msg"] = self._clean(entry["msg"])
        elif "message" in entry:
            entry["message"] = self._clean(entry["message"])
        return entry

    # What Levels tells

    def expect(self, total: int) -> None:
        """The run has so many subtasks."""
        if total != self._total and not self._silent:
            self._total = total
            self._writer.fact("run.info", self._run_id, total=total)

    def begin(self, number: int, name: str, total: int | None, unit: str) -> None:
        """A subtask begins."""
        if not self._named:
            self._check_joined(time.monotonic())
        if self._silent:
            return
        self._named[number] = name
        fields: dict[str, Any] = {"n": OUTPUT_NUMBERS + number, "name": self._clean(name)}
        if total is not None:
            fields["total"] = total
        if unit:
            fields["unit"] = unit
        self._writer.fact("sub.start", self._run_id, **fields)

    def end(self, number: int, fields: "dict[str, Any]") -> None:
        """A subtask is complete."""
        if not self._silent:
            self._writer.fact(
                "sub.end", self._run_id, n=OUTPUT_NUMBERS + number, status="completed", **self._told(fields)
            )  # fmt: skip

    def withdraw(self, number: int) -> None:
        """A subtask was none: it is shown as a heading, without numbers, and not counted."""
        self._withdrawn.add(number)
        n = OUTPUT_NUMBERS + number
        self._writer.fact("sub.info", self._run_id, n=n, heading=True, total=None, percent=None)
        self._writer.fact("sub.end", self._run_id, n=n, status="completed")


def _own(progress: str, configured: tuple[str, ...]) -> "Own | None":
    if progress == "auto" and not configured:
        return None
    from statustui.control.output.own import Own

    return Own([progress], alone=True) if progress != "auto" else Own(configured, alone=False)
