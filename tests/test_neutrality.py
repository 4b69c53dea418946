"""A tracked program behaves as it would without us: output, exit status, signals, forks and latency.

Each program here runs twice, with the recorder and with an empty stand-in for it, under stores that do not work.
"""

import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.recording import environment, only_run, script

STAND_IN = '''
class _Nothing:
    """The recorder's face with nothing behind it."""
    def __init__(self, *a, **k): pass
    def __enter__(self): return self
    def __exit__(self, *a): return None
    async def __aenter__(self): return self
    async def __aexit__(self, *a): return None
    def track(self, iterable, *a, **k): return iterable
    def subtask(self, *a, **k): return self
    def advance(self, *a, **k): pass
    def update(self, *a, **k): pass
    def metric(self, *a, **k): pass
    def log(self, *a, **k): pass
    def context(self): return self
    def attach(self): return self
    def env(self): return {}
def run(*a, **k): return _Nothing()
def current(): return _Nothing()
'''

PROGRAMS: dict[str, str] = {
    "plain": """
        with statustui.run("plain") as run:
            print(sum(run.track(range(1000), "sum")))
    """,
    "fork": """
        with statustui.run("fork") as run, run.subtask("count") as sub:
            for n in range(20):
                sub.advance()
                if os.fork() == 0:
                    sub.advance(2)
                    os._exit(n)
            ended = sorted(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(20))
            print(ended)
            try:
                print(os.wait())
            except ChildProcessError:
                print("no other children")
    """,
    "sigchld": """
        seen = []
        signal.signal(signal.SIGCHLD, lambda *a: seen.append(1))
        with statustui.run("sigchld") as run:
            if os.fork() == 0:
                os._exit(0)
            os.wait()
            time.sleep(0.7)
        print(len(seen))
    """,
    "threads": """
        import threading
        with statustui.run("threads") as run, run.subtask("count") as sub:
            def work():
                for _ in range(1000):
                    sub.advance()
            threads = [threading.Thread(target=work) for _ in range(8)]
            [thread.start() for thread in threads]
            print(threading.active_count() <= 9, [thread.join() for thread in threads])
            print(threading.active_count(), [thread.name for thread in threading.enumerate()])
    """,
    "asyncio": """
        import asyncio
        async def work(n):
            async with statustui.run(f"task {n}") as run:
                for i in run.track(range(10), "loop"):
                    await asyncio.sleep(0)
            return n
        async def main():
            return await asyncio.gather(*(work(n) for n in range(10)))
        print(asyncio.run(main()))
    """,
    "os._exit": """
        with statustui.run("x") as run:
            for n in run.track(range(10), "loop"):
                if n == 5:
                    os._exit(7)
    """,
    "sys.exit": """
        with statustui.run("x") as run:
            sys.exit("no input")
    """,
    "exception": """
        with statustui.run("x") as run, run.subtask("y"):
            raise KeyError("FIPS")
    """,
    "abort": """
        with statustui.run("x") as run:
            print("before", flush=True)
            os.abort()
    """,
    "exec": """
        with statustui.run("x") as run:
            print("before", flush=True)
            os.execv("/bin/echo", ["echo", "after"])
    """,
    "subprocess": """
        import subprocess
        with statustui.run("x") as run:
            print(subprocess.run(["sh", "-c", "ls /proc/self/fd | wc -l; exit 3"], capture_output=True))
            print(subprocess.run(["true"], preexec_fn=lambda: None).returncode)
    """,
    "own handlers": """
        def handler(number, frame):
            print("handled", number, flush=True)
        signal.signal(signal.SIGTERM, handler)
        with statustui.run("x") as run:
            signal.signal(signal.SIGHUP, handler)
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        print(signal.getsignal(signal.SIGHUP) is handler)
    """,
    "terminated": """
        with statustui.run("x") as run:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
    """,
    "hung up": """
        with statustui.run("x") as run:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(30)
    """,
    "interrupted": """
        with statustui.run("x") as run:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)
    """,
    "after the run": """
        with statustui.run("x") as run:
            pass
        print(signal.getsignal(signal.SIGTERM), sorted(os.listdir("/proc/self/task")) == [str(os.getpid())])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    """,
    "closed descriptors": """
        with statustui.run("x") as run:
            for number in range(3, 1024):
                try:
                    os.close(number)
                except OSError:
                    pass
            run.log("still here")
            with run.subtask("y") as sub:
                sub.advance()
        print("done")
    """,
    "stdout closed": """
        with statustui.run("x") as run:
            sys.stdout.close()
            run.metric("a", 1)
    """,
}
"""Programs whose output and status must be the same with and without us."""

