"""Pipelines as programs report from them: what stands in the journal, and what never reaches the program."""

import asyncio
import os
import re
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import statustui
from statustui import Pipeline, Step
from statustui.journal.reader import list_journals, read_slot
from statustui.model.pipeline import DefinitionError
from statustui.pipelines.step import is_permanent
from statustui.record import border, state
from support.journals import records
from support.recording import recording_here, run_script

STEPS = [Step(key="scrape", label="1"), Step(key="judge", label="2"), Step(key="tax", label="12", aliases=("taxes",))]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with recording_here(monkeypatch):
        yield


@pytest.fixture
def auctions(here: None) -> Pipeline:
    return Pipeline("auctions", STEPS)


def told(state_dir: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The records of all journals, those about items only."""
    found: list[dict[str, Any]] = []
    for spool in state_dir.glob("spool/*/*/*"):
        for journal in list_journals(str(spool)):
            found += [r for r in records(spool, kind, journal) if kind or r["k"] not in ("writer", "close")]
    return found


def test_a_definition_that_contradicts_itself_is_refused_by_name() -> None:
    with pytest.raises(DefinitionError, match="'judge' stands twice"):
        Pipeline("p", ["judge", "judge"])
    with pytest.raises(DefinitionError, match="'a' comes after 'b', which is no step"):
        Pipeline("p", [Step(key="a", after=("b",))])
    with pytest.raises(DefinitionError, match="in a circle"):
        Pipeline("p", [Step(key="a", after=("b",)), Step(key="b", after=("a",))])
    with pytest.raises(DefinitionError, match=r"^a pipeline needs a name$"):
        Pipeline(" ", ["judge"])
    with pytest.raises(DefinitionError, match=r"^pipeline 'p': steps are a list, not the text 'judge'$"):
        Pipeline("p", "judge")


def test_the_definition_is_told_once_before_the_first_fact(auctions: Pipeline, state_dir: Path) -> None:
    auctions.add("2024-CA-1", kind="foreclosure", date=date(2025, 1, 2), attributes={"parcel": "A-1"})
    auctions.add("2024-CA-1", date="2025-01-03")
    first, item, again = told(state_dir)
    assert (first["k"], first["name"]) == ("pipeline", "auctions")
    assert [(step["key"], step["label"]) for step in first["steps"]] == [("scrape", "1"), ("judge", "2"), ("tax", "12")]
    assert (item["key"], item["kind"], item["date"]) == ("2024-CA-1", "foreclosure", "2025-01-02")
    assert item["attributes"] == {"parcel": "A-1"}
    assert (again["date"], "kind" in again) == ("2025-01-03", False)


def test_a_block_starts_and_ends_its_step(auctions: Pipeline, state_dir: Path) -> None:
    with auctions.step("c", "judge") as step:
        step.update(progress=45.5, pages_processed=2000)
        step.update(total_pages=4386)
    start, first, second, end = told(state_dir)[1:]
    assert [r["k"] for r in (start, first, second, end)] == ["step.start", "step.update", "step.update", "step.end"]
    assert {r["att"] for r in (start, first, second, end)} == {step.attempt}
    assert (first["progress"], first["meta"]) == (45.5, {"pages_processed": 2000})
    assert second["meta"] == {"total_pages": 4386}
    assert (end["status"], "error" in end) == ("completed", False)
    assert end["duration"] >= 0


def test_an_error_ends_the_step_as_failed_and_goes_on_to_the_program(auctions: Pipeline, state_dir: Path) -> None:
    with pytest.raises(TimeoutError), auctions.step("c", "judge"):
        raise TimeoutError("Vision extraction timeout after 30s")
    with pytest.raises(ValueError, match="bad"), auctions.step("d", "judge"):
        raise ValueError("bad page")
    transient, permanent = told(state_dir, "step.end")
    assert (transient["status"], transient["error"]) == ("failed", "TimeoutError: Vision extraction timeout after 30s")
    assert "permanent" not in transient
    assert permanent["permanent"] is True


def test_ctrl_c_gives_the_step_back(auctions: Pipeline, state_dir: Path) -> None:
    with pytest.raises(KeyboardInterrupt), auctions.step("c", "judge"):
        raise KeyboardInterrupt
    (end,) = told(state_dir, "step.end")
    assert (end["status"], end["reason"]) == ("pending", "interrupted by KeyboardInterrupt")


def test_async_blocks_report_too(auctions: Pipeline, state_dir: Path) -> None:
    async def work(key: str) -> None:
        async with auctions.step(key, "judge") as step:
            await asyncio.sleep(0)
            step.update(n=1)

    async def everything() -> None:
        await asyncio.gather(*(work(f"c{n}") for n in range(5)))

    asyncio.run(everything())
    assert sorted(r["key"] for r in told(state_dir, "step.end")) == [f"c{n}" for n in range(5)]


def test_a_step_knows_the_run_that_made_it(auctions: Pipeline, state_dir: Path) -> None:
    with statustui.run("nightly") as run:
        auctions.start("c", "scrape")
    auctions.start("c", "judge")
    first, second = told(state_dir, "step.start")
    assert first["run"] == run.run_id
    assert "run" not in second


def test_the_functions_without_a_block_belong_to_one_attempt(auctions: Pipeline, state_dir: Path) -> None:
    attempt = auctions.start("c", "taxes", input_hash="abc")
    auctions.update("c", "tax", progress=3, pages=1)
    auctions.fail("c", "taxes", OSError("connection reset"), host="db3")
    auctions.skip("c", "judge", "no judgment")
    auctions.skip("c", reason="invalid parcel_id")
    start, update, end, skip, all_of_it = told(state_dir)[1:]
    assert {r["att"] for r in (start, update, end)} == {attempt}
    assert {r["step"] for r in (start, update, end)} == {"tax"}  # a former name is the step itself
    assert start["hash"] == "abc"
    assert (end["error"], end["meta"]) == ("OSError: connection reset", {"host": "db3"})
    assert (skip["status"], skip["reason"], "att" in skip) == ("skipped", "no judgment", False)
    assert (all_of_it["k"], all_of_it["reason"]) == ("item.skip", "invalid parcel_id")


def test_metadata_of_any_kind_is_json(auctions: Pipeline, state_dir: Path) -> None:
    class Pixel:
        """Like a numpy scalar."""

        def __init__(self, value: object) -> None:
            self.value = value

        def tolist(self) -> object:
            return self.value

    class Rude:
        def __str__(self) -> str:
            raise RuntimeError

    given = {
        "id": uuid.UUID(int=7), "at": datetime(2025, 1, 2, tzinfo=UTC), "price": Decimal("10.10"),
        "day": date(2025, 1, 2),
        "count": Pixel(3), "share": Pixel(0.5), "row": Pixel([1, 2]), "path": Path("/a/b"), "nan": float("nan"),
        "big": 10**30, "set": {1}, "bytes": b"x\xff", "nested": {"a": [{"b": None}]}, 5: True, "rude": Rude(),
    }  # fmt: skip
    auctions.complete("c", "judge", **{str(name): value for name, value in given.items()})
    (end,) = told(state_dir, "step.end")
    meta = end["meta"]
    assert meta.pop("rude").startswith("<Rude whose text")
    assert meta == {
        "id": "00000000-0000-0000-0000-000000000007", "at": "2025-01-02T00:00:00+00:00", "price": "10.10",
        "day": "2025-01-02", "count": 3, "share": 0.5, "row": [1, 2], "path": "/a/b", "nan": None, "big": 2**63 - 1,
        "set": [1], "bytes": "x\\xff", "nested": {"a": [{"b": None}]}, "5": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    "huge", [{"page": "x" * 10_000_000}, {"rows": [1] * 1_000_000}, {"a": {str(n): n for n in range(99_999)}}]
)
def test_metadata_without_end_is_refused_and_the_end_is_told_all_the_same(
    auctions: Pipeline, state_dir: Path, huge: dict[str, Any]
) -> None:
    auctions.update("c", "judge", progress=5, **huge)
    auctions.complete("c", "judge", **huge)
    kinds = [r["k"] for r in told(state_dir)[1:]]
    assert kinds == ["refused", "refused", "step.end"]
    assert "65,536" in told(state_dir, "refused")[0]["reason"]


@pytest.mark.parametrize("wrong", ["2025-13-40", "soon", "2025-01-02garbage", 20250102, object()])
def test_a_date_that_is_none_is_refused(auctions: Pipeline, state_dir: Path, wrong: object) -> None:
    auctions.add("c", date=wrong)
    (refused,) = told(state_dir)[1:]
    assert (refused["k"], refused["key"], refused["what"]) == ("refused", "c", "add")
    assert "is no date" in refused["reason"]


@pytest.mark.parametrize("key", ["", None, "  ", "x" * 501])
def test_a_key_that_is_none_is_refused(auctions: Pipeline, state_dir: Path, key: object) -> None:
    auctions.complete(key, "judge")
    (refused,) = told(state_dir)[1:]
    assert (refused["k"], refused["step"], "key" in refused) == ("refused", "judge", False)
    assert re.match("an item needs a key that is not empty|the key has more than 500 characters", refused["reason"])


def test_plans_of_items(auctions: Pipeline, state_dir: Path) -> None:
    auctions.add_steps("c", ["upload_to_dropbox", "upload_to_s3"], group="uploads")
    auctions.switch_off("c", ["taxes", "nonsense"])
    auctions.switch_on("c", "tax")
    add, refused, off, on = told(state_dir)[1:]
    assert (add["add"], add["group"]) == (["upload_to_dropbox", "upload_to_s3"], "uploads")
    assert (refused["k"], refused["step"]) == ("refused", "nonsense")
    assert (off["off"], on["on"]) == (["tax"], ["tax"])


def test_secrets_do_not_reach_the_journal(auctions: Pipeline, state_dir: Path) -> None:
    auctions.fail("c", "judge", RuntimeError("postgresql://etl:hunter2@db/x refused"), password="hunter2")
    assert "hunter2" not in str(told(state_dir))


def test_bare_progress_goes_through_the_slot_and_leaves_no_line(auctions: Pipeline, state_dir: Path) -> None:
    with auctions.step("c", "judge") as step:
        for page in range(10_000):
            step.update(page / 100)
        (spool,) = state_dir.glob("spool/*/*/*")
        (journal,) = list_journals(str(spool))
        for one in state.every():
            one.show()
        slot = read_slot(f"{spool}/{journal}.slot")
        assert slot is not None
        assert slot["items"] == {"auctions\x1fc\x1fjudge": {"att": step.attempt, "p": 99.99}}
        step.update("not a number")  # type: ignore[arg-type]
    assert [r["k"] for r in told(state_dir)[1:]] == ["step.start", "refused", "step.end"]
    for one in state.every():
        one.show()
    assert "items" not in (read_slot(f"{spool}/{journal}.slot") or {})


def test_nothing_that_a_program_gives_reaches_it_as_an_error(
    auctions: Pipeline, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(border, "strict", False)

    class Rude(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError("no items")

    class Nameless:
        def __str__(self) -> str:
            raise RuntimeError

    odd: list[Any] = [None, 5, b"x", Nameless(), "\ud800\0", ["a"], {}, float("nan")]
    for key in odd:
        for step in odd:
            auctions.start(key, step)
            auctions.update(key, step, progress=key)
            auctions.complete(key, step, **{"m": key})
            auctions.fail(key, step, step, permanent=key)
            auctions.skip(key, step, key)
        auctions.add(key, kind=key, date=key, attributes=Rude(a=1))
        auctions.add_steps(key, key)
        auctions.switch_off(key, key)
    state.session().writer.close()  # type: ignore[union-attr]
    for one in told(state_dir):
        assert one["k"] in {"pipeline", "refused", "item.plan", "item.skip", "step.start", "step.update", "step.end"}


def test_threads_report_side_by_side(auctions: Pipeline, state_dir: Path) -> None:
    def work(part: int) -> None:
        for number in range(50):
            with auctions.step(f"{part}-{number}", "scrape"):
                pass

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    starts, ends = told(state_dir, "step.start"), told(state_dir, "step.end")
    assert len(starts) == len(ends) == 200
    assert {r["att"] for r in starts} == {r["att"] for r in ends}


def test_a_forked_worker_writes_a_journal_of_its_own_that_says_the_pipeline_too(
    auctions: Pipeline, state_dir: Path
) -> None:
    auctions.add("c")
    child = os.fork()
    if child == 0:
        auctions.complete("c", "scrape")
        os._exit(0)
    os.waitpid(child, 0)
    (spool,) = state_dir.glob("spool/*/*/*")
    per_journal = [[r["k"] for r in records(spool, None, j)] for j in sorted(list_journals(str(spool)))]
    assert per_journal == [["writer", "pipeline", "item.add"], ["writer", "pipeline", "step.end"]]


def test_a_program_that_only_reports_loads_no_database(env: Path) -> None:
    done = run_script(
        env / "p.py",
        """
        import sys
        from statustui import Pipeline, Step
        p = Pipeline("p", [Step(key="a"), "b"])
        with p.step("k", "a") as s:
            s.update(5, pages=3)
        print(sorted({"sqlalchemy", "psutil", "click", "asyncio", "pydantic", "statustui.store"} & set(sys.modules)))
        """,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_what_can_be_retried() -> None:
    class Throttled(ValueError):
        transient = True

    assert not is_permanent(TimeoutError())
    assert not is_permanent(ConnectionError())
    assert not is_permanent(MemoryError())
    assert is_permanent(KeyError("FIPS"))
    assert not is_permanent(Throttled())
