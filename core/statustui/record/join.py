"""What a parent hands to a program through the environment: the run to join, or the attempt that it is."""

import os

from statustui.record.context import start_of

JOIN = "STATUSTUI_JOIN"
"""``<run_id>:<wrapper's pid>:<its start tick>``: the direct child of ``statustui run`` joins that run, once."""
ATTEMPT = "STATUSTUI_ATTEMPT"
"""``<run_id>:<attempt>:<run_id of the attempt before>``: a retry that no wrapper starts is recorded as this attempt."""

joined: str | None = None
"""The wrapper's run that this program has joined: later runs are its children."""


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


def _is_id(text: str) -> bool:
    return len(text) == 36 and all(c in "0123456789abcdef-" for c in text)
