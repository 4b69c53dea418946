"""Launch files: how a run was started, kept by its user on its host and never in the store. Retry starts from here."""

from __future__ import annotations

import json
import os
import re
import stat

from statustui.errors import StatustuiError
from statustui.journal.files import make_private_dirs, replace_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1
"""Version of the launch file."""
MAX_BYTES = 8 << 20
"""Size of the largest launch file that is read."""

_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
_TEXTS = ("task", "cwd", "exe", "env_file", "log_path", "stage", "store", "host")


class LaunchError(StatustuiError):
    """How this run was started is not known here, so it cannot be started again."""


def path_of(state_dir: str, run_id: str) -> str:
    """Path of the launch file of a run.

    Raises:
        LaunchError: that is no run id.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise LaunchError(f"not a run id: {run_id[:40]!r}")
    return f"{state_dir}/launch/{run_id}.json"


def write(state_dir: str, run_id: str, **fields: Any) -> str:
    """Keep how a run is started; returns the path.

    Args:
        state_dir: state directory of the user on this host.
        run_id: id of the run.
        fields: those of FORMAT.md; None stands for unknown. Bytes that are no UTF-8 stay as Python has them.

    Raises:
        LaunchError: a field has the wrong type, or that is no run id.
        OSError: it cannot be written.
    """
    path = path_of(state_dir, run_id)
    record = {"v": VERSION, "run_id": run_id, "uid": os.geteuid(), **fields}
    _check(record, run_id)
    _through_front_end(record)
    make_private_dirs(os.path.dirname(path), state_dir)
    replace_private(path, json.dumps(record, ensure_ascii=True, allow_nan=False).encode("ascii"))
    return path


def _through_front_end(record: dict[str, Any]) -> None:
    """R's own binary runs only as its front end starts it, with R_HOME and more set: repeat that one."""
    exe = record.get("exe")
    if exe and exe.endswith("/bin/exec/R"):
        front = exe.removesuffix("exec/R") + "R"
        if os.access(front, os.X_OK):
            record["exe"], record["argv"] = front, [front, *record["argv"][1:]]


def read(state_dir: str, run_id: str) -> dict[str, Any]:
    """How a run was started.

    Raises:
        LaunchError: there is no launch file that this user may trust; the message is one line.
    """
    path = path_of(state_dir, run_id)
    try:
        # O_NOFOLLOW and O_NONBLOCK: neither a symbolic link nor a pipe may stand in its place.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError as error:
        raise LaunchError(f"no launch file for this run on this host ({path})") from error
    except OSError as error:
        raise LaunchError(f"{path}: {error.strerror}") from error
    try:
        _check_file(os.fstat(fd), path)
        data = _read_all(fd)
    except OSError as error:
        raise LaunchError(f"{path}: {error.strerror}") from error
    finally:
        os.close(fd)
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise LaunchError(f"{path}: not JSON") from error
    if not isinstance(record, dict):
        raise LaunchError(f"{path}: not a JSON object")
    try:
        _check(record, run_id)
    except LaunchError as error:
        raise LaunchError(f"{path}: {error}") from error
    return record


def _check_file(found: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise LaunchError(f"{path}: not a regular file")
    if found.st_uid != os.geteuid():
        raise LaunchError(f"{path}: belongs to another user")
    if found.st_mode & 0o077:
        raise LaunchError(f"{path}: others may read or change it (mode {stat.S_IMODE(found.st_mode):04o})")
    if found.st_nlink != 1:
        raise LaunchError(f"{path}: has {found.st_nlink} names")
    if found.st_size > MAX_BYTES:
        raise LaunchError(f"{path}: larger than {MAX_BYTES} bytes")


def _read_all(fd: int) -> bytes:
    parts = []
    size = 0
    while size <= MAX_BYTES and (part := os.read(fd, 1 << 20)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)[: MAX_BYTES + 1]


def _check(record: dict[str, Any], run_id: str) -> None:
    if record.get("v") != VERSION or type(record.get("v")) is not int:
        raise LaunchError(f"launch file of version {record.get('v')!r:.20}, this program knows {VERSION}")
    if record.get("run_id") != run_id:
        raise LaunchError("launch file of another run")
    if record.get("uid") != os.geteuid():
        raise LaunchError("launch file of another user")
    argv = record.get("argv")
    if not isinstance(argv, list) or not argv or not all(_is_argument(word) for word in argv):
        raise LaunchError("argv is not a list of texts")
    for name in _TEXTS:
        if record.get(name) is not None and not _is_argument(record[name]):
            raise LaunchError(f"{name} is not a text")
    env = record.get("env")
    if env is not None and not (
        isinstance(env, dict) and all(_is_variable(name) and _is_argument(value) for name, value in env.items())
    ):
        raise LaunchError("env is not a table of texts")
    grace = record.get("grace")
    if grace is not None and (type(grace) not in (int, float) or not 0 <= grace < 1e9):
        raise LaunchError("grace is not a number of seconds")
    if not isinstance(record.get("wrapped", False), bool):
        raise LaunchError("wrapped is neither true nor false")
    if not isinstance(record.get("options") or {}, dict):
        raise LaunchError("options is not a table")


def _is_argument(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_variable(name: object) -> bool:
    return _is_argument(name) and name != "" and "=" not in str(name)
