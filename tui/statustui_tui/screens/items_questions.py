"""The texts of the dialogs about items: how many, which, and the command that does the same. Pure."""

from textual.content import Content

from statustui.model.items import Item
from statustui_tui import render
from statustui_tui.items_actions import MOST, ItemPlan, Verb
from statustui_tui.screens.dialogs import Question
from statustui_tui.screens.items_view import COLOURS
from statustui_tui.screens.run_view import DIM

_DOES = {
    Verb.RETRY: "They are pending again at once; their tries still count.",
    Verb.RESET: "The step, and what depends on it, begins anew: without tries, error or result.",
    Verb.SKIP: "Skipped counts as done: nobody works on it any more.",
}
_NOTHING = {
    Verb.RETRY: "Nothing of it has failed.",
    Verb.RESET: "None of the items has this step.",
    Verb.SKIP: "Nothing of it is open.",
}


def change(plan: ItemPlan, *, step: str, ascii_only: bool) -> Question:
    """Retry, reset or skip.

    Args:
        plan: what would be changed.
        step: name of the step that it is about; empty: no single one.
        ascii_only: draw with ASCII characters alone.
    """
    wish = plan.wish
    verb = wish.verb.value
    lines: list[Content] = [Content.assemble((_count(plan), "bold"), " of ", (render.clean(wish.pipeline), "bold"))]
    if step:
        lines[0] = Content.assemble(lines[0], ", step ", (render.clean(step), "bold"))
    lines += [_line(item, ascii_only) for item in plan.examples]
    if plan.items > len(plan.examples):
        lines.append(Content.styled(f"  … and {plan.items - len(plan.examples):,} more", DIM))
    if plan.left:
        lines.append(Content.styled(f"  {plan.left:,} of the items stay as they are: nothing to {verb}", DIM))
    if wish.selector is not None and plan.items >= MOST:
        lines.append(Content.styled(f"  Only the first {MOST:,} at once; ask again for the rest.", "$warning"))
    possible = bool(plan.places) and plan.problem is None
    said = render.clean(plan.problem) if plan.problem else _DOES[wish.verb] if possible else _NOTHING[wish.verb]
    lines += [Content(""), Content.styled(said, "$error" if plan.problem else "")]
    if wish.reason:
        lines.append(Content.assemble(("reason: ", DIM), render.clean(wish.reason)))
    if possible:
        command = render.crop(render.clean(plan.command), 100, ascii_only)
        lines += [Content(""), Content.assemble(("$ ", DIM), (command, DIM))]
    n = plan.items
    what = "this item" if n == 1 else f"{n:,} items"
    title = f"{verb.capitalize()} {what}?" if possible else f"There is nothing to {verb}"
    return Question(title=title, lines=tuple(lines), yes=verb, no="leave it", possible=possible)


def _count(plan: ItemPlan) -> str:
    steps = len(plan.places)
    items = f"{plan.items:,} {'item' if plan.items == 1 else 'items'}"
    if plan.wish.verb is Verb.RETRY and steps:
        return f"{items}, {steps:,} failed {'step' if steps == 1 else 'steps'}"
    return items


def _line(item: Item, ascii_only: bool) -> Content:
    error = f"  {render.clean(item.last_error)}" if item.last_error else ""
    return Content.assemble(
        "  ",
        (render.glyph(item.status, ascii_only), COLOURS[item.status]),
        " ",
        (render.clean(item.key), "bold"),
        f"  {item.status.value}",
        (render.crop(error, 60, ascii_only), DIM),
    )
