"""Bars and sparklines."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statustui_tui import render
from statustui_tui.screens.running import done_cell, now_cell
from statustui_tui.screens.view import Entry
from statustui_tui.widgets.bars import BarCell, bar
from statustui_tui.widgets.spark import sparkline
from statustui_tui.widgets.table_model import Text
from support.tui import NOW, make_run


@pytest.mark.parametrize(
    ("fraction", "drawn"),
    [
        (0, "    "),
        (0.5, "██  "),
        (1, "████"),
        (1.2, "████"),
        (None, "    "),
        (float("nan"), "    "),
        (0.0001, "▏   "),
        (0.9999, "███▉"),
    ],
)
def test_bar(fraction: float | None, drawn: str) -> None:
    assert bar(fraction, 4) == drawn


@pytest.mark.parametrize(
    ("fraction", "drawn"), [(0.5, "[####....]"), (0.999, "[#######.]"), (1, "[########]"), (0, "[........]")]
)
def test_ascii_bar(fraction: float, drawn: str) -> None:
    assert bar(fraction, 10, ascii=True) == drawn


@given(st.floats() | st.none(), st.integers(0, 60), st.booleans())
def test_a_bar_has_its_width_and_is_full_only_at_the_end(fraction: float | None, width: int, ascii: bool) -> None:
    drawn = bar(fraction, width, ascii=ascii)
    assert render.width(drawn) == width
    if width > 1 and fraction is not None and fraction < 1:
        assert drawn.strip("[]") != "█" * width
        assert not drawn.endswith("#]")


@given(st.floats() | st.none(), st.integers(1, 40), st.text(max_size=10))
def test_a_bar_with_a_label_shows_the_label_first(fraction: float | None, width: int, label: str) -> None:
    spans = BarCell(fraction=fraction, label=label).spans(width)
    shown = "".join(text for text, _ in spans)
    if render.width(render.clean(label)) <= width and label:
        assert render.clean(label) in shown
        assert render.width(shown) <= width


@given(st.lists(st.floats() | st.none(), max_size=200), st.integers(0, 60), st.booleans())
def test_a_sparkline_has_its_width(values: list[float | None], width: int, ascii: bool) -> None:
    drawn = sparkline(values, width, ascii=ascii)
    assert len(drawn) == width
    assert drawn.isascii() or not ascii


def test_a_sparkline_keeps_peaks_and_gaps() -> None:
    assert sparkline([0, 1, 2, 4, None, 8], 8) == "  ▁▂▃▅ █"
    assert sparkline([0] * 50 + [9] + [0] * 49, 10).count("█") == 1
    assert sparkline([0, 0], 2) == "▁▁"
    assert sparkline([50], 1, top=100) == "▅"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"subtask_percent": 53.9}, "53%"),
        ({"subtask_percent": 53.9, "items_complete": 12_000_000, "unit": "B"}, "12MB 53%"),
        ({"items_complete": 3, "items_total": 8}, "3/8"),
    ],
)
def test_a_running_task_tells_its_count_or_else_its_percent(fields: dict[str, Any], told: str) -> None:
    run = make_run(1, "make", current_subtask=1, subtask_name="build", **fields)
    assert now_cell(Entry(run=run), NOW, ascii_only=True).count == told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"items_complete": 2, "items_total": 6}, ""),  # beside 2/6 a bare 2 says nothing
        ({"items_complete": 2, "items_total": 6, "unit": "images"}, "2 images"),
        ({"items_complete": 2}, "2"),
    ],
)
def test_a_count_without_a_unit_is_not_told_twice(fields: dict[str, Any], told: str) -> None:
    run = make_run(1, "make", current_subtask=1, subtask_name="build", **fields)
    cell = done_cell(run, ascii_only=True)
    assert isinstance(cell, Text) and cell.text == told
