"""What recording keeps for one process: sessions, the timer, what a fork changes, how the process ends."""

import _thread
import atexit
import os
import signal
import sys
import time

from statustui.journal.counts import COUNTERS
from statustui.journal.writer import Writer
from statustui.model.redact import redact
from statustui.model.values import text as clean
from statustui.record import border, context

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from statustui.config import Settings
    from statustui.record.run import Run
    from statustui.record.subtask import Subtask

_SIGNALS = signal.valid_signals()
TICK_S = 0.5
"""Seconds between two looks at the progress (P4)."""
_DRAINER_EVERY = 10  # ticks
_RESTART_IN_HOOK = sys.version_info < (3, 12)  # later versions warn at a fork when a thread is found alive

sessions: dict[tuple[str, str], "Session"] = {}
"""By (spool, role of a first writer); a program that writes to one store has one."""
watchers: "list[Callable[[], None]]" = []
"""Called before progress is shown: they read what other libraries count."""
_timer: "_Timer | None" = None
signals: "ModuleType | None" = None
"""The module of that name, once a run has begun: a fork must not import."""
_registered = False


class Session:
    """One journal of this process and everything that is open in it."""

    __slots__ = (
        "_counters", "_full", "_patterns", "_shown", "attached", "items", "open", "runs", "settings", "spool", "views",
        "writer",
    )  # fmt: skip

    def __init__(self, settings: "Settings", spool: str, role: str = "program") -> None:
        self.settings = settings
        self.spool = spool
        self.writer = Writer(spool, role=role, store_url=settings.store_url)
        self.runs: dict[str, Run] = {}
        """Open runs that this process began."""
        self.views: dict[str, Run] = {}
        """Runs of another process that this one works for."""
        self.open: dict[int, Subtask] = {}
        """Open subtasks by identity: their progress goes into the slot."""
        self.attached: dict[tuple[str, int], Subtask] = {}
        """Subtasks of another process that this one counts for."""
        self.items: dict[str, dict[str, Any]] = {}
        """Progress of steps of items at work here, by pipeline, key and step: it goes into the slot."""
        self._counters = 0
        self._full: list[Writer] = []
        self._patterns: tuple[re.Pattern[str], ...] | None = None
        self._shown: dict[str, Any] = {"runs": {}}

    def fact(self, kind: str, run: str | None, /, **fields: "Any") -> None:
        """Write one fact; fields that are None are left out."""
        self.writer.fact(kind, run, **{key: value for key, value in fields.items() if value is not None})
        if _timer is None and self.open:
            start_timer()

    def counter(self, run: str, number: int) -> tuple[memoryview, int]:
        """A counter in the counts file of this process; a new journal is begun when all of one file are in use."""
        if self._counters >= COUNTERS:
            self._full.append(self.writer)
            self.writer = Writer(self.spool, role="worker", store_url=self.settings.store_url)
            self._counters = 0
        self._counters += 1
        return self.writer.counter(run, number)

    def forked(self) -> None:
        """In a forked child: everything that was open is the parent's; from now on this process works for it."""
        self._shown, self._counters = {"runs": {}}, 0
        self.items.clear()
        self._full.clear()
        for run in self.runs.values():
            run._foreign = True
            run._renumber()
        self.views.update(self.runs)
        self.runs.clear()
        for sub in (*self.open.values(), *self.attached.values()):
            sub._disown()
        self.open.clear()

    def close(self) -> None:
        """End the journals in good order."""
        for writer in (*self._full, self.writer):
            writer.close()

    @property
    def patterns(self) -> "tuple[re.Pattern[str], ...]":
        """The user's own expressions for secrets."""
        if self._patterns is None:
            self._patterns = _compiled(self.settings.redact)
        return self._patterns

    def text(self, value: object) -> str:
        """*value* as text that may be written: bounded, clean, without secrets."""
        return redact(clean(value), self.patterns)

    def show(self) -> None:
        """Write the progress into the slot, if it has changed."""
        for watch in watchers:
            watch()
        shown: dict[str, Any] = {}
        for sub in tuple(self.open.values()):
            entry = sub._progress()
            if entry:
                shown.setdefault(sub._run.run_id, {}).setdefault("subs", {})[str(sub.number)] = entry
        for run in (*self.runs.values(), *self.views.values()):
            more = run._progress()
            if more:
                shown.setdefault(run.run_id, {}).update(more)
        wanted = {"runs": shown, "items": dict(self.items)} if self.items else {"runs": shown}
        if wanted != self._shown:
            payload = {"t": time.time(), "m": time.monotonic(), **wanted}
            if self.writer.slot(payload):
                self._shown = wanted

    def drainer(self) -> None:
        """See to it that a drainer works, where one may."""
        if self.settings.drainer == "process" and self.writer.journal is not None:
            from statustui.journal.spawn import ensure_drainer

            ensure_drainer(self.spool)


def _compiled(patterns: tuple[str, ...]) -> "tuple[re.Pattern[str], ...]":
    import re

    result = []
    for pattern in patterns:
        try:
            result.append(re.compile(pattern))
        except (re.error, RecursionError, OverflowError) as error:
            border.swallow(error, f"redact pattern {pattern!r}")
    return tuple(result)


def session(store: str | None = None, spool: str | None = None, role: str = "program") -> Session | None:
    """The session for *store* (default: the configured one), or for a spool handed over by another process.

    Returns:
        None when recording is switched off (``STATUSTUI_DISABLE``) or has no usable configuration.
    """
    if os.environ.get("STATUSTUI_DISABLE", "") not in ("", "0"):
        return None
    key = (spool or "", store or "")
    found = sessions.get(key)
    if found is not None:
        return found
    try:
        return _new_session(key, store, spool, role)
    except Exception as error:
        border.swallow(error, "configuration")
        return None


