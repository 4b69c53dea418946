"""Run histories of other systems: as if each run had been recorded, whatever the file looks like."""

import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from statustui.cli.group import entry
from statustui.imports import fields, history, records
from statustui.insight import eta
from statustui.model.status import RunStatus
from statustui.model.times import from_epoch, to_text
from statustui.store import reads
from statustui.store.open import Store, open_store
from statustui.store.schema import events, run_counts, runs, tasks
from statustui.store.selector import Selector
from support.items import command
from support.stores import T0, Journal, give

HEAD = ["task", "started_at", "ended_at", "status"]


def source(text: str, name: str = "h.csv") -> records.Source:
    return records.Source(io.BytesIO(text.encode()), name, None)


def bring(store: Store | None, text: str, kind: str = "csv", **options: Any) -> history.HistoryImport:
    columns = fields.Columns(options.pop("map", {}))
    reader = fields.Reader(options.pop("zone", UTC))
    rows = (records.csv_rows if kind == "csv" else records.json_rows)(source(text, f"h.{kind}"), columns.place)
    return history.bring_in(rows, reader, store, **options)


def written(rows: list[list[str]], head: list[str] = HEAD) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([head, *rows])
    return text.getvalue()


def made(n: int, seed: int = 1) -> list[tuple[str, float, float, str, str]]:
    """(task, start, end, status, error), in the order of their ends."""
    rng = random.Random(seed)
    found = []
    for i in range(n):
        start = T0 - 400_000 + i * 900.0 + rng.randrange(600)
        status = rng.choice(["finished"] * 7 + ["failed", "cancelled", "lost"])
        error = f"KeyError: 'FIPS_{i}'" if status == "failed" else ""
        found.append((f"DAILY_{rng.randrange(6):02}", start, start + rng.randrange(5, 300), status, error))
    return sorted(found, key=lambda run: run[2])


def recorded(store: Store, past: list[tuple[str, float, float, str, str]]) -> None:
    """The same runs as their programs would have told of them."""
    from statustui.model.fingerprint import fingerprint

    for index, (task, start, end, status, error) in enumerate(past):
        journal = Journal()
        run = f"00000000-0000-7000-8000-{index:012}"
        journal.fact("run.start", run, at=start - T0, task=task, stage="DAILY")
        told = {"type": "KeyError", "message": error, "fingerprint": fingerprint("KeyError", error)} if error else None
        journal.fact("run.end", run, at=end - T0, status=status, **({"error": told} if told else {}))
        give(store, journal)


def as_csv(past: list[tuple[str, float, float, str, str]], shuffled: int | None = None) -> str:
    rows = [
        [task, to_text(from_epoch(start)), to_text(from_epoch(end)), status, error]
        for task, start, end, status, error in past
    ]
    if shuffled is not None:
        random.Random(shuffled).shuffle(rows)
    return written(rows, [*HEAD, "error"])


def said(store: Store) -> dict[str, Any]:
    """What readers are told, without the names that the store itself gives."""
    since = from_epoch(T0 - 500_000)
    shot = reads.snapshot(store, since=since, now=from_epoch(T0))
    found = reads.runs(store, Selector(), limit=10_000)
    facts = sorted(
        (run.task, run.started_at, run.ended_at, run.status.value, run.error_message, run.fingerprint, run.resolved,
         run.stage, run.attempt, run.duration_s and round(run.duration_s, 3))
        for run in found
    )  # fmt: skip
    stats = reads.stats(store, {run.task for run in found})
    with store.read() as connection:
        last = connection.execute(
            select(tasks.c.name, runs.c.started_at, tasks.c.good_started_at, tasks.c.stage)
            .join(runs, runs.c.id == tasks.c.last_run)
            .order_by(tasks.c.name)
        ).all()
        hours = connection.execute(
            select(run_counts.c.hour, run_counts.c.status, func.sum(run_counts.c.n))
            .group_by(run_counts.c.hour, run_counts.c.status)
            .order_by(run_counts.c.hour, run_counts.c.status)
        ).all()
        trail = connection.execute(
            select(events.c.at, events.c.task, events.c.kind, events.c.status, events.c.message).order_by(
                events.c.at, events.c.task, events.c.kind, events.c.status
            )
        ).all()
    return {
        "facts": facts,
        "counts": dict(shot.counts),
        "total": shot.total_runs,
        "needs": sorted((run.task, run.started_at) for run in shot.ended),
        "recent": sorted((run.task, run.started_at) for run in shot.recent),
        "stats": {name: replace(one, grace_s=None) for name, one in stats.items()},
        "last": [tuple(row) for row in last],
        "hours": [tuple(row) for row in hours],
        "trail": [tuple(row) for row in trail],
    }


