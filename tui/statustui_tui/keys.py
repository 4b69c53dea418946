"""Every key of the monitor, in one table.

The footer, the help screen, the command palette, the bindings of each screen and the table in the README are made
from it, so they cannot disagree. People remap a key by its ``id`` in their configuration (``keymap``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from textual.binding import Binding

MONITOR = "monitor"
RUN = "run"
LOG = "log"
HELP = "help"
DIALOG = "dialog"
PIPELINES = "pipelines"
MATRIX = "items"
ITEM = "item"
RUN_ITEMS = "run items"
ADOPT = "adopt"
ITEMS = (PIPELINES, MATRIX, ITEM, RUN_ITEMS)
ALL = (MONITOR, RUN, LOG, HELP, *ITEMS)
RUNS = (MONITOR, RUN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One thing that a key does."""

    id: str
    """Stable name, by which users remap it."""
    keys: str
    """The keys, in Textual's spelling, separated by commas."""
    action: str
    """The action it calls on the screen."""
    label: str
    """One or two words for the footer."""
    help: str
    """One sentence for the help screen."""
    group: str
    """Heading that it stands under in the help."""
    screens: tuple[str, ...]
    """The screens on which it is bound."""
    command: str | None = None
    """The command line that does the same; ``{id}`` stands for the run."""
    footer: int = 0
    """Rank in the footer: 1 is shed last; 0 = not in the footer."""
    palette: bool = False
    """True when the command palette offers it."""


