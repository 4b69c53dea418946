"""Adopting what already runs: a process that nobody started through us becomes a run, without a restart.

The first lines of its journal are written here, in its name: role ``adopted``, without a lock, so that pid, start tick
and boot id say whether it lives. The drainer does the rest: samples, progress of the files it reads, the end, cancel.
"""

import errno
import hashlib
import os
import pwd
import re
import stat
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from statustui.control.options import describe
from statustui.errors import StatustuiError
from statustui.journal import identity
from statustui.journal.files import open_private, prepare_spool, segment_path
from statustui.journal.line import line_of
from statustui.machine import boot_id, machine_id
from statustui.model.ids import new_id
from statustui.model.redact import redact, redact_argv
from statustui.model.stage import DEFAULT_PREFIXES, stage_of
from statustui.process import command_line
from statustui.process.descriptors import output_file
from statustui.process.facts import Facts, ancestors, facts
from statustui.process.identity import LINUX, start_tick
from statustui.record import context

if TYPE_CHECKING:
    from statustui.config import Settings
    from statustui.model.run import Run

_WORDS = 1_000
_HEAD = 4_096
_OURS = re.compile(r"(?:^|/)statustui(?:$|/__main__\.py$)|^statustui(?:\.|$)")


class AdoptRefused(StatustuiError):
    """This process can not be adopted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Adoption:
    """What was begun."""

    run_id: str
    task: str
    log_path: str | None
    notes: tuple[str, ...] = ()
    """What is not possible with it, one line each."""


def inspect(pid: int, open_runs: "Iterable[Run]") -> Facts:
    """Look whether a process can be adopted.

    Args:
        pid: the process.
        open_runs: the runs that are open in the store.

    Raises:
        AdoptRefused: it can not; the message is one line that says why.
    """
    about = facts(pid)
    if about is None:
        raise AdoptRefused(f"there is no process {pid}")
    if about.thread_of is not None:
        raise AdoptRefused(f"{pid} is a thread: adopt its process {about.thread_of}")
    if about.state in "ZXx":
        raise AdoptRefused(f"process {pid} has ended already (a zombie that its parent {about.ppid} has not taken)")
    if not about.argv and about.ppid in (0, 2) and (pid == 2 or about.ppid == 2):
        raise AdoptRefused(f"process {pid} is a thread of the kernel")
    if pid == 1:
        raise AdoptRefused("process 1 is the system's own (init)")
    if about.uid != os.geteuid() and os.geteuid() != 0:
        raise AdoptRefused(f"process {pid} belongs to {user_of(about.uid)}: adopt it as that user, or as root")
    if pid == os.getpid() or pid in ancestors(os.getpid()):
        raise AdoptRefused(f"process {pid} is {'this command itself' if pid == os.getpid() else 'what you work in'}")
    if is_ours(about.argv):
        raise AdoptRefused(f"process {pid} is statustui's own ({' '.join(redact_argv(about.argv[:6]))[:80]})")
    _check_untracked(about, open_runs)
    return about


def is_ours(argv: Sequence[str]) -> bool:
    """Is it a drainer, a monitor, a wrapper or another command of ours?"""
    words = list(argv[:6])
    names = words[:2] + [words[i + 1] for i, word in enumerate(words[:-1]) if word == "-m"]
    return any(_OURS.search(word) for word in names) or any(
        word.endswith("/start_drainer.py") or "statustui.control" in word for word in words
    )


def words_of(about: Facts) -> list[str]:
    """Its arguments; a title that it gave itself (``setproctitle``) taken apart, so that secrets in it are found."""
    argv = list(about.argv)
    if argv and " " in argv[0]:
        program = command_line.program(about.pid)
        if program is None or os.path.basename(program) != os.path.basename(argv[0]):
            return argv[0].split() + argv[1:]
    return argv


def user_of(uid: int) -> str:
    """Name of a user, or ``uid N``."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def tracked(open_runs: "Iterable[Run]") -> "dict[tuple[int, int | None], Run]":
    """The processes of this machine that are tracked: (pid, start tick) → run."""
    here, boot = machine_id(), boot_id()
    return {
        (run.pid, run.start_tick): run
        for run in open_runs
        if run.pid is not None and run.boot_id in (None, boot) and (run.machine or here).startswith(here)
    }


