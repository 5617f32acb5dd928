import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bijlighar.alarms import operations, queries
from bijlighar.alarms.errors import AlreadyAcknowledged, BrokenTable, NothingToTakeBack
from bijlighar.alarms.model import Alarm, AlarmState, JournalEvent, Priority, SirenLevel, WallCounts
from bijlighar.alarms.operations import shipped_table
from bijlighar.alarms.rules import load_table, siren_level
from bijlighar.offices.errors import NotPermitted
from bijlighar.offices.model import Role
from tests.alarms.build import COVER, HOUR, MAGNET_OVER, MINUTE, NOW, OVERLOAD, event
from tests.alarms.room import Room

SECOND = timedelta(seconds=1)
PLAIN = "siren_within_hours = 24\nuncommanded = []\n[priority]\n"
STEP = '[[escalation]]\nafter_min = 2\nsiren = "P1"\nhi = "क"\nen = "A"\n'


def escalate(room: Room, *, now: datetime) -> int:
    return operations.escalate_due(room.database, now=now)


def due(room: Room, *, now: datetime) -> int:
    with room.database.read() as connection:
        return queries.due(connection, now=now)


def counts(room: Room, *, now: datetime = NOW) -> WallCounts:
    with room.database.read() as connection:
        return queries.wall_counts(connection, offices=None, now=now)


def history(room: Room, alarm: int = 1) -> list[tuple[JournalEvent, str]]:
    with room.database.read() as connection:
        return [(line.event, line.detail) for line in queries.history(connection, alarm=alarm)]


def take_back(room: Room, *, now: datetime, person: str = "vijay", number: int = 1) -> Alarm:
    return operations.take_back_acknowledgement(room.database, number=number, person=person, now=now)