# fmt: off
KEYS: tuple[Key, ...] = (
    # Look
    Key(id="open", keys="enter", action="open", label="open", group="Look", screens=(MONITOR,), footer=2,
        help="Open the run under the cursor; on a folded row, unfold it.", command="statustui show {id}"),
    Key(id="log", keys="l", action="log", label="log", group="Look", screens=RUNS, footer=3, palette=True,
        help="Show the log of the run; a failed one opens at its error.", command="statustui tail {id}"),
    Key(id="open_items", keys="enter", action="open", label="open", group="Look", screens=ITEMS, footer=2,
        help="Go in: the pipeline's items, those at the step, the item, the run that made the attempt.",
        command="statustui item KEY"),
    Key(id="run_items", keys="i", action="items", label="items", group="Look", screens=(RUN,), footer=5, palette=True,
        help="The items that this run works or worked on."),
    # Act
    Key(id="item_retry", keys="r", action="item_retry", label="retry", group="Act", screens=(MATRIX, ITEM), footer=3,
        palette=True, help="Let failed steps be tried again at once. Asks first, with the count.",
        command="statustui items retry KEY"),
    Key(id="item_reset", keys="R", action="item_reset", label="reset", group="Act", screens=(MATRIX, ITEM), footer=5,
        palette=True, help="Let a step, and what depends on it, begin anew. Asks first.",
        command="statustui items reset KEY --step STEP"),
    Key(id="item_skip", keys="S", action="item_skip", label="skip", group="Act", screens=(MATRIX, ITEM), footer=5,
        palette=True, help="Skip what is open of an item; on its own screen the step under the cursor. Asks first.",
        command="statustui items skip KEY --reason WHY"),
    Key(id="cancel", keys="x", action="cancel", label="cancel", group="Act", screens=RUNS, footer=4,
        palette=True, help="Cancel: TERM, a countdown, then KILL. Asks first.", command="statustui cancel {id}"),
    Key(id="cancel_now", keys="X", action="cancel_now", label="kill now", group="Act", screens=RUNS, palette=True,
        help="Cancel with KILL at once. Asks first.", command="statustui cancel --now {id}"),
    Key(id="retry", keys="r", action="retry", label="retry", group="Act", screens=RUNS, footer=4, palette=True,
        help="Start a new attempt with the recorded command. Asks first.", command="statustui retry {id}"),
    Key(id="retry_edit", keys="R", action="retry_edit", label="edit and retry", group="Act", screens=RUNS, palette=True,
        help="Edit the command, then start a new attempt.", command="statustui retry --edit {id}"),
    Key(id="acknowledge", keys="a", action="acknowledge", label="ack", group="Act", screens=RUNS, footer=6,
        palette=True, help="Acknowledge: it leaves “Needs you”.", command="statustui ack {id}"),
    Key(id="adopt", keys="A", action="adopt", label="adopt", group="Act", screens=(MONITOR,), palette=True,
        help="Adopt a process of yours that runs already: it is tracked from now on.", command="statustui adopt PID"),
    Key(id="adopt_this", keys="enter", action="adopt", label="adopt", group="Act", screens=(ADOPT,), footer=2,
        help="Adopt the process under the cursor; asks for the name of its task.", command="statustui adopt PID"),
    Key(id="copy", keys="y", action="copy", label="copy", group="Act", screens=(MONITOR, RUN, LOG, MATRIX, ITEM),
        palette=True, help="Copy to the clipboard of your terminal, and show a plain page to select from."),
    # Find
    Key(id="filter", keys="slash", action="filter", label="filter", group="Find", screens=(MONITOR,), footer=5,
        palette=True, command="statustui runs --task TASK",
        help="Show only what matches; ! inverts; user: host: task: stage: status: narrow."),
    Key(id="item_filter", keys="slash", action="filter", label="filter", group="Find", screens=(MATRIX,), footer=4,
        palette=True, command="statustui items --search TEXT",
        help="Show only items that match: part of the key, status: step: kind: since: until: date:."),
    Key(id="failure", keys="e", action="failure(1)", label="failure", group="Find", screens=(MATRIX,), footer=4,
        help="Go to the next failed item."),
    Key(id="previous_failure", keys="E", action="failure(-1)", label="failure before", group="Find",
        screens=(MATRIX,), help="Go to the failed item before."),
    Key(id="item_sort", keys="s", action="sort", label="sort", group="Find", screens=(MATRIX,), footer=7, palette=True,
        help="Choose the order: key, date, last changed, status, failed last."),
    Key(id="item_mark", keys="space", action="mark", label="mark", group="Find", screens=(MATRIX,), footer=8,
        help="Mark the item; what you then ask for is done to all that are marked."),
    Key(id="everything", keys="A", action="everything", label="all", group="Find", screens=(MATRIX,), footer=8,
        palette=True, help="Choose everything that the filter matches, in view or not; again: not."),
    Key(id="search", keys="slash", action="search", label="search", group="Find", screens=(LOG,), footer=5,
        palette=True, help="Search in the log."),
    Key(id="mine", keys="u", action="mine", label="mine", group="Find", screens=(MONITOR,), palette=True,
        help="Show only my own runs.", command="statustui runs --user USER"),
    Key(id="sort", keys="s", action="sort", label="sort", group="Find", screens=(MONITOR,), footer=7, palette=True,
        help="Choose the order: trouble first, time, done, cpu, memory, task."),
    Key(id="mark", keys="space", action="mark", label="mark", group="Find", screens=(MONITOR,), footer=8,
        help="Mark the run; what you then ask for is done to all that are marked."),
    Key(id="range", keys="V", action="range", label="mark range", group="Find", screens=(MONITOR, MATRIX),
        help="Begin a range here; again to end it."),
    Key(id="next", keys="n", action="next_hit", label="next", group="Find", screens=(MONITOR, LOG),
        help="Go to the next match."),
    Key(id="previous", keys="N", action="previous_hit", label="previous", group="Find", screens=(MONITOR, LOG),
        help="Go to the match before."),
    # Move
    Key(id="down", keys="j,down", action="move('down')", label="down", group="Move", screens=ALL, help="Down."),
    Key(id="up", keys="k,up", action="move('up')", label="up", group="Move", screens=ALL, help="Up."),
    Key(id="half_down", keys="ctrl+d,pagedown", action="move('half_down')", label="page down", group="Move",
        screens=ALL, help="Half a page down."),
    Key(id="half_up", keys="ctrl+u,pageup", action="move('half_up')", label="page up", group="Move", screens=ALL,
        help="Half a page up."),
    Key(id="top", keys="g,home", action="move('top')", label="top", group="Move", screens=ALL,
        help="To the first line."),
    Key(id="end", keys="G,end", action="move('end')", label="end", group="Move", screens=ALL,
        help="To the last line; in a log also: follow."),
    Key(id="other_list", keys="tab,shift+tab", action="other_list", label="other list", group="Move",
        screens=(MONITOR, RUN, PIPELINES, ITEM), help="To the other list."),
    Key(id="adopt_down", keys="down", action="move('down')", label="down", group="Move", screens=(ADOPT,),
        footer=4, help="Down, while letters filter."),
    Key(id="adopt_up", keys="up", action="move('up')", label="up", group="Move", screens=(ADOPT,), footer=4,
        help="Up, while letters filter."),
    Key(id="adopt_half_down", keys="pagedown", action="move('half_down')", label="page down", group="Move",
        screens=(ADOPT,), help="Half a page down."),
    Key(id="adopt_half_up", keys="pageup", action="move('half_up')", label="page up", group="Move", screens=(ADOPT,),
        help="Half a page up."),
    # The log
    Key(id="follow", keys="f", action="follow", label="follow", group="Log", screens=(LOG,), footer=2,
        help="Follow the end of the log; scrolling up stops it, End resumes.", command="statustui tail -f {id}"),
    Key(id="wrap", keys="w", action="wrap", label="wrap", group="Log", screens=(LOG,), footer=4,
        help="Wrap long lines, or scroll them sideways."),
    Key(id="next_error", keys="e", action="next_error", label="error", group="Log", screens=(LOG,), footer=3,
        help="Go to the next line that looks like an error."),
    Key(id="previous_error", keys="E", action="previous_error", label="error before", group="Log", screens=(LOG,),
        help="Go to the error before."),
    Key(id="only", keys="ampersand", action="only", label="only matching", group="Log", screens=(LOG,), footer=6,
        help="Show only the lines that match (! inverts)."),
    Key(id="page", keys="space", action="move('page_down')", label="page", group="Log", screens=(LOG,),
        help="A page down."),
    Key(id="left", keys="h,left", action="move('left')", label="left", group="Log", screens=(LOG,),
        help="Scroll to the left."),
    Key(id="right", keys="right", action="move('right')", label="right", group="Log", screens=(LOG,),
        help="Scroll to the right."),
    # The run
    Key(id="older_attempt", keys="left_square_bracket", action="attempt(-1)", label="older try", group="Run",
        screens=(RUN, LOG), footer=6, help="The attempt before this one."),
    Key(id="newer_attempt", keys="right_square_bracket", action="attempt(1)", label="newer try", group="Run",
        screens=(RUN, LOG), footer=6, help="The attempt after this one."),
    # The program
    Key(id="pause", keys="p", action="pause", label="pause", group="Program", screens=(*RUNS, *ITEMS), palette=True,
        help="Hold the screen still; its age is shown until you go on."),
    Key(id="zoom", keys="z", action="zoom", label="full screen", group="Program", screens=(MONITOR, RUN, LOG),
        palette=True, help="Show this part alone; again to go back."),
    Key(id="adopt_back", keys="escape", action="back", label="back", group="Program", screens=(ADOPT,), footer=1,
        help="Clear what was typed; then go back."),
    Key(id="adopt_help", keys="f1", action="help", label="help", group="Program", screens=(ADOPT,), footer=3,
        help="Show the keys that work here."),
    Key(id="refresh", keys="ctrl+r,f5", action="reload", label="reload", group="Program",
        screens=(*RUNS, *ITEMS, ADOPT), palette=True, help="Ask the store now."),
    Key(id="suspend", keys="ctrl+z", action="app.suspend_process", label="suspend", group="Program", screens=ALL,
        help="Stop the monitor for a while; fg brings it back."),
    Key(id="redraw", keys="ctrl+l", action="app.redraw", label="redraw", group="Program", screens=ALL,
        help="Draw the screen again, when something else has written over it."),
    Key(id="palette", keys="colon,ctrl+p", action="palette", label="palette", group="Program",
        screens=(MONITOR, RUN, LOG, *ITEMS), help="Type to find a run or an action."),
    Key(id="help", keys="question_mark,f1", action="help", label="help", group="Program",
        screens=(MONITOR, RUN, LOG, *ITEMS), footer=2, palette=True, help="Show the keys that work here."),
    Key(id="back", keys="escape", action="back", label="back", group="Program",
        screens=(RUN, LOG, HELP, PIPELINES, ITEM, RUN_ITEMS), footer=1,
        help="Go back one level, clearing one thing at a time: search, filter, marks."),
    Key(id="clear", keys="escape", action="clear", label="clear", group="Program", screens=(MONITOR,), footer=1,
        help="Clear one thing at a time: full screen, marks, filter."),
    Key(id="clear_items", keys="escape", action="clear", label="back", group="Program", screens=(MATRIX,), footer=1,
        help="Clear one thing at a time: the choice, marks, filter; then go back."),
    Key(id="monitor", keys="1", action="app.first_screen", label="monitor", group="Program", screens=(RUN, *ITEMS),
        palette=True, help="To the Monitor screen."),
    Key(id="pipelines", keys="3", action="app.pipelines", label="pipelines", group="Program",
        screens=(MONITOR, RUN, MATRIX, ITEM, RUN_ITEMS), footer=9, palette=True, command="statustui pipelines",
        help="To the pipelines: their steps, and where items wait, run and fail."),
    Key(id="quit", keys="q", action="leave", label="quit", group="Program", screens=ALL, footer=1, palette=True,
        help="Go back; quit on the Monitor screen."),
    Key(id="interrupt", keys="ctrl+c,ctrl+q", action="app.quit", label="quit", group="Program", screens=(*ALL, ADOPT),
        help="Quit the monitor at once. No run is ever signalled by it."),
    # Dialogs
    Key(id="yes", keys="y", action="answer(True)", label="yes", group="Dialogs", screens=(DIALOG,), footer=1,
        help="Yes, do it."),
    Key(id="no", keys="n,escape,q", action="answer(False)", label="no", group="Dialogs", screens=(DIALOG,), footer=1,
        help="No, leave all as it is."),
    Key(id="default", keys="enter", action="default", label="no", group="Dialogs", screens=(DIALOG,), footer=2,
        help="The answer in capitals: No, where something would be changed."),
    Key(id="dialog_down", keys="j,down", action="scroll(1)", label="down", group="Dialogs", screens=(DIALOG,),
        help="Scroll the text of the dialog down."),
    Key(id="dialog_up", keys="k,up", action="scroll(-1)", label="up", group="Dialogs", screens=(DIALOG,),
        help="Scroll the text of the dialog up."),
    Key(id="dialog_quit", keys="ctrl+c,ctrl+q", action="app.quit", label="quit", group="Dialogs", screens=(DIALOG,),
        help="Quit the monitor; nothing is done."),
)
# fmt: on

