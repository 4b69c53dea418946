"""A launch file is believed only when nobody else could have written it."""

import json
import os
import stat
from pathlib import Path

import pytest

from statustui.journal import launch
from statustui.journal.launch import LaunchError

RUN = "01900000-0000-7000-8000-000000000000"
FIELDS: dict[str, object] = {
    "task": "DAILY_01",
    "argv": ["/usr/bin/python3", "load.py", "--state", "D\udcffE", ""],
    "cwd": "/srv/etl",
    "exe": "/usr/bin/python3",
    "env": {"TZ": "UTC"},
    "grace": 10,
    "wrapped": True,
    "options": {"log": None},
    "store": None,
}


@pytest.fixture
def path(state_dir: Path) -> Path:
    return Path(launch.write(str(state_dir), RUN, **FIELDS))


def test_what_was_written_is_read(state_dir: Path, path: Path) -> None:
    record = launch.read(str(state_dir), RUN)
    assert {key: record[key] for key in FIELDS} == FIELDS
    assert (record["v"], record["run_id"], record["uid"]) == (1, RUN, os.geteuid())
    assert os.fsencode(record["argv"][3]) == b"D\xffE"
    launch.write(str(state_dir), RUN, **{**FIELDS, "task": "again"})
    assert launch.read(str(state_dir), RUN)["task"] == "again"
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("mask", [0o000, 0o777])
def test_it_is_private_whatever_the_umask(state_dir: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        path = Path(launch.write(str(state_dir / "new"), RUN, **FIELDS))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("run_id", ["../../etc/passwd", "", "a/b", ".hidden", "x" * 200, "a\0b"])
def test_an_id_that_is_a_path_is_refused(state_dir: Path, run_id: str) -> None:
    with pytest.raises(LaunchError, match="not a run id"):
        launch.read(str(state_dir), run_id)
    with pytest.raises(LaunchError, match="not a run id"):
        launch.write(str(state_dir), run_id, **FIELDS)


def test_a_run_of_another_host_has_none(state_dir: Path) -> None:
    with pytest.raises(LaunchError, match="no launch file for this run on this host"):
        launch.read(str(state_dir), RUN)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"argv": "rm -rf /"}, "argv is not a list of texts"),
        ({"argv": []}, "argv is not a list of texts"),
        ({"argv": ["a", 1]}, "argv is not a list of texts"),
        ({"argv": ["a\0b"]}, "argv is not a list of texts"),
        ({"env": {"A": 1}}, "env is not a table of texts"),
        ({"env": {"A=B": "x"}}, "env is not a table of texts"),
        ({"env": {"": "x"}}, "env is not a table of texts"),
        ({"env": ["A"]}, "env is not a table of texts"),
        ({"cwd": 7}, "cwd is not a text"),
        ({"grace": "10"}, "grace is not a number of seconds"),
        ({"grace": True}, "grace is not a number of seconds"),
        ({"wrapped": "yes"}, "wrapped is neither true nor false"),
        ({"options": [1]}, "options is not a table"),
        ({"v": 2}, "launch file of version 2, this program knows 1"),
        ({"run_id": "other"}, "launch file of another run"),
        ({"uid": 4242}, "launch file of another user"),
    ],
)
def test_a_field_of_the_wrong_kind_is_refused(
    state_dir: Path, path: Path, change: dict[str, object], reason: str
) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(LaunchError) as caught:
        launch.read(str(state_dir), RUN)
    assert str(caught.value) == f"{path}: {reason}"
    if not change.keys() & {"v", "run_id", "uid"}:
        with pytest.raises(LaunchError, match=reason):
            launch.write(str(state_dir), RUN, **{**FIELDS, **change})


@pytest.mark.parametrize(
    ("text", "reason"), [("", "not JSON"), ("[]", "not a JSON object"), ("[" * 99_999, "not JSON")]
)
def test_a_file_that_is_no_object_is_refused(state_dir: Path, path: Path, text: str, reason: str) -> None:
    path.write_text(text)
    with pytest.raises(LaunchError, match=reason):
        launch.read(str(state_dir), RUN)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
def test_a_file_that_others_may_touch_is_refused(state_dir: Path, path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(LaunchError, match="others may read or change it"):
        launch.read(str(state_dir), RUN)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_file_of_another_user_is_refused(state_dir: Path, path: Path) -> None:
    os.chown(path, 4242, 4242)
    with pytest.raises(LaunchError, match="belongs to another user"):
        launch.read(str(state_dir), RUN)


def test_links_and_pipes_are_refused(state_dir: Path, path: Path, env: Path) -> None:
    os.link(path, env / "second name")
    with pytest.raises(LaunchError, match="has 2 names"):
        launch.read(str(state_dir), RUN)
    path.unlink()
    path.symlink_to(env / "second name")
    with pytest.raises(LaunchError, match="Too many levels"):
        launch.read(str(state_dir), RUN)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(LaunchError, match="not a regular file"):
        launch.read(str(state_dir), RUN)


def test_a_file_without_end_is_refused(state_dir: Path, path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(LaunchError, match="larger than"):
        launch.read(str(state_dir), RUN)
