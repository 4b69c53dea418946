"""Waiting for the drainer: a writer asks by making ``<journal>.ack``, the drainer writes there how far it has come."""

import os

from statustui.journal.files import open_private

SUFFIX = "ack"


def ask(path: str) -> bool:
    """Ask for the acknowledgement of a journal, at the *path* of its ``ack`` file. True when it was asked."""
    try:
        os.close(open_private(path, os.O_RDWR | os.O_CREAT))
    except OSError:
        return False
    return True


def acknowledged(path: str) -> int:
    """The offset after the last record that is in the store; -1 while that is not known."""
    try:
        fd = open_private(path, os.O_RDONLY)
    except OSError:
        return -1
    try:
        text = os.read(fd, 32).strip()
    except OSError:
        return -1
    finally:
        os.close(fd)
    return int(text) if text.isdigit() else -1


def tell(spool: str, journal: str, offset: int) -> None:
    """For the drainer: write how far *journal* is applied, if its writer has asked. Never raises."""
    try:
        fd = open_private(f"{spool}/{journal}.{SUFFIX}", os.O_WRONLY)
    except OSError:
        return  # nobody has asked
    try:
        os.pwrite(fd, f"{offset:020d}\n".encode("ascii"), 0)
    except OSError:
        return
    finally:
        os.close(fd)
