import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bijlighar.dlms import axdr, axdr_tree
from bijlighar.dlms.axdr import BitString
from bijlighar.dlms.errors import (
    LocalProtocolError,
    Malformed,
    RemoteProtocolError,
    TooDeep,
    TooLong,
    Truncated,
)


def number(low, high, encode):
    return st.integers(low, high).map(lambda value: (value, encode(value)))


def bits():
    return st.binary(max_size=20).map(lambda octets: BitString(octets, len(octets) * 8))


leaves = st.one_of(
    st.just((None, axdr.NULL)),
    st.booleans().map(lambda value: (value, axdr.boolean(value))),
    bits().map(lambda value: (value, axdr.bit_string(value))),
    number(-(2**31), 2**31 - 1, axdr.double_long),
    number(0, 2**32 - 1, axdr.double_long_unsigned),
    number(-128, 127, axdr.integer),
    number(-128, 127, axdr.bcd),
    number(-(2**15), 2**15 - 1, axdr.long),
    number(0, 255, axdr.unsigned),
    number(0, 2**16 - 1, axdr.long_unsigned),
    number(-(2**63), 2**63 - 1, axdr.long64),
    number(0, 2**64 - 1, axdr.long64_unsigned),
    number(0, 255, axdr.enum),
    st.floats(width=32, allow_nan=False).map(lambda value: (value, axdr.float32(value))),
    st.floats(allow_nan=False).map(lambda value: (value, axdr.float64(value))),
    st.binary(max_size=300).map(lambda value: (value, axdr.octet_string(value))),
    st.text("abcXYZ 019", max_size=200).map(lambda value: (value, axdr.visible_string(value))),
    st.text(max_size=100).map(lambda value: (value, axdr.utf8_string(value))),
    st.binary(min_size=12, max_size=12).map(lambda value: (value, axdr.date_time(value))),
    st.binary(min_size=5, max_size=5).map(lambda value: (value, axdr.date(value))),
    st.binary(min_size=4, max_size=4).map(lambda value: (value, axdr.time(value))),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=6).map(
            lambda items: ([value for value, _ in items], axdr.array([octets for _, octets in items]))
        ),
        st.lists(inner, max_size=6).map(
            lambda items: (
                tuple(value for value, _ in items),
                axdr.structure(*(octets for _, octets in items)),
            )
        ),
    ),
    max_leaves=30,
)


CELLS = (
    axdr.long_unsigned(23_012),
    axdr.double_long_unsigned(5_009),
    axdr.octet_string(bytes(12)),
    axdr.visible_string("kWh"),
    axdr.boolean(True),
    axdr.NULL,
    axdr.bit_string(axdr.BitString(octets=b"\x80", bits=3)),
    axdr.structure(axdr.unsigned(1)),
)


class TestDecode:
    @given(pair=values)
    def test_reads_what_was_written(self, pair):
        value, octets = pair

        assert axdr.decode(octets) == value

    @given(pair=values)
    def test_agrees_with_the_typed_tree(self, pair):
        _, octets = pair

        assert axdr.write(axdr.parse(octets)) == octets
        assert axdr.skip(octets, 0) == len(octets)

    @given(
        cells=st.lists(st.sampled_from(CELLS), min_size=1, max_size=5),
        rows=st.integers(1, 9),
        changed=st.none() | st.tuples(st.integers(0, 1_000), st.integers(0, 255)),
        more=st.binary(max_size=3),
    )
    def test_skips_rows_that_are_alike_as_it_skips_any(self, cells, rows, changed, more):
        octets = bytearray(axdr.array([axdr.structure(*cells)] * rows) + more)
        if changed is not None:
            octets[changed[0] % len(octets)] = changed[1]

        def end() -> int | type[Exception]:
            try:
                return axdr.skip(bytes(octets), 0)
            except RemoteProtocolError as problem:
                return type(problem)

        found = end()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(axdr_tree, "ROWS_MIN", 1 << 30)
            assert end() == found

    @given(pair=values, data=st.data())
    def test_tells_what_is_cut_off(self, pair, data):
        _, octets = pair
        cut = data.draw(st.integers(0, len(octets) - 1))

        with pytest.raises(RemoteProtocolError):
            axdr.decode(octets[:cut])

    @given(octets=st.binary(max_size=200))
    @settings(max_examples=500)
    def test_never_fails_in_another_way(self, octets):
        for read in (axdr.decode, axdr.parse, lambda data: axdr.skip(data, 0)):
            try:
                read(octets)
            except RemoteProtocolError:
                continue

    def test_refuses_what_is_left_over(self):
        with pytest.raises(Malformed):
            axdr.decode(b"\x00\x00")

    def test_refuses_an_unknown_tag(self):
        with pytest.raises(Malformed):
            axdr.decode(b"\x07")

    @pytest.mark.parametrize("tag", ["09", "01", "02", "04", "0a", "0c"])
    @pytest.mark.parametrize(
        ("announced", "error"),
        [("82ffff", Truncated), ("8401000000", Truncated), ("8401000001", TooLong), ("84ffffffff", TooLong)],
    )
    def test_refuses_a_length_bomb_before_it_allocates(self, tag, announced, error):
        with pytest.raises(error):
            axdr.decode(bytes.fromhex(tag + announced))

    @pytest.mark.parametrize("octets", ["0980", "098501020304050000"])
    def test_refuses_a_length_of_no_or_too_many_octets(self, octets):
        with pytest.raises(TooLong):
            axdr.decode(bytes.fromhex(octets))

    @pytest.mark.parametrize("read", [axdr.decode, axdr.parse, lambda data: axdr.skip(data, 0)])
    def test_refuses_a_nesting_bomb(self, read):
        bomb = b"\x02\x01" * 5000 + b"\x00"

        with pytest.raises(TooDeep):
            read(bomb)

    def test_reads_the_deepest_allowed(self):
        octets = b"\x02\x01" * axdr.DEPTH_MAX + b"\x00"

        assert axdr.decode(octets) is not None
        with pytest.raises(TooDeep):
            axdr.decode(b"\x02\x01" + octets)

    def test_refuses_text_that_is_not_utf8(self):
        with pytest.raises(Malformed):
            axdr.decode(b"\x0c\x01\xff")

    def test_reads_a_float(self):
        assert axdr.decode(b"\x17" + struct.pack(">f", 1.5)) == 1.5
        value = axdr.decode(axdr.float64(math.nan))
        assert isinstance(value, float)
        assert math.isnan(value)


