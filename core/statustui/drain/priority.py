"""What the drainer gives up for itself (it must yield to programs, and die before them) is not for what it starts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_OOM = "/proc/self/oom_score_adj"


@contextmanager
def as_a_program() -> Iterator[None]:
    """Children started in the block have a program's usual priorities, as far as the kernel allows.

    Anybody may take back an ``oom_score_adj`` that was raised; only root a nice value (or where RLIMIT_NICE says so).
    """
    nice, oom = os.getpriority(os.PRIO_PROCESS, 0), _oom_score()
    _set_nice(0)
    _set_oom(b"0")
    try:
        yield
    finally:
        _set_nice(nice)
        if oom is not None:
            _set_oom(oom)


def _set_nice(value: int) -> None:
    try:
        os.setpriority(os.PRIO_PROCESS, 0, value)
    except PermissionError:
        return


def _oom_score() -> bytes | None:
    try:
        fd = os.open(_OOM, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, 32)
    finally:
        os.close(fd)


def _set_oom(value: bytes) -> None:
    try:
        fd = os.open(_OOM, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(fd, value)
    except PermissionError:
        return
    finally:
        os.close(fd)
