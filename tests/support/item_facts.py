"""Items for tests of the store: a small pipeline, its facts, and the rows that they lead to."""

from typing import Any

from sqlalchemy import select

from statustui.store import item_counts
from statustui.store.item_schema import item_steps, items, pipelines, steps
from statustui.store.open import Store
from support.stores import Journal, give

STEPS: list[dict[str, Any]] = [
    {"key": "scrape", "label": "1", "title": "Scraped"},
    {"key": "judge", "label": "2"},
    {"key": "photos", "label": "3.5", "after": ["scrape"], "optional": True},
    {"key": "market", "label": "9/10", "short": "9", "after": ["judge"], "weight": 2.0},
]


def define(journal: Journal, steps_told: list[dict[str, Any]] | None = None, name: str = "auctions") -> None:
    """Tell the definition."""
    journal.fact("pipeline", None, at=journal.clock, name=name, steps=STEPS if steps_told is None else steps_told)


class Told:
    """Short words for the facts of one journal about one pipeline."""

    def __init__(self, journal: Journal | None = None, *, name: str = "auctions", defined: bool = True) -> None:
        self.journal = journal or Journal()
        self.name = name
        if defined:
            define(self.journal, name=name)

    def add(self, key: str, **fields: Any) -> None:
        self.journal.fact("item.add", None, p=self.name, key=key, **fields)

    def plan(self, key: str, **fields: Any) -> None:
        self.journal.fact("item.plan", None, p=self.name, key=key, **fields)

    def skip_item(self, key: str, reason: str = "no such parcel", **fields: Any) -> None:
        self.journal.fact("item.skip", None, p=self.name, key=key, reason=reason, **fields)

    def start(self, key: str, step: str, att: str | None = None, **fields: Any) -> None:
        run = fields.pop("run", None)
        self.journal.fact("step.start", run, p=self.name, key=key, step=step, **_some(att=att), **fields)

    def update(self, key: str, step: str, att: str | None = None, **fields: Any) -> None:
        self.journal.fact("step.update", None, p=self.name, key=key, step=step, **_some(att=att), **fields)

    def end(self, key: str, step: str, status: str = "completed", att: str | None = None, **fields: Any) -> None:
        run = fields.pop("run", None)
        self.journal.fact("step.end", run, p=self.name, key=key, step=step, status=status, **_some(att=att), **fields)

    def reset(self, key: str, step: str, **fields: Any) -> None:
        self.journal.fact("step.reset", None, p=self.name, key=key, step=step, actor="etl@db1", **fields)

    def give(self, store: Store) -> None:
        give(store, self.journal)


def _some(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def states(store: Store, name: str = "auctions") -> dict[str, str]:
    """``states`` of each item by key."""
    with store.read() as connection:
        joined = items.join(pipelines, pipelines.c.id == items.c.pipeline)
        wanted = select(items.c.key, items.c.states).select_from(joined).where(pipelines.c.name == name)
        return {row.key: row.states for row in connection.execute(wanted)}


_ITEM = (
    "key", "status", "states", "kind", "date", "attributes", "error_step", "last_error", "failed_at", "retry_count",
    "created_at", "updated_at", "completed_at", "current_step",
)  # fmt: skip
_CELL = (
    "status", "ready", "attempt", "number", "started_at", "completed_at", "duration_s", "error", "permanent", "reason",
    "metadata", "run_id", "input_hash",
)  # fmt: skip


def picture(store: Store, name: str = "auctions") -> dict[str, dict[str, Any]]:
    """Everything that counts of all items and their steps, in a form that can be compared."""
    with store.read() as connection:
        keys = {row.id: row.key for row in connection.execute(select(steps.c.id, steps.c.key))}
        joined = select(steps.c.slot, steps.c.key).join(pipelines).where(pipelines.c.name == name)
        slots = {row.slot: row.key for row in connection.execute(joined)}
        found: dict[str, dict[str, Any]] = {}
        numbers: dict[int, str] = {}
        theirs = select(items).join(pipelines, pipelines.c.id == items.c.pipeline).where(pipelines.c.name == name)
        for row in connection.execute(theirs).mappings():
            numbers[row["id"]] = row["key"]
            one = {field: row[field] for field in _ITEM}
            one["letters"] = {slots[slot]: letter for slot, letter in enumerate(row["states"]) if letter != "."}
            for field in ("error_step", "current_step"):
                one[field] = keys.get(one[field])
            found[row["key"]] = one | {"steps": {}}
        for row in connection.execute(select(item_steps).where(item_steps.c.item.in_(list(numbers)))).mappings():
            cell = {field: row[field] for field in _CELL}
            if any(value not in (None, False, 0, "pending") for value in cell.values()):
                found[numbers[row["item"]]]["steps"][keys[row["step"]]] = cell
        return found


def sound(store: Store) -> None:
    """The counters are what counting gives, before and after they are folded."""
    assert item_counts.recount(store) == []
    while item_counts.fold_deltas(store):
        pass
    assert item_counts.recount(store) == []
