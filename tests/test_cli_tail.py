"""The log of a run: its own part of its own file, followed until the run ends; journals brought in first."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

WaitFor = Callable[..., None]
Start = Callable[..., subprocess.Popen[bytes]]
RUN = [sys.executable, "-m", "statustui", "run"]


def statustui(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "statustui", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False, env=os.environ | environment,
    )  # fmt: skip


@pytest.fixture
def started(env: Path) -> Iterator[Start]:
    """Starts ``statustui …`` in the background; what still lives at the end is ended."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, output: Path) -> subprocess.Popen[bytes]:
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "statustui", *arguments], stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def test_a_wrapped_run_is_seen_at_once(env: Path) -> None:
    log = env / "job.log"
    with log.open("w") as file:
        command = [
            sys.executable,
            "-m",
            "statustui",
            "run",
            "--name",
            "job",
            "--",
            "sh",
            "-c",
            "echo one; echo two; exit 4",
        ]
        assert subprocess.run(command, stdout=file, stderr=file, check=False).returncode == 4
    shown = statustui("runs")
    assert "job" in shown.out if hasattr(shown, "out") else "job" in shown.stdout
    assert statustui("tail", "job").stdout == "one\ntwo\n"
    assert statustui("tail", "-n", "1", "job").stdout == "two\n"
    assert statustui("wait", "job").returncode == 1
    assert "everything" in statustui("doctor").stdout or "works" in statustui("doctor").stdout


def test_runs_that_share_a_log_are_told_apart(env: Path) -> None:
    log = env / "shared.log"
    for number in (1, 2):
        with log.open("a") as file:
            command = [
                sys.executable,
                "-m",
                "statustui",
                "run",
                "--name",
                f"job{number}",
                "--",
                "echo",
                f"I am {number}",
            ]
            subprocess.run(command, stdout=file, stderr=file, check=True)
    assert statustui("tail", "job1").stdout == "I am 1\n"
    assert statustui("tail", "job2").stdout == "I am 2\n"


def test_follow_ends_with_the_run(
    env: Path, started: Callable[..., subprocess.Popen[bytes]], wait_for: WaitFor
) -> None:
    go, log, seen = env / "go", env / "job.log", env / "seen"
    script = f"echo first; while [ ! -e {go} ]; do sleep 0.05; done; echo last"
    job = started("run", "--name", "job", "--", "sh", "-c", script, output=log)
    wait_for(lambda: "job" in statustui("runs").stdout, 20)
    follower = started("tail", "-f", "job", output=seen)
    wait_for(lambda: "first" in seen.read_text(), 20)
    go.touch()
    assert job.wait(20) == 0
    assert follower.wait(20) == 0
    assert seen.read_text() == "first\nlast\n"


def test_a_line_that_is_not_finished_yet_is_printed_once(env: Path, started: Start, wait_for: WaitFor) -> None:
    gate, log, shown = env / "gate", env / "job.log", env / "shown"
    command = f"echo one; printf half; while ! test -e {gate}; do sleep 0.05; done; echo ' done'; printf end"
    started("run", "--name", "job", "--", "sh", "-c", command, output=log)
    wait_for(lambda: log.exists() and log.read_bytes() == b"one\nhalf")
    wait_for(lambda: "job" in statustui("runs", "--status", "open").stdout, timeout=20)
    follower = started("tail", "-f", "job", output=shown)
    wait_for(lambda: shown.read_bytes() == b"one\n", timeout=20)
    gate.touch()
    assert follower.wait(20) == 0
    assert shown.read_bytes() == b"one\nhalf done\nend\n"


def test_what_a_log_can_not_be(env: Path) -> None:
    from support.filled import fill

    url = f"sqlite:///{env}/db/status.db"
    filled = fill(url)
    secret = env / "secret"
    secret.write_text("secret")
    link = env / "link.log"
    link.symlink_to(secret)
    host = os.uname().nodename
    filled.journal.writer["host"] = host
    paths = [str(link), "/proc/self/environ", "/dev/zero", "relative.log", str(env), str(env / "gone.log")]
    for number, path in enumerate(paths):
        filled.start(f"eeee000{number}", f"bad{number}", log_path=path)
    filled.give()
    for number, _ in enumerate(paths):
        answer = statustui("tail", f"bad{number}", "--store", url)
        assert answer.returncode == 1, answer
        assert answer.stdout == ""
        assert answer.stderr.count("\n") == 1


def test_the_drainer_can_be_looked_at_and_ended(env: Path) -> None:
    subprocess.run([*RUN, "--no-log", "--", "true"], check=True)
    assert statustui("drain").returncode == 0
    assert statustui("drain", "--check").returncode == 0
    assert statustui("drain", "--stop").returncode == 0
    assert "no drainer works" in statustui("drain", "--stop").stdout
    assert "0 not applied" in statustui("drain", "status").stdout


