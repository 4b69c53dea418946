"""What is called with an item: what is taken as a handler, what is refused, and what the console says meanwhile."""

import io
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from statustui import Pipeline
from statustui.pipelines.console import Console
from statustui.pipelines.handlers import BadHandler, check_handler
from statustui.store.item_claims import UnknownStep
from support.items import STEPS, fill, nothing, reporting_to, states


@pytest.fixture
def local(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with reporting_to(sqlite_url, monkeypatch):
        made = Pipeline("files", STEPS)
        yield made
        made.close()


def test_handlers_must_be_for_steps_that_there_are(local: Pipeline) -> None:
    fill(local, 1)
    with pytest.raises(UnknownStep, match=r"files has no step 'prase'; it has fetch, parse, load"):
        local.resume({"prase": nothing}, show=False)
    local.add_steps("f000", ["upload_to_s3"], group="uploads")
    assert local.resume({"upload_to_s3": nothing}, show=False).completed == 1


class Loader:
    def __call__(self, work: object) -> None:
        """One item."""

    def load(self, work: object, *, again: bool = False) -> None:
        """One item."""

    def bare(self) -> None:
        """No item."""


async def later(work: object) -> None:
    """One item, asynchronously."""


def two(work: object, path: str) -> None:
    """Wants a path, too."""


def yielding(work: object) -> Iterator[int]:
    yield 1


async def async_two(work: object, path: str) -> None:
    """Wants a path, too."""


@pytest.mark.parametrize(
    "handler", [nothing, later, Loader(), Loader().load, str, partial(two, path="x"), lambda *works: None, print]
)
def test_whatever_takes_one_item_is_a_handler(handler: Any) -> None:
    check_handler("fetch", handler)


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (two, r"two\(.*path.* is called with one item \(missing a required argument: 'path'\)"),
        (async_two, r"async_two\(.*missing a required argument"),
        (lambda: None, r"too many positional arguments"),
        (Loader().bare, r"bare\(\)"),
        (partial(two, "x", "y"), r"two\(\)"),
        (yielding, r"yielding has a yield"),
        ("fetch.py", r"'fetch.py' is no function"),
    ],
)
def test_what_could_never_work_is_refused_before_any_item_fails(local: Pipeline, handler: Any, said: str) -> None:
    fill(local, 1)
    with pytest.raises(BadHandler, match=rf"^step 'fetch': .*{said}.*def fetch\(work\): \.\.\.$"):
        local.resume({"fetch": handler}, show=False)
    assert states(local, "f000")["fetch"] == "pending"


def test_a_handler_that_gives_everything_back_does_not_get_it_for_ever(local: Pipeline) -> None:
    fill(local, 3)
    told = local.resume({"fetch": lambda work: work.give_back("not today")}, show=False)
    assert (told.given_back, told.completed) == (3, 0)
    assert local.ready("fetch") == ["f000", "f001", "f002"]


def test_the_live_line_is_redrawn_in_place_and_cleans_what_it_shows() -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    out = Terminal()
    console = Console(show=True, stream=out)
    console.bar("Step 1", 5, 10, 1, time.monotonic() - 3)
    console.line("a \x1b[31mforeign\x1b[0m text")
    console.bar("Step 1", 10, 10, 1, time.monotonic() - 6, last=True)
    shown = out.getvalue()
    assert "\r\x1b[KStep 1  ████████████░░░░░░░░░░░░ 5/10 50%  1 failed  0:03  ~0:03 left" in shown
    assert "\x1b[31m" not in shown
    assert shown.endswith("10/10 100%  1 failed  0:06\n")
    out.close()
    console.line("nobody reads this")  # and nothing is raised