HEAD = "import os, signal, sys, time\nimport statustui\n"


@pytest.fixture
def stand_in(env: Path) -> Path:
    """A directory with a package ``statustui`` that does nothing."""
    folder = env / "nothing"
    folder.mkdir()
    (folder / "statustui.py").write_text(STAND_IN)
    return folder


def both(
    env: Path, stand_in: Path, code: str, environ: dict[str, str], **options: Any
) -> Iterator["subprocess.CompletedProcess[bytes]"]:
    """The program's end without and with us."""
    path = script(env / "program.py", HEAD + textwrap.dedent(code))
    for package in (str(stand_in), environ["PYTHONPATH"]):
        yield subprocess.run(
            [sys.executable, str(path)],
            env={**environ, "PYTHONPATH": package},
            capture_output=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            **options,
        )


WITH_DRAINER = ("plain", "fork", "sigchld", "subprocess", "exception", "terminated")


@pytest.mark.parametrize(
    ("name", "drainer"), [*((name, "off") for name in PROGRAMS), *((name, "process") for name in WITH_DRAINER)]
)
def test_a_program_is_the_same_with_us(name: str, drainer: str, env: Path, stand_in: Path) -> None:
    bare, ours = both(env, stand_in, PROGRAMS[name], environment(STATUSTUI_DRAINER=drainer))
    assert ours.returncode == bare.returncode
    assert ours.stdout == bare.stdout
    assert ours.stderr == bare.stderr


def _missing(env: Path) -> dict[str, str]:
    return {"STATUSTUI_STORE": str(env / "no" / "such" / "dir" / "s.db")}


def _read_only(env: Path) -> dict[str, str]:
    return {"STATUSTUI_STORE": "/proc/sys/s.db"}  # not even root can make a file there


def _not_ours(env: Path) -> dict[str, str]:
    (env / "s.db").write_text("this is no database at all, and longer than a header of one would be")
    return {"STATUSTUI_STORE": str(env / "s.db")}


def _unwritable_state(env: Path) -> dict[str, str]:
    (env / "file").write_text("")
    return {"STATUSTUI_STATE_DIR": str(env / "file" / "below")}


def _nonsense(env: Path) -> dict[str, str]:
    return {"STATUSTUI_STORE": "mysql://x/y", "STATUSTUI_DRAINER": "perhaps"}


def _no_home(env: Path) -> dict[str, str]:
    return {"HOME": "/nonexistent", "STATUSTUI_STATE_DIR": "", "XDG_STATE_HOME": ""}


@pytest.fixture
def locked(env: Path) -> Iterator[str]:
    """URL of an SQLite store that somebody else has locked for as long as the test takes."""
    database = sqlite3.connect(env / "locked.db")
    database.execute("BEGIN EXCLUSIVE")
    yield f"sqlite:///{env}/locked.db"
    database.close()


