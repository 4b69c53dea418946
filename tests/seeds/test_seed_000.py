"""Auction cases in twelve steps: the document's own summary, resuming, retrying, verifying and migrating."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from statustui import Pipeline, Step
from statustui.model.status import ItemStatus
from statustui.pipelines.verify import BadPattern
from support.items import command, reporting_to

SUMMARY = """\
============================================================
PIPELINE STATUS SUMMARY
============================================================
Date Range: 2025-01-02 to 2025-02-10 (40 days)

Total Auctions: 156
  Foreclosures: 142
  Tax Deeds:     14

By Status:
  Completed:    89 (57%)  ████████████████░░░░░░░░░░░░
  In Progress:  12 (8%)   ██░░░░░░░░░░░░░░░░░░░░░░░░░░
  Pending:      45 (29%)  ████████░░░░░░░░░░░░░░░░░░░░
  Failed:       10 (6%)   ██░░░░░░░░░░░░░░░░░░░░░░░░░░

Step Progress (of 156 auctions):
  Step 1  - Auction Scraped:     156/156 (100%)
  Step 1  - PDF Downloaded:      148/156 (95%)
  Step 2  - Judgment Extracted:  142/156 (91%)
  Step 3  - Bulk Enriched:       156/156 (100%)
  Step 3.5- HomeHarvest:         134/156 (86%)
  Step 4  - HCPA Enriched:       128/156 (82%)
  Step 5  - ORI Ingested:        115/156 (74%)
  Step 6  - Survival Analyzed:   108/156 (69%)
  Step 7  - Permits Checked:      98/156 (63%)
  Step 8  - Flood Checked:       102/156 (65%)
  Step 9  - Market Fetched:       95/156 (61%)
  Step 12 - Tax Checked:          89/156 (57%)

Recent Failures (showing 5 of 10):
  2024-CA-12345 @ Step 2: Vision extraction timeout
  2024-CA-12346 @ Step 5: ORI rate limited (retry 3/3)
  2024-CA-12347 @ Step 6: No encumbrances found
"""
"""The document's startup summary, as far as it writes it out."""

STEPS = [
    Step(key="auction_scraped", label="1", title="Auction Scraped", after=()),
    Step(key="pdf_downloaded", label="1", title="PDF Downloaded", after=("auction_scraped",)),
    Step(key="judgment_extracted", label="2", title="Judgment Extracted", after=("pdf_downloaded",)),
    Step(key="bulk_enriched", label="3", title="Bulk Enriched", after=("auction_scraped",)),
    Step(key="homeharvest_enriched", label="3.5", title="HomeHarvest", after=("bulk_enriched",)),
    Step(key="hcpa_enriched", label="4", title="HCPA Enriched", after=("bulk_enriched",)),
    Step(key="ori_ingested", label="5", title="ORI Ingested", after=("hcpa_enriched",)),
    Step(key="survival_analyzed", label="6", title="Survival Analyzed", after=("ori_ingested", "judgment_extracted")),
    Step(key="permits_checked", label="7", title="Permits Checked", after=("hcpa_enriched",)),
    Step(key="flood_checked", label="8", title="Flood Checked", after=("hcpa_enriched",)),
    Step(key="market_fetched", label="9/10", short="9", title="Market Fetched", after=("hcpa_enriched",)),
    Step(key="tax_checked", label="12", title="Tax Checked", after=("hcpa_enriched",)),
]
DONE = {
    "auction_scraped": 156, "pdf_downloaded": 148, "judgment_extracted": 142, "bulk_enriched": 156,
    "homeharvest_enriched": 134, "hcpa_enriched": 128, "ori_ingested": 115, "survival_analyzed": 108,
    "permits_checked": 98, "flood_checked": 102, "market_fetched": 95, "tax_checked": 89,
}  # fmt: skip
FAILURES = {
    156: ("judgment_extracted", "Vision extraction timeout", 1),
    155: ("ori_ingested", "ORI rate limited", 4),
    154: ("survival_analyzed", "No encumbrances found", 1),
}


def case(number: int) -> str:
    """Natural key of case 1..156; the last ten are the ones that fail, the very last the latest."""
    return f"2024-CA-{12501 - number:05}"


