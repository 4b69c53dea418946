"""Where and beside whom a drainer works: killed wrappers, old journals, other namespaces, newer versions, memory."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from statustui import config
from statustui.journal.reader import list_journals
from statustui.model.status import RunStatus
from support.drained import alone, drainer, started, status, the_run
from support.processes import python, until

WAITS = """
import sys, statustui
with statustui.run(sys.argv[1]):
    print(1, flush=True)
    sys.stdin.readline()
"""
_CGROUPS = "/sys/fs/cgroup"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> config.Settings:
    return alone(monkeypatch, sqlite_url)


@pytest.fixture
def spool(settings: config.Settings) -> str:
    return config.spool_dir(settings)


def wrapped(*command: str) -> list[str]:
    return [sys.executable, "-m", "statustui", "run", "--name", "job", "--", *command]


def test_a_run_whose_wrapper_was_killed_lasts_as_long_as_its_command(settings: config.Settings, spool: str) -> None:
    url = settings.store_url
    with subprocess.Popen(wrapped("sleep", "600"), stdin=subprocess.DEVNULL) as wrapper, drainer(spool):
        until(lambda: (run := the_run(url)) is not None and run.pid not in (None, wrapper.pid))
        command = the_run(url).pid
        try:
            wrapper.kill()
            wrapper.wait()
            # The drainer has seen the wrapper's end as soon as it has brought in what comes after it.
            with python(WAITS, "later") as later:
                started(later)
                until(lambda: status(url, "later") is not None)
            until(lambda: status(url, "later") is RunStatus.LOST)
            assert status(url) is not None
            assert status(url).open  # type: ignore[union-attr]
        finally:
            os.kill(command, signal.SIGKILL)
        until(lambda: status(url) is RunStatus.LOST, timeout=5)


def test_what_the_command_of_a_killed_wrapper_said_of_its_end_counts(
    settings: config.Settings, spool: str, env: Path
) -> None:
    url = settings.store_url
    code = "import os, sys, time, statustui\nwith statustui.run():\n    print(1, flush=True)\n"
    code += "    while not os.path.exists(sys.argv[1]):\n        time.sleep(0.01)\n    raise KeyError('x')"
    command = wrapped(sys.executable, "-c", code, str(env / "go"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as wrapper, drainer(spool):
        started(wrapper)
        until(lambda: (run := the_run(url)) is not None and run.pid not in (None, wrapper.pid))
        wrapper.kill()
        wrapper.wait()
        (env / "go").touch()
        until(lambda: (now := status(url)) is not None and not now.open)
        run = the_run(url)
        assert (run.status, run.error_type) == (RunStatus.FAILED, "KeyError")


def test_journals_are_pruned_a_day_after_their_end(settings: config.Settings, spool: str) -> None:
    for task in ("old", "young"):
        with python(WAITS, task) as program:
            started(program)
            assert program.stdin is not None
            program.stdin.write(b"\n")
            program.stdin.flush()
            program.wait(10)
    with drainer(spool) as working:
        assert working.wait(10) == 0
    old, young = sorted(list_journals(spool), key=lambda name: os.stat(f"{spool}/{name}.0.jsonl").st_mtime)
    day = time.time() - 24 * 3600 - 60
    os.utime(f"{spool}/{old}.0.jsonl", (day, day))
    with python(WAITS, "living") as program:
        started(program)
        living = next(name for name in list_journals(spool) if name not in (old, young))
        os.utime(f"{spool}/{living}.0.jsonl", (day, day))
        with drainer(spool):
            until(lambda: old not in list_journals(spool), timeout=10)
            assert set(list_journals(spool)) == {young, living}
            assert not list(Path(spool).glob(f"{old}.*")), "nothing of it is left"


def test_a_newer_version_takes_over(settings: config.Settings, spool: str, env: Path) -> None:
    told = env / "newer"
    script = env / "python-of-9.0"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {told}.part && mv {told}.part {told}\n')
    script.chmod(0o700)
    with python(WAITS, "job") as program, drainer(spool) as working:
        started(program)
        until(lambda: status(settings.store_url) is not None)
        note = Path(f"{spool}/drainer.next")
        note.touch(0o600)
        note.write_text(f'{{"version": "9.0", "interpreter": "{script}"}}')
        assert working.wait(15) == 0
        until(told.exists, what="the newer version being started")
        assert spool in told.read_text().splitlines()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare(1)")
def test_what_a_container_left_behind_is_brought_in(settings: config.Settings, spool: str) -> None:
    inside = "import os, statustui\nstatustui.run('inside').__enter__()\nos._exit(3)"
    made = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", inside], capture_output=True, check=False
    )
    if b"unshare" in made.stderr:
        pytest.skip(f"no pid namespace here: {made.stderr.decode().strip()}")
    with python(WAITS, "job") as program, drainer(spool):
        started(program)
        until(lambda: status(settings.store_url, "inside") is RunStatus.LOST, timeout=20)
        assert the_run(settings.store_url, "inside").lost_reason == "its container is gone"
        assert status(settings.store_url) is not None


def test_a_wrapper_that_comes_first_leaves_the_whole_url(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql+psycopg://etl:secret@127.0.0.1:9/none"
    monkeypatch.setenv("STATUSTUI_STORE", url)
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")
    assert subprocess.run(wrapped("true"), check=False, timeout=20).returncode == 0
    path = Path(config.spool_dir(config.load(start="/"))) / "store.url"
    assert path.read_text() == url + "\n"
    assert path.stat().st_mode & 0o777 == 0o600


@contextmanager
def memory_group(limit: int) -> Iterator[str]:
    """A memory cgroup with that many bytes; skips where none can be made."""
    v1 = f"{_CGROUPS}/memory"
    base, limit_file = (v1, "memory.limit_in_bytes") if os.path.isdir(v1) else (_CGROUPS, "memory.max")
    path = f"{base}/statustui-test-{os.getpid()}"
    try:
        os.mkdir(path)
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made: {error}")
    try:
        try:
            Path(path, limit_file).write_text(str(limit))
        except OSError as error:
            pytest.skip(f"no memory controller: {error}")
        for name in ("memory.swap.max", "memory.memsw.limit_in_bytes"):
            if Path(path, name).exists():
                Path(path, name).write_text("0" if name == "memory.swap.max" else str(limit))
        yield path
    finally:
        until(lambda: _removed(path), what="the cgroup being empty")


def _removed(path: str) -> bool:
    try:
        os.rmdir(path)
    except OSError:
        return not os.path.isdir(path)
    return True


EATS = """
import os, sys
open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
def eat():
    held = []
    while True:
        held.append(bytearray(os.urandom(1 << 20)))
"""


@pytest.mark.parametrize("way", ["recorded", "wrapped"])
def test_a_real_out_of_memory_kill_is_told(settings: config.Settings, spool: str, way: str) -> None:
    with memory_group(60 << 20) as group:
        if way == "recorded":
            code = EATS + "import statustui\nwith statustui.run('job'):\n    sys.stdin.readline(); eat()"
            command = [sys.executable, "-c", code, group]
        else:
            eater = EATS + "sys.stdin.readline(); eat()"
            joins = EATS + "os.execv(sys.argv[2], sys.argv[2:])"
            command = [sys.executable, "-c", joins, group, *wrapped(sys.executable, "-c", eater, group)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as program, drainer(spool):
            assert program.stdin is not None
            url = settings.store_url
            until(lambda: (run := the_run(url)) is not None and run.rss_bytes, what="a sample")
            program.stdin.write(b"\n")
            program.stdin.close()
            program.wait(30)
            bad = RunStatus.LOST if way == "recorded" else RunStatus.FAILED
            until(lambda: status(url) is bad)
            run = the_run(url)
            told = run.lost_reason if way == "recorded" else run.error_message
            assert "out of memory?" in told
            if way == "recorded":
                assert " at peak " in told
