"""Points at which a test may end or stop the drainer: ``STATUSTUI_FAILPOINT=name[:skip]``.

The variable is read once. Without it a failpoint is one comparison with None. The process ends as ``kill -9``
would end it: nothing is flushed, no handler runs.
"""

import os
import signal

_NAME, _, _skip = os.environ.get("STATUSTUI_FAILPOINT", "").partition(":")
_armed: str | None = _NAME or None
_left = int(_skip) if _skip.isdigit() else 0


def reached(name: str) -> None:
    """Die here when the environment says so (after *skip* passes)."""
    global _left
    if _armed is None or name != _armed:
        return
    if _left > 0:
        _left -= 1
        return
    os.kill(os.getpid(), signal.SIGKILL)
