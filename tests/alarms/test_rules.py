from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bijlighar.alarms import rules
from bijlighar.alarms.errors import BrokenTable
from bijlighar.alarms.model import (
    ALARM_STEPS,
    OPEN_STATES,
    SIREN_UNREACHABLE_CODE,
    WAITING,
    AlarmEvent,
    AlarmState,
    AlarmTable,
    Priority,
)
from bijlighar.alarms.operations import shipped_table
from bijlighar.arrears.model import Way
from bijlighar.base.lifecycle import IllegalStep, next_state
from bijlighar.dlms.is15959_events import EVENTS
from bijlighar.headend.model import CommandState, ControlAction
from tests.alarms.build import (
    COVER,
    HOUR,
    MAGNET,
    MAGNET_OVER,
    MINUTE,
    NOW,
    POWER_FAILURE,
    RELAY_CLOSED,
    RELAY_OPENED,
    alarm,
    command,
    order,
)

OCCUR, RECUR, ACKNOWLEDGE, RETURN, LAPSE, TAKE_BACK = AlarmEvent
UNACKNOWLEDGED, ACKNOWLEDGED, CLEARED, NORMAL = AlarmState
HALF_AN_HOUR = timedelta(minutes=30)
SECOND = timedelta(seconds=1)
TABLE_TEXT = """
siren_within_hours = 24
uncommanded = [301]

[priority]
1 = [201]
2 = [203, 252]
3 = [215]
"""
TABLE = AlarmTable(
    priorities={201: Priority.P1, 203: Priority.P2, 252: Priority.P2, 215: Priority.P3},
    uncommanded=frozenset({301}),
    siren_within_hours=24,
)
STEPS = {
    (UNACKNOWLEDGED, OCCUR): UNACKNOWLEDGED,
    (UNACKNOWLEDGED, RECUR): UNACKNOWLEDGED,
    (UNACKNOWLEDGED, ACKNOWLEDGE): ACKNOWLEDGED,
    (UNACKNOWLEDGED, RETURN): CLEARED,
    (UNACKNOWLEDGED, LAPSE): None,
    (UNACKNOWLEDGED, TAKE_BACK): None,
    (ACKNOWLEDGED, OCCUR): ACKNOWLEDGED,
    (ACKNOWLEDGED, RECUR): UNACKNOWLEDGED,
    (ACKNOWLEDGED, ACKNOWLEDGE): None,
    (ACKNOWLEDGED, RETURN): NORMAL,
    (ACKNOWLEDGED, LAPSE): UNACKNOWLEDGED,
    (ACKNOWLEDGED, TAKE_BACK): UNACKNOWLEDGED,
    (CLEARED, OCCUR): UNACKNOWLEDGED,
    (CLEARED, RECUR): UNACKNOWLEDGED,
    (CLEARED, ACKNOWLEDGE): NORMAL,
    (CLEARED, RETURN): CLEARED,
    (CLEARED, LAPSE): None,
    (CLEARED, TAKE_BACK): None,
    (NORMAL, OCCUR): None,
    (NORMAL, RECUR): None,
    (NORMAL, ACKNOWLEDGE): None,
    (NORMAL, RETURN): None,
    (NORMAL, LAPSE): None,
    (NORMAL, TAKE_BACK): CLEARED,
}


def name(case: object) -> str:
    return str(getattr(case, "name", case)).lower()


class TestAlarmSteps:
    @pytest.mark.parametrize(("state", "happened"), STEPS, ids=name)
    def test_lead_from_each_state_by_each_event_to_one_state_or_nowhere(
        self, state: AlarmState, happened: AlarmEvent
    ):
        expected = STEPS[state, happened]
        if expected is None:
            with pytest.raises(IllegalStep):
                next_state(ALARM_STEPS, state, happened)
        else:
            assert next_state(ALARM_STEPS, state, happened) is expected

    def test_are_all_held_by_the_test_above(self):
        assert set(STEPS) == {(state, happened) for state in AlarmState for happened in AlarmEvent}

    def test_latch_what_nobody_has_acknowledged(self):
        for state in WAITING:
            left = {after for happened, after in ALARM_STEPS[state].items() if happened is not ACKNOWLEDGE}
            assert left <= WAITING, "only a person ends the waiting"

    def test_end_only_where_it_is_over_and_acknowledged(self):
        assert frozenset({UNACKNOWLEDGED, ACKNOWLEDGED, CLEARED}) == OPEN_STATES
        into_normal = {step for step, after in STEPS.items() if after is NORMAL}
        assert into_normal == {(ACKNOWLEDGED, RETURN), (CLEARED, ACKNOWLEDGE)}


