"""The command line: what it prints, what it returns, and what it says when it can not."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.filled import Filled, fill

RUN_KEYS = [
    "id",
    "run_id",
    "task",
    "stage",
    "type",
    "args",
    "status",
    "host",
    "user",
    "pid",
    "attempt",
    "retry_of",
    "parent_run_id",
    "started_at",
    "ended_at",
    "last_update",
    "last_progress_at",
    "duration_s",
    "overall_percent",
    "percent_source",
    "overall_message",
    "total_subtasks",
    "subtasks_done",
    "current_subtask",
    "subtask_name",
    "subtask_status",
    "subtask_percent",
    "subtask_message",
    "items_complete",
    "items_total",
    "unit",
    "eta_low_s",
    "eta_high_s",
    "eta_basis",
    "rss_bytes",
    "peak_rss_bytes",
    "cpu_percent",
    "error_type",
    "error_message",
    "fingerprint",
    "lost_reason",
    "exit_code",
    "signal",
    "log_path",
    "git_commit",
    "silent_s",
    "stalled_s",
    "slow_ratio",
    "acked_by",
]
SHOW_KEYS = "version run error_detail log_tail cwd script_path environment params metrics subtasks events attempts"
SUBTASK_KEYS = [
    "number",
    "name",
    "heading",
    "status",
    "weight",
    "items_total",
    "items_complete",
    "unit",
    "percent",
    "message",
    "started_at",
    "ended_at",
    "error",
]


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


Cli = Callable[..., Answer]


@pytest.fixture
def cli(env: Path) -> Cli:
    """``cli("status", "--json")``: a real process of the command line."""

    def call(*arguments: str, **environment: str) -> Answer:
        done = subprocess.run(
            [sys.executable, "-m", "statustui", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=os.environ | environment,
            cwd=env,
            timeout=60,
            check=False,
        )
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    return call


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The same in this process: for the many cases that differ only in their text."""

    def call(*arguments: str) -> Answer:
        from statustui.cli import main

        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.setattr(sys, "stdin", io.StringIO())
            code = main(list(arguments))
        out.seek(0)
        err.seek(0)
        return Answer(code, out.read(), err.read())

    return call


@pytest.fixture
def filled(env: Path, monkeypatch: pytest.MonkeyPatch) -> Filled:
    """A store with some runs, which is the configured one."""
    url = f"sqlite:///{env}/db/status.db"
    monkeypatch.setenv("STATUSTUI_STORE", url)
    return fill(url)


def refused(answer: Answer, code: int, *said: str) -> None:
    """It ended with *code* and one line on standard error that says all of *said*."""
    assert answer.code == code, answer
    assert answer.out == ""
    assert answer.err.count("\n") == 1, answer.err
    for words in said:
        assert words in answer.err


def test_runs_as_json_has_exactly_the_documented_keys(inside: Cli, filled: Filled) -> None:
    found = inside("runs", "--json").json
    assert list(found) == ["version", "runs"]
    assert found["version"] == 1
    assert [run["id"] for run in found["runs"]] == [4, 3, 2, 1]
    for run in found["runs"]:
        assert list(run) == RUN_KEYS
    running = found["runs"][1]
    assert running["args"] == ["load.py", "--all"]
    assert (running["items_complete"], running["items_total"], running["unit"]) == (3, 8, "files")
    assert running["subtask_percent"] == 37.5
    assert running["overall_percent"] == pytest.approx(34.375)
    assert running["percent_source"] == "derived"
    assert running["started_at"].endswith("Z")
    assert running["ended_at"] is None


def test_show_as_json(inside: Cli, filled: Filled) -> None:
    found = inside("show", "3", "--json").json
    assert list(found) == SHOW_KEYS.split()
    assert list(found["run"]) == RUN_KEYS
    assert [list(subtask) for subtask in found["subtasks"]] == [SUBTASK_KEYS] * 2
    assert list(found["events"][0]) == ["at", "kind", "status", "message", "actor"]
    assert found["attempts"] == [{"id": 3, "run_id": "cccc3333", "status": "running"}]


def test_status_as_json(inside: Cli, filled: Filled) -> None:
    found = inside("status", "--json").json
    assert list(found) == ["version", "since", "counts", "needs_you", "running", "failures"]
    assert found["counts"] == {"started": 0, "running": 1, "finished": 1, "failed": 1, "cancelled": 0, "lost": 1}
    assert [row["task"] for row in found["needs_you"]] == ["ANNUAL_DEC_03", "nightly"]
    assert [list(run) for run in found["running"] + found["failures"]] == [RUN_KEYS] * 3


