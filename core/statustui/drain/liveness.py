"""Is a run over, and why? Pure decisions from evidence; ``lost`` needs proof, never only time."""

import os
import re
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from statustui.model.status import RunStatus

_UNITS = ("B", "kB", "MB", "GB", "TB")
_CANCELS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHELL_CANCELS = (129, 130, 131, 143)
"""Exit statuses by which a shell says that HUP, INT, QUIT or TERM ended what it ran."""
_FRAME = re.compile(r'^\s*File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.+?)\s*$')


@dataclass(frozen=True, kw_only=True, slots=True)
class Voice:
    """One process that speaks for a run: a writer, or the command that a wrapper started."""

    alive: bool | None
    """Proven by pid and start tick (or a pidfd); None when that cannot be judged from here."""
    locked: bool | None
    """Is its journal's lock held? None when it has no lock file."""
    same_boot: bool = True
    """It ran under the present boot id."""
    same_namespace: bool = True
    """Its pid means something here."""
    namespace_alive: bool | None = None
    """For another pid namespace: does any process of it still run? None when that cannot be seen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """All that is known when an open run is looked at."""

    voices: Sequence[Voice]
    """Every process that could still end the run in good order; workers are none of them."""
    last_heard: float | None = None
    """When the last fact or progress was written, by the writer's clock, in seconds since 1970."""
    booted_at: float | None = None
    """When this machine was booted, in seconds since 1970."""
    seen_dying: float | None = None
    """When its end was seen, None when nobody watched, in seconds since 1970."""
    said: RunStatus | None = None
    """How the program itself ended, where only its wrapper was left to tell."""
    stack: str | None = None
    """Content of the side file, given only if no fact followed it."""
    oom: str | None = None
    """``"cgroup"`` or ``"machine"`` when an oom_kill counter rose around the end."""
    peak_rss_bytes: int | None = None
    """Largest memory of its tree that was seen, in bytes."""
    cancelled_by: str | None = None
    """Who asked for its end, when a cancel was under way."""
    cancel_reason: str | None = None
    """Why, in that person's words."""
    closed: bool = False
    """Its journal was closed in good order without an end of the run."""
    exit_status: int | None = None
    """Wait status of its process, where the kernel told it (``process.exit_info``)."""
    unaware: bool = False
    """The program knows nothing of us (it was adopted while it ran), so that its exit status is its word."""
    script: bool = False
    """It is run by an interpreter in which a signal leaves nobody to say the end (a shell, R): its exit status is its
    word too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What to record of a run that is proven to be over."""

    status: RunStatus
    """``lost``, ``cancelled``, or the status that the program gave before its wrapper died."""
    reason: str
    """For people; says only what is proven and marks a guess with ``?``."""
    at: float | None
    """When it ended, in seconds since 1970, as far as known."""
    exit_code: int | None = None
    signal: int | None = None


def gone(voice: Voice, *, last_heard: float | None = None, booted_at: float | None = None) -> bool:
    """Is it proven that this process has ended?"""
    if voice.locked:
        return False
    if not voice.same_boot:
        # A boot id may be another machine's that shares the home: only a boot after the last fact proves it.
        return last_heard is not None and booted_at is not None and booted_at > last_heard
    if not voice.same_namespace:
        if voice.namespace_alive is not None:
            return not voice.namespace_alive
        return voice.locked is False
    return voice.alive is False


def decide(evidence: Evidence) -> Verdict | None:
    """What to record of an open run whose facts are all applied.

    Returns:
        None while anybody may still speak for it.
    """
    heard, booted = evidence.last_heard, evidence.booted_at
    if not evidence.voices or not all(gone(voice, last_heard=heard, booted_at=booted) for voice in evidence.voices):
        return None
    at = evidence.seen_dying if evidence.seen_dying is not None else heard
    if evidence.said is not None and not (evidence.cancelled_by is not None and evidence.said.bad):
        reason = f"the program {evidence.said.value}; its wrapper ended before it could say how"
        return Verdict(status=evidence.said, reason=reason, at=at)
    if evidence.cancelled_by is not None:
        why = f": {evidence.cancel_reason}" if evidence.cancel_reason else ""
        return Verdict(status=RunStatus.CANCELLED, reason=f"cancelled by {evidence.cancelled_by}{why}", at=at)
    code, number = _split(evidence.exit_status)
    place = stack_place(evidence.stack) if evidence.stack else None
    if place is not None and (number in _CANCELS or evidence.exit_status is None):
        by = "SIGTERM or SIGHUP" if number is None else signal.Signals(number).name
        return Verdict(status=RunStatus.CANCELLED, reason=f"{by} in {place}", at=at, signal=number)
    status = _told(evidence.exit_status, script=evidence.script)
    if status is RunStatus.FINISHED and not (evidence.unaware or evidence.script):
        status = RunStatus.LOST  # it should have said so
    if status is RunStatus.LOST:
        reason = _lost_reason(evidence, code, number)
    else:
        reason = f"exit status {code}" if number is None else f"ended by {signal_name(number)}"
    return Verdict(status=status, reason=reason, at=at, exit_code=code, signal=number)


