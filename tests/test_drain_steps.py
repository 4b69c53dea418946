"""Steps of items that nobody works at any more: found out by the drainer from the end of processes, never by time."""

import os
import signal
import time

import pytest
from sqlalchemy.exc import SQLAlchemyError

from statustui import config
from statustui.errors import StatustuiError
from statustui.model.items import ItemDetail
from statustui.model.status import ItemStatus
from statustui.store import item_reads
from statustui.store.open import open_store
from support.drained import alone, drainer, finish, started
from support.processes import python, until

PROGRAM = """
import os, sys, time
from statustui import Pipeline
files = Pipeline("files", ["fetch", "parse"])
how, key = sys.argv[1:3]
if how == "end":
    files.complete(key, "fetch")
elif how == "claim":
    files.add(key)
    work, = files.claim("fetch", 1, keys=[key], lease=600)
    work.__enter__()
else:
    attempt = files.start(key, "fetch")
if how == "child":
    if os.fork():
        os._exit(0)
    files._reporter.update(key, "fetch", 10, {"pages": 3}, attempt)
print(os.getpid(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, store_url: str) -> config.Settings:
    return alone(monkeypatch, store_url)


@pytest.fixture
def spool(settings: config.Settings) -> str:
    return config.spool_dir(settings)


def detail(url: str, key: str) -> ItemDetail | None:
    try:
        with open_store(url, create=False) as opened:
            return item_reads.item(opened, "files", key)
    except (StatustuiError, SQLAlchemyError):  # the store, the pipeline or the item is not there yet
        return None


def stands(url: str, key: str) -> tuple[ItemStatus, str | None] | None:
    found = detail(url, key)
    return None if found is None else (found.steps[0].status, found.steps[0].error)


def is_at_work(url: str, key: str) -> None:
    until(lambda: (found := stands(url, key)) is not None and found[0] is ItemStatus.PROCESSING, what="a step at work")


def test_a_step_whose_process_was_killed_has_failed_and_says_why(settings: config.Settings, spool: str) -> None:
    url = settings.store_url
    with python(PROGRAM, "start", "f1") as program, python(PROGRAM, "start", "f2") as other, drainer(spool):
        started(program), started(other)
        is_at_work(url, "f1")
        is_at_work(url, "f2")
        program.kill()
        program.wait()
        until(lambda: (found := stands(url, "f1")) is not None and found[0] is ItemStatus.FAILED, what="its failure")
        found = detail(url, "f1")
        assert found is not None
        assert found.steps[0].error == "its process is gone: ended without a word (kill -9, crash or os._exit)"
        assert not found.steps[0].permanent
        assert (found.events[-1].kind, found.events[-1].status, found.events[-1].message) == (
            "step.end", "failed", found.steps[0].error,
        )  # fmt: skip
        # Whoever took it over may still say how it ended.
        with python(PROGRAM, "end", "f1") as last:
            started(last)
            until(lambda: stands(url, "f1") == (ItemStatus.COMPLETED, None), what="its own word")
            finish(last)
        time.sleep(1.5)  # two looks: the living one is left alone, however long it says nothing
        assert stands(url, "f2") == (ItemStatus.PROCESSING, None)
        finish(other)


def test_a_program_that_ends_in_good_order_leaves_no_step_at_work(settings: config.Settings, spool: str) -> None:
    url = settings.store_url
    with python(PROGRAM, "start", "f1") as program, drainer(spool) as working:
        started(program)
        is_at_work(url, "f1")
        finish(program)
        until(lambda: (found := stands(url, "f1")) is not None and found[0] is ItemStatus.FAILED, what="its failure")
        assert (stands(url, "f1") or ("", ""))[1] == "its process is gone: the program ended without ending it"
        assert working.wait(20) == 0, "it ends when nothing is left to do"


def test_a_claim_is_given_back_long_before_its_lease_is_over(settings: config.Settings, spool: str) -> None:
    url = settings.store_url
    with python(PROGRAM, "claim", "f1") as program, drainer(spool):
        started(program)
        is_at_work(url, "f1")
        program.kill()
        program.wait()
        until(lambda: stands(url, "f1") == (ItemStatus.PENDING, None), what="the claim given back")
        found = detail(url, "f1")
        assert found is not None
        assert (found.events[-1].kind, found.steps[0].ready) == ("lease", True)
        assert "kill -9" in (found.events[-1].message or "")


def test_a_step_that_another_process_has_taken_over_goes_on(settings: config.Settings, spool: str) -> None:
    url = settings.store_url
    with python(PROGRAM, "child", "f1") as program, drainer(spool):
        child = started(program)
        program.wait(10)  # it began the step and is gone
        try:
            until(lambda: (found := detail(url, "f1")) is not None and found.steps[0].metadata == {"pages": 3})
            time.sleep(1.5)
            assert stands(url, "f1") == (ItemStatus.PROCESSING, None)
        finally:
            os.kill(child, signal.SIGKILL)
        until(lambda: (found := stands(url, "f1")) is not None and found[0] is ItemStatus.FAILED, what="its failure")


@pytest.mark.parametrize("how", ["kill", "close"])
def test_a_drainer_that_comes_later_finds_it_out_too(settings: config.Settings, spool: str, how: str) -> None:
    url = settings.store_url
    with python(PROGRAM, "start", "f1") as program:
        started(program)
        with drainer(spool) as first:
            is_at_work(url, "f1")
            first.kill()
            first.wait()
        if how == "kill":
            program.kill()
            program.wait()
        else:
            finish(program)
            with drainer(spool, STATUSTUI_FAILPOINT="after-apply") as second:
                second.wait(20)  # it applied the end of the journal and died at once
        with drainer(spool):
            until(lambda: (found := stands(url, "f1")) is not None and found[0] is ItemStatus.FAILED, what="its end")
