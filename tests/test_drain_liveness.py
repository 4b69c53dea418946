"""What is said of a run that ended without a word: only what is proven."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statustui.drain.liveness import Evidence, Voice, decide, gone, size, stack_place
from statustui.model.status import RunStatus

DEAD = Voice(alive=False, locked=False)
ALIVE = Voice(alive=True, locked=True)
STACK = """Stack (most recent call first):
  File "/opt/etl.py", line 41 in load
  File "/opt/etl.py", line 90 in <module>
"""

voices = st.builds(
    Voice,
    alive=st.sampled_from([True, False, None]),
    locked=st.sampled_from([True, False, None]),
    same_boot=st.booleans(),
    same_namespace=st.booleans(),
    namespace_alive=st.sampled_from([True, False, None]),
)
times = st.none() | st.floats(1e9, 2e9)


@given(st.lists(voices, max_size=4), times, times, st.sampled_from([None, "cgroup", "machine"]), st.booleans())
def test_nobody_is_lost_while_a_voice_is_not_proven_gone(
    all_voices: list[Voice], heard: float | None, booted: float | None, oom: str | None, closed: bool
) -> None:
    evidence = Evidence(voices=all_voices, last_heard=heard, booted_at=booted, oom=oom, closed=closed)
    proven = [gone(voice, last_heard=heard, booted_at=booted) for voice in all_voices]
    assert (decide(evidence) is not None) == (bool(proven) and all(proven))


@given(voices, times, times)
def test_a_held_lock_or_a_living_process_is_never_gone(voice: Voice, heard: float | None, booted: float | None) -> None:
    assert not gone(replace(voice, locked=True), last_heard=heard, booted_at=booted)
    here = replace(voice, alive=True, same_boot=True, same_namespace=True)
    assert not gone(here, last_heard=heard, booted_at=booted)


@pytest.mark.parametrize(
    ("last_heard", "booted_at", "lost"),
    [(1000.0, 2000.0, True), (2000.0, 1000.0, False), (None, 2000.0, False), (1000.0, None, False)],
)
def test_another_boot_proves_death_only_after_the_last_fact(
    last_heard: float | None, booted_at: float | None, lost: bool
) -> None:
    voice = Voice(alive=None, locked=False, same_boot=False)
    verdict = decide(Evidence(voices=[voice], last_heard=last_heard, booted_at=booted_at))
    assert (verdict is not None) == lost


def test_a_reboot_is_told_with_its_time() -> None:
    booted = time.time() - 60
    voice = Voice(alive=None, locked=None, same_boot=False)
    verdict = decide(Evidence(voices=[voice], last_heard=booted - 900, booted_at=booted))
    assert verdict is not None
    assert verdict.status is RunStatus.LOST
    assert verdict.reason.startswith("host rebooted ")
    assert verdict.reason.endswith(time.strftime("%H:%M", time.localtime(booted)))
    assert verdict.at == booted - 900


def test_out_of_memory_is_told_with_the_peak_and_as_a_guess() -> None:
    verdict = decide(Evidence(voices=[DEAD], oom="cgroup", peak_rss_bytes=61 << 30, seen_dying=5.0))
    assert verdict is not None
    assert verdict.reason == "signal 9? at peak 61 GB, out of memory? its cgroup's oom_kill rose"
    assert verdict.at == 5.0


def test_a_stack_that_a_signal_left_means_cancelled() -> None:
    verdict = decide(Evidence(voices=[DEAD], stack=STACK))
    assert verdict is not None
    assert verdict.status is RunStatus.CANCELLED
    assert verdict.reason == "SIGTERM or SIGHUP in load() line 41"


def test_a_stack_of_garbage_proves_nothing() -> None:
    verdict = decide(Evidence(voices=[DEAD], stack="\x00\x1b[2Jhello"))
    assert verdict is not None
    assert verdict.status is RunStatus.LOST


def test_a_module_level_frame_is_named_by_its_file() -> None:
    assert stack_place('  File "/opt/etl.py", line 9 in <module>') == "etl.py line 9"


def test_a_cancel_under_way_is_the_cause() -> None:
    verdict = decide(Evidence(voices=[DEAD], cancelled_by="ben@db1 (pts/3)", cancel_reason="wrong year", stack=STACK))
    assert verdict is not None
    assert verdict.status is RunStatus.CANCELLED
    assert verdict.reason == "cancelled by ben@db1 (pts/3): wrong year"


def test_the_word_of_a_program_counts_when_its_wrapper_was_killed() -> None:
    verdict = decide(Evidence(voices=[DEAD, DEAD], said=RunStatus.FINISHED))
    assert verdict is not None
    assert verdict.status is RunStatus.FINISHED
    assert decide(Evidence(voices=[DEAD, ALIVE], said=RunStatus.FINISHED)) is None


def test_a_run_without_voices_is_never_lost() -> None:
    assert decide(Evidence(voices=[])) is None


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (900, "900 B"), (340 << 20, "340 MB"), (1288490188, "1.2 GB"), (61 << 30, "61 GB")]
)
def test_sizes_for_people(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("status", "word", "reason"),
    [
        (0, RunStatus.FINISHED, "exit status 0"),
        (3 << 8, RunStatus.FAILED, "exit status 3"),
        (15, RunStatus.CANCELLED, "ended by SIGTERM (15)"),
        (9, RunStatus.LOST, "killed by SIGKILL (9) at peak 61 GB"),
        (11 | 128, RunStatus.LOST, "killed by SIGSEGV (11) at peak 61 GB"),
        (None, RunStatus.LOST, "ended at peak 61 GB; its exit status is not known to us"),
    ],
)
def test_the_exit_status_is_the_word_of_a_program_that_knows_nothing_of_us(
    status: int | None, word: RunStatus, reason: str
) -> None:
    evidence = Evidence(voices=[DEAD], exit_status=status, unaware=True, peak_rss_bytes=61 << 30)
    verdict = decide(evidence)
    assert verdict is not None
    assert (verdict.status, verdict.reason) == (word, reason)


def test_a_program_that_should_have_told_its_end_is_lost_whatever_its_exit_status() -> None:
    for status, reason in ((0, "ended without a word: exit status 0"), (9, "killed by SIGKILL (9)")):
        verdict = decide(Evidence(voices=[DEAD], exit_status=status))
        assert verdict is not None
        assert (verdict.status, verdict.reason) == (RunStatus.LOST, reason)


def test_out_of_memory_is_told_of_a_proven_kill_too() -> None:
    verdict = decide(Evidence(voices=[DEAD], exit_status=9, oom="cgroup"))
    assert verdict is not None
    assert verdict.reason == "killed by SIGKILL (9), out of memory? its cgroup's oom_kill rose"
    assert (verdict.signal, verdict.exit_code) == (9, None)
