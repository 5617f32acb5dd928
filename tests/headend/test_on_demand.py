"""A reading that a person asks for, against a simulated town in its own process."""

import asyncio
from datetime import datetime, timedelta

import pytest

from bijlighar.headend import operations, queries
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.on_demand_store import AskedReading, AskedState, UnknownReading
from bijlighar.registry.errors import UnknownEndDevice
from bijlighar.runtime.clock import wall
from bijlighar.storage.engine import Database
from tests.headend.test_simulated_town import town
from tests.simulator.towns import MIDNIGHT, TownProcess, relay_meter

__all__ = ["town"]

NOON = MIDNIGHT + timedelta(hours=12)


def ask(database: Database, meter: str, *, now: datetime = NOON) -> AskedReading:
    with database.write() as connection:
        return operations.ask_reading(connection, meter=meter, person="asha", now=now)


def read(database: Database, head_end: HeadEnd, number: int, *, now: datetime = NOON) -> AskedReading:
    asyncio.run(operations.read_asked(database, now=now, wall=wall(), head_end=head_end))
    with database.read() as connection:
        assert queries.pending_asked(connection, now=now) == 0
        return queries.asked_reading(connection, number=number)


class TestReadAsked:
    def test_tells_the_values_and_the_relay_of_the_meter(
        self, database: Database, head_end: HeadEnd, town: TownProcess
    ):
        assert town.town is not None
        serial = relay_meter(town.town).serial
        town.control.set_time(NOON)
        asked = ask(database, serial)

        found = read(database, head_end, asked.number)

        assert (found.state, found.problem, found.person) == (AskedState.READ, "", "asha")
        assert found.answer is not None
        assert found.answer["profile"]["serial"] == serial
        (row,) = found.answer["profile"]["rows"]
        assert 180 < row["1.0.12.7.0.255"] < 270, "the voltage that a home has"
        assert found.answer["relay"]["output_state"] is True
        with database.read() as connection:
            assert queries.relay_belief(connection)[serial] is True

    def test_says_why_it_failed_and_stops_nothing(
        self, database: Database, head_end: HeadEnd, town: TownProcess
    ):
        assert town.town is not None
        serial = relay_meter(town.town).serial
        asked = ask(database, serial)
        town.kill()

        found = read(database, head_end, asked.number)

        assert (found.state, found.answer) == (AskedState.FAILED, None)
        assert "cannot be reached" in found.problem


class TestAskReading:
    def test_asks_a_meter_once_while_nobody_has_answered(self, database: Database, town: TownProcess):
        assert town.town is not None
        serial = relay_meter(town.town).serial
        first = ask(database, serial)
        assert ask(database, serial) == first
        later = ask(database, serial, now=NOON + timedelta(hours=1))
        assert later.number != first.number
        with database.read() as connection:
            assert queries.asked_readings(connection, meter=serial) == (later, first)

    def test_refuses_what_nobody_knows(self, database: Database):
        with pytest.raises(UnknownEndDevice):
            ask(database, "NO-SUCH")
        with database.read() as connection, pytest.raises(UnknownReading, match="ask for the meter"):
            queries.asked_reading(connection, number=1)
