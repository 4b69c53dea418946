"""The arithmetic of progress: the one place where fractions and percents are made. Pure."""

import math
from collections.abc import Iterable

from statustui.model.status import SubtaskStatus

_ALMOST = 99.99
"""The most that is shown before the end, in percent."""


def clamp(fraction: float) -> float:
    """*fraction* within 0..1; NaN counts as 0."""
    return min(1.0, max(0.0, fraction)) if fraction == fraction else 0.0


def items_fraction(complete: float | None, total: float | None) -> float | None:
    """Share of the items that are done, 0..1.

    Returns:
        None while the total is unknown, or is 0 (done only when the subtask says so).
    """
    if total is None or not total > 0:
        return None
    return clamp((complete or 0) / total)


def subtask_fraction(
    status: SubtaskStatus,
    complete: int | None = None,
    total: int | None = None,
    percent: float | None = None,
) -> float | None:
    """How much of one subtask is done, 0..1.

    A percent set by hand wins over the items. A subtask that has started and done nothing gives 0 or, when nothing
    is known of its size, None.
    """
    if status.done:
        return 1.0
    if status is SubtaskStatus.NOT_STARTED:
        return 0.0
    if percent is not None and math.isfinite(percent):
        return clamp(percent / 100.0)
    return items_fraction(complete, total)


def overall_fraction(work_done: float, work_total: float | None) -> float | None:
    """Share of the weights that is done, 0..1; None when the total is unknown or 0."""
    return None if work_total is None else items_fraction(work_done, work_total)


def expected_weight(weight: float, known: int, missing: int) -> float:
    """Weights of all leaf subtasks, when *known* of them weigh *weight* and *missing* are not announced yet.

    A run whose subtasks weigh megabytes would be 99 % done after the first, if those to come weighed 1: the mean of
    the known is the best guess, and is 1 where nobody gives weights.
    """
    return weight + missing * (weight / known if known else 1.0)


def overall_percent(subtasks: Iterable[tuple[float, float | None]], expected: int | None = None) -> float | None:
    """Overall percent of a run from its leaf subtasks, 0..100.

    ``(Σ weight of completed or skipped + weight × fraction of the others) / Σ weights`` (DESIGN section 7).

    Args:
        subtasks: (weight, fraction done or None) of each leaf subtask that is known; no headings.
        expected: how many leaf subtasks the run said it has; each not known yet weighs what the known ones weigh
            on average, 1 while none is known.

    Returns:
        None when there is nothing to divide by.
    """
    known = list(subtasks)
    missing = max(0, (expected or 0) - len(known))
    total = expected_weight(math.fsum(weight for weight, _ in known), len(known), missing)
    done = math.fsum(weight * (fraction or 0.0) for weight, fraction in known)
    fraction = overall_fraction(done, total)
    return None if fraction is None else fraction * 100.0


def weighted(parts: Iterable[tuple[float, float | None]]) -> float | None:
    """Fraction 0..1 of parts given as (weight, fraction); None when all weights together are 0."""
    percent = overall_percent(parts)
    return None if percent is None else percent / 100.0


def files_pages(files_done: int, files: int, page: int = 0, pages: int = 0) -> float | None:
    """Fraction of *files* done when the file in hand is at *page* of *pages*: (files_done + page/pages) / files.

    Half of the second of three equal files is 0.5.
    """
    part = items_fraction(page, pages) or 0.0
    return items_fraction(files_done + part, files)


def shown_percent(percent: float | None, *, ended_well: bool = False) -> int | None:
    """The whole number that is shown for *percent*: cut, never 100 before the end, never outside 0..100."""
    if percent is None or percent != percent:
        return None
    if ended_well:
        return int(min(100.0, max(0.0, percent)))
    return int(min(_ALMOST, max(0.0, percent)))


def shown_share(part: int, whole: int) -> int:
    """Whole percent that *part* is of *whole*, rounded to the nearest; 100 only for all of it, 0 only for nothing."""
    if whole <= 0 or part <= 0:
        return 0
    if part >= whole:
        return 100
    return min(99, math.floor(100.0 * part / whole + 0.5))


def iterated(handed_out: int, ended: bool) -> int:
    """Items done by a loop that was handed *handed_out* of them: the last is in work until the loop asks again."""
    return max(0, handed_out if ended else handed_out - 1)
