"""Views under the names and columns of people's own older schemas, so that their SQL keeps working."""

from sqlalchemy import Connection

from statustui.store.item_views import ITEM_VIEWS

# Not LEAST or MIN: one skips NULLs, the other does not, and neither name is in both databases.
_CUT = "ROUND(CAST(CASE WHEN {0} > 100 THEN 100 ELSE {0} END AS NUMERIC), 2)"
_PERCENT = _CUT.format("COALESCE(r.overall_percent, 100.0 * r.work_done / NULLIF(r.work_total, 0))")
_SUB_PERCENT = _CUT.format(
    "COALESCE(s.percent, CASE WHEN s.status IN ('completed', 'skipped') THEN 100.0"
    " ELSE 100.0 * s.items_complete / NULLIF(s.items_total, 0) END)"
)
_FILE = {
    "sqlite": "REPLACE({0}, RTRIM({0}, REPLACE({0}, '/', '')), '')",
    "postgresql": "REGEXP_REPLACE({0}, '^.*/', '')",
}
_PIPELINE_STATUS = """
CREATE VIEW pipeline_status AS
SELECT r.id AS execution_id, r.run_id, r.task AS task_name, r.task AS script_name, r.stage AS task_stage,
    r.stage AS category, r.type AS task_type, r.host AS hostname, r.pid AS process_id, r."user" AS user_name,
    r.script_path, {script_file} AS script_file, r.log_path, {log_file} AS log_file,
    r.started_at AS execution_start, r.ended_at AS execution_end, r.last_update,
    UPPER(r.status) AS execution_status, r.total_subtasks, r.current_subtask, s.name AS subtask_name,
    UPPER(s.status) AS subtask_status, {percent} AS overall_percent_complete,
    r.overall_message AS overall_progress_message, {sub_percent} AS subtask_percent_complete,
    s.message AS subtask_progress_message, s.items_total AS subtask_items_total,
    s.items_complete AS subtask_items_complete, r.rss_bytes / 1048576 AS memory_mb, r.cpu_percent,
    r.error_message, d.error_detail, r.git_commit, d.environment
FROM runs r
LEFT JOIN subtasks s ON s.run = r.id AND s.number = r.current_subtask
LEFT JOIN run_details d ON d.run = r.id
"""

VIEWS = ("pipeline_status", *ITEM_VIEWS)
"""Names of the views that are ours."""


def view_sql(dialect: str) -> str:
    """The statement that makes ``pipeline_status`` in one kind of database."""
    return _PIPELINE_STATUS.format(
        script_file=_FILE[dialect].format("r.script_path"),
        log_file=_FILE[dialect].format("r.log_path"),
        percent=_PERCENT,
        sub_percent=_SUB_PERCENT,
    )


def create_views(connection: Connection) -> None:
    """Make the views in a fresh store."""
    connection.exec_driver_sql(view_sql(connection.dialect.name))
