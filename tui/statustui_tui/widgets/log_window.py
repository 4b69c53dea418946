"""Which lines of a log are on the screen: positions in the file, never numbers of lines."""

from bisect import bisect_left
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from statustui_tui.widgets.log_line import MOST, Pieces, parse
from statustui_tui.widgets.log_search import LineFilter
from statustui_tui.widgets.log_source import LogFile

_READ = 65536


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file."""

    start: int
    """Position of its first byte."""
    end: int
    """Position of the first byte of the next one."""
    raw: bytes
    """Its bytes; of a very long one the first and, if it is drawn over itself, the last."""

    @property
    def pieces(self) -> Pieces:
        """Its safe text with colours."""
        return parse(self.raw)

    def height(self, width: int | None) -> int:
        """Rows that it takes when it is wrapped at *width*; 1 when it is not."""
        if width is None or (len(self.raw) <= width and self.raw.isascii()):
            return 1
        cells = self.strip(None).cell_length
        return max(1, -(-cells // width))

    def strip(self, base: Style | None) -> Strip:
        """The whole line as it is drawn."""
        fill = base or Style.null()
        return Strip([Segment(text, fill + style if style else fill) for text, style in self.pieces if text])


class LogWindow:
    """A view of a log that begins at some row of some line."""

    def __init__(self, file: LogFile) -> None:
        self.file = file
        self.top = file.begin
        """Position of the first line on the screen."""
        self.row = 0
        """First row of that line that is shown, when lines are wrapped."""
        self.wrap_at: int | None = None
        """Cells of a row when lines are wrapped; None when they are not."""
        self.filter: LineFilter | None = None
        """Shows only these lines."""

    def lines(self, start: int, count: int) -> list[Line]:
        """*count* lines from the one that begins at *start*, fewer at the end."""
        if self.filter is not None:
            offsets = self.filter.offsets
            place = bisect_left(offsets, start)
            return [self._line(offset) for offset in offsets[place : place + count]]
        lines: list[Line] = []
        while start < self.file.size and len(lines) < count:
            block = self.file.read(start, _READ)
            place = 0
            while len(lines) < count:
                end = block.find(b"\n", place)
                if end < 0:
                    break
                lines.append(Line(start + place, start + end + 1, block[place:end]))
                place = end + 1
            start += place
            if not place or (start + _READ >= self.file.size and len(lines) < count and start < self.file.size):
                # The last line without its end, or one longer than a block.
                line = self._line(start)
                lines.append(line)
                start = line.end
        return lines

    def rows(self, height: int) -> list[tuple[Line, int]]:
        """What is on the screen: the line of each row, and which row of the line it is."""
        rows: list[tuple[Line, int]] = []
        first = self.row
        for line in self.lines(self.top, height):
            for row in range(first, line.height(self.wrap_at)):
                rows.append((line, row))
                if len(rows) == height:
                    return rows
            first = 0
        return rows

    def to_end(self, height: int) -> None:
        """Show the last rows."""
        self.top, self.row = self._last(), 0
        line = self._line(self.top) if self.top < self.file.size else None
        self.up(height - (line.height(self.wrap_at) if line else 0))
        if line is not None and line.height(self.wrap_at) > height and self.top == line.start:
            self.row = line.height(self.wrap_at) - height

    def to_start(self) -> None:
        """Show the first rows."""
        self.top, self.row = self.file.begin, 0
        if self.filter is not None and len(self.filter.offsets):
            self.top = self.filter.offsets[0]

    def to(self, offset: int, height: int) -> None:
        """Show the line that holds *offset* a third below the top."""
        self.top, self.row = self.file.line_start(offset), 0
        self.up(height // 3)

    def up(self, count: int) -> None:
        """Go back by *count* rows."""
        while count > 0:
            if self.row > 0:
                step = min(count, self.row)
                self.row -= step
                count -= step
                continue
            before = self._before(self.top)
            if before is None:
                return
            self.top = before
            self.row = self._line(before).height(self.wrap_at)

    def down(self, count: int, height: int) -> bool:
        """Go on by *count* rows; False at the end, which stays at the bottom."""
        rows = self.rows(height + count)
        if len(rows) <= height:
            return False
        line, row = rows[min(count, len(rows) - height)]
        self.top, self.row = line.start, row
        return True

    def _before(self, start: int) -> int | None:
        if self.filter is None:
            return self.file.previous_line(start)
        place = bisect_left(self.filter.offsets, start) - 1
        return self.filter.offsets[place] if place >= 0 else None

    def _last(self) -> int:
        """Position of the last line."""
        if self.filter is not None:
            return self.filter.offsets[-1] if len(self.filter.offsets) else self.file.size
        size = self.file.size
        return self.file.line_start(size - 1) if size > self.file.begin else size

    def _line(self, start: int) -> Line:
        """The line at *start*; of a very long one only its beginning, or what was drawn last over it."""
        end = self.file.line_end(start)
        raw = self.file.read(start, min(end - start, MOST))
        if end - start > MOST:
            tail = self.file.read(end - MOST, MOST)
            if b"\r" in tail.rstrip(b"\r\n"):
                raw = tail
        return Line(start, end, raw)
