"""What the drainer keeps of steps of items that are at work: who told of them last, and in which journals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from statustui.drain.runs import Writer, later, text

_MOST = 100_000
"""Steps at work in one directory; the oldest are forgotten first, and then only their lease or run ends them."""

Place = tuple[str, str, str]
"""(pipeline, key of the item, key of the step)."""


@dataclass(slots=True)
class OpenStep:
    """One attempt that was begun and not ended, as the journals of this directory tell."""

    place: Place
    attempt: str
    run: str | None = None
    speakers: set[str] = field(default_factory=set)
    """Journals whose writers told of it."""
    heard: float | None = None
    """When anything of it was last written, by the writer's clock."""


class OpenSteps:
    """Attempts at work, built by reading records in the order of each journal."""

    def __init__(self) -> None:
        self._steps: dict[tuple[Place, str], OpenStep] = {}
        self._at: dict[Place, set[str]] = {}
        self._told: dict[str, set[tuple[Place, str]]] = {}

    def journals(self) -> list[str]:
        """Journals that tell of steps at work."""
        return list(self._told)

    def of(self, journals: Iterable[str]) -> list[OpenStep]:
        """The steps at work that these journals tell of."""
        named = {one for journal in journals for one in self._told.get(journal, ())}
        return [self._steps[one] for one in named]

    def see(self, writer: Writer, record: Mapping[str, Any], next_offset: int) -> None:
        """Take in one record; what is none of a step, or unsound, changes nothing.

        Args:
            writer: of its journal.
            record: the record.
            next_offset: where the record after it begins: an attempt without a name of its own is called after it.
        """
        kind = record.get("k")
        if kind not in ("step.start", "step.update", "step.end"):
            return
        place = _place(record)
        if place is None:
            return
        attempt = text(record.get("att"))
        if kind == "step.end":
            for one in [attempt] if attempt is not None else list(self._at.get(place, ())):
                self.forget(place, one)
        elif kind == "step.start" or attempt is not None:  # whoever tells its progress is at work, too
            self._begin(place, attempt or f"{writer.journal}:{next_offset}", writer, record)

    def _begin(self, place: Place, attempt: str, writer: Writer, record: Mapping[str, Any]) -> None:
        step = self._steps.get((place, attempt))
        if step is None:
            if len(self._steps) >= _MOST:
                self.forget(*next(iter(self._steps)))
            step = self._steps[place, attempt] = OpenStep(place, attempt)
            self._at.setdefault(place, set()).add(attempt)
        step.run = text(record.get("run")) or step.run
        self._heard(step, writer.journal, record.get("t"))

    def hear(self, journal: str, items: object, at: object) -> None:
        """The slot of a journal tells the progress of steps."""
        for place, told in items.items() if isinstance(items, dict) else ():
            parts = tuple(str(place).split("\x1f"))
            attempt = told.get("att") if isinstance(told, dict) else None
            if len(parts) == 3 and isinstance(attempt, str):
                known = self._steps.get(((parts[0], parts[1], parts[2]), attempt))
                if known is not None:
                    self._heard(known, journal, at)

    def _heard(self, step: OpenStep, journal: str, at: object) -> None:
        step.speakers.add(journal)
        step.heard = later(step.heard, at)
        self._told.setdefault(journal, set()).add((step.place, step.attempt))

    def forget(self, place: Place, attempt: str) -> None:
        """It has ended, or the store was told that nobody works at it."""
        step = self._steps.pop((place, attempt), None)
        for journal in step.speakers if step is not None else ():
            told = self._told[journal]
            told.discard((place, attempt))
            if not told:
                del self._told[journal]
        left = self._at.get(place)
        if left is not None:
            left.discard(attempt)
            if not left:
                del self._at[place]


def _place(record: Mapping[str, Any]) -> Place | None:
    pipeline, key, step = (text(record.get(name)) for name in ("p", "key", "step"))
    return None if pipeline is None or key is None or step is None else (pipeline, key, step)
