"""The rows of *Running*: made only when they come into view, since a thousand runs may be open."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from statustui.insight.eta import Eta, estimate
from statustui.model.run import Run, TaskStats
from statustui.model.status import Mark, RequestKind, RequestState
from statustui_tui import render
from statustui_tui.screens.view import Entry, elapsed, item_fraction, overall_fraction
from statustui_tui.widgets.bars import BarCell, bar
from statustui_tui.widgets.table_model import Cell, Column, Pieces, Row, Text

COLUMNS: tuple[Column, ...] = (
    Column(key="sign", title="", width=1),
    Column(key="id", title="ID", width=5, align="right", style="muted"),
    Column(key="task", title="TASK", width=12, flex=4, most=34, style="strong"),
    Column(key="time", title="TIME", width=5, flex=1, most=7, align="right", priority=1),
    Column(key="done", title="DONE", width=12, flex=3, most=34),
    Column(key="now", title="NOW", width=16, flex=6, priority=2),
    Column(key="left", title="LEFT", width=7, flex=1, most=15, priority=3),
    Column(key="cpu", title="CPU", width=4, align="right", priority=4),
    Column(key="mem", title="MEM", width=4, align="right", priority=4),
    Column(key="host", title="HOST", width=9, priority=8),
    Column(key="user", title="USER", width=8, priority=9, style="muted"),
    Column(key="args", title="ARGUMENTS", width=16, flex=4, priority=10, style="muted"),
)
WITH_ARGUMENTS = 132
"""Cells from which the arguments are shown: below, the task's name needs them more."""


def columns(width: int, *, several_hosts: bool, several_users: bool = False) -> tuple[Column, ...]:
    """The columns; host and user only where runs of several are shown, or where there is room to spare."""
    wide = width >= WITH_ARGUMENTS
    shown = {"host": several_hosts, "user": several_users or wide, "args": wide}
    return tuple(column for column in COLUMNS if shown.get(column.key, True))