@pytest.fixture
def auctions(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with reporting_to(store_url, monkeypatch):
        made = Pipeline("auctions", STEPS)
        yield made
        made.close()


def fill(auctions: Pipeline) -> None:
    """The state of things that the document's summary shows: 89 completed, 12 at work, 45 waiting, 10 failed."""
    for number in range(1, 157):
        kind = "foreclosure" if number <= 142 else "tax deed"
        day = date(2025, 1, 2) + timedelta(days=(number - 1) % 40)
        auctions.add(case(number), kind=kind, date=day, attributes={"parcel_id": f"P-{number}"})
    for key, done in DONE.items():
        for number in range(1, done + 1):
            auctions.complete(case(number), key)
    for number in range(90, 102):
        auctions.start(case(number), "tax_checked")
    for number in range(147, 157):
        step, error, tries = FAILURES.get(number, ("homeharvest_enriched", "MLS gave nothing", 1))
        for _ in range(tries):
            auctions.start(case(number), step)
            auctions.fail(case(number), step, error)


def test_the_summary_is_the_documents_own(auctions: Pipeline) -> None:
    fill(auctions)
    auctions.summary()  # all that was reported is in the store now
    done = command("status", "--pipeline", "auctions")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(SUMMARY)
    assert done.stdout.count("@ Step") == 5
    assert done.stdout.endswith("  ...\n\n" + "=" * 60 + "\n")


def test_the_summary_of_a_range_of_dates_and_as_json(auctions: Pipeline) -> None:
    fill(auctions)
    auctions.summary()
    asked = ("status", "--pipeline", "auctions", "--start-date", "2025-01-02", "--end-date", "2025-01-06")
    assert "Date Range: 2025-01-02 to 2025-01-06 (5 days)\n\nTotal Auctions: 20\n" in command(*asked).stdout
    found = json.loads(command("status", "--pipeline", "auctions", "--json").stdout)
    assert (found["total"], found["days"], found["kinds"]) == (156, 40, {"foreclosure": 142, "tax deed": 14})
    assert found["statuses"] == {"pending": 45, "processing": 12, "completed": 89, "failed": 10, "skipped": 0}
    assert {key: step["done"] for key, step in found["steps"].items()} == DONE
    assert found["failures"][1]["retries"] == 3


def test_questions_of_the_orchestrator(auctions: Pipeline) -> None:
    fill(auctions)
    assert auctions.is_complete(case(1), "ori_ingested")
    assert not auctions.is_complete(case(156), "ori_ingested")
    failed = auctions.failed("2025-01-02", "2025-02-10", max_retries=3)
    assert len(failed) == 9  # one has used up its retries
    assert case(155) not in {one.key for one in failed}
    assert len(auctions.failed("2025-01-02", "2025-02-10")) == 10
    assert auctions.current_step(case(156)) == "judgment_extracted"


def test_an_update_goes_on_where_the_last_one_stopped(auctions: Pipeline, tmp_path: Path) -> None:
    """Twelve cases through all twelve steps with real files; one times out, is retried, and nothing runs twice."""
    for number in range(1, 13):
        auctions.add(case(number), kind="foreclosure", date="2025-01-02")
    made: list[tuple[str, str]] = []
    healthy = False

    def work(step: str) -> Any:
        def handler(work: Any) -> dict[str, object]:
            if (work.key, step) == (case(3), "judgment_extracted") and not healthy:
                raise TimeoutError("Vision extraction timeout after 30s")
            made.append((work.key, step))
            path = tmp_path / "data" / "properties" / work.key / "documents" / f"{step}.pdf"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"%PDF")
            return {"path": path}

        return handler

    handlers = {step.key: work(step.key) for step in STEPS}
    first = auctions.resume(handlers, workers=2, show=False)
    assert (first.failed, first.completed) == (1, 12 * 12 - 2)  # and the survival analysis, which waits for it
    item = auctions.overall(case(3))
    assert item is not None
    assert (item.status, item.error_step) == (ItemStatus.FAILED, "judgment_extracted")
    assert auctions.resume(handlers, show=False).completed == 0  # its back-off is not over
    healthy = True
    assert [one.key for one in auctions.retry_failed()] == [case(3)]
    second = auctions.resume(handlers, show=False)
    assert (second.completed, second.failed) == (2, 0)
    assert sorted(made) == sorted({(case(n), step.key) for n in range(1, 13) for step in STEPS})
    assert auctions.summary().statuses == {ItemStatus.COMPLETED: 12}


def test_verify_against_the_files_on_disk(auctions: Pipeline, tmp_path: Path) -> None:
    for number in range(1, 5):
        auctions.add(case(number))
    for number in (1, 2, 4):
        auctions.complete(case(number), "auction_scraped")
    for number in (1, 2):
        auctions.complete(case(number), "pdf_downloaded")
    for number in (1, 3, 9):  # 2 has no file, 3 no state, 9 is not known
        path = tmp_path / "data" / "properties" / case(number) / "documents" / "final.pdf"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"%PDF")
    auctions.summary()
    call = ("verify", "--pattern", "pdf_downloaded=data/properties/{key}/documents/*.pdf")
    looked = command(*call, "--fix", "--dry-run", cwd=tmp_path)
    assert looked.returncode == 1, looked.stderr
    assert "4 items, 4 steps looked at: 3 do not agree." in looked.stdout
    for words in (
        f"{case(2)} @ pdf_downloaded (completed): state without file",
        f"{case(3)} @ pdf_downloaded (pending): file without state",
        f"{case(9)} @ pdf_downloaded: file of an unknown item",
    ):
        assert words in looked.stdout
    fixed = command(*call, "--fix", "--yes", cwd=tmp_path)
    assert fixed.returncode == 0, fixed.stderr
    again = command(*call, cwd=tmp_path)
    assert again.returncode == 0
    assert "0 do not agree" in again.stdout
    assert not auctions.is_complete(case(2), "pdf_downloaded")
    assert auctions.is_complete(case(9), "pdf_downloaded")


