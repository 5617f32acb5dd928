from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.base.errors import BijligharError
from bijlighar.base.period import epoch_seconds
from bijlighar.dlms import axdr, clock
from bijlighar.dlms.errors import RemoteProtocolError
from bijlighar.headend import few_rows
from bijlighar.headend.decode import (
    ABSENT,
    block_delivery,
    clock_drift_s,
    log_events,
    read_table,
    rescaled,
    snapshots,
)
from bijlighar.headend.errors import UnexpectedLayout
from bijlighar.headend.layout import Layout, LayoutColumn
from bijlighar.readings.model import RegisterKind

STAMP = datetime(2025, 7, 1, 5, 0, tzinfo=UTC)
PERIOD = timedelta(minutes=30)
RTC = LayoutColumn(obis="0.0.1.0.0.255", class_id=8, attribute=2)


def register(obis: str, scaler: int = 0, unit: int = 30) -> LayoutColumn:
    return LayoutColumn(obis=obis, class_id=3, attribute=2, scaler=scaler, unit=unit)


def layout(*columns: LayoutColumn, profile: str = "block-load", period_s: int = 1800) -> Layout:
    return Layout(model="M", period_s=period_s, profiles={profile: (RTC, *columns)})


def time(moment: datetime) -> bytes:
    return axdr.octet_string(clock.encode(moment))


def buffer(*rows: tuple[bytes, ...]) -> bytes:
    return axdr.array([axdr.structure(*row) for row in rows])


ENERGY = register("1.0.1.29.0.255")


