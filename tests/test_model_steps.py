"""A step's state does not depend on the order in which its facts arrive."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from statustui.model import steps
from statustui.model.status import ItemStatus
from statustui.model.steps import Attempt, StepState, view


@dataclass(frozen=True)
class Told:
    """One attempt as its writer tells it: start, metadata, end."""

    id: str
    at: float
    lasts: float | None
    status: ItemStatus
    input_hash: str | None

    def facts(self) -> list[Callable[[StepState], StepState]]:
        order = (self.at, self.id)
        begin = Attempt(id=self.id, order=order, input_hash=self.input_hash)
        found: list[Callable[[StepState], StepState]] = [
            lambda s: steps.started(s, begin),
            lambda s: steps.updated(s, self.id, progress=50.0, metadata={self.id: 1}),
        ]
        if self.lasts is not None:
            end = Attempt(
                id=self.id,
                order=order,
                status=self.status,
                ended_at=self.at + self.lasts,
                error="broken" if self.status is ItemStatus.FAILED else None,
            )
            found.append(lambda s: steps.ended(s, end))
        return found


ends = st.sampled_from([ItemStatus.COMPLETED, ItemStatus.FAILED, ItemStatus.SKIPPED])
attempts = st.lists(
    st.tuples(st.integers(0, 9), st.none() | st.integers(0, 5), ends, st.sampled_from([None, None, "h1", "h2"])),
    max_size=5,
).map(lambda rows: [Told(f"a{i}", float(at), lasts, end, h) for i, (at, lasts, end, h) in enumerate(rows)])


def interleave(draw: st.DrawFn, queues: list[list[Callable[[StepState], StepState]]]) -> StepState:
    """Facts of one writer keep their order; those of several come in any."""
    state = StepState()
    queues = [list(queue) for queue in queues]
    while any(queues):
        open_ones = [queue for queue in queues if queue]
        queue = open_ones[draw(st.integers(0, len(open_ones) - 1))]
        state = queue.pop(0)(state)
    return state


def _reset(order: steps.Order, state: StepState) -> StepState:
    return steps.reset(state, order)


@st.composite
def two_orders(draw: st.DrawFn) -> tuple[StepState, StepState]:
    told = draw(attempts)
    resets = draw(st.lists(st.integers(0, 12), max_size=2))
    queues = [one.facts() for one in told]
    for number, at in enumerate(resets):
        queues.append([partial(_reset, (float(at), f"r{number}"))])
    return interleave(draw, queues), interleave(draw, queues)


@given(two_orders())
def test_any_interleaving_of_facts_gives_the_same_state(pair: tuple[StepState, StepState]) -> None:
    assert view(pair[0]) == view(pair[1])
    assert pair[0] == pair[1]


@given(attempts)
def test_facts_told_twice_change_nothing(told: list[Told]) -> None:
    once = twice = StepState()
    for one in told:
        for fact in one.facts():
            once = fact(once)
            twice = fact(fact(twice))
    assert once == twice


def test_a_late_success_of_a_superseded_attempt_is_only_an_event() -> None:
    first = Told("first", 1, 9, ItemStatus.COMPLETED, None)
    second = Told("second", 5, 1, ItemStatus.FAILED, None)
    state = StepState()
    for fact in (*first.facts(), *second.facts()):
        state = fact(state)
    assert view(state).status is ItemStatus.FAILED
    assert view(state).tries == 2


def test_a_completed_step_runs_again_only_after_a_reset_or_with_other_input() -> None:
    state = StepState()
    for fact in Told("a", 1, 1, ItemStatus.COMPLETED, "h1").facts():
        state = fact(state)
    again = steps.started(state, Attempt(id="b", order=(5, "b"), input_hash="h1"))
    assert view(again).status is ItemStatus.COMPLETED
    assert view(again).refused == {"b"}
    changed = steps.started(state, Attempt(id="c", order=(5, "c"), input_hash="h2"))
    assert view(changed).status is ItemStatus.PROCESSING
    fresh = steps.started(steps.reset(state, (4, "r")), Attempt(id="d", order=(5, "d"), input_hash="h1"))
    assert view(fresh).status is ItemStatus.PROCESSING
    assert view(fresh).tries == 1


def test_a_new_attempt_keeps_nothing_of_the_error_and_progress_before_it() -> None:
    state = StepState()
    for fact in Told("a", 1, 1, ItemStatus.FAILED, None).facts():
        state = fact(state)
    state = steps.started(state, Attempt(id="b", order=(5, "b")))
    now = view(state)
    assert now.current is not None
    assert (now.current.error, now.current.progress, now.current.ended_at) == (None, None, None)
    assert now.metadata == {"a": 1}
