"""A person at a terminal who looks after items: sees them move, goes in, retries, skips, resets, finds the run."""

import re
from pathlib import Path

import pytest

from support.bench import OURS, Bench
from support.terminal import Terminal

WORK = """
import pathlib, sys, time
import statustui
from statustui import Pipeline, Step

gate = pathlib.Path(sys.argv[2])
steps = [("scrape", "1", "Scraped"), ("judge", "2", "Judged"), ("report", "9/10", "Report")]
p = Pipeline("auctions", steps=[Step(key=key, label=label, title=title) for key, label, title in steps])
with statustui.run(sys.argv[1]) as run:
    for n in range(40):
        key = f"2024-CA-{n:05}"
        p.add(key, kind="foreclosure", date="2026-11-01", attributes={"county": "Duval"})
        p.start(key, "scrape")
        if n % 10 == 3:
            p.fail(key, "scrape", "HTTPError: 503 from the county")
        else:
            p.complete(key, "scrape", pages=n)
    end = time.monotonic() + 120
    while not gate.exists() and time.monotonic() < end:
        time.sleep(0.02)
    for n in range(0, 40, 2):
        with p.step(f"2024-CA-{n:05}", "judge"):
            time.sleep(0.002)
"""


def monitor(bench: Bench, *args: str, cols: int = 110, rows: int = 34) -> Terminal:
    return Terminal([*OURS, *args], cols=cols, rows=rows, env=bench.env, cwd=str(bench.home))


def done_at(text: str, step: str) -> int:
    """How many items have done a step, as the Pipelines screen says."""
    found = re.search(rf"{step} .*?(\d+)/40", text)
    return int(found.group(1)) if found else -1


def test_items_are_seen_moving_and_are_retried_skipped_and_reset(bench: Bench, env: Path) -> None:
    gate = env / "gate"
    program = bench.start(WORK, "auctions_update", str(gate))
    with monitor(bench) as terminal:
        # The Monitor screen: the pipeline's line, and the failures as one row.
        terminal.wait_for("auctions  40 items")
        text = terminal.wait_for(lambda text: "×4" in text and "503 from the county" in text)
        assert "✗ 4 10%" in text and "waiting: 36 at 2" in text
        # The Pipelines screen, live.
        terminal.send("3")
        terminal.wait_for(lambda text: done_at(text, "Judged") == 0 and done_at(text, "Scraped") == 36)
        gate.touch()
        terminal.wait_for(lambda text: done_at(text, "Judged") == 20)
        program.wait(timeout=20)
        # The matrix: the failures alone, all of them retried; first No, then yes.
        terminal.send("\r")
        terminal.wait_for("2024-CA-00000")
        terminal.send("/status:failed\r")
        terminal.wait_for("4 of 40 items")
        terminal.send("A")
        terminal.wait_for("ALL 4 chosen")
        terminal.send("r")
        text = terminal.wait_for("Retry 4 items?")
        assert "statustui items retry --status failed --pipeline auctions" in text
        terminal.send("\r")
        terminal.wait_for(lambda text: "Retry 4 items?" not in text)
        assert bench.command("items", "--status", "failed").stdout.count("2024-CA") == 4
        terminal.send("r")
        terminal.wait_for("Retry 4 items?")
        terminal.send("y")
        terminal.wait_for("0 of 40 items")
        terminal.send("\x1b")
        terminal.send("\x1b")
        # One item: its story, who changed it, the run that worked on it, and the items of that run.
        terminal.wait_for("40 items")
        terminal.send("/00003\r")
        terminal.wait_for("1 of 40 items")
        terminal.send("\r")
        text = terminal.wait_for(lambda text: "Timeline" in text and "retry" in text)
        assert "Duval" in text and "can begin" in text
        terminal.send("S")
        terminal.wait_for("why?")
        terminal.send("no such parcel\r")
        terminal.wait_for("Skip this item?")
        terminal.send("y")
        terminal.wait_for(lambda text: "skipped" in text and "no such parcel" in text)
        terminal.send("R")
        terminal.wait_for("Reset this item?")
        terminal.send("y")
        terminal.wait_for(lambda text: "begin anew" in text or "can begin" in text)
        terminal.send("q")
        terminal.wait_for("1 of 40 items")
        terminal.send("\x1b")
        terminal.wait_for("2024-CA-00000")
        terminal.send("\r")
        terminal.wait_for("Timeline")
        terminal.send("g")  # it opens at the step that is next, which no run has begun
        terminal.send("\r")
        terminal.wait_for(lambda text: "auctions_update" in text and "Facts" in text)
        terminal.send("i")
        terminal.wait_for("steps of items")
        terminal.send("1")
        terminal.wait_for("Lately ended")
        terminal.send("q")
        assert terminal.wait() == 0
    shown = bench.command("item", "2024-CA-00003").stdout
    assert "no such parcel" in shown


@pytest.mark.parametrize("size", [(80, 24), (20, 5)])
def test_who_may_only_look_is_offered_no_change(bench: Bench, env: Path, size: tuple[int, int]) -> None:
    (env / "gate").touch()
    bench.start(WORK, "auctions_update", str(env / "gate")).wait(timeout=30)
    bench.run_of("auctions_update", lambda run: run["status"] == "finished")
    with monitor(bench, "--read-only", cols=size[0], rows=size[1]) as terminal:
        terminal.wait_for("auc")
        terminal.send("3")
        terminal.wait_for("PIPELINE")
        terminal.send("\r")
        terminal.wait_for("ITEM")
        terminal.send("rRSA")
        terminal.send("q")
        terminal.wait_for("PIPELINE")
        terminal.send("qq")
        assert terminal.wait() == 0
