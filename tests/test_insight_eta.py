"""The time left of a run: honest about what the past says, and silent without evidence."""

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statustui.insight.eta import Eta, estimate, time_at
from statustui.model.run import Profile, TaskStats
from statustui.model.status import RunStatus
from support.histories import KINDS, T0, item_ends, run, score, seen_at, stats


def eta_at(seconds: float, past: TaskStats | None = None, /, **fields: object) -> Eta | None:
    now = T0 + timedelta(seconds=seconds)
    return estimate(run(**({"last_progress_at": now} | fields)), past, now)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("history", [5, 8, 12, 20])
def test_the_range_holds_four_ends_in_five(kind: str, history: int) -> None:
    assert 0.70 <= score(kind, history).covered <= 0.90


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("history", [2, 5, 20])
def test_history_beats_the_plain_rate_on_uneven_runs(kind: str, history: int) -> None:
    result = score(kind, history)
    assert result.error < 0.7 * result.rate_error


@pytest.mark.parametrize("history", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_short_history_is_not_believed_too_much(kind: str, history: int) -> None:
    assert score(kind, history).covered >= 0.65


def test_a_first_run_goes_by_its_own_pace() -> None:
    eta = eta_at(100, derived_percent=25.0, subtasks_done=5, total_subtasks=20)
    assert eta is not None
    assert eta.basis == "pace"
    assert eta.middle_s == pytest.approx(300)
    assert eta.low_s < 300 < eta.high_s
    assert not eta.overdue


def test_a_run_that_tells_a_percent_and_counts_nothing_goes_by_its_pace_too() -> None:
    eta = eta_at(100, derived_percent=25.0, subtask_percent=25.0, total_subtasks=1)
    assert eta is not None
    assert eta.middle_s == pytest.approx(300)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"derived_percent": 0.0, "subtasks_done": 0},
        {"derived_percent": 4.0, "items_complete": 40, "items_total": 1000},
        {"derived_percent": 50.0, "items_complete": 1, "items_total": 2},
        {"items_complete": 10_000, "unit": "rows"},
    ],
    ids=["nothing", "nothing done", "under 5 %", "fewer than 3 updates", "a count without a total"],
)
def test_without_evidence_there_is_no_estimate(fields: dict[str, object]) -> None:
    assert eta_at(100, **fields) is None


def test_an_ended_run_has_none() -> None:
    past = stats([item_ends("steady", 1, random.Random(1))])
    assert eta_at(100, past, status=RunStatus.FINISHED, derived_percent=50.0, subtasks_done=5) is None


def test_a_run_without_progress_goes_by_how_long_others_took() -> None:
    past = TaskStats(task="t", durations_s=(100.0, 110.0, 90.0, 120.0, 105.0))
    eta = eta_at(50, past)
    assert eta is not None
    assert eta.basis == "durations"
    assert 40 <= eta.middle_s <= 60
    assert eta.low_s < eta.middle_s < eta.high_s


def test_past_the_longest_it_is_overdue_and_stops_counting_down() -> None:
    past = TaskStats(task="t", durations_s=(100.0, 110.0, 105.0))
    eta = eta_at(150, past)
    assert eta == Eta(low_s=0.0, middle_s=0.0, high_s=0.0, basis="durations", overdue=True)
    ends = item_ends("steady", 1, random.Random(1))
    known = stats([ends] * 3)
    eta = eta_at(2 * ends[-1], known, derived_percent=50.0, subtasks_done=2, total_subtasks=4)
    assert eta is not None
    assert eta.overdue
    assert eta.middle_s > 0


def test_one_or_two_past_runs_do_not_make_a_longer_one_overdue() -> None:
    assert eta_at(150, TaskStats(task="t", durations_s=(100.0, 110.0))) is None
    ends = item_ends("steady", 1, random.Random(1))
    eta = eta_at(2 * ends[-1], stats([ends]), derived_percent=50.0, subtasks_done=2, total_subtasks=4)
    assert eta is not None and not eta.overdue and eta.middle_s > 0


