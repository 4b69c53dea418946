"""Starting a run again: a new attempt, from the launch file on this host and from nothing else (P9).

The store only says which run is meant. What is executed, where and with which variables comes from the file that the
run's own recorder left, owned by this user and closed to all others.
"""

import os
import pwd
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from statustui.control.elsewhere import as_user, there
from statustui.errors import StatustuiError
from statustui.journal import launch
from statustui.journal.files import make_private_dirs, open_private
from statustui.journal.identity import user_name
from statustui.machine import host_name
from statustui.model.ids import new_id

if TYPE_CHECKING:
    from statustui.config import Settings
    from statustui.model.run import Run

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Variables that change what a program loads or runs are never taken from a record.
_NEVER = (
    "PATH", "BASH_ENV", "ENV", "IFS", "SHELLOPTS", "PS4", "NODE_OPTIONS", "HOME", "USER", "LOGNAME", "SHELL",
    "PROMPT_COMMAND", "ZDOTDIR", "GCONV_PATH", "GLIBC_TUNABLES", "OPENSSL_CONF",
)  # fmt: skip
_NEVER_PREFIXES = ("LD_", "DYLD_", "PYTHON", "PERL5", "RUBY", "GIT_", "BASH_FUNC_", "JAVA_TOOL")
_OURS = ("STATUSTUI_DRAINER", "STATUSTUI_EXIT_WAIT")
_CLAIM_S = 30.0
_START = """import sys
sys.path.append(sys.argv.pop(1))
from statustui.control.wrapper import main
sys.exit(main(sys.argv[1:]))"""


class RetryRefused(StatustuiError):
    """This run can not be started again from here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPlan:
    """What a retry would do, for a person to look at, and for :func:`start` to do."""

    run_id: str
    """The run that is repeated."""
    new_run_id: str
    """The id of the new attempt."""
    attempt: int
    """Its number."""
    argv: tuple[str, ...] = ()
    """The exact command."""
    cwd: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The whole environment of the new attempt."""
    env_diff: tuple[str, ...] = ()
    """What differs from the environment of the run before, one line each."""
    output: str = ""
    """The file that its output goes to."""
    refusal: str | None = None
    """Why it is not possible, in one line that says what to do; None when it is."""
    options: tuple[str, ...] = ()
    """Options of ``statustui run`` for the new attempt."""
    state_dir: str = ""

    @property
    def command(self) -> str:
        """The command as a shell would take it."""
        return shlex.join(self.argv)


def plan(
    state_dir: str,
    run: "Run",
    *,
    settings: "Settings | None" = None,
    open_runs: "Sequence[Run]" = (),
    force: bool = False,
) -> RetryPlan:
    """Work out how a run would be started again. Starts nothing.

    Args:
        state_dir: state directory of this user on this host.
        run: the run, as the store shows it.
        settings: the user's own configuration; None = read it.
        open_runs: open runs of the same task, one of which refuses the retry unless *force*.
        force: start although a run of the task is open, or a later attempt exists.
    """
    if settings is None:
        from statustui import config

        settings = config.load()
    empty = RetryPlan(run_id=run.run_id, new_run_id=new_id(), attempt=run.attempt + 1, state_dir=state_dir)
    try:
        busy = None if force else _busy(state_dir, run, open_runs)
        refusal = _elsewhere(run, settings) or busy or _as_root(settings)
        if refusal is not None:
            return _with(empty, refusal=refusal)
        record = launch.read(state_dir, run.run_id)
    except StatustuiError as error:
        return _with(empty, refusal=str(error))
    if isinstance(record.get("refusal"), str):
        return _with(empty, refusal=record["refusal"])
    argv = _true_argv(record)
    cwd = str(record.get("cwd") or "/")
    env, diff = _environment(record, state_dir, settings)
    planned = _with(
        empty,
        argv=tuple(argv),
        cwd=cwd,
        env=env,
        env_diff=tuple(diff),
        output=f"{state_dir}/logs/{empty.new_run_id}.log",
        options=tuple(_options(record)),
    )
    return _with(planned, refusal=_gone(record, argv, cwd))


def start(plan: RetryPlan, *, by: str, argv: Sequence[str] | None = None) -> str:
    """Start the new attempt, detached: it survives this session and has no terminal.

    Args:
        plan: from :func:`plan`.
        by: who asks, for the trail.
        argv: an edited command instead of the recorded one.

    Returns:
        The run_id of the new attempt.

    Raises:
        RetryRefused: the plan was refused, or somebody else has just started it.
        OSError: the log or the process can not be made.
    """
    if plan.refusal is not None:
        raise RetryRefused(plan.refusal)
    _claim(plan, by)
    try:
        _launch(plan, by, argv or plan.argv)
    except OSError:
        os.unlink(_claim_path(plan.state_dir, plan.run_id))
        raise
    return plan.new_run_id