def _check_untracked(about: Facts, open_runs: "Iterable[Run]") -> None:
    known = tracked(open_runs)
    if not known:
        return
    for pid in (about.pid, *ancestors(about.pid)):
        start = about.start if pid == about.pid else start_tick(pid)
        run = known.get((pid, start)) or known.get((pid, None))
        if run is not None:
            what = "is" if pid == about.pid else "is a child of"
            raise AdoptRefused(f"process {about.pid} {what} run {run.id} ({run.task}): it is tracked already")


def adopt(
    settings: "Settings",
    about: Facts,
    *,
    by: str,
    name: str | None = None,
    stage: str | None = None,
    log: str | None = None,
    progress_file: str | None = None,
) -> Adoption:
    """Begin the run of a process that was inspected, and see to it that a drainer watches it.

    Args:
        settings: the configuration; the run goes into its store.
        about: the process, from :func:`inspect`.
        by: who asks, for the trail.
        name: of the task; None = by its script or program.
        stage: of the task; None = by its name.
        log: its log; None = the regular file that its output goes to.
        progress_file: the one file whose position counts; None = found by itself.

    Raises:
        AdoptRefused: it has ended meanwhile, was adopted already, or nobody may watch it.
        OSError: the journal can not be made.
    """
    if settings.drainer == "inline":
        raise AdoptRefused("with drainer = inline no process stays to watch it: adopting needs a drainer of its own")
    from statustui import config
    from statustui.journal import spawn

    spool = config.spool_dir(settings)
    prepare_spool(spool, settings.store_url)
    run_id, journal = new_id(), _journal_of(about)
    fields, notes = _fields(settings, about, name, stage, log, progress_file)
    lines = [
        line_of("writer", None, _writer(about, journal)),
        line_of("run.start", run_id, fields),
        line_of("event", run_id, {
            "kind": "adopted", "message": f"pid {about.pid}, while it ran", "actor": by,
        }),
        *(line_of("event", run_id, {"kind": "warning", "message": note}) for note in notes),
    ]  # fmt: skip
    _leave_launch_file(settings, about, run_id, fields, stage, notes)
    if start_tick(about.pid) != about.start:
        raise AdoptRefused(f"process {about.pid} has just ended")
    try:
        fd = open_private(segment_path(spool, journal, 0), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL)
    except FileExistsError as error:
        raise AdoptRefused(f"process {about.pid} was adopted before") from error
    try:
        os.write(fd, b"".join(lines) + b"\n")
    finally:
        os.close(fd)
    if settings.drainer == "process":
        spawn.ensure_drainer(spool)
    return Adoption(run_id=run_id, task=str(fields["task"]), log_path=fields.get("log_path"), notes=tuple(notes))


def _journal_of(about: Facts) -> str:
    """A name that only this process can have: of two who adopt it at once only one can make the file."""
    began = about.start & ((1 << 48) - 1)
    word = hashlib.sha256(f"{boot_id()}:{about.pid}:{about.start}".encode()).hexdigest()
    text = f"{began:012x}7{word[:3]}8{word[3:18]}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _writer(about: Facts, journal: str) -> dict[str, Any]:
    return {
        "v": 1, "journal": journal, **identity.describe(), "pid": about.pid, "start": about.start,
        "user": user_of(about.uid), "uid": about.uid, "exe": command_line.program(about.pid) or "", "lang": "",
        "role": "adopted",
    }  # fmt: skip


