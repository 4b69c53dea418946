"""Record application as a pure function: any prefix, repetition, crash point and interleaving; any values."""

import copy
from dataclasses import fields
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from statustui.model.fold import fold, fold_count, fold_death, fold_slot, new_run
from statustui.model.progress import overall_percent
from statustui.model.state import RunState, WriterState
from statustui.model.status import RunStatus, SubtaskStatus
from statustui.store import rows
from statustui.store.apply import Batch, JournalBatch, apply
from statustui.store.open import Store
from statustui.store.reads import detail, runs
from statustui.store.selector import Selector
from support.stores import HOST, T0, Journal

FEW = settings(max_examples=60, deadline=None)
Facts = list[dict[str, Any]]
NUMBERS = st.integers(1, 4)
ENDS = st.sampled_from(["completed", "failed", "skipped", "cancelled"])


@st.composite
def program(draw: st.DrawFn) -> Facts:
    """What one program may write about its run, well-formed but in any order that calls can come in."""
    facts: Facts = [{"k": "run.start", "task": "A", "total": draw(st.sampled_from([None, 2, 4, 9]))}]
    for _ in range(draw(st.integers(0, 12))):
        n = draw(NUMBERS)
        facts.append(
            draw(
                st.sampled_from(
                    [
                        {"k": "sub.start", "n": n, "name": f"s{n}", "total": 10, "weight": float(n)},
                        {"k": "sub.start", "n": n, "name": f"s{n}", "announced": True},
                        {"k": "sub.start", "n": n, "name": f"s{n}", "parent": 1},
                        {"k": "sub.info", "n": n, "complete": draw(st.integers(0, 12)), "message": "m"},
                        {"k": "sub.info", "n": n, "inner": {"file": n}},
                        {"k": "sub.end", "n": n, "status": draw(ENDS), "complete": draw(st.integers(0, 12))},
                        {"k": "run.info", "message": f"at {n}"},
                        {"k": "event", "kind": "log", "message": "hello"},
                        {"k": "metric", "name": "rows", "value": n},
                    ]
                )
            )
        )
    if draw(st.booleans()):
        facts.append({"k": "run.end", "status": draw(st.sampled_from(["finished", "failed", "cancelled"]))})
    return facts


def timed(facts: Facts) -> Facts:
    return [{"run": "r", "t": T0 + i, "m": 10.0 + i} | fact for i, fact in enumerate(facts)]


def folded(facts: Facts, writer: WriterState | None = None) -> RunState:
    writer = writer or WriterState(journal="j")
    state = new_run("r", "m", writer, T0)
    for fact in facts:
        fold(state, fact, writer, T0)
    state.settle()
    return state


def compared(state: RunState) -> dict[str, Any]:
    """What must agree; bookkeeping and what depends on the size of batches is left out."""
    ignored = {"id", "rev", "dirty", "details_dirty", "counted", "counted_s", "events", "profile", "subs"}
    ignored.add("leaf_weight")
    found = {f.name: getattr(state, f.name) for f in fields(state) if f.name not in ignored}
    found["subs"] = {
        n: {f.name: getattr(sub, f.name) for f in fields(sub) if f.name != "dirty"} for n, sub in state.subs.items()
    }
    found["work_done"] = round(state.work_done, 6)
    return found


@FEW
@given(program())
def test_the_sums_are_those_of_the_subtasks(facts: Facts) -> None:
    for end in range(1, len(facts) + 1):
        state = folded(timed(facts[:end]))
        leaves = [sub for sub in state.subs.values() if not sub.heading]
        assert state.leaves == len(leaves)
        assert state.subtasks_done == sum(sub.status.done for sub in leaves)
        expected = overall_percent([(sub.weight, sub.fraction) for sub in leaves], state.total_subtasks)
        if state.work_total is not None and expected is not None:
            assert state.fraction is not None
            assert abs(state.fraction * 100 - expected) < 1e-6
        running = [sub.number for sub in leaves if sub.status is SubtaskStatus.RUNNING]
        assert not running or state.current_subtask in running


