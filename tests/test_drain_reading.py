"""What the positions of open files prove: percents only where they are, and nothing rather than something wrong."""

from collections.abc import Iterable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statustui.drain.reading import LEAST, Input, Reading, Watch
from statustui.process.descriptors import OpenFile

SIZE = 100 << 20


def opened(ino: int, position: int, *, size: int = SIZE, fd: int = 3, mode: str = "r") -> OpenFile:
    return OpenFile(fd, f"/data/{ino}.csv", 1, ino, position, size, mode)


def given_file(ino: int, size: int = SIZE) -> Input:
    return Input(path=f"/data/{ino}.csv", dev=1, ino=ino, size=size)


def looks(watch: Watch, files: Iterable[OpenFile | list[OpenFile]]) -> list[Reading | None]:
    return [watch.look(each if isinstance(each, list) else [each]) for each in files]


def percents(said: Iterable[Reading | None]) -> list[float | None]:
    return [
        None if one is None or one.total is None or one.complete is None else round(100 * one.complete / one.total, 1)
        for one in said
    ]


def test_a_position_is_believed_once_it_has_moved() -> None:
    said = looks(Watch(), [opened(1, 10 << 20), opened(1, 10 << 20), opened(1, 20 << 20), opened(1, 50 << 20)])
    assert percents(said) == [None, None, 20.0, 50.0]
    assert said[-1] is not None
    assert (said[-1].name, said[-1].whole) == ("1.csv", False), "a file of a program's own is not all its work"


