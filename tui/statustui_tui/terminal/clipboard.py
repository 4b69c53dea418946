"""Copy to the clipboard of the person's own terminal (OSC 52), also through tmux and over SSH."""

import base64
import os
from collections.abc import Mapping
from typing import Any

from textual.app import App

from statustui_tui.terminal.driver import SafeDriver

_MOST = 74_000
"""Bytes that common terminals take in one sequence, before base64."""


def osc52(text: str, environ: Mapping[str, str] | None = None) -> str:
    """The control sequence that puts *text* on the clipboard; inside tmux wrapped so that it passes through.

    The text goes as base64, so nothing in it can act on the terminal.
    """
    environ = os.environ if environ is None else environ
    data = base64.b64encode(text.encode("utf-8", "replace")[:_MOST]).decode("ascii")
    sequence = f"\x1b]52;c;{data}\x07"
    if environ.get("TMUX"):
        # Both ways: tmux takes the plain one with set-clipboard on, the wrapped one with allow-passthrough.
        return f"{sequence}\x1bPtmux;\x1b{sequence}\x1b\\"
    return sequence


def copy(app: App[Any], text: str) -> bool:
    """Copy *text*; False where the terminal is not ours to write to (a test, a browser)."""
    driver = app._driver
    if not isinstance(driver, SafeDriver):
        return False
    driver.send(osc52(text))
    return True