class TestBlockDelivery:
    def test_names_intervals_by_their_start_in_the_order_they_came(self):
        later = STAMP + PERIOD
        data = buffer(
            (time(later), axdr.double_long_unsigned(2)), (time(STAMP), axdr.double_long_unsigned(1))
        )

        delivery = block_delivery(meter="A", layout=layout(ENERGY), buffer=data)

        assert delivery.starts.tolist() == [epoch_seconds(STAMP), epoch_seconds(STAMP - PERIOD)]
        assert delivery.values["wh_import"].tolist() == [2, 1]
        assert delivery.minutes == 30

    def test_is_empty_where_the_meter_has_no_rows(self):
        delivery = block_delivery(meter="A", layout=layout(ENERGY), buffer=axdr.array([]))

        assert (len(delivery.starts), delivery.unreadable) == (0, ())

    def test_takes_a_null_cell_for_the_one_above_and_a_null_time_for_the_next(self):
        data = buffer(
            (time(STAMP), axdr.double_long_unsigned(7)),
            (axdr.NULL, axdr.NULL),
            (axdr.NULL, axdr.double_long_unsigned(9)),
        )

        delivery = block_delivery(meter="A", layout=layout(ENERGY), buffer=data)

        assert np.diff(delivery.starts).tolist() == [1800, 1800]
        assert delivery.values["wh_import"].tolist() == [7, 7, 9]

    def test_leaves_out_rows_without_a_time_and_says_so(self):
        data = buffer(
            (axdr.octet_string(clock.UNDEFINED), axdr.double_long_unsigned(1)),
            (time(STAMP), axdr.double_long_unsigned(2)),
        )

        delivery = block_delivery(meter="A", layout=layout(ENERGY), buffer=data)

        assert delivery.values["wh_import"].tolist() == [2]
        assert delivery.unreadable == ("1 rows of the block load have no time",)

    def test_leaves_out_values_that_no_meter_can_mean(self):
        data = buffer((time(STAMP), axdr.double_long_unsigned(4_294_967_295)))

        delivery = block_delivery(meter="A", layout=layout(ENERGY), buffer=data)

        assert delivery.values["wh_import"].tolist() == [ABSENT]
        assert "beyond" in delivery.unreadable[0]

    def test_joins_the_phases_of_a_three_phase_meter(self):
        columns = [ENERGY]
        columns += [register(f"1.0.{phase}.27.0.255", -1, 35) for phase in (32, 52, 72)]
        columns += [register(f"1.0.{phase}.27.0.255", -2, 33) for phase in (31, 51, 71)]
        cells = [axdr.long_unsigned(value) for value in (2300, 2310, 2321, 100, 200, 305)]
        data = buffer((time(STAMP), axdr.double_long_unsigned(1), *cells))

        delivery = block_delivery(meter="A", layout=layout(*columns), buffer=data)

        assert delivery.values["volt"].tolist() == [23103]
        assert delivery.values["amp"].tolist() == [605]

    def test_rounds_floats_half_up(self):
        data = buffer((time(STAMP), axdr.float32(12.5)), (time(STAMP + PERIOD), axdr.float32(float("nan"))))

        delivery = block_delivery(meter="A", layout=layout(ENERGY), buffer=data)

        assert delivery.values["wh_import"].tolist() == [13, ABSENT]

    @pytest.mark.parametrize("period_s", [60, 3600, 1799, 0])
    def test_refuses_intervals_that_are_not_stored(self, period_s: int):
        with pytest.raises(UnexpectedLayout, match="15 or 30"):
            block_delivery(meter="A", layout=layout(ENERGY, period_s=period_s), buffer=axdr.array([]))

    def test_refuses_rows_of_another_width(self):
        data = buffer((time(STAMP), axdr.double_long_unsigned(1), axdr.unsigned(0)))

        with pytest.raises(UnexpectedLayout, match="3 columns"):
            block_delivery(meter="A", layout=layout(ENERGY), buffer=data)

    def test_refuses_a_profile_without_energy_or_clock(self):
        data = buffer((time(STAMP), axdr.double_long_unsigned(1)))
        clockless = Layout(model="M", period_s=1800, profiles={"block-load": (ENERGY,)})

        with pytest.raises(UnexpectedLayout, match="energy"):
            block_delivery(meter="A", layout=layout(register("1.0.9.29.0.255")), buffer=data)
        with pytest.raises(UnexpectedLayout, match="clock"):
            block_delivery(meter="A", layout=clockless, buffer=data)

    @pytest.mark.parametrize("data", [b"", axdr.unsigned(1), b"\x01\xff", b"\x01\x01\x02\x02\x09\x0c\x07"])
    def test_refuses_garbage_as_the_protocol_does(self, data: bytes):
        with pytest.raises(RemoteProtocolError):
            block_delivery(meter="A", layout=layout(ENERGY), buffer=data)


class TestSnapshots:
    def test_scales_registers_and_keeps_unknown_ones_apart(self):
        columns = [
            register("1.0.1.8.0.255", 1),
            register("1.0.9.8.0.255", 1),
            register("1.0.1.6.0.255", 0, 27),
        ]
        data = buffer(
            (time(STAMP), axdr.double_long_unsigned(95), axdr.NULL, axdr.double_long_unsigned(1200))
        )

        (shot,) = snapshots(
            meter="A",
            layout=layout(*columns, profile="daily"),
            profile="daily",
            buffer=data,
            kind=RegisterKind.DAILY,
        )

        assert (shot.wh_import, shot.vah_import, shot.wh_export, shot.md_w) == (950, None, None, 1200)
        assert shot.at == STAMP


class TestLogEvents:
    def test_keeps_what_was_measured_at_the_event(self):
        columns = [
            LayoutColumn(obis="0.0.96.11.1.255", class_id=1, attribute=2),
            register("1.0.12.7.0.255", -2, 35),
            register("1.0.1.8.0.255", 1),
        ]
        data = buffer(
            (time(STAMP), axdr.long_unsigned(51), axdr.long_unsigned(23012), axdr.double_long_unsigned(95))
        )

        (event,) = log_events(
            meter="A",
            layout=layout(*columns, profile="events-current"),
            profile="events-current",
            family="current",
            buffer=data,
            received_at=STAMP,
        )

        assert (event.code, event.at, event.family) == (51, STAMP, "current")
        assert event.detail == {"1.0.12.7.0.255": 230.12, "1.0.1.8.0.255": 950}