def _launch(plan: RetryPlan, by: str, argv: Sequence[str]) -> None:
    make_private_dirs(os.path.dirname(plan.output), plan.state_dir)
    log = open_private(plan.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL)
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    try:
        process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-c", _START, package, *plan.options),
                *("--run-id", plan.new_run_id, f"--asked-by={by or 'somebody'}", "--", *argv),
            ],
            cwd=plan.cwd,
            env={**plan.env, "STATUSTUI_ATTEMPT": f"{plan.new_run_id}:{plan.attempt}:{plan.run_id}"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    finally:
        os.close(log)
    # Its end is nobody's business here, but the kernel keeps it until somebody asks.
    threading.Thread(target=process.wait, name="statustui-retry", daemon=True).start()


def _with(plan: RetryPlan, **changes: Any) -> RetryPlan:
    from dataclasses import replace

    return replace(plan, **changes)


def _elsewhere(run: "Run", settings: "Settings") -> str | None:
    """The way to where it can be done, when it can not be done here."""
    foreign = run.user if run.user is not None and run.user != user_name() else None
    if run.host is not None and run.host != host_name():
        return f"it ran on {run.host}: {there(run.host, settings, 'retry', run.id, foreign)}"
    return f"it is {foreign}'s: {as_user(foreign)}statustui retry {run.id}" if foreign is not None else None


def _busy(state_dir: str, run: "Run", open_runs: "Sequence[Run]") -> str | None:
    if run.status.open:
        return f"{run.task} {run.id} is still running (pid {run.pid})"
    for other in open_runs:
        return f"{other.task} {other.id} is running already"
    claimed = _claimed(state_dir, run.run_id)
    if claimed is not None:
        return claimed
    return "a later attempt exists: retry that one" if run.retried else None


def _as_root(settings: "Settings") -> str | None:
    if os.geteuid() != 0 or not settings.store_url.startswith("sqlite:"):
        return None
    path = settings.store_url.partition(":///")[2]
    try:
        owner = os.stat(path).st_uid
    except OSError:
        return None
    if owner == 0:
        return None
    return f"you are root and the store belongs to uid {owner}: sudo -u '#{owner}' statustui retry"


def _gone(record: Mapping[str, Any], argv: Sequence[str], cwd: str) -> str | None:
    if record.get("host") not in (None, host_name()):
        return f"it was started on {record['host']}, this is {host_name()}"
    if not os.path.isdir(cwd):
        return f"its directory is gone: {cwd}"
    program = os.path.join(cwd, argv[0])
    if "/" in argv[0] and not (os.path.isfile(program) and os.access(program, os.X_OK)):
        return f"its program is gone: {argv[0]}"
    return None


def _true_argv(record: Mapping[str, Any]) -> list[str]:
    """The recorded command, its program as it was found at the start."""
    argv = [str(word) for word in record["argv"]]
    exe = record.get("exe")
    return [exe, *argv[1:]] if isinstance(exe, str) and os.path.isabs(exe) else argv


def _environment(record: Mapping[str, Any], state_dir: str, settings: "Settings") -> tuple[dict[str, str], list[str]]:
    """The new attempt's environment, and what differs from the one before."""
    user = pwd.getpwuid(os.geteuid()) if _known_user() else None
    env = {
        "HOME": user.pw_dir if user else os.environ.get("HOME", "/"),
        "USER": user.pw_name if user else user_name(),
        "LOGNAME": user.pw_name if user else user_name(),
        "SHELL": (user.pw_shell if user else "") or "/bin/sh",
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "PATH": settings.path or DEFAULT_PATH,
    }
    diff = [f"PATH={env['PATH']} ({'configured' if settings.path else 'usual one'})"]
    for name, value in (record.get("env") or {}).items():
        if name in _OURS:
            env[name] = value
        elif name in _NEVER or name.startswith(_NEVER_PREFIXES) or name.startswith("STATUSTUI_"):
            if name not in ("STATUSTUI_STORE", "STATUSTUI_STATE_DIR"):
                diff.append(f"{name} left out")
        else:
            env[name] = value
    env["STATUSTUI_STATE_DIR"] = state_dir
    if record.get("store"):
        env["STATUSTUI_STORE"] = str(record["store"])
    if record.get("env_file"):
        diff.append(f"variables of {record['env_file']} as they are now")
    return env, diff


def _known_user() -> bool:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def _options(record: Mapping[str, Any]) -> list[str]:
    """Options of ``statustui run`` that make the new attempt what the old one was."""
    options = record.get("options") or {}
    words: list[str] = []
    for option, value in (
        ("--name", record.get("task")),
        ("--stage", record.get("stage")),
        ("--grace", record.get("grace")),
        ("--env-file", record.get("env_file")),
        ("--progress", options.get("progress") if options.get("progress") != "auto" else None),
    ):
        if value is not None:
            words.append(f"{option}={value}")
    return [*words, "--pty"] if options.get("pty") is True else words


def _claim_path(state_dir: str, run_id: str) -> str:
    return f"{launch.path_of(state_dir, run_id).removesuffix('.json')}.retry"


def _claimed(state_dir: str, run_id: str) -> str | None:
    """Who has just started this run again."""
    path = _claim_path(state_dir, run_id)
    try:
        age = time.time() - os.stat(path, follow_symlinks=False).st_mtime
        fd = open_private(path, os.O_RDONLY)
        try:
            by, _, new = os.read(fd, 500).decode("utf-8", "replace").partition("\n")
        finally:
            os.close(fd)
    except OSError:
        return None
    return f"{by} started {new[:13]} {max(0, age):.0f} s ago" if age < _CLAIM_S else None


def _claim(plan: RetryPlan, by: str) -> None:
    """See to it that of two who press the key at once only one starts it."""
    path = _claim_path(plan.state_dir, plan.run_id)
    text = f"{by.splitlines()[0][:200] if by else 'somebody'}\n{plan.new_run_id}".encode("utf-8", "replace")
    for _ in range(2):
        try:
            fd = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            claimed = _claimed(plan.state_dir, plan.run_id)
            if claimed is not None:
                raise RetryRefused(claimed) from None
            os.unlink(path)
            continue
        os.write(fd, text)
        os.close(fd)
        return
    raise RetryRefused("somebody else is starting it")
