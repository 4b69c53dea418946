"""Watches the processes that speak for open runs, and gathers the evidence when one has ended."""

import os
import select
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from statustui.drain.liveness import Evidence, Verdict, Voice, corrected, decide
from statustui.drain.log_ends import LogEnds
from statustui.drain.open_steps import OpenStep, OpenSteps
from statustui.drain.runs import ADOPTED, OpenRun, Registry
from statustui.drain.sampling import Root, Sampling
from statustui.drain.tail import Tail, Tails
from statustui.journal import locks
from statustui.journal.files import open_private
from statustui.machine import boot_id, pid_namespace
from statustui.model.status import RunStatus
from statustui.model.times import from_epoch, utc_now
from statustui.process import exit_info, identity
from statustui.process.cgroup import OomCounter
from statustui.process.pidfd import Handle

if TYPE_CHECKING:
    from statustui.store.apply import Death
    from statustui.store.batch import Abandoned

_STACK_LIMIT = 64 << 10
_LOOK_EVERY_S = 1.0
_ABANDONED_AT_ONCE = 1_000
# A file's time comes from the tick of the kernel and lies some milliseconds back.
_FILE_TIME_SLACK_S = 0.02


class Ending:
    """An open run that is proven to be over."""

    __slots__ = ("instead_of", "log_end", "run", "verdict")

    def __init__(
        self, run: OpenRun, verdict: Verdict, log_end: int | None, instead_of: RunStatus | None = None
    ) -> None:
        self.run = run
        self.verdict = verdict
        self.log_end = log_end
        self.instead_of = instead_of
        """The provisional end that this one corrects."""

    def death(self) -> "Death":
        """What the store is told."""
        from statustui.store.apply import Death

        at = self.verdict.at
        return Death(
            run_id=self.run.run_id,
            at=utc_now() if at is None else from_epoch(at),
            status=self.verdict.status,
            reason=self.verdict.reason,
            exit_code=self.verdict.exit_code,
            signal=self.verdict.signal,
            instead_of=self.instead_of,
        )


class _Command:
    """The process of a wrapped command."""

    __slots__ = ("handle", "oom", "pid")

    def __init__(self, pid: int, start: int | None) -> None:
        self.pid = pid
        self.handle = Handle.open(pid, start)
        self.oom = OomCounter.of(pid) if self.handle is not None else None


