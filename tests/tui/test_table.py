"""The table: what is on the screen, where the cursor stays, what is drawn again."""

from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from statustui_tui.widgets.bars import BarCell
from statustui_tui.widgets.table import Table
from statustui_tui.widgets.table_model import Column, ListModel, Pieces, Row, Text, lay_out
from support.hostile import HOSTILE
from support.terminal import Terminal

COLUMNS = (
    Column(key="id", title="ID", width=4, align="right"),
    Column(key="task", title="TASK", width=8, flex=2),
    Column(key="host", title="HOST", width=6, priority=1),
)


def rows(*keys: int, style: str = "") -> list[Row]:
    return [Row(key=key, cells=(str(key), f"task{key}", "db1"), style=style) for key in keys]


class TableApp(App[None]):
    def __init__(self, header: bool = True) -> None:
        super().__init__()
        self.table = Table(COLUMNS, header=header)
        self.messages: list[object] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.table.focus()

    def on_table_opened(self, message: Table.Opened) -> None:
        self.messages.append(("opened", message.key))

    def on_table_moved(self, message: Table.Moved) -> None:
        self.messages.append(("moved", message.key))

    def on_table_header_clicked(self, message: Table.HeaderClicked) -> None:
        self.messages.append(("header", message.column))


def screen(table: Table) -> list[str]:
    return [table.render_line(y).text.rstrip() for y in range(table.size.height)]


@asynccontextmanager
async def running(height: int = 8, width: int = 30) -> AsyncIterator[tuple[Table, Pilot[None]]]:
    app = TableApp()
    async with app.run_test(size=(width, height)) as pilot:
        await pilot.pause()
        yield app.table, pilot


def on_screen(table: Table) -> list[str]:
    return [line.split()[-2] for line in screen(table)[1:] if line.strip()]


pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def on_cursor(table: Table) -> Hashable:
    return table.cursor_key


async def test_it_shows_titles_and_rows_with_a_sign_at_the_cursor() -> None:
    async with running() as (table, _):
        table.set_rows(rows(1, 2))
        assert screen(table)[:4] == [
            "   ID TASK              HOST",
            ">   1 task1             db1",
            "    2 task2             db1",
            "",
        ]


async def test_the_cursor_stays_with_its_key_when_rows_change_places() -> None:
    async with running() as (table, pilot):
        table.set_rows(rows(1, 2, 3))
        table.move("down")
        table.set_rows(rows(3, 2, 1, 9))
        assert table.cursor_key == 2
        table.set_rows(rows(2, 3, 1))
        assert table.cursor_key == 2
        assert screen(table)[1].startswith(">   2")
        await pilot.pause()


async def test_the_cursor_takes_the_row_at_its_place_when_its_own_goes() -> None:
    async with running() as (table, pilot):
        table.set_rows(rows(1, 2, 3))
        table.move("down")
        table.set_rows(rows(1, 3))
        assert table.cursor_key == 3
        table.set_rows([])
        assert table.cursor_key is None
        await pilot.pause()
        assert pilot.app.messages[-1] == ("moved", None)


async def test_the_cursors_row_keeps_its_place_on_the_screen() -> None:
    async with running(height=8) as (table, pilot):
        table.set_rows(rows(*range(100)))
        table.move("end")
        for _ in range(3):
            table.move("up")
        await pilot.pause()
        before = screen(table).index(next(line for line in screen(table) if line.startswith(">")))
        table.set_rows(rows(*range(1000, 1040), *range(100)))
        await pilot.pause()
        after = screen(table).index(next(line for line in screen(table) if line.startswith(">")))
        assert table.cursor_key == 96
        assert after == before


async def test_new_rows_on_top_are_seen_by_who_stands_at_the_top() -> None:
    async with running(height=8) as (table, pilot):
        table.set_rows(rows(*range(20)))
        table.set_rows(rows(99, *range(20)))
        await pilot.pause()
        assert screen(table)[1].split()[0] == "99"
        assert table.cursor_key == 0


@pytest.mark.parametrize(
    ("how", "key"),
    [("down", 1), ("end", 99), ("page_down", 6), ("half_down", 3), ("top", 0), ("up", 0)],
)
async def test_moving(how: str, key: int) -> None:
    async with running(height=8) as (table, pilot):
        table.set_rows(rows(*range(100)))
        table.move(how)
        await pilot.pause()
        assert table.cursor_key == key
        assert any(line.startswith(">") for line in screen(table))


async def test_sections_are_passed_over_and_come_into_view_with_their_first_row() -> None:
    async with running(height=5) as (table, pilot):
        head = Row(key="needs", cells=("Needs you", "since 24 h"), section=True)
        other = Row(key="run", cells=("Running",), section=True)
        table.set_rows([head, *rows(1, 2), other, *rows(3, 4, 5)])
        assert table.cursor_key == 1
        assert screen(table)[1] == "─ Needs you ───── since 24 h ─"[: len(screen(table)[1])]
        table.move("down")
        table.move("down")
        assert on_cursor(table) == 3
        table.move("end")
        table.move("top")
        await pilot.pause()
        assert table.cursor_key == 1
        assert "Needs you" in screen(table)[1]


