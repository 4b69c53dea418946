"""However the program ends, the terminal is as it was; and nothing that a terminal does can hang or spin it."""

import os
import signal
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from support.terminal import Terminal

Run = Callable[..., Terminal]
FIRST = "task 0 tick"


def started(run: Run, *arguments: str, **options: object) -> tuple[Terminal, list[object]]:
    terminal = run(*arguments, **options)
    before = termios.tcgetattr(terminal.fd)
    terminal.wait_for(FIRST)
    terminal.settle(0.2)
    return terminal, before


def ended(terminal: Terminal, timeout: float) -> int:
    """Exit code, without reading what the program writes."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        pid, status = os.waitpid(terminal.pid, os.WNOHANG)
        if pid:
            terminal.status = os.waitstatus_to_exitcode(status)
            return terminal.status
        time.sleep(0.01)
    raise AssertionError(f"still running after {timeout} s")


def assert_restored(terminal: Terminal, before: list[object]) -> None:
    terminal.pump(0.2)
    left = bytes(terminal.raw)
    for mode in (b"\x1b[?1049l", b"\x1b[?1000l", b"\x1b[?1003l", b"\x1b[?2004l", b"\x1b[?1004l", b"\x1b[<u"):
        on = mode[:-1] + b"h"
        assert left.rfind(mode) > left.rfind(on), f"{mode!r} was not sent"
    assert left.rfind(b"\x1b[?25h") > left.rfind(b"\x1b[?25l"), "the cursor is still hidden"
    assert termios.tcgetattr(terminal.fd)[:4] == before[:4]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_a_signal_restores_the_terminal_and_then_ends_the_program(widget_terminal: Run, number: signal.Signals) -> None:
    terminal, before = started(widget_terminal, "table")
    os.kill(terminal.pid, number)
    assert ended(terminal, 2) == -number
    assert_restored(terminal, before)


def test_leaving_restores_the_terminal(widget_terminal: Run) -> None:
    terminal, before = started(widget_terminal, "table")
    terminal.send("q")
    assert terminal.wait(5) == 0
    assert_restored(terminal, before)
    assert b"left " in terminal.raw[terminal.raw.rfind(b"\x1b[?1049l") :]


def test_a_closed_terminal_ends_it(widget_terminal: Run) -> None:
    terminal, _ = started(widget_terminal, "busy")
    terminal.hang_up()
    # Whichever is seen first: the signal, or the end of the input.
    assert ended(terminal, 3) in (-signal.SIGHUP, 129)


def test_a_closed_terminal_ends_it_when_sighup_is_ignored(widget_terminal: Run) -> None:
    terminal, _ = started(widget_terminal, "busy", before="trap '' HUP;")
    terminal.hang_up()
    assert ended(terminal, 3) == 129


def test_typed_bytes_that_are_no_text_are_passed_over(widget_terminal: Run) -> None:
    terminal, _ = started(widget_terminal, "table")
    for junk in (b"\xff\xfe\x80", b"\xc3", b"\xe2\x82", b"\x00\x01\x02", b"\x1b[", b"\x9b", b"\x1b]11;x", b"\xf0\x9f"):
        terminal.send(junk)
        terminal.pump(0.15)
    terminal.send(b"\x1b\\")
    terminal.pump(0.3)
    terminal.send("gjj")
    terminal.wait_for(">    2 task 2")


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (3, 40), (400, 2), (300, 100)])
def test_any_size(widget_terminal: Run, size: tuple[int, int]) -> None:
    terminal, _ = started(widget_terminal, "table")
    terminal.resize(*size)
    terminal.settle(0.3)
    assert psutil.pid_exists(terminal.pid)
    terminal.resize(90, 20)
    terminal.wait_for(lambda text: FIRST in text and "task 17" in text and "task 18" not in text)


def test_started_in_a_tiny_terminal(widget_terminal: Run) -> None:
    terminal = widget_terminal("table", cols=20, rows=5)
    terminal.wait_for("task 0")


def wakes(pid: int) -> int:
    """How often any thread of a process has gone to sleep and woken so far."""
    found = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        found += int(status.read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_it_sleeps_while_nothing_is_typed(widget_terminal: Run) -> None:
    terminal, _ = started(widget_terminal, "table")
    terminal.send("j\x1b")  # an Escape is waited for, but not for ever
    terminal.settle(0.5)
    before = wakes(terminal.pid)
    terminal.pump(2.0)
    assert wakes(terminal.pid) - before < 5
    terminal.send("j")
    terminal.wait_for(">    2 task 2")


def stopped(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def until(condition: Callable[[], bool], terminal: Terminal, timeout: float = 5) -> None:
    end = time.monotonic() + timeout
    while not condition():
        terminal.pump(0.02)
        assert time.monotonic() < end


@pytest.mark.parametrize("how", ["key", "SIGTSTP", "SIGSTOP"])
def test_stopped_and_continued_it_draws_everything_again(widget_terminal: Run, how: str) -> None:
    terminal, before = started(widget_terminal, "table")
    if how == "key":
        terminal.send("\x1a")
    else:
        os.kill(terminal.pid, getattr(signal, how))
    until(lambda: stopped(terminal.pid), terminal)
    if how != "SIGSTOP":
        assert_restored(terminal, before)
    terminal.raw.clear()
    terminal._screen.reset()
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.wait_for(lambda text: FIRST in text and "the title line" in text)
    assert b"\x1b[?1049h" in terminal.raw
    terminal.send("jj")
    terminal.wait_for(">    2 task 2")
    terminal.send("q")
    assert terminal.wait(5) == 0


@pytest.mark.parametrize("how", ["SIGTERM", "q"])
def test_a_terminal_that_takes_nothing_does_not_hold_the_end(widget_terminal: Run, how: str) -> None:
    terminal, _ = started(widget_terminal, "busy", cols=300, rows=100)
    time.sleep(1.5)  # Nothing is read meanwhile: the terminal's buffer is full.
    began = time.monotonic()
    if how == "q":
        terminal.send("q")
    else:
        os.kill(terminal.pid, signal.SIGTERM)
    ended(terminal, 3)
    assert time.monotonic() - began < 2.5


def test_after_a_stall_the_newest_picture_is_shown_and_no_old_one(widget_terminal: Run) -> None:
    terminal, _ = started(widget_terminal, "busy")
    time.sleep(2)
    read = terminal.pump(0.1)
    # About 100 pictures were drawn; at most the kernel's buffer and one more may arrive.
    assert read < 60_000
    terminal.send("q")
    assert terminal.wait(5) == 0


def test_the_difference_gives_the_same_screen_as_stock_output(widget_terminal: Run) -> None:
    ours, _ = started(widget_terminal, "table")
    stock, _ = started(widget_terminal, "table", env={"STATUSTUI_STOCK_OUTPUT": "1"})
    for keys in ("jjj", "t", "G", "t", "\x15", "g", "tt"):
        for terminal in (ours, stock):
            terminal.send(keys)
            terminal.settle(0.25)
        assert ours.text == stock.text
        assert ours._screen.buffer == stock._screen.buffer
    assert len(ours.raw) < len(stock.raw) / 2
