"""``statustui event``, ``progress`` and ``subtask``: one line by any program, for the run that it was started in."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from statustui.journal import identity
from statustui.journal.calls import CallJournal
from statustui.journal.files import segment_path
from statustui.journal.line import line_of
from statustui.journal.reader import JournalReader, check
from statustui.record.join import OWNER, SUBTASK, owner_token

RUN = "01a2043c-eb20-7c11-9d54-0f6a2bb0c5a1"
OURS = [sys.executable, "-m", "statustui"]


@pytest.fixture(autouse=True)
def program(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``statustui`` on the PATH; no drainer but by hand."""
    place = env / "bin"
    place.mkdir()
    wrapper = place / "statustui"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} -m statustui "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")


def need(*programs: str) -> None:
    for name in programs:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")


def shown(task: str) -> dict[str, Any]:
    """The run as the store has it once all journals are in it."""
    subprocess.run([*OURS, "drain"], check=True, capture_output=True, timeout=60)
    done = subprocess.run([*OURS, "show", task, "--json"], check=True, capture_output=True, timeout=60)
    found = json.loads(done.stdout)
    return {**found, **found["run"]}


def wrapped(body: str, place: Path, name: str = "job") -> tuple[int, str]:
    """Exit status and output of a shell script below ``statustui run``."""
    script = place / "job.sh"
    script.write_text(body)
    done = subprocess.run(
        [*OURS, "run", "--name", name, "--", "sh", str(script)], capture_output=True, text=True, timeout=90
    )
    return done.returncode, done.stdout + done.stderr