@pytest.fixture
def black_hole() -> Iterator[str]:
    """URL of a PostgreSQL store that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql://u:p@127.0.0.1:{server.getsockname()[1]}/db"


@pytest.mark.parametrize("fault", [_missing, _read_only, _not_ours, _unwritable_state, _nonsense, _no_home])
@pytest.mark.parametrize("name", ["plain", "exception", "fork", "terminated"])
def test_a_broken_store_changes_nothing(
    fault: Callable[[Path], dict[str, str]], name: str, env: Path, stand_in: Path
) -> None:
    bare, ours = both(env, stand_in, PROGRAMS[name], environment(STATUSTUI_DRAINER="process") | fault(env))
    assert (ours.returncode, ours.stdout, ours.stderr) == (bare.returncode, bare.stdout, bare.stderr)


@pytest.mark.parametrize("stalled", ["locked", "black_hole"])
@pytest.mark.parametrize("name", ["plain", "exception", "fork", "threads", "terminated"])
def test_a_store_that_does_not_answer_changes_nothing(
    name: str, stalled: str, env: Path, stand_in: Path, request: pytest.FixtureRequest
) -> None:
    environ = environment(STATUSTUI_DRAINER="process", STATUSTUI_STORE=request.getfixturevalue(stalled))
    began = time.monotonic()
    bare, ours = both(env, stand_in, PROGRAMS[name], environ)
    assert (ours.returncode, ours.stdout, ours.stderr) == (bare.returncode, bare.stdout, bare.stderr)
    assert time.monotonic() - began < 20, "it waited for the store"


def _no_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _no_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))


@pytest.mark.parametrize("limit", [_no_room, _no_descriptors])
@pytest.mark.parametrize("name", ["plain", "exception", "fork", "threads"])
def test_no_room_and_no_descriptors_change_nothing(
    limit: Callable[[], None], name: str, env: Path, stand_in: Path
) -> None:
    bare, ours = both(env, stand_in, PROGRAMS[name], environment(), preexec_fn=limit)
    assert (ours.returncode, ours.stdout, ours.stderr) == (bare.returncode, bare.stdout, bare.stderr)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="needs root to mount a small disk")
def test_a_full_disk(env: Path, stand_in: Path) -> None:
    disk = env / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "none", str(disk)], capture_output=True
    ).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        code = """
            with statustui.run("x") as run, run.subtask("count") as sub:
                for n in range(3000):
                    run.log("a fact that takes some room " * 5)
                    sub.advance()
            print("done")
        """
        bare, ours = both(env, stand_in, code, environment(STATUSTUI_STATE_DIR=str(disk)))
        assert (ours.returncode, ours.stdout, ours.stderr) == (bare.returncode, bare.stdout, bare.stderr)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("stalled", ["locked", "black_hole"])
def test_calls_are_quick_whatever_the_store_does(stalled: str, env: Path, request: pytest.FixtureRequest) -> None:
    code = """
        times = []
        with statustui.run("x") as run, run.subtask("s") as sub:
            for n in range(5000):
                begin = time.perf_counter()
                run.log("a fact")
                times.append(time.perf_counter() - begin)
                sub.advance()
        times.sort()
        print(times[len(times) // 2], times[int(len(times) * 0.99)], times[-1])
    """
    environ = environment(STATUSTUI_STORE=request.getfixturevalue(stalled), STATUSTUI_DRAINER="process")
    path = script(env / "x.py", HEAD + textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, str(path)], env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    median, p99, worst = map(float, done.stdout.split())
    # P2 with room for a loaded machine; the figures themselves are kept by the benchmarks
    assert median < 100e-6
    assert p99 < 1e-3
    assert worst < 0.5


# --- how programs end --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("plain", "finished"), ("sys.exit", "failed"), ("exception", "failed"), ("interrupted", "cancelled"),
        ("terminated", None), ("hung up", None), ("os._exit", None), ("abort", None), ("exec", None),
        ("closed descriptors", "finished"),
    ],
)  # fmt: skip
def test_what_is_recorded_of_each_end(
    name: str, status: str | None, env: Path, stand_in: Path, state_dir: Path
) -> None:
    list(both(env, stand_in, PROGRAMS[name], environment()))
    run = only_run(state_dir)
    assert run.end.get("status") == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_stack_at_once_even_in_a_long_c_call(
    number: signal.Signals, env: Path, state_dir: Path
) -> None:
    code = (
        HEAD
        + "def load():\n    print('in', flush=True)\n    sum(range(10**11))\nwith statustui.run('x'):\n    load()\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script(env / "x.py", code))], env=environment(), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"in\n"
    process.send_signal(number)
    assert process.wait(60) == -number  # the call itself would take most of an hour
    process.stdout.close()
    (stack,) = state_dir.glob("spool/*/*/*/*.stack")
    assert "in load" in stack.read_text()


def test_nohup_stays_in_force(env: Path, state_dir: Path) -> None:
    code = (
        "with statustui.run('x'):\n    os.kill(os.getpid(), signal.SIGHUP)\n    print('alive', flush=True)\n"
        "print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script(env / "x.py", HEAD + code))], env=environment(), capture_output=True, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("alive\nTrue\n", 0)
    assert only_run(state_dir).end["status"] == "finished"


def test_a_killed_childs_stack_is_not_taken_for_the_parents(env: Path, state_dir: Path) -> None:
    code = """
        with statustui.run("x") as run:
            pid = os.fork()
            if pid == 0:
                time.sleep(30)
            os.kill(pid, signal.SIGTERM)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    path = script(env / "x.py", HEAD + textwrap.dedent(code))
    done = subprocess.run([sys.executable, str(path)], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "-15\n"
    assert all(stack.read_bytes() == b"" for stack in state_dir.glob("spool/*/*/*/*.stack"))
