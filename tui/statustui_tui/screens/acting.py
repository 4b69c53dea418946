"""What the screens that show runs have in common: cancel, retry, acknowledge, log, copy."""

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from statustui.insight.needs import error_words
from statustui.model.run import Run
from statustui_tui import render
from statustui_tui.screens import questions
from statustui_tui.screens.dialogs import Dialog, EditCommand
from statustui_tui.screens.parts.screen import StoreScreen

if TYPE_CHECKING:
    from statustui.model.items import FailureGroup
    from statustui_tui.actions import Outcome, Plan


def readable(text: str) -> str | None:
    """Why *text* is no command, or None when it is one."""
    try:
        words = shlex.split(text)
    except ValueError:
        return "A quotation mark is missing"
    return None if words else "There is no command"


class ActingScreen(StoreScreen):
    """A screen on which something can be done to the runs that are selected."""

    def selected(self) -> tuple[Run, ...]:
        """The runs that an action is done to."""
        return ()

    def failures(self) -> "tuple[FailureGroup, ...]":
        """The failures of items among what an action is done to."""
        return ()

    def hold(self, held: bool) -> None:
        """Keep everything in its place while a dialog is open."""

    def possible(self, action: str) -> bool:
        """Whether an action that changes something can be asked for now: what `check_action` answers."""
        runs = self.selected()
        if action == "acknowledge" and self.failures() and not self.monitor.read_only:
            return self.monitor.item_actions is not None
        if not runs:
            return False
        if action in ("log", "copy"):
            return action == "copy" or bool(runs[0].log_path) or bool(runs[0].status.bad)
        if self.monitor.read_only:
            return False
        if action in ("cancel", "cancel_now"):
            return any(run.status.open for run in runs)
        if action == "retry":
            return any(not run.status.open and not run.parent_run_id for run in runs)
        if action == "retry_edit":
            return len(runs) == 1 and not runs[0].status.open and not runs[0].parent_run_id
        if action == "acknowledge":
            return any(run.status.bad and run.acked_by is None for run in runs)
        return True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What is possible now; the footer shows nothing else."""
        if action in ("cancel", "cancel_now", "retry", "retry_edit", "acknowledge", "log", "copy"):
            return self.possible(action)
        return True

    # Asking

    def ask(self, screen: Any, then: Callable[[Any], None]) -> None:
        """Open a dialog; nothing moves underneath until it is answered."""
        self.hold(True)

        def answered(answer: Any) -> None:
            self.hold(False)
            then(answer)

        self.app.push_screen(screen, answered)

    def _work(self, call: Callable[[], "Outcome"]) -> None:
        def work() -> None:
            outcome = call()
            self.app.call_from_thread(self._done, outcome)

        self.run_worker(work, thread=True, group="request", exit_on_error=True)

    def _done(self, outcome: "Outcome") -> None:
        self.say(outcome.text, "$success" if outcome.ok else "bold $error")
        self.monitor.poller.reload()

    def action_cancel(self) -> None:
        """Ask, then cancel."""
        self._cancel(now=False)

    def action_cancel_now(self) -> None:
        """Ask, then kill."""
        self._cancel(now=True)

    def _cancel(self, *, now: bool) -> None:
        runs = [run for run in self.selected() if run.status.open]
        question = questions.cancel(runs, now=now, grace_s=self.monitor.settings.grace_s)

        def then(yes: bool | None) -> None:
            if yes:
                self._work(lambda: self.monitor.actions.cancel(runs, now=now))

        self.ask(Dialog(question), then)

    def action_acknowledge(self) -> None:
        """Acknowledge; several are asked about first."""
        runs = [run for run in self.selected() if run.status.bad and run.acked_by is None]
        groups, items = self.failures(), self.monitor.item_actions

        def then(yes: bool | None) -> None:
            if yes and runs:
                self._work(lambda: self.monitor.actions.acknowledge(runs))
            if yes and groups and items is not None:
                self._work(lambda: items.acknowledge(groups))

        if len(runs) + sum(group.count for group in groups) == 1:
            then(True)
        else:
            self.ask(Dialog(questions.acknowledge(runs, groups)), then)

    def action_retry(self) -> None:
        """Plan, ask, start."""
        self._plan(newest_of_each([run for run in self.selected() if not run.status.open]), self._ask_retry)

    def action_retry_edit(self) -> None:
        """Plan, edit, ask, start."""
        self._plan([run for run in self.selected() if not run.status.open], self._edit)

    def _plan(self, runs: Sequence[Run], then: Callable[[list["Plan"]], None]) -> None:
        def work() -> None:
            plans = [self.monitor.actions.plan(run) for run in runs]
            self.app.call_from_thread(then, plans)

        self.run_worker(work, thread=True, group="plan", exclusive=True)

    def _ask_retry(self, plans: list["Plan"], argv: Sequence[str] | None = None) -> None:
        good = [plan for plan in plans if plan.refusal is None]

        def then(yes: bool | None) -> None:
            if yes and good:
                self._work(lambda: self.monitor.actions.retry(good, argv))

        self.ask(Dialog(questions.retry(plans, argv)), then)

    def _edit(self, plans: list["Plan"]) -> None:
        if plans[0].refusal is not None:
            self._ask_retry(plans)
            return

        def then(text: str | None) -> None:
            if text is not None:
                self._ask_retry(plans, shlex.split(text))

        title = f"Edit the command of {plans[0].run.id}"
        command = render.clean(shlex.join(plans[0].argv))
        self.ask(EditCommand(title, command, readable), then)

    # Looking

    def action_log(self) -> None:
        """Open the log."""
        runs = self.selected()
        if runs:
            self.monitor.open_log(runs[0])

    def action_copy(self) -> None:
        """Copy what is selected."""
        runs = self.selected()
        self.monitor.copy("\n".join(copied(run) for run in runs))


def newest_of_each(runs: Sequence[Run]) -> list[Run]:
    """Of runs of one command the newest alone: what failed ten times is to be tried again once."""
    found: dict[object, Run] = {}
    for run in sorted(runs, key=lambda run: run.id, reverse=True):
        found.setdefault((run.task, run.label, run.args, run.cwd, run.machine, run.user), run)
    return list(found.values())


def copied(run: Run) -> str:
    """One run as a line to paste elsewhere: the text is cleaned, since it is pasted into a shell."""
    parts = [str(run.id), run.task, run.status.value, f"{run.user or '?'}@{run.host or '?'}"]
    if run.error_type or run.error_message:
        parts.append(error_words(run))
    if run.lost_reason:
        parts.append(run.lost_reason)
    if run.log_path:
        parts.append(run.log_path)
    return "  ".join(render.clean(part) for part in parts)
