import json
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from bijlighar.headend.errors import BrokenOrder
from bijlighar.headend.orders import (
    is_signed,
    order_octets,
    parse_signed_order,
    sign_order,
    signed_order_json,
)
from tests.headend.orders import NOW, OTHER_PRIVATE_KEY, PRIVATE_KEY, VERIFY_KEY, order, signed

IST = timezone(timedelta(hours=5, minutes=30))


class TestOrderOctets:
    def test_are_the_same_whatever_offset_the_times_carry(self):
        elsewhere = replace(order(), issued_at=NOW.astimezone(IST))

        assert order_octets(elsewhere) == order_octets(order())

    def test_cannot_be_those_of_an_order_with_its_fields_shifted(self):
        one = order(serial="A", feeder='B","x":"')
        other = order(serial='A","feeder":"B', feeder="x")

        assert order_octets(one) != order_octets(other)

    def test_begin_with_what_no_other_signed_text_begins_with(self):
        assert order_octets(order()).startswith(b"bijlighar control order 1\n{")


class TestSignOrder:
    def test_is_believed_by_the_public_half_alone(self):
        assert is_signed(signed=signed(), verify_key=VERIFY_KEY)
        assert not is_signed(signed=signed(key=OTHER_PRIVATE_KEY), verify_key=VERIFY_KEY)

    @pytest.mark.parametrize(
        "changes",
        [
            {"order_id": ""},
            {"serial": ""},
            {"issued_by": ""},
            {"expires_at": NOW},
            {"issued_at": NOW.replace(tzinfo=None)},
            {"serial": "x" * 201},
        ],
    )
    def test_refuses_what_is_no_order(self, changes):
        with pytest.raises(BrokenOrder):
            sign_order(order=order(**changes), private_key=PRIVATE_KEY)

    def test_refuses_a_key_of_another_length(self):
        with pytest.raises(BrokenOrder, match="32 octets"):
            sign_order(order=order(), private_key=b"short")


class TestParseSignedOrder:
    def test_reads_what_was_written(self):
        assert parse_signed_order(signed_order_json(signed())) == signed()

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"order": {}, "signature": "zz"}', "[" * 100_000])
    def test_refuses_what_is_no_signed_order(self, text):
        with pytest.raises(BrokenOrder):
            parse_signed_order(text)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("action", "explode"),
            ("reason", None),
            ("serial", 7),
            ("issued_at", "2025-07-01T00:00:00"),
            ("expires_at", 1),
        ],
    )
    def test_refuses_a_field_of_a_wrong_kind(self, name, value):
        document = json.loads(signed_order_json(signed()))
        document["order"][name] = value

        with pytest.raises(BrokenOrder):
            parse_signed_order(json.dumps(document))