@pytest.mark.parametrize("shuffled", [None, 7])
def test_an_imported_history_reads_as_if_it_had_been_recorded(
    store: Store, tmp_path: Path, shuffled: int | None
) -> None:
    past = made(400)
    with open_store(f"sqlite:///{tmp_path}/other.db") as other:
        recorded(other, past)
        expected = said(other)
    told = bring(store, as_csv(past, shuffled))
    assert (told.rows, told.new, told.known, told.bad) == (400, 400, 0, 0)
    found = said(store)
    for part, value in expected.items():
        assert found[part] == value, part
    again = bring(store, as_csv(past))
    assert (again.new, again.known) == (0, 400)
    assert said(store) == found


def test_a_history_joins_what_was_recorded(store: Store, tmp_path: Path) -> None:
    past = made(300)
    with open_store(f"sqlite:///{tmp_path}/other.db") as other:
        recorded(other, past)
        expected = said(other)["stats"]
    recorded(store, past[200:])
    bring(store, as_csv(past[:200]))
    assert said(store)["stats"] == expected


def test_a_new_run_has_an_estimate_after_ten_past_runs(store: Store) -> None:
    rows = [["LOAD", f"2026-01-{day:02} 02:00:00", f"2026-01-{day:02} 02:{10 + day % 3}:00", "Success"]
            for day in range(1, 11)]  # fmt: skip
    bring(store, written(rows, ["Job-Name", "START TIME", "Finished.At", "State"]))
    journal = Journal()
    journal.fact("run.start", "live", task="LOAD")
    give(store, journal)
    (live,) = reads.snapshot(store, since=from_epoch(0)).running
    guess = eta.estimate(live, reads.stats(store, {"LOAD"})["LOAD"], live.started_at + timedelta(seconds=60))
    assert guess is not None and guess.basis == "durations"
    assert 400 < guess.low_s <= guess.middle_s <= guess.high_s < 900


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("success Success SUCCESS ok passed done completed succeeded", RunStatus.FINISHED),
        ("failure failed Error timed_out crashed", RunStatus.FAILED),
        ("cancelled canceled aborted Terminated", RunStatus.CANCELLED),
        ("lost unknown", RunStatus.LOST),
    ],
)
def test_words_of_other_systems(words: str, status: RunStatus) -> None:
    reader = fields.Reader(UTC)
    for word in words.split():
        row = dict.fromkeys(fields.FIELDS) | {"task": "a", "started_at": 1e9, "ended_at": 1e9 + 1, "status": word}
        assert reader.past(list(row.values())).status == status.value


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"task": " "}, "no task"),
        ({"started_at": "yesterday"}, "started_at 'yesterday' is no time"),
        ({"started_at": None}, "no started_at"),
        ({"ended_at": "2020-01-01"}, "it ends before it starts"),
        ({"ended_at": "", "status": "running"}, "it has not ended"),
        ({"ended_at": None, "status": ""}, "no status"),
        ({"ended_at": None}, "it has not ended"),
        ({"status": "purple"}, "status 'purple' is none that is known"),
        ({"started_at": "1850-01-01"}, "outside the years"),
        ({"started_at": 1e300}, "outside the years"),
        ({"started_at": float("nan")}, "is no time"),
        ({"duration_s": "soon"}, "duration 'soon' is none"),
        ({"duration_s": "-3"}, "duration '-3' is none"),
    ],
)
def test_what_tells_of_no_run_is_refused_with_a_reason(change: dict[str, Any], reason: str) -> None:
    row: dict[str, Any] = dict.fromkeys(fields.FIELDS)
    row |= {"task": "a", "started_at": "2026-01-01 00:00", "ended_at": "2026-01-01 01:00", "status": "ok"} | change
    with pytest.raises(fields.BadRow) as caught:
        fields.Reader(UTC).past(list(row.values()))
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("2026-07-01T12:00:00Z", 1782907200.0),
        ("2026-07-01 14:00:00,250+02:00", 1782907200.25),
        ("2026-07-01 14:00:00", 1782907200.0),
        (1782907200, 1782907200.0),
        ("1782907200.5", 1782907200.5),
        (1782907200250, 1782907200.25),
        ("1782907200250000", 1782907200.25),
    ],
)
def test_times(value: object, at: float) -> None:
    row: dict[str, Any] = dict.fromkeys(fields.FIELDS)
    row |= {"task": "a", "started_at": value, "duration_s": "0:01:30", "exit_code": "0"}
    past = fields.Reader(timezone(timedelta(hours=2))).past(list(row.values()))
    assert past.started == pytest.approx(at, abs=1e-5) and past.ended == pytest.approx(at + 90, abs=1e-5)
    assert past.status == "finished"


