"""How a run ended, as its log proves it: what is not proven stays unsaid."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from statustui.model.status import RunStatus

_PROC_TIME = re.compile(
    r"(?:^|\n)(?:> )?proc\.time\(\)[ \r]*\n *user +system +elapsed[ \r]*\n"
    r" *[\d.]+ +[\d.]+ +(?P<elapsed>\d{1,9}(?:\.\d{1,9})?)\s*\Z"
)
_R_ERROR = re.compile(r"^Error(?: in (?P<call>.{1,500}?) ?)?: ?(?P<message>.*)$")
_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'^\s+File "(?P<file>.*)", line (?P<line>\d+)(?:, in (?P<name>.*))?$')
_RAISED = re.compile(r"^(?P<type>[A-Za-z_][\w.]{0,200})(?:: (?P<message>.*))?$")
_MAKE = re.compile(
    r"^\S*make(?:\[\d+\])?: \*\*\* .*?(?:Error (?P<code>\d{1,3})|(?P<signal>Killed|Terminated|Interrupt))$"
)
_EXIT = re.compile(
    r"(?i)\b(?:exit(?:ed)?(?:[ _-]?(?:status|code))?|exitcode|(?:exited|returned|terminated|finished|failed) with"
    r"(?: a)?(?: non-?zero)?(?: exit)? (?:status|code)"
    r"|return(?:ed)?(?: a)?(?: non-?zero)?(?: exit)? (?:status|code)|rc)"
    r"(?: with| of| is)?\s?[:=]?\s?\(?(?P<code>\d{1,3})\)?[.!]?$"
)
_KILLED = re.compile(
    r"(?i)^(?:\S+: line \d+:\s*)?(?:\d+ )?(?P<what>killed|terminated|segmentation fault|aborted|bus error|hangup)"
    r"(?: \(core dumped\))?(?:\s{2,}.*)?$"
)
_MEMORY = re.compile(r"(?i)\b(?:out of memory: kill|oom-kill|oom_reaper|memory cgroup out of memory|oom killed)")
_SHELL = re.compile(r"^(?P<script>\S{1,200}): (?:line )?(?P<line>\d{1,6}): (?P<message>\S.{0,1000})$")
_SHELL_SAYS = re.compile(
    r"(?:not found|No such file or directory|Permission denied|unbound variable|parameter not set|syntax error.*"
    r"|Is a directory|cannot execute.*|bad substitution)$"
)
_FATAL = re.compile(r"^(?:\W*\b)?(?:FATAL|CRITICAL|panic|fatal|Fatal error|fatal error|Segmentation fault)\b[\s:\]]")
_ERROR = re.compile(r"(?i)^\W*(?:error|exception)\b")
_ERROR_LEVEL = re.compile(r"\b(?:ERROR|SEVERE)\b")
_GOOD = r"(?:finished|completed?|done|succeeded|success(?:ful(?:ly)?)?)"
_DONE = (
    re.compile(r"(?i)^(?:all |job |run |script |task |pipeline |processing )?(?:is )?" + _GOOD + r"\b"),
    re.compile(r"(?i)\b" + _GOOD + r"[\s.!=*#-]*$"),
)
_NOT_DONE = re.compile(
    r"(?i)\b(?:not|no|never|unsuccess\w*|fail\w*|error\w*|incomplete|cannot|can't|without|until|when|if|will|to be|half"
    r"|partially)\b"
)
_SHARE = re.compile(r"(\d+)\s*(?:/|of)\s*(\d+)")
_PERCENT = re.compile(r"\b(\d{1,3}(?:\.\d+)?) ?%")
_NOISE = re.compile(r"^(?:\W*|real\s+\d.*|user\s+\d.*|sys\s+\d.*|logout|\d+(?:\.\d+)?\s*(?:s|sec|seconds|minutes)?)$")
_LEVEL = re.compile(
    r"^\W*(?:\[?\b(?:DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b\]?\W*|[\w.]{1,60}(?:\[\d+\])?: |root\W)+"
)
_DIGITS = re.compile(r"\d+|'[^']*'|\"[^\"]*\"")
_SIGNALS = {"killed": 9, "terminated": 15, "segmentation fault": 11, "aborted": 6, "bus error": 7, "hangup": 1,
            "interrupt": 2}  # fmt: skip
_CANCELS = (1, 2, 15)
_LAST = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How a run ended."""

    status: RunStatus
    knew: str
    """For people: what proved it."""
    error_type: str | None = None
    message: str | None = None
    detail: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    elapsed: float | None = None
    """Seconds that R says it took."""
    said: str | None = None
    """Last line of a good end."""

    @property
    def proven(self) -> bool:
        """False where the log just ends."""
        return self.status is not RunStatus.LOST


def ending(text: str, lines: Sequence[str]) -> Ending:
    """How a run ended.

    Args:
        text: the end of its log.
        lines: the lines of it that are not blank, without what R echoes of the script, terminal sequences and times.
    """
    trailer = _PROC_TIME.search(text)
    if trailer is not None:
        return Ending(status=RunStatus.FINISHED, knew="proc.time() at the end", elapsed=float(trailer["elapsed"]))
    if not lines:
        return Ending(status=RunStatus.LOST, knew="nothing in it")
    for look in (_halted, _traceback, _exit, _killed, _shell, _fatal, _marker):
        found = look(lines)
        if found is not None:
            return found
    last = lines[-1].strip()
    if _ERROR.search(last) or _ERROR_LEVEL.search(last[:120]):
        return Ending(
            status=RunStatus.LOST,
            knew="it ends with an error, and without saying how",
            error_type="error",
            message=last,
        )
    return Ending(status=RunStatus.LOST, knew="the log ends without saying how")


