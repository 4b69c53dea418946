"""``statustui run`` on a real terminal, typed at in real shells with job control."""

import os
import re
import shlex
import signal
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import wrapped
from support.terminal import Terminal
from support.wrapped import alive, facts, only, until

RUN = f"{shlex.quote(sys.executable)} -m statustui.control.wrapper"


@pytest.fixture(autouse=True)
def no_drainer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")


@contextmanager
def shell(*command: str) -> Iterator[Terminal]:
    """An interactive shell with job control and a plain prompt; ``run`` stands for ``statustui run``."""
    command = command or ("bash", "--norc", "--noprofile", "-i")
    with Terminal(command, cols=100, rows=30, env={"PS1": "PROMPT> ", "ENV": "", "HISTFILE": ""}) as term:
        term.wait_for("PROMPT>")
        term.send(f"alias run='{RUN}'; stty -echoctl\n")
        term.wait_for(lambda text: text.count("PROMPT>") == 2)
        term.send("clear\n")
        term.wait_for(lambda text: text.startswith("PROMPT>") and "clear" not in text)
        yield term


def direct(*argv: str, options: tuple[str, ...] = ()) -> Terminal:
    """The wrapper as the only program of a terminal."""
    return Terminal([*wrapped.RUN, *options, "--", *argv], cols=100, rows=30)


def modes(term: Terminal) -> int:
    """The terminal's local modes."""
    return int(termios.tcgetattr(term.fd)[3])


def test_the_program_sees_a_terminal_of_the_same_size() -> None:
    with direct("sh", "-c", "test -t 0 && test -t 1 && test -t 2 && echo all; stty size; tty; exit 3") as term:
        assert term.wait() == 3
        assert "all" in term.text
        assert "30 100" in term.text
    assert only("run.end")["exit_code"] == 3


def test_its_settings_are_those_of_the_terminal_and_are_put_back(tmp_path: Path) -> None:
    with shell() as term:
        term.send(f"cd {tmp_path}; stty -g > a; run -- sh -c 'stty -g > b; stty -echo raw; exit 1'; echo done $?\n")
        term.wait_for("done 1")
        term.send("stty -g > c; echo over\n")
        term.wait_for(re.compile(r"(?m)^over$"))
    before, inside, after = ((tmp_path / name).read_text() for name in "abc")
    assert before == inside == after


def test_keys_reach_the_program_and_end_of_file_too() -> None:
    with direct("sh", "-c", "echo ready; cat") as term:
        term.wait_for("ready")
        term.send("hello\n")
        term.wait_for(lambda text: text.count("hello") == 2)
        term.send("\x04")
        assert term.wait() == 0


def test_single_keys_reach_a_program_that_reads_them_raw() -> None:
    code = "import tty, sys, os; tty.setraw(0); os.write(1, b'go'); d=os.read(0,1); d+=os.read(0,1); print(repr(d))"
    with direct(sys.executable, "-c", code) as term:
        term.wait_for("go")
        term.send("\x03")
        term.send("\x1a")
        term.wait_for(r"b'\x03\x1a'")
        assert term.wait() == 0


def test_a_password_is_not_shown() -> None:
    code = "import getpass; print('got', getpass.getpass('word: '))"
    with direct(sys.executable, "-c", code) as term:
        term.wait_for("word:")
        term.send("open\n")
        term.wait_for("got open")
        assert term.text.count("open") == 1
        assert term.wait() == 0


def test_a_new_size_is_passed_on() -> None:
    with direct("bash", "-c", "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done") as term:
        term.wait_for("ready")
        term.resize(90, 20)
        term.wait_for("20 90")
        term.send("\x03")
        term.wait()


def test_ctrl_c_ends_it_as_it_would_without_us() -> None:
    with shell() as term:
        term.send("run -- sleep 60; echo status $?\n")
        until(lambda: facts("run.start"))
        time_out = term.settle()
        assert "status" not in time_out.splitlines()[1:]
        term.send("\x03")
        term.wait_for(re.compile(r"(?m)^PROMPT>$"))
        term.send("echo status $?\n")
        term.wait_for("status 130")
        until(lambda: facts("run.end"))
        assert only("run.end")["status"] == "cancelled"


