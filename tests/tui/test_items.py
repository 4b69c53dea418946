"""Items in the monitor: a window on however many there are, jumps, filters, and changes that ask first."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from textual.pilot import Pilot

from statustui.model.status import ItemStatus
from statustui.store.item_selector import ItemSelector
from statustui_tui.app import Monitor
from statustui_tui.items_actions import Verb
from statustui_tui.screens import items_view, matrix_window
from statustui_tui.screens.dialogs import Dialog, EditCommand, Menu
from statustui_tui.screens.item import ItemScreen
from statustui_tui.screens.matrix import MatrixScreen
from statustui_tui.screens.matrix_filter import parse
from statustui_tui.screens.matrix_window import Part, Query, Window
from statustui_tui.screens.needs_items import ItemsFailed
from statustui_tui.screens.pipelines import PipelinesScreen
from statustui_tui.screens.run import RunScreen
from statustui_tui.screens.run_items import RunItemsScreen
from statustui_tui.widgets.table_model import Row
from support import items_tui, tui
from support.items_tui import STEPS, FakeItemActions, FakeItems, make_item

MILLION = 1_000_000


class Night:
    """A monitor with items, and what is behind it."""

    def __init__(self, n: int, *, read_only: bool = False) -> None:
        self.source = items_tui.source(n)
        assert isinstance(self.source.items, FakeItems)
        self.items = self.source.items
        self.actions = FakeItemActions(self.items)
        self.app: Monitor = tui.monitor(self.source, item_actions=self.actions, read_only=read_only)

    @property
    def matrix(self) -> MatrixScreen:
        found = next(one for one in self.app.screen_stack if isinstance(one, MatrixScreen))
        return found

    @property
    def cursor(self) -> object:
        return self.matrix.table.cursor_key


@asynccontextmanager
async def matrix(
    n: int = 156, size: tuple[int, int] = (100, 30), *, read_only: bool = False
) -> AsyncIterator[tuple[Night, Pilot[int]]]:
    """The items of a pipeline, opened with keys."""
    night = Night(n, read_only=read_only)
    async with night.app.run_test(size=size) as pilot:
        await tui.ready(pilot)
        await pilot.press("3")
        await tui.until(pilot, lambda: isinstance(night.app.screen, PipelinesScreen) and night.app.screen.current)
        await pilot.press("enter")
        await tui.until(pilot, lambda: night.cursor == make_item(0).key)
        yield night, pilot


def dialog(night: Night) -> Callable[[], bool]:
    return lambda: isinstance(night.app.screen, Dialog)


# A million


async def test_a_million_items_scroll_as_ten_do() -> None:
    async with matrix(MILLION) as (night, pilot):
        assert len(night.matrix.window) == MILLION
        await pilot.press("G")
        await tui.until(pilot, lambda: night.cursor == make_item(MILLION - 1).key)
        await pilot.press(*["ctrl+u"] * 30)
        place = night.matrix.table.model.index_of(night.cursor)
        await tui.until(pilot, lambda: isinstance(night.cursor, str))
        place = night.matrix.table.model.index_of(night.cursor)
        assert place is not None and night.cursor == make_item(place).key
        await pilot.press("g")
        await tui.until(pilot, lambda: night.cursor == make_item(0).key)
        assert night.items.given < 5_000
        assert len(night.matrix.window.part.items) <= matrix_window.KEPT


async def test_the_middle_of_a_million_is_read_when_the_scroll_bar_goes_there() -> None:
    async with matrix(MILLION) as (night, pilot):
        table = night.matrix.table
        for target in (400_000, 800_000, 3):
            table.scroll_to(y=target, animate=False, force=True)
            key = make_item(target + 5).key
            await tui.until(pilot, lambda key=key: key in tui.screen_text(night.app))  # type: ignore[misc]
        assert night.items.given < 2_000


async def test_the_next_failure_is_found_beyond_what_is_in_memory() -> None:
    async with matrix(MILLION) as (night, pilot):
        await pilot.press("e")
        await tui.until(pilot, lambda: night.cursor == make_item(2).key)
        await pilot.press("e")
        await tui.until(pilot, lambda: night.cursor == make_item(11).key)
        await pilot.press("G")
        await tui.until(pilot, lambda: night.cursor == make_item(MILLION - 1).key)
        await pilot.press("E")
        last = max(n for n in range(MILLION - 13, MILLION) if make_item(n).status is ItemStatus.FAILED)
        await tui.until(pilot, lambda: night.cursor == make_item(last).key)
        assert night.matrix.table.model.index_of(make_item(last).key) == last


@pytest.mark.parametrize("index", [0, 199, 200, 399, 555, 799, 950, 999])
def test_every_place_of_a_list_is_found_from_everywhere(index: int) -> None:
    items, query = FakeItems(1_000), Query(selector=ItemSelector(pipeline="auctions"))
    start = Part(total=1_000)
    for before in (0, 300, 620, 999):
        part = matrix_window.at(items, query, start, before)
        part = matrix_window.at(items, query, part, index)
        assert part.total == 1_000
        assert part.first <= index < part.end
        assert [item.key for item in part.items] == [make_item(n).key for n in range(part.first, part.end)]


def test_a_list_that_shrinks_or_grows_is_read_anew_at_its_place() -> None:
    items, query = FakeItems(1_000), Query(selector=ItemSelector(pipeline="auctions"))
    part = matrix_window.at(items, query, Part(total=1_000), 500)
    same = matrix_window.again(items, query, part, 500, None)
    assert same.first <= 500 < same.end and same.items[500 - same.first] == make_item(500)
    items.n = 300
    fewer = matrix_window.again(items, query, part, 500, None)
    assert (fewer.total, fewer.items[-1]) == (300, make_item(299))
    items.n = 2_000
    more = matrix_window.again(items, query, part, 500, None)
    assert more.total == 2_000 and more.items[500 - more.first] == make_item(500)
    items.n = 0
    assert matrix_window.again(items, query, part, 500, None) == Part()


def test_a_window_keeps_the_cursor_on_an_item_that_was_not_read_yet() -> None:
    wanted: list[int] = []
    window = Window(lambda item: Row(key=item.key, cells=(item.key,)), wanted.append)
    window.take(Part(total=10))
    unread = window.row(7).key
    assert wanted == [7] and window.index_of(unread) == 7
    window.take(Part(first=5, items=tuple(make_item(n) for n in range(5, 10)), total=10))
    assert window.row(7).key == make_item(7).key and window.index_of(make_item(9).key) == 9


# Filter


def test_a_filter_is_read_in_words() -> None:
    found = parse("status:failed,pend step:9/10 kind:'tax deed' since:2026-01-01 CA-12 7", "auctions", STEPS)
    wanted = found.selector
    assert wanted.statuses == (ItemStatus.FAILED, ItemStatus.PENDING)
    assert (wanted.steps, wanted.kinds, wanted.text) == (("report",), ("tax deed",), "CA-12 7")
    assert wanted.since is not None and found.problem == ""
    assert found.options()[:4] == ["--status", "failed", "--status", "pending"]


@pytest.mark.parametrize("text", ["status:odd", "step:99", "since:yesterday", "'", "status:", "x:y"])
def test_a_filter_that_makes_no_sense_breaks_nothing(text: str) -> None:
    found = parse(text, "auctions", STEPS)
    assert found.selector.pipeline == "auctions"
    assert bool(found.problem) is (text in ("status:odd", "step:99", "since:yesterday"))


async def test_typing_a_filter_asks_the_store_and_escape_clears_it() -> None:
    async with matrix() as (night, pilot):
        await pilot.press("slash", *"status:failed", "enter")
        await tui.until(pilot, lambda: len(night.matrix.window) == 24)
        assert night.cursor == make_item(2).key
        await pilot.press("escape")
        await tui.until(pilot, lambda: len(night.matrix.window) == 156)
        await pilot.press("escape")
        await tui.until(pilot, lambda: isinstance(night.app.screen, PipelinesScreen))


async def test_the_order_can_be_turned_round() -> None:
    async with matrix() as (night, pilot):
        await pilot.press("s")
        await tui.until(pilot, lambda: isinstance(night.app.screen, Menu))
        await pilot.press("i")
        await tui.until(pilot, lambda: night.cursor == make_item(155).key)
        assert "key (reversed)" in tui.screen_text(night.app)


# Changes


async def test_retry_shows_the_count_and_its_default_is_no() -> None:
    async with matrix() as (night, pilot):
        await pilot.press("j", "j", "r")
        await tui.until(pilot, dialog(night))
        text = tui.screen_text(night.app)
        assert "Retry this item?" in text and "1 item, 1 failed step" in text and make_item(2).key in text
        assert "$ statustui items retry 2024-CA-0000002 --pipeline auctions --force" in text
        await pilot.press("enter")
        await tui.until(pilot, lambda: night.app.screen is night.matrix)
        assert night.actions.done == []
        await pilot.press("r")
        await tui.until(pilot, dialog(night))
        await pilot.press("y")
        await tui.until(pilot, lambda: night.actions.done)
        assert night.actions.done[0].places == ((make_item(2).key, "market"),)


async def test_everything_that_the_filter_matches_is_counted_first() -> None:
    async with matrix() as (night, pilot):
        await pilot.press("slash", *"status:failed", "enter")
        await tui.until(pilot, lambda: len(night.matrix.window) == 24)
        await pilot.press("A")
        assert "ALL 24 chosen" in tui.screen_text(night.app)
        await pilot.press("r")
        await tui.until(pilot, dialog(night))
        text = tui.screen_text(night.app)
        assert "Retry 24 items?" in text and "and 12 more" in text
        assert "statustui items retry --status failed --pipeline auctions --force" in text
        await pilot.press("y")
        await tui.until(pilot, lambda: night.actions.done)
        assert len(night.actions.done[0].places) == 24


async def test_a_range_of_marks_reaches_as_far_as_the_cursor_went() -> None:
    async with matrix(MILLION) as (night, pilot):
        await pilot.press("j", "j", "V")
        for _ in range(60):
            await pilot.press("ctrl+d")
        await tui.until(pilot, lambda: isinstance(night.cursor, str) and night.cursor > make_item(500).key)
        end = night.cursor
        await pilot.press("V")
        await tui.until(pilot, lambda: make_item(2).key in night.matrix.table.marked)
        marked = night.matrix.table.marked
        assert (min(map(str, marked)), max(map(str, marked))) == (make_item(2).key, end)
        assert len(marked) == int(str(end)[-7:]) - 1
        await pilot.press("escape")
        assert not night.matrix.table.marked
        await pilot.press("V", "G")
        await tui.until(pilot, lambda: night.cursor == make_item(MILLION - 1).key)
        await pilot.press("V")
        await tui.until(pilot, lambda: "more than 10,000 items" in tui.screen_text(night.app))
        assert not night.matrix.table.marked


async def test_failures_of_items_are_acknowledged_like_those_of_runs() -> None:
    night = Night(156)
    async with night.app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        main = night.app.main
        await tui.until(pilot, lambda: main.needs_table.select(ItemsFailed("auctions", "market", "beef")))
        main.set_focus(main.needs_table)
        await pilot.press("a")
        await tui.until(pilot, dialog(night))
        text = tui.screen_text(night.app)
        assert "failed items?" in text
        assert "statustui items ack --pipeline auctions --step market" in text
        await pilot.press("y")
        await tui.until(pilot, lambda: bool(night.actions.acknowledged))
        assert [(one.step, one.fingerprint) for one in night.actions.acknowledged] == [("market", "beef")]
    night = Night(156, read_only=True)
    async with night.app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        main = night.app.main
        await tui.until(pilot, lambda: main.needs_table.select(ItemsFailed("auctions", "market", "beef")))
        assert main.check_action("acknowledge", ()) is False


async def test_marked_items_are_meant_in_view_or_not() -> None:
    async with matrix(5_000) as (night, pilot):
        await pilot.press("space", "space", "G")
        await tui.until(pilot, lambda: night.cursor == make_item(4_999).key)
        await pilot.press("R")
        await tui.until(pilot, lambda: isinstance(night.app.screen, Menu))
        await pilot.press("b")
        await tui.until(pilot, dialog(night))
        assert night.actions.planned[0].keys == (make_item(0).key, make_item(1).key)
        assert night.actions.planned[0].step == "judge"
        assert "Reset 2 items?" in tui.screen_text(night.app)


async def test_skip_asks_why_and_says_so_in_the_command() -> None:
    async with matrix() as (night, pilot):
        await pilot.press("j", "S")
        await tui.until(pilot, lambda: isinstance(night.app.screen, EditCommand))
        await pilot.press("enter")
        await tui.until(pilot, lambda: "Say why" in tui.screen_text(night.app))
        await pilot.press(*"gone", "enter")
        await tui.until(pilot, dialog(night))
        assert "--reason gone" in tui.screen_text(night.app)
        assert night.actions.planned[0].verb is Verb.SKIP and night.actions.planned[0].step is None
        await pilot.press("n")
        await tui.until(pilot, lambda: night.app.screen is night.matrix)
        assert night.actions.done == []


async def test_who_may_only_look_can_change_nothing() -> None:
    async with matrix(read_only=True) as (night, pilot):
        await pilot.press("j", "j", "r", "R", "S", "A", "r")
        await pilot.pause()
        assert night.app.screen is night.matrix and night.actions.planned == []
        assert "retry" not in tui.screen_text(night.app).splitlines()[-1]


async def test_nothing_moves_under_an_open_dialog() -> None:
    async with matrix() as (night, pilot):
        await pilot.press("j", "j", "r")
        await tui.until(pilot, dialog(night))
        night.items.n = 3
        night.source.put(night.source.now)
        await tui.until(pilot, lambda: night.app.frame and night.app.frame.board.pipelines[0].total == 3)
        assert len(night.matrix.window) == 156
        await pilot.press("n")
        await tui.until(pilot, lambda: len(night.matrix.window) == 3)
        assert night.cursor == make_item(2).key


# Between screens


async def test_from_needs_you_to_the_items_that_failed_in_one_way() -> None:
    night = Night(156)
    async with night.app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        main = night.app.main
        await tui.until(pilot, lambda: main.needs_table.select(ItemsFailed("auctions", "market", "beef")))
        assert "×10" in tui.screen_text(night.app)
        main.set_focus(main.needs_table)
        await pilot.press("enter")
        await tui.until(pilot, lambda: isinstance(night.app.screen, MatrixScreen) and len(night.matrix.window) == 24)
        assert "failures of one kind" in tui.screen_text(night.app)
        await pilot.press("A", "r")
        await tui.until(pilot, dialog(night))
        assert "statustui items retry 2024-CA-0000002 2024-CA-0000011" in tui.screen_text(night.app)


async def test_from_the_monitor_down_to_a_run_and_back() -> None:
    night = Night(156)
    app = night.app
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("G", "j", "j")
        await tui.until(pilot, lambda: app.main.table.cursor_key == "documents")
        await pilot.press("k", "enter")
        await tui.until(pilot, lambda: isinstance(app.screen, MatrixScreen) and night.cursor == make_item(0).key)
        await pilot.press("enter")
        await tui.until(pilot, lambda: isinstance(app.screen, ItemScreen) and app.screen.detail is not None)
        item = app.screen
        assert isinstance(item, ItemScreen) and item.detail is not None
        assert "Timeline" in item.sheet.text and "[red]B. Strange" in item.sheet.text
        known = night.source.now.running[0].run_id
        item.detail = replace(item.detail, steps=tuple(replace(one, run_id=known) for one in item.detail.steps))
        await pilot.press("enter")
        await tui.until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.detail is not None)
        await pilot.press("i")
        await tui.until(pilot, lambda: isinstance(app.screen, RunItemsScreen) and app.screen.found)
        assert "3 steps of items" in tui.screen_text(app)
        await pilot.press("enter")
        await tui.until(pilot, lambda: isinstance(app.screen, ItemScreen))
        await pilot.press("1")
        await tui.until(pilot, lambda: app.screen is app.main)


async def test_without_pipelines_there_is_no_screen_of_them() -> None:
    app = tui.monitor(tui.FakeSource(tui.busy()))
    async with app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("3")
        await pilot.pause()
        assert app.screen is app.main and "Pipelines" not in tui.screen_text(app)


async def test_the_items_at_a_step_are_opened_from_the_step() -> None:
    night = Night(156)
    async with night.app.run_test(size=(100, 30)) as pilot:
        await tui.ready(pilot)
        await pilot.press("3")
        await tui.until(pilot, lambda: isinstance(night.app.screen, PipelinesScreen) and night.app.screen.current)
        await pilot.press("tab", "j", "j", "j", "j", "enter")
        await tui.until(pilot, lambda: isinstance(night.app.screen, MatrixScreen) and len(night.matrix.window) == 12)
        assert night.matrix.filter.selector.steps == ("market",)


# Pure


@pytest.mark.parametrize("width", [4, 7, 20, 41])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_bar_of_statuses_shows_all_there_is_and_is_full_only_at_the_end(width: int, ascii_only: bool) -> None:
    few = {ItemStatus.COMPLETED: 99_998, ItemStatus.PENDING: 1, ItemStatus.FAILED: 1}
    parts = items_view.status_bar(few, width, ascii_only=ascii_only)
    assert sum(len(text) for text, _ in parts) == width
    drawn = {style: text for text, style in parts}
    if width > 4:
        assert drawn["part-failed"] and drawn["bar"]
    done = items_view.status_bar({ItemStatus.COMPLETED: 3, ItemStatus.SKIPPED: 4}, width, ascii_only=ascii_only)
    assert dict((style, text) for text, style in done)["bar"] == ""


@pytest.mark.parametrize("room", [6, 12, 24, 27, 60])
def test_a_sign_stands_below_the_label_of_its_step(room: int) -> None:
    ruler = items_view.ruler(STEPS, room, ascii_only=True)
    labels = ruler.title.split()
    assert len(ruler.title) <= max(room, len(STEPS)) and len(ruler.places) == len(STEPS)
    for step, place in zip(STEPS, ruler.places, strict=True):
        if room >= 27:
            assert ruler.title[place:].startswith(step.shown_label)
    assert labels[0] == "1"


def test_a_line_about_a_pipeline_sheds_its_parts() -> None:
    statuses = (
        (ItemStatus.COMPLETED, 89),
        (ItemStatus.PROCESSING, 12),
        (ItemStatus.PENDING, 45),
        (ItemStatus.FAILED, 10),
    )
    line = items_view.PipelineLine(
        name="auctions", column=8, total=156, digits=3, statuses=statuses, waiting="41 at 6", ascii=False
    )
    said = {width: "".join(text for text, _ in line.spans(width)) for width in (140, 78, 60, 36)}
    assert said[78] == "auctions  156 items  ✓ 89 57%  ▸ 12 8%  . 45 29%  ✗ 10 6%   waiting: 41 at 6"
    assert "█" in said[140] and "█" not in said[78]
    assert "✗ 10" in said[60] and "6%" not in said[60] and len(said[36]) <= 40