async def test_marks_and_ranges_are_bound_to_keys() -> None:
    async with running() as (table, pilot):
        table.set_rows(rows(1, 2, 3, 4, 5))
        table.toggle_mark()
        table.move("down")
        table.toggle_range()
        table.move("down")
        assert table.marked == {1, 3, 4}
        table.toggle_range()
        table.set_rows(rows(5, 4, 3, 2, 1))
        assert table.selection == (4, 3, 1)
        table.set_rows(rows(5, 4))
        assert list(table.selection) == [4]
        assert table.clear_marks()
        assert not table.clear_marks()
        assert list(table.selection) == [4]
        await pilot.pause()


async def test_while_it_is_frozen_nothing_moves() -> None:
    async with running() as (table, _):
        table.set_rows(rows(1, 2))
        table.frozen = True
        table.set_rows(rows(2, 1))
        table.set_rows(rows(7, 1, 2))
        assert on_screen(table) == ["task1", "task2"]
        table.frozen = False
        assert on_screen(table) == ["task7", "task1", "task2"]


async def test_only_rows_that_look_different_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as (table, pilot):
        table.set_rows(rows(1, 2, 3, 4))
        await pilot.pause()
        screen(table)
        asked: list[object] = []
        monkeypatch.setattr(table, "refresh", lambda *regions, **_: asked.extend(regions))
        table.set_rows(rows(1, 2, 3, 4))
        assert asked == []
        table.set_rows([*rows(1, 2), Row(key=3, cells=("3", "other", "db1")), *rows(4)])
        assert [(region.y, region.height) for region in asked] == [(3, 1)]  # type: ignore[attr-defined]


class Million:
    def __init__(self) -> None:
        self.asked = 0

    def __len__(self) -> int:
        return 1_000_000

    def row(self, index: int) -> Row:
        self.asked += 1
        return rows(index)[0]

    def index_of(self, key: Hashable) -> int | None:
        return key if isinstance(key, int) else None


async def test_a_million_rows_are_asked_for_only_where_they_are_seen() -> None:
    async with running(height=20) as (table, pilot):
        model = Million()
        table.set_model(model)
        table.move("end")
        await pilot.pause()
        assert table.cursor_key == 999_999
        assert on_screen(table)[-1] == "task999999"
        assert model.asked < 500


async def test_a_click_moves_a_second_one_opens_and_a_title_asks_to_sort() -> None:
    async with running() as (table, pilot):
        table.set_rows(rows(1, 2, 3))
        await pilot.click(table, offset=(8, 2))
        assert table.cursor_key == 2
        await pilot.click(table, offset=(8, 3), times=2)
        await pilot.click(table, offset=(10, 0))
        await pilot.pause()
        messages = pilot.app.messages  # type: ignore[attr-defined]
        assert ("opened", 3) in messages
        assert messages[-1] == ("header", "task")


async def test_ascii() -> None:
    async with running() as (table, _):
        table.set_ascii(True)
        table.set_rows([Row(key="s", cells=("Running",), section=True), Row(key=1, cells=("1", "a" * 60, "db1"))])
        table.set_sort("task", descending=True)
        assert all(line.isascii() for line in screen(table))
        assert "TASKv" in screen(table)[0]


@pytest.mark.parametrize("width", range(1, 60))
def test_columns_fit_whatever_the_width(width: int) -> None:
    slots = lay_out(COLUMNS, width, 1)
    assert all(slot.width > 0 for slot in slots)
    assert all(left.x + left.width < right.x for left, right in pairwise(slots))
    assert not slots or slots[-1].x + slots[-1].width <= width
    if width >= 21:
        assert slots[-1].x + slots[-1].width == width


def test_the_column_of_least_weight_goes_first() -> None:
    columns = (*COLUMNS, Column(key="user", title="USER", width=6, priority=2))
    assert [columns[slot.index].key for slot in lay_out(columns, 25)] == ["id", "task", "host"]
    assert [columns[slot.index].key for slot in lay_out(columns, 15)] == ["id", "task"]


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_stays_in_its_cell(text: str) -> None:
    async with running(height=6, width=40) as (table, _):
        table.set_rows(
            [
                Row(key=0, cells=(text, text, BarCell(fraction=0.5, label=text))),
                Row(key=1, cells=("1", Text(text, "failed"), Pieces(((text, ""), (text, "muted"))))),
                Row(key=2, cells=(text, text), section=True),
            ]
        )
        table.set_sort(text)
        for y in range(6):
            strip = table.render_line(y)
            assert strip.cell_length == 40
            assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in strip.text)


def test_hostile_text_reaches_no_terminal(widget_terminal: Callable[..., Terminal]) -> None:
    terminal = widget_terminal("hostile", cols=120, rows=40)
    terminal.wait_for("TASK")
    for keys in ("", " ", " ", " ", "G", "g"):
        terminal.send(keys)
        terminal.settle(0.2)
    for foreign in (
        b"\x1b]",
        b"\x1bP",
        b"\x1b_",
        b"\x1b^",
        b"\x1bX",
        b"\x1bc",
        b"\x1b(",
        b"\x1b#",
        b"\x1b[2J",
        b"\x1b[6n",
        b"\x07",
    ):
        assert foreign not in terminal.raw
    terminal.send("q")
    assert terminal.wait(5) == 0


def test_a_list_finds_the_first_of_equal_keys() -> None:
    assert ListModel(rows(1, 2, 2)).index_of(2) == 1
    assert ListModel(rows(1)).index_of(5) is None
