"""The runs in one log: where each begins, when it was, how it ended, its parts. Pure but for reading the file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from statustui.control.tail import cleaned
from statustui.imports.logends import Ending, ending, ends
from statustui.imports.logfiles import LogFile
from statustui.imports.logtimes import Zone, clocks, first_time, last_time, time_of, without_time

WHOLE = 64 << 20
"""Bytes of a run that are looked at whole; of a longer one both ends."""
_HEAD, _TAIL = 4 << 20, 16 << 20
_CHUNK = 8 << 20
_END = 256 << 10
_LINES = 400
_BANNER = re.compile(rb'^R version \d+\.\d+\.\d+[^\n]{0,60} -- "', re.MULTILINE)
_STARTS = re.compile(rb"(?i)\b(?:start|started|starting|begin|beginning|began|launch\w*|init\w*)\b|={3,}|-{3,}")
_ECHO = re.compile(r"^[>+](?: |$)")
_PAUSE_S = 600.0
_LONGEST_S = 7 * 86_400.0
_MOST_SUBTASKS = 300
_CLOSES = re.compile(r"(?i)^(?:done|finished|completed?|exit\w*|ok)\b")
_MESSAGE = re.compile(rb"\[\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\] ?([^\n]{0,2000})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A named part of a run, between two lines ``[HH:MM:SS] message``."""

    place: int
    """Where its line begins, in bytes."""
    name: str
    started: float
    closed: int | None
    """Where the line begins that ends it; None where none does."""
    ended: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LogRun:
    """One run as its log tells it."""

    start: int
    """First byte of it in the file."""
    end: int
    """Byte after the last one."""
    started: float
    ended: float
    """The last thing that is known of it, in epoch seconds."""
    duration: float
    """Seconds."""
    times_from: str
    """For people: what told the times."""
    ending: Ending
    type: str | None = None
    parts: tuple[Part, ...] = ()
    tail: tuple[str, ...] = field(default=(), repr=False)
    """Its last lines, without terminal sequences."""
    last: str | None = None
    """Its last line that is not blank."""


def runs_of(file: LogFile, zone: Zone, since: int = 0, kind: str | None = None) -> list[LogRun]:
    """The runs in a log, in their order.

    Args:
        file: the log.
        zone: what it does not say of its times.
        since: where the first run begins that is asked for.
        kind: what the file's name says of its type.
    """
    places = [place for place in starts(file, zone, since) if place >= since]
    if not places or places[0] > since:
        places.insert(0, since)
    found: list[LogRun] = []
    following: LogRun | None = None
    for index in range(len(places) - 1, -1, -1):
        end = places[index + 1] if index + 1 < len(places) else file.size
        following = _run(file, places[index], end, zone, following, kind)
        found.append(following)
    return found[::-1]


def starts(file: LogFile, zone: Zone, since: int = 0) -> Iterator[int]:
    """Where runs begin in a file that several have been appended to, from *since* on; none where that is not certain.

    A banner of R begins a run; so does the file's first line when it comes again, if the line before it ends a run,
    or if it speaks of a start and comes ten minutes after the line before it.
    """
    head = file.read(0, 64 << 10)
    skipped = len(head) - len(head.lstrip())
    first = head[skipped:].partition(b"\n")[0]
    banner = _BANNER.match(first) is not None
    core = b"R version " if banner else without_time(first)
    if not core:
        return
    base = max(since, skipped + len(first))
    while base < file.size:
        # With some of what stands before it, and up to the end of a line.
        begin = max(0, base - (64 << 10))
        data = file.read(begin, _CHUNK)
        whole = len(data) if begin + len(data) >= file.size else data.rfind(b"\n") + 1
        if begin + whole <= base:
            base = begin + len(data)  # a line of many megabytes
            continue
        at = data.find(core, base - begin, whole)
        while at >= 0:
            line = data.rfind(b"\n", 0, at) + 1
            end = data.find(b"\n", at)
            text = data[line : end if end >= 0 else len(data)]
            same = _BANNER.match(text) is not None if banner else without_time(text) == core
            if same and line + begin > skipped and (banner or _begins(data, line, text, zone)):
                # R prints an empty line before its banner.
                yield begin + line - (1 if banner and data[max(0, line - 2) : line] == b"\n\n" else 0)
            # What stands twice in one line is found once: a line of megabytes may hold it a million times.
            at = data.find(core, end, whole) if end >= 0 else -1
        base = begin + whole


def _begins(data: bytes, line: int, text: bytes, zone: Zone) -> bool:
    before = data[max(0, line - 4096) : line].rstrip()
    last = before[before.rfind(b"\n") + 1 :]
    if not last:
        return False
    if ends(_plain(last)):
        return True
    if not _STARTS.search(text):
        return False
    then, now = last_time(data, max(0, line - 4096), line, zone), time_of(text, 0, len(text), zone)
    return then is not None and now is not None and now - then[1] > _PAUSE_S


