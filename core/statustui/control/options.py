"""What ``statustui run`` was asked to do."""

import os
import re

USAGE = (
    "usage: statustui run [--name N] [--stage S] [--log FILE | --no-log] [--grace S] [--pty] [--progress P]"
    " [--store URL] -- CMD …"
)
HELP = f"""{USAGE}

Run CMD unchanged and record it: when it began, how it ended, its log, CPU and memory.

  --name N         name of the task (default: that of the command or script)
  --stage S        group of the task (default: by the prefix of its name)
  --log FILE       append what is copied of its output to FILE
  --no-log         copy nothing; the command gets your own stdout and stderr
  --grace S        seconds between TERM and KILL when it is cancelled (default 10)
  --pty            give it a terminal even where the output is a pipe or a file
  --progress P     how progress is found in what it prints: auto (default), off, or a regular expression with some of
                   the groups done, total, percent, message, heading: 'row (?P<done>[0-9]+) of (?P<total>[0-9]+)'
  --env-file FILE  add the variables of FILE (NAME=value lines) to its environment
  --store URL      record in this store

`python -m statustui run script.py …` (or `-m MODULE …`) runs a script by that Python and sees tqdm's and rich's own
numbers.

The exit status is the command's own; 128+n after signal n, 127 not found, 126 not executable.

Example: statustui run --name nightly_backup -- rsync -a /data /backup
"""
_VALUES = ("--name", "--stage", "--log", "--grace", "--store", "--env-file", "--run-id", "--asked-by", "--progress")
BOOTSTRAP = "statustui.contrib.script"
"""The module that runs a Python script with hooks, for ``python -m statustui run script.py``."""
_FLAGS = ("--no-log", "--pty")
_INTERPRETERS = (
    (re.compile(r"python[0-9.]*|pypy[0-9.]*"), "python", ("-m", "-c"), ("-W", "-X", "--check-hash-based-pycs")),
    (re.compile(r"Rscript|littler|r"), "R", ("-e",), ()),
    (re.compile(r"(?:ba|da|k|z|a|fi)?sh"), "sh", ("-c",), ("-o", "-O", "+o", "+O", "--rcfile", "--init-file")),
    (re.compile(r"perl[0-9.]*"), "perl", ("-e", "-E"), ("-I", "-M")),
)


class UsageError(Exception):
    """The command line of ``statustui run`` can not be used; the message says why in one line."""


class Options:
    """The parsed command line of the wrapper."""

    __slots__ = (
        "argv", "asked_by", "env_file", "grace", "log", "name", "no_log", "progress", "pty", "run_id", "stage", "store",
    )  # fmt: skip

    def __init__(self) -> None:
        self.argv: list[str] = []
        """The command and its arguments."""
        self.name: str | None = None
        self.stage: str | None = None
        self.log: str | None = None
        """Absolute path of the user's own log file."""
        self.no_log = False
        self.progress = "auto"
        """``auto``, ``off`` or a regular expression that finds progress in the output."""
        self.pty = False
        self.grace: float | None = None
        """Seconds between TERM and KILL on a cancel."""
        self.store: str | None = None
        self.env_file: str | None = None
        self.asked_by: str | None = None
        """Who asked for this retry."""
        self.run_id: str | None = None
        """Given in advance by a retry; None = make one."""

    def as_dict(self) -> dict[str, object]:
        """What a retry needs to run the command in the same way again."""
        values = {name: getattr(self, name) for name in ("name", "stage", "log", "grace", "store", "env_file")}
        return {**values, "no_log": self.no_log, "progress": self.progress, "pty": self.pty}


def parse(argv: list[str]) -> Options:
    """Read the arguments after ``run``.

    Raises:
        UsageError: they can not be used.
    """
    options = Options()
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            rest.insert(0, word)
            break
        name, equals, value = word.partition("=")
        if name in _FLAGS and not equals:
            setattr(options, name[2:].replace("-", "_"), True)
        elif name in _VALUES:
            if not equals:
                if not rest or rest[0] == "--":
                    raise UsageError(f"{name} needs a value")
                value = rest.pop(0)
            setattr(options, name[2:].replace("-", "_"), _checked(name, value))
        else:
            raise UsageError(f"unknown option {name}; the command stands after --")
    if options.log is not None and options.no_log:
        raise UsageError("--log and --no-log exclude each other")
    if not rest:
        raise UsageError("no command given")
    options.argv = rest
    return options


