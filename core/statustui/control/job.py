"""The command as a job: started, stopped, continued and ended together with the wrapper."""

import os
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence

from statustui.control import spawn, terminal
from statustui.control.helper import Helper, close_inherited
from statustui.control.logcopy import LogCopy
from statustui.control.signals import TO_COMMAND, TO_GROUP, Signals
from statustui.control.streams import TERMINAL, Plan
from statustui.journal.identity import start_tick

_STOPPED_BY_TERMINAL = (signal.SIGTTIN, signal.SIGTTOU)
_ORPHAN_PAUSE_S = 1.0
JOIN = "STATUSTUI_JOIN"


class Job:
    """What both kinds of job share. Use :func:`make`."""

    def __init__(self, plan: Plan, log: LogCopy | None, signals: Signals) -> None:
        self.plan = plan
        self.log = log
        self.signals = signals
        self.pid = 0
        """The command's pid, which is its group too."""
        self.parent = os.getpid()
        """Pid of the process whose child the command is."""
        self.status: int | None = None
        """Wait status once it has ended."""
        self.log_failed = False
        """True when a part of the log copy could not be written."""
        self.asked_to_end = False
        """True when INT, TERM or HUP was passed on."""
        self.idle: Callable[[], None] | None = None
        """Called once when nothing is to be done for the first time."""
        self.look: Callable[[], float] | None = None
        """Called now and then while the command runs; returns seconds until the next time, negative for never."""
        self.look_at = 0.0
        """When next (monotonic seconds)."""
        self._up = self._down = -1
        self._heard = b""
        self._poll = select.poll()
        self._poll.register(signals.wakeup, select.POLLIN)

    def start(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Start the command.

        Raises:
            OSError: it can not be executed.
        """
        raise OSError

    def run(self) -> int:
        """Serve until the command has ended and its output is delivered; its wait status."""
        raise OSError

    def at_terminal(self) -> bool:
        """Was the command in the foreground of our terminal?"""
        return False

    # The helper

    def _fork_helper(self) -> Helper | None:
        """None in the wrapper; the helper's own object in the helper."""
        up_read, up_write = os.pipe()
        down_read, down_write = os.pipe()
        if os.fork() == 0:
            os.close(up_read)
            os.close(down_write)
            return Helper(self.plan, self.log, self.signals, up_write, down_read)
        os.close(up_write)
        os.close(down_read)
        self._up, self._down = up_read, down_write
        self._poll.register(self._up, select.POLLIN)
        return None

    def _tell(self, word: str) -> None:
        try:
            os.write(self._down, word.encode() + b"\n")
        except OSError:
            return  # the helper is gone, which is noticed by the end of its pipe

    def _words(self) -> list[list[str]] | None:
        """What the helper said, line by line; None when it is gone."""
        data = os.read(self._up, 4096)
        if not data:
            self._poll.unregister(self._up)
            return None
        *lines, self._heard = (self._heard + data).split(b"\n")
        return [line.decode().split() for line in lines]

    def _wait(self) -> set[int]:
        """Wait for something to do."""
        if self.idle is not None:
            if found := self._poll.poll(20):
                return {fd for fd, _ in found}
            idle, self.idle = self.idle, None
            idle()
        return {fd for fd, _ in self._poll_looking()}

    def _poll_looking(self) -> list[tuple[int, int]]:
        while self.look is not None:
            wait = self.look_at - time.monotonic()
            if wait > 0 and (found := self._poll.poll(1 + int(1000 * wait))):
                return found
            if time.monotonic() >= self.look_at:
                pause = self.look()
                self.look_at = time.monotonic() + pause
                if pause < 0:
                    self.look = None
        return self._poll.poll()

    def _pass_on(self, number: int) -> None:
        if self.status is not None or not self.pid:
            return
        try:
            if number in TO_GROUP:
                self.asked_to_end = self.asked_to_end or number != signal.SIGQUIT
                os.killpg(self.pid, number)
            elif number in TO_COMMAND:
                os.kill(self.pid, number)
            elif number == signal.SIGTSTP:
                os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # ended just now, or it has become somebody else (sudo)

    def _drop_streams(self) -> None:
        """Hold open nothing that the command may want to close, or somebody waits to be closed."""
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for end in self.plan.ends:
            if end.kind != TERMINAL:
                os.dup2(null, end.fd, inheritable=False)
        os.close(null)
        close_inherited()


class SharedJob(Job):
    """The command in our own session: its keyboard is ours, its group gets our terminal when it may."""

    def __init__(self, plan: Plan, log: LogCopy | None, signals: Signals) -> None:
        super().__init__(plan, log, signals)
        self._tty = _controlling_terminal(plan)
        self._saved = terminal.attributes(self._tty) if self._tty is not None else None
        self._given = False

    def start(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Start it in a group of its own, with our terminal where that is ours to give."""
        # A pipeline shares its terminal: there the command gets it when it asks, else a pager behind it would stop.
        stdin, stdout, _ = self.plan.ends
        self._given = stdin.kind == TERMINAL and stdout.kind != "pipe" and self._in_foreground()
        descriptors: dict[int, int] = {}
        like = next((end.fd for end in self.plan.ends if end.kind == TERMINAL), None)
        for route in self.plan.routes:
            if route.pty:
                own = self.plan.ends[route.sink].kind == TERMINAL
                route.read, route.write = terminal.open_pty(route.sink if own else like, keyboard=False)
            else:
                route.read, route.write = os.pipe()
            descriptors.update(dict.fromkeys(route.fds, route.write))
        self.pid = spawn.start(
            argv, env, descriptors, self.signals.reset_in_command, self._tty if self._given else None
        )
        for route in self.plan.routes:
            os.close(route.write)
        if self.plan.routes:
            helper = self._fork_helper()
            if helper is not None:
                try:
                    helper.copy_only()
                finally:
                    os._exit(0)
            for route in self.plan.routes:
                os.close(route.read)
        self._drop_streams()

    def run(self) -> int:
        """Serve until it has ended and its output is delivered."""
        while self.status is None:
            ready = self._wait()
            for number in self.signals.take():
                if number == signal.SIGCHLD:
                    continue
                if number == signal.SIGWINCH:
                    self._tell_size()
                elif number == signal.SIGCONT:
                    self._continued()
                else:
                    self._pass_on(number)
            if self._up in ready and self._words():
                self._tell_size()
            self._reap()
        if self._up >= 0:
            self._deliver()
        self._take_back()
        return self.status

    def at_terminal(self) -> bool:
        """Did it have our terminal, or stand with us in its foreground?"""
        return self._given or (self._in_foreground() and any(end.kind == TERMINAL for end in self.plan.ends))

    def _reap(self) -> None:
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                self._stopped(os.WSTOPSIG(status))
            else:
                self.status = status

    def _stopped(self, number: int) -> None:
        """The command stopped: give it what it stopped for, or stop with it."""
        if self._tty is not None and number in _STOPPED_BY_TERMINAL and self._in_foreground():
            self._given = terminal.give(self._tty, self.pid)
        elif number == signal.SIGSTOP and (self._tty is None or terminal.is_orphaned()):
            return  # somebody stopped it, and nobody at a shell waits for that
        else:
            held = self._given and self._take_back()
            if not self.signals.stop_self(number) and number in _STOPPED_BY_TERMINAL:
                time.sleep(_ORPHAN_PAUSE_S)  # it asks for a terminal that nobody can give: not in a tight loop
            if held and self._in_foreground() and self._tty is not None:
                self._given = terminal.give(self._tty, self.pid)
        self._signal_group(signal.SIGCONT)

    def _continued(self) -> None:
        """Somebody continued us, and perhaps brought us to the foreground, while the command ran or was stopped."""
        self._signal_group(signal.SIGCONT)

    def _tell_size(self) -> None:
        if any(route.pty for route in self.plan.routes):
            self._signal_group(signal.SIGWINCH)

    def _signal_group(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def _in_foreground(self) -> bool:
        return self._tty is not None and terminal.foreground_group(self._tty) == os.getpgrp()

    def _take_back(self) -> bool:
        """Take the terminal from the command's group. True when that group had it."""
        if self._tty is None or not self._given:
            return False
        if terminal.foreground_group(self._tty) != self.pid and not self._nobody_has_it():
            return False
        self._given = False
        taken = terminal.give(self._tty, os.getpgrp())
        if self.status is not None:
            self._given = True  # remembered for how it ended
            if os.WIFSIGNALED(self.status):
                terminal.restore(self._tty, self._saved)
        return taken

    def _nobody_has_it(self) -> bool:
        """Did the group that has the terminal end (a shell's job within the command)?"""
        group = terminal.foreground_group(self._tty) if self._tty is not None else None
        if not group or self.status is None:
            return False
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False

    def _deliver(self) -> None:
        """Wait until the helper has delivered what the command wrote; a signal ends the waiting."""
        self._tell("Q")
        while True:
            ready = self._wait()
            if any(number in TO_GROUP for number in self.signals.take()):
                return
            if self._up in ready:
                words = self._words()
                for word in words or []:
                    if word[0] == "D":
                        self.log_failed = word[2] == "1"
                        return
                if words is None:
                    return


class SessionJob(Job):
    """The command in a session of its own on a pseudo-terminal; we carry its keys and follow its terminal's size."""

    def __init__(self, plan: Plan, log: LogCopy | None, signals: Signals) -> None:
        super().__init__(plan, log, signals)
        self._saved = terminal.attributes(0)
        self._raw = False
        self._hung_up = False
        self._was_foreground = False
        self._early: list[list[str]] = []
        """What the helper said in one breath with the start: the command may have stopped or ended already."""
        self._master = -1
        self._keys = b""

    def start(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Start it on a pseudo-terminal, as a child of the helper."""
        main = next(route for route in self.plan.routes if 1 in route.fds)
        self.plan.routes.remove(main)
        self.plan.routes.insert(0, main)
        foreground = self._in_foreground()
        for route in self.plan.routes:
            if route.pty:
                # In the background the terminal has the settings of the shell's prompt, which are not for us.
                keyboard = route is main
                route.read, route.write = terminal.open_pty(route.sink, keyboard=keyboard, copy=foreground)
            else:
                route.read, route.write = os.pipe()
        self._master = main.read
        if foreground:
            self._enter_raw()
        helper = self._fork_helper()
        if helper is not None:
            try:
                if JOIN in env:
                    env = {**env, JOIN: join_token(env[JOIN].partition(":")[0])}
                helper.lead(argv, env, main.write, foreground)
            finally:
                os._exit(0)
        for route in self.plan.routes:
            os.close(route.write)
            if route is not main:
                os.close(route.read)
        for words in iter(self._words, None):
            for index, word in enumerate(words):
                if word[0] == "P":
                    self.pid = int(word[1])
                    self._drop_streams()
                    self._early = words[index + 1 :]
                    return
                if word[0] == "E":
                    self._leave_raw()
                    raise OSError(int(word[1]), os.strerror(int(word[1])), argv[0])
        self._leave_raw()
        raise OSError(f"{argv[0]} could not be started")

    def run(self) -> int:
        """Carry keys and signals until it has ended and its output is delivered."""
        self._listen()
        self._act_on(self._early)
        while self.status is None:
            ready = self._wait()
            for number in self.signals.take():
                if number == signal.SIGWINCH:
                    terminal.set_size(self._master, terminal.size(0))
                elif number == signal.SIGCONT:
                    self._resume()
                elif number != signal.SIGCHLD:
                    self._pass_on(number)
                    if number == signal.SIGHUP and terminal.attributes(0) is None:
                        self._hang_up()
            if self._up in ready:
                self._hear()
            if 0 in ready:
                self._read_keys()
            if self._master in ready:
                self._send_keys()
        self._leave_raw()
        return self.status

    def at_terminal(self) -> bool:
        """Does our terminal belong to our group?"""
        return self._in_foreground()

    def _hear(self) -> None:
        words = self._words()
        if words is None:
            self.status = signal.SIGHUP  # the helper was killed, and the session with it
            return
        self._act_on(words)

    def _act_on(self, words: list[list[str]]) -> None:
        for word in words:
            if word[0] == "X":
                self.status, self.log_failed = int(word[1]), word[3] == "1"
            elif word[0] == "S":
                self._stopped(int(word[1]))

    def _stopped(self, number: int) -> None:
        if number in _STOPPED_BY_TERMINAL and self._in_foreground():
            self._resume()
            return
        if number == signal.SIGSTOP and terminal.is_orphaned():
            return
        self._leave_raw()
        if not self.signals.stop_self(number) and number in _STOPPED_BY_TERMINAL:
            time.sleep(_ORPHAN_PAUSE_S)
        self.signals.drop(signal.SIGCONT)
        self._resume()

    def _resume(self) -> None:
        """Go on where the shell has put us: in the foreground with the keys, or in the background without."""
        foreground = self._in_foreground()
        if foreground:
            first = not self._was_foreground
            self._enter_raw()
            if first:
                terminal.restore(self._master, self._saved)
            terminal.set_size(self._master, terminal.size(0))
        else:
            self._raw = False
        self._listen()
        self._tell("F" if foreground else "B")

    def _in_foreground(self) -> bool:
        return terminal.foreground_group(0) in (None, os.getpgrp())

    def _enter_raw(self) -> None:
        if not self._raw:
            self._saved = terminal.attributes(0)
        self._was_foreground = True
        if self._saved is not None:
            terminal.restore(0, terminal.raw(self._saved))
            self._raw = True

    def _leave_raw(self) -> None:
        if self._raw and self._in_foreground():
            terminal.restore(0, self._saved)
        self._raw = False
        self._listen()

    def _listen(self) -> None:
        """Wait for keys only while the terminal is ours and there is room for them."""
        self._register(0, select.POLLIN if self._raw and not self._hung_up and not self._keys else 0)
        if self._master >= 0:
            self._register(self._master, select.POLLOUT if self._keys else 0)

    def _register(self, fd: int, events: int) -> None:
        if events:
            self._poll.register(fd, events)
        else:
            try:
                self._poll.unregister(fd)
            except KeyError:
                return

    def _read_keys(self) -> None:
        if not self._in_foreground():
            self._raw = False
            self._listen()
            return
        try:
            self._keys = os.read(0, 4096)
        except OSError:
            self._keys = b""
        if not self._keys:
            self._hang_up()
            return
        self._send_keys()

    def _hang_up(self) -> None:
        """The terminal is gone: let the command's go too, as it would have alone."""
        if self._hung_up:
            return
        self._hung_up = True
        self._keys = b""
        self._listen()
        os.close(self._master)
        self._master = -1
        self._tell("H")

    def _send_keys(self) -> None:
        try:
            written = os.write(self._master, self._keys)
        except BlockingIOError:
            written = 0
        except OSError:
            written = len(self._keys)
        self._keys = self._keys[written:]
        self._listen()


def make(plan: Plan, log: LogCopy | None, signals: Signals) -> Job:
    """The kind of job that a plan asks for."""
    return SessionJob(plan, log, signals) if plan.session else SharedJob(plan, log, signals)


def _controlling_terminal(plan: Plan) -> int | None:
    for end in plan.ends:
        if end.kind == TERMINAL and terminal.foreground_group(end.fd) is not None:
            return os.dup(end.fd)
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None


def join_token(run_id: str) -> str:
    """What a program needs to join the run, when this process is its parent."""
    return f"{run_id}:{os.getpid()}:{start_tick() or 0}"
