from datetime import timedelta

import pytest

from bijlighar.alarms import counting, operations, queries, store
from bijlighar.alarms.grouping import FLOOD_OVER
from bijlighar.alarms.model import AlarmState, Priority, SirenLevel, WallCounts
from tests.alarms.build import COVER, HOUR, MAGNET_OVER, MINUTE, NOW, OVERLOAD, alarm, event
from tests.alarms.room import Room
from tests.alarms.test_journal import connect_depalpur

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def counts(room: Room, *, now=NOW, offices=None) -> WallCounts:
    with room.database.read() as connection:
        return queries.wall_counts(connection, offices=offices, now=now)


def raise_at(room: Room, *moments, first: int = 0) -> None:
    """Open alarms that were raised at these moments."""
    with room.database.write() as connection:
        store.add(
            connection,
            alarms=[
                alarm(
                    number=-1, source=f"S-{first + place}", code=OVERLOAD, priority=Priority.P3, raised_at=at
                )
                for place, at in enumerate(moments)
            ],
        )


class TestWallCounts:
    def test_are_zero_in_a_quiet_room(self, room: Room):
        quiet = counts(room)

        assert quiet.unacknowledged == {Priority.P1: 0, Priority.P2: 0, Priority.P3: 0}
        assert (quiet.tampers, quiet.acknowledged, quiet.stale, quiet.last_10_min) == (0, 0, 0, 0)
        assert (quiet.flood_since, quiet.median_ack_s, quiet.oldest_p1_at) == (None, None, None)
        assert (quiet.siren_required, quiet.siren_alarm, quiet.sounding) == (False, None, False)
        assert (quiet.level, quiet.next_escalation, quiet.number) == (0, None, 0)
        assert quiet.quarters == (0,) * 96

    def test_tell_what_nobody_has_acknowledged(self, room: Room):
        room.tell(event(), event(COVER), event(OVERLOAD), event(MAGNET_OVER, at=NOW + MINUTE))
        room.acknowledge(2, now=NOW + MINUTE)

        found = counts(room, now=NOW + MINUTE)

        assert found.unacknowledged == {Priority.P1: 1, Priority.P2: 0, Priority.P3: 1}
        assert (found.tampers, found.acknowledged) == (1, 1)
        assert (found.siren_required, found.siren_alarm, found.sounding) == (True, 1, True)
        assert found.siren_level is SirenLevel.P1
        assert found.oldest_p1_at == NOW

    def test_are_of_one_state_of_the_journal(self, room: Room):
        room.tell(event())

        with room.database.read() as connection:
            assert counts(room).number == queries.last_number(connection) == 1

    def test_count_a_branch_and_what_belongs_to_nobody(self, room: Room):
        connect_depalpur(room)
        room.tell(event(), event(meter="M-N9"), event(meter="STRAY"))
        for number in (1, 2, 3):
            room.acknowledge(number, now=NOW + number * MINUTE)
        room.tell(event(COVER, meter="M-N9"))

        mhow, depalpur = counts(room, offices=["MHOW"]), counts(room, offices=["DEPALPUR"])

        assert (mhow.siren_required, mhow.acknowledged, mhow.last_10_min) == (False, 2, 2)
        assert (depalpur.siren_required, depalpur.acknowledged, depalpur.siren_alarm) == (True, 2, 4)
        assert (mhow.median_ack_s, depalpur.median_ack_s) == (120, 150)
        assert (sum(mhow.quarters), sum(depalpur.quarters)) == (2, 3)

    def test_have_no_tampers_among_faults_of_the_system(self, room: Room):
        room.siren.in_reach = False
        room.drive()

        assert counts(room).tampers == 0
        assert counts(room).unacknowledged[Priority.P2] == 1

    def test_show_each_of_the_last_96_quarters_of_an_hour(self, room: Room):
        """The clock of the build stands at half past six, the beginning of a quarter."""
        raise_at(room, NOW, NOW - SECOND, NOW - 15 * MINUTE, NOW - DAY + 15 * MINUTE, NOW - DAY + 14 * MINUTE)

        quarters = counts(room).quarters

        assert len(quarters) == 96
        assert (quarters[95], quarters[94], quarters[0], sum(quarters)) == (1, 2, 1, 4)

    def test_take_the_last_ten_minutes(self, room: Room):
        raise_at(room, NOW, NOW - 10 * MINUTE + SECOND, NOW - 10 * MINUTE)

        assert counts(room).last_10_min == 2
        assert counts(room).target_10_min == 1

    def test_call_stale_what_has_been_open_for_longer_than_a_day(self, room: Room):
        raise_at(room, NOW - DAY, NOW - DAY - SECOND)

        assert counts(room).stale == 1

    def test_give_the_median_of_a_day_to_acknowledge(self, room: Room):
        room.tell(event(), event(COVER), event(OVERLOAD))
        for number, seconds in ((1, 10), (2, 38), (3, 600)):
            room.acknowledge(number, now=NOW + seconds * SECOND)

        assert counts(room, now=NOW + HOUR).median_ack_s == 38
        assert counts(room, now=NOW + 2 * DAY).median_ack_s is None

    def test_forget_an_answer_that_was_taken_back(self, room: Room):
        room.tell(event())
        room.acknowledge(now=NOW)
        operations.take_back_acknowledgement(room.database, number=1, person="vijay", now=NOW)

        assert counts(room).median_ack_s is None


class TestFlood:
    def test_is_told_with_the_moment_at_which_it_began(self, room: Room):
        raise_at(room, *(NOW + place * SECOND for place in range(FLOOD_OVER + 1)))

        assert counts(room, now=NOW + MINUTE).flood_since == NOW + FLOOD_OVER * SECOND
        assert counts(room, now=NOW + HOUR).flood_since is None

    def test_is_none_with_one_less(self, room: Room):
        raise_at(room, *(NOW + place * SECOND for place in range(FLOOD_OVER)))

        assert counts(room, now=NOW + MINUTE).flood_since is None

    def test_is_known_by_the_quarter_where_it_is_too_long_to_be_counted(
        self, room: Room, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(counting, "TIMES_MAX", 20)
        raise_at(room, *(NOW + place * MINUTE / 2 for place in range(200)))

        now = NOW + 100 * MINUTE
        assert counts(room, now=now).flood_since == NOW


class TestWallRows:
    def test_are_those_of_a_branch(self, room: Room):
        connect_depalpur(room)
        room.tell(event(), event(OVERLOAD, meter="M-N9"))

        with room.database.read() as connection:
            mhow = queries.wall_rows(connection, offices=["MHOW"], now=NOW)
            everybody = queries.wall_rows(connection, offices=None, now=NOW)

        assert [row.sources for row in mhow] == [("M-N1",)]
        assert [row.priority for row in everybody] == [Priority.P1, Priority.P3]


class TestLastChime:
    def test_is_the_last_new_p2_alarm_of_a_branch(self, room: Room):
        with room.database.read() as connection:
            assert queries.last_chime(connection) == 0
        room.siren.in_reach = False
        room.drive()
        room.tell(event())

        with room.database.read() as connection:
            assert queries.last_chime(connection) == queries.last_chime(connection, offices=["MHOW"]) == 1


class TestHistory:
    def test_keeps_the_end_where_it_is_long(self, room: Room):
        room.store(*(event(at=NOW + minute * MINUTE) for minute in range(5)))
        room.watch()

        with room.database.read() as connection:
            assert [line.detail for line in queries.history(connection, alarm=1, limit=2)] == ["4", "5"]
        assert room.state() is AlarmState.UNACKNOWLEDGED
