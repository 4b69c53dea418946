"""A session of the real pytest as a run: counted alone and by xdist, and ended as its exit status says."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.recording import Recorded, environment, only_run, recorded

TESTS = """
    import pytest

    @pytest.mark.parametrize("n", range(20))
    def test_good(n):
        pass

    def test_bad():
        rows = {"NAME": 1}
        assert rows["FIPS"] == 1, "token=sk-abcdef0123456789abcdef"

    @pytest.fixture
    def broken():
        raise OSError("no disk")

    def test_set_up(broken):
        pass

    @pytest.mark.skip
    def test_skipped():
        pass

    @pytest.mark.xfail
    def test_expected():
        assert False
"""


def bare() -> dict[str, str]:
    """The environment of a session of its own, that loads no plugin which happens to be installed."""
    clean = {name: value for name, value in environment().items() if not name.startswith("PYTEST_")}
    return {**clean, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def session(env: Path, code: str, *words: str, plugin: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run pytest on a file of *code*."""
    (env / "t").mkdir(exist_ok=True)
    (env / "t" / "test_it.py").write_text(textwrap.dedent(code))
    (env / "t" / "pytest.ini").write_text("[pytest]\n")
    own = ["-p", "statustui.contrib.pytest"] if plugin else []
    own += ["-p", "xdist"] if "-n" in words else []
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *own, *words]
    return subprocess.run(command, cwd=env / "t", env=bare(), capture_output=True, text=True, timeout=120)


def counted(run: Recorded) -> tuple[int, int | None, str]:
    sub = run.named("tests")
    return sub.complete, sub.total, sub.status


def counts(run: Recorded) -> dict[str, Any]:
    return {name.removeprefix("tests_"): number for name, number in run.metrics.items()}


@pytest.mark.parametrize("words", [(), ("-n", "2"), ("-n", "2", "--dist", "loadfile")])
def test_a_session_is_a_run_whose_tests_are_counted(words: tuple[str, ...], env: Path, state_dir: Path) -> None:
    done = session(env, TESTS, *words)
    assert done.returncode == 1, done.stdout + done.stderr
    run = only_run(state_dir)
    assert (run.start["task"], run.start["label"]) == ("pytest", "t")
    assert counted(run) == (24, 24, "failed")
    assert counts(run) == {"passed": 20, "failed": 1, "errors": 1, "skipped": 1, "xfailed": 1}
    assert (run.end["status"], run.end["exit_code"]) == ("failed", 1)
    kinds = {event["kind"]: event for event in run.events}
    assert kinds["failed"]["message"] == "test_it.py::test_bad: KeyError: 'FIPS'"
    assert kinds["error"]["message"] == "test_it.py::test_set_up: OSError: no disk"
    assert all(len(event["fingerprint"]) == 12 for event in kinds.values())
    assert "sk-abcdef" not in str(run.events)
    error = run.end["error"]
    assert error["type"] == "tests failed" and error["message"].endswith("(and 1 more)")


def test_output_and_status_are_pytests_own(env: Path, state_dir: Path) -> None:
    words = ("-q", "--durations=0", "--durations-min=60")
    plain = session(env, TESTS, *words, plugin=False)
    ours = session(env, TESTS, *words)
    assert ours.returncode == plain.returncode
    assert ours.stdout.rpartition(" in ")[0] == plain.stdout.rpartition(" in ")[0]
    assert ours.stderr == plain.stderr


ENDS: list[tuple[str, tuple[str, ...], int, str, str]] = [
    ("def test_x(): pass", ("--statustui-task", "nightly_tests"), 0, "finished", ""),
    ("x = 1", (), 5, "failed", "no tests ran"),
    ("def test_x(): assert False\ndef test_y(): pass", ("-x",), 1, "failed", "test_it.py::test_x: assert False"),
    ("\n".join(f"def test_{x}(): assert 0" for x in "xyz"), ("--maxfail=2",), 1, "failed", "(and 1 more)"),
    ("import nowhere", (), 2, "failed", "ModuleNotFoundError: No module named 'nowhere'"),
    ("def test_x(): raise KeyboardInterrupt", (), 2, "cancelled", ""),
    ("import pytest\ndef test_x(): pytest.exit('enough', returncode=7)", (), 7, "failed", "pytest ended with 7"),
    ("def test_x(): pass", ("-p", "odd"), 3, "failed", "ZeroDivisionError"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "words", "status", "word", "said"), ENDS, ids=[str(n) for n in range(len(ENDS))])
def test_the_exit_status_decides(
    code: str, words: tuple[str, ...], status: int, word: str, said: str, env: Path, state_dir: Path
) -> None:
    (env / "t").mkdir()
    (env / "t" / "odd.py").write_text("def pytest_runtestloop(session): 1 / 0")
    done = session(env, code, *words)
    assert done.returncode == status, done.stdout + done.stderr
    run = only_run(state_dir)
    assert (run.end["status"], run.end["exit_code"]) == (word, status)
    error = run.end.get("error") or {}
    assert said in f"{error.get('type')} {error.get('message')}"
    assert run.start["task"] == ("nightly_tests" if "nightly_tests" in words else "pytest")


def test_a_worker_that_dies_is_counted(env: Path, state_dir: Path) -> None:
    code = """
        import os, pytest
        @pytest.mark.parametrize("n", range(8))
        def test_x(n):
            if n == 3:
                os.kill(os.getpid(), 9)
    """
    done = session(env, code, "-n", "2")
    assert done.returncode == 1, done.stdout + done.stderr
    run = only_run(state_dir)
    assert counted(run) == (8, 8, "failed")
    assert counts(run) == {"passed": 7, "failed": 1}


def test_looking_records_nothing(env: Path, state_dir: Path) -> None:
    assert session(env, TESTS, "--collect-only").returncode == 0
    assert session(env, TESTS, "--version").returncode == 0
    assert session(env, TESTS, plugin=False).returncode == 1
    assert recorded(state_dir) == {}


def test_what_tests_record_is_their_own(env: Path, state_dir: Path) -> None:
    code = """
        import statustui
        def test_x():
            assert not statustui.current()
            with statustui.run("inner") as run:
                assert statustui.current() is run
    """
    assert session(env, code).returncode == 0
    runs = {run.start["task"]: run for run in recorded(state_dir).values()}
    assert sorted(runs) == ["inner", "pytest"]
    assert counted(runs["pytest"]) == (1, 1, "completed")


def test_ctrl_c_cancels_with_workers_too(env: Path, state_dir: Path, wait_for: Callable[..., None]) -> None:
    (env / "t").mkdir()
    (env / "t" / "test_it.py").write_text(
        "import time, pathlib, pytest\n@pytest.mark.parametrize('n', range(4))\n"
        "def test_x(n):\n    pathlib.Path(f'seen{n}').touch()\n    time.sleep(60 * (n > 1))\n"
    )
    (env / "t" / "pytest.ini").write_text("[pytest]\n")
    plugins = ["-p", "statustui.contrib.pytest", "-p", "xdist", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *plugins, "-n", "2"]
    process = subprocess.Popen(
        command, cwd=env / "t", env=bare(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for(lambda: (env / "t" / "seen2").exists() or (env / "t" / "seen3").exists(), 60)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 2
    run = only_run(state_dir)
    assert run.end["status"] == "cancelled"
    assert run.named("tests").status == "cancelled"
