"""Logs that programs left: real ones of R, Python, shells and make, and what hostile or odd files do not do."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from statustui.cli.group import entry
from statustui.imports.logends import ending
from statustui.imports.logfiles import LogFile, find, task_of
from statustui.imports.logruns import LogRun, runs_of
from statustui.imports.logs import LogImporter, Means, ToldFile, look_at
from statustui.imports.logtimes import Zone, first_time, last_time
from statustui.model.run import Run, RunDetail
from statustui.model.status import RunStatus, SubtaskStatus
from statustui.model.times import from_epoch
from statustui.store import reads
from statustui.store.open import Store, open_store
from statustui.store.selector import Selector
from support.items import command

OLD = datetime(2026, 3, 2, 4, 5, 6, tzinfo=UTC).timestamp()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    made = tmp_path / "logs"
    made.mkdir()
    return made


def write(path: Path, text: str | bytes, at: float | None = OLD) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    if at is not None:
        os.utime(path, (at, at))
    return path


def bring(store: Store | None, top: Path, *, dry_run: bool = False, live: bool = False) -> list[ToldFile]:
    importer = LogImporter(store, Means(zone=UTC), dry_run=dry_run, live=live)
    told: list[ToldFile] = []
    look_at(importer, find(str(top)), told.append, threading.Event())
    importer.finish()
    return told


def understood(path: Path) -> list[LogRun]:
    with LogFile(str(path)) as file:
        return runs_of(file, Zone(local=UTC, written=file.written), kind=task_of(str(path))[1])


def stored(store: Store) -> dict[str, Run]:
    return {run.task: run for run in reads.runs(store, Selector(), limit=100)}


def detail(store: Store, run: Run) -> RunDetail:
    return reads.detail(store, run.run_id)


def run(arguments: list[str], log: Path, append: bool = False, code: int | None = None) -> None:
    with log.open("ab" if append else "wb") as out:
        done = subprocess.run(arguments, stdout=out, stderr=out, timeout=60, stdin=subprocess.DEVNULL, cwd=log.parent)
    assert code is None or done.returncode == code


def test_r_batch_logs(store: Store, logs: Path) -> None:
    if shutil.which("R") is None:
        pytest.skip("R is not installed")
    (logs / "DAILY_01.R").write_text(
        'gmsg <- function(x) cat(strftime(Sys.time(), "[%H:%M:%S] "), x, "\\n", sep = "")\n'
        'gmsg("loading Alaska"); Sys.sleep(1.1)\ngmsg("writing tables")\n# Error in this comment\n'
    )
    (logs / "DAILY_02.R").write_text('load_it <- function(x) stop("no column FIPS in ", x)\nload_it("roads.csv")\n')
    for name in ("DAILY_01", "DAILY_02"):
        subprocess.run(["R", "CMD", "BATCH", "--no-save", f"{name}.R"], cwd=logs, timeout=60, check=False)
    bring(store, logs)
    found = stored(store)
    good, bad = found["DAILY_01"], found["DAILY_02"]
    assert (good.status, good.stage, good.type) == (RunStatus.FINISHED, "DAILY", "R")
    assert good.duration_s is not None and 1.0 < good.duration_s < 30
    parts = detail(store, good).subtasks
    assert [(part.name, part.status) for part in parts] == [
        ("loading Alaska", SubtaskStatus.COMPLETED),
        ("writing tables", SubtaskStatus.COMPLETED),
    ]
    assert "proc.time()" in str(detail(store, good).params["times_from"])
    assert (bad.status, bad.error_message) == (RunStatus.FAILED, "no column FIPS in roads.csv")
    assert detail(store, bad).log_tail[-1] == "Execution halted"


def test_python_logs_with_tracebacks(store: Store, logs: Path) -> None:
    (logs / "job.py").write_text(
        "import logging\n"
        'logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=20)\n'
        'log = logging.getLogger("etl")\nlog.info("start")\n'
        "def load(key):\n    return {}[key]\n"
        'try:\n    load("once")\nexcept KeyError:\n    log.exception("goes on")\n'
        'import sys\nif len(sys.argv) > 1:\n    load("FIPS")\nlog.info("load finished")\n'
    )
    run([sys.executable, "job.py"], logs / "good.log", code=0)
    run([sys.executable, "job.py", "x"], logs / "bad.log", code=1)
    bring(store, logs)
    found = stored(store)
    assert found["good"].status is RunStatus.FINISHED and found["good"].overall_message == "load finished"
    bad = found["bad"]
    assert (bad.status, bad.error_type, bad.error_message) == (RunStatus.FAILED, "KeyError", "'FIPS'")
    from statustui.model.fingerprint import fingerprint

    assert bad.fingerprint == fingerprint("KeyError", "'FIPS'")
    assert "in load" in (detail(store, bad).error_detail or "")
    assert detail(store, bad).params["times_from"] == "times in it"


def test_logs_of_shells_and_make(store: Store, logs: Path) -> None:
    (logs / "Makefile").write_text("all:\n\t@echo building\n\t@exit 2\n")
    (logs / "killed.sh").write_text("echo begin\nsleep 30 &\nkill -9 $!\nwait $!\n")
    (logs / "missing.sh").write_text("echo begin\nno_such_command_here\n")
    (logs / "said.sh").write_text('echo "step 1 done"\necho "step 2 done"\necho "child exited with code 3"\n')
    (logs / "unsaid.sh").write_text("date\nsleep 0.01\necho one; echo two\n")
    (logs / "good.sh").write_text('echo "$(date "+%F %T") begin"\necho "$(date "+%F %T") all done"\n')
    for name in ("killed", "missing", "said", "unsaid", "good"):
        run(["bash", f"{name}.sh"], logs / f"{name}.log")
    if shutil.which("make") is not None:
        run(["make"], logs / "make.log", code=2)
    bring(store, logs)
    found = stored(store)
    assert (found["killed"].status, found["killed"].signal) == (RunStatus.FAILED, 9)
    assert (found["missing"].status, found["missing"].exit_code) == (RunStatus.FAILED, 127)
    assert "no_such_command_here" in (found["missing"].error_message or "")
    assert (found["said"].status, found["said"].exit_code) == (RunStatus.FAILED, 3)
    assert (found["unsaid"].status, found["unsaid"].lost_reason) == (
        RunStatus.LOST, "the log ends without saying how",
    )  # fmt: skip
    assert found["good"].status is RunStatus.FINISHED
    if "make" in found:
        assert (found["make"].status, found["make"].exit_code) == (RunStatus.FAILED, 2)
        assert (found["make"].error_message or "").startswith("make: ***")


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ("Script completed successfully", "finished"),
        ("COMPLETE", "finished"),
        ("=== DONE ===", "finished"),
        ("Finished in 12.3 s", "finished"),
        ("exit status 0", "finished"),
        ("file 3 of 8 done", "lost"),
        ("45% done", "lost"),
        ("Load not completed", "lost"),
        ("waiting until it is done", "lost"),
        ("0 errors, completed", "lost"),
        ("wrote 200 rows", "lost"),
        ("HTTP status 200", "lost"),
        ("ERROR: connection refused", "lost"),
        ("FATAL: password authentication failed", "failed"),
        ("CRITICAL disk full", "failed"),
        ("subprocess returned non-zero exit status 4.", "failed"),
        ("process exited with code 1", "failed"),
        ("rc=12", "failed"),
        ("Killed", "failed"),
        ("Segmentation fault (core dumped)", "failed"),
        ("Out of memory: Killed process 12 (R)", "failed"),
        ("Terminated", "cancelled"),
        ("make[1]: *** [Makefile:3: all] Interrupt", "failed"),
        ("load.sh: line 12: foo: command not found", "failed"),
        ("server: 12: not a shell's word", "lost"),
    ],
)
def test_what_the_last_line_proves(last: str, status: str) -> None:
    assert ending("", ["begin", "work", last]).status.value == status


def test_a_word_that_comes_again_and_again_proves_nothing() -> None:
    assert ending("", ["file 1 done", "file 2 done"]).status is RunStatus.LOST
    assert ending("", ["loading file 1", "file 2 done"]).status is RunStatus.FINISHED


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-31T12:00:00Z x",
        "2026-01-31 12:00:00,123 INFO x",
        "2026/01/31 12:00:00 [error] x",
        "[2026-01-31 13:00:00 +0100] x",
        '[1] "2026-01-31 12:00:00 UTC"',
        "Sat Jan 31 12:00:00 UTC 2026",
        "Sat Jan 31 12:00:00 PM UTC 2026",
        "Sat 31 Jan 2026 12:00:00 GMT",
        "Sat, 31 Jan 2026 12:00:00 +0000",
        "Jan 31 12:00:00 db1 cron[12]: x",
        '10.0.0.1 - - [31/Jan/2026:12:00:00 +0000] "GET /"',
        "INFO  2026-01-31 12:00:00 x",
    ],
)
def test_formats_of_times(line: str) -> None:
    at = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()
    data = f"no time here\n{line}\nmore 12:30 text\n".encode()
    zone = Zone(local=UTC, written=OLD)
    first, last = first_time(data, 0, len(data), zone), last_time(data, 0, len(data), zone)
    assert first is not None and last is not None
    assert abs(first[1] - at) < 1 and abs(last[1] - at) < 1


@pytest.mark.parametrize(
    "line",
    ["processing all of the data that was collected 2019-01-01 00:00:00", "2031-01-01 00:00:00 later than its file",
     "version 2026.01.31", "2026-13-45 99:99:99", "10.20.30.40"],
)  # fmt: skip
def test_what_is_no_time_of_the_log(line: str) -> None:
    data = line.encode()
    assert first_time(data, 0, len(data), Zone(local=UTC, written=OLD)) is None


def test_clock_times_over_midnight(logs: Path) -> None:
    path = write(logs / "night.log", "[23:50:00] begin\n[23:59:59] load\n[00:10:00] write\n[04:05:00] done\n")
    (one,) = understood(path)
    assert from_epoch(one.started) == datetime(2026, 3, 1, 23, 50, tzinfo=UTC)
    assert from_epoch(one.ended) == datetime(2026, 3, 2, 4, 5, tzinfo=UTC)
    assert [part.name for part in one.parts] == ["begin", "load", "write"]
    assert one.times_from == "clock times, day of file time"


@pytest.mark.parametrize(
    ("name", "task", "kind"),
    [
        ("DAILY_01_BDC.Rout", "DAILY_01_BDC", "R"),
        ("DAILY_01.R.log", "DAILY_01", "R"),
        ("load.py.log.2.gz", "load", "python"),
        ("nightly-2026-01-31.log", "nightly", None),
        ("nightly_20260131_0200.log", "nightly", None),
        ("nightly.log-20260131.gz", "nightly", None),
        ("syslog.1", "syslog", None),
        (".log", ".log", None),
        ("model_2026.log", "model_2026", None),
    ],
)
def test_the_task_is_the_name_of_the_file(name: str, task: str, kind: str | None) -> None:
    assert task_of(f"/x/{name}") == (task, kind)


def test_a_log_that_runs_append_to_is_taken_apart(store: Store, logs: Path) -> None:
    days = "".join(
        f"2026-02-{day:02} 02:00:00 INFO nightly load begins\n2026-02-{day:02} 02:0{day}:00 INFO {last}\n"
        for day, last in ((1, "load finished"), (2, "load finished"), (3, "FATAL: no disk"))
    )
    write(logs / "cron.log", days)
    (told,) = bring(store, logs)
    assert [(one.status.value, one.duration) for one in told.runs] == [
        ("finished", 60.0), ("finished", 120.0), ("failed", 180.0),
    ]  # fmt: skip
    found = sorted(reads.runs(store, Selector(), limit=10), key=lambda one: one.started_at)
    text = (logs / "cron.log").read_bytes()
    for one in found:
        assert one.log_start is not None and one.log_end is not None
        part = text[one.log_start : one.log_end]
        assert part.startswith(one.started_at.strftime("%Y-%m-%d").encode()) and part.count(b"\n") == 2
    assert reads.stats(store, {"cron"})["cron"].durations_s == (120.0, 60.0)


def test_a_line_that_only_comes_again_begins_no_run(logs: Path) -> None:
    path = write(logs / "x.log", "loading\nwork\nloading\nwork\nall done\n")
    assert len(understood(path)) == 1
    path = write(logs / "y.log", "starting batch\nwork\nstarting batch\nwork\nall done\n")
    assert len(understood(path)) == 1


def test_importing_again_changes_nothing(store: Store, logs: Path) -> None:
    write(logs / "a.log", "2026-02-01 02:00:00 go\n[nothing]\n2026-02-01 02:01:00 done\n")
    write(logs / "b.Rout", "no times\nExecution halted\n")
    bring(store, logs)
    before = [detail(store, run) for run in stored(store).values()]
    told = bring(store, logs)
    assert [one.state for one in told] == ["known", "known"]
    assert [detail(store, run) for run in stored(store).values()] == before


def test_rotated_copied_and_packed_logs_are_not_doubled(store: Store, logs: Path) -> None:
    log = write(logs / "job.log", "2026-02-01 02:00:00 go\n2026-02-01 02:01:00 done\n")
    bring(store, logs)
    shutil.copy(log, logs / "copy.log")
    log.rename(logs / "job.log.1")
    write(logs / "job.log", "2026-02-02 02:00:00 go\n2026-02-02 02:03:00 done\n")
    assert sorted(one.state for one in bring(store, logs)) == ["known", "known", "new"]
    with gzip.open(logs / "job.log.2.gz", "wb") as packed:
        packed.write((logs / "job.log.1").read_bytes())
    (logs / "job.log.1").unlink()
    assert {one.state for one in bring(store, logs)} == {"known"}
    assert [run.task for run in reads.runs(store, Selector(), limit=10)] == ["job", "job"]


def test_a_log_written_anew_is_another_run(store: Store, logs: Path) -> None:
    banner = 'R version 4.2.2 (2022-10-31) -- "Innocent and Trusting"\n' + "the same text each day\n" * 50
    trailer = "> proc.time()\n   user  system elapsed \n  1.0   0.1   {}.000 \n"
    for n in (7, 8, 9):
        write(logs / "DAILY_03.Rout", banner + trailer.format(n), OLD + n * 86_400)
        bring(store, logs)
    found = reads.runs(store, Selector(), limit=10)
    assert sorted(run.duration_s or 0 for run in found) == [7.0, 8.0, 9.0]
    assert reads.stats(store, {"DAILY_03"})["DAILY_03"].durations_s == (9.0, 8.0, 7.0)


def test_a_grown_log_brings_its_run_up_to_date(store: Store, logs: Path) -> None:
    log = write(logs / "job.log", "2026-02-01 02:00:00 go\n2026-02-01 02:01:00 half way\n")
    bring(store, logs)
    assert stored(store)["job"].status is RunStatus.LOST
    with log.open("a") as more:
        more.write("2026-02-01 02:05:00 load finished\n2026-02-02 02:00:00 go\n2026-02-02 02:01:00 load finished\n")
    os.utime(log, (OLD, OLD))
    (told,) = bring(store, logs)
    assert told.state == "grown"
    runs = sorted(reads.runs(store, Selector(), limit=10), key=lambda run: run.started_at)
    assert [(run.status.value, run.duration_s) for run in runs] == [("finished", 300.0), ("finished", 60.0)]
    assert runs[0].lost_reason is None
    assert reads.snapshot(store, since=from_epoch(0)).ended == ()


def test_old_logs_do_not_push_out_what_was_recorded(store: Store, logs: Path) -> None:
    from support.stores import Journal, give

    journal = Journal()
    journal.fact("run.start", "01900000-0000-7000-8000-000000000001", task="job", at=0.0)
    journal.fact("run.end", "01900000-0000-7000-8000-000000000001", status="finished", at=33.0)
    give(store, journal)
    for day in range(1, 29):
        text = f"2026-02-{day:02} 02:00:00 go\n2026-02-{day:02} 02:00:{day:02} done\n"
        write(logs / f"job-2026-02-{day:02}.log", text)
    bring(store, logs)
    assert reads.stats(store, {"job"})["job"].durations_s == (33.0, *(float(day) for day in range(28, 0, -1)))


def test_hostile_and_odd_files(store: Store, logs: Path) -> None:
    write(logs / "binary.log", os.urandom(5000))
    write(logs / "empty.log", "")
    write(logs / "wide.log", "some text\n".encode("utf-16"))
    write(logs / "torn.log.gz", gzip.compress(b"x" * 100_000)[:50])
    write(logs / "latin.log", "Größe\nErr\xf6r: kaputt\nall done\n".encode("latin-1"))
    write(logs / "oneline.log", b"x" * 3_000_000)
    write(
        logs / "escapes.log",
        b"\x1b]0;owned\x07\x1b[31mError: password=hunter2 \x1b[2J\r\x1b[0mFATAL: token=abcdef123456\n",
    )
    (logs / "link.log").symlink_to("/etc/passwd")
    os.mkfifo(logs / "pipe.log")
    told = {Path(one.path).name: one for one in bring(store, logs)}
    assert {name: one.why for name, one in told.items() if one.why} == {
        "binary.log": "binary",
        "empty.log": "empty",
        "wide.log": "UTF-16: not read (iconv -f UTF-16 -t UTF-8 makes text of it)",
        "torn.log.gz": told["torn.log.gz"].why,
    }
    assert "link.log" not in told and "pipe.log" not in told
    found = stored(store)
    assert found["latin"].status is RunStatus.FINISHED
    bad = found["escapes"]
    everything = repr(detail(store, bad)) + repr(told["escapes.log"])
    assert bad.status is RunStatus.FAILED
    assert "\\x1b" not in everything and "hunter2" not in everything and "abcdef123456" not in everything


def test_a_large_log_is_read_at_its_ends(logs: Path) -> None:
    path = logs / "large.log"
    filler = b"2026-02-01 02:30:00 INFO some line of the middle that says nothing at all\n" * 14_000
    with path.open("wb") as out:
        out.write(b"2026-02-01 02:00:00 INFO load begins\n")
        for _ in range(90):
            out.write(filler)
        out.write(b"2026-02-01 05:00:00 INFO load finished\n2026-02-02 02:00:00 INFO load begins\n")
        out.write(b"2026-02-02 03:00:00 INFO FATAL: no disk\n")
    os.utime(path, (OLD, OLD))
    began = time.process_time()
    first, second = understood(path)
    spent = time.process_time() - began
    assert (first.ending.status, first.duration, second.duration) == (RunStatus.FINISHED, 3 * 3600.0, 3600.0)
    assert spent < 10  # some 90 MB; a line at a time would be far slower


def test_a_log_that_is_written_to_is_left_for_later(store: Store, logs: Path) -> None:
    path = logs / "live.log"
    write(path, "2026-02-01 02:00:00 go\n2026-02-01 02:01:00 done\n", None)
    found = path.stat()
    importer = LogImporter(store, Means(zone=UTC), written_by=lambda written: {(found.st_dev, found.st_ino)})
    told = importer.look(str(path))
    importer.finish()
    assert (told.state, told.why) == ("skipped", "still written to: import it again later, or --follow it")
    assert stored(store) == {}


def test_killed_in_the_middle_and_run_again(store_url: str, logs: Path, tmp_path: Path) -> None:
    for n in range(150):
        day = f"2026-02-{1 + n % 28:02}"
        text = f"{day} 02:00:00 go\n[02:00:01] a\n[02:00:02] b\n{day} 02:{n % 60:02}:03 done\n"
        write(logs / f"job_{n}.log", text, OLD + n)
    call = [
        sys.executable,
        "-m",
        "statustui",
        "import",
        "logs",
        str(logs),
        "--yes",
        "--tz",
        "UTC",
        "--store",
        store_url,
    ]
    process = subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    with open_store(store_url) as store:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if reads.snapshot(store, since=from_epoch(0)).total_runs:
                break
            time.sleep(0.005)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert reads.snapshot(store, since=from_epoch(0)).total_runs > 0
        subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=True)
        with open_store(f"sqlite:///{tmp_path}/whole.db") as whole:
            bring(whole, logs)
            assert _everything(store) == _everything(whole)
            assert len(_everything(store)) == 150


def _everything(store: Store) -> dict[str, object]:
    found: dict[str, object] = {}
    for run in reads.runs(store, Selector(), limit=1000):
        parts = [(part.number, part.name, part.status, part.started_at) for part in detail(store, run).subtasks]
        stats = reads.stats(store, {run.task})[run.task]
        story = [(event.at, event.kind, event.status) for event in detail(store, run).events]
        found[run.run_id] = (run.task, run.status, run.started_at, run.ended_at, run.duration_s, parts, stats, story)
    return found


def test_the_command_shows_what_it_understood_and_the_log_opens(
    env: Path, logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/db/1.db"
    write(logs / "cron.log", "2026-02-01 02:00:00 go\n2026-02-01 02:01:00 first done\n"
          "2026-02-02 02:00:00 go\n2026-02-02 02:02:00 token=abcdef12345 second done\n")  # fmt: skip
    write(logs / "empty.log", "")
    dry = command("import", "logs", str(logs), "--dry-run", "--store", url)
    assert dry.returncode == 0 and not (tmp_path / "db").exists()
    assert "empty.log: empty" in dry.stdout and "2 logs: would bring in 2 runs, 1 left out." in dry.stdout
    assert "TIMES FROM" in dry.stdout and "times in it" in dry.stdout
    refused = command("import", "logs", str(logs), "--store", url)
    assert refused.returncode == 2 and "--yes" in refused.stderr
    done = command("import", "logs", str(logs), "--yes", "--json", "--store", url)
    told = json.loads(done.stdout)
    assert [len(one["runs"]) for one in told["files"]] == [2, 0] or [len(one["runs"]) for one in told["files"]] == [
        0,
        2,
    ]
    assert "abcdef12345" not in done.stdout
    tail = command("tail", "1", "--store", url)
    assert tail.stdout == "2026-02-01 02:00:00 go\n2026-02-01 02:01:00 first done\n"
    for wrong, what in (
        ([str(logs / "none")], "no such directory"),
        ([str(logs / "cron.log")], "--pattern 'cron.log'"),
        ([str(logs), "--pattern", "*.xyz"], "looked for *.xyz"),
        ([str(logs), "--follow", "--dry-run"], "without --dry-run"),
    ):
        assert entry(["import", "logs", *wrong, "--yes", "--store", url]) == 2
        said = capsys.readouterr().err
        assert what in said and len(said.splitlines()) == 1
    chosen = command("import", "logs", str(logs), "--pattern", "c*.log", "--yes", "--store", url)
    assert "1 logs: brought in 0 runs, 1 had nothing new." in chosen.stdout


@pytest.mark.pg
def test_a_shared_store_opens_logs_below_what_was_imported(pg_url: str, env: Path, logs: Path) -> None:
    write(logs / "job.log", "2026-02-01 02:00:00 go\n2026-02-01 02:01:00 done\n")
    assert command("import", "logs", str(logs), "--yes", "--store", pg_url).returncode == 0
    assert command("tail", "1", "--store", pg_url).stdout.startswith("2026-02-01 02:00:00 go")
    (env / "s" / "imported-from").unlink()
    assert "only the shared store names the log" in command("tail", "1", "--store", pg_url).stderr
