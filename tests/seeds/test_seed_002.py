"""Documents through eight stages: parallel workers, one failed stage retried alone, the API's two answers."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from statustui import Pipeline, Step
from statustui.model.status import ItemStatus
from support.items import command, reporting_to
from support.journals import CORE

STAGES = [
    Step(key="upload", title="Upload", after=()),
    Step(key="text_extraction", after=("upload",)),
    Step(key="image_processing", after=("upload",)),
    Step(key="classification", after=("text_extraction",)),
    Step(key="metadata_extraction", after=("classification",)),
    Step(key="storage", after=("image_processing",)),
    Step(key="embedding", after=("text_extraction",)),
    Step(key="search_indexing", after=("embedding", "metadata_extraction")),
]
WORKER = """
import pathlib, sys, time
from statustui import Pipeline, Step
folder, stages = pathlib.Path(sys.argv[1]), sys.argv[2].split(",")
STAGES = [
    Step(key="upload", title="Upload", after=()), Step(key="text_extraction", after=("upload",)),
    Step(key="image_processing", after=("upload",)), Step(key="classification", after=("text_extraction",)),
    Step(key="metadata_extraction", after=("classification",)), Step(key="storage", after=("image_processing",)),
    Step(key="embedding", after=("text_extraction",)),
    Step(key="search_indexing", after=("embedding", "metadata_extraction")),
]
documents = Pipeline("documents", STAGES)
idle = time.monotonic()
def at_work():  # by others, whose ends bring more; on a busy machine they begin late
    return any(one.waiting or one.processing for one in documents.statistics().values())

while time.monotonic() - idle < 1.5 or at_work():
    for stage in stages:
        for work in documents.claim(stage, limit=2):
            idle = time.monotonic()
            try:
                with work:
                    text = (folder / f"{work.key}.pdf").read_text()
                    if stage == "image_processing" and work.key == "doc-07" and not (folder / "healthy").exists():
                        raise TimeoutError("OCR engine timeout")
                    with open(folder / f"{work.key}.{stage}", "x") as made:  # a second time would raise
                        made.write(text)
                    work.update(pages_processed=len(text))
            except TimeoutError:
                pass
    time.sleep(0.02)
