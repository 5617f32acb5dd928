"""
One code path to SQLite (embedded) and PostgreSQL (server).

A transaction is opened in one of two ways: `Database.write()` takes SQLite's single writer's place at once
(BEGIN IMMEDIATE), so that no transaction fails half-way on a lock it could not get; `Database.read()` sees one
snapshot and never blocks a writer.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, PoolProxiedConnection, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from bijlighar.storage.errors import UnusableDatabase

SQLITE_BUSY_TIMEOUT_MS = 60_000
SQLITE_ASK_AGAIN_S = 0.001
SQLITE_CACHE_KIB = 65_536
#: How long the log may grow before it is copied into the file: what is delivered and validated is copied once.
SQLITE_WAL_PAGES = 4_000
#: The part of SQLite's extended result code that is the primary one.
PRIMARY_CODE = 0xFF
POOL_SIZE = 8
POOL_OVERFLOW = 24
_WRITE = "bijlighar_write"


class Database:
    """An opened database: the only thing that hands out connections."""

    def __init__(self, url: str) -> None:
        """
        Open the database at `url` (SQLAlchemy form).

        :raises UnusableDatabase: if the URL cannot be understood or its driver is not installed.
        """
        self.url = url
        try:
            self.engine = _create_engine(url)
        except (ArgumentError, NoSuchModuleError, ImportError) as problem:
            raise UnusableDatabase(
                f"the database URL cannot be used ({problem}); write it like sqlite:////folder/bijlighar.sqlite "
                "or postgresql+psycopg://user@host/name (the latter needs the extra `postgres`)"
            ) from None

    @property
    def is_sqlite(self) -> bool:
        """Return whether the database is SQLite."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write; commit it at the end, roll it back on any error."""
        with self.engine.connect() as connection:
            connection = connection.execution_options(**{_WRITE: True})
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction for reading; nothing it might write is kept."""
        with self.engine.connect() as connection:
            transaction = connection.begin()
            try:
                yield connection
            finally:
                transaction.rollback()

    def check(self) -> None:
        """
        Ask the database for one row.

        :raises UnusableDatabase: if it does not answer.
        """
        try:
            with self.read() as connection:
                connection.exec_driver_sql("SELECT 1")
        except DBAPIError as problem:
            place = make_url(self.url).render_as_string(hide_password=True)
            raise UnusableDatabase(f"the database {place} does not answer: {problem.orig}") from None

    def changes(self) -> "ChangeMark":
        """Return a mark that tells cheaply whether anybody has committed anything since it was last asked."""
        return ChangeMark(self)

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


class ChangeMark:
    """
    Tells whether the database has changed, for those who poll; it holds one connection and belongs to one thread.

    SQLite counts the commits of other connections (`data_version`); PostgreSQL's write position moves with each.
    """

    def __init__(self, database: Database) -> None:
        """Take a connection."""
        self._database = database
        self._connection: PoolProxiedConnection | None = database.engine.raw_connection()
        self._question = (
            "PRAGMA data_version" if database.is_sqlite else "SELECT pg_current_wal_insert_lsn()::text"
        )
        self._is_sqlite = database.is_sqlite
        self._last: object = None

    def has_moved(self) -> bool:
        """
        Return whether anything was committed since the last call; True at the first.

        A connection that was lost (a database that started anew) is thrown away, and the next call takes another.

        :raises DBAPIError: if the database does not answer now.
        """
        if self._connection is None:
            self._connection = self._database.engine.raw_connection()
            self._last = None
        try:
            mark = self._ask(self._connection)
        except Exception:
            self._connection.invalidate()
            self._connection = None
            raise
        moved: bool = mark != self._last
        self._last = mark
        return moved

    def _ask(self, connection: PoolProxiedConnection) -> object:
        cursor = connection.cursor()
        try:
            cursor.execute(self._question)
            mark: object = next(iter(cursor.fetchone() or ()), None)
        finally:
            cursor.close()
        if not self._is_sqlite:
            connection.rollback()
        return mark

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def is_to_write(connection: Connection) -> bool:
    """Return whether a connection's transaction may write, so that it may read what is never committed."""
    return bool(connection.get_execution_options().get(_WRITE, False))


def _create_engine(url: str) -> Engine:
    if make_url(url).get_backend_name() == "sqlite":
        if not make_url(url).database:
            raise ArgumentError("SQLite needs a file here: several processes share it")
        engine = create_engine(url, pool_size=POOL_SIZE, max_overflow=POOL_OVERFLOW)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        connect_args={"options": "-c timezone=UTC", "prepare_threshold": 2},
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:  # noqa: ANN401 - the driver's own object
    connection.isolation_level = None  # the driver shall not begin by itself: _begin_sqlite does
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}",
        f"cache_size = -{SQLITE_CACHE_KIB}",
        "temp_store = MEMORY",
        f"wal_autocheckpoint = {SQLITE_WAL_PAGES}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    if not is_to_write(connection):
        connection.exec_driver_sql("BEGIN")
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        until = time.monotonic() + SQLITE_BUSY_TIMEOUT_MS / 1000
        while not _begins(driver):
            if time.monotonic() > until:
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # the error of this one tells
                return
            time.sleep(SQLITE_ASK_AGAIN_S)
    finally:
        driver.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}")


def _begins(driver: Any) -> bool:  # noqa: ANN401 - the driver's own object
    """
    Begin to write and return True, unless somebody else writes now.

    SQLite's own waiting sleeps up to 100 ms between two tries and starves beside a busy writer. Asking each
    millisecond costs 2 % of a processor while it lasts.
    """
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as problem:
        if problem.sqlite_errorcode & PRIMARY_CODE != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True
