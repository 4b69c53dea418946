"""What the wrapper records: the start, the end, the launch file. Nothing here can stop the command or delay it."""

import os
import re
import signal
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from statustui.control import spawn, tail
from statustui.control.options import Command, Options, shown
from statustui.control.streams import FILE, Plan
from statustui.errors import StatustuiError
from statustui.journal.writer import Writer
from statustui.model.stage import DEFAULT_PREFIXES, stage_of
from statustui.model.status import RunStatus
from statustui.record import context

if TYPE_CHECKING:
    from statustui.config import Settings
    from statustui.control.output.follow import Follower
    from statustui.process.cgroup import OomCounter

# Longest that the journal is brought in by this very process, where no drainer is allowed.
_INLINE_S = 2.0
_CANCELS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Origin:
    """Where a run comes from: a retry's chain, the run around it."""

    __slots__ = ("attempt", "parent", "retry_of", "run_id")

    def __init__(self, run_id: str, attempt: int = 1, retry_of: str | None = None, parent: str | None = None) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.retry_of = retry_of
        self.parent = parent


class Log:
    """The run's log: a copy that we keep, or the regular file that its output goes to."""

    __slots__ = ("copy", "inode", "others", "path", "start")

    def __init__(self, plan: Plan, copy: str | None, start: int) -> None:
        self.copy = copy
        self.path = copy
        self.inode: int | None = None
        self.start = start
        self.others: list[tuple[str, int]] = []
        """(path, first byte) of further files with output of this run."""
        files = [end for end in plan.ends[1:] if end.kind == FILE]
        for end in files:
            if end.path is None or end.path in (self.path, *(other for other, _ in self.others)):
                continue
            self.others.append((end.path, end.position))
        copied = copy is not None and any(1 in route.fds for route in plan.routes)
        if self.others and not copied:
            # The file that stdout goes to is the log; a copy of stderr stays beside it for the tail.
            (self.path, self.start), rest = self.others[0], self.others[1:]
            self.others = rest if copy is None else [*rest, (copy, start)]
        if self.path is not None:
            try:
                self.inode = os.stat(self.path).st_ino
            except OSError:
                self.path = None

    def fields(self) -> dict[str, Any]:
        """What the start says of the log."""
        if self.path is None:
            return {}
        return {"log_path": self.path, "log_inode": self.inode, "log_start": self.start}

    def parts(self) -> list[tuple[str, int]]:
        """(path, first byte) of all files with output of this run, the main one first."""
        return [*([] if self.path is None else [(self.path, self.start)]), *self.others]

    def grown(self) -> bool:
        """Has the command printed anything?"""
        try:
            return any(os.stat(path).st_size > start for path, start in self.parts())
        except OSError:
            return False

    def end(self) -> int | None:
        """Byte after the last one of this run."""
        if self.path is None:
            return None
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_size if found.st_ino == self.inode else None

    def last_lines(self) -> list[str]:
        """The last lines of all files of this run, the main one first."""
        return tail.merge([tail.last_lines(path, start) for path, start in self.parts()])


