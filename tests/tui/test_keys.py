"""One table of keys: footer, help, palette, README and bindings are made from it."""

import pytest

from statustui_tui import keys
from statustui_tui.screens import help as help_screen
from statustui_tui.screens.acting import ActingScreen
from statustui_tui.screens.adopt import AdoptScreen
from statustui_tui.screens.dialogs import Dialog
from statustui_tui.screens.help import HelpScreen
from statustui_tui.screens.item import ItemScreen
from statustui_tui.screens.log import LogScreen
from statustui_tui.screens.matrix import MatrixScreen
from statustui_tui.screens.monitor import MonitorScreen
from statustui_tui.screens.parts.footer import fit
from statustui_tui.screens.pipelines import PipelinesScreen
from statustui_tui.screens.run import RunScreen
from statustui_tui.screens.run_items import RunItemsScreen
from support import tui

SCREENS = {
    keys.MONITOR: MonitorScreen,
    keys.RUN: RunScreen,
    keys.LOG: LogScreen,
    keys.HELP: HelpScreen,
    keys.DIALOG: Dialog,
    keys.PIPELINES: PipelinesScreen,
    keys.MATRIX: MatrixScreen,
    keys.ITEM: ItemScreen,
    keys.RUN_ITEMS: RunItemsScreen,
    keys.ADOPT: AdoptScreen,
}


def test_ids_are_unique_and_no_key_means_two_things_on_one_screen() -> None:
    assert len({key.id for key in keys.KEYS}) == len(keys.KEYS)
    for screen in SCREENS:
        spelled = [part.strip() for key in keys.on(screen) for part in key.keys.split(",")]
        assert len(spelled) == len(set(spelled)), screen


@pytest.mark.parametrize(
    ("screen", "key"), [(s, k) for s in SCREENS for k in keys.on(s)], ids=lambda v: getattr(v, "id", v)
)
def test_every_key_has_an_action_on_each_of_its_screens(screen: str, key: keys.Key) -> None:
    name = key.action.split("(")[0]
    if name.startswith("app."):
        from statustui_tui.app import Monitor

        assert hasattr(Monitor, f"action_{name[4:]}")
    else:
        assert hasattr(SCREENS[screen], f"action_{name}")


def test_every_key_says_what_it_does_and_actions_name_their_command() -> None:
    for key in keys.KEYS:
        assert key.help.endswith("."), key.id
        assert key.label == key.label.lower(), key.id
    for id in ("cancel", "cancel_now", "retry", "retry_edit", "acknowledge", "log", "open", "follow"):
        command = keys.command_for(keys.BY_ID[id], "4821")
        assert command is not None and command.startswith("statustui ") and "{" not in command


def test_the_help_names_every_key_of_the_screen_after_remapping() -> None:
    lines = help_screen.lines(keys.MONITOR, {"cancel": "f9"}, 100, ascii_only=False)
    page = "\n".join(line.plain for line in lines)
    for key in keys.on(keys.MONITOR):
        assert key.help.split(";")[0][:30] in page
    assert "f9" in page


def test_the_help_in_ascii_is_ascii_but_for_quotation_marks() -> None:
    lines = help_screen.lines(keys.LOG, {}, 60, ascii_only=True)
    assert all(line.plain.replace("“", "").replace("”", "").isascii() for line in lines)


def test_the_footer_sheds_the_least_important_keys_first() -> None:
    entries = [(key, keys.first_key(key)) for key in keys.on(keys.MONITOR) if key.footer and key.id != "clear"]
    wide, narrow = fit(entries, 120).plain, fit(entries, 30).plain
    assert "mark" in wide and "retry" in wide
    assert "quit" in narrow and "mark" not in narrow
    assert len(narrow) <= 30


def test_the_markdown_table_has_a_line_for_each_key_outside_dialogs() -> None:
    table = keys.markdown()
    for key in keys.KEYS:
        assert (key.help in table) is (key.screens != (keys.DIALOG,)), key.id


async def test_people_remap_keys_by_id() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source, keymap={"cancel": "f9"})
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("x")
        assert not isinstance(app.screen, Dialog)
        await pilot.press("f9")
        assert isinstance(app.screen, Dialog)
        await pilot.press("n")
        assert "F9 cancel" in tui.screen_text(app) or "f9 cancel" in tui.screen_text(app)


async def test_the_footer_shows_only_what_works_now() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    async with app.run_test(size=(120, 30)) as pilot:
        await tui.ready(pilot)
        foot = tui.screen_text(app).splitlines()[-1]
        assert "x cancel" in foot and "r retry" not in foot and "a ack" not in foot
        await pilot.press("k")
        await pilot.pause()
        foot = tui.screen_text(app).splitlines()[-1]
        assert "x cancel" not in foot and "r retry" in foot and "a ack" in foot


async def test_read_only_offers_nothing_that_changes_something() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source, read_only=True)
    async with app.run_test(size=(120, 30)) as pilot:
        await tui.ready(pilot)
        assert "READ ONLY" in tui.screen_text(app)
        for key in ("x", "X", "k", "r", "R", "a"):
            await pilot.press(key)
            assert isinstance(app.screen, MonitorScreen)
            foot = tui.screen_text(app).splitlines()[-1]
            assert not any(word in foot for word in ("cancel", "retry", "ack"))


def test_all_acting_screens_answer_check_action_for_what_changes_something() -> None:
    for screen in (MonitorScreen, RunScreen, LogScreen):
        assert issubclass(screen, ActingScreen)
