"""Marks, what needs a person, and the order of runs."""

from datetime import timedelta

import pytest

from statustui.insight.marks import by_machine, host_of, marks, slow_ratio, stall_limit
from statustui.insight.needs import fold, needs_you, reason
from statustui.insight.order import KEYS, one_row_each, ordered
from statustui.model.run import Host, Run, Snapshot, TaskStats
from statustui.model.status import Mark, RunStatus
from support.histories import T0, run


def host(silent_s: float) -> Host:
    return Host(
        machine="m", host="db1", user="etl", boot_id=None, drainer_pid=1, drainer_version="1",
        last_heard=T0, silent_s=silent_s,
    )  # fmt: skip


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def bad(number: int, **fields: object) -> Run:
    usual: dict[str, object] = {
        "id": number, "run_id": f"r{number}", "status": RunStatus.FAILED, "ended_at": T0 + minutes(number),
    }  # fmt: skip
    return run(**(usual | fields))


def test_a_run_stalls_after_ten_minutes_without_anything() -> None:
    quiet = run(last_progress_at=T0)
    assert marks(quiet, None, None, T0 + minutes(9)) == ()
    assert marks(quiet, None, None, T0 + minutes(11)) == ((Mark.STALLED, 660.0),)


def test_a_task_with_long_usual_gaps_stalls_later() -> None:
    known = TaskStats(task="t", longest_gap_s=600.0)
    assert stall_limit(known) == 1800.0
    assert marks(run(), known, None, T0 + minutes(29)) == ()
    assert marks(run(), known, None, T0 + minutes(31))[0][0] is Mark.STALLED


def test_a_silent_host_is_said_instead_of_a_stall_that_nobody_can_know() -> None:
    found = marks(run(last_progress_at=T0), None, host(700.0), T0 + minutes(12))
    assert found == ((Mark.SILENT, 700.0),)
    both = marks(run(last_progress_at=T0), None, host(60.0), T0 + minutes(12))
    assert [mark for mark, _ in both] == [Mark.STALLED, Mark.SILENT]
    assert marks(run(), None, host(29.0), T0 + minutes(1)) == ()


def test_slow_is_past_nine_in_ten_of_the_past_runs() -> None:
    known = TaskStats(task="t", durations_s=tuple(float(n) for n in range(51, 71)))
    assert slow_ratio(run(), known, T0 + timedelta(seconds=60)) is None
    assert slow_ratio(run(), known, T0 + timedelta(seconds=122)) == pytest.approx(2.0, rel=0.02)
    assert slow_ratio(run(), TaskStats(task="t", durations_s=(1.0, 1.0)), T0 + minutes(9)) is None


def test_an_ended_run_has_no_marks() -> None:
    assert marks(bad(1), None, host(99.0), T0 + minutes(99)) == ()


def test_hosts_are_found_by_machine() -> None:
    found = by_machine([host(1.0)])
    assert host_of(run(machine="m"), found) is found["m"]
    assert host_of(run(machine="other"), found) is None
    assert host_of(run(), found) is None


def test_failures_of_one_kind_are_one_row() -> None:
    failures = [bad(n, task=f"DAILY_0{n}", fingerprint="abc", error_message="refused") for n in range(1, 6)]
    (group,) = fold([*failures[::2], *failures[1::2]])
    assert group.count == 5
    assert group.newest.id == 5
    assert group.title == "DAILY_0*"
    assert group.since == T0 + minutes(1)
    assert group.message == "refused"


def test_what_is_unknown_does_not_fold() -> None:
    groups = fold([bad(1), bad(2)])
    assert [group.newest.id for group in groups] == [2, 1]


def test_a_reboot_is_one_row() -> None:
    lost = [bad(n, status=RunStatus.LOST, lost_reason="host rebooted 02:41", machine="m") for n in (1, 2, 3)]
    (group,) = fold(lost)
    assert group.count == 3
    assert group.message == "lost: host rebooted 02:41"


def test_failed_come_before_lost_and_new_before_old() -> None:
    groups = fold([bad(1), bad(3, status=RunStatus.LOST), bad(2)])
    assert [group.newest.id for group in groups] == [2, 1, 3]


def test_what_is_dealt_with_needs_nobody() -> None:
    snapshot = Snapshot(
        at=T0,
        ended=(bad(1), bad(2, acked_by="eva"), bad(3, resolved=True), bad(4, status=RunStatus.CANCELLED)),
    )
    assert [group.newest.id for group in needs_you(snapshot, T0)] == [1]


def test_names_without_a_common_start_are_shortened() -> None:
    (group,) = fold([bad(1, task="load", fingerprint="x"), bad(2, task="save", fingerprint="x")])
    assert group.title == "save …"
    (group,) = fold([bad(1, task="load", fingerprint="x"), bad(2, task="load", fingerprint="x")])
    assert group.title == "load"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"error_type": "KeyError", "error_message": "'FIPS'"}, "KeyError: 'FIPS'"),
        ({"error_type": "exit status 9", "error_message": "exit status 9"}, "exit status 9"),
        ({"exit_code": 3}, "exit status 3"),
        ({"signal": 11}, "signal 11"),
        ({}, ""),
        ({"status": RunStatus.LOST}, "lost"),
    ],
)
def test_the_reason_is_one_line(fields: dict[str, object], said: str) -> None:
    assert reason(bad(1, **fields)) == said


def test_trouble_comes_first() -> None:
    now = T0 + minutes(30)
    fine, stalled, slow = (run(id=n, run_id=f"r{n}", task=f"t{n}", last_progress_at=now) for n in (3, 2, 1))
    stalled = run(id=2, run_id="r2", task="t2", last_progress_at=T0)
    past = {"t1": TaskStats(task="t1", durations_s=(60.0, 60.0, 60.0))}
    found = ordered([fine, slow, stalled], stats=past, hosts={}, now=now)
    assert [one.id for one in found] == [2, 1, 3]


@pytest.mark.parametrize("key", KEYS)
def test_every_key_sorts_runs_of_which_little_is_known(key: str) -> None:
    runs = [
        run(id=1, run_id="a", cpu_percent=5.0, derived_percent=10.0, rss_bytes=9, host="db1", task="A"),
        run(id=2, run_id="b", task="b"),
    ]
    assert len(ordered(runs, key, stats={}, hosts={}, now=T0)) == 2
    assert ordered(runs, "cpu", stats={}, hosts={}, now=T0)[0].id == 1


def test_a_wrapper_with_one_child_is_one_row() -> None:
    wrapper = run(id=1, run_id="w", wrapped=True, pid=10, log_path="/l")
    child = run(id=2, run_id="c", parent_run_id="w", total_subtasks=4, subtasks_done=2, derived_percent=50.0)
    other = run(id=3, run_id="o")
    rows = one_row_each([other, child, wrapper])
    assert [row.id for row in rows] == [3, 1]
    assert (rows[1].percent, rows[1].pid, rows[1].total_subtasks) == (50.0, 10, 4)
    second = run(id=4, run_id="d", parent_run_id="w")
    assert len(one_row_each([wrapper, child, second])) == 3
