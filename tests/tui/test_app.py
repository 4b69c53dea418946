"""The monitor as people use it: what moves, what stays, what is found, and what happens when the store is gone."""

from dataclasses import replace
from datetime import timedelta

from textual import events
from textual.widgets import Input

from statustui.model.status import RunStatus
from statustui_tui import theme
from statustui_tui.app import Place
from statustui_tui.screens.log import LogScreen
from statustui_tui.screens.monitor import MonitorScreen
from statustui_tui.screens.plain import PlainPage
from statustui_tui.screens.run import RunScreen
from statustui_tui.sources import Lost, Usage
from support import tui


async def test_the_cursor_stays_on_its_run_while_the_list_is_ordered_anew() -> None:
    source = tui.FakeSource(tui.busy())
    clock = tui.FrozenClock()
    app = tui.monitor(source, clock=clock)
    async with app.run_test(size=(120, 30)) as pilot:
        await tui.ready(pilot)
        table = app.main.running_table
        chosen = source.now.running[0]
        table.select(chosen.run_id)
        before = table.model.index_of(chosen.run_id)
        stalled = replace(chosen, last_progress_at=tui.ago(hours=5))
        source.put(replace(source.now, running=(stalled, *source.now.running[1:])))
        frame = app.frame
        await tui.until(pilot, lambda: app.frame is not frame)
        clock.at += 6
        app.main.redraw()
        await tui.until(pilot, lambda: table.model.index_of(chosen.run_id) != before)
        assert table.cursor_key == chosen.run_id
        assert app.main.selected()[0].id == chosen.id


async def test_the_order_changes_at_most_every_five_seconds() -> None:
    source = tui.FakeSource(tui.busy())
    clock = tui.FrozenClock()
    app = tui.monitor(source, clock=clock)
    async with app.run_test(size=(120, 30)) as pilot:
        await tui.ready(pilot)
        table = app.main.running_table
        first = [table.model.row(i).key for i in range(4)]
        clock.at += 1
        stalled = replace(source.now.running[0], last_progress_at=tui.ago(hours=9))
        source.put(replace(source.now, running=(stalled, *source.now.running[1:])))
        frame = app.frame
        await tui.until(pilot, lambda: app.frame is not frame)
        assert [table.model.row(i).key for i in range(4)] == first
        clock.at += 5
        app.main.redraw()
        assert [table.model.row(i).key for i in range(4)] != first


async def test_a_filter_narrows_as_it_is_typed_and_escape_takes_it_back() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("slash", *"user:ben")
        await pilot.pause()
        assert [entry.run.id for entry in app.main._entries] == [4822]
        assert app.main.query_one("#filter", Input).has_focus
        await pilot.press("enter")
        assert app.main.running_table.has_focus
        assert "filter: user:ben" in tui.screen_text(app)
        await pilot.press("escape")
        assert len(app.main._entries) == 4


async def test_nothing_is_worked_out_anew_while_nothing_runs_and_nothing_changes() -> None:
    source = tui.FakeSource(replace(tui.busy(), running=()))
    clock = tui.FrozenClock()
    app = tui.monitor(source, clock=clock)
    async with app.run_test(size=(120, 30)) as pilot:
        await tui.ready(pilot)
        app.main.redraw()
        model = app.main.running_table.model
        clock.at += 1
        app.main.tick()
        assert app.main.running_table.model is model
        assert "03:04 CET" in tui.screen_text(app)
        clock.at += 60
        app.main.tick()
        assert app.main.running_table.model is not model
        assert "finished 34m ago" in tui.screen_text(app)


async def test_a_store_that_is_not_there_yet_is_no_trouble_but_the_way_to_begin() -> None:
    source = tui.FakeSource(tui.busy())
    source.lost = Lost("no store", "there is no store yet")
    app = tui.monitor(source)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.until(pilot, lambda: "No runs yet" in tui.screen_text(app))
        assert "statustui run --" in tui.screen_text(app)
        assert app.main.trouble is None
        source.lost = None
        await tui.until(pilot, lambda: "nightly_backup" in tui.screen_text(app), 3)


