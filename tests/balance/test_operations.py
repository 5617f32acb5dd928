from datetime import date, datetime, timedelta

import numpy as np
import pytest

from bijlighar.balance import operations, queries
from bijlighar.balance.errors import UnusableRange
from bijlighar.balance.model import Level, Loss, Verdict
from bijlighar.base.period import epoch_seconds, local_midnight
from bijlighar.readings import operations as readings
from bijlighar.readings.model import Delivery, Origin, RegisterKind, RegisterSnapshot
from bijlighar.registry import operations as registry
from bijlighar.registry.model import EndDevice, MeterType
from bijlighar.storage.engine import Database
from bijlighar.validation import operations as validation
from bijlighar.validation import queries as validation_queries

HEADER = (
    "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,"
    "multiplier,minutes\n"
)
#: Two smart consumers (the second with CTs, 15 minutes), one read by hand; transformer and feeder meters above them.
TOWN = HEADER + (
    "A1,,,,,U1,M1,single-phase,tcp://h:1,T1,F1,,,,\n"
    "A2,,,,,U2,M2,lt-ct,tcp://h:2,T1,F1,,,20,15\n"
    "A3,,,,,U3,M3,single-phase,,T1,F1,,,,\n"
    ",,,,,,MT1,transformer,tcp://h:3,T1,F1,,,40,\n"
    ",,,,,,MF1,feeder,tcp://h:4,,F1,,,400,\n"
)
FIRST = date(2025, 4, 1)
NOW = local_midnight(date(2025, 4, 3)) + timedelta(hours=2)
#: Wh per half-hour: 100 + 20 x (1 + 1) smart, 60 by hand; the transformer 40 x 6, the feeder 400 x 1.
DAY_WH = {"smart": 140 * 48, "hand": 60 * 48, "transformer": 240 * 48, "feeder": 400 * 48}


def deliver(
    database: Database, meter: str, day: date, wh: int, *, minutes: int = 30, leave_out: int = 0
) -> None:
    count = 1_440 // minutes - leave_out
    starts = epoch_seconds(local_midnight(day)) + np.arange(count, dtype=np.int64) * minutes * 60
    delivery = Delivery(
        meter=meter, minutes=minutes, starts=starts, values={"wh_import": np.full(count, wh, dtype=np.int64)}
    )
    with database.write() as connection:
        readings.append(connection, deliveries=[delivery], now=NOW)


def deliver_day(database: Database, day: date, *, leave_out: int = 0) -> None:
    deliver(database, "M1", day, 100, leave_out=leave_out)
    deliver(database, "M2", day, 1, minutes=15)
    deliver(database, "MT1", day, 6)
    deliver(database, "MF1", day, 1)


def read_by_hand(database: Database, meter: str, *readings_wh: tuple[datetime, RegisterKind, int]) -> None:
    snapshots = [
        RegisterSnapshot(meter=meter, at=at, kind=kind, wh_import=wh, origin=Origin.HAND)
        for at, kind, wh in readings_wh
    ]
    with database.write() as connection:
        readings.append_registers(connection, snapshots=snapshots, now=NOW)


@pytest.fixture
def town(database: Database) -> Database:
    with database.write() as connection:
        registry.import_registry(connection, text=TOWN, now=NOW)
    return database


def close_all(database: Database, now: datetime = NOW) -> int:
    closed = 0
    for _ in range(50):
        with database.read() as connection:
            unvalidated = validation_queries.pending(connection, now=now)
            due = queries.pending(connection, now=now)
        if unvalidated:
            validation.validate_new(database, now=now)
        elif due:
            closed += operations.close_day(database, now=now)
        else:
            return closed
    raise AssertionError("the step never comes to rest")


def loss_of(database: Database, level: Level, first: date, last: date) -> Loss:
    with database.read() as connection:
        (loss,) = queries.losses(connection, level=level, first=first, last=last)
    return loss


def hand_month(database: Database) -> None:
    begin = local_midnight(FIRST)
    read_by_hand(
        database,
        "M3",
        (begin, RegisterKind.HAND, 5_000),
        (begin + timedelta(days=30), RegisterKind.HAND, 5_000 + 30 * DAY_WH["hand"]),
    )


