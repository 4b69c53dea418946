"""Counting loops: exact at the end, at a break, at an exception, in threads; and never in the way of the loop."""

import asyncio
import gc
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import statustui
from support.recording import Recorded, only_run, recording_here

MAKERS: dict[str, Callable[[], Iterable[Any]]] = {
    "list": lambda: list(range(10)),
    "tuple": lambda: tuple(range(10)),
    "range": lambda: range(10),
    "dict": lambda: dict.fromkeys(range(10)),
    "items": lambda: dict.fromkeys(range(10)).items(),
    "set": lambda: set(range(10)),
    "str": lambda: "abcdefghij",
    "deque": lambda: deque(range(10)),
    "generator": lambda: (n for n in range(10)),
    "map": lambda: map(abs, range(10)),
    "zip": lambda: zip(range(10), range(10), strict=True),
    "iterator": lambda: iter([*range(10)]),
}
each_kind = pytest.mark.parametrize("kind", MAKERS)


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch, env: Path) -> Iterator[None]:
    with recording_here(monkeypatch):
        yield


@each_kind
def test_a_loop_to_the_end_counts_every_item(kind: str, state_dir: Path) -> None:
    with statustui.run("t") as run:
        seen = list(run.track(MAKERS[kind](), "loop"))
    assert seen == list(MAKERS[kind]())
    sub = only_run(state_dir).named("loop")
    assert (sub.complete, sub.status) == (10, "completed")


@each_kind
def test_while_an_item_is_worked_on_it_is_not_done(kind: str) -> None:
    with statustui.run("t") as run:
        counts = []
        for _ in run.track(MAKERS[kind](), "loop"):
            (sub,) = run._subs.values()
            counts.append(sub.complete)
    assert counts == list(range(10))


@each_kind
def test_a_break_counts_what_was_handed_out_and_completes(kind: str, state_dir: Path) -> None:
    with statustui.run("t") as run:
        for n, _ in enumerate(run.track(MAKERS[kind](), "wrapped")):
            if n == 3:
                break
        for item in run.track(MAKERS[kind](), "loop"):
            if item == list(MAKERS[kind]())[3]:
                break
        run.log("after the loops")
    recorded = only_run(state_dir)
    for name in ("wrapped", "loop"):
        assert (recorded.named(name).complete, recorded.named(name).status) == (4, "completed"), name


def first(run: statustui.Run, items: Iterable[int]) -> int:
    for item in run.track(items, "loop"):
        if item == 3:
            return item
    return -1


def test_a_return_out_of_the_loop_is_like_a_break(state_dir: Path) -> None:
    with statustui.run("t") as run:
        assert first(run, range(10)) == 3
        assert len(run._subs) == 0, "it ended at once"
    assert only_run(state_dir).named("loop").complete == 4


@each_kind
@pytest.mark.parametrize(
    ("take", "taken"),
    [
        (lambda items: next(iter(items)), 1),
        (lambda items: list(islice(items, 3)), 3),
        (lambda items: [item for item in islice(items, 3)], 3),
        (lambda items: dict(zip("ab", items, strict=False)), 2),
        (lambda items: any(item is not items for item in items), 1),
    ],
    ids=["next", "islice", "loop", "zip", "any"],
)
def test_whoever_takes_only_some_items_has_not_failed(
    take: Callable[[Iterable[Any]], object], taken: int, kind: str, state_dir: Path
) -> None:
    with statustui.run("t") as run:
        take(run.track(MAKERS[kind](), "loop"))
        with run.subtask("next"):
            pass
    sub = only_run(state_dir).named("loop")
    # zip() takes one of the first before it finds the second used up, or the other way round
    assert (sub.complete, sub.status) in ((taken, "completed"), (taken - 1, "completed"))