class TestLoadTable:
    def test_reads_priorities_uncommanded_events_and_the_hours(self):
        assert rules.load_table(TABLE_TEXT) == TABLE

    def test_takes_lists_that_are_empty_or_left_out(self):
        table = rules.load_table("siren_within_hours = 1\nuncommanded = []\n[priority]\n1 = []\n")

        assert table == AlarmTable(priorities={}, uncommanded=frozenset(), siren_within_hours=1)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("siren_within_hours = ", "the table of alarms is not valid TOML: "),
            (f"volume = 11\n{TABLE_TEXT}", "the table of alarms has an unknown part 'volume'"),
            (
                TABLE_TEXT.replace("= 24", "= 0"),
                "siren_within_hours must be a whole number from 1 to 8784, not 0",
            ),
            (
                TABLE_TEXT.replace("= 24", "= 8785"),
                "siren_within_hours must be a whole number from 1 to 8784, not 8785",
            ),
            (
                TABLE_TEXT.replace("= 24", "= 1.5"),
                "siren_within_hours must be a whole number from 1 to 8784, not 1.5",
            ),
            (
                TABLE_TEXT.replace("= 24", "= true"),
                "siren_within_hours must be a whole number from 1 to 8784, not True",
            ),
            (
                TABLE_TEXT.replace("siren_within_hours = 24", ""),
                "siren_within_hours must be a whole number from 1 to 8784, not None",
            ),
            (TABLE_TEXT.replace("[301]", "[303]"), "uncommanded must be a list of 301, 302"),
            (TABLE_TEXT.replace("[301]", "301"), "uncommanded must be a list of 301, 302"),
            (TABLE_TEXT.replace("[301]", "[301.0]"), "uncommanded must be a list of 301, 302"),
            (TABLE_TEXT.replace("[301]", "[[301]]"), "uncommanded must be a list of 301, 302"),
            (TABLE_TEXT.replace("uncommanded = [301]", ""), "uncommanded must be a list of 301, 302"),
            (
                TABLE_TEXT.replace("3 = [215]", "4 = [215]"),
                "[priority] has the lists 1, 2 and 3, and nothing else",
            ),
            (
                "siren_within_hours = 24\nuncommanded = []\npriority = [201]",
                "[priority] has the lists 1, 2 and 3, and nothing else",
            ),
            (
                "siren_within_hours = 24\nuncommanded = []",
                "[priority] has the lists 1, 2 and 3, and nothing else",
            ),
            (TABLE_TEXT.replace("[215]", "215"), "[priority] 3 must be a list of event codes"),
            (TABLE_TEXT.replace("[215]", '["215"]'), "[priority] 3: '215' is no event code"),
            (TABLE_TEXT.replace("[215]", "[true]"), "[priority] 3: True is no event code"),
            (TABLE_TEXT.replace("[215]", "[0]"), "[priority] 3: 0 is no event code"),
            (TABLE_TEXT.replace("[215]", "[10_001]"), "[priority] 3: 10001 is no event code"),
            (TABLE_TEXT.replace("[215]", "[201]"), "[priority] names the event code 201 twice"),
            (TABLE_TEXT.replace("[215]", "[202]"), "[priority] 3: 202 tells that 201 is over"),
            (
                TABLE_TEXT.replace("[215]", "[301]"),
                "an event code stands either in [priority] or in uncommanded",
            ),
        ],
    )
    def test_refuses_what_cannot_be_and_says_what(self, text: str, message: str):
        with pytest.raises(BrokenTable) as refused:
            rules.load_table(text)

        assert str(refused.value).startswith(message)
        assert refused.value.code == "alarms.broken-table"


