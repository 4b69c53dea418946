"""What an append-only log of another system says about items and their steps: replayed in the order of its times. Pure.

The rules: an end without a start takes its own time as the start; a later success clears the error; a late ``pending``
does not undo progress; what is done and begins again was reset; words that are none of ours are kept and reported.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from statustui.model.status import ItemStatus
from statustui.model.times import from_text, to_epoch


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLine:
    """One line of the log."""

    item: str
    step: str
    word: str
    """The status as it stands there."""
    at: float
    """Epoch seconds."""
    message: str | None = None
    detail: str | None = None
    task_id: str | None = None
    number: int = 0
    """Its place in the log, which decides among equal times."""

    @property
    def status(self) -> ItemStatus | None:
        """The status that the word means; None for one that is none of ours."""
        try:
            return ItemStatus(self.word)
        except ValueError:
            return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One fact that follows from a line."""

    kind: str
    """As in a journal."""
    step: str
    at: float
    fields: dict[str, Any] = field(default_factory=dict)
    line: int = 0
    """Index of its line among those replayed."""


@dataclass(slots=True)
class _Place:
    """A step while its lines are replayed."""

    status: ItemStatus = ItemStatus.PENDING
    attempt: str = ""
    started_at: float = 0.0
    error: str | None = None
    attempts: int = 0
    latest: float = float("-inf")
    """Time of its last line: two at one moment happened one after the other all the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """What the lines of one item come to."""

    facts: tuple[Told, ...]
    statuses: dict[str, ItemStatus]
    """Final status by step, in the order of their first lines."""
    errors: dict[str, str]
    """Error by step, of those that failed."""
    unknown: tuple[str, ...]
    """Words that are none of ours, each once."""


def replay(pipeline: str, lines: Sequence[LogLine]) -> Replayed:
    """Replay the lines of one item.

    Args:
        pipeline: its name; the ids of the attempts follow from it, so that the same log gives the same ones.
        lines: in any order.
    """
    places: dict[str, _Place] = {}
    facts: list[Told] = []
    unknown: dict[str, None] = {}
    for index, line in enumerate(sorted(lines, key=lambda line: (line.at, line.number))):
        place = places.setdefault(line.step, _Place())
        if line.at <= place.latest:
            line = replace(line, at=round(place.latest + 1e-6, 6))
        place.latest = line.at
        status = line.status
        if status is None:
            unknown[line.word] = None
        made = _apply(pipeline, line, status, place)
        facts += [Told(kind=kind, step=line.step, at=line.at, fields=fields, line=index) for kind, fields in made]
    return Replayed(
        facts=tuple(facts),
        statuses={step: place.status for step, place in places.items()},
        errors={step: place.error for step, place in places.items() if place.error is not None},
        unknown=tuple(unknown),
    )


def _apply(pipeline: str, line: LogLine, status: ItemStatus | None, place: _Place) -> list[tuple[str, dict[str, Any]]]:
    """The facts of one line; what it does not change is kept as a line of the story."""
    words = {"message": line.message, "detail": line.detail, "task_id": line.task_id}
    if status is ItemStatus.PROCESSING:
        made = _again(place)
        made.append(("step.start", {"att": _begin(pipeline, line, place), **words}))
        return made
    if status is None or status is ItemStatus.PENDING or (status.done and place.status.done):
        return [("step.event", {"kind": "log", "status": line.word, **words})]
    made = []
    if place.status is not ItemStatus.PROCESSING:
        made = _again(place)
        made.append(("step.start", {"att": _begin(pipeline, line, place)}))
    fields: dict[str, Any] = {"att": place.attempt, "status": status.value, **words}
    fields["duration"] = round(max(0.0, line.at - place.started_at), 6)
    if status is ItemStatus.FAILED:
        place.error = fields["error"] = line.message or line.detail or "failed"
    elif status is ItemStatus.SKIPPED:
        fields["reason"] = line.message
    place.status = status
    made.append(("step.end", fields))
    return made


def _again(place: _Place) -> list[tuple[str, dict[str, Any]]]:
    """Only a reset opens what was done."""
    return [("step.reset", {"only": True, "reason": "it began again"})] if place.status.done else []


def _begin(pipeline: str, line: LogLine, place: _Place) -> str:
    place.attempts += 1
    place.status, place.started_at, place.error = ItemStatus.PROCESSING, line.at, None
    named = "\x1f".join((pipeline, line.item, line.step, str(place.attempts), f"{line.at:.6f}"))
    place.attempt = "log-" + hashlib.blake2b(named.encode("utf-8", "replace"), digest_size=12).hexdigest()
    return place.attempt


def moment(value: object) -> float:
    """A time of a log in epoch seconds: a time, ISO text (UTC where it names no zone), or a number.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, datetime):
        return to_epoch(value.replace(tzinfo=UTC) if value.tzinfo is None else value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip()
    try:
        return float(text)
    except ValueError:
        return to_epoch(from_text(text))