class TestEscalateDue:
    def test_goes_to_more_and_more_people_while_nobody_answers(self, room: Room):
        room.tell(event())

        moments = [
            NOW + 2 * MINUTE - SECOND,
            NOW + 2 * MINUTE,
            NOW + 5 * MINUTE,
            NOW + 10 * MINUTE,
            NOW + HOUR,
        ]
        assert [escalate(room, now=moment) for moment in moments] == [0, 1, 1, 1, 0]

        assert history(room)[1:] == [
            (JournalEvent.ESCALATED, "1"),
            (JournalEvent.ESCALATED, "2"),
            (JournalEvent.ESCALATED, "3"),
        ]
        assert room.alarm().escalated == 3

    def test_writes_each_level_once_however_often_and_late_it_is_called(self, room: Room):
        room.tell(event())

        assert [escalate(room, now=NOW + HOUR) for _ in range(3)] == [3, 0, 0]
        assert [detail for _, detail in history(room)[1:]] == ["1", "2", "3"]

    def test_says_beforehand_whether_anything_is_due(self, room: Room):
        room.tell(event())

        assert [due(room, now=NOW + minutes * MINUTE) for minutes in (1, 2)] == [0, 1]
        escalate(room, now=NOW + 2 * MINUTE)
        assert [due(room, now=NOW + minutes * MINUTE) for minutes in (4, 5)] == [0, 1]
        escalate(room, now=NOW + HOUR)
        assert due(room, now=NOW + HOUR) == 0

    def test_is_cancelled_by_an_acknowledgement_at_once(self, room: Room):
        room.tell(event())
        escalate(room, now=NOW + 2 * MINUTE)
        room.acknowledge(now=NOW + 3 * MINUTE, note="squad sent")

        assert due(room, now=NOW + HOUR) == 0
        assert escalate(room, now=NOW + HOUR) == 0

    @pytest.mark.parametrize("priority", [Priority.P2, Priority.P3], ids=str)
    def test_concerns_p1_alone(self, room: Room, priority: Priority):
        table = replace(shipped_table(), priorities={OVERLOAD: priority})
        room.store(event(OVERLOAD))
        room.watch(table=table)

        assert escalate(room, now=NOW + HOUR) == 0

    def test_goes_on_though_it_is_over(self, room: Room):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW + SECOND))

        assert escalate(room, now=NOW + 2 * MINUTE) == 1

    def test_counts_from_when_it_became_known(self, room: Room):
        room.store(event(at=NOW - HOUR, received_at=NOW))
        room.watch(now=NOW)

        assert escalate(room, now=NOW + MINUTE) == 0

    def test_begins_anew_for_what_occurs_anew(self, room: Room):
        room.tell(event(COVER, at=NOW))
        escalate(room, now=NOW + 2 * MINUTE)
        room.acknowledge(now=NOW + 3 * MINUTE)
        room.store(event(COVER, at=NOW + HOUR))
        room.watch(now=NOW + HOUR)

        assert escalate(room, now=NOW + HOUR + MINUTE) == 0
        assert escalate(room, now=NOW + HOUR + 2 * MINUTE) == 1

    def test_tells_the_wall_how_far_it_has_come_and_what_is_next(self, room: Room):
        room.tell(event())

        before = counts(room)
        assert (before.level, before.escalated_to) == (0, None)
        assert before.next_escalation is not None
        assert (before.next_escalation.level, before.next_escalation.at) == (1, NOW + 2 * MINUTE)
        assert before.next_escalation.who.en == "shift in-charge"

        escalate(room, now=NOW + 5 * MINUTE)
        after = counts(room)
        assert (after.level, after.siren_level) == (2, SirenLevel.ESCALATED)
        assert after.escalated_to is not None
        assert after.escalated_to.en == "assistant engineer (AE)"
        assert after.next_escalation is not None
        assert after.next_escalation.at == NOW + 10 * MINUTE

        escalate(room, now=NOW + 10 * MINUTE)
        assert counts(room).next_escalation is None

    def test_names_the_one_that_goes_on_next_of_several(self, room: Room):
        room.tell(event())
        room.store(event(meter="M-N2"))
        room.watch(now=NOW + MINUTE)
        escalate(room, now=NOW + 2 * MINUTE)

        following = counts(room).next_escalation
        assert following is not None
        assert (following.level, following.at) == (1, NOW + 3 * MINUTE)

    def test_makes_the_siren_on_the_roof_sound_otherwise(self, room: Room):
        room.tell(event())
        room.drive()
        escalate(room, now=NOW + 5 * MINUTE)
        room.drive(now=NOW + 5 * MINUTE)

        assert [level for _, level, *_ in room.siren.told] == ["P1", "ESCALATED"]

    def test_never_meets_an_acknowledgement_half_way(self, room: Room):
        """Either the level is written first or the acknowledgement is; afterwards nothing is pending."""
        room.tell(event())
        both = threading.Barrier(2)

        def run(what: object) -> object:
            both.wait(10)
            return what() if callable(what) else None

        with ThreadPoolExecutor(2) as pool:
            done = [
                pool.submit(run, lambda: escalate(room, now=NOW + 2 * MINUTE)),
                pool.submit(run, lambda: room.acknowledge(now=NOW + 2 * MINUTE)),
            ]
            for each in done:
                each.result(30)

        told = [happened for happened, _ in history(room)]
        assert told[-1] is JournalEvent.ACKNOWLEDGED or JournalEvent.ESCALATED not in told
        assert escalate(room, now=NOW + 5 * MINUTE) == 0


