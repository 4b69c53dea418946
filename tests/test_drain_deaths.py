"""How scripts really ended that could not say it, or said it too early: the kernel's word, by a real drainer."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statustui import config
from statustui.clients.r.install import install
from statustui.journal.locks import holder
from statustui.model.status import RunStatus
from statustui.process import exit_info
from statustui.process.pidfd import Handle
from support.drained import drainer, the_run
from support.processes import until

SHELLS = {"bash": ["bash"], "dash": ["dash"], "busybox": ["busybox", "sh"]}
INIT = f"{sys.executable} -m statustui shell-init"
WAIT = "while [ ! -e go ]; do sleep 0.05; done\n"
BUSY = "while :; do :; done"


@pytest.fixture(scope="module", autouse=True)
def the_kernel_tells() -> None:
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    handle = Handle.open(child.pid, None)
    assert handle is not None
    child.communicate(timeout=10)
    told = exit_info.wait_status(handle)
    handle.close()
    if told is None:
        pytest.skip("this kernel does not tell how a reaped process ended (Linux 6.15 does)")


@pytest.fixture
def url(env: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A store, with a drainer that works for it."""
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")  # nobody else starts one
    settings = config.load()
    spool = config.spool_dir(settings)
    from statustui.journal.files import prepare_spool

    prepare_spool(spool, settings.store_url)
    with drainer(spool, STATUSTUI_DRAINER="process", STATUSTUI_DRAINER_LINGER="600"):
        until(lambda: holder(f"{spool}/drainer.lock") is not None, timeout=60, what="a drainer")
        yield settings.store_url


def start(command: list[str], name: str, body: str, place: Path) -> "subprocess.Popen[bytes]":
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    script = place / name
    script.write_text(body)
    return subprocess.Popen([*command, str(script)], start_new_session=True, stdout=subprocess.DEVNULL, cwd=place)


def seen(url: str, place: Path) -> None:
    """Let a script go on once the drainer shows its run: it holds the process by then."""
    until(lambda: the_run(url) is not None, timeout=60, what="the run")
    (place / "go").touch()


def shell(kind: str, body: str, place: Path) -> "subprocess.Popen[bytes]":
    init = f'eval "$({INIT} {"bash" if kind == "bash" else "sh"})"\n{WAIT}'
    return start(SHELLS[kind], "job.sh", init + body, place)


def ended(url: str, task: str = "job") -> Any:
    """The run, once it has settled: what was provisional is corrected by the drainer's next look."""

    def over() -> bool:
        run = the_run(url, task)
        return run is not None and not run.status.open

    until(over, timeout=30, what="an end")
    return the_run(url, task)


def becomes(url: str, status: RunStatus, task: str = "job") -> Any:
    def so() -> bool:
        run = the_run(url, task)
        return run is not None and run.status is status

    until(so, timeout=15, what=f"{status.value}, not {getattr(the_run(url, task), 'status', None)}")
    return the_run(url, task)


def kill(process: "subprocess.Popen[bytes]", number: int, url: str, ready: Path) -> int:
    """End a process by a signal once it is known; its wait status as Python has it."""
    seen(url, ready.parent)
    until(ready.exists, timeout=30, what="the script")
    os.kill(process.pid, number)
    try:
        return process.wait(20)
    finally:
        process.kill()


KILLED = [
    ("bash", signal.SIGTERM, RunStatus.CANCELLED, "ended by SIGTERM (15)"),
    ("bash", signal.SIGHUP, RunStatus.CANCELLED, "ended by SIGHUP (1)"),
    ("bash", signal.SIGKILL, RunStatus.LOST, "killed by SIGKILL (9)"),
    ("dash", signal.SIGTERM, RunStatus.CANCELLED, "ended by SIGTERM (15)"),
    ("dash", signal.SIGKILL, RunStatus.LOST, "killed by SIGKILL (9)"),
    ("busybox", signal.SIGHUP, RunStatus.CANCELLED, "ended by SIGHUP (1)"),
]
ENDED = [
    ("bash", "trap - EXIT; command trap - EXIT; exit 3", RunStatus.FAILED, 3),
    ("bash", "command trap - EXIT; exit 0", RunStatus.FINISHED, 0),
    ("bash", "trap 'exit 5' EXIT; true", RunStatus.FAILED, 5),
    ("bash", "true", RunStatus.FINISHED, 0),
    ("dash", "exec sh -c 'exit 6'", RunStatus.FAILED, 6),
    ("dash", "exit 4", RunStatus.FAILED, 4),
    ("busybox", "trap 'exit 5' EXIT; true", RunStatus.FAILED, 5),
]


@pytest.mark.parametrize(("kind", "number", "status", "said"), KILLED)
def test_a_shell_killed_in_a_loop_of_builtins(
    kind: str, number: int, status: RunStatus, said: str, url: str, env: Path
) -> None:
    process = shell(kind, f"genter loop\n: >{env}/ready\n{BUSY}\n", env)
    assert kill(process, number, url, env / "ready") == -number
    run = becomes(url, status)
    assert (run.signal, run.exit_code) == (number, None)
    assert run.lost_reason.startswith(said)
    assert run.subtask_name == "loop"
    assert run.subtask_status.value == status.value


