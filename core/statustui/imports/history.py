"""A run history into the store: row by row, in batches, the same thing a second time changes nothing."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from statustui.imports.fields import BadRow, Reader
from statustui.imports.records import Row
from statustui.store import history
from statustui.store.history import Past
from statustui.store.open import Store

AT_ONCE = 10_000
"""Runs of one transaction: a drainer that writes too waits for no more than these."""
_TOLD = 1_000


@dataclass(slots=True)
class HistoryImport:
    """What an import of a history did, or would do."""

    rows: int = 0
    """Rows read."""
    new: int = 0
    """Runs that the store did not have."""
    known: int = 0
    """Runs that it had."""
    bad: int = 0
    """Rows that tell of no run that is over; left out."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Why, without what is particular to one row, with their number."""
    bad_rows: list[tuple[int, str]] = field(default_factory=list)
    """(line, reason) of the first thousand of them."""
    tasks: set[str] = field(default_factory=set)
    """Names of the tasks met."""
    stopped: bool = False
    """True when it stopped at the first bad row, as it was told to."""

    def refuse(self, line: int, reason: str) -> None:
        """Note a row that is left out."""
        self.bad += 1
        kind = reason.partition("'")[0].strip() if "'" in reason else reason
        if kind in self.reasons or len(self.reasons) < _TOLD:
            self.reasons[kind] = self.reasons.get(kind, 0) + 1
        if len(self.bad_rows) < _TOLD:
            self.bad_rows.append((line, reason))


def bring_in(
    rows: Iterable[Row],
    reader: Reader,
    store: Store | None,
    *,
    dry_run: bool = False,
    strict: bool = False,
    shown: Callable[[HistoryImport], None] = lambda told: None,
) -> HistoryImport:
    """Bring rows in.

    Args:
        rows: of a file, from :mod:`statustui.imports.records`.
        reader: makes runs of them.
        store: where to; None only with *dry_run*, where there is no store yet.
        dry_run: True writes nothing.
        strict: True stops at the first bad row.
        shown: called after each batch.

    Raises:
        StoreUnavailable: what was brought in so far stays; the same call again brings in the rest.
    """
    told = HistoryImport()
    batch: list[Past] = []
    for line, row in rows:
        told.rows += 1
        try:
            if isinstance(row, str):
                raise BadRow(row)
            past = reader.past(row)
        except BadRow as error:
            told.refuse(line, str(error))
            if strict:
                told.stopped = True
                break
            continue
        told.tasks.add(past.task)
        batch.append(past)
        if len(batch) >= AT_ONCE:
            _give(store, batch, told, dry_run)
            shown(told)
            batch = []
    if batch:
        _give(store, batch, told, dry_run)
    if store is not None and not dry_run:
        # Whoever was cut off after the last batch left this undone, so it is done although nothing is new.
        history.recount(store, told.tasks)
    shown(told)
    return told


def _give(store: Store | None, batch: list[Past], told: HistoryImport, dry_run: bool) -> None:
    if not dry_run and store is not None:
        stored = history.add(store, batch)
        told.new += stored.new
        told.known += stored.known
        return
    ids = {past.run_id for past in batch}
    there = history.known(store, ids) if store is not None else set()
    told.new += len(ids) - len(there)
    told.known += len(batch) - len(ids) + len(there)
