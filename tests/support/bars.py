"""What tests of tqdm's bars share: a program of theirs, run to its end, and the subtasks that it recorded."""

import textwrap
from pathlib import Path

from support.recording import Recorded, environment, only_run, run_script

HEAD = """
import os, sys, time
import statustui
from statustui.contrib.tqdm import tqdm, trange
"""


def record(env: Path, state_dir: Path, code: str, *, run: str = 'statustui.run("bars")', lines: int = 0) -> Recorded:
    """What a program of *code* in a run's block has recorded; its stderr must hold no error."""
    body = textwrap.indent(textwrap.dedent(code), "    ")
    done = run_script(env / "bars.py", f"{HEAD}\nwith {run} as run:\n{body}", env=environment(STATUSTUI_STRICT="1"))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) == lines, done.stdout
    return only_run(state_dir)


def figures(run: Recorded) -> list[tuple[str, int, int | None, str]]:
    """Name, done, total and status of each subtask, in their order."""
    return [(sub.name, sub.complete, sub.total, sub.status) for _, sub in sorted(run.subs.items())]
