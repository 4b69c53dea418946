"""Progress arithmetic, as DESIGN section 7 states it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statustui.model.progress import (
    files_pages,
    items_fraction,
    iterated,
    overall_percent,
    shown_percent,
    shown_share,
    subtask_fraction,
    weighted,
)
from statustui.model.status import SubtaskStatus

fractions = st.one_of(st.none(), st.floats(0, 1))
weights = st.floats(0.01, 1000)
anything = st.floats(allow_nan=True, allow_infinity=True)


def test_23_of_112_done_is_20_percent_while_the_24th_runs() -> None:
    done = [(1.0, 1.0)] * 23 + [(1.0, 0.0)]
    assert shown_percent(overall_percent(done, 112)) == 20


def test_a_started_subtask_that_did_nothing_adds_nothing() -> None:
    assert overall_percent([(1.0, 1.0)], 4) == overall_percent([(1.0, 1.0), (1.0, None)], 4) == 25.0


def test_half_of_the_second_of_three_equal_files_is_50_percent() -> None:
    assert files_pages(1, 3, 5, 10) == pytest.approx(0.5)
    assert weighted([(1, 1.0), (1, 0.5), (1, 0.0)]) == pytest.approx(0.5)


def test_weights_count() -> None:
    assert overall_percent([(3.0, 1.0), (1.0, 0.0)]) == 75.0


def test_nothing_known_is_no_percent() -> None:
    assert overall_percent([]) is None
    assert items_fraction(5, None) is None
    assert items_fraction(5, 0) is None
    assert subtask_fraction(SubtaskStatus.RUNNING, 5, None) is None
    assert shown_percent(None) is None


def test_total_0_is_done_when_completed() -> None:
    assert subtask_fraction(SubtaskStatus.RUNNING, 0, 0) is None
    assert subtask_fraction(SubtaskStatus.COMPLETED, 0, 0) == 1.0


def test_a_percent_by_hand_wins_over_items() -> None:
    assert subtask_fraction(SubtaskStatus.RUNNING, 1, 10, 50.0) == 0.5


@pytest.mark.parametrize(("percent", "shown"), [(20.54, 20), (99.9, 99), (100.0, 99), (120.0, 99), (-3.0, 0)])
def test_percents_are_cut_and_never_100_before_the_end(percent: float, shown: int) -> None:
    assert shown_percent(percent) == shown


def test_the_end_shows_100() -> None:
    assert shown_percent(100.0, ended_well=True) == 100


def test_shares_are_rounded_and_never_up_to_100() -> None:
    # The figures of the startup summary: 89, 12, 45 and 10 of 156.
    assert [shown_share(n, 156) for n in (89, 12, 45, 10)] == [57, 8, 29, 6]
    assert shown_share(9999, 10000) == 99
    assert shown_share(156, 156) == 100
    assert shown_share(1, 0) == 0


def test_an_iterator_has_done_one_less_than_it_handed_out() -> None:
    assert (iterated(0, False), iterated(3, False), iterated(3, True)) == (0, 2, 3)


@given(st.lists(st.tuples(weights, fractions)), st.one_of(st.none(), st.integers(-5, 500)))
def test_overall_stays_within_0_and_100(parts: list[tuple[float, float | None]], expected: int | None) -> None:
    percent = overall_percent(parts, expected)
    assert percent is None or 0.0 <= percent <= 100.0


def test_subtasks_to_come_weigh_what_the_known_ones_do_on_average() -> None:
    # Four files, the first two of 300 and 500 MB; not 99 % after them.
    assert overall_percent([(300, 1.0), (500, 1.0)], 4) == pytest.approx(50.0)
    assert overall_percent([(1, 1.0), (1, 0.5)], 4) == pytest.approx(37.5)
    assert overall_percent([], 4) == 0.0
    assert overall_percent([(2, 1.0), (2, 1.0), (2, 0.0)], 2) == pytest.approx(200 / 3)  # more than were expected


@given(st.lists(st.tuples(weights, st.floats(0, 1)), min_size=1), st.data())
def test_more_work_never_shows_less(parts: list[tuple[float, float]], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(parts) - 1))
    weight, fraction = parts[index]
    more = [*parts]
    more[index] = (weight, data.draw(st.floats(fraction, 1)))
    before, after = overall_percent(parts), overall_percent(more)
    assert before is not None and after is not None
    assert after >= before - 1e-9


@given(st.sampled_from(SubtaskStatus), st.integers(), st.integers(), st.one_of(st.none(), anything))
def test_no_value_breaks_a_fraction(status: SubtaskStatus, complete: int, total: int, percent: float | None) -> None:
    fraction = subtask_fraction(status, complete, total, percent)
    assert fraction is None or 0.0 <= fraction <= 1.0


@given(anything, st.booleans())
def test_no_value_breaks_a_shown_percent(percent: float, ended: bool) -> None:
    shown = shown_percent(percent, ended_well=ended)
    assert shown is None if math.isnan(percent) else shown is not None and 0 <= shown <= 100
