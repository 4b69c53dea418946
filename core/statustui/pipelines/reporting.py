"""Reporting: what happens to items, as facts in the journal. Never raises, never waits (P1, P2).

What cannot be right from here (an unknown step, a date that is none, metadata without end) becomes a ``refused`` event
with its reason and changes nothing. What only the store can know (a completed step that is completed again) is
refused there.
"""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from statustui.model import values as model_values
from statustui.model.ids import new_id
from statustui.model.pipeline import Definition
from statustui.pipelines import values
from statustui.record import border, state
from statustui.record.run import current_run

_PROGRESS_EVERY_S = 0.5
_LOOK_EVERY_S = 5.0


class Reporter:
    """Writes the facts of one pipeline. Safe in threads; a forked or other process writes a journal of its own."""

    def __init__(self, definition: Definition, *, store: str | None = None) -> None:
        self.definition = definition
        self._store = store
        self._announced: str | None = None
        self._attempts: dict[tuple[str, str], str] = {}
        self._told: dict[tuple[str, str], float] = {}
        self._looked = -_LOOK_EVERY_S

    # --- items -------------------------------------------------------------------------------------------------------

    def add(
        self,
        key: object,
        *,
        kind: str | None = None,
        date: object = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Make an item known, or add to what is known of it."""
        try:
            when = values.day(date)
            more = self._bounded(attributes, "attributes")
        except ValueError as error:
            self._refuse(values.key(key), None, "add", str(error))
            return
        self._fact("item.add", key, kind=kind and model_values.name(kind), date=when, attributes=more or None)

    def plan(self, key: object, *, add: Iterable[str] = (), group: str = "main", off: Iterable[str] = ()) -> None:
        """Change which steps apply to an item."""
        names = [model_values.name(name) for name in add]
        out = [model_values.name(name) for name in off]
        for name in out:
            if name not in self.definition:
                self._refuse(values.key(key), name, "switch off", f"{self.definition.name} has no step {name!r}")
        out = [name for name in out if name in self.definition]
        if names or out:
            self._fact("item.plan", key, add=names or None, group=group if names else None, off=out or None)

    def skip_item(self, key: object, reason: str) -> None:
        """Skip all that is open of an item."""
        self._fact("item.skip", key, reason=model_values.text(reason, 4096))

    # --- steps -------------------------------------------------------------------------------------------------------

    def start(
        self, key: object, step: str, *, input_hash: str | None = None, claim: tuple[str, int, float] | None = None
    ) -> str:
        """A step of an item begins.

        Args:
            key: the item.
            step: the step's key.
            input_hash: of what it works on; a completed step runs again only when this changed.
            claim: (attempt, fence, store's clock) of a claim, where it was claimed.

        Returns:
            The attempt's id.
        """
        attempt = claim[0] if claim is not None else new_id()
        self._attempts[values.key(key), step] = attempt
        run = current_run.get()
        self._step(
            "step.start",
            key,
            step,
            att=attempt,
            run_id=run.run_id if run is not None and run.run_id else None,
            hash=input_hash,
            fence=claim[1] if claim is not None else None,
            claimed=claim[2] if claim is not None else None,
        )
        return attempt

    def update(
        self, key: object, step: str, progress: float | None, metadata: Mapping[str, Any], attempt: str | None = None
    ) -> None:
        """Progress in percent and metadata of a running step. Bare progress is told twice a second at most."""
        mine = attempt or self._attempts.get((values.key(key), step))
        percent = model_values.percent(progress) if progress is not None else None
        now = time.monotonic()
        place = (values.key(key), step)
        if not metadata and now - self._told.get(place, -1.0) < _PROGRESS_EVERY_S and percent != 100.0:
            return
        self._told[place] = now
        try:
            more = self._bounded(metadata, "metadata")
        except ValueError as error:
            self._refuse(values.key(key), step, "update", str(error))
            return
        self._step("step.update", key, step, att=mine, progress=percent, meta=more or None)

    def end(
        self,
        key: object,
        step: str,
        status: str,
        *,
        error: str | None = None,
        reason: str | None = None,
        permanent: bool | None = None,
        duration: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        attempt: str | None = None,
    ) -> None:
        """A step of an item ends: ``completed``, ``failed`` or ``skipped``."""
        place = (values.key(key), step)
        mine = attempt or self._attempts.get(place)
        self._attempts.pop(place, None)
        self._told.pop(place, None)
        try:
            more = self._bounded(metadata or {}, "metadata")
        except ValueError as problem:
            self._refuse(place[0], step, status, str(problem))
            more = None
        self._step(
            "step.end",
            key,
            step,
            att=mine,
            status=status,
            error=error,
            reason=reason,
            permanent=permanent or None,
            duration=duration,
            meta=more or None,
        )

    # --- how it is written -------------------------------------------------------------------------------------------

    def _bounded(self, given: Mapping[str, Any] | None, what: str) -> dict[str, Any]:
        if not given:
            return {}
        made: dict[str, Any] = values.plain(given)
        size = len(json.dumps(made))
        if size > values.METADATA_LIMIT:
            raise ValueError(f"{what} of {size:,} characters; at most {values.METADATA_LIMIT:,} are kept")
        return made

    def _step(self, kind: str, key: object, step: str, **fields: Any) -> None:
        known = self.definition.step(step) if isinstance(step, str) else None
        name = known.key if known is not None else model_values.name(step)
        # A step that is none here may have been added to this item by another process: the store decides.
        self._fact(kind, key, step=name, **fields)

    def _refuse(self, key: str, step: str | None, what: str, reason: str) -> None:
        self._fact("refused", key, step=step, what=what, reason=reason)

    def _fact(self, kind: str, key: object, **fields: Any) -> None:
        try:
            session = state.session(self._store)
            if session is None:
                return
            self._announce(session)
            if "error" in fields and fields["error"] is not None:
                fields["error"] = session.text(fields["error"])
            session.fact(kind, fields.pop("run_id", None), p=self.definition.name, key=values.key(key), **fields)
            self._see_to_the_drainer(session)
        except Exception as error:
            border.swallow(error, kind)

    def _see_to_the_drainer(self, session: state.Session) -> None:
        now = time.monotonic()
        if now - self._looked > _LOOK_EVERY_S:
            self._looked = now
            session.drainer()

    def _announce(self, session: state.Session) -> None:
        """Tell the definition once in each journal, before the first fact about it."""
        journal = session.writer.journal
        if journal is not None and journal == self._announced:
            return
        steps = [
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
            for step in self.definition.steps
        ]
        session.fact("pipeline", None, name=self.definition.name, steps=steps)
        self._announced = session.writer.journal
