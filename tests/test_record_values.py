"""Values from outside: nothing raises, nothing corrupts; and runs handed to other processes."""

import copy
import math
import os
import pickle
import time
import warnings
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import statustui
from statustui.record import border, state
from support.recording import environment, only_run, recorded, recording_here, run_script


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch, env: Path) -> Iterator[None]:
    with recording_here(monkeypatch):
        yield


def by_task(state_dir: Path) -> dict[str, Any]:
    return {run.start["task"]: run for run in recorded(state_dir).values()}


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __float__(self) -> float:
        raise RuntimeError("no number")


BAD: list[Any] = [
    math.nan, math.inf, -math.inf, -5, 2**63, 2**200, 1e308, Decimal("NaN"), Decimal(3), Fraction(7, 2), True, None,
    "12", b"\xff", "\0", "\udcff\ud800", object(), Hostile(), [], {}, "x" * 1_000_000, "\x1b]52;c;x\x07",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: type(bad).__name__)
def test_no_value_raises_or_corrupts(bad: Any, state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(border, "strict", False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with statustui.run(
            bad, stage=bad, subtasks=bad, params=bad, tags=bad if isinstance(bad, list) else [bad], label=bad
        ) as run:
            run.message = bad
            run.percent = bad
            run.metric(bad, bad)
            run.log(bad, kind=bad, detail=bad)
            with run.subtask(bad, total=bad, unit=bad, weight=bad) as sub:
                sub.advance(bad)
                sub.advance(1, message=bad)
                sub.update(complete=bad, total=bad, percent=bad, message=bad)
                for one in state.every():
                    one.show()
            list(run.track([1, 2], bad, total=bad, unit=bad, weight=bad))
    run_ = only_run(state_dir)
    assert run_.end["status"] == "finished"
    assert all(0 <= sub.complete < 2**63 for sub in run_.subs.values())


def test_counts_that_make_no_sense_are_kept_as_they_are_told(state_dir: Path) -> None:
    with statustui.run("x") as run, run.subtask("s", total=10) as sub:
        sub.update(complete=12)
        sub.update(complete=-3)
        assert sub.complete == 0
        sub.update(complete=25)
    assert (only_run(state_dir).named("s").complete, only_run(state_dir).named("s").total) == (25, 10)


def test_a_message_of_100_mb_costs_nothing(state_dir: Path) -> None:
    huge = "m" * 100_000_000
    with statustui.run("x") as run, run.subtask("s") as sub:
        begin = time.perf_counter()
        sub.advance(1, message=huge)
        run.log(huge)
        assert time.perf_counter() - begin < 0.05
    assert "100,000,000 characters" in only_run(state_dir).events[0]["message"]


def test_a_call_that_does_not_fit_is_a_type_error() -> None:
    with statustui.run("x") as run, run.subtask("s") as sub:
        for wrong in (
            lambda: sub.advance(1, "m", 3),  # type: ignore[call-arg]
            lambda: sub.update(bogus=1),  # type: ignore[call-arg]
            lambda: run.metric("x"),  # type: ignore[call-arg]
            lambda: statustui.run("x", bogus=1),  # type: ignore[call-overload]
        ):
            with pytest.raises(TypeError):
                wrong()


def test_swallowed_errors_are_told_in_the_journal(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(border, "strict", False)
    with statustui.run("x") as run, run.subtask("s") as sub:
        sub.advance("many")  # type: ignore[arg-type]
        sub.advance("more")  # type: ignore[arg-type]
    (event,) = only_run(state_dir).events
    assert event["message"] == "2 recording calls failed, first: advance: ValueError: advance() of no number: many"
    assert capsys.readouterr() == ("", "")


def test_switched_off(monkeypatch: pytest.MonkeyPatch, state_dir: Path) -> None:
    monkeypatch.setenv("STATUSTUI_DISABLE", "1")
    with statustui.run("x") as run, run.subtask("s") as sub:
        assert list(run.track([1, 2], "loop")) == [1, 2]
        sub.advance()
        run.metric("a", 1)
    assert not run
    assert list(state_dir.iterdir()) == []


def test_a_configuration_that_can_not_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(border, "strict", False)
    monkeypatch.setenv("STATUSTUI_STORE", "mysql://x/y")
    with statustui.run("x") as run:
        assert list(run.track([1, 2], "loop")) == [1, 2]
    assert not run


def test_copies_in_one_process_are_the_same_objects() -> None:
    with statustui.run("x") as run, run.subtask("s") as sub:
        assert pickle.loads(pickle.dumps(sub)) is sub
        assert copy.deepcopy(run) is run
        assert len(pickle.dumps(run.context())) < 500


def test_a_join_token_is_used_once_and_only_by_the_child(env: Path, state_dir: Path) -> None:
    from statustui.journal.identity import start_tick
    from statustui.model.ids import new_id

    code = """
        import os, statustui
        with statustui.run("first"): pass
        with statustui.run("second"): pass
        print("STATUSTUI_JOIN" in os.environ)
    """
    run_id = new_id()
    good = f"{run_id}:{os.getpid()}:{start_tick()}"
    done = run_script(env / "x.py", code, env=environment(STATUSTUI_JOIN=good))
    assert (done.stdout, done.stderr) == ("False\n", "")
    runs = by_task(state_dir)
    assert (runs["first"].start["run"], runs["first"].start["prestarted"]) == (run_id, True)
    assert (runs["second"].start["parent"], "prestarted" in runs["second"].start) == (run_id, False)
    assert not (state_dir / "launch" / f"{run_id}.json").exists(), "the wrapper's launch file is not ours to write"
    for bad in (f"{run_id}:1:5", f"{run_id}:{os.getpid()}:5", "x", f"../../x:{os.getpid()}:{start_tick()}"):
        run_script(env / "x.py", code.replace('"first"', '"other"'), env=environment(STATUSTUI_JOIN=bad))
    assert all("prestarted" not in run.start for run in recorded(state_dir).values() if run.start["task"] == "other")


def test_a_program_started_for_a_run_is_its_child(env: Path, state_dir: Path) -> None:
    with statustui.run("parent") as run:
        code = "import statustui\nwith statustui.run('child'): pass\nstatustui.current().log('from the child')\n"
        run_script(env / "x.py", code, env=environment(**run.context().env()))
    runs = by_task(state_dir)
    assert runs["child"].start["parent"] == run.run_id
    assert [event["message"] for event in runs["parent"].events] == ["from the child"]