class TestCloseDay:
    def test_sets_input_against_metered_and_assessed_consumption(self, town):
        deliver_day(town, FIRST)
        hand_month(town)

        assert close_all(town) == 1

        loss = loss_of(town, Level.TRANSFORMER, FIRST, FIRST)
        assert (loss.code, loss.input_wh) == ("T1", DAY_WH["transformer"])
        assert (loss.metered_wh, loss.assessed_wh) == (DAY_WH["smart"], DAY_WH["hand"])
        assert loss.consumers_wh == 200 * 48
        assert (loss.loss_wh, loss.loss_pct) == (40 * 48, 16.6667)
        assert loss.coverage_pct == pytest.approx(100 * (48 + 96) / (48 + 96 + 48), abs=1e-4)
        assert (loss.meters, loss.meters_not_assessed) == (3, 0)
        feeder = loss_of(town, Level.FEEDER, FIRST, FIRST)
        assert (feeder.code, feeder.input_wh, feeder.loss_wh) == ("F1", DAY_WH["feeder"], 200 * 48)

    def test_does_not_know_its_doubt_yet(self, town):
        deliver_day(town, FIRST)
        close_all(town)

        loss = loss_of(town, Level.TRANSFORMER, FIRST, FIRST)

        assert (loss.non_technical_loss_wh, loss.non_technical_loss_wh_interval) == (None, None)
        assert (loss.technical_loss_wh, loss.theft_suspected) == (None, False)

    def test_closes_a_day_only_when_it_is_over_and_then_once(self, town):
        deliver_day(town, FIRST)
        deliver_day(town, FIRST + timedelta(days=1))
        during_the_second = local_midnight(FIRST + timedelta(days=2)) - timedelta(seconds=1)

        assert close_all(town, during_the_second) == 1
        assert operations.close_day(town, now=during_the_second) == 0
        assert close_all(town) == 1
        assert close_all(town) == 0

    def test_waits_for_validation_but_not_for_ever(self, town):
        deliver_day(town, FIRST)

        assert operations.close_day(town, now=NOW) == 0
        validation.validate_new(town, now=NOW)
        deliver(town, "M1", FIRST + timedelta(days=1), 100)  # validation is busy again
        assert (
            operations.close_day(town, now=local_midnight(FIRST + timedelta(days=1)) + timedelta(hours=11))
            == 0
        )
        assert (
            operations.close_day(town, now=local_midnight(FIRST + timedelta(days=1)) + timedelta(hours=13))
            == 1
        )

    def test_closes_a_day_again_when_its_gaps_are_estimated_days_later(self, town):
        days = [FIRST + timedelta(days=number) for number in range(4)]
        for day in days:
            deliver_day(town, day, leave_out=8 if day == FIRST else 0)
        close_all(town, local_midnight(days[1]) + timedelta(hours=1))
        before = loss_of(town, Level.TRANSFORMER, FIRST, FIRST)

        close_all(town, local_midnight(days[-1]) + timedelta(days=2))

        after = loss_of(town, Level.TRANSFORMER, FIRST, FIRST)
        assert after.metered_wh > before.metered_wh
        assert after.coverage_pct == before.coverage_pct

    def test_closes_a_day_again_when_its_readings_change(self, town):
        deliver_day(town, FIRST, leave_out=8)
        close_all(town)
        before = loss_of(town, Level.TRANSFORMER, FIRST, FIRST)
        deliver(town, "M1", FIRST, 100)

        assert close_all(town) == 1

        after = loss_of(town, Level.TRANSFORMER, FIRST, FIRST)
        assert after.metered_wh - before.metered_wh == 8 * 100
        assert (before.coverage_pct or 0) < (after.coverage_pct or 0)

    def test_closes_days_again_when_the_network_of_those_days_changes(self, town):
        deliver_day(town, FIRST)
        deliver_day(town, FIRST + timedelta(days=1))
        close_all(town)
        row = "A1,,,,,U1,M1,single-phase,,T2,F1,,,,"
        with town.write() as connection:
            text = HEADER.strip() + ",from\n" + row + ",2025-04-02\n"
            registry.import_registry(connection, text=text, now=NOW)

        assert close_all(town) == 1

        with town.read() as connection:
            losses = queries.losses(
                connection, level=Level.TRANSFORMER, first=FIRST, last=FIRST + timedelta(days=1)
            )
        assert [(loss.code, loss.metered_wh) for loss in losses] == [
            ("T1", DAY_WH["smart"] + 40 * 48),
            ("T2", 100 * 48),
        ]
        assert (losses[1].input_wh, losses[1].loss_pct, losses[1].days_without_input) == (None, None, 1)

    def test_shares_a_day_between_two_meters_exchanged_in_its_middle(self, town):
        moment = local_midnight(FIRST) + timedelta(hours=12, minutes=10)
        begin = local_midnight(FIRST)
        new = EndDevice(serial="M30", meter_type=MeterType.SINGLE_PHASE, url="tcp://h:30")
        with town.write() as connection:
            registry.take_down_meter(connection, usage_point="U3", meter="M3", at=moment)
            registry.hang_meter(connection, usage_point="U3", device=new, at=moment)
        read_by_hand(town, "M3", (begin, RegisterKind.HAND, 0), (moment, RegisterKind.FINAL, 1_460))
        read_by_hand(town, "M30", (moment, RegisterKind.INITIAL, 3))
        deliver_day(town, FIRST)
        starts = np.arange(24, 48, dtype=np.int64) * 1_800 + epoch_seconds(begin)
        energy = np.array([40, *[60] * 23], dtype=np.int64)
        with town.write() as connection:
            delivery = Delivery(meter="M30", minutes=30, starts=starts, values={"wh_import": energy})
            readings.append(connection, deliveries=[delivery], now=NOW)

        close_all(town)

        loss = loss_of(town, Level.TRANSFORMER, FIRST, FIRST)
        assert loss.assessed_wh == 1_460
        assert loss.metered_wh == DAY_WH["smart"] + 40 + 23 * 60
        # 24 whole half-hours by hand are expected and not read; of the new meter's 23 all are.
        assert loss.coverage_pct == pytest.approx(100 * (48 + 96 + 23) / (48 + 96 + 24 + 23), abs=1e-4)

    def test_leaves_days_without_input_out_on_both_sides(self, town):
        deliver_day(town, FIRST)
        hand_month(town)
        second = FIRST + timedelta(days=1)
        for meter in ("M1", "MF1"):
            deliver(town, meter, second, 1)
        deliver(town, "MT1", second, 6, leave_out=1)
        close_all(town)

        loss = loss_of(town, Level.TRANSFORMER, FIRST, second)

        assert (loss.days, loss.days_without_input) == (1, 1)
        assert (loss.input_wh, loss.loss_wh) == (DAY_WH["transformer"], 40 * 48)

    def test_gives_the_transformers_own_loss_where_its_meter_is_on_the_hv_side(self, town):
        network = "transformer,feeder,kva,no_load_loss_w,load_loss_w,side\nT1,F1,1,10,100,hv\n"
        with town.write() as connection:
            registry.import_network(connection, text=network)
        deliver_day(town, FIRST)
        close_all(town)

        loss = loss_of(town, Level.TRANSFORMER, FIRST, FIRST)

        # 240 Wh in half an hour are 480 VA of 1,000: 10 W + 100 W x 0.48^2, for 24 hours.
        assert loss.technical_loss_wh == round(24 * (10 + 100 * 0.48**2))