def test_json_comes_as_array_lines_or_our_own_answer(store: Store) -> None:
    one = {"job": "a", "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:01:00Z", "result": "ok", "x": {"y": [1]}}
    two = {"start": "2026-01-02T00:00:00Z", "end": "2026-01-02T00:01:00Z", "result": "failure", "job": "a"}
    for text in (
        json.dumps([one, two], indent=2),
        json.dumps([one, two]),
        f"{json.dumps(one)}\n\n{json.dumps(two)}\n",
        json.dumps({"version": 1, "runs": [one, two]}),
        json.dumps({"runs": [one, two]}, indent=1),
    ):
        told = bring(store, text, "json")
        assert (told.rows, told.bad, told.new + told.known) == (2, 0, 2)
    assert reads.snapshot(store, since=from_epoch(0)).total_runs == 2


def test_our_own_answer_brings_the_same_runs_over(env: Path, tmp_path: Path) -> None:
    first, second = f"sqlite:///{tmp_path}/1.db", f"sqlite:///{tmp_path}/2.db"
    with open_store(first) as store:
        recorded(store, made(50))
        journal = Journal()
        journal.fact("run.start", "live", task="LIVE")
        give(store, journal)
        expected = said(store)
    (tmp_path / "runs.json").write_text(command("runs", "--json", "-n", "1000", "--store", first).stdout)
    done = command("import", "json", str(tmp_path / "runs.json"), "--yes", "--json", "--store", second)
    told = json.loads(done.stdout)
    assert (done.returncode, told["new"], told["bad"], told["reasons"]) == (0, 50, 1, {"it has not ended": 1})
    with open_store(second) as store:
        assert said(store)["facts"] == [fact for fact in expected["facts"] if fact[0] != "LIVE"]
        assert {run.run_id for run in reads.runs(store, Selector(), limit=100)} == {
            f"00000000-0000-7000-8000-{i:012}" for i in range(50)
        }


def test_what_is_no_json_says_where(store: Store) -> None:
    good = '{"task": "a", "started_at": 1700000000, "ended_at": 1700000001, "status": "ok"}'
    told = bring(store, f"[{good},\n{good[:-1]}, oops}}, {good}]", "json")
    assert (told.new, told.bad_rows) == (1, [(2, told.bad_rows[0][1])])
    assert "nothing after this line was read" in told.bad_rows[0][1]
    told = bring(store, f"[{good},\n\n{good}", "json")
    assert told.bad_rows == [(3, "the array is cut off; nothing after this line was read")]
    told = bring(store, f"{good}\nnonsense\n[]\n{good}\n", "json")
    assert [line for line, _ in told.bad_rows] == [2, 3]
    for text in ("", "  \n", "hello", '{\n "a": 1}'):
        with pytest.raises(records.NoHistory):
            bring(store, text, "json")


def test_a_csv_of_any_make(store: Store) -> None:
    told = bring(store, "\ufeffTASK;Start;End;State\r\nä;2026-01-01;2026-01-02;ok\r\n", "csv")
    assert (told.new, told.bad) == (1, 0)
    told = bring(store, 'task\tstart\tend\tstate\n"a\nb"\t2026-01-01\t2026-01-02\tok\nshort\n', "csv")
    assert (told.new, told.bad_rows) == (1, [(4, "1 columns where the first line has 4")])
    with pytest.raises(fields.BadMap, match="--map started_at=COLUMN"):
        bring(store, "task,when,end,state\n")
    with pytest.raises(fields.BadMap, match="there is no column 'jobs'"):
        bring(store, "job,start,end,state\n", map={"task": "jobs"})
    told = bring(store, "a,b,end,state\nx,2026-01-01,2026-01-02,ok\n", map={"task": "a", "started_at": "B"})
    assert told.new == 1