def _checked(name: str, value: str) -> str | float:
    if name == "--grace":
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= 1e6:
            raise UsageError(f"--grace must be a number of seconds, not {value[:40]!r}")
        return seconds
    if not value:
        raise UsageError(f"{name} needs a value")
    if name == "--progress" and value not in ("auto", "off"):
        return expression(value)
    return os.path.abspath(value) if name in ("--log", "--env-file") else value


def expression(text: str) -> str:
    """A regular expression that finds progress, checked.

    Raises:
        UsageError: it is none, or has no group that says something.
    """
    known = ("done", "total", "percent", "message", "heading", "name", "unit")
    try:
        groups = list(re.compile(text).groupindex)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"--progress: {text[:80]!r} is no regular expression: {error}") from None
    foreign = [group for group in groups if group not in known]
    if foreign or not {"done", "percent", "message", "heading"} & set(groups):
        told = f"has the unknown group {foreign[0]}" if foreign else "names no group"
        raise UsageError(f"--progress: {text[:80]!r} {told}; known are {', '.join(f'(?P<{g}>…)' for g in known)}")
    return text


class Command:
    """What a command line runs: the task's name, the kind of program and the script's path."""

    __slots__ = ("name", "script", "type")

    def __init__(self, name: str, kind: str, script: str | None) -> None:
        self.name = name
        self.type = kind
        """``python``, ``R``, ``sh``, ``perl`` or ``command``."""
        self.script = script
        """Absolute path of the script; None when there is none."""


_DESCRIPTOR = re.compile(r"/dev/stdin|/dev/fd/\d+|/proc/(?:self|\d+)/fd/\d+")


def describe(argv: list[str], cwd: str | None = None) -> Command:
    """Name a command by its script where an interpreter runs one, else by the program.

    Args:
        argv: the command.
        cwd: its working directory; None = ours.
    """
    argv = shown(argv)
    base = os.path.basename(argv[0]) or argv[0]
    for pattern, kind, inline, valued in _INTERPRETERS:
        if not pattern.fullmatch(base):
            continue
        words = iter(argv[1:])
        for word in words:
            if word in inline or (kind == "sh" and re.fullmatch(r"-[a-z]*c", word)):
                module = next(words, "") if word == "-m" else ""
                return Command(module or base, kind, None)
            if word in valued:
                next(words, None)
            elif word == "--":
                continue
            elif _DESCRIPTOR.fullmatch(word):  # bash <(curl …): its number is nobody's name
                return Command(base, kind, None)
            elif not word.startswith(("-", "+")):
                return Command(_task_of(os.path.basename(word) or base), kind, _absolute(word, cwd))
        return Command(base, kind, None)
    kind = {".py": "python", ".R": "R", ".r": "R", ".sh": "sh", ".bash": "sh"}.get(os.path.splitext(base)[1], "command")
    return Command(_task_of(base), kind, _absolute(argv[0], cwd) if "/" in argv[0] else None)


def shown(argv: list[str]) -> list[str]:
    """A command as people wrote it: ``python script.py`` without what we put before the script."""
    if BOOTSTRAP in argv[:-1]:
        at = argv.index(BOOTSTRAP)
        if argv[at - 1] == "-m":
            return [*argv[: at - 1], *argv[at + 1 :]]
    return argv


def _absolute(path: str, cwd: str | None) -> str:
    return os.path.abspath(path if cwd is None else os.path.join(cwd, path))


def _task_of(name: str) -> str:
    """A script's name as its own recorder would have it, so that wrapped and plain runs are one task's."""
    root, ending = os.path.splitext(name)
    return root if root and ending in (".py", ".pyz", ".R", ".r", ".sh") else name


def read_env_file(path: str) -> dict[str, str]:
    """The variables of a file of ``NAME=value`` lines; ``export`` and quotes around a value are understood.

    Raises:
        OSError: it can not be read.
    """
    found: dict[str, str] = {}
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        for line in file.read(1 << 20).splitlines():
            name, equals, value = line.strip().removeprefix("export ").partition("=")
            name, value = name.strip(), value.strip()
            if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name):
                continue
            if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            found[name] = value
    return found
