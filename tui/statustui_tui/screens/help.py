"""The help screen, made from the table of keys."""

from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.content import Content
from textual.screen import Screen

from statustui_tui import keys
from statustui_tui.screens.parts.footer import KeyBar
from statustui_tui.screens.parts.line import Line, rule
from statustui_tui.screens.parts.sheet import Sheet


def lines(screen: str, keymap: Mapping[str, str], width: int, *, ascii_only: bool) -> list[Content]:
    """The page: keys of *screen* by heading, each with what it does and the command that does the same."""
    out: list[Content] = []
    shown = [key for key in keys.on(screen)]
    names = {key.id: keys.shown_keys(key, keymap, ascii_only=ascii_only) for key in shown}
    first = max(len(name) for name in names.values())
    column = min(first, max(8, width // 4))
    for group, members in keys.groups(shown).items():
        out += [Content(""), Content.styled(f" {group}", "bold $primary")]
        for key in members:
            name = names[key.id]
            room = max(10, width - column - 4)
            text = Content(key.help)
            for number, part in enumerate(text.wrap(room)):
                head = (f"  {name[:column]:<{column}}  " if number == 0 else " " * (column + 4), "bold $accent")
                out.append(Content.assemble(head, part))
            if key.command:
                command = keys.command_for(key, "RUN")
                prompt = f"{' ' * (column + 4)}$ {command}"
                out.append(Content.styled(prompt, "$foreground 60%"))
    return out


class HelpScreen(Screen[None]):
    """What every key does on the screen from which help was asked."""

    BINDINGS: ClassVar[list[Any]] = keys.bindings(keys.HELP)

    def __init__(self, screen: str, keymap: Mapping[str, str], *, ascii_only: bool) -> None:
        super().__init__()
        self._of = screen
        self._keymap = keymap
        self._ascii = ascii_only

    def compose(self) -> ComposeResult:
        """A heading, the page, the footer."""
        yield Line(id="help-title")
        yield Sheet(id="help-page")
        yield KeyBar(ascii_only=self._ascii)

    def on_mount(self) -> None:
        """Write the page."""
        self._write()

    def on_resize(self) -> None:
        """Write it for the new width."""
        self._write()

    def _write(self) -> None:
        width = self.size.width
        title = rule(f"Keys: {self._of}", "change them: [keys] in .statustui.toml", width, ascii_only=self._ascii)
        self.query_one("#help-title", Line).show(title)
        self.query_one(Sheet).show(lines(self._of, self._keymap, width - 1, ascii_only=self._ascii))

    def action_move(self, how: str) -> None:
        """Scroll."""
        self.query_one(Sheet).move(how)

    def action_back(self) -> None:
        """Go back to where help was asked."""
        self.dismiss(None)

    def action_leave(self) -> None:
        """The same as back."""
        self.dismiss(None)
