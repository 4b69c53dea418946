"""Waiting for the drainer: a writer asks by making ``<journal>.ack``, the drainer writes there how far it has come."""

import os

from statustui.journal.files import open_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from statustui.record.state import Session


def ask(session: "Session") -> str | None:
    """Ask for the acknowledgement of this process's journal; the path to look at, None when nothing was written."""
    path = session.writer.path("ack")
    if path is not None:
        try:
            os.close(open_private(path, os.O_RDWR | os.O_CREAT))
        except OSError:
            return None
    return path


def acknowledged(path: str) -> int:
    """The offset up to which the journal behind *path* has been applied; -1 while that is not known."""
    try:
        fd = open_private(path, os.O_RDONLY)
    except OSError:
        return -1
    try:
        text = os.read(fd, 32).strip()
    finally:
        os.close(fd)
    return int(text) if text.isdigit() else -1
