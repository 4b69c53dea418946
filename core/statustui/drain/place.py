"""What a spool directory says about itself: the store that it is for, and whose machine it is on."""

import os
from typing import TYPE_CHECKING, NamedTuple

from statustui.errors import StatustuiError
from statustui.journal.files import open_private
from statustui.journal.identity import user_name
from statustui.machine import boot_id, host_name, machine_id

if TYPE_CHECKING:
    from statustui.store.apply import HostInfo

_URL_LIMIT = 16 << 10


class NoSpool(StatustuiError):
    """The spool directory does not say which store it is for."""


class Place(NamedTuple):
    """One spool directory: ``STATE/spool/<machine>/<namespace>/<store>``."""

    spool: str
    url: str
    """Canonical URL of its store, with the password."""
    state_dir: str
    machine: str
    """``<machine id>-<host>`` of its journals."""

    @property
    def owner(self) -> str:
        """Key of this machine and user in the store."""
        return f"{self.machine}:{user_name()}"


def read_place(spool: str) -> Place:
    """Read what the directory says about itself.

    Raises:
        NoSpool: ``store.url`` is missing or not this user's.
    """
    spool = os.path.abspath(spool)
    try:
        fd = open_private(f"{spool}/store.url", os.O_RDONLY)
    except OSError as error:
        raise NoSpool(f"{spool}: {error.strerror}: not a spool directory") from error
    try:
        url = os.read(fd, _URL_LIMIT).decode("utf-8", "backslashreplace").strip()
    finally:
        os.close(fd)
    if "://" not in url or "\n" in url:
        raise NoSpool(f"{spool}/store.url holds no URL")
    parts = spool.split("/")
    deep = len(parts) > 4 and parts[-4] == "spool"
    state_dir = "/".join(parts[:-4]) if deep else os.path.dirname(spool)
    return Place(spool, url, state_dir, parts[-3] if deep else machine_id())


def host_info(where: Place) -> "HostInfo":
    """What the store keeps of this host and its drainer."""
    from statustui.store.apply import HostInfo

    return HostInfo(
        machine=where.owner,
        host=host_name(),
        user=user_name(),
        boot_id=boot_id(),
        pid=os.getpid(),
        version=own_version(),
    )


def own_version() -> str:
    """Version of the library that runs here."""
    import statustui

    return str(getattr(statustui, "__version__", "0"))
