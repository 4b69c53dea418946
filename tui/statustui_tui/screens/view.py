"""What the Monitor screen shows, derived from a frame. Pure: the clock is an argument."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from statustui.insight.marks import host_of
from statustui.insight.marks import marks as marks_of
from statustui.insight.order import one_row_each, ordered
from statustui.model.run import Host, Request, Run, Snapshot
from statustui.model.status import Mark, RequestKind, RequestState
from statustui_tui.screens.filtering import Filter
from statustui_tui.sources import Frame, Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line of *Running*."""

    run: Run
    """The run; a wrapper with one program inside shows the work of that."""
    marks: tuple[tuple[Mark, float], ...] = ()
    """Stalled, slow and silent, each with its number."""
    usage: Usage | None = None
    """Measured by this monitor; None: the stored figures are all there is."""
    request: Request | None = None
    """A cancel that is under way."""

    @property
    def cpu(self) -> float | None:
        """Percent of one core, the freshest there is."""
        return self.usage.cpu_percent if self.usage else self.run.cpu_percent

    @property
    def memory(self) -> int | None:
        """Resident bytes of the tree, the freshest there are."""
        return self.usage.rss_bytes if self.usage else self.run.rss_bytes

    def mark(self, mark: Mark) -> float | None:
        """The number of one mark, or None without it."""
        return next((number for m, number in self.marks if m is mark), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """How *Running* is sorted."""

    by: str = "trouble"
    reverse: bool = False


ORDERS: Mapping[str, str] = {
    "trouble": "trouble first",
    "time": "longest running",
    "progress": "most done",
    "left": "ends soonest",
    "cpu": "cpu",
    "memory": "memory",
    "task": "task",
    "host": "host",
    "id": "newest",
}
"""The orders of `insight.order`, as the menu and the heading name them."""
LETTERS: Mapping[str, str] = {
    "trouble": "t", "time": "l", "progress": "d", "left": "e", "cpu": "c", "memory": "m", "task": "n", "host": "h",
    "id": "i",
}  # fmt: skip
"""The key of each order in the menu."""


def entries(frame: Frame, now: datetime) -> list[Entry]:
    """The lines of *Running*, unsorted: a wrapper with one program inside is one line."""
    snapshot = frame.snapshot
    hosts = hosts_now(snapshot, now)
    requests = cancels(snapshot.requests)
    return [
        Entry(
            run=run,
            marks=marks_of(run, snapshot.stats.get(run.task), host_of(run, hosts), now),
            usage=frame.usage.get(run.run_id),
            request=requests.get(run.run_id),
        )
        for run in one_row_each(snapshot.running)
    ]


def hosts_now(snapshot: Snapshot, now: datetime) -> dict[str, Host]:
    """Hosts by machine, their silence counted on to *now*."""
    return {host.machine: aged(host, snapshot, now) for host in snapshot.hosts}


def aged(host: Host, snapshot: Snapshot, now: datetime) -> Host:
    """*host* with its silence counted on to *now*, since an unchanged store is not read again."""
    more = (now - snapshot.at).total_seconds()
    return replace(host, silent_s=host.silent_s + max(0.0, more))


def cancels(requests: Iterable[Request]) -> dict[str, Request]:
    """The newest cancel of each run that is asked for or under way."""
    kinds, states = (RequestKind.CANCEL, RequestKind.KILL), (RequestState.ASKED, RequestState.TAKEN)
    wanted = [r for r in requests if r.kind in kinds and r.state in states]
    return {request.run_id: request for request in sorted(wanted, key=lambda r: r.id)}


def elapsed(run: Run, now: datetime) -> float:
    """Seconds that *run* has taken so far, or took."""
    if run.duration_s is not None and not run.status.open:
        return run.duration_s
    return max(0.0, ((run.ended_at or now) - run.started_at).total_seconds())


def item_fraction(run: Run) -> float | None:
    """Share of the current subtask that is done, or None when its total is unknown."""
    if run.subtask_percent is not None:
        return run.subtask_percent / 100
    if run.items_total and run.items_complete is not None:
        return run.items_complete / run.items_total
    return None


def overall_fraction(run: Run) -> float | None:
    """Share of the run that is done, or None when it is unknown."""
    return None if run.percent is None else run.percent / 100


def arranged(found: Sequence[Entry], order: Order, snapshot: Snapshot, now: datetime) -> list[Entry]:
    """*found* in the chosen order."""
    by_id = {entry.run.run_id: entry for entry in found}
    fresher = order.by in ("cpu", "memory")
    runs = (replace(e.run, cpu_percent=e.cpu, rss_bytes=e.memory) if fresher and e.usage else e.run for e in found)
    hosts = hosts_now(snapshot, now)
    placed = ordered(runs, order.by, stats=snapshot.stats, hosts=hosts, now=now, reverse=order.reverse)
    return [by_id[run.run_id] for run in placed]


def kept(found: Iterable[Entry], rule: Filter, user: str | None) -> list[Entry]:
    """The lines that match the filter, of one user or (None) of all."""
    return [
        entry for entry in found if (user is None or entry.run.user == user) and (not rule or rule.matches(entry.run))
    ]


def now_of(snapshot: Snapshot, seconds_since: float) -> datetime:
    """The store's present time, *seconds_since* the snapshot was read: no other clock is trusted for ages."""
    return snapshot.at + timedelta(seconds=max(0.0, seconds_since))
