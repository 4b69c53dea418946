"""What the command palette offers: the actions that work now, and runs found by typing."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from statustui.model.run import Run
from statustui_tui import keys, render
from statustui_tui.screens.acting import ActingScreen

if TYPE_CHECKING:
    from statustui_tui.app import Monitor

MOST = 12


class Palette(Provider):
    """Actions of the screen below, and runs of the store by id or task."""

    @property
    def monitor(self) -> "Monitor":
        """The application."""
        return cast("Monitor", self.app)

    def _actions(self) -> list[keys.Key]:
        screen = self.screen
        if not isinstance(screen, ActingScreen):
            return []
        offered = [key for key in keys.on(screen.NAME) if key.palette]
        return [key for key in offered if screen.check_action(key.action.split("(")[0], ())]

    def _do(self, key: keys.Key) -> Any:
        async def run() -> None:
            await self.screen.run_action(key.action)

        return run

    def _text(self, key: keys.Key) -> Content:
        name = keys.first_key(key, self.monitor.settings.keymap, ascii_only=self.monitor.ascii_only)
        return Content.assemble((key.label.capitalize(), "bold"), f"  {name}")

    async def discover(self) -> Hits:
        """The actions, before anything is typed."""
        for key in self._actions():
            yield DiscoveryHit(self._text(key), self._do(key), text=key.label, help=key.help)

    async def search(self, query: str) -> Hits:
        """Actions and runs that match."""
        matcher = self.matcher(query)
        for key in self._actions():
            score = matcher.match(f"{key.label} {key.help}")
            if score > 0:
                yield Hit(score, self._text(key), self._do(key), text=key.label, help=key.help)
        seen: set[str] = set()
        for run in self.monitor.known_runs():
            score = matcher.match(f"{run.id} {run.task} {run.label or ''}")
            if score > 0 and len(seen) < MOST:
                seen.add(run.run_id)
                yield self._run(run, score)
        await asyncio.sleep(0.15)  # typing goes on; the store is asked when it rests
        for run in await self.monitor.find_runs(query):
            if run.run_id not in seen:
                yield self._run(run, 0.5)

    def _run(self, run: Run, score: float) -> Hit:
        sign = render.glyph(run.status, self.monitor.ascii_only)
        text = Content.assemble(f"{sign} {run.id} ", (render.clean(run.task), "bold"), f"  {run.status.value}")
        said = render.crop(render.clean(run.error_message or run.subtask_name or run.overall_message or ""), 80)
        return Hit(
            score,
            text,
            lambda: self.monitor.open_run(run),
            text=str(run.id),
            help=Content(said).plain.replace("[", "\\["),
        )
