"""The texts of the dialogs: what would be done, to what exactly, and the command that does the same. Pure."""

import shlex
from collections.abc import Sequence

from textual.content import Content

from statustui.model.items import FailureGroup
from statustui.model.run import Run
from statustui_tui import actions, render
from statustui_tui.screens.dialogs import Question
from statustui_tui.screens.run_view import DIM

MOST = 12
"""Runs named in one dialog."""


def named(run: Run) -> list[Content]:
    """Task, id, host, pid and arguments of one run: nobody has to guess what will be hit."""
    where = f"{run.user or '?'}@{run.host or '?'}" + (f"  pid {run.pid}" if run.pid and run.status.open else "")
    out = [
        Content.assemble(
            (f"{run.id:>5}", "bold $accent"),
            "  ",
            (render.clean(run.task), "bold"),
            f"  {run.status.value}",
            (f"  {render.clean(where)}", DIM),
        )
    ]
    if run.args:
        out.append(Content.assemble(" " * 7, (render.crop(render.clean(shlex.join(run.args)), 100), DIM)))
    return out


def _list(runs: Sequence[Run]) -> list[Content]:
    lines = [line for run in runs[:MOST] for line in named(run)]
    if len(runs) > MOST:
        lines.append(Content.styled(f"       … and {len(runs) - MOST} more", DIM))
    return lines


def _same(command: str) -> list[Content]:
    text = render.crop(command, 100)
    return [Content(""), Content.assemble(("$ ", DIM), (text, DIM))]


def cancel(runs: Sequence[Run], *, now: bool, grace_s: float) -> Question:
    """TERM, a countdown, KILL; or KILL at once."""
    n = len(runs)
    what = f"{n} runs" if n > 1 else "this run"
    graces = {run.grace_s if run.grace_s is not None else grace_s for run in runs}
    wait = f"{min(graces):g}" if len(graces) == 1 else f"{min(graces):g}–{max(graces):g}"
    how = (
        "KILL at once: it can not clean up. Ends cancelled, its children too."
        if now
        else f"TERM now, KILL after {wait} s. Ends cancelled, its children too."
    )
    command = actions.command("cancel", runs, *(["--now"] if now else []))
    lines = [*_list(runs), Content(""), Content(how), *_same(command)]
    title = f"Kill {what} now?" if now else f"Cancel {what}?"
    return Question(
        title=title, lines=tuple(lines), yes="kill" if now else "cancel", no="leave running" if n > 1 else "leave it"
    )


def retry(plans: Sequence[actions.Plan], argv: Sequence[str] | None = None) -> Question:
    """The exact command, where, with what differences, and where its output goes."""
    good = [plan for plan in plans if plan.refusal is None]
    bad = [plan for plan in plans if plan.refusal is not None]
    lines: list[Content] = []
    for plan in good[:MOST]:
        lines += named(plan.run)[:1]
        command = shlex.join(argv if argv is not None else plan.argv)
        lines += [Content.assemble("       ", part) for part in render.content(command, "bold").fold(90)[:6]]
        lines.append(Content.assemble(("       in  ", DIM), (render.clean(plan.cwd), "")))
        if plan.output:
            lines.append(Content.assemble(("       out ", DIM), (render.clean(plan.output), "")))
        lines += [Content.assemble(("       differs: ", "$warning"), render.clean(text)) for text in plan.differs[:5]]
    if len(good) > MOST:
        lines.append(Content.styled(f"       … and {len(good) - MOST} more", DIM))
    for plan in bad[:MOST]:
        lines += named(plan.run)[:1]
        lines += [
            Content.assemble(("       no: ", "$error"), part)
            for part in render.content(plan.refusal or "").fold(90)[:4]
        ]
    if good:
        edited = f" -- {render.clean(shlex.join(argv))}" if argv is not None else ""
        lines += _same(actions.command("retry", [plan.run for plan in good]) + edited)
    n = len(good)
    title = (
        "This can not be tried again from here" if not n else f"Try {n} runs again?" if n > 1 else "Try this run again?"
    )
    return Question(title=title, lines=tuple(lines), yes="retry", no="leave it", possible=bool(good))


def acknowledge(runs: Sequence[Run], groups: Sequence[FailureGroup] = ()) -> Question:
    """More than one: they leave *Needs you*."""
    failed = sum(group.count for group in groups)
    lines = _list(runs) if runs else []
    lines += [
        Content.assemble(f"  {group.count:,} of {render.clean(group.pipeline)} @ {render.clean(group.step)}  ",
                         (render.clean(group.error), "$error"))
        for group in groups[:MOST]
    ]  # fmt: skip
    after = ", until items fail in the same way again" if groups else ""
    lines += [Content(""), Content(f"They leave “Needs you”{after}; nothing else changes.")]
    if runs:
        lines += _same(actions.command("ack", runs))
    pipelines = dict.fromkeys(group.pipeline for group in groups)
    for pipeline in pipelines:
        steps = dict.fromkeys(group.step for group in groups if group.pipeline == pipeline)
        words = ["statustui", "items", "ack", "--pipeline", pipeline, *(w for step in steps for w in ("--step", step))]
        lines += _same(shlex.join(words))
    what = [f"{len(runs)} runs"] if runs else []
    what += [f"{failed:,} failed items"] if groups else []
    return Question(title=f"Acknowledge {' and '.join(what)}?", lines=tuple(lines), yes="acknowledge", no="leave them")
