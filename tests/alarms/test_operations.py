import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from bijlighar.alarms import operations
from bijlighar.alarms.errors import AlreadyAcknowledged, UnknownAlarm
from bijlighar.alarms.model import AlarmState, Priority
from bijlighar.alarms.operations import NOTE_MAX, shipped_table
from bijlighar.offices import queries as offices
from bijlighar.offices.errors import NotPermitted, UnknownPerson
from bijlighar.offices.model import ROLES_OF_ACT, Act, AuditEntry, Role
from bijlighar.registry import operations as registry
from bijlighar.registry.model import EndDevice, MeterType
from tests.alarms.build import (
    COVER,
    HOUR,
    MAGNET,
    MAGNET_OVER,
    MINUTE,
    NOW,
    OVERLOAD,
    POWER_FAILURE,
    event,
)
from tests.alarms.room import Room

WEEK = timedelta(days=7)


def audit(room: Room, subject: str = "alarm 1") -> tuple[AuditEntry, ...]:
    with room.database.read() as connection:
        assert offices.check_audit(connection).broken_at is None
        return offices.audit(connection, limit=10, subject=subject)


class Crash(Exception):
    """The process dies here."""


class CrashingPriorities(dict[int, Priority]):
    """The process dies when it looks for the code of an opened cover."""

    def get(self, code: int, default: object = None) -> Priority | None:  # type: ignore[override]
        if code == COVER:
            raise Crash
        return super().get(code)


class SlowPriorities(dict[int, Priority]):
    """Who looks for a code takes long enough for another to look as well."""

    def get(self, code: int, default: object = None) -> Priority | None:  # type: ignore[override]
        time.sleep(0.1)
        return super().get(code)


