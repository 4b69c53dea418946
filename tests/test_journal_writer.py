"""What a program writes is there, whatever it writes and whatever its disk does."""

import errno
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from statustui.journal.files import SPAN, prepare_spool
from statustui.journal.reader import JournalReader, list_journals
from statustui.journal.writer import Writer
from support.journals import errors, lines, only, records, run


@pytest.fixture
def spool(state_dir: Path) -> Path:
    return state_dir / "spool" / "m" / "1" / "s"


@pytest.fixture
def writer(spool: Path) -> Iterator[Writer]:
    made = Writer(str(spool))
    yield made
    made.close()


def numbers(spool: Path) -> list[object]:
    return [record["i"] for record in records(spool, "event")]


def test_nothing_is_made_before_the_first_fact(writer: Writer, spool: Path) -> None:
    assert not spool.exists()
    assert writer.journal is None


def test_the_first_line_says_who_writes(writer: Writer, spool: Path) -> None:
    writer.fact("event", "r1", kind="log", message="hello")
    first, second = records(spool)
    assert first["k"] == "writer"
    assert first["v"] == 1
    assert first["journal"] == writer.journal == only(spool)
    assert (first["pid"], first["uid"], first["lang"]) == (os.getpid(), os.geteuid(), "python")
    assert first["start"] == int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    assert second["run"] == "r1"
    assert second["message"] == "hello"
    assert isinstance(second["t"], float)
    assert isinstance(second["m"], float)


def test_the_offset_returned_is_the_one_that_a_reader_finds(writer: Writer, spool: Path) -> None:
    told = [writer.fact("event", i=i) for i in range(50)]
    assert [line.offset for line in lines(spool)][1:] == told
    assert writer.offset == told[-1]
    segment = (spool / f"{writer.journal}.0.jsonl").read_bytes()
    assert all(segment[offset - 1 : offset + 1] == b"\n{" for offset in told)


def test_a_fact_is_one_write_to_a_file_opened_for_appending(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.fact("event")
    written: list[bytes] = []

    def write(fd: int, data: bytes) -> int:
        written.append(data)
        return len(data)

    monkeypatch.setattr(os, "write", write)
    writer.fact("event", "r", message="x")
    (line,) = written
    assert line.startswith(b"\n{")
    assert line.endswith(b"}")


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_files_are_private_whatever_the_umask(mask: int, spool: Path) -> None:
    before = os.umask(mask)
    try:
        writer = Writer(str(spool), store_url="sqlite:////x/status.db")
        assert writer.fact("event") > 0
        assert writer.slot({"runs": {}})
        writer.counter("r", 1)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in spool.iterdir()} == {0o600}
    assert {path.suffix for path in spool.iterdir()} == {".jsonl", ".slot", ".counts", ".lock", ".url"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (spool, spool.parent, spool.parent.parent)} == {0o700}
    assert (spool / "store.url").read_text() == "sqlite:////x/status.db\n"
    writer.close()


def test_a_directory_that_is_a_link_is_refused_and_the_fact_counted(spool: Path, env: Path) -> None:
    spool.parent.mkdir(parents=True)
    (env / "elsewhere").mkdir()
    spool.symlink_to(env / "elsewhere")
    writer = Writer(str(spool))
    assert writer.fact("event") == -1
    assert writer.dropped == 1
    assert list((env / "elsewhere").iterdir()) == []


def test_a_segment_replaced_by_a_link_is_not_followed(writer: Writer, spool: Path, env: Path) -> None:
    writer.fact("event", i=1)
    victim = env / "victim"
    victim.write_text("mine")
    path = spool / f"{writer.journal}.0.jsonl"
    path.unlink()
    path.symlink_to(victim)
    os.closerange(64, 2000)
    writer.fact("event", i=2)
    assert victim.read_text() == "mine"


def test_text_that_no_store_takes_is_made_visible(writer: Writer, spool: Path) -> None:
    hostile = "a\0b \udcff \ud83d \N{GRINNING FACE} \x1b[31m é\n"
    writer.fact("event", message=hostile, detail={"\0k": [hostile]})
    (record,) = records(spool, "event")
    assert record["message"] == "a\u2400b \\xff \\ud83d \N{GRINNING FACE} \x1b[31m é\n"
    assert record["detail"] == {"\u2400k": [record["message"]]}
    raw = (spool / f"{writer.journal}.0.jsonl").read_bytes()
    assert raw.isascii()
    assert json.loads(raw.splitlines()[2])["message"] == record["message"]  # foreign readers get it so too