def test_subtasks_not_announced_yet_weigh_what_the_others_do_on_average() -> None:
    state = folded(
        timed(
            [
                {"k": "run.start", "total": 4},
                {"k": "sub.start", "n": 1, "name": "a", "weight": 300},
                {"k": "sub.end", "n": 1, "status": "completed"},
                {"k": "sub.start", "n": 2, "name": "b", "weight": 500},
            ]
        )
    )
    assert state.work_total == 1600
    assert state.fraction == 300 / 1600


def test_what_began_before_it_was_told_of_has_its_true_start_and_no_pause_before() -> None:
    facts: Facts = [
        {"k": "run.start", "task": "A", "t": T0 + 5000, "m": 6000.0, "began": T0},
        {"k": "sub.start", "n": 1, "name": "big.iso", "t": T0 + 5001, "m": 6001.0},
    ]
    state = folded([{"run": "r"} | fact for fact in facts])
    assert (state.started_at, state.start_m, state.status) == (T0, 1000.0, RunStatus.RUNNING)
    assert state.longest_gap_s == 1.0
    later = folded([{"run": "r", **facts[0], "began": T0 + 9000}])
    assert later.started_at == T0 + 5000, "nothing begins after it was told of"


def test_a_total_that_is_not_known_any_more_is_cleared() -> None:
    facts: Facts = [
        {"k": "run.start", "task": "A", "total": 1},
        {"k": "sub.start", "n": 1, "name": "big.iso", "total": 100},
        {"k": "sub.end", "n": 1, "status": "completed"},
    ]
    state = folded(timed(facts))
    state.settle()
    assert state.fraction == 1.0
    state = folded(timed([*facts, {"k": "run.info", "total": None}]))
    state.settle()
    assert state.fraction is None


@FEW
@given(program())
def test_an_ended_run_has_no_running_subtask_and_a_bad_end_completes_nothing(facts: Facts) -> None:
    before = folded(timed(facts[:-1]))
    after = folded(timed(facts))
    if after.status.open:
        return
    assert all(sub.status is not SubtaskStatus.RUNNING for sub in after.subs.values())
    assert after.ended_at is not None and after.ended_at >= after.started_at
    if facts[-1]["k"] == "run.end" and after.status is not RunStatus.FINISHED:
        assert after.subtasks_done == before.subtasks_done
        for number, sub in before.subs.items():
            assert after.subs[number].items_complete == sub.items_complete


@FEW
@given(program(), program())
def test_a_terminal_status_is_final(facts: Facts, more: Facts) -> None:
    ended = [*facts, {"k": "run.end", "status": "finished"}]
    state = folded(timed(ended))
    said = state.status, state.ended_at
    assert (lambda s: (s.status, s.ended_at))(folded(timed([*ended, *more]))) == said
    fold_death(state, RunStatus.LOST, T0 + 99)
    assert (state.status, state.ended_at) == said


@FEW
@given(program(), st.integers(0, 40))
def test_a_lost_run_that_lives_is_as_if_it_had_never_been_lost(facts: Facts, cut: int) -> None:
    facts = timed([*facts, {"k": "sub.info", "n": 1, "message": "alive"}])
    cut = max(1, min(cut, len(facts) - 1))
    writer = WriterState(journal="j")
    state = folded(facts[:cut], writer)
    fold_death(state, RunStatus.LOST, T0 + cut - 0.5, reason="gone")
    for fact in facts[cut:]:
        fold(state, fact, writer, T0)
    state.settle()
    assert compared(state) == compared(folded(facts))


