"""Progress out of the recorded output of real programs: the right levels and ends, never a number that was not so."""

import re
from collections.abc import Sequence

import pytest

from support.played import Played, names, play, played, recording

# Recording (pty and pipe unless one is named) -> names of the subtasks, what is counted at the end, subtasks expected.
# A count is (done, total), a bare number of bytes, or a percent.
EXPECTED: dict[str, tuple[Sequence[str], Sequence[object], int | None]] = {
    "tqdm": (["Loading states"], [(70, 70)], None),
    "tqdm-nested": (["epoch 1", "epoch 2", "epoch 3"], [(45, 45)] * 3, 3),
    "tqdm-bytes": (["big.iso"], [(48_000_000, 48_000_000)], None),
    "rich.pty": (["Reading", "Writing"], [100.0, 100.0], None),
    "rich-many.pty": (["worker 1", "worker 2", "worker 3"], [100.0] * 3, None),
    "rich.pipe": ([], [], None),  # rich draws no bar into a pipe
    "rich-many.pipe": ([], [], None),
    "ninja": (["steps"], [(40, 40)], 1),
    "cmake-make": (["build"], [100.0], 1),
    "snakemake": (["steps"], [(13, 13)], 1),
    "pip.pty": (["alpha-1.0-py3-none-any.whl (4.0 MB)", "beta-1.0-py3-none-any.whl (3.0 MB)"],
                [(4_000_000, 4_000_000), (3_000_000, 3_000_000)], None),
    "pip.pipe": ([], [], None),  # pip prints the end of each bar, and nothing before
    "wget": (["big.bin", "small.bin"], [100.0, 100.0], None),
    "curl": (["download", "download"], [100.0, 100.0], None),
    "curl-bar": (["download"], [100.0], None),
    "aria2": (["download"], [None], None),
    "rsync-progress2": (["copy"], [100.0], 1),
    "rsync-progress": (["part1.bin", "part2.bin"], [100.0, 100.0], None),
    "git-clone": (["Receiving objects"], [(302, 302)], None),
    "apt.pty": (["packages"], [None], 1),
    "apt.pipe": ([], [], None),
    "r-style1": (["loop"], [100.0], None),
    "r-style3": (["loop"], [100.0], None),
    "dd": (["copy"], [9_000_000], 1),
    "pv": (["copy"], [100.0], 1),
    "ffmpeg": (["media"], [(5, 5)], 1),
    "parallel": (["jobs"], [(6, 6)], 1),
    "osc94": (["progress"], [100.0], None),
    "plain-percent": (["progress"], [100.0], None),
    "plain-files": (["files"], [(8, 8)], None),
    "stages": (["stage 1: part1", "stage 2: part2", "stage 3: part3"], [100.0] * 3, 3),
}  # fmt: skip
# How the program itself says how far the bar in hand is: its last word is the truth at that time.
TRUTH = {
    "tqdm": r"(\d+)/(\d+) \[",
    "tqdm-nested": r"(\d+)/(45) \[",
    "tqdm-bytes": r"big.iso: +(\d+)%",
    "ninja": r"\[(\d+)/(\d+)\]",
    "cmake-make": r"\[ *(\d+)%\]",
    "snakemake": r"(\d+) of (\d+) steps",
    "wget": r"(\d+)%[\[ ]",
    "curl-bar": r"([\d.]+)%",
    "rsync-progress2": r"(\d+)% +[\d.]+[kM]B",
    "git-clone": r"Receiving objects: +\d+% \((\d+)/(\d+)",
    "apt.pty": r"Progress: \[ *(\d+)%\]",
    "r-style3": r"\| +(\d+)%",
    "osc94": r"9;4;1;(\d+)",
    "plain-percent": r"Progress: (\d+)%",
    "plain-files": r"copied (\d+) of (\d+)",
    "aria2": r"\((\d+)%\)",
    "stages": r"(\d+)% of part",
}


def _of(name: str) -> str:
    return name if name in EXPECTED else name.rpartition(".")[0]


