"""In which order runs are shown, and which of them are one row."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from statustui.insight.eta import estimate
from statustui.insight.marks import host_of, marks
from statustui.model.run import Host, Run, TaskStats
from statustui.model.status import Mark

KEYS = ("trouble", "time", "progress", "left", "cpu", "memory", "task", "host", "id")
"""What runs can be sorted by; ``trouble`` is the usual one."""

_TROUBLE = {Mark.STALLED: 0, Mark.SILENT: 1, Mark.SLOW: 2}
_LAST = float("inf")


def ordered(
    runs: Iterable[Run],
    key: str = "trouble",
    *,
    stats: Mapping[str, TaskStats],
    hosts: Mapping[str, Host],
    now: datetime,
    reverse: bool = False,
) -> tuple[Run, ...]:
    """Sort open runs.

    Args:
        runs: The runs, in any order.
        key: One of KEYS. ``trouble``: stalled, silent and slow ones first, each by how much, then the newest;
            ``time``, ``progress``, ``cpu``, ``memory``: the most first; ``left``: what ends soonest first.
        stats: What is known of tasks, by name.
        hosts: Hosts by machine id.
        now: The present time.
        reverse: Turn the order round.

    Raises:
        KeyError: there is no such key.
    """

    def trouble(run: Run) -> tuple[float, float]:
        found = marks(run, stats.get(run.task), host_of(run, hosts), now)
        return min(((_TROUBLE[mark], -number) for mark, number in found), default=(3, 0.0))

    def left(run: Run) -> float:
        eta = estimate(run, stats.get(run.task), now)
        return eta.middle_s if eta else _LAST

    ways: Mapping[str, Callable[[Run], tuple[float, float] | float | str]] = {
        "trouble": trouble,
        "time": lambda run: run.started_at.timestamp(),
        "progress": lambda run: -1.0 if run.percent is None else -run.percent,
        "left": left,
        "cpu": lambda run: -(run.cpu_percent or 0.0),
        "memory": lambda run: -float(run.rss_bytes or 0),
        "task": lambda run: run.task.lower(),
        "host": lambda run: (run.host or "").lower(),
        "id": lambda run: -float(run.id),
    }
    way = ways[key]
    # Equal ones stay newest first, so that rows do not dance.
    newest_first = sorted(runs, key=lambda run: -run.id)
    return tuple(sorted(newest_first, key=lambda run: (way(run),), reverse=reverse))


def one_row_each(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Join each wrapper that has nothing to show of its own with its only child.

    ``statustui run -- job`` around a program that records itself would else be two rows for one thing. The row
    keeps the wrapper's id, process and log, so that cancelling it ends all of it, and shows the child's work.
    """
    children: dict[str, list[Run]] = {}
    for run in runs:
        if run.parent_run_id is not None:
            children.setdefault(run.parent_run_id, []).append(run)
    joined: dict[str, Run] = {}
    hidden: set[str] = set()
    for run in runs:
        below = children.get(run.run_id, [])
        if run.wrapped and len(below) == 1 and not run.total_subtasks and run.current_subtask is None:
            joined[run.run_id] = _with_work_of(run, below[0])
            hidden.add(below[0].run_id)
    return tuple(joined.get(run.run_id, run) for run in runs if run.run_id not in hidden)


def _with_work_of(run: Run, child: Run) -> Run:
    return replace(
        run,
        total_subtasks=child.total_subtasks,
        subtasks_done=child.subtasks_done,
        current_subtask=child.current_subtask,
        derived_percent=child.derived_percent,
        overall_percent=child.overall_percent,
        overall_message=child.overall_message or run.overall_message,
        subtask_name=child.subtask_name,
        subtask_status=child.subtask_status,
        subtask_percent=child.subtask_percent,
        subtask_message=child.subtask_message,
        items_complete=child.items_complete,
        items_total=child.items_total,
        unit=child.unit,
        last_progress_at=max(filter(None, (run.last_progress_at, child.last_progress_at)), default=None),
    )
