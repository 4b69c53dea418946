"""A drainer is started without the program that starts it being able to notice."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from statustui.journal import locks
from support.journals import CORE

STAND_IN = """
import json, os, sys, time
from statustui.journal import locks
import sqlalchemy
spool = sys.argv[1]
here = {"pid": os.getpid(), "ppid": os.getppid(), "sid": os.getsid(0), "cwd": os.getcwd(), "nice": os.nice(0),
        "targets": sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                          if os.path.lexists(f"/proc/self/fd/{fd}")),
        "oom": open("/proc/self/oom_score_adj").read().strip(), "path": sys.path, "env": dict(os.environ),
        "signals": [line for line in open("/proc/self/status") if line.startswith(("SigBlk", "SigIgn", "SigCgt"))],
        "umask": os.umask(0o77), "statustui": locks.__file__, "sqlalchemy": sqlalchemy.__file__, "started": time.time()}
fd = locks.hold(spool + "/drainer.lock")
os.write(os.open(spool + "/info.part", os.O_WRONLY | os.O_CREAT, 0o600), json.dumps(here).encode())
os.rename(spool + "/info.part", spool + "/info")
end = time.monotonic() + 20
while time.monotonic() < end and os.path.exists(spool + "/info"):
    time.sleep(0.02)
"""

Start = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def spool(state_dir: Path) -> Path:
    return state_dir / "spool"


@pytest.fixture
def package(env: Path) -> Path:
    """A directory with statustui whose drainer is a stand-in that tells about itself and waits to be ended."""
    root = env / "pkg"
    (root / "statustui" / "drain").mkdir(parents=True)
    for entry in (CORE / "statustui").iterdir():
        if entry.name not in ("drain", "__pycache__"):
            (root / "statustui" / entry.name).symlink_to(entry)
    (root / "statustui" / "drain" / "__init__.py").write_text("")
    (root / "statustui" / "drain" / "__main__.py").write_text(STAND_IN)
    return root


@pytest.fixture
def start(spool: Path, package: Path, env: Path) -> Iterator[Start]:
    """Runs a program that may call ``ensure_drainer(spool)``; the drainers that it leaves are ended."""

    def run(code: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        script = env / "script" / "program.py"
        script.parent.mkdir(exist_ok=True)
        head = "import sys\nsys.path.insert(1, sys.argv[1])\nspool = sys.argv[2]\nimport os, signal, time, threading\n"
        head += "from statustui.journal.spawn import ensure_drainer\n"
        script.write_text(head + textwrap.dedent(code))
        command = [sys.executable, str(script), str(package), str(spool)]
        return subprocess.run(command, text=True, capture_output=True, timeout=60, **options)

    yield run
    deadline = time.monotonic() + 10
    (spool / "info").unlink(missing_ok=True)
    while locks.holder(f"{spool}/drainer.lock") is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def info(spool: Path) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while not (spool / "info").exists():
        assert time.monotonic() < deadline, "no drainer came"
        time.sleep(0.01)
    told: dict[str, Any] = json.loads((spool / "info").read_text())
    return told


def test_the_drainer_has_nothing_of_the_program(start: Start, spool: Path, env: Path) -> None:
    (env / "cwd").mkdir()
    (env / "cwd" / "sqlalchemy.py").write_text("raise SystemExit('the wrong one')")
    (env / "script").mkdir()
    (env / "script" / "sqlalchemy.py").write_text("raise SystemExit('the wrong one')")
    done = start(
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        os.umask(0)
        os.environ.update(SECRET="x", STATUSTUI_RUN_ID="r", PGPASSFILE="/p", LANG="C")
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        print(os.getsid(0), ensure_drainer(spool))
        os.close(writer)
        """,
        cwd=env / "cwd",
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    sid, started = done.stdout.split()
    assert started == "True"
    assert done.stderr == ""
    here = info(spool)
    assert here["ppid"] != os.getpid()
    assert here["sid"] == here["pid"] != int(sid)
    assert here["cwd"] == "/"
    assert here["nice"] >= 10
    assert here["oom"] == "1000"
    assert here["umask"] == 0o077
    assert [name for name in here["targets"] if name != "/dev/null" and not name.startswith("/proc/")] == []
    signals = {line.split(":")[0]: int(line.split()[1], 16) for line in here["signals"]}
    assert signals["SigBlk"] == signals["SigCgt"] == 0
    assert not signals["SigIgn"] >> (signal.SIGTERM - 1) & 1
    assert here["statustui"].startswith(str(env / "pkg"))
    assert "site-packages" in here["sqlalchemy"]
    assert not {str(env / "cwd"), str(env / "script"), ""} & set(here["path"])
    assert here["env"]["PGPASSFILE"] == "/p"
    assert not {"SECRET", "STATUSTUI_RUN_ID", "PYTHONPATH"} & here["env"].keys()


