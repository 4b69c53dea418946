"""Remarks about a living run, each with its number: stalled, slow, silent."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from statustui.model.run import Host, Run, TaskStats
from statustui.model.status import Mark

STALL_S = 600.0
"""Shortest time without any progress that counts as a stall, in seconds."""
STALL_GAPS = 3.0
"""A task that usually has longer gaps stalls after this many times its longest usual one."""
SILENT_S = 30.0
"""A host whose drainer has not been heard of for so many seconds is silent."""
SLOW_RUNS = 3
"""Past runs before anything is called slow."""


def marks(run: Run, stats: TaskStats | None, host: Host | None, now: datetime) -> tuple[tuple[Mark, float], ...]:
    """The marks of one run, the most pressing first.

    Args:
        run: The run.
        stats: What is known of the past runs of its task.
        host: The host that it runs on, as last heard of.
        now: The present time.

    Returns:
        (mark, number): seconds without progress for ``STALLED``, seconds unheard of for ``SILENT``, this run's
        time over the usual one for ``SLOW``. Nothing for a run that has ended.
    """
    if not run.status.open:
        return ()
    found: list[tuple[Mark, float]] = []
    silent = host.silent_s if host is not None and host.silent_s >= SILENT_S else 0.0
    # What a silent host's run did since is not known, so it is judged as of when the host was heard.
    still = (now - (run.last_progress_at or run.started_at)).total_seconds() - silent
    if still >= stall_limit(stats):
        found.append((Mark.STALLED, still))
    if silent:
        found.append((Mark.SILENT, silent))
    ratio = slow_ratio(run, stats, now)
    if ratio is not None:
        found.append((Mark.SLOW, ratio))
    return tuple(found)


def stall_limit(stats: TaskStats | None) -> float:
    """Seconds without progress after which a run of this task is stalled."""
    gap = stats.longest_gap_s if stats else None
    return max(STALL_S, STALL_GAPS * (gap or 0.0))


def slow_ratio(run: Run, stats: TaskStats | None, now: datetime) -> float | None:
    """This run's time so far over the median of past runs, once it is past their 90th percentile; else None."""
    durations = sorted(stats.durations_s) if stats else []
    if len(durations) < SLOW_RUNS:
        return None
    elapsed = (now - run.started_at).total_seconds()
    usual = durations[len(durations) // 2]
    ninety = durations[min(len(durations) - 1, int(0.9 * len(durations)))]
    return elapsed / usual if elapsed > ninety and usual > 0 else None


def host_of(run: Run, hosts: Mapping[str, Host]) -> Host | None:
    """The host that *run* is on, from those by machine id."""
    return hosts.get(run.machine) if run.machine is not None else None


def by_machine(hosts: Iterable[Host]) -> dict[str, Host]:
    """Hosts by the machine id that runs name."""
    return {host.machine: host for host in hosts}
