"""Which file is a run's log: the word of its owner's launch file, and the store's only where nobody else writes it."""

from typing import TYPE_CHECKING

from statustui.errors import StatustuiError
from statustui.journal import launch

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
    if not _own(settings.store_url):
        raise LogDistrusted(f"only the shared store names the log of {run.id}, so it is not opened: {run.log_path}")
    return run.log_path


def _own(url: str) -> bool:
    """True for an SQLite file that nobody but this user (and root) can have written to."""
    if not url.startswith("sqlite:///"):
        return False
    from statustui.store import files

    return files.private(url.removeprefix("sqlite:///"))
