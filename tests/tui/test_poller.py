"""The poller: one thread, the token first, nothing lost when the store comes and goes."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from textual.message import Message

from statustui_tui import poller as poller_module
from statustui_tui.poller import Arrived, DetailArrived, Found, Poller, StoreLost
from statustui_tui.sources import Frame, Lost
from support import tui


class Box:
    """Collects what a poller posts."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.changed = threading.Condition()

    def post(self, message: Message) -> bool:
        with self.changed:
            self.messages.append(message)
            self.changed.notify_all()
        return True

    def wait(self, condition: Callable[[list[Message]], object], seconds: float = 10.0) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self.messages), seconds), self.messages

    def of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.messages if isinstance(message, kind)]


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def start(box: Box) -> Iterator[Callable[[tui.FakeSource], Poller]]:
    pollers = []

    def begin(source: tui.FakeSource) -> Poller:
        poller = Poller(source, box.post)
        pollers.append(poller)
        poller.start()
        return poller

    yield begin
    for poller in pollers:
        poller.stop(wait=5)


Start = Callable[[tui.FakeSource], Poller]


def test_a_change_is_posted_and_an_unchanged_store_is_not_read_again(box: Box, start: Start) -> None:
    source = tui.FakeSource(replace(tui.busy(), running=()))
    start(source)
    box.wait(lambda messages: len(messages) == 1)
    time.sleep(0.7)  # several looks at the token
    assert source.reads == 1 and len(box.messages) == 1
    source.put(source.now)
    box.wait(lambda messages: len(messages) == 2)
    assert source.reads == 2


def test_a_busy_store_is_drawn_at_most_about_once_a_second(box: Box, start: Start) -> None:
    source = tui.FakeSource(tui.busy())
    start(source)
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        source.put(source.now)
        time.sleep(0.02)
    changes = [m for m in box.of(Arrived) if isinstance(m, Arrived) and m.changed]
    assert 2 <= len(changes) <= 4


def test_a_run_that_begins_or_ends_is_shown_before_the_tick(
    box: Box, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller_module, "TICK", 60.0)
    source = tui.FakeSource(tui.busy())
    start(source)
    box.wait(lambda messages: len(messages) == 1)
    source.put(source.now)
    time.sleep(0.5)  # several looks at the token
    assert source.reads == 1
    source.tell(replace(source.now, total_runs=4827))
    box.wait(lambda _: source.reads == 2)
    box.wait(lambda _: any(isinstance(m, Arrived) and m.frame.snapshot.total_runs == 4827 for m in box.messages))


def test_news_that_never_ends_is_drawn_at_most_twice_as_often(
    box: Box, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller_module, "TICK", 60.0)
    source = tui.FakeSource(tui.busy())
    start(source)
    box.wait(lambda messages: len(messages) == 1)
    # The first frame, as many early ones as there may be, and none on top of them.
    most = 1 + 1 + int(poller_module.AHEAD)
    end, enough = time.monotonic() + 10.0, 0.0
    while time.monotonic() < (enough or end):
        if source.reads == most and not enough:
            enough = time.monotonic() + 0.7
        source.tell(source.now)
        time.sleep(0.02)
    assert source.reads == most


def test_samples_of_processes_do_not_put_off_the_change_that_waits(
    box: Box, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller_module, "TICK", 0.8)
    monkeypatch.setattr(poller_module, "SAMPLE", 0.3)
    source = tui.FakeSource(tui.busy())
    start(source)
    box.wait(lambda messages: len(messages) == 1)
    source.put(source.now)
    box.wait(lambda _: source.reads == 2)


def test_losses_are_counted_and_the_store_comes_back(box: Box, start: Start) -> None:
    source = tui.FakeSource(tui.busy())
    source.lost = Lost("store missing", "gone")
    start(source)
    box.wait(lambda _: len(box.of(StoreLost)) == 2)
    first, second = box.of(StoreLost)
    assert isinstance(first, StoreLost) and isinstance(second, StoreLost)
    assert (first.tries, second.tries, second.kind, second.text) == (1, 2, "store missing", "gone")
    assert second.good_at is None
    source.lost = None
    box.wait(lambda _: box.of(Arrived))
    source.lost = Lost("store locked", "busy")
    box.wait(lambda _: len(box.of(StoreLost)) == 3)
    third = box.of(StoreLost)[2]
    assert isinstance(third, StoreLost) and third.tries == 1 and third.good_at is not None


def test_a_paused_poller_posts_nothing_until_it_goes_on(box: Box, start: Start) -> None:
    source = tui.FakeSource(replace(tui.busy(), running=()))
    poller = start(source)
    box.wait(lambda messages: len(messages) == 1)
    poller.pause(True)
    source.put(source.now)
    time.sleep(1.3)
    assert len(box.messages) == 1
    poller.pause(False)
    box.wait(lambda messages: len(messages) == 2)


def test_details_carry_the_generation_of_their_request_and_stop_when_nobody_wants_them(box: Box, start: Start) -> None:
    source = tui.FakeSource(tui.busy())
    poller = start(source)
    run = source.now.running[0]
    poller.want_detail(run.run_id, 7)
    box.wait(lambda _: box.of(DetailArrived))
    answer = box.of(DetailArrived)[0]
    assert isinstance(answer, DetailArrived) and answer.generation == 7 and answer.detail.run == run
    poller.want_detail(None)
    time.sleep(0.3)
    count = len(box.of(DetailArrived))
    time.sleep(1.2)
    assert len(box.of(DetailArrived)) == count


def test_a_search_is_answered(box: Box, start: Start) -> None:
    source = tui.FakeSource(tui.busy())
    poller = start(source)
    poller.search("4825", 3)
    box.wait(lambda _: box.of(Found))
    found = box.of(Found)[0]
    assert isinstance(found, Found) and found.generation == 3 and [run.id for run in found.runs] == [4825]


def test_all_reads_are_made_by_one_thread_which_ends_and_closes(box: Box) -> None:
    source = tui.FakeSource(tui.busy())
    poller = Poller(source, box.post)
    poller.start()
    box.wait(lambda messages: messages)
    poller.stop(wait=5)
    assert source.threads == {"poller"} and source.closed.is_set()


def test_a_newer_frame_replaces_an_older_one_but_no_sample_hides_a_change() -> None:
    frame = Frame(snapshot=tui.busy())
    change, sample = Arrived(frame=frame, changed=True), Arrived(frame=frame, changed=False)
    assert change.can_replace(change) and change.can_replace(sample) and sample.can_replace(sample)
    assert not sample.can_replace(change)
