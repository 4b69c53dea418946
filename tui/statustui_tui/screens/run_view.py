"""The page of one run, as lines of text. Pure: made from values, the clock is an argument."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from textual.content import Content

from statustui.insight.eta import Eta
from statustui.insight.needs import error_words
from statustui.model.named import shown
from statustui.model.run import Run, RunDetail, Subtask
from statustui.model.status import Mark, RunStatus, SubtaskStatus
from statustui_tui import render
from statustui_tui.screens.parts.line import rule, spread
from statustui_tui.screens.running import request_note
from statustui_tui.screens.view import Entry, elapsed, item_fraction, overall_fraction
from statustui_tui.sources import Process
from statustui_tui.widgets.bars import bar
from statustui_tui.widgets.spark import sparkline

DIM = "$foreground 60%"
STYLES = {
    "started": "$success", "running": "$success", "finished": "$success", "completed": "$success",
    "failed": "$error", "lost": "$error", "cancelled": "$warning", "skipped": DIM, "not_started": DIM,
}  # fmt: skip
MOST_SUBTASKS = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What the page of a run is made from."""

    detail: RunDetail
    entry: Entry
    """The run with its marks, fresh figures and a cancel under way."""
    left: Eta | None
    now: datetime
    """The store's present time."""
    processes: tuple[Process, ...] = ()
    usage_history: tuple[tuple[float, float, int], ...] = ()
    """(epoch seconds, cpu percent, rss bytes) measured by this monitor, after the stored samples."""
    output: tuple[str, ...] = ()
    """The last lines of its log, read by this monitor; empty when it has none."""
    rows: int = 40
    """Rows of the screen for the page."""
    ascii_only: bool = False

    @property
    def run(self) -> Run:
        """The run."""
        return self.entry.run


def heading(page: Page, width: int) -> Content:
    """Task, id, status, time."""
    run = page.run
    sign = render.glyph(run.status, page.ascii_only)
    style = STYLES[run.status.value]
    status = run.status.value.upper() if run.status.bad else run.status.value
    left = Content.assemble(
        (f" {sign} ", style), (render.clean(run.task), "bold"), (f" {run.id}", DIM), "  ", (status, f"bold {style}"),
        f"  {render.duration(elapsed(run, page.now))}",
    )  # fmt: skip
    tries = f"try {run.attempt}" + (f"/{run.max_attempts}" if run.max_attempts else "")
    more = f"{tries} of {len(page.detail.attempts)}  " if len(page.detail.attempts) > 1 and not run.max_attempts else ""
    where = f"{run.user or '?'}@{run.host or '?'}" + (f" pid {run.pid}" if run.pid and run.status.open else "")
    shown = more or (f"{tries}  " if run.attempt > 1 else "")
    return spread(left, Content.assemble((shown, "$accent"), (render.clean(where), DIM), " "), width)


def big_bars(page: Page, width: int) -> list[Content]:
    """The two levels: the whole run, and the subtask that runs now."""
    run = page.run
    label = 9
    room = max(6, min(80, width - label - (46 if width >= 100 else 30 if width >= 60 else 12)))
    overall = overall_fraction(run)
    if overall is None and run.status is RunStatus.FINISHED:
        overall = 1.0
    left = render.eta(page.left, page.ascii_only)
    clock = render.eta_clock(page.left, page.now)
    counts = render.done(run.subtasks_done, run.total_subtasks) if run.total_subtasks else ""
    tail = f"{counts} subtasks" if counts else ""
    if run.status.open and (overall is not None or page.left is not None):
        tail += ("  " if tail else "") + (f"{left} left {clock}" if page.left and not page.left.overdue else left)
    if overall is None and not tail:
        tail = "how much there is to do is not known" if run.status.open else run.status.value
    lines = [_bar_line("Overall", overall, room, tail, page, "$primary", manual=run.overall_percent is not None)]
    if run.subtask_name is not None or run.items_complete is not None:
        items = render.done(run.items_complete, run.items_total)
        items += f" {run.unit}" if items and run.unit else ""
        speed = _speed(page.detail, page.now)
        tail = "  ".join(part for part in (items, speed) if part)
        lines.append(_bar_line("Now", item_fraction(run), room, tail, page, "$secondary", manual=False))
        name = Content.assemble((" " * label, ""), (render.clean(run.subtask_name or ""), "bold"))
        if run.subtask_message:
            name = Content.assemble(name, "  ", (render.clean(run.subtask_message), ""))
        lines.append(name)
    elif run.status.open and not run.total_subtasks and run.log_path:
        lines.append(Content.assemble((" " * label, ""), ("it reports no subtasks; l shows its output", DIM)))
    if run.overall_message:
        lines.append(Content.assemble((" " * label, ""), (render.clean(run.overall_message), DIM)))
    lines += remarks(page, label)
    return lines


