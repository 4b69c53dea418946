"""Run by alembic: works on the open connection that ``store.migrate`` hands over, inside its transaction."""

from alembic import context

from statustui.store.schema import REVISIONS, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=REVISIONS,
    render_as_batch=True,
    transaction_per_migration=False,
    transactional_ddl=False,  # The transaction is the caller's.
)
context.run_migrations()