def test_numbers_that_no_store_takes_are_left_out(writer: Writer, spool: Path) -> None:
    writer.fact("metric", a=float("nan"), b=float("inf"), c=-5, d=2**63, e=10**400, f=1e308, g=True)
    (record,) = records(spool, "metric")
    assert [record[k] for k in "abcefg"] == [None, None, -5, None, 1e308, True]
    assert record["d"] == pytest.approx(2**63)


class Rude:
    def __str__(self) -> str:
        raise ValueError("no text for you")


class RudeDict(dict[str, object]):
    def items(self) -> object:  # type: ignore[override]
        raise KeyError("nothing for you")


class RudeInt(int):
    def __int__(self) -> int:
        raise LookupError

    __index__ = __repr__ = __int__  # type: ignore[assignment]


def test_classes_that_raise_in_any_method_do_no_harm(writer: Writer, spool: Path) -> None:
    writer.fact("event", a=RudeDict(x=1), b=RudeInt(5), c=[RudeDict(y=Rude())])
    (record,) = records(spool, "event")
    assert (record["a"], record["b"], record["c"]) == ({"x": 1}, 5, [{"y": "<Rude: ValueError>"}])


def test_values_of_any_kind_become_text(writer: Writer, spool: Path) -> None:
    loop: list[object] = []
    loop.append(loop)
    writer.fact("event", a=Rude(), b={1, 2}, c=Path("/x"), d=loop, e={Path("k"): b"\xff"}, f=("t", 1))
    (record,) = records(spool, "event")
    assert record["a"] == "<Rude: ValueError>"
    assert record["c"] == "/x"
    assert record["e"] == {"k": "b'\\xff'"}
    assert record["f"] == ["t", 1]
    assert writer.dropped == 0


@pytest.mark.parametrize("size", [70_000, 300_000, 100_000_000])
def test_a_long_message_is_cut_with_a_note(writer: Writer, spool: Path, size: int) -> None:
    writer.fact("event", message="x" * size)
    (record,) = records(spool, "event")
    message = str(record["message"])
    assert len(message) <= 65_536
    assert message.endswith(f"… [{size:,} characters]")


def test_a_line_is_never_longer_than_a_reader_takes(writer: Writer, spool: Path) -> None:
    writer.fact("run.start", "r1", task="t", params={f"k{i}": "é" * 5000 for i in range(5000)})
    writer.fact("run.start", "r2", task="t", **{f"k{i}": "\0" * 60_000 for i in range(300)})
    assert [record["run"] for record in records(spool, "run.start")] == ["r1", "r2"]
    assert errors(spool) == []