"""


@pytest.fixture
def documents(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with reporting_to(store_url, monkeypatch):
        made = Pipeline("documents", STAGES)
        yield made
        made.close()


def work(folder: Path, *workers: str) -> None:
    """One process for each worker, all at once, each for its stages; until nothing is left to do."""
    script = folder / "worker.py"
    script.write_text(WORKER)
    environment = {**os.environ, "PYTHONPATH": str(CORE)}
    running = [
        subprocess.Popen([sys.executable, str(script), str(folder), stages], env=environment, stderr=subprocess.PIPE)
        for stages in workers
    ]
    for program in running:
        _, said = program.communicate(timeout=60)
        assert program.returncode == 0, said.decode()


def test_workers_side_by_side_and_one_stage_retried_alone(documents: Pipeline, tmp_path: Path) -> None:
    keys = [f"doc-{number:02}" for number in range(1, 13)]
    for key in keys:
        (tmp_path / f"{key}.pdf").write_text(key * 3)
        documents.add(key, attributes={"filename": f"{key}.pdf"})
        documents.complete(key, "upload")
    documents.summary()
    stages = "text_extraction,classification,metadata_extraction"
    work(tmp_path, stages, stages, "image_processing,storage", "embedding,search_indexing")

    assert {step: one.completed for step, one in documents.statistics().items()} == {
        "upload": 12, "text_extraction": 12, "image_processing": 11, "classification": 12, "metadata_extraction": 12,
        "storage": 11, "embedding": 12, "search_indexing": 12,
    }  # fmt: skip
    (failure,) = documents.failed()
    assert (failure.key, failure.step.key) == ("doc-07", "image_processing")
    assert failure.error == "TimeoutError: OCR engine timeout"
    assert documents.progress("doc-07") == 75.0  # six of eight

    (tmp_path / "healthy").touch()
    assert documents.retry_failed() == [failure]
    work(tmp_path, "image_processing,storage")
    assert documents.summary().statuses == {ItemStatus.COMPLETED: 12}
    steps = {step.step.key: step for step in documents.detail("doc-07").steps}
    assert steps["image_processing"].tries == 2
    assert steps["image_processing"].error is None  # nothing of the last attempt remains
    assert steps["image_processing"].metadata == {"pages_processed": 18}
    assert all(step.tries == 1 for key, step in steps.items() if key not in ("image_processing",))
    story = [(event.kind, event.status) for event in documents.history("doc-07") if event.step == "image_processing"]
    assert ("step.end", "failed") in story


def test_the_tracker_as_the_document_uses_it(documents: Pipeline) -> None:
    for stage in ("upload", "image_processing"):
        documents.complete("d", stage)
    documents.start("d", "text_extraction")
    documents.update("d", "text_extraction", progress=45.5, pages_processed=2000)
    documents.update("d", "text_extraction", progress=45.5, total_pages=4386)
    found = json.loads(command_of(documents, "item", "d", "--json"))
    assert (found["key"], found["status"], found["current_step"]) == ("d", "processing", "text_extraction")
    assert found["steps"]["text_extraction"]["status"] == "processing"
    assert found["steps"]["text_extraction"]["progress"] == 45.5
    assert found["steps"]["text_extraction"]["metadata"] == {"pages_processed": 2000, "total_pages": 4386}
    assert found["steps"]["text_extraction"]["completed_at"] is None
    assert found["steps"]["upload"]["progress"] == 100
    for key in ("status", "started_at", "completed_at", "duration_seconds", "progress", "error"):
        assert key in found["steps"]["upload"]
    for key in ("status", "current_step", "progress", "started_at", "completed_at", "error"):
        assert key in found

    documents.complete("d", "text_extraction", total_pages=4386)
    assert documents.progress("d") == 37.5  # three of eight
    assert documents.current_step("d") == "classification"
    assert documents.can_start("d", "embedding")
    assert not documents.can_start("d", "search_indexing")
    documents.skip("d", "storage", "No images found in PDF")
    assert documents.progress("d") == 50.0  # skipped counts as done


def command_of(documents: Pipeline, *arguments: str) -> str:
    documents.summary()
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_block_that_raises_fails_the_stage(documents: Pipeline) -> None:
    with pytest.raises(TimeoutError), documents.step("d", "text_extraction") as stage:
        for page in range(100):
            stage.update(page, pages_processed=page * 43)
            if page == 50:
                raise TimeoutError("OCR engine timeout")
    item = documents.overall("d")
    assert item is not None
    assert (item.status, item.last_error) == (ItemStatus.FAILED, "TimeoutError: OCR engine timeout")


def test_the_statistics_of_the_stages(documents: Pipeline, tmp_path: Path) -> None:
    """151 documents: the document's own figures for its first two stages."""
    begin = datetime(2025, 10, 4, 8, tzinfo=UTC)
    rows: list[tuple[str, str, str, str]] = []

    def tell(number: int, stage: str, took: float | None, end: str | None) -> None:
        at = begin + timedelta(minutes=number)
        rows.append((f"d{number:03}", stage, "processing", at.isoformat()))
        if took is not None and end is not None:
            rows.append((f"d{number:03}", stage, end, (at + timedelta(seconds=took)).isoformat()))

    for number in range(151):
        if number >= 5:  # five wait
            last: tuple[float | None, str | None] = (1.2, "completed")
            tell(number, "upload", *((None, None) if number < 7 else (1.0, "failed") if number < 8 else last))
    for number in range(8, 151):
        if number >= 11:
            took, end = (None, None) if number < 15 else (9.9, "failed") if number < 17 else (45.8, "completed")
            tell(number, "text_extraction", took, end)
    with open(tmp_path / "log.csv", "w", newline="") as file:
        csv.writer(file).writerows([("document_id", "stage", "status", "timestamp"), *rows])
    for number in range(151):
        documents.add(f"d{number:03}")
    documents.summary()
    done = command("import", "events", str(tmp_path / "log.csv"), "--pipeline", "documents", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = json.loads(command("pipelines", "--json").stdout)["pipelines"]
    assert found["name"] == "documents"
    check(found["steps"]["upload"], pending=5, processing=2, completed=143, failed=1, skipped=0, avg_duration=1.2)
    extraction = found["steps"]["text_extraction"]
    assert extraction["pending"] == 11  # three could begin, eight wait for their upload
    check(extraction, waiting=3, processing=4, completed=134, failed=2, skipped=0, avg_duration=45.8)


def check(found: dict[str, float], **wanted: float) -> None:
    assert {key: found[key] for key in wanted} == pytest.approx(wanted)


def test_the_next_document_of_a_stage_is_given_once(documents: Pipeline, wait_for: Callable[..., None]) -> None:
    for number in range(4):
        documents.complete(f"d{number}", "upload")
    assert sorted(documents.ready("text_extraction")) == ["d0", "d1", "d2", "d3"]
    first, second = documents.claim("text_extraction", 3), documents.claim("text_extraction", 3)
    assert (len(first), len(second)) == (3, 1)
    assert not {one.key for one in first} & {one.key for one in second}
    assert documents.claim("text_extraction") == []
    for one in (*first, *second):
        one.give_back()
    assert len(documents.ready("text_extraction")) == 4
