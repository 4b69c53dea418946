"""The drainer as a process: what it brings in, what it proves, how it ends, what it survives."""

import json
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from statustui import config
from statustui.drain import inline, lifecycle, place
from statustui.drain.diary import Diary
from statustui.drain.pump import Pump
from statustui.drain.sink import Sink
from statustui.journal import versions
from statustui.journal.reader import list_journals
from statustui.journal.writer import Writer
from statustui.model.ids import new_id
from statustui.model.status import RequestKind, RequestState, RunStatus
from statustui.store import reads, requests
from statustui.store.open import Store, open_store
from support.drained import PROGRAM, alone, drainer, finish, started, status, the_run, viewer
from support.processes import python, until
from support.stores import HOST


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, store_url: str) -> config.Settings:
    return alone(monkeypatch, store_url)


@pytest.fixture
def spool(settings: config.Settings) -> str:
    return config.spool_dir(settings)


def test_a_run_is_followed_from_its_start_to_its_end(settings: config.Settings, spool: str) -> None:
    with python(PROGRAM, "job") as program, drainer(spool) as working:
        pid = started(program)
        until(lambda: (run := the_run(settings.store_url)) is not None and run.items_complete == 3, what="progress")
        until(lambda: (run := the_run(settings.store_url)) is not None and run.rss_bytes, what="a sample")
        assert the_run(settings.store_url).pid == pid
        finish(program)
        until(lambda: status(settings.store_url) is RunStatus.FINISHED)
        assert working.wait(10) == 0, "it ends when nothing is left to do"


def test_a_killed_program_is_lost_with_the_signal_and_its_counts(settings: config.Settings, spool: str) -> None:
    with python(PROGRAM, "job") as program, drainer(spool):
        started(program)
        until(lambda: (run := the_run(settings.store_url)) is not None and run.items_complete == 3)
        program.kill()
        until(lambda: status(settings.store_url) is RunStatus.LOST, timeout=30)
        run = the_run(settings.store_url)
        assert run.lost_reason is not None
        assert run.lost_reason.startswith("killed by SIGKILL (9)")
        with viewer(settings.store_url) as store:
            (part,) = reads.detail(store, run.run_id).subtasks
        assert part.items_complete == 3, "what it had counted stays"


def test_a_program_that_got_term_is_cancelled_with_the_place(settings: config.Settings, spool: str) -> None:
    with python(PROGRAM, "job") as program, drainer(spool):
        started(program)
        until(lambda: status(settings.store_url) is RunStatus.RUNNING)
        program.terminate()
        assert program.wait(10) == -signal.SIGTERM
        until(lambda: status(settings.store_url) is RunStatus.CANCELLED, timeout=5)


def test_what_died_while_no_drainer_worked_is_proven_by_the_next(settings: config.Settings, spool: str) -> None:
    with python(PROGRAM, "job") as program:
        started(program)
        with drainer(spool):
            until(lambda: status(settings.store_url) is RunStatus.RUNNING)
        program.kill()
        program.wait()
    with drainer(spool) as working:
        until(lambda: status(settings.store_url) is RunStatus.LOST)
        assert working.wait(10) == 0


