"""What a program writes is there, whatever its threads, its children, its descriptors and its end do."""

import json
import os
import random
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from statustui.journal.reader import JournalReader, list_journals, read_counts, read_slot
from statustui.journal.writer import Writer
from support.journals import errors, only, program, records, run


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


def test_threads_lose_and_mix_nothing(spool: Path) -> None:
    writer = Writer(str(spool), segment_bytes=30_000)

    def work(thread: int) -> None:
        for i in range(300):
            assert writer.fact("event", thread=thread, i=i, message="x" * (i % 90)) > 0

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    reader = JournalReader(str(spool), wait_journal(spool))
    live: list[tuple[object, object]] = []
    offset = 0
    while len(live) < 2400:  # read while they write: no line may turn up below what was read already
        for line in reader.read(offset):
            assert line.error is None, line
            offset = line.next_offset
            if line.record is not None and line.record["k"] == "event":
                live.append((line.record["thread"], line.record["i"]))
        if not any(thread.is_alive() for thread in threads) and not reader.read(offset):
            break
    for thread in threads:
        thread.join()
    assert sorted(live) == [(n, i) for n in range(8) for i in range(300)]
    assert all([i for t, i in live if t == n] == list(range(300)) for n in range(8))


def wait_journal(spool: Path) -> str:
    deadline = time.monotonic() + 5
    while not list_journals(str(spool)):
        assert time.monotonic() < deadline
    return list_journals(str(spool))[0]


def test_a_signal_handler_may_record_at_any_moment(spool: Path) -> None:
    writer = Writer(str(spool), segment_bytes=20_000)
    seen = []

    def handler(*_: object) -> None:
        seen.append(writer.fact("event", handler=True, message="x" * 200))
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00001, 0.0005))

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0003)
    try:
        for i in range(5000):
            writer.fact("event", handler=False, i=i)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert seen
    assert writer.dropped == 0, writer.failure
    found = records(spool, "event")
    assert [r["i"] for r in found if not r["handler"]] == list(range(5000))
    assert sum(bool(r["handler"]) for r in found) == len(seen)


