"""Processes that nobody started through us: adopted while they run, watched to their end, cancelled, tried again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from statustui import config
from statustui.cli import main
from statustui.control import adopt
from statustui.control.cancel import ask_cancel
from statustui.control.candidates import candidates
from statustui.errors import StatustuiError
from statustui.journal import launch
from statustui.model.run import Run
from statustui.model.status import OPEN_RUN_STATUSES, RunStatus, SubtaskStatus
from statustui.process.facts import facts
from statustui.store import reads
from statustui.store.open import open_store
from statustui.store.selector import Selector
from support.drained import drainer, the_run
from support.processes import python, sleeper
from support.processes import until as soon
from support.users import OTHER, as_user, only_root

READER = """
import os, sys, time
print("reading", flush=True)
for path in sys.argv[1:]:
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 16):
            if not os.path.exists("finish"):
                time.sleep(0.02)
end = os.environ.get("END")
if end:
    print("ValueError: 3 rows are short", flush=True)
    sys.exit(int(end))
"""
Adopt = Callable[..., adopt.Adoption]


def until(condition: Callable[[], object], timeout: float = 60.0, what: str = "condition") -> None:
    """Wait long: looks come once a second, and on a busy machine later."""
    soon(condition, timeout, what)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, env: Path) -> config.Settings:
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")
    monkeypatch.setenv("STATUSTUI_DRAINER_LINGER", "0.3")
    return config.load(start="/")


@pytest.fixture
def watched(settings: config.Settings) -> Iterator[Adopt]:
    """Adopts a process; a drainer watches."""

    def begin(pid: int, **options: Any) -> adopt.Adoption:
        return adopt.adopt(settings, adopt.inspect(pid, open_runs(settings)), by="ben@db1", **options)

    os.makedirs(config.spool_dir(settings), mode=0o700)
    Path(f"{config.spool_dir(settings)}/store.url").write_text(f"{settings.store_url}\n")
    with drainer(config.spool_dir(settings), STATUSTUI_DRAINER_LINGER="60"):
        yield begin


@contextmanager
def reader(place: Path, *sizes: int, end: str = "") -> Iterator["subprocess.Popen[bytes]"]:
    """A program of a person that reads files slowly, until it is to finish, and prints into a log."""
    (place / "load.py").write_text(READER)
    names = []
    for number, size in enumerate(sizes):
        path = place / f"part{number}.bin"
        with open(path, "wb") as file:
            file.truncate(size)
        names.append(path.name)
    with open(place / "load.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "load.py", *names],
            cwd=place, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "END": end},
        )  # fmt: skip
    try:
        until(lambda: (place / "load.log").read_bytes(), what="the program's first line")
        yield process
    finally:
        process.kill()
        process.wait()


def open_runs(settings: config.Settings) -> list[Run]:
    try:
        with open_store(settings.store_url, create=False) as store:
            return list(reads.runs(store, Selector(statuses=OPEN_RUN_STATUSES), limit=100))
    except StatustuiError:
        return []


def now(settings: config.Settings, task: str) -> Any:
    return the_run(settings.store_url, task)


def seen(settings: config.Settings, task: str, condition: Callable[[Any], object], what: str) -> Any:
    """The run as it was when the condition held."""
    found: list[Any] = []

    def holds() -> bool:
        run = now(settings, task)
        if run is not None and condition(run):
            found.append(run)
        return bool(found)

    until(holds, what=what)
    return found[0]


def finish(place: Path) -> None:
    (place / "finish").touch()


def ended(settings: config.Settings, task: str) -> Any:
    until(lambda: (run := now(settings, task)) is not None and not run.status.open, what=f"the end of {task}")
    return now(settings, task)


def subtasks(settings: config.Settings, run_id: str) -> Any:
    with open_store(settings.store_url, create=False) as store:
        return reads.detail(store, run_id).subtasks


def test_an_adopted_program_has_its_start_its_log_and_moving_progress(
    settings: config.Settings, watched: Adopt, env: Path
) -> None:
    with reader(env, 2 << 20, 256 << 20) as program:
        done = watched(program.pid)
        run = seen(settings, "load", lambda run: run.derived_percent, "a percent")
        assert (run.status, run.pid, run.type, run.host) == (RunStatus.RUNNING, program.pid, "python", os.uname()[1])
        assert run.script_path == str(env / "load.py")
        assert run.log_path == done.log_path == str(env / "load.log")
        about = facts(program.pid)
        assert about is not None
        assert abs(run.started_at.timestamp() - (time.time() - about.age_s)) < 1.0, "it began when its process did"
        (sub,) = subtasks(settings, done.run_id)
        assert (sub.name, sub.unit, sub.items_total, sub.inner["files"]) == ("2 files", "B", 258 << 20, 2)
        first = run.derived_percent
        seen(settings, "load", lambda run: run.derived_percent > first, "more of it")
        seen(settings, "load", lambda run: run.subtask_message == "part1.bin", "the second file")
        seen(settings, "load", lambda run: run.rss_bytes, "its memory")
        finish(env)
        run = ended(settings, "load")
        assert (run.status, run.exit_code, run.error_message) == (RunStatus.FINISHED, 0, None)
        assert run.duration_s == pytest.approx(run.ended_at.timestamp() - run.started_at.timestamp(), abs=0.5)


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [
        (signal.SIGKILL, RunStatus.LOST, "killed by SIGKILL (9)"),
        (signal.SIGTERM, RunStatus.CANCELLED, "ended by SIGTERM (15)"),
    ],
)
def test_a_signal_is_told_as_the_kernel_has_it(
    settings: config.Settings, watched: Adopt, env: Path, number: int, status: RunStatus, reason: str
) -> None:
    with reader(env, 256 << 20) as program:
        watched(program.pid)
        until(lambda: now(settings, "load"))
        program.send_signal(number)
        run = ended(settings, "load")
        assert (run.status, run.signal) == (status, number), run.lost_reason
        assert run.lost_reason.startswith(reason)


def test_a_failure_has_its_exit_status_and_the_line_of_the_log_that_tells(
    settings: config.Settings, watched: Adopt, env: Path
) -> None:
    with reader(env, 256 << 20, end="3") as program:
        watched(program.pid)
        until(lambda: now(settings, "load"))
        finish(env)
        run = ended(settings, "load")
        assert (run.status, run.exit_code) == (RunStatus.FAILED, 3)
        assert (run.error_type, run.error_message) == ("exit status 3", "ValueError: 3 rows are short")
        assert program.wait(5) == 3


def test_cancel_reaches_it_and_its_children(settings: config.Settings, watched: Adopt, env: Path) -> None:
    script = env / "nightly.sh"
    script.write_text("sleep 611 & echo $! > child; wait; true\n")
    with subprocess.Popen(["sh", str(script)], cwd=env) as program:
        try:
            until((env / "child").exists)
            done = watched(program.pid)
            until(lambda: now(settings, "nightly"))
            with open_store(settings.store_url, create=False) as store:
                (run,) = reads.find(store, done.run_id)
                ask_cancel(store, run, by="ben@db1", settings=settings)
            run = ended(settings, "nightly")
            assert (run.status, run.lost_reason) == (RunStatus.CANCELLED, "cancelled by ben")
            child = int((env / "child").read_text())
            until(lambda: (about := facts(child)) is None or about.state == "Z", what="the end of the child")
        finally:
            program.kill()


def test_a_drainer_that_takes_over_goes_on_where_the_other_was(settings: config.Settings, env: Path) -> None:
    spool = config.spool_dir(settings)
    with reader(env, 256 << 20) as program:
        done = adopt.adopt(settings, adopt.inspect(program.pid, []), by="ben")
        with drainer(spool):
            seen(settings, "load", lambda run: run.derived_percent, "a percent")
        first = now(settings, "load").derived_percent
        with drainer(spool):
            seen(settings, "load", lambda run: run.derived_percent > first, "more of it")
        (sub,) = subtasks(settings, done.run_id)
        assert sub.status is SubtaskStatus.RUNNING
        program.kill()
        with drainer(spool):
            assert ended(settings, "load").status is RunStatus.LOST


def test_one_that_ended_while_nobody_watched_says_what_is_not_known(settings: config.Settings, env: Path) -> None:
    with reader(env, 256 << 20) as program:
        adopt.adopt(settings, adopt.inspect(program.pid, []), by="ben")
        program.kill()
        program.wait()
        with drainer(config.spool_dir(settings)):
            run = ended(settings, "load")
    assert (run.status, run.lost_reason) == (RunStatus.LOST, "ended; its exit status is not known to us")


def test_an_unmodified_sha512sum_shows_its_percent(settings: config.Settings, watched: Adopt, env: Path) -> None:
    with open(env / "big.iso", "wb") as file:
        file.truncate(64 << 30)  # no byte of it is on the disk
    with subprocess.Popen(["nice", "sha512sum", "big.iso"], cwd=env, stdout=subprocess.DEVNULL) as program:
        try:
            until(lambda: (about := facts(program.pid)) is not None and about.argv[:1] == ("sha512sum",))
            watched(program.pid)
            run = seen(settings, "sha512sum", lambda run: run.derived_percent, "a percent")
            assert 0 < run.derived_percent < 100
            assert (run.subtask_name, run.items_total, run.unit) == ("big.iso", 64 << 30, "B")
        finally:
            program.kill()


def test_a_program_that_only_starts_another_has_the_percent_of_that_one_and_data_is_no_log(
    settings: config.Settings, watched: Adopt, env: Path
) -> None:
    with open(env / "big.iso", "wb") as file:
        file.truncate(64 << 30)
    with (
        open(env / "big.gz", "wb") as out,
        subprocess.Popen(["timeout", "600", "gzip", "-c", "big.iso"], cwd=env, stdout=out) as program,
    ):
        try:
            until(lambda: (env / "big.gz").stat().st_size, what="the first block")
            done = watched(program.pid, name="pack")
            assert done.log_path is None
            run = seen(settings, "pack", lambda run: run.derived_percent, "a percent")
            assert (run.subtask_name, run.items_total) == ("big.iso", 64 << 30)
        finally:
            program.terminate()


def test_a_chosen_file_and_a_chosen_log(settings: config.Settings, watched: Adopt, env: Path) -> None:
    (env / "other.log").write_text("words\n")
    with reader(env, 1 << 20, 256 << 20) as program:
        options = {"log": str(env / "other.log"), "progress_file": str(env / "part1.bin")}
        watched(program.pid, name="DAILY_load", **options)
        run = seen(settings, "DAILY_load", lambda run: run.derived_percent, "a percent")
        assert (run.stage, run.log_path) == ("DAILY", options["log"])
        assert (run.subtask_name, run.items_total) == ("part1.bin", 256 << 20)


def test_a_file_that_is_read_twice_shows_no_percent(settings: config.Settings, watched: Adopt, env: Path) -> None:
    with reader(env, 256 << 20) as first:
        first.kill()
    twice = READER.replace("while file.read(1 << 16):", "while file.read(1 << 16):\n            turn(file)")
    turn = "def turn(file):\n    if os.path.exists('again'):\n        file.seek(0); os.unlink('again')\n"
    with python(f"{turn}{twice}", "part0.bin", cwd=str(env)) as program:
        watched(program.pid, name="job")
        seen(settings, "job", lambda run: run.items_total and run.items_complete > 1 << 20, "the file")
        (env / "again").touch()
        run = seen(settings, "job", lambda run: run.subtask_message, "the reason")
        assert run.subtask_message == "goes back and forth in it: no percent"
        assert (run.derived_percent, run.items_total) == (None, None)


# What is refused


def refusal(pid: int, runs: list[Run] | None = None) -> str:
    with pytest.raises(adopt.AdoptRefused) as raised:
        adopt.inspect(pid, runs or [])
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_what_can_not_be_adopted_is_refused_in_one_line() -> None:
    assert refusal(4_100_000) == "there is no process 4100000"
    assert refusal(1) == "process 1 is the system's own (init)"
    assert refusal(os.getpid()).endswith("is this command itself")
    assert refusal(os.getppid()).endswith("is what you work in")
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert "a zombie that its parent" in refusal(child)
    os.waitpid(child, 0)
    if (about := facts(2)) is not None and not about.argv:
        assert refusal(2) == "process 2 is a thread of the kernel"


def test_a_thread_is_no_process() -> None:
    import threading

    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert refusal(thread.native_id or 0).endswith(f"is a thread: adopt its process {os.getpid()}")
    finally:
        stop.set()
        thread.join()


@only_root
def test_another_users_process_is_refused_to_all_but_root() -> None:
    with sleeper() as process:
        assert "AdoptRefused: process" in as_user(OTHER, lambda: adopt.inspect(process.pid, []))
        assert "belongs to root: adopt it as that user, or as root" in as_user(
            OTHER, lambda: adopt.inspect(process.pid, [])
        )


@only_root
def test_root_adopts_for_others_and_can_not_retry_for_them(settings: config.Settings, watched: Adopt) -> None:
    with subprocess.Popen(["sleep", "600"], user=OTHER) as process:
        try:
            done = watched(process.pid)
            until(lambda: now(settings, "sleep"))
            assert now(settings, "sleep").user == f"uid {OTHER}"
            assert "start it again as that user" in launch.read(settings.state_dir, done.run_id)["refusal"]
        finally:
            process.kill()
        assert ended(settings, "sleep").status is RunStatus.LOST


def test_our_own_processes_are_refused(settings: config.Settings, watched: Adopt) -> None:
    path = Path(f"{config.spool_dir(settings)}/drainer.lock")
    until(lambda: path.exists() and path.read_text())
    lock = json.loads(path.read_text())
    assert "is statustui's own" in refusal(lock["pid"])
    for argv in (
        ["/usr/bin/python3", "/usr/local/bin/statustui"],
        ["python", "-m", "statustui", "run", "--", "x"],
        ["/opt/v/bin/statustui", "status"],
        ["python3", "-P", "-m", "statustui.drain", "/x"],
    ):
        assert adopt.is_ours(argv), argv
    for argv in (["python", "/home/me/statustui_report.py"], ["grep", "statustui-x", "f"], ["sh", "/srv/statustui.sh"]):
        assert not adopt.is_ours(argv), argv


def test_what_is_tracked_is_named(settings: config.Settings, watched: Adopt, env: Path) -> None:
    with subprocess.Popen(["sh", "-c", "sleep 612; true"], cwd=env) as program:
        child = None
        try:
            watched(program.pid, name="job")
            until(lambda: open_runs(settings))
            (run,) = open_runs(settings)
            assert refusal(program.pid, [run]) == f"process {program.pid} is run {run.id} (job): it is tracked already"
            children = Path(f"/proc/{program.pid}/task/{program.pid}/children")
            until(lambda: children.read_text().strip(), what="the child")
            child = int(children.read_text())
            assert "is a child of run" in refusal(child, [run])
            assert program.pid not in {one.about.pid for one in candidates([run])}
            with pytest.raises(adopt.AdoptRefused, match="was adopted before"):
                watched_again = facts(program.pid)
                assert watched_again is not None
                adopt.adopt(settings, watched_again, by="ana")
        finally:
            program.kill()
            if child is not None:
                os.kill(child, signal.SIGKILL)


def test_a_pid_that_another_process_has_by_now_is_not_adopted(settings: config.Settings) -> None:
    with sleeper() as process:
        about = adopt.inspect(process.pid, [])
        with pytest.raises(adopt.AdoptRefused, match="has just ended"):
            adopt.adopt(settings, about._replace(start=about.start - 1), by="ben")
    assert not list(Path(config.spool_dir(settings)).glob("*.jsonl"))


# Trying again


def test_a_retry_starts_the_same_command_anew(
    settings: config.Settings, watched: Adopt, env: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reader(env, 1 << 20, end="3") as program:
        done = watched(program.pid)
        finish(env)
        ended(settings, "load")
        record = launch.read(settings.state_dir, done.run_id)
        assert record["argv"] == [sys.executable, "load.py", "part0.bin"]
        assert (record["cwd"], record["exe"], record["refusal"]) == (str(env), sys.executable, None)
        assert main(["retry", "--yes", "load"]) == 0
        until(lambda: now(settings, "load").attempt == 2, what="the second attempt")
        assert ended(settings, "load").status is RunStatus.FINISHED, "END is no variable that is kept"


@pytest.mark.parametrize(
    ("command", "reason"),
    [("sleep 613 < data", "standard input"), ("exec -a 'worker: idle' sleep 613 < /dev/null", "command line")],
)
def test_what_a_retry_could_not_repeat_is_refused_with_the_reason(
    settings: config.Settings, watched: Adopt, env: Path, capsys: pytest.CaptureFixture[str], command: str, reason: str
) -> None:
    (env / "data").write_text("x")
    with subprocess.Popen(["bash", "-c", f"exec {command.removeprefix('exec ')}"], cwd=env) as program:
        try:
            until(lambda: (about := facts(program.pid)) is not None and about.argv[:1] not in ((), ("bash",)))
            watched(program.pid, name="job")
            until(lambda: now(settings, "job"))
        finally:
            program.kill()
        ended(settings, "job")
        assert main(["retry", "--yes", "job"]) == 1
        assert reason in "".join(capsys.readouterr())


# The command line


def test_the_command_adopts_and_lists(
    settings: config.Settings, watched: Adopt, env: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reader(env, 64 << 20) as program:
        assert main(["adopt", str(program.pid), "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["task"], said["pid"], said["log_path"]) == ("load", program.pid, str(env / "load.log"))
        until(lambda: now(settings, "load"))
        assert main(["adopt", str(program.pid)]) == 1
        run = now(settings, "load")
        assert f"is run {run.id} (load): it is tracked already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["4100000"], 1, "there is no process 4100000"),
        (["0"], 2, "0 is no process id"),
        (["--name", "x"], 2, "say which process"),
        (["abc"], 2, "is not a valid integer"),
        (["{own}", "--log", "/nowhere/x.log"], 1, "--log /nowhere/x.log: No such file"),
        (["{own}", "--progress-file", "/dev/null"], 1, "--progress-file /dev/null: not a regular file"),
        (["{own}", "--name", " "], 2, "--name needs a value"),
    ],
)
def test_wrong_input_is_answered_in_one_line(
    settings: config.Settings, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: str
) -> None:
    with sleeper() as process:
        assert main(["adopt", *(word.format(own=process.pid) for word in arguments)]) == status
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_where_no_drainer_stays_nothing_is_adopted(
    settings: config.Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATUSTUI_DRAINER", "inline")
    with sleeper() as process:
        assert main(["adopt", str(process.pid)]) == 1
    assert "adopting needs a drainer" in capsys.readouterr().err


def test_secrets_in_a_title_that_a_process_gave_itself_are_found(settings: config.Settings) -> None:
    title = "loader --password hunter2secret postgres://u:hunter2secret@db/x --token=hunter2secret all done"
    process = subprocess.Popen(["bash", "-c", f"exec -a '{title}' sleep 613"])
    try:
        soon(lambda: (about := facts(process.pid)) is not None and about.argv[:1] == (title,))
        run = adopt.adopt(settings, adopt.inspect(process.pid, []), by="ben@db1")
        spool = Path(config.spool_dir(settings))
        written = b"".join(path.read_bytes() for path in spool.glob("*.jsonl"))
        assert run.task == "loader" and b"all" in written
        assert b"hunter2secret" not in written and "hunter2secret" not in run.task
    finally:
        process.kill()
        process.wait()