class TestShippedTable:
    def test_sounds_the_siren_for_a_magnet_and_is_silent_about_the_voltage(self):
        table = shipped_table()

        assert table.priorities[MAGNET] is Priority.P1
        assert table.priorities[COVER] is Priority.P1
        assert table.uncommanded == {RELAY_OPENED, RELAY_CLOSED}
        assert not table.priorities.keys() & set(range(1, 13))

    def test_names_only_codes_that_have_words(self):
        assert shipped_table().priorities.keys() <= EVENTS.keys()


class TestPriorityOf:
    @staticmethod
    def of(code: int, *, late: timedelta) -> Priority | None:
        return rules.priority_of(code=code, at=NOW, known_at=NOW + late, table=TABLE)

    @pytest.mark.parametrize("late", [timedelta(0), timedelta(hours=24), -HOUR])
    def test_is_the_tables_up_to_the_last_second(self, late: timedelta):
        assert [self.of(code, late=late) for code in (201, 203, 215)] == [
            Priority.P1,
            Priority.P2,
            Priority.P3,
        ]

    def test_makes_what_became_known_too_late_silent(self):
        late = timedelta(hours=24) + SECOND

        assert {self.of(code, late=late) for code in (201, 203, 215)} == {Priority.P3}

    @pytest.mark.parametrize("late", [timedelta(0), timedelta(days=400)])
    def test_is_none_where_the_table_is_silent(self, late: timedelta):
        assert self.of(POWER_FAILURE, late=late) is None
        assert self.of(RELAY_OPENED, late=late) is None


class TestIsExplained:
    @staticmethod
    def opened(at: datetime, **changes: object) -> bool:
        return rules.is_explained(code=RELAY_OPENED, at=at, commands=(command(**changes),))

    def test_holds_from_half_an_hour_before_the_request_to_half_an_hour_after_the_end(self):
        first, last = NOW - HALF_AN_HOUR, NOW + MINUTE + HALF_AN_HOUR

        assert [self.opened(at) for at in (first, NOW, last)] == [True] * 3
        assert [self.opened(at) for at in (first - SECOND, last + SECOND)] == [False] * 2

    def test_holds_for_as_long_as_a_command_is_in_doubt(self):
        later = NOW + timedelta(days=3)

        assert self.opened(later, state=CommandState.UNKNOWN, finished_at=None)
        assert not self.opened(NOW - HOUR, state=CommandState.UNKNOWN, finished_at=None)

    def test_asks_for_the_command_that_moves_the_relay_that_way(self):
        closing = command(action=ControlAction.RECONNECT)

        assert not rules.is_explained(code=RELAY_OPENED, at=NOW, commands=(closing,))
        assert rules.is_explained(code=RELAY_CLOSED, at=NOW, commands=(closing,))
        assert not rules.is_explained(code=RELAY_CLOSED, at=NOW, commands=(command(),))
        assert rules.is_explained(code=RELAY_CLOSED, at=NOW, commands=(command(), closing))

    @pytest.mark.parametrize(
        "state",
        [CommandState.REFUSED, CommandState.CANCELLED, CommandState.EXPIRED, CommandState.REQUESTED],
        ids=name,
    )
    def test_asks_for_a_command_that_left(self, state: CommandState):
        assert not self.opened(NOW, state=state, attempts=0)

    def test_takes_a_command_that_left_and_expired_after_it_was_put_back(self):
        closing = command(action=ControlAction.RECONNECT, state=CommandState.EXPIRED, attempts=2)

        assert rules.is_explained(code=RELAY_CLOSED, at=NOW, commands=(closing,))

    def test_explains_no_other_event_and_nothing_without_a_command(self):
        assert not rules.is_explained(code=MAGNET, at=NOW, commands=(command(),))
        assert not rules.is_explained(code=RELAY_OPENED, at=NOW, commands=())