@pytest.mark.parametrize(("kind", "body", "status", "code"), ENDED)
def test_the_exit_status_of_a_shell_counts_however_it_ends(
    kind: str, body: str, status: RunStatus, code: int, url: str, env: Path
) -> None:
    process = shell(kind, f"genter part\n{body}\n", env)
    seen(url, env)
    assert process.wait(30) == code
    run = becomes(url, status)
    assert run.exit_code == code
    if status is RunStatus.FAILED:
        assert run.fingerprint, "failures of one kind fold"
        assert run.subtask_status.value == "failed"


def test_what_a_script_says_of_its_end_itself_is_left_alone(url: str, env: Path) -> None:
    process = shell("bash", "genter part\ntrack_finish 'all there'\nexit 3\n", env)
    seen(url, env)
    assert process.wait(30) == 3
    run = ended(url)
    assert (run.status, run.overall_message) == (RunStatus.FINISHED, "all there")
    # A later run of another script passes through the same drainer: the first is still what it was.
    start(["bash"], "other.sh", f'eval "$({INIT} bash)"\ntrue\n', env).wait(30)
    ended(url, "other")
    assert the_run(url, "job").status is RunStatus.FINISHED


@pytest.mark.parametrize(
    ("code", "number", "status", "said"),
    [
        ("raise SystemExit(3)", None, RunStatus.FAILED, "exit status 3"),
        ("pass", None, RunStatus.FINISHED, None),
        ("import os; os._exit(4)", None, RunStatus.FAILED, "exit status 4"),
        ("import os; os._exit(0)", None, RunStatus.LOST, "ended without a word"),
        ("load()", signal.SIGTERM, RunStatus.CANCELLED, "SIGTERM in load() line "),
        ("load()", signal.SIGHUP, RunStatus.CANCELLED, "SIGHUP in load() line "),
        ("load()", signal.SIGKILL, RunStatus.LOST, "killed by SIGKILL (9)"),
    ],
)
def test_a_python_program_without_a_block(
    code: str, number: int | None, status: RunStatus, said: str | None, url: str, env: Path
) -> None:
    body = f"""
import time, pathlib
import statustui
run = statustui.run("job").start()
def load():
    pathlib.Path({str(env / "ready")!r}).write_text("")
    time.sleep(60)
while not pathlib.Path({str(env / "go")!r}).exists():
    time.sleep(0.05)
{code}
"""
    process = start([sys.executable], "job.py", body, env)
    if number is None:
        seen(url, env)
        process.wait(30)
    else:
        assert kill(process, number, url, env / "ready") == -number
    run = becomes(url, status)
    assert said is None or run.lost_reason.startswith(said)


def test_a_crash_after_the_end_that_was_told_is_the_end(url: str, env: Path) -> None:
    body = """
import atexit, os, signal
def last():
    os.kill(os.getpid(), signal.SIGSEGV)
atexit.register(last)  # runs after ours, which is registered later
import statustui, pathlib, time
statustui.run("job").start()
while not pathlib.Path("go").exists():
    time.sleep(0.05)
"""
    process = start([sys.executable], "job.py", body, env)
    seen(url, env)
    assert process.wait(30) == -signal.SIGSEGV
    assert becomes(url, RunStatus.LOST).lost_reason == "killed by SIGSEGV (11)"


def test_a_block_that_ended_is_left_alone_whatever_its_process_does_then(url: str, env: Path) -> None:
    body = """
import statustui, os, pathlib, time
with statustui.run("job"):
    while not pathlib.Path("go").exists():
        time.sleep(0.05)
os._exit(9)
"""
    process = start([sys.executable], "job.py", body, env)
    seen(url, env)
    assert process.wait(30) == 9
    assert ended(url).status is RunStatus.FINISHED
    start(["bash"], "other.sh", f'eval "$({INIT} bash)"\ntrue\n', env).wait(30)
    ended(url, "other")
    assert the_run(url, "job").status is RunStatus.FINISHED


@pytest.mark.skipif(
    shutil.which("Rscript") is None,
    reason="Rscript is missing (Debian: apt-get install --no-install-recommends r-base-core)",
)
@pytest.mark.parametrize(
    ("body", "number", "status"),
    [
        ("Sys.sleep(60)", signal.SIGTERM, RunStatus.CANCELLED),
        ("Sys.sleep(60)", signal.SIGKILL, RunStatus.LOST),
        ("base::quit(status = 3)", None, RunStatus.FAILED),
        ("invisible(1)", None, RunStatus.FINISHED),
    ],
)
def test_an_r_script(
    body: str, number: int | None, status: RunStatus, url: str, env: Path, base_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("R_LIBS", str(install(str(base_dir / "rlib"))))
    script = f'library(statustui)\ngenter("load")\ninvisible(file.create("{env}/ready"))\n'
    script += f'while (!file.exists("{env}/go")) Sys.sleep(0.05)\n{body}\n'
    process = start(["Rscript"], "job.R", script, env)
    if number is None:
        seen(url, env)
        process.wait(60)
    else:
        kill(process, number, url, env / "ready")
    run = becomes(url, status)
    assert (run.signal, run.subtask_name) == (number, "load")