def test_two_threads_that_open_at_once_make_one_journal(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    barrier = threading.Barrier(2, timeout=10)
    real = Writer._make

    def make(self: Writer) -> object:
        state = real(self)
        barrier.wait()
        return state

    monkeypatch.setattr(Writer, "_make", make)
    writer = Writer(str(spool))
    threads = [threading.Thread(target=writer.fact, args=("event",), kwargs={"i": i}) for i in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, numbers(spool))) == ["1", "2"]
    assert len(list(spool.glob("*.lock"))) == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_writes_its_own_journal_and_leaves_the_parents_alone(writer: Writer, spool: Path) -> None:
    writer.fact("event", i=0)
    writer.slot({"runs": {"r": {"message": "parent"}}})
    parents = only(spool)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            writer.fact("event", i=1)
            writer.slot({"runs": {"r": {"message": "child"}}})
            code = 0 if writer.journal != parents else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    writer.fact("event", i=2)
    assert [r["i"] for r in records(spool, "event", parents)] == [0, 2]
    (other,) = set(list_journals(str(spool))) - {parents}
    first = records(spool, "writer", other)[0]
    assert (first["role"], first["pid"]) == ("worker", child)
    assert [r["i"] for r in records(spool, "event", other)] == [1]
    assert (read_slot(f"{spool}/{parents}.slot") or {})["runs"]["r"]["message"] == "parent"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_that_records_nothing_holds_no_file_of_ours(writer: Writer, spool: Path) -> None:
    writer.fact("event")
    writer.slot({})
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        targets = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if int(fd) > 60]
        os.write(into, json.dumps([t for t in targets if str(spool) in t]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert json.loads(os.read(out, 65_536)) == []
    os.close(out)
    os.close(into)
    assert writer.fact("event") > 0


def test_a_daemon_that_closes_all_descriptors_goes_on_recording(spool: Path) -> None:
    done = run(
        """
        import os
        from statustui.journal import locks
        from statustui.journal.writer import Writer
        writer = Writer(sys.argv[1])
        writer.fact("event", i=0)
        writer.slot({"runs": {}})
        os.closerange(3, 4096)
        assert writer.fact("event", i=1) > 0, writer.failure
        assert writer.slot({"runs": {"r": {}}})
        print(writer.dropped, locks.holder(writer.path("lock")) == os.getpid())
        print(os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", '''
        import sys; sys.path.insert(0, %r)
        from statustui.journal import locks
        sys.exit(0 if locks.holder(%r) == %d else 9)
        '''.replace("\\n        ", "\\n") % (sys.path[0], writer.path("lock"), os.getpid())]))
        """,
        spool,
    )
    assert done.stdout.split() == ["0", "True", "0"], done.stderr
    assert numbers(spool) == [0, 1]
    assert (read_slot(f"{spool}/{only(spool)}.slot") or {})["runs"] == {"r": {}}


def test_a_descriptor_that_the_program_uses_again_is_not_written_to(writer: Writer, spool: Path, env: Path) -> None:
    writer.fact("event", i=0)
    writer.slot({"runs": {}})
    ours = [fd for fd in map(int, os.listdir("/proc/self/fd")) if _names(fd).startswith(str(spool))]
    assert len(ours) == 3
    assert min(ours) >= 64
    theirs = []
    for fd in ours:
        theirs.append(env / f"precious{fd}")
        opened = os.open(theirs[-1], os.O_RDWR | os.O_CREAT)
        os.dup2(opened, fd)
        os.close(opened)
    writer.fact("event", i=1)
    writer.slot({"runs": {"r": {}}})
    writer.close()
    assert [path.read_bytes() for path in theirs] == [b"", b"", b""]
    for fd in ours:
        os.close(fd)  # still theirs: a close of ours would make this fail
    assert numbers(spool) == [0, 1]


def _names(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def test_without_descriptors_facts_are_counted_until_there_is_one(spool: Path) -> None:
    done = run(
        """
        import os, resource, time
        from statustui.journal.writer import Writer
        import statustui.journal.identity, pwd
        writer = Writer(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
        taken = []
        try:
            while True: taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError: pass
        print(writer.fact("event", i=0), writer.dropped)
        for fd in taken: os.close(fd)
        deadline = time.monotonic() + 5
        while writer.fact("event", i=1) < 0 and time.monotonic() < deadline: time.sleep(0.01)
        """,
        spool,
    )
    assert done.stdout.split() == ["-1", "1"], done.stderr
    assert numbers(spool) == [1]
    (dropped,) = records(spool, "dropped")
    assert int(str(dropped["facts"])) >= 1


def test_counters_survive_every_death_and_belong_to_a_subtask(spool: Path) -> None:
    process = subprocess.Popen(
        program(
            """
            from statustui.journal.writer import Writer
            writer = Writer(sys.argv[1], role="worker")
            view, i = writer.counter("r", 7)
            other, j = writer.counter("r", 8)
            other[j] += 5
            print("go", flush=True)
            while True:
                view[i] += 1
                if view[i] % 1000 == 0: print(view[i], flush=True)
            """,
            spool,
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = 0
    while said < 5000:
        line = process.stdout.readline().strip()
        said = int(line) if line.isdigit() else said
    process.kill()
    rest = process.stdout.read().split()
    process.wait()
    process.stdout.close()
    said = int(rest[-1]) if rest else said
    counters = {r["n"]: r["i"] for r in records(spool, "counter")}
    counts = read_counts(f"{spool}/{only(spool)}.counts")
    assert counts[int(str(counters[8]))] == 5
    assert said <= counts[int(str(counters[7]))] <= said + 1000


def test_counters_lie_on_real_blocks_so_that_a_full_disk_cannot_kill(writer: Writer, spool: Path) -> None:
    writer.counter("r", 1)
    found = (spool / f"{writer.journal}.counts").stat()
    assert found.st_size == 8192
    assert found.st_blocks * 512 >= 8192


def test_kill_9_at_any_moment_loses_no_fact_that_was_acknowledged(spool: Path) -> None:
    """A program tells on a pipe after each fact; what it told is in its journal, at most one line is torn."""
    for cycle in range(20):
        place = spool / str(cycle)
        process = subprocess.Popen(
            program(
                """
                import os
                from statustui.journal.writer import Writer
                writer = Writer(sys.argv[1], segment_bytes=50_000)
                os.set_blocking(1, True)
                for i in range(10**9):
                    if writer.fact("event", i=i, message="x" * (i * 37 % 900)) > 0:
                        os.write(1, i.to_bytes(4, "big"))
                """,
                place,
            ),
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        told = b""
        end = None
        while end is None or time.monotonic() < end:
            if select.select([pipe], [], [], 0.005)[0]:
                told += os.read(pipe, 65_536)
                end = end or time.monotonic() + random.uniform(0.0, 0.06)
        process.kill()
        while part := os.read(pipe, 65_536):
            told += part
        process.wait()
        process.stdout.close()
        acknowledged = len(told) // 4
        found = numbers(place)
        assert found[:acknowledged] == list(range(acknowledged))
        assert len(found) - acknowledged in (0, 1)
        assert len(errors(place)) <= 1


def test_four_processes_write_beside_each_other(spool: Path) -> None:
    code = """
        from statustui.journal.writer import Writer
        writer = Writer(sys.argv[1])
        for i in range(500): writer.fact("event", i=i, message="x" * (i * 31 % 20_000))
        """
    processes = [subprocess.Popen(program(code, spool)) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    for journal in list_journals(str(spool)):
        assert [r["i"] for r in records(spool, "event", journal)] == list(range(500))
    assert len(list_journals(str(spool))) == 4
