"""Logs that were made to hang, to confuse or to crash whoever imports them."""

import os
import shutil
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from statustui.imports.logfiles import LogFile, find, task_of
from statustui.imports.logruns import LogRun, runs_of
from statustui.imports.logs import LogImporter, Means, ToldFile, look_at
from statustui.imports.logtimes import Zone
from statustui.model.status import RunStatus
from statustui.store import reads
from statustui.store.open import Store
from statustui.store.selector import Selector

OLD = datetime(2026, 3, 2, 4, 5, 6, tzinfo=UTC).timestamp()


def write(path: Path, text: str | bytes, at: float = OLD) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    os.utime(path, (at, at))
    return path


def bring(store: Store | None, top: Path) -> list[ToldFile]:
    importer = LogImporter(store, Means(zone=UTC))
    told: list[ToldFile] = []
    look_at(importer, find(str(top)), told.append, threading.Event())
    importer.finish()
    return told


def understood(path: Path) -> list[LogRun]:
    with LogFile(str(path)) as file:
        return runs_of(file, Zone(local=UTC, written=file.written), kind=task_of(str(path))[1])


@pytest.mark.parametrize(
    "text",
    [
        b".\n" + b"." * 4_000_000 + b"\n",
        b'R version 4.1.1 (x) -- "x"\n> proc.time()\n' + b"\n" * 200_000 + b"x\n",
        b"start\n" + b"\"'" * 100_000 + b"\n" + b"done " * 100_000,
        b"start\n" + b"\x1b]" * 100_000 + b"\n" + (b"\x1b[" + b"1;" * 4_000 + b"\n") * 100,
    ],
)
def test_no_log_takes_longer_than_its_size(text: bytes, tmp_path: Path) -> None:
    began = time.thread_time()
    assert len(understood(write(tmp_path / "x.Rout", text))) == 1
    assert time.thread_time() - began < 10  # it was minutes, and nothing could end it


@pytest.mark.parametrize("figure", ["1.2.3", ".", "1" * 400])
def test_a_figure_that_is_none_proves_no_end(figure: str, tmp_path: Path) -> None:
    text = f'R version 4.1.1 (x) -- "x"\n> proc.time()\n   user  system elapsed \n  0.1   0.1   {figure} \n'
    assert understood(write(tmp_path / "x.Rout", text))[0].ending.status is RunStatus.LOST


@pytest.mark.parametrize("at", [-1e11, -1.0, 0.0, 4e9, 1e12])
def test_a_file_of_another_age_is_no_crash(at: float, store: Store, tmp_path: Path) -> None:
    if os.access("/dev/shm", os.W_OK):  # it keeps times that disks do not
        tmp_path = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        _of_age(at, store, tmp_path)
    finally:
        shutil.rmtree(tmp_path)


def _of_age(at: float, store: Store, tmp_path: Path) -> None:
    write(tmp_path / "x.log", "[23:59:00] begin\nFeb 29 10:00:00 host x\n[10:00:00] done\n", at)
    write(tmp_path / "y.log", "no time at all\n", at)
    assert len(bring(store, tmp_path)) == 2
    assert reads.runs(store, Selector(), limit=10) is not None
