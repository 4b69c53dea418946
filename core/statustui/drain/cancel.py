"""Ending a run that a person wants ended: TERM, a grace time that everyone sees, KILL. Never waits."""

import os
import signal
import time

from statustui.process import identity, tree
from statustui.process.pidfd import Handle

_LOOK_EVERY_S = 0.3


class Cancel:
    """One cancel under way: the run's process, its group when our wrapper made one, and all its descendants."""

    def __init__(self, root: Handle, pgid: int | None, grace_s: float) -> None:
        """Prepare; nothing is sent yet.

        Args:
            root: the process of the run, verified. It stays the caller's.
            pgid: the group that a wrapper made for it, else None.
            grace_s: seconds between TERM and KILL; 0 for KILL at once.
        """
        self._root = root
        # Group 1 would be kill(-1): everybody.
        own = pgid is not None and pgid > 1 and pgid != os.getpgrp()
        self._pgid = pgid if own and _group(root.pid) == pgid else None
        self._members: dict[tuple[int, int], Handle] = {}
        self._told: set[tuple[int, int]] = set()
        self._looked_at = 0.0
        self._grace_s = grace_s
        self.kill_at = time.monotonic() + grace_s
        """When TERM turns into KILL, by the monotonic clock."""
        self.killed = False

    def begin(self) -> None:
        """Send TERM (or KILL when there is no grace).

        Raises:
            PermissionError: the process belongs to somebody else.
        """
        self._look()
        if self._grace_s <= 0:
            self._kill()
            return
        self._send_group_or_root(signal.SIGTERM)
        self._wake_stopped()

    def tick(self) -> bool:
        """Go on with it; True when nothing of the run is left."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._look()
        over = self._root.ended()
        left = [(key, handle) for key, handle in self._members.items() if not handle.ended()]
        if over and not left:
            return True
        if now >= self.kill_at:
            self._kill()
        elif over:
            for key, handle in left:  # children that the program did not take along
                if key not in self._told:
                    self._told.add(key)
                    _send(handle, signal.SIGTERM)
        return False

    def close(self) -> None:
        """Let go of the processes."""
        for handle in self._members.values():
            handle.close()
        self._members.clear()

    def _look(self) -> None:
        """Take hold of descendants that were not there before; orphans are known from earlier looks."""
        self._looked_at = time.monotonic()
        roots = [self._root.pid, *(pid for (pid, _), handle in self._members.items() if not handle.ended())]
        for pid, start in tree.members(*roots):
            if (pid, start) not in self._members and pid not in (os.getpid(), self._root.pid):
                handle = Handle.open(pid, start)
                if handle is not None:
                    self._members[pid, start] = handle

    def _kill(self) -> None:
        self.killed = True
        if not self._root.ended():
            self._send_group_or_root(signal.SIGKILL)
        for handle in self._members.values():
            _send(handle, signal.SIGKILL)

    def _send_group_or_root(self, number: int) -> None:
        if self._pgid is not None and not self._root.ended() and _group(self._root.pid) == self._pgid:
            try:
                os.killpg(self._pgid, number)
            except ProcessLookupError:
                return
            return
        self._root.send(number)

    def _wake_stopped(self) -> None:
        """A stopped process (Ctrl-Z) gets TERM only when it goes on."""
        for handle in (self._root, *self._members.values()):
            stat = identity.read_stat(handle.pid)
            if stat is not None and stat.state in "Tt" and not handle.ended():
                _send(handle, signal.SIGCONT)


def _send(handle: Handle, number: int) -> None:
    try:
        handle.send(number)
    except PermissionError:
        return


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
