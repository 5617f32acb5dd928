"""A home and its line on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.storage.schema import metadata


@pytest.fixture
def home(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """An empty home."""
    monkeypatch.setenv("BIJLIGHAR_DATABASE", database_url)
    opened = Home(tmp_path / "home")
    metadata.create_all(
        opened.database.engine
    )  # what no migration has yet; another test holds them to the tables
    del opened.settings  # a test may set others before it asks for them
    yield opened
    opened.database.close()


@pytest.fixture
def line(home: Home) -> Line:
    """The line of the home."""
    return Line(home, worker="worker@test")
