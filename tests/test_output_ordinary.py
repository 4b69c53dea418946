"""Ordinary output with numbers in it is no progress, however it comes; and finding that out costs next to nothing."""

import random
import time
from collections.abc import Iterator

import pytest

from statustui.control.output.own import Own
from statustui.control.output.stream import LONGEST, Stream
from support.ordinary import KINDS, ordinary
from support.played import Played, play


def _lines(data: bytes) -> Iterator[tuple[float, bytes]]:
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        yield number * 0.2, line


def _pieces(data: bytes, size: int) -> list[tuple[float, bytes]]:
    return [(0.4 + i / size * 0.5, data[i : i + size]) for i in range(0, len(data), size)]


@pytest.mark.parametrize("how", ["line by line", "in pieces", "to a terminal", "at once"])
@pytest.mark.parametrize("kind", KINDS)
def test_ordinary_output_shows_no_progress(kind: str, how: str) -> None:
    data = ordinary(kind)
    if data is None:
        pytest.skip(f"needs the program that prints {kind}")
    if how == "to a terminal":
        data = data.replace(b"\n", b"\r\n")
    pieces = {
        "line by line": lambda: list(_lines(data)), "in pieces": lambda: _pieces(data, 3_000),
        "to a terminal": lambda: _pieces(data, 3_000), "at once": lambda: [(0.1, data)],
    }[how]()  # fmt: skip
    for program in ("sh", "Rscript"):
        result = play(pieces, program=program, kind="R" if program == "Rscript" else "sh", pace=0.2)
        assert not result.subs, [sub.name for sub in result.subs.values()]


def _said(*lines: str, every: float = 0.5, **options: str) -> Played:
    return play([(n * every, f"{line}\n".encode()) for n, line in enumerate(lines, 1)], pace=0.25, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "lines",
    [
        [f"{n}% of the disk is used" for n in range(10, 60, 5)],
        [f"attempt {n} of 5 files" for n in range(1, 6)],
        [f"test_{n}_of_8 ok" for n in range(1, 9)],
        ["Progress: 10%", "Progress: 50%", "Progress: 20%", "Progress: 70%", "Progress: 10%"],
        ["page 4 of 9 pages", "page 5 of 9 pages", "page 6 of 9 pages", "page 7 of 9 pages"],
        [f"bytes {n}000-{n}999/20000" for n in range(1, 15)],
        [f"12/{n}/2026" for n in range(1, 28)],
        ["45%"] * 30,
        [f"[{n % 4}/4] rank says {n}" for n in range(40)],
        [f"accuracy: {n}%" for n in range(50, 90)],
        [f"item {n} is on sale, {n}%" for n in range(40)],
        [f"{n}/100 people like this" for n in range(40)],
    ],
)
def test_numbers_that_look_like_progress_and_are_none(lines: list[str]) -> None:
    assert not [sub for sub in _said(*lines).subs.values() if sub.shares]


@pytest.mark.parametrize(
    ("lines", "share"),
    [
        ([f"Progress: {n}%" for n in range(0, 101, 10)], 1.0),
        ([f"12:00:{n:02} INFO loaded {n} of 20 tables" for n in range(1, 16)], 0.75),
        ([f"Processing file {n} of 10: part{n}.csv" for n in range(1, 11)], 0.9),
        ([f"{n}%" for n in range(0, 60, 5)], 0.55),
        ([f"[{n}/40] Compiling part {n}" for n in range(1, 31)], 0.75),
        ([f"Step {n}/8 : RUN make part{n}" for n in range(1, 6)], 0.5),
    ],
)
def test_plain_lines_that_are_progress(lines: list[str], share: float) -> None:
    (sub,) = _said(*lines).subs.values()
    assert sub.shares[-1] == pytest.approx(share)
    assert sub.shares == sorted(sub.shares)


def test_a_counter_that_falls_back_is_taken_back() -> None:
    result = _said("[1/9] a", "[2/9] b", "[3/9] c", "[4/9] d", "[2/9] e", "[7/9] f", "[8/9] g")
    assert [sub.withdrawn for sub in result.subs.values()] == [True]


def test_what_a_full_screen_program_draws_is_none() -> None:
    bars = b"".join(b"\x1b[H%3d%% done\r\n" % n for n in range(0, 100, 5))
    pieces = [(0.5 * n, part) for n, part in enumerate(_split(b"\x1b[?1049h" + bars + b"\x1b[?1049l", 40), 1)]
    assert not play(pieces).subs


def _split(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


HOSTILE = {
    "one line": b"7" * 1_000_000,
    "percents": b"5%" * 500_000,
    "slashes": b"1/2" * 330_000,
    "returns": b"\r1%" * 330_000,
    "backspaces": b"\b\b3%" * 250_000,
    "bars": b"5%|" + "█".encode() * 330_000,
    "spaces": b"a" + b" " * 1_000_000 + b"5%",
    "brackets": b"[" * 500_000 + b"1/2]" * 100_000,
    "sequences": b"\x1b[1A5%" * 170_000,
    "open sequence": b"\x1b]9;4;1;" + b"9" * 1_000_000,
    "hyperlinks": b"\x1b]8;;" + b"x" * 990_000 + b"5%",
    "dots": b" 1K " + b". " * 490_000 + b" 5% ",
    "names": b"a: " * 330_000 + b"5%| | 1/2 [",
    "glyphs": ("━ " * 250_000).encode() + b"5%",
    "digits and spaces": b"1 2 3 " * 160_000,
    "percent signs": b"%" * 1_000_000,
    "noise": random.Random(3).randbytes(1_000_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_megabyte_takes_no_time(name: str) -> None:
    data = HOSTILE[name]
    took = time.process_time()
    play(_pieces(data, 65_536), pace=0.1)
    play([(0.5, data), (1.0, b"\n")], pace=0.5)
    # A matcher that backtracks would need minutes to years.
    assert time.process_time() - took < 8.0


def test_texts_are_bounded() -> None:
    stream = Stream()
    texts = stream.feed(b"x" * 100_000 + b" 45%\n" + "é".encode() * 50_000 + b" 3/8 [\n")
    assert all(len(text.text) <= LONGEST for text in texts)
    assert len(stream.feed(b"\r1%" * 20_000)) <= 600


def test_an_expression_that_would_never_end_is_switched_off() -> None:
    own = Own([r"^(a+)+(?P<percent>\d+)$", r"at (?P<percent>\d+)"], alone=True)
    assert own.match("at 20") is not None
    took = time.process_time()
    assert own.match("a" * 200 + "!") is None
    assert time.process_time() - took < 5.0
    assert own.note is not None
    assert "switched off" in own.note
    assert own.match("at 30") is not None, "the other one is still there"