@pytest.mark.parametrize("name", names())
def test_a_recording_gives_the_right_levels(name: str) -> None:
    subtasks, ends, total = EXPECTED[_of(name)]
    result = played(name)
    found = sorted(result.seen(), key=lambda sub: sub.name) if "many" in name else result.seen()
    # A third file of rsync's and apt's first moments are too short to be sure of; they may be seen, and be right.
    found = [sub for sub in found if sub.name in subtasks or not _short(name, sub.name)]
    assert [sub.name for sub in found] == list(subtasks)
    assert result.total == total
    for sub, end in zip(found, ends, strict=True):
        if end is not None:
            c, t, p = (sub.last.get(key) for key in "ctp")
            assert (c, t) == end if isinstance(end, tuple) else end in (c, p)
            assert sub.ended or not isinstance(end, tuple | float)


def _short(name: str, sub: str) -> bool:
    return sub in {"rsync-progress": ("part3.bin",), "apt": ("reading database", "Reading package lists")}.get(
        name.rpartition(".")[0], ()
    )


@pytest.mark.parametrize("pace", [0.1, 0.37, 0.5, 1.0])
@pytest.mark.parametrize("name", names())
def test_what_is_shown_was_so(name: str, pace: float) -> None:
    result = played(name, pace=pace)
    for sub in result.subs.values():
        assert sub.shares == sorted(sub.shares), sub.name
        assert sub.counts == sorted(sub.counts), sub.name
        assert all(0 <= share <= 1 for share in sub.shares)
        assert sub.name.isprintable()
        assert len(sub.name) <= 120
    if _of(name) in TRUTH:
        _compare(name, result, pace)


def _compare(name: str, result: Played, pace: float) -> None:
    """What is shown lies between what the program had said two looks before and what it has said by now."""
    _, pieces = recording(name)
    pattern = re.compile(TRUTH[_of(name)])
    compared = 0
    for at, shown in result.shown:
        now = _truth(pattern, pieces, at)
        before = _truth(pattern, pieces, at - 2 * pace)
        if now is None or not shown:
            continue
        newest = max(shown)
        if result.subs[newest].name not in EXPECTED[_of(name)][0]:
            continue
        share = shown[newest]
        compared += 1
        if before is not None and before <= now:
            assert before - 0.02 <= share <= now + 0.02, (at, before, share, now)
    assert compared, "something was shown"


def _truth(pattern: re.Pattern[str], pieces: list[tuple[float, bytes]], at: float) -> float | None:
    text = b"".join(data for when, data in pieces if when <= at).decode("utf-8", "replace")
    values = pattern.findall(text)
    if not values:
        return None
    last = values[-1]
    return int(last[0]) / int(last[1]) if isinstance(last, tuple) else float(last) / 100


def test_what_is_left_of_a_name_when_it_is_cut_anywhere() -> None:
    """Reads end where they like: within a line, a number, a character, a sequence."""
    for name in ("tqdm-nested.pty", "rich-many.pty", "wget.pty", "r-style3.pty"):
        _, pieces = recording(name)
        whole = played(name)
        cut = [(at, data[i : i + 7]) for at, data in pieces for i in range(0, len(data), 7)]
        again = play(cut, program="python3", kind="R" if name.startswith("r-") else "python")
        assert sorted(s.name for s in again.subs.values()) == sorted(s.name for s in whole.subs.values())
        assert sorted(str(s.last) for s in again.subs.values()) == sorted(str(s.last) for s in whole.subs.values())


def test_an_old_log_printed_at_once_is_no_progress() -> None:
    for name in names():
        _, pieces = recording(name)
        at_once = [(0.1, b"".join(data for _, data in pieces))]
        assert not play(at_once, kind="R").subs, name


def test_there_are_recordings_of_more_than_a_dozen_programs() -> None:
    programs = {recording(name)[0]["command"].split()[0] for name in names()}
    assert len(programs) >= 12
