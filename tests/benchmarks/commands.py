"""What a command costs as a whole process."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Line, interleaved, ms, wall


def lines() -> list[Line]:
    """All lines of this group."""
    with tempfile.TemporaryDirectory(prefix="stt-bench-") as home:
        env = {
            **os.environ,
            "STATUSTUI_STATE_DIR": home,
            "STATUSTUI_STORE": f"sqlite:///{home}/status.db",
            "HOME": home,
            "STATUSTUI_DRAINER_LINGER": "600",
            # As installed: else each start would compile what a surrounding setting forbids to keep.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": f"{home}/bytecode",
        }
        python = sys.executable
        ours = [python, "-m", "statustui"]
        subprocess.run([*ours, "run", "--name", "first", "--", "true"], env=env, check=True)
        end = time.monotonic() + 20
        while b"first" not in subprocess.run([*ours, "runs"], env=env, capture_output=True, check=False).stdout:
            if time.monotonic() > end:
                raise RuntimeError("the run did not arrive in the store")
            time.sleep(0.1)
        try:
            return [*_wrapper(python, ours, env), *_calls(python, ours, env), *_viewers(python, ours, env)]
        finally:
            subprocess.run([*ours, "drain", "--stop"], env=env, check=False, capture_output=True)


def _wrapper(python: str, ours: list[str], env: dict[str, str]) -> list[Line]:
    # The child prints the clock when it starts and when it ends; the rest is what we add before and after.
    clock = [python, "-I", "-S", "-c", "import time; print(time.clock_gettime(time.CLOCK_MONOTONIC))"]

    def before(prefix: list[str]) -> float:
        start = time.clock_gettime(time.CLOCK_MONOTONIC)
        done = subprocess.run([*prefix, *clock], env=env, capture_output=True, check=True)
        return float(done.stdout) - start

    got = interleaved(
        15,
        {
            "alone": lambda: before([]),
            "wrapped": lambda: before([*ours, "run", "--no-log", "--name", "clock", "--"]),
            "true": wall(["true"], env),
            "run true": wall([*ours, "run", "--name", "true", "--", "true"], env),
            "bare": wall([python, "-c", "pass"], env),
        },
    )
    first = got["wrapped"] - got["alone"] - got["bare"]
    whole = got["run true"] - got["true"] - got["bare"]
    return [
        Line(
            what="`statustui run -- CMD`: until CMD runs",
            budget="≤ 20 ms after our start",
            figure=f"{ms(first)} over a bare interpreter's start",
            beside=f"bare Python {ms(got['bare'])}; the command alone {ms(got['alone'])}",
            ok=first <= 0.020,
        ),
        Line(
            what="`statustui run -- true`, whole",
            budget="≤ 30 ms over both starts",
            figure=f"{ms(got['run true'])}",
            beside=f"true {ms(got['true'])} + bare Python {ms(got['bare'])}",
            ok=whole <= 0.030,
        ),
    ]


def _calls(python: str, ours: list[str], env: dict[str, str]) -> list[Line]:
    # Each in a run of its own, which a command at the end of it measures from the inside.
    inside = {
        "event": [*ours, "event", "loaded 3 files"],
        "progress": [*ours, "progress", "+1", "--total", "500"],
        "subtask": [*ours, "subtask", "load"],
    }
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[1])!r})
from benchmarks.harness import interleaved, wall
for name, seconds in interleaved(25, {{"bare": wall([{python!r}, "-c", "pass"]),
        **{{name: wall(command) for name, command in {inside!r}.items()}}}}).items():
    print(name, seconds)
"""
    done = subprocess.run(
        [*ours, "run", "--name", "calls", "--", python, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    got = {name: float(seconds) for name, seconds in (line.split() for line in done.stdout.splitlines())}
    return [
        Line(
            what=f"`statustui {name}` inside a run, whole process",
            budget="≤ 30 ms",
            figure=ms(got[name]),
            beside=f"bare Python {ms(got['bare'])}",
            ok=got[name] <= 0.030,
        )
        for name in inside
    ]


def _viewers(python: str, ours: list[str], env: dict[str, str]) -> list[Line]:
    with sqlite3.connect(env["STATUSTUI_STORE"].removeprefix("sqlite:///")) as db:
        (n,) = db.execute("SELECT count(*) FROM runs").fetchone()
    got = interleaved(
        7,
        {
            "bare": wall([python, "-c", "pass"], env),
            "sqlalchemy": wall([python, "-c", "import sqlalchemy"], env),
            "click": wall([python, "-c", "import click"], env),
            "--help": wall([*ours, "--help"], env),
            "--version": wall([*ours, "--version"], env),
            "status": wall([*ours, "status"], env),
            "runs": wall([*ours, "runs"], env),
            "show": wall([*ours, "show", "first"], env),
        },
    )
    result = [
        Line(
            what=f"`statustui {name}`",
            budget="≤ 70 ms whole",
            figure=ms(got[name]),
            beside=f"import click {ms(got['click'])}",
            ok=got[name] <= 0.070,
        )
        for name in ("--version", "--help")
    ]
    result += [
        Line(
            what=f"`statustui {name}` ({n} runs)",
            budget="≤ 350 ms whole",
            figure=ms(got[name]),
            beside=f"import sqlalchemy {ms(got['sqlalchemy'])}",
            ok=got[name] <= 0.350,
        )
        for name in ("status", "runs", "show")
    ]
    return result
