"""``statustui run`` without a terminal: what the command and its caller see is what they would see without it."""

import hashlib
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from statustui.control.options import describe
from support import wrapped
from support.wrapped import alive, facts, only, until


@pytest.fixture(autouse=True)
def no_drainer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")


@pytest.mark.parametrize("status", [0, 1, 3, 127, 255])
def test_the_exit_status_is_the_commands_own(status: int) -> None:
    assert wrapped.run("sh", "-c", f"exit {status}").returncode == status
    end = only("run.end")
    assert end["exit_code"] == status
    assert end["status"] == ("finished" if status == 0 else "failed")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV, signal.SIGPIPE])
def test_a_signal_is_128_more(number: signal.Signals) -> None:
    assert wrapped.run("sh", "-c", f"kill -{number.value} $$").returncode == 128 + number
    end = only("run.end")
    assert end["signal"] == number
    assert end["status"] == ("cancelled" if number in (signal.SIGTERM, signal.SIGINT) else "failed")


def test_a_command_that_is_not_there() -> None:
    done = wrapped.run("no-such-command-here", "x")
    assert done.returncode == 127
    assert done.stderr == b"statustui run: no-such-command-here: command not found\n"
    assert only("run.end")["status"] == "failed"


def test_a_command_that_may_not_be_executed(tmp_path: Path) -> None:
    script = tmp_path / "x.sh"
    script.write_text("echo hi\n")
    done = wrapped.run(str(script))
    assert done.returncode == 126
    assert done.stderr.decode() == f"statustui run: {script}: Permission denied\n"


def test_a_script_without_a_first_line_is_handed_to_the_shell(tmp_path: Path) -> None:
    script = tmp_path / "x"
    script.write_text("echo hi $1\n")
    script.chmod(0o755)
    assert wrapped.run(str(script), "there").stdout == b"hi there\n"


@pytest.mark.parametrize("options", [["--nonsense"], ["--name"], ["--grace", "x"], ["--log", "a", "--no-log"]])
def test_what_can_not_be_understood_is_said_in_words(options: list[str]) -> None:
    done = wrapped.run("true", options=options)
    assert done.returncode == 2
    assert done.stderr.startswith(b"statustui run: ")
    assert b"usage" in done.stderr


def test_a_hundred_megabytes_pass_exactly() -> None:
    code = "import os\nb=bytes(range(256))*4096\nfor i in range(100): os.write(1,b)"
    process = wrapped.popen(sys.executable, "-c", code, stdout=subprocess.PIPE)
    assert process.stdout is not None
    digest, size = hashlib.sha256(), 0
    with process.stdout as out:
        while part := out.read(1 << 20):
            digest.update(part)
            size += len(part)
    assert process.wait(60) == 0
    expected = hashlib.sha256()
    for _ in range(100):
        expected.update(bytes(range(256)) * 4096)
    assert (size, digest.digest()) == (100 << 20, expected.digest())


def test_the_copy_holds_the_same_bytes(state_dir: Path) -> None:
    blob = os.urandom(300_000)
    done = wrapped.run("cat", input=blob)
    assert done.stdout == blob
    start = only("run.start")
    log = Path(start["log_path"])
    assert log.parent == state_dir / "logs"
    assert log.read_bytes() == blob
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert only("run.end")["log_end"] == len(blob)


