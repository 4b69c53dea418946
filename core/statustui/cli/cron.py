"""A crontab line: would cron find what it names? Nothing of it is run."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

from statustui.cli.session import NO, OK, USAGE, Session, Stop
from statustui.cli.shapes import VERSION
from statustui.journal.identity import user_name

CRON_PATH = "/usr/bin:/bin"
_FIELD = r"[0-9A-Za-z*,/\-]+"
_SCHEDULE = re.compile(rf"\s*(@[a-z]+|{_FIELD}(?:\s+{_FIELD}){{4}})\s+(.*\S)\s*", re.DOTALL)
_WORD = re.compile(r"""(?:[^\s"'\\;|&]|\\.|"(?:\\.|[^"\\])*"|'[^']*'|(?<=[<>])&)+|\s+|&&|\|\||[;|&]""", re.DOTALL)
_SEPARATORS = ("&&", "||", ";", "|", "&")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_BUILTIN_FIRST = ("(", "{", "!", "if", "then", "else", "do", "while", "exec", "nice", "nohup", "time")


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found out about one line."""

    line: str
    """The line with absolute paths where something had to be made absolute."""
    missing: tuple[str, ...]
    """Commands that neither cron nor this shell finds."""
    changed: tuple[tuple[str, str], ...]
    """(as written, absolute path)."""
    notes: tuple[str, ...]


def bare_environment() -> dict[str, str]:
    """The environment that cron gives to a job."""
    return {"HOME": os.path.expanduser("~"), "LOGNAME": user_name(), "SHELL": "/bin/sh", "PATH": CRON_PATH}


def cron_finds(word: str) -> bool:
    """True when ``/bin/sh`` in cron's environment finds the command *word*. Nothing is executed."""
    env = bare_environment()
    # `command -v` only looks; the word is an argument of the shell, never part of its script.
    found = subprocess.run(
        ["/bin/sh", "-c", 'command -v -- "$1" >/dev/null 2>&1', "sh", word],
        env=env,
        cwd=env["HOME"] if os.path.isdir(env["HOME"]) else "/",
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return found.returncode == 0


def check(line: str) -> Checked:
    """Look at one crontab line.

    Raises:
        Stop: it is none.
    """
    match = _SCHEDULE.fullmatch(line)
    if match is None:
        raise Stop(USAGE, "not a crontab line: five fields (or @daily and the like) and a command")
    schedule, text = match.groups()
    notes: list[str] = []
    if re.search(r"(?<!\\)%", text):
        notes.append("an unescaped % ends the command in a crontab: write \\%")
    words = _WORD.findall(text)
    missing: list[str] = []
    changed: list[tuple[str, str]] = []
    first = True
    wrapped = False
    for index, word in enumerate(words):
        if word.isspace():
            continue
        if word in _SEPARATORS:
            first, wrapped = True, False
            continue
        plain = _unquoted(word)
        if first or (wrapped and _begins_command(words, index)):
            if _ASSIGNMENT.match(word) or plain in _BUILTIN_FIRST:
                continue
            first, wrapped = False, _is_us(plain)
            words[index] = _command(word, plain, missing, changed)
        else:
            words[index] = _file(word, plain, changed)
    return Checked(
        line=f"{schedule} {''.join(words)}", missing=tuple(missing), changed=tuple(changed), notes=tuple(notes)
    )


def _unquoted(word: str) -> str:
    return re.sub(r"""\\(.)|["']""", r"\1", word)


def _is_us(plain: str) -> bool:
    return os.path.basename(plain) == "statustui"


def _begins_command(words: list[str], index: int) -> bool:
    """True when ``words[index]`` is the command of ``statustui run … -- CMD``."""
    before = [word for word in words[:index] if not word.isspace()]
    return bool(before) and before[-1] == "--"


def _command(word: str, plain: str, missing: list[str], changed: list[tuple[str, str]]) -> str:
    if cron_finds(plain):
        return word
    found = shutil.which(plain)
    if found is None and _is_us(plain):
        found = os.path.abspath(sys.argv[0])
    if found is None:
        missing.append(plain)
        return word
    changed.append((plain, os.path.abspath(found)))
    return _quoted(os.path.abspath(found))


def _file(word: str, plain: str, changed: list[tuple[str, str]]) -> str:
    """An argument that names a file here and none where cron starts, made absolute."""
    if not plain or plain[0] in "-/<>" or "$" in plain or not os.path.exists(plain):
        return word
    home = bare_environment()["HOME"]
    if os.path.exists(os.path.join(home, plain)):
        return word
    changed.append((plain, os.path.abspath(plain)))
    return _quoted(os.path.abspath(plain))


def _quoted(path: str) -> str:
    import shlex

    return shlex.quote(path).replace("%", "\\%")


def report_line(session: Session, line: str) -> int:
    """Check a line and say what cron would make of it."""
    checked = check(line)
    out = session.out
    if session.as_json:
        out.json(
            {
                "version": VERSION,
                "line": checked.line,
                "missing": list(checked.missing),
                "changed": [{"from": before, "to": after} for before, after in checked.changed],
                "notes": list(checked.notes),
            }
        )
        return NO if checked.missing else OK
    for word in checked.missing:
        out.line(("BAD ", "red"), f"  cron does not find {word!r}, nor is it on your PATH")
    for before, after in checked.changed:
        out.line(("note", "yellow"), f"  cron does not find {before!r}; here it is {after}")
    for note in checked.notes:
        out.line(("note", "yellow"), f"  {note}")
    if not checked.missing and not checked.changed:
        out.line(("ok  ", "green"), "  cron finds everything that the line names")
    out.line("With absolute paths:")
    out.line(checked.line)
    return NO if checked.missing else OK
