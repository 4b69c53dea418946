"""The last lines of what a run writes, for its page."""

import contextlib
import os
from typing import TYPE_CHECKING

from statustui_tui.widgets.log_line import plain
from statustui_tui.widgets.log_source import LogFile, LogRefused
from statustui_tui.widgets.log_window import LogWindow

if TYPE_CHECKING:
    from statustui.config import Settings
    from statustui.model.run import Run

MOST = 60
"""Lines that are read: more than a page has room for is what the Log screen is for."""
_FROM_END = 256 * 1024
"""Bytes that are read at most, so that lines of megabytes cost no more than others, time after time."""


def last_lines(run: "Run", settings: "Settings") -> tuple[str, ...]:
    """The end of the log of *run* as safe text; empty when it has none that this user's word vouches for.

    It reads a file, which may lie on a slow disk: not for the thread that draws.
    """
    from statustui.control.logs import LogDistrusted, log_path

    try:
        path = log_path(run, settings)
        if path is None or not os.path.isabs(path):
            return ()
        file = LogFile(path, start=run.log_start, end=run.log_end, inode=run.log_inode)
    except (LogDistrusted, LogRefused):
        return ()
    with contextlib.closing(file):
        if file.other:
            return ()  # its name is another file's by now
        cut = file.size - file.begin > _FROM_END
        file.begin = max(file.begin, file.size - _FROM_END)
        try:
            window = LogWindow(file)
            window.to_end(MOST)
            read = window.lines(window.top, MOST)
            if cut and len(read) > 1 and read[0].start == file.begin:
                read = read[1:]  # it began before what is read
            lines = [plain(line.raw).rstrip() for line in read]
        except OSError:
            return ()
    while lines and not lines[-1]:
        lines.pop()
    return tuple(lines)
