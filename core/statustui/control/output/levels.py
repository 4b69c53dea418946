"""What is believed, as the two levels of a run: subtasks, and the items in each.

One bar is one subtask; bars one after another are subtasks one after another. Where a second counter goes up by one
each time a bar has run through (an outer loop, ``Stage 2/3``), it is the number of subtasks. What is the whole
of the command's work (make's percent, when make was what was run) is the run's only subtask.
"""

from statustui.control.output import rules
from statustui.control.output.evidence import Evidence, Track

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from statustui.control.output.own import Own

    class Sink(Protocol):
        """Who writes it down."""

        def expect(self, total: int) -> None:
            """The run has so many subtasks."""

        def begin(self, number: int, name: str, total: int | None, unit: str) -> None:
            """A subtask begins."""

        def end(self, number: int, fields: dict[str, Any]) -> None:
            """A subtask is complete."""

        def withdraw(self, number: int) -> None:
            """A subtask was none."""


MOST_SUBTASKS = 500
"""Subtasks of one run that come from output; what follows is not shown."""
_MOST_ROUNDS = 300
_LIVE_S = 10.0
_NAME = 120


class Levels:
    """Subtasks of one run.

    Args:
        sink: is told what begins and ends.
        program: base name of the command.
        kind: kind of program (``sh``, ``python``, ``R``, ``command``).
        total: bytes that the command will copy, where its arguments tell (``dd``).
        own: the user's own expressions.
        words: the command's arguments.
    """

    def __init__(
        self,
        sink: "Sink",
        *,
        program: str = "",
        kind: str = "command",
        total: int | None = None,
        own: "Own | None" = None,
        words: "Sequence[str]" = (),
    ) -> None:
        self._sink = sink
        self._program = program
        self._kind = kind
        self._total = total
        self._words = words
        self.evidence = Evidence(self, program=program, kind=kind, own=own)
        self.shown: dict[int, Track] = {}
        """The subtasks that are open, by number."""
        self.begun = 0
        self.messages: dict[int, str] = {}
        """What runs inside an open subtask."""
        self.message = ""
        """What is said of the whole run."""
        self._numbers: dict[int, int] = {}
        self._whole: Track | None = None
        self._outer: Track | None = None
        self._withdrawn = 0
        self._waiting: dict[int, tuple[Track, int]] = {}

    # What the evidence tells

    def believed(self, track: Track) -> None:
        """A track is progress."""
        if track is self._outer or id(track) in self._numbers:
            return
        if self._whole is not None:
            return
        if self._is_whole(track):
            for other in list(self.shown.values()):
                if not other.full:
                    self.withdrawn(other)  # a part of the whole, which is counted once
            self._whole = track
            self._begin(track)
            self._sink.expect(self.begun - self._withdrawn)
            return
        above = self._around(track)
        if above is not None:
            self._inside(track, above)
        elif self._may_be_around(track) or (self._others_live(track) and self._outer is None):
            self._waiting[id(track)] = (track, track.done or 0)
        else:
            self._open(track)

    def moved(self, track: Track) -> None:
        """A believed track has moved."""
        if track is self._outer:
            self._round(track)
            return
        waiting = self._waiting.get(id(track))
        if waiting is not None:
            # An outer loop moves when a bar below it has run through; what moves by itself stands beside it.
            alone = not self._others_live(track)
            if not self._may_be_around(track) and (alone or track.value > track.first + 1):
                del self._waiting[id(track)]
                self._open(track)
            return
        above = self._around(track) if id(track) not in self._numbers else None
        if above is not None:
            self._inside(track, above)

    def again(self, track: Track) -> None:
        """A track begins anew."""
        if track is self._outer:
            self._outer = None
        self._waiting.pop(id(track), None)
        if id(track) in self._numbers:
            self._end(track)
            self._adopt(track)
        if track is self._whole:
            self._whole = None

    def withdrawn(self, track: Track) -> None:
        """What was believed was none: it is not counted any more."""
        self._waiting.pop(id(track), None)
        number = self._numbers.pop(id(track), None)
        if number is not None:
            del self.shown[number]
            self._withdrawn += 1
            self._sink.withdraw(number)
        if track is self._whole:
            self._whole = None

    def said(self, message: str) -> None:
        """A message without a number."""
        if self.shown:
            self.messages[max(self.shown)] = message
        else:
            self.message = message

    def finish(self) -> None:
        """The command has ended: what was full is complete, the rest ends with the run's own word."""
        for track in list(self.shown.values()):
            if track.full:
                self._end(track)

    def values(self) -> "dict[str, dict[str, Any]]":
        """Progress of the open subtasks, as the slot has it."""
        return {str(number): self._values(number, track) for number, track in self.shown.items()}

    def drop(self) -> None:
        """Take back what is open: somebody who knows better reports."""
        for number in self.shown:
            self._sink.withdraw(number)
        self.shown.clear()
        self._numbers.clear()

    # Levels

    def _is_whole(self, track: Track) -> bool:
        if track.rule.level == rules.WHOLE and not track.rule.programs:
            return self._kind != "sh"
        if track.rule.name == "rsync":  # else it is the percent of one file
            return self._program == "rsync" and any("progress2" in word for word in self._words)
        return self._program in track.rule.programs

    def _open(self, track: Track) -> None:
        if self.begun >= MOST_SUBTASKS:
            return
        if self._outer is not None and self.begun > (self._outer.done or 0):
            return  # more than one bar in a round: the rounds are what counts
        if id(track) not in self._numbers:
            self._adopt(track)
            self._begin(track)

    def _others_live(self, track: Track) -> bool:
        return any(
            other is not track and not other.full and track.at - other.at < _LIVE_S for other in self.shown.values()
        )

    def _may_be_around(self, track: Track) -> bool:
        """Has a counter gone up by one each time that a bar ran through?"""
        done = track.done or 0
        return bool(self.begun) and 0 < done == self._done() and not track.first and (track.total or 0) > done

    def _around(self, track: Track) -> Track | None:
        """The shown bar that a track runs through again and again: what stands below it and has begun anew."""
        if not track.passes:
            return None  # bars below one another that run through once stand beside each other
        for other in self.shown.values():
            below = track.up > other.up and other.rule.name.startswith("tqdm")
            if other is not track and not other.full and (below or other.rule.level == rules.OUTER):
                return other
        return None

    def _inside(self, track: Track, above: Track) -> None:
        share = track.share
        told = "" if share is None else f"{int(100 * share)}%"
        name = self._name(track)
        self.messages[self._numbers[id(above)]] = f"{name} {told}".strip()

    def _done(self) -> int:
        """Subtasks that are through."""
        return self.begun - sum(not track.full for track in self.shown.values())

    def _adopt(self, inner: Track) -> None:
        """When *inner* begins anew: is there a counter of the times it has run through?"""
        done = self._done()
        if self._outer is not None or self._whole is not None or done < 1:
            return
        for track in list(self.evidence.tracks.values()):
            if track is inner or track.void or id(track) in self._numbers or track.done != done or track.first > 0:
                continue
            if not (track.believed or track.rule.level == rules.OUTER):
                continue
            if track.total is not None and max(2, done + 1) <= track.total <= _MOST_ROUNDS:
                self._outer = track
                self._waiting.pop(id(track), None)
                self._sink.expect(track.total)
                for other in list(self.shown.values()):
                    self._end(other)
                return

    def _round(self, outer: Track) -> None:
        """The outer counter went on: what ran below it is through."""
        done = outer.done or 0
        for track in list(self.shown.values()):
            if self._done() < done:
                self._end(track)
        while self.begun < min(done, MOST_SUBTASKS):  # rounds too short to be seen
            self.begun += 1
            self._sink.begin(self.begun, f"{self._name(outer)} {self.begun}", None, "")
            self._sink.end(self.begun, {})
        if outer.total is not None:
            self._sink.expect(outer.total)

    def _begin(self, track: Track) -> None:
        for other in list(self.shown.values()):
            if other.full:
                self._end(other)
        self.begun += 1
        self.shown[self.begun] = track
        self._numbers[id(track)] = self.begun
        self._sink.begin(self.begun, self._name(track), None if track.unsure else track.total, track.unit)

    def _end(self, track: Track) -> None:
        number = self._numbers.pop(id(track), None)
        if number is None:
            return
        del self.shown[number]
        values = self._values(number, track)
        self.messages.pop(number, None)
        names = {"c": "complete", "t": "total", "p": "percent", "msg": "message"}
        self._sink.end(number, {names[key]: value for key, value in values.items()})

    def _values(self, number: int, track: Track) -> "dict[str, Any]":
        values: dict[str, Any] = {}
        if track.done is not None:
            values["c"] = track.done
        total = track.total
        if total is None and track is self._whole and track.percent is None and (track.done or 0) <= (self._total or 0):
            total = self._total
        if total is not None:
            values["t"] = total
        elif track.percent is not None:
            values["p"] = None if track.unsure else track.percent
        message = self.messages.get(number) or track.message
        if message:
            values["msg"] = message[:200]
        return values

    def _name(self, track: Track) -> str:
        """What a subtask is called: by its own text, by the heading above it, else by its rule."""
        if track.rule.level == rules.OUTER:
            return track.name.lower()
        if track.name:
            return track.name[:_NAME]
        heading = rules.HEADING.match(track.above)
        if heading is not None:
            found = heading[heading.lastgroup or 0].strip(" ’'\":=#")
            return found.rpartition("/")[2][:_NAME] if "://" in found else found[:_NAME]
        if track.rule.name == "rsync" and rules.FILE_NAME.match(track.above):
            return track.above[:_NAME]
        rounds = self._heading_of_round()
        return rounds or track.rule.label

    def _heading_of_round(self) -> str:
        """``stage 2: tables``, where such a line was the last of its kind."""
        found = [t for t in self.evidence.tracks.values() if t.rule.level == rules.OUTER and not t.void]
        if not found:
            return ""
        last = max(found, key=lambda track: track.at)
        message = f": {last.message}" if last.message else ""
        return f"{last.name.lower()} {(last.done or 0) + 1}{message}"[:_NAME]
