"""Databases for one benchmark: an SQLite file in a temporary folder, a schema of its own on PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from bijlighar.base.errors import BijligharError
from bijlighar.runtime.schema import migrate
from bijlighar.storage.engine import Database


class NoSchema(BijligharError):
    """The database lets no schema be made for the benchmark."""

    code = "bench.no-schema"


@contextmanager
def sqlite_database() -> Iterator[Database]:
    """Open an SQLite database with every table in a temporary folder that is removed at the end."""
    with TemporaryDirectory(prefix="bijlighar-bench-") as folder:
        database = Database(f"sqlite:///{folder}/bench.sqlite")
        try:
            migrate(database)
            yield database
        finally:
            database.close()


@contextmanager
def postgres_database(url: str) -> Iterator[Database]:
    """
    Open a PostgreSQL database with every table in a schema of its own that is dropped at the end.

    The tables of the company in the same database are out of reach.

    :raises NoSchema: if the role may not make one.
    """
    owner = Database(url)
    owner.check()
    schema = f"bijlighar_bench_{uuid4().hex}"
    database = Database(url)
    event.listen(database.engine, "connect", lambda connection, _: _look_into(connection, schema))
    try:
        with owner.write() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    except DBAPIError as problem:
        owner.close()
        raise NoSchema(f"no schema can be made ({problem.orig}); grant CREATE on the database") from None
    try:
        migrate(database)
        yield database
    finally:
        database.close()
        with owner.write() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
        owner.close()


def _look_into(connection: Any, schema: str) -> None:  # noqa: ANN401 - the driver's own object
    with connection.cursor() as cursor:
        cursor.execute(f"SET search_path TO {schema}")
    connection.commit()
