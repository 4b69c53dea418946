"""Bars of the real tqdm within, beside and after one another: which of them are levels, and what then counts."""

from pathlib import Path

import pytest

from support.bars import figures, record

pytest.importorskip("tqdm", reason="tqdm is not installed")


def test_inner_bars_make_the_second_level(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        for state in tqdm(["DE", "NY", "CA"], desc="states", mininterval=0):
            for row in tqdm(range(4), desc=f"load {state}", leave=False): pass
            with tqdm(total=9, desc=f"write {state}", leave=False) as bar:
                bar.update(7)
                for deeper in tqdm(range(3), leave=False): pass
        for _ in trange(2, desc="after"): pass
        """,
    )
    assert run.named("states").heading
    assert [(name, done, total) for name, done, total, _ in figures(run)] == [
        ("states", 3, 3), ("write DE", 7, 9), ("write NY", 7, 9), ("write CA", 7, 9), ("after", 2, 2),
    ]  # fmt: skip
    assert run.info["total"] == 4
    assert run.done == 4


def test_an_outer_bar_that_is_told_late_keeps_a_subtask_for_the_open_inner_one(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        from statustui.record import state
        with tqdm(total=4, desc="files") as outer:
            for n in range(4):
                with tqdm(total=5, desc=f"file {n}", leave=False) as inner:
                    if n == 3:
                        outer.update(2)  # of those before
                    for _ in range(5):
                        inner.update()
                        for one in state.every():
                            one.show()
                if n != 1 and n != 2:
                    outer.update()
        """,
    )
    assert [(leaf.name, leaf.complete) for leaf in run.leaves][-1] == ("file 3", 5)
    assert run.info["total"] == run.done == 4


def test_subtasks_of_the_program_beside_nested_bars_count_too(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        with run.subtask("before", total=2) as sub:
            sub.advance(2)
        for state in tqdm(["DE", "NY"], desc="states", mininterval=0):
            for row in tqdm(range(4), desc=f"load {state}", leave=False): pass
        with run.subtask("after", total=2) as sub:
            sub.advance(2)
        """,
    )
    assert run.info["total"] == run.done == 4


def test_an_outer_bar_by_hand_is_known_by_the_second_inner_one(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        with tqdm(total=3, desc="files", mininterval=0) as outer:
            for n in range(3):
                with tqdm(total=5, desc=f"file {n}", leave=False) as inner:
                    for _ in range(5):
                        inner.update()
                outer.update()
        """,
    )
    assert run.named("files").heading
    assert [leaf.name for leaf in run.leaves] == ["files 1", "file 1", "file 2"]
    assert run.info["total"] == run.done == 3


def test_a_long_outer_bar_stays_one_subtask(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        seen = []
        for n in tqdm(range(2000), desc="long", mininterval=0):
            for _ in tqdm(range(2), desc="inner", leave=False, mininterval=0):
                if n == 1000:
                    from statustui.record import state
                    for one in state.every():
                        one.show()
                    (sub,) = run._subs.values()
                    seen.append((sub.complete, sub._percent, sub._message))
        assert seen == [(1000, 50.0, "inner 0/2"), (1000, 50.025, "inner 1/2")], seen
        """,
    )
    assert figures(run) == [("long", 2000, 2000, "completed")]


def test_bars_that_move_together_stand_beside_each_other(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        from statustui.record import state
        bars = [tqdm(total=10, desc=f"part {n}", position=n) for n in range(3)]
        for _ in range(10):
            for bar in bars:
                bar.update()
            for one in state.every():
                one.show()
        for bar in bars:
            bar.close()
        for a, b in zip(tqdm(range(5), desc="left", mininterval=0), tqdm(range(5), desc="right", mininterval=0)):
            for one in state.every():
                one.show()
        """,
    )
    assert sorted(figures(run)) == [
        ("left", 5, 5, "completed"),
        ("part 0", 10, 10, "completed"),
        ("part 1", 10, 10, "completed"),
        ("part 2", 10, 10, "completed"),
        ("right", 4, 5, "completed"),  # zip asks the first, and drops the second: tqdm counts the same
    ]
    assert not any(sub.heading for sub in run.subs.values())


def test_bars_of_many_small_loops_are_counted_in_one_subtask_at_last(env: Path, state_dir: Path) -> None:
    run = record(env, state_dir, "for _ in range(1500):\n    for _ in tqdm(range(2), file=open(os.devnull, 'w')): pass")
    assert len(run.subs) == 1001
    assert run.named("further bars").complete == 500
