"""Two versions on one host: the newer one takes over from the drainer that works, whichever came first."""

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import statustui
from statustui import config
from statustui.drain import lifecycle
from statustui.journal.locks import holder
from statustui.model.status import RunStatus
from support.drained import started, status, the_run
from support.processes import until

WORKS = """
import sys, time, statustui
with statustui.run(sys.argv[1]):
    print(1, flush=True)
    sys.stdin.read()
"""


def program(name: str, **environment: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-c", WORKS, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    started(process)
    return process


def version_at_work(spool: str) -> str | None:
    try:
        if holder(f"{spool}/drainer.lock") is None:
            return None
        return str(json.loads(Path(f"{spool}/drainer.lock").read_text())["version"])
    except (OSError, ValueError):
        return None


def _finished(url: str, task: str) -> bool:
    return status(url, task) is RunStatus.FINISHED


def test_a_program_of_a_newer_version_has_its_own_drainer_at_work(env: Path) -> None:
    """Both programs' facts arrive; the older program does not bring its own drainer back."""
    source = Path(statustui.__file__).parent
    newer = env / "newer" / "statustui"
    shutil.copytree(source, newer, ignore=shutil.ignore_patterns("__pycache__"))
    face = newer / "__init__.py"
    own = f'__version__ = "{statustui.__version__}"'
    assert own in face.read_text()
    face.write_text(face.read_text().replace(own, '__version__ = "99.1"'))
    settings = config.load()
    spool = config.spool_dir(settings)
    old = program("old")
    until(lambda: version_at_work(spool) == statustui.__version__, timeout=60, what="the older drainer")
    new = program("new", PYTHONPATH=str(newer.parent))
    until(lambda: version_at_work(spool) == "99.1", timeout=60, what="the newer drainer")
    for process in (old, new):
        process.communicate(timeout=20)
    for name in ("old", "new"):
        until(partial(_finished, settings.store_url, name), timeout=30, what=name)
    assert the_run(settings.store_url, "old").id != the_run(settings.store_url, "new").id
    assert version_at_work(spool) in ("99.1", None)


def test_a_note_of_long_ago_locks_nobody_out(state_dir: Path) -> None:
    """Its writer has ended, and what it named did not start."""
    note = state_dir / "drainer.next"
    note.write_text(json.dumps({"version": "99.0", "interpreter": sys.executable}))
    note.chmod(0o600)
    assert lifecycle.waiting(str(state_dir), "1.0") is not None
    long_ago = note.stat().st_mtime - 60
    os.utime(note, (long_ago, long_ago))
    assert lifecycle.waiting(str(state_dir), "1.0") is None
    assert not note.exists()
