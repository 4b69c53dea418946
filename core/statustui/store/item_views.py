"""Views of items under the names and columns of people's own older schemas, so that their SQL keeps working."""

from sqlalchemy import Connection

# Not used here: whoever makes the views makes the tables too, and those are made from one MetaData that this fills.
from statustui.store import item_schema as item_schema

_DONE = "SUBSTR(i.states, s.slot + 1, 1) IN ('c', 's', 'x')"
_APPLIES = "SUBSTR(i.states, s.slot + 1, 1) NOT IN ('.', '')"
_STATUS = (
    "CASE SUBSTR(i.states, s.slot + 1, 1) WHEN 'c' THEN {c} WHEN 'f' THEN {f} WHEN 'w' THEN {w}"
    " WHEN 's' THEN 'skipped' WHEN 'x' THEN 'skipped' ELSE 'pending' END"
)
_WORDS = _STATUS.format(c="'completed'", f="'failed'", w="'processing'")
_OLDER_WORDS = _STATUS.format(c="'success'", f="'failure'", w="'in_progress'")

_STATISTICS = """
CREATE VIEW vw_stage_statistics AS
SELECT p.name AS pipeline, s.key AS stage_name, s.position,
    CAST(SUM(CASE WHEN c.status = 'pending' THEN c.n ELSE 0 END) AS BIGINT) AS pending_count,
    CAST(SUM(CASE WHEN c.status = 'processing' THEN c.n ELSE 0 END) AS BIGINT) AS processing_count,
    CAST(SUM(CASE WHEN c.status = 'completed' THEN c.n ELSE 0 END) AS BIGINT) AS completed_count,
    CAST(SUM(CASE WHEN c.status = 'failed' THEN c.n ELSE 0 END) AS BIGINT) AS failed_count,
    CAST(SUM(CASE WHEN c.status = 'skipped' THEN c.n ELSE 0 END) AS BIGINT) AS skipped_count,
    ROUND(CAST(SUM(c.duration_us) / 1000000.0 / NULLIF(SUM(CASE WHEN c.status = 'completed' THEN c.n ELSE 0 END), 0)
        AS NUMERIC), 3) AS avg_duration_seconds
FROM steps s
JOIN pipelines p ON p.id = s.pipeline
JOIN (SELECT pipeline, step, status, n, duration_us FROM step_totals
    UNION ALL SELECT pipeline, step, status, n, duration_us FROM step_deltas) c
    ON c.pipeline = s.pipeline AND c.step = s.id
GROUP BY p.name, s.key, s.position
"""

_DOCUMENTS = """
CREATE VIEW vw_documents_by_stage AS
SELECT i.id, i.key AS filename, p.name AS pipeline, i.status, c.key AS current_stage,
    (SELECT ROUND(CAST(100.0 * SUM(CASE WHEN {done} THEN s.weight ELSE 0 END) / NULLIF(SUM(s.weight), 0) AS NUMERIC), 2)
        FROM steps s WHERE s.pipeline = i.pipeline AND {applies}) AS progress_percentage,
    (SELECT {statuses} FROM steps s WHERE s.pipeline = i.pipeline AND {applies}) AS stage_status
FROM items i
JOIN pipelines p ON p.id = i.pipeline
LEFT JOIN steps c ON c.id = i.current_step
"""

_PROCESSING_STEPS = """
CREATE VIEW file_processing_steps AS
SELECT i.id * 1000 + s.slot AS id, i.id AS file_id, i.key AS file_key, p.name AS pipeline, s.key AS step_name,
    {words} AS status, t.started_at, t.completed_at, t.error AS error_message, i.created_at,
    COALESCE(t.updated_at, i.created_at) AS updated_at
FROM items i
JOIN pipelines p ON p.id = i.pipeline
JOIN steps s ON s.pipeline = i.pipeline AND {applies}
LEFT JOIN item_steps t ON t.item = i.id AND t.step = s.id
"""

_LOGS = """
CREATE VIEW processing_logs AS
SELECT e.id, e.item AS file_id, i.key AS file_key, p.name AS pipeline, e.task_id, s.key AS step_name, e.kind,
    CASE e.status WHEN 'completed' THEN 'success' WHEN 'failed' THEN 'failure' WHEN 'processing' THEN 'in_progress'
        ELSE e.status END AS status,
    e.message, e.detail, e.at AS "timestamp"
FROM events e
JOIN items i ON i.id = e.item
JOIN pipelines p ON p.id = i.pipeline
LEFT JOIN steps s ON s.id = e.step
"""

# SQLite lets no view use its JSON aggregates in a file that it does not trust (trusted_schema).
_STATUSES = {
    "sqlite": (
        "'{' || group_concat('\"' || REPLACE(REPLACE(s.key, '\\', '\\\\'), '\"', '\\\"') || '\":\"' || "
        + _WORDS
        + " || '\"', ',') || '}'"
    ),
    "postgresql": f"jsonb_object_agg(s.key, {_WORDS})",
}

ITEM_VIEWS = ("vw_stage_statistics", "vw_documents_by_stage", "file_processing_steps", "processing_logs")
"""Names of the views that are ours."""


def item_view_sql(dialect: str) -> tuple[str, ...]:
    """The statements that make the views in one kind of database."""
    return (
        _STATISTICS,
        _DOCUMENTS.format(done=_DONE, applies=_APPLIES, statuses=_STATUSES[dialect]),
        _PROCESSING_STEPS.format(applies=_APPLIES, words=_OLDER_WORDS),
        _LOGS,
    )


def create_item_views(connection: Connection) -> None:
    """Make the views in a fresh store."""
    for statement in item_view_sql(connection.dialect.name):
        connection.exec_driver_sql(statement)
