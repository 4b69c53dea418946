"""A monitor on hand-written snapshots: no store, no process, a clock that stands still."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from textual.pilot import Pilot

from statustui.config import Settings
from statustui.control.candidates import Candidate
from statustui.model.items import Item, ItemDetail
from statustui.model.run import Event, Host, Request, Run, RunDetail, Snapshot, Subtask, TaskStats
from statustui.model.status import RequestKind, RequestState, RunStatus, SubtaskStatus
from statustui.process.facts import Facts
from statustui_tui.actions import Outcome, Plan
from statustui_tui.app import Clock, Monitor, Place
from statustui_tui.items_actions import ItemActions
from statustui_tui.items_source import Board, Items
from statustui_tui.sources import Frame, Lost, Process, Usage

NOW = datetime(2026, 3, 14, 2, 4, 12, tzinfo=UTC)
ZONE = timezone(timedelta(hours=1), "CET")
HOST = "machine-1"


class FrozenClock(Clock):
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at

    def wall(self) -> datetime:
        return (NOW + timedelta(seconds=self.at - 100.0)).astimezone(ZONE)


def ago(**kwargs: float) -> datetime:
    return NOW - timedelta(**kwargs)


def make_run(id: int, task: str, **fields: Any) -> Run:
    started = fields.pop("started_at", ago(seconds=31))
    given: dict[str, Any] = {
        "run_id": f"00000000-0000-7000-8000-{id:012}",
        "id": id,
        "task": task,
        "status": RunStatus.RUNNING,
        "machine": HOST,
        "host": "db1",
        "user": "etl",
        "pid": 20000 + id,
        "args": ("python", f"{task}.py", "--all"),
        "started_at": started,
        "last_update": NOW,
        "last_progress_at": NOW,
    }
    given.update(fields)
    return Run(**given)


def failed(id: int, task: str, **fields: Any) -> Run:
    given: dict[str, Any] = {
        "status": RunStatus.FAILED,
        "started_at": ago(minutes=12),
        "ended_at": ago(minutes=2),
        "duration_s": 600.0,
        "error_type": "KeyError",
        "error_message": "'FIPS'",
        "exit_code": 1,
        "log_path": f"/var/log/etl/{task}.log",
    }
    given.update(fields)
    return make_run(id, task, **given)


def host(**fields: Any) -> Host:
    given: dict[str, Any] = {
        "machine": HOST,
        "host": "db1",
        "user": "etl",
        "boot_id": "boot",
        "drainer_pid": 4711,
        "drainer_version": "0.1.0",
        "last_heard": NOW,
        "silent_s": 1.0,
    }
    given.update(fields)
    return Host(**given)


def busy() -> Snapshot:
    """A night of work: some run, some failed, one stalled, one being cancelled."""
    locations = make_run(
        4821,
        "DAILY_01_BDC_Locations",
        total_subtasks=112,
        subtasks_done=23,
        current_subtask=24,
        derived_percent=20.8,
        subtask_name="Delaware",
        subtask_status=SubtaskStatus.RUNNING,
        items_complete=3,
        items_total=8,
        unit="files",
        cpu_percent=98.0,
        rss_bytes=1_288_490_188,
        sampled_at=NOW,
        log_path="/var/log/etl/bdc.log",
        started_at=ago(minutes=14, seconds=31),
    )
    backup = make_run(
        4825,
        "nightly_backup.sh",
        items_complete=1_200_000,
        unit="rows",
        overall_message="copy",
        cpu_percent=0.0,
        rss_bytes=12_582_912,
        started_at=ago(hours=3, minutes=10),
        last_progress_at=ago(minutes=41),
        sampled_at=NOW,
        wrapped=True,
    )
    export = make_run(
        4826,
        "PERIODIC_export",
        total_subtasks=4,
        subtasks_done=1,
        current_subtask=2,
        derived_percent=37.5,
        subtask_name="Writing tables",
        subtask_status=SubtaskStatus.RUNNING,
        items_complete=4_100_000,
        items_total=8_000_000,
        unit="rows",
        cpu_percent=212.0,
        rss_bytes=734_003_200,
        sampled_at=NOW,
        started_at=ago(minutes=2),
    )
    roads = make_run(
        4822,
        "ANNUAL_DEC_05_Roads",
        label="Ohio",
        total_subtasks=9,
        subtasks_done=8,
        derived_percent=88.9,
        current_subtask=9,
        subtask_name="Check",
        subtask_status=SubtaskStatus.RUNNING,
        cpu_percent=14.0,
        rss_bytes=91_000_000,
        sampled_at=NOW,
        attempt=2,
        user="ben",
    )
    refused = [
        failed(
            4700 + n,
            f"DAILY_{n:02}_load",
            fingerprint="c0ffee",
            error_type="OperationalError",
            error_message="connection refused db2:5432",
            ended_at=ago(minutes=9 + n),
        )
        for n in range(7)
    ]
    lost = failed(
        4810,
        "DAILY_02_Roads",
        status=RunStatus.LOST,
        error_type=None,
        error_message=None,
        exit_code=None,
        signal=9,
        lost_reason="signal 9 at peak 61G, out of memory?",
        ended_at=ago(minutes=18),
    )
    counties = failed(
        4817,
        "ANNUAL_DEC_03",
        error_subtask=4,
        error_subtask_name="Join counties",
        attempt=2,
        max_attempts=3,
        fingerprint="aaaa",
    )
    good = make_run(
        4801,
        "PREREQ_fetch",
        status=RunStatus.FINISHED,
        started_at=ago(minutes=40),
        ended_at=ago(minutes=33),
        duration_s=420.0,
        peak_rss_bytes=200_000_000,
    )
    stopped = make_run(
        4799,
        "DAILY_09_tiles",
        status=RunStatus.CANCELLED,
        started_at=ago(minutes=60),
        ended_at=ago(minutes=50),
        duration_s=601.0,
        lost_reason="cancelled by ben@db1",
    )
    ended = (counties, *refused, lost)
    return Snapshot(
        at=NOW,
        token=1,
        running=(locations, roads, backup, export),
        ended=ended,
        recent=(*ended, good, stopped),
        counts={RunStatus.RUNNING: 4, RunStatus.FAILED: 8, RunStatus.LOST: 1, RunStatus.FINISHED: 1},
        hosts=(host(),),
        requests=(
            Request(
                id=1,
                kind=RequestKind.CANCEL,
                run_id=roads.run_id,
                state=RequestState.TAKEN,
                asked_by="ben@db1",
                asked_from="db1",
                asked_at=ago(seconds=3),
                taken_at=ago(seconds=3),
                kill_at=NOW + timedelta(seconds=7),
            ),
        ),
        stats={
            locations.task: TaskStats(
                task=locations.task, runs=9, finished=9, durations_s=(4000.0, 4100.0, 3900.0, 4050.0)
            ),
        },
        since=ago(hours=24),
        total_runs=4826,
    )


def empty() -> Snapshot:
    return Snapshot(at=NOW, since=ago(hours=24))


def detail_of(run: Run) -> RunDetail:
    """A run with a timeline, samples, events and, if it failed, a traceback."""
    subtasks = tuple(
        Subtask(
            number=n,
            name=name,
            status=status,
            items_total=total,
            items_complete=done,
            started_at=run.started_at + timedelta(seconds=start) if start is not None else None,
            duration_s=seconds,
        )
        for n, name, status, total, done, start, seconds in (
            (1, "Reading inputs", SubtaskStatus.COMPLETED, 12, 12, 0, 62.0),
            (2, "Join counties", SubtaskStatus.COMPLETED, None, None, 62, 210.0),
            (3, "Old format", SubtaskStatus.SKIPPED, None, None, 272, 0.0),
            (
                4,
                "Delaware",
                SubtaskStatus.RUNNING if run.status.open else SubtaskStatus.FAILED,
                8,
                3,
                272,
                None if run.status.open else 300.0,
            ),
            (5, "Writing tables", SubtaskStatus.NOT_STARTED, None, None, None, None),
        )
    )
    first = replace(run, run_id="first", id=run.id - 100, attempt=1, status=RunStatus.FAILED, ended_at=ago(hours=2))
    samples = tuple((NOW.timestamp() - 240 + 2 * n, 50.0 + n % 50, 10_000_000 * (n + 1)) for n in range(100))
    trace = (
        'Traceback (most recent call last):\n  File "join.py", line 41, in load\n    row["FIPS"]\nKeyError: \'FIPS\''
    )
    return RunDetail(
        run=run,
        error_detail=trace if run.status.bad else None,
        log_tail=("reading 12 files", "joining") if run.status.bad else (),
        environment={"VIRTUAL_ENV": "/srv/etl/venv"},
        metrics={"rows_in": 120_000},
        samples=samples,
        subtasks=subtasks,
        events=(Event(at=run.started_at, kind="started"), Event(at=ago(seconds=9), kind="log", message="half of it")),
        attempts=(first, run) if run.attempt > 1 else (run,),
    )


class NoItems:
    """A store without pipelines."""

    def board(self) -> Board:
        return Board()

    def page(self, *asked: Any, **options: Any) -> list[Item]:
        return []

    def count(self, *asked: Any, **options: Any) -> int:
        return 0

    def item(self, pipeline: str, key: str) -> ItemDetail | None:
        return None

    def of_run(self, run_id: str) -> list[tuple[Item, str]]:
        return []


class FakeSource:
    """Gives what a test puts into it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.now = snapshot
        self.lost: Lost | None = None
        self.used: Mapping[str, Usage] = {}
        self.details: Callable[[Run], RunDetail] = detail_of
        self.tree: tuple[Process, ...] = ()
        self.threads: set[str] = set()
        self.reads = 0
        self.told = 0
        self.opened = 0
        self.closed = threading.Event()
        self.items: Items = NoItems()

    def _check(self) -> None:
        self.threads.add(threading.current_thread().name)
        if self.lost is not None:
            raise self.lost

    def put(self, snapshot: Snapshot) -> None:
        """Another state of the store."""
        token = self.now.token if isinstance(self.now.token, int) else 0
        self.now = replace(snapshot, token=token + 1)

    def open(self) -> None:
        self._check()
        self.opened += 1

    def token(self) -> object:
        self._check()
        return self.now.token

    def tell(self, snapshot: Snapshot) -> None:
        """Another state of the store, in which a run began or ended."""
        self.told += 1
        self.put(snapshot)

    def news(self) -> object:
        self._check()
        return self.told

    def snapshot(self) -> Snapshot:
        self._check()
        self.reads += 1
        return self.now

    def _runs(self) -> Sequence[Run]:
        return (*self.now.running, *self.now.ended, *self.now.recent)

    def detail(self, run_id: str) -> RunDetail:
        self._check()
        return self.details(next(run for run in self._runs() if run.run_id == run_id))

    def find(self, text: str) -> list[Run]:
        self._check()
        return [run for run in self._runs() if str(run.id) == text or text in run.task]

    def usage(self, snapshot: Snapshot) -> Mapping[str, Usage]:
        return self.used

    def processes(self, run: Run) -> tuple[Process, ...]:
        return self.tree

    def close(self) -> None:
        self.closed.set()


