"""From readings to determinants."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bijlighar.base.period import Month, local_midnight
from bijlighar.billing.measuring import Hanging, LastBilled, Readings, by_meter, determine, month_numbers
from bijlighar.billing.model import Determinants, Parked, Reason
from bijlighar.readings.model import ABSENT, DayBlock, Quality, RegisterKind, RegisterSnapshot
from bijlighar.registry.model import Installation, MeterType

APRIL = Month(year=2025, month=4)
EVER = datetime(2020, 1, 1, tzinfo=UTC)
NOON_15 = local_midnight(date(2025, 4, 15)) + timedelta(hours=12, minutes=10)


def hanging(
    meter: str = "M1",
    *,
    from_at: datetime = EVER,
    to_at: datetime | None = None,
    communicates: bool = True,
    multiplier: int = 1,
) -> Hanging:
    installation = Installation(
        usage_point="UP",
        account="A",
        meter=meter,
        meter_type=MeterType.SINGLE_PHASE,
        multiplier=multiplier,
        minutes=30,
        transformer="T",
        feeder="F",
        phase="R",
        office="O",
        from_at=from_at,
        to_at=to_at,
    )
    return Hanging(installation=installation, communicates=communicates)


def block(meter: str = "M1", *, wh: int = 100, minutes: int = 30, month: Month = APRIL) -> DayBlock:
    first, last = month_numbers(month)
    days = np.arange(first, last + 1, dtype=np.int32)
    shape = (len(days), 1440 // minutes)
    return DayBlock(
        meters=(meter,) * len(days),
        days=days,
        minutes=minutes,
        versions=np.ones(len(days), dtype=np.int32),
        values={"wh_import": np.full(shape, wh, dtype=np.int64)},
        quality=np.full(shape, Quality.VALID, dtype=np.uint8),
        validated=np.ones(len(days), dtype=np.bool_),
    )


def register(meter: str, at: datetime, wh: int, kind: RegisterKind = RegisterKind.HAND) -> RegisterSnapshot:
    return RegisterSnapshot(meter=meter, at=at, kind=kind, wh_import=wh)


def readings(*, blocks: Sequence[DayBlock] = (), registers: Sequence[RegisterSnapshot] = ()) -> Readings:
    by_serial: dict[str, list[RegisterSnapshot]] = {}
    for snapshot in sorted(registers, key=lambda each: each.at):
        by_serial.setdefault(snapshot.meter, []).append(snapshot)
    return Readings(days=by_meter(blocks), registers=by_serial)


def measured(
    *hangings: Hanging, month: Month = APRIL, last: dict[str, LastBilled] | None = None, **given
) -> Determinants:
    found = determine(
        account="A", month=month, hangings=hangings, readings=readings(**given), last_billed=last or {}
    )
    assert isinstance(found, Determinants), found
    return found


def parked(
    *hangings: Hanging, month: Month = APRIL, last: dict[str, LastBilled] | None = None, **given
) -> Parked:
    found = determine(
        account="A", month=month, hangings=hangings, readings=readings(**given), last_billed=last or {}
    )
    assert isinstance(found, Parked), found
    return found


class TestIntervals:
    @pytest.mark.parametrize(("minutes", "wh"), [(30, 100), (15, 50)])
    def test_sums_a_whole_month_with_its_half_hours_and_demand(self, minutes: int, wh: int) -> None:
        found = measured(hanging(multiplier=2), blocks=[block(wh=wh, minutes=minutes)])

        assert found.energy_wh == 30 * 48 * 100 * 2
        assert found.half_hours_wh == (6_000,) * 48
        assert (found.days, found.demand_w, found.smart) == (30, 400, True)

    def test_counts_what_is_estimated_and_takes_no_demand_from_it(self) -> None:
        days = block()
        days.values["wh_import"][4, 7] = 5_000
        days.quality[4, 7] = Quality.ESTIMATED

        found = measured(hanging(), blocks=[days])

        assert (found.estimated, found.estimated_wh, found.demand_w) == (1, 5_000, 200)

    def test_is_parked_for_one_missing_half_hour(self) -> None:
        days = block()
        days.values["wh_import"][29, 47] = ABSENT
        days.quality[29, 47] = Quality.ABSENT

        assert parked(hanging(), blocks=[days]) == Parked(
            reason=Reason.INTERVALS_MISSING, detail="M1: 1 half hours"
        )

    def test_is_parked_for_one_missing_quarter(self) -> None:
        days = block(minutes=15)
        days.values["wh_import"][0, 0] = ABSENT

        assert parked(hanging(), blocks=[days]).reason is Reason.INTERVALS_MISSING

    def test_is_parked_without_any_day(self) -> None:
        assert parked(hanging()).detail == "M1: 1440 half hours"

    def test_waits_for_validation(self) -> None:
        days = block()
        days.validated[3] = False

        assert parked(hanging(), blocks=[days]) == Parked(reason=Reason.NOT_VALIDATED, detail="M1: 1 days")

    def test_prints_the_registers_of_both_midnights(self) -> None:
        midnights = [
            register("M1", APRIL.period.start, 7_000, RegisterKind.DAILY),
            register("M1", APRIL.period.end, 151_000, RegisterKind.DAILY),
        ]

        segment = measured(hanging(), blocks=[block()], registers=midnights).segments[0]

        assert (segment.start_wh, segment.end_wh) == (7_000, 151_000)

    def test_measures_a_new_connection_from_the_interval_it_was_hung_up_in(self) -> None:
        found = measured(hanging(from_at=NOON_15), blocks=[block()])

        assert found.energy_wh == (24 + 15 * 48) * 100
        assert found.days == 16

    def test_has_no_meter(self) -> None:
        assert parked().reason is Reason.NO_METER


class TestRegisters:
    def test_takes_the_readings_nearest_the_ends_and_their_days(self) -> None:
        read = [
            register("M1", local_midnight(date(2025, 3, 25)), 1_000),
            register("M1", local_midnight(date(2025, 4, 2)) + timedelta(hours=10), 9_000),
            register("M1", local_midnight(date(2025, 4, 20)), 60_000),
            register("M1", local_midnight(date(2025, 5, 3)) + timedelta(hours=16), 109_000),
        ]

        found = measured(hanging(communicates=False, multiplier=3), registers=read)

        assert (found.energy_wh, found.days, found.smart) == (300_000, 31, False)
        assert (found.period_from, found.period_to) == (date(2025, 4, 2), date(2025, 5, 3))
        assert found.half_hours_wh == (0,) * 48

    def test_begins_where_the_bill_before_ended(self) -> None:
        before = LastBilled(at=local_midnight(date(2025, 3, 28)), wh=4_000)
        read = [
            register("M1", local_midnight(date(2025, 4, 1)), 9_000),
            register("M1", local_midnight(date(2025, 5, 1)), 109_000),
        ]

        found = measured(hanging(communicates=False), registers=read, last={"M1": before})

        assert (found.energy_wh, found.days) == (105_000, 34)

    @pytest.mark.parametrize(
        ("days", "reason"),
        [
            ([date(2025, 5, 1)], Reason.NO_START_READING),
            ([date(2025, 4, 1)], Reason.NO_END_READING),
            ([date(2025, 4, 1), date(2025, 4, 20)], Reason.NO_END_READING),
            ([date(2025, 3, 20), date(2025, 5, 1)], Reason.NO_START_READING),
            ([], Reason.NO_START_READING),
        ],
    )
    def test_is_parked_without_a_reading_near_both_ends(self, days: list[date], reason: Reason) -> None:
        read = [register("M1", local_midnight(day), 1_000 * place) for place, day in enumerate(days)]

        assert parked(hanging(communicates=False), registers=read).reason is reason

    def test_is_parked_when_the_register_fell(self) -> None:
        read = [
            register("M1", local_midnight(date(2025, 4, 1)), 99_999_000),
            register("M1", local_midnight(date(2025, 5, 1)), 12_000),
        ]

        assert parked(hanging(communicates=False), registers=read).reason is Reason.REGISTER_FELL

    def test_bills_a_month_without_use(self) -> None:
        read = [register("M1", local_midnight(day), 5_000) for day in (date(2025, 4, 1), date(2025, 5, 1))]

        assert measured(hanging(communicates=False), registers=read).energy_wh == 0

    def test_uses_intervals_from_a_file_where_no_register_was_read(self) -> None:
        found = measured(hanging(communicates=False), blocks=[block()])

        assert (found.energy_wh, found.segments[0].method) == (144_000, "intervals")


class TestExchange:
    OLD = hanging("OLD", to_at=NOON_15, communicates=False)
    NEW = hanging("NEW", from_at=NOON_15)
    START = register("OLD", local_midnight(date(2025, 4, 1)), 1_000)
    FINAL = register("OLD", NOON_15, 81_000, RegisterKind.FINAL)
    INITIAL = register("NEW", NOON_15, 2_946, RegisterKind.INITIAL)

    def test_sums_the_segments_and_never_takes_the_new_register_as_use(self) -> None:
        found = measured(
            self.OLD, self.NEW, blocks=[block("NEW")], registers=[self.START, self.FINAL, self.INITIAL]
        )

        assert [segment.energy_wh for segment in found.segments] == [80_000, (24 + 15 * 48) * 100]
        assert (found.days, found.smart) == (30, True)

    @pytest.mark.parametrize(
        ("read", "reason"),
        [([START, INITIAL], Reason.NO_FINAL_READING), ([START, FINAL], Reason.NO_INITIAL_READING)],
    )
    def test_is_parked_without_the_final_or_the_initial_reading(self, read, reason: Reason) -> None:
        assert parked(self.OLD, self.NEW, blocks=[block("NEW")], registers=read).reason is reason

    def test_asks_the_same_of_two_communicating_meters(self) -> None:
        old = hanging("OLD", to_at=NOON_15)
        blocks = [block("OLD"), block("NEW")]

        assert parked(old, self.NEW, blocks=blocks).reason is Reason.NO_FINAL_READING
        both = measured(old, self.NEW, blocks=blocks, registers=[self.FINAL, self.INITIAL])
        assert both.energy_wh == (14 * 48 + 25 + 24 + 15 * 48) * 100

    def test_takes_the_initial_reading_where_a_hand_read_meter_follows(self) -> None:
        new = hanging("NEW", from_at=NOON_15, communicates=False)
        end = register("NEW", local_midnight(date(2025, 5, 1)), 12_946)

        found = measured(self.OLD, new, registers=[self.START, self.FINAL, self.INITIAL, end])

        assert found.energy_wh == 90_000

    def test_bills_nothing_twice_where_the_final_reading_closed_the_month_before(self) -> None:
        taken_down = APRIL.period.start + timedelta(hours=11)
        old = hanging("OLD", to_at=taken_down, communicates=False)
        new = hanging("NEW", from_at=taken_down, communicates=False)
        final = register("OLD", taken_down, 81_000, RegisterKind.FINAL)
        read = [
            final,
            register("NEW", taken_down, 0, RegisterKind.INITIAL),
            register("NEW", local_midnight(date(2025, 5, 1)), 30_000),
        ]

        found = measured(old, new, registers=read, last={"OLD": LastBilled(at=taken_down, wh=81_000)})

        assert [segment.energy_wh for segment in found.segments] == [0, 30_000]


class TestSplitting:
    @settings(max_examples=40, deadline=None)
    @given(half_hour=st.integers(1, 30 * 48 - 1), seed=st.integers(0, 99))
    def test_at_any_half_hour_changes_nothing(self, half_hour: int, seed: int) -> None:
        whole = block()
        whole.values["wh_import"][:] = np.random.default_rng(seed).integers(0, 900, size=(30, 48))
        at = APRIL.period.start + timedelta(minutes=30 * half_hour)
        places = np.arange(30 * 48).reshape(30, 48)
        halves = []
        for meter, own in (("OLD", places < half_hour), ("NEW", places >= half_hour)):
            values = np.where(own, whole.values["wh_import"], ABSENT)
            halves.append(replace(whole, meters=(meter,) * 30, values={"wh_import": values}))

        one = measured(hanging(), blocks=[whole])
        two = measured(
            hanging("OLD", to_at=at),
            hanging("NEW", from_at=at),
            blocks=halves,
            registers=[
                register("OLD", at, 9, RegisterKind.FINAL),
                register("NEW", at, 0, RegisterKind.INITIAL),
            ],
        )

        assert (two.energy_wh, two.half_hours_wh, two.days) == (one.energy_wh, one.half_hours_wh, one.days)
