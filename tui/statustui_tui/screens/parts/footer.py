"""The footer: the keys that work now, those that matter most when there is little room."""

from typing import Any

from textual.content import Content

from statustui_tui import keys
from statustui_tui.screens.parts.line import Line


class KeyBar(Line):
    """One line of keys, made from the table of keys and from what `check_action` allows at this moment."""

    DEFAULT_CSS = """
    KeyBar { dock: bottom; background: $panel; }
    """

    def __init__(self, *, ascii_only: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._ascii = ascii_only

    def on_mount(self) -> None:
        """Follow the screen's bindings."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)
        self.call_after_refresh(self.update)

    def on_resize(self) -> None:
        """Fit the new width."""
        self.update()

    def _bindings_changed(self, _screen: object) -> None:
        if self.screen.is_attached:
            self.update()

    def update(self) -> None:
        """Ask what works now, and show it."""
        works: dict[str, str] = {}
        for key, active in self.screen.active_bindings.items():
            if active.enabled and active.binding.id and active.binding.id not in works:
                works[active.binding.id] = keys.display(key, ascii_only=self._ascii)
        entries = [(k, works[k.id]) for k in keys.KEYS if k.footer and k.id in works]
        self.show(fit(entries, self.size.width))


def fit(entries: list[tuple[keys.Key, str]], width: int) -> Content:
    """The footer's text: as many entries as fit, the lowest ranks first, in the order of the table."""
    chosen: set[str] = set()
    room = width - 1
    for key, name in sorted(entries, key=lambda entry: entry[0].footer):
        need = len(name) + 1 + len(key.label) + 2
        if need - 2 <= room:
            chosen.add(key.id)
            room -= need
    parts: list[tuple[str, str] | str] = [" "]
    for key, name in entries:
        if key.id in chosen:
            parts += [(name, "bold $accent"), f" {key.label}  "]
    return Content.assemble(*parts).rstrip()