async def test_mine_shows_only_my_runs() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("u")
        assert 4822 not in [entry.run.id for entry in app.main._entries]
        assert len(app.main._entries) == 3
        await pilot.press("u")
        assert len(app.main._entries) == 4


async def test_a_folded_row_unfolds_and_stands_for_all_its_runs() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    async with app.run_test(size=(100, 40)) as pilot:
        await tui.ready(pilot)
        await pilot.press("k", "k")
        assert app.main.table is app.main.needs_table
        assert len(app.main.selected()) == 7
        await pilot.press("enter")
        assert len(app.main.needs_table.model) == 10
        await pilot.press("j")
        assert len(app.main.selected()) == 1
        await pilot.press("k", "enter")
        assert len(app.main.needs_table.model) == 3


async def test_the_cursor_goes_from_one_list_into_the_other() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    async with app.run_test(size=(100, 40)) as pilot:
        await tui.ready(pilot)
        assert app.main.running_table.has_focus
        await pilot.press("k")
        assert app.main.needs_table.has_focus
        assert app.main.selected()[0].id == 4810
        await pilot.press("j")
        assert app.main.running_table.has_focus
        await pilot.press("tab")
        assert app.main.needs_table.has_focus


async def test_marks_stay_with_their_runs() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    async with app.run_test(size=(120, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("g", "V", "j", "j", "V")
        marked = {run.id for run in app.main.selected()}
        assert len(marked) == 3
        source.put(replace(source.now, running=source.now.running[::-1]))
        frame = app.frame
        await tui.until(pilot, lambda: app.frame is not frame)
        assert {run.id for run in app.main.selected()} == marked
        assert "3 marked" in tui.screen_text(app)
        await pilot.press("escape")
        assert len(app.main.selected()) == 1


async def test_a_lost_store_is_said_with_the_age_of_what_is_shown_and_comes_back_by_itself() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        source.lost = Lost("store missing", "status.db is gone")
        await tui.until(pilot, lambda: "STORE MISSING" in tui.screen_text(app))
        text = tui.screen_text(app)
        assert "status.db is gone" in text and " old" in text and "DAILY_01_BDC" in text
        await tui.until(pilot, lambda: "2 tries" in tui.screen_text(app))
        source.lost = None
        source.put(source.now)
        await tui.until(pilot, lambda: "STORE MISSING" not in tui.screen_text(app), 20)
        assert source.opened >= 2


async def test_a_store_that_was_never_there_is_said_too() -> None:
    source = tui.FakeSource(tui.empty())
    source.lost = Lost("store unavailable", "no answer from db9")
    app = tui.monitor(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await tui.until(pilot, lambda: "no answer from db9" in tui.screen_text(app))
        assert "nothing to show yet" in tui.screen_text(app)


async def test_pause_holds_the_screen_and_shows_its_age() -> None:
    source = tui.FakeSource(tui.busy())
    clock = tui.FrozenClock()
    app = tui.monitor(source, clock=clock)
    async with app.run_test(size=(120, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("p")
        source.put(replace(source.now, running=()))
        clock.at += 7
        await tui.until(pilot, lambda: "PAUSED 7s" in tui.screen_text(app))
        assert "nightly_backup" in tui.screen_text(app)
        await pilot.press("p")
        await tui.until(pilot, lambda: "nightly_backup" not in tui.screen_text(app))


async def test_figures_of_living_local_runs_come_from_the_monitor_itself() -> None:
    source = tui.FakeSource(tui.busy())
    source.used = {source.now.running[0].run_id: Usage(cpu_percent=77.0, rss_bytes=5 * 1024**3)}
    app = tui.monitor(source)
    async with app.run_test(size=(120, 30)) as pilot:
        await tui.ready(pilot)
        assert " 77%" in tui.screen_text(app) and "5.0G" in tui.screen_text(app)


async def test_an_unchanged_store_is_read_once() -> None:
    source = tui.FakeSource(replace(tui.busy(), running=()))
    app = tui.monitor(source)
    async with app.run_test(size=(80, 24)) as pilot:
        await tui.ready(pilot)
        await pilot.pause(1.5)
        assert source.reads == 1


async def test_ages_go_on_while_the_store_does_not_change() -> None:
    source = tui.FakeSource(tui.busy())
    clock = tui.FrozenClock()
    app = tui.monitor(source, clock=clock)
    async with app.run_test(size=(120, 30)) as pilot:
        await tui.ready(pilot)
        assert "KILL in 7 s" in tui.screen_text(app)
        clock.at += 3
        app.main.redraw()
        await pilot.pause()
        assert "KILL in 4 s" in tui.screen_text(app)


async def test_sorting_by_memory_puts_the_largest_first() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    async with app.run_test(size=(120, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("s", "m")
        await pilot.pause()
        assert app.main._entries[0].run.id == 4821
        assert "sort: memory" in tui.screen_text(app)


async def test_enter_shows_the_run_and_its_attempts_are_a_key_away() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await tui.ready(pilot)
        await pilot.press("tab", "g", "enter")
        screen = app.screen
        assert isinstance(screen, RunScreen)
        await tui.until(pilot, lambda: screen.detail is not None)
        await pilot.pause()
        assert "KeyError: 'FIPS'" in tui.screen_text(app)
        assert screen.check_action("attempt", (-1,)) and not screen.check_action("attempt", (1,))
        await pilot.press("escape")
        assert isinstance(app.screen, MonitorScreen)


async def test_a_stale_answer_is_dropped() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await tui.ready(pilot)
        await pilot.press("enter")
        screen = app.screen
        assert isinstance(screen, RunScreen)
        await tui.until(pilot, lambda: screen.detail is not None)
        other = tui.detail_of(source.now.running[2])
        screen.take(other, (), generation=-1)
        assert screen.detail is not None and screen.detail.run.run_id == screen.run_id


async def test_it_opens_at_the_log_of_a_run_that_is_named() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source, place=Place(run="4817", screen="log"))
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.until(pilot, lambda: isinstance(app.screen, LogScreen))
        await tui.until(pilot, lambda: "ANNUAL_DEC_03" in tui.screen_text(app))


async def test_copy_shows_a_plain_page() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("k", "y")
        assert isinstance(app.screen, PlainPage)
        assert "DAILY_02_Roads" in tui.screen_text(app)
        await pilot.press("q")
        assert isinstance(app.screen, MonitorScreen)


async def test_the_palette_finds_runs_and_actions() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("colon")
        await pilot.press(*"nightly")
        await tui.until(pilot, lambda: "nightly_backup.sh" in tui.screen_text(app) and "4825" in tui.screen_text(app))
        await pilot.press("enter")
        await tui.until(pilot, lambda: isinstance(app.screen, RunScreen))


async def test_control_c_and_q_quit_and_let_the_poller_go() -> None:
    for key in ("ctrl+c", "q"):
        source = tui.FakeSource(tui.busy())
        app = tui.monitor(source)
        async with app.run_test(size=(80, 24)) as pilot:
            await tui.ready(pilot)
            await pilot.press(key)
        assert app.return_value == 0
        assert source.closed.wait(5)
        assert source.threads == {"poller"}


async def test_hostile_text_is_shown_and_does_nothing() -> None:
    nasty = "[red]a[/nope] [@click=app.quit]x[/] \x1b]52;c;AAAA\x07 \x9b2J \u202eevil"
    run = tui.make_run(1, nasty, label=nasty, subtask_name=nasty, subtask_message=nasty, overall_message=nasty,
                       host=nasty, user=nasty, args=(nasty, nasty))  # fmt: skip
    bad = tui.failed(2, nasty, error_type=nasty, error_message=nasty, error_subtask_name=nasty, lost_reason=nasty)
    source = tui.FakeSource(replace(tui.busy(), running=(run,), ended=(bad,), recent=(bad,)))
    app = tui.monitor(source)
    async with app.run_test(size=(160, 40)) as pilot:
        await tui.ready(pilot)
        for keys in (("enter",), ("escape", "x"), ("n", "k", "enter"), ("escape", "y"), ("q", "question_mark")):
            await pilot.press(*keys)
            await pilot.pause(0.1)
            text = tui.screen_text(app)
            assert "\x1b" not in text and "\x9b" not in text and "\u202e" not in text


def test_the_theme_follows_the_terminal() -> None:
    assert theme.choose({"NO_COLOR": "1", "TERM": "xterm-256color"}) == "ansi-dark"
    assert theme.choose({"TERM": "linux"}) == "ansi-dark"
    assert theme.choose({"TERM": "xterm-256color"}) == "statustui-dark"
    assert theme.choose({"TERM": "xterm", "COLORTERM": "truecolor"}) == "statustui-dark"
    assert theme.choose({"TERM": "xterm-256color", "STATUSTUI_THEME": "light"}) == "statustui-light"


async def test_it_is_usable_without_colour() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    app.theme = "ansi-dark"
    async with app.run_test(size=(80, 24)) as pilot:
        await tui.ready(pilot)
        assert ">!  4825" in tui.screen_text(app)


async def test_a_silent_host_grows_more_silent_while_nothing_is_heard() -> None:
    source = tui.FakeSource(replace(tui.busy(), hosts=(tui.host(silent_s=25.0),)))
    clock = tui.FrozenClock()
    app = tui.monitor(source, clock=clock)
    async with app.run_test(size=(120, 30)) as pilot:
        await tui.ready(pilot)
        assert "silent" not in tui.screen_text(app)
        clock.at += 10
        app.main.redraw()
        await pilot.pause()
        assert "4 silent" in tui.screen_text(app)


async def test_a_finished_run_leaves_running_and_is_shown_below() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    async with app.run_test(size=(120, 30)) as pilot:
        await tui.ready(pilot)
        run = source.now.running[2]
        ended = replace(run, status=RunStatus.FINISHED, ended_at=tui.NOW + timedelta(seconds=1), duration_s=60.0)
        rest = tuple(r for r in source.now.running if r is not run)
        source.put(replace(source.now, running=rest, recent=(ended, *source.now.recent)))
        await tui.until(pilot, lambda: "3 running" in tui.screen_text(app))
        assert "finished" in tui.screen_text(app)


async def test_a_key_pressed_at_once_after_a_move_hits_what_the_cursor_moved_to() -> None:
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source)
    async with app.run_test(size=(120, 30)) as pilot:
        await tui.ready(pilot)
        main = app.main
        main.action_move("top")
        main.action_move("up")  # into the other list; the focus follows in a later message
        assert [run.id for run in main.selected()] == [4810]
        main.action_move("up")
        assert len(main.selected()) == 7
        main.action_move("down")
        main.action_move("down")
        assert [run.id for run in main.selected()] == [4825]


async def test_where_nothing_runs_the_keys_go_to_what_needs_a_person() -> None:
    source = tui.FakeSource(replace(tui.busy(), running=(), recent=()))
    app = tui.monitor(source)
    async with app.run_test(size=(120, 30)) as pilot:
        await tui.ready(pilot)
        await tui.until(pilot, lambda: app.main.selected())
        assert app.main.selected()[0].id == 4817
        assert "r retry" in tui.screen_text(app)


async def test_keys_that_arrive_together_are_handled_one_after_the_other() -> None:
    actions = tui.FakeActions()
    source = tui.FakeSource(tui.busy())
    app = tui.monitor(source, actions=actions)
    async with app.run_test(size=(120, 30)) as pilot:
        await tui.ready(pilot)
        for character in "/host:db1 rs":
            app.post_message(
                events.Key({"/": "slash", " ": "space", ":": "colon"}.get(character, character), character)
            )
        await tui.until(pilot, lambda: app.main.filter.text == "host:db1 rs")
        await pilot.press("escape")
        for character in "xy":
            app.post_message(events.Key(character, character))
        await tui.until(pilot, lambda: actions.asked)
        assert actions.asked == [("cancel", 4825)]
