from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.alarms.grouping import (
    FLOOD_OVER,
    FLOOD_UNDER,
    FOLD_MIN,
    FOLD_P1_OVER,
    STALE_AFTER,
    WINDOW,
    flood_since,
    wall_rows,
)
from bijlighar.alarms.model import Alarm, AlarmState, Priority, WallRow, WallTotals
from tests.alarms.build import COVER, HOUR, MAGNET, MINUTE, NOW, OVERLOAD, alarm

SECOND = timedelta(seconds=1)
UNACKNOWLEDGED, ACKNOWLEDGED, CLEARED, NORMAL = AlarmState
P1, P2, P3 = Priority
TOTALS = WallTotals(
    meters_of_feeder={"F-1": 2_176},
    transformers_of_feeder={"F-1": 40},
    meters_of_transformer={"T-1": 54},
    meters_of_office={"MHOW": 9_500},
)


def rows(*alarms: Alarm, totals: WallTotals = TOTALS, now: datetime = NOW + HOUR) -> tuple[WallRow, ...]:
    return wall_rows(alarms, now=now, totals=totals)


def some(
    count: int,
    *,
    transformers: int = 1,
    first: int = 1,
    apart: timedelta = SECOND,
    priority: Priority = P3,
    code: int = OVERLOAD,
    feeder: str | None = "F-1",
    state: AlarmState = UNACKNOWLEDGED,
) -> list[Alarm]:
    """Alarms of one kind, one after the other."""
    return [
        alarm(
            number=first + place,
            source=f"M-{first + place}",
            code=code,
            priority=priority,
            state=state,
            feeder=feeder,
            transformer=f"T-{1 + place % transformers}" if transformers else None,
            first_at=NOW + place * apart,
            last_at=NOW + place * apart,
            waiting_since=NOW + place * apart,
        )
        for place in range(count)
    ]


def shape(found: Sequence[WallRow]) -> list[tuple[int, ...]]:
    return [row.numbers for row in found]


class TestFolding:
    def test_leaves_few_of_a_kind_as_they_are(self):
        assert shape(rows(*some(FOLD_MIN - 1))) == [(2,), (1,)]

    def test_folds_three_of_a_kind_place_and_time(self):
        (row,) = rows(*some(FOLD_MIN))

        assert row.is_group
        assert (row.numbers, row.sources) == ((1, 2, 3), ("M-1", "M-2", "M-3"))
        assert (row.priority, row.state, row.count) == (P3, UNACKNOWLEDGED, 3)
        assert (row.first_at, row.last_at) == (NOW, NOW + 2 * SECOND)

    @pytest.mark.parametrize(
        "other",
        [
            {"code": COVER},
            {"feeder": "F-2"},
            {"priority": P2},
            {"state": ACKNOWLEDGED},
            {"first_at": NOW + WINDOW + SECOND},
        ],
        ids=lambda other: next(iter(other)),
    )
    def test_keeps_apart_what_differs(self, other: dict[str, object]):
        first, second, third = some(3, apart=timedelta(0))

        assert len(rows(first, second, replace(third, **other))) == 3

    def test_takes_the_last_moment_of_the_window_in(self):
        assert len(rows(*some(3, apart=WINDOW / 2))) == 1
        assert len(rows(*some(3, apart=WINDOW / 2 + SECOND))) == 3

    def test_folds_by_transformer_or_office_where_no_feeder_is_known(self):
        (by_transformer,) = rows(*some(3, feeder=None))
        (by_office,) = rows(*some(3, feeder=None, transformers=0))

        assert (by_transformer.transformer, by_transformer.meters_total) == ("T-1", 54)
        assert (by_office.office, by_office.meters_total) == ("MHOW", 9_500)

    def test_folds_nothing_that_stands_nowhere(self):
        found = [replace(each, office=None) for each in some(5, feeder=None, transformers=0)]

        assert len(rows(*found)) == 5

    def test_takes_no_alarm_that_has_ended(self):
        assert rows(alarm(state=NORMAL)) == ()


class TestFoldingOfP1:
    def test_leaves_each_alone_while_they_can_be_read(self):
        found = rows(*some(FOLD_P1_OVER, priority=P1, code=MAGNET))

        assert shape(found) == [(1,), (2,), (3,), (4,), (5,)]

    def test_names_all_meters_of_more_in_one_row_that_is_still_p1(self):
        (row,) = rows(*some(FOLD_P1_OVER + 1, priority=P1, code=MAGNET))

        assert row.priority is P1
        assert row.numbers == (1, 2, 3, 4, 5, 6)
        assert row.sources == tuple(f"M-{number}" for number in range(1, 7))

    def test_folds_by_feeder_alone(self):
        assert len(rows(*some(9, priority=P1, code=MAGNET, feeder=None))) == 9

    def test_counts_those_that_wait_without_those_that_do_not(self):
        six = some(6, priority=P1, code=MAGNET)
        five = [*six[:5], replace(six[5], state=ACKNOWLEDGED, acknowledged_by="vijay", acknowledged_at=NOW)]

        assert len(rows(*five)) == 6


