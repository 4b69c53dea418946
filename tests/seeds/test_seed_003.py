"""Files through nine steps, and six more when their destinations are known; current state, audit trail, migration."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statustui import Pipeline, Step
from statustui.model.status import ItemStatus
from support.items import command, reporting_to

MAIN = [
    "create_file_record", "hash_file", "check_text", "process_with_ocr", "extract_text", "extract_metadata_with_gpt",
    "embed_metadata_into_pdf", "finalize_document_storage", "send_to_all_destinations",
]  # fmt: skip
DESTINATIONS = ["dropbox", "s3", "nextcloud"]
UPLOADS = [step for name in DESTINATIONS for step in (f"queue_{name}", f"upload_to_{name}")]


@pytest.fixture
def files(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with reporting_to(store_url, monkeypatch):
        steps = [Step(key=key, optional=key == "process_with_ocr") for key in MAIN]
        made = Pipeline("files", steps)
        yield made
        made.close()


def counts(pipeline: Pipeline, key: object) -> dict[str, dict[str, int]]:
    """The summary of the steps, as the document has it: by group."""
    return {
        group: {status.value: n for status, n in progress.counts.items()}
        for group, progress in pipeline.groups(key).items()
    }


def test_the_example_workflow_with_a_real_file(files: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "invoice.pdf"
    path.write_bytes(b"%PDF invoice")
    files.add(42, attributes={"path": path})
    assert counts(files, 42) == {"main": {"pending": 9}}

    files.add_steps(42, UPLOADS, group="uploads")
    files.add_steps(42, UPLOADS, group="uploads")  # once more changes nothing
    assert counts(files, 42) == {"main": {"pending": 9}, "uploads": {"pending": 6}}

    for step in MAIN:
        with files.step(42, step) as work:
            if step == "hash_file":
                work.update(hash=hashlib.sha256(path.read_bytes()).hexdigest())
            if step == "process_with_ocr":
                work.skip("it has text")
    for name in DESTINATIONS:
        files.complete(42, f"queue_{name}")
    with files.step(42, "upload_to_dropbox"):
        (tmp_path / "dropbox").mkdir()
        (tmp_path / "dropbox" / path.name).write_bytes(path.read_bytes())
    files.start(42, "upload_to_s3")
    item = files.overall(42)
    assert item is not None
    assert (item.status, item.has_errors, item.current_step) == (ItemStatus.PROCESSING, False, "upload_to_s3")
    assert counts(files, 42) == {
        "main": {"completed": 8, "skipped": 1},
        "uploads": {"completed": 4, "processing": 1, "pending": 1},
    }
    for name in ("s3", "nextcloud"):
        files.complete(42, f"upload_to_{name}")
    assert files.progress(42) == 100.0
    story = files.history(42)
    assert [event.step for event in story if event.kind == "step.end"][:9] == MAIN
    assert [event.at for event in story] == sorted(event.at for event in story)
    assert files.overall_many([42, 43]).keys() == {"42"}


def test_an_optional_steps_failure_does_not_fail_the_file(files: Pipeline) -> None:
    for step in MAIN:
        if step == "process_with_ocr":
            files.fail(7, step, "no OCR engine")
        else:
            files.complete(7, step)
    item = files.overall(7)
    assert item is not None
    assert (item.status, item.has_errors, item.retries) == (ItemStatus.COMPLETED, True, 0)


def test_a_late_destination_opens_a_completed_file_again(files: Pipeline) -> None:
    for step in MAIN:
        files.complete(8, step)
    assert files.summary().statuses == {ItemStatus.COMPLETED: 1}
    files.add_steps(8, ["queue_s3", "upload_to_s3"], group="uploads")
    assert files.summary().statuses == {ItemStatus.PENDING: 1}
    assert files.can_start(8, "upload_to_s3")
    files.switch_off(8, MAIN[:1])
    files.complete(8, "queue_s3")
    files.complete(8, "upload_to_s3")
    assert files.summary().statuses == {ItemStatus.COMPLETED: 1}


def test_what_can_not_be_is_refused_and_changes_nothing(files: Pipeline) -> None:
    files.add(9)
    files.complete(9, "hash_file")
    files.complete(9, "no_such_step")
    files.start(9, "hash_file")
    files.complete(9, "upload_to_s3")
    files.add(9, date="someday")
    refused = [event.message for event in files.history(9) if event.kind == "refused"]
    assert len(refused) == 4
    assert any(message and "'no_such_step'" in message for message in refused)
    assert any(message and "reset it first" in message for message in refused)
    item = files.overall(9)
    assert item is not None
    assert [key for key, status in item.states.items() if status is not ItemStatus.PENDING] == ["hash_file"]


LOG = [
    # file, task, step, status, message, timestamp: out of order, as a table may hold them
    (1, "t1", "hash_file", "in_progress", "Starting...", "2024-01-15 10:00:00"),
    (1, "t1", "hash_file", "success", "Hash: abc123...", "2024-01-15 10:00:05"),
    (1, "t1", "check_text", "in_progress", "Checking...", "2024-01-15 10:00:06"),
    (1, "t1", "extract_text", "success", "told without a start", "2024-01-15 10:00:20"),
    (1, "t1", "check_text", "failure", "no text layer", "2024-01-15 10:00:07"),
    (1, "t2", "check_text", "success", "found on retry", "2024-01-15 10:00:09"),
    (1, "t2", "queue_dropbox", "queued", "Queued", "2024-01-15 10:00:30"),
    (1, "t2", "upload_to_dropbox", "SUCCESS", "Uploaded", "2024-01-15 10:00:40"),
    (1, "t2", "upload_to_dropbox", "pending", "a late word", "2024-01-15 10:00:41"),
    (1, "t2", "hash_file", "warming_up", "a word of its own", "2024-01-15 10:00:50"),
    (2, "t3", "hash_file", "failure", "unreadable", "2024-01-15 11:00:00"),
    (2, "t4", "hash_file", "in_progress", "again", "2024-01-15 11:05:00"),
]


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """The application's own database with its log."""
    path = tmp_path / "app.db"
    database = sqlite3.connect(path)
    database.execute(
        "CREATE TABLE processing_logs (id INTEGER PRIMARY KEY, file_id INTEGER, task_id VARCHAR, step_name VARCHAR,"
        " status VARCHAR, message VARCHAR, detail TEXT, timestamp TIMESTAMP)"
    )
    database.executemany(
        "INSERT INTO processing_logs (file_id, task_id, step_name, status, message, timestamp)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        LOG,
    )
    database.commit()
    database.close()
    return path


