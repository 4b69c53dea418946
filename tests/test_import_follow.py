"""Logs followed while they are written: running by evidence, ended by proof, and an end in good order."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from statustui.imports.follow import follow, states
from statustui.imports.logfiles import find
from statustui.imports.logs import LogImporter, Means
from statustui.imports.writers import open_for_writing
from statustui.model.run import Run
from statustui.model.status import RunStatus
from statustui.model.times import from_epoch
from statustui.store import reads
from statustui.store.open import open_store
from statustui.store.selector import Selector

WRITER = """
import sys, time
with open(sys.argv[1], "a") as log:
    for line in sys.stdin:
        log.write(time.strftime("[%H:%M:%S] ") + line)
        log.flush()
"""


class Writer:
    """A living process that keeps a log open and appends what it is told."""

    def __init__(self, log: Path) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", WRITER, str(log)], stdin=subprocess.PIPE, text=True)

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        assert self.process.stdin is not None
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    made = tmp_path / "logs"
    made.mkdir()
    return made


@pytest.fixture
def following(store_url: str, logs: Path) -> "Iterator[subprocess.Popen[str]]":
    """``import logs --follow`` at work."""
    open_store(store_url).close()
    process = subprocess.Popen(
        [sys.executable, "-m", "statustui", "import", "logs", str(logs), "--follow", "--yes", "--store", store_url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Following"):
            break
    yield process
    if process.poll() is None:
        process.kill()
    process.stdout.close()
    process.wait()


def newest(url: str) -> dict[str, Run]:
    with open_store(url, create=False, read_only=True) as store:
        return {run.task: run for run in reversed(reads.runs(store, Selector(), limit=100))}


def test_a_log_shows_while_it_is_written(
    following: "subprocess.Popen[str]", store_url: str, logs: Path, wait_for: Callable[..., None]
) -> None:
    writer = Writer(logs / "DAILY_07.log")
    writer.say("loading Alaska")
    wait_for(lambda: "DAILY_07" in newest(store_url), 60)
    assert newest(store_url)["DAILY_07"].status.open
    writer.say("loading Delaware")
    wait_for(lambda: newest(store_url)["DAILY_07"].subtask_name == "loading Delaware", 60)
    writer.say("load finished")
    writer.end()
    wait_for(lambda: newest(store_url)["DAILY_07"].status is RunStatus.FINISHED, 60)

    # Its next run appends to the same file; this one is killed, and the file is rotated meanwhile.
    writer = Writer(logs / "DAILY_07.log")
    writer.say("loading Alaska")
    wait_for(lambda: newest(store_url)["DAILY_07"].status.open, 60)
    (logs / "DAILY_07.log").rename(logs / "DAILY_07.log.1")
    writer.kill()
    wait_for(lambda: newest(store_url)["DAILY_07"].status is RunStatus.LOST, 60)
    assert "writer is gone" in (newest(store_url)["DAILY_07"].lost_reason or "")
    with open_store(store_url) as store:
        assert reads.snapshot(store, since=from_epoch(0)).total_runs == 2
    following.send_signal(signal.SIGTERM)
    assert following.wait(30) == 0


def test_it_ends_in_good_order_and_the_next_import_goes_on(
    following: "subprocess.Popen[str]", store_url: str, logs: Path, wait_for: Callable[..., None]
) -> None:
    writer = Writer(logs / "job.log")
    writer.say("begin")
    wait_for(lambda: "job" in newest(store_url), 60)
    following.send_signal(signal.SIGINT)
    assert following.wait(30) == 0
    assert following.stdout is not None and "1 runs go on unseen" in following.stdout.read()
    writer.say("job finished")
    writer.end()
    call = [sys.executable, "-m", "statustui", "import", "logs", str(logs), "--yes", "--store", store_url]
    subprocess.run(call, stdin=subprocess.DEVNULL, check=True, capture_output=True, timeout=60)
    assert newest(store_url)["job"].status is RunStatus.FINISHED


@pytest.mark.parametrize("poll", [True, False])
def test_changes_are_told_of_or_looked_for_those_before_the_first_look_too(
    sqlite_url: str, logs: Path, wait_for: Callable[..., None], monkeypatch: pytest.MonkeyPatch, poll: bool
) -> None:
    monkeypatch.setattr("statustui.imports.follow._POLL_S", 0.05)
    stop = threading.Event()
    told: list[str] = []
    before = states(find(str(logs), ("*.log",)))
    (logs / "early.log").write_text("begin early\njob finished\n")

    def work() -> None:
        with open_store(sqlite_url) as store:
            importer = LogImporter(store, Means(), live=True, written_by=lambda written: open_for_writing())
            follow(importer, str(logs), ("*.log",), stop,
                   lambda files: told.extend(run.status.value for one in files for run in one.runs),
                   lambda error: None, seen=before, poll=poll)  # fmt: skip

    thread = threading.Thread(target=work)
    thread.start()
    try:
        wait_for(lambda: told == ["finished"], 20)
        (logs / "job.log").write_text("begin\njob finished\n")
        (logs / "other.txt").write_text("begin\njob finished\n")
        wait_for(lambda: told == ["finished", "finished"], 20)
    finally:
        stop.set()
        thread.join(20)


def test_who_writes_is_seen(tmp_path: Path, wait_for: Callable[..., None]) -> None:
    writer = Writer(tmp_path / "x.log")
    try:
        wait_for(lambda: (tmp_path / "x.log").exists(), 20)
        found = os.stat(tmp_path / "x.log")
        wait_for(lambda: (found.st_dev, found.st_ino) in open_for_writing(), 20)
    finally:
        writer.end()
    assert (found.st_dev, found.st_ino) not in open_for_writing()
