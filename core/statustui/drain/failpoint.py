"""Points at which a test may end or stop the drainer: ``STATUSTUI_FAILPOINT=name[:skip]``.

The variable is read once. Without it a failpoint is one comparison with None. The process ends as ``kill -9``
would end it: nothing is flushed, no handler runs.
"""

import os
import signal

_armed: str | None = None
_left = 0


def arm(name: str | None, skip: int = 0) -> None:
    """Die at the point *name* after passing it *skip* times; None for never."""
    global _armed, _left
    _armed, _left = name, skip


def reached(name: str) -> None:
    """Die here when the environment says so (after *skip* passes)."""
    global _left
    if _armed is None or name != _armed:
        return
    if _left > 0:
        _left -= 1
        return
    os.kill(os.getpid(), signal.SIGKILL)


_name, _, _skip = os.environ.get("STATUSTUI_FAILPOINT", "").partition(":")
arm(_name or None, int(_skip) if _skip.isdigit() else 0)