class FakeActions:
    """Writes down what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.refusal: str | None = None
        self.processes: Sequence[Candidate] = ()

    def cancel(self, runs: Sequence[Run], *, now: bool) -> Outcome:
        self.asked.append(("kill" if now else "cancel", *(run.id for run in runs)))
        return Outcome(ok=True, text="cancel asked")

    def plan(self, run: Run) -> Plan:
        return Plan(
            run=run,
            argv=("/usr/bin/python3", f"{run.task}.py", "--state", "De la Ware"),
            cwd="/srv/etl",
            differs=("the script has changed since",),
            output="/var/log/etl/out.log",
            refusal=self.refusal,
            native=run,
        )

    def retry(self, plans: Sequence[Plan], argv: Sequence[str] | None = None) -> Outcome:
        self.asked.append(("retry", *(plan.run.id for plan in plans), *(argv or ())))
        return Outcome(ok=True, text="retry started")

    def acknowledge(self, runs: Sequence[Run]) -> Outcome:
        self.asked.append(("ack", *(run.id for run in runs)))
        return Outcome(ok=True, text="acknowledged")

    def candidates(self) -> Sequence[Candidate]:
        return self.processes

    def adopt(self, about: Facts, name: str | None) -> Outcome:
        self.asked.append(("adopt", about.pid, about.start, name))
        return Outcome(ok=self.refusal is None, text=self.refusal or f"adopted {about.pid}")


def settings(state_dir: str = "/tmp/statustui-none", **fields: Any) -> Settings:
    return Settings(
        "sqlite:////home/etl/.local/state/statustui/status.db",
        "default",
        state_dir,
        drainer="off",
        **fields,
    )


def monitor(
    source: FakeSource,
    *,
    actions: FakeActions | None = None,
    read_only: bool = False,
    ascii_only: bool = False,
    place: Place | None = None,
    item_actions: ItemActions | None = None,
    clock: Clock | None = None,
    **fields: Any,
) -> Monitor:
    """A monitor on *source*, as ``etl@db1``."""
    app = Monitor(
        source,
        settings(**fields),
        actions=actions if actions is not None else FakeActions(),
        item_actions=item_actions,
        read_only=read_only,
        ascii_only=ascii_only,
        place=place,
        clock=clock or FrozenClock(),
    )
    app.user = "etl"
    app.who, app.store_name = "etl@db1", "~/.local/state/statustui"
    return app


async def until(pilot: Pilot[Any], condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until *condition* holds."""
    for _ in range(int(seconds / 0.02)):
        await pilot.pause(0.02)
        if condition():
            return
    raise AssertionError("it did not happen in time")


async def ready(pilot: Pilot[Any]) -> None:
    """Wait for the first frame."""
    app = pilot.app
    assert isinstance(app, Monitor)
    await until(pilot, lambda: app.frame is not None)
    await pilot.pause()


def screen_text(app: Monitor) -> str:
    """What the screen shows, as plain text."""
    lines = []
    for strip in app.screen._compositor.render_strips():
        lines.append("".join(segment.text for segment in strip if not segment.control).rstrip())
    return "\n".join(lines) + "\n"


__all__ = ["FakeActions", "FakeSource", "Frame", "FrozenClock", "busy", "detail_of", "empty", "failed", "make_run"]
