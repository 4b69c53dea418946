"""The log view: opens at the right place whatever the size, follows, finds, and notices what happens to the file."""

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from statustui_tui.widgets.log_view import LogView
from support.hostile import FOREIGN, HOSTILE
from support.terminal import Terminal

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class LogApp(App[None]):
    def __init__(self, path: str | None, **options: Any) -> None:
        super().__init__()
        self.view = LogView(path, **options)

    def compose(self) -> ComposeResult:
        yield self.view

    def on_mount(self) -> None:
        self.view.focus()


class Shown:
    """A running view, as a person sees it."""

    def __init__(self, view: LogView, pilot: Pilot[None]) -> None:
        self.view, self.pilot = view, pilot

    @property
    def lines(self) -> list[str]:
        view = self.view
        return [view.render_line(y).text.rstrip() for y in range(view.size.height - 1)]

    @property
    def status(self) -> str:
        return self.view.status

    async def until(self, condition: Callable[[], bool], timeout: float = 8) -> None:
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"{self.status!r}\n" + "\n".join(self.lines)
            await self.pilot.pause(0.02)


@asynccontextmanager
async def shown(path: Path | None, *, height: int = 8, width: int = 60, **options: Any) -> AsyncIterator[Shown]:
    app = LogApp(None if path is None else str(path), **options)
    async with app.run_test(size=(width, height)) as pilot:
        await pilot.pause()
        yield Shown(app.view, pilot)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "run.log"
    path.write_text("".join(f"line {number}\n" for number in range(1, 101)))
    return path


async def test_an_open_run_is_shown_at_the_end_and_followed(log: Path) -> None:
    async with shown(log) as it:
        assert it.lines == [f"line {number}" for number in range(94, 101)]
        assert it.view.following
        with log.open("a") as file:
            file.write("new one\n")
        await it.until(lambda: it.lines[-1] == "new one")


async def test_scrolling_stops_following_and_end_resumes_it(log: Path) -> None:
    async with shown(log) as it:
        it.view.move("up")
        assert it.lines[-1] == "line 99"
        with log.open("a") as file:
            file.write("new one\n")
        await it.until(lambda: "101" in it.status)
        assert it.lines[-1] == "line 99"
        it.view.move("end")
        assert it.lines[-1] == "new one"
        assert it.view.following
        it.view.toggle_follow()
        assert not it.view.following


async def test_moving(log: Path) -> None:
    async with shown(log) as it:
        it.view.move("top")
        assert it.lines[0] == "line 1"
        it.view.move("page_down")
        assert it.lines[0] == "line 7"
        it.view.move("half_up")
        assert it.lines[0] == "line 4"
        it.view.move("down")
        assert it.lines[0] == "line 5"
        await it.until(lambda: "line 11 of 100" in it.status)


async def test_only_the_runs_own_bytes_are_shown(log: Path) -> None:
    start, end = len("line 1\n"), len("line 1\nline 2\nline 3\n")
    async with shown(log, start=start, end=end) as it:
        assert [line for line in it.lines if line] == ["line 2", "line 3"]
        assert not it.view.following
        it.view.move("top")
        assert it.lines[0] == "line 2"


