"""The one function through which foreign text reaches a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from wcwidth import wcwidth

from statustui.model.text import safe_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("", ""),
        ("naïve 日本語 👩\u200d👧", "naïve 日本語 👩"),
        ("\x1b[31mred", "␛[31mred"),
        ("\x1b]52;c;aGk=\x07", "␛]52;c;aGk=␇"),
        ("a\x00b\x7f", "a␀b␡"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb", "a⏎b"),
        ("a\r\nb", "a⏎b"),
        ("10%\r20%\r30%", "30%"),
        ("30%\r", "30%"),
        ("a\tb", "a       b"),
        ("x\u202eexe.pdf", "x\\u202eexe.pdf"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("a\u2028b", "a\\u2028b"),
        ("\U000e0041", "\\U000e0041"),
        ("\udcff", "\\xff"),
        ("\ud800", "\\ud800"),
        ("[red]markup[/]", "[red]markup[/]"),
    ],
)
def test_each_kind_of_character(text: str, shown: str) -> None:
    assert safe_text(text) == shown


def test_lines_stay_where_they_are_wanted() -> None:
    assert safe_text("a\x1b\nb\r\nc", one_line=False) == "a␛\nb\nc"


def test_long_text_is_cut_visibly_and_quickly() -> None:
    assert safe_text("x" * 5000) == "x" * 4095 + "…"
    assert len(safe_text("\u202e" * 5_000_000)) == 4096
    assert safe_text("ab\ncdef", one_line=False, limit=3) == "ab\ncd…"


def test_marks_do_not_pile_up() -> None:
    assert safe_text("e" + "\u0301" * 50) == "e" + "\u0301" * 8
    assert safe_text("e\u0301o\u0308") == "e\u0301o\u0308"


@given(st.text(st.characters(), max_size=200) | st.text("\x1b\x9b\r\n\t\u202e\ud800[0m\u0301", max_size=100))
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    for one_line in (True, False):
        shown = safe_text(text, one_line=one_line, limit=300)
        shown.encode("utf-8")
        bad = {c for c in shown if unicodedata.category(c) == "Cc" or c in "\u2028\u2029\u202a\u202e\u2066\u2069\ufeff"}
        assert bad <= ({"\n"} if not one_line else set())
        assert all(len(line) <= 300 for line in shown.split("\n"))


@given(st.text(max_size=100))
def test_what_is_clean_stays_clean(text: str) -> None:
    once = safe_text(text)
    assert safe_text(once) == once


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("👍🏽 ok", "👍 ok"), ("👩‍👩‍👧‍👦 family", "👩 family"), ("🏳️‍🌈!", "🏳!"),
        ("🧑🏽‍🚀🚀", "🧑🚀"), ("✔️ done", "✔ done"), ("🇩🇪", "DE"),
        ("1️⃣", "1\u20e3"), ("a\u200db", "ab"),
    ],
)  # fmt: skip
def test_emoji_are_as_wide_as_every_terminal_draws_them(text: str, shown: str) -> None:
    assert safe_text(text) == shown


@given(st.text(alphabet="👍🏽🏿👩‍️🏳🌈✔1⃣🇩🇪 a中é☠ℹ", max_size=40))
def test_no_two_ways_of_counting_cells_differ(text: str) -> None:
    shown = safe_text(text)
    assert cell_len(shown) == sum(wcwidth(character) for character in shown)