def test_no_wait_and_no_handler_of_the_program_sees_a_child(start: Start, spool: Path) -> None:
    done = start(
        """
        calls = []
        signal.signal(signal.SIGCHLD, lambda *a: calls.append(a))
        assert ensure_drainer(spool)
        try:
            print(os.wait())
        except ChildProcessError:
            print("no child")
        os.getpid()
        print(calls, signal.pthread_sigmask(signal.SIG_BLOCK, ()), signal.sigpending())
        """
    )
    assert done.stdout.splitlines() == ["no child", "[] set() set()"], done.stderr
    info(spool)


def test_a_child_of_the_program_that_ends_meanwhile_is_not_lost(start: Start, spool: Path) -> None:
    done = start(
        """
        from statustui.journal import spawn
        calls = []
        signal.signal(signal.SIGCHLD, lambda *a: calls.append(a))
        real = spawn._spawn
        def slow(command):
            child = os.posix_spawn("/bin/true", ["true"], {})
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
            print(child)
            return real(command)
        spawn._spawn = slow
        assert ensure_drainer(spool)
        print(len(calls))
        print(os.wait()[0])
        """
    )
    child, calls, waited = done.stdout.split()
    assert (calls, waited) == ("1", child)
    info(spool)


@pytest.mark.parametrize("way", ["SIG_IGN", "SIG_DFL"])
def test_the_disposition_of_sigchld_does_not_matter(start: Start, spool: Path, way: str) -> None:
    done = start(f"signal.signal(signal.SIGCHLD, signal.{way}); print(ensure_drainer(spool))")
    assert done.stdout.split() == ["True"], done.stderr
    info(spool)


def test_it_is_not_started_while_another_thread_waits_for_any_child(start: Start, spool: Path) -> None:
    done = start(
        """
        child = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
        seen = []
        thread = threading.Thread(target=lambda: seen.append(os.wait()[0]))
        thread.start()
        while not open(f"/proc/self/task/{thread.native_id}/syscall").read().startswith(("61 ", "260 ")):
            time.sleep(0.01)
        print(ensure_drainer(spool))
        os.kill(child, signal.SIGKILL)
        thread.join()
        print(seen == [child])
        print(ensure_drainer(spool))
        """
    )
    assert done.stdout.split() == ["False", "True", "True"], done.stderr
    info(spool)


def test_a_thread_that_waits_for_its_own_child_does_not_hinder(start: Start, spool: Path) -> None:
    done = start(
        """
        child = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
        thread = threading.Thread(target=os.waitpid, args=(child, 0))
        thread.start()
        while not open(f"/proc/self/task/{thread.native_id}/syscall").read().startswith(("61 ", "260 ")):
            time.sleep(0.01)
        print(ensure_drainer(spool))
        os.kill(child, signal.SIGKILL)
        thread.join()
        """
    )
    assert done.stdout.split() == ["True"], done.stderr
    info(spool)


def test_with_a_handler_it_is_started_only_while_other_threads_block_the_signal(start: Start, spool: Path) -> None:
    done = start(
        """
        calls = []
        signal.signal(signal.SIGCHLD, lambda *a: calls.append(a))
        def begin(block):
            go = threading.Event()
            ready = threading.Event()
            def work():
                if block: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
                ready.set(); go.wait()
            thread = threading.Thread(target=work); thread.start(); ready.wait()
            return lambda: (go.set(), thread.join())
        end = begin(False); print(ensure_drainer(spool)); end()
        end = begin(True); print(ensure_drainer(spool)); end()
        print(len(calls))
        """
    )
    assert done.stdout.split() == ["False", "True", "0"], done.stderr
    info(spool)


