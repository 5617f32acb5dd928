"""The whole catalogue of tables: importing the rooms' doors registers them; the migrations bring a database to it."""

from sqlalchemy import MetaData

from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata


def catalogue() -> MetaData:
    """Return the catalogue with the tables of every room."""
    return metadata


def migrate(database: Database) -> None:
    """Bring the database to the newest schema."""
    catalogue().create_all(database.engine)
