"""From journals to the store: read what is new, apply it as one batch, acknowledge it in the same transaction."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from statustui.drain import failpoint
from statustui.drain.diary import Diary
from statustui.drain.open_steps import OpenSteps
from statustui.drain.runs import Registry, later
from statustui.drain.sink import Poison, Sink
from statustui.drain.tail import News, Tail, Tails
from statustui.journal import acks

if TYPE_CHECKING:
    from statustui.store.apply import Batch, Death, HostInfo, JournalBatch, Sample
    from statustui.store.batch import Abandoned

# What a batch needs while it is applied is some ten times this, and the process keeps the most it ever needed.
_BATCH_BYTES = 512 << 10
_JOURNAL_BYTES = 256 << 10
# What a slot counts for: it is short, but the row that it changes is long.
_PROGRESS_BYTES = 4 << 10
_SAMPLES = 125
_PRIME_BYTES_IN_A_TURN = 4 << 20


class Pump:
    """Moves facts and progress of all journals of one spool directory."""

    def __init__(self, spool: str, sink: Sink, diary: Diary, host: "HostInfo") -> None:
        self.spool = spool
        self.tails = Tails(spool)
        self.registry = Registry()
        self.steps = OpenSteps()
        self._sink = sink
        self._diary = diary
        self._host = host
        self._opened = -1
        self._found = True
        self._unprimed: list[Tail] = []
        self._turn = 0
        self.met: Callable[[], object] = lambda: None
        """Called before what was read is applied: who is shown is already held."""
        self.behind = False
        """True when the last batch left more to read than it took."""

    def note(self, names: set[str] | None) -> None:
        """Files changed; None when nobody knows which."""
        if names is None:
            self._found = True
            return
        for name in names:
            if self.tails.note(name):
                self._found = True

    def refresh(self) -> bool:
        """Take in journals that are new, and what the store has of them.

        Returns:
            False when the store cannot be asked now; then nothing is read either, since where to begin is unknown.

        Raises:
            FileNotFoundError: the directory is gone.
        """
        if self._sink.opened != self._opened and not self._reconcile():
            return False
        if not self._found:
            return True
        ends = self.tails.scan()
        unknown = [journal for journal in ends if self.tails.get(journal) is None]
        offsets = self._sink.offsets(unknown) if unknown else {}
        if offsets is None:
            return False
        if self._sink.opened != self._opened:
            return self._reconcile()
        self.tails.adopt(ends, offsets)
        self._unprimed += [tail for tail in map(self.tails.get, unknown) if tail is not None and not tail.primed]
        self._found = False
        return True

    @property
    def priming(self) -> bool:
        """Are there journals that were not yet looked through for open runs?"""
        return self._found or bool(self._unprimed)

    def unapplied(self) -> bool:
        """Is there anything that the store does not have?"""
        return (
            self._found or bool(self._unprimed) or any(tail.waiting and not tail.newer for tail in self.tails.active())
        )

    def has_news(self) -> bool:
        """Can anything be read that the store does not have? What cannot be read is no reason to work on."""
        return bool(self._unprimed) or bool(self._collect(progress=True))

    def push(
        self,
        samples: "tuple[Sample, ...]" = (),
        deaths: "tuple[Death, ...]" = (),
        beat: bool = False,
        progress: bool = True,
        abandoned: "tuple[Abandoned, ...]" = (),
    ) -> bool | None:
        """Apply one batch of what is new, with samples and deaths.

        Args:
            samples: of process trees.
            deaths: runs that are proven to be over.
            beat: say that this host is heard of.
            progress: slots and counters too, not only facts.
            abandoned: steps of items that nobody works at any more.

        Returns:
            True when news was applied, False when there was none (a beat alone is none), None when the store cannot
            take it now: then nothing is acknowledged, and all of it will be read again.
        """
        from statustui.store.apply import Batch

        news = self._collect(progress)
        self.met()
        if not (news or samples or deaths or abandoned or beat):
            return False
        first, rest = samples[:-_SAMPLES], samples[-_SAMPLES:]
        for at in range(0, len(first), _SAMPLES):
            if not self._apply(Batch(host=self._host, journals=(), samples=first[at : at + _SAMPLES])):
                return None
        journals = tuple(self._journal_batch(one) for one in news)
        batch = Batch(host=self._host, journals=journals, samples=rest, deaths=deaths, abandoned=abandoned, beat=beat)
        failpoint.reached("before-apply")
        if not self._apply(batch):
            return None
        failpoint.reached("after-apply")
        for one in news:
            self._acknowledge(one)
        for step in abandoned:
            self.steps.forget((step.pipeline, step.key, step.step), step.attempt)
        self.behind = any(one.more for one in news)
        return bool(news or samples or deaths or abandoned)

    def prime(self) -> None:
        """Look through some of the journals that were applied before, for runs that are still open."""
        budget = _PRIME_BYTES_IN_A_TURN
        while self._unprimed and budget > 0:
            tail = self._unprimed.pop(0)
            # One that ended just now may have left steps of items at work, of which nobody was told yet.
            if tail.closes() and not tail.waiting and not tail.recent():
                tail.primed = True
                self.tails.settle(tail)
                continue
            budget -= tail.bytes + 4096
            try:
                for line in tail.prime():
                    if line.record is not None and tail.writer is not None:
                        self.registry.see(tail.writer, line.record)
                        self.steps.see(tail.writer, line.record, line.next_offset)
            except OSError as error:
                self._diary.say("journal", f"{tail.journal}: {error}")
            if not tail.waiting and tail.closed and not self.registry.concerns(tail.journal):
                self.tails.settle(tail)

    def _reconcile(self) -> bool:
        """The store was opened anew: what it has counts, not what was told to the one before."""
        known = [tail.journal for tail in self.tails]
        offsets = self._sink.offsets(known)
        if offsets is None:
            return False
        self._opened = self._sink.opened
        for tail in self.tails:
            stored = offsets.get(tail.journal, 0)
            if stored < tail.offset:
                self._diary.say("store", "it has less than it had: applying journals again")
                tail.again(stored)
                self.tails.wake(tail)
        return True

    def facts_waiting(self) -> bool:
        """Are there lines, or journals, that are not applied yet?"""
        return self.priming or any(tail.lines_waiting and not tail.newer for tail in self.tails.active())

    def _collect(self, progress: bool) -> list[News]:
        """Read what is new, every journal in its turn, until a batch is full."""
        room = _BATCH_BYTES
        news: list[News] = []
        # On from where the last batch was full, so that a journal that never rests does not hold up the others.
        tails = self.tails.active()
        at = self._turn % len(tails) if tails else 0
        for place, tail in enumerate(tails[at:] + tails[:at], at + 1):
            self._turn = place
            if not (tail.lines_waiting or (progress and tail.waiting)) or tail.newer:
                continue
            try:
                one = tail.news(min(_JOURNAL_BYTES, room))
            except OSError as error:
                self._diary.say("journal", f"{tail.journal}: {error}")
                tail.unreadable()
                continue
            if one is None:
                continue
            news.append(one)
            room -= max(one.bytes, _PROGRESS_BYTES)
            if room <= 0:
                break
        return news

    def _journal_batch(self, one: News) -> "JournalBatch":
        from statustui.store.apply import JournalBatch

        return JournalBatch(
            journal=one.tail.journal,
            writer=one.tail.about,
            acked=one.tail.offset,
            lines=tuple(
                (line.offset, line.next_offset, line.record if line.record is not None else {"k": "aside"})
                for line in one.lines
            ),
            slot=one.slot,
            counts=one.counts,
            skipped=one.skipped,
        )

    def _acknowledge(self, one: News) -> None:
        """The store has it: only now may the drainer's own picture move on."""
        tail = one.tail
        if one.skipped:
            self.tails.set_aside(tail, one.lines)
            self._diary.say("aside", f"{tail.journal}: {one.skipped} lines not understood, kept in aside/")
        if tail.writer is not None:
            for line in one.lines:
                if line.record is not None:
                    self.registry.see(tail.writer, line.record)
                    self.steps.see(tail.writer, line.record, line.next_offset)
            if one.slot is not None:
                heard = later(None, one.slot.get("t"))
                self.steps.hear(tail.journal, one.slot.get("items"), heard)
                runs = one.slot.get("runs")
                for run_id in runs if isinstance(runs, dict) else ():
                    self.registry.hear(run_id, heard)
        tail.applied(one)
        acks.tell(self.spool, tail.journal, tail.offset)

    def _apply(self, batch: "Batch") -> bool:
        try:
            return self._sink.apply(batch, self._opened) is not None
        except Poison as poison:
            return self._apply_apart(batch, poison)

    def _apply_apart(self, batch: "Batch", poison: Poison) -> bool:
        """Find what the store will not take, put it aside, and apply the rest."""
        empty = dataclasses.replace(batch, journals=(), samples=(), deaths=(), abandoned=())
        try:
            if self._sink.apply(empty, self._opened) is None:
                return False
        except Poison as error:  # not the values: the store itself
            self._sink.fail(error)
            return False
        self._diary.say("poison", str(poison))
        parts = [dataclasses.replace(empty, journals=(one,)) for one in batch.journals]
        parts += [dataclasses.replace(empty, samples=(one,)) for one in batch.samples]
        parts += [dataclasses.replace(empty, deaths=(one,)) for one in batch.deaths]
        parts += [dataclasses.replace(empty, abandoned=(one,)) for one in batch.abandoned]
        return all(self._apply_part(part) for part in parts)

    def _apply_part(self, part: "Batch") -> bool:
        try:
            return self._sink.apply(part, self._opened) is not None
        except Poison as poison:
            if not part.journals:
                self._diary.say("poison", f"{poison}: {part.samples or part.deaths or part.abandoned}")
                return True
            return self._apply_lines(part, poison)

    def _apply_lines(self, part: "Batch", poison: Poison) -> bool:
        """Halve a journal's lines until the one that the store refuses stands alone; it becomes an aside line."""
        journal = part.journals[0]
        if journal.slot is not None or journal.counts is not None:
            lines_only = dataclasses.replace(journal, slot=None, counts=None)
            done = self._apply_part(dataclasses.replace(part, journals=(lines_only,)))
            bare = dataclasses.replace(journal, lines=(), skipped=0, slot=None, counts=None)
            for what, only in (
                ("slot", dataclasses.replace(bare, slot=journal.slot)),
                ("counts", dataclasses.replace(bare, counts=journal.counts)),
            ):
                try:
                    alone = dataclasses.replace(part, journals=(only,))
                    done = self._sink.apply(alone, self._opened) is not None and done
                except Poison as error:
                    self._diary.say("poison", f"{what} of {journal.journal}: {error}")
            return done
        if len(journal.lines) > 1:
            half = len(journal.lines) // 2
            first = dataclasses.replace(journal, lines=journal.lines[:half], skipped=0)
            second = dataclasses.replace(journal, lines=journal.lines[half:], acked=journal.lines[half][0])
            return all(self._apply_part(dataclasses.replace(part, journals=(one,))) for one in (first, second))
        for offset, next_offset, record in journal.lines:
            if record == {"k": "aside"}:
                self._diary.say("poison", f"{journal.journal}: {poison}")
                return True
            self.tails.set_aside_record(journal.journal, offset, record, str(poison))
            blank = ((offset, next_offset, {"k": "aside"}),)
            only = dataclasses.replace(journal, lines=blank, skipped=journal.skipped + 1)
            return self._apply_part(dataclasses.replace(part, journals=(only,)))
        return True
