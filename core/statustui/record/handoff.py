"""Handing a run to worker processes: a small picklable handle, also as an environment variable."""

import os

from statustui.record import context, join, state
from statustui.record.subtask import FarSubtask, Subtask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from statustui.record.run import Run

VARIABLE = "STATUSTUI_CONTEXT"
"""``<run_id> <spool> <task>``: the run that the programs started with it work for."""


class Context:
    """A handle of a run for another process: picklable, a few hundred bytes. ``with context as run:`` in the worker."""

    __slots__ = ("_left", "run_id", "spool", "task")

    def __init__(self, run_id: str, task: str, spool: str) -> None:
        self.run_id = run_id
        self.task = task
        self.spool = spool
        self._left: Run | None = None

    def __reduce__(self) -> "tuple[type[Context], tuple[str, str, str]]":
        return Context, (self.run_id, self.task, self.spool)

    def env(self) -> dict[str, str]:
        """Variables to add to the environment of a program that works for this run."""
        found = {VARIABLE: f"{self.run_id} {self.spool} {self.task}"}
        if any(self.run_id in one.runs for one in state.every()):
            # Of this very process: with it the run ends, for ``statustui event`` and the like.
            found[join.OWNER] = join.owner_token(self.run_id, os.getpid(), context.start_of(os.getpid()), self.spool)
        elif os.environ.get(join.OWNER, "").startswith(f"{self.run_id}:"):
            found[join.OWNER] = os.environ[join.OWNER]
        return found

    def attach(self) -> "Run":
        """The run, as this process sees it: it may count, begin subtasks and note facts, but not end the run."""
        return revive_run(self)

    def __enter__(self) -> "Run":
        from statustui.record.run import current_run

        run = self.attach()
        self._left = current_run.get()
        current_run.set(run)
        return run

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        from statustui.record.run import current_run

        current_run.set(self._left)
        self._left = None

    def __repr__(self) -> str:
        return f"<statustui.Context {self.task!r} {self.run_id}>"


def revive_run(handle: Context) -> "Run":
    """The run behind a handle; the very object in the process that began it."""
    from statustui.record.run import Run

    session = state.session(spool=handle.spool, role="worker") if handle.spool else None
    if session is None:
        return Run._view(None, handle.run_id, handle.task)
    for one in state.every():
        found = one.runs.get(handle.run_id) or one.views.get(handle.run_id)
        if found is not None:
            return found
    return session.views.setdefault(handle.run_id, Run._view(session, handle.run_id, handle.task))


def revive_subtask(handle: Context, number: int, name: str, unit: str | None) -> Subtask:
    """The subtask behind a pickled one: the same object for every copy that this process gets."""
    run = revive_run(handle)
    session = run._session
    if not run._foreign and number in run._subs:
        return run._subs[number]
    if session is not None:
        found = session.attached.get((run.run_id, number))
        if found is not None:
            return found
    sub = FarSubtask(run, number, name, None, unit)
    sub._disown()
    if session is not None:
        return session.attached.setdefault((run.run_id, number), sub)
    return sub


def from_environment() -> "Run | None":
    """The run that this program was started to work for, or None."""
    parts = os.environ.get(VARIABLE, "").split(" ", 2)
    if len(parts) != 3 or len(parts[0]) != 36:
        return None
    return revive_run(Context(parts[0], parts[2], parts[1]))
