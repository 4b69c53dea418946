"""Coordinating items through the store: claims, fences, leases, resuming; on SQLite and PostgreSQL."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from statustui import Pipeline, Step
from statustui.model.status import ItemStatus
from statustui.pipelines.retrying import Backoff
from statustui.store.errors import StoreUnavailable
from statustui.store.item_claims import UnknownStep
from statustui.store.item_reads import NoSuchItem
from support.items import STEPS, fill, nothing, reporting_to, states
from support.journals import CORE


@pytest.fixture
def files(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with reporting_to(store_url, monkeypatch):
        made = Pipeline("files", STEPS)
        yield made
        made.close()


@pytest.fixture
def local(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """The same, on SQLite only: for what no database has a part in."""
    with reporting_to(sqlite_url, monkeypatch):
        made = Pipeline("files", STEPS)
        yield made
        made.close()


def test_questions_see_what_this_process_has_just_reported(files: Pipeline) -> None:
    assert not files.is_complete("f", "fetch")
    assert files.progress("f") == 0.0
    assert files.current_step("f") is None
    with pytest.raises(NoSuchItem):
        files.detail("f")
    files.start("f", "fetch")
    assert not files.can_start("f", "fetch")
    files.update("f", "fetch", progress=30)
    assert files.progress("f") == pytest.approx(10.0)
    files.complete("f", "fetch")
    assert files.is_complete("f", "fetch")
    assert files.can_start("f", "parse")
    assert files.ready("parse") == ["f"]
    assert files.current_step("f") == "parse"


def test_asking_is_quick(files: Pipeline) -> None:
    fill(files, 20)
    files.summary()
    took = []
    for number in range(40):
        files.complete(f"f{number % 20:03}", "fetch")
        began = time.perf_counter()
        files.is_complete("f003", "fetch")
        took.append(time.perf_counter() - began)
    assert sorted(took)[20] < 0.1  # the figure itself is a benchmark's


def test_two_pipelines_claim_nothing_twice(files: Pipeline, store_url: str) -> None:
    keys = fill(files, 40)
    files.summary()
    claimed: list[str] = []
    lock = threading.Lock()

    def take() -> None:
        mine = Pipeline("files", STEPS)
        while works := mine.claim("fetch", 3):
            with lock:
                claimed.extend(work.key for work in works)
            for work in works:
                with work:
                    pass
        mine.close()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == keys
    assert files.statistics()["fetch"].completed == 40


WORKER = """
import sys
from statustui import Pipeline
files = Pipeline("files", ["fetch", "parse", "load"])
while works := files.claim("fetch", 2):
    for work in works:
        with work:
            print(work.key, flush=True)
