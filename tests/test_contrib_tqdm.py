"""Bars of the real tqdm as subtasks: what is counted, how levels are told apart, how bars end. And tqdm stays tqdm."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.bars import HEAD, figures, record
from support.recording import Sub, environment, only_run, recorded, run_script

pytest.importorskip("tqdm", reason="tqdm is not installed")


@pytest.mark.parametrize("off", ["False", "True", "None"])
def test_a_bar_is_a_subtask_shown_or_not(off: str, env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        f"""
        for _ in tqdm([1, 2, 3], desc="list", unit="files", disable={off}): pass
        for _ in trange(4, disable={off}): pass
        for _ in tqdm((n for n in range(6)), "generator", disable={off}): pass
        for _ in tqdm((n for n in range(6)), "total", 7, disable={off}): pass
        for n in tqdm(range(10), desc="break", disable={off}):
            if n == 4:
                break
        with tqdm(total=100, desc="manual:", disable={off}) as bar:
            bar.update(30)
            bar.update(-10)
            bar.update()
        bar = tqdm(total=5, desc="closed", initial=2, disable={off})
        bar.update(2)
        bar.close()
        bar.close()
        bar = tqdm(desc="dropped", total=2, disable={off})
        bar.update(2)
        del bar
        assert list(tqdm([], desc="nothing", disable={off})) == []
        with tqdm(desc="scaled", total=4, unit="B", unit_scale=1024, disable={off}) as bar:
            bar.update(3)
        """,
    )
    broken = 5 if off != "False" else 4  # tqdm itself does not count the item that a break leaves
    assert figures(run) == [
        ("list", 3, 3, "completed"),
        ("items", 4, 4, "completed"),
        ("generator", 6, None, "completed"),
        ("total", 6, 7, "completed"),
        ("break", broken, 10, "completed"),
        ("manual", 21, 100, "completed"),
        ("closed", 4, 5, "completed"),
        ("dropped", 2, 2, "completed"),
        ("nothing", 0, 0, "completed"),
        ("scaled", 3072, 4096, "completed"),
    ]


@pytest.mark.parametrize("off", [False, True])
def test_a_bar_that_is_read_in_part_has_not_failed(off: bool, env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        f"""
        from itertools import islice
        next(iter(tqdm(range(9), desc="next", disable={off})))
        list(islice(tqdm(range(9), desc="islice", disable={off}), 3))
        for _ in islice(tqdm(range(9), desc="loop", disable={off}), 3): pass
        def fails(n):
            raise ValueError(n)
        try:
            for n in islice(tqdm(range(9), desc="raised", disable={off}), 3):
                fails(n)
        except ValueError:
            pass
        """,
    )
    assert [(name, status) for name, _, _, status in figures(run)] == [
        ("next", "completed"), ("islice", "completed"), ("loop", "completed"), ("raised", "failed"),
    ]  # fmt: skip


@pytest.mark.parametrize("off", [False, True])
def test_an_exception_fails_its_bar_and_the_program_may_go_on(off: bool, env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        f"""
        def source():
            yield 1
            raise ValueError("no more")
        def body():
            for n in tqdm(range(9), desc="body", disable={off}):
                if n == 4:
                    1 / 0
        for wrong in (body, lambda: list(tqdm(source(), desc="source", disable={off}))):
            try:
                wrong()
            except (ZeroDivisionError, ValueError):
                for _ in tqdm(range(2), desc="in the handler", disable={off}): pass
        try:
            with tqdm(total=3, desc="block", disable={off}) as bar:
                bar.update()
                raise KeyError("FIPS")
        except KeyError:
            pass
        """,
    )
    assert [(name, status) for name, _, _, status in figures(run)] == [
        ("body", "failed"), ("in the handler", "completed"), ("source", "failed"), ("in the handler", "completed"),
        ("block", "failed"),
    ]  # fmt: skip
    assert run.named("body").complete == 4
    assert run.named("block").error == "KeyError: 'FIPS'"
    assert run.end["status"] == "finished"


def test_a_bar_that_ends_while_somebody_handles_an_error_has_not_failed(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        def handles(bar):
            import queue
            try:
                queue.SimpleQueue().get_nowait()
            except queue.Empty:
                return list(bar)
        handles(tqdm(range(3), desc="given"))
        handles(tqdm(range(3), desc="given off", disable=True))
        try:
            raise OSError
        except OSError:
            for _ in tqdm(range(2), desc="begun in it"): pass
            with tqdm(total=2, desc="block in it") as bar:
                bar.update(2)
            manual = tqdm(total=2, desc="manual in it")
            manual.close()
        manual = tqdm(total=2, desc="finally")
        try:
            try:
                raise OSError("disk")
            finally:
                manual.close()
        except OSError:
            pass
        """,
    )
    assert [(name, status) for name, _, _, status in figures(run)] == [
        ("given", "completed"), ("given off", "completed"), ("begun in it", "completed"), ("block in it", "completed"),
        ("manual in it", "completed"), ("finally", "failed"),
    ]  # fmt: skip


