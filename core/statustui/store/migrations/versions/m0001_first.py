"""The first schema."""

import sqlalchemy as sa
from alembic import op

from statustui.store.columns import Id, Json, RunId, UtcTime
from statustui.store.postgres import ROLE_GUARD
from statustui.store.views import create_views

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "events",
        sa.Column("id", Id, sa.Identity(always=False), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=True),
        sa.Column("task", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        comment="The audit trail: append-only",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_at", "events", ["at"], unique=False)
    op.create_index("ix_events_run", "events", ["run", "id"], unique=False)
    op.create_table(
        "hosts",
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=True),
        sa.Column("boot_id", sa.Text(), nullable=True),
        sa.Column("drainer_pid", sa.Integer(), nullable=True),
        sa.Column("drainer_version", sa.Text(), nullable=True),
        sa.Column("last_heard", UtcTime(), nullable=False),
        sa.Column("facts_dropped", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("progress_dropped", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rev", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("machine", name=op.f("pk_hosts")),
        comment="Machines and users whose drainer has been heard of",
    )
    op.create_table(
        "journals",
        sa.Column("journal", sa.Text(), nullable=False),
        sa.Column("machine", sa.Text(), nullable=True),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("user", sa.Text(), nullable=True),
        sa.Column("uid", sa.BigInteger(), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("start_tick", sa.BigInteger(), nullable=True),
        sa.Column("boot_id", sa.Text(), nullable=True),
        sa.Column("pid_ns", sa.BigInteger(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("lang", sa.Text(), nullable=True),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("offset", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("counts", Json, nullable=True),
        sa.Column("slot_m", sa.Double(), nullable=True),
        sa.Column("closed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("facts_dropped", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("progress_dropped", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("skipped", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("seen_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("journal", name=op.f("pk_journals")),
        comment="How far each program's journal has been applied",
    )
    op.create_index("ix_journals_seen", "journals", ["seen_at"], unique=False)
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
        comment="What the store is: schema version, min_reader, min_writer, a counter of people's changes",
    )
    op.create_table(
        "requests",
        sa.Column("id", Id, sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("run_id", RunId, nullable=False),
        sa.Column("machine", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_from", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("asked_at", UtcTime(), nullable=False),
        sa.Column("taken_at", UtcTime(), nullable=True),
        sa.Column("done_at", UtcTime(), nullable=True),
        sa.Column("kill_at", UtcTime(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
        comment="What people asked for; the drainer of the run's owner carries it out or refuses",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_requests_done", "requests", ["done_at"], unique=False)
    op.create_index(
        "ix_requests_open",
        "requests",
        ["machine"],
        unique=False,
        sqlite_where=sa.text("done_at IS NULL"),
        postgresql_where=sa.text("done_at IS NULL"),
    )
    op.create_index("ix_requests_run", "requests", ["run_id"], unique=False)
    op.create_table(
        "run_counts",
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "status", "machine", name=op.f("pk_run_counts")),
        comment="Ended runs by hour of their end (hours since 1970) and status; hour 0, status 'all': every run",
    )
    op.create_table(
        "runs",
        sa.Column("id", Id, sa.Identity(always=False), nullable=False),
        sa.Column("run_id", RunId, nullable=False),
        sa.Column("rev", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("task_rank", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("args", Json, nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("retry_of", RunId, nullable=True),
        sa.Column("parent_run_id", RunId, nullable=True),
        sa.Column("machine", sa.Text(), nullable=True),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("user", sa.Text(), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("start_tick", sa.BigInteger(), nullable=True),
        sa.Column("boot_id", sa.Text(), nullable=True),
        sa.Column("pid_ns", sa.BigInteger(), nullable=True),
        sa.Column("pgid", sa.Integer(), nullable=True),
        sa.Column("script_path", sa.Text(), nullable=True),
        sa.Column("cwd", sa.Text(), nullable=True),
        sa.Column("log_path", sa.Text(), nullable=True),
        sa.Column("log_inode", sa.BigInteger(), nullable=True),
        sa.Column("log_start", sa.BigInteger(), nullable=True),
        sa.Column("log_end", sa.BigInteger(), nullable=True),
        sa.Column("started_at", UtcTime(), nullable=False),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.Column("last_update", UtcTime(), nullable=False),
        sa.Column("last_progress_at", UtcTime(), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.Column("start_m", sa.Double(), nullable=True),
        sa.Column("progress_m", sa.Double(), nullable=True),
        sa.Column("longest_gap_s", sa.Double(), nullable=True),
        sa.Column("total_subtasks", sa.Integer(), nullable=True),
        sa.Column("planned", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("subtasks_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("current_subtask", sa.Integer(), nullable=True),
        sa.Column("work_done", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("work_total", sa.Double(), nullable=True),
        sa.Column("overall_percent", sa.Double(), nullable=True),
        sa.Column("overall_message", sa.Text(), nullable=True),
        sa.Column("cpu_percent", sa.Double(), nullable=True),
        sa.Column("rss_bytes", sa.BigInteger(), nullable=True),
        sa.Column("peak_rss_bytes", sa.BigInteger(), nullable=True),
        sa.Column("read_bytes", sa.BigInteger(), nullable=True),
        sa.Column("write_bytes", sa.BigInteger(), nullable=True),
        sa.Column("connections", sa.Integer(), nullable=True),
        sa.Column("processes", sa.Integer(), nullable=True),
        sa.Column("sampled_at", UtcTime(), nullable=True),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_subtask", sa.Integer(), nullable=True),
        sa.Column("error_subtask_name", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("lost_reason", sa.Text(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("signal", sa.Integer(), nullable=True),
        sa.Column("git_commit", sa.Text(), nullable=True),
        sa.Column("tags", Json, nullable=True),
        sa.Column("acked_by", sa.Text(), nullable=True),
        sa.Column("acked_at", UtcTime(), nullable=True),
        sa.Column("grace_s", sa.Double(), nullable=True),
        sa.Column("max_attempts", sa.Integer(), nullable=True),
        sa.Column("wrapped", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("owner_journal", sa.Text(), nullable=True),
        sa.Column("inner_status", sa.Text(), nullable=True),
        sa.Column("retried", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("resolved", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("attention_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("run_id", name=op.f("uq_runs_run_id")),
        comment="Executions of tasks: what is now; how it came so stands in events",
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_runs_attention",
        "runs",
        ["attention_at"],
        unique=False,
        sqlite_where=sa.text("attention_at IS NOT NULL"),
        postgresql_where=sa.text("attention_at IS NOT NULL"),
    )
    op.create_index(
        "ix_runs_attention_task",
        "runs",
        ["task"],
        unique=False,
        sqlite_where=sa.text("attention_at IS NOT NULL"),
        postgresql_where=sa.text("attention_at IS NOT NULL"),
    )
    op.create_index(
        "ix_runs_ended",
        "runs",
        ["ended_at", "status"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NOT NULL"),
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )
    op.create_index(
        "ix_runs_open",
        "runs",
        ["id"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_runs_parent",
        "runs",
        ["parent_run_id"],
        unique=False,
        sqlite_where=sa.text("parent_run_id IS NOT NULL"),
        postgresql_where=sa.text("parent_run_id IS NOT NULL"),
    )
    op.create_index(
        "ix_runs_retry_of",
        "runs",
        ["retry_of"],
        unique=False,
        sqlite_where=sa.text("retry_of IS NOT NULL"),
        postgresql_where=sa.text("retry_of IS NOT NULL"),
    )
    op.create_index("ix_runs_started", "runs", ["started_at"], unique=False)
    op.create_index("ix_runs_status", "runs", ["status", "id"], unique=False)
    op.create_index("ix_runs_task", "runs", ["task", "id"], unique=False)
    op.create_table(
        "tasks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("expected_subtasks", sa.Integer(), nullable=True),
        sa.Column("depends_on", Json, nullable=True),
        sa.Column("schedule", sa.Text(), nullable=True),
        sa.Column("registered", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("grace_s", sa.Double(), nullable=True),
        sa.Column("max_attempts", sa.Integer(), nullable=True),
        sa.Column("first_seen", UtcTime(), nullable=False),
        sa.Column("last_run", sa.BigInteger(), nullable=True),
        sa.Column("last_started_at", UtcTime(), nullable=True),
        sa.Column("good_started_at", UtcTime(), nullable=True),
        sa.Column("runs", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("finished", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("durations", Json, nullable=True),
        sa.Column("gaps", Json, nullable=True),
        sa.Column("profiles", Json, nullable=True),
        sa.Column("rev", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tasks")),
        comment="Tasks ever seen or registered, with what their past runs tell",
    )
    op.create_table(
        "run_details",
        sa.Column("run", Id, autoincrement=False, nullable=False),
        sa.Column("environment", Json, nullable=True),
        sa.Column("params", Json, nullable=True),
        sa.Column("metrics", Json, nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("log_tail", Json, nullable=True),
        sa.Column("samples", sa.LargeBinary(), nullable=True),
        sa.Column("profile", Json, nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_run_details_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_run_details")),
        comment="The long parts of a run: environment, parameters, metrics, traceback, log tail, samples",
    )
    op.create_table(
        "subtasks",
        sa.Column("run", Id, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("heading", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("weight", sa.Double(), server_default=sa.text("1"), nullable=False),
        sa.Column("items_total", sa.BigInteger(), nullable=True),
        sa.Column("items_complete", sa.BigInteger(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("percent", sa.Double(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("inner", Json, nullable=True),
        sa.Column("started_at", UtcTime(), nullable=True),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.Column("start_m", sa.Double(), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("closed_by_run", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_subtasks_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "number", name=op.f("pk_subtasks")),
        comment="Numbered parts of runs",
    )
    create_views(op.get_bind())
    if op.get_bind().dialect.name == "postgresql":
        for statement in ROLE_GUARD:
            op.execute(statement)
