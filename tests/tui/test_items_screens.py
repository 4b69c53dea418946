"""What pipelines and items look like: wide, at 80×24, at 20×5 and in ASCII."""

import pytest

from statustui_tui.screens.item import ItemScreen
from statustui_tui.screens.matrix import MatrixScreen
from statustui_tui.screens.pipelines import PipelinesScreen
from support import items_tui, tui
from support.pictures import same_picture

SIZES = [(120, 40), (80, 24), (20, 5)]
SCREENS = ["pipelines-monitor", "pipelines", "items", "item", "items-retry"]


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("screen", SCREENS)
async def test_screen(screen: str, size: tuple[int, int], zone: None) -> None:
    await picture(screen, size, ascii_only=False)


@pytest.mark.parametrize("screen", SCREENS)
async def test_screen_in_ascii(screen: str, zone: None) -> None:
    text = await picture(screen, (80, 24), ascii_only=True)
    assert text.isascii(), {character for character in text if not character.isascii()}


async def picture(screen: str, size: tuple[int, int], *, ascii_only: bool) -> str:
    source = items_tui.source()
    assert isinstance(source.items, items_tui.FakeItems)
    actions = items_tui.FakeItemActions(source.items)
    app = tui.monitor(source, ascii_only=ascii_only, item_actions=actions)
    async with app.run_test(size=size) as pilot:
        await tui.ready(pilot)
        if screen != "pipelines-monitor":
            await pilot.press("3")
            await tui.until(pilot, lambda: isinstance(app.screen, PipelinesScreen) and app.screen.current)
        if screen.startswith("item"):
            await pilot.press("enter")
            matrix = app.screen
            assert isinstance(matrix, MatrixScreen)
            await tui.until(pilot, lambda: matrix.table.cursor_key == "2024-CA-0000000")
            await pilot.press("e")
            await tui.until(pilot, lambda: matrix.table.cursor_key == "2024-CA-0000002")
        if screen == "item":
            await pilot.press("enter")
            item = app.screen
            assert isinstance(item, ItemScreen)
            await tui.until(pilot, lambda: item.detail is not None)
        if screen == "items-retry":
            await pilot.press("r")
            await tui.until(pilot, lambda: not isinstance(app.screen, MatrixScreen))
        await pilot.pause()
        await pilot.pause()
        text = tui.screen_text(app)
    text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    same_picture("-".join([screen, f"{size[0]}x{size[1]}", *(["ascii"] if ascii_only else [])]), text)
    return text
