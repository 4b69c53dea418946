"""Failures of one kind by an index of their own; events of items no longer in the index of those of runs."""

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the indexes."""
    kinds = ["pipeline", "fingerprint", "error_step", "failed_at", "id"]
    failed, of_runs = sa.text("failed_at IS NOT NULL"), sa.text("run IS NOT NULL")
    op.create_index("ix_items_kind", "items", kinds, unique=False, sqlite_where=failed, postgresql_where=failed)
    op.drop_index("ix_events_run", "events")
    op.create_index(
        "ix_events_run", "events", ["run", "id"], unique=False, sqlite_where=of_runs, postgresql_where=of_runs
    )
