"""When the siren is called for, and what is kept of it; the siren itself is a fake."""

import asyncio
from datetime import datetime

from bijlighar.alarms import operations, queries
from bijlighar.alarms.model import (
    SIREN_SOURCE,
    SIREN_UNREACHABLE_CODE,
    AlarmState,
    Priority,
    SirenSettings,
    SirenStep,
)
from bijlighar.alarms.mqtt import MqttSiren, NoSiren
from bijlighar.alarms.operations import LEASE_S
from bijlighar.storage import sequences
from bijlighar.storage.engine import Database
from tests.alarms.build import COVER, HOUR, MAGNET_OVER, MINUTE, NOW, OVERLOAD, event
from tests.alarms.room import Room

MAGNET_REASON = "1: Magnet influence, M-N1"
CALLED, QUIET = (True, "P1", MAGNET_REASON, LEASE_S), (False, "P1", "", LEASE_S)
OUT_OF_REACH = SirenStep(required=False, reached=False)


class StillClock:
    """A clock that stands."""

    def now(self) -> datetime:
        return NOW


def is_behind(database: Database) -> bool:
    with database.read() as connection:
        return queries.siren_behind(connection)


class TestDriveSiren:
    def test_is_still_where_nothing_calls(self, room: Room):
        room.tell(event(OVERLOAD))

        assert room.drive() == SirenStep(required=False, reached=True)
        assert room.siren.told == [QUIET]
        assert room.activations() == ()

    def test_keeps_when_the_siren_began_and_ended_and_why(self, room: Room):
        room.tell(event())
        assert is_behind(room.database)
        assert room.drive(now=NOW) == SirenStep(required=True, reached=True)
        assert not is_behind(room.database)
        (begun,) = room.activations()
        room.acknowledge()
        assert is_behind(room.database)
        assert room.drive(now=NOW + HOUR) == SirenStep(required=False, reached=True)
        (ended,) = room.activations()

        assert (begun.alarm, begun.reason) == (1, MAGNET_REASON)
        assert (begun.started_at, begun.ended_at) == (NOW, None)
        assert (ended.started_at, ended.ended_at) == (NOW, NOW + HOUR)
        assert room.siren.told == [CALLED, QUIET]

    def test_goes_on_when_the_cause_is_over(self, room: Room):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW + MINUTE))

        assert room.drive().required
        assert room.siren.told == [CALLED]

    def test_repeats_itself_without_a_second_activation(self, room: Room):
        room.tell(event())
        for _ in range(3):
            room.drive()

        assert room.siren.told == [CALLED] * 3
        assert len(room.activations()) == 1

    def test_stays_one_activation_from_the_first_alarm_to_the_last(self, room: Room):
        room.tell(event())
        room.drive(now=NOW)
        room.tell(event(COVER, meter="M-N2"))
        room.drive(now=NOW + MINUTE)
        room.acknowledge(1)
        room.drive(now=NOW + 2 * MINUTE)
        room.acknowledge(2)
        room.drive(now=NOW + 3 * MINUTE)

        (kept,) = room.activations()
        assert (kept.alarm, kept.started_at, kept.ended_at) == (1, NOW, NOW + 3 * MINUTE)
        assert [reason for _, _, reason, _ in room.siren.told] == [
            MAGNET_REASON,
            f"{MAGNET_REASON} (+1)",
            "2: Meter cover opened, M-N2",
            "",
        ]

    def test_begins_anew_for_what_comes_later(self, room: Room):
        room.tell(event(COVER))
        room.drive()
        room.acknowledge()
        room.drive()
        room.tell(event(COVER, at=NOW + HOUR))
        room.drive(now=NOW + HOUR)

        assert [(kept.number, kept.ended_at) for kept in room.activations()] == [(2, None), (1, NOW)]
        with room.database.read() as connection:
            assert queries.count_activations(connection) == 2