class TestWatch:
    def test_makes_a_tamper_an_alarm_of_the_meters_office(self, room: Room):
        room.store(event(at=NOW))

        assert room.watch(now=NOW + HOUR) == 1

        (alarm,) = room.alarms()
        assert (alarm.number, alarm.source, alarm.code) == (1, "M-N1", MAGNET)
        assert (alarm.priority, alarm.state, alarm.count) == (Priority.P1, AlarmState.UNACKNOWLEDGED, 1)
        assert (alarm.office, alarm.account) == ("MHOW", "N1")
        assert (alarm.first_at, alarm.last_at, alarm.raised_at) == (NOW, NOW, NOW + HOUR)
        assert (alarm.returned_at, alarm.acknowledged_by, alarm.acknowledged_at) == (None, None, None)
        assert alarm.words.en == "Magnet influence"
        assert room.siren_required()

    def test_counts_what_repeats_and_doubles_nothing(self, room: Room):
        room.tell(event(at=NOW), event(at=NOW + HOUR), event(at=NOW - HOUR))
        assert room.store(event(at=NOW)) == 0

        (alarm,) = room.alarms()
        assert alarm.count == 3
        assert (alarm.first_at, alarm.last_at) == (NOW - HOUR, NOW + HOUR)

    def test_keeps_meters_and_kinds_apart(self, room: Room):
        room.tell(event(), event(COVER), event(meter="M-N2"))

        assert {(alarm.source, alarm.code, alarm.count) for alarm in room.alarms()} == {
            ("M-N1", MAGNET, 1),
            ("M-N1", COVER, 1),
            ("M-N2", MAGNET, 1),
        }

    def test_clears_what_is_over_and_does_not_silence_it(self, room: Room):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW + MINUTE))

        alarm = room.alarm()
        assert (alarm.state, alarm.returned_at) == (AlarmState.CLEARED, NOW + MINUTE)
        assert room.siren_required()

    def test_ends_an_acknowledged_alarm_when_it_is_over(self, room: Room):
        room.tell(event(at=NOW))
        room.acknowledge()
        room.tell(event(MAGNET_OVER, at=NOW + MINUTE))

        assert room.state() is AlarmState.NORMAL
        assert room.alarm().acknowledged_by == "vijay"

    def test_begins_a_new_alarm_after_the_end_of_the_last(self, room: Room):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW + MINUTE))
        room.acknowledge()
        room.tell(event(at=NOW + HOUR))

        assert [(alarm.number, alarm.state) for alarm in room.alarms()] == [
            (2, AlarmState.UNACKNOWLEDGED),
            (1, AlarmState.NORMAL),
        ]

    def test_takes_an_end_that_is_older_than_the_last_occurrence_for_an_earlier_one(self, room: Room):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW - MINUTE))

        assert room.state() is AlarmState.UNACKNOWLEDGED
        assert room.alarm().returned_at is None

    def test_leaves_over_what_is_told_late(self, room: Room):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW + HOUR), event(at=NOW + MINUTE))

        alarm = room.alarm()
        assert (alarm.state, alarm.count, alarm.returned_at) == (AlarmState.CLEARED, 2, NOW + HOUR)

    def test_takes_up_again_what_was_over(self, room: Room):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW + HOUR), event(at=NOW + 2 * HOUR))

        alarm = room.alarm()
        assert (alarm.state, alarm.count, alarm.returned_at) == (AlarmState.UNACKNOWLEDGED, 2, None)

    def test_calls_again_for_what_recurs_after_it_was_acknowledged(self, room: Room):
        room.tell(event(COVER, at=NOW))
        room.acknowledge()
        assert not room.siren_required()
        room.tell(event(COVER, at=NOW + HOUR))

        alarm = room.alarm()
        assert (alarm.state, alarm.count) == (AlarmState.UNACKNOWLEDGED, 2)
        assert (alarm.acknowledged_by, alarm.acknowledged_at) == (None, None)
        assert room.siren_required()

    def test_does_not_call_again_for_what_was_acknowledged_and_is_still_there(self, room: Room):
        room.tell(event(at=NOW))
        room.acknowledge()
        room.tell(event(at=NOW + HOUR))

        alarm = room.alarm()
        assert (alarm.state, alarm.count) == (AlarmState.ACKNOWLEDGED, 2)
        assert alarm.acknowledged_by == "vijay"
        assert not room.siren_required()

    def test_makes_what_is_long_past_silent(self, room: Room):
        old = NOW - WEEK - MINUTE
        room.tell(event(at=old, received_at=NOW), event(meter="M-N2", at=NOW - WEEK, received_at=NOW))

        assert [(alarm.source, alarm.priority) for alarm in room.alarms()] == [
            ("M-N2", Priority.P1),
            ("M-N1", Priority.P3),
        ]

    def test_calls_for_what_is_new_though_the_old_was_acknowledged_in_silence(self, room: Room):
        room.tell(event(at=NOW - 2 * WEEK, received_at=NOW))
        assert not room.siren_required()
        room.acknowledge()
        room.tell(event(at=NOW))

        alarm = room.alarm()
        assert (alarm.priority, alarm.state) == (Priority.P1, AlarmState.UNACKNOWLEDGED)
        assert alarm.acknowledged_by is None
        assert room.siren_required()

    def test_never_makes_a_loud_alarm_silent(self, room: Room):
        room.tell(event(at=NOW), event(at=NOW - 2 * WEEK, received_at=NOW))

        assert room.alarm().priority is Priority.P1

    def test_raises_none_for_what_the_table_does_not_name(self, room: Room):
        room.tell(event(POWER_FAILURE), event(MAGNET_OVER), event(9_999))

        assert room.alarms() == ()
        assert room.pending() == 0

    def test_shows_an_overload_and_leaves_the_siren_still(self, room: Room):
        room.tell(event(OVERLOAD))

        assert room.alarm().priority is Priority.P3
        assert not room.siren_required()

    def test_raises_an_alarm_of_a_meter_that_hangs_nowhere(self, room: Room):
        room.tell(event(meter="STRAY"))

        alarm = room.alarm()
        assert (alarm.source, alarm.office, alarm.account) == ("STRAY", None, None)

    def test_knows_where_a_meter_hung_that_was_taken_down(self, room: Room):
        with room.database.write() as connection:
            registry.take_down_meter(connection, usage_point="UP-N1", meter="M-N1", at=NOW)
            new = EndDevice(serial="M-9", meter_type=MeterType.SINGLE_PHASE)
            registry.hang_meter(connection, usage_point="UP-N1", device=new, at=NOW)
        room.tell(event(meter="M-N1", at=NOW - HOUR), event(meter="M-N1", at=NOW + HOUR), event(meter="M-9"))

        assert {alarm.source: (alarm.count, alarm.account) for alarm in room.alarms()} == {
            "M-N1": (2, "N1"),
            "M-9": (1, "N1"),
        }

    def test_looks_at_each_event_once(self, room: Room):
        room.store(event(), event(COVER))

        assert room.pending() == 2
        assert [room.watch(), room.watch()] == [2, 0]
        assert room.pending() == 0
        assert [alarm.count for alarm in room.alarms()] == [1, 1]

    def test_takes_no_more_than_its_share_at_a_time(self, room: Room, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(operations, "EVENTS_PER_RUN", 2)
        room.store(*(event(at=NOW + minute * MINUTE) for minute in range(5)))

        assert [room.watch() for _ in range(4)] == [2, 2, 1, 0]
        assert room.alarm().count == 5

    def test_loses_nothing_and_doubles_nothing_when_it_dies_half_way(self, room: Room):
        room.store(event(at=NOW), event(COVER, at=NOW + MINUTE))
        table = shipped_table()
        crashing = replace(table, priorities=CrashingPriorities(table.priorities))

        with pytest.raises(Crash):
            room.watch(table=crashing)

        assert room.alarms() == ()
        assert room.pending() == 2
        assert room.watch() == 2
        assert {(alarm.code, alarm.count) for alarm in room.alarms()} == {(MAGNET, 1), (COVER, 1)}

    def test_counts_each_event_once_though_two_watch(self, room: Room):
        room.tell(event(at=NOW))
        room.store(*(event(at=NOW + minute * MINUTE) for minute in range(1, 4)))
        table = shipped_table()
        slow = replace(table, priorities=SlowPriorities(table.priorities))
        both = threading.Barrier(2)

        def watch() -> int:
            both.wait(10)
            return room.watch(table=slow)

        with ThreadPoolExecutor(2) as pool:
            counts = [future.result() for future in (pool.submit(watch), pool.submit(watch))]

        assert sorted(counts) == [0, 3]
        assert room.alarm().count == 4


class TestAcknowledge:
    def test_takes_the_alarm_in_a_persons_name(self, room: Room):
        room.tell(event())

        alarm = room.acknowledge(now=NOW + HOUR, note="  squad\n sent ")

        assert alarm == room.alarm()
        assert (alarm.state, alarm.note) == (AlarmState.ACKNOWLEDGED, "squad sent")
        assert (alarm.acknowledged_by, alarm.acknowledged_at) == ("vijay", NOW + HOUR)
        assert not room.siren_required()

    def test_writes_it_into_the_audit(self, room: Room):
        room.tell(event())
        room.acknowledge(now=NOW + HOUR, note="squad sent")

        (entry,) = audit(room)
        assert (entry.person, entry.act, entry.at) == ("vijay", Act.ACKNOWLEDGE_ALARM, NOW + HOUR)
        assert entry.detail == '{"code":201,"note":"squad sent","source":"M-N1"}'

    def test_ends_an_alarm_that_is_over(self, room: Room):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW + MINUTE))

        assert room.acknowledge().state is AlarmState.NORMAL
        assert not room.siren_required()

    def test_leaves_the_siren_to_the_other_alarms(self, room: Room):
        room.tell(event(), event(meter="M-N2"))
        room.acknowledge(1)
        assert room.siren_required()
        room.acknowledge(2)
        assert not room.siren_required()

    def test_cuts_a_note_that_is_too_long(self, room: Room):
        room.tell(event())

        assert room.acknowledge(note="न" * (NOTE_MAX + 1)).note == "न" * NOTE_MAX

    def test_asks_for_one_of_three_roles(self, room: Room):
        allowed = {Role.OPERATOR, Role.THEFT_OFFICER, Role.ENGINEER}
        assert ROLES_OF_ACT[Act.ACKNOWLEDGE_ALARM] == allowed
        room.tell(event(COVER))
        for role in sorted(set(Role) - allowed):
            room.employ(f"a-{role}", role, office="MHOW")
            with pytest.raises(NotPermitted):
                room.acknowledge(person=f"a-{role}")
        assert room.state() is AlarmState.UNACKNOWLEDGED
        assert audit(room) == ()

        for place, role in enumerate(sorted(allowed), start=1):
            room.employ(f"a-{role}", role, office="MHOW")
            assert room.acknowledge(person=f"a-{role}").acknowledged_by == f"a-{role}"
            room.tell(event(COVER, at=NOW + place * HOUR))

    def test_asks_for_somebody_of_the_office_or_above_it(self, room: Room):
        room.tell(event())
        room.employ("neighbour", Role.OPERATOR, office="DEPALPUR")

        with pytest.raises(NotPermitted):
            room.acknowledge(person="neighbour")

        assert room.state() is AlarmState.UNACKNOWLEDGED
        assert audit(room) == ()
        assert room.acknowledge(person="vijay").acknowledged_by == "vijay", "of the circle above"

    def test_lets_every_office_take_what_belongs_to_none(self, room: Room):
        room.tell(event(meter="STRAY"))
        room.employ("neighbour", Role.OPERATOR, office="DEPALPUR")

        assert room.acknowledge(person="neighbour").acknowledged_by == "neighbour"

    def test_refuses_who_is_no_person(self, room: Room):
        room.tell(event())

        with pytest.raises(UnknownPerson):
            room.acknowledge(person="nobody")

    @pytest.mark.parametrize("second", ["meera", "vijay"])
    def test_refuses_who_comes_second_and_names_the_first(self, room: Room, second: str):
        room.tell(event())
        room.acknowledge(now=NOW)

        with pytest.raises(AlreadyAcknowledged, match="alarm 1 was acknowledged by vijay already"):
            room.acknowledge(person=second, now=NOW + HOUR, note="me too")

        assert (room.alarm().acknowledged_at, room.alarm().note) == (NOW, "")
        assert len(audit(room)) == 1

    def test_refuses_it_also_when_the_alarm_has_ended(self, room: Room):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW + MINUTE))
        room.acknowledge()

        with pytest.raises(AlreadyAcknowledged):
            room.acknowledge(person="meera")

    def test_refuses_an_unknown_alarm(self, room: Room):
        with pytest.raises(UnknownAlarm, match="there is no alarm 7; `bijlighar alarm list` names them"):
            room.acknowledge(7)

    def test_lets_one_of_two_be_first(self, room: Room):
        room.tell(event())
        both = threading.Barrier(2)

        def take(person: str) -> str | None:
            both.wait(10)
            try:
                return room.acknowledge(person=person).acknowledged_by
            except AlreadyAcknowledged:
                return None

        with ThreadPoolExecutor(2) as pool:
            takers = [future.result() for future in [pool.submit(take, who) for who in ("vijay", "meera")]]

        (first,) = set(takers) - {None}
        assert takers.count(None) == 1
        assert room.alarm().acknowledged_by == first
        assert [entry.person for entry in audit(room)] == [first]
