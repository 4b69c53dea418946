"""What the README says of the hooks is true, and they load nothing that a program which records must not load."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.readme import README
from support.recording import environment, only_run, run_script

HEAVY = {"sqlalchemy", "textual", "psutil", "click", "pydantic", "alembic", "watchfiles", "platformdirs"}


def test_its_example_runs_and_is_recorded(env: Path, state_dir: Path) -> None:
    pytest.importorskip("tqdm")
    pytest.importorskip("rich")
    code = README.read_text(encoding="utf-8").split("<!-- run this too -->\n```python\n")[1].split("```")[0]
    done = run_script(env / "nightly.py", code, env=environment(STATUSTUI_STRICT="1"))
    assert done.returncode == 0, done.stderr
    run = only_run(state_dir)
    found = {sub.name: (sub.complete, sub.total, sub.status) for sub in run.subs.values()}
    assert found["states"] == (3, 3, "completed")
    assert found["pages"] == (10, 10, "completed")
    assert found["fetching"] == (20, 20, "completed")
    assert found["parsing"] == (1000, 1000, "completed")
    assert [event["message"] for event in run.events] == ["2 rows were skipped"]
    assert run.end["status"] == "finished"


@pytest.mark.parametrize(
    ("module", "tool"),
    [("tqdm", "tqdm"), ("rich", "rich.progress"), ("logging", "logging"), ("futures", "concurrent.futures"),
     ("multiprocessing", "multiprocessing.pool"), ("pytest", "pytest")],
)  # fmt: skip
def test_a_hook_loads_its_tool_and_nothing_heavy(module: str, tool: str, env: Path) -> None:
    pytest.importorskip(tool)
    code = f"""
        import sys
        import {tool}
        before = set(sys.modules)
        import statustui.contrib.{module}
        new = {{name.partition('.')[0] for name in set(sys.modules) - before}}
        print(sorted(new & {HEAVY | {"asyncio", "subprocess", "tqdm", "rich", "pytest"}}))
    """
    done = run_script(env / "loads.py", code)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_pytest_plugin_is_not_loaded_unless_asked_for() -> None:
    code = """
from importlib.metadata import entry_points
print([entry for entry in entry_points(group="pytest11") if "status" in str(entry)])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
