"""The Monitor screen: what needs a person, and what runs."""

from collections.abc import Iterator
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input

from statustui.insight.order import one_row_each
from statustui.model.items import FailureGroup
from statustui.model.run import Run, Snapshot
from statustui_tui import keys, render
from statustui_tui.screens import lists, needs, needs_items, running, view
from statustui_tui.screens.acting import ActingScreen
from statustui_tui.screens.dialogs import Choice, Menu
from statustui_tui.screens.filtering import Filter, parse
from statustui_tui.screens.header import Totals, Trouble, empty_page, header, totals
from statustui_tui.screens.lately import Joined, ended_rows
from statustui_tui.screens.parts.filter_line import FilteredScreen, FilterLine
from statustui_tui.screens.parts.footer import KeyBar
from statustui_tui.screens.parts.line import Line, rule
from statustui_tui.screens.parts.sheet import Sheet
from statustui_tui.screens.pipelines_part import PipelinesPart
from statustui_tui.sources import Frame
from statustui_tui.widgets.table import Table

REORDER_S = 5.0
"""Seconds between two changes of the order: lines that move all the time cannot be read."""
NO_STORE = "no store"
"""What `Lost` calls a store that is not there."""
STEP_S = 5.0
"""Seconds between two looks at the ages while nothing runs."""


