"""The run that a hook records in."""

from statustui.record import begin, join
from statustui.record.run import Run


def active() -> Run | None:
    """The open run, else that of the wrapper which started this program and waits for it to join; or None."""
    run = begin.current()
    if run is None and join.offered():
        run = Run({}).start()
        run._shared = True  # it is the program's, whatever thread was the first to record
    return run if run else None