BY_ID: Mapping[str, Key] = {key.id: key for key in KEYS}

_NAMES = {
    "enter": "⏎",
    "escape": "Esc",
    "slash": "/",
    "space": "space",
    "question_mark": "?",
    "colon": ":",
    "ampersand": "&",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "down": "↓",
    "up": "↑",
    "left": "←",
    "right": "→",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "home": "Home",
    "end": "End",
    "tab": "Tab",
    "f1": "F1",
    "f5": "F5",
}
_ASCII_NAMES = {"enter": "Enter", "down": "Down", "up": "Up", "left": "Left", "right": "Right"}


def on(screen: str) -> tuple[Key, ...]:
    """The keys of one screen, in the order of the table."""
    return tuple(key for key in KEYS if screen in key.screens)


def bindings(screen: str) -> list[Any]:
    """Textual bindings of one screen.

    Returns:
        One binding for each key; its ``id`` is that of the table, so that ``App.set_keymap`` remaps it.
    """
    # With priority the keys are handled one after the other by the application: else those that arrive together over
    # a slow line all go to the widget that had the focus before the first of them.
    return [Binding(key.keys, key.action, key.label, show=False, id=key.id, priority=True) for key in on(screen)]


def display(key: str, *, ascii_only: bool = False) -> str:
    """How one key is written for people: ``ctrl+d`` → ``Ctrl-d``, ``slash`` → ``/``."""
    if ascii_only and key in _ASCII_NAMES:
        return _ASCII_NAMES[key]
    if key.startswith("shift+"):
        rest = key[6:]
        return rest.upper() if len(rest) == 1 else f"Shift-{display(rest, ascii_only=ascii_only)}"
    if key.startswith("ctrl+"):
        return f"Ctrl-{display(key[5:], ascii_only=ascii_only)}"
    return _NAMES.get(key, key)


