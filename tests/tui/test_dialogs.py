"""Dialogs name what would be hit, the default is No, and nothing moves underneath."""

from dataclasses import replace

from textual.widgets import Input

from statustui_tui.screens.acting import newest_of_each
from statustui_tui.screens.dialogs import Dialog, EditCommand
from statustui_tui.screens.monitor import MonitorScreen
from support import tui


async def test_cancel_names_the_run_and_enter_means_no() -> None:
    actions = tui.FakeActions()
    app = tui.monitor(tui.FakeSource(tui.busy()), actions=actions)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("x")
        assert isinstance(app.screen, Dialog)
        text = tui.screen_text(app)
        for part in (
            "4825",
            "nightly_backup.sh",
            "etl@db1",
            "pid 24825",
            "--all",
            "KILL after 10 s",
            "statustui cancel 4825",
        ):
            assert part in text, part
        await pilot.press("enter")
        assert isinstance(app.screen, MonitorScreen)
        assert actions.asked == []


async def test_escape_n_and_q_mean_no_and_y_means_yes() -> None:
    actions = tui.FakeActions()
    app = tui.monitor(tui.FakeSource(tui.busy()), actions=actions)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        for key in ("escape", "n", "q"):
            await pilot.press("x", key)
            assert isinstance(app.screen, MonitorScreen) and actions.asked == []
        await pilot.press("x", "y")
        await tui.until(pilot, lambda: actions.asked)
        assert actions.asked == [("cancel", 4825)]
        await tui.until(pilot, lambda: "cancel asked" in tui.screen_text(app))


async def test_upper_case_x_kills_at_once_and_says_so() -> None:
    actions = tui.FakeActions()
    app = tui.monitor(tui.FakeSource(tui.busy()), actions=actions)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("X")
        assert "KILL at once" in tui.screen_text(app) and "statustui cancel --now 4825" in tui.screen_text(app)
        await pilot.press("y")
        await tui.until(pilot, lambda: actions.asked == [("kill", 4825)])


async def test_the_list_is_frozen_while_a_dialog_is_open() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("x")
        table = app.main.running_table
        keys = [table.model.row(i).key for i in range(len(table.model))]
        source.put(replace(source.now, running=source.now.running[:1]))
        frame = app.frame
        await tui.until(pilot, lambda: app.frame is not frame)
        assert [table.model.row(i).key for i in range(len(table.model))] == keys
        await pilot.press("n")
        await tui.until(pilot, lambda: len(table.model) != len(keys))


async def test_marked_runs_are_cancelled_together_with_their_count() -> None:
    actions = tui.FakeActions()
    app = tui.monitor(tui.FakeSource(tui.busy()), actions=actions)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("g", "space", "space", "x")
        assert "Cancel 2 runs?" in tui.screen_text(app)
        await pilot.press("y")
        await tui.until(pilot, lambda: actions.asked)
        assert len(actions.asked[0]) == 3


async def test_retry_shows_the_exact_command_the_directory_and_what_differs() -> None:
    actions = tui.FakeActions()
    app = tui.monitor(tui.FakeSource(tui.busy()), actions=actions)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("k", "r")
        await tui.until(pilot, lambda: isinstance(app.screen, Dialog))
        text = tui.screen_text(app)
        for part in (
            "--state 'De la Ware'",
            "/srv/etl",
            "the script has changed",
            "/var/log/etl/out.log",
            "statustui retry 4810",
        ):
            assert part in text, part
        await pilot.press("enter")
        assert actions.asked == []
        await pilot.press("r")
        await tui.until(pilot, lambda: isinstance(app.screen, Dialog))
        await pilot.press("y")
        await tui.until(pilot, lambda: actions.asked == [("retry", 4810)])


async def test_a_refused_retry_says_why_and_offers_no_yes() -> None:
    actions = tui.FakeActions()
    actions.refusal = "recorded on db3: ssh db3 sudo -u etl statustui retry 4810"
    app = tui.monitor(tui.FakeSource(tui.busy()), actions=actions)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("k", "r")
        await tui.until(pilot, lambda: isinstance(app.screen, Dialog))
        assert "ssh db3 sudo -u etl" in tui.screen_text(app)
        await pilot.press("y")
        assert isinstance(app.screen, Dialog)
        await pilot.press("enter")
        assert actions.asked == []


async def test_edit_and_retry_lets_the_command_be_changed_and_asks_again() -> None:
    actions = tui.FakeActions()
    app = tui.monitor(tui.FakeSource(tui.busy()), actions=actions)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("k", "R")
        await tui.until(pilot, lambda: isinstance(app.screen, EditCommand))
        line = app.screen.query_one(Input)
        line.value = "python3 'broken"
        await pilot.press("enter")
        assert isinstance(app.screen, EditCommand) and "quotation mark" in tui.screen_text(app)
        line.value = "python3 other.py --fast"
        await pilot.press("enter")
        await tui.until(pilot, lambda: isinstance(app.screen, Dialog))
        assert "statustui retry 4810 -- python3 other.py --fast" in tui.screen_text(app)
        await pilot.press("y")
        await tui.until(pilot, lambda: actions.asked)
        assert actions.asked == [("retry", 4810, "python3", "other.py", "--fast")]


async def test_one_run_is_acknowledged_at_once_and_many_are_asked_about() -> None:
    actions = tui.FakeActions()
    app = tui.monitor(tui.FakeSource(tui.busy()), actions=actions)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("k", "a")
        await tui.until(pilot, lambda: actions.asked == [("ack", 4810)])
        await pilot.press("k", "a")
        assert isinstance(app.screen, Dialog) and "Acknowledge 7 runs?" in tui.screen_text(app)
        await pilot.press("y")
        await tui.until(pilot, lambda: len(actions.asked) == 2)
        assert len(actions.asked[1]) == 8


async def test_control_c_in_a_dialog_quits_and_does_nothing() -> None:
    actions = tui.FakeActions()
    app = tui.monitor(tui.FakeSource(tui.busy()), actions=actions)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("x", "ctrl+c")
    assert actions.asked == [] and app.return_value == 0


async def test_a_dialog_fits_a_tiny_terminal() -> None:
    app = tui.monitor(tui.FakeSource(tui.busy()))
    async with app.run_test(size=(20, 5)) as pilot:
        await tui.ready(pilot)
        await pilot.press("x")
        assert isinstance(app.screen, Dialog)
        assert "Cancel" in tui.screen_text(app)
        await pilot.press("n")


def test_of_runs_of_one_command_only_the_newest_is_tried_again() -> None:
    same = [tui.failed(n, "DAILY_03") for n in (7, 9, 8)]
    other = tui.failed(5, "DAILY_03", args=("python", "DAILY_03.py", "--state", "OH"))
    assert [run.id for run in newest_of_each([*same, other])] == [9, 5]