def test_a_reboot_is_proven_by_the_boot_id_and_the_time_of_the_boot(settings: config.Settings, spool: str) -> None:
    with python(PROGRAM, "job") as program:
        started(program)
        program.kill()
        program.wait()
    (journal,) = list_journals(spool)
    path = Path(f"{spool}/{journal}.0.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines() if line]
    before = lines[0]["t"] - _uptime() - 3600
    for number, line in enumerate(lines):
        line["t"] = before + number * 0.001
    lines[0]["boot"] = "00000000-0000-0000-0000-000000000000"
    path.write_text("".join("\n" + json.dumps(line) for line in lines))
    with drainer(spool):
        until(lambda: status(settings.store_url) is RunStatus.LOST)
        assert the_run(settings.store_url).lost_reason.startswith("host rebooted ")


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def test_a_cancel_ends_the_program_and_its_children(settings: config.Settings, spool: str) -> None:
    code = """
import subprocess, sys, time, statustui
with statustui.run("job"):
    child = subprocess.Popen(["sleep", "600"])
    print(child.pid, flush=True)
    time.sleep(600)
"""
    with python(code) as program, drainer(spool):
        child = started(program)
        until(lambda: the_run(settings.store_url) is not None)
        with viewer(settings.store_url) as store:
            run = reads.find(store, "job")[0]
            asked = requests.ask(store, RequestKind.CANCEL, run.run_id, by="ben", origin="db1", reason="wrong year")
            os.close(os.open(f"{spool}/wake", os.O_CREAT | os.O_WRONLY, 0o600))
            program.wait(5)
            until(lambda: not os.path.exists(f"/proc/{child}"), timeout=5, what="the child's end")
            until(lambda: status(settings.store_url) is RunStatus.CANCELLED, timeout=5)
            until(lambda: _state(store, asked.id) is RequestState.DONE, timeout=5)


def _state(store: Store, number: int) -> RequestState | None:
    return next((one.state for one in reads.requests(store) if one.id == number), None)


def test_a_program_that_ignores_term_is_killed_after_its_grace_time(settings: config.Settings, spool: str) -> None:
    code = """
import signal, time, statustui
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with statustui.run("job", grace=0.5):
    print(1, flush=True)
    time.sleep(600)
"""
    with python(code) as program, drainer(spool):
        started(program)
        until(lambda: the_run(settings.store_url) is not None)
        with viewer(settings.store_url) as store:
            run = reads.find(store, "job")[0]
            asked = time.monotonic()
            requests.ask(store, RequestKind.CANCEL, run.run_id, by="ben", origin="db1")
            assert program.wait(10) == -signal.SIGKILL
            assert time.monotonic() - asked > 0.4
        until(lambda: status(settings.store_url) is RunStatus.CANCELLED, timeout=5)


@pytest.mark.parametrize("point", ["before-apply", "after-apply", "turn"])
def test_a_drainer_killed_at_a_boundary_loses_and_doubles_nothing(
    settings: config.Settings, spool: str, point: str
) -> None:
    code = """
import statustui
with statustui.run("job") as run:
    for number in range(300):
        run.log(str(number))
"""
    with python(code) as program:
        program.wait(10)
    for skip in (0, 1):
        with drainer(spool, STATUSTUI_FAILPOINT=f"{point}:{skip}") as dying:
            dying.wait(10)
    with drainer(spool) as working:
        assert working.wait(10) == 0
    with viewer(settings.store_url) as store:
        detail = reads.detail(store, reads.find(store, "job")[0].run_id)
    assert sorted(int(e.message or "") for e in detail.events if e.kind == "log") == list(range(300))
    assert detail.run.status is RunStatus.FINISHED


def test_a_store_that_is_locked_gets_everything_afterwards(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    _use(monkeypatch, sqlite_url)
    path = sqlite_url.removeprefix("sqlite:///")
    open_store(sqlite_url).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    spool = config.spool_dir(config.load(start="/"))
    with python(PROGRAM, "job") as program, drainer(spool) as working:
        started(program)
        finish(program)
        log = Path(f"{spool}/drainer.log")
        until(lambda: log.exists() and "store:" in log.read_text(), what="a line in its log")
        assert working.poll() is None
        assert log.read_text().count("store:") == 1, "one line a minute"
        other.execute("ROLLBACK")
        other.close()
        until(lambda: status(sqlite_url) is RunStatus.FINISHED)


def test_its_own_beat_does_not_keep_it_alive(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    """It waits for another writer as long as it beats: the beat must not count as news."""
    _use(monkeypatch, sqlite_url)
    spool = config.spool_dir(config.load(start="/"))
    with python(PROGRAM, "only") as program:
        started(program)
        with drainer(spool, STATUSTUI_DRAINER_LINGER="5.2") as working:
            until(lambda: status(sqlite_url, "only") is RunStatus.RUNNING)
            finish(program)
            until(lambda: working.poll() is not None, timeout=15, what="the drainer's end")
    assert status(sqlite_url, "only") is RunStatus.FINISHED


def _use(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("STATUSTUI_STORE", url)
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")
    monkeypatch.setenv("STATUSTUI_DRAINER_LINGER", "0.3")


def test_a_store_that_was_deleted_is_made_again_from_the_journals(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    _use(monkeypatch, sqlite_url)
    path = sqlite_url.removeprefix("sqlite:///")
    spool = config.spool_dir(config.load(start="/"))
    with python(PROGRAM, "first") as one:
        started(one)
        finish(one)
    with python(PROGRAM, "second") as program, drainer(spool):
        started(program)
        until(lambda: status(sqlite_url, "second") is RunStatus.RUNNING)
        for suffix in ("", "-wal", "-shm"):
            Path(path + suffix).unlink(missing_ok=True)
        until(lambda: status(sqlite_url, "second") is RunStatus.RUNNING, timeout=15)
        finish(program)
        until(lambda: status(sqlite_url, "second") is RunStatus.FINISHED)
        assert status(sqlite_url, "first") is RunStatus.FINISHED


def test_two_drainers_never_work_at_once(settings: config.Settings, spool: str) -> None:
    with python(PROGRAM, "job") as program, drainer(spool):
        started(program)
        until(lambda: status(settings.store_url) is RunStatus.RUNNING)
        with drainer(spool) as second:
            assert second.wait(10) == 0


def test_a_drainer_whose_directory_is_gone_ends(settings: config.Settings, spool: str) -> None:
    with python(PROGRAM, "job") as program, drainer(spool) as working:
        started(program)
        until(lambda: status(settings.store_url) is RunStatus.RUNNING)
        os.rename(spool, spool + ".gone")
        working.wait(10)


def test_term_ends_it_after_the_batch(settings: config.Settings, spool: str) -> None:
    with python(PROGRAM, "job") as program, drainer(spool) as working:
        started(program)
        until(lambda: status(settings.store_url) is RunStatus.RUNNING)
        working.terminate()
        assert working.wait(5) == 0


def test_lines_of_garbage_are_put_aside_and_counted(settings: config.Settings, spool: str) -> None:
    with python(PROGRAM, "job") as program, drainer(spool):
        started(program)
        (journal,) = list_journals(spool)
        with open(f"{spool}/{journal}.0.jsonl", "ab") as file:
            file.write(b'\n{"k": 3}\nhello\n\xff\xfe\x00\n{"k":"run.start"\n' + b"[" * 100_000 + b"\n")
            file.write(b'\n{"k":"event","run":"","t":"x"}\n{"k":"unknown","run":"r"}')
        finish(program)
        until(lambda: status(settings.store_url) is RunStatus.FINISHED)
        aside = Path(f"{spool}/aside/{journal}")
        until(lambda: aside.exists() and len(aside.read_text().splitlines()) == 6)
        assert aside.stat().st_mode & 0o777 == 0o600


def test_a_journal_of_a_newer_version_is_left_alone(settings: config.Settings, spool: str) -> None:
    with python(PROGRAM, "job") as program:
        started(program)
        finish(program)
    newer = Path(f"{spool}/zz-newer.0.jsonl")
    newer.write_text('\n{"k":"writer","v":99,"pid":1}\n{"k":"run.start","run":"r-new","task":"new"}\n')
    newer.chmod(0o600)
    with drainer(spool) as working:
        until(lambda: status(settings.store_url) is RunStatus.FINISHED)
        assert working.wait(10) == 0
    assert status(settings.store_url, "new") is None


def test_inline_it_does_the_same_once(settings: config.Settings, spool: str) -> None:
    with python(PROGRAM, "job") as program:
        started(program)
        finish(program)
    assert inline.run(spool, time.monotonic() + 10)
    assert status(settings.store_url) is RunStatus.FINISHED
    assert not inline.run(spool + "-none", time.monotonic() + 10)


def test_a_newer_version_that_waits_is_let_in(state_dir: Path) -> None:
    spool = str(state_dir)
    note = state_dir / "drainer.next"
    note.write_text(json.dumps({"version": "9.0", "interpreter": sys.executable}))
    note.chmod(0o600)
    assert lifecycle.waiting(spool, "1.4.0") == ("9.0", sys.executable, [])
    assert lifecycle.waiting(spool, "9.0") is None
    assert not note.exists(), "it has arrived"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 3}', '{"version": "9", "interpreter": "/nonexistent/python"}']
)
def test_a_note_that_would_lock_everybody_out_is_removed(state_dir: Path, content: str) -> None:
    note = state_dir / "drainer.next"
    note.write_text(content)
    note.chmod(0o600)
    assert lifecycle.waiting(str(state_dir), "1.0") is None
    assert not note.exists()


@pytest.mark.parametrize(("one", "other"), [("0.10", "0.9"), ("1.0.1", "1.0"), ("2", "1.99.99")])
def test_versions_are_compared_as_numbers(one: str, other: str) -> None:
    assert versions.newer(one, other)
    assert not versions.newer(other, one)
    assert not versions.newer(one, one)


def test_a_directory_that_says_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(place.NoSpool):
        place.read_place(str(tmp_path))


def test_a_record_that_the_store_refuses_is_put_aside_and_the_rest_applied(
    settings: config.Settings, spool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import statustui\nwith statustui.run('job') as run:\n    [run.log(str(n)) for n in range(9)]"
    with python(code) as program:
        program.wait(10)
    from statustui.store import apply as module

    real = module.apply

    def refusing(store: Store, batch: Any) -> Any:
        if any(record.get("message") == "4" for one in batch.journals for _, _, record in one.lines):
            raise ValueError("no fours")
        return real(store, batch)

    monkeypatch.setattr(module, "apply", refusing)
    assert inline.run(spool, time.monotonic() + 20)
    with viewer(settings.store_url) as store:
        detail = reads.detail(store, reads.find(store, "job")[0].run_id)
    assert sorted(int(e.message or "") for e in detail.events if e.kind == "log") == [0, 1, 2, 3, 5, 6, 7, 8]
    assert detail.run.status is RunStatus.FINISHED


def test_journals_that_always_have_news_take_turns(env: Path) -> None:
    spool = str(env / "spool" / "m" / "1" / "s")
    url = f"sqlite:///{env}/turns.db"
    many = 300  # more than one batch takes
    writers = [Writer(spool, store_url=url) for _ in range(many)]
    for writer in writers:
        writer.fact("run.start", new_id(), task="one of many")
    diary = Diary(spool)
    sink = Sink(url, diary)
    pump = Pump(spool, sink, diary, HOST)
    seen: set[str] = set()
    pump.note(None)
    assert pump.refresh()
    for _ in range(3):  # nothing is acknowledged: all of them go on to have news
        seen.update(one.tail.journal for one in pump._collect(True))
    assert len(seen) == many
    sink.close()
    for writer in writers:
        writer.close()
