import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Hashable
from pathlib import Path

import pytest

from statustui.machine import boot_id, pid_namespace
from statustui.process import cgroup, identity, tree
from statustui.process.pidfd import Handle
from support.processes import python, sleeper, until


def _state(pid: int) -> str | None:
    stat = identity.read_stat(pid)
    return None if stat is None else stat.state


def _parent(pid: int) -> int | None:
    stat = identity.read_stat(pid)
    return None if stat is None else stat.ppid


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


@linux
@pytest.mark.parametrize("name", ["plain", "a) R 1 (b", ")", "((", "with blank", "9 9 9"])
def test_the_start_tick_is_read_whatever_the_process_is_called(name: str) -> None:
    code = "import sys; open('/proc/self/comm', 'w').write(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with python(code, name) as process:
        assert process.stdout is not None
        process.stdout.readline()
        stat = identity.read_stat(process.pid)
        assert stat is not None
        assert stat.ppid == os.getpid()
        with open("/proc/uptime", encoding="ascii") as uptime:
            age = float(uptime.read().split()[0]) - stat.start / os.sysconf("SC_CLK_TCK")
        assert 0 <= age < 30


def test_a_process_is_alive_only_with_its_own_start_tick() -> None:
    with sleeper() as process:
        start = identity.start_tick(process.pid)
        assert start is not None
        assert identity.alive(process.pid, start) is True
        assert identity.alive(process.pid, start + 1) is False
        assert identity.alive(process.pid, None) is None
    assert identity.alive(process.pid, start) is False
    assert identity.alive(process.pid, None) is False


def test_another_boot_or_namespace_cannot_be_judged_from_here() -> None:
    start = identity.start_tick(os.getpid())
    assert identity.alive(os.getpid(), start, boot_id(), pid_namespace()) is True
    assert identity.alive(os.getpid(), start, "another-boot", pid_namespace()) is None
    assert identity.alive(os.getpid(), start, boot_id(), pid_namespace() + 1) is None


@pytest.mark.parametrize("pid", [0, -1, -5])
def test_pids_that_mean_groups_name_nobody(pid: int) -> None:
    assert identity.start_tick(pid) is None
    assert identity.alive(pid, 1) is None
    assert Handle.open(pid, None) is None


def test_init_is_never_held() -> None:
    assert Handle.open(1, None) is None


@linux
def test_a_zombie_has_ended() -> None:
    process = subprocess.Popen(["true"])
    try:
        start = identity.start_tick(process.pid)
        until(lambda: _state(process.pid) == "Z", what="a zombie")
        assert identity.alive(process.pid, start) is False
        assert Handle.open(process.pid, None) is None
    finally:
        process.wait()


def test_a_handle_knows_the_end_at_once_and_signals_exactly_its_process() -> None:
    with sleeper() as process:
        handle = Handle.open(process.pid, identity.start_tick(process.pid))
        assert handle is not None
        with handle:
            assert not handle.ended()
            assert handle.send(signal.SIGTERM)
            assert handle.wait(5)
            process.wait()
            assert handle.ended()
            assert handle.send(signal.SIGKILL) is False
    assert process.returncode == -signal.SIGTERM


def test_a_handle_is_refused_when_the_pid_is_somebody_elses() -> None:
    with sleeper() as process:
        start = identity.start_tick(process.pid)
        assert start is not None
        assert Handle.open(process.pid, start - 1) is None


def test_a_handle_without_a_pidfd_works_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("statustui.process.pidfd._NO_PIDFD", True)
    with sleeper() as process:
        handle = Handle.open(process.pid, None)
        assert handle is not None
        assert handle.fd is None
        assert not handle.wait(0.01)
        assert handle.send(signal.SIGKILL)
        process.wait()
        assert handle.wait(5)
        assert handle.send(signal.SIGTERM) is False


TREE = """
import os, subprocess, sys, time
code = "import sys; b = bytearray(40_000_000); print(flush=True); sys.stdin.read()"
child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
end = time.monotonic() + 60
while time.monotonic() < end:
    pass
"""


