"""Text pictures of screens, kept as plain files and compared; ``STATUSTUI_UPDATE_PICTURES=1`` writes them anew."""

import difflib
import os
from pathlib import Path

UPDATE = bool(os.environ.get("STATUSTUI_UPDATE_PICTURES"))  # read before tests get their empty environment
FOLDER = Path(__file__).parent.parent / "tui" / "snapshots"


def same_picture(name: str, text: str) -> None:
    """Fail with a difference where *text* is not what the kept picture shows."""
    path = FOLDER / f"{name}.txt"
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    if kept != text:
        lines = difflib.unified_diff(kept.splitlines(), text.splitlines(), f"kept {name}", "now", lineterm="")
        raise AssertionError("the screen has changed (STATUSTUI_UPDATE_PICTURES=1 keeps it)\n" + "\n".join(lines))