@FEW
@given(program(), st.lists(st.tuples(st.integers(0, 2), NUMBERS, st.integers(0, 50)), max_size=20), st.randoms())
def test_counts_of_writers_add_up_in_any_interleaving(facts: Facts, counted: list[Any], random: Any) -> None:
    def run(order: list[int]) -> dict[int, int | None]:
        main = WriterState(journal="main")
        workers = [WriterState(journal=f"w{i}", role="worker") for i in range(3)]
        state = new_run("r", "m", main, T0)
        left: list[list[Any]] = [timed(facts), *([c for c in counted if c[0] == i] for i in range(3))]
        for who in order:
            if who == 0:
                fold(state, left[0].pop(0), main, T0)
            else:
                worker, number, complete = left[who].pop(0)
                fold_count(state, number, complete, workers[worker], T0, None)
        return {n: sub.items_complete for n, sub in state.subs.items()}

    order = [0] * len(facts) + [who + 1 for who, _, _ in counted]
    first = run(order)
    random.shuffle(order)
    assert run(order) == first


@FEW
@given(st.data())
def test_wrapper_and_program_converge_however_they_are_read(data: st.DataObject) -> None:
    inner = data.draw(program())
    inner[0] |= {"prestarted": True}
    outer: Facts = [
        {"k": "run.start", "task": "cmd", "wrapped": True, "named": data.draw(st.booleans()), "log_path": "/l"},
        {"k": "run.info", "pid": 77, "start": 5, "pgid": 77},
    ]
    status = data.draw(st.sampled_from([None, "finished", "failed", "cancelled"]))
    if status is not None:
        outer.append({"k": "run.end", "status": status, "exit_code": 1, "duration": 50.0})
    facts = {0: timed(outer), 1: [fact | {"t": fact["t"] + 0.5, "m": fact["m"] + 0.5} for fact in timed(inner)]}
    facts[0][-1] |= {"t": T0 + 60, "m": 70.0} if status else {}

    def run(order: list[int]) -> dict[str, Any]:
        writers = (WriterState(journal="w", role="wrapper", pid=1), WriterState(journal="p", pid=77))
        state = new_run("r", "m", writers[0], T0)
        left = copy.deepcopy(facts)
        for who in order:
            fold(state, left[who].pop(0), writers[who], T0)
        state.settle()
        found = compared(state)
        del found["longest_gap_s"]  # Measured as it is read.
        return found

    order = [0] * len(facts[0]) + [1] * len(facts[1])
    wanted = run(order)
    assert wanted["status"] is (RunStatus(status) if status else RunStatus.RUNNING)
    assert run(data.draw(st.permutations(order))) == wanted


