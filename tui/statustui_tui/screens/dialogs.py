"""Dialogs: they name what would be done and to what, and the default is No."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from statustui_tui import keys
from statustui_tui.screens.parts.line import Line
from statustui_tui.screens.parts.sheet import Sheet


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a dialog asks."""

    title: str
    """In a few words of ours; never text from outside."""
    lines: tuple[Content, ...]
    """What would be done and to what."""
    yes: str = "yes"
    """What happens on y."""
    no: str = "no"
    """What happens on n, Escape and, unless `harmless`, Enter."""
    harmless: bool = False
    """True when Enter may mean yes."""
    possible: bool = True
    """False: nothing can be done; the dialog only says why."""


class Dialog(ModalScreen[bool]):
    """Asks one question. ``y`` and ``n`` answer; Enter gives the answer that is written in capitals."""

    BINDINGS: ClassVar[list[Any]] = keys.bindings(keys.DIALOG)

    def __init__(self, question: Question) -> None:
        super().__init__()
        self.question = question

    def compose(self) -> ComposeResult:
        """A box with the text and the answers."""
        with Vertical(id="dialog"):
            yield Line(Content.styled(self.question.title, "bold $warning"), id="dialog-title")
            yield Sheet(self.question.lines, id="dialog-text")
            yield Line(self._answers(), id="dialog-answers")

    def on_mount(self) -> None:
        """Fit the box to its text."""
        self._fit()

    def on_resize(self) -> None:
        """Fit the box to the terminal."""
        self._fit()

    def _fit(self) -> None:
        lines = len(self.question.lines)
        widest = max((line.cell_length for line in self.question.lines), default=20)
        box = self.query_one("#dialog")
        tight = self.size.height < 12 or self.size.width < 40
        box.set_class(tight, "-tight")
        frame_rows, frame_cells = (2, 0) if tight else (6, 6)
        box.styles.width = min(self.size.width, max(widest, self._answers().cell_length, 36) + frame_cells)
        box.styles.height = min(self.size.height, lines + frame_rows)

    def _answers(self) -> Content:
        q = self.question
        if not q.possible:
            return Content.assemble(("Enter", "bold $accent"), " close")
        yes, no = ("Y", "n") if q.harmless else ("y", "N")
        return Content.assemble(
            (yes, "bold $accent"),
            f" {q.yes}   ",
            (no, "bold $accent"),
            f" {q.no}   ",
            ("Enter", "bold $accent"),
            f" = {q.yes if q.harmless else q.no}",
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Yes is no choice where nothing can be done."""
        return not (action == "answer" and parameters == (True,) and not self.question.possible)

    def action_answer(self, yes: bool) -> None:
        """Close with an answer."""
        self.dismiss(yes)

    def action_default(self) -> None:
        """Enter: No, unless the question is harmless."""
        self.dismiss(self.question.harmless and self.question.possible)

    def action_scroll(self, lines: int) -> None:
        """Scroll the text."""
        self.query_one(Sheet).move("down" if lines > 0 else "up")


class EditCommand(ModalScreen[str | None]):
    """Edits the command line of a retry; what comes back is still confirmed."""

    BINDINGS: ClassVar[list[Any]] = [b for b in keys.bindings(keys.DIALOG) if b.id == "dialog_quit"] + [
        ("escape", "cancel", "cancel")
    ]

    def __init__(self, title: str, command: str, check: Callable[[str], str | None]) -> None:
        super().__init__()
        self._title = title
        self._command = command
        self._check = check

    def compose(self) -> ComposeResult:
        """A box with one line to edit."""
        with Vertical(id="dialog", classes="edit"):
            yield Line(Content.styled(self._title, "bold $warning"), id="dialog-title")
            yield Input(self._command, id="dialog-input", select_on_focus=False, highlighter=None)
            yield Line(Content.assemble(("Enter", "bold $accent"), " go on   ", ("Esc", "bold $accent"), " leave it"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Close with the edited line, if it can be read as a command."""
        wrong = self._check(event.value)
        if wrong is None:
            self.dismiss(event.value)
        else:
            self.query_one("#dialog-title", Line).show(Content.styled(wrong, "bold $error"))

    def action_cancel(self) -> None:
        """Close without a command."""
        self.dismiss(None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One line of a menu."""

    key: str
    label: str
    value: str


class Menu(ModalScreen[str | None]):
    """A short list to choose from by a letter, or by the cursor and Enter."""

    BINDINGS: ClassVar[list[Any]] = [b for b in keys.bindings(keys.DIALOG) if b.id == "dialog_quit"] + [
        ("escape,q", "close", "close"),
        ("j,down", "step(1)", "down"),
        ("k,up", "step(-1)", "up"),
        ("enter", "take", "choose"),
    ]

    def __init__(self, title: str, choices: Sequence[Choice], current: str, ascii_only: bool = False) -> None:
        super().__init__()
        self._title = title
        self._choices = list(choices)
        self._at = next((i for i, c in enumerate(choices) if c.value == current), 0)
        self._current = current
        self._mark = "*" if ascii_only else "•"

    def compose(self) -> ComposeResult:
        """A box with the choices."""
        with Vertical(id="dialog", classes="menu"):
            yield Line(Content.styled(self._title, "bold $warning"), id="dialog-title")
            yield Sheet(self._lines(), id="dialog-text")

    def on_mount(self) -> None:
        """Fit the box to the choices."""
        box = self.query_one("#dialog")
        box.set_class(self.size.height < 14, "-tight")
        box.styles.width = min(self.size.width, 44)
        box.styles.height = min(self.size.height, len(self._choices) + (1 if self.size.height < 14 else 5))

    def _lines(self) -> list[Content]:
        return [
            Content.assemble(
                (f" {c.key} ", "bold $accent"),
                f" {c.label}",
                (f" {self._mark}" if c.value == self._current else "", "$success"),
            ).stylize("reverse" if i == self._at else "")
            for i, c in enumerate(self._choices)
        ]

    def on_key(self, event: Any) -> None:
        """Take the choice whose letter was typed."""
        for choice in self._choices:
            if event.character == choice.key:
                event.stop()
                self.dismiss(choice.value)
                return

    def action_step(self, by: int) -> None:
        """Move the cursor."""
        self._at = (self._at + by) % len(self._choices)
        self.query_one(Sheet).show(self._lines())

    def action_take(self) -> None:
        """Take the choice under the cursor."""
        self.dismiss(self._choices[self._at].value)

    def action_close(self) -> None:
        """Change nothing."""
        self.dismiss(None)
