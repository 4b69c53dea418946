"""What the commands about items share: which pipeline, which items, and how they are shown."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from statustui.cli import figures
from statustui.cli.session import USAGE, F, Stop
from statustui.cli.shapes import finite, time_or_none
from statustui.model import glyphs
from statustui.model.items import Item, ItemDetail, ItemEvent, ItemStep, PipelineInfo, StepSummary
from statustui.model.pipeline import Step
from statustui.model.status import ItemStatus

if TYPE_CHECKING:
    from statustui.store.item_selector import ItemSelector
    from statustui.store.open import Store


class _Day(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic since click 8.2
    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        from statustui.pipelines.values import day

        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(day(value) or "")
        except ValueError:
            self.fail(f"{value!r} is no date: write 2025-01-31", param, ctx)


class _Status(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    name = "status"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ItemStatus:
        try:
            return ItemStatus(value)
        except ValueError:
            self.fail(f"{value!r} is no status of an item; known are {', '.join(ItemStatus)}", param, ctx)


DAY = _Day()


def pipeline_option(command: F) -> F:
    """Add ``--pipeline``; it may be left out where the store has one pipeline only."""
    return click.option("-p", "--pipeline", metavar="NAME", help="Which pipeline, where there are several.")(command)


def item_selectors(command: F) -> F:
    """Add ``--step`` and what ``item_filters`` adds."""
    standing = click.option("--step", multiple=True, metavar="STEP", help="Standing at this step: key or label.")
    return standing(item_filters(command))


def item_filters(command: F) -> F:
    """Add ``--pipeline --status --kind --since --until --search``; as keyword arguments of those names."""
    options: tuple[Callable[[F], F], ...] = (
        click.option("--search", metavar="TEXT", default="", help="Part of the key."),
        click.option("--until", type=DAY, metavar="DATE", help="Of this date or earlier."),
        click.option("--since", type=DAY, metavar="DATE", help="Of this date or later: 2025-01-31."),
        click.option("--kind", multiple=True, metavar="KIND", help="Of this kind."),
        click.option("--status", multiple=True, type=_Status(), metavar="STATUS", help="Of this status."),
        pipeline_option,
    )
    for decorate in options:
        command = decorate(command)
    return command


def selector(info: PipelineInfo, keys: Sequence[str] = (), /, **options: Any) -> "ItemSelector":
    """The selector that the options of ``item_selectors`` describe."""
    from statustui.store.item_selector import ItemSelector

    return ItemSelector(
        pipeline=info.name,
        keys=tuple(keys),
        statuses=tuple(options.get("status") or ()),
        steps=tuple(step_of(info, one).key for one in options.get("step") or ()),
        kinds=tuple(options.get("kind") or ()),
        since=options.get("since"),
        until=options.get("until"),
        text=options.get("search") or "",
    )


def given(options: dict[str, Any]) -> bool:
    """True when any option chooses items."""
    return any(options.get(name) for name in ("status", "step", "kind", "since", "until", "search"))


def pipeline_of(store: "Store", name: str | None) -> PipelineInfo:
    """The pipeline that is meant; without a name the only one.

    Raises:
        Stop: there is none such, or several.
    """
    from statustui.store.item_summary import all_pipelines

    found = all_pipelines(store)
    if not found:
        raise Stop(USAGE, "the store has no pipeline yet: a program that uses statustui.Pipeline makes one")
    names = ", ".join(one.name for one in found)
    if name is None:
        if len(found) > 1:
            raise Stop(USAGE, f"which pipeline? say --pipeline with one of {names}")
        return found[0]
    chosen = next((one for one in found if one.name == name), None)
    if chosen is None:
        raise Stop(USAGE, f"no pipeline {name!r}; there are {names}")
    return chosen


def step_of(pipeline: PipelineInfo, word: str) -> Step:
    """The step that a person means: its key, a former key, or its label.

    Raises:
        Stop: there is none such, or several.
    """
    exact = [step for step in pipeline.steps if word == step.key or word in step.aliases]
    labelled = [step for step in pipeline.steps if word in (step.label, step.short) and word]
    found = exact or labelled
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{step.key} ({step.shown_label})" if step.shown_label else step.key for step in pipeline.steps)
    problem = f"step {word!r} is not one but {len(found)}" if found else f"{pipeline.name} has no step {word!r}"
    raise Stop(USAGE, f"{problem}; there are {known}")


def glyph(status: ItemStatus, ascii: bool) -> tuple[str, str]:
    """Sign and style of a status."""
    return glyphs.glyph(status, ascii), figures.colour(status)


def step_words(pipeline: PipelineInfo, key: str | None) -> str:
    """``5 ORI Ingested`` for the key of a step."""
    step = next((one for one in pipeline.steps if one.key == key), None)
    return key or "" if step is None else f"{step.shown_label} {step.shown}".strip()


def percent(item: Item) -> str:
    """How far an item is: ``37%``, 100 % only at its end."""
    if item.status.done:
        return "100%"
    return figures.percent(min(99.0, 100.0 * item.fraction))


# --- JSON -------------------------------------------------------------------------------------------------------------


def item_object(item: Item) -> dict[str, Any]:
    """One item of a list."""
    return {
        "pipeline": item.pipeline,
        "key": item.key,
        "status": item.status.value,
        "kind": item.kind,
        "date": item.date.isoformat() if item.date else None,
        "current_step": item.current_step,
        "progress": _progress(item.fraction, item.status),
        "error": item.last_error,
        "error_step": item.error_step,
        "retries": item.retries,
        "steps": {key: status.value for key, status in item.states.items()},
        "attributes": finite(dict(item.attributes)),
        "created_at": time_or_none(item.created_at),
        "updated_at": time_or_none(item.updated_at),
        "completed_at": time_or_none(item.completed_at),
    }


def _progress(fraction: float, status: ItemStatus) -> float:
    return 100.0 if status.done else round(100.0 * fraction, 2)


def detail_object(detail: ItemDetail) -> dict[str, Any]:
    """One item with its steps and its story."""
    item = detail.item
    started = [step.started_at for step in detail.steps if step.started_at is not None]
    return {
        "key": item.key,
        "pipeline": item.pipeline,
        "status": item.status.value,
        "current_step": item.current_step,
        "progress": _progress(item.fraction, item.status),
        "started_at": time_or_none(min(started, default=None)),
        "completed_at": time_or_none(item.completed_at),
        "error": item.last_error,
        "steps": {step.step.key: step_object(step) for step in detail.steps},
        "kind": item.kind,
        "date": item.date.isoformat() if item.date else None,
        "attributes": finite(dict(item.attributes)),
        "retries": item.retries,
        "created_at": time_or_none(item.created_at),
        "updated_at": time_or_none(item.updated_at),
        "events": [event_object(event) for event in detail.events],
    }


def step_object(step: ItemStep) -> dict[str, Any]:
    """One step of one item."""
    return {
        "status": step.status.value,
        "started_at": time_or_none(step.started_at),
        "completed_at": time_or_none(step.completed_at),
        "duration_seconds": finite(step.duration_s),
        "progress": 100 if step.status is ItemStatus.COMPLETED else finite(step.progress) or 0,
        "error": step.error,
        "metadata": finite(dict(step.metadata)),
        "ready": step.ready,
        "tries": step.tries,
        "permanent": step.permanent,
        "reason": step.reason,
        "owner": step.owner,
        "run_id": step.run_id,
    }


def event_object(event: ItemEvent) -> dict[str, Any]:
    """One line of an item's story."""
    return {
        "at": time_or_none(event.at),
        "kind": event.kind,
        "step": event.step,
        "status": event.status,
        "message": event.message,
        "detail": event.detail,
        "actor": event.actor,
        "task_id": event.task_id,
        "run_id": event.run_id,
    }


def statistics_object(step: StepSummary) -> dict[str, Any]:
    """One step over many items."""
    return {
        "pending": step.pending,
        "processing": step.processing,
        "completed": step.completed,
        "failed": step.failed,
        "skipped": step.skipped,
        "waiting": step.waiting,
        "avg_duration": finite(step.mean_s),
        "median_duration": finite(step.p50_s),
        "p90_duration": finite(step.p90_s),
    }


def local(at: datetime | None, now: datetime) -> str:
    """A time for people."""
    return figures.clock(at, now)