def test_ctrl_c_leaves_a_loop() -> None:
    with shell() as term:
        term.send("for i in 1 2 3; do run -- sleep 60; done\n")
        until(lambda: facts("run.start"))
        term.settle(0.2)
        term.send("\x03")
        term.settle(0.5)
        term.send("echo still $((1+1))\n")
        term.wait_for("still 2")
        assert len(facts("run.start")) == 1


@pytest.mark.parametrize("kind", ["bash", "sh"])
def test_ctrl_z_stops_it_and_fg_goes_on(kind: str) -> None:
    command = ("bash", "--norc", "--noprofile", "-i") if kind == "bash" else ("sh", "-i", "-m")
    with shell(*command) as term:
        term.send("run -- cat\n")
        until(lambda: facts("run.start"))
        term.send("one\n")
        term.wait_for(lambda text: text.count("one") == 2)
        term.send("\x1a")
        term.wait_for(lambda text: text.count("PROMPT>") == 2)
        term.send("jobs\n")  # the kernel may throw away what the shell says of itself together with the key's echo
        term.wait_for("Stopped")
        term.settle(0.2)
        pid = only("run.start")["pid"]
        assert b") T " in Path(f"/proc/{pid}/stat").read_bytes()
        assert modes(term) & termios.ICANON or kind == "bash"
        term.send("echo between $((3+4))\n")
        term.wait_for("between 7")
        term.send("fg\n")
        term.settle(0.3)
        term.send("two\n")
        term.wait_for(lambda text: text.count("two") == 2)
        term.send("\x04")
        term.settle(0.3)
        term.send("echo status $?\n")
        term.wait_for("status 0")


def test_bg_lets_it_run_without_the_terminal() -> None:
    with shell() as term:
        term.send("run -- sh -c 'sleep 1; echo woke; sleep 0.3; exit 4'\n")
        until(lambda: facts("run.start"))
        term.settle(0.2)
        term.send("\x1a")
        term.wait_for("Stopped")
        term.send("bg\n")
        term.wait_for("woke")
        until(lambda: facts("run.end"))
        term.send("echo here $((1+1))\n")
        term.wait_for("here 2")
        assert only("run.end")["exit_code"] == 4


def test_in_the_background_it_stops_when_it_wants_to_read_and_fg_lets_it() -> None:
    with shell() as term:
        term.send("run -- cat &\n")
        until(lambda: facts("run.start"))
        until(lambda: b") T " in Path(f"/proc/{only('writer')['pid']}/stat").read_bytes())
        term.send("\n")
        term.wait_for("Stopped")
        term.send("echo shell $((1+1))\n")
        term.wait_for("shell 2")
        term.send("fg\n")
        term.settle(0.3)
        term.send("input\n")
        term.wait_for(lambda text: text.count("input") == 2)
        term.send("\x04")
        term.settle(0.3)
        term.send("echo status $?\n")
        term.wait_for("status 0")


def test_a_pager_behind_it_keeps_the_keyboard() -> None:
    with shell() as term:
        term.send("run -- seq 500 | sh -c 'read first; echo first $first; read key </dev/tty; echo key $key'\n")
        term.wait_for("first 1")
        term.send("k\n")
        term.wait_for("key k")


def test_an_error_stream_that_is_a_terminal_stays_one() -> None:
    with shell() as term:
        term.send("run -- sh -c 'test -t 2 && echo tty >&2; test -t 1 || echo pipe; exit 5' | cat\n")
        term.wait_for(lambda text: "\ntty" in text and "\npipe" in text)
    assert sorted(only("run.end")["log_tail"]) == ["pipe", "tty"]


def test_with_its_output_in_a_file_it_has_the_keyboard(tmp_path: Path) -> None:
    with shell() as term:
        term.send(f"run -- sh -c 'read word; echo got $word; exit 2' > {tmp_path}/out; echo status $?\n")
        until(lambda: facts("run.start"))
        term.send("word\n")
        term.wait_for("status 2")
    assert (tmp_path / "out").read_text() == "got word\n"


