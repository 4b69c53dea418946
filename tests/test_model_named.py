"""Subtasks told by name alone: numbered the same, and counted the same, in whatever order journals are read."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from statustui.model.fold import fold, new_run
from statustui.model.named import FIRST, shown
from statustui.model.state import RunState, WriterState
from statustui.model.status import RunStatus, SubtaskStatus
from statustui.store.open import Store
from statustui.store.reads import find
from support.stores import T0, Journal, give

FEW = settings(max_examples=100, deadline=None)
Facts = list[dict[str, Any]]
NAMES = st.sampled_from(["a", "b", "c"])


def call(**fields: Any) -> dict[str, Any]:
    return {"n": 0, **fields}


CALLS = st.lists(
    st.one_of(
        st.builds(lambda name, total: call(k="sub.start", name=name, total=total), NAMES, st.sampled_from([None, 9])),
        st.builds(lambda name: call(k="sub.start", name=name, under="all"), NAMES),
        st.builds(lambda name: call(k="sub.start", name=name, parent=1), NAMES),
        st.builds(lambda name, n: call(k="sub.info", name=name, add=n), NAMES, st.integers(0, 5)),
        st.builds(lambda n: call(k="sub.info", add=n), st.integers(0, 5)),
        st.builds(lambda n: call(k="sub.info", add=n, parent=2), st.integers(0, 5)),
        st.just(call(k="sub.info", percent=40.0)),
        st.builds(lambda name: call(k="sub.end", name=name, status="completed"), NAMES),
    ),
    max_size=12,
)
PROGRAM: Facts = [
    {"k": "run.start", "task": "A"},
    {"k": "sub.start", "n": 1, "name": "one"},
    {"k": "sub.start", "n": 2, "name": "two"},
    {"k": "sub.info", "n": 2, "complete": 7},
    {"k": "sub.end", "n": 1, "status": "completed"},
    {"k": "run.end", "status": "failed"},
]


def timed(facts: Facts) -> Facts:
    return [{"run": "r", "t": T0 + i, "m": 10.0 + i} | fact for i, fact in enumerate(facts)]


def folded(calls: Facts, program: Facts = PROGRAM, turns: list[bool] | None = None) -> RunState:
    """The two journals applied in turns: True takes the next call, False the next fact of the program."""
    owner, caller = WriterState(journal="j"), WriterState(journal="r-calls", role="worker")
    state = new_run("r", "m", owner, T0)
    queues = {True: timed(calls), False: timed(program)}
    for turn in [*(turns or []), *[False] * len(program), *[True] * len(calls)]:
        if queues[turn]:
            fold(state, queues[turn].pop(0), caller if turn else owner, T0)
    state.settle()
    return state


def told(state: RunState) -> dict[int, Any]:
    return {
        n: (sub.name, sub.parent, sub.heading, sub.items_complete, sub.items_total, sub.percent, sub.status)
        for n, sub in sorted(state.subs.items())
    }


@FEW
@given(CALLS, st.lists(st.booleans(), max_size=20))
def test_the_order_in_which_journals_are_read_changes_nothing(calls: Facts, turns: list[bool]) -> None:
    assert told(folded(calls, turns=turns)) == told(folded(calls))


@FEW
@given(CALLS)
def test_nothing_that_was_added_is_lost_or_doubled(calls: Facts) -> None:
    state = folded(calls)
    counted = sum(sub.items_complete or 0 for sub in state.subs.values()) - 7  # the program's own
    assert counted == sum(fact.get("add", 0) for fact in calls)


@FEW
@given(CALLS, st.integers(1, 4))
def test_a_state_read_back_from_the_store_goes_on_with_the_same_numbers(calls: Facts, part: int) -> None:
    whole = folded(calls)
    owner, caller = WriterState(journal="j"), WriterState(journal="r-calls", role="worker")
    state = new_run("r", "m", owner, T0)
    for fact in timed(PROGRAM):
        fold(state, fact, owner, T0)
    for number, fact in enumerate(timed(calls)):
        if number % part == 0:
            state.named, state.named_count = None, 0  # what is not stored
        fold(state, fact, caller, T0)
    assert {n: sub.items_complete for n, sub in state.subs.items()} == {
        n: sub.items_complete for n, sub in whole.subs.items()
    }


def test_many_begin_the_same_and_one_that_ended_begins_anew() -> None:
    state = folded([call(k="sub.start", name="x")] * 3 + [call(k="sub.end", name="x", status="failed", error="no")])
    assert [sub.name for n, sub in state.subs.items() if n >= FIRST] == ["x"]
    state = folded(
        [
            call(k="sub.start", name="x"),
            call(k="sub.end", name="x", status="completed"),
            call(k="sub.start", name="x"),
            call(k="sub.info", add=2),
        ]
    )
    assert [(sub.status, sub.items_complete) for n, sub in state.subs.items() if n >= FIRST] == [
        (SubtaskStatus.COMPLETED, None),
        (SubtaskStatus.FAILED, 2),  # closed by the end of its run
    ]


def test_what_counts_without_a_name() -> None:
    running = PROGRAM[:1]
    state = folded([call(k="sub.info", add=1, unit="files"), call(k="sub.info", add=1)], running)
    assert [(sub.name, sub.items_complete) for sub in state.subs.values()] == [("files", 2)]
    state = folded([call(k="sub.info", percent=45.0, message="half")], running)
    assert (state.overall_percent, state.overall_message, state.subs) == (45.0, "half", {})
    state = folded([call(k="sub.info", add=3, parent=2)], PROGRAM[:3])
    assert state.subs[2].items_complete == 3, "the subtask of the script that is open"
    state = folded([call(k="sub.start", name="x", parent=2), call(k="sub.info", add=3, parent=2)], PROGRAM[:3])
    assert (state.subs[2].heading, state.subs[FIRST].items_complete) == (True, 3), "what was begun inside it"


def test_headings_by_name() -> None:
    state = folded(
        [call(k="sub.start", name="x", under="all"), call(k="sub.start", name="y", under="all")], PROGRAM[:1]
    )
    assert told(state)[FIRST][:3] == ("all", None, True)
    assert [sub.parent for n, sub in state.subs.items() if n > FIRST] == [FIRST, FIRST]
    assert state.leaves == 2


def test_nobody_is_shown_numbers_that_nobody_counts_by() -> None:
    assert [shown(n) for n in (None, 0, 1, 112, 1024, FIRST)] == ["", "", "1", "112", "", ""]


def test_the_store_has_what_was_told_however_often_it_is_applied(store: Store) -> None:
    calls = [call(k="sub.start", name="x", total=9), *[call(k="sub.info", add=2)] * 4]
    program, caller = Journal("j"), Journal("r-calls", writer={"role": "worker"})
    program.fact("run.start", "r", task="A")
    for fact in calls:
        caller.fact(fact["k"], "r", **{name: value for name, value in fact.items() if name not in ("k", "run")})
    for _ in range(3):
        give(store, program, caller)
        store.cache.clear()
    (run,) = find(store, "A")
    assert (run.status, run.subtask_name, run.items_complete, run.items_total) == (RunStatus.RUNNING, "x", 8, 9)
