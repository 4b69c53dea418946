"""How items, their steps and pipelines are drawn: signs, shares, bars of statuses. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from statustui.model.items import Item, PipelineSummary
from statustui.model.pipeline import Step
from statustui.model.progress import shown_share
from statustui.model.status import ItemStatus
from statustui_tui import render

STYLES: Mapping[ItemStatus, str] = {
    ItemStatus.PENDING: "muted",
    ItemStatus.PROCESSING: "accent",
    ItemStatus.COMPLETED: "completed",
    ItemStatus.FAILED: "failed",
    ItemStatus.SKIPPED: "skipped",
}
"""Style of each status in a table."""
COLOURS: Mapping[ItemStatus, str] = {
    ItemStatus.PENDING: "$foreground 60%",
    ItemStatus.PROCESSING: "$accent",
    ItemStatus.COMPLETED: "$success",
    ItemStatus.FAILED: "$error",
    ItemStatus.SKIPPED: "$foreground 60%",
}
"""The same for `Content`."""
SHOWN = (ItemStatus.COMPLETED, ItemStatus.SKIPPED, ItemStatus.PROCESSING, ItemStatus.PENDING, ItemStatus.FAILED)
"""The order in which statuses are counted."""
_CELLS: Mapping[str, tuple[str, str, str]] = {
    "c": ("✓", "+", "completed"),
    "f": ("✗", "F", "failed"),
    "w": ("▸", "R", "accent"),
    "s": ("↷", "-", "skipped"),
    "r": ("▹", "o", ""),
    "p": (".", ".", "muted"),
    ".": (" ", " ", ""),
}
"""Sign, sign in ASCII and style of each letter of `Item.cells`."""
_PARTS = (
    (ItemStatus.COMPLETED, "█", "#"),
    (ItemStatus.SKIPPED, "█", "-"),
    (ItemStatus.PROCESSING, "█", ">"),
    (ItemStatus.FAILED, "█", "F"),
)


def counts(statuses: Mapping[ItemStatus, int], *, shares: bool, ascii_only: bool) -> list[tuple[str, str]]:
    """``✓ 89 57%``, ``▸ 12 8%``, …, each with its style; what is nought is left out, skipped and failed at least."""
    total = sum(statuses.values())
    out = []
    for status in SHOWN:
        n = statuses.get(status, 0)
        if not n and status in (ItemStatus.SKIPPED, ItemStatus.FAILED):
            continue
        share = f" {shown_share(n, total)}%" if shares and n else ""
        out.append((f"{render.glyph(status, ascii_only)} {whole(n)}{share}", STYLES[status] if n else "muted"))
    return out


def whole(n: int) -> str:
    """A number with its thousands apart: ``1,234``; ``1.2M`` from ten millions."""
    return f"{n:,}" if n < 10_000_000 else render.count(n)


def waiting(summary: PipelineSummary) -> str:
    """``41 at 6``: where most items wait; empty where none does."""
    most = max(summary.steps, key=lambda one: one.waiting, default=None)
    return f"{whole(most.waiting)} at {name(most.step)}" if most is not None and most.waiting else ""


def name(step: Step) -> str:
    """The label of a step where it has one, else its title."""
    return step.shown_label or step.shown


def status_bar(statuses: Mapping[ItemStatus, int], width: int, *, ascii_only: bool) -> list[tuple[str, str]]:
    """One bar of exactly *width* cells with a part for each status; the pending are its empty end.

    Whatever is not nought gets a cell, and the bar is full only when nothing is pending.
    """
    total = sum(statuses.values())
    inner = width - 2 if ascii_only else width
    if total <= 0 or inner < 1:
        return [(" " * max(0, width), "bar")]
    cells = {status: int(statuses.get(status, 0) * inner / total) for status, _, _ in _PARTS}
    for status in cells:
        if statuses.get(status, 0) and not cells[status]:
            cells[status] = 1
    pending = statuses.get(ItemStatus.PENDING, 0)
    room = inner - (1 if pending else 0)
    while sum(cells.values()) > room and max(cells.values()) > 0:
        cells[max(cells, key=lambda status: cells[status])] -= 1
    if not pending:
        cells[max(cells, key=lambda status: cells[status])] += inner - sum(cells.values())
    rest = inner - sum(cells.values())
    drawn = [
        ((plain if ascii_only else sign) * cells[status], f"part-{status.value}")
        for status, sign, plain in _PARTS
        if cells[status]
    ]
    drawn.append(("." * rest if ascii_only else " " * rest, "bar"))
    return [("[", "muted"), *drawn, ("]", "muted")] if ascii_only else drawn


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusBar:
    """A table cell with a bar of statuses that fills its column."""

    statuses: tuple[tuple[ItemStatus, int], ...]
    longest: int = 40
    ascii: bool = False

    def spans(self, width: int) -> tuple[tuple[str, str], ...]:
        """The parts of the bar."""
        return tuple(status_bar(dict(self.statuses), min(width, self.longest), ascii_only=self.ascii))


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineLine:
    """A whole line about a pipeline, which sheds its parts where there is little room."""

    name: str
    column: int
    """Cells of the longest name."""
    total: int
    digits: int
    """Cells of the longest number of items."""
    statuses: tuple[tuple[ItemStatus, int], ...]
    waiting: str
    ascii: bool = False

    def spans(self, width: int) -> tuple[tuple[str, str], ...]:
        """The parts that fit: the bar goes first, then the shares, what waits, and the words."""
        statuses = dict(self.statuses)
        cut = min(self.column, max(8, width // 3))
        head = (render.fit(render.clean(self.name), cut, ascii=self.ascii), "strong")
        wait = (f"waiting: {render.clean(self.waiting)}", "") if self.waiting else None
        bar = min(40, width - 92)
        for with_bar, with_shares, with_wait, word in (
            (True, True, True, " items"), (False, True, True, " items"), (False, True, True, ""),
            (False, False, True, ""), (False, True, False, ""), (False, False, False, ""),
        ):  # fmt: skip
            if with_bar and bar < 8:
                continue
            parts = [head, ("  ", ""), (f"{whole(self.total):>{self.digits}}{word}", "")]
            if with_bar:
                parts += [("  ", ""), *status_bar(statuses, bar, ascii_only=self.ascii)]
            for piece in counts(statuses, shares=with_shares, ascii_only=self.ascii):
                parts += [("  ", ""), piece]
            if with_wait and wait is not None:
                parts += [("   ", ""), wait]
            if sum(render.width(text) for text, _ in parts) <= width:
                return tuple(parts)
        return tuple(parts)


@dataclass(frozen=True, slots=True)
class Ruler:
    """Where the sign of each step stands in a line of the matrix."""

    places: tuple[int, ...]
    """Cell of each step, from 0."""
    title: str
    """The labels above them."""

    @property
    def width(self) -> int:
        """Cells in all."""
        return max(len(self.title), self.places[-1] + 1 if self.places else 0)


def ruler(steps: Sequence[Step], room: int, *, ascii_only: bool) -> Ruler:
    """Places for the signs of *steps*: each below its short label, or close together where there is little room."""
    labels = [render.clean(step.shown_label) or str(i + 1) for i, step in enumerate(steps)]
    wide = [render.crop(label, 5, ascii_only) for label in labels]
    if sum(render.width(label) for label in wide) + max(0, len(wide) - 1) <= room:
        places, x = [], 0
        for label in wide:
            places.append(x)
            x += render.width(label) + 1
        return Ruler(tuple(places), " ".join(wide))
    gap = 2 if 2 * len(steps) <= room else 1
    places = [i * gap for i in range(len(steps))]
    title = ""
    for place, label in zip(places, wide, strict=True):
        if len(title) <= place and (not title or len(title) < place) and place + render.width(label) <= room:
            title += " " * (place - len(title)) + label
    return Ruler(tuple(places), title)


@dataclass(frozen=True, slots=True)
class StepsCell:
    """How each step of an item stands, one sign each."""

    cells: str
    places: tuple[int, ...]
    ascii: bool = False

    def spans(self, width: int) -> tuple[tuple[str, str], ...]:
        """The signs at their places, neighbours of one style joined."""
        out: list[tuple[str, str]] = []
        x = 0
        for letter, place in zip(self.cells, self.places, strict=False):
            if place >= width:
                break
            sign, plain, style = _CELLS.get(letter, _CELLS["."])
            if place > x:
                out.append((" " * (place - x), ""))
            out.append((plain if self.ascii else sign, style))
            x = place + 1
        return tuple(out)


def done_of(item: Item) -> tuple[int, int]:
    """Steps that are done, and all that apply."""
    return sum(status.done for status in item.states.values()), len(item.states)
