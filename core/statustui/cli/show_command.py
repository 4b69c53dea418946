"""``statustui show RUN``: everything about one run."""

from datetime import UTC, datetime

import click

from statustui.cli import figures
from statustui.cli.output import Column, Output, Span
from statustui.cli.selecting import RUN, one_run
from statustui.cli.session import OK, Session, shared
from statustui.cli.shapes import VERSION, detail_object
from statustui.cli.status_command import remark_words
from statustui.insight.eta import estimate
from statustui.insight.marks import by_machine, host_of, marks
from statustui.insight.needs import reason
from statustui.model.glyphs import glyph
from statustui.model.named import shown
from statustui.model.run import Host, RunDetail, Subtask, TaskStats

_EVENTS = 15
_TAIL = 20


@click.command("show", short_help="Everything about one run.", epilog="Example: statustui show 4817")
@click.argument("run", type=RUN)
@shared
@click.pass_obj
def command(session: Session, run: str) -> int:
    """Show everything that is known of RUN: a short id, the start of a run id, or a task (its latest run)."""
    with session.reading() as store:
        from statustui.store import reads

        found = one_run(store, run)
        detail = reads.detail(store, found.run_id)
        stats = reads.stats(store, {found.task}).get(found.task)
        hosts = by_machine(reads.hosts(store))
    now = datetime.now(UTC)
    if session.as_json:
        session.out.json({"version": VERSION, **detail_object(detail, stats, hosts, now)})
        return OK
    _Page(session.out, detail, stats, hosts, now).write()
    return OK


