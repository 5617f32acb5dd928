from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.dlms import clock
from bijlighar.dlms.clock import ABSENT, Deviation
from bijlighar.dlms.errors import Malformed, Truncated

MIDNIGHT_IST = datetime(2026, 3, 31, 18, 30, tzinfo=UTC)
LOCAL = "07ea0401ff000000ff"  # 2026-04-01 00:00:00, day of week and hundredths not given


def octets(deviation: int, *, local: str = LOCAL, status: int = 0) -> bytes:
    return bytes.fromhex(local) + deviation.to_bytes(2, "big", signed=True) + bytes((status,))


def vector(*rows: bytes) -> np.ndarray:
    return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 12)


def both(row: bytes, *, treat_as_ist: bool = True) -> datetime | None:
    """What the scalar and the vector way say, which must agree."""
    moment = clock.decode(row, treat_as_ist=treat_as_ist)
    seconds = int(clock.epochs(vector(row), treat_as_ist=treat_as_ist)[0])
    assert seconds == (ABSENT if moment is None else int(moment.timestamp()))
    return moment


class TestDecode:
    @pytest.mark.parametrize("deviation", [-330, 330, -0x8000])
    def test_takes_ist_whatever_sign_an_indian_meter_sends(self, deviation):
        assert both(octets(deviation)) == MIDNIGHT_IST

    def test_follows_the_blue_book_where_told_so(self):
        assert both(octets(-330), treat_as_ist=False) == MIDNIGHT_IST
        assert both(octets(330), treat_as_ist=False) == MIDNIGHT_IST + timedelta(hours=11)

    @pytest.mark.parametrize("treat_as_ist", [True, False])
    def test_takes_unspecified_as_ist(self, treat_as_ist):
        assert both(octets(-0x8000), treat_as_ist=treat_as_ist) == MIDNIGHT_IST

    @pytest.mark.parametrize("treat_as_ist", [True, False])
    def test_takes_zero_as_utc(self, treat_as_ist):
        assert both(octets(0), treat_as_ist=treat_as_ist) == datetime(2026, 4, 1, tzinfo=UTC)

    def test_takes_other_deviations_as_the_blue_book_says(self):
        assert both(octets(-60)) == datetime(2026, 3, 31, 23, tzinfo=UTC)

    def test_shifts_nothing_for_the_daylight_saving_bit(self):
        assert both(octets(-330, status=0x80)) == MIDNIGHT_IST

    @pytest.mark.parametrize(
        "local",
        [
            "ffffffffffffffffff",
            "ffff0401ff000000ff",
            "07eaff01ff000000ff",
            "07eafe01ff000000ff",
            "07ea04ffff000000ff",
            "07ea04feff000000ff",
            "07ea0401ffff0000ff",
            "07ea0401ff00ff00ff",
        ],
    )
    def test_is_none_where_a_part_is_undefined(self, local):
        assert both(octets(-330, local=local)) is None

    def test_takes_an_undefined_second_as_zero(self):
        assert both(octets(-330, local="07ea0401ff0000ffff")) == MIDNIGHT_IST

    @pytest.mark.parametrize(
        "local",
        [
            "07ea0d01ff000000ff",
            "07ea021dff000000ff",
            "07ea0401ff180000ff",
            "07ea0401ff003c00ff",
            "07ea0401ff00003cff",
        ],
    )
    def test_refuses_what_is_no_time_and_the_vector_leaves_it_out(self, local):
        row = octets(-330, local=local)

        with pytest.raises(Malformed):
            clock.decode(row)
        assert clock.epochs(vector(row)).tolist() == [ABSENT]

    def test_refuses_an_impossible_deviation(self):
        row = octets(900)

        with pytest.raises(Malformed):
            clock.decode(row)
        assert clock.epochs(vector(row, row)).tolist() == [ABSENT, ABSENT]
        assert clock.epochs(vector(row, octets(-330)))[0] == ABSENT

    def test_knows_the_leap_day(self):
        assert both(octets(0, local="07e8021dff000000ff")) == datetime(2024, 2, 29, tzinfo=UTC)

    @pytest.mark.parametrize("count", [0, 5, 11, 13])
    def test_refuses_another_number_of_octets(self, count):
        with pytest.raises(Truncated):
            clock.decode(bytes(count))

    def test_reads_undefined_as_none(self):
        assert clock.decode(clock.UNDEFINED) is None


moments = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


