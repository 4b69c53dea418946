"""``statustui run``: a command runs unchanged, and what became of it is recorded.

The order matters: the command starts first, and is recorded while it works. Whatever fails in the recording, the
command runs as it would alone.
"""

import os
import signal
import sys
import time

from statustui.control import options as wanted
from statustui.control import streams
from statustui.control.job import JOIN, Job, join_token, make
from statustui.control.logcopy import LogCopy
from statustui.control.options import Options, UsageError
from statustui.control.signals import Signals
from statustui.errors import StatustuiError
from statustui.model.ids import new_id

TYPE_CHECKING = False  # typing costs 3 ms before the command starts
if TYPE_CHECKING:
    from statustui.config import Settings
    from statustui.control.report import Log, Origin, Report

NOT_FOUND = 127
NOT_EXECUTABLE = 126
USAGE = 2
_ATTEMPT = "STATUSTUI_ATTEMPT"
# Before that nothing of what reads the output is loaded: most commands have ended.
_FIRST_LOOK_S = 0.5


def main(argv: list[str]) -> int:
    """Run a command; the arguments are those after ``run``.

    Returns:
        The exit status: the command's own, 128+n after signal n, 127 not found, 126 not executable, 2 usage.
    """
    if argv[:1] in (["--help"], ["-h"]):
        if sys.stdout is not None:
            sys.stdout.write(wanted.HELP)
        return 0
    try:
        options = wanted.parse(argv)
    except UsageError as error:
        _complain(f"{error}\n{wanted.USAGE}")
        return USAGE
    return _Wrapper(options).run()


class _Wrapper:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.plan = streams.decide(options)  # before we open anything: it may be that 0, 1 or 2 are closed
        self.signals = Signals()
        self.command = wanted.describe(options.argv)
        self.settings = self._settings()
        self.env = dict(os.environ)
        self.origin_env = (self.env.pop(_ATTEMPT, ""), self.env.pop(JOIN, ""))
        self.run_id = self._run_id()
        self.copy: str | None = None
        self.copy_start = 0
        self.report: Report | None = None
        self.log: Log | None = None

    def run(self) -> int:
        self._environment()
        job = make(self.plan, self._open_copy(), self.signals)
        try:
            job.start(self.options.argv, self.env)
        except OSError as error:
            return self._not_started(error)
        self._record_start(job)
        status = job.run()
        if self.report is not None and self.log is not None:
            if job.idle is not None:
                job.idle()
            self.report.ended(status, self.log, asked=job.asked_to_end, log_failed=job.log_failed)
            self.report.close()
        return _finish(job, status)

    def _settings(self) -> "Settings | None":
        """The configuration; None when nothing can be recorded, which is said once."""
        if os.environ.get("STATUSTUI_DISABLE", "") not in ("", "0"):
            return None
        from statustui import config

        try:
            script = self.command.script
            start = os.path.dirname(script) if script and os.path.isfile(script) else None
            return config.load(store=self.options.store, start=start)
        except (StatustuiError, OSError) as error:
            _complain(f"not recorded: {error}")
            return None

    def _run_id(self) -> str:
        first = self.origin_env[0].partition(":")[0]
        return self.options.run_id or first or new_id()

    def _environment(self) -> None:
        """What the command gets beside its own environment."""
        if self.options.env_file is not None:
            try:
                self.env.update(wanted.read_env_file(self.options.env_file))
            except OSError as error:
                _complain(f"--env-file {self.options.env_file}: {error.strerror}")
        if self.settings is None:
            return
        from statustui import config
        from statustui.journal.identity import start_tick
        from statustui.record.join import OWNER, SUBTASK, owner_token

        self.env[JOIN] = join_token(self.run_id)
        self.env[OWNER] = owner_token(self.run_id, os.getpid(), start_tick(), config.spool_dir(self.settings))
        for name in (SUBTASK, "STATUSTUI_CONTEXT"):  # of the run around this one
            self.env.pop(name, None)
        if self.options.store is not None:
            self.env["STATUSTUI_STORE"] = self.settings.store_url

    def _open_copy(self) -> LogCopy | None:
        """The file for copied output; None when nothing is copied or it can not be made."""
        if not self.plan.routes or self.options.no_log or self.settings is None:
            return None
        from statustui.journal.files import make_private_dirs, open_private

        try:
            if self.options.log is not None:
                fd = os.open(self.options.log, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self.copy, self.copy_start = self.options.log, os.fstat(fd).st_size
                return LogCopy(fd, limited=False)
            directory = f"{self.settings.state_dir}/logs"
            make_private_dirs(directory, self.settings.state_dir)
            self.copy = f"{directory}/{self.run_id}.log"
            return LogCopy(open_private(self.copy, os.O_RDWR | os.O_CREAT | os.O_EXCL), limited=True)
        except OSError as error:
            if self.options.log is not None:
                _complain(f"--log {self.options.log}: {error.strerror}; the output is not copied")
            self.copy = None
            return None

    def _record(self) -> "tuple[Report, Log] | None":
        if self.settings is None:
            return None
        from statustui.control.report import Log, Report

        self.report = Report(self.settings, self.options, self.command, self._origin())
        self.log = Log(self.plan, self.copy, self.copy_start)
        return self.report, self.log

    def _record_start(self, job: Job) -> None:
        recorded = self._record()
        if recorded is None:
            return
        report, log = recorded
        report.started(job.pid, log)
        job.idle = lambda: report.launched(self.env, log)
        if self.options.progress != "off" and (log.path is not None or log.others):
            job.look, job.look_at = lambda: report.look(log), time.monotonic() + _FIRST_LOOK_S

    def _origin(self) -> "Origin":
        from statustui.control.report import Origin

        attempt, join = self.origin_env
        parent = join.partition(":")[0] or _around()
        parts = attempt.split(":")
        if len(parts) == 3 and parts[0] == self.run_id and parts[1].isdigit():
            return Origin(self.run_id, int(parts[1]), parts[2], parent)
        return Origin(self.run_id, parent=parent)

    def _not_started(self, error: OSError) -> int:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        status = NOT_FOUND if missing else NOT_EXECUTABLE
        name = self.options.argv[0]
        said = f"{name}: command not found" if missing and "/" not in name else f"{name}: {error.strerror}"
        if name.endswith(".py") and os.path.isfile(name):
            said += f"; python -m statustui run {name} runs it"
        _complain(said)
        recorded = self._record()
        if recorded is not None:
            recorded[0].refused(error, status, recorded[1])
            recorded[0].launched(self.env, recorded[1])
            recorded[0].close()
        return status


def _around() -> str | None:
    """The run that this wrapper was started in, by a shell script or a program that told its children."""
    from statustui.record.join import owner

    found = owner()
    return found.run_id if found is not None and not found.ended() else None


def _finish(job: Job, status: int) -> int:
    """End as the command did, so far as a shell looks at it."""
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    if number == signal.SIGINT and job.at_terminal():
        # The terminal would have interrupted our whole group, and a shell leaves its loop only when a job died of it.
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.killpg(0, signal.SIGINT)
    return 128 + number


def _complain(text: str) -> None:
    try:
        os.write(2, f"statustui run: {text}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
