"""Executors and pools, real ones: calls are counted exactly, however workers are started and however they end."""

import textwrap
from pathlib import Path

import pytest

from support.recording import Recorded, environment, only_run, recorded, run_script

METHODS = ["fork", "spawn", "forkserver"]
HEAD = """
import concurrent.futures as futures, multiprocessing as mp, os, sys, time
import statustui
from statustui.contrib.futures import as_completed, tracked
from statustui.contrib.multiprocessing import pool_imap, pool_imap_unordered, pool_map, pool_starmap

def double(n):
    return 2 * n

def picky(n):
    if n % 10 == 3:
        raise ValueError(f"no {n}")
    return n

def add(a, b):
    return a + b

def die(n):
    if n == 5:
        time.sleep(0.3)
        os.kill(os.getpid(), 9)
    return n
"""


def record(env: Path, state_dir: Path, code: str, *arguments: str) -> Recorded:
    """What a program of *code* has recorded in its only run; it prints nothing."""
    program = HEAD + '\nif __name__ == "__main__":\n' + textwrap.indent(textwrap.dedent(code), "    ")
    done = run_script(env / "pools.py", program, *arguments, env=environment(STATUSTUI_STRICT="1"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return only_run(state_dir)


def figures(run: Recorded) -> list[tuple[str, int, int | None, str]]:
    return [(sub.name, sub.complete, sub.total, sub.status) for _, sub in sorted(run.subs.items())]


EXECUTORS = """
    def pool():
        if sys.argv[1] == "threads":
            return futures.ThreadPoolExecutor(3)
        return futures.ProcessPoolExecutor(2, mp_context=mp.get_context(sys.argv[1]))
    with statustui.run("pools") as run:
        with pool() as executor:
            with tracked(executor, "submit", unit="files") as work:
                sent = [work.submit(picky, n) for n in range(40)]
            assert sum(future.exception() is None for future in sent) == 36
            with tracked(executor, "map", total=101) as work:
                assert list(work.map(double, range(100), chunksize=7)) == [2 * n for n in range(100)]
                assert list(work.map(add, [1], iter((2, 3)))) == [3]
                assert list(work.map(add, [], [])) == []
            found = [future.result() for future in as_completed([executor.submit(double, n) for n in range(9)], "done")]
            assert sorted(found) == [2 * n for n in range(9)]
            try:
                with tracked(executor, "raises") as work:
                    work.submit(picky, 3).result()
            except ValueError:
                pass
            for future in as_completed([executor.submit(double, n) for n in range(3)], "left"):
                break
"""


@pytest.mark.parametrize("method", ["threads", *METHODS])
def test_what_executors_do_is_counted(method: str, env: Path, state_dir: Path) -> None:
    run = record(env, state_dir, EXECUTORS, method)
    assert figures(run) == [
        ("submit", 40, 40, "completed"), ("map", 101, 101, "completed"), ("done", 9, 9, "completed"),
        ("raises", 1, 1, "failed"), ("left", 1, 3, "completed"),
    ]  # fmt: skip
    message = run.named("submit").message
    assert message is not None and message.startswith("4 failed, last: ValueError: no ")
    assert run.end["status"] == "finished"


POOLS = """
    with statustui.run("pools") as run, mp.get_context(sys.argv[1]).Pool(2, maxtasksperchild=30) as pool:
        assert pool_map(pool, double, range(200), "map", unit="files") == [2 * n for n in range(200)]
        assert pool_map(pool, double, (n for n in range(5)), "generator", chunksize=2) == [0, 2, 4, 6, 8]
        assert pool_starmap(pool, add, [(1, 2), (3, 4)], "starmap") == [3, 7]
        assert list(pool_imap(pool, double, range(20), "imap", chunksize=3)) == [2 * n for n in range(20)]
        found = pool_imap_unordered(pool, double, iter(range(20)), "unordered", total=20)
        assert sorted(found) == list(range(0, 40, 2))
        try:
            pool_map(pool, picky, range(20), "fails", chunksize=1)
        except ValueError:
            pass
        results, got = pool_imap(pool, picky, range(20), "goes on"), []
        while True:
            try:
                got.append(next(results))
            except ValueError:
                pass
            except StopIteration:
                break
        assert got == [n for n in range(20) if n % 10 != 3]
        for n in pool_imap(pool, double, range(4), "left"):
            break
        pool.close()
        pool.join()
"""


@pytest.mark.parametrize("method", METHODS)
def test_what_pools_do_is_counted(method: str, env: Path, state_dir: Path) -> None:
    run = record(env, state_dir, POOLS, method)
    found = {name: (done, total, status) for name, done, total, status in figures(run)}
    assert found.pop("fails")[1:] == (20, "failed")
    assert found == {
        "map": (200, 200, "completed"), "generator": (5, 5, "completed"), "starmap": (2, 2, "completed"),
        "imap": (20, 20, "completed"), "unordered": (20, 20, "completed"), "goes on": (20, 20, "completed"),
        "left": (4, 4, "completed"),
    }  # fmt: skip
    message = run.named("goes on").message
    assert message is not None and message.startswith("2 failed")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_killed_worker_fails_the_subtask_also_where_its_error_is_handled(
    method: str, env: Path, state_dir: Path
) -> None:
    code = """
        executor = futures.ProcessPoolExecutor(1, mp_context=mp.get_context(sys.argv[1]))
        with statustui.run("pools") as run:
            with tracked(executor, "handled") as work:
                sent = [work.submit(die, n) for n in range(8)]
                broken = [future for future in futures.as_completed(sent) if future.exception()]
            assert len(broken) == 3, broken
    """
    run = record(env, state_dir, code, method)
    sub = run.named("handled")
    assert (sub.complete, sub.total, sub.status) == (5, 8, "failed")
    assert sub.error is not None and "BrokenProcessPool" in sub.error
    assert run.end["status"] == "finished"


def test_without_a_run_they_are_the_pool_s_own(env: Path, state_dir: Path) -> None:
    code = (
        HEAD
        + """
with futures.ThreadPoolExecutor(1) as executor, tracked(executor, "x") as work:
    print(work.submit(double, 2).result(), list(work.map(add, [1, 2], [3, 4])))
    print([future.result() for future in as_completed([executor.submit(double, 3)])])
    work.submit(double, 1)
from multiprocessing.pool import ThreadPool
with ThreadPool(1) as pool:
    print(pool_map(pool, double, [1]), list(pool_imap(pool, double, [2])), pool_starmap(pool, add, [(1, 2)]))
"""
    )
    done = run_script(env / "plain.py", code)
    assert (done.stdout, done.stderr) == ("4 [4, 6]\n[6]\n[2] [4] [3]\n", "")
    assert recorded(state_dir) == {}


def test_an_interrupt_cancels_what_was_submitted(env: Path, state_dir: Path) -> None:
    code = """
        try:
            with statustui.run("pools"), futures.ThreadPoolExecutor(1) as executor:
                with tracked(executor, "interrupted") as work:
                    work.submit(time.sleep, 0.01)
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
    """
    run = record(env, state_dir, code)
    assert run.named("interrupted").status == run.end["status"] == "cancelled"