def shown_keys(key: Key, keymap: Mapping[str, str] | None = None, *, ascii_only: bool = False) -> str:
    """All keys of one entry for people, after the user's remapping, each once."""
    spelled = (keymap or {}).get(key.id, key.keys)
    names = (display(part.strip(), ascii_only=ascii_only) for part in spelled.split(",") if part.strip())
    return " ".join(dict.fromkeys(names))


def first_key(key: Key, keymap: Mapping[str, str] | None = None, *, ascii_only: bool = False) -> str:
    """The key that the footer names."""
    return shown_keys(key, keymap, ascii_only=ascii_only).split(" ")[0]


def command_for(key: Key, run: str) -> str | None:
    """The command line that does the same for one run, or None where there is none."""
    return key.command.replace("{id}", run) if key.command else None


def groups(keys: Iterable[Key]) -> dict[str, list[Key]]:
    """Keys by their heading, in the order of the table."""
    out: dict[str, list[Key]] = {}
    for key in keys:
        out.setdefault(key.group, []).append(key)
    return out


def markdown() -> str:
    """The table of keys as it stands in the README."""
    lines = ["| key | does | same on the command line |", "| --- | --- | --- |"]
    for key in KEYS:
        if key.screens == (DIALOG,):
            continue
        names = " ".join(f"`{name}`" for name in shown_keys(key).split(" "))
        where = "" if MONITOR in key.screens or key.group in ("Log", "Run") else f" ({', '.join(key.screens)})"
        command = f"`{command_for(key, 'RUN')}`" if key.command else ""
        lines.append(f"| {names} | {key.help}{where} | {command} |")
    return "\n".join(lines) + "\n"