class TestSirenOutOfReach:
    def test_is_an_alarm_of_its_own(self, room: Room):
        room.siren.in_reach = False

        assert room.drive(now=NOW) == OUT_OF_REACH

        (alarm,) = room.alarms()
        assert (alarm.source, alarm.code) == (SIREN_SOURCE, SIREN_UNREACHABLE_CODE)
        assert (alarm.priority, alarm.state) == (Priority.P2, AlarmState.UNACKNOWLEDGED)
        assert (alarm.first_at, alarm.office, alarm.account) == (NOW, None, None)
        assert alarm.words.en == "the siren does not take what it is told"

    def test_stops_neither_the_alarms_nor_what_is_kept_of_the_siren(self, room: Room):
        room.siren.in_reach = False
        room.drive(now=NOW)
        room.tell(event())

        assert room.drive(now=NOW + MINUTE) == SirenStep(required=True, reached=False)
        assert [kept.started_at for kept in room.activations()] == [NOW + MINUTE]
        room.siren.in_reach = True
        room.drive()
        assert [reason for _, _, reason, _ in room.siren.told] == ["2: Magnet influence, M-N1"]

    def test_is_counted_once_for_as_long_as_it_lasts(self, room: Room):
        room.siren.in_reach = False
        for second in range(5):
            room.drive(now=NOW + second * MINUTE)

        assert room.alarm().count == 1

    def test_is_cleared_when_it_is_reached_again_and_waits_for_a_person(self, room: Room):
        room.siren.in_reach = False
        room.drive(now=NOW)
        room.siren.in_reach = True
        room.drive(now=NOW + MINUTE)
        room.drive(now=NOW + HOUR)

        assert (room.state(), room.alarm().returned_at) == (AlarmState.CLEARED, NOW + MINUTE)
        assert room.acknowledge().state is AlarmState.NORMAL

    def test_stays_acknowledged_while_it_lasts_and_then_ends(self, room: Room):
        room.siren.in_reach = False
        room.drive(now=NOW)
        room.acknowledge()
        room.drive(now=NOW + MINUTE)

        assert (room.state(), room.alarm().count) == (AlarmState.ACKNOWLEDGED, 1)
        room.siren.in_reach = True
        room.drive(now=NOW + HOUR)
        assert (room.state(), room.alarm().returned_at) == (AlarmState.NORMAL, NOW + HOUR)

    def test_is_counted_again_when_it_is_lost_again(self, room: Room):
        for hour in range(2):
            room.siren.in_reach = False
            room.drive(now=NOW + hour * HOUR)
            room.siren.in_reach = True
            room.drive(now=NOW + hour * HOUR + MINUTE)

        (alarm,) = room.alarms()
        assert (alarm.state, alarm.count) == (AlarmState.CLEARED, 2)
        assert (alarm.first_at, alarm.last_at) == (NOW, NOW + HOUR)


class TestOpenSiren:
    def test_has_no_siren_without_a_host(self):
        siren = operations.open_siren(SirenSettings(host=""), clock=StillClock())

        async def scenario() -> bool:
            await siren.set(on=True, level="P1", reason=MAGNET_REASON, lease_s=LEASE_S)
            reached = await siren.probe()
            await siren.close()
            return reached

        assert isinstance(siren, NoSiren)
        assert asyncio.run(scenario()) is False

    def test_keeps_the_password_out_of_sight(self):
        settings = SirenSettings(host="siren.local", password="howl")

        assert isinstance(operations.open_siren(settings, clock=StillClock()), MqttSiren)
        assert "howl" not in repr(settings)


class TestQueries:
    def test_show_the_most_urgent_first_and_the_newest_of_them(self, room: Room):
        room.tell(event(OVERLOAD), event(), event(COVER, meter="M-N2"), event(203))
        room.acknowledge(2)
        room.tell(event(MAGNET_OVER, at=NOW + MINUTE))

        with room.database.read() as connection:
            open_alarms = queries.open_alarms(connection)
            assert [alarm.number for alarm in open_alarms] == [3, 4, 1]
            assert [alarm.number for alarm in queries.open_alarms(connection, limit=2)] == [3, 4]
            assert [alarm.number for alarm in queries.alarms(connection)] == [3, 2, 4, 1]
            assert [alarm.number for alarm in queries.alarms(connection, source="M-N2")] == [3]
            normal = queries.alarms(connection, states=(AlarmState.NORMAL,))
            assert [alarm.number for alarm in normal] == [2]
            assert queries.alarm(connection, number=9) is None

    def test_count_what_there_ever_was(self, room: Room):
        room.tell(event(OVERLOAD), event(), event(COVER))

        with room.database.read() as connection:
            assert queries.count(connection) == 3
            assert queries.count(connection, priorities=(Priority.P1,)) == 2
            assert queries.count(connection, priorities=(Priority.P2,)) == 0

    def test_tell_how_many_events_wait(self, room: Room):
        assert room.pending() == 0
        room.store(event(), event(COVER))
        assert room.pending() == 2
        with room.database.write() as connection:
            sequences.raise_watermark(connection, reader=queries.READER, seen=9)
        assert room.pending() == 0, "never below nothing"
