"""Writes the screen's differences from a thread of its own, so that no slow terminal holds the program."""

import contextlib
import os
import select
import termios
import threading
import time

from statustui_tui.terminal.screen import Screen

_CHUNK = 4096


class Output:
    """One terminal, written to in the background.

    The program never waits: what it draws while the terminal is busy is merged, and only the newest picture is sent.
    """

    def __init__(self, fd: int) -> None:
        """Begin to serve the terminal behind the open descriptor *fd*."""
        self._terminal = fd
        self._fd = _open_again(fd)
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._screen = Screen(*_size(fd))
        self._due = False
        self._busy = False
        self._ended = False
        self._resized = False
        self._thread = threading.Thread(target=self._run, name="terminal-output", daemon=True)
        self._thread.start()

    def write(self, data: str) -> None:
        """Take what Textual draws."""
        with self._lock:
            self._measure()
            self._screen.feed(data)
            if self._screen.urgent:
                self.flush()

    def send(self, sequence: str) -> None:
        """Send a control sequence of our own as it is."""
        with self._lock:
            self._screen.send(sequence)
            self.flush()

    def flush(self) -> None:
        """What was drawn is complete: send it as soon as the terminal takes it."""
        with self._lock:
            self._due = True
            self._wake.notify_all()

    def forget(self) -> None:
        """Something else wrote to the terminal: send everything again."""
        with self._lock:
            self._measure()
            self._screen.forget()
            self.flush()

    def resized(self) -> None:
        """Note that the terminal's size changed. For signal handlers: takes no lock."""
        self._resized = True

    def drain(self, timeout: float) -> bool:
        """Wait until everything is sent; False when the terminal did not take it in *timeout* seconds."""
        with self._lock:
            self.flush()
            return self._wake.wait_for(lambda: not self._due and not self._busy, timeout)

    def close(self) -> None:
        """End the thread; what is not sent by then is dropped."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self._wake.notify_all()
        self._thread.join(1.0)
        if self._fd != self._terminal and not self._thread.is_alive():
            os.close(self._fd)

    def _measure(self) -> None:
        if self._resized:
            self._resized = False
            self._screen.resize(*_size(self._terminal))

    def _run(self) -> None:
        while True:
            with self._lock:
                self._busy = False
                self._wake.notify_all()
                self._wake.wait_for(lambda: self._due or self._ended)
                if self._ended:
                    return
                self._due, self._busy = False, True
                self._measure()
                data = self._screen.take()
            if data and not self._push(data.encode("utf-8", "replace")):
                with self._lock:
                    self._busy, self._ended = False, True
                    self._wake.notify_all()
                return

    def _push(self, data: bytes) -> bool:
        """Write all of *data*; False when the terminal is gone or the program ends."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        view = memoryview(data)
        while view and not self._ended:
            if not poll.poll(200):
                continue
            try:
                view = view[os.write(self._fd, view[:_CHUNK]) :]
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                return False
        return not self._ended


def _size(fd: int) -> tuple[int, int]:
    try:
        width, height = os.get_terminal_size(fd)
    except OSError:
        width, height = 80, 24
    return width or 80, height or 24


def _open_again(fd: int) -> int:
    """Another descriptor of the same terminal that never blocks; *fd* itself where there is no way to one.

    O_NONBLOCK belongs to the open file, which we share with the shell, hence not a mere flag on *fd*.
    """
    try:
        again = os.open(os.ttyname(fd), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return fd
    if os.fstat(again).st_rdev != os.fstat(fd).st_rdev:
        os.close(again)
        return fd
    return again


# CAN ends a sequence that was cut in the middle; then every mode that Textual sets is unset.
_RESTORE = (
    b"\x18\x1b[?2026l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"
    b"\x1b[?2004l\x1b[?2048l\x1b[?1004l\x1b[?7h\x1b[<u\x1b[0m\x1b[?1049l\x1b[?25h"
)


def restore(fd: int, timeout: float = 0.4) -> None:
    """Bring the terminal behind *fd* back by force, whatever is under way; gives up after *timeout* seconds."""
    end = time.monotonic() + timeout
    again = _open_again(fd)
    view = memoryview(_RESTORE)
    try:
        poll = select.poll()
        poll.register(again, select.POLLOUT)
        if again == fd or not poll.poll(0):
            # The terminal takes nothing: what it has not taken is worth less than what puts it right.
            with contextlib.suppress(termios.error):
                termios.tcflush(fd, termios.TCOFLUSH)
        while view and (left := end - time.monotonic()) > 0:
            if poll.poll(left * 1000):
                try:
                    view = view[os.write(again, view) :]
                except BlockingIOError:
                    time.sleep(0.01)
    except OSError:
        return
    finally:
        if again != fd:
            os.close(again)