def test_a_pipe_of_the_program_ends_when_the_program_closes_it(start: Start, spool: Path) -> None:
    done = start(
        """
        import select
        from statustui.journal import spawn
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        spawn._command = lambda *a: ["/bin/sleep", "2"]
        assert ensure_drainer(spool)
        os.close(writer)
        print(select.select([reader], [], [], 0.5)[0] == [reader])
        """
    )
    assert done.stdout.split() == ["True"], done.stderr


def test_closed_standard_streams_do_not_hinder(start: Start, spool: Path) -> None:
    done = start(
        "os.closerange(0, 3); ok = ensure_drainer(spool); os._exit(not ok or os.path.exists('/proc/self/fd/0'))"
    )
    assert done.returncode == 0
    info(spool)


def test_a_deleted_working_directory_does_not_hinder(start: Start, spool: Path, env: Path) -> None:
    done = start("os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); print(ensure_drainer(spool))", cwd=env)
    assert done.stdout.split() == ["True"], done.stderr
    info(spool)


def test_limits_of_the_program_do_not_bind_the_drainer(start: Start, spool: Path) -> None:
    done = start(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (300_000_000, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
        print(ensure_drainer(spool))
        """
    )
    assert done.stdout.split() == ["True"], done.stderr
    assert info(spool)["pid"]


def test_where_no_process_may_be_started_it_says_no_in_silence(start: Start, spool: Path) -> None:
    done = start(
        """
        def refuse(*args, **kwargs): raise BlockingIOError(11, "Resource temporarily unavailable")
        os.posix_spawn = refuse
        print(ensure_drainer(spool), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        """
    )
    assert (done.stdout.strip(), done.stderr) == ("False set()", "")
    blocker = spool.parent / "file"
    blocker.write_text("")
    done = start("print(ensure_drainer(sys.argv[2] + '/../file/x'), ensure_drainer('/proc/nothing/here'))")
    assert (done.stdout.strip(), done.stderr) == ("False False", "")


def test_many_writers_at_once_start_one(start: Start, spool: Path, env: Path, package: Path) -> None:
    done = start(
        """
        children = []
        for _ in range(8):
            pid = os.fork()
            if pid == 0:
                ok = ensure_drainer(spool)
                os._exit(0 if ok else 1)
            children.append(pid)
        print([os.waitpid(pid, 0)[1] for pid in children])
        """
    )
    assert done.stdout.strip() == str([0] * 8), done.stderr
    pid = info(spool)["pid"]
    assert locks.holder(f"{spool}/drainer.lock") == pid
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    running = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _reads(path) == command]
    assert len(running) == 1


def _reads(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_one_that_works_is_found_and_left_alone(start: Start, spool: Path) -> None:
    start("ensure_drainer(spool)")
    first = info(spool)["pid"]
    done = start(
        """
        os.posix_spawn = None
        from statustui.journal import spawn
        print(all(ensure_drainer(spool) for _ in range(100)), spawn._last_start)
        """
    )
    assert done.stdout.strip() == "True {}", done.stderr
    assert locks.holder(f"{spool}/drainer.lock") == first


def test_one_that_was_killed_is_started_again(start: Start, spool: Path) -> None:
    start("ensure_drainer(spool)")
    first = info(spool)["pid"]
    os.kill(first, signal.SIGKILL)
    (spool / "info").unlink()
    done = start(
        """
        end = time.monotonic() + 20
        while not os.path.exists(spool + "/info") and time.monotonic() < end:
            assert ensure_drainer(spool)
            time.sleep(0.05)
        """
    )
    assert done.returncode == 0, done.stderr
    assert info(spool)["pid"] != first


def test_a_program_that_is_no_python_has_its_own_interpreter_found(start: Start, spool: Path) -> None:
    done = start(
        """
        from statustui.journal.spawn import find_interpreter
        sys.executable = "/usr/sbin/uwsgi"
        print(os.path.basename(find_interpreter()).startswith("python"))
        sys.frozen = True
        print(find_interpreter(), ensure_drainer(spool))
        """
    )
    assert done.stdout.split() == ["True", "None", "False"], done.stderr
