"""How processes ended that are no children of the one who asks."""

import os
import signal
import subprocess

import pytest

from statustui.process import exit_info, identity
from statustui.process.pidfd import Handle
from support.users import OTHER, as_user, only_root


def kernel_tells() -> bool:
    """Does this kernel tell the status of what was reaped (6.15)?"""
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    handle = Handle.open(child.pid, None)
    assert handle is not None
    child.communicate(timeout=10)
    told = exit_info.wait_status(handle)
    handle.close()
    return told is not None


@pytest.mark.parametrize(("end", "status"), [("exit 0", 0), ("exit 7", 7 << 8), ("kill -9 $$", 9), ("kill -15 $$", 15)])
@pytest.mark.parametrize("reaped", [False, True])
def test_the_status_of_an_ended_process(end: str, status: int, reaped: bool) -> None:
    if reaped and not kernel_tells():
        pytest.skip("this kernel does not tell how a reaped process ended (Linux 6.15 does)")
    child = subprocess.Popen(["sh", "-c", f"read go; {end}"], stdin=subprocess.PIPE)
    handle = Handle.open(child.pid, None)
    assert handle is not None
    assert exit_info.wait_status(handle) is None, "it lives"
    assert child.stdin is not None
    child.stdin.close()
    assert handle.wait(10)
    if reaped:
        child.wait()
    assert exit_info.wait_status(handle) == status
    child.wait()
    handle.close()


def test_a_process_that_is_gone_before_it_is_held_says_nothing() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert exit_info.wait_status(Handle(child.pid, 1, None)) is None


@only_root
def test_a_zombie_of_another_user_is_not_taken_for_a_good_end() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    start = identity.start_tick(child)
    assert start is not None

    def looks() -> None:
        assert exit_info.wait_status(Handle(child, start, None)) is None

    try:
        assert as_user(OTHER, looks) == "ok"
    finally:
        os.waitpid(child, 0)


def test_a_signal_that_dumped_core_is_told_too() -> None:
    child = subprocess.Popen(["sh", "-c", "read go; kill -6 $$"], stdin=subprocess.PIPE)
    handle = Handle.open(child.pid, None)
    assert handle is not None
    assert child.stdin is not None
    child.stdin.close()
    assert handle.wait(10)
    status = exit_info.wait_status(handle)
    assert status is not None
    assert os.WTERMSIG(status) == signal.SIGABRT
    child.wait()
    handle.close()
