"""The summary of a pipeline as text, from made-up figures."""

from datetime import UTC, date, datetime

import pytest

from statustui.model.items import Failure, PipelineSummary, StepSummary
from statustui.model.pipeline import Step
from statustui.model.status import ItemStatus
from statustui.pipelines.retrying import Backoff, may_retry
from statustui.pipelines.summary import as_date, as_range, lines, plural, titled

AT = datetime(2025, 2, 10, tzinfo=UTC)
STEP = Step(key="judge", label="2", title="Judgment Extracted")


def text(summary: PipelineSummary, **more: bool) -> list[str]:
    return ["".join(part for part, _ in line) for line in lines(summary, **more)]


def test_shares_are_rounded_but_never_up_to_all() -> None:
    found = text(
        PipelineSummary(
            pipeline="cases",
            total=1000,
            statuses={ItemStatus.COMPLETED: 999, ItemStatus.FAILED: 1},
            steps=(StepSummary(step=STEP, completed=999, failed=1),),
        )
    )
    assert "  Completed:     999 (99%)  " + "█" * 28 in found
    assert "  Failed:          1 (0%)   " + "█" + "░" * 27 in found  # something is never shown as nothing
    assert "  Step 2  - Judgment Extracted:    999/1,000 (99%)" in found


def test_skipped_items_have_a_line_only_where_there_are_any() -> None:
    assert not any("Skipped" in line for line in text(PipelineSummary(pipeline="p", total=1)))
    found = text(PipelineSummary(pipeline="p", total=1, statuses={ItemStatus.SKIPPED: 1}))
    assert any(line.startswith("  Skipped:     1 (100%)") for line in found)


def test_an_empty_pipeline_has_a_summary_too() -> None:
    found = text(PipelineSummary(pipeline="auction_cases"))
    assert "Total Auction Cases: 0" in found
    assert "Date Range: all" in found


def test_failures_say_which_retry_failed_and_how_many_there_are() -> None:
    failures = tuple(Failure(key=f"c{n}", step=STEP, error="no\nway", at=AT, tries=n) for n in range(1, 8))
    found = text(PipelineSummary(pipeline="p", total=9, statuses={ItemStatus.FAILED: 7}, failures=failures))
    at = found.index("Recent Failures (showing 5 of 7):")
    assert found[at + 1 : at + 3] == ["  c1 @ Step 2: no way", "  c2 @ Step 2: no way (retry 1/3)"]
    assert found[at + 6] == "  ..."


def test_times_of_steps() -> None:
    one = StepSummary(step=STEP, completed=3, mean_s=1.25, p50_s=1.0, p90_s=7300.0, waiting=4)
    found = text(PipelineSummary(pipeline="p", total=3, steps=(one,)), times=True)
    assert any(line.split()[-6:] == ["1.25", "s", "1", "s", "2:01:40", "4"] or "2:01:40" in line for line in found)
    assert "  Slowest: Judgment Extracted, 1.25 s on average" in found


@pytest.mark.parametrize(
    ("name", "several"), [("Foreclosure", "Foreclosures"), ("Tax Deed", "Tax Deeds"), ("Category", "Categories")]
)
def test_kinds_are_shown_as_several(name: str, several: str) -> None:
    assert plural(titled(name.lower())) == several


def test_dates() -> None:
    assert as_date("2025-01-02") == as_date(date(2025, 1, 2)) == as_date(datetime(2025, 1, 2, 9)) == date(2025, 1, 2)
    assert as_date(None) is None
    with pytest.raises(ValueError, match="is no date"):
        as_date("tomorrow")
    assert as_range("2025-01-02", None) == (date(2025, 1, 2), None)
    with pytest.raises(ValueError, match=r"^until 2025-01-01 is before since 2025-01-02$"):
        as_range("2025-01-02", "2025-01-01")


def test_back_off_grows_and_is_the_same_for_everybody() -> None:
    policy = Backoff()
    for seed in ("a", "b", "c"):
        for tries, base in ((1, 60), (2, 300), (3, 900), (9, 900)):
            assert 0.8 * base <= policy.delay_s(tries, seed) <= 1.2 * base
            assert policy.delay_s(tries, seed) == policy.delay_s(tries, seed)
    assert len({round(policy.delay_s(1, f"{n}")) for n in range(50)}) > 10
    assert Backoff(delays_s=(5,), jitter=0).delay_s(4, "x") == 5
    assert Backoff(delays_s=()).delay_s(1, "x") == 0


def test_what_may_be_tried_again() -> None:
    def failure(tries: int, *, permanent: bool = False, most: int | None = None) -> Failure:
        return Failure(key="c", step=STEP, at=AT, tries=tries, permanent=permanent, max_retries=most)

    assert may_retry(failure(3))
    assert not may_retry(failure(4))
    assert not may_retry(failure(1, permanent=True))
    assert not may_retry(failure(1, most=0))
    assert may_retry(failure(9, most=10))
