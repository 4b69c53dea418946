"""The monitor: one application, one poller, and the screens between which it goes."""

import asyncio
import getpass
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding
from textual.driver import Driver

from statustui.model.run import Run
from statustui.model.times import utc_now
from statustui_tui import theme
from statustui_tui.around import other_stores, versions
from statustui_tui.poller import Answered, Arrived, DetailArrived, Found, Poller, StoreLost
from statustui_tui.screens.header import Trouble, short_store
from statustui_tui.screens.monitor import MonitorScreen
from statustui_tui.screens.view import now_of
from statustui_tui.sources import Frame, Source

if TYPE_CHECKING:
    from statustui.config import Settings
    from statustui_tui.actions import Actions
    from statustui_tui.items_actions import ItemActions

LATER = (
    "statustui_tui.screens.run",
    "statustui_tui.screens.run_facts",
    "statustui_tui.screens.help",
    "statustui_tui.screens.plain",
    "statustui_tui.screens.palette",
    "statustui_tui.screens.log",
    "statustui_tui.screens.pipelines",
    "statustui_tui.screens.matrix",
    "statustui_tui.screens.item",
    "statustui_tui.screens.run_items",
    "statustui_tui.screens.adopt",
    "statustui.control.candidates",
    "statustui_tui.actions",
    "statustui.control.actor",
    "statustui.control.cancel",
    "statustui.control.retry",
    "statustui.store.requests",
    "statustui.store.item_changes",
)
"""Imported in the background soon after the start: an upgrade of the files underneath then breaks nothing."""
DRAINER_S = 30.0
"""Seconds between two looks whether a drainer works."""
UPGRADE_S = 60.0
"""Seconds between two looks at the installed version."""


class Clock:
    """The time, in one place, so that a test can hold it still."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wall(self) -> datetime:
        """The viewer's own time, in the viewer's zone."""
        return utc_now().astimezone()


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where the monitor begins."""

    run: str | None = None
    """A run by id, id prefix or task; None: the Monitor screen."""
    screen: str | None = None
    """``run`` or ``log``."""


def _palette() -> Any:
    """The palette's provider, imported when the palette is first opened."""
    from statustui_tui.screens.palette import Palette

    return Palette


