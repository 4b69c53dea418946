"""What all screens have in common: how they come up, the banner, the footer and the answers in its place."""

from typing import TYPE_CHECKING, Any, cast

from textual import events
from textual.content import Content
from textual.screen import Screen

from statustui_tui import render
from statustui_tui.screens.header import Trouble, banner
from statustui_tui.screens.parts.footer import KeyBar
from statustui_tui.screens.parts.line import Line

if TYPE_CHECKING:
    from statustui_tui.app import Monitor

SAID_S = 5.0
"""Seconds for which the answer to a key stays in the place of the footer."""


class StoreScreen(Screen[None]):
    """A screen with a footer, whose parts are written anew by `redraw`."""

    NAME = ""
    SHORT = 9
    """Lines below which the footer goes."""

    def __init__(self) -> None:
        super().__init__()
        self._hush: Any = None
        self._next: Any = None
        self.up = False
        """True while the parts of the screen are there to be written to."""
        self.trouble: Trouble | None = None
        """What is wrong with the store."""

    @property
    def monitor(self) -> "Monitor":
        """The application."""
        return cast("Monitor", self.app)

    # Life

    def on_mount(self) -> None:
        """Show what is there, and keep the ages moving."""
        self.up = True
        self.pace(by_frame=False)
        self.begin()
        self.redraw()

    def on_unmount(self) -> None:
        """Nothing can be shown any more."""
        self.up = False

    def on_resize(self, event: events.Resize) -> None:
        """Shed what has no room."""
        self.redraw()

    def begin(self) -> None:
        """What is done once the parts are there, before they are first written."""

    def redraw(self) -> None:
        """Show all as of now."""

    def lose(self, trouble: Trouble) -> None:
        """Say that the store cannot be read."""
        self.trouble = trouble
        self.redraw()

    # Ages

    def tick(self) -> None:
        """Show the ages as of now."""

    def pace(self, *, by_frame: bool) -> None:
        """Wake up again in a second, or a little later after a frame: the next frame then comes first.

        Drawing twice a second, once for the data and once for the ages, would cost twice.
        """
        if self._next is not None:
            self._next.stop()
        self._next = self.set_timer(1.3 if by_frame else 1.0, self._on_time)

    def _on_time(self) -> None:
        if self.up and self.is_current:
            self.tick()
        self.pace(by_frame=False)

    # The lines that every screen has

    @property
    def covered(self) -> bool:
        """True while something else stands in the place of the footer."""
        return self.query_one("#says").display

    def fit(self) -> bool:
        """Show the footer where there is room for it; True on a short screen."""
        short = self.size.height < self.SHORT
        self.query_one(KeyBar).display = not short and not self.covered
        return short

    def show_banner(self) -> None:
        """Say what is wrong with the store, as long as something is."""
        line = self.query_one("#banner", Line)
        line.display = self.trouble is not None
        self.set_class(self.trouble is not None, "-stale")
        if self.trouble is not None:
            line.show(banner(self.monitor.aged(self.trouble), self.size.width))

    def say(self, text: str, style: str = "") -> None:
        """Answer a key in the place of the footer for some seconds."""
        line = self.query_one("#says", Line)
        line.show(Content.assemble(" ", (render.clean(text), style)))
        line.display = True
        self.fit()
        if self._hush is not None:
            self._hush.stop()
        self._hush = self.set_timer(SAID_S, self.hush)

    def hush(self) -> None:
        """Show the footer again."""
        self.query_one("#says", Line).display = False
        self.fit()

    # Keys that every screen has

    def action_back(self) -> None:
        """Back one level."""
        self.monitor.go_back()

    def action_leave(self) -> None:
        """Back one level."""
        self.monitor.go_back()

    def action_help(self) -> None:
        """Show the keys."""
        self.monitor.open_help(self.NAME)

    def action_palette(self) -> None:
        """Find a run or an action by typing."""
        self.app.action_command_palette()

    def action_pause(self) -> None:
        """Hold the screen still, or go on."""
        self.monitor.toggle_pause()

    def action_reload(self) -> None:
        """Ask the store now."""
        self.monitor.poller.reload()
