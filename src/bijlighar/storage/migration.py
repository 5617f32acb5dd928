"""Bring a database to the newest schema, in one transaction, whoever else tries at the same time."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import MetaData

from bijlighar.storage.engine import Database
from bijlighar.storage.errors import StorageError

SCRIPTS = Path(__file__).parent / "migrations"
POSTGRES_LOCK = 0x62696A6C  # one number for all who migrate


class UnknownSchema(StorageError):
    """The database was made by a newer release."""

    code = "storage.unknown-schema"


def upgrade(database: Database, *, catalogue: MetaData) -> None:
    """
    Bring the database to the newest schema; do nothing where it is there already.

    :raises UnknownSchema: if the database was made by a newer release than this one.
    """
    config = configuration(catalogue=catalogue)
    newest = ScriptDirectory.from_config(config).get_current_head()
    with database.read() as connection:
        if MigrationContext.configure(connection).get_current_revision() == newest:
            return
    with database.write() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRES_LOCK})")
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError:
            raise UnknownSchema(
                "the database was made by a newer release of bijlighar; install that release, or restore a copy "
                "of the database made before it"
            ) from None


def configuration(*, catalogue: MetaData) -> Config:
    """Return Alembic's configuration for the scripts of the package."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["catalogue"] = catalogue
    return config
