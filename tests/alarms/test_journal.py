import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bijlighar.alarms import journal_store, operations, queries
from bijlighar.alarms.model import JOURNAL_NAMES, Alarm, AlarmState, JournalEvent, JournalLine, Priority
from bijlighar.registry import operations as registry
from tests.alarms.build import COVER, HOUR, MAGNET, MAGNET_OVER, MINUTE, NOW, OVERLOAD, event
from tests.alarms.room import Room
from tests.arrears.world import HEADER

DEPALPUR_METER = "N9,Name N9,LV-1.2,urban,2000,UP-N9,M-N9,single-phase,,T-9,F-9,R,DEPALPUR,"


def journal(
    room: Room, *, after: int = 0, limit: int = 1_000, offices: Sequence[str] | None = None
) -> tuple[JournalLine, ...]:
    with room.database.read() as connection:
        return queries.journal(connection, after=after, limit=limit, offices=offices)


def history(room: Room, alarm: int = 1) -> list[JournalEvent]:
    with room.database.read() as connection:
        return [line.event for line in queries.history(connection, alarm=alarm)]


def open_alarms(room: Room, offices: Sequence[str] | None) -> set[str]:
    with room.database.read() as connection:
        return {alarm.source for alarm in queries.open_alarms(connection, offices=offices)}


def connect_depalpur(room: Room) -> None:
    with room.database.write() as connection:
        registry.import_registry(connection, text=f"{HEADER}\n{DEPALPUR_METER}\n", now=NOW)


class TestJournal:
    def test_tells_each_change_of_an_alarm(self, room: Room):
        room.tell(event(at=NOW), event(at=NOW + MINUTE))
        room.acknowledge(note="squad sent")
        room.tell(event(MAGNET_OVER, at=NOW + HOUR))

        assert history(room) == [
            JournalEvent.RAISED,
            JournalEvent.REPEATED,
            JournalEvent.ACKNOWLEDGED,
            JournalEvent.ENDED,
        ]
        raised, repeated, taken, ended = journal(room)
        assert (raised.alarm, raised.office, raised.person, raised.at) == (1, "MHOW", None, NOW)
        assert repeated.detail == "2"
        assert (taken.person, taken.detail) == ("vijay", "squad sent")
        assert ended.number > taken.number > repeated.number > raised.number > 0

    def test_tells_that_it_is_over_and_not_acknowledged(self, room: Room):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW + MINUTE), event(at=NOW + HOUR))

        assert history(room) == [JournalEvent.RAISED, JournalEvent.CLEARED, JournalEvent.RECURRED]

    def test_tells_what_recurs_though_it_was_acknowledged(self, room: Room):
        room.tell(event(COVER, at=NOW))
        room.acknowledge()
        room.tell(event(COVER, at=NOW + HOUR))

        assert history(room)[-1] is JournalEvent.RECURRED

    def test_tells_a_late_word_of_what_is_over_as_a_repetition(self, room: Room):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW + HOUR), event(at=NOW + MINUTE))

        assert history(room)[-1] is JournalEvent.REPEATED

    def test_tells_nothing_where_nothing_changed(self, room: Room):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW - MINUTE), event(9_999))
        with pytest.raises(Exception, match="no alarm 7"):
            room.acknowledge(7)

        assert len(journal(room)) == 1

    def test_keeps_the_lines_of_many_alarms_in_one_go_apart(self, room: Room):
        room.store(event(at=NOW), event(COVER, at=NOW), event(at=NOW + MINUTE), event(MAGNET, meter="M-N2"))
        room.watch()

        by_alarm = {alarm.number: alarm for alarm in room.alarms()}
        told = {
            (by_alarm[line.alarm or 0].source, by_alarm[line.alarm or 0].code, line.event)
            for line in journal(room)
        }
        assert told == {
            ("M-N1", MAGNET, JournalEvent.RAISED),
            ("M-N1", COVER, JournalEvent.RAISED),
            ("M-N1", MAGNET, JournalEvent.REPEATED),
            ("M-N2", MAGNET, JournalEvent.RAISED),
        }

    def test_begins_a_new_alarm_in_the_same_go_in_which_the_last_ended(self, room: Room):
        room.tell(event(at=NOW))
        room.acknowledge()
        room.store(event(MAGNET_OVER, at=NOW + MINUTE), event(at=NOW + HOUR))
        room.watch()

        assert {alarm.number: alarm.state for alarm in room.alarms()} == {
            1: AlarmState.NORMAL,
            2: AlarmState.UNACKNOWLEDGED,
        }
        assert [(line.alarm, line.event) for line in journal(room)][-2:] == [
            (1, JournalEvent.ENDED),
            (2, JournalEvent.RAISED),
        ]

    def test_goes_on_after_a_number_and_in_pages(self, room: Room):
        room.store(*(event(at=NOW + minute * MINUTE) for minute in range(5)))
        room.watch()

        first = journal(room, limit=2)
        rest = journal(room, after=first[-1].number)
        assert [line.detail for line in (*first, *rest)] == ["", "2", "3", "4", "5"]
        with room.database.read() as connection:
            assert queries.last_number(connection) == rest[-1].number
        assert journal(room, after=rest[-1].number) == ()

    def test_has_no_last_number_at_first(self, room: Room):
        with room.database.read() as connection:
            assert queries.last_number(connection) == 0

    def test_is_only_ever_added_to(self, room: Room):
        room.tell(event())
        for statement in ("DELETE FROM alarms_journal", "UPDATE alarms_journal SET person = 'nobody'"):
            with pytest.raises(DBAPIError, match="only ever added"), room.database.write() as connection:
                connection.execute(text(statement))

    def test_hides_no_line_behind_a_later_number(self, room: Room):
        """A slow transaction that took its number first is seen first."""
        line = JournalLine(
            number=0,
            at=NOW,
            event=JournalEvent.NOTED,
            alarm=None,
            priority=None,
            office=None,
            person="asha",
            detail="slow",
        )
        began = threading.Event()

        def slow() -> None:
            with room.database.write() as connection:
                journal_store.lock(connection)
                journal_store.add(connection, lines=(line,))
                began.set()
                time.sleep(0.5)

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(slow)
            assert began.wait(10)
            room.tell(event())
            seen = [(told.number, told.event) for told in journal(room)]
            waiting.result()

        assert seen == [(1, JournalEvent.NOTED), (2, JournalEvent.RAISED)]

    def test_never_locks_watcher_and_people_crosswise(self, room: Room):
        room.store(event(), event(meter="M-N2"))
        room.watch()
        room.store(*(event(at=NOW + place * MINUTE, meter=f"M-N{1 + place % 2}") for place in range(1, 9)))

        def act(number: int) -> Alarm:
            return room.acknowledge(number, now=NOW + HOUR)

        with ThreadPoolExecutor(3) as pool:
            watching = pool.submit(room.watch)
            taken = [pool.submit(act, number) for number in (1, 2)]
            assert watching.result(30) == 8
            assert {done.result(30).acknowledged_by for done in taken} == {"vijay"}

        assert sorted(alarm.count for alarm in room.alarms()) == [5, 5]

    def test_has_a_name_for_each_event_in_both_languages(self):
        assert set(JOURNAL_NAMES) == set(JournalEvent)
        assert all(words.hi and words.en and words.hi != words.en for words in JOURNAL_NAMES.values())


