"""What a person can ask for: written to the store from a worker thread, over a connection of its own."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from statustui.errors import StatustuiError
from statustui.model.run import Run
from statustui.model.status import OPEN_RUN_STATUSES

if TYPE_CHECKING:
    from statustui.config import Settings
    from statustui.control.candidates import Candidate
    from statustui.process.facts import Facts

_OPEN = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a request."""

    ok: bool
    text: str
    """One line for the person who asked; may hold text from outside."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How one run would be tried again."""

    run: Run
    argv: tuple[str, ...] = ()
    """The true command, from the local launch file."""
    cwd: str = ""
    differs: tuple[str, ...] = ()
    """What would be different from the first time, one line each."""
    output: str = ""
    """Where the output would go."""
    refusal: str | None = None
    """Why it can not be done here, and the way that can."""
    native: object = None
    """The plan as the core made it."""


class Actions(Protocol):
    """Requests. Every method may block and is called from a worker thread."""

    def cancel(self, runs: Sequence[Run], *, now: bool) -> Outcome:
        """Ask for the end of *runs*."""

    def plan(self, run: Run) -> Plan:
        """How *run* would be tried again."""

    def retry(self, plans: Sequence[Plan], argv: Sequence[str] | None = None) -> Outcome:
        """Start new attempts; *argv* replaces the command of a single plan."""

    def acknowledge(self, runs: Sequence[Run]) -> Outcome:
        """Take *runs* out of *Needs you*."""

    def candidates(self) -> "Sequence[Candidate]":
        """Processes of this user that could be adopted."""

    def adopt(self, about: "Facts", name: str | None) -> Outcome:
        """Track a process from now on, as the task *name* (None: by its script or program)."""


def names(runs: Sequence[Run]) -> str:
    """``4821`` or ``4821 4822 4823`` or ``41 runs``."""
    return " ".join(str(run.id) for run in runs) if len(runs) <= 5 else f"{len(runs)} runs"


class StoreActions:
    """Writes to the store of the settings."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings

    def cancel(self, runs: Sequence[Run], *, now: bool) -> Outcome:
        """Write a request for each; the owner's drainer carries it out."""
        from statustui.control.actor import actor
        from statustui.control.cancel import ask_cancel
        from statustui.store.open import open_store

        try:
            with open_store(self._settings.store_url, create=False) as store:
                for run in runs:
                    ask_cancel(store, run, by=actor(), now=now, settings=self._settings)
        except StatustuiError as error:
            return Outcome(ok=False, text=str(error))
        return Outcome(ok=True, text=f"{'KILL' if now else 'cancel'} asked for {names(runs)}")

    def plan(self, run: Run) -> Plan:
        """Read the launch file of *run*; an open run of the same task refuses it."""
        from statustui.control import retry
        from statustui.store import reads
        from statustui.store.open import open_store
        from statustui.store.selector import Selector

        wanted = Selector(tasks=(run.task,), statuses=OPEN_RUN_STATUSES)
        try:
            with open_store(self._settings.store_url, create=False, read_only=True) as store:
                busy = reads.runs(store, wanted, 20)
            plan = retry.plan(self._settings.state_dir, run, settings=self._settings, open_runs=busy)
        except StatustuiError as error:
            return Plan(run=run, refusal=str(error))
        return Plan(
            run=run,
            argv=plan.argv,
            cwd=plan.cwd,
            differs=plan.env_diff,
            output=plan.output,
            refusal=plan.refusal,
            native=plan,
        )

    def retry(self, plans: Sequence[Plan], argv: Sequence[str] | None = None) -> Outcome:
        """Start each plan, detached."""
        from statustui.control import retry
        from statustui.control.actor import actor

        started: list[Run] = []
        for plan in plans:
            if not isinstance(plan.native, retry.RetryPlan):
                continue
            try:
                retry.start(plan.native, by=actor(), argv=list(argv) if argv is not None else None)
            except (StatustuiError, OSError) as error:
                done = f"; started before it: {names(started)}" if started else ""
                return Outcome(ok=False, text=f"{plan.run.id}: {error}{done}")
            started.append(plan.run)
        return Outcome(
            ok=bool(started), text=f"retry of {names(started)} started" if started else "nothing was started"
        )

    def acknowledge(self, runs: Sequence[Run]) -> Outcome:
        """Mark *runs* as seen."""
        from statustui.control.actor import actor
        from statustui.store.open import open_store
        from statustui.store.requests import acknowledge

        try:
            with open_store(self._settings.store_url, create=False) as store:
                acknowledge(store, [run.run_id for run in runs], actor())
        except StatustuiError as error:
            return Outcome(ok=False, text=str(error))
        return Outcome(ok=True, text=f"acknowledged {names(runs)}")

    def candidates(self) -> "Sequence[Candidate]":
        """Look at this user's processes."""
        from statustui.control.candidates import candidates

        return candidates(self._open_runs())

    def adopt(self, about: "Facts", name: str | None) -> Outcome:
        """Begin the run; the drainer does the rest."""
        from statustui.control import adopt
        from statustui.control.actor import actor

        try:
            now = adopt.inspect(about.pid, self._open_runs())
            if now.start != about.start:
                return Outcome(ok=False, text=f"process {about.pid} has ended, and another has its number")
            done = adopt.adopt(self._settings, now, by=actor(), name=name)
        except (StatustuiError, OSError) as error:
            return Outcome(ok=False, text=str(error))
        return Outcome(ok=True, text=f"adopted {about.pid} as {done.task}; log: {done.log_path or 'none'}")

    def _open_runs(self) -> Sequence[Run]:
        from statustui.store import reads
        from statustui.store.open import open_store
        from statustui.store.selector import Selector

        try:
            with open_store(self._settings.store_url, create=False, read_only=True) as store:
                return reads.runs(store, Selector(statuses=OPEN_RUN_STATUSES), _OPEN)
        except StatustuiError:  # no store yet: nothing is tracked; one that is away can not tell, the journal can
            return ()


def command(verb: str, runs: Sequence[Run], *options: str) -> str:
    """The command line that does the same."""
    ids = [str(run.id) for run in runs]
    return shlex.join(["statustui", verb, *options, *ids])