class TestLapse:
    def test_opens_again_what_was_acknowledged_and_left(self, room: Room):
        room.tell(event())
        room.acknowledge(now=NOW)

        assert escalate(room, now=NOW + 15 * MINUTE - SECOND) == 0
        assert not room.siren_required()
        assert due(room, now=NOW + 15 * MINUTE) == 1
        assert escalate(room, now=NOW + 15 * MINUTE) == 1

        alarm = room.alarm()
        assert (alarm.state, alarm.acknowledged_by) == (AlarmState.UNACKNOWLEDGED, None)
        assert alarm.waiting_since == NOW + 15 * MINUTE
        assert history(room)[-1] == (JournalEvent.LAPSED, "vijay")
        assert room.siren_required()

    def test_breaks_a_silence(self, room: Room):
        room.tell(event(), event(meter="M-N2"))
        room.acknowledge(1, now=NOW)
        operations.silence(room.database, person="vijay", now=NOW + 15 * MINUTE)
        escalate(room, now=NOW + 15 * MINUTE)

        assert counts(room, now=NOW + 15 * MINUTE).sounding

    def test_escalates_again_afterwards(self, room: Room):
        room.tell(event())
        room.acknowledge(now=NOW)
        escalate(room, now=NOW + 15 * MINUTE)

        assert [escalate(room, now=NOW + minutes * MINUTE) for minutes in (16, 17)] == [0, 1]

    @pytest.mark.parametrize("act", ["acknowledged with a note", "note", "squad", "message", "proposal"])
    def test_leaves_alone_what_somebody_has_acted_on(self, room: Room, act: str):
        room.tell(event())
        room.acknowledge(now=NOW, note="squad sent" if act == "acknowledged with a note" else "")
        given = {"number": 1, "person": "vijay", "now": NOW + 14 * MINUTE}
        match act:
            case "note":
                operations.note(room.database, text="on the way", **given)  # type: ignore[arg-type]
            case "squad":
                operations.send_squad(room.database, squad="squad 7", **given)  # type: ignore[arg-type]
            case "message":
                operations.record_message(room.database, text="check", **given)  # type: ignore[arg-type]
            case "proposal":
                operations.propose_cut(room.database, reason="magnet", **given)  # type: ignore[arg-type]

        assert due(room, now=NOW + HOUR) == 0
        assert escalate(room, now=NOW + HOUR) == 0
        assert room.state() is AlarmState.ACKNOWLEDGED

    def test_counts_an_action_before_the_acknowledgement(self, room: Room):
        room.tell(event())
        operations.send_squad(room.database, number=1, squad="7", person="vijay", now=NOW)
        room.acknowledge(now=NOW)

        assert escalate(room, now=NOW + HOUR) == 0

    def test_asks_for_a_new_action_after_it_occurred_anew(self, room: Room):
        room.tell(event(COVER, at=NOW))
        room.acknowledge(now=NOW, note="squad sent")
        room.tell(event(COVER, at=NOW + MINUTE))
        room.acknowledge(now=NOW + MINUTE)

        assert escalate(room, now=NOW + 16 * MINUTE) == 1

    def test_leaves_alone_what_has_ended_and_what_is_of_no_consequence(self, room: Room):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW + SECOND), event(OVERLOAD))
        room.acknowledge(1)
        room.acknowledge(2)

        assert escalate(room, now=NOW + HOUR) == 0


class TestTakeBackAcknowledgement:
    def test_lets_the_person_undo_it_within_ten_seconds(self, room: Room):
        room.tell(event())
        room.acknowledge(now=NOW + MINUTE, note="oops")

        alarm = take_back(room, now=NOW + MINUTE + 10 * SECOND)

        assert alarm == room.alarm()
        assert (alarm.state, alarm.acknowledged_by, alarm.acted_at) == (AlarmState.UNACKNOWLEDGED, None, None)
        assert room.siren_required()
        assert history(room)[-1][0] is JournalEvent.TAKEN_BACK

    def test_lets_it_wait_as_if_nothing_had_been_done(self, room: Room):
        room.tell(event())
        room.acknowledge(now=NOW + MINUTE)
        take_back(room, now=NOW + MINUTE)

        assert room.alarm().waiting_since == NOW
        assert escalate(room, now=NOW + 2 * MINUTE) == 1

    def test_opens_again_what_had_ended_by_it(self, room: Room):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW + SECOND))
        room.acknowledge(now=NOW + MINUTE)
        assert room.state() is AlarmState.NORMAL

        assert take_back(room, now=NOW + MINUTE).state is AlarmState.CLEARED
        assert room.siren_required()

    def test_refuses_when_a_new_alarm_stands_in_its_place(self, room: Room):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW + SECOND))
        room.acknowledge(now=NOW + MINUTE)
        room.tell(event(at=NOW + MINUTE))

        with pytest.raises(NothingToTakeBack, match="a new one"):
            take_back(room, now=NOW + MINUTE + SECOND)

    def test_refuses_who_comes_too_late(self, room: Room):
        room.tell(event())
        room.acknowledge(now=NOW)

        with pytest.raises(NothingToTakeBack, match="more than 10 s ago"):
            take_back(room, now=NOW + 11 * SECOND)

        assert room.state() is AlarmState.ACKNOWLEDGED

    def test_refuses_another_person(self, room: Room):
        room.tell(event())
        room.acknowledge(person="vijay", now=NOW)

        with pytest.raises(NothingToTakeBack, match="not acknowledged by meera"):
            take_back(room, now=NOW, person="meera")

    def test_refuses_what_nobody_has_acknowledged(self, room: Room):
        room.tell(event())

        with pytest.raises(NothingToTakeBack):
            take_back(room, now=NOW)

    def test_refuses_who_may_no_longer_acknowledge(self, room: Room):
        room.tell(event())
        room.employ("clerk", Role.CLERK, office="MHOW")

        with pytest.raises(NotPermitted):
            take_back(room, now=NOW, person="clerk")

    def test_lets_another_acknowledge_afterwards(self, room: Room):
        room.tell(event())
        room.acknowledge(person="vijay", now=NOW)
        take_back(room, now=NOW)

        assert room.acknowledge(person="meera", now=NOW).acknowledged_by == "meera"
        with pytest.raises(AlreadyAcknowledged, match="meera"):
            room.acknowledge(person="vijay", now=NOW)