def test_json_is_ascii_and_has_no_nan(inside: Cli, filled: Filled) -> None:
    filled.fail("eeee5555", "grün ☃", "\u202e日本")
    filled.start("eeee6666", "odd")
    filled.journal.fact("run.info", "eeee6666", percent=float("nan"))
    filled.journal.fact("metric", "eeee6666", name="m", value=float("inf"))
    filled.give()
    for command in (["runs"], ["status"], ["show", "odd"]):
        answer = inside(*command, "--json")
        assert answer.out.isascii()
        assert answer.json["version"] == 1


def test_the_plain_status_has_the_look_of_a_summary(cli: Cli, filled: Filled) -> None:
    lines = cli("status").out.splitlines()
    assert lines[:3] == ["=" * 60, "PIPELINE STATUS SUMMARY", "=" * 60]
    assert "Total Runs: 4" in lines
    assert "  Finished:   1 (25%)  " + "█" * 7 + "░" * 21 in lines
    assert any(line.startswith("Recent Failures (showing 2 of 2):") for line in lines)
    assert any("DAILY_01_BDC" in line and "1/4" in line and "Writing 3/8: Delaware" in line for line in lines)
    assert lines[-1] == "=" * 60


def test_more_failures_than_are_shown_are_counted(inside: Cli, filled: Filled) -> None:
    for number in range(9):
        filled.fail(f"ffff000{number}", f"T{number}")
    filled.give()
    out = inside("status").out
    assert "Recent Failures (showing 5 of 11):" in out
    assert out.count("  ...") == 2


def test_runs_fits_the_terminal(cli: Cli, filled: Filled) -> None:
    filled.fail("eeee5555", "日本" * 40, "x" * 500)
    filled.give()
    wide = cli("runs")
    assert "x" * 500 in wide.out
    narrow = cli("runs", COLUMNS="80")
    from statustui.cli.figures import cells

    assert max(map(cells, narrow.out.splitlines())) <= 80


def test_show_says_where_it_failed(inside: Cli, filled: Filled) -> None:
    out = inside("show", "2").out
    assert "✗ failed" in out
    assert "KeyError: 'FIPS'" in out
    assert "  Traceback" in out
    assert "load.py --all" in out