class Monitor(App[int]):
    """The terminal program.

    Args:
        source: What the poller reads.
        settings: The configuration.
        actions: What carries out requests; None: nothing can be asked for.
        item_actions: What changes items; None: nothing can be asked for.
        read_only: Look, but change nothing.
        place: Where to begin.
        clock: The time.
        ascii_only: Draw with ASCII characters alone.
        driver_class: What serves the terminal; None: what Textual thinks fit.
        started: Called once the first picture is drawn.
    """

    CSS_PATH = "statustui.tcss"
    TITLE = "statustui"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    COMMANDS: ClassVar[set[Any]] = {_palette}
    BINDINGS: ClassVar[list[Any]] = [Binding("ctrl+c", "quit", "quit", show=False, priority=True, system=True)]

    def __init__(
        self,
        source: Source,
        settings: "Settings",
        *,
        actions: "Actions | None" = None,
        item_actions: "ItemActions | None" = None,
        read_only: bool = False,
        place: Place | None = None,
        clock: Clock | None = None,
        ascii_only: bool = False,
        driver_class: type[Driver] | None = None,
        started: Callable[[], None] | None = None,
    ) -> None:
        # Textual's way to grey would make black on black of the terminal's own default colours.
        super().__init__(driver_class=driver_class, ansi_color=True if "NO_COLOR" in os.environ else None)
        from statustui.config import display_url, host_name

        self.settings = settings
        self.read_only = read_only or settings.read_only or actions is None
        self.clock = clock or Clock()
        self.ascii_only = ascii_only
        self.user = getpass.getuser()
        self.who = f"{self.user}@{host_name()}"
        self.store_name = short_store(display_url(settings.store_url), os.path.expanduser("~"))
        self.remark = "READ ONLY" if self.read_only else ""
        self.poller = Poller(source, self.post_message)
        self.frame: Frame | None = None
        self.paused = False
        self.main = MonitorScreen()
        self.item_actions = item_actions
        self._actions = actions
        self._others_due = True
        self._started = started
        self._place = place or Place()
        self._arrived = self.clock.monotonic()
        self._held_at = 0.0
        self._generation = 0
        self._finding: dict[int, asyncio.Future[tuple[Run, ...]]] = {}
        self._good_at: float | None = None
        self.animation_level = "none"
        for own in theme.THEMES:
            self.register_theme(own)
        self.theme = theme.choose(os.environ)
        self.set_keymap(settings.keymap)
        self.set_class(ascii_only, "-ascii")

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours that Textual's themes do not name."""
        return theme.more_colours(self.current_theme)

    @property
    def actions(self) -> "Actions":
        """What carries out requests; `check_action` lets nobody ask where there is nothing."""
        assert self._actions is not None
        return self._actions

    # Start and end

    def on_mount(self) -> None:
        """Paint first; the store is opened by the poller afterwards."""
        self.push_screen(self.main)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        if self._started is not None:
            self._started()
        self.poller.start()
        self.run_worker(_import_the_rest, thread=True, group="import")
        self.run_worker(self._bring_in, thread=True, group="left-overs")
        self.set_interval(UPGRADE_S, self._look_for_upgrade)
        self.set_interval(DRAINER_S, self._keep_draining)

    def _bring_in(self) -> None:
        """Left-over journals of this user are brought in by a drainer."""
        from statustui import config
        from statustui.errors import StatustuiError
        from statustui.journal.spawn import ensure_drainer

        if self.settings.drainer == "off" or self._actions is None:
            return
        try:
            spool = config.spool_dir(self.settings)
            if os.path.exists(f"{spool}/store.url"):  # else nobody has recorded anything here yet
                ensure_drainer(spool)
            others = other_stores(self.settings) if self._others_due else None
        except (OSError, StatustuiError):
            return  # What is in the store can be shown all the same; `doctor` says why nothing is brought in.
        self._others_due = False
        if others is not None:
            self.call_from_thread(self._others, others)

    def _keep_draining(self) -> None:
        """A drainer that was killed is started again: a process that was adopted can not do that itself."""
        self.run_worker(self._bring_in, thread=True, group="left-overs", exclusive=True)

    def _others(self, others: tuple[tuple[str, int], ...]) -> None:
        self.main.others = others
        self.main.redraw()

    def _look_for_upgrade(self) -> None:
        installed, running = versions()
        if installed != running:
            self.remark = f"{installed} installed, {running} running"

    def on_unmount(self) -> None:
        """Let the poller go."""
        self.poller.stop(wait=0.3)

    # The poller's messages

    def on_arrived(self, message: Arrived) -> None:
        """Hand the frame to the screens."""
        if self.paused:
            return
        first = self.frame is None
        if message.changed or first:
            self._arrived = self.clock.monotonic()
        self.frame = message.frame
        for screen in self.screen_stack:
            feed = getattr(screen, "feed", None)
            if feed is not None:
                feed(message.frame, changed=message.changed)
        if first and self._place.run is not None:
            self.run_worker(self._go(self._place))

    def on_store_lost(self, message: StoreLost) -> None:
        """Tell the screens; what they show stays, with its age."""
        self._good_at = message.good_at
        trouble = self.aged(Trouble(kind=message.kind, text=message.text, tries=message.tries, old_s=None))
        for screen in self.screen_stack:
            lose = getattr(screen, "lose", None)
            if lose is not None:
                lose(trouble)

    def aged(self, trouble: Trouble) -> Trouble:
        """*trouble* with the present age of what is shown."""
        if self.frame is None or self._good_at is None:
            return trouble
        return replace(trouble, old_s=time.monotonic() - self._good_at)

    def on_detail_arrived(self, message: DetailArrived) -> None:
        """Hand the details to the screen that asked."""
        for screen in self.screen_stack:
            take = getattr(screen, "take", None)
            if take is not None:
                take(message.detail, message.processes, message.generation)

    def on_found(self, message: Found) -> None:
        """Answer a search."""
        future = self._finding.pop(message.generation, None)
        if future is not None and not future.done():
            future.set_result(message.runs)

    def on_answered(self, message: Answered) -> None:
        """Hand an answer to the screen that asked."""
        message.hand_over()

    def on_app_blur(self, event: events.AppBlur) -> None:
        """Look less often."""
        self.poller.blur(True)

    def on_app_focus(self, event: events.AppFocus) -> None:
        """Look often again."""
        self.poller.blur(False)

    # What screens ask

    def now(self) -> datetime:
        """The store's present time; held still while paused."""
        if self.frame is None:
            return utc_now()
        at = self._held_at if self.paused else self.clock.monotonic()
        return now_of(self.frame.snapshot, at - self._arrived)

    def next_generation(self) -> int:
        """A number for a request, by which a stale answer is known."""
        self._generation += 1
        return self._generation

    def paused_for(self) -> float:
        """Seconds since the screen is held still."""
        return self.clock.monotonic() - self._held_at if self.paused else 0.0

    def toggle_pause(self) -> None:
        """Hold the screen still, or go on."""
        self.paused = not self.paused
        self._held_at = self.clock.monotonic()
        self.poller.pause(self.paused)
        if not self.paused:
            self.poller.reload()
        self.main.redraw()

    def known_runs(self) -> Sequence[Run]:
        """The runs that are on the screen anyway."""
        if self.frame is None:
            return ()
        snapshot = self.frame.snapshot
        runs = (*snapshot.running, *snapshot.ended, *snapshot.recent)
        return tuple({run.run_id: run for run in runs}.values())

    async def find_runs(self, text: str, timeout: float = 2.0) -> tuple[Run, ...]:
        """Runs that the store finds for *text*."""
        generation = self.next_generation()
        future: asyncio.Future[tuple[Run, ...]] = asyncio.get_running_loop().create_future()
        self._finding[generation] = future
        self.poller.search(text, generation)
        try:
            return await asyncio.wait_for(future, timeout)
        except TimeoutError:
            self._finding.pop(generation, None)
            return ()

    # Going places

    async def _go(self, place: Place) -> None:
        runs = await self.find_runs(place.run or "")
        if not runs:
            self.main.say(f"no run is called {place.run}", "bold $error")
        elif place.screen == "run":
            self.open_run(runs[0])
        else:
            self.open_log(runs[0])

    def open_run(self, run: Run) -> None:
        """Go into a run."""
        from statustui_tui.screens.run import RunScreen

        screen = RunScreen(run.run_id, run)
        screen.frame = self.frame
        self.push_screen(screen)

    def open_log(self, run: Run) -> None:
        """Go to the log of a run."""
        from statustui_tui.screens.log import LogScreen

        self.push_screen(LogScreen(run))

    def open_run_id(self, run_id: str) -> None:
        """Go into a run of which only the id is known."""
        known = next((run for run in self.known_runs() if run.run_id == run_id), None)
        from statustui_tui.screens.run import RunScreen

        screen = RunScreen(run_id, known)
        screen.frame = self.frame
        self.push_screen(screen)

    def open_matrix(self, pipeline: str, *, step: str | None = None, fingerprint: str = "") -> None:
        """Go to the items of a pipeline; of one step or one kind of failure."""
        from statustui_tui.screens.matrix import MatrixScreen

        wanted = f"step:{shlex.quote(step)}" if step is not None else ""
        self.push_screen(MatrixScreen(pipeline, self.frame, fingerprint=fingerprint, filter=wanted))

    def open_item(self, pipeline: str, key: str) -> None:
        """Go into an item."""
        from statustui_tui.screens.item import ItemScreen

        self.push_screen(ItemScreen(pipeline, key, self.frame))

    def open_adopt(self) -> None:
        """Go to the processes that could be adopted."""
        from statustui_tui.screens.adopt import AdoptScreen

        self.push_screen(AdoptScreen())

    def open_run_items(self, run_id: str, title: str) -> None:
        """Go to the items of a run."""
        from statustui_tui.screens.run_items import RunItemsScreen

        self.push_screen(RunItemsScreen(run_id, title))

    def open_help(self, screen: str) -> None:
        """Show the keys of a screen."""
        from statustui_tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(screen, self.settings.keymap, ascii_only=self.ascii_only))

    def go_back(self) -> None:
        """Back one screen; quit at the top."""
        if self.screen is self.main or len(self.screen_stack) <= 2:
            if self.main in self.screen_stack and self.screen is not self.main:
                self.pop_screen()
                return
            self.exit(0)
        else:
            self.pop_screen()

    def copy(self, text: str) -> None:
        """Put *text* on the clipboard of the person's terminal, and show it plainly to select from."""
        from statustui_tui.screens.plain import PlainPage
        from statustui_tui.terminal.clipboard import copy

        sent = copy(self, text)
        said = "Sent to your terminal's clipboard" if sent else "This terminal takes no copy from us"
        self.push_screen(PlainPage(text, f"{said}. Select with the mouse (Shift held down), Esc goes back."))

    # Actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What works now on every screen."""
        if action == "pipelines":
            return self.frame is not None and bool(self.frame.board.pipelines)
        return super().check_action(action, parameters)

    def action_first_screen(self) -> None:
        """To the Monitor screen, whatever lies above it."""
        while self.screen is not self.main and self.main in self.screen_stack:
            self.pop_screen()

    def action_pipelines(self) -> None:
        """To the Pipelines screen."""
        from statustui_tui.screens.pipelines import PipelinesScreen

        self.action_first_screen()
        self.push_screen(PipelinesScreen(self.frame))

    async def action_quit(self) -> None:
        """Quit at once; no run is ever signalled by it."""
        self.exit(0)

    def action_redraw(self) -> None:
        """Draw everything again."""
        redraw = getattr(self._driver, "redraw", None)
        if redraw is not None:
            redraw()
        self.refresh(layout=True)


