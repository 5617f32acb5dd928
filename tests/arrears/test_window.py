from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.arrears import window
from bijlighar.base.period import IST, local_date
from tests.arrears.build import POLICY


def at(day: date, clock: str) -> datetime:
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return datetime(day.year, day.month, day.day, hours, minutes, seconds, tzinfo=IST).astimezone(UTC)


THURSDAY = date(2025, 7, 17)


class TestIsCuttingTime:
    @pytest.mark.parametrize("clock", ["10:00:00", "12:30:00", "15:59:59"])
    def test_lies_within_the_hours(self, clock: str):
        assert window.is_cutting_time(at(THURSDAY, clock), policy=POLICY)

    @pytest.mark.parametrize("clock", ["09:59:59", "16:00:00", "00:00:00", "23:59:59"])
    def test_ends_at_the_hours_edges(self, clock: str):
        assert not window.is_cutting_time(at(THURSDAY, clock), policy=POLICY)

    @pytest.mark.parametrize(
        ("day", "why"),
        [
            (date(2025, 7, 20), "Sunday"),
            (date(2025, 8, 15), "Independence Day"),
            (date(2025, 8, 14), "the day before it"),
            (date(2025, 10, 1), "the day before Gandhi Jayanti"),
            (date(2024, 7, 17), "a year without known holidays"),
            (date(2026, 12, 31), "nobody knows whether the next day is a holiday"),
        ],
    )
    def test_leaves_out(self, day: date, why: str):
        assert not window.is_cutting_time(at(day, "12:00:00"), policy=POLICY), why

    def test_takes_a_saturday(self):
        assert window.is_cutting_time(at(date(2025, 7, 19), "12:00:00"), policy=POLICY)


class TestNextCuttingTime:
    def test_is_now_within_the_hours(self):
        now = at(THURSDAY, "12:00:00")

        assert window.next_cutting_time(after=now, policy=POLICY) == now

    def test_is_the_next_morning_after_the_hours(self):
        assert window.next_cutting_time(after=at(THURSDAY, "16:00:00"), policy=POLICY) == at(
            date(2025, 7, 18), "10:00:00"
        )

    def test_goes_round_holidays_and_sundays(self):
        # 14 August is the day before a holiday, 15 and 16 are holidays, 17 is a Sunday.
        assert window.next_cutting_time(after=at(date(2025, 8, 13), "16:00:00"), policy=POLICY) == at(
            date(2025, 8, 18), "10:00:00"
        )

    def test_is_unknown_where_the_calendar_ends(self):
        assert window.next_cutting_time(after=at(date(2027, 1, 2), "10:00:00"), policy=POLICY) is None

    @given(st.integers(0, 15_000))
    def test_always_lies_within_a_cutting_time(self, hours: int):
        after = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=hours)

        found = window.next_cutting_time(after=after, policy=POLICY)

        assert found is not None
        assert found >= after
        assert window.is_cutting_time(found, policy=POLICY)


class TestEndOfWindow:
    def test_is_the_end_of_the_same_days_hours(self):
        end = window.end_of_window(at(THURSDAY, "11:00:00"), policy=POLICY)

        assert end == at(THURSDAY, "16:00:00")
        assert local_date(end) == THURSDAY
        assert not window.is_cutting_time(end, policy=POLICY)
        assert window.is_cutting_time(end - timedelta(seconds=1), policy=POLICY)