def remarks(page: Page, indent: int) -> list[Content]:
    """Marks and a cancel under way, in words."""
    out = []
    pad = " " * indent
    for mark, number in page.entry.marks:
        text = {
            Mark.STALLED: f"stalled: nothing has moved for {render.age(number)}",
            Mark.SLOW: f"slow: {number:.1f} times what is usual",
            Mark.SILENT: f"silent: its host has not been heard of for {render.age(number)}; what is shown is old",
        }.get(mark)
        if text:
            out.append(Content.assemble(pad, (text, "$warning")))
    request = page.entry.request
    if request is not None:
        who = render.clean(request.asked_by)
        out.append(
            Content.assemble(pad, (request_note(page.entry, page.now), "bold $error"), (f"  asked by {who}", DIM))
        )
    return out


def _bar_line(
    name: str, fraction: float | None, room: int, tail: str, page: Page, style: str, *, manual: bool
) -> Content:
    percent = render.percent(fraction * 100) if fraction is not None else ""
    drawn = bar(fraction, room, ascii=page.ascii_only) if fraction is not None else ""
    by_hand = " set by hand" if manual else ""
    return Content.assemble(
        (f" {name:<8}", "bold"), (drawn, f"{style} on $trough"), (f" {percent:>4}" if percent else "", "bold"),
        (by_hand, DIM), f"  {tail}" if drawn else tail,
    )  # fmt: skip


def _speed(detail: RunDetail, now: datetime) -> str:
    run = detail.run
    current = next((s for s in detail.subtasks if s.number == run.current_subtask), None)
    if current is None or current.started_at is None or not run.items_complete or not run.status.open:
        return ""
    seconds = (now - current.started_at).total_seconds()
    return render.rate(run.items_complete / seconds, run.unit) if seconds >= 1 else ""


def resources(page: Page, width: int) -> list[Content]:
    """CPU and memory over the last samples, with the peak."""
    run = page.run
    points = [*page.detail.samples, *page.usage_history][-240:]
    if not points and page.entry.cpu is None and run.peak_rss_bytes is None:
        return []
    cells = max(8, min(40, width - 30))
    peak_cpu = max((p[1] for p in points), default=None)
    peak = max([run.peak_rss_bytes or 0, *(p[2] for p in points)])
    io = [f"{word} {render.size(n)}" for word, n in (("read", run.read_bytes), ("written", run.write_bytes)) if n]
    if run.connections:
        io.append(f"{run.connections} connections")
    when = run.sampled_at
    old = page.entry.usage is None and run.status.open and when is not None
    seconds = (page.now - when).total_seconds() if old and when else 0.0
    stale = f"  as of {render.age(seconds)} ago" if seconds >= 10 else ""
    cpu = render.load(page.entry.cpu) if run.status.open else ""
    memory = render.size(page.entry.memory) if run.status.open else ""
    ascii_only = page.ascii_only
    cpu_line, memory_line = (
        sparkline([p[1] for p in points], cells, ascii=ascii_only),
        sparkline([float(p[2]) for p in points], cells, ascii=ascii_only),
    )
    out = [
        Content.assemble(
            (" CPU ", "bold"), (cpu_line, "$primary"), f" {cpu:>5}",
            (f"  peak {render.load(peak_cpu)}" if peak_cpu else "", DIM),
            (stale, "$warning"),
        ),
        Content.assemble(
            (" MEM ", "bold"), (memory_line, "$secondary"), f" {memory:>5}",
            (f"  peak {render.size(peak)}" if peak else "", DIM),
        ),
    ]  # fmt: skip
    if io:
        out.append(Content.styled(" I/O  " + "  ".join(io), DIM))
    return out


