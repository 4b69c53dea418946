"""What the screens that show items have in common: retry, reset and skip."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from statustui.model.items import Item
from statustui.model.pipeline import Step
from statustui.model.status import ItemStatus
from statustui_tui import render
from statustui_tui.items_actions import ItemPlan, Verb, Wish
from statustui_tui.screens import items_questions
from statustui_tui.screens.acting import ActingScreen
from statustui_tui.screens.dialogs import Choice, Dialog, EditCommand, Menu
from statustui_tui.screens.items_view import name

if TYPE_CHECKING:
    from statustui_tui.items_actions import ItemActions

CHANGES = ("item_retry", "item_reset", "item_skip")
_LETTERS = "abcdefghilmnoprstuvwxyz"


class ItemsActingScreen(ActingScreen):
    """A screen on which something can be done to the items that are selected."""

    pipeline = ""

    @property
    def item_actions(self) -> "ItemActions":
        """What changes items; `check_action` lets nobody ask where there is nothing."""
        actions = self.monitor.item_actions
        assert actions is not None
        return actions

    def chosen(self) -> tuple[Item, ...]:
        """The selected items as far as they are known here."""
        return ()

    def wish(self, verb: Verb, step: str | None = None, reason: str = "") -> Wish:
        """A change of what is selected."""
        keys = tuple(item.key for item in self.chosen())
        return Wish(verb=verb, pipeline=self.pipeline, keys=keys, step=step, reason=reason)

    def step_here(self) -> Step | None:
        """The step that the cursor is on, where there is such a thing."""
        return None

    def steps(self) -> Sequence[Step]:
        """The steps of the pipeline."""
        return ()

    def can_change(self, action: str) -> bool:
        """Whether retry, reset or skip can be asked for now."""
        if self.monitor.read_only or self.monitor.item_actions is None:
            return False
        found = self.chosen()
        if action == "item_retry":
            return any(ItemStatus.FAILED in item.states.values() for item in found)
        if action == "item_skip":
            return any(not item.status.done for item in found)
        return bool(found)

    # Asking

    def action_item_retry(self) -> None:
        """Plan, show the count, ask."""
        self._plan_items(self.wish(Verb.RETRY))

    def action_item_reset(self) -> None:
        """Choose the step, plan, ask."""
        here = self.step_here()
        if here is not None:
            self._plan_items(self.wish(Verb.RESET, here.key))
            return
        steps = list(self.steps())[: len(_LETTERS)]
        found = self.chosen()
        choices = [
            Choice(key=letter, label=f"{render.clean(name(step)):<4} {render.clean(step.shown)}", value=step.key)
            for letter, step in zip(_LETTERS, steps, strict=False)
        ]
        current = (found[0].error_step or found[0].current_step or "") if found else ""

        def then(step: str | None) -> None:
            if step is not None:
                self._plan_items(self.wish(Verb.RESET, step))

        self.ask(Menu("Reset from which step on?", choices, current, self.monitor.ascii_only), then)

    def action_item_skip(self) -> None:
        """Ask why, plan, ask."""
        here = self.step_here()

        def then(reason: str | None) -> None:
            if reason is not None:
                self._plan_items(self.wish(Verb.SKIP, here.key if here is not None else None, reason.strip()))

        self.ask(EditCommand("Skip: why? It goes into the story", "", _given), then)

    def _plan_items(self, wish: Wish) -> None:
        actions = self.item_actions
        self.hold(True)
        if wish.selector is not None:
            self.say("looking which items that would be")

        def work() -> None:
            plan = actions.plan(wish)
            self.app.call_from_thread(self._ask_items, plan)

        self.run_worker(work, thread=True, group="plan", exclusive=True)

    def _ask_items(self, plan: ItemPlan) -> None:
        actions = self.item_actions
        known = next((one for one in self.steps() if one.key == plan.wish.step), None)
        title = "" if known is None else f"{name(known)} {known.shown}" if known.shown_label else known.shown
        question = items_questions.change(plan, step=title, ascii_only=self.monitor.ascii_only)

        def then(yes: bool | None) -> None:
            if yes:
                self._work(lambda: actions.carry_out(plan))

        self.ask(Dialog(question), then)


def _given(text: str) -> str | None:
    return None if text.strip() else "Say why, in a few words"
