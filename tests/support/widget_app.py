"""A small program around one widget, run in a real terminal: ``widget_app.py table|busy|hostile|log [FILE]``."""

import os
import sys

from textual import events
from textual.app import App, ComposeResult
from textual.widgets import Static

from statustui_tui.terminal.driver import SafeDriver
from statustui_tui.widgets.bars import BarCell
from statustui_tui.widgets.log_view import LogView
from statustui_tui.widgets.table import Table
from statustui_tui.widgets.table_model import Column, Row, Text
from support.hostile import HOSTILE

COLUMNS = (
    Column(key="id", title="ID", width=5, align="right"),
    Column(key="task", title="TASK", width=16, flex=3),
    Column(key="done", title="DONE", width=14, flex=1, most=24, priority=1),
    Column(key="left", title="LEFT", width=7, priority=2),
)
MOVES = {
    "j": "down", "k": "up", "g": "top", "G": "end", "space": "page_down", "ctrl+d": "half_down", "ctrl+u": "half_up",
    "down": "down", "up": "up", "end": "end", "home": "top", "b": "page_up", "right": "right", "left": "left",
}  # fmt: skip


class WidgetApp(App[int]):
    """Shows a table or a log."""

    CSS = "Static { height: 1; } Table { height: 1fr; } LogView { height: 1fr; }"
    BINDINGS = [("ctrl+z", "suspend_process", "Suspend")]  # noqa: RUF012

    def __init__(self, mode: str, path: str | None = None) -> None:
        super().__init__(driver_class=SafeDriver)
        self.mode, self.path = mode, path
        self.ticks = 0
        self.animation_level = "none"

    def compose(self) -> ComposeResult:
        yield Static("the title line", markup=False)
        if self.mode == "log":
            yield LogView(self.path)
        else:
            yield Table(COLUMNS)

    def on_mount(self) -> None:
        if self.mode == "log":
            self.query_one(LogView).focus()
            return
        self.query_one(Table).focus()
        self.fill()
        if self.mode == "busy":
            self.set_interval(0.02, self.fill)

    def fill(self) -> None:
        self.ticks += 1
        self.query_one(Table).set_rows(self.rows())

    def rows(self) -> list[Row]:
        if self.mode == "hostile":
            return [
                Row(key=number, cells=(str(number), text, BarCell(fraction=0.5, label=text), Text(text, "failed")))
                for number, text in enumerate(HOSTILE)
            ]
        return [
            Row(
                key=number,
                cells=(
                    str(number),
                    f"task {number} tick {self.ticks * 7919 % 1000} 日本 é",
                    BarCell(fraction=(self.ticks * 13 + number) % 100 / 100, label=f"{number}/99"),
                    Text("12m", "muted"),
                ),
                style="failed" if number % 7 == 0 else "running",
            )
            for number in range(200)
        ]

    def on_key(self, event: events.Key) -> None:
        if event.key == "q":
            self.exit(0)
        elif event.key == "t":
            self.fill()
        elif event.key in MOVES:
            (self.query_one(LogView) if self.mode == "log" else self.query_one(Table)).move(MOVES[event.key])


if __name__ == "__main__":
    app = WidgetApp(*sys.argv[1:])
    app.run()
    sys.stderr.write(f"left {os.getpid()}\n")
    sys.exit(app.return_code or 0)