def _plain(line: bytes) -> str:
    return cleaned(line.decode("utf-8", "backslashreplace"))


def _run(file: LogFile, start: int, end: int, zone: Zone, following: LogRun | None, kind: str | None) -> LogRun:
    whole = end - start <= WHOLE
    if whole:
        data, shift = file.read(start, end - start), start
    else:
        head, tail = file.read(start, _HEAD), file.read(end - _TAIL, _TAIL)
        # Places in the tail are true; those in the head are not asked for.
        data, shift = head + b"\n" + tail[tail.find(b"\n") + 1 :], 0
        shift = end - len(data)
    written = zone.written if following is None else following.started
    own = Zone(local=zone.local, written=written)
    closing = data[max(0, len(data) - _END) :]
    text = closing.decode("utf-8", "backslashreplace")
    is_r = kind == "R" or _BANNER.search(data, 0, 4096) is not None
    lines = [line for line in map(cleaned, text.split("\n")[-_LINES:]) if line.strip()]
    said = [line for line in lines if not (is_r and _ECHO.match(line))]
    how = ending(text if is_r else "", [_without_time(line) for line in said])
    marks = clocks(data, 0, len(data), own)
    started, ended, told = _when(data, own, marks.times, how.elapsed, following)
    duration = how.elapsed if how.elapsed is not None else ended - started
    parts = _parts(data, shift, list(zip(marks.places, marks.times, strict=True)), is_r) if whole else ()
    return LogRun(
        start=start,
        end=end,
        started=started,
        ended=max(ended, started),
        duration=max(0.0, duration),
        times_from=told,
        ending=how,
        type="R" if is_r else "python" if "traceback" in how.knew else kind,
        parts=parts,
        tail=tuple(lines[-200:]),
        last=said[-1].strip() if said else None,
    )


def _without_time(line: str) -> str:
    """A line without its time, the room before it kept: what is indented is part of what stands above it."""
    if not line[:1].strip():
        return line
    plain = without_time(line.encode("utf-8", "surrogateescape")).decode("utf-8", "backslashreplace")
    return plain or line


def _when(
    data: bytes, zone: Zone, marks: list[float], elapsed: float | None, following: LogRun | None
) -> tuple[float, float, str]:
    """(start, end, what told them)."""
    size = len(data)
    last_of_file = following is None
    until = "file time" if last_of_file else "next run's start"
    told = "times in it"
    head, foot = first_time(data, 0, size, zone), last_time(data, 0, size, zone)
    if head is not None and foot is not None and foot[1] >= head[1]:
        first, last = head[1], foot[1]
        near = [at for at in marks if first - 86_400 < at < last + 86_400]
        first, last = min([first, *near]), max([last, *near])
        alone = head[0] == foot[0] and not near
        if alone and last_of_file and elapsed is None and 0 < zone.written - last < _LONGEST_S:
            last, told = zone.written, "one time in it, file time"
    elif marks:
        first, last, told = min(marks), max(marks), f"clock times, day of {until}"
    else:
        if elapsed is not None:
            return zone.written - elapsed, zone.written, f"{until}, proc.time()"
        return zone.written, zone.written, f"{until} (end only)"
    if elapsed is not None:
        if last_of_file and 0 <= zone.written - last <= max(120.0, elapsed):
            last = zone.written
        begun = last - elapsed
        first, told = (begun if begun <= first + 1.0 else first), f"{told}, proc.time()"
        last = max(last, first + elapsed)
    return first, last, told


def _parts(data: bytes, shift: int, marks: list[tuple[int, float]], is_r: bool) -> tuple[Part, ...]:
    """Parts between lines ``[HH:MM:SS] message``: what ``genter`` and its like print."""
    found: list[tuple[int, float, str | None]] = []
    for place, at in marks:
        match = _MESSAGE.match(data, place)
        if match is None:
            continue
        name = _plain(match[1]).strip()
        call = data[data.rfind(b"\n", 0, max(0, place - 1)) + 1 : place] if is_r else b""
        if call.startswith(b"> gmessage(") or not name:
            continue
        closes = call.startswith(b"> gexit(") or _CLOSES.match(name) is not None
        found.append((place, at, None if closes else name))
    if not 2 <= sum(name is not None for _, _, name in found) <= _MOST_SUBTASKS:
        return ()
    parts = []
    for index, (place, at, one) in enumerate(found):
        if one is not None:
            after = found[index + 1] if index + 1 < len(found) else None
            parts.append(
                Part(
                    place=place + shift, name=one[:500], started=at,
                    closed=after[0] + shift if after else None, ended=after[1] if after else None,
                )
            )  # fmt: skip
    return tuple(parts)
