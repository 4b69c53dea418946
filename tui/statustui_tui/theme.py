"""Themes, and the choice between colours, sixteen colours, no colour and plain ASCII."""

import locale
from collections.abc import Mapping

from textual.color import Color
from textual.theme import Theme

DARK = Theme(
    name="statustui-dark",
    primary="#5fafd7",
    secondary="#87afaf",
    warning="#e0af68",
    error="#f7768e",
    success="#8fbf7f",
    accent="#d7af5f",
    foreground="#c8ccd4",
    background="#14171c",
    surface="#14171c",
    panel="#20252d",
    dark=True,
)
LIGHT = Theme(
    name="statustui-light",
    primary="#005f87",
    secondary="#3f6f6f",
    warning="#8a5a00",
    error="#b3003c",
    success="#2f6f1f",
    accent="#7a4f00",
    foreground="#24292f",
    background="#fbfbf8",
    surface="#fbfbf8",
    panel="#e8e8e2",
    dark=False,
)
THEMES = (DARK, LIGHT)
PLAIN = "ansi-dark"
"""The terminal's own sixteen colours; what NO_COLOR and poor terminals get."""


def choose(env: Mapping[str, str]) -> str:
    """Name of the theme for an environment.

    ``STATUSTUI_THEME`` wins; ``NO_COLOR`` and terminals of sixteen colours get the terminal's own palette.
    """
    asked = env.get("STATUSTUI_THEME", "")
    if asked in ("dark", "light"):
        return f"statustui-{asked}"
    if asked:
        return asked
    if "NO_COLOR" in env:
        return PLAIN
    term = env.get("TERM", "")
    rich = env.get("COLORTERM", "") in ("truecolor", "24bit") or "256color" in term or "direct" in term
    if rich or term.startswith(("xterm-kitty", "alacritty", "foot", "wezterm", "ghostty")):
        return DARK.name
    return PLAIN


def ascii_only(env: Mapping[str, str], encoding: str | None = None) -> bool:
    """True when only ASCII may be drawn: asked for, or the encoding is not UTF-8."""
    if env.get("STATUSTUI_ASCII", "") not in ("", "0"):
        return True
    name = (encoding or locale.getpreferredencoding(False)).lower().replace("-", "").replace("_", "")
    return name != "utf8"


def more_colours(theme: Theme) -> dict[str, str]:
    """Colours of our own that follow from those of any theme: ``muted``, ``cursor-row``, ``trough``."""
    if theme.ansi:
        return {
            "muted": "ansi_default",
            "cursor-row": "ansi_white",
            "trough": "ansi_default",
            "trough-strong": "ansi_white",
        }
    ink = Color.parse(theme.foreground or ("#e0e0e0" if theme.dark else "#202020"))
    paper = Color.parse(theme.background or ("#121212" if theme.dark else "#f8f8f8"))
    return {
        "muted": paper.blend(ink, 0.6).hex,
        "cursor-row": paper.blend(Color.parse(theme.primary), 0.3).hex,
        "trough": paper.blend(ink, 0.13).hex,
        "trough-strong": paper.blend(ink, 0.3).hex,
    }
