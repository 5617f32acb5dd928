from datetime import UTC, datetime

import numpy as np
import pytest

from bijlighar.dlms import axdr, clock, is15959, shape
from bijlighar.dlms.errors import Malformed
from bijlighar.dlms.is15959 import PROFILES, columns
from bijlighar.dlms.obis import Obis
from bijlighar.dlms.security import Mechanism
from bijlighar.dlms.shape import ABSENT, Kind


class TestProfiles:
    @pytest.mark.parametrize(
        ("name", "obis", "scaler"),
        [
            ("instantaneous", "1.0.94.91.0.255", "1.0.94.91.3.255"),
            ("block-load", "1.0.99.1.0.255", "1.0.94.91.4.255"),
            ("daily", "1.0.99.2.0.255", "1.0.94.91.5.255"),
            ("billing", "1.0.98.1.0.255", "1.0.94.91.6.255"),
            ("events-voltage", "0.0.99.98.0.255", "1.0.94.91.7.255"),
            ("events-control", "0.0.99.98.6.255", "1.0.94.91.7.255"),
        ],
    )
    def test_have_the_standards_names(self, name, obis, scaler):
        profile = PROFILES[name]

        assert str(profile.obis) == obis
        assert str(profile.scaler_obis) == scaler
        assert profile.scaler_buffer is not None
        assert profile.scaler_captured is not None
        assert [a.index for a in (profile.buffer, profile.captured, profile.period)] == [2, 3, 4]

    def test_name_plate_has_no_scalers(self):
        assert PROFILES["nameplate"].scaler_buffer is None
        assert PROFILES["nameplate"].scaler_captured is None

    def test_are_seven_event_logs(self):
        assert [profile.obis.octets[4] for profile in is15959.EVENT_PROFILES] == list(range(7))

    def test_have_words_in_both_languages(self):
        for profile in PROFILES.values():
            assert profile.words.hi != profile.words.en


class TestColumns:
    @pytest.mark.parametrize("phases", [1, 3])
    @pytest.mark.parametrize("name", PROFILES)
    def test_exist_for_every_profile_and_are_named_once(self, name, phases):
        found = columns(name, phases=phases)

        assert len({column.name for column in found}) == len(found)
        assert len({(column.capture.obis, column.capture.attribute) for column in found}) == len(found)
        assert all(column.words.hi and column.words.en for column in found)
        assert all((column.scaler is None) == (column.unit is None) for column in found)
        assert all(is15959.column_of(column.capture) is not None for column in found)

    def test_follow_the_order_read_from_an_indore_meter(self):
        found = columns("instantaneous", phases=1)

        assert len(found) == 22
        assert [str(column.capture.obis)[:-4] for column in found[:12]] == [
            *("0.0.1.0.0", "1.0.12.7.0", "1.0.11.7.0", "1.0.91.7.0", "1.0.13.7.0", "1.0.14.7.0"),
            *("1.0.9.7.0", "1.0.1.7.0", "1.0.1.8.0", "1.0.9.8.0", "1.0.1.6.0", "1.0.1.6.0"),
        ]
        assert [found[8].scaler, found[8].unit] == [1, 30]

    def test_of_billing_are_twenty_seven(self):
        assert len(columns("billing", phases=1)) == 27

    def test_of_event_logs_carry_measurements_where_the_family_has_them(self):
        assert [len(columns(profile.name, phases=1)) for profile in is15959.EVENT_PROFILES] == [
            7,
            7,
            2,
            2,
            7,
            2,
            2,
        ]

    def test_of_a_makers_own_object_is_not_known(self):
        capture = columns("block-load", phases=1)[0].capture
        own = type(capture)(class_id=1, obis=Obis.parse("0.0.96.128.0.255"))

        assert is15959.column_of(own) is None

    @pytest.mark.parametrize(
        ("obis", "name"),
        [
            ("1.0.5.29.0.255", "varh_q1"),
            ("1.0.8.29.0.255", "varh_q4"),
            ("1.0.0.4.2.255", "ct_ratio"),
            ("1.0.0.4.3.255", "pt_ratio"),
        ],
    )
    def test_of_transformer_operated_meters_have_names(self, obis: str, name: str):
        column = is15959.KNOWN[Obis.parse(obis), 2]
        assert column.name == name
        assert column.words.hi != column.words.en

    def test_can_all_be_encoded_and_read_back(self):
        found = columns("block-load", phases=3)
        kinds = tuple(column.kind for column in found if column.kind is not None)
        stamps = clock.encode_epochs(np.array([1_774_981_800, 1_774_983_600]))

        data = shape.RowEncoder(kinds=kinds).encode(
            [stamps if kind is Kind.CLOCK else np.array([1, 2]) for kind in kinds]
        )

        assert len(kinds) == len(found)
        assert shape.decode(data).epochs(0).tolist() == [1_774_981_800, 1_774_983_600]


class TestAssociations:
    def test_are_those_of_the_standard(self):
        found = is15959.ASSOCIATIONS

        assert sorted(found) == [16, 32, 48, 64, 80, 96]
        assert (found[16].mechanism, found[32].mechanism) == (Mechanism.NONE, Mechanism.LLS)
        assert str(found[48].counter) == "0.0.43.1.3.255"
        assert str(found[48].logical_name) == "0.0.40.0.3.255"
        assert found[48].counter_attribute.class_id == 1
        assert not found[16].ciphered


class TestBetween:
    def test_asks_for_the_rows_stamped_after_the_start_up_to_the_end(self):
        start, end = datetime(2026, 3, 31, 18, 30, tzinfo=UTC), datetime(2026, 4, 1, 18, 30, tzinfo=UTC)

        found = is15959.between(start, end)

        assert clock.decode(found.lower) == datetime(2026, 3, 31, 18, 30, 1, tzinfo=UTC)
        assert clock.decode(found.upper) == end


class TestScale:
    def test_keeps_whole_numbers_whole_and_absent_absent(self):
        values = np.array([95, ABSENT])

        assert is15959.scale(values, 1).tolist() == [950, ABSENT]
        scaled = is15959.scale(values, -2)
        assert scaled[0] == 0.95
        assert np.isnan(scaled[1])
        assert is15959.scale(np.array([1.5]), 1).tolist() == [15.0]


class TestRescale:
    def test_rounds_half_up_and_keeps_absent(self):
        values = np.array([2305, 2304, ABSENT])

        assert is15959.rescale(values, scaler=-3, to=-2).tolist() == [231, 230, ABSENT]
        assert is15959.rescale(values, scaler=-1, to=-2).tolist() == [23050, 23040, ABSENT]


class TestScalers:
    def test_are_read_back(self):
        found = columns("block-load", phases=1)

        assert is15959.scalers(is15959.encode_scalers(found)) == (
            (-2, 35),
            (0, 30),
            (0, 31),
            (0, 30),
            (0, 31),
            (-2, 33),
        )
        assert [capture.attribute for capture in is15959.scaler_captures(found)] == [3] * 6

    @pytest.mark.parametrize(
        "data",
        [
            axdr.NULL,
            axdr.array([]),
            axdr.array([axdr.structure(axdr.unsigned(1))]),
            axdr.array([axdr.structure(axdr.structure(axdr.NULL, axdr.NULL))]),
        ],
    )
    def test_are_refused_if_they_are_something_else(self, data):
        with pytest.raises(Malformed):
            is15959.scalers(data)

    def test_of_one_register(self):
        assert is15959.scaler_unit(bytes.fromhex("02020ffe1623")) == (-2, 35)
        with pytest.raises(Malformed):
            is15959.scaler_unit(axdr.unsigned(1))
