"""What lies around the monitor: the version that is installed by now, and other stores of this user."""

from typing import TYPE_CHECKING

from statustui.model.times import utc_now

if TYPE_CHECKING:
    from statustui.config import Settings


def versions() -> tuple[str, str]:
    """The version that is installed now, and the one that runs."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = version("statustui")
    except PackageNotFoundError:
        return RUNNING, RUNNING
    return installed, RUNNING or installed


def _running_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("statustui")
    except PackageNotFoundError:
        return ""


RUNNING = _running_version()


def other_stores(settings: "Settings") -> tuple[tuple[str, int], ...]:
    """Other stores that this user has used, each with the number of its runs; unreadable ones are left out."""
    from statustui import config
    from statustui.errors import StatustuiError
    from statustui.store import reads
    from statustui.store.open import open_store

    found = []
    for url in config.known_stores():
        if url == settings.store_url:
            continue
        try:
            with open_store(url, create=False, read_only=True, timeout=1.0) as store:
                runs = reads.snapshot(store, since=utc_now()).total_runs
        except StatustuiError:
            continue
        if runs:
            found.append((config.display_url(url), runs))
    return tuple(found)
