"""What the driver sends leaves the terminal with the same picture as everything that Textual would write."""

import re

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statustui_tui.terminal.screen import Screen
from support.hostile import HOSTILE

WIDTH, HEIGHT = 20, 5
STYLES = ("", "1", "31", "38;2;1;2;3", "38;2;1;2;3;48;2;4;5;6", "7")
TEXTS = st.one_of(
    st.text(alphabet="abc 0█▏é─✓", min_size=1, max_size=12), st.sampled_from(["日本", "a日b", "한", "x日", "▏日 "])
)
WRITES = st.lists(
    st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.sampled_from(STYLES), TEXTS), max_size=12
)


def sequence(writes: list[tuple[int, int, str, str]]) -> str:
    out = []
    for x, y, style, text in writes:
        fitting = ""
        for character in text:
            if x + cells(fitting + character) <= WIDTH:
                fitting += character
        move = f"\x1b[{y + 1};{x + 1}H"
        out.append(f"{move}\x1b[{style}m{fitting}\x1b[0m" if style else f"{move}{fitting}")
    return "".join(out)


def cells(text: str) -> int:
    return sum(2 if "\u1100" <= character <= "\ud7ff" and character not in "─✓" else 1 for character in text)


class Emulated:
    def __init__(self) -> None:
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self.screen.reset_mode(7 << 5)
        self.stream = pyte.Stream(self.screen)

    def picture(self) -> list[list[tuple[object, ...]]]:
        return [[self._cell(self.screen.buffer[y][x]) for x in range(WIDTH)] for y in range(HEIGHT)]

    @staticmethod
    def _cell(cell: object) -> tuple[object, ...]:
        return tuple(getattr(cell, name) for name in ("data", "fg", "bg", "bold", "reverse"))


@settings(max_examples=150, deadline=None)
@given(st.lists(WRITES, min_size=1, max_size=5))
def test_the_difference_gives_the_same_picture(frames: list[list[tuple[int, int, str, str]]]) -> None:
    ours, theirs = Emulated(), Emulated()
    screen = Screen(WIDTH, HEIGHT)
    screen.feed("\x1b[?1049h")
    blank = "".join(f"\x1b[{y + 1};1H{' ' * WIDTH}" for y in range(HEIGHT))
    for frame in [None, *frames]:
        drawn = blank if frame is None else sequence(whole_lines(frame))
        screen.feed(drawn)
        theirs.stream.feed(drawn)
        ours.stream.feed(screen.take())
        assert ours.picture() == theirs.picture()


def whole_lines(frame: list[tuple[int, int, str, str]]) -> list[tuple[int, int, str, str]]:
    """Never half of a wide character: Textual redraws a span whole. Each write clears its line first."""
    return [write for x, y, style, text in frame for write in ((0, y, "", " " * WIDTH), (x, y, style, text))]


def test_nothing_is_sent_for_what_is_there_already() -> None:
    screen = Screen(WIDTH, HEIGHT)
    screen.feed("\x1b[?1049h\x1b[1;1H\x1b[31mhello\x1b[0m\x1b[1;1H")
    assert "hello" in screen.take()
    screen.feed("\x1b[1;1H\x1b[31mhello\x1b[0m\x1b[1;1H")
    assert screen.take() == ""


def test_only_the_changed_cells_are_sent() -> None:
    screen = Screen(WIDTH, HEIGHT)
    screen.feed("\x1b[?1049h\x1b[2;1Hload 20% done 1/9\x1b[1;1H")
    screen.take()
    screen.feed("\x1b[2;1Hload 21% done 1/9\x1b[1;1H")
    assert screen.take() == "\x1b[2;7H1\x1b[1;1H"


def test_a_clock_costs_its_digit_and_not_its_colours_too() -> None:
    screen = Screen(WIDTH, HEIGHT)
    screen.feed("\x1b[?1049h\x1b[2;1H\x1b[38;2;1;2;3m03:04:10\x1b[0m\x1b[1;1H")
    for second in (11, 12):
        screen.take()
        screen.feed(f"\x1b[2;1H\x1b[38;2;1;2;3m03:04:{second}\x1b[0m\x1b[1;1H")
    assert screen.take() == "\x1b[2;8H2\x1b[1;1H"
    screen.feed("\x1b[2;8H3\x1b[1;1H")
    assert screen.take() == "\x1b[2;8H\x1b[0m3\x1b[1;1H"


def test_nothing_is_drawn_outside_the_alternate_screen_and_all_of_it_on_return() -> None:
    screen = Screen(WIDTH, HEIGHT)
    screen.feed("\x1b[?1049h\x1b[1;1Hhello")
    screen.take()
    screen.feed("\x1b[?1049l")
    screen.feed("\x1b[1;1Hhidden")
    assert screen.take() == "\x1b[0m\x1b[?1049l"
    screen.feed("\x1b[?1049h")
    assert "hidden" in screen.take()


def test_a_new_size_draws_everything_again_within_it() -> None:
    screen = Screen(WIDTH, HEIGHT)
    screen.feed("\x1b[?1049h\x1b[1;1H" + "x" * WIDTH + "\x1b[5;1Hlast")
    screen.take()
    screen.resize(4, 2)
    sent = screen.take()
    assert sent.count("x") == 4
    assert "last" not in sent


def test_synchronised_output_wraps_what_is_drawn_and_nothing_else() -> None:
    screen = Screen(WIDTH, HEIGHT)
    screen.feed("\x1b[?1049h")
    screen.take()
    for _ in range(2):
        screen.feed("\x1b[?2026h")
        screen.feed("\x1b[1;1Hhello")
        screen.feed("\x1b[?2026l")
    assert screen.take().startswith("\x1b[?2026hhello")
    screen.feed("\x1b[?2026h\x1b[?2026l")
    assert screen.take() == ""


ALLOWED = re.compile(
    r"\x1b\[(?:[\d;]*[HmC]|\?(?:7|25|100[0346]|101[56]|1049|2004|2026|2048)(?:[hl]|\$p)|[<>]\d*u)|\x07"
)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_foreign_sequence_passes_even_where_nobody_cleaned_it(text: str) -> None:
    screen = Screen(WIDTH, HEIGHT)
    screen.feed("\x1b[?1049h\x1b[1;1H")
    screen.take()
    screen.feed(f"\x1b[1;1H\x1b[31m{text}\x1b[0m\x1b[1;1H")
    left = ALLOWED.sub("", screen.take())
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", left)
