"""The months of a transformer and the gap by time of the day, held against figures worked out by hand."""

from datetime import date, timedelta

import numpy as np
import pytest
from tests.balance.test_operations import (
    DAY_WH,
    FIRST,
    HEADER,
    close_all,
    deliver,
    deliver_day,
    hand_month,
    town,
)

from bijlighar.balance import looking, operations, queries, rules
from bijlighar.balance.errors import UnusableRange
from bijlighar.balance.model import GapAtTime, Level
from bijlighar.base.period import Month, epoch_seconds, local_midnight
from bijlighar.readings import operations as readings
from bijlighar.readings.model import Delivery
from bijlighar.registry import operations as registry
from bijlighar.registry.model import Transformer
from bijlighar.storage.engine import Database

__all__ = ["town"]

SECOND = FIRST + timedelta(days=1)
NOW = local_midnight(FIRST) + timedelta(days=40)


def shape(database: Database, first: date = FIRST, last: date = FIRST) -> tuple[GapAtTime, ...]:
    if last >= first:
        operations.close_range(database, first=first, last=last, now=NOW)
    with database.read() as connection:
        return queries.gap_by_time(connection, level=Level.TRANSFORMER, code="T1", first=first, last=last)


def stolen(database: Database, day: date, *, slots: range) -> None:
    """The transformer's meter counts 1 more (40 Wh) in some half-hours."""
    starts = epoch_seconds(local_midnight(day)) + np.arange(48, dtype=np.int64) * 1_800
    counted = np.array([6 + (slot in slots) for slot in range(48)], dtype=np.int64)
    with database.write() as connection:
        delivery = Delivery(meter="MT1", minutes=30, starts=starts, values={"wh_import": counted})
        readings.append(connection, deliveries=[delivery], now=NOW)


