"""The rows of *Needs you*: failures of one kind are one row with a count, which can be unfolded."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from statustui.insight.needs import error_words
from statustui.model.named import shown
from statustui.model.run import Run
from statustui.model.status import RunStatus
from statustui_tui import render
from statustui_tui.screens.filtering import Filter
from statustui_tui.widgets.table_model import Cell, Column, Pieces, Row, Text

COLUMNS: tuple[Column, ...] = (
    Column(key="sign", title="", width=1),
    Column(key="id", title="ID", width=5, align="right"),
    Column(key="age", title="AGO", width=4, align="right", style="muted"),
    Column(key="task", title="TASK", width=12, flex=3, most=34, style="strong"),
    Column(key="host", title="HOST", width=8, priority=4, style="muted"),
    Column(key="why", title="WHY", width=14, flex=8, priority=1),
    Column(key="tail", title="", width=11, align="right", priority=3, style="muted"),
)


@dataclass(frozen=True, slots=True)
class Folded:
    """Key of a row that stands for several runs."""

    fingerprint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """One row of *Needs you*: one run, or several that failed in one way."""

    key: str
    runs: tuple[Run, ...]
    """Newest first."""

    @property
    def newest(self) -> Run:
        """The run that ended last."""
        return self.runs[0]


def columns(*, several_hosts: bool) -> tuple[Column, ...]:
    """The columns; the host only where runs of several are shown."""
    return tuple(column for column in COLUMNS if several_hosts or column.key != "host")


def kept(needs: Sequence[Need], rule: Filter, user: str | None) -> list[Need]:
    """Those with a run that matches the filter, and of each only such runs."""
    out = []
    for need in needs:
        runs = tuple(r for r in need.runs if (user is None or r.user == user) and (not rule or rule.matches(r)))
        if runs:
            out.append(Need(key=need.key, runs=runs))
    return out


def rows(
    needs: Sequence[Need], unfolded: frozenset[str], now: datetime, shape: Sequence[Column], *, ascii_only: bool
) -> list[Row]:
    """One row for each need; the runs of an unfolded one below it."""
    names = tuple(column.key for column in shape)
    out: list[Row] = []
    for need in needs:
        if len(need.runs) == 1:
            out.append(_row(need.newest.run_id, _single(need.newest, now, ascii_only), names))
            continue
        opened = need.key in unfolded
        out.append(_row(Folded(need.key), _group(need, now, ascii_only, opened=opened), names))
        if opened:
            out += [_row(run.run_id, _single(run, now, ascii_only, indent="  "), names) for run in need.runs]
    return out


def _row(key: Hashable, cells: dict[str, Cell | str], names: Sequence[str]) -> Row:
    return Row(key=key, cells=tuple(cells[name] for name in names))


def _single(run: Run, now: datetime, ascii_only: bool, indent: str = "") -> dict[str, Cell | str]:
    tries = (
        f"try {run.attempt}/{run.max_attempts}" if run.max_attempts else f"try {run.attempt}" if run.attempt > 1 else ""
    )
    return {
        "sign": Text(render.glyph(run.status, ascii_only), run.status.value),
        "id": str(run.id),
        "age": _age(run, now),
        "task": Pieces(((indent, ""), (run.task, "strong"), (f" {run.label}" if run.label else "", "muted"))),
        "host": run.host or "",
        "why": why(run),
        "tail": tries,
    }


def _group(need: Need, now: datetime, ascii_only: bool, *, opened: bool) -> dict[str, Cell | str]:
    run = need.newest
    tasks = sorted({r.task for r in need.runs})
    name = tasks[0] if len(tasks) == 1 else f"{shared(tasks)} {len(tasks)} tasks"
    hosts = sorted({r.host or "?" for r in need.runs})
    times = "x" if ascii_only else "×"
    arrow = (("v" if opened else ">") if ascii_only else ("▾" if opened else "▸")) + " "
    return {
        "sign": Text(render.glyph(run.status, ascii_only), run.status.value),
        "id": Text(f"{times}{len(need.runs)}", "accent"),
        "age": _age(run, now),
        "task": Pieces(((arrow, "accent"), (name, "strong"))),
        "host": hosts[0] if len(hosts) == 1 else f"{len(hosts)} hosts",
        "why": why(run),
        "tail": f"since {render.clock(min(_ended(r) for r in need.runs))[:5]}",
    }


def why(run: Run) -> Pieces:
    """Where and why it failed, in one line."""
    place = ""
    if run.error_subtask_name:
        place = (
            f"@{shown(run.error_subtask)} {run.error_subtask_name}  "
            if shown(run.error_subtask)
            else f"{run.error_subtask_name}  "
        )
    if run.status is RunStatus.LOST:
        return Pieces(((place, "muted"), (f"lost: {run.lost_reason or 'ended without a word'}", "failed")))
    return Pieces(((place, "muted"), (_short(run) or _ending(run), "failed")))


def _short(run: Run) -> str:
    # The module of an error takes the room that its message needs.
    return error_words(replace(run, error_type=(run.error_type or "").rpartition(".")[2]))


def _ending(run: Run) -> str:
    if run.signal is not None:
        return f"signal {run.signal}"
    return f"exit status {run.exit_code}" if run.exit_code is not None else "failed"


def shared(tasks: Sequence[str]) -> str:
    """What the names have in common, up to a word's end: ``DAILY_*``."""
    first, last = tasks[0], tasks[-1]
    n = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    stem = first[:n]
    cut = max(stem.rfind(c) for c in "_-. /")
    return f"{stem[: cut + 1]}*" if cut > 0 else "*" if n < 3 else f"{stem}*"


def _ended(run: Run) -> datetime:
    return run.ended_at or run.last_update


def _age(run: Run, now: datetime) -> str:
    return render.ago((now - _ended(run)).total_seconds())