def _new_session(key: tuple[str, str], store: str | None, spool: str | None, role: str) -> Session:
    from statustui import config

    settings = config.load(store=store, start=context.start_dir())
    own = config.spool_dir(settings)
    place = spool if spool and _usable(spool, own) else own
    for other in sessions.values():
        if other.spool == place:
            return sessions.setdefault(key, other)
    made = sessions.setdefault(key, Session(settings, place, role))
    _register()
    return made


def _usable(spool: str, own: str) -> bool:
    """A spool named by another process: of this machine and namespace, there, and ours."""
    if spool.rstrip("/").rsplit("/", 3)[1:3] != own.rstrip("/").rsplit("/", 3)[1:3]:
        return False
    try:
        found = os.lstat(spool)
    except OSError:
        return False
    return found.st_uid == os.geteuid() and (found.st_mode & 0o170077) == 0o040000


def every() -> "list[Session]":
    """All sessions of this process, each once."""
    return list({id(one): one for one in sessions.values()}.values())


# --- the timer ---------------------------------------------------------------------------------------------------


class _Timer:
    """A thread that shows the progress twice a second; not of ``threading``, so no list of the program has it."""

    __slots__ = ("_done", "_wake", "tid")

    def __init__(self) -> None:
        self._wake = _thread.allocate_lock()
        self._done = _thread.allocate_lock()
        self._wake.acquire()
        self._done.acquire()
        self.tid = 0
        _thread.start_new_thread(self._run, ())

    def _run(self) -> None:
        self.tid = _thread.get_native_id()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # signals are the program's
        ticks = 0
        try:
            while not self._wake.acquire(True, TICK_S):
                ticks += 1
                _tick(ticks % _DRAINER_EVERY == 0)
        finally:
            self._done.release()

    def end(self, wait: float) -> None:
        """End the thread and wait at most *wait* seconds until the kernel has it no more."""
        if self.tid == _thread.get_native_id():
            return
        limit = time.monotonic() + wait
        self._wake.release()
        if not self._done.acquire(True, wait) or not self.tid:
            return
        while time.monotonic() < limit:
            try:
                os.stat(f"/proc/self/task/{self.tid}")
            except OSError:
                return
            time.sleep(0.00005)


def _tick(look_for_drainer: bool) -> None:
    try:
        for one in every():
            one.show()
            if look_for_drainer:
                one.drainer()
    except Exception as error:
        try:
            border.swallow(error, "timer")
        except Exception:  # strict: there is nobody to raise to in this thread
            border.swallowed += 1


def start_timer() -> None:
    """Start the timer if it does not run. Never raises: without a thread the progress waits for the next fact."""
    global _timer
    if _timer is None:
        try:
            _timer = _Timer()
        except RuntimeError as error:  # no thread to be had, or the interpreter is ending
            if not border.strict:
                border.swallow(error, "timer")


def stop_timer(wait: float = 0.02) -> None:
    """End the timer if it runs."""
    global _timer
    timer, _timer = _timer, None
    if timer is not None:
        timer.end(wait)


# --- forks -------------------------------------------------------------------------------------------------------


def _before_fork() -> None:
    try:
        stop_timer()
        if signals is not None:
            signals.before_fork()
        for one in every():
            for sub in tuple(one.open.values()):
                sub._park()
    except Exception as error:  # a fork must go on
        border.swallow(error, "fork")


def _after_in_parent() -> None:
    if signals is not None:
        signals.after_fork()
    if _RESTART_IN_HOOK and any(one.open for one in every()):
        start_timer()


def _after_in_child() -> None:
    global _timer
    _timer = None
    try:
        if signals is not None:
            signals.forget()
            signals.after_fork()
        for one in every():
            one.forked()
    except Exception as error:  # the child must go on
        border.swallow(error, "fork")


# --- the end of the process --------------------------------------------------------------------------------------


def _register() -> None:
    global _registered
    if not _registered:
        _registered = True
        os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
        atexit.register(_at_exit)


def _at_exit() -> None:
    try:
        from statustui.record import ends

        ends.process_ends()
        stop_timer()
        for one in every():
            if one.writer.journal is not None:
                one.show()
                _hand_over(one)
    except Exception as error:
        border.swallow(error, "exit")


def _hand_over(one: Session) -> None:
    """Leave what was written to a drainer; wait for it only where nobody would be left to do it."""
    mode = one.settings.drainer
    if mode == "inline":
        one.close()
        drain_here(one, 2.0 if one.settings.exit_wait is None else one.settings.exit_wait)
    elif mode == "process":
        from statustui.journal import acks

        wait = acks.exit_wait(one.settings.exit_wait)
        one.drainer()
        if wait > 0:
            acks.wait(one.writer, wait)
        one.close()
    else:
        one.close()


def drain_here(one: Session, timeout: float) -> bool:
    """Apply all journals of the spool in this process (``STATUSTUI_DRAINER=inline``). True when all are applied."""
    from importlib import import_module

    # by name: what records does not know the drainer, except where the user has it work in here
    return bool(import_module("statustui.drain.inline").run(one.spool, time.monotonic() + timeout))


def wait_for_drainer(one: Session, timeout: float) -> bool:
    """Wait until what this process has written is in the store. True when it is."""
    from statustui.journal import acks

    return acks.wait(one.writer, timeout)