class TestEncode:
    @given(moment=moments, deviation=st.sampled_from(Deviation))
    def test_is_read_back(self, moment, deviation):
        assert clock.decode(clock.encode(moment, deviation=deviation)) == moment

    @given(moment=moments, deviation=st.sampled_from(Deviation))
    def test_agrees_with_the_vector(self, moment, deviation):
        seconds = np.array([int(moment.timestamp())])

        encoded = clock.encode_epochs(seconds, deviation=deviation, status=3)

        assert encoded.tobytes() == clock.encode(moment, deviation=deviation, status=3)
        assert clock.epochs(encoded).tolist() == seconds.tolist()

    def test_writes_the_day_of_the_week(self):
        assert clock.encode(MIDNIGHT_IST)[4] == 3

    def test_writes_undefined_for_absent(self):
        assert clock.encode_epochs(np.array([ABSENT, 0]))[0].tobytes() == clock.UNDEFINED


class TestEpochs:
    def test_mixes_deviations(self):
        rows = vector(octets(-330), octets(0), octets(330), clock.UNDEFINED)

        found = clock.epochs(rows).tolist()

        midnight = int(MIDNIGHT_IST.timestamp())
        assert found == [midnight, midnight + 19_800, midnight, ABSENT]

    def test_of_nothing_is_nothing(self):
        assert clock.epochs(np.empty((0, 12), np.uint8)).size == 0

    @given(
        fields=st.lists(
            st.tuples(
                st.sampled_from((0, 1, 28, 29, 30, 31, 32, 128, 160, 255)),
                st.integers(0, 255),
                st.sampled_from((0, 23, 24, 127, 128, 255)),
                st.sampled_from((0, 59, 60, 128, 255)),
                st.sampled_from((0, 59, 60, 128, 255)),
            ),
            min_size=1,
            max_size=6,
        ),
        month=st.sampled_from((0, 1, 2, 4, 12, 13, 255)),
        year=st.sampled_from((0, 1970, 2024, 2026, 2225, 0xFFFF)),
        deviation=st.sampled_from((-330, 330, -0x8000, 0, 841, 60)),
    )
    def test_of_few_rows_and_of_many_are_those_of_each(self, fields, month, year, deviation):
        rows = [
            year.to_bytes(2, "big")
            + bytes((month, *each, 0))
            + deviation.to_bytes(2, "big", signed=True)
            + b"\0"
            for each in fields
        ]

        few, many = clock.epochs(vector(*rows)), clock.epochs(vector(*rows * 200))

        assert many.tolist() == few.tolist() * 200
        for row, seconds in zip(rows, few.tolist(), strict=True):
            try:
                moment = clock.decode(row)
            except Malformed:
                moment = None
            assert seconds == (ABSENT if moment is None else int(moment.timestamp()))

    @given(
        first=moments,
        step_s=st.sampled_from((0, 900, 1_800, 3_600, 86_400, 5_003)),
        count=st.integers(1, 60),
        spoilt=st.none() | st.tuples(st.integers(0, 59), st.integers(2, 11), st.integers(1, 255)),
    )
    def test_of_rows_at_equal_steps_are_those_of_each(self, first, step_s, count, spoilt):
        octets = clock.encode_epochs(int(first.timestamp()) + step_s * np.arange(count))
        if spoilt is not None:
            row, place, bits = spoilt  # the year stays within what columns can say
            octets[row % count, place] ^= bits

        singly = [clock.epochs(octets[place : place + 1])[0] for place in range(count)]
        for row, seconds in zip(octets, singly, strict=True):
            try:
                moment = clock.decode(row.tobytes())
            except Malformed:
                moment = None
            assert seconds == (ABSENT if moment is None else int(moment.timestamp()))
        assert clock.epochs(octets).tolist() == singly

    @pytest.mark.parametrize("spoilt", [None, 3, 12 * 46 + 5, 12 * 47 + 3])
    def test_of_a_day_whose_last_row_is_of_the_next_month_are_those_of_each(self, spoilt):
        octets = clock.encode_epochs(
            1_777_573_800 - 1_800 * np.arange(48)[::-1]
        )  # midnight IST of 1 May 2026
        if spoilt is not None:
            octets.reshape(-1)[spoilt] = 0xFE

        assert octets[-2:, 2].tolist() == [4, 5]
        assert clock.epochs(octets).tolist() == [
            clock.epochs(octets[place : place + 1])[0] for place in range(48)
        ]

    @given(moments=st.lists(moments, min_size=2, max_size=40), deviation=st.sampled_from(Deviation))
    def test_of_rows_over_months_are_those_of_each(self, moments, deviation):
        rows = [clock.encode(moment, deviation=deviation) for moment in moments]

        assert clock.epochs(vector(*rows)).tolist() == [int(moment.timestamp()) for moment in moments]