class TestIsUrgent:
    def test_is_what_may_concern_the_siren(self, room: Room):
        room.tell(event(), event(OVERLOAD))

        assert [(line.priority, line.is_urgent) for line in journal(room)] == [
            (Priority.P1, True),
            (Priority.P3, False),
        ]


class TestWhere:
    def test_is_learnt_when_the_alarm_is_raised(self, room: Room):
        room.tell(event())

        assert (room.alarm().transformer, room.alarm().feeder) == ("T-1", "F-1")

    def test_is_unknown_for_a_meter_that_hangs_nowhere(self, room: Room):
        room.tell(event(meter="STRAY"))

        assert (room.alarm().transformer, room.alarm().feeder) == (None, None)


class TestScope:
    def test_shows_a_branch_its_own_alarms_and_what_belongs_to_nobody(self, room: Room):
        connect_depalpur(room)
        room.tell(event(), event(OVERLOAD, meter="M-N9"), event(meter="STRAY"))

        assert open_alarms(room, None) == {"M-N1", "M-N9", "STRAY"}
        assert open_alarms(room, ["DEPALPUR"]) == {"M-N9", "STRAY"}
        assert open_alarms(room, ["INDORE", "MHOW"]) == {"M-N1", "STRAY"}
        assert open_alarms(room, []) == {"STRAY"}
        assert {line.office for line in journal(room, offices=["DEPALPUR"])} == {"DEPALPUR", None}

    def test_calls_the_siren_of_a_branch_for_its_own_alarms(self, room: Room):
        connect_depalpur(room)
        room.tell(event())

        with room.database.read() as connection:
            assert queries.siren_required(connection, offices=["MHOW"])
            assert not queries.siren_required(connection, offices=["DEPALPUR"])

    def test_shows_everybody_that_the_siren_is_out_of_reach(self, room: Room):
        room.siren.in_reach = False
        room.drive()

        assert open_alarms(room, ["DEPALPUR"]) == {"siren"}
        assert history(room) == [JournalEvent.RAISED]
        room.siren.in_reach = True
        room.drive(now=NOW + MINUTE)
        assert history(room) == [JournalEvent.RAISED, JournalEvent.CLEARED]


class TestWaitingSince:
    def test_is_when_it_was_raised_whatever_the_meters_clock_says(self, room: Room):
        room.store(event(at=NOW - HOUR, received_at=NOW))
        room.watch(now=NOW)

        assert room.alarm().waiting_since == NOW

    def test_stays_while_it_waits(self, room: Room):
        room.tell(event(at=NOW))
        room.store(event(COVER), event(at=NOW + MINUTE))
        room.watch(now=NOW + HOUR)

        assert room.alarm().waiting_since == NOW

    @pytest.mark.parametrize("late", [timedelta(0), timedelta(weeks=2)])
    def test_begins_anew_where_the_acknowledgement_no_longer_holds(self, room: Room, late: timedelta):
        room.tell(event(COVER, at=NOW - late, received_at=NOW))
        room.acknowledge()
        room.store(event(COVER, at=NOW + MINUTE))
        room.watch(now=NOW + HOUR)

        alarm = room.alarm()
        assert (alarm.waiting_since, alarm.escalated, alarm.acted_at) == (NOW + HOUR, 0, None)

    def test_begins_anew_where_it_becomes_louder(self, room: Room):
        room.tell(event(at=NOW - timedelta(weeks=2), received_at=NOW))
        assert room.alarm().priority is Priority.P3
        room.store(event(at=NOW))
        room.watch(now=NOW + HOUR)

        assert (room.alarm().priority, room.alarm().waiting_since) == (Priority.P1, NOW + HOUR)


class TestWatchInBulk:
    def test_takes_a_thousand_events_well_within_a_second(self, room: Room):
        room.store(*(event(at=NOW + place * MINUTE, meter=f"S-{place % 500}") for place in range(1_000)))

        before = time.perf_counter()
        assert operations.watch(room.database, now=NOW) == 1_000
        assert time.perf_counter() - before < 5, "an order of magnitude below what one by one would take"
        assert len(room.alarms()) == 500
