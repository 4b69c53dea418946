"""Which file is a run's log: the word of its owner's launch file, and the store's only where nobody else writes it.

Of an imported log there is no launch file; that its directory was imported from stands in the user's own state.
"""

import os
from typing import TYPE_CHECKING

from statustui.errors import StatustuiError
from statustui.journal import launch
from statustui.journal.files import make_private_dirs, open_private, replace_private

_IMPORTED = "imported-from"
_LIMIT = 1 << 20

if TYPE_CHECKING:
    from statustui.config import Settings
    from statustui.model.run import Run


class LogDistrusted(StatustuiError):
    """Only a store that others can write to names this log: it could name any file of the reader's."""


def log_path(run: "Run", settings: "Settings") -> str | None:
    """Path of the log of a run; None when none is known.

    Raises:
        LogDistrusted: the path is the word of a store that others can write to.
    """
    try:
        found = launch.read(settings.state_dir, run.run_id).get("log_path")
    except launch.LaunchError:
        found = None
    if isinstance(found, str) and found:
        return found
    if not run.log_path:
        return None
    if not _own(settings.store_url) and not _imported(settings, run.log_path):
        raise LogDistrusted(f"only the shared store names the log of {run.id}, so it is not opened: {run.log_path}")
    return run.log_path


def trust(settings: "Settings", directory: str) -> None:
    """Remember that this user imports logs from a directory: what the store names below it may be opened.

    Raises:
        OSError: it can not be noted.
    """
    there = _directories(settings)
    real = os.path.realpath(directory)
    if real not in there and "\n" not in real:
        make_private_dirs(settings.state_dir)
        text = "".join(f"{path}\n" for path in [*there, real])
        replace_private(f"{settings.state_dir}/{_IMPORTED}", text.encode("utf-8", "surrogateescape"))


def _imported(settings: "Settings", path: str) -> bool:
    real = os.path.realpath(path)
    return any(real.startswith(directory.rstrip("/") + "/") for directory in _directories(settings))


def _directories(settings: "Settings") -> list[str]:
    try:
        fd = open_private(f"{settings.state_dir}/{_IMPORTED}", os.O_RDONLY)
    except OSError:
        return []
    try:
        return os.read(fd, _LIMIT).decode("utf-8", "surrogateescape").splitlines()
    finally:
        os.close(fd)


def _own(url: str) -> bool:
    """True for an SQLite file that nobody but this user (and root) can have written to."""
    if not url.startswith("sqlite:///"):
        return False
    from statustui.store import files

    return files.private(url.removeprefix("sqlite:///"))
