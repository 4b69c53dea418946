"""Values as people read them."""

import math
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statustui.model.status import Mark, RunStatus, SubtaskStatus
from statustui_tui import render
from support.hostile import HOSTILE

STATUSES = [*RunStatus, *SubtaskStatus, *Mark]


@dataclass
class Eta:
    low_s: float
    high_s: float
    overdue: bool = False


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (math.nan, ""),
        (-1, "0:00"),
        (31.9, "0:31"),
        (190, "3:10"),
        (3723, "1:02:03"),
        (86400 * 2 + 3600 * 4, "2d 4h"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert render.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(4, "4s"), (99, "99s"), (120, "2m"), (7200, "2h"), (200_000, "2d"), (None, "")]
)
def test_age(seconds: float | None, text: str) -> None:
    assert render.age(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (812, "812"), (1024, "1.0K"), (12 * 1024**2, "12M"), (1.25 * 1024**3, "1.2G")],
)
def test_size(value: float, text: str) -> None:
    assert render.size(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(999, None, "999"), (1000, None, "1.0k"), (1_234_567, "rows", "1.2M rows"), (None, "rows", "")],
)
def test_count(value: float | None, unit: str | None, text: str) -> None:
    assert render.count(value, unit) == text


@given(st.floats(min_value=0, max_value=1e20))
def test_counts_and_sizes_are_never_long(value: float) -> None:
    assert len(render.count(value)) <= 5
    assert len(render.size(value)) <= 5


@pytest.mark.parametrize(
    ("value", "text"),
    [(99.99, "99%"), (100, "100%"), (20.54, "20%"), (-3, "0%"), (250, "100%"), (None, ""), (math.nan, "")],
)
def test_percent_is_cut_and_never_rounded_up(value: float | None, text: str) -> None:
    assert render.percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1200, "1.2k/s"), (2.5, "2.5/s"), (0.05, "3/min"), (2 / 3600, "2/h"), (0, ""), (None, "")]
)
def test_rate(value: float | None, text: str) -> None:
    assert render.rate(value) == text


def test_what_is_over_ages_in_coarse_steps() -> None:
    ages = [render.ago(seconds) for seconds in (0, 9.9, 10, 19, 59, 60, 119, 120, 7300, 49 * 3600)]
    assert ages == ["now", "now", "10s", "10s", "50s", "1m", "1m", "2m", "2h", "2d"]
    assert render.ago(None) == ""


def test_done_is_shown_as_it_is() -> None:
    assert render.done(23, 112) == "23/112"
    assert render.done(120, 100) == "120/100"
    assert render.done(1_234_567, None) == "1.2M"
    assert render.done(1_234_567, 8_000_000) == "1.2M/8.0M"


def test_eta_is_a_range_or_says_that_it_is_none() -> None:
    now = datetime(2026, 3, 14, 13, 26, tzinfo=UTC)
    zone = timezone(timedelta(hours=1))
    assert render.eta(Eta(12 * 60, 15 * 60)) == "12–15m"
    assert render.eta(Eta(12 * 60, 15 * 60), ascii=True) == "12-15m"
    assert render.eta(Eta(50, 300)) == "50s–5m"
    assert render.eta(Eta(60, 60)) == "60s"
    assert render.eta(Eta(0, 0, overdue=True)) == "overdue"
    assert render.eta(None) == "?"
    assert render.eta_clock(Eta(12 * 60, 16 * 60), now, zone) == "~14:40"
    assert render.eta_clock(None, now, zone) == ""


def test_clock_names_the_day_only_when_it_is_another() -> None:
    zone = timezone(timedelta(hours=1))
    at = datetime(2026, 3, 14, 2, 4, 12, tzinfo=UTC)
    assert render.clock(at, at, zone) == "03:04:12"
    assert render.clock(at, at + timedelta(days=1), zone) == "14 Mar 03:04"
    assert render.clock(None) == ""


@pytest.mark.parametrize("status", STATUSES)
def test_signs_are_one_cell_wide_in_every_terminal(status: RunStatus | SubtaskStatus | Mark) -> None:
    sign = render.glyph(status)
    assert len(sign) == 1
    assert unicodedata.east_asian_width(sign) in ("N", "Na")
    assert sign not in "▶⏸⏹✔✖⚠❌✅⛔"
    assert len(render.glyph(status, ascii=True)) == 1
    assert render.glyph(status, ascii=True).isascii()


@given(st.text(max_size=30), st.integers(0, 30), st.booleans())
def test_fitted_text_has_exactly_its_width(text: str, cells: int, right: bool) -> None:
    clean = render.clean(text)
    assert render.width(render.fit(clean, cells, right)) == cells
    assert render.width(render.crop_middle(clean, cells)) <= cells


def test_cropped_text_says_so() -> None:
    assert render.crop("nightly_backup.sh", 8) == "nightly…"
    assert render.crop("nightly_backup.sh", 8, ascii=True) == "nightly."
    assert render.crop_middle("DAILY_01_BDC_Locations", 11) == "DAILY…tions"
    assert render.crop("日本語", 4) == "日…"


@pytest.mark.parametrize("text", HOSTILE)
def test_content_is_literal_and_safe(text: str) -> None:
    content = render.content(text, "bold")
    assert not any(ord(character) < 32 and character != "\n" for character in content.plain)
    if text.isascii() and text.isprintable() and 0 < len(text) < 4096:
        assert content.plain == text