def test_after_the_size_of_a_segment_the_next_one_begins(spool: Path) -> None:
    writer = Writer(str(spool), segment_bytes=20_000)
    told = [writer.fact("event", i=i, message="x" * 100) for i in range(500)]
    reader = JournalReader(str(spool), only(spool))
    assert len(reader.segments()) > 3
    assert numbers(spool) == list(range(500))
    assert [line.offset for line in lines(spool) if line.record and line.record["k"] == "event"] == told
    assert {offset // SPAN for offset in told} == set(reader.segments())
    assert sum(record["k"] == "writer" for record in records(spool)) == 1


def test_a_journal_whose_first_segments_are_gone_still_says_who_wrote_it(spool: Path) -> None:
    writer = Writer(str(spool), segment_bytes=20_000)
    told = [writer.fact("event", i=i, message="x" * 100) for i in range(500)]
    reader = JournalReader(str(spool), only(spool))
    assert reader.drop_applied(2 * SPAN + 5) > 39_000
    assert reader.segments()[0] == 2
    fresh = JournalReader(str(spool), only(spool))
    assert fresh.writer["pid"] == os.getpid()
    rest = [line.offset for line in fresh.read(2 * SPAN) if line.record and line.record["k"] == "event"]
    assert rest[0] == next(offset for offset in told if offset > 2 * SPAN)


def test_too_much_unapplied_is_dropped_counted_and_told_when_there_is_room(spool: Path) -> None:
    writer = Writer(str(spool), segment_bytes=10_000, limit=50_000)
    told = [writer.fact("event", i=i, message="x" * 100) for i in range(1000)]
    kept = [i for i, offset in enumerate(told) if offset > 0]
    assert writer.dropped == 1000 - len(kept) > 0
    assert sum(path.stat().st_size for path in spool.glob("*.jsonl")) < 70_000
    reader = JournalReader(str(spool), only(spool))
    reader.drop_applied(max(told))
    deadline = time.monotonic() + 5
    lost = writer.dropped
    while writer.fact("event", i=-1) < 0:
        lost += 1
        assert time.monotonic() < deadline
    (dropped,) = records(spool, "dropped")
    assert dropped["facts"] == lost


def test_a_full_disk_neither_raises_nor_is_silent(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(str(spool))
    writer.fact("event", i=0)
    real = os.write

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "write", full)
    assert writer.fact("event", i=1) == -1
    assert writer.fact("event", i=2) == -1
    assert isinstance(writer.failure, OSError)
    # Half a line is what a file system may take before it is full.
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[: len(data) // 2]))
    assert writer.fact("event", i=3) == -1
    monkeypatch.setattr(os, "write", real)
    assert writer.fact("event", i=4) > 0
    assert numbers(spool) == [0, 4]
    (dropped,) = records(spool, "dropped")
    assert dropped["facts"] == 3
    assert set(errors(spool)) == {"torn or not JSON"}
    writer.fact("event", i=5)
    assert len(records(spool, "dropped")) == 1


def test_what_was_dropped_on_a_disk_that_stays_full_is_told_when_the_writer_is_gone(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(str(spool))
    writer.fact("event", i=0)
    journal = writer.journal
    assert journal is not None

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for _ in range(7):
            writer.fact("event", i=1)
    reader = JournalReader(str(spool), journal)
    here = reader.read(0)
    assert [line.record["k"] for line in here if line.record] == ["writer", "event"], "nothing while it lives"
    more = reader.read(here[-1].next_offset, final=True)
    assert [line.record for line in more] == [{"k": "dropped", "facts": 7, "progress": 0}]
    assert reader.read(more[-1].next_offset, final=True) == [], "told once"
    writer.fact("event", i=2)
    told = [line.record for line in reader.read(0, final=True) if line.record and line.record["k"] == "dropped"]
    assert [record["facts"] for record in told] == [7], "a line has told it meanwhile"


def test_a_program_that_limits_the_size_of_files_loses_nothing(spool: Path) -> None:
    done = run(
        """
        import resource, signal
        from statustui.journal.writer import Writer
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
        writer = Writer(sys.argv[1])
        print(sum(writer.fact("event", i=i, message="x" * 50) > 0 for i in range(300)), writer.dropped)
        """,
        spool,
    )
    assert done.stdout.split() == ["300", "0"], done.stderr
    assert numbers(spool) == list(range(300))


def test_a_read_only_home_costs_the_program_nothing(env: Path) -> None:
    blocker = env / "file"
    blocker.write_text("")
    writer = Writer(str(blocker / "spool"))
    assert [writer.fact("event") for _ in range(3)] == [-1, -1, -1]
    assert writer.slot({"runs": {}}) is False
    view, index = writer.counter("r", 1)
    view[index] += 1
    assert (writer.dropped, writer.dropped_progress) == (3, 2)


def test_a_state_directory_that_is_deleted_is_made_again(writer: Writer, spool: Path) -> None:
    writer.fact("event", i=0)
    for path in spool.iterdir():
        path.unlink()
    spool.rmdir()
    assert writer.fact("event", i=1) >= SPAN
    assert [r["i"] for r in records(spool, "event")] == [1]
    assert JournalReader(str(spool), only(spool)).writer["pid"] == os.getpid()


def test_after_the_end_a_new_journal_begins(writer: Writer, spool: Path) -> None:
    writer.fact("event", i=0)
    first = writer.journal
    writer.close()
    assert records(spool)[-1]["k"] == "close"
    writer.fact("event", i=1)
    assert writer.journal != first
    assert len(list_journals(str(spool))) == 2


def test_recording_loads_nothing_heavy(spool: Path) -> None:
    done = run(
        """
        before = set(sys.modules)
        from statustui.journal.writer import Writer
        writer = Writer(sys.argv[1])
        writer.fact("event"); writer.slot({})
        loaded = set(sys.modules) - before
        heavy = "dataclasses uuid subprocess asyncio logging socket sqlalchemy threading signal ctypes inspect"
        print(sorted(loaded & set(heavy.split())))
        """,
        spool,
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_store_is_noted_and_its_password_kept(spool: Path) -> None:
    note = spool / "store.url"
    with_password, without = "postgresql+psycopg://u:secret@h/db", "postgresql+psycopg://u@h/db"
    for url, kept in ((without, without), (with_password, with_password), (without, with_password)):
        prepare_spool(str(spool), url)
        assert note.read_text() == kept + "\n"
    prepare_spool(str(spool), with_password.replace("secret", "new"))
    assert "new" in note.read_text()
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
