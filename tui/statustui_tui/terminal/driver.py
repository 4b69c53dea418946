"""A driver that leaves the terminal as it found it, however the program ends, and never spins on a dead one."""

import codecs
import contextlib
import os
import selectors
import signal
import sys
import termios
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

from statustui_tui.terminal.output import Output, restore

if TYPE_CHECKING:
    from textual.app import App

_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT)
_ESCAPE = 0.02
"""Seconds between two looks whether an Escape was typed alone or begins a sequence."""
_PATIENCE = 0.5
"""Seconds that a stalled terminal gets to take the last output."""
GONE = 129
"""Exit status after the terminal has gone: as if ended by SIGHUP."""


class Bell(threading.Event):
    """An event that also wakes a thread which waits for files: *fd* can be read from while it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.fd, self._ring = os.pipe()

    def set(self) -> None:
        """Set the event."""
        if not self.is_set():
            super().set()
            os.write(self._ring, b"!")

    def clear(self) -> None:
        """Take it back."""
        if self.is_set():
            super().clear()
            os.read(self.fd, 1)

    def close(self) -> None:
        """Let go of the descriptors; nobody may wait any more."""
        os.close(self.fd)
        os.close(self._ring)


class SafeDriver(LinuxDriver):
    """Textual's driver, made fit for SSH: see the module's first line, and :mod:`statustui_tui.terminal.screen`."""

    def __init__(
        self,
        app: "App[Any]",
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._stock = bool(os.environ.get("STATUSTUI_STOCK_OUTPUT"))
        self._screen_fd = sys.__stderr__.fileno() if sys.__stderr__ is not None else 2
        self._output: Output | None = None
        self._started = False
        self._suspended = False
        self.exit_event = self._bell = Bell()

    # Output

    def write(self, data: str) -> None:
        """Take what Textual draws."""
        if self._stock:
            super().write(data)
        elif self._output is not None:
            self._output.write(data)

    def flush(self) -> None:
        """What was drawn is complete."""
        if self._output is not None:
            self._output.flush()

    def send(self, sequence: str) -> None:
        """Send a control sequence of our own (a copy to the clipboard) as it is."""
        if self._output is not None:
            self._output.send(sequence)
        elif self._stock:
            super().write(sequence)

    def redraw(self) -> None:
        """Send the whole screen again: something else has written to the terminal."""
        if self._output is not None:
            self._output.forget()

    def _get_terminal_size(self) -> tuple[int, int]:
        # Not COLUMNS and LINES: a shell that exports them would freeze the size.
        for fd in (self.fileno, self._screen_fd):
            try:
                width, height = os.get_terminal_size(fd)
            except OSError:
                continue
            if width and height:
                return width, height
        return 80, 24

    # Start and end

    def start_application_mode(self) -> None:
        """Take the terminal over."""
        if not self._stock and self._output is None:
            self._output = Output(self._screen_fd)
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._writer_thread is None:
            return  # Continued in the background: stopped again until it is brought to the front.
        if not self._stock:
            # The stock writer is not used; its queue would block the program on a stalled terminal.
            self._writer_thread.stop()
            self._writer_thread = None
        self._started = True
        self._suspended = False
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._end_by_signal)
        resize = signal.getsignal(signal.SIGWINCH)

        def on_resize(signum: int, frame: FrameType | None) -> None:
            if self._output is not None:
                self._output.resized()
            if callable(resize):
                resize(signum, frame)

        signal.signal(signal.SIGWINCH, on_resize)
        self.redraw()

    def stop_application_mode(self) -> None:
        """Give the terminal back."""
        super().stop_application_mode()
        self._started = False
        if self._output is not None and not self._output.drain(_PATIENCE):
            self._output.close()
            self._output = None
            restore(self._screen_fd)

    def close(self) -> None:
        """End the writer, unless the program is only suspended."""
        super().close()
        if self._output is not None and not self._suspended:
            self._output.close()
            self._output = None
        if not self._suspended:
            self._bell.close()

    def suspend_application_mode(self) -> None:
        """Give the terminal back for a while; the picture of the screen is kept for the return."""
        self._suspended = True
        super().suspend_application_mode()

    # Signals

    def _end_by_signal(self, number: int, _frame: FrameType | None) -> None:
        if not self._started and number in (signal.SIGINT, signal.SIGQUIT):
            return  # Typed for the program that has the terminal meanwhile (a pager).
        if self._started:
            if self._output is not None:
                self._output.resized()
            with contextlib.suppress(termios.error, OSError):
                if self.attrs_before is not None:
                    termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
            restore(self._screen_fd)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _sigtstp_application(self, *_: object) -> None:
        # Not in the handler: it may have interrupted a write.
        self._loop.call_soon_threadsafe(self._stop_process)

    def _stop_process(self) -> None:
        if self._auto_restart and self._started:
            self.suspend_application_mode()
            self._must_signal_resume = True
        os.kill(os.getpid(), signal.SIGSTOP)

    def _sigcont_application(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._continue_process)

    def _continue_process(self) -> None:
        if not self._auto_restart:
            return
        if self._started:
            # Stopped from outside, unasked: the shell has set the terminal for itself since.
            self.suspend_application_mode()
        self.resume_application_mode()

    # Input

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except OSError:
            self._gone()

    def run_input_thread(self) -> None:
        """Read keys until asked to stop; bytes that are no UTF-8 are passed over. Sleeps until there is one."""
        parser = XTermParser(self._debug)
        decode = codecs.getincrementaldecoder("utf-8")("ignore").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(self._bell.fd, selectors.EVENT_READ)
            while not self._bell.is_set():
                # An Escape waits to be told from the beginning of a sequence; else there is nothing to be in time for.
                ready = selector.select(None if parser._timeout_time is None else _ESCAPE)
                if any(key.fd == self.fileno for key, _ in ready):
                    data = os.read(self.fileno, 4096)
                    if not data:
                        self._gone()
                    text = decode(data)
                    # No text to the parser means the end of the input, for good.
                    for message in parser.feed(text) if text else ():
                        self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)

    def _gone(self) -> None:
        """The terminal hung up. Nothing can be shown nor asked: end now, with nothing to wait for."""
        os._exit(GONE)


__all__ = ["GONE", "SafeDriver"]
