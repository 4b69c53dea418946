"""Lines of a journal that nobody wrote so: named by ``drain --check``, passed over, counted, kept aside, told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from statustui import config
from statustui.journal.files import MAX_LINE, prepare_spool
from statustui.journal.identity import describe
from statustui.journal.line import line_of

OURS = [sys.executable, "-m", "statustui"]
RUN = "01a2043c-eb20-7c11-9d54-0f6a2bb0c5a1"
BAD = [
    (b'{"k":"event","run":"' + RUN.encode() + b'","message":"to', "torn or not JSON"),
    (b"2026-11-22 20:00:01 INFO not ours at all", "not a JSON object"),
    (b"\x1b]52;c;aGFjaw==\x07\x1b[2J", "not a JSON object"),
    (b'{"k":"event","message":"' + b"x" * (MAX_LINE + 1000) + b'"}', f"longer than {MAX_LINE} bytes"),
    (b"\0" * 300, "filled with NUL bytes"),
    (b"\x89PNG\0\0\0\rIHDR", "binary, not JSON"),
    (b'{"k":"event","message":"\xff\xfe"}', "not UTF-8"),
    (b"[" * 30_000 + b"]" * 30_000, "not a JSON object"),
    (b'{"a":' * 30_000 + b"1" + b"}" * 30_000, "nested too deep"),
    (b'{"no":"kind"}', "no kind (k)"),
    (b'{"k":"event","t":"now"}', "t is not a number"),
    (b'{"k":"event","t":NaN}', "not JSON"),
    (b'{"k":"event","run":17}', "run is not a run id"),
]


def good(k: str, /, **fields: object) -> bytes:
    return line_of(k, RUN, fields)


@pytest.fixture
def spool(env: Path) -> str:
    settings = config.load()
    found = config.spool_dir(settings)
    prepare_spool(found, settings.store_url)
    return found


def journal(spool: str, bad: list[bytes]) -> Path:
    """A journal whose good lines stand between bad ones."""
    name = "01a2043c-eb11-79f6-abae-7df7dc94b387"
    # A writer that is gone: what is torn at the end is torn for good.
    about = {**describe(), "pid": 2**22 - 7, "start": 1, "lang": "sh", "role": "program"}
    data = line_of("writer", None, {"v": 1, "journal": name, **about})
    data += good("run.start", task="survivor")
    for number, line in enumerate(bad):
        data += b"\n" + line + good("event", kind="log", message=f"after {number}")
    data += good("run.end", status="finished")
    path = Path(f"{spool}/{name}.0.jsonl")
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*OURS, *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("number", range(len(BAD)))
def test_check_names_the_line_and_the_reason(number: int, spool: str) -> None:
    line, reason = BAD[number]
    path = journal(spool, [line])
    done = run("drain", "--check", str(path))
    assert done.returncode == 1
    (said,) = done.stdout.splitlines()
    assert said.startswith(f"{path}:4: ")
    assert reason in said
    assert "\x1b" not in done.stdout
    told = json.loads(run("drain", "--check", str(path), "--json").stdout)
    (problem,) = told["problems"]
    assert (told["version"], problem["line"]) == (1, 4)
    assert path.read_bytes()[problem["offset"] :].startswith(line[:20]), "the place in the file"


def test_check_of_a_journal_without_faults_and_of_what_is_none(spool: str, env: Path) -> None:
    path = journal(spool, [])
    done = run("drain", "--check", str(path))
    assert (done.returncode, "every line is understood" in done.stdout) == (0, True)
    newer = env / "newer"
    newer.write_bytes(path.read_bytes().replace(b'"v":1,', b'"v":2,', 1))
    assert "version 2, this program knows 1" in run("drain", "--check", str(newer)).stdout
    log = env / "job.log"
    log.write_text('{"k":"event"}\n')
    assert "the first line is no writer line" in run("drain", "--check", str(log)).stdout
    for missing in (env / "nowhere", env):
        done = run("drain", "--check", str(missing))
        assert (done.returncode, done.stderr.count("\n"), str(missing) in done.stderr) == (2, 1, True)


def test_bad_lines_are_passed_over_counted_kept_aside_and_told_by_doctor(
    spool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = journal(spool, [line for line, _ in BAD])
    assert run("drain").returncode == 0
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")
    shown = json.loads(run("show", "survivor", "--json").stdout)
    assert shown["run"]["status"] == "finished"
    told = {event["message"] for event in shown["events"] if event["kind"] == "log"}
    assert told == {f"after {number}" for number in range(len(BAD))}, "nothing but the bad lines is lost"
    name = path.name.partition(".")[0]
    kept = [json.loads(line) for line in Path(f"{spool}/aside/{name}").read_text().splitlines()]
    assert len(kept) == len(BAD)
    for entry, (line, reason) in zip(kept, BAD, strict=True):
        assert reason in entry["error"]
        assert entry["raw"].startswith(line[:10].decode("utf-8", "backslashreplace"))
    assert os.stat(f"{spool}/aside/{name}").st_mode & 0o777 == 0o600
    doctor = run("doctor")
    assert f"{name}: {len(BAD)} lines were not understood, kept in {spool}/aside/{name}" in doctor.stdout
    findings = json.loads(run("doctor", "--json").stdout)["findings"]
    assert [f["grade"] for f in findings if f["about"] == "journal"] == ["note"]


def test_what_a_writer_dropped_is_told_by_doctor(spool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = journal(spool, [])
    with path.open("ab") as file:
        file.write(line_of("dropped", None, {"facts": 312, "progress": 4}))
    assert run("drain").returncode == 0
    monkeypatch.setenv("STATUSTUI_DRAINER", "off")
    assert "312 facts and 4 reports of progress were dropped" in run("doctor").stdout