def test_the_file_of_the_command_line_and_stdin_are_the_whole_work() -> None:
    by_argument = looks(Watch([given_file(1)]), [opened(1, 0), opened(1, SIZE // 4)])[-1]
    by_stdin = looks(Watch(), [opened(1, 0, fd=0), opened(1, SIZE // 4, fd=0)])[-1]
    for said in (by_argument, by_stdin):
        assert said is not None
        assert (said.whole, said.complete, said.total) == (True, SIZE // 4, SIZE)


def test_files_in_a_row_are_one_work_weighted_by_their_bytes() -> None:
    watch = Watch([given_file(1), given_file(2, 2 * SIZE), given_file(3)])
    said = looks(
        watch,
        [opened(1, 0), opened(1, SIZE // 2), [], opened(2, 0, size=2 * SIZE), opened(2, SIZE, size=2 * SIZE),
         opened(3, SIZE // 2)],
    )  # fmt: skip
    assert percents(said) == [None, 12.5, 12.5, 25.0, 50.0, 87.5]
    last = said[-1]
    assert last is not None
    assert (last.name, last.message, last.inner) == ("3 files", "3.csv", {"file": 3, "files": 3})


def test_adopted_in_the_middle_what_stands_before_counts_as_done() -> None:
    watch = Watch([given_file(1), given_file(2), given_file(3), given_file(4)])
    assert percents(looks(watch, [opened(3, 0), opened(3, SIZE // 2)])) == [None, 62.5]


def test_files_that_are_read_side_by_side_add_up() -> None:
    watch = Watch([given_file(1), given_file(2)])
    both = [[opened(1, at, fd=3), opened(2, at // 2, fd=4)] for at in (0, SIZE // 2, SIZE)]
    assert percents(looks(watch, both)) == [None, 37.5, 75.0]


def test_small_files_in_a_row_are_movement_though_none_is_seen_moving() -> None:
    files = [given_file(number, LEAST) for number in range(1, 101)]
    said = looks(Watch(files), [opened(number, 0, size=LEAST) for number in (1, 20, 40, 60)])
    assert percents(said) == [None, None, 39.0, 59.0]


def test_one_that_was_passed_over_and_is_read_after_all_ends_the_percent() -> None:
    watch = Watch([given_file(1), given_file(2)])
    said = looks(watch, [opened(2, 0), opened(2, SIZE // 2), opened(1, 0), opened(1, 1 << 20)])
    assert percents(said) == [None, 75.0, None, None]
    assert said[-1] is not None
    assert not said[-1].whole


def test_a_second_pass_and_random_access_have_no_percent_for_good() -> None:
    for inputs in ([given_file(1)], []):
        said = looks(Watch(inputs), [opened(1, at) for at in (0, 50 << 20, 0, 10 << 20, 90 << 20)])
        assert percents(said)[2:] == [None, None, None]


def test_a_shell_that_steps_back_to_the_end_of_a_line_goes_on() -> None:
    said = looks(Watch(), [opened(1, at, fd=0) for at in (0, 1 << 20, (1 << 20) - 3000, 2 << 20)])
    assert percents(said) == [None, 1.0, 1.0, 2.0]


def test_a_file_that_grows_while_it_is_read_has_a_count_and_no_percent() -> None:
    said = looks(Watch(), [opened(1, at, size=size) for at, size in ((0, SIZE), (1 << 20, SIZE), (2 << 20, SIZE + 1))])
    assert percents(said) == [None, 1.0, None]
    assert said[-1] is not None
    assert said[-1].complete == 2 << 20
    grown = looks(Watch([given_file(1)]), [opened(1, 0), opened(1, 1 << 20), opened(1, 2 << 20, size=SIZE + 9)])
    assert percents(grown) == [None, 1.0, None]


def test_an_output_gives_bytes_alone_and_what_is_appended_to_nothing() -> None:
    for mode, name in (("w", "writing 1.csv"), ("a", None), ("+", None)):
        said = looks(Watch(), [opened(1, at, size=at, mode=mode) for at in range(0, 6 << 20, 1 << 20)])[-1]
        assert (said and said.name) == name
        assert said is None or (said.complete, said.total) == (5 << 20, None)


def test_what_is_read_says_more_than_what_is_written() -> None:
    copy = [[opened(1, at), opened(2, at, size=at, fd=4, mode="w")] for at in range(0, 6 << 20, 1 << 20)]
    assert percents(looks(Watch(), copy))[-1] == 5.0


def test_logs_and_scripts_small_files_and_files_that_stand_still_say_nothing() -> None:
    assert looks(Watch(ignore=[(1, 1)]), [opened(1, 0), opened(1, 1 << 20)]) == [None, None]
    assert looks(Watch(), [opened(1, 0, size=9000), opened(1, 4096, size=9000)]) == [None, None]
    assert looks(Watch([given_file(1)]), [opened(1, 5), opened(1, 5)]) == [None, None], "a mapped file never moves"


def test_the_largest_file_counts_and_another_only_when_it_rests() -> None:
    watch = Watch()
    both = [[opened(1, at), opened(2, at, size=2 * SIZE, fd=4)] for at in (0, 1 << 20)]
    assert [one and one.name for one in looks(watch, both)] == [None, "2.csv"]
    rest = [[opened(1, at), opened(2, 1 << 20, size=2 * SIZE, fd=4)] for at in range(2 << 20, 9 << 20, 1 << 20)]
    assert [one and one.name for one in looks(watch, rest)][-1] == "1.csv"


def test_a_chosen_file_counts_alone() -> None:
    watch = Watch(chosen=(1, 1))
    said = looks(watch, [[opened(1, at), opened(2, at, size=2 * SIZE, fd=4)] for at in (0, 1 << 20)])[-1]
    assert said is not None
    assert (said.name, said.whole) == ("1.csv", True)


def test_what_was_read_to_its_end_is_over_though_the_file_stays_open() -> None:
    for watch in (Watch([given_file(1)]), Watch()):
        said = looks(watch, [opened(1, SIZE // 2), *[opened(1, SIZE)] * 8])
        assert percents(said)[1:4] == [100.0] * 3
        assert said[-1] is None


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Input], list[list[OpenFile]]]:
    """Any descriptors whatever, seen one look after the other."""
    sizes = {ino: draw(st.integers(0, 1 << 30)) for ino in range(1, 5)}
    inputs = [given_file(ino, sizes[ino]) for ino in draw(st.lists(st.integers(1, 4), unique=True))]
    one = st.builds(
        lambda ino, fd, part, mode, more: opened(
            ino, int(sizes[ino] * part), size=sizes[ino] + more, fd=fd, mode=mode
        ),
        st.integers(1, 4), st.integers(0, 5), st.floats(0, 1.5), st.sampled_from("rrrwa+"),
        st.sampled_from([0, 0, 0, 7]),
    )  # fmt: skip
    return inputs, draw(st.lists(st.lists(one, max_size=3, unique_by=lambda file: file.fd), max_size=12))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(histories())
def test_whatever_is_seen_the_figures_are_possible_and_a_percent_never_falls(
    history: tuple[list[Input], list[list[OpenFile]]],
) -> None:
    inputs, seen = history
    watch = Watch(inputs)
    before: dict[str, int] = {}
    for files in seen:
        said = watch.look(files)
        if said is None:
            before.clear()
            continue
        if said.total is not None:
            assert said.complete is not None
            assert 0 <= said.complete <= said.total
            assert said.complete >= before.get(said.key, 0)
            before[said.key] = said.complete
        assert not said.whole or said.total is not None
