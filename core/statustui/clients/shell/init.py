"""``statustui shell-init``: begins the journal of the shell script that asks, and prints the functions for it.

The script's run begins here, told by the program, which can redact, look for the commit and leave the launch file; what
follows is appended by the shell itself.
"""

import os
import re
import sys
import time
from contextlib import suppress

from statustui.errors import StatustuiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from statustui.config import Settings

USAGE = """Usage: statustui shell-init bash|sh

Print the functions genter, gexit, gmessage, track_progress, track_error and track_finish for a shell script, and begin
its run. They append a line to a journal and start no process.

  eval "$(statustui shell-init bash)"     in a bash script
  eval "$(statustui shell-init sh)"       in any POSIX shell (dash, busybox)
"""
_ADDRESSES = (28, 48, 49, 50, 51)  # fields of /proc/pid/stat: startstack, arg_start, arg_end, env_start, env_end
_CHUNK = 1000


class Script:
    """The shell that asks, as /proc tells of it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        """The shell's ``$$``."""
        self.argv = _arguments(pid)
        """Its command line; empty where it can not be read."""
        self.cwd = _link(f"/proc/{pid}/cwd")
        self.exe = _link(f"/proc/{pid}/exe")
        self.path, self.args = _script_of(self.argv, self.cwd)
        self.interactive = self.path is None and not any(_is_c(word) for word in self.argv[1:])

    @property
    def task(self) -> str:
        """Name for its run."""
        from statustui.record.context import base_name

        if self.path is not None:
            return base_name(self.path)
        shell = os.path.basename((self.argv or ["sh"])[0]).lstrip("-")
        return shell if self.interactive else f"{shell} -c"


def find_shell() -> int:
    """The ``$$`` of the shell that started this process, from inside ``$(…)`` too.

    A subshell is a copy of its shell made by fork: the kernel has the same addresses for their arguments and stacks,
    which differ after an exec.
    """
    pid = os.getppid()
    mine = _image(pid)
    while mine is not None:
        fields = _stat(pid)
        parent = int(fields[1]) if fields else 0
        if parent <= 1 or _image(parent) != mine:
            break
        pid = parent
    return pid