class TestCompactArray:
    def test_becomes_a_list_of_rows(self):
        description = bytes((2, 2, 18, 6))
        contents = bytes.fromhex("0005000003e80006000003e9")
        octets = b"\x13" + description + axdr.length(len(contents)) + contents

        assert axdr.decode(octets) == [(5, 1000), (6, 1001)]
        assert axdr.write(axdr.parse(octets)) == octets
        assert axdr.skip(octets, 0) == len(octets)

    def test_holds_arrays_of_a_fixed_number(self):
        octets = b"\x13" + bytes((1, 0, 2, 17)) + b"\x04" + bytes((1, 2, 3, 4))

        assert axdr.decode(octets) == [[1, 2], [3, 4]]

    def test_is_refused_if_its_contents_end_inside_an_item(self):
        with pytest.raises(Truncated):
            axdr.decode(b"\x13" + bytes((18,)) + b"\x03" + bytes(3))

    def test_is_refused_if_its_items_have_no_octets(self):
        with pytest.raises(Malformed):
            axdr.decode(b"\x13" + bytes((0,)) + b"\x03" + bytes(3))

    def test_is_refused_if_it_blows_up(self):
        bomb = b"\x13" + bytes((1, 0xFF, 0xFF, 1, 0xFF, 0xFF, 1, 0xFF, 0xFF, 0)) + b"\x01\x00"

        with pytest.raises(TooLong):
            axdr.decode(bomb)

    def test_is_refused_if_many_small_ones_blow_up_together(self):
        small = b"\x13" + bytes((2, 2, 1, 0xFF, 0xFF, 0, 17)) + b"\x01\x05"

        assert len(axdr.decode(small)[0][0]) == 65_535
        with pytest.raises(TooLong):
            axdr.decode(axdr.array([small] * 5))

    def test_is_refused_if_its_type_is_nested_too_deep(self):
        with pytest.raises(TooDeep):
            axdr.decode(b"\x13" + bytes((1, 0, 1)) * 40 + b"\x00\x00")


class TestEncoders:
    @pytest.mark.parametrize(
        ("encode", "value"),
        [
            (axdr.unsigned, 256),
            (axdr.unsigned, -1),
            (axdr.long_unsigned, 65_536),
            (axdr.double_long_unsigned, 2**32),
            (axdr.integer, 128),
            (axdr.date_time, bytes(11)),
            (axdr.date, bytes(4)),
            (axdr.time, bytes(5)),
            (axdr.visible_string, "बिजली"),
        ],
    )
    def test_refuse_what_does_not_fit(self, encode, value):
        with pytest.raises(LocalProtocolError):
            encode(value)


class TestWrite:
    def test_refuses_a_value_of_another_type(self):
        with pytest.raises(LocalProtocolError):
            axdr.write(axdr.Data(axdr.Tag.OCTET_STRING, 5))


class TestBitString:
    def test_counts_from_the_left(self):
        word = BitString(b"\x80\x01", 16)

        assert [bit for bit in range(20) if word.is_set(bit)] == [0, 15]
