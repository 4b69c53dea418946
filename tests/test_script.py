"""The functions of existing scripts: names, meaning and console output as they were."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from statustui import script
from statustui.record import ends, state
from support.recording import environment, only_run, recorded, recording_here, run_script

STATES = 56


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, env: Path) -> Iterator[None]:
    monkeypatch.setattr(script, "_script", script._Script())
    monkeypatch.setattr(ends, "_watching", True)  # this process is not the script's
    with recording_here(monkeypatch):
        yield


def after_script(stop_in: int | None = None, stop_at: str = "") -> None:
    """The document's script after its change, in Python; stops inside a subtask when told so."""
    codes = [f"S{n:02}" for n in range(STATES)]
    script.track_init("DAILY_01_BDC_Locations.R", total_tasks=len(codes) * 2)
    script.genter("processing state location data")
    for i, code in enumerate(codes, 1):
        script.genter(f"loading file for state '{code}'")
        if (stop_in, stop_at) == (i, "loading"):
            return
        script.gexit()
        script.genter("writing data to database")
        script.track_task_progress(i, len(codes), f"Writing {code}: 100 rows")
        if (stop_in, stop_at) == (i, "writing"):
            return
        script.gexit()
    script.gexit()
    script.track_finish(f"Successfully processed {len(codes)} states")


def test_the_whole_script_has_112_leaves_under_one_heading(state_dir: Path) -> None:
    after_script()
    run = only_run(state_dir)
    assert run.start["task"] == "DAILY_01_BDC_Locations"
    assert run.start["stage"] == "DAILY"
    assert run.start["total"] == 112
    assert [sub.name for sub in run.subs.values() if sub.heading] == ["processing state location data"]
    assert len(run.leaves) == run.done == 112
    assert {sub.parent for sub in run.leaves} == {1}
    assert run.end["status"] == "finished"
    assert run.end["message"] == "Successfully processed 56 states"


def test_while_the_24th_leaf_runs(state_dir: Path) -> None:
    after_script(stop_in=12, stop_at="writing")
    for one in state.every():
        one.show()
    run = only_run(state_dir)
    assert run.done == 23
    assert int(run.done * 100 / run.start["total"]) == 20
    assert run.percent is None, "derived, not set by hand"
    (writing,) = [sub for sub in run.leaves if sub.status == "running"]
    assert (writing.complete, writing.total, writing.message) == (12, 56, "Writing S11: 100 rows")


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    script.track_init("PREREQ_x.py", 1)
    script.genter("first part")
    script.gmessage("half way")
    script.track_task_progress(1, 2, "one of two")
    script.gexit()
    script.track_status(overall_message="nearly")
    script.track_error("it broke", "because")
    out, err = capsys.readouterr()
    stamped = [re.sub(r"^\[\d\d:\d\d:\d\d\]", "[HH:MM:SS]", line) for line in out.splitlines()]
    assert stamped == [f"[HH:MM:SS] {text}" for text in ("first part", "half way", "one of two", "nearly")]
    assert err == "ERROR: it broke\n"


def test_the_first_genter_begins_the_run(state_dir: Path) -> None:
    script.genter("work")
    script.gexit()
    script.track_finish()
    run = only_run(state_dir)
    assert run.named("work").status == "completed"
    assert run.end["status"] == "finished"


def test_nothing_happens_before_it_was_begun(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script.track_status(subtask_message="x")
    script.track_finish()
    script.track_error("x")
    script.gexit()
    assert recorded(state_dir) == {}
    assert capsys.readouterr() == ("", "")


def test_errors_keep_the_message_and_the_subtask(state_dir: Path) -> None:
    script.track_init("DAILY_02_x.R")
    script.genter("joining")
    script.track_error("column FIPS is missing", "line 41")
    run = only_run(state_dir)
    assert run.end["status"] == "failed"
    error = run.end["error"]
    assert (error["message"], error["detail"], error["subtask"]) == ("column FIPS is missing", "line 41", 1)
    assert run.named("joining").status == "failed"


def test_older_and_newer_argument_names(state_dir: Path) -> None:
    assert script.track_init(script_name="weekly.py", total_tasks=3, category="STATIC")
    script.track_status(subtask_name="a", task_items_complete=2, task_items_total=4, task_message="m")
    script.track_status(task_status="COMPLETED")
    script.track_status(subtask_name="b", subtask_items_complete=1, subtask_items_total=2, subtask_status="FAILED")
    script.track_status(status="FINISHED", overall_percent=100, overall_message="done")
    run = only_run(state_dir)
    assert (run.start["task"], run.start["stage"], run.start["total"]) == ("weekly", "STATIC", 3)
    a, b = run.named("a"), run.named("b")
    assert (a.complete, a.total, a.status) == (2, 4, "completed")
    assert (b.complete, b.total, b.status) == (1, 2, "failed")
    assert run.end["status"] == "finished"
    assert run.info["percent"] == 100


def test_an_argument_that_there_never_was_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="bogus"):
        script.track_init("x", bogus=1)
    with pytest.raises(TypeError, match="bogus"):
        script.track_status(bogus=1)
    with pytest.raises(TypeError, match="bogus"):
        script.track_task_progress(1, bogus=1)


def test_subtasks_by_number(state_dir: Path) -> None:
    script.track_init("x", 3)
    for n in (1, 2, 3):
        script.track_status(current_subtask=n, subtask_name=f"part {n}", subtask_items_complete=n)
        script.track_status(current_subtask=n, subtask_status="COMPLETED")
    script.track_finish()
    run = only_run(state_dir)
    assert [(sub.name, sub.complete, sub.status) for sub in run.leaves] == [
        (f"part {n}", n, "completed") for n in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("last", "returncode", "status"),
    [
        ("", 0, "finished"),
        ("raise KeyError('FIPS')", 1, "failed"),
        ("import sys; sys.exit(3)", 3, "failed"),
        ("import sys; sys.exit(0)", 0, "finished"),
        ("import sys; sys.exit('no input')", 1, "failed"),
        ("exit(3)", 3, "failed"),
        ("quit('no input')", 1, "failed"),
        ("exit()", 0, "finished"),
        ("raise KeyboardInterrupt", -2, "cancelled"),
        ("try:\n    import sys; sys.exit(3)\nexcept SystemExit: gmessage('went on')", 0, "finished"),
        ("import sys; sys.excepthook = sys.__excepthook__; 1/0", 1, "failed"),
        ("track_finish('ok'); raise SystemExit(4)", 4, "finished"),
    ],
)
def test_a_script_that_ends_without_saying_so(
    last: str, returncode: int, status: str, env: Path, state_dir: Path
) -> None:
    code = f"from statustui.script import *\ntrack_init('x')\ngenter('work')\n{last}\n"
    done = run_script(env / "x.py", code)
    assert done.returncode == returncode, done.stderr
    bare = run_script(env / "y.py", f"def f(*a): pass\ntrack_init = genter = gmessage = track_finish = f\n{last}\n")
    assert _errors(done.stderr) == _errors(bare.stderr)
    run = only_run(state_dir)
    assert run.end["status"] == status
    if status == "failed":
        assert run.end["error"]["message"]


def _errors(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("  "))


def test_a_closed_stdout_does_not_end_the_script(env: Path, state_dir: Path) -> None:
    code = "import sys\nfrom statustui.script import *\nsys.stdout.close()\ngenter('a')\ngexit()\ntrack_finish()\n"
    done = run_script(env / "x.py", code, env=environment())
    assert done.returncode == 0
    assert only_run(state_dir).end["status"] == "finished"
    assert sys.stdout is not None
