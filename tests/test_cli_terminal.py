"""What the command line writes to a terminal, and what to a pipe."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from statustui.cli import figures, main
from statustui.cli.group import COMMANDS
from statustui.control import candidates
from support.filled import Filled, fill


@pytest.fixture
def filled(env: Path, monkeypatch: pytest.MonkeyPatch) -> Filled:
    """A store with some runs, which is the configured one."""
    url = f"sqlite:///{env}/db/status.db"
    monkeypatch.setenv("STATUSTUI_STORE", url)
    return fill(url)


def piped(*arguments: str, **environment: str) -> bytes:
    """What a command writes to a pipe."""
    command = [sys.executable, "-m", "statustui", *arguments]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, env=os.environ | environment, timeout=60, check=True
    ).stdout


def on_terminal(*arguments: str, typed: str = "", code: int = 0, **environment: str) -> str:
    """What a command writes to a terminal where *typed* is typed."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "statustui", *arguments],
        stdin=side, stdout=side, stderr=side, env=os.environ | {"TERM": "xterm"} | environment,
    )  # fmt: skip
    os.close(side)
    os.write(main, typed.encode())
    written = b""
    while True:
        try:
            data = os.read(main, 65536)
        except OSError:
            break
        if not data:
            break
        written += data
    os.close(main)
    assert process.wait(30) == code
    return written.decode()


def test_colour_only_for_terminals(filled: Filled) -> None:
    assert "\x1b" not in piped("status").decode()
    assert "\x1b[31m" in on_terminal("status")
    assert "\x1b" not in on_terminal("status", "--no-color")
    assert "\x1b" not in on_terminal("status", NO_COLOR="1")


@pytest.mark.parametrize(("typed", "code", "asked"), [("n\n", 1, 0), ("\n", 1, 0), ("y\n", 0, 1)])
def test_on_a_terminal_a_change_is_asked_about(filled: Filled, typed: str, code: int, asked: int) -> None:
    written = on_terminal("cancel", "3", typed=typed, code=code)
    assert "Cancel 1 run" in written
    assert "End it? [y/N]" in written
    with filled.open() as store:
        from statustui.store import reads

        assert len(reads.requests(store)) == asked


def test_ascii_where_the_terminal_has_no_utf8(filled: Filled) -> None:
    written = piped("status", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert written.isascii()
    assert b"#######....." in written


def test_a_reader_that_leaves_is_no_error(filled: Filled, env: Path) -> None:
    for number in range(300):
        filled.fail(f"{number:08x}", "T" * 100, "x" * 300)
    filled.give()
    process = subprocess.Popen(
        [sys.executable, "-m", "statustui", "runs", "-n", "400"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(30) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize("columns", [None, "80"])
def test_a_command_of_thousands_of_characters_does_not_hide_the_other_processes(
    columns: str | None, env: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(candidates, "LONG_S", 0.0)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    command = [sys.executable, "-c", "input()", "x" * 5000]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            assert main(["adopt"]) == 0
            (line,) = [line for line in capsys.readouterr().out.splitlines() if line.split()[0] == str(process.pid)]
            assert main(["adopt", "--json"]) == 0
            (one,) = [one for one in json.loads(capsys.readouterr().out)["processes"] if one["pid"] == process.pid]
        finally:
            process.kill()
    assert line.endswith(("…", "~"))
    assert len(line) <= (80 if columns else 260)
    assert "x" * 5000 in one["command"]


@pytest.mark.parametrize("unit", ["B", "bytes"])
def test_what_is_counted_in_bytes_is_shown_as_sizes(unit: str) -> None:
    assert figures.counted(1_584_332_800, 12_884_901_888, unit) == "1.5G/12G"
    assert figures.counted(1_584_332_800, None, unit) == "1.5G"
    assert figures.counted(1_584_332_800, None, "rows") == "1,584,332,800 rows"


def test_the_help_names_each_command_once_under_what_a_person_wants(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines.index("Watch what runs:") < lines.index("Record a program:") < lines.index("Look after it, try it:")
    words = [line.split() for line in lines]
    for name, does in COMMANDS.items():
        assert words.count([name, *does.split()]) == 1


@pytest.mark.parametrize("words", ["status", "runs", "doctor --json", "runs --help"])
def test_an_answer_that_nobody_can_take_is_no_crash(words: str, env: Path) -> None:
    for closed, statuses in ((">&-", (0, 1, 3)), ("<&- >&- 2>&-", (0, 1, 3)), (">/dev/full", (1, 3))):
        done = subprocess.run(
            ["sh", "-c", f"{sys.executable} -m statustui {words} {closed}"], capture_output=True, text=True, timeout=60
        )
        assert done.returncode in statuses, (closed, done)
        assert "Traceback" not in done.stderr and "Exception" not in done.stderr, done.stderr


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-", ">/dev/full"])
def test_the_status_is_the_commands_whatever_is_closed(closed: str, env: Path) -> None:
    code = f"{sys.executable} -m statustui run -- sh -c 'exit 7' {closed}"
    assert subprocess.run(["sh", "-c", code], timeout=30).returncode == 7


@pytest.mark.parametrize("given", ["nightly", "0", "1.5"])
def test_runs_of_a_task_are_asked_for_by_an_option(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", given]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{given!r} is no number of a run; for runs of a task: --task TASK" in said
