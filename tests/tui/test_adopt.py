"""Adopting from the monitor: the list of processes, the filter, the name, and a real process in a real terminal."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

from statustui.control.candidates import Candidate, candidates, wanted
from statustui.process.facts import Facts
from statustui_tui.app import Monitor
from statustui_tui.screens.adopt import AdoptScreen
from statustui_tui.screens.dialogs import EditCommand
from statustui_tui.screens.monitor import MonitorScreen
from support import tui
from support.pictures import same_picture
from support.terminal import Terminal

ROOT = Path(__file__).parents[2]


def candidate(pid: int, name: str, command: str, *, age_s: float = 9000.0, cpu: float = 97.0) -> Candidate:
    about = Facts(pid, pid * 7, 1, 1000, "R", age_s, tuple(command.split()))
    return Candidate(about=about, name=name, command=command, cpu_percent=cpu, rss_bytes=pid * 100_000, processes=1)


PROCESSES = (
    candidate(4711, "sha512sum", "sha512sum /srv/images/big.iso"),
    candidate(912, "load_counties", "/usr/bin/python3 /srv/etl/load_counties.py --password [redacted] --state DE"),
    candidate(30001, "evil", "evil \x1b[31m\x1b]0;title\x07 red", age_s=12.0, cpu=0.4),
)


def app_with(actions: tui.FakeActions, *, read_only: bool = False, ascii_only: bool = False) -> Monitor:
    actions.processes = PROCESSES
    return tui.monitor(tui.FakeSource(tui.busy()), actions=actions, read_only=read_only, ascii_only=ascii_only)


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (20, 5)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_list(size: tuple[int, int], zone: None) -> None:
    app = app_with(tui.FakeActions())
    async with app.run_test(size=size) as pilot:
        await tui.ready(pilot)
        await pilot.press("A")
        await tui.until(pilot, lambda: isinstance(app.screen, AdoptScreen) and app.screen.found is not None)
        await pilot.pause()
        await pilot.pause()
        text = tui.screen_text(app)
    same_picture(f"adopt-{size[0]}x{size[1]}", text)


async def test_the_list_in_ascii(zone: None) -> None:
    app = app_with(tui.FakeActions(), ascii_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await tui.ready(pilot)
        await pilot.press("A")
        await tui.until(pilot, lambda: isinstance(app.screen, AdoptScreen) and app.screen.found is not None)
        await pilot.pause()
        text = tui.screen_text(app).replace("␛", "?").replace("␇", "?")
    assert text.isascii(), {character for character in text if not character.isascii()}


async def test_letters_filter_and_enter_asks_for_the_name_and_adopts_what_is_under_the_cursor() -> None:
    actions = tui.FakeActions()
    app = app_with(actions)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("A")
        await tui.until(pilot, lambda: isinstance(app.screen, AdoptScreen) and app.screen.found is not None)
        await pilot.press(*"count", "space", *"de")
        await tui.until(pilot, lambda: "1 of 3" in tui.screen_text(app))
        await pilot.press("enter")
        await tui.until(pilot, lambda: isinstance(app.screen, EditCommand))
        box = app.screen.query_one(Input)
        assert box.value == "load_counties"
        box.value = "DAILY_counties"
        await pilot.press("enter")
        await tui.until(pilot, lambda: isinstance(app.screen, MonitorScreen))
        assert actions.asked == [("adopt", 912, 912 * 7, "DAILY_counties")]
        await tui.until(pilot, lambda: "adopted 912" in tui.screen_text(app))


async def test_escape_clears_the_filter_then_goes_back_and_in_the_dialog_changes_nothing() -> None:
    actions = tui.FakeActions()
    app = app_with(actions)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("A")
        await tui.until(pilot, lambda: isinstance(app.screen, AdoptScreen) and app.screen.found is not None)
        await pilot.press("down", "enter")
        await tui.until(pilot, lambda: isinstance(app.screen, EditCommand))
        await pilot.press("escape", "x", "y", "z")
        await tui.until(pilot, lambda: "0 of 3" in tui.screen_text(app))
        await pilot.press("enter", "escape")
        await tui.until(pilot, lambda: "3 of yours" in tui.screen_text(app))
        await pilot.press("escape")
        await tui.until(pilot, lambda: isinstance(app.screen, MonitorScreen))
        assert actions.asked == []


async def test_a_refusal_is_said_on_the_list_and_the_name_that_was_not_changed_is_left_to_the_core() -> None:
    actions = tui.FakeActions()
    actions.refusal = "process 4711 is run 12 (hashes): it is tracked already"
    app = app_with(actions)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("A")
        await tui.until(pilot, lambda: isinstance(app.screen, AdoptScreen) and app.screen.found is not None)
        await pilot.press("enter")
        await tui.until(pilot, lambda: isinstance(app.screen, EditCommand))
        await pilot.press("enter")
        await tui.until(pilot, lambda: "is tracked already" in tui.screen_text(app))
        assert isinstance(app.screen, AdoptScreen)
        assert actions.asked == [("adopt", 4711, 4711 * 7, None)]


async def test_nothing_is_adopted_from_a_monitor_that_only_looks() -> None:
    app = app_with(tui.FakeActions(), read_only=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("A")
        await pilot.pause()
        assert isinstance(app.screen, MonitorScreen)


@pytest.mark.parametrize(
    ("command", "work"),
    [
        ("sha512sum big.iso", True), ("python3 load.py", True), ("/usr/bin/Rscript a.R", True),
        ("bash nightly.sh", True),
        ("sh -c sleep", True), ("gzip -9 x", True), ("-bash", False), ("bash", False), ("/bin/zsh -l", False),
        ("vim a.py", False), ("sshd: etl@pts/3", False), ("tmux new", False), ("/lib/systemd/systemd --user", False),
        ("/opt/v/bin/python /opt/v/bin/statustui", False), ("python -m statustui.drain /x", False), ("less log", False),
    ],
)  # fmt: skip
def test_what_is_offered_is_work(command: str, work: bool) -> None:
    assert wanted(candidate(5, "x", command).about) is work


@pytest.fixture
def hashing(env: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """An unmodified program that has worked for more than ten seconds on a large file."""
    with open(env / "big.iso", "wb") as file:
        file.truncate(1 << 40)
    process = subprocess.Popen(["sha512sum", "big.iso"], cwd=env, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_running_program_is_adopted_and_cancelled_in_a_real_terminal(
    hashing: "subprocess.Popen[bytes]", state_dir: Path
) -> None:
    deadline = time.monotonic() + 30
    while hashing.pid not in {one.about.pid for one in candidates([])}:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    environment = {"STATUSTUI_STATE_DIR": str(state_dir), "HOME": str(state_dir.parent)}
    with Terminal([sys.executable, "-m", "statustui"], cols=110, rows=30, env=environment) as terminal:
        terminal.wait_for("No runs yet")
        terminal.send("A")
        terminal.wait_for("Adopt a running process")
        terminal.send(str(hashing.pid))
        terminal.wait_for("1 of")
        terminal.send("\r")
        terminal.wait_for("as task")
        terminal.send("\r")
        terminal.wait_for("Running 1", timeout=20)
        terminal.wait_for("big.iso", timeout=20)
        terminal.send("x")
        terminal.wait_for("Cancel")
        terminal.send("y")
        assert hashing.wait(20) == -15
        terminal.wait_for("cancelled", timeout=20)
