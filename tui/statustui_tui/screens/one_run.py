"""What the screens about one run have in common: its details, and the attempts beside it."""

from statustui.model.run import Run, RunDetail
from statustui_tui.screens.acting import ActingScreen


class OneRunScreen(ActingScreen):
    """A screen for which the poller reads the details of one run."""

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id
        self.detail: RunDetail | None = None
        self._generation = 0

    def on_unmount(self) -> None:
        """Nobody needs the details any more."""
        self.monitor.poller.want_detail(None)

    def want(self) -> None:
        """Ask for the details; an answer to an older request is not taken."""
        self._generation = self.monitor.next_generation()
        self.monitor.poller.want_detail(self.run_id, self._generation)

    def attempt(self, by: int) -> Run | None:
        """The attempt *by* places after this one; None: there is none, or it is not known yet."""
        attempts = self.detail.attempts if self.detail is not None else ()
        place = next((i for i, run in enumerate(attempts) if run.run_id == self.run_id), None)
        return attempts[place + by] if place is not None and 0 <= place + by < len(attempts) else None
