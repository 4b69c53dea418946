"""Times in logs: the usual formats at the beginning of a line, and clock times whose date the file's own time tells."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo

_MONTHS = {
    name: number + 1
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
    )
}
_MON = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DAY = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CLOCK = rb"\d\d:\d\d:\d\d"
_STAMP = re.compile(
    rb"^[^\n]{0,40}?(?:(?<![\w.-])(?P<iso>\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)"
    rb"(?P<isozone>Z\b| ?[+-]\d\d:?\d\d\b| UTC\b| GMT\b)?"
    rb"|" + _DAY + rb",? +(?:(?P<amon>" + _MON + rb") +(?P<aday>\d{1,2})|(?P<bday>\d{1,2}) +(?P<bmon>" + _MON + rb"))"
    rb"(?: +(?P<byear>\d{4}))? +(?P<clock>" + _CLOCK + rb")(?P<half> [AP]M)?"
    rb"(?: (?P<zone>[A-Z]{1,5}|[+-]\d{4})\b)?(?: (?P<ayear>\d{4}))?"
    rb"|(?<![\w.-])(?P<wday>\d\d)/(?P<wmon>" + _MON + rb")/(?P<wyear>\d{4}):(?P<wclock>" + _CLOCK + rb")"
    rb"(?P<wzone> [+-]\d{4})?"
    rb"|(?<![\w.-])(?P<smon>" + _MON + rb") +(?P<sday>\d{1,2}) (?P<sclock>" + _CLOCK + rb"))",
    re.MULTILINE,
)  # fmt: skip
_CLOCKS = re.compile(
    rb"^(?:\[(\d\d):(\d\d):(\d\d)(?:[.,]\d{1,9})?\]|(\d\d):(\d\d):(\d\d)(?:[.,]\d{1,9})? )", re.MULTILINE
)
_EDGE = b" \t])}>|:,;-"
_NEAR = 256 << 10
_FAR = 4 << 20
_MOST_CLOCKS = 200_000
# A line is not written later than its file; zones that a log does not name make it up to a day.
_AHEAD_S = 26 * 3600.0
_OLDEST = 315_532_800.0  # 1980


@dataclass(frozen=True, kw_only=True, slots=True)
class Zone:
    """What a log does not say of its times."""

    local: tzinfo | None
    """Zone of times that name none; None is that of this machine."""
    written: float
    """When the file was last written, in epoch seconds."""

    def epoch(self, at: datetime) -> float:
        """Epoch seconds of a time, in the zone of the log where it names none."""
        return (at if at.tzinfo is not None or self.local is None else at.replace(tzinfo=self.local)).timestamp()

    def shown(self, at: float) -> datetime:
        """The local time of a moment."""
        return datetime.fromtimestamp(at, self.local).replace(tzinfo=None)


Stamp = tuple[int, float]
"""(where a time stands, epoch seconds)."""


def first_time(data: bytes, start: int, end: int, zone: Zone) -> Stamp | None:
    """The first time of a part of a log; None where there is none near its beginning."""
    return next(_times(data, start, min(end, start + _NEAR), zone), None)


def last_time(data: bytes, start: int, end: int, zone: Zone) -> Stamp | None:
    """The last time of a part of a log; None where there is none near its end."""
    for window in (16 << 10, _NEAR, _FAR):
        begin = _line_start(data, max(start, end - window), start)
        found = None
        for found in _times(data, begin, end, zone):  # noqa: B007
            pass
        if found is not None or begin <= start:
            return found
    return None


def time_of(data: bytes, start: int, end: int, zone: Zone) -> float | None:
    """The time of one line, in epoch seconds."""
    return next((at for _, at in _times(data, start, end, zone)), None)


def _times(data: bytes, start: int, end: int, zone: Zone) -> Iterator[Stamp]:
    for match in _STAMP.finditer(data, start, end):
        at = _epoch(match, zone)
        if at is not None and _OLDEST < at < zone.written + _AHEAD_S:
            yield match.start(), at


def _line_start(data: bytes, at: int, least: int) -> int:
    return max(least, data.rfind(b"\n", least, at) + 1) if at > least else least


def _epoch(match: "re.Match[bytes]", zone: Zone) -> float | None:
    try:
        if match["iso"] is not None:
            text = match["iso"].replace(b"/", b"-").replace(b",", b".").decode()
            return zone.epoch(datetime.fromisoformat(text).replace(tzinfo=_named(match["isozone"])))
        if match["wday"] is not None:
            return zone.epoch(_at(match["wyear"], match["wmon"], match["wday"], match["wclock"], match["wzone"]))
        if match["sday"] is not None:
            return _without_year(match["smon"], match["sday"], match["sclock"], None, zone)
        month, day = match["amon"] or match["bmon"], match["aday"] or match["bday"]
        clock, year = _half(match["clock"], match["half"]), match["ayear"] or match["byear"]
        if year is None:
            return _without_year(month, day, clock, match["zone"], zone)
        return zone.epoch(_at(year, month, day, clock, match["zone"]))
    except (ValueError, OverflowError, OSError):
        return None


def _at(year: bytes, month: bytes, day: bytes, clock: bytes, named: bytes | None) -> datetime:
    hours, minutes, seconds = map(int, clock.split(b":"))
    return datetime(int(year), _MONTHS[month.lower()], int(day), hours, minutes, min(59, seconds), tzinfo=_named(named))


def _without_year(month: bytes, day: bytes, clock: bytes, named: bytes | None, zone: Zone) -> float:
    """The latest year in which it was not written after its file."""
    year = zone.shown(zone.written).year
    at = zone.epoch(_at(b"%d" % year, month, day, clock, named))
    if at > zone.written + _AHEAD_S:
        at = zone.epoch(_at(b"%d" % (year - 1), month, day, clock, named))
    return at


def _half(clock: bytes, half: bytes | None) -> bytes:
    if half is None:
        return clock
    hours = int(clock[:2]) % 12 + (12 if half.strip() == b"PM" else 0)
    return b"%02d%s" % (hours, clock[2:])


def _named(name: bytes | None) -> tzinfo | None:
    """The zone that a time names; None (the log's) for letters that mean several."""
    text = (name or b"").strip()
    if text in (b"Z", b"UTC", b"GMT"):
        return UTC
    if text[:1] in (b"+", b"-"):
        digits = text[1:].replace(b":", b"")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        return timezone(-offset if text[:1] == b"-" else offset)
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Clocks:
    """Lines that begin with a clock time alone, in their order."""

    places: list[int]
    """Where each line begins."""
    times: list[float]
    """Its time in epoch seconds: the last is of the day that the file was written, each fall is a midnight."""


def clocks(data: bytes, start: int, end: int, zone: Zone) -> Clocks:
    """Clock times of a log; none where there are too many of them to be looked at."""
    places: list[int] = []
    seconds: list[int] = []
    for match in _CLOCKS.finditer(data, start, end):
        h, m, s = map(int, match.groups()[:3] if match[1] is not None else match.groups()[3:])
        if h < 24 and m < 60 and s < 61:
            places.append(match.start())
            seconds.append(h * 3600 + m * 60 + s)
        if len(places) > _MOST_CLOCKS:
            return Clocks(places=[], times=[])
    if not places:
        return Clocks(places=[], times=[])
    written = zone.shown(zone.written)
    day = written.replace(hour=0, minute=0, second=0, microsecond=0)
    if day + timedelta(seconds=seconds[-1]) > written + timedelta(seconds=60):
        day -= timedelta(days=1)
    times: list[float] = []
    for index in range(len(seconds) - 1, -1, -1):
        if index + 1 < len(seconds) and seconds[index] > seconds[index + 1]:
            day -= timedelta(days=1)
        times.append(zone.epoch(day + timedelta(seconds=seconds[index])))
    return Clocks(places=places, times=times[::-1])


def without_time(line: bytes) -> bytes:
    """A line without the time that it begins with."""
    match = _CLOCKS.match(line) or _STAMP.match(line)
    return line[match.end() :].lstrip(_EDGE).rstrip() if match else line.strip()
