from datetime import datetime, timedelta

import pytest

from bijlighar.alarms import operations, queries
from bijlighar.alarms.errors import NothingToSilence
from bijlighar.alarms.model import JournalEvent, JournalLine, Silence, WallCounts
from bijlighar.base.errors import InvalidValue
from bijlighar.offices import queries as offices
from bijlighar.offices.errors import NotPermitted
from bijlighar.offices.model import Act, Role
from tests.alarms.build import COVER, HOUR, MAGNET_OVER, MINUTE, NOW, OVERLOAD, event
from tests.alarms.room import Room

SECOND = timedelta(seconds=1)


def silence(room: Room, person: str = "vijay", *, now: datetime = NOW, seconds: int = 60) -> Silence:
    return operations.silence(room.database, person=person, now=now, seconds=seconds)


def counts(room: Room, *, now: datetime = NOW) -> WallCounts:
    with room.database.read() as connection:
        return queries.wall_counts(connection, offices=None, now=now)


def last_line(room: Room) -> JournalLine:
    with room.database.read() as connection:
        return queries.journal(connection, after=0)[-1]


class TestSilence:
    def test_keeps_the_siren_still_for_a_minute_though_it_is_called_for(self, room: Room):
        room.tell(event())

        given = silence(room)

        assert (given.person, given.until_at) == ("vijay", NOW + MINUTE)
        quiet, loud = counts(room, now=NOW + 59 * SECOND), counts(room, now=NOW + MINUTE)
        assert (quiet.siren_required, quiet.sounding) == (True, False)
        assert (quiet.silenced_until, quiet.silenced_by) == (NOW + MINUTE, "vijay")
        assert (loud.siren_required, loud.sounding, loud.silenced_until) == (True, True, None)

    def test_keeps_the_siren_on_the_roof_still_as_well(self, room: Room):
        room.tell(event())
        room.drive()
        silence(room)

        assert room.drive(now=NOW + SECOND).required
        room.drive(now=NOW + MINUTE)

        assert [on for on, *_ in room.siren.told] == [True, False, True]
        assert len(room.activations()) == 1

    def test_acknowledges_nothing(self, room: Room):
        room.tell(event())
        before = room.alarm()
        silence(room)

        assert room.alarm() == before
        assert room.siren_required()

    def test_is_written_down_in_the_persons_name(self, room: Room):
        room.tell(event())
        silence(room, seconds=30)

        line = last_line(room)
        assert (line.event, line.person, line.detail) == (JournalEvent.SILENCED, "vijay", "30")
        assert (line.alarm, line.is_urgent) == (None, True)
        with room.database.read() as connection:
            (entry,) = offices.audit(connection, limit=1)
            assert offices.check_audit(connection).broken_at is None
        assert (entry.person, entry.act, entry.subject) == ("vijay", Act.SILENCE_SIREN, "siren")

    @pytest.mark.parametrize("seconds", [0, -1, 61, 3_600])
    def test_lasts_no_longer_than_a_minute(self, room: Room, seconds: int):
        room.tell(event())

        with pytest.raises(InvalidValue, match="1 to 60 s"):
            silence(room, seconds=seconds)

        assert counts(room).sounding

    def test_cannot_be_given_in_advance(self, room: Room):
        room.tell(event(OVERLOAD))

        with pytest.raises(NothingToSilence):
            silence(room)

    def test_asks_for_somebody_who_answers_alarms(self, room: Room):
        room.tell(event())

        with pytest.raises(NotPermitted):
            silence(room, "asha")

        assert counts(room).sounding

    def test_is_for_those_only_who_watch_every_office_that_calls(self, room: Room):
        room.employ("neighbour", Role.OPERATOR, office="DEPALPUR")
        room.employ("here", Role.OPERATOR, office="MHOW")
        room.tell(event())

        with pytest.raises(NotPermitted):
            silence(room, "neighbour")
        assert counts(room).sounding

        silence(room, "here")
        assert not counts(room).sounding

    def test_can_be_given_again(self, room: Room):
        room.tell(event())
        silence(room)
        silence(room, "meera", now=NOW + 30 * SECOND)

        assert counts(room, now=NOW + 80 * SECOND).silenced_by == "meera"
        assert not counts(room, now=NOW + 80 * SECOND).sounding
        assert counts(room, now=NOW + 90 * SECOND).sounding


class TestWhatBreaksASilence:
    @pytest.fixture
    def room(self, room: Room) -> Room:
        room.tell(event(), event(COVER), event(OVERLOAD))
        silence(room)
        return room

    @staticmethod
    def is_broken(room: Room) -> bool:
        return counts(room, now=NOW + SECOND).sounding

    def test_is_a_new_p1_alarm(self, room: Room):
        room.tell(event(meter="M-N2"))

        assert self.is_broken(room)
        line = last_line(room)
        assert (line.event, line.alarm, line.person) == (JournalEvent.SILENCE_BROKEN, 4, None)

    def test_is_one_that_occurs_anew(self, room: Room):
        room.tell(event(COVER, at=NOW + MINUTE))

        assert self.is_broken(room)

    def test_is_one_that_was_over_and_comes_back(self, room: Room):
        room.tell(event(MAGNET_OVER, at=NOW + MINUTE))
        assert not self.is_broken(room)
        room.tell(event(at=NOW + HOUR))

        assert self.is_broken(room)

    def test_is_not_one_that_is_still_there(self, room: Room):
        room.tell(event(at=NOW + MINUTE))

        assert not self.is_broken(room)

    def test_is_not_one_of_another_priority(self, room: Room):
        room.tell(event(OVERLOAD, meter="M-N2"))

        assert not self.is_broken(room)

    def test_is_not_an_acknowledgement(self, room: Room):
        room.acknowledge(1)

        assert not self.is_broken(room)

    def test_is_written_down_once(self, room: Room):
        room.tell(event(meter="M-N2"), event(COVER, meter="M-N2"))

        with room.database.read() as connection:
            lines = queries.journal(connection, after=0)
        assert [line.event for line in lines].count(JournalEvent.SILENCE_BROKEN) == 1