def test_a_bigger_run_is_scaled_by_its_own_pace() -> None:
    rng = random.Random(3)
    past = [item_ends("slowing", 1, rng) for _ in range(10)]
    bigger = [3 * end for end in item_ends("slowing", 1, rng)]
    at = bigger[-1] / 2
    eta = estimate(seen_at(bigger, at), stats(past), T0 + timedelta(seconds=at))
    assert eta is not None
    assert eta.middle_s == pytest.approx(at, rel=0.2)


def test_subtasks_match_by_name_when_the_run_is_cut_otherwise() -> None:
    past = Profile(duration_s=100.0, points=((0.5, 90.0), (1.0, 100.0)), subtasks=(("a", 0, 90), ("b", 90, 100)))
    known = TaskStats(task="t", durations_s=(100.0,), profiles=(past,))
    eta = eta_at(90, known, total_subtasks=3, subtasks_done=1, derived_percent=33.0, subtask_name="b",
                 items_complete=0, items_total=10)  # fmt: skip
    assert eta is not None
    assert eta.middle_s == pytest.approx(10, rel=0.1)


def test_waiting_for_one_item_does_not_count_down_to_nothing() -> None:
    rng = random.Random(3)
    past = [item_ends("steady", 1, rng) for _ in range(8)]
    ends = item_ends("steady", 1, rng)
    half = ends[len(ends) // 2]
    stuck = seen_at(ends, half)
    soon = estimate(stuck, stats(past), T0 + timedelta(seconds=half))
    late = estimate(stuck, stats(past), T0 + timedelta(seconds=half + 5 * ends[-1]))
    assert soon is not None
    assert late is not None
    assert late.middle_s > 0.5 * soon.middle_s


def test_a_profile_is_read_between_its_points() -> None:
    past = Profile(duration_s=100.0, points=((0.2, 10.0), (0.6, 90.0)))
    assert time_at(past, 0.0) == 0.0
    assert time_at(past, 0.1) == pytest.approx(5)
    assert time_at(past, 0.4) == pytest.approx(50)
    assert time_at(past, 0.8) == pytest.approx(95)
    assert time_at(past, 1.0) == 100.0
    assert time_at(Profile(duration_s=50.0), 0.5) == 25.0


numbers = st.floats(min_value=0, max_value=1e9)
profiles = st.builds(
    Profile,
    duration_s=numbers,
    points=st.lists(st.tuples(st.floats(0, 1), numbers), max_size=8).map(lambda p: tuple(sorted(p))),
    subtasks=st.lists(st.tuples(st.sampled_from("abc"), numbers, numbers), max_size=3).map(tuple),
)


@given(
    past=st.lists(profiles, max_size=12),
    durations=st.lists(numbers, max_size=12),
    elapsed=st.floats(-1e6, 1e9),
    moved=st.none() | st.floats(-1e6, 1e9),
    percent=st.none() | st.floats(-50, 500),
    items=st.none() | st.integers(0, 2**63),
    total=st.none() | st.integers(0, 2**63),
    subtasks=st.none() | st.integers(0, 1000),
    name=st.none() | st.sampled_from("abcd"),
)
def test_whatever_is_stored_the_range_is_in_order(
    past: list[Profile], durations: list[float], elapsed: float, moved: float | None, percent: float | None,
    items: int | None, total: int | None, subtasks: int | None, name: str | None,
) -> None:  # fmt: skip
    known = TaskStats(task="t", durations_s=tuple(durations), profiles=tuple(past))
    seen = run(
        derived_percent=percent, items_complete=items, items_total=total, total_subtasks=subtasks, subtask_name=name,
        last_progress_at=None if moved is None else T0 + timedelta(seconds=moved),
    )  # fmt: skip
    eta = estimate(seen, known, T0 + timedelta(seconds=elapsed))
    if eta is not None:
        assert 0 <= eta.low_s <= eta.high_s < float("inf")
        assert eta.middle_s >= 0
