"""The slot is read whole or not at all, and locks tell who lives without being taken."""

import os
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from statustui.journal import locks
from statustui.journal.counts import COUNTERS, CountsWriter, read_counts
from statustui.journal.slot import HALF, MAX_PAYLOAD, SlotReader, SlotWriter, encode_payload, read_slot
from support.journals import program


@pytest.fixture
def path(state_dir: Path) -> str:
    return str(state_dir / "x.slot")


def test_the_newer_half_is_read(path: str) -> None:
    slot = SlotWriter(path)
    for number in range(1, 6):
        slot.write({"off": number})
        assert read_slot(path) == {"off": number}
    assert os.path.getsize(path) <= 2 * HALF
    assert read_slot(path + "none") is None


@pytest.mark.parametrize("byte", [0, 5, 14, 18, 21, 30])
def test_a_damaged_half_gives_way_to_the_other_one(path: str, byte: int) -> None:
    slot = SlotWriter(path)
    for number in (1, 2, 3):
        slot.write({"off": number, "message": "abcdefghijk"})
    fd = os.open(path, os.O_RDWR)
    start = HALF * (3 % 2) + byte
    old = os.pread(fd, 1, start)
    os.pwrite(fd, bytes([old[0] ^ 0x10]), start)
    os.close(fd)
    assert (read_slot(path) or {})["off"] == 2


def test_a_half_whose_head_came_before_its_payload_is_not_taken(path: str) -> None:
    """A new sequence number over an old payload that is whole: the number is under the checksum too."""
    slot = SlotWriter(path)
    slot.write({"off": 1})
    slot.write({"off": 2})
    fd = os.open(path, os.O_RDWR)
    os.pwrite(fd, struct.pack("<Q", 3), HALF + 4)
    os.close(fd)
    assert (read_slot(path) or {})["off"] == 2


def test_a_slot_is_never_read_torn(path: str) -> None:
    writer = subprocess.Popen(
        program(
            """
            from statustui.journal.slot import SlotWriter
            slot = SlotWriter(sys.argv[1])
            print("go", flush=True)
            i = 0
            while True:
                i += 1
                slot.write({"off": i, "runs": {"r": {"message": chr(97 + i % 26) * (i * 997 % 40_000)}}})
            """,
            path,
        ),
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    try:
        writer.stdout.readline()
        end, reads, last = time.monotonic() + 1.5, 0, 0
        while time.monotonic() < end:
            payload = read_slot(path)
            if payload is None:
                continue
            reads += 1
            off = payload["off"]
            message = payload["runs"]["r"]["message"]
            assert off >= last
            assert len(message.rstrip("…")) == 0 or set(message[:65_000]) <= {chr(97 + off % 26)}
            assert len(message) == off * 997 % 40_000
            last = off
        assert reads > 50
        assert last > 100
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    assert read_slot(path) is not None


def test_a_reader_tells_when_nothing_is_new(path: str) -> None:
    slot, reader = SlotWriter(path), SlotReader(path)
    assert reader.read() is None
    slot.write({"off": 1})
    assert reader.read() == {"off": 1}
    assert reader.read() is None
    slot.write({"off": 2})  # within the same tick of the file's clock
    assert reader.read() == {"off": 2}
    assert reader.sequence == 2


def test_too_much_progress_keeps_its_counts() -> None:
    subs = {str(n): {"c": n, "t": 9000, "msg": "m" * 500, "in": {"file": "f" * 400}} for n in range(500)}
    data = encode_payload({"off": 7, "runs": {"r": {"percent": 4.5, "message": "\ud800", "subs": subs}}})
    assert len(data) <= MAX_PAYLOAD
    import json

    payload = json.loads(data)
    assert payload["off"] == 7
    assert payload["runs"]["r"]["subs"]["499"] == {"c": 499, "t": 9000}
    assert json.loads(encode_payload({"off": 7, "runs": {f"r{n}": {"percent": 1} for n in range(9000)}})) == {"off": 7}


def test_counters_are_shared_with_whoever_reads_the_file(state_dir: Path) -> None:
    path = str(state_dir / "x.counts")
    counts = CountsWriter(path)
    first, second = counts.take(), counts.take()
    counts.view[first] += 3
    counts.view[second] = 2**64 - 1
    assert read_counts(path)[:3] == [3, 2**64 - 1, 0]
    assert len(read_counts(path)) == COUNTERS
    assert read_counts(str(state_dir / "none")) == []
    (state_dir / "bad").write_bytes(b"nonsense")
    assert read_counts(str(state_dir / "bad")) == []
    for _ in range(COUNTERS - 2):
        counts.take()
    with pytest.raises(IndexError):
        counts.take()


@pytest.fixture
def holder_process(state_dir: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        program(
            """
            from statustui.journal import locks
            locks.hold(sys.argv[1])
            print("held", flush=True)
            sys.stdin.read()
            """,
            state_dir / "x.lock",
        ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_a_lock_names_its_holder_and_ends_with_it(state_dir: Path, holder_process: "subprocess.Popen[str]") -> None:
    path = str(state_dir / "x.lock")
    assert locks.holder(path) == holder_process.pid
    with pytest.raises(locks.LockHeld):
        locks.hold(path)
    assert locks.holder(path) == holder_process.pid
    holder_process.kill()
    holder_process.wait()
    assert locks.holder(path) is None
    fd = locks.hold(path)
    locks.release(fd)
    assert locks.holder(state_dir.__str__() + "/none.lock") is None


def asked_from_outside(path: str) -> str:
    code = "from statustui.journal import locks; print(locks.holder(sys.argv[1]))"
    return subprocess.run(program(code, path), capture_output=True, text=True, check=True).stdout.strip()


def test_asking_in_the_holder_does_not_free_the_lock(state_dir: Path) -> None:
    path = str(state_dir / "x.lock")
    fd = locks.hold(path)
    assert locks.holder(path) == os.getpid()
    with pytest.raises(locks.LockHeld):
        locks.hold(path)
    assert asked_from_outside(path) == str(os.getpid())
    locks.release(fd)
    assert asked_from_outside(path) == "None"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_neither_has_nor_frees_the_lock(state_dir: Path) -> None:
    path = str(state_dir / "x.lock")
    fd = locks.hold(path)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            parent = os.getppid()
            code = 0 if locks.holder(path) == parent else 2
            locks.close_inherited()
            if locks.holder(path) != parent:
                code = 3
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert asked_from_outside(path) == str(os.getpid())
    locks.release(fd)


def test_a_lock_file_that_is_a_link_is_refused(state_dir: Path) -> None:
    (state_dir / "target").write_text("")
    (state_dir / "x.lock").symlink_to(state_dir / "target")
    with pytest.raises(OSError, match="Too many levels"):
        locks.hold(str(state_dir / "x.lock"))
