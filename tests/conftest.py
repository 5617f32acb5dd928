"""A real SQLite file and a database on a real PostgreSQL for every test that stores."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata
from tests.postgres import PostgresServer

SHARED = Path(__file__).parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/test.sqlite"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database() as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open database with every table."""
    opened = Database(database_url)
    metadata.create_all(opened.engine)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the shared test data; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"the shared test data is not there ({SHARED.name}/ beside the project's root)")
    return SHARED
