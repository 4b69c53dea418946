"""The commands about items: what they print, what they change, and what they say when they can not."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from statustui import Pipeline, Step
from statustui.model.status import ItemStatus
from support.items import command, reporting_to

STEPS = [
    Step(key="fetch", label="1", title="Fetch"),
    Step(key="parse", label="3.5", title="Parse pages"),
    Step(key="load", label="9/10", short="9", title="Load", max_retries=5),
]


@pytest.fixture
def files(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """Five files: one through, one at work, one waiting, one failed for good, one that may be tried again."""
    with reporting_to(sqlite_url, monkeypatch):
        made = Pipeline("files", STEPS)
        for number, kind in enumerate(("pdf", "pdf", "pdf", "scan", "scan"), 1):
            made.add(f"f{number}", kind=kind, date=f"2025-01-0{number}", attributes={"pages": number})
        for step in STEPS:
            made.complete("f1", step.key)
        made.start("f2", "fetch")
        for key, error in (("f4", "no such page"), ("f5", "connection refused")):
            made.complete(key, "fetch")
            made.start(key, "parse")
            made.fail(key, "parse", error, permanent=key == "f4")
        made.summary()
        yield made
        made.close()


def said(*arguments: str, code: int = 0) -> str:
    done = command(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def told(*arguments: str, code: int = 0) -> Any:
    found = json.loads(said(*arguments, "--json", code=code))
    assert found["version"] == 1
    return found


def refused(*arguments: str, code: int = 2) -> str:
    """It ended with *code* and one line on standard error."""
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (code, ""), done
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_list_of_items(files: Pipeline) -> None:
    listed = said("items")
    assert listed.splitlines()[0].split() == ["KEY", "STATUS", "DONE", "STEP", "KIND", "DATE", "UPDATED", "NOTE"]
    assert len(listed.splitlines()) == 6
    assert "3.5 Parse" in listed
    assert "connection r" in listed


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        (("--status", "failed"), ["f4", "f5"]),
        (("--status", "IN_PROGRESS"), ["f2"]),
        (("--step", "3.5"), ["f4", "f5"]),
        (("--step", "fetch"), ["f2", "f3"]),
        (("--kind", "scan", "--until", "2025-01-04"), ["f4"]),
        (("--since", "2025-01-04"), ["f4", "f5"]),
        (("--search", "F3"), ["f3"]),
        (("-n", "2"), ["f1", "f2"]),
        (("--sort", "date", "--reverse", "-n", "2"), ["f5", "f4"]),
        (("--pipeline", "files", "--status", "skipped"), []),
    ],
)
def test_items_that_match(files: Pipeline, options: tuple[str, ...], keys: list[str]) -> None:
    assert [one["key"] for one in told("items", *options)["items"]] == keys


def test_a_longer_list_says_how_many_there_are(files: Pipeline) -> None:
    assert told("items", "-n", "2")["total"] == 5
    assert "2 of 5" in said("items", "-n", "2")


def test_one_item(files: Pipeline) -> None:
    shown = said("item", "f5")
    for words in ("f5", "files", "scan 2025-01-05", "✗ failed", "pages: 5", "connection refused", "Story:", "step.end"):
        assert words in shown
    found = told("item", "f5")
    assert list(found)[:9] == [
        "version", "key", "pipeline", "status", "current_step", "progress", "started_at", "completed_at", "error",
    ]  # fmt: skip
    assert (found["status"], found["current_step"], found["error"]) == ("failed", "parse", "connection refused")
    assert list(found["steps"]) == ["fetch", "parse", "load"]
    assert found["events"][-1]["kind"] == "step.end"
    assert "no item 'f9'" in refused("item", "f9", code=1)


def test_pipelines(files: Pipeline) -> None:
    Pipeline("others", ["a"]).add("x")
    files.summary()
    shown = said("pipelines")
    assert [line.split()[0] for line in shown.splitlines()] == ["PIPELINE", "files", "others"]
    assert "which pipeline? say --pipeline with one of files, others" in refused("items")
    assert "no pipeline 'fils'; there are files, others" in refused("items", "--pipeline", "fils")


def test_retry_takes_what_may_be_tried_again_and_says_what_happens_next(files: Pipeline) -> None:
    shown = said("items", "retry", "--dry-run")
    assert "Retry 1 of 2 failed steps of files:" in shown
    assert "  f5 @ Step 3.5: connection refused" in shown
    assert "1 of 2 would be pending, 1 permanent" in shown
    assert files.failed(max_retries=3)  # nothing was changed

    assert "repeat with --yes" in command("items", "retry").stderr
    found = told("items", "retry", "--yes")
    assert found["changed"] == [{"key": "f5", "step": "parse"}]
    assert found["left"] == [{"key": "f4", "step": "parse", "permanent": True}]
    assert found["next"] == (
        "1 of 2 pending, 1 permanent (--force takes these, too);"
        " no worker at step 3.5: start the program that resumes files"
    )
    assert files.can_start("f5", "parse")
    assert any(event.kind == "step.retry" and event.actor for event in files.history("f5"))
    assert said("items", "retry", "f4", "--yes", code=1).splitlines()[-1] == (
        "0 of 1 pending, 1 permanent (--force takes these, too)"
    )
    assert "1 would be pending" in said("items", "retry", "f4", "--force", "--dry-run")
    assert "1 pending" in said("items", "retry", "f4", "--force", "--yes")
    assert "nothing that has failed matches" in refused("items", "retry", "--yes", code=1)


def test_what_happens_next_names_the_task_that_did_the_work(files: Pipeline) -> None:
    def handler(work: Any) -> None:
        raise ConnectionError("refused")

    files.retry_failed()
    files.resume({"parse": handler}, show=False, task="files_update")
    assert "start `statustui retry files_update`" in said("items", "retry", "f5", "--yes")


def test_exhausted_ones_are_counted(files: Pipeline) -> None:
    for _ in range(3):
        files.start("f5", "parse")
        files.fail("f5", "parse", "connection refused")
    files.summary()
    shown = said("items", "retry", "--dry-run", code=1)
    assert "0 of 2 would be pending, 1 exhausted, 1 permanent" in shown
    assert "1 of 2 would be pending" in said("items", "retry", "--dry-run", "--max-retries", "4")


def test_reset(files: Pipeline) -> None:
    assert "1 would be pending" in said("items", "reset", "f1", "--step", "9/10", "--dry-run")
    found = told("items", "reset", "f1", "--step", "3.5", "--reason", "mended", "--yes")
    assert found["changed"] == [{"key": "f1", "step": "parse"}, {"key": "f1", "step": "load"}]
    assert files.current_step("f1") == "parse"
    assert any(event.message == "was completed: mended" for event in files.history("f1"))
    assert "files has no step 'prase'; there are fetch (1), parse (3.5), load (9)" in refused(
        "items", "reset", "f1", "--step", "prase", "--yes"
    )


def test_skip(files: Pipeline) -> None:
    assert "Skip all that is open of 1 item of files:" in said("items", "skip", "f3", "--reason", "x", "--dry-run")
    assert told("items", "skip", "--kind", "scan", "--step", "load", "--reason", "x", "--yes")["next"] == "2 skipped"
    assert files.is_complete("f4", "load")
    assert told("items", "skip", "f3", "--reason", "invalid parcel", "--yes")["next"] == "1 skipped"
    item = files.overall("f3")
    assert item is not None
    assert item.status.value == "skipped"
    assert "nothing that matches is open" in refused("items", "skip", "f3", "--reason", "x", "--yes", code=1)


def test_a_view_of_a_pipeline(files: Pipeline, sqlite_url: str) -> None:
    shown = said("pipelines", "view", "files", "--dry-run")
    assert shown.startswith("CREATE VIEW status_files AS\nSELECT")
    assert "step_parse" in shown
    assert "repeat with --yes" in refused("pipelines", "view", "files")
    columns = ("--column", "case_number=key", "--column", "pages=attributes.pages")
    assert said("pipelines", "view", "files", "--name", "status", *columns, "--yes") == "view status made\n"
    assert told("pipelines", "view", "--yes")["view"] == "status_files"
    with sqlite3.connect(urlsplit(sqlite_url).path) as read:
        rows = list(read.execute("SELECT case_number, pages, current_step, error_step FROM status ORDER BY 1"))
        assert rows[0] == ("f1", 1, 9, None)
        assert rows[3] == ("f4", 4, 1, 3.5)
        assert list(read.execute("SELECT key FROM status_files WHERE step_fetch IS NULL ORDER BY 1")) == [
            ("f2",), ("f3",)
        ]  # fmt: skip
    assert said("pipelines", "view", "files", "--drop", "--yes") == "view status_files removed\n"
    assert "there is no view status_files" in refused("pipelines", "view", "files", "--drop", "--yes", code=1)
    assert "'runs' is no name for a view" in refused("pipelines", "view", "files", "--name", "runs", "--yes", code=1)
    assert "write it as NAME=SOURCE" in refused("pipelines", "view", "files", "--column", "key", "--yes")


def test_the_doctor_proves_the_counters_and_mends_them(files: Pipeline, sqlite_url: str) -> None:
    assert said("doctor", "--recount") == "All counters of items are what counting gives.\n"
    with closing(sqlite3.connect(urlsplit(sqlite_url).path)) as wrong, wrong:
        wrong.execute("UPDATE step_deltas SET n = n + 3 WHERE step = 0 AND status = 'completed'")
    differing = said("doctor", "--recount", code=1)
    assert differing.splitlines()[0].endswith("from counting:")
    assert "files items pdf 2025-01 completed: 4, counted 1" in differing
    assert differing.splitlines()[-1] == "To mend them: statustui doctor --recount --fix"
    assert told("doctor", "--recount", code=1)["equal"] is False
    assert "repeat with --yes" in command("doctor", "--recount", "--fix").stderr
    assert "were mended" in said("doctor", "--recount", "--fix", "--yes")
    assert told("doctor", "--recount") == {"version": 1, "equal": True, "fixed": False, "differences": []}
    assert files.summary().statuses[ItemStatus.COMPLETED] == 1
    assert "say both" in refused("doctor", "--fix")


def test_failures_are_acknowledged_until_items_fail_so_again(files: Pipeline) -> None:
    shown = said("items", "ack", "--dry-run")
    assert shown.splitlines()[0] == "Acknowledge 2 failed items of files:"
    assert "1 @ 3.5 Parse pages: connection refused" in shown
    assert "repeat with --yes" in command("items", "ack").stderr
    done = told("items", "ack", "--step", "3.5", "--yes")
    assert (done["count"], {one["error"] for one in done["kinds"]}) == (2, {"no such page", "connection refused"})
    assert "nothing that failed within 24 h" in refused("items", "ack", "--yes", code=1)
    files.start("f3", "fetch")
    files.fail("f3", "fetch", "disk full")
    files.summary()
    assert [one["key"] for one in told("items", "ack", "--dry-run")["kinds"]] == ["f3"]
    assert files.overall("f5").status is ItemStatus.FAILED  # type: ignore[union-attr]


def test_changes_need_to_be_told_which(files: Pipeline) -> None:
    assert "say which" in refused("items", "skip", "--reason", "x", "--yes")
    assert "say which" in refused("items", "skip", "f1", "--status", "failed", "--reason", "x", "--yes")
    assert "has no item 'f8'" in refused("items", "skip", "f8", "--reason", "x", "--yes")


def test_nothing_is_changed_where_the_configuration_says_so(files: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUSTUI_READ_ONLY", "1")
    for call in (("retry",), ("reset", "f1", "--step", "1"), ("skip", "f3", "--reason", "x")):
        assert "read_only" in refused("items", *call, "--yes", code=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("status", "--pipeline", "nope"), "no pipeline 'nope'"),
        (("status", "--start-date", "2025-01-02"), "need --pipeline"),
        (("status", "--pipeline", "files", "--start-date", "soon"), "'soon' is no date"),
        (("status", "--pipeline", "files", "--start-date", "2025-02-02", "--end-date", "2025-01-02"), "is before"),
        (("items", "--status", "broken"), "'broken' is no status of an item"),
        (("items", "--step", "77"), "files has no step '77'"),
        (("verify", "--pattern", "nonsense"), "write STEP=PATH"),
        (("verify", "--pattern", "fetch=data/x.pdf"), "names no field"),
    ],
)
def test_bad_arguments_are_one_line(files: Pipeline, arguments: tuple[str, ...], words: str) -> None:
    done = command(*arguments)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_empty_store_says_how_to_begin(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUSTUI_STORE", sqlite_url)
    assert "no store yet" in refused("items", code=3)
    with reporting_to(sqlite_url, monkeypatch):
        from statustui.store.open import open_store

        open_store(sqlite_url).close()
        assert "the store has no pipeline yet" in refused("items")
        assert said("pipelines").startswith("No pipelines yet")


def test_hostile_keys_and_errors_do_not_reach_the_terminal(files: Pipeline) -> None:
    evil = "k\x1b]0;owned\x07\u202e"
    files.add(evil, kind="\x1b[31mred")
    files.start(evil, "fetch")
    files.fail(evil, "fetch", "\x1b[2J\x9bboom\r\nnext")
    files.summary()
    for call in (("items",), ("item", evil), ("status", "--pipeline", "files"), ("items", "retry", "--dry-run")):
        shown = said(*call)
        assert not set(shown) & set("\x1b\x07\x9b\u202e\r")
    assert said("items", "--json").isascii()