@pytest.mark.parametrize(
    ("selectors", "ids"),
    [
        (["--task", "DAILY_*"], [3]),
        (["--task", "nightly", "--task", "DAILY_01_BDC"], [4, 3]),
        (["--status", "bad"], [4, 2]),
        (["--status", "open"], [3]),
        (["--status", "FAILURE,success"], [2, 1]),
        (["--since", "30m"], [4, 3]),
        (["--until", "90m"], [1]),
        (["--stage", "DAILY", "--host", "db1", "--user", "etl"], [4, 3, 2, 1]),
        (["--host", "elsewhere"], []),
        (["1", "3"], [3, 1]),
        (["-n", "2"], [4, 3]),
        (["-n", "2", "--before", "3"], [2, 1]),
    ],
)
def test_selectors_choose(inside: Cli, filled: Filled, selectors: list[str], ids: list[int]) -> None:
    assert [run["id"] for run in inside("runs", "--json", *selectors).json["runs"]] == ids


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["runs", "--status", "sleepy"], "sleepy"),
        (["runs", "--since", "soon"], "soon"),
        (["runs", "--bogus"], "--bogus"),
        (["bogus"], "bogus"),
        (["show"], "RUN"),
        (["show", "4711"], "4711"),
        (["show", "aaaa9"], "aaaa9"),
        (["mark", "3", "finished", "--reason", "x"], "finished"),
        (["cancel"], "--task"),
        (["cancel", "3", "--task", "x"], "not both"),
        (["cancel", "--task", "nobody"], "no run"),
        (["retry", "2", "--"], "--"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(inside: Cli, filled: Filled, arguments: list[str], said: str) -> None:
    refused(inside(*arguments), 2, said)


def test_a_run_is_named_by_id_start_of_run_id_or_task(inside: Cli, filled: Filled) -> None:
    for name, run_id in (("3", "cccc3333"), ("bbbb", "bbbb2222"), ("nightly", "dddd4444")):
        assert inside("show", name, "--json").json["run"]["run_id"] == run_id
    assert inside("show", "ANNUAL_DEC_03", "--json").json["run"]["id"] == 2


def test_an_ambiguous_name_lists_the_candidates(inside: Cli, filled: Filled) -> None:
    filled.start("cccc9999", "other")
    filled.start("cccc8888", "DAILY_01_BDC")
    filled.give()
    refused(inside("show", "cccc"), 2, "3 (DAILY_01_BDC", "other")
    refused(inside("cancel", "DAILY_01_BDC", "--yes"), 2, "3 (DAILY_01_BDC", "give an id")


def test_a_change_without_a_terminal_needs_yes(inside: Cli, filled: Filled) -> None:
    answer = inside("cancel", "3")
    assert answer.code == 2
    assert "--yes" in answer.err
    assert answer.out.startswith("Cancel 1 run:\n  3 DAILY_01_BDC")
    with filled.open() as store:
        from statustui.store import reads

        assert reads.requests(store) == []


def test_nothing_to_end_is_said_and_answered_with_no(inside: Cli, filled: Filled) -> None:
    with filled.open() as store:
        from statustui.store import reads

        over = next(run for run in reads.find(store, "1") if not run.status.open)
    answer = inside("cancel", str(over.id), "--yes")
    assert answer.code == 1
    assert answer.out.startswith(f"not open: {over.id} ")


def test_a_dry_run_changes_nothing(inside: Cli, filled: Filled) -> None:
    answer = inside("ack", "--status", "bad", "--dry-run")
    assert answer.code == 0
    assert answer.out.startswith("Acknowledge 2 runs:")
    assert len(inside("status", "--json").json["needs_you"]) == 2


def test_cancel_asks_the_owner(inside: Cli, filled: Filled) -> None:
    found = inside("cancel", "--status", "open", "--yes", "--json", "--reason", "wrong input").json
    assert [(run["id"], run["state"]) for run in found["runs"]] == [(3, "asked")]
    with filled.open() as store:
        from statustui.store import reads

        (request,) = reads.requests(store)
    assert (request.run_id, request.kind.value, request.reason) == ("cccc3333", "cancel", "wrong input")
    assert inside("cancel", "1", "--yes").out.endswith("not open: 1 ANNUAL_DEC_03 (it is finished)\n")


def test_acknowledged_ends_need_nobody(inside: Cli, filled: Filled) -> None:
    assert inside("ack", "2").out.endswith("acknowledged: 2 ANNUAL_DEC_03\n")
    assert [row["ids"] for row in inside("status", "--json").json["needs_you"]] == [[4]]
    assert inside("show", "2", "--json").json["run"]["acked_by"]


def test_marking_a_run_lost_is_audited(inside: Cli, filled: Filled) -> None:
    assert inside("mark", "DAILY_01_BDC", "lost", "--reason", "db1 is gone", "--yes").code == 0
    found = inside("show", "3", "--json").json
    assert found["run"]["status"] == "lost"
    assert "db1 is gone" in found["run"]["lost_reason"]
    refused(inside("mark", "1", "lost", "--reason", "x", "--yes"), 1, "finished")


def test_read_only_refuses_changes(cli: Cli, filled: Filled) -> None:
    refused(cli("cancel", "3", "--yes", STATUSTUI_READ_ONLY="1"), 1, "read_only")


def test_retry_elsewhere_prints_the_way(cli: Cli, filled: Filled) -> None:
    answer = cli("retry", "2", "--yes")
    assert answer.code == 1
    assert "ssh db1" in answer.out


def test_wait_says_how_it_ended(cli: Cli, filled: Filled) -> None:
    assert cli("wait", "1").code == 0
    answer = cli("wait", "1", "2")
    assert answer.code == 1
    assert "✗ failed 2 ANNUAL_DEC_03: KeyError: 'FIPS'" in answer.out
    refused(cli("wait", "3", "--timeout", "0.1"), 1, "still open")
    refused(cli("wait", "--status", "open", "--timeout", "0.1"), 1, "still open")
    assert cli("wait", "--task", "no_such_*").code == 0
    refused(cli("wait"), 2, "say which runs")


def test_without_a_store_status_says_how_to_begin(cli: Cli, env: Path, filled: Filled) -> None:
    assert cli("status").code == 0
    answer = cli("status", "--store", str(env / "new.db"))
    assert answer.code == 0
    assert "No store yet" in answer.out
    assert str(env / "db/status.db") in answer.out
    assert "statustui run --" in answer.out
    assert not (env / "new.db").exists()
    empty = cli("status", "--json", "--store", str(env / "new.db")).json
    assert (empty["needs_you"], empty["running"], empty["failures"]) == ([], [], [])
    refused(cli("runs", "--store", str(env / "new.db")), 3, "no store yet")


def test_what_is_no_store_of_ours_is_left_alone(cli: Cli, env: Path) -> None:
    import sqlite3

    path = env / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE things (a)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    refused(cli("status", "--store", str(path)), 3)
    text = env / "text.db"
    text.write_text("this is no database at all, but long enough to look like one" * 20)
    refused(cli("runs", "--store", str(text)), 3)
    assert path.read_bytes() == before


def test_a_newer_store_is_refused(cli: Cli, filled: Filled) -> None:
    import sqlite3

    connection = sqlite3.connect(filled.url.removeprefix("sqlite:///"))
    connection.execute("PRAGMA user_version = 999")
    connection.execute("UPDATE meta SET value = '999' WHERE key IN ('schema', 'min_reader', 'min_writer')")
    connection.commit()
    connection.close()
    refused(cli("status"), 3, "upgrade")


def test_a_store_that_does_not_answer_is_one_line(cli: Cli) -> None:
    refused(cli("status", "--store", "postgresql://u:hunter2@127.0.0.1:1/x"), 3)
    assert "hunter2" not in cli("runs", "--store", "postgresql://u:hunter2@127.0.0.1:1/x").err


def test_a_broken_configuration_is_usage(cli: Cli, env: Path) -> None:
    (env / ".statustui.toml").write_text("stor = 'x'")
    refused(cli("status"), 2, ".statustui.toml", "stor")


def test_the_store_option_works_before_and_after_the_command(cli: Cli, filled: Filled, env: Path) -> None:
    other = fill(f"sqlite:///{env}/db/two.db")
    other.start("eeee5555", "extra")
    other.give()
    assert len(cli("runs", "--json", "--store", other.url).json["runs"]) == 5
    assert len(cli("--store", other.url, "--json", "runs").json["runs"]) == 5
    assert len(cli("runs", "--json").json["runs"]) == 4


def test_no_command_without_a_terminal_is_status(cli: Cli, filled: Filled) -> None:
    assert cli().out == cli("status").out or "PIPELINE STATUS SUMMARY" in cli().out


HOSTILE = [
    "\x1b]52;c;aGk=\x07",
    "\x9b31m",
    "a\nb\rc",
    "\u202eexe",
    "[@click=app.quit]x[/]",
    "\ud800x",
    "x\x00y",
    "%s%n{}",
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_reaches_no_terminal(inside: Cli, filled: Filled, text: str) -> None:
    filled.fail("eeee5555", f"T{text}", text, ago=5, label=text, cwd=text, args=[text], log_path=text)
    filled.journal.fact("event", "eeee5555", kind="log", message=text)
    filled.give()
    for command in (["status"], ["runs"], ["show", "5"], ["tail", "5"], ["ack", "5", "--dry-run"], ["wait", "5"]):
        answer = inside(*command)
        assert answer.code in (0, 1)
        for output in (answer.out, answer.err):
            assert not set(output) & {*map(chr, range(10)), *map(chr, range(11, 32)), *map(chr, range(127, 160))}
            assert not set(output) & set("\u202e\ufeff\u2028")


@pytest.mark.pg
def test_a_store_on_postgresql_reads_the_same(inside: Cli, pg_url: str) -> None:
    fill(pg_url)
    assert [run["id"] for run in inside("runs", "--json", "--store", pg_url).json["runs"]] == [4, 3, 2, 1]
    assert len(inside("status", "--json", "--store", pg_url).json["needs_you"]) == 2
    assert "KeyError: 'FIPS'" in inside("show", "2", "--store", pg_url).out


@pytest.mark.pg
def test_an_empty_postgresql_has_no_store_yet(inside: Cli, pg_url: str) -> None:
    answer = inside("status", "--store", pg_url)
    assert answer.code == 0
    assert "No store yet" in answer.out
    refused(inside("runs", "--store", pg_url), 3, "no store yet")


def test_times_can_be_said_in_many_ways() -> None:
    from datetime import UTC, datetime, timedelta

    from statustui.cli.selecting import parse_time

    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert parse_time("2h", at) == at - timedelta(hours=2)
    assert parse_time("3d", at) == at - timedelta(days=3)
    assert parse_time("90 min ago", at) == at - timedelta(minutes=90)
    assert parse_time("2026-11-01T10:00Z", at) == datetime(2026, 11, 1, 10, tzinfo=UTC)
    local = parse_time("2026-11-01 10:00", at).astimezone()
    assert (local.hour, local.minute) == (10, 0)
    yesterday = parse_time("yesterday", at).astimezone()
    assert (yesterday.hour, (at.astimezone().date() - yesterday.date()).days) == (0, 1)
    assert parse_time("9999999d", at).year == 1
    for wrong in ("", "tomorrow-ish", "2026-13-01", "-3h"):
        with pytest.raises(ValueError, match="no time"):
            parse_time(wrong, at)
