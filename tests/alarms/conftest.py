"""A town without alarms."""

import pytest

from bijlighar.storage.engine import Database
from tests.alarms.room import Room
from tests.arrears.world import World


@pytest.fixture
def room(database: Database) -> Room:
    """Two accounts of the office MHOW, and the people of `tests.arrears.world`."""
    return Room(world=World(database=database).start(("N1", "N2")))
