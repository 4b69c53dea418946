"""The recording border: the one place where an error is swallowed, because it is ours and not the program's."""

import os
import sys

swallowed = 0
"""Errors of recording that did not reach the program, since the process began."""
first: str | None = None
"""What the first of them said."""
strict = bool(os.environ.get("STATUSTUI_STRICT"))
"""True: errors of recording are raised, for tests (lifts P1)."""


def swallow(error: Exception, what: str) -> None:
    """Count an error of recording; it is told in the journal, never on stdout or stderr (P6, P7).

    Args:
        error: what was raised.
        what: the call that it was raised in.
    """
    global swallowed, first
    if strict:
        raise error
    swallowed += 1
    if first is None:
        first = f"{what}: {type(error).__name__}: {_text(error)}"
    logging = sys.modules.get("logging")
    if logging is not None:
        # DEBUG: only a program that asked for it sees it, so its stderr stays what it is without us.
        logging.getLogger("statustui").debug("recording %s failed", what, exc_info=error)


def _text(error: Exception) -> str:
    try:
        return str(error)[:500]
    except Exception:
        return "?"


def take() -> tuple[int, str | None]:
    """How many errors were swallowed since the last call, and what the first of them said."""
    global swallowed, first
    result = swallowed, first
    swallowed, first = 0, None
    return result