class TestLosses:
    def test_of_a_range_use_the_registers_difference_whenever_it_was_read(self, town):
        days = [FIRST + timedelta(days=number) for number in range(10)]
        for day in days:
            deliver_day(town, day)
        later = local_midnight(days[-1]) + timedelta(days=1, hours=3)
        begin = local_midnight(FIRST)
        close_all(town, later)
        assert loss_of(town, Level.TRANSFORMER, days[0], days[-1]).meters_not_assessed == 1

        # Hand readings come after the days were closed, and change their loss without closing them again.
        read_by_hand(
            town,
            "M3",
            (begin, RegisterKind.HAND, 100),
            (begin + timedelta(days=4, hours=7), RegisterKind.HAND, 10_000),
            (begin + timedelta(days=10), RegisterKind.HAND, 25_100),
        )

        loss = loss_of(town, Level.TRANSFORMER, days[0], days[-1])
        assert (loss.assessed_wh, loss.meters_not_assessed) == (25_000, 0)
        parts = [loss_of(town, Level.TRANSFORMER, day, day).assessed_wh for day in days]
        assert sum(parts) == 25_000

    def test_take_intervals_of_a_meter_without_an_address_where_a_file_brought_them(self, town):
        deliver_day(town, FIRST)
        hand_month(town)
        deliver(town, "M3", FIRST, 50)
        close_all(town)

        loss = loss_of(town, Level.TRANSFORMER, FIRST, FIRST)

        assert (loss.assessed_wh, loss.metered_wh) == (0, DAY_WH["smart"] + 50 * 48)
        assert loss.coverage_pct == 100.0

    def test_are_empty_where_nothing_is_closed(self, town):
        with town.read() as connection:
            assert queries.losses(connection, level=Level.FEEDER, first=FIRST, last=FIRST) == ()
            assert queries.usual_range(connection, now=NOW) is None

    @pytest.mark.parametrize("last", [date(2025, 3, 31), date(2030, 1, 1)])
    def test_refuse_what_is_no_range(self, town, last):
        with town.read() as connection, pytest.raises(UnusableRange):
            queries.losses(connection, level=Level.FEEDER, first=FIRST, last=last)


class TestCloseRange:
    def test_closes_days_that_are_over_whatever_was_known(self, town):
        deliver_day(town, FIRST)

        assert operations.close_range(town, first=FIRST, last=date(2025, 4, 30), now=NOW) == 2

        with town.read() as connection:
            assert queries.usual_range(connection, now=NOW) == (FIRST, FIRST)
            days = queries.days(connection, level=Level.TRANSFORMER, first=FIRST, last=FIRST)
        assert [day.input_wh for day in days] == [DAY_WH["transformer"]]


class TestExaminedLosses:
    @pytest.mark.parametrize("is_read", [True, False])
    def test_give_no_verdict_where_too_much_is_assessed_or_not_even_that(self, town, is_read):
        days = [FIRST + timedelta(days=number) for number in range(6)]
        for day in days:
            deliver_day(town, day)
        if is_read:
            hand_month(town)
        close_all(town, local_midnight(days[-1]) + timedelta(days=1, hours=3))

        with town.read() as connection:
            (loss,) = queries.examined_losses(
                connection, level=Level.TRANSFORMER, first=days[0], last=days[-1]
            )

        assert loss.verdict is Verdict.TOO_LITTLE_READ
        assert (loss.non_technical_loss_wh_interval, loss.theft_suspected) == (None, False)
        assert loss.meters_not_assessed == (0 if is_read else 1)
