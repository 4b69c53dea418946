"""What tests of the R package share: it installed for real, scripts run by Rscript, what their journals say."""

import functools
import shutil
import subprocess
from pathlib import Path

import pytest

from statustui.clients.r.install import install
from statustui.journal.reader import check
from support.recording import Recorded, recorded

NEEDS_R = pytest.mark.skipif(
    shutil.which("Rscript") is None,
    reason="Rscript is missing (Debian: apt-get install --no-install-recommends r-base-core)",
)


@functools.cache
def library(base_dir: Path) -> str:
    """A library of R packages with ours in it, made once a test session."""
    return str(install(str(base_dir / "rlib")))


def run(body: str, place: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run *body* as the script ``DAILY_01_load.R`` in *place*, by Rscript where no other command is given."""
    script = place / "DAILY_01_load.R"
    script.write_text(body, encoding="utf-8")
    return subprocess.run(
        [*(command or ("Rscript",)), str(script)],
        capture_output=True, text=True, errors="replace", timeout=90, cwd=place, check=False,
    )  # fmt: skip


def only(state_dir: Path) -> Recorded:
    """The one run in the journals, all of which are well formed."""
    for journal in state_dir.glob("spool/*/*/*/*.jsonl"):
        assert list(check(str(journal))) == []
    (found,) = recorded(state_dir).values()
    return found


def subs(found: Recorded) -> list[tuple[str, str]]:
    """(name, status) of the subtasks, in their order."""
    return [(sub.name, sub.status) for sub in found.subs.values()]
