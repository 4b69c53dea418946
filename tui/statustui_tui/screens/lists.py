"""Several lists on one screen that are walked through as if they were one."""

from collections.abc import Sequence

from statustui_tui.widgets.table import Table

_ENTERS = {"down": "top", "half_down": "top", "up": "end", "half_up": "end"}


def walkable(tables: Sequence[Table]) -> list[Table]:
    """Those on the screen that have a row to stand on."""
    return [table for table in tables if table.display and table.cursor_key is not None]


def move(tables: Sequence[Table], table: Table, how: str) -> Table:
    """Move the cursor of *table*, or that of its neighbour where it is at its end already.

    Returns:
        The list that keys go to from now on.
    """
    there = walkable(tables)
    at = table.model.index_of(table.cursor_key) if table.cursor_key is not None else None
    # The first row may be a heading, over which the cursor passes.
    first = 1 if len(table.model) and table.model.row(0).section else 0
    by = 0
    if how in ("down", "half_down") and at in (None, len(table.model) - 1):
        by = 1
    elif how in ("up", "half_up") and at in (None, first):
        by = -1
    place = there.index(table) if table in there else None
    other = there[0] if place is None and there else None
    if place is not None and by and 0 <= place + by < len(there):
        other = there[place + by]
    if other is None:
        table.move(how)
        return table
    other.move(_ENTERS.get(how, how))
    return other


def following(tables: Sequence[Table], table: Table) -> Table | None:
    """The next list in turn; None where there is no other."""
    others = [one for one in tables if one is table or one in walkable(tables)]
    if len(others) < 2:
        return None
    return others[(others.index(table) + 1) % len(others)]