class _Page:
    """The readable page of one run."""

    def __init__(
        self, out: Output, detail: RunDetail, stats: TaskStats | None, hosts: dict[str, Host], now: datetime
    ) -> None:
        self._out = out
        self._detail = detail
        self._run = detail.run
        self._stats = stats
        self._host = host_of(detail.run, hosts)
        self._now = now

    def write(self) -> None:
        """Write all of it."""
        self._head()
        self._progress()
        self._process()
        self._error()
        self._subtasks()
        self._facts()
        self._events()
        self._attempts()

    def _fact(self, name: str, *value: Span) -> None:
        self._out.line((f"{name:<11}", "dim"), *value)

    def _head(self) -> None:
        run, out = self._run, self._out
        words = f"{glyph(run.status, out.ascii)} {run.status.value}"
        remarks = [remark_words(*each) for each in marks(run, self._stats, self._host, self._now)]
        out.line((f"{run.id} {run.task}", "bold"), "  ", (words, figures.colour(run.status)),
                 (f"  {', '.join(remarks)}" if remarks else "", "yellow"))  # fmt: skip
        self._fact("run id", run.run_id)
        if run.stage:
            self._fact("stage", run.stage)
        if run.label:
            self._fact("label", run.label)
        took = figures.duration(figures.elapsed(run, self._now))
        self._fact(
            "started", f"{figures.clock(run.started_at, self._now)}, {'for' if run.status.open else 'took'} {took}"
        )
        if run.ended_at:
            self._fact("ended", figures.clock(run.ended_at, self._now), self._end_words())
        if run.attempt > 1 or run.max_attempts:
            self._fact("attempt", f"{run.attempt}" + (f" of {run.max_attempts}" if run.max_attempts else ""))
        if run.acked_by:
            self._fact("seen by", run.acked_by)

    def _end_words(self) -> str:
        run = self._run
        if run.signal is not None:
            return f", signal {run.signal}"
        return f", exit status {run.exit_code}" if run.exit_code is not None else ""

    def _progress(self) -> None:
        run, out = self._run, self._out
        if run.percent is not None:
            by_hand = " (set by the program)" if run.percent_source == "manual" else ""
            bar = figures.bar(run.percent / 100, 28, out.ascii)
            done = f", {figures.subtasks(run)} subtasks done" if run.subtasks_done or run.total_subtasks else ""
            self._fact("overall", bar, f" {figures.percent(run.percent)}{done}{by_hand}")
        elif figures.subtasks(run):
            self._fact("overall", f"{figures.subtasks(run)} subtasks done")
        if run.overall_message:
            self._fact("message", run.overall_message)
        if run.status.open:
            eta = estimate(run, self._stats, self._now)
            left = f"{figures.eta(eta, out.ascii)} (by {eta.basis})" if eta else "unknown: too little to go by yet"
            self._fact("left", left)

    def _process(self) -> None:
        run = self._run
        place = " ".join(filter(None, (f"{run.user or '?'}@{run.host or '?'}", f"pid {run.pid}" if run.pid else "")))
        self._fact("process", place)
        if run.cpu_percent is not None or run.rss_bytes is not None:
            use = [
                "" if run.cpu_percent is None else f"{run.cpu_percent:.0f}% CPU",
                f"{figures.size(run.rss_bytes)} memory" if run.rss_bytes is not None else "",
                f"peak {figures.size(run.peak_rss_bytes)}" if run.peak_rss_bytes is not None else "",
                f"read {figures.size(run.read_bytes)}" if run.read_bytes is not None else "",
                f"written {figures.size(run.write_bytes)}" if run.write_bytes is not None else "",
                f"{run.processes} processes" if run.processes and run.processes > 1 else "",
            ]
            age = ""
            if run.sampled_at and run.status.open:
                age = f" (as of {figures.rough((self._now - run.sampled_at).total_seconds())})"
            self._fact("uses", ", ".join(filter(None, use)) + age)
        for name, value in (
            ("command", " ".join(run.args)),
            ("script", run.script_path),
            ("directory", run.cwd),
            ("log", run.log_path),
            ("commit", run.git_commit),
        ):
            if value:
                self._fact(name, value)

    def _error(self) -> None:
        run, detail, out = self._run, self._detail, self._out
        if not run.status.bad and not run.error_message:
            return
        out.line()
        where = " ".join(filter(None, (shown(run.error_subtask), run.error_subtask_name)))
        out.line((reason(run) or run.status.value, "red"), f"  in {where}" if where else "")
        for text in (detail.error_detail or "").splitlines():
            out.line(f"  {text}")
        tail = [] if detail.error_detail else detail.log_tail[-_TAIL:]
        if tail:
            out.line(("Last lines of its log:", "dim"))
            for text in tail:
                out.line(f"  {text}")

    def _subtasks(self) -> None:
        if not self._detail.subtasks:
            return
        self._out.line()
        self._out.line(("Subtasks", "bold"))
        columns = [
            Column(title="", right=True),
            Column(title=""),
            Column(title="", least=16),
            Column(title="", right=True),
            Column(title="", right=True),
            Column(title="", least=10),
        ]
        self._out.table(columns, [self._subtask_row(one) for one in self._detail.subtasks])

    def _subtask_row(self, one: Subtask) -> list[Span]:
        known = one.items_complete or one.items_total is not None
        done = figures.counted(one.items_complete or 0, one.items_total, one.unit) if known else ""
        took = one.duration_s
        if took is None and one.started_at is not None:
            took = ((one.ended_at or self._now) - one.started_at).total_seconds()
        sign = (glyph(one.status, self._out.ascii), figures.colour(one.status))
        name = (one.name, "bold") if one.heading else ("  " if one.parent else "") + one.name
        return [shown(one.number), sign, name, done or figures.percent(one.percent), figures.duration(took),
                one.error or one.message or ""]  # fmt: skip

    def _facts(self) -> None:
        detail, out = self._detail, self._out
        for title, values in (
            ("Parameters", detail.params),
            ("Metrics", detail.metrics),
            ("Environment", detail.environment),
        ):
            if values:
                out.line()
                out.line((title, "bold"))
                for name, value in values.items():
                    out.line((f"  {name} ", "dim"), str(value))

    def _events(self) -> None:
        events, out = self._detail.events, self._out
        if not events:
            return
        out.line()
        shown = f" (last {_EVENTS} of {len(events)})" if len(events) > _EVENTS else ""
        out.line((f"Events{shown}", "bold"))
        for event in events[-_EVENTS:]:
            what = event.kind if event.status in (None, event.kind) else f"{event.kind} {event.status}"
            words = ": ".join(filter(None, (what, event.message)))
            out.line(
                (f"  {figures.clock(event.at, self._now)} ", "dim"), words, f" ({event.actor})" if event.actor else ""
            )

    def _attempts(self) -> None:
        if len(self._detail.attempts) < 2:
            return
        self._out.line()
        self._out.line(("Attempts", "bold"))
        for one in self._detail.attempts:
            here = " (this one)" if one.run_id == self._run.run_id else ""
            sign = glyph(one.status, self._out.ascii)
            self._out.line(
                f"  {one.attempt}. {one.id} ", (f"{sign} {one.status.value}", figures.colour(one.status)), here
            )
