"""What a program may leave behind by mistake or on purpose: the drainer lives, stays small, and ends nobody else."""

import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from statustui import config
from statustui.drain.cancel import Cancel
from statustui.drain.lookout import Lookout
from statustui.drain.open_steps import OpenSteps
from statustui.drain.runs import OpenRun, Registry
from statustui.drain.sampling import Sampling
from statustui.drain.tail import Tails
from statustui.journal.files import open_private, prepare_spool
from statustui.machine import boot_id, host_name, machine_id, pid_namespace
from statustui.model.ids import new_id
from statustui.model.status import RunStatus
from statustui.process import identity
from statustui.process.pidfd import Handle
from statustui.store import reads
from statustui.store.open import open_store
from support.users import NOBODY, only_root

GONE = 4_194_303
MOST_MB = 150


@pytest.fixture
def spool(env: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty spool directory; no drainer starts by itself."""
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")
    settings = config.load(start="/")
    spool = config.spool_dir(settings)
    prepare_spool(spool, settings.store_url)
    return spool


def line(kind: str, run: str = "run-1", **fields: Any) -> bytes:
    return b"\n" + json.dumps({"k": kind, "t": time.time(), "m": 2.0, "run": run, **fields}).encode()


def journal(spool: str, body: Callable[[BinaryIO], object], **writer: Any) -> str:
    """A journal of a program that is gone."""
    name = new_id()
    about = {
        "k": "writer", "t": time.time(), "m": 1.0, "v": 1, "journal": name, "pid": GONE, "start": 5, "boot": boot_id(),
        "ns": pid_namespace(), "machine": machine_id(), "host": host_name(), "user": "etl", "uid": os.geteuid(),
        "version": "0.1.0", "lang": "python", "role": "program", **writer,
    }  # fmt: skip
    fd = open_private(f"{spool}/{name}.0.jsonl", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with os.fdopen(fd, "wb") as file:
        file.write(b"\n" + json.dumps(about).encode() + line("run.start", task="t"))
        body(file)
        file.write(line("run.end", status="finished") + b'\n{"k":"close","t":1.0,"m":3.0}')
    return name


def drained(spool: str, timeout: float = 60) -> int:
    """Let a drainer bring everything in; its largest memory in MB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    process = subprocess.Popen(
        [sys.executable, "-m", "statustui.drain", spool], env={**os.environ, "STATUSTUI_DRAINER_LINGER": "0.2"}
    )
    most = 0
    deadline = time.monotonic() + timeout
    try:
        while process.poll() is None:
            assert time.monotonic() < deadline, "it is still at it"
            for text in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if text.startswith("VmHWM:"):
                    most = max(most, int(text.split()[1]) // 1024)
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, before
    return most


def ended_well() -> bool:
    with open_store(config.load().store_url, create=False, read_only=True) as store:
        return [run.status for run in reads.find(store, "t")] == [RunStatus.FINISHED]


def repeated(line: bytes, number: int) -> Callable[[BinaryIO], object]:
    return lambda file: file.write(line * number)


def each(number: int, make: Callable[[int], bytes]) -> Callable[[BinaryIO], object]:
    return lambda file: file.writelines(make(i) for i in range(number))


def sparse(file: BinaryIO) -> None:
    file.write(b"\n")
    file.seek(300 << 20)


BODIES: dict[str, Callable[[BinaryIO], object]] = {
    "tiny lines": repeated(b"\n1", 100_000),
    "empty lines": repeated(b"\n", 5_000_000),
    "a hole": sparse,
    "a line of 20 MB": repeated(b"\n{" + b"x" * 20_000_000, 1),
    "deep lists": repeated(b'\n{"k":"run.info","run":"run-1","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 50),
    "deep objects": repeated(b'\n{"k":"run.info","run":"run-1","params":' + b'{"a":' * 900 + b"1" + b"}" * 901, 500),
    "many metrics": each(15_000, lambda i: line("metric", name=f"m{i}", value="v" * 50)),
    "long metrics": each(600, lambda i: line("metric", name=f"m{i}", value="v" * 60_000)),
    "inner counters": each(150, lambda i: line("sub.info", n=1, inner={f"k{i}_{n}": n for n in range(1000)})),
    "parameters": each(100, lambda i: line("run.info", params={f"p{i}_{n}": "v" * 50 for n in range(2000)})),
    "counters": each(20_000, lambda i: line("counter", i=i, n=i)),
    "long names": each(100, lambda i: line("run.start", f"r{i}", task="T" * 250_000)),
    "numbers": each(50, lambda i: b'\n{"k":"metric","run":"run-1","name":"n%d","value":%s}' % (i, b"9" * 5000)),
}  # fmt: skip


@pytest.mark.parametrize("what", BODIES)
def test_a_monstrous_journal_is_taken_in_and_leaves_the_drainer_small(spool: str, what: str) -> None:
    name = journal(spool, BODIES[what])
    most = drained(spool)
    assert most <= MOST_MB, f"{most} MB"
    assert ended_well(), name


def test_a_monstrous_slot_is_passed_over(spool: str) -> None:
    name = journal(spool, lambda file: None)
    payloads = (
        b'{"off":0,"runs":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        json.dumps({"off": 0, "runs": {"run-1": {"metrics": {f"m{i}": i for i in range(3500)}}}}).encode(),
    )
    fd = open_private(f"{spool}/{name}.slot", os.O_RDWR | os.O_CREAT)
    for sequence, data in enumerate(payloads, 1):
        crc = zlib.crc32(data, zlib.crc32(struct.pack("<QI", sequence, len(data))))
        os.pwrite(fd, struct.pack("<4sQII", b"SSL1", sequence, len(data), crc) + data, 65_536 * (sequence % 2))
    os.close(fd)
    assert drained(spool) <= MOST_MB
    assert ended_well()


def planted(spool: str, kind: str, name: str) -> None:
    path = Path(spool) / name
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "directory":
        path.mkdir()
    else:
        path.write_bytes(b'\n{"k":"writer","v":1,"journal":"x"}' + line("run.start", "evil", task="evil"))
        path.chmod(0o666)
        shutil.chown(path, NOBODY)


@pytest.mark.parametrize("kind", ["fifo", "link", "directory", pytest.param("foreign", marks=only_root)])
def test_what_is_no_own_file_in_the_spool_is_passed_over(spool: str, kind: str) -> None:
    other = new_id()
    for name in (f"{other}.0.jsonl", f"{other}.slot", f"{other}.counts", f"{other}.lock", f"{other}.stack", "wake"):
        planted(spool, kind, name)
    journal(spool, lambda file: None)
    drained(spool)
    assert ended_well()
    with open_store(config.load().store_url, create=False, read_only=True) as store:
        assert reads.find(store, "evil") == []


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("pid", [0, -1, 1, GONE])
def test_no_hold_on_groups_and_on_the_first_process(pid: int) -> None:
    assert Handle.open(pid, None) is None


def test_a_pid_that_is_somebody_elses_by_now_is_not_held(sleeper: "subprocess.Popen[bytes]") -> None:
    start = identity.start_tick(sleeper.pid)
    assert start is not None
    assert Handle.open(sleeper.pid, start - 1) is None
    with subprocess.Popen(["true"]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        assert Handle.open(zombie.pid, identity.start_tick(zombie.pid)) is None


@pytest.mark.parametrize(
    "lie",
    [
        {"start": None},
        {"start": 1},
        {"boot": "another-boot"},
        {"ns": 77},
        {"pid": 1},
        {"pid": -1},
        {"pid": 0},
        {"pid": True},
        {"pid": "self"},
        {"pid": 2**63},
    ],
)
def test_a_writer_that_is_not_proven_is_nobody_to_signal(
    spool: str, sleeper: "subprocess.Popen[bytes]", lie: dict[str, Any]
) -> None:
    about = {"pid": sleeper.pid, "start": identity.start_tick(sleeper.pid), **lie}
    name = journal(spool, lambda file: None, **about)
    tails, registry = Tails(spool), Registry()
    tails.adopt(tails.scan(), {})
    (tail,) = tails
    lookout = Lookout(spool, tails, registry, Sampling(), OpenSteps())
    tail.news(1 << 20)
    registry.runs["run-1"] = run = OpenRun("run-1", speakers={name})
    lookout.attend()
    assert lookout.handle_of(run) is None
    lookout.close()


@pytest.mark.parametrize("pgid", [1, 0, -1, os.getpgrp()])
def test_no_group_but_that_of_the_run_is_signalled(sleeper: "subprocess.Popen[bytes]", pgid: int) -> None:
    start = identity.start_tick(sleeper.pid)
    handle = Handle.open(sleeper.pid, start)
    assert handle is not None
    cancel = Cancel(handle, pgid, 5)
    assert cancel._pgid is None
    cancel.begin()
    assert sleeper.wait(5) == -signal.SIGTERM
    cancel.close()
    handle.close()