def test_secrets_and_hostile_text_do_not_get_in(store: Store) -> None:
    rows = [["a", "2026-01-01", "2026-01-02", "failed", "DB: password=hunter2 \x1b]0;x\x07\0"]]
    bring(store, written(rows, [*HEAD, "error"]))
    (run,) = reads.runs(store, Selector(), limit=1)
    assert run.error_message is not None and "hunter2" not in run.error_message and "\0" not in run.error_message


def test_a_retry_speaks_for_the_attempt_before(store: Store) -> None:
    ids = [f"01900000-0000-7000-8000-{n:012}" for n in range(3)]
    head = [*HEAD, "run_id", "retry_of", "attempt"]
    bad = [
        ["a", "2026-01-01", "2026-01-02", "failed", ids[0], "", "1"],
        ["a", "2026-01-03", "2026-01-04", "failed", ids[1], ids[0], "2"],
    ]
    bring(store, written(bad, head))
    shot = reads.snapshot(store, since=from_epoch(0))
    assert [run.run_id for run in shot.ended] == [ids[1]]
    assert {run.run_id: run.retried for run in reads.runs(store, Selector(), limit=5)} == {ids[0]: True, ids[1]: False}
    bring(store, written([["a", "2026-01-05", "2026-01-06", "ok", ids[2], ids[1], "3"]], head))
    assert reads.snapshot(store, since=from_epoch(0)).ended == ()


