"""A town in which nothing has happened yet."""

import pytest

from bijlighar.storage.engine import Database
from tests.arrears.world import World


@pytest.fixture
def world(database: Database) -> World:
    return World(database=database)