def bring(application: Path, *more: str) -> Any:
    done = command(
        "import", "events", str(application), "--table", "processing_logs", "--pipeline", "files", "--json", *more
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_the_migration_from_the_logs(files: Pipeline, application: Path) -> None:
    files.summary()
    tried = bring(application, "--dry-run")
    assert (tried["items"], tried["lines"], tried["new"]) == (2, 12, 12)
    assert files.overall(1) is None

    told = bring(application, "--yes")
    assert (told["new"], told["changed"], told["unknown"], told["differences"]) == (12, 2, {"warming_up": 1}, [])
    one = {step.step.key: step for step in files.detail(1).steps}
    assert {key: step.status.value for key, step in one.items() if step.status is not ItemStatus.PENDING} == {
        "hash_file": "completed", "check_text": "completed", "extract_text": "completed",
        "upload_to_dropbox": "completed",
    }  # fmt: skip
    assert one["hash_file"].duration_s == 5.0
    assert one["check_text"].error is None  # a later success clears it
    assert (one["check_text"].tries, one["check_text"].started_at) == (2, one["check_text"].completed_at)
    assert one["extract_text"].started_at == one["extract_text"].completed_at  # no start: its own time
    assert one["upload_to_dropbox"].step.group == "uploads"
    two = files.overall(2)
    assert two is not None
    assert (two.status, two.states["hash_file"]) == (ItemStatus.PROCESSING, ItemStatus.PROCESSING)
    story = files.history(1)
    kept = {(event.step, event.message, event.task_id) for event in story}
    assert ("check_text", "found on retry", "t2") in kept
    assert ("hash_file", "a word of its own", "t2") in kept

    again = bring(application, "--yes")
    assert (again["new"], again["changed"]) == (0, 0)
    assert files.history(1) == story


def test_what_was_added_to_the_log_comes_with_the_next_import(files: Pipeline, application: Path) -> None:
    bring(application, "--yes")
    with sqlite3.connect(application) as database:
        database.execute(
            "INSERT INTO processing_logs (file_id, task_id, step_name, status, message, timestamp)"
            " VALUES (2, 't4', 'hash_file', 'success', 'Hash: f00', '2024-01-15 11:05:03')"
        )
    database.close()
    told = bring(application, "--yes")
    assert (told["new"], told["changed"], told["differences"]) == (1, 1, [])
    step = files.step_of(2, "hash_file")
    assert step is not None
    assert (step.status, step.duration_s, step.tries) == (ItemStatus.COMPLETED, 3.0, 2)


def test_one_file_and_a_verification_that_lists_what_differs(files: Pipeline, application: Path) -> None:
    told = bring(application, "--yes", "--item", "1")
    assert told["items"] == 1
    assert files.overall(2) is None
    files.reset(1, "check_text")
    files.complete(1, "finalize_document_storage")
    files.summary()
    done = command(
        "import", "events", str(application), "--table", "processing_logs", "--pipeline", "files", "--verify"
    )
    assert done.returncode == 1
    assert "1 @ check_text: different (log completed, store pending)" in done.stdout
    assert "1 @ finalize_document_storage: extra (log -, store completed)" in done.stdout
    assert "2 @ hash_file: missing (log processing, store -)" in done.stdout


def test_the_same_from_a_program_and_into_a_new_pipeline(files: Pipeline, tmp_path: Path) -> None:
    names = ("file_id", "task_id", "step_name", "status", "message", "timestamp")
    rows = [dict(zip(names, line, strict=True)) for line in LOG]
    assert files.import_events(rows, key=2).items == 1
    assert files.import_events(rows).changed == 1  # the other one
    assert files.compare_events(rows).ok

    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = str(tmp_path / "log.jsonl")
    done = command("import", "events", source, "--pipeline", "others", "--steps", "hash_file,check_text", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 items, 12 lines: brought in 12 lines of 2 items." in done.stdout
    assert "'warming_up' is no status" in done.stdout
    found = json.loads(command("item", "1", "--pipeline", "others", "--json").stdout)
    assert list(found["steps"])[:2] == ["hash_file", "check_text"]


def test_a_log_that_can_not_be_read_says_why(files: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    for arguments, said in (
        (("log.csv",), "no column looks like the item"),
        (("nothing.csv",), "no file 'nothing.csv'"),
        (("no_such_table",), "no table 'no_such_table'"),
        (("log.csv", "--item-column", "c"), "there is no column 'c'"),
    ):
        files.summary()
        done = command("import", "events", *arguments, "--pipeline", "files", "--yes", cwd=tmp_path)
        assert done.returncode in (1, 2)
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