def test_the_end_of_a_bar_is_kept_while_another_thread_changes_the_bars(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        import threading
        from statustui.contrib import bars
        bar = tqdm(total=3, desc="first")
        bar.update(2)
        held, done = threading.Event(), threading.Event()
        def hold():
            with bars._guard:
                held.set()
                done.wait(30)
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(30)
        begin = time.monotonic()
        bar.close()
        took = time.monotonic() - begin
        done.set()
        thread.join()
        assert took < 5, took
        for _ in trange(2, desc="second"): pass
        """,
    )
    assert figures(run) == [("first", 2, 3, "completed"), ("second", 2, 2, "completed")]


def test_threads_have_bars_of_their_own_unless_the_main_thread_has_one(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        import threading
        both = threading.Barrier(2)
        def work(name):
            for n in tqdm(range(4), desc=name, mininterval=0):
                both.wait(30)
        def start():
            threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        start()
        with tqdm(total=1, desc="main"):
            start()
        """,
    )
    assert sorted(figures(run)) == [("a", 4, 4, "completed"), ("b", 4, 4, "completed"), ("main", 0, 1, "completed")]


def test_a_bar_fills_the_subtask_that_the_program_has_open(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        with run.subtask("empty"):
            for _ in trange(5): pass
            for _ in trange(7, desc="again", postfix={"loss": 1}): pass
        with run.subtask("counts itself", total=3) as sub:
            for _ in trange(3):
                sub.advance()
        for _ in run.track(range(4), "tracked"):
            for _ in trange(50): pass
        """,
    )
    assert figures(run) == [
        ("empty", 7, 7, "completed"), ("counts itself", 3, 3, "completed"), ("tracked", 4, 4, "completed"),
    ]  # fmt: skip


def test_what_a_bar_says_is_its_message_and_is_redacted(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        with tqdm(total=4, desc="train") as bar:
            bar.set_postfix(loss=0.25)
            bar.set_description("epoch 2 password=hunter22")
            bar.total = 8
            bar.update(6)
        """,
    )
    assert figures(run) == [("train", 6, 8, "completed")]
    message = run.named("train").message
    assert message is not None and message.endswith("loss=0.25") and "hunter22" not in message


def test_reset_begins_the_count_anew(env: Path, state_dir: Path) -> None:
    run = record(
        env,
        state_dir,
        """
        for off in (False, True):
            bar = tqdm(total=5, desc="reset", disable=off)
            bar.update(5)
            bar.reset(total=9)
            bar.update(2)
            bar.close()
            with tqdm(total=3, desc="outer", mininterval=0) as outer, tqdm(desc="inner") as inner:
                for n in range(3):
                    inner.reset(total=4)
                    inner.update(4)
                    outer.update()
        """,
    )
    assert [entry for entry in figures(run) if entry[0] == "reset"] == [("reset", 2, 9, "completed")] * 2
    assert [sub.complete for sub in run.subs.values() if sub.heading] == [3, 3]
    assert run.end["status"] == "finished"


def test_without_a_run_nothing_is_recorded(env: Path, state_dir: Path) -> None:
    done = run_script(env / "plain.py", f"{HEAD}\nfor _ in trange(3): pass\nprint(sum(tqdm([1, 2], disable=True)))")
    assert (done.returncode, done.stdout) == (0, "3\n")
    assert recorded(state_dir) == {}


