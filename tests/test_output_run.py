"""``statustui run`` and the progress in what its command prints, end to end: real commands, real files, the journal."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from statustui import config
from statustui.control import retry
from statustui.control.output import copied
from statustui.journal.slot import read_slot
from support.drained import drainer, the_run, viewer
from support.played import play
from support.processes import until
from support.wrapped import RUN, facts, launch_file, only, run

BAR = """
import sys, time
for i in range(0, 31):
    sys.stdout.write("\\r%3d%%|%s| %d/30 [00:%02d<00:00, 9.90it/s]" % (i * 100 / 30, "#" * (i // 3), i, i // 10))
    sys.stdout.flush()
    time.sleep(0.06)
print()
"""
PLAIN = "import time\nfor i in range(1, 16):\n    print(f'copied {i} of 20 files', flush=True)\n    time.sleep(0.12)\n"
pytestmark = pytest.mark.usefixtures("env")


def python(code: str) -> tuple[str, ...]:
    return sys.executable, "-c", code


def subtasks() -> list[str]:
    return [record["name"] for record in facts("sub.start")]


def test_a_bar_becomes_a_subtask_and_the_output_stays_as_it_is() -> None:
    alone = subprocess.run(python(BAR), capture_output=True, timeout=60)
    done = run(*python(BAR))
    assert (done.stdout, done.stderr, done.returncode) == (alone.stdout, alone.stderr, 0)
    assert subtasks() == ["loop"]
    end = only("sub.end")
    assert (end["status"], end["complete"], end["total"]) == ("completed", 30, 30)


def test_output_that_goes_to_a_file_is_read_back_from_there(tmp_path: Path) -> None:
    log = tmp_path / "cron.log"
    log.write_text("copied 1 of 20 files\ncopied 2 of 20 files\ncopied 3 of 20 files\n")
    with log.open("ab") as file:
        subprocess.run([*RUN, "--", *python(PLAIN)], stdout=file, stderr=file, check=True, timeout=60)
    assert log.read_text().count("\n") == 18
    assert subtasks() == ["files"]
    assert only("sub.start")["total"] == 20
    spool = Path(config.spool_dir(config.load()))
    (payload,) = (read_slot(str(path)) for path in spool.glob("*.slot"))
    assert payload is not None
    ((_, told),) = payload["runs"].items()
    ((_, sub),) = told["subs"].items()
    assert (sub["c"], sub["t"]) == (15, 20)


def test_a_terminal_s_bar_too(tmp_path: Path) -> None:
    done = run(*python(BAR), options=("--pty",))
    assert done.stdout.count(b"30/30") == 1
    assert only("sub.end")["complete"] == 30


def test_off_reads_nothing() -> None:
    run(*python(BAR), options=("--progress", "off"))
    assert not subtasks()


def test_output_without_progress_has_none() -> None:
    line = "print('request', i, 'of user', i % 4, '7/12', flush=True)"
    run(*python(f"import time\nfor i in range(9):\n    {line}\n    time.sleep(0.15)"))
    assert not subtasks()


def test_an_expression_of_one_s_own() -> None:
    code = (
        "import time\n"
        "for part in 'north', 'south':\n"
        "    print(f'begin {part}', flush=True)\n"
        "    for i in range(1, 6):\n"
        "        print(f'tile <{i};5> ok', flush=True)\n"
        "        time.sleep(0.15)\n"
    )
    expression = r"^begin (?P<heading>\w+)|tile <(?P<done>\d+);(?P<total>\d+)>"
    run(*python(code), options=("--progress", expression))
    assert subtasks() == ["north", "south"]
    assert [(end["complete"], end["total"]) for end in facts("sub.end")] == [(5, 5), (5, 5)]


def test_rules_of_the_configuration(tmp_path: Path, env: Path) -> None:
    script = tmp_path / "job.py"
    script.write_text("import time\nfor i in range(10):\n    print(f'@@ {i}', flush=True)\n    time.sleep(0.15)\n")
    (tmp_path / ".statustui.toml").write_text("progress = ['(unclosed', '^@@ (?P<done>[0-9])$']\n")
    run(sys.executable, str(script))
    assert subtasks() == ["progress"]


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("(?P<done>", "no regular expression"),
        (r"\d+", "names no group"),
        ("(?P<done>[0-9]+)(?P<foo>x)", "unknown group foo"),
        ("", "needs a value"),
        ("(?P<done>[0-9]+", "no regular expression"),
    ],
)
def test_a_wrong_expression_is_said_before_anything_starts(expression: str, says: str, tmp_path: Path) -> None:
    done = run("touch", str(tmp_path / "started"), options=("--progress", expression))
    assert done.returncode == 2
    assert says in done.stderr.decode().splitlines()[0]
    assert not (tmp_path / "started").exists()


def test_an_expression_that_never_ends_stops_nothing() -> None:
    code = "import time\nfor i in range(12):\n    print('a' * 60 + '!', flush=True)\n    time.sleep(0.15)"
    done = run(*python(code), options=("--progress", r"^(a+)+(?P<percent>\d+)$"))
    assert done.returncode == 0
    assert done.stdout.count(b"!") == 12
    (note,) = [event["message"] for event in facts("event") if event["kind"] == "warning"]
    assert "switched off" in note


def test_a_program_that_reports_by_itself_is_believed_before_its_output() -> None:
    code = (
        "import sys, time, statustui\n"
        "with statustui.run('own') as run:\n"
        "    for i in run.track(range(30), 'rows'):\n"
        "        sys.stdout.write('\\r%3d%%|##| %d/30 [00:01<00:00, 9.90it/s]' % (i * 100 / 30, i))\n"
        "        sys.stdout.flush()\n"
        "        time.sleep(0.06)\n"
    )
    run(*python(code))
    assert subtasks() == ["rows"]


def test_one_that_begins_to_report_later_takes_over() -> None:
    later = (
        "import statustui\nwith statustui.run('own') as run:\n    with run.subtask('rows', total=3) as sub:\n"
        "        sub.advance(3); time.sleep(3)\n"
    )
    run(*python(BAR + later))
    names = subtasks()
    assert sorted(names) == ["loop", "rows"]
    loop = next(record["n"] for record in facts("sub.start") if record["name"] == "loop")
    assert any(record["n"] == loop and record.get("heading") for record in facts("sub.info")) or any(
        record["n"] == loop for record in facts("sub.end")
    )


def test_a_log_that_is_truncated_meanwhile(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    code = PLAIN.replace("time.sleep(0.12)", f"time.sleep(0.12)\n    i == 8 and open({str(log)!r}, 'w').close()")
    with log.open("ab") as file:
        assert subprocess.run([*RUN, "--", *python(code)], stdout=file, stderr=file, timeout=60).returncode == 0
    assert subtasks() == ["files"]


def test_secrets_in_names_do_not_reach_the_journal() -> None:
    run(*python(BAR.replace("%3d%%|", "password=hunter2: %3d%%|")))
    assert facts("sub.start")
    assert "hunter2" not in str(facts("sub.start"))


def test_the_two_levels_reach_the_store(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "for stage in 1, 2, 3:\n"
        "    print(f'Stage {stage}/3: load', flush=True)\n"
        "    for i in range(0, 101, 5):\n"
        "        sys.stdout.write(f'\\r{i:3}% loaded'); sys.stdout.flush(); time.sleep(0.07)\n"
        "    print()\n"
    )
    settings = config.load()
    environment = {**os.environ, "STATUSTUI_DRAINER": "off"}
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen([*RUN, "--name", "levels", "--", *python(code)], stdout=out, env=environment)
    try:
        with drainer(config.spool_dir(settings)), viewer(settings.store_url):
            until(lambda: _second(settings.store_url), what="the second of three stages at work, with its percent")
            assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def _second(url: str) -> Any:
    found = the_run(url, "levels")
    return (
        found is not None
        and found.total_subtasks == 3
        and found.subtasks_done == 1
        and found.subtask_name == "stage 2: load"
        and 0 < (found.subtask_percent or 0) < 100
        and 33 < found.percent < 67
    )


def test_doctor_names_an_expression_that_can_not_be_used(tmp_path: Path) -> None:
    (tmp_path / ".statustui.toml").write_text("progress = ['(unclosed', '(?P<done>x)']\nredact = ['[']\n")
    command = [sys.executable, "-m", "statustui", "doctor"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "progress: '(unclosed' is no regular expression" in done.stdout
    assert "redact: '[' is no regular expression" in done.stdout


@pytest.mark.parametrize(
    ("words", "total"),
    [
        ("if=big of=/dev/null bs=64k", 1000),
        ("if=big skip=1 bs=100", 900),
        ("if=big count=3 bs=100", 300),
        ("if=big count=300 iflag=count_bytes,fullblock", 300),
        ("if=/dev/zero count=2 bs=1M", 2 << 20),
        ("if=/dev/zero of=x", None),
        ("of=x bs=1k count=3", None),
        ("if=missing", None),
        ("if=big bs=1q", None),
        ("if=big count=99999999999999999999999", None),
    ],
)
def test_how_much_dd_copies_is_known_from_its_arguments(words: str, total: int | None, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(1000))
    assert copied.total(["/bin/dd", *words.split()], str(tmp_path)) == total
    assert copied.total(["ls", *words.split()], str(tmp_path)) is None


def test_dd_shows_how_far_it_is() -> None:
    pieces = [(float(at), b"\r%d bytes (1 MB) copied, %d s, 1 MB/s" % (at * 100, at)) for at in range(1, 8)]
    (sub,) = play(pieces, program="dd", kind="command", total=1000).subs.values()
    assert sub.shares[-1] == 0.7


def test_a_retry_keeps_the_expression(state_dir: Path) -> None:
    run("true", options=("--progress", "(?P<done>[0-9]+)"))
    record = json.loads(launch_file(state_dir).read_text())
    assert "--progress=(?P<done>[0-9]+)" in retry._options(record)
    record["options"]["progress"] = "auto"
    assert not [word for word in retry._options(record) if word.startswith("--progress")]
