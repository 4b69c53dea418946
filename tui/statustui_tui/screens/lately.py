"""The runs that ended last, below those that run."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime

from statustui.model.run import Run
from statustui.model.status import RunStatus
from statustui_tui import render
from statustui_tui.screens.needs import why
from statustui_tui.screens.running import TimeCell, arguments
from statustui_tui.screens.view import elapsed
from statustui_tui.widgets.table_model import Cell, Column, Pieces, Row, RowModel, Text


class Joined:
    """One model with more rows below it."""

    def __init__(self, first: RowModel, more: Sequence[Row]) -> None:
        self._first = first
        self._more = more
        self._index = {row.key: i for i, row in enumerate(more)}

    def __len__(self) -> int:
        return len(self._first) + len(self._more)

    def row(self, index: int) -> Row:
        """The row at *index*."""
        first = len(self._first)
        return self._first.row(index) if index < first else self._more[index - first]

    def index_of(self, key: Hashable) -> int | None:
        """Where *key* stands."""
        place = self._first.index_of(key)
        if place is None and key in self._index:
            return len(self._first) + self._index[key]
        return place


@dataclass(frozen=True, slots=True)
class EndedCell:
    """How it ended and when: ``finished 3m ago``, as much of it as there is room for."""

    status: str
    when: str

    def spans(self, width: int) -> tuple[tuple[str, str], ...]:
        """Pieces for a column of *width* cells; the sign at the head of the line says the status, too."""
        for tail in (f" {self.when} ago" if self.when != "now" else " now", f" {self.when}"):
            if len(self.status) + len(tail) <= width:
                return (self.status, self.status), (tail, "muted")
        return ((self.status, self.status),)


def ended_rows(runs: Sequence[Run], now: datetime, shape: Sequence[Column], *, ascii_only: bool) -> list[Row]:
    """A heading and one row for each run, newest end first."""
    if not runs:
        return []
    names = [column.key for column in shape]
    rows = [Row(key="lately", cells=("Lately ended",), style="section", section=True)]
    for run in runs:
        cells = _cells(run, now, ascii_only=ascii_only)
        rows.append(Row(key=run.run_id, cells=tuple(cells.get(name, "") for name in names), style="muted"))
    return rows


def _cells(run: Run, now: datetime, *, ascii_only: bool) -> dict[str, Cell | str]:
    when = render.ago((now - (run.ended_at or run.last_update)).total_seconds())
    said: Cell | str = run.overall_message or ""
    if run.status.bad:
        said = Pieces(tuple((text, "") for text, _ in why(run).parts))
    elif run.status is RunStatus.CANCELLED:
        said = run.lost_reason or ""
    return {
        "sign": Text(render.glyph(run.status, ascii_only), run.status.value),
        "id": str(run.id),
        "task": Pieces(((run.task, ""), (f" {run.label}" if run.label else "", "muted"))),
        "time": TimeCell(int(elapsed(run, now))),
        "done": EndedCell(run.status.value, when),
        "now": said,
        "mem": render.size(run.peak_rss_bytes),
        "host": run.host or "",
        "user": run.user or "",
        "args": arguments(run),
    }
