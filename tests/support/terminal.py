"""A real pseudo-terminal with an emulator behind it: what a person at a keyboard would see and type."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import psutil
import pyte

# Queries and keyboard-protocol switches that the emulator would print as text.
_NOT_EMULATED = re.compile(rb"\x1b\[\?[0-9;]*\$p|\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1bP[^\x1b]*\x1b\\|\x1b\[[0-9;]*t")


class Terminal:
    """Runs one command in a pty of its own session and emulates its screen."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cols: int = 120,
        rows: int = 40,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        term: str = "xterm-256color",
    ) -> None:
        self.cols, self.rows = cols, rows
        self.raw = bytearray()
        self._screen = pyte.Screen(cols, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._held = b""
        self.status: int | None = None
        environment = {**os.environ, **(env or {}), "TERM": term, "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        environment.pop("NO_COLOR", None) if "NO_COLOR" not in (env or {}) else None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
                if cwd is not None:
                    os.chdir(cwd)
                os.execvpe(command[0], list(command), environment)
            finally:
                os._exit(127)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            sys.stderr.write(f"--- the screen when it failed ---\n{self.text}\n---\n")
        self.close()

    @property
    def text(self) -> str:
        """The screen as text, right-stripped lines."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    @property
    def lines(self) -> list[str]:
        """The lines of the screen, right-stripped."""
        return [line.rstrip() for line in self._screen.display]

    def send(self, keys: str | bytes) -> None:
        """Type *keys*."""
        os.write(self.fd, keys.encode() if isinstance(keys, str) else keys)

    def pump(self, seconds: float = 0.05) -> int:
        """Read what the program writes for up to *seconds*; the number of bytes, -1 when it is gone."""
        end = time.monotonic() + seconds
        total = 0
        while True:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return total
            try:
                data = os.read(self.fd, 1 << 16)
            except OSError:
                return -1
            if not data:
                return -1
            total += len(data)
            self.raw += data
            self._feed(data)
            if time.monotonic() >= end:
                return total

    def _feed(self, data: bytes) -> None:
        data = self._held + data
        cut = data.rfind(b"\x1b", max(0, len(data) - 32))
        self._held = b""
        if cut >= 0 and not re.match(rb"\x1b(\[[0-9;?<>=$]*[a-zA-Z]|[^\[P\]])", data[cut:]):
            data, self._held = data[:cut], data[cut:]
        self._stream.feed(_NOT_EMULATED.sub(b"", data))

    def wait_for(self, what: str | re.Pattern[str] | Callable[[str], bool], timeout: float = 15.0) -> str:
        """Read until the screen shows *what*; the screen then.

        Raises:
            AssertionError: it did not within *timeout* seconds.
        """

        def shown() -> bool:
            if isinstance(what, str):
                return what in self.text
            if isinstance(what, re.Pattern):
                return what.search(self.text) is not None
            return what(self.text)

        end = time.monotonic() + timeout
        while not shown():
            if self.pump(0.05) < 0 and not shown():
                raise AssertionError(f"the program ended before {what!r} was seen; the screen:\n{self.text}")
            if time.monotonic() > end:
                raise AssertionError(f"{what!r} was not seen in {timeout} s; the screen:\n{self.text}")
        return self.text

    def settle(self, quiet: float = 0.3, timeout: float = 5.0) -> str:
        """Read until nothing was written for *quiet* seconds; the screen then."""
        end = time.monotonic() + timeout
        last = time.monotonic()
        while time.monotonic() < end and time.monotonic() - last < quiet:
            n = self.pump(0.05)
            if n < 0:
                break
            if n:
                last = time.monotonic()
        return self.text

    def resize(self, cols: int, rows: int) -> None:
        """Change the size, as a person dragging the window would."""
        self.cols, self.rows = cols, rows
        self._screen.resize(rows, cols)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def wait(self, timeout: float = 10.0) -> int:
        """Wait for the end; its exit code (negative: signal).

        Raises:
            AssertionError: it did not end within *timeout* seconds.
        """
        end = time.monotonic() + timeout
        while self.status is None:
            self.pump(0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                raise AssertionError(f"still running after {timeout} s; the screen:\n{self.text}")
        return self.status

    def cpu_seconds(self) -> float:
        """User and system time of the program itself, in seconds."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def hang_up(self) -> None:
        """Close the terminal, as a lost connection would."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def close(self) -> None:
        """End the program, if it has not ended, and reap it."""
        self.hang_up()
        if self.status is not None:
            return
        end = time.monotonic() + 3
        for sig in (signal.SIGTERM, signal.SIGKILL):
            while time.monotonic() < end:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.status = os.waitstatus_to_exitcode(status)
                    return
                time.sleep(0.02)
            os.kill(self.pid, sig)
            end = time.monotonic() + 3
        os.waitpid(self.pid, 0)