OTHERS = """
import asyncio
import statustui.contrib.tqdm
statustui.contrib.tqdm.hook()
statustui.contrib.tqdm.hook()
from tqdm import tqdm
from tqdm.auto import tqdm as auto
from tqdm.asyncio import tqdm as async_tqdm
from tqdm.contrib import tenumerate, tzip
from tqdm.contrib.concurrent import process_map, thread_map

def square(n):
    for _ in tqdm(range(3), leave=False): pass
    if n == 11:
        raise ValueError(n)
    return n * n

async def wait(n):
    await asyncio.sleep(0)
    return n

async def numbers():
    for n in range(4):
        yield n

async def main(off):
    assert await async_tqdm.gather(*map(wait, range(5)), desc="gather", disable=off) == [0, 1, 2, 3, 4]
    for future in async_tqdm.as_completed([wait(n) for n in range(3)], desc="as completed", disable=off):
        await future
    async for _ in async_tqdm(numbers(), desc="async for", total=4, disable=off): pass

if __name__ == "__main__":
    import multiprocessing
    with statustui.run("others") as run:
        for off in (False, True):
            assert thread_map(square, range(6), desc="threads", max_workers=2, disable=off) == [0, 1, 4, 9, 16, 25]
            assert process_map(square, range(5), desc="processes", max_workers=2, disable=off,
                               mp_context=multiprocessing.get_context("fork")) == [0, 1, 4, 9, 16]
            asyncio.run(main(off))
            for _ in tenumerate("abc", desc="tenumerate", disable=off): pass
            for _ in tzip("abc", "def", desc="tzip", disable=off): pass
            for _ in auto("abcd", desc="auto", disable=off): pass
            try:
                process_map(square, range(10, 13), desc="fails", max_workers=2, disable=off,
                            mp_context=multiprocessing.get_context("fork"))
            except ValueError:
                pass
        try:
            import pandas
        except ImportError:
            pass
        else:
            tqdm.pandas(desc="pandas")
            assert pandas.DataFrame({"a": range(6)}).progress_apply(lambda row: row.a, axis=1).sum() == 15
"""


def test_asyncio_pools_and_the_rest_of_tqdm_by_one_hook(env: Path, state_dir: Path) -> None:
    done = run_script(env / "others.py", HEAD + OTHERS, env=environment(STATUSTUI_STRICT="1"))
    assert done.returncode == 0, done.stderr
    found = figures(only_run(state_dir))
    wanted = [
        ("threads", 6, 6, "completed"), ("processes", 5, 5, "completed"), ("gather", 5, 5, "completed"),
        ("as completed", 3, 3, "completed"), ("async for", 4, 4, "completed"), ("tenumerate", 3, 3, "completed"),
        ("tzip", 3, 3, "completed"), ("auto", 4, 4, "completed"),
    ]  # fmt: skip
    kept = [entry for entry in found if entry[0] not in ("fails", "pandas")]
    assert kept == wanted * 2
    assert [status for name, _, _, status in found if name == "fails"] == ["failed", "failed"]
    assert [entry[1] for entry in found if entry[0] == "pandas"] in ([], [6])


def test_output_is_tqdms_own(env: Path, state_dir: Path) -> None:
    """What a bar writes, with and without us, in and outside a run."""
    code = """
        import re
        {imports}
        for _ in trange(3, desc="a", mininterval=0): pass
        with tqdm(total=9, unit="B", unit_scale=True) as bar:
            bar.update(3)
            bar.set_postfix(x=1)
        print(len(tqdm([1, 2])), bool(tqdm([1])), 2 in tqdm([1, 2], disable=True), tqdm(total=3).n)
    """
    outputs = []
    for imports in (
        "from tqdm import tqdm, trange",
        "import statustui; from statustui.contrib.tqdm import tqdm, trange; run = statustui.run('x').start()",
        "from statustui.contrib.tqdm import tqdm, trange",
    ):
        done = run_script(env / "out.py", code.format(imports=imports))
        shown = [part.split("[")[0] for part in done.stderr.replace("\n", "\r").split("\r")]
        outputs.append((done.returncode, done.stdout, shown))
    assert outputs[0] == outputs[1] == outputs[2]


def test_bars_of_forked_workers_count_where_no_bar_of_the_parent_is_open(env: Path, state_dir: Path) -> None:
    code = """
        for n in range(2):
            if os.fork() == 0:
                for _ in trange(10 + n, desc=f"worker {n}"): pass
                os._exit(0)
            os.wait()
        for _ in trange(1, desc="outer"):
            if os.fork() == 0:
                for _ in trange(99, desc="not this"): pass
                os._exit(0)
            os.wait()
    """
    run = record(env, state_dir, code)
    assert sorted((sub.name, sub.complete, sub.status) for sub in run.subs.values()) == [
        ("outer", 1, "completed"), ("worker 0", 10, "completed"), ("worker 1", 11, "completed"),
    ]  # fmt: skip


def test_the_program_of_a_wrapper_joins_with_its_first_bar(env: Path, state_dir: Path) -> None:
    path = env / "nightly.py"
    path.write_text("from statustui.contrib.tqdm import trange\nfor _ in trange(3, desc='rows'): pass\n")
    command = [sys.executable, "-m", "statustui", "run", "--", sys.executable, str(path)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (run,) = recorded(state_dir, joined=True).values()
    assert run.start["task"] == "nightly"
    assert run.named("rows") == Sub(name="rows", status="completed", complete=3, total=3)
