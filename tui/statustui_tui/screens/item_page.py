"""The page of one item: its steps as rows, and what is known of it as lines of text. Pure."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from textual.content import Content

from statustui.model.items import ItemDetail, ItemStep
from statustui.model.status import ItemStatus
from statustui.model.text import safe_text
from statustui_tui import render
from statustui_tui.screens.items_view import COLOURS, STYLES
from statustui_tui.screens.parts.line import rule, spread
from statustui_tui.screens.run_view import DIM
from statustui_tui.widgets.bars import bar
from statustui_tui.widgets.table_model import Cell, Column, Pieces, Row, Text

COLUMNS: tuple[Column, ...] = (
    Column(key="sign", title="", width=1),
    Column(key="label", title="STEP", width=4, align="right", style="muted"),
    Column(key="title", title="", width=10, flex=3, most=32, style="strong"),
    Column(key="tries", title="TRY", width=3, align="right", style="muted", priority=4),
    Column(key="ended", title="WHEN", width=12, priority=3, style="muted"),
    Column(key="took", title="TOOK", width=6, align="right", priority=1),
    Column(key="said", title="", width=10, flex=6, priority=2),
)
MOST_EVENTS = 200


def heading(detail: ItemDetail, width: int, *, ascii_only: bool) -> Content:
    """Key, status, how much is done; kind and date."""
    item = detail.item
    colour = COLOURS[item.status]
    word = item.status.value.upper() if item.status is ItemStatus.FAILED else item.status.value
    done = sum(one.status.done for one in detail.steps)
    left = Content.assemble(
        (f" {render.glyph(item.status, ascii_only)} ", colour), (render.clean(item.key), "bold"), "  ",
        (word, f"bold {colour}"), f"  {done}/{len(detail.steps)}  {render.percent(item.fraction * 100)}",
    )  # fmt: skip
    about = "  ".join(
        render.clean(part)
        for part in (item.kind or "", item.date.isoformat() if item.date else "", item.pipeline)
        if part
    )
    return spread(left, Content.assemble((about, DIM), " "), width)


def progress_line(detail: ItemDetail, width: int, *, ascii_only: bool) -> Content:
    """A bar over the whole width."""
    room = max(4, width - 8)
    drawn = bar(detail.item.fraction, room, ascii=ascii_only)
    return Content.assemble(
        " ", (drawn, "$primary on $trough" if not ascii_only else "$primary"),
        f" {render.percent(detail.item.fraction * 100):>4}",
    )  # fmt: skip


def rows(detail: ItemDetail, now: datetime, *, ascii_only: bool) -> list[Row]:
    """One row for each step, in order."""
    return [_row(one, now, ascii_only) for one in detail.steps]


def _row(one: ItemStep, now: datetime, ascii_only: bool) -> Row:
    group = f" {one.step.group}" if one.step.group != "main" else ""
    ready = one.ready and one.status is ItemStatus.PENDING
    sign = Text("o" if ascii_only else "▹", "") if ready else Text(
        render.glyph(one.status, ascii_only), STYLES[one.status]
    )  # fmt: skip
    took = one.duration_s
    if one.status is ItemStatus.PROCESSING and one.started_at is not None:
        took = (now - one.started_at).total_seconds()
    cells: tuple[Cell | str, ...] = (
        sign,
        one.step.shown_label,
        Pieces(((one.step.shown, "strong"), (group + (" optional" if one.step.optional else ""), "muted"))),
        str(one.tries) if one.tries > 1 else "",
        render.clock(one.completed_at or one.started_at, now) if one.started_at or one.completed_at else "",
        f"{took:.1f}s" if took is not None and took < 9.95 else render.duration(took),
        said(one),
    )
    return Row(key=one.step.key, cells=cells)


def said(one: ItemStep) -> Pieces:
    """What there is to say of a step in a few words: its error, its reason, its progress, its metadata."""
    if one.status is ItemStatus.FAILED:
        return Pieces(((one.error or "failed", "failed"), ("  permanent" if one.permanent else "", "muted")))
    if one.status is ItemStatus.SKIPPED:
        return Pieces(((one.reason or "skipped", "skipped"),))
    if one.status is ItemStatus.PROCESSING:
        percent = render.percent(one.progress) if one.progress is not None else ""
        owner = f"  {one.owner}" if one.owner else ""
        return Pieces(((percent, "accent"), (owner or ("" if percent else "running"), "muted")))
    if one.status is ItemStatus.PENDING:
        return Pieces((("can begin" if one.ready else "waits", "muted"),))
    return Pieces(((pairs(one.metadata), "muted"),))


def pairs(values: Mapping[str, Any]) -> str:
    """``pages=12 bytes=4711``."""
    return " ".join(f"{key}={_value(value)}" for key, value in list(values.items())[:12])


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def page(detail: ItemDetail, step: ItemStep | None, now: datetime, width: int, *, ascii_only: bool) -> list[Content]:
    """The step under the cursor, then the item: timeline, attributes, plan."""
    out: list[Content] = []
    if step is not None:
        out += _section(f"Step {step.step.shown}", _about_step(step, now, width), width, ascii_only)
    out += _section("Timeline", _timeline(detail, now), width, ascii_only)
    out += _section("Attributes", _facts(dict(detail.item.attributes), width), width, ascii_only)
    out += _section("Plan", _plan(detail, width), width, ascii_only)
    return out[1:] if out and not out[0].plain else out


def _section(name: str, lines: list[Content], width: int, ascii_only: bool) -> list[Content]:
    return [Content(""), rule(render.clean(name), "", width, ascii_only=ascii_only), *lines] if lines else []


def _about_step(one: ItemStep, now: datetime, width: int) -> list[Content]:
    out: list[Content] = []
    if one.error and one.status is ItemStatus.FAILED:
        for line in safe_text(one.error, one_line=False).splitlines()[:40]:
            out += [Content.assemble(" ", (part.plain, "$error")) for part in Content(line).wrap(max(10, width - 2))]
    facts: dict[str, Any] = {
        "started": render.clock(one.started_at, now),
        "ended": render.clock(one.completed_at, now),
        "try": str(one.tries) if one.tries > 1 else "",
        "claimed by": one.owner or "",
        "lease until": render.clock(one.lease_until, now) if one.lease_until else "",
        "run": one.run_id or "",
        "reason": one.reason or "",
        **{str(key): _value(value) for key, value in one.metadata.items()},
    }
    return out + _facts(facts, width)


def _facts(facts: Mapping[str, Any], width: int) -> list[Content]:
    out = []
    for name, value in facts.items():
        text = _value(value) if value is not None else ""
        if not text:
            continue
        label = render.fit(render.clean(str(name)), 14)
        for i, part in enumerate(render.content(text).wrap(max(12, width - 18))[:6]):
            out.append(Content.assemble((f" {label if i == 0 else '':<14} ", DIM), part))
    return out


def _timeline(detail: ItemDetail, now: datetime) -> list[Content]:
    out = []
    titles = {one.step.key: one.step.shown_label or one.step.shown for one in detail.steps}
    for event in detail.events[::-1][:MOST_EVENTS]:
        step = titles.get(event.step or "", event.step or "")
        said = "  ".join(render.clean(part) for part in (event.message or "", event.detail or "") if part)
        by = f"  by {render.clean(event.actor)}" if event.actor else ""
        status = next((one for one in ItemStatus if one.value == event.status), None)
        out.append(
            Content.assemble(
                (f" {render.clock(event.at, now):<8} ", DIM),
                (f"{render.fit(render.clean(step), 6)} ", "$accent"),
                (render.clean(event.kind.removeprefix("step.").removeprefix("item.")), "bold"),
                (f" {render.clean(event.status)}" if event.status else "", COLOURS[status] if status else ""),
                f"  {said}" if said else "",
                (by, DIM),
            )
        )
    return out


def _plan(detail: ItemDetail, width: int) -> list[Content]:
    plan = detail.plan
    groups: dict[str, list[str]] = {}
    for key, group in plan.added:
        groups.setdefault(f"added to {group}", []).append(key)
    if plan.off:
        groups["switched off"] = sorted(plan.off)
    return _facts({name: ", ".join(found) for name, found in groups.items()}, width)
