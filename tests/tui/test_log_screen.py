"""The log of a run whose file is not there."""

from dataclasses import replace
from pathlib import Path

import pytest

from statustui.journal import launch
from statustui.model.run import Run
from statustui_tui.screens.log import LogScreen
from support import tui


@pytest.mark.parametrize("missing", [True, False])
async def test_a_failed_run_without_a_file_shows_what_the_store_keeps(tmp_path: Path, missing: bool) -> None:
    run: Run = replace(tui.busy().ended[0], log_path=None)
    if missing:
        path = str(tmp_path / "gone.log")
        launch.write(str(tmp_path), run.run_id, argv=["sh"], cwd="/", log_path=path)
        run = replace(run, log_path=path)
    source = tui.FakeSource(replace(tui.busy(), ended=(run,)))
    app = tui.monitor(source, state_dir=str(tmp_path))
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        app.push_screen(LogScreen(run))
        await tui.until(pilot, lambda: "Traceback" in tui.screen_text(app))
        text = tui.screen_text(app)
    assert ("the log is missing: " in text) if missing else ("this run has no log file" in text)
    for words in ("KeyError: 'FIPS'", "kept in the store", "in load", "Last lines of its output", "joining"):
        assert words in text


async def test_a_run_that_goes_on_waits_for_its_file(tmp_path: Path) -> None:
    run = tui.busy().running[0]
    path = tmp_path / "later.log"
    launch.write(str(tmp_path), run.run_id, argv=["sh"], cwd="/", log_path=str(path))
    app = tui.monitor(tui.FakeSource(tui.busy()), state_dir=str(tmp_path))
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        app.push_screen(LogScreen(replace(run, log_path=str(path))))
        await tui.until(pilot, lambda: isinstance(app.screen, LogScreen))
        await tui.until(pilot, lambda: "missing" in tui.screen_text(app))
        path.write_text("it begins\n")
        await tui.until(pilot, lambda: "it begins" in tui.screen_text(app))