@pytest.mark.parametrize("wrap", [enumerate, lambda items: islice(items, 8), lambda items: map(int, items), iter])
def test_an_exception_out_of_a_wrapped_loop_is_one(wrap: Callable[[Any], Iterable[Any]], state_dir: Path) -> None:
    def source() -> Iterator[int]:
        yield from (1, 2, 3)
        raise OSError("disk gone")

    def fails(item: object) -> None:
        raise ValueError(item)

    with statustui.run("t") as run:
        for name, items, work in (("work", [1, 2], fails), ("call", [1, 2], "x".index), ("source", source(), repr)):
            with suppress(ValueError, TypeError, OSError):
                for item in wrap(run.track(items, name)):
                    work(item)
        with suppress(ValueError):
            list(map(fails, wrap(run.track([1, 2], "inside a call"))))
    recorded = only_run(state_dir)
    for name in ("work", "call", "source", "inside a call"):
        assert recorded.named(name).status == "failed", name


@each_kind
def test_an_exception_leaves_the_item_undone_and_fails_the_run(kind: str, state_dir: Path) -> None:
    wanted = list(MAKERS[kind]())[3]
    with pytest.raises(ZeroDivisionError), statustui.run("t") as run:
        for item in run.track(MAKERS[kind](), "loop"):
            if item == wanted:
                1 / 0  # noqa: B018
    recorded = only_run(state_dir)
    sub = recorded.named("loop")
    assert (sub.complete, sub.status) == (3, "failed")
    assert recorded.end["status"] == "failed"
    assert recorded.end["error"]["subtask"] == 1


def test_an_exception_that_the_program_handles_fails_only_the_loop(state_dir: Path) -> None:
    with statustui.run("t") as run:
        try:
            for item in run.track(range(10), "loop"):
                if item == 3:
                    raise KeyError(item)
        except KeyError:
            pass
        with run.subtask("next"):
            pass
    recorded = only_run(state_dir)
    assert (recorded.named("loop").complete, recorded.named("loop").status) == (3, "failed")
    assert recorded.named("next").status == "completed"
    assert recorded.end["status"] == "finished"


def test_ctrl_c_cancels_the_loop(state_dir: Path) -> None:
    with pytest.raises(KeyboardInterrupt), statustui.run("t") as run:
        for item in run.track(range(10), "loop"):
            if item == 5:
                raise KeyboardInterrupt
    recorded = only_run(state_dir)
    assert recorded.end["status"] == "cancelled"
    assert (recorded.named("loop").complete, recorded.named("loop").status) == (5, "cancelled")


def test_an_iterable_that_raises_has_done_all_that_it_gave(state_dir: Path) -> None:
    def source() -> Iterator[int]:
        yield from (1, 2, 3)
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"), statustui.run("t") as run:
        for _ in run.track(source(), "loop"):
            pass
    assert only_run(state_dir).named("loop").complete == 3


def test_a_generator_is_closed_at_a_break_as_without_us() -> None:
    closed = []

    def source() -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            closed.append(True)

    with statustui.run("t") as run:
        for _ in run.track(source(), "loop"):
            break
        assert closed == [True]


def test_the_items_are_not_kept_alive() -> None:
    class Item:
        pass

    with statustui.run("t") as run:
        alive: list[weakref.ref[Item]] = []
        for item in run.track((Item() for _ in range(3)), "loop"):
            assert all(ref() is None for ref in alive[:-1])
            alive.append(weakref.ref(item))
        del item
        gc.collect()
        assert all(ref() is None for ref in alive)


def test_a_list_that_grows_while_it_is_read(state_dir: Path) -> None:
    items = [1, 2, 3]
    with statustui.run("t") as run:
        for item in run.track(items, "loop"):
            (sub,) = run._subs.values()
            assert sub.complete == item - 1
            if len(items) < 6:
                items.append(len(items) + 1)
    assert only_run(state_dir).named("loop").complete == 6


def test_several_threads_share_one_loop(state_dir: Path) -> None:
    with statustui.run("t") as run:
        source = iter(run.track(list(range(20_000)), "loop"))
        taken: list[int] = []

        def work() -> None:
            for item in source:
                taken.append(item)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(taken) == list(range(20_000))
    assert only_run(state_dir).named("loop").complete == 20_000


