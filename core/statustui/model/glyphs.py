"""One sign for each status and mark: with its word or alone, never only a colour. The same in monitor and commands."""

from statustui.model.status import ItemStatus, Mark, RunStatus, SubtaskStatus

Signed = RunStatus | SubtaskStatus | ItemStatus | Mark

# Each is one cell wide in every terminal: none is East Asian wide or ambiguous, none has an emoji form.
# Equal words of different kinds share one entry: a status is its word.
_SIGNS: dict[str | Mark, tuple[str, str]] = {
    RunStatus.STARTED: ("▹", "r"),
    RunStatus.RUNNING: ("▸", "R"),
    RunStatus.FINISHED: ("✓", "+"),
    RunStatus.FAILED: ("✗", "F"),
    RunStatus.CANCELLED: ("⊘", "C"),
    RunStatus.LOST: ("✗", "L"),
    SubtaskStatus.NOT_STARTED: (".", "."),
    SubtaskStatus.COMPLETED: ("✓", "+"),
    SubtaskStatus.SKIPPED: ("↷", "-"),
    ItemStatus.PENDING: (".", "."),
    ItemStatus.PROCESSING: ("▸", "R"),
    Mark.STALLED: ("!", "!"),
    Mark.SLOW: ("~", "~"),
    Mark.SILENT: ("?", "?"),
    Mark.LATE: ("!", "!"),
}


def glyph(status: Signed, ascii: bool = False) -> str:
    """One-cell sign of a status or mark."""
    return _SIGNS[status][ascii]
