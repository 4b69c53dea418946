"""What people asked for runs of this user on this machine: taken, carried out, answered."""

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from statustui.drain.cancel import Cancel
from statustui.drain.diary import Diary
from statustui.drain.lookout import Lookout
from statustui.drain.priority import as_a_program
from statustui.drain.runs import OpenRun, Registry
from statustui.drain.sink import Poison, Sink
from statustui.errors import StatustuiError
from statustui.model.status import RequestKind, RequestState
from statustui.model.times import utc_now

if TYPE_CHECKING:
    from statustui.config import Settings
    from statustui.model.run import Request
    from statustui.store.open import Store

_ASK_EVERY_S = 1.0
# A request for a run that the drainer has not met yet (its journal may just have been found) waits this long.
_PATIENCE_S = 3.0


class _Job:
    """One request under way."""

    __slots__ = ("cancel", "request", "resumed", "since")

    def __init__(self, request: "Request", *, resumed: bool = False) -> None:
        self.request = request
        self.resumed = resumed
        """True when a drainer before this one had taken it."""
        self.cancel: Cancel | None = None
        self.since = time.monotonic()


class Requests:
    """Takes requests from the store and carries them out, a little in each turn of the loop."""

    def __init__(
        self,
        sink: Sink,
        machine: str,
        settings: "Settings",
        registry: Registry,
        lookout: Lookout,
        diary: Diary,
    ) -> None:
        self._sink = sink
        self._machine = machine
        self._settings = settings
        self._registry = registry
        self._lookout = lookout
        self._diary = diary
        self._jobs: dict[int, _Job] = {}
        self._cancels: dict[str, tuple[str, str | None]] = {}
        self._due = 0.0
        self._resumed = False
        """True when the requests were asked for that an earlier drainer had begun."""

    @property
    def busy(self) -> bool:
        """True while a request is being carried out."""
        return bool(self._jobs)

    def due_in(self, now: float) -> float:
        """Seconds until the next look, by the monotonic clock."""
        return min(max(0.0, self._due - now), 0.1 if self._jobs else _ASK_EVERY_S)

    def wake(self) -> None:
        """Somebody on this host has just asked."""
        self._due = 0.0

    def cancels(self) -> dict[str, tuple[str, str | None]]:
        """run_id → (who asked for its end, why), of the open runs that were told to end."""
        for run_id in self._cancels.keys() - self._registry.runs.keys():
            del self._cancels[run_id]
        return self._cancels

    def tick(self) -> None:
        """Take what is new when it is time, and go on with what is under way."""
        now = time.monotonic()
        if now >= self._due and self._sink.due_in == 0:
            self._due = now + _ASK_EVERY_S
            for request in self._take():
                self._jobs.setdefault(request.id, _Job(request))
        for job in list(self._jobs.values()):
            self._go_on(job)

    def close(self) -> None:
        """Let go of all processes."""
        for job in self._jobs.values():
            if job.cancel is not None:
                job.cancel.close()

    def _take(self) -> "list[Request]":
        from statustui.store import requests

        operators = self._settings.operators
        try:
            if not self._resumed:
                found = self._sink.call(lambda store: requests.resume(store, self._machine, operators))
                self._resumed = found is not None
                for request in found or ():
                    self._jobs.setdefault(request.id, _Job(request, resumed=True))
            return list(self._sink.call(lambda store: requests.take(store, self._machine, operators)) or ())
        except Poison as error:
            self._diary.say("requests", str(error))
            return []

    def _go_on(self, job: _Job) -> None:
        if job.cancel is not None:
            if job.cancel.tick():
                how = "ended by KILL" if job.cancel.killed else "ended by TERM"
                self._answer(job, RequestState.DONE, how)
            return
        if job.request.kind is RequestKind.RETRY:
            self._retry(job)
            return
        self._begin(job)

    def _begin(self, job: _Job) -> None:
        run = self._registry.runs.get(job.request.run_id)
        root = None if run is None else self._lookout.handle_of(run)
        if run is None or root is None:
            if time.monotonic() - job.since < _PATIENCE_S:
                return
            if job.resumed:  # TERM may have been sent: then this is what was asked for
                self._answer(job, RequestState.DONE, "it ended while no drainer worked")
            else:
                self._answer(job, RequestState.REFUSED, "it is not running on this host any more")
            return
        grace = 0.0 if job.request.kind is RequestKind.KILL else self._grace(run)
        cancel = Cancel(root, run.pgid, grace)
        self._tell_wrapper(run)
        try:
            cancel.begin()
        except OSError as error:
            cancel.close()
            self._answer(job, RequestState.REFUSED, f"pid {root.pid}: {error.strerror}")
            return
        job.cancel = cancel
        self._cancels[run.run_id] = self._who(job.request), job.request.reason
        self._update(job, RequestState.TAKEN, f"TERM sent to {root.pid}" if grace else f"KILL sent to {root.pid}")

    def _tell_wrapper(self, run: OpenRun) -> None:
        """A wrapper writes the end of its run: let it know that a person wanted it."""
        from statustui.control.cancel import note_asked

        if run.wrapped:
            try:
                note_asked(self._settings.state_dir, run.run_id)
            except OSError as error:
                self._diary.say("cancel", str(error))

    def _who(self, request: "Request") -> str:
        """For the trail: with the database role where it is another's."""
        if request.role in self._settings.operators:
            return f"{request.asked_by} (database role {request.role})"
        return request.asked_by

    def _grace(self, run: OpenRun) -> float:
        return run.grace if run.grace is not None else self._settings.grace_s

    def _retry(self, job: _Job) -> None:
        from statustui.control import retry
        from statustui.store import reads

        request = job.request
        if job.resumed:  # it may have been started: never twice
            self._answer(job, RequestState.REFUSED, "the drainer ended meanwhile: see whether it runs, else ask again")
            return
        try:
            found = self._sink.call(lambda store: reads.find(store, request.run_id))
            if found is None:
                return
            # What is found may also be a task of that name, or a run whose id begins so: exactly this one is meant.
            run = next((one for one in found if one.run_id == request.run_id), None)
            if run is None:
                self._answer(job, RequestState.REFUSED, "no such run")
                return
            plan = retry.plan(self._settings.state_dir, run, settings=self._settings)
            if plan.refusal is not None:
                self._answer(job, RequestState.REFUSED, plan.refusal)
                return
            with as_a_program():
                started = retry.start(plan, by=self._who(request))
            self._answer(job, RequestState.DONE, f"started {started}")
        except (StatustuiError, Poison, OSError, ValueError) as error:  # ValueError: text that no command line takes
            self._answer(job, RequestState.REFUSED, str(error))

    def _answer(self, job: _Job, state: RequestState, answer: str) -> None:
        if self._update(job, state, answer):
            self._jobs.pop(job.request.id, None)
            if job.cancel is not None:
                job.cancel.close()

    def _update(self, job: _Job, state: RequestState, answer: str) -> bool:
        from statustui.store import requests

        kill_at = None
        if job.cancel is not None and state is RequestState.TAKEN:
            kill_at = utc_now() + timedelta(seconds=max(0.0, job.cancel.kill_at - time.monotonic()))
        request_id = job.request.id

        def work(store: "Store") -> bool:
            requests.update(store, request_id, state, answer=answer, kill_at=kill_at)
            return True

        try:
            return bool(self._sink.call(work))
        except Poison as error:
            self._diary.say("requests", str(error))
            return True