def _import_the_rest() -> None:
    time.sleep(0.5)  # the first data comes first
    for name in LATER:
        import_module(name)


def main(
    settings: "Settings",
    *,
    read_only: bool = False,
    run: str | None = None,
    screen: str | None = None,
    mouse: bool = True,
    started: Callable[[], None] | None = None,
) -> int:
    """Open the monitor in this terminal.

    Args:
        settings: The configuration.
        read_only: Look, but change nothing.
        run: Open this run (short id, id prefix or task name) at once.
        screen: ``run`` or ``log`` (the default) for *run*.
        mouse: Take mouse reports from the terminal.
        started: Called once the first picture is drawn; must return at once.

    Returns:
        An exit status: 0 ok, 2 where this terminal cannot show it.
    """
    from statustui_tui.actions import StoreActions
    from statustui_tui.items_actions import StoreItemActions
    from statustui_tui.sources import StoreSource
    from statustui_tui.terminal import check
    from statustui_tui.terminal.driver import SafeDriver

    refusal = check.refuse()
    if refusal is not None:
        print(f"statustui: {refusal}", file=sys.stderr)
        return 2
    os.environ.pop("TEXTUAL_ANIMATIONS", None)
    app = Monitor(
        StoreSource(settings),
        settings,
        actions=None if read_only else StoreActions(settings),
        item_actions=None if read_only else StoreItemActions(settings),
        read_only=read_only,
        place=Place(run=run, screen=screen),
        ascii_only=check.ascii_only(),
        driver_class=SafeDriver,
        started=started,
    )
    status = app.run(mouse=mouse)
    return app.return_code or (status if status is not None else 0)
