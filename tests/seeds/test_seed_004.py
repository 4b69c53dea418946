"""Sessions in weighted phases, three PDFs with pages: the document's figures, its rules, its error context."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

import statustui
from statustui.pipelines.snapshot import FileProgress, PhaseProgress, ProcessingProgress
from support.items import command, reporting_to

WEIGHTS = {"upload": 0.1, "processing": 0.6, "matching": 0.2, "report_generation": 0.1}


@pytest.fixture
def here(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with reporting_to(store_url, monkeypatch):
        yield store_url


def make_files(folder: Path) -> list[Path]:
    """Three statements of twelve pages."""
    paths = []
    for number in (1, 2, 3):
        path = folder / f"statement_{number:03}.pdf"
        path.write_text("\f".join(f"page {page}" for page in range(1, 13)))
        paths.append(path)
    return paths


def test_half_of_the_second_of_three_equal_files_is_fifty_percent(here: str, tmp_path: Path) -> None:
    paths = make_files(tmp_path)
    with statustui.run("session", subtasks=4) as run:
        run.subtasks(WEIGHTS)
        with run.subtask("upload", total=3, unit="files") as upload:
            for path in paths:
                upload.advance(message=path.name)
        with run.subtask("processing") as processing:
            for number, path in enumerate(paths, 1):
                pages = path.read_text().split("\f")
                processing.inner(file=number, files=3, page=0, pages=len(pages), name=path.name)
                for page, text in enumerate(pages, 1):
                    assert text == f"page {page}"
                    processing.inner(page=page, regex_matches_found=page * 2)
                    if (number, page) == (2, 6):
                        seen = statustui.snapshot(run)
    assert seen.phases["processing"].percentage == 50
    assert seen.overall_percentage == 40  # 0.1 * 100 + 0.6 * 50
    assert seen.current_phase == "processing"
    assert seen.phases["upload"].status == "completed"
    assert seen.phases["matching"].model_dump(exclude_none=True) == {
        "status": "pending", "percentage": 0, "weight": 0.2,
    }  # fmt: skip
    current = seen.phases["processing"]
    assert (current.total_files, current.current_file_index) == (3, 1)
    assert current.current_file is not None
    assert current.current_file.name == "statement_002.pdf"
    assert (current.current_file.current_page, current.current_file.total_pages) == (6, 12)
    assert current.current_file.regex_matches_found == 12
    assert current.current_file.percentage == 50
    assert seen.status_message == "processing file 2 of 3: page 6/12"
    assert ProcessingProgress.model_validate_json(seen.model_dump_json()) == seen


def test_a_file_just_opened_adds_nothing(here: str) -> None:
    with statustui.run("session", subtasks=1) as run, run.subtask("processing") as processing:
        processing.inner(file=1, files=3, page=0, pages=10)
        assert statustui.snapshot(run).overall_percentage == 0
        processing.inner(file=2, page=0, pages=10)
        assert statustui.snapshot(run).overall_percentage == 33
        processing.inner(page=10)
        assert statustui.snapshot(run).overall_percentage == 66


def test_the_end_of_a_session_is_one_hundred_and_not_before(here: str) -> None:
    with statustui.run("session", subtasks=2) as run:
        with run.subtask("upload"):
            pass
        with run.subtask("matching", total=10_000) as matching:
            matching.advance(9_999)
            seen = statustui.snapshot(run)
    assert (seen.overall_percentage, seen.phases["matching"].percentage) == (99, 99)
    seen = statustui.snapshot(run)
    assert (seen.overall_percentage, seen.current_phase, seen.status_message) == (100, "completed", "completed")


def test_a_failure_says_phase_file_and_page_and_completes_nothing(here: str, tmp_path: Path) -> None:
    run = statustui.run("session", subtasks=4)
    with pytest.raises(ValueError, match="Invalid regex"), run:
        run.subtasks(WEIGHTS)
        with run.subtask("upload"):
            pass
        with run.subtask("processing") as processing:
            processing.inner(file=2, files=3, page=5, pages=12, name="statement_002.pdf")
            raise ValueError("Invalid regex pattern in transaction extraction")
    seen = statustui.snapshot(run)
    assert seen.error is not None
    assert (seen.error.type, seen.error.message) == ("ValueError", "Invalid regex pattern in transaction extraction")
    assert seen.error.context == {"phase": "processing", "file": "statement_002.pdf", "page": 5}
    assert "raise ValueError" in (seen.error.traceback or "")
    assert seen.phases["processing"].status == "failed"
    assert seen.phases["processing"].percentage == 47  # (1 + 5/12) / 3
    assert seen.phases["matching"].status == "pending"
    assert seen.current_phase == "processing"


def test_a_session_is_asked_for_from_another_process(here: str) -> None:
    with statustui.run("session", subtasks=1) as run, run.subtask("upload", total=4) as upload:
        upload.advance(1)
    seen = statustui.snapshot(run.run_id)
    assert seen.current_phase == "completed"
    assert '"task": "session"' in command("runs", "--json").stdout
    with pytest.raises(KeyError):
        statustui.snapshot("no-such-run")


def test_a_run_without_phases_has_no_snapshot(here: str) -> None:
    with statustui.run("session") as run, pytest.raises(ValueError, match="has no subtasks"):
        statustui.snapshot(run)


def test_the_rules_are_checked_when_it_is_made() -> None:
    now = "2025-10-08T14:25:42Z"
    pending = PhaseProgress(status="pending", percentage=0)
    wrongs: tuple[dict[str, object], ...] = (
        {"overall_percentage": 101},
        {"overall_percentage": -1},
        {"current_phase": "unheard of"},
        {"phases": {}},
    )
    for wrong in wrongs:
        made = {"overall_percentage": 0, "current_phase": "upload", "phases": {"upload": pending}, "last_update": now}
        with pytest.raises(ValidationError):
            ProcessingProgress.model_validate({**made, "status_message": "", **wrong})
    for phase in (
        {"status": "completed", "percentage": 99},
        {"status": "in_progress", "percentage": 5},
        {"status": "done", "percentage": 5},
        {"status": "completed", "percentage": 100, "started_at": now, "completed_at": "2025-10-08T14:00:00Z"},
    ):
        with pytest.raises(ValidationError):
            PhaseProgress.model_validate(phase)
    for file in ({"total_pages": 0}, {"total_pages": 3, "current_page": 4}, {"total_pages": 3, "current_page": -1}):
        with pytest.raises(ValidationError):
            FileProgress.model_validate({"name": "x", "current_page": 1, **file})
