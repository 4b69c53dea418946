"""What tests of the journal share: reading everything of a spool directory, and programs run beside the test."""

import subprocess
import sys
import textwrap
from pathlib import Path

from statustui.journal.reader import JournalReader, Line, list_journals

CORE = Path(__file__).parents[2] / "core"


def lines(spool: Path | str, journal: str | None = None, *, final: bool = True) -> list[Line]:
    """All lines of one journal (the only one when none is named), read as a drainer does: bit by bit."""
    reader = JournalReader(str(spool), journal or only(spool))
    found: list[Line] = []
    offset = 0
    while batch := reader.read(offset, 1, final=final):
        found += batch
        offset = batch[-1].next_offset
    return found


def only(spool: Path | str) -> str:
    """Id of the only journal."""
    (journal,) = list_journals(str(spool))
    return journal


def records(spool: Path | str, kind: str | None = None, journal: str | None = None) -> list[dict[str, object]]:
    """The understood records of a journal, of one kind or of all."""
    found = [line.record for line in lines(spool, journal) if line.record is not None]
    return [record for record in found if kind is None or record["k"] == kind]


def errors(spool: Path | str) -> list[str]:
    """Why lines were not understood."""
    return [line.error for line in lines(spool) if line.error is not None]


def program(code: str, *arguments: object) -> list[str]:
    """Command line of a Python program that imports statustui."""
    source = f"import sys; sys.path.insert(0, {str(CORE)!r})\n{textwrap.dedent(code)}"
    return [sys.executable, "-c", source, *map(str, arguments)]


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a Python program to its end."""
    return subprocess.run(program(code, *arguments), capture_output=True, text=True, timeout=60)
