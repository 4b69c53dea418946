"""The facts of one run, its processes, attempts, children, events and requests, as lines of text."""

from datetime import datetime

from textual.content import Content

from statustui.model.run import Run
from statustui_tui import render
from statustui_tui.screens.run_view import DIM, STYLES, Page, command_of, error_lines, resources, subtask_lines, title
from statustui_tui.screens.view import elapsed

MOST_EVENTS = 40
_LEAST_TAIL = 6


def pages(page: Page, width: int, *, wide: bool) -> tuple[list[Content], list[Content]]:
    """The page in one column, or in two where there is room.

    Args:
        page: What is shown.
        width: Cells of the whole screen.
        wide: True for two columns.

    Returns:
        Lines of the left and the right column; the right one is empty when there is only one.
    """
    left_width = width if not wide else width * 3 // 5
    right_width = left_width if not wide else width - left_width - 1
    error = _section("Error", "", error_lines(page, left_width), page, left_width)
    progress = page.detail.run.subtasks_done, page.detail.run.total_subtasks
    count = f"{progress[0]}/{progress[1]} done" if progress[1] else ""
    subtasks = _section("Subtasks", count, subtask_lines(page, left_width), page, left_width)
    resource = _section("CPU and memory", "", resources(page, right_width), page, right_width)
    room = page.rows - len(error) - (0 if wide else len(resource))
    output = tail_lines(page, room)
    tail = _section("Last lines of its output", "l all of it" if page.output else "", output, page, left_width)
    tree = _section("Processes", _count(page), process_lines(page, right_width), page, right_width)
    facts = _section("Facts", "", fact_lines(page, right_width), page, right_width)
    chain = _section("Attempts", "[ ] to go", attempt_lines(page), page, right_width)
    children = _section("Child runs", "", [_run_line(c, page) for c in page.detail.children], page, right_width)
    asked = _section("Asked for", "", request_lines(page), page, right_width)
    events = _section("Events", "", event_lines(page), page, right_width)
    right = resource + tree + facts + chain + children + asked + events
    left = error + subtasks + tail
    if wide:
        return left[1:], right[1:]
    return (error + resource + subtasks + tail + tree + facts + chain + children + asked + events)[1:], []


def _section(name: str, right: str, lines: list[Content], page: Page, width: int) -> list[Content]:
    return [*title(name, right, page, width), *lines] if lines else []


def _count(page: Page) -> str:
    n = len(page.processes)
    return f"{n}" if n > 1 else ""


def fact_lines(page: Page, width: int) -> list[Content]:
    """Where, when, with what."""
    run, now = page.run, page.now
    when = render.clock(run.started_at, now)
    ended = render.clock(run.ended_at, now) if run.ended_at else ""
    facts: list[tuple[str, str]] = [
        ("task", run.task + (f" ({run.stage})" if run.stage else "")),
        ("label", run.label or ""),
        ("command", command_of(run)),
        ("directory", run.cwd or ""),
        ("script", run.script_path or ""),
        ("log", run.log_path or ""),
        ("started", when),
        ("ended", ended),
        ("last heard", f"{render.age((now - run.last_update).total_seconds())} ago" if run.status.open else ""),
        ("commit", run.git_commit or ""),
        ("tags", ", ".join(run.tags)),
        ("run id", run.run_id),
        ("acknowledged", f"{run.acked_by} {render.clock(run.acked_at, now)}" if run.acked_by else ""),
    ]
    facts += [(f"params.{name}", str(value)) for name, value in page.detail.params.items()]
    facts += [(name, str(value)) for name, value in page.detail.metrics.items()]
    facts += [(f"${name}", str(value)) for name, value in page.detail.environment.items()]
    return [line for name, value in facts if value for line in _fact(name, value, width)]