@dataclass(frozen=True, slots=True)
class NowCell:
    """What the current subtask does: a bar, its name, its items."""

    fraction: float | None
    name: str
    count: str
    short: str = ""
    """Said in place of a count that would leave no room for the name."""
    note: str = ""
    """Said in place of the bar: stalled, silent, a cancel under way."""
    note_style: str = "warning"
    ascii: bool = False

    def spans(self, width: int) -> tuple[tuple[str, str], ...]:
        """Pieces for a column of *width* cells; the count is cut last."""
        name, count = render.clean(self.name), render.clean(self.count)
        if self.note:
            if width < 24 and self.note.startswith("TERM sent, "):
                return ((self.note.removeprefix("TERM sent, "), self.note_style),)
            rest = f" · {name}" if name and not self.ascii else f" - {name}" if name else ""
            return (self.note, self.note_style), (rest, "muted")
        if self.short and name and len(count) > max(6, width // 3):
            count = self.short
        parts: list[tuple[str, str]] = []
        room = width
        if self.fraction is not None and width >= 14:
            cells = max(4, min(20, width // 4))
            parts += [(bar(self.fraction, cells, ascii=self.ascii), "bar-2"), (" ", "")]
            room -= cells + 1
        if count:
            room -= render.width(count) + 1
        if room >= 3 and name:
            parts.append((render.crop(name, room, self.ascii), ""))
            if count:
                parts.append((" ", ""))
        parts.append((count, "muted" if room >= 3 and name else ""))
        return tuple(parts)


@dataclass(frozen=True, slots=True)
class LeftCell:
    """What is left: a range, and its clock time where there is room."""

    text: str
    clock: str
    style: str = ""

    def spans(self, width: int) -> tuple[tuple[str, str], ...]:
        """Pieces for a column of *width* cells."""
        if self.clock and len(self.text) + 1 + len(self.clock) <= width:
            pad = " " * (width - len(self.text) - len(self.clock))
            return (self.text, self.style), (pad + self.clock, "muted")
        return ((self.text, self.style),)


@dataclass(frozen=True, slots=True)
class TimeCell:
    """Time running: ``3:10:00``, or ``3h10m`` where there is little room."""

    seconds: float
    style: str = ""

    def spans(self, width: int) -> tuple[tuple[str, str], ...]:
        """One piece for a column of *width* cells."""
        text = render.duration(self.seconds)
        if len(text) > width:
            minutes = int(self.seconds) // 60
            text = f"{minutes // 60}h{minutes % 60:02}m" if minutes < 600 else f"{minutes // 60}h"
        return ((text, self.style),)


class RunningModel:
    """The rows of *Running* in their order, formatted on demand and kept for as long as the model lives.

    Args:
        found: The entries, filtered and in order.
        stats: What past runs tell, by task.
        now: The store's present time.
        shape: Keys of the columns, in order.
    """

    def __init__(
        self,
        found: Sequence[Entry],
        stats: Mapping[str, TaskStats],
        now: datetime,
        shape: Sequence[Column],
        *,
        ascii_only: bool,
    ) -> None:
        self._entries = found
        self._stats = stats
        self._now = now
        self._keys = tuple(column.key for column in shape)
        self._ascii = ascii_only
        self._rows: dict[int, Row] = {}
        self._index = {entry.run.run_id: i for i, entry in enumerate(found)}

    def __len__(self) -> int:
        return len(self._entries)

    def index_of(self, key: Hashable) -> int | None:
        """Where a run stands now."""
        return self._index.get(key) if isinstance(key, str) else None

    def row(self, index: int) -> Row:
        """The row at *index*."""
        row = self._rows.get(index)
        if row is None:
            entry = self._entries[index]
            cells = cells_of(entry, self._stats.get(entry.run.task), self._now, ascii_only=self._ascii)
            row = Row(key=entry.run.run_id, cells=tuple(cells[key] for key in self._keys))
            self._rows[index] = row
        return row


def cells_of(entry: Entry, stats: TaskStats | None, now: datetime, *, ascii_only: bool) -> dict[str, Cell | str]:
    """One cell for each column."""
    run = entry.run
    left = estimate(run, stats, now)
    slow = entry.mark(Mark.SLOW)
    old = entry.usage is None and run.sampled_at is not None and (now - run.sampled_at).total_seconds() > 15
    figures = "muted" if old or entry.mark(Mark.SILENT) is not None else ""
    label = f" {run.label}" if run.label else ""
    tries = f" try {run.attempt}" if run.attempt > 1 else ""
    return {
        "sign": sign(entry, ascii_only=ascii_only),
        "id": str(run.id),
        "task": Pieces(((run.task, "strong"), (label, "muted"), (tries, "accent"))),
        "time": TimeCell(int(elapsed(run, now)), "slow" if slow is not None else ""),
        "done": done_cell(run, ascii_only=ascii_only),
        "now": now_cell(entry, now, ascii_only=ascii_only),
        "left": left_cell(left, now, ascii_only=ascii_only),
        "cpu": Text(render.load(entry.cpu), figures),
        "mem": Text(render.size(entry.memory), figures),
        "host": run.host or "",
        "user": run.user or "",
        "args": arguments(run),
    }


def arguments(run: Run) -> str:
    """What was given to the program, without its own name, which the task says already."""
    name = run.args[0].rpartition("/")[2] if run.args else ""
    # An interpreter goes without saying; what a wrapped command is does not, unless the task is named for it.
    rest = run.args[1:] if name == run.task or name.startswith("python") else run.args
    script = run.script_path or ""
    if rest and (rest[0] == script or script.endswith(f"/{rest[0]}") or rest[0].startswith(run.task)):
        rest = rest[1:]
    return " ".join(rest)


def sign(entry: Entry, *, ascii_only: bool) -> Text:
    """The sign at the head of a line: its worst mark, else its status."""
    for mark in (Mark.STALLED, Mark.SILENT, Mark.SLOW):
        if entry.mark(mark) is not None:
            return Text(render.glyph(mark, ascii_only), mark.value)
    status = entry.run.status
    return Text(render.glyph(status, ascii_only), "success" if status.open else status.value)


def done_cell(run: Run, *, ascii_only: bool) -> Cell | str:
    """The overall bar with k/n, or with a percent set by hand, or a bare count."""
    fraction = overall_fraction(run)
    if run.overall_percent is not None:
        return BarCell(fraction=fraction, label=render.percent(run.overall_percent), longest=24, ascii=ascii_only)
    if run.total_subtasks and run.total_subtasks > 1:
        label = render.done(run.subtasks_done, run.total_subtasks)
        return BarCell(fraction=fraction, label=label, longest=24, ascii=ascii_only)
    if fraction is not None:
        return BarCell(fraction=fraction, label=render.percent(fraction * 100), longest=24, ascii=ascii_only)
    if run.items_complete and (run.unit or run.items_total is None):  # a bare number beside 2/6 says nothing
        return Text(render.count(run.items_complete, run.unit))
    return Text(f"{run.subtasks_done} done" if run.subtasks_done else "", "muted")


def now_cell(entry: Entry, now: datetime, *, ascii_only: bool) -> NowCell:
    """What it does now, or what is wrong with it."""
    run = entry.run
    name = run.subtask_name or run.overall_message or ""
    note, style = "", "warning"
    stalled, silent = entry.mark(Mark.STALLED), entry.mark(Mark.SILENT)
    if entry.request is not None:
        note, style = request_note(entry, now), "error"
    elif silent is not None:
        note, style = f"silent {render.age(silent)}", "silent"
    elif stalled is not None:
        note = f"stalled {render.age(stalled)}"
    count = render.done(run.items_complete, run.items_total) if run.subtask_name else ""
    if run.items_total is None and run.unit and count:
        count = render.count(run.items_complete, run.unit)
    if run.subtask_message and run.subtask_name:
        name = f"{run.subtask_name}: {run.subtask_message}"
    share = item_fraction(run)
    short = render.percent(share * 100) if share is not None else render.count(run.items_complete)
    if share is not None and run.items_total is None:
        count = f"{count} {short}".strip()  # told as a percent: of what is not known
    return NowCell(share, name, count, short, note, style, ascii_only)


def request_note(entry: Entry, now: datetime) -> str:
    """How far a cancel has come: ``TERM sent, KILL in 7s``."""
    request = entry.request
    if request is None:
        return ""
    if request.state is RequestState.ASKED:
        word = "kill" if request.kind is RequestKind.KILL else "cancel"
        return f"{word} asked {render.age((now - request.asked_at).total_seconds())} ago"
    if request.kill_at is not None:
        left = (request.kill_at - now).total_seconds()
        return f"TERM sent, KILL in {max(0, round(left))} s" if left > 0 else "KILL sent"
    return "TERM sent" if request.kind is RequestKind.CANCEL else "KILL sent"


def left_cell(left: Eta | None, now: datetime, *, ascii_only: bool) -> LeftCell:
    """The ETA."""
    text = render.eta(left, ascii_only)
    style = "muted" if left is None else "warning" if left.overdue else ""
    return LeftCell(text, render.eta_clock(left, now), style)
