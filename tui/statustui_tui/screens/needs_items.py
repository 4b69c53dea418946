"""The rows of *Needs you* for items: failures of one kind are one row."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from statustui.insight.needs import ended
from statustui.model.items import FailureGroup
from statustui.model.status import ItemStatus, RunStatus
from statustui_tui import render
from statustui_tui.items_source import Board
from statustui_tui.screens import needs
from statustui_tui.screens.filtering import Filter
from statustui_tui.widgets.table_model import Cell, Column, Pieces, Row, Text


@dataclass(frozen=True, slots=True)
class ItemsFailed:
    """Key of a row that stands for failed items."""

    pipeline: str
    step: str
    fingerprint: str


def kept(board: Board, rule: Filter, *, mine: bool) -> list[FailureGroup]:
    """Those that the filter leaves; items belong to nobody, so that none is *mine*."""
    if mine:
        return []
    return [
        group
        for group in board.failures
        if not rule or rule.text.casefold() in f"{group.pipeline} {group.key} {group.error}".casefold()
    ]


def among(keys: Iterable[Hashable], groups: Sequence[FailureGroup]) -> tuple[FailureGroup, ...]:
    """The kinds of failures whose rows these are."""
    found = set(keys)
    return tuple(one for one in groups if ItemsFailed(one.pipeline, one.step, one.fingerprint) in found)


def rows(
    runs: Sequence[needs.Need],
    items: Sequence[FailureGroup],
    board: Board,
    unfolded: frozenset[str],
    now: datetime,
    shape: Sequence[Column],
    *,
    ascii_only: bool,
) -> list[Row]:
    """The rows of runs and of items, failed before lost, each kind newest first."""
    found: list[tuple[bool, float, list[Row]]] = []
    for need in runs:
        made = needs.rows([need], unfolded, now, shape, ascii_only=ascii_only)
        found.append((need.newest.status is RunStatus.LOST, -ended(need.newest).timestamp(), made))
    for group in items:
        cells = _cells(group, board, now, ascii_only)
        key = ItemsFailed(group.pipeline, group.step, group.fingerprint)
        row = Row(key=key, cells=tuple(cells[column.key] for column in shape))
        found.append((False, -group.newest.timestamp(), [row]))
    return [row for _, _, part in sorted(found, key=lambda one: one[:2]) for row in part]


def _cells(group: FailureGroup, board: Board, now: datetime, ascii_only: bool) -> dict[str, Cell | str]:
    figures = board.of(group.pipeline)
    steps = figures.steps if figures is not None else ()
    step = next((one.step for one in steps if one.step.key == group.step), None)
    place = (step.shown_label or step.shown) if step is not None else group.step
    title = f" {step.shown}" if step is not None and step.shown_label else ""
    times = "x" if ascii_only else "×"
    one = group.count == 1
    return {
        "sign": Text(render.glyph(ItemStatus.FAILED, ascii_only), "failed"),
        "id": Text("" if one else f"{times}{render.count(group.count)}", "accent"),
        "age": render.ago((now - group.newest).total_seconds()),
        "task": Pieces(((group.pipeline, "strong"), (f" {group.key if one else 'items'}", "muted"))),
        "host": "",
        "why": Pieces(((f"@{place}{title}  ", "muted"), (group.error or "failed", "failed"))),
        "tail": "",
    }
