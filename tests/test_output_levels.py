"""Which subtasks bars become: after one another, beside one another, within one another; and where names come from."""

import pytest

from statustui.control.output.own import Own
from statustui.control.output.stream import Stream
from support.played import Played, play, recording


def bar(name: str, done: int, total: int, lift: int = 0) -> bytes:
    """One state of a bar as tqdm draws it, *lift* lines below the first."""
    text = f"\r{name}: {100 * done // total:3}%|{'█' * (done * 10 // total)}| {done}/{total} [00:01<00:02, 9.9it/s]"
    return (b"\n" * lift) + text.encode() + b"\x1b[A" * lift


def frames(*states: bytes) -> Played:
    """One state every half second."""
    return play([(0.5 * n, state) for n, state in enumerate(states, 1)], program="python3", kind="python")


def names(result: Played) -> list[str]:
    return [sub.name for sub in result.subs.values()]


def test_bars_after_one_another_are_subtasks_after_one_another() -> None:
    result = frames(*(bar(n, i, 5) + (b"\n" if i == 5 else b"") for n in ("load", "clean", "save") for i in range(6)))
    assert names(result) == ["load", "clean", "save"]
    assert [sub.last["c"] for sub in result.subs.values()] == [5, 5, 5]
    assert result.total is None, "nobody knows how many more there will be"


def test_an_outer_bar_is_the_number_of_subtasks() -> None:
    states = []
    for outer in range(4):
        for i in range(1, 6):
            states.append(bar("all", outer, 4) + bar(f"part {outer}", i, 5, lift=1))
    result = frames(*states, bar("all", 4, 4) + b"\n")
    assert names(result) == ["part 0", "part 1", "part 2", "part 3"]
    assert result.total == 4


def test_more_inner_bars_than_rounds_make_no_more_subtasks() -> None:
    states = []
    for outer in range(12):
        states += [bar("files", outer, 12) + b"".join(bar("rows", i % 10, 9, lift=1) for i in range(30))]
    result = frames(*states, bar("files", 12, 12))
    assert result.total == 12
    assert len(result.subs) == 12


def test_bars_beside_one_another_each_get_their_own() -> None:
    states = [bar("a", i, 40) + bar("b", i * 2, 90, lift=1) + bar("c", i * 3, 150, lift=2) for i in range(1, 39)]
    result = frames(*states)
    assert sorted(names(result)) == ["a", "b", "c"]
    assert result.total is None


def test_a_broken_off_bar_ends_where_it_was() -> None:
    states = [bar("first", i, 100) for i in (1, 20, 40)] + [bar("second", i, 50) for i in (0, 10, 20, 30)]
    result = frames(*states)
    assert names(result) == ["first", "second"]
    assert result.subs[1].last["c"] == 40


def test_a_total_that_grows_is_followed() -> None:
    states = [(0.5 * i, f"\r[{i}/{40 if i < 20 else 60}] Building x{i}".encode()) for i in range(1, 50)]
    (sub,) = play(states, program="ninja", kind="command").subs.values()
    assert (sub.last["c"], sub.last["t"]) == (49, 60)


def test_a_scan_that_finds_more_while_it_copies_shows_a_count_only() -> None:
    line = "\r{:>15,} {:>3}%    2.44MB/s    0:00:00 (xfr#{}, {}-chk=5/{})"
    states = [line.format(n * 1_000_000, percent, n, word, 9 + n).encode() for n, percent, word in (
        (1, 10, "ir"), (2, 20, "ir"), (3, 30, "ir"), (4, 12, "ir"), (5, 15, "ir"), (6, 60, "to"), (7, 70, "to"),
    )]  # fmt: skip
    pieces = [(0.5 * n, state) for n, state in enumerate(states, 1)]
    result = play(pieces, program="rsync", kind="command", words=["rsync", "--info=progress2"])
    assert result.total == 1
    (sub,) = result.subs.values()
    shown = [share.get(1) for _, share in result.shown]
    assert 0.12 not in shown
    assert 0.15 not in shown
    assert sub.last["c"] == 7_000_000
    assert sub.last["p"] == 70


def test_the_percent_of_make_is_the_whole_only_where_make_was_run() -> None:
    states = [(0.5 * n, f"[{n * 10:3}%] Building part{n}\n".encode()) for n in range(1, 9)]
    assert play(states, program="make", kind="command").total == 1
    assert play(states, program="sh", kind="sh").total is None


@pytest.mark.parametrize(
    ("above", "name"),
    [
        ("Downloading https://example.org/a/big.tar.gz (4 MB)", "big.tar.gz (4 MB)"),
        ("Saving to: ‘big.bin’", "big.bin"),
        ("==> Building the index", "Building the index"),
        ("====================", "progress"),
        ("some words", "progress"),
    ],
)
def test_a_heading_above_gives_the_name(above: str, name: str) -> None:
    states = [f"{above}\n".encode()]
    states += [f"\r[{'=' * (n // 10):<10}] {n}%".encode() for n in range(10, 60, 10)]
    assert names(frames(*states)) == [name]


def test_a_word_above_a_copy_is_no_file() -> None:
    states = [(0.5 * n, b"%s\r  %d,000,000  %d%%    2.44MB/s    0:00:03 " % (b"done\n" if n == 1 else b"", n, n * 9))
              for n in range(1, 9)]  # fmt: skip
    result = play(states, program="sh", kind="sh")
    assert names(result) == ["copy"]
    assert result.total is None


def test_texts_do_not_depend_on_where_reads_end() -> None:
    for name in ("tqdm-nested.pty", "rich-many.pty", "apt.pty", "git-clone.pty"):
        data = b"".join(piece for _, piece in recording(name)[1])[:20_000]
        whole = Stream()
        expected = [(text.text, text.up) for text in whole.feed(data)]
        for size in (1, 3, 64):
            stream = Stream()
            found = [text for i in range(0, len(data), size) for text in stream.feed(data[i : i + size])]
            assert [(text.text, text.up) for text in found][-500:] == expected[-500:], (name, size)


def test_an_own_expression_is_believed_at_once() -> None:
    own = Own([r"(?P<percent>\d+) von Hundert", r"^Lauf: (?P<message>.+)"], alone=False)
    pieces = [(0.5, b"7 von Hundert\n"), (1.0, "Lauf: Süd\n".encode()), (1.5, b"9 von Hundert\n")]
    (sub,) = play(pieces, own=own).subs.values()
    assert sub.shares[:3] == [0.07, 0.07, 0.09]
    assert sub.last["msg"] == "Süd"
