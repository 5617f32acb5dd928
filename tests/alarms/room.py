"""The room on a small town: events come in, people acknowledge, the siren is driven."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from bijlighar.alarms import operations, queries
from bijlighar.alarms.errors import SirenUnreachable
from bijlighar.alarms.model import Activation, Alarm, AlarmState, AlarmTable, SirenStep
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.readings import operations as readings
from bijlighar.readings.model import MeterEvent
from bijlighar.storage.engine import Database
from tests.alarms.build import NOW
from tests.arrears.world import World


class FakeSiren:
    """A siren that remembers what it was told, and may be out of reach."""

    def __init__(self) -> None:
        self.told: list[tuple[bool, str, str, int]] = []
        self.in_reach = True

    async def set(self, *, on: bool, level: str, reason: str, lease_s: int) -> None:
        if not self.in_reach:
            raise SirenUnreachable("the wire is cut")
        self.told.append((on, level, reason, lease_s))

    async def probe(self) -> bool:
        return self.in_reach

    async def close(self) -> None:
        self.in_reach = False


@dataclass
class Room:
    world: World
    siren: FakeSiren = field(default_factory=FakeSiren)

    @property
    def database(self) -> Database:
        return self.world.database

    def employ(self, sign_in: str, *roles: Role, office: str) -> None:
        with self.database.write() as connection:
            offices.add_person(
                connection, sign_in=sign_in, name=sign_in.title(), office=office, roles=roles, now=NOW
            )

    def store(self, *events: MeterEvent) -> int:
        with self.database.write() as connection:
            return readings.append_events(connection, events=events, now=NOW)

    def watch(self, *, now: datetime = NOW, table: AlarmTable | None = None) -> int:
        return operations.watch(self.database, now=now, table=table)

    def tell(self, *events: MeterEvent) -> None:
        """Each event comes alone and is looked at."""
        for event in events:
            assert self.store(event) == 1
            assert self.watch() == 1

    def acknowledge(
        self, number: int = 1, person: str = "vijay", *, now: datetime = NOW, note: str = ""
    ) -> Alarm:
        return operations.acknowledge(self.database, number=number, person=person, now=now, note=note)

    def drive(self, *, now: datetime = NOW) -> SirenStep:
        return asyncio.run(operations.drive_siren(self.database, output=self.siren, now=now))

    def alarms(self, *states: AlarmState) -> tuple[Alarm, ...]:
        with self.database.read() as connection:
            return queries.alarms(connection, states=states or None)

    def alarm(self, number: int = 1) -> Alarm:
        with self.database.read() as connection:
            found = queries.alarm(connection, number=number)
        assert found is not None
        return found

    def state(self, number: int = 1) -> AlarmState:
        return self.alarm(number).state

    def siren_required(self) -> bool:
        with self.database.read() as connection:
            return queries.siren_required(connection)

    def pending(self) -> int:
        with self.database.read() as connection:
            return queries.pending(connection)

    def activations(self) -> tuple[Activation, ...]:
        with self.database.read() as connection:
            return queries.activations(connection)