class Lookout:
    """Holds a pidfd for each writer and each wrapped command: their ends are known at once."""

    def __init__(self, spool: str, tails: Tails, registry: Registry, sampling: Sampling, steps: OpenSteps) -> None:
        self._spool = spool
        self._steps = steps
        self._tails = tails
        self._registry = registry
        self._sampling = sampling
        self._boot = boot_id()
        self._namespace = pid_namespace()
        self._booted_at = identity.booted_at()
        self._commands: dict[str, _Command] = {}
        self._ready: set[int] = set()
        self._look_due = 0.0
        self.log_ends = LogEnds(tails, registry)
        """Where the output of runs ended."""
        self.poll = select.poll()
        """What the loop waits for; the pidfds are registered here."""

    def ready(self, descriptors: set[int]) -> None:
        """Note the pidfds that became readable: their processes have ended."""
        self._ready |= descriptors

    def attend(self) -> bool:
        """Take hold of the processes that were met since the last time; True when any was found to have ended."""
        died = False
        now = time.monotonic()
        look = now >= self._look_due  # at those without a pidfd
        if look:
            self._look_due = now + _LOOK_EVERY_S
        ready, self._ready = self._ready, set()
        for tail in self._tails.active():
            if tail.writer is None or tail.newer:
                continue
            asked = look or not tail.attended or (tail.handle is not None and tail.handle.fd in ready)
            if not tail.attended:
                self._meet(tail)
            if asked and tail.gone_at is None and self._ended(tail):
                died = True
                tail.gone_at = time.time()
                self.log_ends.died(tail)
                tail.exit_status = _exit_status(tail)
                self._release(tail.handle)
                tail.finished()
        for run in self._registry.runs.values():
            self._meet_command(run)
        for command in self._commands.values():
            if command.handle is not None and command.handle.ended():
                self._unregister(command.handle)  # else the loop would be woken for ever
        return died

    def greet(self) -> None:
        """Take hold of processes whose first lines have just been read: they may end at once."""
        for tail in self._tails.active():
            if not tail.attended and tail.writer is not None and not tail.newer:
                self._meet(tail)

    def endings(self, cancels: dict[str, tuple[str, str | None]]) -> list[Ending]:
        """The runs that are proven to be over, of those whose facts are all applied."""
        found = []
        for run in list(self._registry.runs.values()):
            speakers = [self._tails.get(journal) for journal in run.speakers]
            if any(tail is not None and (tail.waiting or not tail.primed or _just_ended(tail)) for tail in speakers):
                continue
            voices = self._voices(run, [tail for tail in speakers if tail is not None])
            if all(voice.alive and voice.same_boot and voice.same_namespace for voice in voices):
                continue
            verdict = decide(self._evidence(run, voices, cancels.get(run.run_id)))
            if verdict is not None:
                found.append(Ending(run, verdict, self.log_ends.of(run)))
        return found + self._corrections()

    def _corrections(self) -> list[Ending]:
        """The ends that were given before the process had ended, and that its exit status shows to be wrong."""
        found = []
        for run in list(self._registry.ending.values()):
            tails = [tail for tail in map(self._tails.get, run.speakers) if tail is not None]
            if any(not tail.attended or (tail.handle is not None and tail.gone_at is None) for tail in tails):
                continue  # it lives
            verdict = None
            if len(tails) == 1 and run.said is not None:
                (tail,) = tails
                verdict = corrected(run.said, tail.exit_status, tail.gone_at, script=_is_script(tail))
            if verdict is None:
                self._registry.forget(run.run_id)
            else:
                found.append(Ending(run, verdict, self.log_ends.of(run), run.said))
        return found

    def abandoned(self) -> "tuple[Abandoned, ...]":
        """Steps of items at work all of whose processes are proven gone, of those whose facts are all applied.

        What a run left behind is not among them where the run itself is about to be told of.
        """
        over = [journal for journal in self._steps.journals() if self._over(self._tails.get(journal))]
        known: dict[tuple[frozenset[str], float | None], Verdict | None] = {}
        found: list[Abandoned] = []
        for step in self._steps.of(over) if over else ():
            run = self._registry.runs.get(step.run) if step.run is not None else None
            if run is not None and run.speakers & step.speakers:
                continue
            if not all(self._over(self._tails.get(journal)) for journal in step.speakers):
                continue
            named = frozenset(step.speakers), step.heard
            if named not in known:
                known[named] = self._verdict_on(step)
            verdict = known[named]
            if verdict is not None:
                found.append(_abandoned(step, verdict))
                if len(found) >= _ABANDONED_AT_ONCE:
                    break
        return tuple(found)

    @staticmethod
    def _over(tail: Tail | None) -> bool:
        return tail is not None and (tail.closed or tail.gone_at is not None)

    def _verdict_on(self, step: OpenStep) -> Verdict | None:
        tails = [tail for tail in map(self._tails.get, step.speakers) if tail is not None]
        if any(tail.waiting or not tail.primed or tail.newer for tail in tails):
            return None
        voices = [self._voice(tail) for tail in tails]
        if not voices or any(voice.alive and voice.same_boot and voice.same_namespace for voice in voices):
            return None
        rose = {tail.oom.rose() for tail in tails if tail.oom is not None}
        seen = [tail.gone_at for tail in tails if tail.gone_at is not None]
        verdict = decide(
            Evidence(
                voices=voices,
                last_heard=step.heard,
                booted_at=self._booted_at,
                seen_dying=max(seen) if seen else None,
                stack=next((stack for stack in (self._stack(tail, step.heard) for tail in tails) if stack), None),
                oom="cgroup" if "cgroup" in rose else "machine" if "machine" in rose else None,
            )
        )
        if verdict is not None and verdict.status is RunStatus.LOST and all(tail.closed for tail in tails):
            return replace(verdict, reason="the program ended without ending it")
        return verdict

    def roots(self) -> list[Root]:
        """The process trees of the open runs that live here."""
        found = []
        for run in self._registry.runs.values():
            command = self._commands.get(run.run_id)
            if command is not None and command.handle is not None:
                found.append(Root(run, command.handle.pid, command.handle.start))
                continue
            for journal in run.speakers:
                tail = self._tails.get(journal)
                if tail is not None and tail.handle is not None and not tail.handle.ended():
                    found.append(Root(run, tail.handle.pid, tail.handle.start))
                    break
        return found

    def handle_of(self, run: OpenRun) -> Handle | None:
        """The living process to signal for a run: the command, else its program.

        Only one whose start tick was recorded: a pid alone may be somebody else's by the time that it is met.
        """
        command = self._commands.get(run.run_id)
        if command is not None and command.handle is not None and not command.handle.ended():
            return command.handle if run.start is not None else None
        for journal in run.speakers:
            tail = self._tails.get(journal)
            if tail is None or tail.writer is None or tail.writer.start is None:
                continue
            if tail.handle is not None and not tail.handle.ended():
                return tail.handle
        return None

    def forget(self, run_id: str) -> None:
        """The run is over and recorded."""
        self._registry.forget(run_id)
        self.tidy()

    def tidy(self) -> None:
        """Let go of commands whose runs are over, and of journals from which nothing will come."""
        for run_id in self._commands.keys() - self._registry.runs.keys():
            self._release(self._commands.pop(run_id).handle)
        speaking = {journal for run in self._registry.runs.values() for journal in run.speakers}
        for over in (self._registry.ending, self._registry.closing):
            speaking |= {journal for run in over.values() for journal in run.speakers}
        self.log_ends.tidy()
        for tail in self._tails.active():
            done = tail.closed or tail.gone_at is not None
            if done and tail.primed and not tail.waiting and tail.journal not in speaking:
                self._release(tail.handle)
                self._tails.settle(tail)

    def living(self) -> bool:
        """Does any writer live, or may it?"""
        return bool(self._registry.ending) or any(
            tail.gone_at is None and not tail.closed and not tail.newer and tail.writer is not None
            for tail in self._tails.active()
        )

    def close(self) -> None:
        """Let go of everything."""
        for tail in self._tails:
            tail.let_go()
        for command in self._commands.values():
            if command.handle is not None:
                command.handle.close()

    def _meet(self, tail: Tail) -> None:
        writer = tail.writer
        tail.attended = True
        if writer is None or writer.pid is None or not self._here(tail):
            return
        tail.handle = Handle.open(writer.pid, writer.start)
        if tail.handle is not None:
            self._hold(tail.handle)
            if writer.role != "worker":
                tail.oom = OomCounter.of(writer.pid)

    def _meet_command(self, run: OpenRun) -> None:
        command = self._commands.get(run.run_id)
        if run.pid is None or (command is not None and command.pid == run.pid):
            return
        tails = [self._tails.get(journal) for journal in run.speakers]
        if not any(tail is not None and self._here(tail) for tail in tails):
            return
        if command is not None:
            self._release(command.handle)
        command = self._commands[run.run_id] = _Command(run.pid, run.start)
        if command.handle is not None:
            self._hold(command.handle)

    def _here(self, tail: Tail) -> bool:
        writer = tail.writer
        return (
            writer is not None
            and (writer.boot is None or writer.boot == self._boot)
            and (not writer.namespace or writer.namespace == self._namespace)
        )

    def _ended(self, tail: Tail) -> bool:
        if tail.handle is not None:
            if not tail.handle.ended():
                return False
            self._unregister(tail.handle)
            return self._locked(tail) is not True
        voice = self._voice(tail)
        if voice.alive and voice.same_boot and voice.same_namespace:
            return False
        if not voice.same_boot or not voice.same_namespace or voice.alive is None:
            return voice.locked is False  # nothing more will be written; whether a run is lost is decided apart
        return voice.locked is not True

    def _voices(self, run: OpenRun, tails: list[Tail]) -> list[Voice]:
        voices = [self._voice(tail) for tail in tails]
        command = self._commands.get(run.run_id)
        if command is not None:
            ended = command.handle is None or command.handle.ended()
            if command.handle is not None and ended:
                self._unregister(command.handle)
            voices.append(Voice(alive=not ended, locked=None))
        elif run.pid is not None and not voices:
            voices.append(Voice(alive=None, locked=None))
        return voices

    def _voice(self, tail: Tail) -> Voice:
        writer = tail.writer
        if writer is None or writer.pid is None:
            return Voice(alive=None, locked=self._locked(tail))
        same_boot = writer.boot is None or writer.boot == self._boot
        same_namespace = not writer.namespace or writer.namespace == self._namespace
        alive: bool | None = None
        if same_boot and same_namespace:
            if tail.gone_at is not None:
                alive = False
            elif tail.handle is not None:
                alive = not tail.handle.ended()
            else:
                alive = identity.alive(writer.pid, writer.start)
        return Voice(
            alive=alive,
            locked=None if alive else self._locked(tail),
            same_boot=same_boot,
            same_namespace=same_namespace,
            namespace_alive=None,
        )

    def _locked(self, tail: Tail) -> bool | None:
        path = f"{self._spool}/{tail.journal}.lock"
        if not os.path.lexists(path):
            return None
        try:
            return locks.holder(path) is not None
        except OSError:
            return None

    def _evidence(self, run: OpenRun, voices: list[Voice], cancel: tuple[str, str | None] | None) -> Evidence:
        tails = [tail for tail in map(self._tails.get, run.speakers) if tail is not None]
        command = self._commands.get(run.run_id)
        counters = [tail.oom for tail in tails] + [command.oom if command is not None else None]
        rose = {counter.rose() for counter in counters if counter is not None}
        seen = [tail.gone_at for tail in tails if tail.gone_at is not None and tail.oom is not None]
        return Evidence(
            voices=voices,
            last_heard=run.heard,
            booted_at=self._booted_at,
            seen_dying=max(seen) if seen else None,
            said=run.said,
            stack=next((stack for stack in (self._stack(tail, run.heard) for tail in tails) if stack), None),
            oom="cgroup" if "cgroup" in rose else "machine" if "machine" in rose else None,
            peak_rss_bytes=self._sampling.peak(run.run_id),
            cancelled_by=cancel[0] if cancel else None,
            cancel_reason=cancel[1] if cancel else None,
            closed=any(tail.closed for tail in tails),
            exit_status=tails[0].exit_status if len(tails) == 1 and command is None else None,
            unaware=any(tail.writer is not None and tail.writer.role == ADOPTED for tail in tails),
            script=any(map(_is_script, tails)),
        )

    def _stack(self, tail: Tail, heard: float | None) -> str | None:
        """The side file of a signal, unless a fact followed it: then the program lived on."""
        try:
            fd = open_private(f"{self._spool}/{tail.journal}.stack", os.O_RDONLY)
        except OSError:
            return None
        try:
            if heard is not None and os.fstat(fd).st_mtime < heard - _FILE_TIME_SLACK_S:
                return None
            return os.pread(fd, _STACK_LIMIT, 0).decode("utf-8", "backslashreplace")
        except OSError:
            return None
        finally:
            os.close(fd)

    def _hold(self, handle: Handle) -> None:
        if handle.fd is not None:
            self.poll.register(handle.fd, select.POLLIN)

    def _unregister(self, handle: Handle) -> None:
        if handle.fd is not None:
            try:
                self.poll.unregister(handle.fd)
            except KeyError:
                return

    def _release(self, handle: Handle | None) -> None:
        if handle is not None:
            handle.ended()
            self._unregister(handle)
            handle.close()


def _is_script(tail: Tail) -> bool:
    """Is its writer a shell, R, or a wrapper, which ends with the status of its command?"""
    return tail.writer is not None and tail.writer.lang != "python"


def _abandoned(step: OpenStep, verdict: Verdict) -> "Abandoned":
    from statustui.store.batch import Abandoned

    pipeline, key, name = step.place
    return Abandoned(
        pipeline=pipeline,
        key=key,
        step=name,
        attempt=step.attempt,
        at=utc_now() if verdict.at is None else from_epoch(verdict.at),
        reason=f"its process is gone: {verdict.reason}",
    )


def _just_ended(tail: Tail) -> bool:
    """Has its writer ended since it was last attended to? How, is found out in the next turn."""
    return tail.gone_at is None and tail.handle is not None and tail.handle.ended()


def _exit_status(tail: Tail) -> int | None:
    if tail.handle is not None:
        return exit_info.wait_status(tail.handle)
    writer = tail.writer  # it had ended before it could be held
    return None if writer is None or writer.pid is None else exit_info.of_zombie(writer.pid, writer.start)
