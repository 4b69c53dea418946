"""Whether the monitor can start in this terminal, and with which signs."""

import locale
import os
import sys
from collections.abc import Mapping

from statustui.signs import ascii_by_locale


def refuse(environ: Mapping[str, str] | None = None) -> str | None:
    """Why the monitor cannot start here, as one line that says what to do instead; None when it can."""
    environ = os.environ if environ is None else environ
    if not _terminal(0) or not _terminal(2) or not _terminal(1):
        return "the monitor needs a terminal on stdin, stdout and stderr; for pipes use: statustui status"
    term = environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        said = f"TERM={term}" if term else "TERM is not set"
        return f"{said}: this terminal cannot show the monitor; use: statustui status, or set TERM"
    return None


def ascii_only(environ: Mapping[str, str] | None = None) -> bool:
    """True when the terminal's encoding is not UTF-8, or ``STATUSTUI_ASCII`` is set: signs and bars are ASCII then."""
    environ = os.environ if environ is None else environ
    said = ascii_by_locale(environ)
    return _encoding() != "utf8" if said is None else said


def _encoding() -> str:
    stream = sys.__stderr__
    name = (stream.encoding if stream is not None else None) or locale.getpreferredencoding(False)
    return name.lower().replace("-", "")


def _terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False