async def test_a_failed_run_opens_at_its_recorded_error(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    body = ["ok\n"] * 500 + ["KeyError: 'FIPS'\n"] + ["ok\n"] * 50 + ["ERROR: something else\n"] + ["ok\n"] * 50
    path.write_text("".join(body))
    async with shown(path, end=path.stat().st_size, error="KeyError: 'FIPS'") as it:
        assert "KeyError: 'FIPS'" in it.lines
        await it.until(lambda: "error 1 of 2" in it.status)
        it.view.next_error()
        assert "ERROR: something else" in it.lines
        assert "error 2 of 2" in it.status
        it.view.next_error()
        assert "no error after this" in it.status
        it.view.next_error(-1)
        assert "error 1 of 2" in it.status


async def test_without_the_recorded_error_it_opens_at_the_last_that_looks_like_one(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    noise = "0 errors\n" * 100
    path.write_text(f"first ERROR here\n{noise}rm: cannot remove: Permission denied\n{noise}")
    async with shown(path, end=path.stat().st_size, error="never written") as it:
        assert any("Permission denied" in line for line in it.lines)


async def test_without_any_error_it_opens_at_the_end(log: Path) -> None:
    async with shown(log, end=log.stat().st_size, error="never written") as it:
        assert it.lines[-1] == "line 100"


async def test_search_while_typing_then_next_and_back(log: Path) -> None:
    async with shown(log) as it:
        it.view.move("top")
        it.view.prompt("search")
        await it.pilot.press("l", "i", "n", "e", "space", "4")
        assert it.status.startswith("/line 4_")
        await it.until(lambda: "line 4" in it.lines)
        await it.pilot.press("2")
        await it.until(lambda: "line 42" in it.lines)
        await it.pilot.press("backspace", "enter")
        await it.until(lambda: it.lines[0] == "line 2" or "line 4" in it.lines)
        it.view.next_hit()
        await it.until(lambda: "line 40" in it.lines)
        it.view.next_hit(-1)
        await it.until(lambda: "line 4" in it.lines)


async def test_a_search_that_is_given_up_returns(log: Path) -> None:
    async with shown(log) as it:
        it.view.move("top")
        it.view.prompt("search")
        await it.pilot.press("9", "9")
        await it.until(lambda: "line 99" in it.lines)
        await it.pilot.press("escape")
        assert it.lines[0] == "line 1"
        it.view.search("nowhere")
        await it.until(lambda: "not found" in it.status)


async def test_only_lines_that_match(log: Path) -> None:
    async with shown(log) as it:
        it.view.prompt("only")
        await it.pilot.press("1", "0", "enter")
        await it.until(lambda: [line for line in it.lines if line] == ["line 10", "line 100"])
        assert "only 10: 2 lines" in it.status
        with log.open("a") as file:
            file.write("line 210\n")
        await it.until(lambda: "line 210" in it.lines)
        it.view.only("!line")
        await it.until(lambda: "without line: 0 lines" in it.status)
        it.view.only(None)
        assert "line 100" in it.lines


async def test_long_lines_wrap_or_scroll_sideways(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_text("start\n" + "0123456789" * 10 + "\nend\n")
    async with shown(path, width=40, height=8) as it:
        assert it.lines[1] == "0123456789" * 4
        it.view.move("right")
        assert it.lines[0] == ""
        it.view.toggle_wrap()
        assert it.lines[:5] == ["start", "0123456789" * 4, "0123456789" * 4, "0123456789" * 2, "end"]


async def test_bars_are_folded_and_colours_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(b"  0%|  |\r 50%|# |\r100%|##|\n\x1b[31mred\x1b[0m plain\n\xff bytes\n")
    async with shown(path) as it:
        assert it.lines[:3] == ["100%|##|", "red plain", "\\xff bytes"]
        colours = {segment.text: segment.style.color for segment in it.view.render_line(1) if segment.style}
        assert colours["red"] != colours[" plain"]


async def test_a_megabyte_on_one_line_is_cropped(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(b"a" * 1_000_000 + b"\n" + b"x\r" * 500_000 + b"100%\nlast\n")
    async with shown(path, width=40) as it:
        assert it.lines[:3] == ["a" * 40, "100%", "last"]


async def test_an_emptied_file_is_shown_anew_and_that_is_said(log: Path) -> None:
    async with shown(log) as it:
        with log.open("w") as file:
            file.write("after\n")
        await it.until(lambda: it.lines[0] == "after")
        assert "emptied" in it.status


async def test_a_rotated_file_is_followed_under_its_name(log: Path) -> None:
    async with shown(log) as it:
        log.rename(log.with_suffix(".1"))
        log.write_text("the new file\n")
        await it.until(lambda: it.lines[0] == "the new file")
        assert "rotated" in it.status
        with log.open("a") as file:
            file.write("goes on\n")
        await it.until(lambda: "goes on" in it.lines)


async def test_a_rotated_log_of_an_ended_run_is_found_by_its_inode(log: Path) -> None:
    found = log.stat()
    log.rename(log.with_suffix(".1"))
    log.write_text("somebody else\n")
    async with shown(log, start=0, end=found.st_size, inode=found.st_ino) as it:
        assert it.lines[-1] == "line 100"
    log.with_suffix(".1").unlink()
    async with shown(log, start=0, end=found.st_size, inode=found.st_ino) as it:
        assert it.lines[0] == "somebody else"
        assert "newer file" in it.status


async def test_a_deleted_file_stays_readable_and_that_is_said(log: Path) -> None:
    async with shown(log) as it:
        log.unlink()
        await it.until(lambda: "deleted" in it.status)
        it.view.move("top")
        assert it.lines[0] == "line 1"


async def test_a_missing_file_is_said_and_opened_when_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "later.log"
    async with shown(path) as it:
        assert "missing" in it.lines[0]
        path.write_text("here\n")
        await it.until(lambda: it.lines[0] == "here")
    async with shown(None) as it:
        assert "no log" in it.lines[0]


async def test_what_is_no_log_is_not_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("private")
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(secret)
    os.mkfifo(pipe)
    for path, said in (
        (link, "link"),
        (pipe, "not a regular file"),
        (tmp_path, "not a regular file"),
        (Path("/dev/null"), "not a log file"),
        (Path("/proc/self/environ"), "not a log file"),
        (tmp_path.joinpath(*[".."] * 12, "proc", "version"), "not a log file"),
    ):
        async with shown(path, width=200) as it:
            assert said in it.lines[0]
    async with shown(secret, width=200, uid=os.geteuid() + 1) as it:
        assert "another user" in it.lines[0]


async def test_a_sparse_terabyte_opens_at_once(tmp_path: Path) -> None:
    path = tmp_path / "huge.log"
    with path.open("wb") as file:
        file.seek(1 << 40)
        file.write(b"\nthe end\n")
    began = time.monotonic()
    async with shown(path) as it:
        assert it.lines[-1] == "the end"
    assert time.monotonic() - began < 30  # reading it would take minutes


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_lines_stay_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(b"first\n" + text.encode("utf-8", "surrogatepass") + b"\nlast\n")
    async with shown(path) as it:
        it.view.toggle_wrap()
        it.view.search(text[:50])
        for y in range(8):
            strip = it.view.render_line(y)
            assert strip.cell_length == 60
            assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in strip.text)


def test_a_hostile_log_sends_nothing_foreign(widget_terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(b"".join(text.encode("utf-8", "surrogatepass") + b"\n" for text in HOSTILE) + b"the end\n")
    terminal = widget_terminal("log", str(path))
    terminal.wait_for("the end")
    for keys in ("g", " ", " ", " ", " ", "b", "G"):
        terminal.send(keys)
        terminal.settle(0.2)
    for foreign in FOREIGN:
        assert foreign not in terminal.raw
    terminal.send("q")
    assert terminal.wait(5) == 0