def test_a_pattern_with_a_field_that_items_lack_resets_nothing(auctions: Pipeline, tmp_path: Path) -> None:
    for number, about in ((1, {"folio": "f1"}), (2, None)):
        auctions.add(case(number), attributes=about)
        auctions.complete(case(number), "pdf_downloaded")
    with pytest.raises(BadPattern, match="step 'pdf_downloaded': no item has the attribute 'folios' of the pattern"):
        auctions.verify({"pdf_downloaded": "data/{folios}/*.pdf"}, root=tmp_path, fix=True)
    # Where the files of the second one would be nobody can say.
    looked = auctions.verify({"pdf_downloaded": "data/{folio}/*.pdf"}, root=tmp_path, fix=True)
    assert [one.key for one in looked.found] == [case(1)]
    assert not auctions.is_complete(case(1), "pdf_downloaded")
    assert auctions.is_complete(case(2), "pdf_downloaded")


def test_the_migration_from_the_auctions_table(auctions: Pipeline, tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "auctions.db")
    database.row_factory = sqlite3.Row
    database.execute(
        "CREATE TABLE auctions (case_number TEXT, folio TEXT, auction_date TEXT, kind TEXT,"
        " extracted_judgment_data TEXT, needs_ori INTEGER, scraped_at TEXT)"
    )
    rows = [
        ("c1", "f1", "2025-01-02", "foreclosure", "{}", 0, "2025-01-01T10:00:00"),
        ("c2", "f2", "2025-01-03", "tax deed", None, 1, "2025-01-01T11:00:00"),
        ("c3", "f3", "no date", "foreclosure", None, 1, None),
    ]
    database.executemany("INSERT INTO auctions VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    (tmp_path / "data/properties/f1/documents").mkdir(parents=True)
    (tmp_path / "data/properties/f1/documents/judgment.pdf").write_bytes(b"%PDF")

    def migrate(*, dry_run: bool = False) -> Any:
        found = database.execute("SELECT * FROM auctions")  # rows of sqlite3, as they are
        rules: dict[str, str | Callable[[Mapping[str, Any]], object]] = {
            "auction_scraped": "scraped_at",
            "pdf_downloaded": "data/properties/{folio}/documents/*.pdf",
            "judgment_extracted": "extracted_judgment_data",
            "ori_ingested": lambda row: not row["needs_ori"],
        }
        return auctions.backfill(
            found, rules, key="case_number", kind="kind", date="auction_date", attributes=["folio"], root=tmp_path,
            dry_run=dry_run,
        )  # fmt: skip

    expected = {"auction_scraped": 2, "pdf_downloaded": 1, "judgment_extracted": 1, "ori_ingested": 1}
    assert migrate(dry_run=True).completed == expected
    assert auctions.overall("c1") is None
    told = migrate()
    assert (told.completed, told.added) == (expected, 2)
    assert told.problems == ["row 3: 'no date' is no date; write it as 2025-01-31"]
    story = auctions.history("c1")
    again = migrate()
    assert (again.steps, again.added) == (0, 0)
    assert auctions.history("c1") == story
    one = auctions.detail("c1")
    assert (one.item.kind, one.item.attributes) == ("foreclosure", {"folio": "f1"})
    assert one.steps[0].completed_at is not None
    assert one.steps[0].completed_at.isoformat() == "2025-01-01T10:00:00+00:00"
    database.close()


def test_a_program_of_its_own_prints_the_summary_and_a_bar(auctions: Pipeline, tmp_path: Path) -> None:
    script = tmp_path / "update.py"
    script.write_text(
        "from statustui import Pipeline\n"
        "auctions = Pipeline('auctions', ['scrape', 'judge'])\n"
        "for n in range(5):\n"
        "    auctions.add(f'c{n}', kind='foreclosure', date='2025-01-02')\n"
        "auctions.resume({'scrape': lambda work: None, 'judge': lambda work: None}, workers=2)\n"
    )
    env = {**os.environ, "PYTHONIOENCODING": "utf-8", "STATUSTUI_STORE": f"sqlite:///{tmp_path}/own.db"}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=env, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Total Auctions: 5\n  Foreclosures: 5\n" in done.stdout
    assert "Resuming pipeline...\n" + "=" * 60 in done.stdout
    assert "scrape  ████████████████████████ 5/5 100%" in done.stdout
    assert done.stdout.endswith("Resumed auctions: 10 completed\n")
