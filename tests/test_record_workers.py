"""Counts of worker processes add up exactly, however the workers are started and however they end."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from support.recording import environment, only_run, recorded, script

HEAD = "import os, signal, sys, time\nimport statustui\n"

POOL = """
    import multiprocessing as mp
    from functools import partial

    def work(n, sub):
        sub.advance()
        return n

    if __name__ == "__main__":
        method = sys.argv[1]
        with statustui.run("pool") as run:
            with mp.get_context(method).Pool(2, maxtasksperchild=40) as pool, run.subtask("count", total=200) as sub:
                print(sum(pool.imap_unordered(partial(work, sub=sub), range(200))))
                sub.advance(5)
            with mp.get_context(method).Pool(2) as pool, run.subtask("again") as sub:
                pool.map(partial(work, sub=sub), range(50))
                pool.terminate()
"""

EXECUTOR = """
    import multiprocessing as mp
    from concurrent.futures import ProcessPoolExecutor
    from functools import partial

    def work(n, sub):
        sub.advance(n)

    if __name__ == "__main__":
        with statustui.run("pool") as run, run.subtask("count") as sub:
            with ProcessPoolExecutor(2, mp_context=mp.get_context(sys.argv[1])) as pool:
                list(pool.map(partial(work, sub=sub), range(101)))
            print("done")
"""


def run_program(env: Path, code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    path = script(env / "program.py", HEAD + textwrap.dedent(code))
    return subprocess.run(
        [sys.executable, "-W", "error", str(path), *arguments],
        env=environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_count_exactly(method: str, env: Path, state_dir: Path) -> None:
    done = run_program(env, POOL, method)
    assert (done.stderr, done.stdout) == ("", "19900\n")
    run = only_run(state_dir)
    assert run.named("count").complete == 205
    assert run.named("again").complete == 50
    assert run.end["status"] == "finished"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_executors_count_exactly(method: str, env: Path, state_dir: Path) -> None:
    done = run_program(env, EXECUTOR, method)
    assert (done.stderr, done.stdout) == ("", "done\n")
    assert only_run(state_dir).named("count").complete == 5050


@pytest.mark.parametrize(
    "how", ["os._exit(3)", "os.kill(os.getpid(), 9)", "os.abort()", "os.execv('/bin/true', ['true'])"]
)
def test_counts_survive_the_death_of_a_worker(how: str, env: Path, state_dir: Path) -> None:
    code = f"""
        with statustui.run("x") as run, run.subtask("count") as sub:
            advance = sub.advance
            sub.advance(1000)
            for n in range(10):
                if os.fork() == 0:
                    for _ in range(100):
                        sub.advance()
                    advance(7)
                    {how}
                sub.advance(3)
            for n in range(10):
                os.wait()
    """
    done = run_program(env, code)
    assert done.stderr == ""
    assert only_run(state_dir).named("count").complete == 1000 + 10 * 107 + 30


def test_counts_of_a_worker_that_is_terminated_while_it_counts(env: Path, state_dir: Path) -> None:
    code = """
        import multiprocessing as mp

        def work(sub, pipe):
            n = 0
            while True:
                sub.advance()
                n += 1
                pipe.send_bytes(n.to_bytes(8, "little"))

        if __name__ == "__main__":
            with statustui.run("x") as run, run.subtask("count") as sub:
                told = 0
                for method in ("fork", "spawn"):
                    context = mp.get_context(method)
                    here, there = context.Pipe(False)
                    process = context.Process(target=work, args=(sub, there))
                    process.start()
                    there.close()
                    last = 0
                    while last < 500:
                        last = int.from_bytes(here.recv_bytes(), "little")
                    process.terminate()
                    process.join()
                    try:
                        while True:
                            last = int.from_bytes(here.recv_bytes(), "little")
                    except EOFError:
                        pass
                    told += last
                print(told)
    """
    done = run_program(env, code)
    assert done.stderr == ""
    told = int(done.stdout)
    # the last count of each worker may have been made and not told
    assert told <= only_run(state_dir).named("count").complete <= told + 2


def test_a_program_started_with_the_context_counts_for_the_run(env: Path, state_dir: Path) -> None:
    worker = script(
        env / "worker.py",
        HEAD + "run = statustui.current()\nlist(run.track(range(30), 'worker'))\nos.kill(os.getpid(), 9)\n",
    )
    code = f"""
        import subprocess
        with statustui.run("x") as run:
            env = {{**os.environ, **run.context().env()}}
            workers = [subprocess.Popen([sys.executable, {str(worker)!r}], env=env) for _ in range(3)]
            print([worker.wait() for worker in workers])
    """
    done = run_program(env, code)
    assert (done.stdout, done.stderr) == ("[-9, -9, -9]\n", "")
    (run,) = recorded(state_dir).values()
    assert [sub.complete for sub in run.subs.values()] == [30, 30, 30]
    assert len(run.subs) == 3, "workers do not take one another's numbers"


def test_the_parent_counts_on_after_a_fork(env: Path, state_dir: Path) -> None:
    code = """
        with statustui.run("x") as run, run.subtask("a") as sub:
            for n in run.track([1, 2, 3, 4, 5], "loop"):
                sub.advance()
                if os.fork() == 0:
                    os._exit(0)
                os.wait()
                sub.advance()
            before = len(os.listdir("/proc/self/task"))
            print(before)
    """
    done = run_program(env, code)
    assert (done.stdout, done.stderr) == ("2\n", "")
    run = only_run(state_dir)
    assert run.named("a").complete == 10
    assert run.named("loop").complete == 5


def test_forking_hangs_nobody(env: Path) -> None:
    code = """
        with statustui.run("x") as run, run.subtask("a") as sub:
            for n in range(300):
                sub.advance()
                if os.fork() == 0:
                    sub.advance() if n % 10 == 0 else None
                    os._exit(0)
                os.wait()
        print("done")
    """
    done = run_program(env, code)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_no_process_waits_for_us(env: Path) -> None:
    """A daemon thread that records for ever does not keep the program."""
    code = """
        import threading
        with statustui.run("x") as run, run.subtask("a") as sub:
            def work():
                while True:
                    sub.advance()
                    run.log("x")
            threading.Thread(target=work, daemon=True).start()
            time.sleep(0.2)
    """
    done = run_program(env, code)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_worker_may_begin_any_number_of_subtasks(env: Path, state_dir: Path) -> None:
    code = """
        with statustui.run("x") as run:
            if os.fork() == 0:
                for n in range(2500):
                    with run.subtask(f"part {n}") as sub:
                        sub.advance(2)
                os.kill(os.getpid(), 9)
            os.wait()
    """
    done = run_program(env, code)
    assert done.stderr == ""
    run = only_run(state_dir)
    assert len(run.subs) == 2500
    assert {(sub.complete, sub.status) for sub in run.subs.values()} == {(2, "completed")}


def test_subtasks_of_a_forked_child_and_of_its_parent_are_told_apart(env: Path, state_dir: Path) -> None:
    code = """
        with statustui.run("x") as run:
            list(run.track(range(2), "before"))
            if os.fork() == 0:
                list(run.track(range(3), "child"))
                os._exit(0)
            os.wait()
            list(run.track(range(4), "parent"))
    """
    done = run_program(env, code)
    assert done.stderr == ""
    run = only_run(state_dir)
    assert sorted((sub.name, sub.complete, sub.status) for sub in run.subs.values()) == [
        ("before", 2, "completed"),
        ("child", 3, "completed"),
        ("parent", 4, "completed"),
    ]
