"""``statustui status --pipeline P``: where the items of a pipeline stand."""

from datetime import date
from typing import Any

from statustui.cli.itemizing import pipeline_of, statistics_object
from statustui.cli.session import OK, USAGE, Session, Stop
from statustui.cli.shapes import VERSION, time_or_none
from statustui.model.items import PipelineSummary
from statustui.model.status import ItemStatus
from statustui.pipelines import summary as texts


def show_pipeline(
    session: Session, pipeline: str, since: date | None, until: date | None, *, times: bool = False
) -> int:
    """Print the summary of a pipeline, of all its items or those of a range of dates."""
    if since is not None and until is not None and until < since:
        raise Stop(USAGE, f"--end-date {until} is before --start-date {since}")
    with session.reading() as store:
        from statustui.store.item_summary import summary

        found = summary(store, pipeline_of(store, pipeline).name, since=since, until=until)
    if session.as_json:
        session.out.json(summary_object(found))
        return OK
    for line in texts.lines(found, ascii=session.out.ascii, times=times):
        session.out.line(*line)
    return OK


def summary_object(found: PipelineSummary) -> dict[str, Any]:
    """A summary as JSON."""
    first, last = found.since or found.first_date, found.until or found.last_date
    return {
        "version": VERSION,
        "pipeline": found.pipeline,
        "start_date": first.isoformat() if first else None,
        "end_date": last.isoformat() if last else None,
        "days": (last - first).days + 1 if first and last else None,
        "total": found.total,
        "kinds": dict(found.kinds),
        "statuses": {status.value: found.statuses.get(status, 0) for status in ItemStatus},
        "steps": {
            one.step.key: {
                "label": one.step.label,
                "title": one.step.shown,
                "group": one.step.group,
                "done": one.done,
                "total": one.total,
                **statistics_object(one),
            }
            for one in found.steps
        },
        "slowest_step": found.slowest.step.key if found.slowest else None,
        "failures": [
            {
                "key": one.key,
                "step": one.step.key,
                "error": one.error,
                "at": time_or_none(one.at),
                "retries": one.retries,
                "max_retries": one.max_retries,
                "permanent": one.permanent,
                "run_id": one.run_id,
            }
            for one in found.failures
        ],
    }
