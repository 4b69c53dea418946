"""What a parent hands to a program through the environment: the run to join, or the attempt that it is."""

import os

from statustui.record.context import start_of

JOIN = "STATUSTUI_JOIN"
"""``<run_id>:<wrapper's pid>:<its start tick>``: the direct child of ``statustui run`` joins that run, once."""
ATTEMPT = "STATUSTUI_ATTEMPT"
"""``<run_id>:<attempt>:<run_id of the attempt before>``: a retry that no wrapper starts is recorded as this attempt."""
OWNER = "STATUSTUI_OWNER"
"""``<run_id>:<pid>:<start tick>:<spool>``: the run that everything started below it speaks for (``statustui event``),
the process that it ends with, and where its journals are."""
SUBTASK = "STATUSTUI_SUBTASK"
"""``<run_id>:<number>``: the innermost subtask that was open where a program was started."""

joined: str | None = None
"""The wrapper's run that this program has joined: later runs are its children."""


def offered() -> bool:
    """True while a wrapper's run waits for this process to join it."""
    token = os.environ.get(JOIN)
    return token is not None and token.split(":")[1:2] == [str(os.getppid())]


def take_join(parent: int | None = None) -> str | None:
    """The run to join, if this process is the direct child of the wrapper that offers it. Used once.

    Args:
        parent: pid of the wrapper's child's parent, where this process only speaks for that child.
    """
    global joined
    parent = os.getppid() if parent is None else parent
    token = os.environ.pop(JOIN, None)
    if token is None:
        return None
    parts = token.split(":")
    if len(parts) != 3 or not _is_id(parts[0]) or parts[1] != str(parent):
        return None
    tick = start_of(parent)
    if tick is not None and parts[2] not in ("", str(tick)):
        return None
    joined = parts[0]
    return joined


def take_attempt() -> tuple[str, int, str] | None:
    """The (run_id, attempt, run_id of the attempt before) that this program is. Used once."""
    token = os.environ.pop(ATTEMPT, None)
    if token is None:
        return None
    parts = token.split(":")
    if len(parts) != 3 or not _is_id(parts[0]) or not _is_id(parts[2]) or not parts[1].isdigit():
        return None
    return parts[0], int(parts[1]), parts[2]


class Owner:
    """The run of the surroundings."""

    __slots__ = ("pid", "run_id", "spool", "start", "subtask")

    def __init__(self, run_id: str, pid: int, start: int | None, spool: str, subtask: int | None) -> None:
        self.run_id = run_id
        self.pid = pid
        """Of the process that the run ends with."""
        self.start = start
        """Its start tick; None where nobody could say."""
        self.spool = spool
        self.subtask = subtask
        """Number of the subtask that was open where this program was started."""

    @property
    def namespace(self) -> int:
        """Inode of the pid namespace that its pid belongs to."""
        name = os.path.basename(os.path.dirname(self.spool))
        return int(name) if name.isdigit() else 0

    def ended(self) -> bool:
        """Is it proven that the process has ended? Not from another pid namespace."""
        from statustui.machine import pid_namespace

        if self.pid <= 0 or self.start is None or self.namespace != pid_namespace() or start_of(os.getpid()) is None:
            return False
        return start_of(self.pid) != self.start


def owner_token(run_id: str, pid: int, start: int | None, spool: str) -> str:
    """What programs need to speak for a run: the value of ``STATUSTUI_OWNER``."""
    return f"{run_id}:{pid}:{start or 0}:{spool}"


def owner() -> Owner | None:
    """The run of the surroundings, or None outside any."""
    parts = os.environ.get(OWNER, "").split(":", 3)
    if len(parts) != 4 or not _is_id(parts[0]) or not parts[1].isdigit() or not parts[2].isdigit():
        return None
    if not os.path.isabs(parts[3]):
        return None
    run_id, _, number = os.environ.get(SUBTASK, "").partition(":")
    subtask = int(number) if run_id == parts[0] and number.isdigit() and 0 < int(number) < 1 << 30 else None
    return Owner(parts[0], int(parts[1]), int(parts[2]) or None, parts[3], subtask)


def _is_id(text: str) -> bool:
    return len(text) == 36 and all(c in "0123456789abcdef-" for c in text)
