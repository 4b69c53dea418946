"""What a program, the wrapper and the command line load: nothing that they do not need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from statustui.record.join import owner_token
from support.recording import environment

HEAVY = {"sqlalchemy", "textual", "psutil", "subprocess", "asyncio", "click", "pydantic", "alembic", "watchfiles"}


def loaded(*command: str, **variables: str) -> set[str]:
    """Top-level names of all modules that ``python …`` imports, by the interpreter's own account."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        env=environment(**variables), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert "statustui" in names
    return names


@pytest.fixture(scope="module")
def bare() -> set[str]:
    """What the interpreter and this environment load by themselves (editable installs, ``.pth`` files)."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print(*{name.partition('.')[0] for name in sys.modules})"],
        env=os.environ, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import statustui",
        "from statustui import Context, Run, Subtask, current, flush, run, script",
        "from statustui.script import *; track_init('x'); genter('a'); gexit(); track_finish()",
        "import statustui\nwith statustui.run('x') as run:\n for n in run.track([1, 2]): run.log('a')",
        "from statustui import Pipeline, Step",
    ],
)
def test_a_program_loads_neither_database_nor_terminal(code: str, env: Path, bare: set[str]) -> None:
    assert not loaded("-c", code) & HEAVY - bare


def test_the_wrapper_is_answered_before_the_command_line_is_loaded(env: Path, bare: set[str]) -> None:
    names = loaded("-m", "statustui", "run", "--", "true")
    assert not names & (HEAVY | {"dataclasses", "typing", "inspect", "logging", "argparse", "tomllib"}) - bare


@pytest.mark.parametrize("words", [("event", "x"), ("progress", "1/2"), ("subtask", "x", "--total", "3")])
def test_a_call_by_any_program_loads_little(words: tuple[str, ...], env: Path, state_dir: Path, bare: set[str]) -> None:
    token = owner_token("01a2043c-eb20-7c11-9d54-0f6a2bb0c5a1", os.getpid(), None, f"{state_dir}/spool/m/1/s")
    names = loaded("-m", "statustui", *words, STATUSTUI_OWNER=token)
    assert not names & (HEAVY | {"dataclasses", "typing", "inspect", "logging", "argparse", "tomllib"}) - bare
    assert list(state_dir.glob("spool/m/1/s/*.jsonl")), "it was recorded"


def test_help_loads_the_command_line_and_no_more(env: Path, bare: set[str]) -> None:
    names = loaded("-m", "statustui", "status", "--help")
    assert "click" in names
    assert not names & {"sqlalchemy", "textual", "psutil", "asyncio", "pydantic", "alembic", "watchfiles"} - bare


def test_packages_import_in_the_direction_of_the_design() -> None:
    pytest.importorskip("importlinter", reason="needs import-linter (the extra dev)")
    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


def test_the_drainer_loads_no_openssl_and_whoever_wants_it_later_can_have_it() -> None:
    code = (
        "import sys\nfrom statustui.drain.service import _import_sqlalchemy\n_import_sqlalchemy()\n"
        "import statustui.store.open\n"
        "print(*(name in sys.modules for name in ('sqlalchemy', 'ssl', '_hashlib')))\n"
        "import ssl, hashlib\nprint(bool(ssl.OPENSSL_VERSION), hashlib.sha256(b'').hexdigest()[:4])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False", "True", "e3b0"]
