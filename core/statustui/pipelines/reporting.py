"""Reporting: what happens to items, as facts in the journal. Never raises, never waits (P1, P2).

What cannot be right from here (a date that is none, metadata without end) becomes a ``refused`` event with its reason
and changes nothing. What only the store can know (a step that is none, one that is completed twice) is refused there.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

from statustui.model import values as model_values
from statustui.model.ids import new_id
from statustui.model.pipeline import Definition
from statustui.model.redact import redact_tree
from statustui.model.status import ItemStatus
from statustui.pipelines import values
from statustui.record import border, state
from statustui.record.begin import current

_LOOK_EVERY_S = 5.0
_SHOWN = 200
"""Running steps whose bare progress fits into the slot; that of further ones waits for their next fact."""
_STEPS = 500

P = ParamSpec("P")
T = TypeVar("T")


class Ticket(NamedTuple):
    """A claim, as the facts of its attempt carry it."""

    attempt: str
    """Id of the attempt."""
    fence: int
    """A fact with an older one changes nothing."""
    claimed: float
    """When, by the store's clock, in epoch seconds."""


def _recording(function: Callable[P, T]) -> Callable[P, T | None]:
    """P1: what goes wrong inside is counted, and told in the journal, but never raised."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            border.swallow(error, function.__name__)
            return None

    return call


class Reporter:
    """Writes the facts of one pipeline. Safe in threads; a forked or other process writes a journal of its own."""

    def __init__(self, definition: Definition, *, store: str | None = None) -> None:
        self.definition = definition
        self.store_url = store
        """As it was given; None = the configured one."""
        self._announced: str | None = None
        self._attempts: dict[tuple[str, str], str] = {}
        self._looked = -_LOOK_EVERY_S

    @property
    def session(self) -> state.Session | None:
        """The journal that the facts go to; None where nothing is recorded."""
        return state.session(self.store_url)

    # --- items -------------------------------------------------------------------------------------------------------

    @_recording
    def add(
        self,
        key: object,
        *,
        kind: object = None,
        date: object = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Make an item known, or add to what is known of it."""
        try:
            when = values.day(date)
            more = values.bounded(attributes) if attributes else None
        except ValueError as error:
            self._refuse(key, None, "add", str(error))
            return
        self._fact("item.add", key, kind=model_values.name(kind) if kind else None, date=when, attributes=more)

    @_recording
    def plan(
        self,
        key: object,
        *,
        add: Iterable[str] = (),
        group: str = "main",
        off: Iterable[str] = (),
        on: Iterable[str] = (),
    ) -> None:
        """Change which steps apply to an item."""
        names = _names(add)
        out, back = ([self._step_key(name) for name in _names(some)] for some in (off, on))
        for name in (*out, *back):
            if name not in self.definition:
                self._refuse(key, name, "plan", f"{self.definition.name} has no step {name!r}")
        out, back = ([name for name in some if name in self.definition] for some in (out, back))
        if names or out or back:
            self._fact(
                "item.plan",
                key,
                add=names or None,
                group=model_values.name(group) if names else None,
                off=out or None,
                on=back or None,
            )

    @_recording
    def skip_item(self, key: object, reason: object) -> None:
        """Skip all that is open of an item."""
        self._fact("item.skip", key, reason=model_values.text(reason, 4096))

    # --- steps -------------------------------------------------------------------------------------------------------

    def start(
        self, key: object, step: object, *, input_hash: object = None, ticket: Ticket | None = None, run: object = None
    ) -> str:
        """A step of an item begins.

        Args:
            key: the item.
            step: the step's key.
            input_hash: of what it works on; a completed step runs again only when this changed.
            ticket: of the claim, where it was claimed.
            run: run_id to name; the current run when None.

        Returns:
            The attempt's id.
        """
        attempt = ticket.attempt if ticket is not None else new_id()
        self._start(key, step, attempt, input_hash, ticket, run)
        return attempt

    @_recording
    def _start(
        self, key: object, step: object, attempt: str, input_hash: object, ticket: Ticket | None, run: object
    ) -> None:
        if run is None:
            here = current()
            run = here.run_id if here is not None and here.run_id else None
        name = self._step_key(step)
        self._attempts[model_values.name(key), name] = attempt
        self._fact(
            "step.start",
            key,
            run=run,
            step=name,
            att=attempt,
            hash=None if input_hash is None else model_values.name(input_hash),
            fence=ticket.fence if ticket is not None else None,
            claimed=ticket.claimed if ticket is not None else None,
        )

    @_recording
    def update(
        self,
        key: object,
        step: object,
        progress: object = None,
        metadata: Mapping[str, Any] | None = None,
        attempt: str | None = None,
    ) -> None:
        """Progress in percent and metadata of a running step. Bare progress is shown twice a second (P4)."""
        name = self._step_key(step)
        mine = attempt or self._attempts.get((model_values.name(key), name))
        percent = model_values.percent(progress)
        if progress is not None and percent is None:
            self._refuse(key, name, "update", f"progress {model_values.text(progress, 100)!r} is no percentage")
            return
        if not metadata:
            if percent is not None and not self._show(key, name, mine, percent):
                self._fact("step.update", key, step=name, att=mine, progress=percent)
            return
        try:
            more = values.bounded(metadata)
        except ValueError as error:
            self._refuse(key, name, "update", str(error))
            return
        self._fact("step.update", key, step=name, att=mine, progress=percent, meta=more)

    @_recording
    def end(
        self,
        key: object,
        step: object,
        status: ItemStatus,
        *,
        error: object = None,
        reason: object = None,
        permanent: bool | None = None,
        duration: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        attempt: str | None = None,
        ticket: Ticket | None = None,
    ) -> None:
        """A step of an item ends: ``completed``, ``failed``, ``skipped``, or ``pending`` where it is given back."""
        name = self._step_key(step)
        place = (model_values.name(key), name)
        mine = attempt or self._attempts.get(place)
        self._attempts.pop(place, None)
        more = None
        try:
            more = values.bounded(metadata) if metadata else None
        except ValueError as problem:
            self._refuse(key, name, "metadata", str(problem))  # the end itself must be told all the same
        session = self.session
        if session is not None:
            session.items.pop(self._slot_key(place), None)
        self._fact(
            "step.end",
            key,
            step=name,
            att=mine,
            status=status.value,
            error=None if error is None else model_values.text(error),
            reason=None if reason is None else model_values.text(reason, 4096),
            permanent=permanent or None,
            duration=model_values.real(duration),
            meta=more,
            fence=ticket.fence if ticket is not None else None,
            claimed=ticket.claimed if ticket is not None else None,
        )

    @_recording
    def event(self, key: object, step: object, kind: str, **fields: Any) -> None:
        """A line of the audit trail that changes nothing: ``message``, ``detail``, ``task_id``."""
        self._fact("step.event", key, step=None if step is None else self._step_key(step), kind=kind, **fields)

    @_recording
    def announce(self) -> None:
        """Tell the definition, if this journal does not have it yet."""
        session = self.session
        if session is not None:
            self._announce(session)

    # --- how it is written -------------------------------------------------------------------------------------------

    def _step_key(self, step: object) -> str:
        known = self.definition.step(step) if isinstance(step, str) else None
        # A step that is none here may have been added to this item by another process: the store decides.
        return known.key if known is not None else model_values.name(step)

    def _slot_key(self, place: tuple[str, str]) -> str:
        return "\x1f".join((self.definition.name, *place))

    def _show(self, key: object, step: str, attempt: str | None, percent: float) -> bool:
        """Put bare progress where the timer finds it; False where it must be told as a fact."""
        session = self.session
        if session is None:
            return True
        place = self._slot_key((values.key(key), step))
        if attempt is None or (place not in session.items and len(session.items) >= _SHOWN):
            return False
        session.items[place] = {"att": attempt, "p": percent}
        state.start_timer()
        return True

    def _refuse(self, key: object, step: str | None, what: str, reason: str) -> None:
        session = self.session
        if session is not None:
            self._announce(session)
            about: dict[str, Any] = {"step": step, "what": what, "reason": session.text(reason)}
            with suppress(ValueError):  # what can be no key makes no item either
                about["key"] = values.key(key)
            session.fact("refused", None, p=self.definition.name, **about)

    def _fact(self, what: str, key: object, /, run: object = None, **fields: Any) -> None:
        session = self.session
        if session is None:
            return
        try:
            name = values.key(key)
        except ValueError as error:
            self._refuse(key, fields.get("step"), what, str(error))
            return
        self._announce(session)
        for field in ("error", "reason", "message", "detail"):
            if fields.get(field) is not None:
                fields[field] = session.text(fields[field])
        for field in ("meta", "attributes"):
            if fields.get(field) is not None:
                fields[field] = redact_tree(fields[field], session.patterns)
        session.fact(what, None if run is None else str(run), p=self.definition.name, key=name, **fields)
        now = time.monotonic()
        if now - self._looked > _LOOK_EVERY_S:
            self._looked = now
            session.drainer()

    def _announce(self, session: state.Session) -> None:
        """Tell the definition once in each journal, before the first fact about it."""
        journal = session.writer.journal
        if journal is not None and journal == self._announced:
            return
        session.fact("pipeline", None, name=self.definition.name, steps=described(self.definition))
        self._announced = session.writer.journal


def described(definition: Definition) -> list[dict[str, Any]]:
    """The steps of a pipeline as the journal has them."""
    return [
        {
            "key": step.key,
            "label": step.label,
            "title": step.title,
            "short": step.short,
            "after": list(step.after) if step.after is not None else None,
            "weight": step.weight,
            "group": step.group,
            "optional": step.optional,
            "max_retries": step.max_retries,
            "aliases": list(step.aliases),
        }
        for step in definition.steps
    ]


def _names(given: Iterable[str]) -> list[str]:
    listed = [given] if isinstance(given, str) else list(given)
    return [model_values.name(name) for name in listed[:_STEPS]]
