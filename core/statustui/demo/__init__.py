"""The demo: real programs over the files of the standard library, started side by side.

Nothing sleeps and nothing is made up: files are hashed, compressed, parsed and indexed, and the tasks
that fail do so because a file really does not decode or parse.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from statustui.demo.files import library, packages

_KEPT = 3
_TASKS = (
    ("hash_library", True, True),
    ("compress_packages", True, True),
    ("index_words", True, True),
    ("parse_parallel", False, True),
    ("check_encodings", False, False),
    ("load_settings", False, False),
)
"""(module, takes the work directory, takes the number of rounds)."""


@dataclass(kw_only=True)
class Demo:
    """The demo's programs while they run."""

    store_url: str
    """Where they are recorded."""
    workdir: Path
    """Where their results and logs lie."""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def wait(self, timeout: float = 600.0) -> int:
        """Wait for all of them; how many still run after *timeout* seconds."""
        end = time.monotonic() + timeout
        for process in self.processes:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue
        return sum(process.poll() is None for process in self.processes)


def launch(*, store_url: str, workdir: Path, rounds: int = 3, environment: Mapping[str, str] | None = None) -> Demo:
    """Start the demo's tasks, each a process of its own that outlives this one.

    Args:
        store_url: where they record themselves.
        workdir: directory for what they make; made if missing. The newest few starts are kept.
        rounds: how much work; 1 takes some ten seconds on two cores.
        environment: variables to start from instead of this process's.
    """
    workdir.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in sorted(workdir.iterdir())[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    # One directory a start: earlier tasks may still run, or be started again, in theirs.
    workdir = Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=workdir))
    (workdir / "logs").mkdir(exist_ok=True, mode=0o700)
    env = {**(os.environ if environment is None else environment), "STATUSTUI_STORE": store_url}
    demo = Demo(store_url=store_url, workdir=workdir)
    for module, with_dir, with_rounds in _TASKS:
        command = [sys.executable, "-m", f"statustui.demo.tasks.{module}"]
        command += [str(workdir)] * with_dir + [str(rounds)] * with_rounds
        demo.processes.append(_start(command, workdir, module, env))
    # Last, since its sources must be laid out first.
    target = _sources_to_compile(workdir, max(1, rounds // 3))
    compile_all = [sys.executable, "-m", "compileall", "-f", str(target)]
    wrapped = [sys.executable, "-m", "statustui", "run", "--name", "nightly_compile", "--", *compile_all]
    demo.processes.append(_start(wrapped, workdir, "nightly_compile", env))
    return demo


def _start(command: list[str], workdir: Path, name: str, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with (workdir / "logs" / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=workdir,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # They are busy by design: neither who watches them nor the drainer (at 10) must wait for a processor.
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, 15)
    return process


def _sources_to_compile(workdir: Path, copies: int) -> Path:
    """The largest packages, linked file by file: the byte code is written beside the links."""
    target = workdir / "sources"
    chosen = packages(12)
    for number in range(copies):
        for _, files in chosen:
            for path in files:
                link = target / f"copy{number}" / path.relative_to(library())
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path)
    return target
