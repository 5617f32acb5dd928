"""A real SQLite file and a database on a real PostgreSQL for every test that stores."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bijlighar.runtime.schema import migrate
from bijlighar.storage.engine import Database
from tests.postgres import PostgresServer

SHARED = Path(__file__).parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with every table and no row, to be copied."""
    file = tmp_path_factory.mktemp("template") / "empty.sqlite"
    made = Database(f"sqlite:///{file}")
    migrate(made)
    with made.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    made.close()
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each of the two databases in turn."""
    return str(request.param)


@pytest.fixture
def empty_database_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path}/test.sqlite"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database() as url:
        yield url


@pytest.fixture
def database_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with every table and no row."""
    if backend == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "test.sqlite")
        yield f"sqlite:///{tmp_path}/test.sqlite"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.emptied_database() as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open database with every table."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the shared test data; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"the shared test data is not there ({SHARED.name}/ beside the project's root)")
    return SHARED
