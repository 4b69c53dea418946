"""``statustui items retry|reset|skip|ack``: what people change of items."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from statustui.cli.changing import change_options
from statustui.cli.itemizing import (
    given,
    glyph,
    item_filters,
    item_selectors,
    pipeline_of,
    pipeline_option,
    selector,
    step_of,
    step_words,
)
from statustui.cli.session import NO, OK, USAGE, Session, Stop, shared
from statustui.cli.shapes import VERSION
from statustui.model.items import Failure, Item, ItemDetail, PipelineInfo
from statustui.model.status import RunStatus
from statustui.pipelines.retrying import MAX_RETRIES, may_retry

if TYPE_CHECKING:
    from statustui.store.open import Store

_MOST = 100_000
_SHOWN = 20
_AT_ONCE = 500


@click.command("retry", short_help="Let failed steps be tried again.", epilog="Example: statustui items retry --step 5")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@item_selectors
@click.option("--max-retries", type=click.IntRange(min=0), default=MAX_RETRIES, help="Retries that steps may have (3).")
@click.option("--force", is_flag=True, help="Also those whose retries are used up or whose error is permanent.")
@change_options
@shared
@click.pass_obj
def retry(
    session: Session,
    /,
    keys: tuple[str, ...],
    max_retries: int,
    force: bool,
    yes: bool,
    dry_run: bool,
    **options: Any,
) -> int:
    """Let failed steps of items be tried again at once; without KEY all that have failed and match."""
    session.check_writable()
    with session.reading(write=not dry_run) as store:
        from statustui.store.item_changes import retry_many
        from statustui.store.item_summary import failed

        info = pipeline_of(store, options["pipeline"])
        steps = {step_of(info, one).key for one in options["step"]}
        found = [
            one
            for one in failed(store, info.name, since=options["since"], until=options["until"])
            if (not keys or one.key in keys)
            and (not steps or one.step.key in steps)
            and (not options["kind"] or one.kind in options["kind"])
            and options["search"].lower() in one.key.lower()
        ]
        able: list[Failure] = []
        left: list[Failure] = []
        for one in found:
            (able if force or may_retry(one, max_retries) else left).append(one)
        if not found:
            raise Stop(NO, "nothing that has failed matches")
        run_id = max(found, key=lambda one: one.at).run_id
        _announce_failures(session, info, able, left)
        if dry_run or not able:
            places = [(one.key, one.step.key) for one in able]
            _told(session, info, "retry", places, left, store, dry_run=dry_run, run_id=run_id)
            return OK if able else NO
        session.confirm(f"Retry {len(able)}?", yes=yes)
        from statustui.control.actor import actor

        places = [(one.key, one.step.key) for one in able]
        for at in range(0, len(places), _AT_ONCE):
            retry_many(store, info.name, places[at : at + _AT_ONCE], actor=actor())
        _told(session, info, "retry", places, left, store, run_id=run_id)
    return OK


@click.command(
    "reset", short_help="Let a step begin anew.", epilog="Example: statustui items reset 2024-CA-12345 --step 5"
)
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@item_filters
@click.option("--step", metavar="STEP", required=True, help="The step; what depends on it is reset, too.")
@click.option("--reason", metavar="TEXT", help="Why, for the trail.")
@change_options
@shared
@click.pass_obj
def reset(
    session: Session,
    /,
    keys: tuple[str, ...],
    step: str,
    reason: str | None,
    yes: bool,
    dry_run: bool,
    **options: Any,
) -> int:
    """Make a step of items, and all that depends on it, pending again."""
    session.check_writable()
    with session.reading(write=not dry_run) as store:
        from statustui.store.item_changes import reset_many
        from statustui.store.item_reads import item as detail_of

        info = pipeline_of(store, options["pipeline"])
        wanted = step_of(info, step)
        found = [item for item in _chosen(store, info, keys, options) if wanted.key in item.states]
        if not found:
            raise Stop(NO, f"no item that matches has the step {wanted.key}")
        _announce(session, info, f"Reset {wanted.shown} and what depends on it, of", found)
        if not dry_run:
            session.confirm(f"Reset {len(found)}?", yes=yes)
        from statustui.control.actor import actor

        run_id = _last_run(detail_of(store, info.name, item.key) for item in found[:_SHOWN])
        done: list[tuple[str, str]] = [(item.key, wanted.key) for item in found if dry_run]
        for part in _parts(() if dry_run else found):
            for key, changed in reset_many(store, info.name, part, wanted.key, actor=actor(), reason=reason).items():
                done += [(key, one) for one in changed]
        _told(session, info, "reset", done, (), store, dry_run=dry_run, run_id=run_id)
    return OK


@click.command(
    "skip",
    short_help="Skip a step, or all that is open.",
    epilog="Example: statustui items skip 2024-CA-12345 --reason 'invalid parcel_id'",
)
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@item_filters
@click.option("--step", metavar="STEP", help="Skip this step only, not all that is open.")
@click.option("--reason", metavar="TEXT", required=True, help="Why, for the trail.")
@change_options
@shared
@click.pass_obj
def skip(
    session: Session,
    /,
    keys: tuple[str, ...],
    step: str | None,
    reason: str,
    yes: bool,
    dry_run: bool,
    **options: Any,
) -> int:
    """Skip what is open of items, or one step of them."""
    session.check_writable()
    with session.reading(write=not dry_run) as store:
        from statustui.store.item_changes import skip_many

        info = pipeline_of(store, options["pipeline"])
        wanted = step_of(info, step) if step else None
        found = [
            item
            for item in _chosen(store, info, keys, options)
            if not item.status.done and (wanted is None or not _done(item, wanted.key))
        ]
        if not found:
            raise Stop(NO, "nothing that matches is open")
        _announce(session, info, f"Skip {wanted.shown if wanted else 'all that is open'} of", found)
        if not dry_run:
            session.confirm(f"Skip {len(found)}?", yes=yes)
        from statustui.control.actor import actor

        step_key = wanted.key if wanted else None
        done = [(item.key, step_key or "") for item in found if dry_run]
        for part in _parts(() if dry_run else found):
            changed = skip_many(store, info.name, part, step_key, actor=actor(), reason=reason)
            done += [(key, step_key or "") for key in changed]
        _told(session, info, "skip", done, (), store, dry_run=dry_run)
    return OK


def _parts(found: Sequence[Item]) -> Iterator[list[str]]:
    """Keys of as many items as one transaction changes."""
    for at in range(0, len(found), _AT_ONCE):
        yield [item.key for item in found[at : at + _AT_ONCE]]


def _last_run(details: Iterable[ItemDetail]) -> str | None:
    """The run that last worked at any of these items."""
    runs = [(step.started_at, step.run_id) for one in details for step in one.steps if step.started_at and step.run_id]
    return max(runs)[1] if runs else None


def _done(item: Item, step: str) -> bool:
    status = item.states.get(step)
    return status is None or status.done


def _chosen(store: "Store", info: PipelineInfo, keys: Sequence[str], options: dict[str, Any]) -> list[Item]:
    """The items that were named or that the options choose.

    Raises:
        Stop: nothing was said, both were, or a named one is not there.
    """
    from statustui.store import item_reads

    if bool(keys) == given(options):
        raise Stop(USAGE, "say which: keys, or --status, --step, --kind, --since, --until, --search (not both)")
    if keys:
        there = item_reads.overall_many(store, info.name, list(dict.fromkeys(keys)))
        absent = [key for key in keys if key not in there]
        if absent:
            raise Stop(USAGE, f"pipeline {info.name!r} has no item {', '.join(map(repr, absent[:5]))}")
        return list(there.values())
    return item_reads.items(store, selector(info, **options), _MOST)


def _announce(session: Session, info: PipelineInfo, verb: str, found: Sequence[Item]) -> None:
    if session.as_json:
        return
    out = session.out
    out.line((f"{verb} {len(found):,} {'item' if len(found) == 1 else 'items'} of {info.name}:", "bold"))
    for item in found[:_SHOWN]:
        sign, style = glyph(item.status, out.ascii)
        where = step_words(info, item.error_step or item.current_step)
        out.fitted(f"  {item.key} ", (f"{sign} {item.status.value}", style), f" {where}  {item.last_error or ''}")
    if len(found) > _SHOWN:
        out.line(f"  ... and {len(found) - _SHOWN:,} more")


def _announce_failures(session: Session, info: PipelineInfo, able: Sequence[Failure], left: Sequence[Failure]) -> None:
    if session.as_json:
        return
    from statustui.pipelines.summary import failure_line

    out = session.out
    out.line((f"Retry {len(able):,} of {len(able) + len(left):,} failed steps of {info.name}:", "bold"))
    for one in able[:_SHOWN]:
        out.fitted(*failure_line(one))
    if len(able) > _SHOWN:
        out.line(f"  ... and {len(able) - _SHOWN:,} more")


def _told(
    session: Session,
    info: PipelineInfo,
    what: str,
    done: Sequence[tuple[str, str]],
    left: Sequence[Failure],
    store: "Store",
    *,
    dry_run: bool = False,
    run_id: str | None = None,
) -> None:
    """Say what was done, and what happens next."""
    following = _next(store, info, done, left, what, dry_run, run_id)
    if session.as_json:
        session.out.json(
            {
                "version": VERSION,
                "pipeline": info.name,
                "action": what,
                "dry_run": dry_run,
                "changed": [{"key": key, "step": step or None} for key, step in done],
                "left": [{"key": one.key, "step": one.step.key, "permanent": one.permanent} for one in left],
                "next": following,
            }
        )
        return
    session.out.line(following)


def _next(
    store: "Store",
    info: PipelineInfo,
    done: Sequence[tuple[str, str]],
    left: Sequence[Failure],
    what: str,
    dry_run: bool,
    run_id: str | None,
) -> str:
    """``7 of 10 pending, 3 exhausted; no worker at step 5: start `statustui retry auctions_update```."""
    word = {"retry": "pending", "reset": "pending", "skip": "skipped"}[what]
    total = len(done) + len(left)
    told = f"{len(done):,} of {total:,} {word}" if left else f"{len(done):,} {word}"
    if dry_run:
        told = told.replace(word, f"would be {word}")
    permanent = sum(one.permanent for one in left)
    if len(left) - permanent:
        told += f", {len(left) - permanent:,} exhausted"
    if permanent:
        told += f", {permanent:,} permanent"
    if left:
        told += " (--force takes these, too)"
    if what == "skip" or not done:
        return told
    idle = _idle(store, info, {step for _, step in done}, run_id)
    return f"{told}; {idle}" if idle else told


def _idle(store: "Store", info: PipelineInfo, steps: Iterable[str], run_id: str | None) -> str:
    """Which of these steps nobody works at, and how to start somebody; empty where all are worked at."""
    from statustui.store import reads
    from statustui.store.item_summary import summary
    from statustui.store.selector import Selector

    wanted = set(steps)
    waiting = [
        one.step
        for one in summary(store, info.name).steps
        if one.step.key in wanted and one.waiting and not one.processing
    ]
    if not waiting:
        return ""
    names = " and ".join(f"step {step.shown_label}" if step.shown_label else step.shown for step in waiting[:3])
    last = reads.find(store, run_id) if run_id else []
    task = last[0].task if last else None
    if task is None:
        return f"no worker at {names}: start the program that resumes {info.name}"
    open_now = reads.runs(store, Selector(tasks=(task,), statuses=(RunStatus.STARTED, RunStatus.RUNNING)), limit=1)
    if open_now:
        return f"{task} is running and comes to {names}"
    return f"no worker at {names}: start `statustui retry {task}`"


@click.command("ack", short_help="Acknowledge failures.", epilog="Example: statustui items ack --step 5")
@click.option("--step", multiple=True, metavar="STEP", help="Those at this step only: key or label.")
@pipeline_option
@change_options
@shared
@click.pass_obj
def ack(session: Session, pipeline: str | None, step: tuple[str, ...], yes: bool, dry_run: bool) -> int:
    """Acknowledge the failures of the last 24 hours: they leave 'needs you', until items fail in the same way again."""
    session.check_writable()
    with session.reading(write=not dry_run) as store:
        from statustui.store.item_acks import acknowledge
        from statustui.store.item_summary import failure_groups

        info = pipeline_of(store, pipeline)
        steps = {step_of(info, one).key for one in step}
        since = datetime.now(UTC) - timedelta(hours=24)
        found = [
            one
            for one in failure_groups(store, since)
            if one.pipeline == info.name and (not steps or one.step in steps)
        ]
        if not found:
            raise Stop(NO, "nothing that failed within 24 h is not acknowledged")
        number = sum(one.count for one in found)
        if not session.as_json:
            session.out.line((f"Acknowledge {number:,} failed items of {info.name}:", "bold"))
            for one in found[:_SHOWN]:
                session.out.fitted(f"  {one.count:,} @ {step_words(info, one.step)}: ", (one.error, "red"))
        if not dry_run:
            session.confirm(f"Acknowledge {number:,}?", yes=yes)
            from statustui.control.actor import actor

            acknowledge(store, found, actor())
    if session.as_json:
        kinds = [{"step": one.step, "count": one.count, "error": one.error, "key": one.key} for one in found]
        told = {"version": VERSION, "pipeline": info.name, "action": "ack", "dry_run": dry_run}
        session.out.json(told | {"count": number, "kinds": kinds})
    else:
        session.out.line(f"{number:,} {'would be acknowledged' if dry_run else 'acknowledged'}")
    return OK
