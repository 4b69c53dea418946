"""Recorded output (tests/recordings) played to what reads progress out of it, at the pace of the wrapper."""

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from statustui.control.output.levels import Levels
from statustui.control.output.own import Own
from statustui.control.output.stream import Stream

RECORDINGS = Path(__file__).resolve().parents[1] / "recordings"
_KINDS = {"python3": "python", "Rscript": "R", "sh": "sh"}


@dataclass
class Sub:
    """One subtask as it came out."""

    name: str
    unit: str
    shares: list[float] = field(default_factory=list)
    """What was shown of it, 0..1, one look after the other."""
    counts: list[int] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)
    """Its last values: c, t, p, msg."""
    ended: bool = False
    withdrawn: bool = False


@dataclass
class Played:
    """What came of a recording. It is the sink of the levels."""

    subs: dict[int, Sub] = field(default_factory=dict)
    total: int | None = None
    shown: list[tuple[float, dict[int, float]]] = field(default_factory=list)
    """(time of a look, share of each open subtask)."""

    def expect(self, total: int) -> None:
        self.total = total

    def begin(self, number: int, name: str, total: int | None, unit: str) -> None:
        assert number not in self.subs
        self.subs[number] = Sub(name, unit)

    def end(self, number: int, fields: dict[str, Any]) -> None:
        names = {"complete": "c", "total": "t", "percent": "p", "message": "msg"}
        self.note(number, {names[key]: value for key, value in fields.items()})
        self.subs[number].ended = True

    def withdraw(self, number: int) -> None:
        self.subs[number].withdrawn = True

    def note(self, number: int, values: dict[str, Any]) -> None:
        sub = self.subs[number]
        assert not sub.ended and not sub.withdrawn
        sub.last = values
        share = self.share(values)
        if share is not None:
            sub.shares.append(share)
        if "c" in values:
            sub.counts.append(values["c"])

    @staticmethod
    def share(values: dict[str, Any]) -> float | None:
        if values.get("t"):
            return float(values["c"] / values["t"])
        percent = values.get("p")
        return None if percent is None else percent / 100

    def seen(self) -> list[Sub]:
        """The subtasks that count."""
        return [sub for sub in self.subs.values() if not sub.withdrawn]


def names() -> list[str]:
    """All recordings."""
    return sorted(path.name.removesuffix(".jsonl") for path in RECORDINGS.glob("*.jsonl"))


def recording(name: str) -> tuple[dict[str, Any], list[tuple[float, bytes]]]:
    """Head and pieces of a recording."""
    head, *pieces = (json.loads(line) for line in (RECORDINGS / f"{name}.jsonl").read_text().splitlines())
    return head, [(at, base64.b64decode(data)) for at, data in pieces]


def play(
    pieces: list[tuple[float, bytes]], *, program: str = "sh", kind: str = "sh", total: int | None = None,
    pace: float = 0.5, own: Own | None = None, words: Sequence[str] = (),
) -> Played:  # fmt: skip
    """Look at output every *pace* seconds, as the wrapper does."""
    played = Played()
    levels = Levels(played, program=program, kind=kind, total=total, own=own, words=words)
    stream = Stream(every=own is not None)
    at, rest = 0.0, list(pieces)
    while rest:
        at += pace
        before, data = stream.tail, b""
        while rest and rest[0][0] <= at:
            data += rest.pop(0)[1]
        for text in stream.feed(data) if data else stream.rest():
            levels.evidence.take(text, at)
        levels.evidence.grown(before, data, stream.tail, at)
        shown = {}
        for key, values in levels.values().items():
            played.note(int(key), values)
            share = played.share(values)
            if share is not None:
                shown[int(key)] = share
        played.shown.append((at, shown))
    for text in stream.rest():
        levels.evidence.take(text, at + pace)
    for key, values in levels.values().items():
        played.note(int(key), values)
    levels.finish()
    return played


def played(name: str, **options: Any) -> Played:
    """Play a recording as its command was run."""
    head, pieces = recording(name)
    program = "dd" if " dd " in head["command"] else os.path.basename(head["command"].split()[0])
    return play(pieces, program=program, kind=_KINDS.get(program, "command"), words=head["command"].split(), **options)