def test_loops_side_by_side_in_threads(state_dir: Path) -> None:
    with statustui.run("t") as run:

        def work(number: int) -> None:
            for _ in run.track(range(1_000 + number), f"loop {number}"):
                pass

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    recorded = only_run(state_dir)
    assert [recorded.named(f"loop {n}").complete for n in range(8)] == [1_000 + n for n in range(8)]


def test_async_iterables(state_dir: Path) -> None:
    async def source() -> AsyncIterator[int]:
        for n in range(5):
            await asyncio.sleep(0)
            yield n

    async def main() -> None:
        async with statustui.run("t") as run:
            async for _ in run.track(source(), "whole", total=5):
                pass
            with pytest.raises(KeyError):
                async for n in run.track(source(), "failing"):
                    if n == 3:
                        raise KeyError(n)

    asyncio.run(main())
    recorded = only_run(state_dir)
    assert (recorded.named("whole").complete, recorded.named("whole").status) == (5, "completed")
    assert recorded.named("failing").complete in (3, 4)


def test_an_await_that_fails_inside_the_loop(state_dir: Path) -> None:
    async def work(n: int) -> None:
        await asyncio.sleep(0)
        if n == 2:
            raise ValueError(n)

    async def main() -> None:
        with statustui.run("t") as run:
            for n in run.track(range(5), "loop"):
                await work(n)

    with pytest.raises(ValueError, match="2"):
        asyncio.run(main())
    sub = only_run(state_dir).named("loop")
    assert (sub.complete, sub.status) == (2, "failed")


def test_a_cancelled_task(state_dir: Path) -> None:
    async def main() -> None:
        with statustui.run("t") as run:
            for _ in run.track(range(5), "loop"):
                await asyncio.sleep(60)

    async def outer() -> None:
        task = asyncio.create_task(main())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(outer())
    recorded = only_run(state_dir)
    assert recorded.end["status"] == "cancelled"
    assert (recorded.named("loop").complete, recorded.named("loop").status) == (0, "cancelled")


def test_what_is_no_iterable_is_the_programs_own_error() -> None:
    with pytest.raises(TypeError, match="not iterable"), statustui.run("t") as run:
        for _ in run.track(5, "loop"):  # type: ignore[arg-type]
            pass


def test_a_track_that_is_never_looped_over_is_no_subtask(state_dir: Path) -> None:
    with statustui.run("t") as run:
        run.track([1, 2, 3], "unused")
    assert only_run(state_dir).subs == {}


def test_every_loop_over_a_track_is_a_subtask(state_dir: Path) -> None:
    with statustui.run("t") as run:
        track = run.track([1, 2, 3], "loop")
        assert list(track) == list(track) == [1, 2, 3]
    assert [sub.complete for sub in only_run(state_dir).subs.values()] == [3, 3]


def test_a_loop_can_count_on_a_subtask_that_goes_on(state_dir: Path) -> None:
    with statustui.run("t") as run, run.subtask("both") as sub:
        for _ in sub.track([1, 2, 3]):
            pass
        for _ in sub.track(n for n in range(4)):
            pass
        sub.advance()
    recorded: Recorded = only_run(state_dir)
    assert (recorded.named("both").complete, len(recorded.subs)) == (8, 1)


def test_the_slot_shows_a_running_loop_within_half_a_second(state_dir: Path, wait_for: Callable[..., None]) -> None:
    with statustui.run("t") as run:
        for n in run.track([1, 2, 3, 4], "loop"):
            if n == 3:
                begin = time.monotonic()
                wait_for(lambda: only_run(state_dir).named("loop").complete == 2)
                assert time.monotonic() - begin < 3


def test_a_length_that_raises_is_no_total(state_dir: Path) -> None:
    class Odd:
        def __len__(self) -> int:
            raise RuntimeError("no")

        def __iter__(self) -> Iterator[int]:
            return iter((1, 2))

    with statustui.run("t") as run:
        assert list(run.track(Odd(), "loop")) == [1, 2]
    assert only_run(state_dir).named("loop").total is None


def test_nothing_is_recorded_outside_a_run() -> None:
    assert list(statustui.current().track([1, 2], "loop")) == [1, 2]
