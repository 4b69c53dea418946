"""A window on a log of any size: follows it, searches it, goes from error to error; holds none of it."""

import os
from dataclasses import dataclass
from typing import Literal

from textual import events
from textual.message import Message

from statustui_tui.widgets.log_canvas import LogCanvas
from statustui_tui.widgets.log_index import LogIndex
from statustui_tui.widgets.log_open import place_of_error
from statustui_tui.widgets.log_prompt import Prompt
from statustui_tui.widgets.log_search import LineFilter, Matcher, Searcher
from statustui_tui.widgets.log_source import Change, LogFile, LogRefused
from statustui_tui.widgets.log_watch import LogWatch
from statustui_tui.widgets.log_window import LogWindow

_ASK = 0.25
_ASK_WATCHED = 1.0
_SIDEWAYS = 20


class LogView(LogCanvas):
    """Shows a log, or the part of it that belongs to one run, and does what keys and the file itself ask for."""

    class _Known(Message):
        """A thread has found out more."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, LogView._Known)

    @dataclass
    class _Found(Message):
        """A search has ended."""

        number: int
        offset: int | None
        forward: bool
        wrapped: bool

    class _Stirred(Message):
        """Something happened in the log's directory."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, LogView._Stirred)

    def __init__(
        self,
        path: str | None,
        *,
        start: int | None = None,
        end: int | None = None,
        inode: int | None = None,
        error: str | None = None,
        uid: int | None = None,
        ascii: bool = False,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """Prepare to show a log; it is opened when the widget is.

        Args:
            path: Where it lies; None when the run has none.
            start: First byte of the run in it.
            end: Byte after its last one; None while the run is open, which is then followed.
            inode: The file that the run wrote to.
            error: Recorded error of a run that failed: the view opens where it stands.
            uid: Who must own the file; this process's user when None.
            ascii: Draw with ASCII characters only.
            id: As of any widget.
            classes: As of any widget.
        """
        super().__init__(ascii=ascii, id=id, classes=classes)
        self._path, self._start, self._end, self._inode = path, start, end, inode
        self._error, self._uid = error, uid
        self._watch: LogWatch | None = None
        self._gone = False
        self._opened_once = False
        self._asked = 0.0

    # What keys do

    def move(self, how: str) -> None:
        """Scroll.

        Args:
            how: ``up``, ``down``, ``half_up``, ``half_down``, ``page_up``, ``page_down``, ``top``, ``end``, ``left`` or
                ``right``.
        """
        window, height = self._window, self._height
        if window is None:
            return
        if not self._gone:
            self._notice = ""
        steps = {"up": 1, "down": 1, "half_up": height // 2, "half_down": height // 2}
        steps |= {"page_up": height - 1, "page_down": height - 1}
        if how in ("left", "right"):
            self._x = max(0, self._x + (_SIDEWAYS if how == "right" else -_SIDEWAYS))
        elif how == "end":
            window.to_end(height)
            self._following = self._live
        elif how == "top":
            window.to_start()
            self._following = False
        elif how.endswith("up"):
            window.up(max(1, steps.get(how, 1)))
            self._following = False
        elif not window.down(max(1, steps.get(how, 1)), height):
            window.to_end(height)
            self._following = self._live
        self._redraw()

    def toggle_follow(self) -> None:
        """Follow the end, or stop."""
        if self._following:
            self._following = False
            self._redraw()
        else:
            self.move("end")

    def toggle_wrap(self) -> None:
        """Wrap long lines, or cut them at the edge."""
        self._wrapping = not self._wrapping
        self._x = 0
        self._fit()

    def next_error(self, step: int = 1) -> None:
        """Go to the next line that looks like an error, or with -1 to the one before."""
        index, window = self._index, self._window
        if index is None or window is None:
            return
        here = self._current if self._current is not None else window.top
        found = index.error_after(here) if step > 0 else index.error_before(here)
        if found is None:
            scanning = "" if index.complete else ", still reading"
            where = "after" if step > 0 else "before"
            self._say(f"no error {where} this" + scanning)
            return
        self._show(found)

    def prompt(self, kind: Literal["search", "only"]) -> None:
        """Let a text be typed: to search for, or to show only lines with it."""
        if self._window is not None:
            self._prompt = Prompt(kind=kind, origin=(self._window.top, self._window.row))
            self._redraw()

    def search(self, text: str, *, forward: bool = True) -> None:
        """Go to the next line with *text*, without waiting for it."""
        self._matcher = Matcher(text) if text else None
        self._current = None
        self.next_hit(1 if forward else -1)

    def next_hit(self, step: int = 1) -> None:
        """Go to the next match, or with -1 to the one before."""
        window = self._window
        if window is None or self._matcher is None:
            return
        if self._current is None:
            start = window.top
        elif step > 0:
            start = window.file.line_end(self._current)
        else:
            start = self._current
        self._start_search(start, step > 0)

    def only(self, text: str | None) -> None:
        """Show only lines with *text* (``!text``: without it); None or empty shows all."""
        window = self._window
        if window is None:
            return
        if window.filter is not None:
            window.filter.stop()
            window.filter = None
        if text:
            window.filter = LineFilter(window.file, Matcher(text), self._tell)
            window.filter.start()
            self._matcher = window.filter.matcher
            window.to_start()
        else:
            window.top, window.row = window.file.line_start(window.top), 0
        if self._following:
            window.to_end(self._height)
        self._redraw()

    # Opening

    def on_mount(self) -> None:
        """Open the log, and look after it from then on."""
        if self._path is None:
            self._refused = "this run has no log"
            return
        self._open(first=True)
        self._watch = LogWatch(self._path, lambda: self._post(self._Stirred()))
        self._watch.start()
        self.set_interval(_ASK, self._ask)

    def on_unmount(self) -> None:
        """Close the log and end what reads it."""
        if self._watch is not None:
            self._watch.stop()
        self._close()

    def on_resize(self) -> None:
        """Keep the place."""
        if not self._opened_once and self._window is not None and self.size.height > 0:
            self._opened_once = True
            self._open_place()
        self._fit()

    def _open(self, *, first: bool) -> None:
        self._close()
        try:
            if first:
                file = LogFile(self._path or "", start=self._start, end=self._end, inode=self._inode, uid=self._uid)
            else:
                file = LogFile(self._path or "", uid=self._uid)
        except LogRefused as refused:
            self._refused = str(refused)
            self.refresh()
            return
        self._refused = ""
        if file.other:
            self._notice = "the run's own log is gone: this is a newer file of that name"
        self._window = LogWindow(file)
        self._index = LogIndex(file, self._tell)
        self._index.start()
        self._searcher = Searcher(file, lambda *found: self._post(self._Found(*found)))
        self._opened_once = self.size.height > 0
        if self._opened_once:
            self._open_place()

    def _open_place(self) -> None:
        """Where to begin: at the recorded error, else at the last error near the end, else at the end."""
        window = self._window
        if window is None:
            return
        self._fit()
        offset = None if self._error is None else place_of_error(window.file, self._error)
        if offset is None:
            self._following = self._live
            window.to_end(self._height)
            self._redraw()
        else:
            self._show(offset)

    def _close(self) -> None:
        window = self._window
        if self._searcher is not None:
            self._searcher.close()
        if self._index is not None:
            self._index.stop()
        if window is not None:
            if window.filter is not None:
                window.filter.stop()
            window.file.close()
        self._window = self._index = self._searcher = self._current = None
        self._rows = None

    # Changes of the file

    def _ask(self) -> None:
        """Called often; asks often only where nobody tells of changes."""
        self._asked += _ASK
        if self._watch is None or not self._watch.working or self._asked >= _ASK_WATCHED:
            self._asked = 0.0
            self._look()

    def on_log_view__stirred(self, message: _Stirred) -> None:
        """The directory said something."""
        message.stop()
        self._look()

    def _look(self) -> None:
        """Take notice of what happened to the file."""
        window = self._window
        if window is None:
            if self._path is not None and os.path.lexists(self._path):
                self._open(first=True)
            return
        change = window.file.look()
        if change is Change.GROWN:
            self._grown()
        elif change is Change.TRUNCATED:
            self._again("emptied by somebody: this is what was written since")
        elif change is Change.ROTATED and self._live:
            if window.file.size > window.file.begin and self._not_read(window):
                return
            self._again("replaced (rotated): this is the new file")
        elif change is Change.GONE and not self._gone:
            self._gone = True
            self._say("deleted: what is shown is still readable until you leave")
        elif change is Change.NONE and self._gone:
            self._gone = False
            self._say("")

    def _not_read(self, window: LogWindow) -> bool:
        """True while the old file still gets lines: they are shown before the new one is opened."""
        before = window.file.size
        if window.file.update() > before:
            self._grown()
            return True
        return False

    def _again(self, notice: str) -> None:
        following = self._following
        self._gone = False
        self._open(first=False)
        self._notice = notice
        if self._window is not None:
            self._following = following
            if not following:
                self._window.to_start()
        self._redraw()

    def _grown(self) -> None:
        window = self._window
        if window is None:
            return
        for scanner in (self._index, window.filter):
            if scanner is not None:
                scanner.grown()
        if self._following:
            window.to_end(self._height)
            self._redraw()
        else:
            self._redraw_changed()

    # Searching

    def _start_search(self, start: int, forward: bool) -> None:
        searcher, matcher = self._searcher, self._matcher
        if searcher is None or matcher is None:
            return
        searcher.start(matcher, start, forward=forward)
        self._redraw()

    def _stop_search(self) -> None:
        if self._searcher is not None:
            self._searcher.stop()

    def on_log_view__found(self, message: _Found) -> None:
        """Show what the search found."""
        message.stop()
        searcher = self._searcher
        if searcher is None or message.number != searcher.number or self._window is None:
            return
        searcher.running = False
        if message.offset is None:
            self._say("not found")
            return
        end = ("bottom", "top") if message.forward else ("top", "bottom")
        self._notice = f"search went past the {end[0]}, on from the {end[1]}" if message.wrapped else ""
        self._show(self._window.file.line_start(message.offset))

    def on_log_view__known(self, message: _Known) -> None:
        """A thread read more of the file."""
        message.stop()
        window = self._window
        if window is not None and window.filter is not None:
            if self._following:
                window.to_end(self._height)
            self._redraw()
        else:
            self._redraw_changed()

    # Typing

    async def on_key(self, event: events.Key) -> None:
        """While a text is typed, keys are its letters."""
        prompt, window = self._prompt, self._window
        if prompt is None or window is None:
            # It came in one breath with the key that ended the text, and was taken for one more letter of it.
            if await self.app._check_bindings(event.key, priority=True):
                event.stop()
                event.prevent_default()
            return
        event.stop()
        event.prevent_default()
        said = prompt.key(event.key, event.character if event.is_printable else None)
        if said == "given up":
            self._prompt = None
            self._stop_search()
            window.top, window.row = prompt.origin
        elif said == "done":
            self._prompt = None
            if prompt.kind == "only":
                self.only(prompt.text or None)
            elif not prompt.text:
                self._matcher = self._current = None
        elif said == "changed":
            self._typing(prompt)
        self._redraw()

    def on_paste(self, event: events.Paste) -> None:
        """A pasted text is typed."""
        if self._prompt is not None:
            event.stop()
            self._prompt.paste(event.text)
            self._typing(self._prompt)
            self._redraw()

    def _typing(self, prompt: Prompt) -> None:
        """Search while it is typed, always from where the typing began."""
        if prompt.kind != "search" or self._window is None:
            return
        self._window.top, self._window.row = prompt.origin
        self._matcher = Matcher(prompt.text) if prompt.text else None
        self._current = None
        self._stop_search()
        self._start_search(prompt.origin[0], True)

    # Mouse

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Three rows on."""
        event.stop()
        for _ in range(3):
            self.move("down")

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Three rows back."""
        event.stop()
        for _ in range(3):
            self.move("up")

    # Helpers

    @property
    def _live(self) -> bool:
        return self._end is None

    def _post(self, message: Message) -> None:
        if self.is_attached:
            self.post_message(message)

    def _tell(self) -> None:
        self._post(self._Known())

    def _say(self, notice: str) -> None:
        self._notice = notice
        self._redraw()

    def _show(self, offset: int) -> None:
        """Bring the line at *offset* on the screen."""
        window = self._window
        if window is None:
            return
        self._current = offset
        self._following = False
        if not any(line.start == offset for line, _ in self._visible()[:-1]):
            window.to(offset, self._height)
        self._redraw()