def _stat(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read(4096).rpartition(b")")[2].split()
    except OSError:
        return []


def _image(pid: int) -> "tuple[str, bytes, tuple[bytes, ...]] | None":
    fields = _stat(pid)
    if len(fields) <= _ADDRESSES[-1] - 3:
        return None
    places = tuple(fields[number - 3] for number in _ADDRESSES)
    if not any(int(place) for place in places):
        return None  # not ours to see
    return _link(f"/proc/{pid}/exe") or "", b"\0".join(os.fsencode(word) for word in _arguments(pid)), places


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _arguments(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            data = file.read(1 << 20)
    except OSError:
        return []
    return [os.fsdecode(word) for word in data.rstrip(b"\0").split(b"\0")] if data else []


def _is_c(word: str) -> bool:
    return word.startswith("-") and not word.startswith("--") and "c" in word


def _script_of(argv: list[str], cwd: str | None) -> tuple[str | None, list[str]]:
    """The script among the arguments of a shell, and the arguments behind it."""
    skip = False
    for number, word in enumerate(argv[1:], 1):
        if skip:
            skip = False
        elif word in ("-o", "+o", "-O", "+O", "--rcfile", "--init-file"):
            skip = True
        elif word in ("sh", "ash", "bash", "hush") and os.path.basename(argv[0]) == "busybox":
            continue
        elif _is_c(word) or word == "-s":
            return None, argv[number + 1 :]
        elif word in ("--", "-"):
            continue
        elif not word.startswith(("-", "+")):
            path = os.path.join(cwd or "/", word)
            return (path, argv[number + 1 :]) if os.path.isfile(path) else (None, argv[number:])
    return None, []


def main(argv: list[str]) -> int:
    """Print the code for the shell to evaluate; the exit status is 0 unless it was called wrongly."""
    if argv[:1] not in (["bash"], ["sh"]) or argv[1:2] not in ([], ["--pid"]):
        wanted_help = argv[:1] in (["--help"], ["-h"])
        (sys.stdout if wanted_help else sys.stderr).write(USAGE)
        return 0 if wanted_help else 2
    given = argv[2:3]
    for path in argv[3:]:  # begun for a process that turned out not to be the shell
        with suppress(OSError):
            os.unlink(path)
    pid = int(given[0]) if given and given[0].isdigit() else find_shell()
    code = _variables(argv[0], pid) + functions(argv[0])
    sys.stdout.buffer.write(code.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()
    return 0


def functions(shell: str) -> str:
    """The functions for ``bash`` or ``sh``, without comments."""
    here = os.path.dirname(os.path.abspath(__file__))
    names = ("common.sh", "bash.sh" if shell == "bash" else "posix.sh")
    lines = []
    for name in names:
        with open(f"{here}/{name}", encoding="utf-8") as file:
            lines += [line for line in file if not line.lstrip().startswith("#") and line.strip()]
    off = "+axET" if shell == "bash" else "+ax"
    return "".join(lines).replace("@QUIET@", f"local - LC_ALL=C && set {off}")


def _variables(shell: str, pid: int) -> str:
    """The variables of this script; a journal is begun for it."""
    values = dict.fromkeys(("file", "run", "spool", "drainer", "script", "about", "id", "deferred", "owner"), "")
    values["pid"] = str(pid)
    code = ""
    if os.environ.get("STATUSTUI_DISABLE", "") in ("", "0"):
        try:
            begun = begin(Script(pid))
            values |= begun.values
            code = begun.code(shell)
        except (StatustuiError, OSError, ValueError) as error:
            sys.stderr.write(f"statustui: not recorded: {error}\n")
    values |= _clocks()
    return "".join(f"_stui_{name}={quoted(value)}\n" for name, value in values.items()) + code


def _clocks() -> dict[str, str]:
    """What the shell adds to the seconds since the boot: those asleep, and the time of day."""
    now = time.monotonic()
    asleep = 0
    if hasattr(time, "CLOCK_BOOTTIME"):
        asleep = round(time.clock_gettime(time.CLOCK_BOOTTIME) - now)
    local = time.localtime()
    day = (local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec - int(now)) % 86_400
    return {"asleep": str(asleep), "looked": str(int(now)), "day": str(day)}


def quoted(text: str) -> str:
    """*text* as one word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


class Begun:
    """A journal that waits for its first lines: the shell writes them once it has said that it is the one."""

    def __init__(self, pid: int, values: dict[str, str], lines: list[str], exports: dict[str, str]) -> None:
        self.pid = pid
        self.values = values
        self.lines = lines
        self.exports = exports
        stem = values["file"].removesuffix(".0.jsonl")
        self.files = [values["file"], f"{stem}.tick", f"{stem}.ack"]

    def code(self, shell: str) -> str:
        """Write the first lines; where this is another process than was found, ask once more and name it."""
        file = quoted(self.files[0])
        inside = [f"printf '\\n%s\\n' {quoted(line)} 2>/dev/null >>{file} || _stui_file=" for line in self.lines]
        inside += [f"export {name}={quoted(value)}" for name, value in self.exports.items()]
        inside.append("unset STATUSTUI_JOIN STATUSTUI_ATTEMPT STATUSTUI_SUBTASK")
        again = " ".join(map(quoted, [sys.executable, "-P", "-m", "statustui", "shell-init", shell, "--pid"]))
        instead = " ".join(map(quoted, self.files))
        body = "\n".join(inside)
        return f'if [ "$$" = {self.pid} ]; then\n{body}\nelse\neval "$({again} "$$" {instead})"\nfi\n'


def begin(script: Script, *, lang: str = "sh", more: "dict[str, Any] | None" = None) -> Begun:
    """Begin the journal and the run of a script.

    Args:
        script: the process that will write.
        lang: its language.
        more: fields of its ``run.start`` that it gave itself.

    Raises:
        StatustuiError: the configuration can not be used.
        OSError: the journal can not be made.
    """
    from statustui import __version__, config
    from statustui.journal import identity, spawn
    from statustui.journal.files import open_private, prepare_spool, segment_path
    from statustui.model.ids import new_id
    from statustui.record import join
    from statustui.record.context import start_of

    settings = config.load(start=os.path.dirname(script.path) if script.path else script.cwd)
    spool = config.spool_dir(settings)
    prepare_spool(spool, settings.store_url)
    journal, tick = new_id(), start_of(script.pid)
    run, kin = _run(script)
    fields = {**_about(script, settings), **(more or {})}
    about = {**identity.describe(), "pid": script.pid, "start": tick, "version": __version__, "exe": script.exe or ""}
    lines = [_line("writer", None, {"v": 1, "journal": journal, **about, "lang": lang, "role": "program"})]
    if not script.interactive:
        lines.append(_line("run.start", run, {**fields, **kin}))
        if "prestarted" not in kin:
            _leave_launch_file(script, run, fields, settings)
    values = {
        "file": segment_path(spool, journal, 0),
        "spool": spool,
        "run": "" if script.interactive else run,
        "id": run,
        "deferred": "1" if script.interactive else "",
        "owner": join.owner_token("", script.pid, tick, spool)[1:],
        "script": script.path or "",
        "about": "," + _line("x", None, {"t": 0, "m": 0, **fields}).removeprefix('{"k":"x","t":0,"m":0,')[:-1],
    }
    exports = {
        "STATUSTUI_CONTEXT": f"{run} {spool} {fields['task']}",
        join.OWNER: join.owner_token(run, script.pid, tick, spool),
    }
    begun = Begun(script.pid, values, lines, {} if script.interactive else exports)
    for name in begun.files:
        os.close(open_private(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    if settings.drainer == "process":
        values["drainer"] = " ".join(map(quoted, spawn.drainer_command(spool)))
        spawn.ensure_drainer(spool)
    return begun


def _line(kind: str, run: str | None, fields: "dict[str, Any]") -> str:
    from statustui.journal.line import line_of

    return line_of(kind, run, fields).decode("ascii").strip()


def _run(script: Script) -> "tuple[str, dict[str, Any]]":
    """The id of its run, and how it belongs to others: joined to a wrapper's, an attempt, or started by another run."""
    from statustui.model.ids import new_id
    from statustui.record import join

    fields = _stat(script.pid)
    joined = join.take_join(int(fields[1]) if fields else -1)
    if joined is not None:
        return joined, {"prestarted": True}
    attempt = join.take_attempt()
    if attempt is not None:
        return attempt[0], {"attempt": attempt[1], "retry_of": attempt[2]}
    parts = os.environ.get("STATUSTUI_CONTEXT", "").split(" ", 2)
    if len(parts) == 3 and len(parts[0]) == 36:
        return new_id(), {"parent": parts[0]}
    return new_id(), {}


def _about(script: Script, settings: "Settings") -> "dict[str, Any]":
    """The fields of a ``run.start``."""
    from statustui.model import redact
    from statustui.model.stage import DEFAULT_PREFIXES, stage_of
    from statustui.record import context

    task = redact.redact(script.task)
    fields = {
        "task": task,
        "stage": stage_of(task, {**DEFAULT_PREFIXES, **settings.stage_prefixes}),
        "type": "sh",
        "args": redact.redact_argv([script.path or "", *script.args][:_CHUNK], _patterns(settings)),
        "script_path": script.path,
        "cwd": script.cwd,
        "git_commit": context.git_commit(os.path.dirname(script.path) if script.path else script.cwd),
        **_log(script.pid),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _patterns(settings: "Settings") -> "tuple[re.Pattern[str], ...]":
    """The user's own expressions for secrets; one that is none is left out."""
    found = []
    for pattern in settings.redact:
        with suppress(re.error):
            found.append(re.compile(pattern))
    return tuple(found)


def _log(pid: int) -> "dict[str, Any]":
    """The regular file that the script's output goes to; its own stdout is that of ``$(…)`` here."""
    import stat

    for number in (1, 2):
        try:
            path = os.readlink(f"/proc/{pid}/fd/{number}")
            found = os.stat(f"/proc/{pid}/fd/{number}")
            if not stat.S_ISREG(found.st_mode) or path.endswith(" (deleted)"):
                continue
            with open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as file:
                told = dict(line.split(":", 1) for line in file if ":" in line)
            appends = int(told["flags"].strip(), 8) & os.O_APPEND
            start = found.st_size if appends else int(told["pos"])
        except (OSError, ValueError, KeyError):
            continue
        return {"log_path": path, "log_inode": found.st_ino, "log_start": start}
    return {}


def _leave_launch_file(script: Script, run: str, fields: "dict[str, Any]", settings: "Settings") -> None:
    """The true command line, for a retry: 0600, on this host, never in the store."""
    if not script.argv or script.exe is None:
        return
    from statustui.journal import launch
    from statustui.record.context import launch_environment

    try:
        launch.write(
            settings.state_dir, run, task=fields["task"], argv=[script.exe, *script.argv[1:]], cwd=script.cwd,
            exe=script.exe, env=launch_environment(settings.env_allow, os.environ), log_path=fields.get("log_path"),
            stage=fields.get("stage"), store=settings.store_url, host=os.uname().nodename, wrapped=False,
        )  # fmt: skip
    except (StatustuiError, OSError):
        return
