"""``python -m statustui run script.py``: the script runs as by plain Python, and its bars are on the screen."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from support.recording import Recorded, environment, recorded

RUN = ("-m", "statustui", "run")


def python(env: Path, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """What ``python WORD…`` prints in the test's directory."""
    return subprocess.run(
        [sys.executable, *words], cwd=env, env=environment(**more), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def write(path: Path, code: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(textwrap.dedent(code))


def the_run(state_dir: Path) -> Recorded:
    (run,) = recorded(state_dir, joined=True).values()
    return run


PROGRAMS = {
    "names": """
        import sys, os, inspect
        import beside
        print(__name__, __file__, __doc__, __package__, __spec__, sys.argv, sys.path[0], beside.__file__)
        print(sys.modules["__main__"].__dict__ is globals(), __builtins__.__name__, sorted(globals()))
        print(os.environ.get("STATUSTUI_CONTEXT"), sys.stdin.read(), sys.flags.utf8_mode)
    """,
    "exception": """
        def load():
            raise KeyError("FIPS")
        load()
    """,
    "syntax": "def load(:\n",
    "exit 3": "import sys; sys.exit(3)",
    "exit text": "import sys; sys.exit('no such state')",
    "raise exit": "raise SystemExit(4)",
    "hook": """
        import sys, traceback
        def hook(kind, error, trace):
            names = [frame.filename for frame in traceback.extract_tb(trace)]
            print(kind.__name__, names, error.__traceback__ is trace, __file__)
        sys.excepthook = hook
        raise ValueError("x")
    """,
    "chained": """
        try:
            1 / 0
        except ZeroDivisionError as error:
            raise RuntimeError("while dividing") from error
    """,
    "at exit": """
        import atexit, threading, time
        def later():
            time.sleep(0.1)
            print("thread", __name__)
        threading.Thread(target=later).start()
        atexit.register(lambda: print("at exit", sorted(globals())))
    """,
    "spawn": """
        import multiprocessing, pickle
        class Thing: pass
        def work(n):
            return n * n
        if __name__ == "__main__":
            print(type(pickle.loads(pickle.dumps(Thing()))) is Thing)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(work, [1, 2, 3]))
    """,
    "interrupt": "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('not reached')",
    "killed": "import os; os.kill(os.getpid(), 9)",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_script_runs_as_by_plain_python(name: str, env: Path, state_dir: Path) -> None:
    write(env / "beside.py", "")
    write(env / "sub" / "program.py", PROGRAMS[name])
    write(env / "sub" / "beside.py", "")
    words = ("sub/program.py", "--name", "x y", "-m", "--")
    plain = python(env, *words)
    ours = python(env, *RUN, *words)
    assert (ours.stdout, ours.stderr) == (plain.stdout, plain.stderr)
    assert ours.returncode == (plain.returncode if plain.returncode >= 0 else 128 - plain.returncode)
    run = the_run(state_dir)
    assert run.start["task"] == "program"
    assert run.start["args"][1:] == list(words)
    bad = {"interrupt": "cancelled"}.get(name, "failed") if plain.returncode else "finished"
    assert run.end["status"] == bad


def test_an_uncaught_exception_is_recorded_with_its_traceback(env: Path, state_dir: Path) -> None:
    write(env / "program.py", PROGRAMS["exception"])
    done = python(env, *RUN, "program.py")
    error = the_run(state_dir).end["error"]
    assert done.returncode == 1
    assert (error["type"], error["message"]) in [("KeyError", "'FIPS'"), ("exit status 1", "KeyError: 'FIPS'")]
    ends = [record for record in ends_of(state_dir) if record["error"]["type"] == "KeyError"]
    assert ends[0]["error"]["detail"] == done.stderr


def ends_of(state_dir: Path) -> list[dict[str, Any]]:
    from statustui.journal.reader import list_journals
    from support.journals import lines

    found = []
    for spool in state_dir.glob("spool/*/*/*"):
        for journal in list_journals(str(spool)):
            records = [line.record for line in lines(spool, journal)]
            found += [record for record in records if record and record["k"] == "run.end" and record.get("error")]
    return found


def test_modules_run_as_by_plain_python(env: Path, state_dir: Path) -> None:
    write(env / "pack" / "__init__.py", "print('package', __name__)")
    write(env / "pack" / "__main__.py", "import sys\nprint(__name__, __spec__.name, sys.argv, sys.path[0])")
    write(env / "pack" / "tool.py", "import sys\nfrom pack import __main__\nprint(__file__, sys.argv)\nsys.exit(5)")
    write(env / "empty" / "__init__.py", "")
    write(env / "broken" / "__init__.py", "import nowhere_to_be_found")
    for words in (
        ("-m", "pack", "a"), ("-m", "pack.tool", "-m", "b"), ("-m", "empty"), ("-m", "nowhere_to_be_found"),
    ):  # fmt: skip
        plain, ours = python(env, *words), python(env, *RUN, *words)
        assert (ours.stdout, ours.stderr, ours.returncode) == (plain.stdout, plain.stderr, plain.returncode)
    broken = python(env, *RUN, "-m", "broken")
    assert broken.returncode == 1
    assert "No module named 'nowhere_to_be_found'" in broken.stderr
    assert "contrib" not in broken.stderr


def test_options_of_python_and_of_run_are_kept(env: Path, state_dir: Path) -> None:
    write(env / "program.py", "import sys; print(sys.flags.optimize, sys.warnoptions, sys.flags.utf8_mode, sys.argv)")
    for flags in (["-O", "-W", "error", "-X", "utf8"], ["-OO"], ["-Xutf8", "-Wignore"]):
        plain = python(env, *flags, "program.py", "x")
        assert python(env, *flags, *RUN, "program.py", "x").stdout == plain.stdout
    named = python(env, "-OOm", *RUN[1:], "--name", "nightly", "--grace=3", "program.py", "--name", "y")
    assert named.stdout == python(env, "-OO", "program.py", "--name", "y").stdout
    assert "nightly" in {run.start["task"] for run in recorded(state_dir, joined=True).values()}


def test_commands_stay_commands(env: Path, state_dir: Path) -> None:
    script = env / "program.py"
    write(script, "#!/bin/sh\necho shell\n")
    script.chmod(0o755)
    assert python(env, *RUN, "--", "./program.py").stdout == "shell\n"
    assert python(env, *RUN, "echo", "program.py").stdout == "program.py\n"
    script.chmod(0o644)
    for word, status in (("program.py", 127), ("./program.py", 126)):
        done = python(env, *RUN, "--", word)
        assert done.returncode == status
        assert done.stderr.endswith(f"; python -m statustui run {word} runs it\n")
    assert python(env, *RUN, "missing.py").returncode == 127
    refused = python(env, *RUN, "-m")
    assert (refused.returncode, refused.stdout) == (2, "")


BARS = """
import sys
from tqdm import tqdm
import tqdm.auto
for state in tqdm.tqdm(["DE", "NY"], desc="states", mininterval=0):
    for _ in tqdm.auto.trange(3, desc=state, leave=False): pass
"""


@pytest.mark.parametrize(
    "code",
    [
        "from tqdm import trange\nfor _ in trange(3, desc='rows'): pass",
        "from tqdm import trange\nfor _ in trange(3, desc='rows', disable=True): pass",
        "import statustui.contrib.tqdm\nfrom tqdm.auto import trange\nfor _ in trange(3, desc='rows'): pass",
        "from statustui.contrib.tqdm import trange\nfor _ in trange(3, desc='rows'): pass",
        "from rich.progress import track\nfor _ in track(range(3), 'rows'): pass",
        "from statustui.contrib.rich import track\nfor _ in track(range(3), 'rows'): pass",
        "import threading\nfrom tqdm import trange\n"
        "t = threading.Thread(target=lambda: list(trange(3, desc='rows')))\nt.start()\nt.join()",
        "import statustui\nfrom tqdm import trange\nwith statustui.run('program'):\n"
        "    for _ in trange(3, desc='rows'): pass",
    ],
)  # fmt: skip
def test_bars_are_seen_without_a_change_of_the_script(code: str, env: Path, state_dir: Path) -> None:
    pytest.importorskip("tqdm")
    pytest.importorskip("rich")
    write(env / "program.py", code)
    done = python(env, *RUN, "program.py", STATUSTUI_STRICT="1")
    assert done.returncode == 0, done.stderr
    run = the_run(state_dir)
    assert [(sub.name, sub.complete, sub.total, sub.status) for sub in run.subs.values()] == [
        ("rows", 3, 3, "completed")
    ]
    assert (run.start["task"], run.end["status"], run.end["exit_code"]) == ("program", "finished", 0)


def test_nested_bars_of_an_unchanged_script_give_two_levels(env: Path, state_dir: Path) -> None:
    pytest.importorskip("tqdm")
    write(env / "program.py", "import tqdm, tqdm.auto\n" + BARS.split("import tqdm.auto\n")[1])
    done = python(env, *RUN, "program.py", STATUSTUI_STRICT="1")
    assert done.returncode == 0, done.stderr
    run = the_run(state_dir)
    assert run.named("states").heading
    assert [(sub.name, sub.complete, sub.total) for sub in run.leaves] == [("DE", 3, 3), ("NY", 3, 3)]
    assert run.info["total"] == 2


def test_a_script_without_bars_loads_nothing_of_the_recorder(env: Path, state_dir: Path) -> None:
    write(env / "program.py", "import sys\nprint([name for name in sys.modules if 'statustui.record' in name])")
    assert python(env, *RUN, "program.py").stdout == "[]\n"


def test_an_interrupted_loop_is_cancelled_with_its_subtasks(env: Path, state_dir: Path) -> None:
    pytest.importorskip("tqdm")
    code = """
        import os, signal
        from tqdm import trange
        for n in trange(9, desc="rows", mininterval=0):
            if n == 4:
                os.kill(os.getpid(), signal.SIGINT)
    """
    write(env / "program.py", code)
    done = python(env, *RUN, "program.py")
    assert done.returncode == 128 + signal.SIGINT
    assert "KeyboardInterrupt" in done.stderr
    run = the_run(state_dir)
    assert run.end["status"] == "cancelled"
    assert [(sub.complete, sub.status) for sub in run.subs.values()] == [(4, "cancelled")]
    assert os.listdir(state_dir)
