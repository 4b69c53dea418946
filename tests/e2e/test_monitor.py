"""A person at a terminal: sees two levels move, filters, cancels, retries, follows a log, and leaves."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from support.bench import FAILS, OURS, TWO_LEVELS, Bench
from support.terminal import Terminal


def open_monitor(bench: Bench, cols: int = 120, rows: int = 40, *args: str) -> Terminal:
    return Terminal([*OURS, *args], cols=cols, rows=rows, env=bench.env, cwd=str(bench.home))


def figures(text: str) -> set[str]:
    """All counts ``n/m`` on the screen."""
    return set(re.findall(r"\d+/\d+", text))


@pytest.mark.parametrize(("cols", "rows"), [(120, 40), (80, 24), (20, 5)])
def test_two_levels_move_while_the_program_works(bench: Bench, env: Path, cols: int, rows: int) -> None:
    gate = env / "gate"
    bench.start(TWO_LEVELS, "DAILY_01", str(gate))
    with open_monitor(bench, cols, rows) as terminal:
        terminal.wait_for("DAILY_01")
        if cols >= 80:
            terminal.wait_for("0/3")
            before = figures(terminal.text)
            gate.touch()
            terminal.wait_for(lambda text: "1/3" in text or "2/3" in text)
            assert figures(terminal.text) != before
        else:
            gate.touch()
        bench.run_of("DAILY_01", lambda run: run["status"] == "finished")
        terminal.send("q")
        assert terminal.wait() == 0


@pytest.mark.parametrize("theme", ["", "dark"])
def test_without_colours_the_terminal_keeps_its_own(bench: Bench, env: Path, theme: str) -> None:
    bench.start(TWO_LEVELS, "DAILY_01", str(env / "gate"))
    plain = {"NO_COLOR": "1", "STATUSTUI_THEME": theme}
    with Terminal(OURS, cols=80, rows=24, env=bench.env | plain, cwd=str(bench.home)) as terminal:
        terminal.wait_for("DAILY_01")
        terminal.send("j")
        terminal.send("?")
        terminal.wait_for("statustui cancel --now RUN")
        styles = set(re.findall(rb"\x1b\[([0-9;]*)m", bytes(terminal.raw)))
        terminal.send("\x03")
        assert terminal.wait() == 0
    coloured = {style for style in styles if re.search(rb"(?:^|;)(?:[349][0-7]|10[0-7]|[34]8;[25])(?:;|$)", style)}
    assert styles and not coloured


def test_the_filter_leaves_what_matches(bench: Bench, env: Path) -> None:
    gate = env / "gate"
    for task in ("roads_load", "rivers_load"):
        bench.start(TWO_LEVELS, task, str(gate))
    with open_monitor(bench) as terminal:
        terminal.wait_for(lambda text: "roads_load" in text and "rivers_load" in text)
        terminal.send("/rivers")
        terminal.wait_for(lambda text: "rivers_load" in text and "roads_load" not in text)
        terminal.send("\r")
        terminal.send("\x1b")
        terminal.wait_for(lambda text: "rivers_load" in text and "roads_load" in text)
        terminal.send("q")
        assert terminal.wait() == 0


def test_cancel_asks_and_then_ends_the_run_and_its_children(bench: Bench, env: Path) -> None:
    marker = f"child-of-{os.getpid()}-{time.monotonic_ns()}"
    command = ["sh", "-c", f"sh -c 'while :; do sleep 0.2; done' {marker} & wait"]
    wrapper = subprocess.Popen(
        [*OURS, "run", "--name", "long_job", "--", *command],
        env=bench.env,
        cwd=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    bench.programs.append(wrapper)

    def children() -> list[int]:
        found = psutil.process_iter(["cmdline"])
        return [p.pid for p in found if p.info["cmdline"] and p.info["cmdline"][-1] == marker]

    with open_monitor(bench) as terminal:
        terminal.wait_for("long_job")
        assert children()
        terminal.send("x")
        dialog = terminal.wait_for(re.compile(r"(?i)cancel"))
        terminal.wait_for("long_job")
        terminal.send("\r")  # Enter is No
        terminal.settle()
        assert wrapper.poll() is None, dialog
        terminal.send("x")
        terminal.settle()
        terminal.send("y")
        run = bench.run_of("long_job", lambda run: run["status"] == "cancelled")
        assert run["signal"] == signal.SIGTERM
        assert wrapper.wait(10) == 128 + signal.SIGTERM
        assert not children()
        terminal.send("q")
        assert terminal.wait() == 0


def test_retry_starts_a_new_attempt_that_finishes(bench: Bench, env: Path) -> None:
    mended = env / "mended"
    bench.start(FAILS, "ANNUAL_DEC_03", str(mended))
    with open_monitor(bench) as terminal:
        terminal.wait_for("KeyError")
        terminal.wait_for("ANNUAL_DEC_03")
        mended.touch()
        terminal.send("g")
        terminal.send("r")
        terminal.wait_for("ANNUAL_DEC_03.py")
        terminal.send("y")
        run = bench.run_of("ANNUAL_DEC_03", lambda run: run["status"] == "finished")
        assert run["attempt"] == 2
        terminal.wait_for(lambda text: "KeyError" not in text)
        terminal.send("q")
        assert terminal.wait() == 0


def test_the_log_of_one_run_is_followed(bench: Bench, env: Path) -> None:
    gate = env / "gate"
    bench.start(TWO_LEVELS, "tail_me", str(gate))
    with open_monitor(bench) as terminal:
        terminal.wait_for("tail_me")
        terminal.send("l")
        terminal.wait_for("part 1 row 20")
        gate.touch()
        terminal.wait_for("part 3 row 199")
        terminal.send("q")
        terminal.send("q")
        assert terminal.wait() == 0


def test_a_closed_terminal_ends_the_monitor(bench: Bench) -> None:
    terminal = open_monitor(bench)
    try:
        terminal.settle()
        terminal.hang_up()
        end = time.monotonic() + 8
        while time.monotonic() < end:
            pid, status = os.waitpid(terminal.pid, os.WNOHANG)
            if pid:
                terminal.status = os.waitstatus_to_exitcode(status)
                break
            time.sleep(0.05)
        assert terminal.status is not None, "it still runs"
        assert terminal.status != 0
    finally:
        terminal.close()


def test_term_restores_the_screen(bench: Bench) -> None:
    with open_monitor(bench) as terminal:
        terminal.wait_for(lambda _: b"\x1b[?1049h" in terminal.raw)
        terminal.settle()
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait(5) == -signal.SIGTERM
        assert b"\x1b[?1049l" in terminal.raw.split(b"\x1b[?1049h")[-1]
        assert b"\x1b[?25h" in terminal.raw.split(b"\x1b[?1049h")[-1]


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_it_works_inside_tmux(bench: Bench, env: Path) -> None:
    gate = env / "gate"
    bench.start(TWO_LEVELS, "in_tmux", str(gate))
    tmux = ["tmux", "-L", f"st{os.getpid()}", "-f", "/dev/null"]
    environment = {**bench.env, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    start = [*tmux, "new-session", "-d", "-x", "80", "-y", "24", *OURS]
    subprocess.run(start, env=environment, cwd=env, check=True)

    def pane() -> str:
        return subprocess.run([*tmux, "capture-pane", "-p"], env=environment, capture_output=True, text=True).stdout

    def until(*wanted: str) -> str:
        end = time.monotonic() + 15
        while time.monotonic() < end:
            text = pane()
            if all(word in text for word in wanted):
                return text
            time.sleep(0.1)
        raise AssertionError(f"{wanted} not seen in\n{pane()}")

    try:
        until("in_tmux", "0/3")
        gate.touch()
        until("1/3")
        subprocess.run([*tmux, "send-keys", "?"], env=environment, check=True)
        until("cancel", "retry")
        subprocess.run([*tmux, "send-keys", "q"], env=environment, check=True)
        until("in_tmux")
        subprocess.run([*tmux, "send-keys", "q"], env=environment, check=True)
        end = time.monotonic() + 5
        while (
            time.monotonic() < end
            and subprocess.run([*tmux, "ls"], capture_output=True, env=environment).returncode == 0
        ):
            time.sleep(0.1)
        assert subprocess.run([*tmux, "ls"], capture_output=True, env=environment).returncode != 0
    finally:
        subprocess.run([*tmux, "kill-server"], env=environment, capture_output=True, check=False)


def test_keys_that_come_in_one_breath_mean_what_they_mean_one_by_one(bench: Bench, env: Path) -> None:
    bench.start(FAILS, "ANNUAL_DEC_03", str(env / "never"))
    with open_monitor(bench) as terminal:
        terminal.wait_for("KeyError")
        terminal.send("l/Traceback\rq")  # into the log, search, Enter, and back out
        terminal.wait_for("Needs you")
        terminal.settle()
        terminal.send("/xaXrq")  # letters of a filter, not orders
        terminal.wait_for("/xaXrq" if "/xaXrq" in terminal.text else "filter: xaXrq")
        terminal.send("\x1b")
        terminal.wait_for("KeyError")
        assert len(bench.runs()) == 1
        terminal.send("?qq")  # help, back, quit
        assert terminal.wait() == 0
