"""Cancel, mark and acknowledge: asked for through the store, carried out by a real drainer."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from statustui import config
from statustui.control import ack, actor, cancel, mark
from statustui.errors import StatustuiError
from statustui.model.run import Run
from statustui.model.status import RequestState, RunStatus
from statustui.store import reads
from statustui.store.open import Store, open_store
from support import wrapped
from support.wrapped import alive, until


@pytest.fixture
def local() -> Iterator[Store]:
    """The store of this test's user, which the drainer that the wrapper starts writes to."""
    with open_store(config.load().store_url) as store:
        yield store


def shown(store: Store, task: str, status: RunStatus | None = None) -> Run:
    """Wait until the store shows a run of a task (with a status)."""
    found: list[Run] = []

    def there() -> bool:
        found[:] = [run for run in reads.find(store, task) if status is None or run.status is status]
        return bool(found)

    until(there, 20)
    return found[0]


def started(task: str, code: str, *options: str) -> "tuple[subprocess.Popen[bytes], list[int]]":
    process = wrapped.popen("bash", "-c", code, options=["--name", task, *options], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as out:
        pids = [int(word) for word in out.readline().split()]
    return process, pids


def test_a_cancel_ends_the_whole_group(local: Store) -> None:
    process, pids = started("c1", "sleep 100 >&- & echo $$ $!; exec >&-; wait")
    run = shown(local, "c1")
    asked = cancel.ask_cancel(local, run, by=actor.actor(), reason="wrong input", settings=config.load())
    assert asked.state is RequestState.ASKED
    assert process.wait(10) == 128 + signal.SIGTERM
    assert shown(local, "c1", RunStatus.CANCELLED).signal == signal.SIGTERM
    until(lambda: not any(map(alive, pids)))


def test_who_does_not_listen_is_killed_after_the_grace_time(local: Store) -> None:
    busy = "exec >&-; while :; do sleep 0.1; done"
    code = f"trap '' TERM; (trap '' TERM; {busy}) & echo $$ $!; {busy}"
    process, pids = started("c2", code, "--grace", "0.5")
    cancel.ask_cancel(local, shown(local, "c2"), by=actor.actor(), settings=config.load())
    assert process.wait(15) == 128 + signal.SIGKILL
    assert shown(local, "c2", RunStatus.CANCELLED).signal == signal.SIGKILL
    until(lambda: not any(map(alive, pids)))


def test_now_is_a_kill_at_once(local: Store) -> None:
    process, pids = started("c3", "trap '' TERM; echo $$; exec >&-; while :; do sleep 0.1; done", "--grace", "60")
    cancel.ask_cancel(local, shown(local, "c3"), by=actor.actor(), now=True, settings=config.load())
    assert process.wait(10) == 128 + signal.SIGKILL
    assert shown(local, "c3", RunStatus.CANCELLED)
    until(lambda: not any(map(alive, pids)))


def test_a_bad_end_is_acknowledged_once(local: Store) -> None:
    wrapped.run("false", options=["--name", "c4"])
    run = shown(local, "c4", RunStatus.FAILED)
    assert ack.acknowledge(local, [run], by="ana") == 1
    assert shown(local, "c4").acked_by == "ana"
    assert ack.acknowledge(local, [shown(local, "c4")], by="ben") == 0


def test_a_run_that_has_ended_can_not_be_marked_lost(local: Store) -> None:
    wrapped.run("false", options=["--name", "c5"])
    run = shown(local, "c5", RunStatus.FAILED)
    with pytest.raises(StatustuiError, match="has ended"):
        mark.mark_lost(local, run, reason="gone", by="ana")


def test_who_acts_is_named_with_host() -> None:
    name, _, rest = actor.actor().partition("@")
    assert name
    assert rest.startswith(config.host_name())


def test_a_pipe_or_link_in_place_of_the_word_is_refused(state_dir: Path) -> None:
    (state_dir / "launch").mkdir(mode=0o700)
    (state_dir / "launch" / "abc.cancel").symlink_to("/etc/hostname")
    with pytest.raises(OSError, match=r"."):
        cancel.note_asked(str(state_dir), "abc")
    with pytest.raises(OSError, match="not a run id"):
        cancel.note_asked(str(state_dir), "../../x")
