"""What is believed of the numbers in a command's output: nothing that has not repeated and moved.

One :class:`Track` is one bar or counter. Its values must rise, by steps that were read at different times, with the
total staying what it was; what falls begins anew or is no progress.
"""

import re

from statustui.control.output import rules
from statustui.control.output.rules import Rule
from statustui.control.output.stream import Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from statustui.control.output.own import Own

    class Outcome(Protocol):
        """Who is told."""

        def believed(self, track: "Track") -> None:
            """It is progress."""

        def moved(self, track: "Track") -> None:
            """What is believed has moved."""

        def again(self, track: "Track") -> None:
            """It is about to begin anew."""

        def withdrawn(self, track: "Track") -> None:
            """It is no progress after all."""

        def said(self, message: str) -> None:
            """A message without a number."""


APART_S = 0.3
"""Least time between the first and the last value that make a number believed: what comes at once is a list."""
MOST_TRACKS = 200
_DIP = 3.0  # percent: parallel builds print a little out of order
_STRIKES = 3
_SPINNER = re.compile(r"^[^\w(\[<\"'/.]+")
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_FRAME = " |[#=>-.]"
_ING = re.compile(r"(?i)\b[a-z]+ing\b")


class Track:
    """One bar or counter."""

    __slots__ = (
        "above", "at", "believed", "done", "first", "first_at", "full", "message", "name", "passes", "percent", "rises",
        "rule", "settled", "strikes", "times", "total", "trusted", "unit", "unsure", "up", "value", "void",
    )  # fmt: skip

    def __init__(self, rule: Rule, up: int) -> None:
        self.rule = rule
        self.up = up
        """Lines below another bar."""
        self.name = ""
        self.above = ""
        """The line that stood above when this pass began."""
        self.passes = 0
        """How often it has begun anew."""
        self.trusted = False
        """True: a pass of it was believed before."""
        self.void = False
        """True: it is no progress; for good."""
        self.unsure = False
        """True: its share has fallen, since the total grows; the count alone is told."""
        self.settled = False
        self.message = ""
        self.unit = ""
        self.begin(-1.0, 0.0)

    def begin(self, value: float, at: float) -> None:
        """Begin a pass."""
        self.value = self.first = value
        self.done: int | None = None
        self.total: int | None = None
        self.percent: float | None = None
        self.rises = 0
        self.times = 1
        self.first_at = self.at = at
        self.believed = False
        self.full = False
        self.strikes = 0

    @property
    def share(self) -> float | None:
        """0..1; None when only a count is known."""
        if self.unsure:
            return None
        if self.total:
            return (self.done or 0) / self.total
        return None if self.percent is None else self.percent / 100


class Seen:
    """What one text says."""

    __slots__ = ("done", "heading", "message", "name", "percent", "rule", "shape", "total", "unit", "up", "words")

    def __init__(self, rule: Rule, found: "re.Match[str]", up: int) -> None:
        groups = found.groupdict()
        scale = groups.get("scale") or ""
        self.rule = rule
        self.up = up
        self.percent = _percent(groups.get("percent"))
        self.done = rules.amount(groups["done"], scale) if groups.get("done") else None
        whole = groups.get("scale_total") or scale
        self.total = rules.amount(groups["total"], whole) if groups.get("total") else None
        if groups.get("left") and self.done is not None:
            self.total = self.done + int(groups["left"])
        if rule.current and self.done:
            self.done -= 1
        if self.total is not None and self.done is not None and self.total > 0:
            self.percent = None
        self.name = _SPINNER.sub("", groups.get("name") or "").strip().rstrip(":").strip()
        self.message = (groups.get("message") or "").strip(" :-")
        unit = groups.get("unit") or rule.unit
        if groups.get("rate") and (rate := rules.RATE.search(groups["rate"])) is not None:
            unit = rate["each"] or rate["unit"]
        self.unit = "" if unit in ("it", "its") else unit
        self.words = groups.get("scan") or ""
        self.heading = (groups.get("heading") or "").strip()[:200]
        self.shape: object = None

    @property
    def value(self) -> float:
        """What must rise."""
        return float(self.done) if self.done is not None else self.percent or 0.0


