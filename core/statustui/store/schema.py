"""The tables of the store. Their names and columns are a public contract: people read them with SQL."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    false,
    text,
)

from statustui.store.columns import Id, Json, RunId, UtcTime

SCHEMA_VERSION = 3
"""The schema that this version of the library makes and knows."""
MIN_READER = 1
"""The oldest schema version whose library can still read a store made by this one."""
MIN_WRITER = 1
"""The oldest schema version whose library may still write to a store made by this one."""
APPLICATION_ID = 0x73745549
"""``stUI``: what SQLite files of ours carry in their header."""

REVISION = "0003"
"""The migration that leads to this schema."""
REVISIONS = "schema_revision"
"""Table in which alembic keeps what it has run."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    comment="What the store is: schema version, min_reader, min_writer, a counter of people's changes",
)

revisions = Table(
    REVISIONS,
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{REVISIONS}_pkc"),
    comment="What alembic has run; of a name of our own, since the database may hold somebody else's alembic too",
)

hosts = Table(
    "hosts",
    metadata,
    Column("machine", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("user", Text),
    Column("boot_id", Text),
    Column("drainer_pid", Integer),
    Column("drainer_version", Text),
    Column("last_heard", UtcTime, nullable=False),
    Column("facts_dropped", BigInteger, nullable=False, server_default=text("0")),
    Column("progress_dropped", BigInteger, nullable=False, server_default=text("0")),
    # Raised by each batch, in the drainer's own row, so that drainers never wait for one another.
    Column("rev", BigInteger, nullable=False, server_default=text("0")),
    comment="Machines and users whose drainer has been heard of",
)

tasks = Table(
    "tasks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("stage", Text),
    Column("position", Integer),
    Column("expected_subtasks", Integer),
    Column("depends_on", Json),
    Column("schedule", Text),
    Column("registered", Boolean, nullable=False, server_default=false()),
    Column("grace_s", Double),
    Column("max_attempts", Integer),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_run", BigInteger),
    Column("last_started_at", UtcTime),
    Column("good_started_at", UtcTime),
    Column("runs", Integer, nullable=False, server_default=text("0")),
    Column("finished", Integer, nullable=False, server_default=text("0")),
    Column("durations", Json),
    Column("gaps", Json),
    Column("profiles", Json),
    Column("rev", Integer, nullable=False, server_default=text("0")),
    comment="Tasks ever seen or registered, with what their past runs tell",
)

runs = Table(
    "runs",
    metadata,
    Column("id", Id, Identity(), primary_key=True),
    Column("run_id", RunId, nullable=False, unique=True),
    Column("rev", Integer, nullable=False, server_default=text("0")),
    Column("task", Text, nullable=False),
    Column("task_rank", Integer, nullable=False, server_default=text("0")),
    Column("stage", Text),
    Column("type", Text),
    Column("args", Json),
    Column("label", Text),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    Column("retry_of", RunId),
    Column("parent_run_id", RunId),
    Column("machine", Text),
    Column("host", Text),
    Column("user", Text),
    Column("pid", Integer),
    Column("start_tick", BigInteger),
    Column("boot_id", Text),
    Column("pid_ns", BigInteger),
    Column("pgid", Integer),
    Column("script_path", Text),
    Column("cwd", Text),
    Column("log_path", Text),
    Column("log_inode", BigInteger),
    Column("log_start", BigInteger),
    Column("log_end", BigInteger),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("last_update", UtcTime, nullable=False),
    Column("last_progress_at", UtcTime),
    Column("duration_s", Double),
    Column("start_m", Double),
    Column("progress_m", Double),
    Column("longest_gap_s", Double),
    Column("total_subtasks", Integer),
    Column("planned", Boolean, nullable=False, server_default=false()),
    Column("subtasks_done", Integer, nullable=False, server_default=text("0")),
    Column("current_subtask", Integer),
    Column("work_done", Double, nullable=False, server_default=text("0")),
    Column("work_total", Double),
    Column("overall_percent", Double),
    Column("overall_message", Text),
    Column("cpu_percent", Double),
    Column("rss_bytes", BigInteger),
    Column("peak_rss_bytes", BigInteger),
    Column("read_bytes", BigInteger),
    Column("write_bytes", BigInteger),
    Column("connections", Integer),
    Column("processes", Integer),
    Column("sampled_at", UtcTime),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("error_subtask", Integer),
    Column("error_subtask_name", Text),
    Column("fingerprint", Text),
    Column("lost_reason", Text),
    Column("exit_code", Integer),
    Column("signal", Integer),
    Column("git_commit", Text),
    Column("tags", Json),
    Column("acked_by", Text),
    Column("acked_at", UtcTime),
    Column("grace_s", Double),
    Column("max_attempts", Integer),
    Column("wrapped", Boolean, nullable=False, server_default=false()),
    Column("owner_journal", Text),
    Column("inner_status", Text),
    Column("retried", Boolean, nullable=False, server_default=false()),
    Column("resolved", Boolean, nullable=False, server_default=false()),
    # ended_at of a bad end, until somebody acknowledges it or a later run makes it good: what *Needs you* reads.
    Column("attention_at", UtcTime),
    comment="Executions of tasks: what is now; how it came so stands in events",
    sqlite_autoincrement=True,
)
# Each answers one question of a monitor's refresh, and stays as small as its answer however long the history is.
Index("ix_runs_open", runs.c.id, sqlite_where=runs.c.ended_at.is_(None), postgresql_where=runs.c.ended_at.is_(None))
Index(
    "ix_runs_attention",
    runs.c.attention_at,
    sqlite_where=runs.c.attention_at.is_not(None),
    postgresql_where=runs.c.attention_at.is_not(None),
)
Index(
    "ix_runs_attention_task",
    runs.c.task,
    sqlite_where=runs.c.attention_at.is_not(None),
    postgresql_where=runs.c.attention_at.is_not(None),
)
Index(
    "ix_runs_ended",
    runs.c.ended_at,
    runs.c.status,
    sqlite_where=runs.c.ended_at.is_not(None),
    postgresql_where=runs.c.ended_at.is_not(None),
)
Index("ix_runs_task", runs.c.task, runs.c.id)
Index("ix_runs_started", runs.c.started_at)
Index("ix_runs_status", runs.c.status, runs.c.id)
Index(
    "ix_runs_retry_of",
    runs.c.retry_of,
    sqlite_where=runs.c.retry_of.is_not(None),
    postgresql_where=runs.c.retry_of.is_not(None),
)
Index(
    "ix_runs_parent",
    runs.c.parent_run_id,
    sqlite_where=runs.c.parent_run_id.is_not(None),
    postgresql_where=runs.c.parent_run_id.is_not(None),
)

# Apart from runs, whose rows stay short: lists and refreshes read those by the thousand, this one by one.
run_details = Table(
    "run_details",
    metadata,
    Column("run", Id, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("environment", Json),
    Column("params", Json),
    Column("metrics", Json),
    Column("error_detail", Text),
    Column("log_tail", Json),
    Column("samples", LargeBinary),
    Column("profile", Json),
    comment="The long parts of a run: environment, parameters, metrics, traceback, log tail, samples",
)

subtasks = Table(
    "subtasks",
    metadata,
    Column("run", Id, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("heading", Boolean, nullable=False, server_default=false()),
    Column("parent", Integer),
    Column("status", Text, nullable=False),
    Column("weight", Double, nullable=False, server_default=text("1")),
    Column("items_total", BigInteger),
    Column("items_complete", BigInteger),
    Column("unit", Text),
    Column("percent", Double),
    Column("message", Text),
    Column("inner", Json),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("start_m", Double),
    Column("duration_s", Double),
    Column("error", Text),
    Column("closed_by_run", Boolean, nullable=False, server_default=false()),
    comment="Numbered parts of runs",
)

events = Table(
    "events",
    metadata,
    Column("id", Id, Identity(), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("run", BigInteger),
    Column("task", Text),
    Column("kind", Text, nullable=False),
    Column("status", Text),
    Column("message", Text),
    Column("detail", Text),
    Column("actor", Text),
    Column("pipeline", BigInteger),
    Column("item", BigInteger),
    Column("step", BigInteger),
    Column("task_id", Text),
    comment="The audit trail: append-only",
    sqlite_autoincrement=True,
)
Index(
    "ix_events_run",
    events.c.run,
    events.c.id,
    sqlite_where=events.c.run.is_not(None),
    postgresql_where=events.c.run.is_not(None),
)
Index(
    "ix_events_item",
    events.c.item,
    events.c.id,
    sqlite_where=events.c.item.is_not(None),
    postgresql_where=events.c.item.is_not(None),
)
Index("ix_events_at", events.c.at)

requests = Table(
    "requests",
    metadata,
    Column("id", Id, Identity(), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("run_id", RunId, nullable=False),
    Column("machine", Text),
    Column("state", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_from", Text, nullable=False),
    Column("role", Text),
    Column("asked_at", UtcTime, nullable=False),
    Column("taken_at", UtcTime),
    Column("done_at", UtcTime),
    Column("kill_at", UtcTime),
    Column("reason", Text),
    Column("answer", Text),
    comment="What people asked for; the drainer of the run's owner carries it out or refuses",
    sqlite_autoincrement=True,
)
Index(
    "ix_requests_open",
    requests.c.machine,
    sqlite_where=requests.c.done_at.is_(None),
    postgresql_where=requests.c.done_at.is_(None),
)
Index("ix_requests_done", requests.c.done_at)
Index("ix_requests_run", requests.c.run_id)

journals = Table(
    "journals",
    metadata,
    Column("journal", Text, primary_key=True),
    Column("machine", Text),
    Column("host", Text),
    Column("user", Text),
    Column("uid", BigInteger),
    Column("pid", Integer),
    Column("start_tick", BigInteger),
    Column("boot_id", Text),
    Column("pid_ns", BigInteger),
    Column("role", Text),
    Column("lang", Text),
    Column("version", Text),
    Column("offset", BigInteger, nullable=False, server_default=text("0")),
    Column("counts", Json),
    Column("slot_m", Double),
    Column("closed", Boolean, nullable=False, server_default=false()),
    Column("facts_dropped", BigInteger, nullable=False, server_default=text("0")),
    Column("progress_dropped", BigInteger, nullable=False, server_default=text("0")),
    Column("skipped", BigInteger, nullable=False, server_default=text("0")),
    Column("seen_at", UtcTime, nullable=False),
    comment="How far each program's journal has been applied",
)
Index("ix_journals_seen", journals.c.seen_at)

# One row for each machine, so that drainers never wait for one another's counters.
run_counts = Table(
    "run_counts",
    metadata,
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("status", Text, primary_key=True),
    Column("machine", Text, primary_key=True),
    Column("n", BigInteger, nullable=False),
    comment="Ended runs by hour of their end (hours since 1970) and status; hour 0, status 'all': every run",
)
