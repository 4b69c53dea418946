"""Bringing the tables of an older store up to date, by alembic. Imported only when there is something to do."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def config(connection: Connection) -> Config:
    """Alembic's configuration for an open connection; no ini file is needed."""
    made = Config()
    made.set_main_option("script_location", "statustui.store:migrations")
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run what is missing inside the present transaction."""
    command.upgrade(config(connection), revision)