def test_ctrl_z_with_its_output_in_a_file(tmp_path: Path) -> None:
    with shell() as term:
        term.send(f"run -- sh -c 'read word; echo got $word' > {tmp_path}/out\n")
        until(lambda: facts("run.start"))
        term.settle(0.3)
        term.send("\x1a")
        term.wait_for("Stopped")
        term.send("fg\n")
        term.settle(0.3)
        term.send("word\n")
        term.settle(0.3)
        term.send("echo status $?\n")
        term.wait_for("status 0")
    assert (tmp_path / "out").read_text() == "got word\n"


def test_ctrl_c_in_a_script_ends_the_script(tmp_path: Path) -> None:
    script = tmp_path / "s.sh"
    script.write_text(f"{RUN} -- sleep 60\necho went on\n")
    with shell() as term:
        term.send(f"bash {script}\n")
        until(lambda: facts("run.start"))
        term.settle(0.2)
        term.send("\x03")
        term.settle(0.5)
        term.send("echo status $?\n")
        term.wait_for("status 130")
        assert "went on" not in term.text


def test_a_closed_terminal_ends_it_and_that_is_recorded() -> None:
    with direct("sleep", "60") as term:
        until(lambda: facts("run.start"))
        pid = only("run.start")["pid"]
        term.hang_up()
        until(lambda: facts("run.end"))
        until(lambda: not alive(pid))
        end = only("run.end")
        assert (end["status"], end["signal"]) == ("cancelled", signal.SIGHUP)


def test_a_program_that_ignores_hangups_lives_as_it_would(tmp_path: Path) -> None:
    code = f"trap '' HUP; echo ready; sleep 1; echo fine > {tmp_path}/ok"
    with direct("sh", "-c", code) as term:
        term.wait_for("ready")
        until(lambda: facts("run.start"))
        pid = only("run.start")["pid"]
        term.hang_up()
        until(lambda: (tmp_path / "ok").exists())
        until(lambda: facts("run.end"))
        assert only("run.end")["exit_code"] == 0
        until(lambda: not alive(pid))


def test_what_it_leaves_behind_keeps_its_terminal(tmp_path: Path) -> None:
    with shell() as term:
        term.send(f"run -- sh -c '(sleep 1; echo later; echo ok > {tmp_path}/ok) & echo now'; echo back $?\n")
        term.wait_for("back 0")
        term.wait_for("later")
        until(lambda: (tmp_path / "ok").exists())


def test_a_killed_wrapper_leaves_the_terminal_in_order(tmp_path: Path) -> None:
    with shell() as term:
        term.send(f"run -- sh -c 'echo $PPID; sleep 1; echo ok > {tmp_path}/ok'\n")
        until(lambda: facts("run.start"))
        writer = only("writer")["pid"]
        term.settle(0.2)
        os.kill(writer, signal.SIGKILL)
        term.wait_for("Killed")
        term.send("echo shell $((1+1))\n")
        term.wait_for("shell 2")
        until(lambda: (tmp_path / "ok").exists())


def test_the_log_of_a_terminal_is_what_was_shown() -> None:
    with direct("sh", "-c", "printf 'a\\nb\\n'; exit 1") as term:
        term.wait()
    assert Path(only("run.start")["log_path"]).read_bytes() == b"a\r\nb\r\n"
    assert only("run.end")["log_tail"] == ["a", "b"]


def test_nothing_is_read_while_a_full_screen_program_waits() -> None:
    with direct("sleep", "1.2") as term:
        until(lambda: facts("run.start"))
        pid = only("writer")["pid"]
        before = _cpu(pid)
        time.sleep(0.8)
        assert _cpu(pid) - before <= 0.02
        assert term.wait() == 0


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_wrapper_in_a_wrapper_on_a_terminal() -> None:
    with direct(*wrapped.RUN, "--name", "inner", "--", "cat", options=("--name", "outer")) as term:
        until(lambda: len(facts("run.start")) == 2)
        term.send("x\n")
        term.wait_for(lambda text: text.count("x") == 2)
        term.send("\x04")
        assert term.wait() == 0
    assert {end["status"] for end in facts("run.end")} == {"finished"}
