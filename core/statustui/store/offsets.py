"""How far journals are applied: all that a reader needs before it looks, without what applying needs."""

from collections.abc import Iterable

from sqlalchemy import bindparam, select

from statustui.store.open import Store
from statustui.store.schema import journals

_PART = 500
_OFFSETS = select(journals.c.journal, journals.c.offset).where(
    journals.c.journal.in_(bindparam("names", expanding=True))
)


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