def ends(line: str) -> bool:
    """Is this a line with which a run ends?"""
    return ending("", [line]).proven or line.strip() == "Execution halted"


def _halted(lines: Sequence[str]) -> Ending | None:
    if not any(line.strip() == "Execution halted" for line in lines[-2:]):
        return None
    index = next((i for i in range(len(lines) - 1, -1, -1) if _R_ERROR.match(lines[i])), None)
    if index is None:
        return Ending(status=RunStatus.FAILED, knew="Execution halted", error_type="error", message="Execution halted")
    match = _R_ERROR.match(lines[index])
    assert match is not None
    rest = [line.strip() for line in lines[index + 1 :] if line.strip() != "Execution halted"]
    message = match["message"].strip() or next(iter(rest), "")
    detail = "\n".join(lines[index:])
    return Ending(status=RunStatus.FAILED, knew="Execution halted", error_type="simpleError", message=message,
                  detail=detail)  # fmt: skip


def _traceback(lines: Sequence[str]) -> Ending | None:
    index = next((i for i in range(len(lines) - 1, -1, -1) if lines[i].strip().endswith(_TRACEBACK)), None)
    if index is None:
        return None
    raised = next((i for i in range(index + 1, len(lines)) if not lines[i].startswith((" ", "\t"))), None)
    if raised is None:
        return None
    match = _RAISED.match(lines[raised].strip())
    after = [line for line in lines[raised + 1 :] if not _NOISE.match(line)]
    # What follows may be the rest of the message; a program that went on proves nothing.
    if match is None or (after and not (len(after) <= _LAST and _closing(after[-1]))):
        return None
    frames = [frame for line in lines[index:raised] if (frame := _FRAME.match(line))]
    place = f", {frames[-1]['name']}() line {frames[-1]['line']}" if frames and frames[-1]["name"] else ""
    code = _exit(after) if after else None
    return Ending(
        status=RunStatus.FAILED,
        knew=f"traceback{place}",
        error_type=match["type"].rpartition(".")[2],
        message=(match["message"] or match["type"]).strip(),
        detail="\n".join(lines[index : raised + 1]),
        exit_code=code.exit_code if code is not None else None,
    )


def _closing(line: str) -> bool:
    return any(look([line]) is not None for look in (_exit, _killed, _shell))


def _exit(lines: Sequence[str]) -> Ending | None:
    for line in (one.strip() for one in reversed([one for one in lines if not _NOISE.match(one)][-2:])):
        made = _MAKE.match(line)
        if made is not None:
            code = int(made["code"]) if made["code"] else None
            number = _SIGNALS[made["signal"].lower()] if made["signal"] else None
            return Ending(status=RunStatus.FAILED, knew="make's last line", error_type="make", message=line,
                          exit_code=code, signal=number)  # fmt: skip
        match = _EXIT.search(line[-200:])
        if match is not None:
            code = int(match["code"])
            if code == 0:
                return Ending(status=RunStatus.FINISHED, knew="exit status 0", exit_code=0)
            told = next((one.strip() for one in reversed(lines[:-1]) if _ERROR.search(one)), line)
            return Ending(status=RunStatus.FAILED, knew=f"exit status {code}", error_type=f"exit status {code}",
                          message=told, exit_code=code)  # fmt: skip
    return None


def _killed(lines: Sequence[str]) -> Ending | None:
    last = lines[-1].strip()
    match = _KILLED.match(last)
    if match is None and not _MEMORY.search(last):
        return None
    number = _SIGNALS[match["what"].lower()] if match is not None else 9
    status = RunStatus.CANCELLED if number in _CANCELS else RunStatus.FAILED
    return Ending(status=status, knew=f"{last[:40]!r} is its last line", error_type=f"killed by signal {number}",
                  message=last, signal=number)  # fmt: skip


def _shell(lines: Sequence[str]) -> Ending | None:
    match = _SHELL.match(lines[-1].strip())
    if match is None or not _SHELL_SAYS.search(match["message"]):
        return None
    code = {"not found": 127, "Permission denied": 126}.get(next(iter(re.findall("not found$|Permission denied$",
                                                                                 match["message"])), ""))  # fmt: skip
    return Ending(status=RunStatus.FAILED, knew="the shell's last line", error_type="shell error",
                  message=match["message"], detail=lines[-1].strip(), exit_code=code)  # fmt: skip


def _fatal(lines: Sequence[str]) -> Ending | None:
    last = _LEVEL_NAME.sub("", lines[-1].strip())
    if not (_FATAL.match(lines[-1].strip()) or _FATAL.match(last)):
        return None
    return Ending(status=RunStatus.FAILED, knew="a fatal error is its last line", error_type="fatal", message=last)


_LEVEL_NAME = re.compile(r"^[\w.]{1,60}(?:\[\d+\])?[: ]+(?=(?:CRITICAL|FATAL)\b)")


def _marker(lines: Sequence[str]) -> Ending | None:
    """A last line that says it is done, and that stands there only once."""
    told = [line for line in lines if not _NOISE.match(line)]
    if not told:
        return None
    last = _LEVEL.sub("", told[-1].strip()).strip()
    if len(last) > 200 or not any(done.search(last) for done in _DONE) or _NOT_DONE.search(last):
        return None
    if any(int(a[:9]) < int(b[:9]) for a, b in _SHARE.findall(last)):
        return None
    if any(float(share) < 100 for share in _PERCENT.findall(last)):
        return None
    shape = _DIGITS.sub("N", last)
    if any(_DIGITS.sub("N", _LEVEL.sub("", line.strip()).strip()) == shape for line in told[:-1]):
        return None  # it says so of each of its parts
    return Ending(status=RunStatus.FINISHED, knew=f"its last line: {last[:60]}", said=last)