class Evidence:
    """The tracks of a run's output.

    Args:
        outcome: is told what is believed.
        program: base name of the command.
        kind: kind of program (``R``).
        own: the user's own expressions, tried first.
    """

    def __init__(self, outcome: "Outcome", *, program: str = "", kind: str = "", own: "Own | None" = None) -> None:
        self._outcome = outcome
        self._program = program
        self._own = own
        self._kind = kind
        self.tracks: dict[object, Track] = {}
        self._duration: int | None = None
        self._heading = ""

    def take(self, text: Text, now: float, source: int = 0) -> None:
        """Weigh one text, read at *now* (monotonic seconds)."""
        seen = self.seen(text)
        if seen is not None:
            self.weigh(seen, text, now, source)

    def grown(self, before: bytes, data: bytes, tail: bytes, now: float, source: int = 0) -> None:
        """Weigh a row of one sign that grows without an end (R's bar of style 1).

        Args:
            before: what stood behind the last end of a line before *data* came.
            data: what has come.
            tail: what stands there now.
            now: monotonic seconds.
            source: which stream.
        """
        if self._kind != "R":
            return
        row = tail if b"\n" not in data else (before + data).partition(b"\n")[0]
        found = rules.GROWN.pattern.match(row.rstrip(b"\r").decode("ascii", "replace")) if len(row) < 99 else None
        if found is not None and len(found[0]) <= rules.GROWN_FULL:
            seen = Seen(rules.GROWN, found, 0)
            seen.percent = 100.0 * len(found[0]) / rules.GROWN_FULL
            self.weigh(seen, None, now, source)

    def seen(self, text: Text) -> Seen | None:
        """What a text says, by the first rule that matches; None when it is none of them."""
        line = text.text
        if self._own is not None:
            hit = self._own.match(line)
            if hit is not None:
                return Seen(*hit, 0)
            if self._own.alone:
                return None
        for rule in rules.fitting(line):
            if rule.hint in line:
                found = rule.pattern.match(line)
                if found is not None:
                    return Seen(rule, found, text.up)
        if rules.barish(line):
            for rule in rules.BARS:
                if rule.hint in line and (found := rule.pattern.match(line)) is not None:
                    return Seen(rule, found, text.up)
        return self._media(line, text.up) or self._counted(line, text.up) or self._lone(line, text)

    def _media(self, line: str, up: int) -> Seen | None:
        if "time=" in line and self._duration:
            found = rules.CLOCK.search(line)
            if found is not None and not found[1].startswith("-"):
                seen = Seen(rules.FFMPEG, found, up)
                seen.done, seen.total = _seconds(found), self._duration
                return seen
        elif "Duration:" in line:
            found = rules.DURATION.match(line)
            if found is not None:
                self._duration = _seconds(found) or None
        return None

    def _counted(self, line: str, up: int) -> Seen | None:
        """A count in plain words."""
        for found in rules.COUNT.pattern.finditer(line):
            begin = found.start()
            if int(found["total"]) >= 3 and (not begin or line[begin - 1] in rules.BEFORE):
                break
        else:
            return None
        after = line[found.end() + 1 : found.end() + 24].partition(" ")[0].lower().rstrip(".,:;)]")
        before = line[max(0, begin - 24) : begin].rstrip(" #(").rpartition(" ")[2].lower()
        raw = begin < 14 and rules.RAW.match(line[:begin]) is not None
        unit = after if after in rules.UNITS else before if before in rules.UNITS else ""
        if not unit and not raw:
            return None
        words = rules.words_of(line)
        if words & rules.NOT_PROGRESS:
            return None
        seen = Seen(rules.COUNT, found, up)
        seen.unit = unit
        doing = after not in rules.UNITS or _ING.search(line[:begin]) is not None
        if doing and not raw and seen.done and not words & rules.DONE_WORDS:
            seen.done -= 1  # the one at work is not done
        seen.shape = (seen.unit, seen.total)
        return seen

    def _lone(self, line: str, text: Text) -> Seen | None:
        """A lone percent: drawn again in its place, or in lines that differ in nothing else."""
        sign = line.find("%")
        if sign < 1 or len(line) > rules.LONGEST_LONE or line.find("%", sign + 1) > 0:
            return None
        rule = rules.REDRAWN if text.redrawn else rules.PRINTED
        found = rule.pattern.search(line, max(0, sign - 8))
        if found is None or (found.start() and line[found.start() - 1] not in rules.BEFORE):
            return None
        words = rules.words_of(line)
        if words & rules.NOT_PROGRESS:
            return None
        if not text.redrawn and not words & rules.PROGRESS_WORDS:
            bare = not line[: found.start()].strip(_FRAME) and not line[found.end() :].strip(_FRAME)
            if not bare:
                return None
        seen = Seen(rule, found, text.up)
        shape = line[: found.start()] if text.redrawn else line
        seen.shape = " ".join(_NUMBER.sub("#", shape).split())[:200]
        if text.redrawn:
            seen.name = shape.strip(_FRAME + ":(\t")[:80] if not _NUMBER.search(shape) else ""
        return seen

    def weigh(self, seen: Seen, text: Text | None, now: float, source: int = 0) -> None:
        """Take what a text says into account."""
        rule = seen.rule
        if rule.level == rules.OWN and not self._said(seen):
            return
        if (seen.percent is not None and seen.percent > 100) or (seen.total and (seen.done or 0) > seen.total):
            return
        name = "" if rule.fluid else seen.name
        total = seen.total if rule.need > 2 and not rule.programs else None
        key = (source, rule.name, seen.up, name, total, seen.shape)
        track = self.tracks.get(key)
        if track is None:
            if len(self.tracks) >= MOST_TRACKS:
                self._forget()
            track = self.tracks[key] = Track(rule, seen.up)
            self._begin(track, seen, text, now)
            if rule is rules.COUNT or rule.name == "ninja":
                # What begins anywhere, or with 0 of n in plain lines, is a number of something (a page, a rank).
                low = seen.value <= max(1.0, (seen.total or 0) / 20)
                zero = not seen.value and text is not None and not text.redrawn and rule is not rules.COUNT
                track.void = not low or (zero and self._program not in rule.programs)
            if rule.need < 2:
                track.believed = True
                self._outcome.believed(track)
            return
        if track.void:
            return
        if seen.words == "to":
            track.settled, track.unsure = True, False
        before = track.value
        if self._anew(track, seen, text):
            if track.void:
                self._outcome.withdrawn(track)
                return
            track.trusted = track.trusted or track.believed
            track.passes += 1
            self._outcome.again(track)
            self._begin(track, seen, text, now)
            return
        if seen.value < before and not track.unsure:
            return  # a little out of order
        if rule is rules.COUNT and seen.value - before > max(1.0, (seen.total or 0) / 20):
            track.void = not track.believed  # a count that jumps may be of anything
        self._move(track, seen, now)

    def _said(self, seen: Seen) -> bool:
        """What one of the user's own expressions found beside numbers. True when it found numbers."""
        if seen.heading and seen.heading != self._heading:
            self._heading = seen.heading
            for track in self.tracks.values():
                if track.rule.level == rules.OWN and track.believed:
                    track.full = True  # the next part has begun
                    self._outcome.again(track)
                    track.begin(-1.0, track.at)
        if seen.done is None and seen.percent is None:
            self._outcome.said(seen.message)
            return False
        seen.name = seen.name or self._heading
        return True

    def _begin(self, track: Track, seen: Seen, text: Text | None, now: float) -> None:
        track.begin(seen.value, now)
        track.name = seen.name
        track.above = text.above() if text is not None and not seen.name else ""
        self._fill(track, seen)

    def _move(self, track: Track, seen: Seen, now: float) -> None:
        if not track.believed and seen.total != track.total:
            track.rises = -1  # the proof begins anew: the total must stay what it was
        if seen.value > track.value:
            track.rises += 1
            track.strikes = 0
        if now > track.at:
            track.times += 1
        track.value = seen.value
        track.at = now
        if track.rule.fluid and seen.name and len(seen.name) >= len(track.name):
            track.name = seen.name
        self._fill(track, seen)
        need = 1 if track.trusted else track.rule.need - 1
        if track.believed:
            self._outcome.moved(track)
        elif track.rises >= need and track.times >= 2 and (track.trusted or now - track.first_at >= APART_S):
            track.believed = True
            self._outcome.believed(track)

    def _fill(self, track: Track, seen: Seen) -> None:
        track.done, track.percent = seen.done, seen.percent
        track.total = seen.total if seen.total else None
        track.message = seen.message or track.message
        track.unit = seen.unit
        if track.total is not None:
            track.full = (track.done or 0) >= track.total
        else:
            track.full = track.percent is not None and track.percent >= 100

    def _anew(self, track: Track, seen: Seen, text: Text | None) -> bool:
        """Does a value begin a new pass? One that shows the track to be no progress makes it void."""
        low = _share(seen.done, seen.total, seen.percent)
        share = _share(track.done, track.total, track.percent)
        if track.rule.growing:
            return self._grows(track, seen, low or 0.0, share or 0.0, text)
        other = track.rule.fluid and bool(seen.name) and seen.name != track.name and seen.total != track.total
        if seen.value >= track.value:
            return other and (track.full or (low is not None and low < 5))
        if other or (track.full and (low is None or low <= 50)):
            return True
        if low is None or share is None:
            if track.rule.need > 2:
                track.void = True
            return track.void or seen.value < track.value / 3
        if share - low <= _DIP:
            return False
        if track.rule.need <= 2 and low <= 0.3 * share:
            return True
        track.strikes += 1
        track.void = track.rule.need > 2 or track.strikes >= _STRIKES
        return track.void

    def _grows(self, track: Track, seen: Seen, low: float, share: float, text: Text | None) -> bool:
        """The same where the whole may grow during the work: then the share falls and the count does not."""
        if track.full and text is not None and text.above() != track.above:
            return low < 100
        if seen.value < track.value:
            return low <= 0.3 * share
        if low < share - 1 and not track.settled:
            track.unsure = True
        return False

    def _forget(self) -> None:
        """Drop the half that was least lately heard of."""
        kept = sorted(self.tracks.items(), key=lambda entry: (entry[1].believed or entry[1].void, entry[1].at))
        self.tracks = dict(kept[MOST_TRACKS // 2 :])


def _share(done: int | None, total: int | None, percent: float | None) -> float | None:
    if total:
        return 100.0 * (done or 0) / total
    return percent


def _percent(text: str | None) -> float | None:
    return None if text is None else float(text)


def _seconds(found: "re.Match[str]") -> int:
    return int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3])
