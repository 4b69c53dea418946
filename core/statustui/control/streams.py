"""Where the command's stdout and stderr go, decided from what ours are.

A regular file is inherited untouched and is the log. A terminal becomes a pseudo-terminal, so that the program still
sees one. A pipe or socket is copied through a pipe. Anything else, such as /dev/null, is inherited.
"""

import errno
import os
import stat

from statustui.control.options import Options

CLOSED, FILE, TERMINAL, PIPE, DEVICE = "closed", "file", "terminal", "pipe", "device"


class End:
    """What one of our descriptors 0, 1, 2 is."""

    __slots__ = ("fd", "identity", "kind", "path", "position")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.path: str | None = None
        """Path of a regular file, where the system tells."""
        self.position = 0
        """Where the next byte goes in a regular file."""
        self.identity: tuple[int, ...] = (fd,)
        """Equal for two descriptors of one file, pipe or terminal."""
        try:
            found = os.fstat(fd)
        except OSError:
            self.kind = CLOSED
            return
        self.identity = (found.st_dev, found.st_ino)
        if stat.S_ISREG(found.st_mode):
            self.kind = FILE
            self.path = _path_of(self)
            self.position = _position(fd)
        elif stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode):
            self.kind = PIPE
        elif stat.S_ISCHR(found.st_mode) and os.isatty(fd):
            self.kind = TERMINAL
        else:
            self.kind = DEVICE


class Route:
    """One way that output takes through us: what the command writes to, what we read, where it goes."""

    __slots__ = ("fds", "pty", "read", "sink", "write")

    def __init__(self, sink: int, pty: bool) -> None:
        self.sink = sink
        """Our descriptor that the bytes go to: 1 or 2."""
        self.pty = pty
        """True: a pseudo-terminal; False: a pipe."""
        self.fds = [sink]
        """Descriptors of the command that write into it."""
        self.read = -1
        self.write = -1


class Plan:
    """What the command gets, and what we copy."""

    __slots__ = ("ends", "routes", "session")

    def __init__(self, ends: tuple[End, End, End], routes: list[Route]) -> None:
        self.ends = ends
        self.routes = routes
        main = next((route for route in routes if 1 in route.fds and route.pty), None)
        self.session = (
            main is not None and ends[0].kind == ends[1].kind == TERMINAL and ends[0].identity == ends[1].identity
        )
        """True: the command gets a session of its own on a pseudo-terminal, for its keyboard too."""


def decide(options: Options) -> Plan:
    """Look at our descriptors and decide. Closed ones are held shut, so that no file of ours takes their number."""
    ends = (End(0), End(1), End(2))
    for end in ends:
        if end.kind == CLOSED:
            _occupy(end.fd)
    routes: list[Route] = []
    for end in ends[1:]:
        pty = _treatment(end, options)
        if pty is None:
            continue
        same = [r for r in routes if r.pty == pty and ends[r.sink].identity == end.identity]
        if same:
            same[0].fds.append(end.fd)
        else:
            routes.append(Route(end.fd, pty))
    return Plan(ends, routes)


def _treatment(end: End, options: Options) -> bool | None:
    """True for a pseudo-terminal, False for a pipe, None to hand the descriptor on."""
    if end.kind == CLOSED:
        return None
    if options.pty:
        return None if options.no_log and end.kind == TERMINAL else True
    if options.no_log or end.kind == FILE:
        return None
    if end.kind == DEVICE and options.log is None:
        return None
    return end.kind == TERMINAL


def _occupy(fd: int) -> None:
    """Put something that no exec inherits at the number of a closed descriptor."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    if null != fd:
        os.dup2(null, fd, inheritable=False)
        os.close(null)


def _path_of(end: End) -> str | None:
    """Path of the regular file behind a descriptor, where the system tells and it is still there."""
    try:
        path = os.readlink(f"/proc/self/fd/{end.fd}")
        found = os.stat(path)
    except OSError:
        return _path_by_fcntl(end.fd)
    return path if (found.st_dev, found.st_ino) == end.identity else None


def _path_by_fcntl(fd: int) -> str | None:
    import fcntl

    get_path = getattr(fcntl, "F_GETPATH", None)  # macOS
    if get_path is None:
        return None
    try:
        return os.fsdecode(bytes(fcntl.fcntl(fd, get_path, bytes(1024))).split(b"\0", 1)[0]) or None
    except OSError as error:
        if error.errno in (errno.EBADF, errno.EINVAL, errno.ENOENT):
            return None
        raise


def _position(fd: int) -> int:
    """Where the next byte goes: the end of a file opened for appending, else the offset."""
    import fcntl

    try:
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND:
            return os.fstat(fd).st_size
        return os.lseek(fd, 0, os.SEEK_CUR)
    except OSError:
        return 0
