"""Waiting for the drainer: a writer asks by making ``<journal>.ack``, the drainer writes there how far it has come."""

import os
import time

from statustui.journal.files import open_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from statustui.journal.writer import Writer

SUFFIX = "ack"
_INITS = ("systemd", "init", "runit", "s6-svscan", "supervisord", "launchd", "openrc-init")
_AT_MOST_S = 2.0


def exit_wait(configured: float | None) -> float:
    """Seconds that this process may wait at its end for the drainer: only where nobody would be left to drain.

    Args:
        configured: what the user says (``STATUSTUI_EXIT_WAIT``), which wins.
    """
    if configured is not None:
        return configured
    if os.getpid() == 1:
        return _AT_MOST_S
    if os.getppid() != 1:
        return 0.0
    try:
        with open("/proc/1/comm") as file:
            first = file.read().strip()
    except OSError:
        return 0.0
    # A process left behind by its parent on an ordinary system is the child of an init that goes on.
    return 0.0 if first in _INITS else _AT_MOST_S


def wait(writer: "Writer", timeout: float) -> bool:
    """Wait until everything that *writer* has written is in the store; a drainer must be at work.

    Returns:
        True when it is there, or nothing was ever written.
    """
    path = writer.path(SUFFIX)
    if path is None:
        return True
    if not ask(path):
        return False
    # A drainer answers with its next batch, so there must be one: a line that says that nothing was dropped.
    wanted = writer.fact("dropped", facts=0, progress=0)
    limit = time.monotonic() + timeout
    while acknowledged(path) <= wanted:
        if wanted < 0 or time.monotonic() >= limit:
            return False
        time.sleep(0.01)
    return True


def ask(path: str) -> bool:
    """Ask for the acknowledgement of a journal, at the *path* of its ``ack`` file. True when it was asked."""
    try:
        os.close(open_private(path, os.O_RDWR | os.O_CREAT))
    except OSError:
        return False
    return True


def acknowledged(path: str) -> int:
    """The offset after the last record that is in the store; -1 while that is not known."""
    try:
        fd = open_private(path, os.O_RDONLY)
    except OSError:
        return -1
    try:
        text = os.read(fd, 32).strip()
    except OSError:
        return -1
    finally:
        os.close(fd)
    return int(text) if text.isdigit() else -1


def tell(spool: str, journal: str, offset: int) -> None:
    """For the drainer: write how far *journal* is applied, if its writer has asked. Never raises."""
    try:
        fd = open_private(f"{spool}/{journal}.{SUFFIX}", os.O_WRONLY)
    except OSError:
        return  # nobody has asked
    try:
        os.pwrite(fd, f"{offset:020d}\n".encode("ascii"), 0)
    except OSError:
        return
    finally:
        os.close(fd)