def _fields(
    settings: "Settings", about: Facts, name: str | None, stage: str | None, log: str | None, progress_file: str | None
) -> tuple[dict[str, Any], list[str]]:
    """The fields of its ``run.start``, and what is not possible."""
    argv = words_of(about) or [_kernel_name(about.pid)]
    cwd = command_line.directory(about.pid)
    command = describe(argv, cwd)
    secrets = _patterns(settings)
    task = redact(name or command.name, secrets)
    variables = context.launch_environment(settings.env_allow, command_line.environment(about.pid))
    from statustui.model.redact import is_secret_name

    fields: dict[str, Any] = {
        "task": task,
        "stage": stage or stage_of(task, {**DEFAULT_PREFIXES, **settings.stage_prefixes}),
        "type": command.type,
        "args": redact_argv(argv[:_WORDS], secrets),
        "script_path": command.script,
        "cwd": cwd,
        "git_commit": context.git_commit(os.path.dirname(command.script) if command.script else cwd),
        "began": time.time() - about.age_s,
        "env": {
            key: "[redacted]" if is_secret_name(key) else redact(value[:1000], secrets)
            for key, value in variables.items()
            if not key.startswith("STATUSTUI_")
        },
        **_log(about.pid, log),
        **_chosen(progress_file),
    }
    notes = [] if LINUX else ["this system does not tell how far a process has read its files: no progress"]
    return {key: value for key, value in fields.items() if value is not None}, notes


def _kernel_name(pid: int) -> str:
    with suppress(OSError), open(f"/proc/{pid}/comm", "rb") as file:
        return os.fsdecode(file.read(64).strip()) or "process"
    return "process"


def _log(pid: int, log: str | None) -> dict[str, Any]:
    if log is not None:
        path = os.path.abspath(log)
        about = _regular(path, "--log")
        return {"log_path": path, "log_inode": about.st_ino, "log_start": 0}
    found = output_file(pid, _is_text)
    if found is None:
        return {}
    # What stood in it before the process began to append is another's, and nobody knows where that ends.
    start = found.size if found.mode == "a" else 0
    return {"log_path": found.path, "log_inode": found.ino, "log_start": start}


def _is_text(path: str) -> bool:
    """Is it a log, and not data that a program writes to its stdout (``gzip < a > a.gz``)?"""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return True
    try:
        return b"\0" not in os.read(fd, _HEAD)
    except OSError:
        return True
    finally:
        os.close(fd)


def _chosen(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    about = _regular(os.path.abspath(path), "--progress-file")
    return {"progress_file": [about.st_dev, about.st_ino]}


def _regular(path: str, option: str) -> os.stat_result:
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno or errno.EINVAL) if isinstance(error, OSError) else "not a path"
        raise AdoptRefused(f"{option} {path}: {reason}") from error
    if not stat.S_ISREG(found.st_mode):
        raise AdoptRefused(f"{option} {path}: not a regular file")
    return found


def _patterns(settings: "Settings") -> tuple[re.Pattern[str], ...]:
    """The user's own expressions for secrets; one that is none is left out, and `doctor` tells of it."""
    found = []
    for pattern in settings.redact:
        with suppress(re.error):
            found.append(re.compile(pattern))
    return tuple(found)


def _leave_launch_file(
    settings: "Settings", about: Facts, run_id: str, fields: dict[str, Any], stage: str | None, notes: list[str]
) -> None:
    """The true command line, for a retry: 0600, on this host, never in the store."""
    from statustui.journal import launch

    variables = command_line.environment(about.pid)
    argv = list(about.argv)
    exe = command_line.resolve(argv, fields.get("cwd"), variables.get("PATH")) if argv else None
    refusal = _not_repeatable(about, argv, exe)
    with suppress(StatustuiError, OSError):
        launch.write(
            settings.state_dir, run_id, task=fields["task"], argv=argv or ["-"], cwd=fields.get("cwd"), exe=exe,
            env=context.launch_environment(settings.env_allow, variables), log_path=fields.get("log_path"),
            stage=stage, store=settings.store_url, host=os.uname().nodename, wrapped=False, refusal=refusal,
        )  # fmt: skip


def _not_repeatable(about: Facts, argv: Sequence[str], exe: str | None) -> str | None:
    """Why a retry would not do the same again; None when it would."""
    if about.uid != os.geteuid():
        return f"it was adopted from {user_of(about.uid)}: start it again as that user"
    if not argv or exe is None:
        return "it was adopted, and its command line does not say how it was started"
    if not LINUX:
        return None
    program = command_line.program(about.pid)
    if program is not None and os.path.exists(program) and not os.path.samefile(program, exe):
        return f"it was adopted, and its command line does not name what it runs ({program})"
    try:
        mode = os.stat(f"/proc/{about.pid}/fd/0").st_mode
    except OSError:
        return None
    if stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        return "it was adopted, and what it read from its standard input can not be given to it again"
    return None
