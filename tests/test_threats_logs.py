"""A log is a regular file of one's own that the run's launch file names; no row of a store opens anything else."""

import dataclasses
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from statustui import config
from statustui.cli.logfile import last_lines, open_log
from statustui.cli.session import Stop
from statustui.control import tail
from statustui.control.logs import LogDistrusted, log_path
from statustui.journal import launch
from statustui.machine import host_name
from statustui.model.run import Run
from statustui.store.open import open_store
from statustui_tui.widgets.log_source import LogFile, LogRefused
from support.histories import run as a_run
from support.users import NOBODY, only_root


@pytest.fixture
def run(env: Path) -> Run:
    """A run of this host whose row names a log of this user; its store is this user's alone."""
    log = env / "job.log"
    log.write_text("a line\n")
    open_store(config.load().store_url).close()
    return a_run(host=host_name(), log_path=str(log))


def shared(env: Path) -> None:
    Path(config.load().store_url.removeprefix("sqlite:///")).chmod(0o660)


def test_the_path_in_a_shared_store_is_nobodys_word(env: Path, run: Run, state_dir: Path) -> None:
    settings = config.load()
    assert log_path(run, settings) == run.log_path
    shared(env)
    with pytest.raises(LogDistrusted, match="shared store"):
        log_path(run, settings)
    with pytest.raises(Stop, match="shared store"):
        open_log(run, settings)
    launch.write(str(state_dir), run.run_id, argv=["job"], cwd="/", log_path=run.log_path)
    forged = dataclasses.replace(run, log_path=str(env / "s" / "secret"))
    assert log_path(forged, settings) == run.log_path, "the launch file wins"
    log = open_log(forged, settings)
    assert last_lines(log, 5) == [b"a line"]
    os.close(log.fd)


def test_a_path_in_postgresql_is_nobodys_word(run: Run) -> None:
    with pytest.raises(LogDistrusted):
        log_path(run, config.Settings("postgresql+psycopg://db/x"))


def fifo(path: Path) -> None:
    os.mkfifo(path)


def linked(path: Path) -> None:
    secret = path.with_name("secret")
    secret.write_text("secret")
    path.symlink_to(secret)


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def foreign(path: Path) -> None:
    path.write_text("x")
    shutil.chown(path, NOBODY)


def node(path: Path) -> None:
    os.mknod(path, 0o020600, os.makedev(1, 5))  # as /dev/zero


@pytest.mark.parametrize(
    "make",
    [fifo, linked, bound, Path.mkdir, pytest.param(foreign, marks=only_root), pytest.param(node, marks=only_root)],
)
def test_what_is_no_own_regular_file_is_not_opened(env: Path, run: Run, make: Callable[[Path], None]) -> None:
    path = env / "log"
    try:
        make(path)
    except PermissionError:
        pytest.skip("device nodes can not be made here")
    with pytest.raises(Stop) as caught:
        open_log(dataclasses.replace(run, log_path=str(path)), config.load())
    assert "\n" not in str(caught.value)
    with pytest.raises(LogRefused):
        LogFile(str(path))


@pytest.mark.parametrize(
    "path",
    [
        "/proc/self/environ",
        "/proc/kmsg",
        "/proc/1/mem",
        "/dev/zero",
        "/dev/tty",
        "/sys/kernel/notes",
        "/tmp/../proc/self/environ",
        "/./proc//self/environ",
        "/var/run/../../proc/self/cmdline",
        "relative.log",
        "../job.log",
        "",
        "/nowhere/at/all",
        "/dev/stdin",
    ],
)
def test_places_that_hold_no_logs(run: Run, path: str, env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(env)
    (env / "relative.log").write_text("x")
    with pytest.raises(Stop):
        open_log(dataclasses.replace(run, log_path=path), config.load())
    if path.startswith("/"):
        with pytest.raises(LogRefused):
            LogFile(path)


def test_a_directory_link_into_proc_is_seen_through(env: Path, run: Run) -> None:
    (env / "way").symlink_to("/proc/self")
    path = str(env / "way" / "environ")
    with pytest.raises(Stop, match="not a log file"):
        open_log(dataclasses.replace(run, log_path=path), config.load())
    with pytest.raises(LogRefused, match="not a log file"):
        LogFile(path)


def test_an_inode_of_the_store_names_no_other_file(env: Path, run: Run) -> None:
    secret = env / "pgpass"
    secret.write_text("db:5432:*:etl:hunter2\n")
    inode = secret.stat().st_ino
    with pytest.raises(Stop, match="rotated away"):
        open_log(dataclasses.replace(run, log_inode=inode), config.load())
    file = LogFile(str(run.log_path), inode=inode)
    assert b"hunter2" not in file.read(0, 1000)
    file.close()


def test_a_sparse_terabyte_is_read_from_its_end(env: Path, run: Run) -> None:
    path = Path(str(run.log_path))
    os.truncate(path, 1 << 40)
    with path.open("ab") as file:
        file.write(b"\nthe end\n")
    log = open_log(run, config.load())
    assert last_lines(log, 1) == [b"the end"]
    os.close(log.fd)
    shown = LogFile(str(path))
    assert shown.read(shown.line_start(shown.size - 2), 100) == b"the end\n"
    shown.close()


def test_the_last_lines_are_those_of_the_run_s_own_file(tmp_path: Path) -> None:
    log, secret = tmp_path / "run.log", tmp_path / "secret"
    log.write_text("own line\n")
    secret.write_text("not yours\n")
    own = log.stat().st_ino
    assert tail.last_lines(str(log), 0, inode=own) == ["own line"]
    log.unlink()
    log.symlink_to(secret)
    assert tail.last_lines(str(log), 0, inode=own) == []
