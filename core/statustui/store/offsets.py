"""How far journals are applied: all that a reader needs before it looks, without what applying needs."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, or_, select

from statustui.store.open import Store
from statustui.store.schema import journals

_PART = 500
_OFFSETS = select(journals.c.journal, journals.c.offset).where(
    journals.c.journal.in_(bindparam("names", expanding=True))
)
_LOSSES = (
    select(
        journals.c.journal, journals.c.host, journals.c.skipped, journals.c.facts_dropped, journals.c.progress_dropped
    )
    .where(or_(journals.c.skipped > 0, journals.c.facts_dropped > 0, journals.c.progress_dropped > 0))
    .order_by(journals.c.seen_at.desc())
    .limit(1000)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Losses:
    """What of one journal did not come into the store (P6)."""

    journal: str
    host: str | None
    skipped: int
    """Lines that were not understood; they are kept aside."""
    facts_dropped: int
    """Facts that its writer could not write."""
    progress_dropped: int
    """The same of progress."""


def losses(store: Store) -> list[Losses]:
    """The journals of which something did not come into the store, the latest first, at most a thousand.

    Raises:
        StoreUnavailable: the store failed.
    """
    with store.read() as connection:
        return [Losses(**row) for row in connection.execute(_LOSSES).mappings()]


def acked(store: Store, names: Iterable[str]) -> dict[str, int]:
    """Offsets up to which journals have been applied; a journal never seen is left out.

    Raises:
        StoreUnavailable: the store failed.
    """
    wanted = sorted(set(names))
    found: dict[str, int] = {}
    with store.read() as connection:
        for start in range(0, len(wanted), _PART):
            part = {"names": wanted[start : start + _PART]}
            found.update({row[0]: row[1] for row in connection.execute(_OFFSETS, part)})
    return found
