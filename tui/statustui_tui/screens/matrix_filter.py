"""The filter of a list of items, which the store applies: part of the key, and fields."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from statustui.model.pipeline import Step
from statustui.model.status import ItemStatus
from statustui.store.item_selector import ItemSelector

HINT = "filter: part of the key, status: step: kind: since: until: date:"


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemFilter:
    """What was typed, and what it means."""

    text: str = ""
    selector: ItemSelector
    problem: str = ""
    """What of it can not be understood; the rest holds."""

    def options(self) -> list[str]:
        """The same on the command line."""
        wanted = self.selector
        out: list[str] = []
        for status in wanted.statuses:
            out += ["--status", status.value]
        for step in wanted.steps:
            out += ["--step", step]
        for kind in wanted.kinds:
            out += ["--kind", kind]
        for name, day in (("--since", wanted.since), ("--until", wanted.until)):
            out += [name, day.isoformat()] if day is not None else []
        return out + (["--search", wanted.text] if wanted.text else [])


def parse(text: str, pipeline: str, steps: Sequence[Step], fingerprint: str = "") -> ItemFilter:
    """Read a filter; words without a field are looked for in the key."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    found = ItemSelector(pipeline=pipeline, fingerprints=(fingerprint,) if fingerprint else ())
    rest: list[str] = []
    problems: list[str] = []
    for word in words[:20]:
        name, colon, value = word.partition(":")
        if not colon or name not in ("status", "step", "kind", "since", "until", "date"):
            rest.append(word)
        elif value:
            try:
                found = _with(found, name, value, steps)
            except ValueError as error:
                problems.append(str(error))
    found = replace(found, text=" ".join(rest))
    return ItemFilter(text=text, selector=found, problem="; ".join(problems))


def _with(found: ItemSelector, name: str, value: str, steps: Sequence[Step]) -> ItemSelector:
    parts = tuple(part for part in value.split(",") if part)
    if name == "status":
        return replace(found, statuses=found.statuses + tuple(_status(part) for part in parts))
    if name == "step":
        return replace(found, steps=found.steps + tuple(_step(part, steps) for part in parts))
    if name == "kind":
        return replace(found, kinds=found.kinds + parts)
    day = date.fromisoformat(value)
    return replace(
        found,
        since=day if name in ("since", "date") else found.since,
        until=day if name in ("until", "date") else found.until,
    )


def _status(word: str) -> ItemStatus:
    # While it is typed, the beginning of a word is enough.
    folded = word.casefold()
    for status in ItemStatus:
        if status.value.startswith(folded):
            return status
    return ItemStatus(folded)


def _step(word: str, steps: Sequence[Step]) -> str:
    folded = word.casefold()
    for step in steps:
        if folded in (step.key.casefold(), step.label.casefold(), step.short.casefold(), step.title.casefold()):
            return step.key
    raise ValueError(f"no step is called {word}")