class TestGapByTime:
    def test_is_input_less_consumers_with_their_multipliers(self, town):
        deliver_day(town, FIRST)

        found = shape(town)

        assert [each.minute for each in found] == list(range(0, 1_440, 30))
        assert {(each.days, each.input_wh, each.consumers_wh, each.gap_wh) for each in found} == {
            (1, 240, 140, 100)
        }
        assert {(each.coverage_pct, each.is_certain) for each in found} == {(100.0, True)}

    def test_shows_when_energy_is_missing_as_the_mean_of_the_days(self, town):
        for day in (FIRST, SECOND):
            deliver_day(town, day)
        evening = range(36, 44)
        stolen(town, SECOND, slots=evening)

        found = shape(town, FIRST, SECOND)

        gaps = [each.gap_wh for each in found]
        assert gaps == [120 if slot in evening else 100 for slot in range(48)]
        assert found[36].minute == 18 * 60

    def test_leaves_half_hours_without_input_out_on_both_sides(self, town):
        for day in (FIRST, SECOND):
            deliver(town, "M1", day, 100 if day == FIRST else 300)
            deliver(town, "M2", day, 1, minutes=15)
        deliver(town, "MT1", FIRST, 6)
        deliver(town, "MT1", SECOND, 12, leave_out=10)

        found = shape(town, FIRST, SECOND)

        assert [each.days for each in found] == [2] * 38 + [1] * 10
        assert (found[0].input_wh, found[0].consumers_wh) == (360, 240)
        assert (found[-1].input_wh, found[-1].consumers_wh) == (240, 140)

    def test_is_doubtful_where_a_consumer_was_not_read(self, town):
        deliver_day(town, FIRST, leave_out=4)

        found = shape(town)

        assert [each.coverage_pct for each in found] == [100.0] * 44 + [50.0] * 4
        assert [each.is_certain for each in found][43:45] == [True, False]
        assert found[-1].gap_wh == 200

    def test_lays_what_is_read_by_hand_along_the_others_use(self, town):
        deliver_day(town, FIRST)
        hand_month(town)

        found = shape(town)

        assert {each.consumers_wh for each in found} == {200}
        assert sum(each.gap_wh or 0 for each in found) == DAY_WH["transformer"] - 200 * 48

    def test_takes_the_network_as_it_stood(self, town):
        for day in (FIRST, SECOND):
            deliver_day(town, day)
        text = HEADER.strip() + ",from\nA1,,,,,U1,M1,single-phase,,T2,F1,,,,,2025-04-02\n"
        with town.write() as connection:
            registry.import_registry(connection, text=text, now=NOW)

        assert {each.consumers_wh for each in shape(town, FIRST, FIRST)} == {140}
        assert {each.consumers_wh for each in shape(town, SECOND, SECOND)} == {40}

    def test_leaves_days_out_that_are_not_closed(self, town):
        for day in (FIRST, SECOND):
            deliver_day(town, day)
        operations.close_range(town, first=SECOND, last=SECOND, now=NOW)

        with town.read() as connection:
            found = queries.gap_by_time(
                connection, level=Level.TRANSFORMER, code="T1", first=FIRST, last=SECOND
            )
            none = queries.gap_by_time(
                connection, level=Level.TRANSFORMER, code="T1", first=FIRST, last=FIRST
            )

        assert ({each.days for each in found}, none) == ({1}, ())

    def test_is_nothing_where_nothing_hangs_or_no_input_is_known(self, town):
        operations.close_range(town, first=FIRST, last=FIRST, now=NOW)
        with town.read() as connection:
            assert (
                queries.gap_by_time(connection, level=Level.TRANSFORMER, code="T9", first=FIRST, last=FIRST)
                == ()
            )
        assert {(each.days, each.gap_wh, each.coverage_pct) for each in shape(town)} == {(0, None, None)}

    def test_of_a_feeder_is_of_all_its_consumers_and_its_own_meter(self, town):
        for day in (FIRST, SECOND):
            deliver_day(town, day, leave_out=4)
        text = (
            HEADER + "B1,,,,,V1,M8,single-phase,tcp://h:8,T2,F1,,,,\nC1,,,,,W1,M9,single-phase,,T3,F2,,,,\n"
        )
        with town.write() as connection:
            registry.import_registry(connection, text=text, now=NOW)
        for day in (FIRST, SECOND):
            deliver(town, "M8", day, 30)
        operations.close_range(town, first=FIRST, last=SECOND, now=NOW)

        with town.read() as connection:
            found = queries.gap_by_time(connection, level=Level.FEEDER, code="F1", first=FIRST, last=SECOND)
            none = queries.gap_by_time(connection, level=Level.FEEDER, code="T1", first=FIRST, last=SECOND)

        assert none == ()
        assert {(each.days, each.input_wh, each.consumers_wh, each.gap_wh) for each in found[:44]} == {
            (2, 400, 170, 230)
        }
        assert [each.gap_wh for each in found[44:]] == [330] * 4

    def test_is_the_same_laid_out_part_by_part(self, town, monkeypatch):
        deliver_day(town, FIRST, leave_out=4)
        whole = shape(town)
        monkeypatch.setattr(looking, "LAID_AT_ONCE", 1)

        assert shape(town) == whole

    def test_of_too_many_meters_is_refused_with_how_many_days_can_be(self, town, monkeypatch):
        deliver_day(town, FIRST)
        deliver_day(town, SECOND)
        monkeypatch.setattr(looking, "METER_DAYS_MAX", 3)

        assert len(shape(town, FIRST, FIRST)) == 48
        with pytest.raises(UnusableRange, match="at most 1 days"):
            shape(town, FIRST, SECOND)

    def test_refuses_a_range_that_is_none_or_too_long(self, town):
        for last in (FIRST - timedelta(days=1), FIRST + timedelta(days=62)):
            with pytest.raises(UnusableRange):
                shape(town, FIRST, last)

    def test_works_without_any_consumer_that_speaks(self, town):
        deliver(town, "MT1", FIRST, 6)
        text = HEADER + "A9,,,,,U9,M9,single-phase,,T9,F1,,,,\n,,,,,,MT9,transformer,tcp://h:9,T9,F1,,,40,\n"
        with town.write() as connection:
            registry.import_registry(connection, text=text, now=NOW)
        deliver(town, "MT9", FIRST, 6)
        operations.close_range(town, first=FIRST, last=FIRST, now=NOW)

        with town.read() as connection:
            found = queries.gap_by_time(
                connection, level=Level.TRANSFORMER, code="T9", first=FIRST, last=FIRST
            )

        assert {(each.input_wh, each.consumers_wh, each.coverage_pct) for each in found} == {(240, 0, None)}


