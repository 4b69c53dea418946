"""Changes of the schema from version to version, for alembic; a fresh store is made without them."""