def test_the_command_tells_what_it_did_not_use(env: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url, file = f"sqlite:///{tmp_path}/db/1.db", tmp_path / "h.csv"
    file.write_text("job,start,finish,result,colour\na,2026-01-01,2026-01-02,ok,red\na,never,2026-01-02,ok,red\n")
    dry = command("import", "csv", str(file), "--dry-run", "--store", url)
    assert (dry.returncode, Path(f"{tmp_path}/db").exists()) == (0, False)
    assert "would bring in 1 runs of 1 tasks" in dry.stdout
    assert command("import", "csv", str(file), "--store", url).returncode == 2  # nobody to ask
    done = command("import", "csv", str(file), "--yes", "--store", url)
    assert done.returncode == 0 and "columns that mean nothing here: colour" in done.stdout
    assert "line 3: started_at 'never' is no time" in done.stdout and "local time of this machine" in done.stdout
    again = command("import", "csv", str(file), "--yes", "--tz", "Europe/Berlin", "--store", url)
    assert "brought in 1 runs" in again.stdout  # another time: another run
    strict = command("import", "csv", str(file), "--yes", "--strict", "--store", url)
    assert strict.returncode == 1 and "--strict" in strict.stdout
    for wrong, what in (
        (["--map", "task"], "say FIELD=COLUMN"),
        (["--map", "tusk=job"], "no field 'tusk'"),
        (["--tz", "Mars/Base"], "no time zone 'Mars/Base'"),
    ):
        assert entry(["import", "csv", str(file), "--yes", *wrong, "--store", url]) == 2
        said = capsys.readouterr().err
        assert what in said and len(said.splitlines()) == 1
    assert entry(["import", "csv", str(tmp_path / "none.csv"), "--yes", "--store", url]) == 2
    assert "No such file" in capsys.readouterr().err


def test_killed_in_the_middle_and_run_again(store_url: str, tmp_path: Path) -> None:
    past = made(30_000)
    file = tmp_path / "h.csv"
    file.write_text(as_csv(past))
    call = [sys.executable, "-m", "statustui", "import", "csv", str(file), "--yes", "--store", store_url]
    process = subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    with open_store(store_url) as store:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if reads.snapshot(store, since=from_epoch(0)).total_runs:
                break
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.wait()
        some = reads.snapshot(store, since=from_epoch(0)).total_runs
        assert 0 < some <= 30_000 and some % history.AT_ONCE == 0
        done = subprocess.run([*call, "--json"], stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=True)
        told = json.loads(done.stdout)
        assert (told["new"], told["known"]) == (30_000 - some, some)
        with open_store(f"sqlite:///{tmp_path}/whole.db") as whole:
            bring(whole, file.read_text())
            # (What needs somebody is looked at in a window, which is the same for both.)
            assert said(store) == said(whole)


def test_a_time_of_no_zone_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        row: dict[str, Any] = dict.fromkeys(fields.FIELDS)
        row |= {"task": "a", "started_at": "2026-01-31 12:00:00", "duration_s": 1, "status": "ok"}
        reader = fields.Reader(None)
        assert reader.past(list(row.values())).started == datetime(2026, 1, 31, 17, tzinfo=UTC).timestamp()
        assert reader.naive
    finally:
        monkeypatch.undo()
        time.tzset()


class _Endless(io.RawIOBase):
    """A line without an end, made as it is read; then one row."""

    def __init__(self, head: bytes, sign: bytes, megabytes: int, rest: bytes) -> None:
        self._parts = filter(None, [head, *[sign * (1 << 20)] * megabytes, rest])
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._left = self._left or next(self._parts, b"")
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_line_without_an_end_takes_no_memory_and_costs_one_row(kind: str) -> None:
    first = b"task,start,end,status\n" if kind == "csv" else b""
    good = {"task": "t", "start": T0, "end": T0 + 1, "status": "ok"}
    rest = ",".join(map(str, good.values())) if kind == "csv" else json.dumps(good)
    stream = io.BufferedReader(_Endless(first, b"a,b " if kind == "csv" else b'{"a"', 60, f"\n{rest}\n".encode()))
    place = fields.Columns({}).place
    tracemalloc.start()
    found = (records.csv_rows if kind == "csv" else records.json_rows)(records.Source(stream, "h", None), place)
    rows = list(found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(rows) == 2 and "a line of more than 4 MB" in rows[0][1] and rows[1][1][0] == "t"
    assert rows[1][0] == (3 if kind == "csv" else 2)
    assert peak < 60 << 20


def test_a_quote_without_its_end_says_how_much_it_took() -> None:
    text = written([["t", "2026-01-01", "2026-01-02", "ok"]] * 9_000).replace("\nt,", '\n"t,', 1)
    bad = [row for _, row in records.csv_rows(source(text), fields.Columns({}).place) if isinstance(row, str)]
    assert len(bad) == 1 and "lines up to here are lost" in bad[0]


def test_numbers_of_thousands_of_digits() -> None:
    row = '{"task": "t", "start": %s, "end": 1, "status": "ok"}'
    told = bring(None, row % ("1" + "0" * 400), "jsonl", dry_run=True)
    assert "is no time" in told.bad_rows[0][1]
    told = bring(None, f"[{row % ('1' * 5_000)}]", "json", dry_run=True)
    assert told.bad_rows == [(1, "a number of thousands of digits; nothing after this line was read")]


@pytest.mark.parametrize("zone", [None, UTC, fields.zone_of("Asia/Tokyo"), fields.zone_of("America/Los_Angeles")])
@pytest.mark.parametrize("start", ["0001-01-01 00:00:00", "9999-12-31 23:59:59"])
def test_the_ends_of_the_calendar_are_no_times(start: str, zone: tzinfo | None) -> None:
    told = bring(None, written([["t", start, start, "ok"]]), zone=zone, dry_run=True)
    assert told.bad_rows == [(2, "started_at lies outside the years 1970 to 2100")]


@pytest.mark.parametrize("named", [True, False])
def test_a_run_through_the_hour_that_comes_twice_has_its_length(named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = None if not named else fields.zone_of("Europe/Berlin")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        values: list[Any] = [None] * len(fields.FIELDS)
        values[:4] = ["t", "2025-10-26 02:50:00", "2025-10-26 02:10:00", "ok"]
        assert fields.Reader(zone).past(values).duration == 20 * 60
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_thousand_columns_are_told_in_one_line() -> None:
    with pytest.raises(fields.BadMap) as told:
        fields.Columns({}).place([f"c{n}" for n in range(9_000)] + ["x" * 100_000])
    assert len(str(told.value)) < 400 and "8,971 more" in str(told.value)
