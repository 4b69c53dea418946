"""Makes a picture of a screen from a real store: ``python -m statustui_tui.shot OUT.svg``.

The SVG places each character by itself and draws bars as rectangles, so that it looks the same whatever font a browser
or a converter finds.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterable
from html import escape
from pathlib import Path

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import DIMMED_MONOKAI

from statustui import config
from statustui.errors import StatustuiError
from statustui_tui.actions import StoreActions
from statustui_tui.app import Monitor, Place
from statustui_tui.items_actions import StoreItemActions
from statustui_tui.sources import StoreSource

CELL = 8.4
LINE = 18.0
MARGIN = 14.0
# Left and lower blocks in eighths of a cell: drawn as rectangles.
_LEFT = {character: (8 - i) / 8 for i, character in enumerate("█▉▊▋▌▍▎▏")}
_LOWER = {character: (i + 1) / 8 for i, character in enumerate("▁▂▃▄▅▆▇")}


def svg(lines: Iterable[Iterable[Segment]], size: tuple[int, int], background: str, foreground: str) -> str:
    """One screen as an SVG picture.

    Args:
        lines: Segments of each line.
        size: Columns and lines.
        background: Colour where a segment names none, as ``#rrggbb``.
        foreground: The same for text.
    """
    width, height = size[0] * CELL + 2 * MARGIN, size[1] * LINE + 2 * MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height:.1f}" font-size="14" '
        'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace">',
        f'<rect width="100%" height="100%" rx="8" fill="{background}"/>',
    ]
    for row, line in enumerate(lines):
        x, y = MARGIN, MARGIN + row * LINE
        for segment in line:
            if not segment.control:
                out += _piece(segment.text, segment.style or Style(), x, y, background, foreground)
                x += cell_len(segment.text) * CELL
    return "\n".join([*out, "</svg>", ""])


def _piece(text: str, style: Style, x: float, y: float, background: str, foreground: str) -> list[str]:
    ink, paper = _colour(style.color, foreground), _colour(style.bgcolor, background)
    if style.reverse:
        ink, paper = paper, ink
    out = []
    if paper != background:
        out.append(_box(x, y, cell_len(text) * CELL, LINE, paper))
    weight = ' font-weight="bold"' if style.bold else ""
    word, begin = "", x
    for character in f"{text} ":
        drawn = character in _LEFT or character in _LOWER or character == "─"
        if (drawn or character.isspace()) and word:
            # Word by word: converters take only the first place of a text.
            long = cell_len(word) * CELL
            attributes = f'x="{begin:.1f}" y="{y + 13.4:.1f}" textLength="{long:.1f}" fill="{ink}"{weight}'
            out.append(f"<text {attributes}>{escape(word)}</text>")
            word = ""
        if character in _LEFT:
            out.append(_box(x, y + 3, _LEFT[character] * CELL, LINE - 6, ink))
        elif character in _LOWER:
            share = _LOWER[character] * (LINE - 4)
            out.append(_box(x, y + LINE - 2 - share, CELL, share, ink))
        elif character == "─":
            out.append(_box(x, y + LINE / 2, CELL, 1, ink))
        elif not character.isspace():
            begin = begin if word else x
            word += character
        x += cell_len(character) * CELL
    return out


def _box(x: float, y: float, width: float, height: float, fill: str) -> str:
    # A trifle wider, so that neighbours show no seam.
    return f'<rect x="{x:.2f}" y="{y:.2f}" width="{width + 0.2:.2f}" height="{height:.2f}" fill="{fill}"/>'


def _colour(colour: Color | None, default: str) -> str:
    if colour is None or colour.is_default:
        return default
    return colour.get_truecolor(DIMMED_MONOKAI).hex


def picture(app: Monitor) -> str:
    """The screen of a running monitor as SVG."""
    size = app.size.width, app.size.height
    colours = app.theme_variables
    paper, ink = ("#101010", "#d0d0d0") if app.current_theme.ansi else (colours["background"], colours["foreground"])
    return svg(app.screen._compositor.render_strips(), size, paper, ink)


async def take(app: Monitor, size: tuple[int, int], keys: Iterable[str], wait: float) -> str:
    """Run *app* without a terminal, press *keys*, and take its picture."""
    async with app.run_test(size=size) as pilot:
        for _ in range(int(wait / 0.05)):
            await pilot.pause(0.05)
            if app.frame is not None:
                break
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.5)
        await pilot.pause(1.0)
        return picture(app)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m statustui_tui.shot", description="An SVG of the monitor, from a real store."
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--store", help="URL or path of the store; default: the configured one")
    parser.add_argument("--size", default="120x32", help="columns x lines")
    parser.add_argument("--screen", choices=("monitor", "run", "log", "help"), default="monitor")
    parser.add_argument("--run", help="the run for --screen run and log: id or task")
    parser.add_argument("--keys", default="", help="further keys to press, separated by commas")
    parser.add_argument("--theme", default="statustui-dark")
    given = parser.parse_args(arguments)
    columns, _, lines = given.size.partition("x")
    try:
        settings = config.load(store=given.store)
    except StatustuiError as error:
        print(f"shot: {error}", file=sys.stderr)
        return 2
    place = Place(run=given.run, screen=given.screen) if given.screen in ("run", "log") and given.run else Place()
    app = Monitor(
        StoreSource(settings),
        settings,
        actions=StoreActions(settings),
        item_actions=StoreItemActions(settings),
        place=place,
    )
    app.theme = given.theme
    keys = [key for key in given.keys.split(",") if key]
    if given.screen == "help":
        keys.append("question_mark")
    elif given.screen in ("run", "log") and not given.run:
        keys.append("enter" if given.screen == "run" else "l")
    given.out.write_text(asyncio.run(take(app, (int(columns), int(lines)), keys, 10.0)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