class TestOrder:
    def test_is_p1_p2_p3_then_over_then_acknowledged(self):
        states = {
            "new 1": alarm(number=1, priority=P1),
            "new 2": alarm(number=2, priority=P2),
            "new 3": alarm(number=3, priority=P3),
            "over 1": alarm(number=4, priority=P1, state=CLEARED),
            "over 3": alarm(number=5, priority=P3, state=CLEARED),
            "taken 1": alarm(number=6, priority=P1, state=ACKNOWLEDGED, acknowledged_at=NOW),
            "taken 2": alarm(number=7, priority=P2, state=ACKNOWLEDGED, acknowledged_at=NOW),
        }
        names = {each.number: name for name, each in states.items()}

        found = rows(*reversed(states.values()))

        assert [names[row.numbers[0]] for row in found] == list(states)

    def test_puts_the_longest_waiting_p1_first(self):
        found = rows(*some(3, priority=P1, code=MAGNET, apart=MINUTE))

        assert shape(found) == [(1,), (2,), (3,)]

    def test_puts_the_newest_of_the_others_first(self):
        assert shape(rows(*some(2, priority=P2, apart=MINUTE))) == [(2,), (1,)]

    def test_puts_the_last_acknowledged_first(self):
        early = alarm(number=1, state=ACKNOWLEDGED, acknowledged_at=NOW)
        late = alarm(number=2, state=ACKNOWLEDGED, acknowledged_at=NOW + MINUTE, source="M-N2")

        assert shape(rows(early, late)) == [(2,), (1,)]


class TestKey:
    def test_stays_when_more_join_a_group(self):
        (before,) = rows(*some(3))
        (after,) = rows(*some(9))

        assert before.key == after.key
        assert before.sort == after.sort

    def test_stays_when_the_first_of_a_group_is_acknowledged(self):
        five = some(5)
        taken = replace(five[0], state=ACKNOWLEDGED, acknowledged_by="vijay", acknowledged_at=NOW)

        (before,) = rows(*five)
        keys = {row.key: row.numbers for row in rows(taken, *five[1:])}

        assert keys == {before.key: (2, 3, 4, 5), "a1": (1,)}

    def test_stays_when_one_alone_is_acknowledged(self):
        (before,) = rows(alarm())
        (after,) = rows(alarm(state=ACKNOWLEDGED, acknowledged_by="vijay", acknowledged_at=NOW))

        assert before.key == after.key == "a7"
        assert before.sort < after.sort


class TestGuess:
    def test_is_an_event_of_the_feeder_where_many_transformers_tell_it(self):
        (row,) = rows(*some(131, transformers=17, apart=9 * SECOND / 131))

        assert row.guess is not None
        assert row.guess.en == "one feeder event likely: 17 of 40 transformers, all within 9 s"
        assert row.guess.hi == "संभवतः फीडर की एक ही घटना: 40 में से 17 ट्रांसफार्मर, सभी 9 सेकंड के भीतर"
        assert (len(row.sources), row.meters_total) == (131, 2_176)
        assert (row.feeder, row.transformer) == ("F-1", None)

    def test_is_the_transformer_where_one_tells_it(self):
        (row,) = rows(*some(3))

        assert row.guess is not None
        assert row.guess.en == "same transformer, all within 2 s"
        assert row.meters_total == 54

    def test_names_few_transformers_and_concludes_nothing(self):
        (row,) = rows(*some(4, transformers=2, apart=MINUTE))

        assert row.guess is not None
        assert row.guess.en == "2 of 40 transformers, all within 3 min"

    def test_does_without_totals(self):
        (row,) = rows(*some(6, transformers=3), totals=WallTotals())

        assert row.guess is not None
        assert row.guess.en == "one feeder event likely: 3 transformers, all within 5 s"
        assert row.meters_total is None

    def test_is_made_for_groups_alone(self):
        (row,) = rows(alarm())

        assert (row.guess, row.meters_total) == (None, None)


class TestOwners:
    def test_are_those_who_acknowledged_each_once(self):
        found = some(4, state=ACKNOWLEDGED)
        found = [
            replace(each, acknowledged_by=who, acknowledged_at=NOW)
            for each, who in zip(found, ("vijay", "asha", "vijay", "asha"), strict=True)
        ]

        (row,) = rows(*found)
        assert row.owners == ("asha", "vijay")

    def test_are_none_while_nobody_has(self):
        assert rows(alarm())[0].owners == ()


class TestIsStale:
    def test_is_what_has_been_open_for_longer_than_a_day(self):
        assert not rows(alarm(), now=NOW + STALE_AFTER)[0].is_stale
        assert rows(alarm(), now=NOW + STALE_AFTER + SECOND)[0].is_stale