class Report:
    """The journal of one wrapped run."""

    def __init__(self, settings: "Settings", options: Options, command: Command, origin: Origin) -> None:
        from statustui import config

        self.settings = settings
        self.origin = origin
        self._options = options
        self._command = command
        self._task = options.name or command.name
        self._began = time.monotonic()
        self._spool = config.spool_dir(settings)
        self._writer = Writer(self._spool, role="wrapper", lang="sh", store_url=settings.store_url)
        self._patterns: list[re.Pattern[str]] | None = None
        self._memory: OomCounter | None = None
        self._follower: Follower | None = None

    def started(self, pid: int, log: Log) -> None:
        """Record the start."""
        from statustui.model.redact import redact_argv

        allowed = self.settings.env_allow
        self._writer.fact(
            "run.start",
            self.origin.run_id,
            task=self._task,
            stage=self._options.stage or stage_of(self._task, self.settings.stage_prefixes or DEFAULT_PREFIXES),
            type=self._command.type,
            args=redact_argv(shown(self._options.argv), self._secrets()),
            attempt=self.origin.attempt,
            retry_of=self.origin.retry_of,
            parent=self.origin.parent,
            script_path=self._command.script,
            cwd=context.cwd(),
            pid=pid,
            start=context.start_of(pid),
            pgid=pid,
            grace=self._options.grace,
            wrapped=True,
            named=self._options.name is not None,
            env={name: value for name, value in context.environment(allowed).items() if name != "PYTHON"},
            **log.fields(),
        )
        if self._options.asked_by is not None:
            self._writer.fact(
                "event",
                self.origin.run_id,
                kind="retry",
                message=f"attempt {self.origin.attempt}, a retry of {self.origin.retry_of or 'another run'}",
                actor=self._options.asked_by,
            )

    def launched(self, env: Mapping[str, str], log: Log) -> None:
        """Keep how to start it again, tell where the code stands, and see to it that somebody drains."""
        from statustui.journal import launch
        from statustui.journal import spawn as drainer
        from statustui.model import fingerprint  # noqa: F401  # while there is time: a bad end needs it
        from statustui.process.cgroup import OomCounter

        self._memory = OomCounter.of(os.getpid())
        options = self._options
        commit = context.git_commit(os.path.dirname(self._command.script) if self._command.script else context.cwd())
        if commit:
            self._writer.fact("run.info", self.origin.run_id, git_commit=commit)
        try:
            launch.write(
                self.settings.state_dir,
                self.origin.run_id,
                task=self._task,
                argv=list(options.argv),
                cwd=context.cwd(),
                exe=spawn.resolve(options.argv[0], env),
                env=context.launch_environment(self.settings.env_allow, env),
                env_file=options.env_file,
                log_path=log.path,
                stage=options.stage,
                grace=options.grace,
                store=self.settings.store_url,
                host=os.uname().nodename,
                wrapped=True,
                options=options.as_dict(),
            )
        except (OSError, StatustuiError) as error:
            self._writer.fact("event", self.origin.run_id, kind="warning", message=f"not retryable: {error}")
        if self.settings.drainer == "process":
            drainer.ensure_drainer(self._spool)

    def look(self, log: Log) -> float:
        """Read progress out of what the command has printed; seconds until the next look, negative for none."""
        try:
            if self._follower is None:
                if not log.grown():
                    return 0.5
                from statustui.control.output.follow import Follower

                self._follower = Follower(
                    log,
                    self._command,
                    self._options.argv,
                    self._options.progress,
                    self.settings.progress,
                    writer=self._writer,
                    spool=self._spool,
                    run_id=self.origin.run_id,
                    clean=self._plain,
                )
            return self._follower.look()
        except Exception as error:  # ours, not the command's: it must run, and its end must be recorded
            self._blind(error)
            return -1.0

    def _blind(self, error: Exception) -> None:
        self._follower = None
        told = f"its output is not looked at any more: {type(error).__name__}: {error}"[:500]
        self._writer.fact("event", self.origin.run_id, kind="warning", message=told)

    def _plain(self, text: str) -> str:
        return self._redacted("".join(c if c.isprintable() else " " for c in text))

    def refused(self, error: OSError, status: int, log: Log) -> None:
        """Record a command that could not be executed."""
        self.started(os.getpid(), log)
        told = self._error(type(error).__name__, f"{error.filename}: {error.strerror}")
        self._end(RunStatus.FAILED, exit_code=status, error=told)

    def ended(self, status: int, log: Log, *, asked: bool, log_failed: bool) -> None:
        """Record the end.

        Args:
            status: wait status of the command.
            log: where its output is.
            asked: INT, TERM or HUP was passed on to it.
            log_failed: a part of the copied log could not be written.
        """
        from statustui.control.cancel import was_asked

        if self._follower is not None:
            try:
                self._follower.finish()
            except Exception as error:
                self._blind(error)
        if log_failed:
            self._writer.fact(
                "event", self.origin.run_id, kind="warning", message="a part of the log could not be written"
            )
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        code = None if number is not None else os.WEXITSTATUS(status)
        fields: dict[str, Any] = {"exit_code": code, "signal": number, "log_end": log.end()}
        if code == 0:
            self._end(RunStatus.FINISHED, **fields)
            return
        asked = asked or was_asked(self.settings.state_dir, self.origin.run_id)
        lines = [self._redacted(line) for line in log.last_lines()]
        fields["log_tail"] = lines
        if number in _CANCELS or (asked and (number in (None, signal.SIGKILL))):
            self._end(RunStatus.CANCELLED, **fields)
            return
        said = f"exit status {code}" if number is None else f"killed by {_signal_name(number)}"
        last = tail.telling(lines)
        if number == signal.SIGKILL and self._memory is not None and (whose := self._memory.rose()) is not None:
            killer = "its cgroup's" if whose == "cgroup" else "the machine's"
            last = f"{said}, out of memory? {killer} oom_kill rose"
        self._end(RunStatus.FAILED, error=self._error(said, last or said), **fields)

    def close(self) -> None:
        """End the journal; in a container that ends with us, wait until it is in the store."""
        if self.settings.drainer == "process":
            self._wait_for_drainer()
        self._writer.close()
        if self.settings.drainer == "inline":
            from importlib import import_module

            import_module("statustui.drain.inline").run(self._spool, time.monotonic() + _INLINE_S)

    def _wait_for_drainer(self) -> None:
        from statustui.journal import acks

        wait = acks.exit_wait(self.settings.exit_wait)
        if wait > 0:
            from statustui.journal.spawn import ensure_drainer

            ensure_drainer(self._spool)
            acks.wait(self._writer, wait)

    def _end(self, status: RunStatus, **fields: Any) -> None:
        duration = time.monotonic() - self._began
        self._writer.fact("run.end", self.origin.run_id, status=status.value, duration=duration, **fields)

    def _error(self, kind: str, message: str) -> dict[str, Any]:
        from statustui.model.fingerprint import fingerprint

        message = self._redacted(message)
        # A bare exit status is no kind of failure that tasks could share.
        place = self._task if message == kind else None
        return {"type": kind, "message": message, "detail": None, "fingerprint": fingerprint(kind, message, place)}

    def _redacted(self, text: str) -> str:
        from statustui.model.redact import redact

        return redact(text, self._secrets())

    def _secrets(self) -> list[re.Pattern[str]]:
        if self._patterns is None:
            self._patterns = []
            for pattern in self.settings.redact:
                try:
                    self._patterns.append(re.compile(pattern))
                except re.error:
                    continue  # doctor tells of it; the command must run
        return self._patterns


def _signal_name(number: int) -> str:
    try:
        return f"{signal.Signals(number).name} ({number})"
    except ValueError:
        return f"signal {number}"
