"""Made-up but realistic histories of uneven runs, with fixed seeds."""

import math
import random
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from statustui.model.run import Profile, Run, TaskStats
from statustui.model.status import RunStatus

T0 = datetime(2026, 1, 1, tzinfo=UTC)
SUBTASKS = 4
ITEMS = 40
KINDS = ("steady", "stalls", "slow start", "slowing", "heavy tail")


def item_ends(kind: str, task: int, rng: random.Random) -> list[float]:
    """When each item of one run ended, in seconds: subtasks differ by task, the size by run."""
    shape = random.Random(task)
    costs = [math.exp(shape.gauss(0, 0.8)) for _ in range(SUBTASKS)]
    size = math.exp(rng.gauss(0, 0.25))
    ends, clock = [], 0.0
    for number in range(SUBTASKS * ITEMS):
        part = number / (SUBTASKS * ITEMS)
        cost = costs[number // ITEMS] * size * rng.uniform(0.8, 1.2)
        if kind == "stalls" and rng.random() < 0.02:
            cost += size * rng.uniform(5, 30)
        elif kind == "slow start" and part < 0.1:
            cost *= 6
        elif kind == "slowing":
            cost *= 0.3 + 2 * part * part
        elif kind == "heavy tail":
            cost *= min(60, rng.paretovariate(1.3)) / 4
        clock += cost
        ends.append(clock)
    return ends


def profile(ends: list[float]) -> Profile:
    count = len(ends)
    points = [((i + 1) / count, end) for i, end in enumerate(ends)][:: math.ceil(count / 64)]
    borders = [0.0, *ends[ITEMS - 1 :: ITEMS]]
    names = tuple((f"part {k}", borders[k], borders[k + 1]) for k in range(SUBTASKS))
    return Profile(duration_s=ends[-1], points=tuple(points), subtasks=names)


def stats(runs: list[list[float]], **more: float) -> TaskStats:
    return TaskStats(
        task="t",
        runs=len(runs),
        finished=len(runs),
        durations_s=tuple(ends[-1] for ends in runs),
        profiles=tuple(profile(ends) for ends in runs),
        longest_gap_s=more.get("longest_gap_s"),
    )


def seen_at(ends: list[float], at: float) -> Run:
    """The run as the store would show it *at* seconds after its start."""
    done = bisect_right(ends, at)
    current = min(SUBTASKS - 1, done // ITEMS)
    return run(
        last_progress_at=T0 + timedelta(seconds=ends[done - 1] if done else 0),
        total_subtasks=SUBTASKS,
        subtasks_done=done // ITEMS,
        derived_percent=100 * done / len(ends),
        subtask_name=f"part {current}",
        items_complete=done - current * ITEMS,
        items_total=ITEMS,
    )


def run(**fields: object) -> Run:
    """A run with what every run has, and *fields*."""
    usual: dict[str, object] = {
        "run_id": "r1", "id": 1, "task": "t", "status": RunStatus.RUNNING, "started_at": T0, "last_update": T0,
    }  # fmt: skip
    return Run(**(usual | fields))  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Score:
    error: float
    """Median relative error of the time left."""
    rate_error: float
    """The same for plain extrapolation of the average rate."""
    covered: float
    """Share of the real ends that lay in the range."""


def score(kind: str, history: int, trials: int = 150, seed: int = 1) -> Score:
    from statistics import median

    from statustui.insight.eta import estimate

    rng = random.Random(seed)
    errors, rates, covered = [], [], []
    for task in range(trials):
        past = [item_ends(kind, task, rng) for _ in range(history)]
        ends = item_ends(kind, task, rng)
        at = ends[-1] * rng.uniform(0.1, 0.9)
        seen, left = seen_at(ends, at), ends[-1] - at
        eta = estimate(seen, stats(past) if past else None, T0 + timedelta(seconds=at))
        if eta is None or not seen.percent:
            continue
        errors.append(abs(eta.middle_s - left) / left)
        rates.append(abs(at * (100 / seen.percent - 1) - left) / left)
        covered.append(eta.low_s <= left <= eta.high_s)
    return Score(error=median(errors), rate_error=median(rates), covered=sum(covered) / len(covered))
