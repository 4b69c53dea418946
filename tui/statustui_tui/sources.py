"""Where the monitor's data comes from: a store, read over one kept connection by one thread."""

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from statustui.model.run import Run, RunDetail, Snapshot
from statustui_tui.items_source import Board, Items, StoreItems

if TYPE_CHECKING:
    from statustui.config import Settings
    from statustui.process.tree import Sampler
    from statustui.store.open import Store

T = TypeVar("T")
WINDOW = timedelta(hours=24)
"""How far back *Needs you* and the counts look."""


class Lost(Exception):
    """The store cannot be read at present."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        """A word or two: ``store missing``, ``store locked``, ``store unreachable``, ``newer store``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What one process tree uses, measured by the monitor itself."""

    cpu_percent: float | None
    rss_bytes: int | None
    processes: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """One line of a process tree."""

    pid: int
    depth: int
    """0 for the root of the tree."""
    state: str
    """One letter, as ps writes it."""
    cpu_percent: float | None
    rss_bytes: int | None
    command: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """All that the screens draw from, taken at one moment."""

    snapshot: Snapshot
    usage: Mapping[str, Usage] = field(default_factory=dict)
    """By run_id, for the local runs that are proven to be alive; fresher than the stored samples."""
    board: Board = field(default_factory=Board)
    """The pipelines."""


class Source(Protocol):
    """What the poller reads. Every method may raise `Lost`, and all are called from one thread."""

    @property
    def items(self) -> Items:
        """What is asked about pipelines and items."""

    def open(self) -> None:
        """Connect; called again after a loss."""

    def token(self) -> object:
        """Equal tokens: nothing has changed."""

    def news(self) -> object:
        """Equal news: no run has begun or ended, and nobody has asked for anything."""

    def snapshot(self) -> Snapshot:
        """Everything that one refresh needs."""

    def detail(self, run_id: str) -> RunDetail:
        """Everything that is known of one run."""

    def find(self, text: str) -> list[Run]:
        """Runs by short id, id prefix or task name."""

    def usage(self, snapshot: Snapshot) -> Mapping[str, Usage]:
        """Fresh figures of the local, proven runs."""

    def processes(self, run: Run) -> tuple[Process, ...]:
        """The process tree of a local, proven run; empty for others."""

    def close(self) -> None:
        """Let go of the connection."""


class StoreSource:
    """A store on this machine or elsewhere, read only."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._store: Store | None = None
        self._sampler: Sampler | None = None
        self._cpu: dict[int, float] = {}
        self._cpu_at = 0.0
        self.items = StoreItems(self._need, self._guard)

    def open(self) -> None:
        """Connect. SQLAlchemy is imported here, in the poller's thread, after the first paint."""
        self.close()
        from statustui.store.open import open_store

        self._store = self._guard(
            lambda: open_store(self._settings.store_url, create=False, read_only=True, timeout=2.0)
        )

    def token(self) -> object:
        """The store's change token."""
        from statustui.store import reads

        return self._guard(lambda: reads.token(self._need()))

    def news(self) -> object:
        """The newest run, end and request."""
        from statustui.store import reads

        return self._guard(lambda: reads.news(self._need()))

    def snapshot(self) -> Snapshot:
        """One snapshot, looking back a day."""
        from statustui.store import reads

        since = datetime.now(UTC) - WINDOW
        return self._guard(lambda: reads.snapshot(self._need(), since=since))

    def detail(self, run_id: str) -> RunDetail:
        """All that the store holds of one run."""
        from statustui.store import reads

        return self._guard(lambda: reads.detail(self._need(), run_id))

    def find(self, text: str) -> list[Run]:
        """Runs that *text* names."""
        from statustui.store import reads

        return self._guard(lambda: list(reads.find(self._need(), text)))

    def usage(self, snapshot: Snapshot) -> Mapping[str, Usage]:
        """CPU and memory of the trees of the local runs whose process is proven to be the recorded one."""
        from statustui.process.tree import Sampler

        if self._sampler is None:
            # I/O and connections are the drainer's to measure.
            self._sampler = Sampler(costly=False)
        roots = self._local(snapshot.running)
        if not roots:
            return {}
        return {
            str(key): Usage(cpu_percent=s.cpu_percent, rss_bytes=s.rss_bytes, processes=s.processes)
            for key, s in self._sampler.sample(roots).items()
        }

    def processes(self, run: Run) -> tuple[Process, ...]:
        """The process tree of *run*, parents before children."""
        from statustui.process.identity import start_tick
        from statustui.process.tree import describe

        pid, start = self._local((run,)).get(run.run_id, (0, None))
        if start is None or start_tick(pid) != start:
            return ()
        infos = describe(pid)
        at = time.monotonic()
        before, since = self._cpu, at - self._cpu_at
        self._cpu, self._cpu_at = {info.pid: info.cpu_s for info in infos}, at
        return tuple(
            Process(
                pid=info.pid,
                depth=info.depth,
                state=info.state,
                cpu_percent=_percent(info.cpu_s, before.get(info.pid), since, info.started_s),
                rss_bytes=info.rss_bytes,
                command=info.command,
            )
            for info in infos
        )

    def close(self) -> None:
        """Let go of the connection."""
        store, self._store = self._store, None
        if store is not None:
            self._guard(store.close)

    def _need(self) -> "Store":
        if self._store is None:
            raise Lost("store closed", "the store is not open")
        return self._store

    def _local(self, runs: tuple[Run, ...]) -> dict[Hashable, tuple[int, int | None]]:
        """(pid, start tick) of the runs that began here: a pid from a store counts only with its proof, the tick."""
        from statustui import config

        boot, space = config.boot_id(), config.pid_namespace()
        return {
            run.run_id: (run.pid, run.start_tick)
            for run in runs
            if run.pid is not None and run.start_tick is not None and run.boot_id == boot and run.pid_ns == space
        }

    def _guard(self, call: Callable[[], T]) -> T:
        """Turn every way in which a store can be gone into one `Lost`."""
        from sqlalchemy.exc import SQLAlchemyError

        from statustui.errors import StatustuiError

        try:
            return call()
        except StatustuiError as error:
            raise Lost(_words(type(error).__name__), _one_line(error)) from error
        except SQLAlchemyError as error:
            raise Lost("store unreadable", _one_line(getattr(error, "orig", None) or error)) from error
        except OSError as error:
            raise Lost("store unreadable", _one_line(error)) from error
        except (ValueError, TypeError, LookupError, ArithmeticError, MemoryError) as error:
            # Rows that make no sense, or a run that is gone: the thread goes on, and nothing old passes for live.
            raise Lost("store damaged", f"{type(error).__name__}: {_one_line(error)}") from error


def _percent(cpu_s: float, before: float | None, since: float, age: float) -> float:
    """CPU since the last look, or since the start where there was none."""
    if before is not None and 0.2 < since < 60:
        return max(0.0, cpu_s - before) / since * 100
    return cpu_s / max(age, 0.01) * 100


def _words(name: str) -> str:
    """``StoreUnavailable`` → ``store unavailable``."""
    return "".join(f" {c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def _one_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
