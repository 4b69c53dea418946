"""The list of one's own long processes that nobody tracks: type to filter, Enter adopts."""

from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.widgets import Input

from statustui_tui import keys, render
from statustui_tui.screens.acting import ActingScreen
from statustui_tui.screens.dialogs import EditCommand
from statustui_tui.screens.parts.footer import KeyBar
from statustui_tui.screens.parts.line import Line, rule
from statustui_tui.widgets.table import Table
from statustui_tui.widgets.table_model import Column, Row, Text

if TYPE_CHECKING:
    from statustui.control.candidates import Candidate

AGAIN_S = 5.0
"""Seconds between two looks at the processes."""
COLUMNS: tuple[Column, ...] = (
    Column(key="pid", title="PID", width=7, align="right"),
    Column(key="runs", title="RUNS", width=8, align="right"),
    Column(key="cpu", title="CPU", width=5, align="right"),
    Column(key="mem", title="MEM", width=5, align="right", priority=2),
    Column(key="name", title="NAME", width=10, flex=1, most=28, style="strong", crop="middle"),
    Column(key="command", title="COMMAND", width=12, flex=4),
)


class AdoptScreen(ActingScreen):
    """Processes that could be adopted, what has worked most first."""

    NAME = keys.ADOPT
    BINDINGS: ClassVar[list[Any]] = keys.bindings(keys.ADOPT)
    AUTO_FOCUS = "#adopt-filter"
    SHORT = 7

    def __init__(self) -> None:
        super().__init__()
        self.found: tuple[Candidate, ...] | None = None

    def compose(self) -> ComposeResult:
        """Heading, what is typed, list, footer."""
        ascii_only = self.monitor.ascii_only
        yield Line(id="head")
        yield Input(id="adopt-filter", placeholder="type to filter: name, command or pid", compact=True)
        yield Table(COLUMNS, ascii=ascii_only, id="matrix")
        yield Line(id="says")
        yield KeyBar(ascii_only=ascii_only)

    @property
    def table(self) -> Table:
        """The list."""
        return self.query_one("#matrix", Table)

    def begin(self) -> None:
        """Look at the processes now, and again from time to time."""
        self.action_reload()
        self.set_interval(AGAIN_S, self._again)

    def hold(self, held: bool) -> None:
        """Freeze the list."""
        self.table.frozen = held

    def _again(self) -> None:
        if self.up and self.is_current:
            self.action_reload()

    def _read(self) -> None:
        found = tuple(self.monitor.actions.candidates())
        self.app.call_from_thread(self._took, found)

    def _took(self, found: "tuple[Candidate, ...]") -> None:
        if self.up:
            self.found = found
            self.redraw()

    def matching(self) -> "list[Candidate]":
        """Those in which every word that was typed is found."""
        words = self.query_one("#adopt-filter", Input).value.lower().split()
        return [
            one for one in self.found or ()
            if all(word in f"{one.about.pid} {one.name} {one.command}".lower() for word in words)
        ]  # fmt: skip

    def redraw(self) -> None:
        """Show the list."""
        if not self.up:
            return
        self.fit()
        shown, every = self.matching(), len(self.found or ())
        if self.found is None:
            said = "looking"
        elif not every:
            said = "none of yours has run for 10 s or more without being tracked"
        else:
            said = f"{len(shown)}" + (f" of {every}" if len(shown) != every else "") + " of yours, most work first"
        head = rule("Adopt a running process", said, self.size.width, ascii_only=self.monitor.ascii_only, focused=True)
        self.query_one("#head", Line).show(head)
        self.table.set_rows([self._row(one) for one in shown])
        self.refresh_bindings()

    def _row(self, one: "Candidate") -> Row:
        return Row(
            key=(one.about.pid, one.about.start),
            cells=(
                str(one.about.pid), render.duration(one.about.age_s), render.load(one.cpu_percent),
                render.size(one.rss_bytes), one.name, Text(one.command, "muted"),
            ),
        )  # fmt: skip

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What works now."""
        return not self.up or action != "adopt" or bool(self.matching())

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as it is typed."""
        self.redraw()

    def on_table_opened(self, event: Table.Opened) -> None:
        """A second click adopts."""
        self.action_adopt()

    def action_move(self, how: str) -> None:
        """Move the cursor."""
        self.table.move(how)

    def action_reload(self) -> None:
        """Look at the processes now."""
        self.run_worker(self._read, thread=True, group="candidates", exclusive=True)

    def action_adopt(self) -> None:
        """Ask for the name, then adopt the process under the cursor."""
        chosen = [one for one in self.matching() if (one.about.pid, one.about.start) == self.table.cursor_key]
        if not chosen:
            return
        (one,) = chosen

        def then(name: str | None) -> None:
            if name is not None:
                given = None if name.strip() == one.name else name.strip()
                self._work(lambda: self.monitor.actions.adopt(one.about, given))

        self.ask(EditCommand(f"Adopt process {one.about.pid} as task", render.clean(one.name), _nameless), then)

    def _done(self, outcome: Any) -> None:
        if not outcome.ok:
            self.say(outcome.text, "bold $error")
            return
        self.monitor.go_back()
        self.monitor.main.say(outcome.text, "$success")
        self.monitor.poller.reload()

    def action_back(self) -> None:
        """Clear what was typed; then back to the Monitor screen."""
        typed = self.query_one("#adopt-filter", Input)
        if typed.value:
            typed.value = ""
        else:
            self.monitor.go_back()


def _nameless(text: str) -> str | None:
    return None if text.strip() else "A task needs a name"