def _fact(name: str, value: str, width: int) -> list[Content]:
    column = 12
    label = render.fit(render.clean(name), column)
    wrapped = render.content(value).wrap(max(12, width - column - 3))[:6]
    return [Content.assemble((f" {label if i == 0 else '':<{column}} ", DIM), part) for i, part in enumerate(wrapped)]


def process_lines(page: Page, width: int) -> list[Content]:
    """The process tree: pid, state, cpu, memory, command."""
    out = []
    if page.processes:
        out.append(Content.styled("     PID S  CPU  MEM COMMAND", DIM))
    for process in page.processes[:60]:
        branch = ("  " * (process.depth - 1) + ("`-" if page.ascii_only else "└ ")) if process.depth else ""
        state = "$success" if process.state == "R" else "$error" if process.state in "DZ" else DIM
        out.append(
            Content.assemble(
                (f" {process.pid:>7} ", DIM),
                (process.state, state),
                f" {render.load(process.cpu_percent):>4} {render.size(process.rss_bytes):>4} ",
                (branch, DIM),
                render.clean(process.command),
            )
        )
    return out


def attempt_lines(page: Page) -> list[Content]:
    """All tries of this run, when there is more than one."""
    attempts = page.detail.attempts
    if len(attempts) < 2:
        return []
    return [_run_line(run, page, here=run.run_id == page.run.run_id, attempt=True) for run in attempts]


def _run_line(run: Run, page: Page, *, here: bool = False, attempt: bool = False) -> Content:
    style = STYLES[run.status.value]
    name = f"try {run.attempt}" if attempt else render.clean(run.task)
    arrow = ">" if here else " "
    return Content.assemble(
        (arrow, "bold $accent"),
        (render.glyph(run.status, page.ascii_only), style),
        f" {run.id:>5}  ",
        (name, "bold" if here else ""),
        "  ",
        (run.status.value, style),
        f"  {render.duration(elapsed(run, page.now))}",
        (f"  {render.clock(run.started_at, page.now)}", DIM),
    )


def request_lines(page: Page) -> list[Content]:
    """What people asked for, and what became of it."""
    out = []
    for request in page.detail.requests[-10:]:
        state = request.state.value
        style = {"refused": "$error", "done": "$success"}.get(state, "$warning")
        kill = request.kill_at
        left = (kill - page.now).total_seconds() if kill is not None and state == "taken" else 0.0
        out.append(
            Content.assemble(
                (f" {render.clock(request.asked_at, page.now)} ", DIM),
                request.kind.value,
                " ",
                (state, style),
                (f" KILL in {round(left)} s" if left > 0 else "", "bold $error"),
                (f" by {render.clean(request.asked_by)}", DIM),
                (f"  {render.clean(request.answer or request.reason or '')}", ""),
            )
        )
    return out


def event_lines(page: Page) -> list[Content]:
    """The newest events, newest first."""
    out = []
    for event in sorted(page.detail.events, key=lambda e: e.at, reverse=True)[:MOST_EVENTS]:
        said = [word for word in (event.status, event.message) if word and word != event.kind]
        actor = f" by {render.clean(event.actor)}" if event.actor else ""
        out.append(
            Content.assemble(
                (f" {_time(event.at, page.now)} ", DIM),
                (render.clean(event.kind), "bold"),
                (actor, DIM),
                "".join(f" {render.clean(word)}" for word in said),
            )
        )
    return out


def _time(at: datetime, now: datetime) -> str:
    return render.clock(at, now)


def tail_lines(page: Page, room: int) -> list[Content]:
    """The end of its output: as it is now of a run without subtasks, as it was stored of one that ended badly.

    Args:
        page: What is shown.
        room: Rows that the screen has for this section; of what is stored all is shown.
    """
    if page.output and not page.detail.subtasks:
        lines = page.output[-max(_LEAST_TAIL, room - 1) :]
    else:
        lines = page.detail.log_tail[-40:]
    return [Content.assemble(" ", render.content(line, "$foreground 80%")) for line in lines]