SCALARS = (st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))
JUNK = st.recursive(
    st.one_of(*SCALARS, st.sampled_from([2**63, -(2**70), "\0", "\ud800"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("task", "n", "total", "complete", "percent", "message", "weight", "status", "duration", "error", "t",
          "m", "pid", "args", "tags", "env", "params", "name", "value", "inner", "attempt", "grace", "i", "parent",
          "kind")  # fmt: skip
KINDS = ("run.start", "run.info", "run.end", "sub.start", "sub.info", "sub.end", "event", "metric", "counter", "odd")


@FEW
@given(st.lists(st.tuples(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), JUNK)), max_size=12), JUNK)
def test_no_value_raises_or_leaves_the_bounds(junk: list[tuple[str, dict[str, Any]]], slot: Any) -> None:
    writer = WriterState(journal="j")
    state = new_run("r", "m", writer, T0)
    for kind, values in junk:
        fold(state, {"k": kind, "run": "r"} | values, writer, T0)
    fold_slot(state, {"message": slot, "percent": slot, "metrics": slot, "subs": {"1": {"c": slot, "in": slot}}},
              writer, T0, None)  # fmt: skip
    fold_death(state, RunStatus.LOST, T0)
    state.settle()
    assert state.fraction is None or 0.0 <= state.fraction <= 1.0
    for sub in state.subs.values():
        assert sub.items_complete is None or 0 <= sub.items_complete < 2**63
        rows.sub_row(1, sub)
    rows.run_row(state)
    rows.details_row(state)


def stored(store: Store, run: str) -> tuple[Any, ...]:
    found = detail(store, run)
    return (
        {f.name: getattr(found.run, f.name) for f in fields(found.run) if f.name not in ("id", "run_id")},
        found.subtasks, found.metrics, [(e.at, e.kind, e.message) for e in found.events],
    )  # fmt: skip


def hand_over(store: Store, journal: Journal, upto: int, acked: int = 0) -> None:
    batch = JournalBatch(journal=journal.name, writer=journal.writer, acked=acked, lines=tuple(journal.lines[:upto]))
    apply(store, Batch(host=HOST, journals=(batch,)))


_START: Facts = [{"k": "run.start", "task": "A"}, *[{"k": "sub.start", "n": 1, "name": "s", "total": 10}] * 3]


@settings(max_examples=15, deadline=None)
@example(facts=[*_START, {"k": "sub.start", "n": 1, "announced": True}, _START[1]], cuts=[3, 6], forget=True)
@given(facts=program(), cuts=st.lists(st.integers(1, 15), max_size=4), forget=st.booleans())
def test_any_crash_point_and_repetition_gives_the_rows_of_one_go(facts: Facts, cuts: list[int], forget: bool) -> None:
    import tempfile

    from statustui.model.ids import new_id
    from statustui.store.open import open_store

    with tempfile.TemporaryDirectory() as base, open_store(f"{base}/s.db") as store:
        made = []
        for pieces in ([], sorted(cuts)):
            run, journal = new_id(), Journal()
            for fact in timed(facts):
                journal.lines.append((journal.offset, journal.offset + 50, fact | {"run": run}))
                journal.offset += 50
            for upto in [*pieces, len(journal.lines)]:
                hand_over(store, journal, upto)
                if forget:
                    store.drop()  # As after a drainer that was killed: only what is stored counts.
                hand_over(store, journal, upto)
            made.append(run)
        first, second = (stored(store, run) for run in made)
        for name in ("resolved", "attempt"):
            first[0].pop(name), second[0].pop(name)
        assert second == first
        assert len(runs(store, Selector())) == 2


def test_failures_without_a_fingerprint_of_their_own_fold_by_their_message() -> None:
    def failed(task: str, message: str, **error: str) -> RunState:
        end = {"k": "run.end", "status": "failed", "error": {"type": "ExitStatus", "message": message, **error}}
        return folded(timed([{"k": "run.start", "task": task}, end]))

    one, two = failed("A", "curl https://x/1: status 7, line 12"), failed("B", "curl https://x/2: status 7, line 90")
    assert one.fingerprint == two.fingerprint is not None
    assert failed("A", "curl: status 6").fingerprint != one.fingerprint
    assert failed("A", "status 7").fingerprint == failed("A", "status 8").fingerprint
    assert failed("A", "status 7").fingerprint != failed("B", "status 7").fingerprint, "nothing that tasks share"
    assert failed("A", "x", fingerprint="its own").fingerprint == "its own"


def test_only_the_end_that_was_named_gives_way_to_the_word_of_the_kernel() -> None:
    facts: Facts = [
        {"k": "run.start", "task": "A"}, {"k": "sub.start", "n": 1, "name": "a"},
        {"k": "run.end", "status": "finished", "provisional": True},
    ]  # fmt: skip
    state = folded(timed(facts))
    fold_death(state, RunStatus.CANCELLED, T0 + 9, reason="ended by SIGTERM (15)", signal=15, instead_of="failed")
    assert state.status is RunStatus.FINISHED
    fold_death(state, RunStatus.CANCELLED, T0 + 9, reason="ended by SIGTERM (15)", signal=15, instead_of="finished")
    assert (state.status, state.signal, state.subs[1].status) == (
        RunStatus.CANCELLED, 15, SubtaskStatus.CANCELLED,
    )  # fmt: skip
    assert state.subtasks_done == 0
    before = compared(state)
    fold_death(state, RunStatus.LOST, T0 + 10, instead_of="finished")
    assert compared(state) == before, "once"
    failed = folded(timed([*facts[:1], {"k": "run.end", "status": "finished"}]))
    fold_death(failed, RunStatus.FAILED, T0 + 9, reason="exit status 3", exit_code=3, instead_of="finished")
    assert (failed.status, failed.error_type, failed.error_message) == (RunStatus.FAILED, "ExitStatus", "exit status 3")
    assert failed.fingerprint is not None
