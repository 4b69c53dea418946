"""Retry: from the launch file alone, with an environment of its own, once."""

import dataclasses
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from statustui.control import cancel, retry
from statustui.journal import launch
from statustui.journal.identity import user_name
from statustui.machine import host_name
from statustui.model.ids import new_id
from statustui.model.run import Run
from statustui.model.status import RunStatus
from support import wrapped
from support.wrapped import facts, only, until

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def no_drainer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")


def failed(**fields: Any) -> Run:
    """A run of this user on this host that failed."""
    known: dict[str, Any] = {
        "run_id": new_id(), "id": 4817, "task": "t", "started_at": NOW, "last_update": NOW,
        "host": host_name(), "user": user_name(), "status": RunStatus.FAILED,
    }  # fmt: skip
    return Run(**(known | fields))


def kept(state_dir: Path, run: Run, **fields: Any) -> None:
    """Leave a launch file for a run."""
    known: dict[str, Any] = {"task": run.task, "argv": ["true"], "cwd": "/", "host": host_name(), "wrapped": True}
    launch.write(str(state_dir), run.run_id, **(known | fields))


def test_a_wrapped_run_is_repeated_as_its_next_attempt(state_dir: Path, tmp_path: Path) -> None:
    script = "test -e ok || { touch ok; exit 3; }; echo second try"
    assert wrapped.run("sh", "-c", script, options=["--name", "flaky", "--grace", "2"], cwd=tmp_path).returncode == 3
    first = only("run.start")["run"]
    plan = retry.plan(str(state_dir), failed(run_id=first))
    assert plan.refusal is None
    assert (plan.argv[1:], plan.cwd, plan.attempt) == (("-c", script), str(tmp_path), 2)
    assert os.path.isabs(plan.argv[0])
    new = retry.start(plan, by="ana@db1 (pts/3)")
    until(lambda: len(facts("run.end")) == 2)
    start = next(one for one in facts("run.start") if one["run"] == new)
    assert (start["attempt"], start["retry_of"], start["task"], start["grace"]) == (2, first, "flaky", 2)
    assert (start["log_path"], Path(plan.output).read_text()) == (plan.output, "second try\n")
    assert Path(plan.output).stat().st_mode & 0o777 == 0o600
    assert next(one for one in facts("run.end") if one["run"] == new)["status"] == "finished"
    assert only("event")["actor"] == "ana@db1 (pts/3)"


def test_a_python_program_joins_the_attempt_that_the_wrapper_made(state_dir: Path, tmp_path: Path) -> None:
    script = tmp_path / "job.py"
    script.write_text(
        "import statustui\nwith statustui.run('job') as run:\n    with run.subtask('work', total=1) as s: s.advance()\n"
    )
    run = failed(task="job")
    kept(state_dir, run, argv=[sys.executable, str(script)], exe=sys.executable, cwd=str(tmp_path), wrapped=False)
    new = retry.start(retry.plan(str(state_dir), run), by="ana")
    until(lambda: [end for end in facts("run.end") if "exit_code" in end])
    assert {record["run"] for record in facts() if "run" in record} == {new}
    assert facts("sub.end")


def test_an_edited_command_is_the_one_that_runs(state_dir: Path) -> None:
    run = failed()
    kept(state_dir, run, argv=["false"])
    plan = retry.plan(str(state_dir), run)
    retry.start(plan, by="ana", argv=["echo", "a b"])
    until(lambda: facts("run.end"))
    assert Path(plan.output).read_text() == "a b\n"


def test_the_environment_is_not_that_of_the_viewer(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = failed()
    kept(
        state_dir,
        run,
        argv=["env"],
        env={"CUDA_VISIBLE_DEVICES": "1", "LD_PRELOAD": "/evil.so", "PYTHONPATH": "/evil", "PATH": "/evil",
             "BASH_ENV": "/evil", "GIT_SSH": "/evil"},
    )  # fmt: skip
    monkeypatch.setenv("VIEWER_ONLY", "1")
    plan = retry.plan(str(state_dir), run)
    assert {"LD_PRELOAD left out", "PYTHONPATH left out"} <= set(plan.env_diff)
    retry.start(plan, by="ana")
    until(lambda: facts("run.end"))
    seen = dict(line.split("=", 1) for line in Path(plan.output).read_text().splitlines())
    assert seen["CUDA_VISIBLE_DEVICES"] == "1"
    assert {"HOME", "USER", "SHELL", "LANG", "PATH"} <= seen.keys()
    assert not {"VIEWER_ONLY", "LD_PRELOAD", "PYTHONPATH", "BASH_ENV", "GIT_SSH", "STATUSTUI_ATTEMPT"} & seen.keys()
    assert "/evil" not in str(seen)


def test_the_variables_of_the_env_file_are_there(state_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# ours\nexport DB_HOST='db 3'\nbroken line\n")
    run = failed()
    kept(state_dir, run, argv=["sh", "-c", "echo $DB_HOST"], env_file=str(tmp_path / "env"))
    plan = retry.plan(str(state_dir), run)
    retry.start(plan, by="ana")
    until(lambda: facts("run.end"))
    assert Path(plan.output).read_text() == "db 3\n"


def test_it_has_no_terminal_and_no_input(state_dir: Path) -> None:
    run = failed()
    code = "cat; ps -o sid= -p $$; (: </dev/tty) 2>/dev/null && echo tty"
    kept(state_dir, run, argv=["sh", "-c", code])
    plan = retry.plan(str(state_dir), run)
    retry.start(plan, by="ana")
    until(lambda: facts("run.end"))
    (line,) = Path(plan.output).read_text().split()
    assert int(line) != os.getsid(0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"host": "db3", "user": "etl"}, "it ran on db3: ssh db3 sudo -u etl statustui retry 4817"),
        ({"host": "db3"}, "it ran on db3: ssh db3 statustui retry 4817"),
        ({"user": "etl"}, "it is etl's: sudo -u etl statustui retry 4817"),
        ({"status": RunStatus.RUNNING, "pid": 77}, "t 4817 is still running (pid 77)"),
        ({"retried": True}, "a later attempt exists: retry that one"),
    ],
)
def test_what_is_refused_says_the_way(state_dir: Path, fields: dict[str, Any], words: str) -> None:
    run = failed(**fields)
    kept(state_dir, run)
    plan = retry.plan(str(state_dir), run)
    assert plan.refusal == words
    with pytest.raises(retry.RetryRefused, match=r".+"):
        retry.start(plan, by="ana")


