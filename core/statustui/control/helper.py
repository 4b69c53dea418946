"""The helper process: copies output, and is the command's parent where that has a session of its own.

It is apart from the wrapper so that keys and signals never wait behind slow output, and so that what the command leaves
running in the background can go on writing after the wrapper has returned, as it could without us.
"""

import os
import signal
from collections.abc import Mapping, Sequence

from statustui.control import spawn, terminal
from statustui.control.copy import Copier
from statustui.control.logcopy import LogCopy
from statustui.control.signals import Signals
from statustui.control.streams import Plan

_FOLLOW_SIZE_MS = 500


class Helper:
    """The helper's side. Lines that it sends: ``P pid``, ``E errno``, ``S signal`` (stopped), ``X status open failed``
    (ended, output delivered), ``D open failed`` (output delivered), ``W`` (size changed). It is told: ``F`` go on in
    the foreground, ``B`` in the background, ``H`` hang up, ``Q`` the command has ended.
    """

    def __init__(self, plan: Plan, log: LogCopy | None, signals: Signals, up: int, down: int) -> None:
        self._log = log
        self._signals = signals
        self._up = up
        self._down = down
        self._told = b""
        self._saved = terminal.attributes(plan.ends[0].fd) if plan.session else None
        self._outer = -1
        if plan.session:
            self._outer = os.dup(0)
        os.setsid() if not plan.session else None
        signals.detach()
        self._copier = Copier(plan.routes, log)
        self._copier.watch(down)
        self._follows = not plan.session and any(route.pty for route in plan.routes)
        self._plan = plan
        self._pid = 0

    def copy_only(self) -> None:
        """Copy until the command has ended, and as long as others still write."""
        _let_go(self._plan)
        while self._down >= 0 or self._copier.open:
            ready, _ = self._copier.turn(_FOLLOW_SIZE_MS if self._follows else None)
            if self._follows and self._copier.follow_size():
                self._say("W")
            for word in self._hear(ready):
                if word == "Q":
                    self._copier.finish()
                    self._say(f"D {int(self._copier.open)} {self._failed()}")
                    self._leave()

    def lead(self, argv: Sequence[str], env: Mapping[str, str], slave: int, foreground: bool) -> None:
        """Be the leader of the command's session: start it, copy, tell of its stops and its end."""
        terminal.become_session_leader(slave)
        descriptors = {0: slave, **{fd: route.write for route in self._plan.routes for fd in route.fds}}
        try:
            self._pid = spawn.start(
                argv, env, descriptors, self._signals.reset_in_command, slave if foreground else None
            )
        except OSError as error:
            self._say(f"E {error.errno}")
            return
        self._say(f"P {self._pid}")
        for fd in {route.write for route in self._plan.routes}:
            os.close(fd)
        _let_go(self._plan)
        master = self._plan.routes[0].read
        self._copier.watch(self._signals.wakeup)
        while self._pid or self._copier.open:
            ready, _ = self._copier.turn()
            if self._signals.wakeup in ready:
                self._signals.take()
                self._reap()
            for word in self._hear(ready):
                if word in ("F", "B"):
                    self._go_on(master, word == "F")
                elif word == "H":
                    self._copier.hang_up()

    def _reap(self) -> None:
        while self._pid:
            pid, status = os.waitpid(self._pid, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                self._say(f"S {os.WSTOPSIG(status)}")
                continue
            self._pid = 0
            self._copier.finish()
            self._say(f"X {status} {int(self._copier.open)} {self._failed()}")
            self._leave()

    def _go_on(self, master: int, foreground: bool) -> None:
        """Continue the command, with the terminal or without it."""
        if not self._pid:
            return
        holder = terminal.foreground_group(master)
        if foreground and holder in (None, os.getpgrp()):
            terminal.give(master, self._pid)
        elif not foreground and holder == self._pid:
            terminal.give(master, os.getpgrp())
        os.killpg(self._pid, signal.SIGCONT)

    def _hear(self, ready: set[int]) -> list[str]:
        """Words from the wrapper. When it is gone without a word, the terminal is put in order and copying goes on."""
        if self._down < 0 or self._down not in ready:
            return []
        data = os.read(self._down, 512)
        if not data:
            if self._outer >= 0:
                terminal.restore(self._outer, self._saved)
            self._leave()
        return data.decode().split()

    def _leave(self) -> None:
        if self._down >= 0:
            self._copier.forget(self._down)
            os.close(self._down)
            os.close(self._up)
            self._down = self._up = -1

    def _failed(self) -> int:
        return int(self._log is not None and self._log.failed)

    def _say(self, text: str) -> None:
        if self._up >= 0:
            try:
                os.write(self._up, text.encode() + b"\n")
            except OSError:
                return  # the wrapper was killed; the end of its pipe is noticed in the loop


def _let_go(plan: Plan) -> None:
    """Hold nothing of the command's open: whoever waits for the other end of a pipe must not wait for us."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1, 2):
        os.dup2(null, fd, inheritable=False)
    os.close(null)
    close_inherited()


def close_inherited() -> None:
    """Close the descriptors above 2 that the command inherited through us; ours are never inheritable."""
    for name in os.listdir("/dev/fd"):
        fd = int(name)
        try:
            if fd > 2 and os.get_inheritable(fd):
                os.close(fd)
        except OSError:
            continue  # the descriptor of the listing itself
