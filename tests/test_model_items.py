"""The arithmetic of items: histograms of durations, letters and statuses, plans."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statustui.model import histogram
from statustui.model.item_state import LETTERS, ItemState, KnownStep, PipelineState
from statustui.model.pipeline import Definition, Plan, Step, can_start, current_step, item_status
from statustui.model.status import ItemStatus

seconds = st.floats(0.002, 1e7)


@given(st.lists(seconds, min_size=1, max_size=200))
def test_quantiles_lie_within_five_percent(durations: list[float]) -> None:
    total = sum(histogram.one(histogram.bucket(one)) for one in durations)
    ordered = sorted(durations)
    for share, found in zip((0.5, 0.9), histogram.quantiles(histogram.counts(total), (0.5, 0.9)), strict=True):
        assert found == pytest.approx(ordered[max(0, math.ceil(share * len(ordered)) - 1)], rel=0.05)


@given(
    st.dictionaries(st.integers(0, 255), st.integers(1, 2**31)),
    st.dictionaries(st.integers(0, 255), st.integers(1, 9)),
)
def test_histograms_add_up_and_come_back_from_bytes(one: dict[int, int], other: dict[int, int]) -> None:
    whole = histogram.total(one) + histogram.total(other)
    packed = histogram.pack(whole)
    assert histogram.unpack(packed) == whole
    assert histogram.counts(whole) == {n: one.get(n, 0) + other.get(n, 0) for n in sorted({*one, *other})}
    less = histogram.add(packed, {number: -times for number, times in other.items()})
    assert histogram.counts(histogram.unpack(less)) == dict(sorted(one.items()))


def test_odd_durations_have_a_bucket_too() -> None:
    assert [histogram.bucket(x) for x in (-1.0, 0.0, math.nan, 1e300, math.inf)] == [0, 0, 0, 255, 255]
    assert histogram.quantiles({}, (0.5,)) == (None,)


DEFINITION = Definition(
    name="p",
    steps=(
        Step(key="a"),
        Step(key="b"),
        Step(key="c", after=("a",), optional=True),
        Step(key="d", after=("b", "c"), weight=3.0),
        Step(key="e", after=()),
    ),
)
KNOWN = {step.key: KnownStep(id=10 + n, slot=n, step=step, active=True) for n, step in enumerate(DEFINITION.steps)}


@given(st.lists(st.sampled_from("pwcfsx"), min_size=5, max_size=5), st.frozensets(st.sampled_from("abcde")))
def test_what_is_derived_agrees_with_the_rules(letters: list[str], off: frozenset[str]) -> None:
    plan = Plan(off=off)
    pipeline = PipelineState(id=1, name="p", rev=1, definition=DEFINITION, known=dict(KNOWN))
    item = ItemState(pipeline=pipeline, key="k", plan=plan, states="".join(letters))
    item.derive()
    told = {key: LETTERS[letters[one.slot]] for key, one in KNOWN.items() if key not in off}
    whole = {key for key, one in KNOWN.items() if letters[one.slot] == "x"}
    steps = plan.steps(DEFINITION)
    assert item.status is item_status(steps, told, whole)
    for key, one in KNOWN.items():
        assert (item.letter(one.slot) == ".") == (key in off)
        assert (item.letter(one.slot) == "r") == can_start(DEFINITION, plan, told, key)
    at = current_step(steps, told)
    assert item.current_step == (KNOWN[at].id if at is not None else None)
    before = item.states
    item.derive()
    assert item.states == before


def test_an_item_that_was_skipped_as_a_whole_is_skipped() -> None:
    steps = DEFINITION.steps[:2]
    states = {"a": ItemStatus.COMPLETED, "b": ItemStatus.SKIPPED}
    assert item_status(steps, states) is ItemStatus.COMPLETED
    assert item_status(steps, states, {"b"}) is ItemStatus.SKIPPED