def test_stdout_and_stderr_that_are_one_pipe_stay_in_order() -> None:
    code = "for i in $(seq 200); do echo out $i; echo err $i >&2; done"
    done = wrapped.run("sh", "-c", code, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.stdout.decode().split("\n")[:-1] == [f"{word} {i}" for i in range(1, 201) for word in ("out", "err")]


def test_stdout_and_stderr_that_are_two_pipes_stay_apart() -> None:
    done = wrapped.run("sh", "-c", "echo out; echo err >&2; exit 4")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
    assert sorted(only("run.end")["log_tail"]) == ["err", "out"]


def test_two_runs_that_append_to_one_file_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "out.log"
    for word in ("first", "second"):
        with path.open("ab") as out:
            wrapped.run("sh", "-c", f"echo {word}; echo {word} again >&2", stdout=out, stderr=out)
    assert path.read_text() == "first\nfirst again\nsecond\nsecond again\n"
    starts, ends = facts("run.start"), facts("run.end")
    assert [start["log_path"] for start in starts] == [str(path)] * 2
    assert starts[0]["log_inode"] == path.stat().st_ino
    ranges = [(start["log_start"], end["log_end"]) for start, end in zip(starts, ends, strict=True)]
    assert [path.read_bytes()[a:b].split()[0] for a, b in ranges] == [b"first", b"second"]
    assert ranges[0][1] == ranges[1][0]


def test_a_file_gets_no_pipe_in_between(tmp_path: Path) -> None:
    with (tmp_path / "o").open("wb") as out:
        wrapped.run("sh", "-c", "readlink /proc/self/fd/1", stdout=out, stderr=out)
    assert (tmp_path / "o").read_text() == f"{tmp_path / 'o'}\n"


def test_stderr_beside_a_file_is_copied_and_ends_in_the_tail(tmp_path: Path) -> None:
    with (tmp_path / "data").open("wb") as out:
        done = wrapped.run(
            "sh", "-c", "echo data; echo 'fatal: disk on fire' >&2; exit 1", stdout=out, stderr=subprocess.PIPE
        )
    assert done.stderr == b"fatal: disk on fire\n"
    assert only("run.start")["log_path"] == str(tmp_path / "data")
    end = only("run.end")
    assert end["log_tail"] == ["data", "fatal: disk on fire"]
    assert end["error"]["message"] == "fatal: disk on fire"


def test_the_log_is_stdout_also_where_stderr_is_a_file(tmp_path: Path, state_dir: Path) -> None:
    with (tmp_path / "errors").open("wb") as errors:
        done = wrapped.run(
            "sh", "-c", "echo data; echo 'fatal: no disk' >&2; exit 1", stdout=subprocess.PIPE, stderr=errors
        )
    assert done.stdout == b"data\n"
    path = Path(only("run.start")["log_path"])
    assert path.parent == state_dir / "logs"
    assert path.read_bytes() == b"data\n"
    assert only("run.end")["log_tail"] == ["data", "fatal: no disk"]


def test_secrets_in_the_tail_and_the_arguments_are_hidden() -> None:
    wrapped.run("sh", "-c", "echo password=hunter2; exit 1", "sh", "--token=abc123secret")
    recorded = str(only("run.end")) + str(only("run.start"))
    assert "hunter2" not in recorded
    assert "abc123secret" not in recorded


def test_a_reader_that_leaves_ends_the_command_by_sigpipe(tmp_path: Path) -> None:
    command = f"{' '.join(wrapped.RUN)} -- yes; echo $? > {tmp_path}/status"
    done = subprocess.run(["sh", "-c", f"({command}) | head -1"], capture_output=True, timeout=30)
    assert done.stdout == b"y\n"
    until(lambda: (tmp_path / "status").exists() and (tmp_path / "status").read_text())
    assert (tmp_path / "status").read_text() == "141\n"


def test_a_writer_sees_when_the_command_stops_reading() -> None:
    done = subprocess.run(
        ["bash", "-c", f"yes | {' '.join(wrapped.RUN)} -- sh -c 'exec <&-; sleep 0.5'; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        timeout=30,
    )
    assert done.stdout == b"141\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_go_to_the_whole_group(number: signal.Signals) -> None:
    code = f"trap 'echo caught; exit 7' {number.value}; echo ready; while :; do sleep 0.1; done"
    process = wrapped.popen("bash", "-c", code, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as out:
        assert out.readline() == b"ready\n"
        process.send_signal(number)
        assert out.read() == b"caught\n"
    assert process.wait(10) == 7
    assert only("run.end")["status"] == "cancelled"


def test_usr1_reaches_the_command() -> None:
    process = wrapped.popen("bash", "-c", "trap 'exit 9' USR1; echo ready; sleep 60 & wait", stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as out:
        out.readline()
        pid = only("run.start")["pid"] if facts("run.start") else 0
        process.send_signal(signal.SIGUSR1)
        assert process.wait(10) == 9
    until(lambda: facts("run.end"))
    os.killpg(pid or only("run.start")["pid"], signal.SIGKILL)  # the sleep that was left behind


def test_what_was_ignored_stays_ignored() -> None:
    code = f"{' '.join(wrapped.RUN)} -- grep SigIgn /proc/self/status"
    alone = subprocess.run(["sh", "-c", "trap '' HUP INT; grep SigIgn /proc/self/status"], capture_output=True)
    ours = subprocess.run(["sh", "-c", f"trap '' HUP INT; {code}"], capture_output=True)
    assert ours.stdout == alone.stdout
    plain = subprocess.run(["grep", "SigIgn\\|SigBlk", "/proc/self/status"], capture_output=True)
    assert wrapped.run("grep", "SigIgn\\|SigBlk", "/proc/self/status").stdout == plain.stdout


def test_nohup_lets_it_live_through_a_hangup() -> None:
    process = subprocess.Popen(["nohup", *wrapped.RUN, "--", "sh", "-c", "echo ready; sleep 1; echo done"], stdout=-1)
    assert process.stdout is not None
    with process.stdout as out:
        out.readline()
        process.send_signal(signal.SIGHUP)
        assert out.read() == b"done\n"
    assert process.wait(10) == 0


def test_descriptors_and_environment_are_what_they_would_be() -> None:
    read, write = os.pipe()
    others = "grep -v '^STATUSTUI_JOIN=\\|^STATUSTUI_OWNER=\\|^_='"
    code = f"ls /proc/self/fd | tr '\\n' ' '; env | {others} | sort | md5sum"
    alone = subprocess.run(["sh", "-c", code], capture_output=True, pass_fds=(write,))
    ours = wrapped.run("sh", "-c", code, pass_fds=(write,))
    assert ours.stdout == alone.stdout
    os.close(read)
    os.close(write)


def test_closed_descriptors_stay_closed() -> None:
    ask = "for n in 0 1 2; do test -e /proc/$$/fd/$n && echo $n >&2; done"
    code = f"exec <&- >&-; {' '.join(wrapped.RUN)} -- sh -c '{ask}'"
    done = subprocess.run(["sh", "-c", code], stderr=subprocess.PIPE, timeout=20)
    assert done.stderr == b"2\n"


def test_what_it_leaves_behind_goes_on_writing(tmp_path: Path) -> None:
    process = wrapped.popen(
        "sh", "-c", "(sleep 1; echo later; echo alive > ok) & echo now", stdout=subprocess.PIPE, cwd=tmp_path
    )
    assert process.stdout is not None
    with process.stdout as out:
        assert out.readline() == b"now\n"
        assert process.wait(0.8) == 0
        assert out.read() == b"later\n"
    until(lambda: (tmp_path / "ok").exists())


def test_a_disk_that_is_full_stops_nothing(state_dir: Path) -> None:
    blob = os.urandom(400_000)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = wrapped.run("cat", input=blob, preexec_fn=limit)
    assert done.returncode == 0
    assert done.stdout == blob
    assert len(Path(only("run.start")["log_path"]).read_bytes()) <= 100_000
    assert any("log" in event["message"] for event in facts("event"))


def test_a_state_directory_that_can_not_be_written_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STATUSTUI_STATE_DIR", str(tmp_path / "file" / "state"))
    done = wrapped.run("sh", "-c", "echo out; exit 5")
    assert (done.returncode, done.stdout, done.stderr) == (5, b"out\n", b"")


def test_a_broken_configuration_is_one_line_and_the_command_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUSTUI_DRAINER", "nonsense")
    done = wrapped.run("sh", "-c", "echo out; exit 5")
    assert (done.returncode, done.stdout) == (5, b"out\n")
    assert done.stderr.count(b"\n") == 1


def test_a_killed_wrapper_leaves_the_command_alone(tmp_path: Path) -> None:
    process = wrapped.popen(
        "sh", "-c", "echo ready; sleep 0.7; echo more; echo fine > ok", stdout=subprocess.PIPE, cwd=tmp_path
    )
    assert process.stdout is not None
    with process.stdout as out:
        out.readline()
        process.kill()
        process.wait()
        assert out.read() == b"more\n"
    until(lambda: (tmp_path / "ok").exists())


def test_a_wrapper_in_a_wrapper_is_a_run_in_a_run() -> None:
    done = wrapped.run(
        *wrapped.RUN, "--name", "inner", "--", "sh", "-c", "echo deep; exit 6", options=["--name", "outer"]
    )
    assert (done.returncode, done.stdout) == (6, b"deep\n")
    runs = {start["task"]: start for start in facts("run.start")}
    assert runs["inner"]["parent"] == runs["outer"]["run"]


def test_what_is_known_of_the_start(state_dir: Path, tmp_path: Path) -> None:
    script = tmp_path / "DAILY_load.py"
    script.write_text("import os; print(os.environ['STATUSTUI_JOIN'], os.getppid(), os.getpid(), os.getpgrp())\n")
    done = wrapped.run(sys.executable, "-u", str(script), "a", options=["--grace", "3"], cwd=tmp_path)
    join, parent, pid, group = done.stdout.decode().split()
    start = only("run.start")
    assert (start["task"], start["stage"], start["type"]) == ("DAILY_load", "DAILY", "python")
    assert (start["wrapped"], start["grace"], start["cwd"]) == (True, 3, str(tmp_path))
    assert start["pid"] == start["pgid"] == int(pid) == int(group)
    assert join.split(":")[:2] == [start["run"], parent]
    assert start["script_path"] == str(script)
    path = wrapped.launch_file(state_dir)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_log_copies_nothing(state_dir: Path) -> None:
    done = wrapped.run("sh", "-c", "echo hi; readlink /proc/$$/fd/1", options=["--no-log"])
    assert done.stdout.startswith(b"hi\npipe:")
    assert not (state_dir / "logs").exists()


def test_a_log_of_ones_own_is_appended_to(tmp_path: Path) -> None:
    log = tmp_path / "mine.log"
    log.write_text("before\n")
    wrapped.run("echo", "hi", options=["--log", str(log)])
    assert log.read_text() == "before\nhi\n"
    assert only("run.start")["log_start"] == 7
    assert only("run.end")["log_end"] == 10


def test_pty_gives_a_terminal_where_the_output_is_a_pipe() -> None:
    done = wrapped.run("sh", "-c", "test -t 1 && echo yes; stty size <&1", options=["--pty"])
    assert done.stdout == b"yes\n24 80\n"


def test_a_forced_terminal_whose_reader_leaves_ends_too() -> None:
    command = f"{' '.join(wrapped.RUN)} --pty -- yes | head -2"
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=30)
    assert done.stdout == b"y\ny\n"
    until(lambda: facts("run.end"))


def test_output_that_nobody_reads_for_a_while_does_not_hold_up_the_other() -> None:
    code = "head -c 300000 /dev/zero & echo first >&2; wait"
    process = wrapped.popen("sh", "-c", code, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout as out, process.stderr as err:
        assert err.readline() == b"first\n"
        assert len(out.read()) == 300_000
    assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["/usr/bin/rsync", "-a"], ("rsync", "command")),
        (["python3", "-u", "-W", "error", "/x/load.py", "y"], ("load", "python")),
        (["python3", "-m", "pack.tool", "y"], ("pack.tool", "python")),
        (["python3.11", "-c", "pass"], ("python3.11", "python")),
        (["Rscript", "--vanilla", "a/fit.R"], ("fit", "R")),
        (["bash", "-eu", "nightly_backup.sh"], ("nightly_backup", "sh")),
        (["bash", "-lc", "true"], ("bash", "sh")),
        (["bash", "/dev/fd/63", "x"], ("bash", "sh")),
        (["./x.py"], ("x", "python")),
    ],
)
def test_a_task_is_named_by_its_script(argv: list[str], expected: tuple[str, str]) -> None:
    found = describe(argv)
    assert (found.name, found.type) == expected


def test_a_group_is_left_with_nobody_when_it_was_ended() -> None:
    process = wrapped.popen("sh", "-c", "sleep 60 & echo $!; wait", stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as out:
        child = int(out.readline())
        process.terminate()
        assert process.wait(10) == 143
    until(lambda: not alive(child))


def test_no_controlling_terminal_and_no_stdin() -> None:
    done = wrapped.run("sh", "-c", "cat; echo ok", stdin=subprocess.DEVNULL, start_new_session=True)
    assert (done.returncode, done.stdout) == (0, b"ok\n")
