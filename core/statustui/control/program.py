"""``python -m statustui run script.py``: the script by this Python, with hooks for the tools that it imports.

The rule: where the first word after the options of ``run`` is an existing file that ends in ``.py``, or ``-m MODULE``,
that is run by the interpreter that ``python -m statustui`` was started with, as ``python script.py`` would be. After
``--``, and for the ``statustui`` command (which may live in an environment of its own), it is a command like any other.
"""

import os
import sys

from statustui.control.options import _FLAGS, _VALUES, BOOTSTRAP


def as_command(arguments: list[str]) -> list[str]:
    """The arguments after ``run``, a Python script or module among them as the command that runs it."""
    at = 0
    while at < len(arguments):
        word = arguments[at]
        name, equals, _ = word.partition("=")
        if name in _FLAGS:
            at += 1
        elif name in _VALUES:
            at += 1 if equals else 2
        elif (word == "-m" and at + 1 < len(arguments)) or (word.endswith(".py") and os.path.isfile(word)):
            return [*arguments[:at], "--", sys.executable, *_flags(), "-m", BOOTSTRAP, *arguments[at:]]
        else:
            break
    return arguments


def _flags() -> list[str]:
    """The interpreter's own options (``-u``, ``-W error``), as this process was given them."""
    words = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv)]
    if not words or not words[-1].startswith("-") or not words[-1].endswith("m"):
        return []
    last = words.pop()[:-1]  # -m, or several in one word: -um
    return words if last == "-" else [*words, last]