class TestShippedSteps:
    def test_are_shift_in_charge_ae_and_ee(self):
        steps = shipped_table().escalation

        assert [step.after for step in steps] == [2 * MINUTE, 5 * MINUTE, 10 * MINUTE]
        assert [step.siren for step in steps] == [SirenLevel.P1, SirenLevel.ESCALATED, SirenLevel.ESCALATED]
        assert all(step.who.hi and step.who.en for step in steps)

    def test_open_again_after_a_quarter_of_an_hour(self):
        assert shipped_table().lapse_after == {Priority.P1: 15 * MINUTE, Priority.P2: 15 * MINUTE}


class TestLoadTable:
    def test_reads_steps_and_minutes(self):
        table = load_table(f"{PLAIN}[lapse_min]\n1 = 20\n{STEP}")

        assert table.lapse_after == {Priority.P1: 20 * MINUTE}
        assert [(step.after, step.who.en) for step in table.escalation] == [(2 * MINUTE, "A")]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[lapse_min]\n4 = 1\n", "[lapse_min] has the priorities"),
            ("[lapse_min]\n1 = 0\n", "[lapse_min] 1 must be a whole number from 1 to 1440, not 0"),
            ("[lapse_min]\n1 = true\n", "[lapse_min] 1 must be a whole number"),
            ("[lapse_min]\n1 = 1441\n", "[lapse_min] 1 must be a whole number"),
            ("[escalation]\n1 = 2\n", "[[escalation]] is a list of at most 9 steps"),
            (STEP.replace("en =", "er ="), "[[escalation]] 1 has after_min, siren, hi and en"),
            (STEP.replace('"P1"', '"SYSTEM"'), "[[escalation]] 1: siren is P1 or ESCALATED, not 'SYSTEM'"),
            (STEP.replace('"P1"', "[1]"), "[[escalation]] 1: siren is P1 or ESCALATED, not [1]"),
            (STEP.replace('"A"', '" "'), "[[escalation]] 1: write in hi and en who it is"),
            (STEP.replace("= 2", "= 2.5"), "[[escalation]] 1: after_min must be a whole number"),
            (STEP + STEP, "[[escalation]] 2 must come later than the step before it"),
            (STEP * 10, "[[escalation]] is a list of at most 9 steps"),
        ],
    )
    def test_refuses_what_cannot_be(self, text: str, message: str):
        with pytest.raises(BrokenTable) as refused:
            load_table(PLAIN + text)

        assert str(refused.value).startswith(message)


class TestSirenLevel:
    @pytest.mark.parametrize(
        ("escalated", "only_system", "level"),
        [
            (0, False, SirenLevel.P1),
            (1, False, SirenLevel.P1),
            (2, False, SirenLevel.ESCALATED),
            (3, True, SirenLevel.ESCALATED),
            (0, True, SirenLevel.SYSTEM),
            (9, False, SirenLevel.ESCALATED),
        ],
    )
    def test_is_that_of_the_highest_level_and_of_what_calls(
        self, escalated: int, only_system: bool, level: SirenLevel
    ):
        found = siren_level(escalated=escalated, only_system=only_system, table=shipped_table())
        assert found is level
