"""Who acts: the person at the keyboard, as the trail names them."""

import os

from statustui.journal.identity import user_name
from statustui.machine import host_name


def actor() -> str:
    """``user@host (pts/3)``; after sudo the person behind it too: ``etl for ana@host``."""
    name = user_name()
    before = os.environ.get("SUDO_USER", "")
    if before and before != name and before.isprintable():
        name = f"{name} for {before[:64]}"
    tty = _terminal()
    return f"{name}@{host_name()}" + (f" ({tty})" if tty else "")


def _terminal() -> str | None:
    for fd in (0, 1, 2):
        try:
            return os.ttyname(fd).removeprefix("/dev/")
        except OSError:
            continue
    return None