def test_an_open_run_of_the_task_refuses_unless_told_so(state_dir: Path) -> None:
    run = failed()
    kept(state_dir, run)
    other = failed(id=4830, status=RunStatus.RUNNING)
    assert retry.plan(str(state_dir), run, open_runs=[other]).refusal == "t 4830 is running already"
    assert retry.plan(str(state_dir), run, open_runs=[other], force=True).refusal is None


def test_without_a_launch_file_nothing_starts(state_dir: Path) -> None:
    assert "no launch file" in str(retry.plan(str(state_dir), failed()).refusal)


def test_a_launch_file_that_others_can_write_is_not_believed(state_dir: Path) -> None:
    run = failed()
    kept(state_dir, run)
    path = wrapped.launch_file(state_dir)
    path.chmod(0o660)
    assert "others" in str(retry.plan(str(state_dir), run).refusal)


def test_an_argv_that_is_a_shell_string_is_not_believed(state_dir: Path) -> None:
    run = failed()
    kept(state_dir, run)
    path = wrapped.launch_file(state_dir)
    record = json.loads(path.read_text())
    record["argv"] = "rm -rf /"
    path.write_text(json.dumps(record))
    assert retry.plan(str(state_dir), run).refusal is not None


def test_a_directory_or_program_that_is_gone_is_named(state_dir: Path, tmp_path: Path) -> None:
    run = failed()
    kept(state_dir, run, cwd=str(tmp_path / "gone"))
    assert retry.plan(str(state_dir), run).refusal == f"its directory is gone: {tmp_path / 'gone'}"
    kept(state_dir, run, argv=["x"], exe=str(tmp_path / "x"))
    assert retry.plan(str(state_dir), run).refusal == f"its program is gone: {tmp_path / 'x'}"


def test_of_two_who_ask_at_once_one_starts_it(state_dir: Path) -> None:
    run = failed()
    kept(state_dir, run)
    plans = [retry.plan(str(state_dir), run) for _ in range(2)]
    assert [plan.refusal for plan in plans] == [None, None]
    retry.start(plans[0], by="ben")
    with pytest.raises(retry.RetryRefused, match="ben started"):
        retry.start(plans[1], by="ana")
    assert "ben started" in str(retry.plan(str(state_dir), run).refusal)
    until(lambda: facts("run.end"))
    assert len(facts("run.start")) == 1


def test_what_the_store_says_of_the_command_is_not_used(state_dir: Path) -> None:
    run = failed()
    kept(state_dir, run, argv=["true"])
    forged = dataclasses.replace(run, args=("rm", "-rf", "/"), cwd="/etc", script_path="/bin/false", log_path="/etc/x")
    plan = retry.plan(str(state_dir), forged)
    assert (plan.argv, plan.cwd) == (("true",), "/")
    assert plan.output.startswith(str(state_dir))


def test_an_end_that_was_asked_for_is_a_cancel(state_dir: Path) -> None:
    process = wrapped.popen("sh", "-c", "trap 'exit 1' TERM; echo ready; sleep 30 & wait", stdout=-1)
    assert process.stdout is not None
    with process.stdout as out:
        out.readline()
        until(lambda: facts("run.start"))
        start = only("run.start")
        cancel.note_asked(str(state_dir), start["run"])
        os.killpg(start["pgid"], 9)
        assert process.wait(10) == 137
    assert only("run.end")["status"] == "cancelled"
    assert not cancel.was_asked(str(state_dir), start["run"])


def test_a_log_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    from statustui.control.logcopy import LogCopy

    path = tmp_path / "log"
    log = LogCopy(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), limited=True, head=1_000, tail=10_000)
    lines = [f"line {i:06d}\n".encode() for i in range(20_000)]
    for line in lines:
        log.add(line)
    kept_bytes = path.read_bytes()
    assert len(kept_bytes) <= 1_000 + 2 * 10_000 + 100
    assert kept_bytes.startswith(b"".join(lines)[:1_000])
    head, _, rest = kept_bytes.partition(b"\n[statustui: ")
    note, _, tail = rest.partition(b"]\n")
    assert b"".join(lines).endswith(tail)
    assert len(tail) >= 10_000 - 20
    assert tail.startswith(b"line ")
    assert int(note.split()[0]) == len(b"".join(lines)) - len(head) - len(tail)