def call(*words: str, token: str | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
    """One call, in the run of *token*."""
    variables = {**os.environ, **({OWNER: token} if token else {}), **env}
    return subprocess.run([*OURS, *words], capture_output=True, text=True, timeout=30, env=variables, check=False)


def told(spool: str, run: str = RUN) -> list[dict[str, Any]]:
    """What stands in the journal of calls, its first line left out."""
    lines = JournalReader(spool, f"{run}-calls").read(0, 1 << 24, final=True)
    assert [line.error for line in lines if line.record is None] == []
    return [line.record for line in lines if line.record is not None and line.record["k"] != "writer"]


@pytest.fixture
def spool(state_dir: Path) -> str:
    return f"{state_dir}/spool/m/{os.stat('/proc/self/ns/pid').st_ino}/s"


@pytest.fixture
def token(spool: str) -> str:
    """A run of this very process."""
    return owner_token(RUN, os.getpid(), identity.start_tick(), spool)


def test_counts_of_many_processes_add_up_exactly(env: Path) -> None:
    need("xargs")
    body = """
statustui subtask "Convert images" --total 24 --unit files
seq 24 | xargs -P 6 -n 1 sh -c 'statustui progress +2 --total 48'
statustui subtask "Convert images" --done --message "all of them"
statustui event --level warning "3 files were empty"
"""
    assert wrapped(body, env)[0] == 0
    run = shown("job")
    assert [(s["name"], s["items_complete"], s["items_total"], s["status"]) for s in run["subtasks"]] == [
        ("Convert images", 48, 48, "completed")
    ]
    assert [e["message"] for e in run["events"] if e["kind"] == "warning"] == ["3 files were empty"]
    assert run["status"] == "finished"


def test_make_perl_and_find_speak_for_the_run(env: Path) -> None:
    need("make", "perl", "find")
    (env / "Makefile").write_text(
        'all: a b c\n\na b:\n\t@statustui subtask "$@" -- true\n\n'
        'c:\n\t@perl -e \'exit system("statustui", "event", "perl was here")\'\n'
    )
    for name in ("1.txt", "2.txt", "3.txt"):
        (env / name).write_text("")
    body = f"make -s -j2 -C {env} all && find {env} -name '*.txt' -exec statustui progress +1 --unit texts \\;"
    status, output = wrapped(body, env)
    assert (status, output) == (0, "")
    run = shown("job")
    subs = {s["name"]: (s["items_complete"], s["status"]) for s in run["subtasks"]}
    assert subs == {"a": (None, "completed"), "b": (None, "completed"), "texts": (3, "completed")}
    assert "perl was here" in [e["message"] for e in run["events"]]


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_inside_a_tracked_shell_script_they_mean_the_subtask_that_is_open(shell: str, env: Path) -> None:
    need(shell, "xargs")
    script = env / "load.sh"
    script.write_text(
        f'eval "$(statustui shell-init {"bash" if shell == "bash" else "sh"})"\n'
        'genter "load"; seq 6 | xargs -P 3 -n 1 sh -c "statustui progress +1 --total 6"; gexit\n'
        'genter "check"; statustui subtask "inner" --total 1; statustui progress +1; gexit\n'
        'statustui event "after all"\n'
    )
    subprocess.run([shell, str(script)], check=True, capture_output=True, timeout=60)
    run = shown("load")
    subs = {s["name"]: (s["items_complete"], s["items_total"], s["heading"]) for s in run["subtasks"]}
    assert subs == {"load": (6, 6, False), "check": (None, None, True), "inner": (1, 1, False)}
    assert "after all" in [e["message"] for e in run["events"]]


def test_a_python_program_hands_its_run_on(env: Path) -> None:
    code = """
import os, statustui, subprocess
with statustui.run("outer") as run:
    subprocess.run(["statustui", "event", "from a child"], env={**os.environ, **run.context().env()}, check=True)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert "from a child" in [e["message"] for e in shown("outer")["events"]]


def test_a_wrapper_inside_a_run_has_a_run_of_its_own_below_it(env: Path) -> None:
    status, _ = wrapped('statustui run --name inner -- sh -c "statustui event deep"', env)
    assert status == 0
    outer, inner = shown("job"), shown("inner")
    assert inner["parent_run_id"] == outer["run_id"]
    assert "deep" in [e["message"] for e in inner["events"]]
    assert "deep" not in [e["message"] for e in outer["events"]]


@pytest.mark.parametrize(
    ("command", "status", "end"),
    [("true", 0, "completed"), ("exit 7", 7, "failed"), ("kill -9 $$", 137, "failed")],
)
def test_a_command_as_a_subtask(command: str, status: int, end: str, spool: str, token: str) -> None:
    done = call("subtask", "part", "--total", "3", "--", "sh", "-c", command, token=token)
    assert (done.returncode, done.stderr) == (status, "")
    start, over = told(spool)
    assert (start["k"], start["name"], start["total"]) == ("sub.start", "part", 3)
    assert (over["k"], over["name"], over["status"]) == ("sub.end", "part", end)
    assert call("subtask", "part", "--", "/nowhere/x", token=token).returncode == 127
    assert call("subtask", "part", "--", "sh", "-c", "exit 4").returncode == 4, "outside a run it is run all the same"


def test_a_signal_to_the_caller_reaches_the_command(token: str, env: Path, wait_for: Callable[..., None]) -> None:
    code = f"import os, time; open({str(env / 'up')!r}, 'w'); time.sleep(60)"
    process = subprocess.Popen(
        [*OURS, "subtask", "x", "--", sys.executable, "-c", code], env={**os.environ, OWNER: token}
    )
    try:
        wait_for((env / "up").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()


def test_outside_a_run_they_say_so_and_fail_nothing(state_dir: Path) -> None:
    for words in (("event", "x"), ("progress", "+1"), ("subtask", "x")):
        done = call(*words)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.startswith(f"statustui {words[0]}: not inside a run, nothing is recorded;")
        assert done.stderr.count("\n") == 1
    assert not list(state_dir.iterdir())
    silent = call("event", "x", STATUSTUI_DISABLE="1")
    assert (silent.returncode, silent.stderr) == (0, "")


def test_a_run_that_has_ended_is_not_spoken_for(spool: str) -> None:
    child = subprocess.Popen(["sleep", "600"])
    from statustui.record.context import start_of

    token = owner_token(RUN, child.pid, start_of(child.pid), spool)
    assert call("event", "lives", token=token).stderr == ""
    child.kill()
    child.wait()
    assert "has ended" in call("event", "over", token=token).stderr
    assert [record["message"] for record in told(spool)] == ["lives"]


@pytest.mark.parametrize(
    "token",
    ["", "x", ":::", f"{RUN}:1:1", f"{RUN}:1:1:relative", f"{RUN}:a:1:/x", f"{RUN[:-1]}:1:1:/x", "../../x:1:1:/x"],
)
def test_a_variable_that_is_none_is_no_run(token: str) -> None:
    done = call("event", "x", token=token or None)
    assert (done.returncode, "not inside a run" in done.stderr) == (0, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("progress", "abc"), "'abc' is no count: write 12, +1, 12/56 or 45%"),
        (("progress", "-3"), "is no count"),
        (("progress", "+"), "is no count"),
        (("progress", "1/"), "is no count"),
        (("progress", "99999999999999999999"), "not a whole number"),
        (("progress", "101%"), "not within 0% and 100%"),
        (("progress", "nan%"), "not within 0% and 100%"),
        (("progress", "1", "--total", "x"), "--total is 'x', not a whole number"),
        (("subtask", "a", "--weight", "-1"), "--weight is '-1', not a number above 0"),
        (("event", "a", "--level", "loud"), "not one of info, warning, error"),
        (("event", "a", "--kind", "a b"), "not a word"),
        (("event", "a", "--kind", "ended"), "choose another word"),
    ],
)
def test_a_value_that_is_none_is_told_and_fails_nothing(words: tuple[str, ...], says: str, token: str) -> None:
    done = call(*words, token=token)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "", 1)
    assert says in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("event",), ("event", "--foo"), ("event", "x", "--level"), ("progress",), ("progress", "1", "2"),
        ("progress", "--subtask", "x"), ("subtask",), ("subtask", "a", "--done", "--skipped"),
        ("subtask", "a", "--done", "--", "true"),
    ],
)  # fmt: skip
def test_a_call_that_could_never_work_is_a_usage_error(words: tuple[str, ...], token: str) -> None:
    done = call(*words, token=token)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"Try 'statustui {words[0]} --help'." in done.stderr


def test_help_names_every_option_with_an_example() -> None:
    from statustui.cli import calls

    for name in ("event", "progress", "subtask"):
        done = call(name, "--help")
        assert done.returncode == 0
        assert "Example: " in done.stdout
        for option in (*calls._VALUED[name], *calls._FLAGS[name]):
            assert option in done.stdout
        by_group = call("--json", name, "--help")
        assert by_group.stdout == done.stdout, "the same behind options of the program"


def test_texts_are_cleaned_and_secrets_left_out(spool: str, token: str) -> None:
    long = "x" * 100_000
    assert (
        call("event", "--detail", "to postgresql://me:hush@db/x", "password=hunter2", "- a", token=token).returncode
        == 0
    )
    assert call("subtask", "--token abc of\x1b[2J it", token=token).stderr == "", "it has blanks: no option"
    done = subprocess.run(
        [*OURS, "event", "-"], input=long.encode() + b"\xff\n", env={**os.environ, OWNER: token}, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    event, subtask, piped = told(spool)
    assert event["message"] == "password=[redacted] - a"
    assert "hush" not in event["detail"]
    assert "abc" not in subtask["name"]
    assert len(piped["message"]) == 60_000
    assert list(check(segment_path(spool, f"{RUN}-calls", 0))) == []


def test_the_subtask_of_another_run_is_not_ours(spool: str, token: str) -> None:
    call("progress", "+1", token=token, **{SUBTASK: f"{RUN}:3"})
    call("progress", "+1", token=token, **{SUBTASK: "01a2043c-eb20-7c11-9d54-000000000000:3"})
    call("progress", "+1", "--subtask", "named", token=token, **{SUBTASK: f"{RUN}:3"})
    assert [(r.get("parent"), r.get("name")) for r in told(spool)] == [(3, None), (None, None), (None, "named")]


# --- the journal of calls ---------------------------------------------------------------------------------------------


def journal(spool: str, **options: Any) -> CallJournal:
    return CallJournal(spool, RUN, {**identity.describe(), "lang": "sh"}, **options)


def add(calls: CallJournal, number: int) -> None:
    calls.append(line_of("sub.info", RUN, {"n": 0, "add": 1, "message": f"{number} " + "x" * 400}), 1)


def _append_many(spool: str, first: int, count: int) -> None:
    for number in range(first, first + count):
        add(journal(spool, segment_bytes=8192), number)


def test_many_processes_append_over_many_segments_while_a_reader_follows(spool: str) -> None:
    add(journal(spool, segment_bytes=8192), -1)
    context = get_context("fork")
    workers = [context.Process(target=_append_many, args=(spool, 1000 * n, 150)) for n in range(5)]
    for worker in workers:
        worker.start()
    reader = JournalReader(spool, f"{RUN}-calls")
    at, found = 0, []
    while True:
        alive = any(worker.is_alive() for worker in workers)
        lines = reader.read(at, 1 << 16)
        found += [line.record["message"].split()[0] for line in lines if line.record and line.record["k"] == "sub.info"]
        at = lines[-1].next_offset if lines else at
        if not alive and not lines:
            break
    assert [worker.exitcode for worker in workers] == [0] * 5
    assert sorted(map(int, found)) == sorted([-1, *(1000 * n + i for n in range(5) for i in range(150))])
    numbers = reader.segments()
    assert len(numbers) > 20
    for number in numbers:
        first = Path(segment_path(spool, f"{RUN}-calls", number)).read_bytes().split(b"\n")[1]
        assert json.loads(first)["k"] == "writer"


def test_a_segment_that_its_last_writer_could_not_seal_is_sealed_by_the_next(spool: str) -> None:
    for number in range(30):
        add(journal(spool, segment_bytes=4096), number)
    first = Path(segment_path(spool, f"{RUN}-calls", 1))
    newest = JournalReader(spool, f"{RUN}-calls").segments()[-1]
    before = Path(segment_path(spool, f"{RUN}-calls", newest - 1))
    before.chmod(0o600)  # as after a kill -9 between the two
    assert first.stat().st_mode & 0o777 == 0o400
    add(journal(spool, segment_bytes=1 << 20), 99)
    assert before.stat().st_mode & 0o777 == 0o400


def test_segments_that_were_applied_and_deleted_are_not_made_again(spool: str) -> None:
    for number in range(40):
        add(journal(spool, segment_bytes=4096), number)
    reader = JournalReader(spool, f"{RUN}-calls")
    newest = reader.segments()[-1]
    for number in range(newest):
        os.unlink(segment_path(spool, f"{RUN}-calls", number))
    add(journal(spool, segment_bytes=4096), 100)
    assert min(reader.segments()) >= newest


def test_what_is_dropped_is_counted_and_told_when_there_is_room(spool: str) -> None:
    add(journal(spool), 0)
    for _ in range(3):
        with pytest.raises(OSError, match="unapplied"):
            add(journal(spool, limit=0, segment_bytes=1), 1) if grow(spool) else None
    assert Path(f"{spool}/{RUN}-calls.lock").read_text() == f"{3:020d}\n"
    add(journal(spool), 2)
    assert Path(f"{spool}/{RUN}-calls.lock").read_text() == f"{0:020d}\n"
    records = [record for record in told(spool) if record["k"] == "dropped"]
    assert [(record["facts"], record["progress"]) for record in records] == [(3, 0)]


def grow(spool: str) -> bool:
    """Make the segment large enough to be followed by another."""
    path = segment_path(spool, f"{RUN}-calls", 0)
    while os.stat(path).st_size < 4096:
        add(journal(spool), 7)
    return True


def test_a_full_disk_is_told_on_stderr_and_fails_nothing(spool: str, token: str) -> None:
    call("event", "first", token=token)
    limited = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *OURS, "event", "second"]
    done = subprocess.run(limited, env={**os.environ, OWNER: token}, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0
    assert done.stderr.startswith("statustui event: not recorded: File too large")
    call("event", "third", token=token)
    assert [record.get("message") for record in told(spool) if record["k"] == "event"] == ["first", "third"]


def test_closed_streams_fail_nothing(token: str) -> None:
    for words in ("event - <&-", "event --help >&-", "event hello <&- >&- 2>&-", "progress +1 <&- >&-"):
        done = subprocess.run(
            ["sh", "-c", f"statustui {words}"], capture_output=True, text=True, timeout=30, check=False,
            env={**os.environ, OWNER: token},
        )  # fmt: skip
        assert done.returncode == 0 and "Traceback" not in done.stderr, words


def test_a_foreign_file_in_its_place_is_left_alone(spool: str, token: str, env: Path) -> None:
    call("event", "first", token=token)
    path = Path(segment_path(spool, f"{RUN}-calls", 0))
    path.unlink()
    target = env / "precious"
    target.write_text("mine")
    path.symlink_to(target)
    done = call("event", "second", token=token)
    assert done.returncode == 0
    assert done.stderr.startswith("statustui event: not recorded: ")
    assert target.read_text() == "mine"