def test_inline_commands_bring_journals_in_themselves(env: Path) -> None:
    environment = {"STATUSTUI_DRAINER": "inline"}
    command = [*RUN, "--no-log", "--name", "job", "--", "true"]
    subprocess.run(command, check=True, env=os.environ | environment)
    assert "job" in statustui("runs", **environment).stdout


def test_a_crontab_line_is_tried_in_crons_environment(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = env / "bin"
    tools.mkdir()
    mine = tools / "mytool"
    mine.write_text(f"#!/bin/sh\ntouch {env}/was-run\n")
    mine.chmod(0o755)
    (env / "in").mkdir()
    (env / "in" / "data.txt").write_text("x")
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.chdir(env / "in")
    answer = statustui("doctor", "--cron", "*/5 2-4 * * 1 X=1 mytool 'a  b' data.txt >out 2>&1 && ls | nosuchtool")
    assert answer.returncode == 1
    assert "'nosuchtool'" in answer.stdout
    line = answer.stdout.splitlines()[-1]
    assert line == f"*/5 2-4 * * 1 X=1 {mine} 'a  b' {env}/in/data.txt >out 2>&1 && ls | nosuchtool"
    assert not (env / "was-run").exists()
    assert statustui("doctor", "--cron", "@daily ls /tmp").returncode == 0
    assert statustui("doctor", "--cron", "ls /tmp").returncode == 2
    wrapped = statustui("doctor", "--cron", "0 3 * * * /bin/true; statustui run --name x -- mytool")
    assert wrapped.stdout.splitlines()[-1].endswith(f"-- {mine}")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    answer = statustui("completion", shell)
    assert answer.returncode == 0
    assert "_STATUSTUI_COMPLETE" in answer.stdout


@pytest.mark.parametrize(("typed", "offered"), [("statustui canc", "cancel"), ("statustui run", "run runs")])
def test_bash_completes_commands_by_the_script(typed: str, offered: str) -> None:
    words = typed.split()
    ask = f"""
{statustui("completion", "bash").stdout}
COMP_WORDS=({typed}); COMP_CWORD=1; _statustui_completion statustui {words[1]} statustui
printf '%s\n' "${{COMPREPLY[@]}}" | sort | xargs
"""
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", ask], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == offered


def test_every_command_has_help_with_an_example() -> None:
    from importlib import import_module

    from statustui.cli.group import COMMANDS

    for name, line in COMMANDS.items():
        command = import_module(f"statustui.cli.{name.replace('-', '_')}_command").command
        assert command.name == name
        assert command.short_help == line
        assert f"statustui {name}" in command.epilog or f"$(statustui {name}" in command.epilog


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert statustui("--version").stdout == f"statustui {version('statustui')}\n"


def test_help_and_version_load_nothing_heavy() -> None:
    for arguments in (["--help"], ["--version"], ["runs", "--help"], ["completion", "bash"]):
        script = (
            f"import sys; sys.argv = ['statustui', *{arguments!r}]\n"
            "from statustui.cli import main\n"
            "main()\n"
            "heavy = {'sqlalchemy', 'textual', 'psutil', 'alembic', 'asyncio'} & set(sys.modules)\n"
            "assert not heavy, heavy"
        )
        subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_following_survives_rotation_and_truncation(env: Path) -> None:
    from statustui.cli.logfile import OpenLog, follow, last_lines

    path = env / "x.log"
    path.write_bytes(b"before\nmine\n")
    log = OpenLog(path=str(path), fd=os.open(path, os.O_RDONLY), start=7, end=None)
    over = False
    assert last_lines(log, 10) == [b"mine"]
    lines = follow(log, lambda: over)
    with path.open("ab") as file:
        file.write(b"one\ntw")
        file.flush()
        assert next(lines) == [b"one"]
        file.write(b"o\n")
    assert next(lines) == [b"two"]
    path.rename(env / "x.log.1")
    path.write_bytes(b"a longer line in the new file\n")
    assert next(lines) == [b"a longer line in the new file"]
    path.write_bytes(b"cut\nend")
    assert next(lines) == [b"cut"]
    over = True
    assert list(lines) == [[b"end"]]
    os.close(log.fd)


def test_a_rotated_log_is_found_by_its_inode(env: Path) -> None:
    from statustui.cli.logfile import last_lines, open_log
    from statustui.config import host_name, load
    from statustui.store.open import open_store
    from support.histories import run

    path = env / "y.log"
    path.write_text("mine\n")
    inode = path.stat().st_ino
    path.rename(env / "y.log.1")
    path.write_text("of somebody else\n")
    open_store(load().store_url).close()
    log = open_log(run(host=host_name(), log_path=str(path), log_inode=inode, log_start=0), load())
    assert last_lines(log, 5) == [b"mine"]
    assert log.note is not None
    assert "y.log.1" in log.note
    os.close(log.fd)
