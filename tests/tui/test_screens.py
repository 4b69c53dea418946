"""What each screen looks like, wide, at 80×24, at 20×5 and in ASCII."""

from dataclasses import replace
from pathlib import Path

import pytest

from statustui.journal import launch
from statustui_tui.sources import Lost, Process, Usage
from support import tui
from support.pictures import same_picture

SIZES = [(120, 40), (80, 24), (20, 5), (200, 60)]


def source(tmp_path: Path, screen: str) -> tui.FakeSource:
    log = tmp_path / "etl.log"
    log.write_text("reading 12 files\njoining\nERROR row 17 is short\nKeyError: 'FIPS'\ncleaning up\n")
    snapshot = tui.busy()
    path = str(log) if screen == "log" else "/var/log/etl.log"
    ended = tuple(replace(run, log_path=path) for run in snapshot.ended)
    made = tui.FakeSource(replace(snapshot, ended=ended))
    run = snapshot.running[0]
    made.used = {run.run_id: Usage(cpu_percent=97.0, rss_bytes=1_200_000_000)}
    made.tree = (
        Process(pid=24821, depth=0, state="S", cpu_percent=2.0, rss_bytes=90_000_000, command="python bdc.py --all"),
        Process(pid=24830, depth=1, state="R", cpu_percent=95.0, rss_bytes=1_100_000_000, command="ogr2ogr -f CSV"),
    )
    return made


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("screen", ["monitor", "run", "failed", "log", "help", "empty", "cancel", "lost"])
async def test_screen(screen: str, size: tuple[int, int], tmp_path: Path, zone: None) -> None:
    await picture(screen, size, tmp_path, ascii_only=False)


@pytest.mark.parametrize("screen", ["monitor", "run", "failed", "log", "help", "empty", "cancel"])
async def test_screen_in_ascii(screen: str, tmp_path: Path, zone: None) -> None:
    text = await picture(screen, (80, 24), tmp_path, ascii_only=True)
    assert text.isascii(), {character for character in text if not character.isascii()}


async def picture(screen: str, size: tuple[int, int], tmp_path: Path, *, ascii_only: bool) -> str:
    made = tui.FakeSource(tui.empty()) if screen == "empty" else source(tmp_path, screen)
    for run in made.now.ended if screen == "log" else ():
        # Whose log it is says the launch file of its user; the store alone is not believed.
        launch.write(str(tmp_path), run.run_id, argv=["etl"], cwd="/", log_path=run.log_path)
    app = tui.monitor(made, ascii_only=ascii_only, state_dir=str(tmp_path))
    async with app.run_test(size=size) as pilot:
        await tui.ready(pilot)
        main = app.main
        if screen in ("run", "cancel"):
            main.running_table.select(made.now.running[0].run_id)
        if screen in ("failed", "log") and main.needs_table.display:
            main.needs_table.focus()
            await pilot.pause()
        steps = {"run": "enter", "failed": "enter", "log": "l", "help": "question_mark", "cancel": "x"}
        if screen in steps:
            await pilot.press(steps[screen])
            await tui.until(pilot, lambda: app.screen is not main)
        if screen in ("run", "failed"):
            await tui.until(pilot, lambda: getattr(app.screen, "detail", None) is not None)
        if screen == "log":
            await tui.until(pilot, lambda: "KeyError" in tui.screen_text(app))
            await tui.until(pilot, lambda: size[1] < 9 or "error" in tui.screen_text(app))
        if screen == "lost":
            made.lost = Lost("store missing", "status.db is gone")
            await tui.until(pilot, lambda: main.trouble is not None)
            main.trouble = replace(main.trouble, tries=3, old_s=12.0) if main.trouble else None
            app.aged = lambda trouble: trouble  # type: ignore[method-assign]
            main.redraw()
        await pilot.pause()
        await pilot.pause()
        text = tui.screen_text(app).replace(str(tmp_path), "/var/log")
    text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    if screen != "log":
        name = "-".join([screen, f"{size[0]}x{size[1]}", *(["ascii"] if ascii_only else [])])
        same_picture(name, text)
    return text
