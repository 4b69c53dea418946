"""Terminals: raw mode, foreground, window size, pseudo-terminals."""

import errno
import fcntl
import os
import signal
import sys
import termios

_SIZE = 8  # bytes of struct winsize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Attributes = list[Any]


def attributes(fd: int) -> "Attributes | None":
    """The terminal's settings; None where it is gone or none."""
    try:
        return termios.tcgetattr(fd)
    except (termios.error, OSError):
        return None


def restore(fd: int, saved: "Attributes | None") -> None:
    """Put settings back. A terminal that is gone is left alone; we may be in its background."""
    if saved is None or fd < 0:
        return
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
    try:
        termios.tcsetattr(fd, termios.TCSADRAIN, saved)
    except (termios.error, OSError):
        return
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def raw(saved: "Attributes") -> "Attributes":
    """Settings that pass every byte in both directions unchanged."""
    made: Attributes = [entry if not isinstance(entry, list) else list(entry) for entry in saved]
    made[0] &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR | termios.IGNCR
        | termios.ICRNL | termios.IXON | termios.INPCK
    )  # fmt: skip
    made[1] &= ~termios.OPOST
    made[2] = made[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    made[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    made[6][termios.VMIN] = 1
    made[6][termios.VTIME] = 0
    return made


def size(fd: int) -> bytes | None:
    """The window's size as the kernel has it; None where there is none."""
    try:
        return fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(_SIZE))
    except OSError:
        return None


def set_size(fd: int, winsize: bytes | None) -> None:
    """Set a pseudo-terminal's size; the kernel tells its foreground group where it is a controlling terminal."""
    if winsize is not None and fd >= 0:
        try:
            fcntl.ioctl(fd, termios.TIOCSWINSZ, winsize)
        except OSError:
            return


def foreground_group(fd: int) -> int | None:
    """The group that has the terminal; None where it is not our controlling one."""
    try:
        return os.tcgetpgrp(fd)
    except OSError:
        return None


def give(fd: int, group: int) -> bool:
    """Make *group* the foreground of a terminal, from its background too. False where that is not possible."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
    try:
        os.tcsetpgrp(fd, group)
    except OSError:
        return False
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return True


def open_pty(like: int | None, *, keyboard: bool, copy: bool = True) -> tuple[int, int]:
    """Make a pseudo-terminal with the settings and size of terminal *like*.

    Args:
        like: descriptor of the terminal to copy; None = none, then 80×24.
        copy: take over its settings; else only its size.
        keyboard: True when it is the command's whole terminal. Else only output goes through it, and is left unchanged
            because the outer terminal ends the lines in its own way.

    Returns:
        (master, slave), neither inherited by an exec.

    Raises:
        OSError: the system has no pseudo-terminals left.
    """
    master, slave = os.openpty()
    settings = attributes(like) if like is not None and copy else None
    if settings is None:
        settings = termios.tcgetattr(slave)
    if not keyboard:
        settings[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, settings)
    winsize = size(like) if like is not None else None
    if winsize is None or winsize[:4] == b"\0\0\0\0":
        winsize = (24).to_bytes(2, sys.byteorder) + (80).to_bytes(2, sys.byteorder) + bytes(4)
    set_size(slave, winsize)
    os.set_blocking(master, False)
    return master, slave


def reopen(fd: int) -> int:
    """A descriptor of the same pipe or terminal that does not block, without touching the flags of the shared one.

    Where the system refuses (a socket, another user's pipe) a plain copy, which may block.
    """
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)


def is_orphaned() -> bool:
    """Is nobody there who could continue our group if it stopped? Then no key of a terminal stops it."""
    try:
        return os.getsid(os.getppid()) != os.getsid(0)
    except OSError:
        return True


def become_session_leader(slave: int) -> None:
    """Begin a session with *slave* as its controlling terminal."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