@linux
def test_a_sample_adds_up_the_whole_tree() -> None:
    with python(TREE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        start = identity.start_tick(process.pid)
        sampler = tree.Sampler()
        sampler.sample({"a": (process.pid, start)})
        time.sleep(0.3)  # the time that is measured
        found = sampler.sample({"a": (process.pid, start)})["a"]
        assert found.processes == 2
        assert found.rss_bytes > 40_000_000
        assert found.peak_rss_bytes >= found.rss_bytes
        assert 20 < found.cpu_percent < 160
        assert found.read_bytes is not None
        assert found.connections == 0


@linux
def test_the_time_of_children_that_were_reaped_counts() -> None:
    code = """
import subprocess, sys
for _ in range(4):
    code = "import time; e = time.process_time() + .2\\nwhile time.process_time() < e: pass"
    subprocess.run([sys.executable, "-c", code])
print(flush=True)
sys.stdin.read()
"""
    with python(code) as process:
        assert process.stdout is not None
        first = tree.Sampler()
        first.sample({1: (process.pid, None)})
        began = time.monotonic()
        process.stdout.readline()
        took = time.monotonic() - began
        used = first.sample({1: (process.pid, None)})[1].cpu_percent / 100 * took
        assert used > 0.4


@linux
def test_an_orphan_of_a_group_stays_with_its_leader() -> None:
    with python(
        "import os, sys\nif os.fork() == 0:\n if os.fork() == 0:\n  print(os.getpid(), flush=True)\n"
        "  import time; time.sleep(60)\n os._exit(0)\nos.wait()\nimport time; time.sleep(60)"
    ) as process:
        assert process.stdout is not None
        orphan = int(process.stdout.readline())
        until(lambda: _parent(orphan) != process.pid)
        if _parent(orphan) != 1:
            pytest.skip("orphans go to a subreaper here, not to pid 1")
        assert tree.sample({"a": (process.pid, None)})["a"].processes == 2


GROWING = """
import subprocess, sys
print(flush=True)
for _ in sys.stdin:
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    print(flush=True)
"""


@linux
def test_a_sampler_passes_over_strangers_and_still_sees_new_children_and_new_roots() -> None:
    with python(GROWING) as process, sleeper() as other:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        sampler = tree.Sampler()
        roots: dict[Hashable, tuple[int, int | None]] = {"a": (process.pid, None)}
        sizes = [sampler.sample(roots)["a"].processes]
        for _ in range(2):
            process.stdin.write(b"one more\n")
            process.stdin.flush()
            process.stdout.readline()
            sizes.append(sampler.sample(roots)["a"].processes)
        assert sizes == [1, 2, 3]
        # Seen as a stranger until now.
        found = sampler.sample({**roots, "b": (other.pid, None)})
        assert {key: sample.processes for key, sample in found.items()} == {"a": 3, "b": 1}


def test_roots_that_ended_are_left_out() -> None:
    with sleeper() as process:
        start = identity.start_tick(process.pid)
        assert start is not None
        sampler = tree.Sampler()
        found = sampler.sample({"lives": (process.pid, start), "other": (process.pid, start + 7), "none": (2**22, 1)})
        assert set(found) == {"lives"}
    assert sampler.sample({"lives": (process.pid, start)}) == {}


@linux
def test_connected_sockets_are_counted_and_listening_ones_are_not() -> None:
    code = """
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
mine = socket.create_connection(server.getsockname())
theirs, _ = server.accept()
print(flush=True)
sys.stdin.read()
"""
    with python(code) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with socket.socket(socket.AF_UNIX):
            assert tree.sample({"a": (process.pid, None)})["a"].connections == 2


@linux
def test_describe_shows_the_tree_with_secrets_hidden() -> None:
    with python(TREE, "--password", "hunter22") as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        found = tree.describe(process.pid)
        assert [(one.pid, one.depth) for one in found] == [(process.pid, 0), (child, 1)]
        assert "--password" in found[0].command
        assert "hunter22" not in found[0].command
        assert found[1].rss_bytes > 40_000_000
        assert [pid for pid, _ in tree.members(process.pid)] == [process.pid, child]
    assert tree.describe(process.pid) == []


@linux
def test_an_oom_kill_that_is_counted_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = str(tmp_path / "memory.events")
    with open(events, "w", encoding="ascii") as file:
        file.write("low 0\noom 1\noom_kill 3\n")
    counter = cgroup.OomCounter(events)
    assert counter.before == 3
    assert counter.rose() is None
    with open(events, "w", encoding="ascii") as file:
        file.write("low 0\noom 2\noom_kill 4\n")
    assert counter.rose() == "cgroup"


@linux
def test_the_counter_of_a_living_process_can_be_read() -> None:
    count = cgroup.oom_kills(os.getpid())
    assert count is None or count >= 0
    assert cgroup.OomCounter.of(os.getpid()).rose() is None
