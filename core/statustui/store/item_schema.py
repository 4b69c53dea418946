"""The tables of items through steps. Their names and columns are a public contract, like those of ``store.schema``."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

from statustui.store.columns import Id, Json, RunId, UtcTime
from statustui.store.schema import metadata

pipelines = Table(
    "pipelines",
    metadata,
    Column("id", Id, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    # Raised by each change of the definition; items derived from an older one are brought up to date by it.
    Column("rev", Integer, nullable=False, server_default=text("0")),
    Column("first_seen", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    comment="Named sets of steps that items pass through",
)

# A step keeps its number for ever: a new key is written here, and neither items nor counters change.
steps = Table(
    "steps",
    metadata,
    Column("id", Id, Identity(), primary_key=True),
    Column("pipeline", Id, ForeignKey("pipelines.id", ondelete="CASCADE"), nullable=False),
    Column("key", Text, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("position", Integer),
    Column("label", Text, nullable=False, server_default=text("''")),
    Column("short", Text, nullable=False, server_default=text("''")),
    Column("title", Text, nullable=False, server_default=text("''")),
    Column("weight", Double, nullable=False, server_default=text("1")),
    Column("after", Json),
    Column("group", Text, nullable=False, server_default=text("'main'")),
    Column("optional", Boolean, nullable=False, server_default=false()),
    Column("max_retries", Integer),
    Column("aliases", Json),
    Column("active", Boolean, nullable=False, server_default=true()),
    UniqueConstraint("pipeline", "key", name="uq_steps_key"),
    UniqueConstraint("pipeline", "slot", name="uq_steps_slot"),
    comment="Steps of pipelines; position NULL: found later for single items; active false: out of the definition",
)

items = Table(
    "items",
    metadata,
    Column("id", Id, Identity(), primary_key=True),
    Column("pipeline", Id, ForeignKey("pipelines.id", ondelete="CASCADE"), nullable=False),
    Column("key", RunId, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'pending'")),
    # One letter for each step, at the step's slot: . does not apply, p pending, r ready, w processing, c completed,
    # f failed, s skipped, x skipped with the whole item.
    Column("states", Text, nullable=False, server_default=text("''")),
    Column("kind", Text),
    Column("date", Date),
    Column("attributes", Json),
    Column("current_step", BigInteger),
    Column("error_step", BigInteger),
    Column("last_error", Text),
    Column("fingerprint", Text),
    Column("failed_at", UtcTime),
    Column("retry_count", Integer, nullable=False, server_default=text("0")),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("completed_at", UtcTime),
    Column("plan", Json),
    Column("definition", Integer, nullable=False, server_default=text("0")),
    UniqueConstraint("pipeline", "key", name="uq_items_key"),
    comment="Units of work; the status follows from the steps",
)
Index("ix_items_status", items.c.pipeline, items.c.status, items.c.key)
Index("ix_items_date", items.c.pipeline, items.c.date, items.c.key)
Index("ix_items_updated", items.c.pipeline, items.c.updated_at, items.c.id)
Index(
    "ix_items_failed",
    items.c.pipeline,
    items.c.failed_at,
    items.c.date,
    sqlite_where=items.c.failed_at.is_not(None),
    postgresql_where=items.c.failed_at.is_not(None),
)
# By kind of failure: what fails the same way is counted, listed and acted on together.
Index(
    "ix_items_kind",
    items.c.pipeline,
    items.c.fingerprint,
    items.c.error_step,
    items.c.failed_at,
    items.c.id,
    sqlite_where=items.c.failed_at.is_not(None),
    postgresql_where=items.c.failed_at.is_not(None),
)
# By revision, so that items that an older definition derived are found without reading the others.
Index("ix_items_definition", items.c.pipeline, items.c.definition, items.c.id)

# A row is made when a step becomes ready or is touched: a million items that wait cost no twelve million rows.
item_steps = Table(
    "item_steps",
    metadata,
    Column("item", Id, ForeignKey("items.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("step", Id, ForeignKey("steps.id"), primary_key=True, autoincrement=False),
    Column("status", Text, nullable=False),
    Column("ready", Boolean, nullable=False, server_default=false()),
    Column("progress", Double),
    Column("attempt", Text),
    Column("number", Integer, nullable=False, server_default=text("0")),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("owner", Text),
    Column("claimed_at", UtcTime),
    Column("lease_until", UtcTime),
    Column("started_at", UtcTime),
    Column("completed_at", UtcTime),
    Column("duration_s", Double),
    Column("error", Text),
    Column("fingerprint", Text),
    Column("permanent", Boolean, nullable=False, server_default=false()),
    Column("reason", Text),
    Column("metadata", Json),
    Column("run_id", RunId),
    Column("input_hash", Text),
    Column("updated_at", UtcTime, nullable=False),
    Column("history", Json),
    comment="Where each step of each item stands; history: earlier attempts and resets, where there are any",
)
Index(
    "ix_item_steps_ready",
    item_steps.c.step,
    item_steps.c.item,
    sqlite_where=item_steps.c.ready,
    postgresql_where=item_steps.c.ready,
)
Index(
    "ix_item_steps_failed",
    item_steps.c.step,
    item_steps.c.item,
    sqlite_where=item_steps.c.status == "failed",
    postgresql_where=item_steps.c.status == "failed",
)
Index(
    "ix_item_steps_lease",
    item_steps.c.lease_until,
    sqlite_where=item_steps.c.lease_until.is_not(None),
    postgresql_where=item_steps.c.lease_until.is_not(None),
)
Index(
    "ix_item_steps_run",
    item_steps.c.run_id,
    sqlite_where=item_steps.c.run_id.is_not(None),
    postgresql_where=item_steps.c.run_id.is_not(None),
)

# Writers only append here, so that hosts never wait for one another's counters; a drainer folds them.
step_deltas = Table(
    "step_deltas",
    metadata,
    Column("id", Id, Identity(), primary_key=True),
    Column("pipeline", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("date", Date),
    # 0: of items, not of a step.
    Column("step", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("duration_us", BigInteger, nullable=False, server_default=text("0")),
    Column("durations", Json),
    comment="Changes of counters that are not yet in step_counts, step_totals and item_counts",
    sqlite_autoincrement=True,
)
Index("ix_step_deltas_pipeline", step_deltas.c.pipeline)

step_counts = Table(
    "step_counts",
    metadata,
    Column("pipeline", BigInteger, primary_key=True, autoincrement=False),
    Column("period", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("status", Text, primary_key=True),
    Column("n", BigInteger, nullable=False),
    Column("duration_us", BigInteger, nullable=False, server_default=text("0")),
    Column("durations", LargeBinary),
    comment="Steps by the date of their items, once for each day (2025-01-02) and once for each month (2025-01)",
)

step_totals = Table(
    "step_totals",
    metadata,
    Column("pipeline", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("status", Text, primary_key=True),
    Column("n", BigInteger, nullable=False),
    Column("duration_us", BigInteger, nullable=False, server_default=text("0")),
    Column("durations", LargeBinary),
    comment="Steps by status, of all dates; the status ready is a part of pending",
)

item_counts = Table(
    "item_counts",
    metadata,
    Column("pipeline", BigInteger, primary_key=True, autoincrement=False),
    Column("period", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("status", Text, primary_key=True),
    Column("n", BigInteger, nullable=False),
    comment="Items by status, by day and by month of their date; period '': of all dates",
)