@st.composite
def alarms(draw: st.DrawFn) -> list[Alarm]:
    count = draw(st.integers(0, 40))
    found = []
    for number in range(1, count + 1):
        state = draw(st.sampled_from(AlarmState))
        at = NOW + draw(st.integers(0, 40)) * MINUTE
        taken = state in (ACKNOWLEDGED, NORMAL)
        found.append(
            alarm(
                number=number,
                source=f"M-{number}",
                code=draw(st.sampled_from([MAGNET, COVER])),
                priority=draw(st.sampled_from(Priority)),
                state=state,
                office=draw(st.sampled_from([None, "MHOW"])),
                transformer=draw(st.sampled_from([None, "T-1", "T-2"])),
                feeder=draw(st.sampled_from([None, "F-1"])),
                first_at=at,
                last_at=at,
                waiting_since=at,
                acknowledged_by="vijay" if taken else None,
                acknowledged_at=at if taken else None,
            )
        )
    return draw(st.permutations(found))


class TestWallRows:
    @given(alarms())
    def test_put_every_open_alarm_into_exactly_one_row(self, found: list[Alarm]):
        shown = [number for row in rows(*found) for number in row.numbers]

        assert sorted(shown) == sorted(each.number for each in found if each.state is not NORMAL)

    @given(alarms())
    def test_never_hide_a_p1_in_another_row(self, found: list[Alarm]):
        for row in rows(*found):
            assert {each.priority for each in row.alarms} == {row.priority}
            assert {each.state for each in row.alarms} == {row.state}
            assert row.priority is not P1 or len(row.alarms) == 1 or len(row.alarms) > FOLD_P1_OVER

    @given(alarms())
    def test_fold_only_what_is_of_one_kind_and_time(self, found: list[Alarm]):
        for row in rows(*found):
            assert len({each.code for each in row.alarms}) == 1
            assert row.alarms[-1].first_at - row.alarms[0].first_at <= WINDOW

    @given(alarms())
    def test_stand_in_the_order_of_their_sort_keys_by_octets(self, found: list[Alarm]):
        shown = rows(*found)

        assert [row.sort for row in shown] == sorted(
            (row.sort for row in shown), key=lambda key: key.encode()
        )
        assert len({row.sort for row in shown}) == len({row.key for row in shown}) == len(shown)
        sections = {UNACKNOWLEDGED: 0, CLEARED: 1, ACKNOWLEDGED: 2}
        order = [(sections[row.state], row.priority) for row in shown]
        assert order == sorted(order)

    @given(alarms(), st.randoms(use_true_random=False))
    def test_do_not_depend_on_the_order_of_the_alarms(self, found: list[Alarm], random):
        shuffled = list(found)
        random.shuffle(shuffled)

        assert rows(*shuffled) == rows(*found)


class TestFloodSince:
    @staticmethod
    def times(count: int, *, apart: timedelta = MINUTE / 2, start: datetime = NOW) -> list[datetime]:
        return [start + place * apart for place in range(count)]

    def test_is_none_while_they_can_be_answered(self):
        assert flood_since([], NOW) is None
        assert flood_since(self.times(FLOOD_OVER), NOW + 5 * MINUTE) is None

    def test_is_when_one_too_many_came(self):
        times = self.times(FLOOD_OVER + 1)

        assert flood_since(times, times[-1]) == times[-1]
        assert flood_since(times, times[-1] - SECOND) is None

    def test_lasts_until_few_are_left_of_the_last_ten_minutes(self):
        times = self.times(20)
        left = times[-FLOOD_UNDER]

        assert flood_since(times, left + WINDOW - SECOND) == times[FLOOD_OVER]
        assert flood_since(times, left + WINDOW) is None

    def test_does_not_begin_again_below_the_upper_mark(self):
        times = [*self.times(12), *self.times(6, start=NOW + HOUR)]

        assert flood_since(times, NOW + HOUR + 5 * MINUTE) is None

    def test_does_not_end_between_the_marks(self):
        times = [*self.times(12), *self.times(6, start=NOW + 7 * MINUTE, apart=MINUTE)]

        assert flood_since(times, NOW + 16 * MINUTE + SECOND) == NOW + 5 * MINUTE

    def test_looks_at_nothing_that_is_still_to_come(self):
        assert flood_since(self.times(30, start=NOW + HOUR), NOW) is None

    @given(st.lists(st.integers(0, 3_600), max_size=60), st.integers(0, 4_000))
    def test_is_a_moment_at_which_there_were_too_many(self, seconds: list[int], now_s: int):
        times = [NOW + each * SECOND for each in seconds]
        now = NOW + now_s * SECOND

        since = flood_since(times, now)

        last_ten = [each for each in times if now - WINDOW < each <= now]
        if since is None:
            assert len(last_ten) <= FLOOD_OVER
        else:
            assert len(last_ten) >= FLOOD_UNDER
            assert len([each for each in times if since - WINDOW < each <= since]) > FLOOD_OVER
