"""Whether a terminal is promised to draw more than ASCII."""

from collections.abc import Mapping

_PLAIN = ("C", "POSIX")


def ascii_by_locale(environ: Mapping[str, str]) -> bool | None:
    """What locale and terminal say: True for ASCII alone, False for UTF-8, None when it says nothing.

    ``STATUSTUI_ASCII`` goes before them: ``0`` for all signs.
    """
    asked = environ.get("STATUSTUI_ASCII")
    if asked:
        return asked != "0"
    if environ.get("TERM") == "linux":  # the kernel's console: its fonts have a few hundred signs, not ours
        return True
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        value = environ.get(name)
        if name == "LC_CTYPE" and value == "C.UTF-8" and environ.get("LANG") in _PLAIN:
            continue  # Set by the interpreter itself when it found LANG=C.
        if value:
            return "utf-8" not in value.lower() and "utf8" not in value.lower()
    return None