class TestRuleOfGapByTime:
    def test_spreads_what_is_assessed_by_the_use_of_the_range(self):
        found = rules.gap_by_time(
            input_wh=np.array([[10, 30]]),
            input_known=np.array([[True, True]]),
            consumers_wh=np.array([[2, 6]]),
            assessed_wh=np.array([4]),
            expected=np.array([[1, 1]]),
            read=np.array([[1, 0]]),
        )

        assert [(each.minute, each.consumers_wh, each.gap_wh) for each in found] == [(0, 3, 7), (720, 9, 21)]
        assert [each.coverage_pct for each in found] == [100.0, 0.0]

    def test_spreads_it_flat_where_nobody_uses_anything_and_tells_a_gap_below_zero(self):
        found = rules.gap_by_time(
            input_wh=np.array([[1, 1]]),
            input_known=np.array([[True, False]]),
            consumers_wh=np.array([[0, 0]]),
            assessed_wh=np.array([6]),
            expected=np.array([[0, 0]]),
            read=np.array([[0, 0]]),
        )

        assert [(each.days, each.gap_wh) for each in found] == [(1, -2), (0, None)]


class TestLossesByMonth:
    def months(self, database: Database, last: date, months: int = 13) -> list[tuple[object, ...]]:
        with database.read() as connection:
            found = queries.losses_by_month(
                connection, level=Level.TRANSFORMER, code="T1", last=last, months=months
            )
        return [
            (
                str(each.month),
                each.days,
                each.loss.input_wh,
                each.loss.consumers_wh,
                each.loss.loss_pct,
                each.loss.is_certain,
            )
            for each in found
        ]

    def test_are_the_sums_of_their_days(self, town):
        march = FIRST - timedelta(days=1)
        deliver_day(town, march)
        for day in (FIRST, SECOND):
            deliver_day(town, day)
        stolen(town, SECOND, slots=range(48))
        close_all(town, NOW)

        found = self.months(town, SECOND)

        day_wh = DAY_WH["transformer"]
        assert [month[:4] for month in found] == [
            ("2025-03", 1, day_wh, DAY_WH["smart"]),
            ("2025-04", 2, day_wh * 2 + 40 * 48, DAY_WH["smart"] * 2),
        ]
        assert [month[4] for month in found] == [
            rules.per_cent(100, 240),
            rules.per_cent(480 + 40 - 280, 520),
        ]

    def test_have_what_was_read_by_hand_in_them(self, town):
        deliver_day(town, FIRST)
        hand_month(town)
        close_all(town, NOW)

        (april,) = self.months(town, FIRST)

        assert april[3] == DAY_WH["smart"] + DAY_WH["hand"]

    def test_are_as_many_as_are_asked_for(self, town):
        deliver_day(town, FIRST - timedelta(days=1))
        deliver_day(town, FIRST)
        close_all(town, NOW)

        assert [month[0] for month in self.months(town, FIRST, months=1)] == ["2025-04"]
        assert [month[0] for month in self.months(town, FIRST - timedelta(days=1))] == ["2025-03"]
        assert self.months(town, date(2024, 1, 1)) == []

    def test_are_doubtful_where_too_little_was_read(self, town):
        deliver_day(town, FIRST, leave_out=40)
        close_all(town, NOW)

        (april,) = self.months(town, FIRST)

        assert april[5] is False

    @pytest.mark.parametrize(("level", "code"), [(Level.TRANSFORMER, "T1"), (Level.FEEDER, "F1")])
    def test_agree_with_the_loss_of_the_same_days(self, town, level: Level, code: str):
        for number in range(5):
            deliver_day(town, FIRST + timedelta(days=number), leave_out=number)
        hand_month(town)
        operations.close_range(town, first=FIRST, last=FIRST + timedelta(days=4), now=NOW)

        with town.read() as connection:
            (month,) = queries.losses_by_month(
                connection, level=level, code=code, last=Month(year=2025, month=4).last
            )
            (alone,) = queries.losses(
                connection,
                level=level,
                first=FIRST,
                last=FIRST + timedelta(days=4),
                code=code,
            )
            examined = queries.examined_loss(
                connection, level=Level.FEEDER, code="F1", first=FIRST, last=FIRST + timedelta(days=4)
            )
            none = queries.examined_loss(
                connection, level=Level.FEEDER, code="T1", first=FIRST, last=FIRST + timedelta(days=4)
            )
        assert month.loss == alone
        assert (month.loss.level, month.loss.code) == (level, code)
        assert (alone == examined) is (level is Level.FEEDER)
        assert none is None


class TestNeighbours:
    def test_are_the_nearest_of_the_feeder(self):
        plates = [
            Transformer(code=f"T{number}", feeder="F1" if number < 9 else "F2")
            for number in range(10)
        ]  # fmt: skip

        found = queries.neighbours(plates, code="T4")

        assert found[0] == "T4"
        assert set(found) == {"T4", "T3", "T5", "T2", "T6", "T1"}
        assert queries.neighbours(plates, code="T9") == ("T9",)
        assert queries.neighbours(plates, code="NONE") == ("NONE",)