class TestIsByHand:
    @staticmethod
    def moved(code: int, at: datetime, **changes: object) -> bool:
        return rules.is_by_hand(code=code, at=at, orders=(order(**changes),))

    def test_explains_an_opening_from_the_order_to_its_report(self):
        first, last = NOW - HALF_AN_HOUR, NOW + HOUR + HALF_AN_HOUR

        assert [self.moved(RELAY_OPENED, at) for at in (first, NOW, last)] == [True] * 3
        assert [self.moved(RELAY_OPENED, at) for at in (first - SECOND, last + SECOND)] == [False] * 2

    def test_explains_an_opening_that_is_not_reported_yet(self):
        assert self.moved(RELAY_OPENED, NOW + timedelta(days=2), opened_at=None)

    def test_explains_no_opening_that_nobody_was_sent_for(self):
        assert not self.moved(RELAY_OPENED, NOW, sent_at=None, opened_at=None)

    def test_leaves_an_opening_by_the_relay_to_its_command(self):
        assert not self.moved(RELAY_OPENED, NOW, way=Way.RELAY)

    @pytest.mark.parametrize("way", Way, ids=name)
    def test_explains_a_closing_once_the_cut_is_released_for_a_fitter_may_be_sent(self, way: Way):
        released = {"way": way, "released_at": NOW, "closed_at": NOW + HOUR}

        assert self.moved(RELAY_CLOSED, NOW, **released)
        assert not self.moved(RELAY_CLOSED, NOW - HOUR, **released)
        assert not self.moved(RELAY_CLOSED, NOW + 2 * HOUR, **released)
        assert not self.moved(RELAY_CLOSED, NOW, way=way), "an order that nobody released"

    def test_looks_at_every_order(self):
        old = order(sent_at=NOW - 9 * HOUR, opened_at=NOW - 8 * HOUR)

        assert not rules.is_by_hand(code=RELAY_OPENED, at=NOW, orders=(old,))
        assert rules.is_by_hand(code=RELAY_OPENED, at=NOW, orders=(old, order()))
        assert not rules.is_by_hand(code=RELAY_OPENED, at=NOW, orders=())


class TestEventOf:
    def test_is_an_occurrence_where_the_meter_tells_the_end(self):
        assert rules.event_of(MAGNET) is OCCUR

    @pytest.mark.parametrize("code", [COVER, RELAY_OPENED, 9_999])
    def test_is_a_recurrence_where_nothing_tells_the_end(self, code: int):
        assert rules.event_of(code) is RECUR

    def test_knows_that_the_siren_comes_back(self):
        assert rules.event_of(SIREN_UNREACHABLE_CODE) is OCCUR


class TestRestoredCode:
    def test_names_what_is_over(self):
        assert rules.restored_code(MAGNET_OVER) == MAGNET
        assert [rules.restored_code(code) for code in (MAGNET, COVER, 9_999)] == [None] * 3


class TestWordsOf:
    def test_has_words_in_both_languages_for_meters_and_for_the_system(self):
        for code in (*shipped_table().priorities, SIREN_UNREACHABLE_CODE):
            words = rules.words_of(code)
            assert words.hi
            assert words.en
            assert words.hi != words.en


class TestCallsSiren:
    @pytest.mark.parametrize("priority", Priority, ids=name)
    @pytest.mark.parametrize("state", AlarmState, ids=name)
    def test_only_for_p1_and_until_a_person_has_acknowledged(self, priority: Priority, state: AlarmState):
        expected = priority is Priority.P1 and state in (UNACKNOWLEDGED, CLEARED)

        assert rules.calls_siren(alarm(priority=priority, state=state)) is expected


class TestSirenReason:
    def test_is_empty_where_nothing_calls(self):
        quiet = (alarm(state=ACKNOWLEDGED), alarm(priority=Priority.P2), alarm(state=NORMAL))

        assert rules.siren_reason(quiet) == ""
        assert rules.siren_reason(()) == ""

    def test_names_the_oldest_that_calls(self):
        assert rules.siren_reason([alarm()]) == "7: Magnet influence, M-N1"

    def test_counts_the_others_that_call_and_none_that_do_not(self):
        older = replace(alarm(number=3, code=COVER, source="M-N2"), state=CLEARED)
        quiet = alarm(number=1, state=ACKNOWLEDGED)

        reason = rules.siren_reason([alarm(), quiet, older, alarm(number=8)])

        assert reason == "3: Meter cover opened, M-N2 (+2)"