"""


def test_processes_claim_nothing_twice(files: Pipeline, tmp_path: Path) -> None:
    keys = fill(files, 30)
    files.summary()
    environment = {**os.environ, "PYTHONPATH": str(CORE)}
    running = [
        subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, env=environment) for _ in range(3)
    ]
    told = [program.communicate(timeout=60)[0].decode().split() for program in running]
    assert [program.returncode for program in running] == [0, 0, 0]
    assert Counter(key for one in told for key in one) == Counter(keys)


def test_a_late_fact_under_an_older_fence_changes_nothing(files: Pipeline, wait_for: Callable[..., None]) -> None:
    fill(files, 1)
    (first,) = files.claim("fetch", lease=0.2)
    first.__enter__()
    files._ask._keeper.drop(first)  # its worker hangs: nobody renews
    second: list[Any] = []

    def taken() -> bool:
        second.extend(files.claim("fetch"))
        return bool(second)

    wait_for(taken)
    assert second[0].fence > first.fence
    first.complete(by="the first")
    with second[0] as work:
        work.update(by="the second")
    step = files.step_of("f000", "fetch")
    assert step is not None
    assert (step.status, step.metadata) == (ItemStatus.COMPLETED, {"by": "the second"})
    kinds = Counter(event.kind for event in files.history("f000"))
    assert kinds["late"] >= 1
    assert sum(e.kind == "step.end" and e.status == "completed" for e in files.history("f000")) == 1
    assert any(e.kind == "lease" for e in files.history("f000"))


def test_a_lease_is_renewed_while_its_worker_lives(local: Pipeline) -> None:
    fill(local, 1)
    (work,) = local.claim("fetch", lease=1.5)
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        assert local.claim("fetch") == []
        time.sleep(0.05)
    assert not work.lost
    with work:
        pass
    assert local.is_complete("f000", "fetch")


def test_resuming_goes_step_by_step_and_skips_what_is_complete(files: Pipeline) -> None:
    keys = fill(files, 6)
    files.complete("f000", "fetch")
    done: list[tuple[str, str]] = []
    lock = threading.Lock()

    def handler(work: Any) -> dict[str, int]:
        with lock:
            done.append((work.step, work.key))
        return {"pages": 3}

    told = files.resume(dict.fromkeys(STEPS, handler), workers=3, show=False)
    assert (told.completed, told.failed, told.ok) == (17, 0, True)
    assert [step for step, _ in done] == ["fetch"] * 5 + ["parse"] * 6 + ["load"] * 6
    assert Counter(done) == Counter(
        dict.fromkeys([(s, k) for s in STEPS for k in keys if (s, k) != ("fetch", "f000")], 1)
    )
    step = files.step_of("f001", "parse")
    assert step is not None
    assert (step.metadata, step.run_id) == ({"pages": 3}, told.run_id)
    assert files.resume(dict.fromkeys(STEPS, handler), show=False).completed == 0


def test_the_progress_of_the_run_is_that_of_its_batch(local: Pipeline, sqlite_url: str) -> None:
    from statustui.store import reads
    from statustui.store.open import open_store

    fill(local, 8)
    seen: list[tuple[int, int | None, str | None]] = []

    def handler(work: Any) -> None:
        local.summary()  # what this process told is in the store now, its progress too
        with open_store(sqlite_url, create=False, read_only=True) as store:
            (run,) = reads.find(store, "files_resume")
            seen.append((run.items_complete or 0, run.items_total, run.subtask_name))

    told = local.resume({"fetch": handler, "parse": nothing}, show=False)
    assert [items for items, _, _ in seen] == list(range(8))
    assert {(total, name) for _, total, name in seen} == {(8, "fetch")}
    local.summary()
    with open_store(sqlite_url, create=False, read_only=True) as store:
        (run,) = reads.find(store, told.run_id)
        assert (run.status.value, run.subtasks_done, run.total_subtasks) == ("finished", 2, 2)


def test_async_handlers_run_side_by_side(local: Pipeline) -> None:
    fill(local, 12)
    at_once = peak = 0

    async def handler(work: Any) -> None:
        nonlocal at_once, peak
        at_once += 1
        peak = max(peak, at_once)
        await asyncio.sleep(0.02)
        at_once -= 1
        if work.key == "f003":
            raise TimeoutError("no answer")

    told = local.resume({"fetch": handler}, workers=4, show=False)
    assert (told.completed, told.failed) == (11, 1)
    assert 1 < peak <= 4
    assert told.errors == (("f003", "fetch", "TimeoutError: no answer"),)

    async def inside() -> Any:  # as in a notebook, whose loop is at work
        return local.resume({"parse": handler}, workers=2, show=False)

    assert asyncio.run(inside()).completed == 11


def test_transient_errors_rest_and_permanent_ones_do_not_come_again(files: Pipeline) -> None:
    fill(files, 2)
    tries: Counter[str] = Counter()

    def handler(work: Any) -> None:
        tries[work.key] += 1
        if work.key == "f001":
            raise ValueError("no such page")
        if work.tries < 3:
            raise ConnectionError("refused")

    quick = Backoff(delays_s=(0.05, 0.1), jitter=0)
    told = files.resume({"fetch": handler}, show=False, backoff=quick, wait=True)
    assert tries == {"f000": 3, "f001": 1}
    assert (told.completed, told.failed) == (1, 3)
    assert files.failed(max_retries=3) == []
    assert [one.key for one in files.failed()] == ["f001"]
    slow = files.resume({"fetch": handler}, show=False)
    assert slow.completed == slow.failed == 0


def test_retries_are_used_up(files: Pipeline) -> None:
    fill(files, 1)

    def handler(work: Any) -> None:
        raise ConnectionError("refused")

    quick = Backoff(delays_s=(0.01,), jitter=0)
    told = files.resume({"fetch": handler}, show=False, backoff=quick, wait=True, max_retries=2)
    assert told.failed == 3  # the first try, and two more
    assert files.failed(max_retries=2) == []
    assert len(files.failed(max_retries=3)) == 1


def test_ctrl_c_leaves_everything_such_that_the_next_resume_goes_on(local: Pipeline) -> None:
    fill(local, 5)

    def handler(work: Any) -> None:
        if work.key == "f002":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local.resume({"fetch": handler}, show=False)
    assert local.statistics()["fetch"].processing == 0
    assert local.statistics()["fetch"].failed == 0
    step = local.step_of("f002", "fetch")
    assert step is not None
    assert (step.status, step.tries) == (ItemStatus.PENDING, 0)  # no retry is used up
    assert local.resume({"fetch": nothing}, show=False).completed == 3


def test_ctrl_c_while_threads_are_at_work(local: Pipeline, env: Path) -> None:
    fill(local, 40)
    local.summary()
    code = """
import sys, time
from statustui import Pipeline
files = Pipeline("files", ["fetch", "parse", "load"])
def handler(work):
    print(work.key, flush=True)
    time.sleep(0.2)