class TestReadTable:
    def test_has_no_values_of_a_column_that_holds_text(self):
        data = buffer(
            (time(STAMP), axdr.visible_string("x")), (time(STAMP + PERIOD), axdr.visible_string("yy"))
        )

        table = read_table(data, columns=(RTC, ENERGY))

        values = table.at(table.places()[ENERGY.obis])
        assert set(values.tolist()) == {ABSENT}

    def test_finds_the_first_column_of_an_object_by_its_value(self):
        again = LayoutColumn(obis=ENERGY.obis, class_id=3, attribute=2)
        other = LayoutColumn(obis=ENERGY.obis, class_id=3, attribute=5)
        cells = (axdr.unsigned(number) for number in (1, 2, 3))

        table = read_table(buffer((*cells, time(STAMP))), columns=(other, ENERGY, again, RTC))

        assert table.places() == {ENERGY.obis: 1, RTC.obis: 3}


CELLS = st.one_of(
    st.integers(0, 2**32 - 1).map(axdr.double_long_unsigned),
    st.integers(-(2**31), 2**31 - 1).map(axdr.double_long),
    st.sampled_from((0, 1, 2**53, 2**53 + 1, 2**64 - 1)).map(axdr.long64_unsigned),
    st.floats(-1e6, 1e6, width=32).map(axdr.float32),
    st.sampled_from(
        (
            axdr.NULL,
            axdr.boolean(True),
            axdr.visible_string("x"),
            axdr.bit_string(axdr.BitString(octets=b"\x80", bits=2)),
        )
    ),
)
STAMPS = st.one_of(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(  # noqa: DTZ001 - a local time to encode
        lambda moment: time(moment.replace(microsecond=0, tzinfo=UTC))
    ),
    st.sampled_from(
        (
            axdr.NULL,
            axdr.octet_string(clock.UNDEFINED),
            axdr.octet_string(bytes.fromhex("07ea0d2003180000fffeb600")),
            axdr.octet_string(b"short"),
            axdr.unsigned(5),
        )
    ),
)


class TestFewRows:
    @given(
        rows=st.lists(st.tuples(STAMPS, CELLS, CELLS), max_size=4),
        scalers=st.tuples(st.integers(-10, 10), st.integers(-4, 4)),
        tail=st.sampled_from((b"", b"\x00")),
    )
    def test_say_what_the_arrays_say(self, rows, scalers, tail):
        columns = [register("1.0.1.8.0.255", scalers[0]), register("1.0.9.8.0.255", scalers[1])]
        data = buffer(*rows) + tail

        def told() -> object:
            try:
                return snapshots(
                    meter="A",
                    layout=layout(*columns, profile="daily"),
                    profile="daily",
                    buffer=data,
                    kind=RegisterKind.DAILY,
                )
            except BijligharError as problem:
                return type(problem)

        few = told()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(few_rows, "OCTETS_MAX", 0)
            assert told() == few


class TestRescaled:
    @pytest.mark.parametrize("scaler", [-10, 10])
    def test_does_not_believe_a_wild_scaler(self, scaler: int):
        with pytest.raises(UnexpectedLayout):
            rescaled(np.array([1]), scaler=scaler, target=0)


class TestClockDrift:
    def test_is_how_far_the_meter_is_ahead(self):
        assert clock_drift_s(time(STAMP + timedelta(seconds=40)), now=STAMP) == 40
        assert clock_drift_s(time(STAMP - timedelta(seconds=40)), now=STAMP) == -40

    def test_is_unknown_where_the_meter_does_not_tell(self):
        assert clock_drift_s(None, now=STAMP) is None
        assert clock_drift_s(axdr.octet_string(clock.UNDEFINED), now=STAMP) is None
