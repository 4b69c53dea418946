"""The output of a run that reports no subtasks, on its page."""

from dataclasses import replace
from pathlib import Path

import pytest

from statustui.config import Settings
from statustui.journal import launch
from statustui.model.run import Run, RunDetail
from statustui.model.status import RunStatus
from statustui_tui.screens.run import RunScreen
from statustui_tui.screens.run_tail import last_lines
from support import tui


def wrapped(run: Run) -> RunDetail:
    """A program that was wrapped: no subtasks, no samples."""
    return replace(tui.detail_of(run), subtasks=(), samples=(), log_tail=("kept line",) if run.ended_at else ())


def logged(tmp_path: Path, run: Run, text: str) -> Run:
    log = tmp_path / "out.log"
    log.write_text(text)
    launch.write(str(tmp_path), run.run_id, argv=["sh"], cwd="/", log_path=str(log))
    return replace(run, log_path=str(log))


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_the_page_shows_the_live_end_of_its_output(tmp_path: Path, size: tuple[int, int]) -> None:
    run = logged(tmp_path, tui.busy().running[2], "".join(f"line {n}\n" for n in range(500)))
    source = tui.FakeSource(replace(tui.busy(), running=(run,)))
    source.details = wrapped
    app = tui.monitor(source, state_dir=str(tmp_path))
    async with app.run_test(size=size) as pilot:
        await tui.ready(pilot)
        await pilot.press("enter")
        await tui.until(pilot, lambda: "Last lines of its output" in tui.screen_text(app))
        await tui.until(pilot, lambda: "line 499" in tui.screen_text(app))
        with Path(str(run.log_path)).open("a") as log:
            log.write("\x1b[31mand\x1b[2J on\x1b[0m\n")
        await tui.until(pilot, lambda: "and on" in tui.screen_text(app))


@pytest.mark.parametrize(("has_file", "said"), [(True, "from the file"), (False, "kept line")])
async def test_an_ended_run_shows_its_file_else_what_the_store_keeps(tmp_path: Path, has_file: bool, said: str) -> None:
    run = logged(tmp_path, replace(tui.busy().ended[-1], status=RunStatus.FAILED), "from the file\n")
    if not has_file:
        Path(str(run.log_path)).unlink()
    source = tui.FakeSource(replace(tui.busy(), running=(run,)))
    source.details = wrapped
    app = tui.monitor(source, state_dir=str(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await tui.ready(pilot)
        app.push_screen(RunScreen(run.run_id, run))
        await tui.until(pilot, lambda: said in tui.screen_text(app))


def test_nothing_but_an_own_log_is_read(tmp_path: Path) -> None:
    settings = tui.settings(str(tmp_path))
    run = tui.busy().running[2]
    log = tmp_path / "x.log"
    log.write_text("secret\n")
    # The word of a store that others write to is not believed.
    shared = Settings("postgresql+psycopg://db/x", "default", str(tmp_path))
    assert last_lines(replace(run, log_path=str(log)), shared) == ()
    link = tmp_path / "link.log"
    link.symlink_to(log)
    launch.write(str(tmp_path), run.run_id, argv=["sh"], cwd="/", log_path=str(link))
    assert last_lines(run, settings) == ()


def test_only_the_part_of_the_run_is_read(tmp_path: Path) -> None:
    run = logged(tmp_path, tui.busy().running[2], "before\nmine 10%\rmine 90%\nlast\n\n\nafter\n")
    part = replace(run, log_start=7, log_end=32)
    assert last_lines(part, tui.settings(str(tmp_path))) == ("mine 90%", "last")


def test_a_line_of_many_megabytes_is_not_read_through(tmp_path: Path) -> None:
    run = logged(tmp_path, tui.busy().running[2], "x\n")
    with Path(str(run.log_path)).open("r+b") as log:
        log.truncate(2 << 30)
        log.seek(0, 2)
        log.write(b"\nlast\n")
    assert last_lines(run, tui.settings(str(tmp_path))) == ("last",)
    # A bar drawn over itself for hours is one line.
    Path(str(run.log_path)).write_bytes(b"".join(b"\rstep %d" % n for n in range(40_000)))
    assert last_lines(run, tui.settings(str(tmp_path))) == ("step 39999",)