files.resume({"fetch": handler}, workers=4, show=False)
"""
    environment = {**os.environ, "PYTHONPATH": str(CORE)}
    program = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert program.stdout is not None
    program.stdout.readline()
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=30)
    assert program.returncode != 0
    assert b"KeyboardInterrupt" in said
    found = local.statistics()["fetch"]
    assert (found.processing, found.failed) == (0, 0)
    assert 0 < found.completed < 40
    assert local.resume({"fetch": nothing}, show=False).completed == 40 - found.completed


def test_a_run_that_dies_gives_its_claims_back_at_once(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, wait_for: Callable[..., None]
) -> None:
    with reporting_to(sqlite_url, monkeypatch, drainer="process"):
        files = Pipeline("files", STEPS)
        fill(files, 3)
        files.summary()
        code = """
import time
from statustui import Pipeline
files = Pipeline("files", ["fetch", "parse", "load"])
def handler(work):
    print(work.key, flush=True)
    time.sleep(60)
files.resume({"fetch": handler}, workers=2, show=False)
"""
        environment = {**os.environ, "PYTHONPATH": str(CORE)}
        program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
        assert program.stdout is not None
        program.stdout.readline()
        program.kill()
        program.communicate()
        wait_for(lambda: len(files.ready("fetch")) == 3, 20.0, "claims of the dead given back")
        assert any("lost" in (event.message or "") for event in files.history("f000"))
        files.close()


def test_a_reset_opens_a_step_and_what_depends_on_it(files: Pipeline) -> None:
    fill(files, 1)
    files.resume(dict.fromkeys(STEPS, nothing), show=False)
    assert files.reset("f000", "parse", "the parser was mended") == ("parse", "load")
    assert states(files, "f000") == {"fetch": "completed", "parse": "pending", "load": "pending"}
    assert any(event.message == "was completed: the parser was mended" for event in files.history("f000"))
    with pytest.raises(UnknownStep, match="no_step"):
        files.reset("f000", "no_step")
    with pytest.raises(NoSuchItem):
        files.reset("nobody", "parse")


def test_a_completed_step_runs_again_only_when_its_input_changed(files: Pipeline) -> None:
    for digest, count in (("aaa", 1), ("aaa", 1), ("bbb", 2)):
        with files.step("f", "fetch", input_hash=digest):
            pass
        done = [e for e in files.history("f") if e.kind == "step.end" and e.status == "completed"]
        assert len(done) == count


def test_a_changed_definition_keeps_old_rows_and_says_what_changed(files: Pipeline) -> None:
    fill(files, 1)
    files.complete("f000", "fetch")
    files.complete("f000", "load")
    files.summary()
    later = Pipeline("files", [Step(key="download", aliases=("fetch",)), "check", "parse"])
    assert later.is_complete("f000", "download")
    assert states(later, "f000") == {"download": "completed", "check": "pending", "parse": "pending"}
    assert later.is_complete("f000", "fetch")  # by its former key
    later.close()


def test_a_range_of_dates(files: Pipeline) -> None:
    for day in (1, 2, 3):
        files.add(f"f{day}", date=f"2025-01-0{day}")
    assert files.resume({"fetch": nothing}, since="2025-01-02", until="2025-01-02", show=False).completed == 1
    assert files.ready("fetch", since="2025-01-01", until="2025-01-02") == ["f1"]
    assert files.summary("2025-01-02").total == 2


def test_a_forked_process_asks_with_a_connection_of_its_own(files: Pipeline) -> None:
    fill(files, 4)
    assert len(files.ready("fetch")) == 4
    child = os.fork()
    if child == 0:
        done = files.resume({"fetch": nothing}, show=False).completed
        os._exit(0 if done == 4 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert files.statistics()["fetch"].completed == 4


def test_a_store_that_can_not_be_reached_is_said_when_it_is_asked(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (env / "broken.db").write_text("no database")
    with reporting_to(f"sqlite:///{env}/broken.db", monkeypatch):
        files = Pipeline("files", STEPS)
        files.complete("f", "fetch")  # reporting never raises
        with pytest.raises(Exception, match=r"broken\.db"):
            files.is_complete("f", "fetch")
    monkeypatch.setenv("STATUSTUI_DISABLE", "1")
    with reporting_to(f"sqlite:///{env}/x.db", monkeypatch), pytest.raises(StoreUnavailable, match="STATUSTUI_DISABLE"):
        Pipeline("files", STEPS).summary()


def test_who_resumes_right_after_a_kill_gets_what_the_dead_one_held(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reporting_to(sqlite_url, monkeypatch, drainer="process"):
        files = Pipeline("files", STEPS)
        fill(files, 2)
        files.summary()
        code = """
import time
from statustui import Pipeline
files = Pipeline("files", ["fetch", "parse", "load"])
files.resume({"fetch": lambda work: (print(work.key, flush=True), time.sleep(60))}, show=False)
"""
        environment = {**os.environ, "PYTHONPATH": str(CORE)}
        program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
        assert program.stdout is not None
        program.stdout.readline()
        program.kill()
        program.communicate()
        assert files.resume({"fetch": nothing}, show=False).completed == 2
        files.close()
