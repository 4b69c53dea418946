"""Recording runs and subtasks: what is told, how things end, and that bad input neither raises nor corrupts."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import statustui
from statustui.record import context
from support.recording import environment, only_run, recorded, recording_here, run_script


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch, env: Path) -> Iterator[None]:
    with recording_here(monkeypatch):
        yield


def by_task(state_dir: Path) -> dict[str, Any]:
    return {run.start["task"]: run for run in recorded(state_dir).values()}


# --- importing ---------------------------------------------------------------------------------------------------


def test_importing_it_loads_nothing_and_starts_nothing() -> None:
    code = (
        "import sys, os; import statustui;"
        "bad = {'sqlalchemy','textual','psutil','subprocess','asyncio','json','typing'};"
        "print(sorted(bad & set(sys.modules)), len(os.listdir('/proc/self/task')))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "[] 1\n"


def test_recording_loads_no_database_and_no_terminal_library() -> None:
    code = (
        "import sys, statustui\nwith statustui.run('x') as run:\n    list(run.track([1], 'y'))\n"
        "print(sorted({'sqlalchemy','textual','psutil','subprocess','asyncio','rich','click'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_public_face_is_what_it_says() -> None:
    for name in statustui.__all__:
        assert getattr(statustui, name) is not None
    assert set(statustui.__all__) <= set(dir(statustui))
    with pytest.raises(AttributeError):
        statustui.nothing  # noqa: B018


# --- what is told ------------------------------------------------------------------------------------------------


def test_a_run_tells_where_it_comes_from(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("SOME_SECRET", "x")
    with statustui.run(
        "DAILY_01_x", subtasks=2, params={"rounds": 3, "password": "p"}, tags=["a", "b"], label="Delaware"
    ):
        pass
    start = only_run(state_dir).start
    assert (start["task"], start["stage"], start["type"], start["total"]) == ("DAILY_01_x", "DAILY", "python", 2)
    assert start["params"] == {"rounds": 3, "password": "[redacted]"}
    assert (start["tags"], start["label"], start["cwd"]) == (["a", "b"], "Delaware", os.getcwd())
    assert start["env"]["TZ"] == "UTC"
    assert "SOME_SECRET" not in start["env"]
    assert isinstance(start["args"], list)


def test_a_run_without_a_name_has_the_scripts(env: Path, state_dir: Path) -> None:
    run_script(env / "nightly_load.py", "import statustui\nwith statustui.run(): pass\n")
    run = only_run(state_dir)
    assert run.start["task"] == "nightly_load"
    assert run.start["script_path"] == str(env / "nightly_load.py")
    assert (run.end["status"], "error" in run.end) == ("finished", False)


@pytest.mark.parametrize(
    ("arguments", "stdin", "name"),
    [(["-c", "X"], None, "python -c"), (["-"], "X", "stdin"), (["-m", "pack"], None, "pack"), (["pack"], None, "pack")],
)
def test_names_where_there_is_no_script(
    arguments: list[str], stdin: str | None, name: str, env: Path, state_dir: Path
) -> None:
    code = "import statustui\nwith statustui.run(): pass\n"
    (env / "pack").mkdir()
    (env / "pack" / "__main__.py").write_text(code)
    command = [sys.executable, *[code if word == "X" else word for word in arguments]]
    text = code if stdin else ""
    subprocess.run(command, input=text, text=True, env=environment(), cwd=env, check=True)
    assert only_run(state_dir).start["task"] == name


def test_output_to_a_file_is_the_log(env: Path, state_dir: Path) -> None:
    log = env / "out.log"
    log.write_text("from an earlier run\n")
    with log.open("a") as out:
        code = "import statustui\nwith statustui.run('x'): print('hello')\n"
        subprocess.run([sys.executable, "-c", code], env=environment(), stdout=out, check=True)
    start = only_run(state_dir).start
    assert (start["log_path"], start["log_start"]) == (str(log), 20)
    assert start["log_inode"] == log.stat().st_ino


def test_the_launch_file_has_the_true_arguments_and_the_journal_does_not(env: Path, state_dir: Path) -> None:
    code = "import statustui\nwith statustui.run('x') as run: print(run.run_id)\n"
    done = run_script(env / "x.py", code, "--password", "hunter2", "--rows=5")
    from statustui.journal import launch

    record = launch.read(str(state_dir), done.stdout.strip())
    assert record["argv"] == [sys.executable, str(env / "x.py"), "--password", "hunter2", "--rows=5"]
    run = only_run(state_dir)
    assert run.start["args"] == [str(env / "x.py"), "--password", "[redacted]", "--rows=5"]
    journals = b"".join(path.read_bytes() for path in state_dir.glob("spool/*/*/*/*") if path.is_file())
    assert b"hunter2" not in journals


def test_a_deleted_working_directory(env: Path, state_dir: Path) -> None:
    gone = env / "gone"
    gone.mkdir()
    code = "import os, statustui\nos.rmdir(os.getcwd())\nwith statustui.run('x'): pass\n"
    script = env / "x.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, str(script)], env=environment(), cwd=gone, capture_output=True, check=True)
    assert done.stderr == b""
    assert "cwd" not in only_run(state_dir).start


def test_the_commit_is_read_without_a_process(env: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    git = env / "repo" / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    deep = env / "repo" / "a" / "b"
    deep.mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert context.git_commit(str(deep)) is None
    (git / "packed-refs").write_text(f"# pack-refs with: peeled\n{commit} refs/heads/main\n")
    assert context.git_commit(str(deep)) == commit
    (git / "refs" / "heads" / "main").write_text("f" * 40 + "\n")
    assert context.git_commit(str(deep)) == "f" * 40
    tree = env / "tree"
    tree.mkdir()
    (git / "worktrees" / "tree").mkdir(parents=True)
    (git / "worktrees" / "tree" / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "worktrees" / "tree" / "commondir").write_text("../..\n")
    (tree / ".git").write_text(f"gitdir: {git}/worktrees/tree\n")
    assert context.git_commit(str(tree)) == "f" * 40
    (git / "worktrees" / "tree" / "HEAD").write_text(commit + "\n")
    assert context.git_commit(str(tree)) == commit
    assert context.git_commit(None) is None


# --- subtasks ----------------------------------------------------------------------------------------------------


def test_subtasks_count_and_end(state_dir: Path) -> None:
    with statustui.run("x") as run:
        with run.subtask("write", total=8, unit="rows", weight=3) as sub:
            sub.advance()
            sub.advance(4, message="Delaware")
            assert (sub.complete, sub.total) == (5, 8)
            sub.update(total=10)
        with run.subtask("skip") as sub:
            sub.skip("nothing to do")
        run.subtask("by hand").end("failed", error="no")
    recorded_run = only_run(state_dir)
    write = recorded_run.named("write")
    assert (write.complete, write.total, write.weight, write.status) == (5, 10, 3, "completed")
    assert write.message == "Delaware"
    assert recorded_run.named("skip").status == "skipped"
    assert recorded_run.named("skip").message == "nothing to do"
    assert recorded_run.named("by hand").error == "no"


def test_a_nested_subtask_makes_the_outer_a_heading(state_dir: Path) -> None:
    with statustui.run("x") as run, run.subtask("outer") as outer:
        with run.subtask("inner 1"):
            pass
        list(run.track([1], "inner 2"))
        outer.subtask("inner 3").end()
    run_ = only_run(state_dir)
    assert run_.named("outer").heading
    assert [sub.parent for sub in run_.leaves] == [1, 1, 1]


def test_announced_subtasks_keep_their_numbers(state_dir: Path) -> None:
    with statustui.run("x") as run:
        run.subtasks({"a": 1, "b": 5})
        with run.subtask("b"):
            pass
        with run.subtask("c"):
            pass
    run_ = only_run(state_dir)
    assert {number: (sub.name, sub.announced) for number, sub in run_.subs.items()} == {
        1: ("a", True),
        2: ("b", False),
        3: ("c", False),
    }
    assert run_.named("b").weight == 5


def test_64_threads_count_exactly(state_dir: Path) -> None:
    with statustui.run("x") as run, run.subtask("count") as sub:

        def work() -> None:
            for _ in range(2_000):
                sub.advance()

        threads = [threading.Thread(target=work) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert only_run(state_dir).named("count").complete == 128_000


def test_progress_of_the_whole(state_dir: Path, wait_for: Callable[..., None]) -> None:
    with statustui.run("x") as run:
        run.message = "half way"
        run.percent = 50
        wait_for(lambda: (only_run(state_dir).message, only_run(state_dir).percent) == ("half way", 50))
        run.percent = None
        assert only_run(state_dir).info["percent"] is None
        run.metric("rows", 5)
        run.metric("nothing", None)
        run.log("reached", detail="more")
    run_ = only_run(state_dir)
    assert run_.metrics == {"rows": 5, "nothing": None}
    assert [(event["message"], event["detail"]) for event in run_.events] == [("reached", "more")]


# --- nesting, decorators, asyncio --------------------------------------------------------------------------------


def test_runs_nest(state_dir: Path) -> None:
    with statustui.run("outer") as outer:
        assert statustui.current() is outer
        with statustui.run("inner") as inner:
            assert statustui.current() is inner
        assert statustui.current() is outer
    runs = by_task(state_dir)
    assert runs["inner"].start["parent"] == outer.run_id
    assert "parent" not in runs["outer"].start
    assert not statustui.current()


def test_a_thread_works_in_the_run_around_it() -> None:
    with statustui.run("x") as run:
        found: list[statustui.Run] = []
        thread = threading.Thread(target=lambda: found.append(statustui.current()))
        thread.start()
        thread.join()
        assert found == [run]


def test_outside_a_run_nothing_happens(state_dir: Path) -> None:
    run = statustui.current()
    run.metric("x", 1)
    run.log("x")
    run.message = "x"
    with run.subtask("x", total=3) as sub:
        sub.advance()
        sub.update(complete=2, message="x")
    assert not run
    assert recorded(state_dir) == {}


def test_decorated_functions(state_dir: Path) -> None:
    @statustui.run("named", stage="S")
    def one(a: int) -> int:
        return a + 1

    @statustui.run
    def two() -> str:
        return statustui.current().task

    assert (one(1), one(2), two()) == (2, 3, "two")
    assert two.__name__ == "two"
    assert sorted(run.start["task"] for run in recorded(state_dir).values()) == ["named", "named", "two"]


def test_decorated_coroutines_and_generators(state_dir: Path) -> None:
    @statustui.run("coroutine")
    async def one() -> int:
        await asyncio.sleep(0)
        return 5

    @statustui.run("generator")
    def two(n: int) -> Iterator[int]:
        for i in range(n):
            assert statustui.current().task == "generator"
            yield i

    @statustui.run("async generator")
    async def three() -> AsyncIterator[int]:
        yield 1

    async def all_of(source: AsyncIterator[int]) -> list[int]:
        return [item async for item in source]

    assert asyncio.run(one()) == 5
    seen = []
    for item in two(3):
        assert not statustui.current(), "a generator's run is not its caller's"
        seen.append(item)
    assert seen == [0, 1, 2]
    assert next(iter(two(3))) == 0
    assert asyncio.run(all_of(three())) == [1]
    with pytest.raises(ZeroDivisionError):
        asyncio.run(_failing())
    runs = recorded(state_dir).values()
    assert sorted((run.start["task"], run.end["status"]) for run in runs) == [
        ("async generator", "finished"),
        ("coroutine", "finished"),
        ("failing", "failed"),
        ("generator", "finished"),
        ("generator", "finished"),
    ]


@statustui.run("failing")
async def _failing() -> None:
    await asyncio.sleep(0)
    1 / 0  # noqa: B018


def test_tasks_of_one_loop_have_their_own_runs(state_dir: Path) -> None:
    async def work(name: str) -> None:
        async with statustui.run(name) as run:
            for _ in run.track(range(3), "loop"):
                await asyncio.sleep(0)
                assert statustui.current() is run

    async def main() -> None:
        await asyncio.gather(*(work(f"task {n}") for n in range(5)))

    asyncio.run(main())
    runs = by_task(state_dir)
    assert len(runs) == 5
    assert all(run.named("loop").complete == 3 for run in runs.values())


# --- ends --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "kind", "message"),
    [
        (KeyError("FIPS"), "failed", "KeyError", "'FIPS'"),
        (SystemExit(3), "failed", "SystemExit", "exit status 3"),
        (SystemExit("no input"), "failed", "SystemExit", "no input"),
        (SystemExit(0), "finished", None, None),
        (SystemExit(), "finished", None, None),
        (KeyboardInterrupt(), "cancelled", None, None),
        (asyncio.CancelledError(), "cancelled", None, None),
        (GeneratorExit(), "finished", None, None),
        (subprocess.TimeoutExpired("x", 3), "failed", "subprocess.TimeoutExpired", None),
    ],
)
def test_ends_of_a_block(
    error: BaseException, status: str, kind: str | None, message: str | None, state_dir: Path
) -> None:
    with pytest.raises(type(error)), statustui.run("x") as run, run.subtask("part"):
        raise error
    run_ = only_run(state_dir)
    assert run_.end["status"] == status
    assert run_.named("part").status == {"finished": "completed"}.get(status, status)
    if kind is None:
        assert "error" not in run_.end
    else:
        assert run_.end["error"]["type"] == kind
        assert run_.end["error"]["subtask"] == 1
        assert len(run_.end["error"]["fingerprint"]) == 12
        if message is not None:
            assert run_.end["error"]["message"] == message


def test_a_traceback_has_no_local_variables(state_dir: Path) -> None:
    def deep() -> None:
        token = "s3cr3t-value"
        raise ValueError(f"no {len(token)}")

    with pytest.raises(ValueError, match="no 12"), statustui.run("x"):
        deep()
    detail = only_run(state_dir).end["error"]["detail"]
    assert "in deep" in detail
    assert "raise ValueError" in detail


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("FAILED", "failed"),
        ("failure", "failed"),
        ("success", "completed"),
        ("Skipped", "skipped"),
        (None, "completed"),
    ],
)
def test_a_subtask_ends_with_the_words_of_older_code_too(said: str | None, status: str, state_dir: Path) -> None:
    with statustui.run("x") as run:
        sub = run.subtask("part")
        if said is None:
            sub.end()
        else:
            sub.end(said)
    assert only_run(state_dir).named("part").status == status


def test_a_loop_that_is_cancelled_ends_its_subtask_as_cancelled(state_dir: Path) -> None:
    async def forever() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(60)

    async def work() -> None:
        async with statustui.run("x") as run:
            async for _ in run.track(forever(), "loop", total=3):
                pass

    async def cancelled() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    run = only_run(state_dir)
    assert (run.end["status"], run.named("loop").status, run.named("loop").complete) == ("cancelled", "cancelled", 1)


def test_failures_of_one_kind_have_one_fingerprint(state_dir: Path) -> None:
    for n, key in enumerate(("FIPS", "NAME")):
        with pytest.raises(KeyError), statustui.run("x") as run, run.subtask(f"Load file {n}"):
            raise KeyError(key)
    with pytest.raises(KeyError), statustui.run("x") as run, run.subtask("Something else"):
        raise KeyError("FIPS")
    prints = [run_.end["error"]["fingerprint"] for run_ in recorded(state_dir).values()]
    assert len(set(prints)) == 2
    assert prints[0] == prints[1] != prints[2]


def test_the_end_is_written_once(state_dir: Path) -> None:
    with statustui.run("x") as run:
        run.finish("early")
        run.fail("late")
        run.finish()
    assert only_run(state_dir).end["status"] == "finished"
