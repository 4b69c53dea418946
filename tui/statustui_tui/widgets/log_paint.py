"""How lines of the log view are drawn."""

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from statustui_tui import render
from statustui_tui.widgets.log_search import Matcher


def one_line(text: str, style: Style, width: int, ascii: bool) -> Strip:
    """*text*, cleaned and cut, as a whole line."""
    shown = render.crop(render.clean(text), width, ascii)
    return Strip([Segment(shown, style)] if shown else []).adjust_cell_length(width, style)


def highlight(strip: Strip, matcher: Matcher | None, mark: Style) -> Strip:
    """Show where the text that was searched for stands."""
    text = strip.text
    spans = [] if matcher is None else matcher.spans(text)
    if not spans:
        return strip
    cuts = [render.width(text[:place]) for span in spans for place in span]
    parts = strip.divide([*cuts, strip.cell_length])
    return Strip.join(part.apply_style(mark) if place % 2 else part for place, part in enumerate(parts))