def error_lines(page: Page, width: int) -> list[Content]:
    """What failed, where, why, with the traceback."""
    run, detail = page.run, page.detail
    if (
        not run.status.bad
        and not run.error_message
        and not detail.error_detail
        and run.status is not RunStatus.CANCELLED
    ):
        return []
    out: list[Content] = []
    if run.error_subtask_name or run.error_subtask:
        place = f"@{shown(run.error_subtask)} ".replace("@ ", "@")
        out.append(Content.assemble(" in ", (place + render.clean(run.error_subtask_name or ""), "bold")))
    if run.error_type or run.error_message:
        text = error_words(run)
        out += [Content.assemble(" ", part) for part in render.content(text, "bold $error").wrap(max(10, width - 2))]
    if run.lost_reason:
        word = "lost: " if run.status is RunStatus.LOST else ""
        out += [
            Content.assemble(" ", p) for p in render.content(word + run.lost_reason, "$error").wrap(max(10, width - 2))
        ]
    ends = [f"exit status {run.exit_code}"] if run.exit_code is not None else []
    ends += [f"signal {run.signal}"] if run.signal is not None else []
    if ends:
        out.append(Content.styled(" " + ", ".join(ends), DIM))
    if detail.error_detail:
        for line in detail.error_detail.rstrip().splitlines()[-60:]:
            out.append(Content.assemble(" ", render.content(line, "$foreground 80%")))
    return out


def subtask_lines(page: Page, width: int) -> list[Content]:
    """The timeline: state, number, name, items, duration, and when it ran as a bar."""
    subtasks = page.detail.subtasks
    if not subtasks:
        return []
    window = _window(subtasks, page.run.current_subtask)
    begin, end = page.run.started_at, page.run.ended_at or page.now
    span = max(1.0, (end - begin).total_seconds())
    digits = max(len(shown(task.number)) for task in subtasks)
    chart = min(50, width - 50) if width >= 62 else 0
    name_room = max(8, min(44, width - digits - 24 - (chart + 2 if chart else 0)))
    out = []
    hidden = subtasks.index(window[0]) if window else 0
    if hidden:
        out.append(Content.styled(f"   … {hidden} before", DIM))
    for task in window:
        out.append(_subtask_line(task, page, digits, name_room, chart, span))
        if task.error:
            out.append(Content.assemble(" " * (digits + 5), (render.clean(task.error), "$error")))
    after = len(subtasks) - hidden - len(window)
    if after > 0:
        out.append(Content.styled(f"   … {after} more", DIM))
    return out


def _window(subtasks: Sequence[Subtask], current: int | None) -> Sequence[Subtask]:
    """At most `MOST_SUBTASKS` subtasks around the current one."""
    if len(subtasks) <= MOST_SUBTASKS:
        return subtasks
    at = next((i for i, s in enumerate(subtasks) if s.number == current), len(subtasks) - 1)
    start = max(0, min(at - MOST_SUBTASKS // 2, len(subtasks) - MOST_SUBTASKS))
    return subtasks[start : start + MOST_SUBTASKS]


def _subtask_line(task: Subtask, page: Page, digits: int, room: int, chart: int, span: float) -> Content:
    ascii_only = page.ascii_only
    style = STYLES[task.status.value]
    seconds = task.duration_s
    if seconds is None and task.started_at is not None and task.status is SubtaskStatus.RUNNING:
        seconds = (page.now - task.started_at).total_seconds()
    indent = "  " if task.parent is not None else ""
    name = render.fit(indent + render.clean(task.name), room, ascii=ascii_only)
    items = render.done(task.items_complete, task.items_total) if task.items_total or task.items_complete else ""
    if task.heading:
        return Content.assemble("   ", (" " * digits + (" " if digits else ""), ""), (name, f"bold {DIM}"))
    quiet = task.status is SubtaskStatus.NOT_STARTED
    parts: list[Content | str | tuple[str, str]] = [
        (f" {render.glyph(task.status, ascii_only)} ", style),
        (f"{shown(task.number):>{digits}} " if digits else "", DIM),
        (name, DIM if quiet else "bold" if task.status is SubtaskStatus.RUNNING else ""),
        (f" {items:>10}", ""), (f" {render.duration(seconds):>8}", ""),
    ]  # fmt: skip
    if chart and task.started_at is not None:
        before = (task.started_at - page.run.started_at).total_seconds()
        parts += ["  ", *gantt(before / span, (seconds or 0.0) / span, chart, style, ascii_only=ascii_only)]
    return Content.assemble(*parts)


def gantt(start: float, length: float, width: int, style: str, *, ascii_only: bool) -> list[tuple[str, str]]:
    """One bar of a timeline: *start* and *length* are shares of *width* cells."""
    first = min(width - 1, max(0, int(start * width)))
    cells = max(1, min(width - first, round(length * width)))
    block = "#" if ascii_only else "▬"
    return [(" " * first, ""), (block * cells, style)]


def title(text: str, right: str, page: Page, width: int) -> list[Content]:
    """A section's heading with a blank line before it."""
    return [Content(""), rule(text, right, width, ascii_only=page.ascii_only)]


def command_of(run: Run) -> str:
    """The recorded command, quoted as for a shell."""
    return shlex.join(run.args) if run.args else ""
