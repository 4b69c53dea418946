"""Does what the store says agree with the files that are there?"""

import glob
import re
import string
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from statustui.errors import StatustuiError
from statustui.model.items import Item
from statustui.model.status import ItemStatus
from statustui.pipelines.bulk import Bulk
from statustui.pipelines.coordinating import Coordinator

_AT_ONCE = 500


class BadPattern(StatustuiError):
    """A pattern of files can not be used."""


class Finding(StrEnum):
    """What does not agree."""

    FILE_WITHOUT_STATE = "file without state"
    """There are files, and the step is not done."""
    STATE_WITHOUT_FILE = "state without file"
    """The step is completed, and there is no file."""
    UNKNOWN_ITEM = "file of an unknown item"
    """There are files whose item the store does not know."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreement:
    """One step of one item where store and files differ."""

    key: str
    step: str
    finding: Finding
    status: ItemStatus | None = None
    """What the store says; None for an unknown item."""
    files: tuple[str, ...] = ()
    """The files, at most ten."""

    @property
    def remedy(self) -> str:
        """What mending it does."""
        if self.finding is Finding.STATE_WITHOUT_FILE:
            return "reset it, and what depends on it"
        return "complete it" if self.finding is Finding.FILE_WITHOUT_STATE else "add the item and complete the step"


@dataclass(slots=True)
class Verified:
    """What a verification found."""

    items: int = 0
    """Items that were looked at."""
    checked: int = 0
    """Steps of items that were looked at."""
    found: list[Disagreement] = field(default_factory=list)
    fixed: int = 0
    """How many were mended."""

    @property
    def ok(self) -> bool:
        """True when store and files agree, or do so now."""
        return self.fixed == len(self.found)


def verify(coordinator: Coordinator, patterns: Mapping[str, str], *, root: str = ".", fix: bool = False) -> Verified:
    """Compare the store with files, by a pattern for each step.

    Args:
        coordinator: of the pipeline.
        patterns: by step, such as ``data/properties/{key}/documents/*.pdf``; ``{name}`` stands for an attribute.
        root: directory that relative patterns begin at.
        fix: True mends what differs, in the store, never on disk.

    Raises:
        BadPattern: a step or a field of a pattern is none; the message names it.
        StoreUnavailable: the store can not be asked.
    """
    known = _checked(coordinator, patterns)
    result = Verified()
    seen: dict[str, set[str]] = {step: set() for step in known}
    lacking: dict[str, str] = {}
    there: set[str] = set()
    for item in _items(coordinator):
        result.items += 1
        about = {"key": item.key, **item.attributes}
        for step, pattern in known.items():
            status = item.states.get(step)
            if status is None:
                continue
            missing = next((name for name in map(_attribute, _fields(pattern)) if name not in about), None)
            if missing is not None:  # nobody can say where its files would be
                lacking[step] = missing
                continue
            there.add(step)
            result.checked += 1
            files = files_of(pattern, about, root)
            seen[step].update(files)
            finding = _finding(status, files)
            if finding is not None:
                result.found.append(
                    Disagreement(key=item.key, step=step, finding=finding, status=status, files=files[:10])
                )
    for step, name in lacking.items():
        if step not in there:
            raise BadPattern(f"step {step!r}: no item has the attribute {name!r} of the pattern {known[step]!r}")
    for step, pattern in known.items():
        result.found += _strangers(coordinator, step, pattern, root, seen[step])
    if fix:
        _mend(coordinator, result)
    return result


def _checked(coordinator: Coordinator, patterns: Mapping[str, str]) -> dict[str, str]:
    known: dict[str, str] = {}
    for step, pattern in patterns.items():
        found = coordinator.definition.step(step)
        if found is None:
            raise BadPattern(f"{coordinator.name} has no step {step!r}")
        if not any(name for name in _fields(pattern)):
            raise BadPattern(f"step {step!r}: the pattern {pattern!r} names no field, such as {{key}}")
        known[found.key] = pattern
    return known


def _fields(pattern: str) -> list[str]:
    try:
        return [name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None]
    except ValueError as error:
        raise BadPattern(f"pattern {pattern!r}: {error}") from error


def _attribute(name: str) -> str:
    """Which attribute a field such as ``{folio}`` or ``{place[0]}`` is taken from."""
    return re.split(r"[.\[]", name, maxsplit=1)[0]


def files_of(pattern: str, about: Mapping[str, object], root: str) -> tuple[str, ...]:
    """The files of one item that match; none where the item lacks a field of the pattern."""
    try:
        # What an item is called may hold * or ?: those are letters there, not wildcards.
        filled = pattern.format_map({name: glob.escape(str(value)) for name, value in about.items()})
    except (KeyError, IndexError, AttributeError):
        return ()
    if any(part == ".." for name in _fields(pattern) for part in str(about.get(name, "")).split("/")):
        return ()
    return tuple(sorted(glob.iglob(filled, root_dir=root, recursive=True)))


def _finding(status: ItemStatus, files: tuple[str, ...]) -> Finding | None:
    if files and not status.done and status is not ItemStatus.PROCESSING:
        return Finding.FILE_WITHOUT_STATE
    if not files and status is ItemStatus.COMPLETED:
        return Finding.STATE_WITHOUT_FILE
    return None


def _items(coordinator: Coordinator) -> Iterator[Item]:
    after = None
    while page := coordinator.page(_AT_ONCE, after):
        yield from page
        after = page[-1]


def _strangers(coordinator: Coordinator, step: str, pattern: str, root: str, seen: set[str]) -> Iterator[Disagreement]:
    """Files that match the pattern for a key that is no item; only where the key alone is in the pattern."""
    if set(_fields(pattern)) != {"key"}:
        return
    matcher = re.compile(_expression(pattern))
    found: dict[str, list[str]] = {}
    for path in glob.iglob(pattern.format(key="*"), root_dir=root, recursive=True):
        match = matcher.fullmatch(path)
        if path not in seen and match is not None:
            found.setdefault(match["key"], []).append(path)
    keys = list(found)
    for at in range(0, len(keys), _AT_ONCE):
        there = coordinator.items(keys[at : at + _AT_ONCE])
        for key in keys[at : at + _AT_ONCE]:
            if key not in there:
                files = tuple(sorted(found[key])[:10])
                yield Disagreement(key=key, step=step, finding=Finding.UNKNOWN_ITEM, files=files)


def _expression(pattern: str) -> str:
    """The pattern as a regular expression whose group ``key`` is the item."""
    made, first = "", True
    for literal, name, _, _ in string.Formatter().parse(pattern):
        part = re.escape(literal).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
        made += part
        if name is not None:
            made += "(?P<key>[^/]+)" if first else "(?P=key)"
            first = False
    return made


def _mend(coordinator: Coordinator, result: Verified) -> None:
    from statustui.control.actor import actor

    who, now = actor(), time.time()
    with Bulk(coordinator.desk, coordinator.reporter) as bulk:
        for one in result.found:
            if one.finding is Finding.STATE_WITHOUT_FILE:
                bulk.fact("step.reset", one.key, now, step=one.step, actor=who, reason="verify: its file is not there")
            else:
                if one.finding is Finding.UNKNOWN_ITEM:
                    bulk.fact("item.add", one.key, now)
                done = {"att": f"verify-{one.key}-{one.step}-{now:.6f}", "step": one.step}
                # A failed step is completed by a new attempt only.
                bulk.fact("step.start", one.key, now, message=f"verify, by {who}", **done)
                meta = {"verified_files": list(one.files)}
                done |= {"status": ItemStatus.COMPLETED.value, "message": "its file is there"}
                bulk.fact("step.end", one.key, now, meta=meta, **done)
            result.fixed += 1
