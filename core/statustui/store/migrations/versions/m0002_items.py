"""Items through steps: their tables, counters and views; events learn which item and step they are about."""

import sqlalchemy as sa
from alembic import op

from statustui.store.columns import Id, Json, RunId, UtcTime
from statustui.store.item_views import create_item_views

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the tables of items."""
    _events()
    _definitions()
    _items()
    _item_steps()
    _counters()
    create_item_views(op.get_bind())


def _events() -> None:
    op.add_column("events", sa.Column("pipeline", sa.BigInteger(), nullable=True))
    op.add_column("events", sa.Column("item", sa.BigInteger(), nullable=True))
    op.add_column("events", sa.Column("step", sa.BigInteger(), nullable=True))
    op.add_column("events", sa.Column("task_id", sa.Text(), nullable=True))
    _partial("ix_events_item", "events", ["item", "id"], "item IS NOT NULL")


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=False, sqlite_where=condition, postgresql_where=condition)


def _definitions() -> None:
    op.create_table(
        "pipelines",
        sa.Column("id", Id, sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rev", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("first_seen", UtcTime(), nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipelines")),
        sa.UniqueConstraint("name", name=op.f("uq_pipelines_name")),
        comment="Named sets of steps that items pass through",
    )
    op.create_table(
        "steps",
        sa.Column("id", Id, sa.Identity(always=False), nullable=False),
        sa.Column("pipeline", Id, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("label", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("short", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("title", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("weight", sa.Double(), server_default=sa.text("1"), nullable=False),
        sa.Column("after", Json, nullable=True),
        sa.Column("group", sa.Text(), server_default=sa.text("'main'"), nullable=False),
        sa.Column("optional", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("max_retries", sa.Integer(), nullable=True),
        sa.Column("aliases", Json, nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.ForeignKeyConstraint(["pipeline"], ["pipelines.id"], name=op.f("fk_steps_pipeline"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_steps")),
        sa.UniqueConstraint("pipeline", "key", name=op.f("uq_steps_key")),
        sa.UniqueConstraint("pipeline", "slot", name=op.f("uq_steps_slot")),
        comment="Steps of pipelines; position NULL: found later for single items; active false: out of the definition",
    )


def _items() -> None:
    op.create_table(
        "items",
        sa.Column("id", Id, sa.Identity(always=False), nullable=False),
        sa.Column("pipeline", Id, nullable=False),
        sa.Column("key", RunId, nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("states", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("date", sa.Date(), nullable=True),
        sa.Column("attributes", Json, nullable=True),
        sa.Column("current_step", sa.BigInteger(), nullable=True),
        sa.Column("error_step", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("failed_at", UtcTime(), nullable=True),
        sa.Column("retry_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("completed_at", UtcTime(), nullable=True),
        sa.Column("plan", Json, nullable=True),
        sa.Column("definition", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["pipeline"], ["pipelines.id"], name=op.f("fk_items_pipeline"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_items")),
        sa.UniqueConstraint("pipeline", "key", name=op.f("uq_items_key")),
        comment="Units of work; the status follows from the steps",
    )
    op.create_index("ix_items_status", "items", ["pipeline", "status", "key"], unique=False)
    op.create_index("ix_items_date", "items", ["pipeline", "date", "key"], unique=False)
    op.create_index("ix_items_updated", "items", ["pipeline", "updated_at", "id"], unique=False)
    op.create_index("ix_items_definition", "items", ["pipeline", "definition", "id"], unique=False)
    _partial("ix_items_failed", "items", ["pipeline", "failed_at", "date"], "failed_at IS NOT NULL")


def _item_steps() -> None:
    op.create_table(
        "item_steps",
        sa.Column("item", Id, autoincrement=False, nullable=False),
        sa.Column("step", Id, autoincrement=False, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("ready", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=True),
        sa.Column("attempt", sa.Text(), nullable=True),
        sa.Column("number", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("claimed_at", UtcTime(), nullable=True),
        sa.Column("lease_until", UtcTime(), nullable=True),
        sa.Column("started_at", UtcTime(), nullable=True),
        sa.Column("completed_at", UtcTime(), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("permanent", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("metadata", Json, nullable=True),
        sa.Column("run_id", RunId, nullable=True),
        sa.Column("input_hash", sa.Text(), nullable=True),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("history", Json, nullable=True),
        sa.ForeignKeyConstraint(["item"], ["items.id"], name=op.f("fk_item_steps_item"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["step"], ["steps.id"], name=op.f("fk_item_steps_step")),
        sa.PrimaryKeyConstraint("item", "step", name=op.f("pk_item_steps")),
        comment="Where each step of each item stands; history: earlier attempts and resets, where there are any",
    )
    _partial("ix_item_steps_ready", "item_steps", ["step", "item"], "ready")
    _partial("ix_item_steps_failed", "item_steps", ["step", "item"], "status = 'failed'")
    _partial("ix_item_steps_lease", "item_steps", ["lease_until"], "lease_until IS NOT NULL")
    _partial("ix_item_steps_run", "item_steps", ["run_id"], "run_id IS NOT NULL")


def _counters() -> None:
    op.create_table(
        "step_deltas",
        sa.Column("id", Id, sa.Identity(always=False), nullable=False),
        sa.Column("pipeline", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=True),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("duration_us", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("durations", Json, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_step_deltas")),
        comment="Changes of counters that are not yet in step_counts, step_totals and item_counts",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_step_deltas_pipeline", "step_deltas", ["pipeline"], unique=False)
    op.create_table(
        "step_counts",
        sa.Column("pipeline", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("duration_us", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("durations", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("pipeline", "period", "kind", "step", "status", name=op.f("pk_step_counts")),
        comment="Steps by the date of their items, once for each day (2025-01-02) and once for each month (2025-01)",
    )
    op.create_table(
        "step_totals",
        sa.Column("pipeline", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("duration_us", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("durations", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("pipeline", "kind", "step", "status", name=op.f("pk_step_totals")),
        comment="Steps by status, of all dates; the status ready is a part of pending",
    )
    op.create_table(
        "item_counts",
        sa.Column("pipeline", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "period", "kind", "status", name=op.f("pk_item_counts")),
        comment="Items by status, by day and by month of their date; period '': of all dates",
    )