def corrected(said: RunStatus, exit_status: int | None, at: float | None, *, script: bool) -> Verdict | None:
    """What a run that gave its end before its process had ended really ended with, where the kernel says otherwise.

    Args:
        said: its provisional end.
        exit_status: wait status of its process; None where nobody knows.
        at: when the process ended, in seconds since 1970.
        script: it is a shell's or R's.

    Returns:
        None where what it said is right.
    """
    status = _told(exit_status, script=script)
    if exit_status is None or status is said:
        return None
    code, number = _split(exit_status)
    if number is None:
        reason = f"exit status {code}"
    else:
        reason = f"{'killed' if status is RunStatus.LOST else 'ended'} by {signal_name(number)}"
    return Verdict(status=status, reason=reason, at=at, exit_code=code, signal=number)


def _told(exit_status: int | None, *, script: bool) -> RunStatus:
    """What a wait status stands for: a signal that asks for an end, one that does not, or an exit status."""
    code, number = _split(exit_status)
    if number in _CANCELS or (script and code in _SHELL_CANCELS):
        return RunStatus.CANCELLED
    if code is None:
        return RunStatus.LOST
    return RunStatus.FINISHED if code == 0 else RunStatus.FAILED


def _split(status: int | None) -> tuple[int | None, int | None]:
    """(exit code, signal) of a wait status."""
    if status is None:
        return None, None
    return (None, os.WTERMSIG(status)) if os.WIFSIGNALED(status) else (os.WEXITSTATUS(status), None)


def signal_name(number: int) -> str:
    """For people: ``SIGKILL (9)``."""
    try:
        return f"{signal.Signals(number).name} ({number})"
    except ValueError:
        return f"signal {number}"


def _lost_reason(evidence: Evidence, code: int | None, number: int | None) -> str:
    if any(not voice.same_boot for voice in evidence.voices):
        return f"host rebooted {clock(evidence.booted_at)}"
    peak = f" at peak {size(evidence.peak_rss_bytes)}" if evidence.peak_rss_bytes else ""
    if evidence.oom is not None and number in (None, signal.SIGKILL) and code is None:
        killed = "signal 9?" if number is None else f"killed by {signal_name(number)}"
        whose = "its cgroup's" if evidence.oom == "cgroup" else "the machine's"
        return f"{killed}{peak}, out of memory? {whose} oom_kill rose"
    if number is not None:
        return f"killed by {signal_name(number)}{peak}"
    if evidence.closed:
        return "the program ended without ending the run"
    if any(not voice.same_namespace for voice in evidence.voices):
        return "its container is gone"
    if evidence.unaware:
        return f"ended{peak}; its exit status is not known to us"
    if code is not None:
        return f"ended without a word{peak}: exit status {code}"
    return f"ended without a word{peak} (kill -9, crash or os._exit)"


def stack_place(text: str) -> str | None:
    """Where the innermost frame of a faulthandler stack stood (``load() line 41``); None when it is none."""
    for line in text.splitlines():
        match = _FRAME.match(line)
        if match:
            name = match["name"]
            at = f"{name}()" if not name.startswith("<") else match["file"].rpartition("/")[2]
            return f"{at} line {match['line']}"
    return None


def size(count: int | None) -> str:
    """Bytes for people: ``61 GB``, ``1.2 GB``, ``340 MB``."""
    value = float(count or 0)
    power = 0
    while value >= 1024 and power < len(_UNITS) - 1:
        value /= 1024
        power += 1
    return f"{value:.1f} {_UNITS[power]}" if value < 10 and power > 2 else f"{value:.0f} {_UNITS[power]}"


def clock(at: float | None) -> str:
    """Local time of day for people, with the date when it is not of today."""
    if at is None:
        return "since"
    then, now = time.localtime(at), time.localtime()
    same_day = then[:3] == now[:3]
    return time.strftime("%H:%M" if same_day else "%Y-%m-%d %H:%M", then)
