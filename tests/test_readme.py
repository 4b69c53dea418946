"""What the README says is true: its tables, its Python, the commands it shows."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.bench import OURS, Bench
from support.processes import until
from support.readme import README, with_tables

TEXT = README.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


@pytest.fixture
def place(env: Path) -> Bench:
    """A place with an rsync that says what it was asked."""
    bench = Bench(env)
    tool = env / "bin" / "rsync"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\necho "rsync $*"\n')
    tool.chmod(0o755)
    ours = env / "bin" / "statustui"
    ours.write_text(f'#!/bin/sh\nexec {shlex.join(OURS)} "$@"\n')
    ours.chmod(0o755)
    bench.env["PATH"] = f"{tool.parent}:{os.environ['PATH']}"
    return bench


def test_its_tables_are_those_of_the_code() -> None:
    assert with_tables(TEXT) == TEXT, "python tests/support/readme.py brings the tables up to date"


def test_its_python_runs_and_is_recorded(place: Bench) -> None:
    code = TEXT.split("<!-- run this -->\n```python\n")[1].split("```")[0]
    assert len(code.splitlines()) <= 12
    script = place.home / "readme.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, str(script)], env=place.env, cwd=place.home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"reading {name}.csv" for name in ("roads", "rivers", "parcels")]
    run = place.run_of("DAILY_01_load", lambda run: run["status"] == "finished")
    assert (run["subtasks_done"], run["total_subtasks"], run["stage"]) == (2, 2, "DAILY")


def test_its_pipeline_runs_and_one_item_fails(place: Bench) -> None:
    code = TEXT.split("<!-- run this -->\n```python\n")[2].split("```")[0]
    script = place.home / "pipeline.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, str(script)], env=place.env, cwd=place.home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Resumed auctions: 8 completed, 1 failed" in done.stdout
    assert re.search(
        r"^1 failed, tried again by a resume from [0-9:]{8} on \(sooner: statustui items retry --pipeline auctions\)$",
        done.stdout,
        re.MULTILINE,
    )
    listed = place.command("items", "--status", "failed")
    assert "2024-CA-00002" in listed.stdout
    assert "vision extraction timeout" in listed.stdout
    assert "2024-CA-00001" not in listed.stdout


def test_its_migration_and_its_session_run(place: Bench) -> None:
    code = TEXT.split("<!-- run this -->\n```python\n")[3].split("```")[0]
    script = place.home / "session.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, str(script)], env=place.env, cwd=place.home, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["{'scraped': 1, 'judged': 1}", "40"]


SIX = {"R": "states", "bash": "nightly", "Python": "DAILY_01_load", "unchanged": "old_job", "calls": "thumbnails",
       "adopted": "sha512sum"}  # fmt: skip
"""The programs of its five minutes → their tasks."""


def test_its_five_minutes_put_each_kind_of_program_on_the_screen_and_stop_and_repeat_it(
    place: Bench, tmp_path: Path
) -> None:
    typed = dict(re.findall(r"<!-- five minutes: (\w+) -->\n```bash\n(.*?)```", TEXT, re.DOTALL))
    after = typed.pop("after")
    assert set(typed) == set(SIX)
    python = place.home / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    if shutil.which("Rscript") is None:
        del typed["R"]  # as a reader without R would
    tasks = {SIX[kind] for kind in typed}
    ours = place.env | {"R_LIBS_USER": str(tmp_path / "rlib")}

    def type_in(text: str) -> subprocess.CompletedProcess[str]:
        with (tmp_path / "typed").open("w+") as out:  # a pipe would wait for what goes on behind the prompt
            done = subprocess.run(["bash"], input=text, env=ours, cwd=tmp_path, stdout=out, stderr=out, text=True)
            out.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, out.read())

    def moving() -> set[str]:
        return {run["task"] for run in place.runs() if run["items_complete"]}

    try:
        begun = type_in("".join(typed.values()))
        assert "adopted: process" in begun.stdout, begun.stdout
        until(lambda: moving() >= tasks, 60, "progress of each of them")
        said = type_in(after).stdout
    finally:
        place.command("cancel", "--status", "open", "--now", "--yes")
    assert "PIPELINE STATUS SUMMARY" in said
    assert "load tables" in said
    assert re.search(r"^\[\d+/40\] tile \d+$", said, re.MULTILINE), said
    assert "asked: " in said
    assert re.search(r"^started: \d+ \w+ \(attempt 2", said, re.MULTILINE), said
    until(lambda: not place.runs("--status", "open"), 30, "their ends")


def test_the_commands_it_shows_do_what_it_says(place: Bench) -> None:
    command = next(block for block in blocks("sh") if block.startswith("statustui run")).strip()
    done = subprocess.run(["sh", "-c", command], env=place.env, cwd=place.home, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "rsync -a /data /backup\n"), done.stderr
    assert place.run_of("nightly_backup", lambda run: run["status"] == "finished")["exit_code"] == 0


def test_its_crontab_line_passes_the_doctor(place: Bench) -> None:
    (line,) = blocks("crontab")
    tested = re.search(r"`(statustui doctor --cron .*?)`", TEXT)
    assert tested is not None
    shown = shlex.split(tested.group(1))[-1]
    for one in (line.strip().replace("/home/etl/.venv/bin/", f"{place.home}/bin/"), shown):
        fields = one.replace("rsync", f"{place.home}/bin/rsync").replace(" statustui", f" {place.home}/bin/statustui")
        done = place.command("doctor", "--cron", fields)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{place.home}/bin/rsync" in done.stdout


def test_every_file_it_names_is_there() -> None:
    root = README.parent
    links = [link for link in re.findall(r"\]\(([^)#:]+)\)", TEXT)]
    patterns = re.findall(r"`(tests/[^`]+?\.py)`", TEXT)
    assert links and patterns
    missing = [name for name in links if not (root / name).exists()]
    missing += [name for name in patterns if not list(root.glob(name))]
    assert not missing