class MonitorScreen(FilteredScreen, ActingScreen):
    """Needs you, and Running."""

    NAME = keys.MONITOR
    BINDINGS: ClassVar[list[Any]] = keys.bindings(keys.MONITOR)
    AUTO_FOCUS = "#running"

    def __init__(self) -> None:
        super().__init__()
        self.frame: Frame | None = None
        self.missing = False
        """True while there is no store yet."""
        self.filter = Filter()
        self.mine = False
        self.order = view.Order()
        self.unfolded: frozenset[str] = frozenset()
        self.zoomed: str | None = None
        self.others: tuple[tuple[str, int], ...] = ()
        self._entries: list[view.Entry] = []
        self._needs: list[needs.Need] = []
        self._items: list[FailureGroup] = []
        self._places: dict[str, int] = {}
        self._ordered_at = float("-inf")
        self._drawn_at = float("-inf")
        self._marks_of: Totals | None = None

    def compose(self) -> ComposeResult:
        """Heading, banner, the two lists, and the line at the foot."""
        ascii_only = self.monitor.ascii_only
        yield Line(id="head")
        yield Line(id="banner")
        yield Line(id="needs-title", classes="title")
        yield Table(needs.columns(several_hosts=False), header=False, ascii=ascii_only, id="needs")
        yield Line(id="running-title", classes="title")
        yield Table(running.columns(80, several_hosts=False), ascii=ascii_only, id="running")
        yield PipelinesPart(ascii_only=ascii_only)
        yield Sheet(id="empty")
        yield FilterLine(
            id="filter", placeholder="filter: words, regex, !not, user: host: task: stage: status:", compact=True
        )
        yield Line(id="says")
        yield KeyBar(ascii_only=ascii_only)

    # What is shown

    @property
    def needs_table(self) -> Table:
        """The list of *Needs you*."""
        return self.query_one("#needs", Table)

    @property
    def running_table(self) -> Table:
        """The list of *Running*."""
        return self.query_one("#running", Table)

    @property
    def table(self) -> Table:
        """The list that keys go to."""
        # Not `has_focus`: that follows a moment later, and a key must never hit what the cursor has left.
        return next((one for one in self.tables if self.focused is one and one.display), self.running_table)

    def on_screen_resume(self) -> None:
        """Catch up after another screen was in front."""
        self.redraw()

    def feed(self, frame: Frame, *, changed: bool) -> None:
        """Take a new frame."""
        self.frame, self.trouble, self.missing = frame, None, False
        self.redraw()
        if self.up:
            self.pace(by_frame=True)

    def lose(self, trouble: Trouble) -> None:
        """Say that the store cannot be read."""
        # A store that was never there is no trouble: nothing has been recorded yet.
        self.missing = trouble.kind == NO_STORE and self.frame is None
        self.trouble = None if self.missing else trouble
        self.redraw()

    def tick(self) -> None:
        """Show the ages as of now; where they cannot have changed, the clock alone."""
        if self._still():
            self._head()
        else:
            self.redraw()

    def _still(self) -> bool:
        """True when the lists look as they did: nothing runs, and ages of what ended go in coarse steps."""
        if self.monitor.paused:
            return True
        if self.frame is None or self.trouble is not None or self.frame.snapshot.running:
            return False
        return self.monitor.clock.monotonic() - self._drawn_at < STEP_S

    def redraw(self) -> None:
        """Show the frame as of now."""
        if not self.up:
            return
        self.fit()
        monitor = self.monitor
        frame = self.frame
        self._drawn_at = monitor.clock.monotonic()
        if frame is not None and not monitor.paused:
            self._derive(frame)
        self._head()
        self._show()

    def _derive(self, frame: Frame) -> None:
        from statustui.insight.needs import needs_you

        now = self.monitor.now()
        user = self.monitor.user if self.mine else None
        found = view.entries(frame, now)
        self._marks_of = totals(found, frame.snapshot)
        self._entries = self._in_order(view.kept(found, self.filter, user))
        groups = [needs.Need(key=g.key, runs=tuple(g.runs)) for g in needs_you(frame.snapshot, now)]
        self._needs = needs.kept(groups, self.filter, user)
        self._items = needs_items.kept(frame.board, self.filter, mine=self.mine)

    def _in_order(self, found: list[view.Entry]) -> list[view.Entry]:
        clock = self.monitor.clock.monotonic()
        if clock - self._ordered_at >= REORDER_S:
            self._ordered_at = clock
            ordered = view.arranged(found, self.order, self.frame.snapshot, self.monitor.now()) if self.frame else found
            self._places = {entry.run.run_id: i for i, entry in enumerate(ordered)}
            return ordered
        last = len(self._places)
        return sorted(found, key=lambda e: (self._places.get(e.run.run_id, last), e.run.id))

    def _head(self) -> None:
        monitor, width = self.monitor, self.size.width
        remark = f"PAUSED {render.age(monitor.paused_for())}" if monitor.paused else monitor.remark
        # While nothing moves, a clock that ticks would be all that is drawn.
        moves = monitor.paused or self.frame is None or bool(self.frame.snapshot.running)
        clock = monitor.clock.wall()
        line = header(monitor.who, monitor.store_name, self._marks_of, clock, width, remark, seconds=moves)
        self.query_one("#head", Line).show(line)
        self.show_banner()

    def _show(self) -> None:
        frame, monitor = self.frame, self.monitor
        sheet = self.query_one("#empty", Sheet)
        empty = frame is None or not (frame.snapshot.total_runs or frame.snapshot.running or frame.board.pipelines)
        sheet.display = empty
        if empty:
            for part in ("#needs-title", "#needs", "#running-title", "#running"):
                self.query_one(part).display = False
            self.query_one(PipelinesPart).display = False
            if frame is not None or self.missing:
                sheet.show(empty_page(monitor.store_name, self.others, ascii_only=monitor.ascii_only))
            else:
                said = "" if self.trouble is not None else "  reading the store"
                sheet.show([Content(""), Content.styled(said, "$foreground 60%")])
            return
        assert frame is not None
        snapshot, now = frame.snapshot, monitor.now()
        several = len({run.host for run in (*snapshot.running, *snapshot.ended)}) > 1
        users = len({run.user for run in snapshot.running}) > 1
        self._show_needs(frame, several)
        self.query_one(PipelinesPart).show(frame.board, zoomed=self.zoomed)
        shape = running.columns(self.size.width, several_hosts=several, several_users=users)
        model = running.RunningModel(self._entries, snapshot.stats, now, shape, ascii_only=monitor.ascii_only)
        lately = ended_rows(self._recent(snapshot), now, shape, ascii_only=monitor.ascii_only)
        self.running_table.set_columns(shape)
        self.running_table.set_model(Joined(model, lately))
        self._titles(snapshot)
        if self.table.cursor_key is None and not isinstance(self.focused, Input):
            for other in lists.walkable(self.tables)[:1]:
                self.set_focus(other)
        self.refresh_bindings()

    def _show_needs(self, frame: Frame, several: bool) -> None:
        table, now, ascii_only = self.needs_table, self.monitor.now(), self.monitor.ascii_only
        shape = needs.columns(several_hosts=several)
        rows = needs_items.rows(self._needs, self._items, frame.board, self.unfolded, now, shape, ascii_only=ascii_only)
        table.set_columns(shape)
        height = self.size.height
        most = max(1, (height - 4) // 3) if self.zoomed is None else height
        table.display = bool(rows) and self.zoomed in (None, "needs")
        table.styles.height = min(len(rows), most) if self.zoomed is None else "1fr"
        table.set_rows(rows)
        self.query_one("#needs-title").display = table.display and height >= 9
        self.running_table.display = self.zoomed in (None, "running")
        self.query_one("#running-title").display = self.running_table.display and height >= 7

    def _recent(self, snapshot: Snapshot) -> list[Run]:
        user = self.monitor.user if self.mine else None
        above = {run.run_id for need in self._needs for run in need.runs}
        recent = one_row_each(snapshot.recent)
        wanted = (run for run in recent if not run.status.open and not run.retried and run.run_id not in above)
        return [r for r in wanted if (user is None or r.user == user) and (not self.filter or self.filter.matches(r))]

    def _titles(self, snapshot: Snapshot) -> None:
        ascii_only, width = self.monitor.ascii_only, self.size.width
        n = sum(len(need.runs) for need in self._needs) + sum(group.count for group in self._items)
        since = "since 24 h"
        self.query_one("#needs-title", Line).show(
            rule(
                f"Needs you {n}" if n else "Needs you",
                since,
                width,
                ascii_only=ascii_only,
                focused=self.focused is self.needs_table,
            )
        )
        notes = [f"mine: {self.monitor.user}"] if self.mine else []
        if self.filter:
            notes.append(f"filter: {render.clean(self.filter.text)}")
        marked = len(self.running_table.marked | self.needs_table.marked)
        if marked:
            notes.append(f"{marked} marked")
        notes.append(f"sort: {view.ORDERS[self.order.by]}" + (" (reversed)" if self.order.reverse else ""))
        shown, all_of = len(self._entries), len(one_row_each(snapshot.running))
        count = f"Running {shown}" + (f" of {all_of}" if shown != all_of else "") if all_of else "Running: nothing"
        self.query_one("#running-title", Line).show(
            rule(count, "  ".join(notes), width, ascii_only=ascii_only, focused=self.focused is self.running_table)
        )

    # What is selected

    def selected(self) -> tuple[Run, ...]:
        """The runs that are marked, else the one (or the folded ones) under the cursor."""
        table = self.table
        found = [run for key in table.selection for run in self._runs_of(key)]
        return tuple({run.run_id: run for run in found}.values())

    def failures(self) -> tuple[FailureGroup, ...]:
        """The failed items that are marked, else those under the cursor."""
        return needs_items.among(self.table.selection, self._items)

    def _runs_of(self, key: object) -> Iterator[Run]:
        if isinstance(key, needs.Folded):
            yield from (run for need in self._needs if need.key == key.fingerprint for run in need.runs)
            return
        for entry in self._entries:
            if entry.run.run_id == key:
                yield entry.run
                return
        for need in self._needs:
            for run in need.runs:
                if run.run_id == key:
                    yield run
                    return
        if self.frame is not None:
            yield from (run for run in self.frame.snapshot.recent if run.run_id == key)

    def hold(self, held: bool) -> None:
        """Freeze both lists."""
        self.needs_table.frozen = held
        self.running_table.frozen = held
        self.query_one(PipelinesPart).table.frozen = held

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What works now."""
        if not self.up:
            return True
        if isinstance(self.focused, Input) and action not in ("clear", "list"):
            return False  # it is being typed into
        if action == "clear":
            marked = self.running_table.marked or self.needs_table.marked
            return bool(self.zoomed or marked or self.filter or self.mine or self.filter_line.display)
        if action == "adopt":
            return not self.monitor.read_only
        if action in ("open", "mark", "mark_range"):
            return self.table.cursor_key is not None
        if action in ("next_hit", "previous_hit"):
            return bool(self.filter)
        if action in ("filter", "sort", "mine"):
            return self.frame is not None and self.frame.snapshot.total_runs > 0
        return super().check_action(action, parameters)

    # Keys

    def action_move(self, how: str) -> None:
        """Move the cursor, from one list into the other at its ends."""
        if self.query_one("#empty").display:
            self.query_one("#empty", Sheet).move(how)
            return
        table = lists.move(self.tables, self.table, how)
        if table is not self.table:
            self.set_focus(table)

    @property
    def tables(self) -> tuple[Table, ...]:
        """All lists, from the top down."""
        return self.needs_table, self.running_table, self.query_one(PipelinesPart).table

    def action_other_list(self) -> None:
        """To the other list."""
        other = lists.following(self.tables, self.table)
        if other is not None:
            self.set_focus(other)

    def on_descendant_focus(self) -> None:
        """Show which list keys go to."""
        if self.frame is not None:
            self._titles(self.frame.snapshot)
        self.refresh_bindings()

    def on_table_moved(self, event: Table.Moved) -> None:
        """What is possible depends on what is under the cursor."""
        self.refresh_bindings()

    def on_table_marked(self, event: Table.Marked) -> None:
        """Count the marks."""
        if self.frame is not None:
            self._titles(self.frame.snapshot)
        self.refresh_bindings()

    def on_table_opened(self, event: Table.Opened) -> None:
        """A second click opens."""
        self.action_open()

    def on_table_header_clicked(self, event: Table.HeaderClicked) -> None:
        """Sort by the column."""
        by = {"mem": "memory", "done": "progress"}.get(event.column, event.column)
        if by in view.ORDERS:
            self._sort_by(by)

    def action_open(self) -> None:
        """Open the run, or unfold the row."""
        key = self.table.cursor_key
        if isinstance(key, needs_items.ItemsFailed):
            self.monitor.open_matrix(key.pipeline, fingerprint=key.fingerprint)
            return
        if self.table is self.tables[-1]:
            self.monitor.open_matrix(str(key))
            return
        if isinstance(key, needs.Folded):
            self.unfolded ^= {key.fingerprint}
            self.redraw()
            return
        for run in self._runs_of(key):
            self.monitor.open_run(run)
            return

    def action_adopt(self) -> None:
        """Choose a process that runs already."""
        self.monitor.open_adopt()

    def action_mark(self) -> None:
        """Mark the run under the cursor."""
        self.table.toggle_mark()

    def action_range(self) -> None:
        """Begin or end a range of marks."""
        self.table.toggle_range()

    def action_sort(self) -> None:
        """Choose the order."""
        choices = [Choice(key=view.LETTERS[by], label=label, value=by) for by, label in view.ORDERS.items()]
        menu = Menu("Sort by (again: reversed)", choices, self.order.by, self.monitor.ascii_only)

        def then(by: str | None) -> None:
            if by is not None:
                self._sort_by(by)

        self.ask(menu, then)

    def _sort_by(self, by: str) -> None:
        again = by == self.order.by and by != "trouble"
        self.order = view.Order(by=by, reverse=not self.order.reverse if again else False)
        self._ordered_at = float("-inf")
        self.redraw()

    def action_mine(self) -> None:
        """Only my runs, or all."""
        self.mine = not self.mine
        self.redraw()

    def action_zoom(self) -> None:
        """One list alone, or both."""
        self.zoomed = None if self.zoomed else self.table.id
        self.redraw()

    def action_filter(self) -> None:
        """Type a filter."""
        self.open_filter(self.filter.text)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as it is typed."""
        if self.filter_line.display:
            self.filter = parse(event.value)
            self.redraw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter and go to the list."""
        self.action_list()

    def action_list(self) -> None:
        """From the filter to the list."""
        self.close_filter()
        table = self.running_table if len(self._entries) or not self._needs else self.needs_table
        self.set_focus(table)

    def action_next_hit(self) -> None:
        """The next match: with a filter, the next line."""
        self.action_move("down")

    def action_previous_hit(self) -> None:
        """The match before."""
        self.action_move("up")

    def action_clear(self) -> None:
        """Clear one thing: the filter being typed, the full screen, the marks, the filter, mine."""
        if self.filter_line.display:
            self.filter = Filter()
            self.action_list()
        elif self.zoomed:
            self.zoomed = None
        elif self.running_table.marked or self.needs_table.marked:
            self.running_table.clear_marks()
            self.needs_table.clear_marks()
        elif self.filter:
            self.filter = Filter()
        else:
            self.mine = False
        self.redraw()

    def action_leave(self) -> None:
        """Quit."""
        self.app.exit(0)
