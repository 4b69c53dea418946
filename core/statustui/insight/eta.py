"""How long a run will still take, as a range that holds the real end about four times in five.

The past runs of a task tell *when* they were how far: uneven work, a slow start or a long last part is
in their time profile and would fool any rate. What they can not tell is how big this run is; that its own
pace tells. Both are joined so: a past run that needed ``t`` seconds to come this far and ``r`` from there
on predicts ``r * (own / t) ** a``, with ``own`` the seconds this run needed. How far the pace is to be
believed (``a``) and how wide the range must be is found by predicting each past run from the others.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from statustui.model.run import Profile, Run, TaskStats

ENOUGH_UPDATES = 3
"""Counts and finished subtasks before the pace of a run without history means anything."""
ENOUGH_RUNS = 3
"""Past runs from which one may be called overdue: the size of one or two says little."""
ENOUGH_DONE = 0.05
"""Share done before it does."""

_EXPONENTS = (1.0, 0.5, 0.0)
# A spread that is believed before there are past runs enough to show their own, and how many runs it weighs.
_PRIOR_SPREAD = 0.2
_PRIOR_RUNS = 2.0
# Share of the usual duration below which differences of time left say nothing.
_FLOOR = 0.01
# Logarithm of the largest factor that a range goes up or down by; what is wider says nothing.
_WIDEST = 4.0
# 90th percentiles of Student's t for 1, 2, … degrees of freedom: one in ten ends earlier, one in ten later.
_T90 = (3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397)


@dataclass(frozen=True, kw_only=True, slots=True)
class Eta:
    """Time left of a run."""

    low_s: float
    """Seconds left; one run in ten ends sooner."""
    high_s: float
    """Seconds left; one run in ten takes longer."""
    middle_s: float
    """Best single guess, in seconds, between the two."""
    basis: str
    """``history`` (time profiles of past runs and own pace), ``durations`` (of past runs alone) or ``pace``."""
    overdue: bool = False
    """True when it has taken longer than every past run."""


def estimate(run: Run, stats: TaskStats | None, now: datetime) -> Eta | None:
    """Estimate the time left of an open run.

    Args:
        run: The run, as last read.
        stats: What is known of the past runs of its task.
        now: The present time.

    Returns:
        None when the run has ended or nothing allows a guess.
    """
    if not run.status.open:
        return None
    elapsed = max(0.0, (now - run.started_at).total_seconds())
    durations = tuple(d for d in stats.durations_s if d > 0) if stats else ()
    overdue = len(durations) >= ENOUGH_RUNS and elapsed > max(durations)
    place = _Place.of(run, elapsed)
    found = _by_profiles(place, stats.profiles, overdue) if stats else None
    if found is None and durations and place.fraction is None:
        found = _by_durations(elapsed, durations, overdue)
    if found is None:
        found = _by_pace(run, place, durations, overdue)
    return found


def fraction_of(run: Run) -> float | None:
    """Share of the run that is done, 0..1, as its percent says; None when that is not known."""
    if run.percent is None:
        return None
    return min(1.0, max(0.0, run.percent / 100))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """How far a run is, and since when."""

    fraction: float | None
    next_fraction: float
    """Share that will be done after one more item; it has not been reached yet."""
    elapsed: float
    at_fraction: float
    """Seconds from the start to when it came this far."""
    subtask: str | None
    inside: float | None
    """Share of the current subtask that is done."""
    subtasks: int | None
    done: int

    @classmethod
    def of(cls, run: Run, elapsed: float) -> "_Place":
        fraction = fraction_of(run)
        moved = run.last_progress_at
        at = (moved - run.started_at).total_seconds() if moved else elapsed
        inside = None
        if run.subtask_percent is not None:
            inside = min(1.0, max(0.0, run.subtask_percent / 100))
        elif run.items_total and run.items_complete is not None:
            inside = min(1.0, max(0.0, run.items_complete / run.items_total))
        parts = 100 if run.subtask_percent is not None else run.items_total or 1
        step = 1 / max(1, run.total_subtasks or 1) / max(1, parts)
        return cls(
            fraction=fraction,
            next_fraction=min(1.0, (fraction or 0.0) + step),
            elapsed=elapsed,
            at_fraction=min(elapsed, max(0.0, at)),
            subtask=run.subtask_name,
            inside=inside,
            subtasks=run.total_subtasks,
            done=run.subtasks_done,
        )


def time_at(profile: Profile, fraction: float) -> float:
    """Seconds after which a past run had *fraction* of its work done, between its points linearly."""
    points = profile.points
    index = bisect_left(points, fraction, key=lambda point: point[0])
    f0, t0 = points[index - 1] if index else (0.0, 0.0)
    f1, t1 = points[index] if index < len(points) else (1.0, profile.duration_s)
    if f1 <= f0:
        return min(t1, profile.duration_s)
    return min(profile.duration_s, t0 + (t1 - t0) * (fraction - f0) / (f1 - f0))


def _time_in_subtask(profile: Profile, name: str, inside: float) -> float | None:
    for other, start, end in profile.subtasks:
        if other == name:
            return min(profile.duration_s, start + (end - start) * inside)
    return None


def _times(place: _Place, profiles: Sequence[Profile], *, ahead: bool) -> list[tuple[float, float]]:
    """(seconds to this place, seconds from there to the end) of each past run that passed it.

    By the share of the whole where the run is cut into as many subtasks as the past one, since the
    profile knows how uneven each subtask is; else by the name of the subtask.
    """
    found = []
    for profile in profiles:
        if profile.duration_s <= 0:
            continue
        fraction = place.next_fraction if ahead else place.fraction
        same_cut = place.subtasks is None or not profile.subtasks or len(profile.subtasks) == place.subtasks
        at = None
        if place.subtask is not None and (fraction is None or not same_cut or not profile.points):
            at = _time_in_subtask(profile, place.subtask, 0.5 if place.inside is None else place.inside)
        if at is None and fraction is not None:
            at = time_at(profile, fraction)
        if at is not None:
            found.append((at, max(0.0, profile.duration_s - at)))
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class _Forecast:
    """What past runs predict from one place on."""

    exponent: float
    scale: float
    """Seconds left of a run that needed one second to come here."""
    low: float
    """Real over predicted time left that one past run in ten stays below."""
    high: float
    floor: float

    def left(self, own: float) -> float:
        return float(self.scale * max(own, self.floor) ** self.exponent)


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _forecast(times: Sequence[tuple[float, float]]) -> _Forecast:
    """Fit past runs by leaving out each in turn."""
    usual = _median([at + left for at, left in times])
    floor = max(1e-6, _FLOOR * usual)
    best: tuple[float, float, list[float], float] | None = None
    for exponent in _EXPONENTS:
        pieces = [left / max(at, floor) ** exponent for at, left in times]
        errors = _left_out_errors(times, pieces, exponent, floor)
        cost = _median([abs(error) for error in errors]) if errors else 0.0
        if best is None or cost < 0.95 * best[0]:
            best = cost, exponent, errors, _median(pieces)
    assert best is not None
    _, exponent, errors, scale = best
    low, high = _spread(errors)
    return _Forecast(exponent=exponent, scale=scale, low=low, high=high, floor=floor)


def _left_out_errors(
    times: Sequence[tuple[float, float]], pieces: Sequence[float], exponent: float, floor: float
) -> list[float]:
    """Logarithm of real over predicted time left for each past run, predicted from the others."""
    if len(times) < 2:
        return []
    order = sorted(range(len(pieces)), key=pieces.__getitem__)
    ordered = [pieces[i] for i in order]
    count = len(ordered) - 1
    errors = []
    for rank, index in enumerate(order):
        at, left = times[index]

        def other(k: int, rank: int = rank) -> float:
            return ordered[k if k < rank else k + 1]

        middle = other(count // 2) if count % 2 else (other(count // 2 - 1) + other(count // 2)) / 2
        predicted = middle * max(at, floor) ** exponent
        errors.append(_within(math.log((left + floor) / (predicted + floor))))
    return errors


def _spread(errors: Sequence[float]) -> tuple[float, float]:
    """Factors around a prediction between which four ends in five lie, from the errors of past ones."""
    count = len(errors)
    if count >= 9:
        # The plain order statistics that hold for any distribution (split conformal prediction).
        ordered = sorted(errors)
        place = (count + 1) * 0.1 - 1
        return math.exp(_between(ordered, place)), math.exp(_between(ordered, count - 1 - place))
    prior = max(0.0, _PRIOR_RUNS - count / 2)
    weight = prior + count
    variance = (prior * _PRIOR_SPREAD**2 + sum(error * error for error in errors)) / weight
    reach = _T90[max(2, round(weight) - 1) - 1] * math.sqrt(variance * (1 + 1 / max(1, count)))
    reach = min(reach, _WIDEST)
    return math.exp(-reach), math.exp(reach)


def _within(error: float) -> float:
    return max(-_WIDEST, min(_WIDEST, error))


def _between(ordered: Sequence[float], place: float) -> float:
    low = max(0, min(len(ordered) - 1, math.floor(place)))
    high = min(len(ordered) - 1, low + 1)
    return ordered[low] + (ordered[high] - ordered[low]) * max(0.0, place - low)


def _by_profiles(place: _Place, profiles: Sequence[Profile], overdue: bool) -> Eta | None:
    here = _times(place, profiles, ahead=False)
    if not here:
        return None
    forecast = _forecast(here)
    left = forecast.left(place.at_fraction)
    waited = place.elapsed - place.at_fraction
    low, middle, high = left * forecast.low - waited, left - waited, left * forecast.high - waited
    # One more item has not ended yet, so what past runs needed after it is still to come.
    if waited > 0 and place.fraction is not None:
        after = _forecast(_times(place, profiles, ahead=True))
        rest = after.left(place.elapsed)
        low, middle, high = max(low, rest * after.low), max(middle, rest), max(high, rest * after.high)
    low, middle, high = max(0.0, low), max(0.0, middle), max(0.0, high)
    return Eta(low_s=low, middle_s=middle, high_s=high, basis="history", overdue=overdue)


def _by_durations(elapsed: float, durations: Sequence[float], overdue: bool) -> Eta | None:
    """From how long the past runs took that took longer than this one has by now."""
    longer = sorted(d - elapsed for d in durations if d > elapsed)
    if not longer:
        return Eta(low_s=0.0, middle_s=0.0, high_s=0.0, basis="durations", overdue=True) if overdue else None
    middle = _median(longer)
    if len(longer) >= 9:
        place = (len(longer) + 1) * 0.1 - 1
        low, high = _between(longer, place), _between(longer, len(longer) - 1 - place)
    else:
        total = elapsed + middle
        low_factor, high_factor = _spread([_within(math.log((elapsed + left) / total)) for left in longer])
        low, high = total * low_factor - elapsed, total * high_factor - elapsed
    return Eta(low_s=max(0.0, low), middle_s=middle, high_s=high, basis="durations", overdue=overdue)


def _by_pace(run: Run, place: _Place, durations: Sequence[float], overdue: bool) -> Eta | None:
    """From this run alone: it goes on as it did on average until now."""
    fraction = place.fraction
    updates = run.subtasks_done + (run.items_complete or 0)
    told = run.overall_percent is not None or run.subtask_percent is not None
    if fraction is None or fraction < ENOUGH_DONE or (updates < ENOUGH_UPDATES and not told):
        return None
    left = place.at_fraction * (1 - fraction) / fraction
    waited = place.elapsed - place.at_fraction
    after = place.elapsed * (1 - place.next_fraction) / place.next_fraction
    left = max(left - waited, after)
    # Nothing shows how uneven this task is; the width is that of uneven tasks in general.
    return Eta(low_s=left * 0.5, middle_s=left, high_s=left * 2.3, basis="pace", overdue=overdue)
