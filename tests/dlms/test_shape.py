import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.dlms import axdr, clock, shape
from bijlighar.dlms.errors import LocalProtocolError, Malformed, RemoteProtocolError, TooLong, Truncated
from bijlighar.dlms.shape import ABSENT, Kind, RowEncoder

BLOCK = (Kind.CLOCK, *(Kind.DOUBLE_LONG_UNSIGNED,) * 3, *(Kind.LONG_UNSIGNED,) * 3)
MIDNIGHT = 1_774_981_800


def block_load(rows: int = 48, *, first: int = MIDNIGHT) -> tuple[bytes, list[np.ndarray]]:
    stamps = first + 1800 * np.arange(1, rows + 1)
    columns = [clock.encode_epochs(stamps), *(np.arange(rows) * 10 + column for column in range(6))]
    return RowEncoder(kinds=BLOCK).encode(columns), columns


class TestDecode:
    def test_gives_columns_of_whole_numbers_and_epochs(self):
        data, columns = block_load()

        rows = shape.decode(data)

        assert rows.count == 48
        assert rows.epochs(0).tolist() == (MIDNIGHT + 1800 * np.arange(1, 49)).tolist()
        for column, expected in zip(rows.columns[1:], columns[1:], strict=True):
            assert column.nulls is None
            assert column.values.dtype == np.int64
            assert column.values.tolist() == expected.tolist()

    def test_agrees_with_the_slow_way(self):
        data, _ = block_load()
        table = axdr.decode(data)

        rows = shape.decode(data)

        assert isinstance(table, list)
        fast = zip(*(column.values.tolist() for column in rows.columns[1:]), strict=True)
        assert [row[1:] for row in table] == list(fast)

    def test_gives_nothing_for_an_empty_buffer(self):
        assert shape.decode(b"\x01\x00").count == 0

    def test_reads_a_buffer_larger_than_the_masks(self):
        data, _ = block_load(2_000)

        assert shape.decode(data).columns[1].values.tolist() == list(range(0, 20_000, 10))

    @pytest.mark.parametrize("count", [3, 2_000])
    def test_does_not_trust_the_first_row(self, count):
        data, _ = block_load(count)
        row_octets = (len(data) - len(axdr.array([])) - (2 if count > 255 else 0)) // count
        spoilt = bytearray(data)
        spoilt[-row_octets + 16] = axdr.Tag.DOUBLE_LONG  # the tag of the second cell of the last row

        rows = shape.decode(bytes(spoilt))

        assert rows.columns[1].values.tolist() == list(range(0, count * 10, 10))

    def test_marks_null_cells(self):
        data = axdr.array(
            [
                axdr.structure(axdr.long_unsigned(5), axdr.double_long_unsigned(9)),
                axdr.structure(axdr.NULL, axdr.double_long_unsigned(8)),
            ]
        )

        rows = shape.decode(data)

        assert rows.columns[0].values.tolist() == [5, ABSENT]
        assert rows.columns[0].nulls is not None
        assert rows.columns[0].nulls.tolist() == [False, True]
        assert rows.columns[1].nulls is None

    def test_keeps_text_as_text(self):
        data = axdr.array([axdr.structure(axdr.visible_string("ABC"), axdr.octet_string(b"xy"))])

        rows = shape.decode(data)

        assert rows.columns[0].values == ("ABC",)
        assert rows.columns[1].values.tolist() == [[120, 121]]

    def test_keeps_octet_strings_of_different_lengths_as_octets(self):
        data = axdr.array([axdr.structure(axdr.octet_string(text)) for text in (b"a", b"bc", b"")])

        assert shape.decode(data).columns[0].values == (b"a", b"bc", b"")

    def test_reads_signed_and_wide_numbers_and_floats(self):
        data = axdr.array(
            [
                axdr.structure(
                    axdr.integer(-5),
                    axdr.long64_unsigned(2**64 - 1),
                    axdr.float32(1.5),
                    axdr.boolean(True),
                    axdr.enum(7),
                    axdr.long64(-1),
                    axdr.date_time(clock.UNDEFINED),
                )
            ]
            * 2
        )

        rows = shape.decode(data)

        assert [column.values.tolist() for column in rows.columns[:6]] == [
            [-5, -5],
            [2**64 - 1] * 2,
            [1.5, 1.5],
            [1, 1],
            [7, 7],
            [-1, -1],
        ]
        assert rows.epochs(6).tolist() == [ABSENT, ABSENT]

    def test_reads_wide_numbers_and_floats_with_nulls(self):
        data = axdr.array(
            [
                axdr.structure(axdr.long64_unsigned(2**64 - 1), axdr.float64(0.5), axdr.NULL),
                axdr.structure(axdr.NULL, axdr.NULL, axdr.NULL),
            ]
        )

        rows = shape.decode(data)

        assert rows.columns[0].values.tolist() == [2**64 - 1, 0]
        assert rows.columns[1].values[0] == 0.5
        assert rows.epochs(2).tolist() == [ABSENT, ABSENT]

    @given(octets=st.binary(max_size=120))
    def test_never_fails_in_another_way(self, octets):
        for data in (octets, b"\x01" + octets, b"\x01\x02\x02\x02" + octets):
            try:
                shape.decode(data)
            except RemoteProtocolError:
                continue

    @pytest.mark.parametrize(
        ("octets", "error"),
        [
            ("", Truncated),
            ("0201", Malformed),
            ("0101", Truncated),
            ("0184ffffffff", TooLong),
            ("0105020112", Truncated),
            ("01020201120005", Truncated),
            ("010112000500", Malformed),
            ("01021200051200", Truncated),
            ("0102020112000502021200051200", Truncated),
            ("01020201120005020212000512000500", Malformed),
            ("010000", Malformed),
            ("0101" + "0281ff" + "00" * 300, Malformed),
            ("0101" + "02820100" + "00" * 256, TooLong),
        ],
    )
    def test_refuses_what_is_not_a_buffer(self, octets, error):
        with pytest.raises(error):
            shape.decode(bytes.fromhex(octets))

    def test_refuses_rows_of_different_widths(self):
        data = axdr.array([axdr.structure(axdr.NULL), axdr.structure(axdr.NULL, axdr.NULL)])

        with pytest.raises(Malformed):
            shape.decode(data)


class TestEpochs:
    def test_refuses_a_column_without_times(self):
        with pytest.raises(Malformed):
            shape.decode(block_load()[0]).epochs(1)


class TestRepeatNulls:
    def test_repeats_the_row_above_and_moves_the_clock_on(self):
        stamp = clock.encode_epochs(np.array([MIDNIGHT]))[0].tobytes()
        data = axdr.array(
            [
                axdr.structure(axdr.octet_string(stamp), axdr.long_unsigned(7), axdr.visible_string("a")),
                axdr.structure(axdr.NULL, axdr.NULL, axdr.NULL),
                axdr.structure(axdr.NULL, axdr.long_unsigned(9), axdr.visible_string("b")),
            ]
        )

        rows = shape.decode(data).repeat_nulls(period_s=900)

        assert rows.epochs(0).tolist() == [MIDNIGHT, MIDNIGHT + 900, MIDNIGHT + 1800]
        assert rows.columns[1].values.tolist() == [7, 7, 9]
        assert rows.columns[2].values == ("a", "a", "b")
        assert all(column.nulls is None for column in rows.columns)

    def test_leaves_a_null_in_the_first_row(self):
        data = axdr.array([axdr.structure(axdr.NULL), axdr.structure(axdr.long_unsigned(9))])

        rows = shape.decode(data).repeat_nulls()

        assert rows.columns[0].values.tolist() == [ABSENT, 9]
        assert rows.columns[0].nulls is not None
        assert rows.columns[0].nulls.tolist() == [True, False]

    def test_changes_nothing_where_no_cell_is_null(self):
        rows = shape.decode(block_load()[0])

        assert rows.repeat_nulls(period_s=900).columns[1].values is rows.columns[1].values


class TestDecodeGathered:
    def test_reads_many_responses_at_once(self):
        buffers = [block_load(first=MIDNIGHT + 86_400 * day)[0] for day in range(5)]

        rows, counts = shape.decode_gathered(buffers)

        assert counts == (48,) * 5
        assert rows.epochs(0).tolist() == (MIDNIGHT + 1800 * np.arange(1, 241)).tolist()

    def test_reads_buffers_of_different_lengths_and_layouts(self):
        with_null = axdr.array([axdr.structure(axdr.octet_string(bytes(12)), *[axdr.NULL] * 6)])

        rows, counts = shape.decode_gathered([block_load(3)[0], b"\x01\x00", with_null, block_load(2)[0]])

        assert counts == (3, 0, 1, 2)
        assert rows.columns[1].values.tolist() == [0, 10, 20, ABSENT, 0, 10]
        assert rows.columns[1].nulls is not None
        assert rows.columns[1].nulls.tolist() == [False, False, False, True, False, False]

    def test_reads_more_than_stays_in_the_cache_at_once(self):
        buffers = [block_load(rows, first=MIDNIGHT + 86_400 * rows)[0] for rows in range(1, 120)]

        rows, counts = shape.decode_gathered(buffers)

        singly = [shape.decode(buffer) for buffer in buffers]
        assert counts == tuple(range(1, 120))
        assert rows.epochs(0).tolist() == np.concatenate([part.epochs(0) for part in singly]).tolist()
        for place in range(1, 7):
            whole = np.concatenate([part.columns[place].values for part in singly])
            assert rows.columns[place].values.tolist() == whole.tolist()

    @pytest.mark.parametrize("spoilt_octet", [0, 1, 2, 17, 22])
    def test_does_not_trust_the_first_buffer(self, spoilt_octet):
        buffers = [block_load(4)[0] for _ in range(5)]
        spoilt = bytearray(buffers[3])
        spoilt[spoilt_octet] ^= 0x03  # array, count, structure, tags of the first and the second number
        buffers[3] = bytes(spoilt)

        try:
            singly = [shape.decode(buffer) for buffer in buffers]
        except RemoteProtocolError as problem:
            with pytest.raises(type(problem)):
                shape.decode_gathered(buffers)
            return

        rows, _ = shape.decode_gathered(buffers)
        for place in range(1, 7):
            whole = [value for part in singly for value in part.columns[place].values]
            assert list(rows.columns[place].values) == whole

    def test_refuses_more_rows_than_it_keeps(self, monkeypatch):
        monkeypatch.setattr(shape, "ROWS_MAX", 9)
        buffers = [block_load(4)[0]] * 3

        with pytest.raises(TooLong):
            shape.decode_gathered(buffers)
        assert shape.decode_gathered(buffers[:2])[0].count == 8

    def test_does_not_give_a_row_to_the_buffer_before_it(self):
        two = block_load(2)[0]
        row_octets = (len(two) - 2) // 2
        short, long = b"\x01\x02" + two[2 : 2 + row_octets], b"\x01\x01" + two[2:]

        with pytest.raises(RemoteProtocolError):
            shape.decode_gathered([short, long])

    def test_of_nothing_is_nothing(self):
        assert shape.decode_gathered([])[0].count == 0

    def test_refuses_different_widths(self):
        with pytest.raises(Malformed):
            shape.decode_gathered([block_load(1)[0], axdr.array([axdr.structure(axdr.NULL)])])

    def test_joins_columns_of_different_kinds_as_plain_values(self):
        number, text = (
            axdr.array([axdr.structure(cell)]) for cell in (axdr.unsigned(1), axdr.visible_string("x"))
        )

        rows, _ = shape.decode_gathered([number, text, axdr.array([axdr.structure(axdr.octet_string(b"y"))])])

        assert rows.columns[0].values == (1, "x", b"y")


class TestRowEncoder:
    def test_writes_what_the_plain_encoders_write(self):
        kinds = (
            Kind.BOOLEAN,
            Kind.INTEGER,
            Kind.LONG,
            Kind.UNSIGNED,
            Kind.DOUBLE_LONG,
            Kind.LONG64,
            Kind.FLOAT64,
        )
        encoders = (
            axdr.boolean,
            axdr.integer,
            axdr.long,
            axdr.unsigned,
            axdr.double_long,
            axdr.long64,
            axdr.float64,
        )
        table = [(1, -2, -300, 200, -70_000, -(2**40), 0.5), (0, 3, 5, 0, 70_000, 2**40, -1.5)]

        octets = RowEncoder(kinds=kinds).encode(list(zip(*table, strict=True)))

        plain = [
            axdr.structure(*(encode(value) for encode, value in zip(encoders, row, strict=True)))  # type: ignore[operator]
            for row in table
        ]
        assert octets == axdr.array(plain)

    def test_writes_an_empty_buffer(self):
        assert RowEncoder(kinds=(Kind.UNSIGNED,)).encode([np.empty(0, np.int64)]) == b"\x01\x00"

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            (Kind.LONG_UNSIGNED, 65_536),
            (Kind.LONG_UNSIGNED, -1),
            (Kind.INTEGER, 128),
            (Kind.BOOLEAN, 2),
            (Kind.LONG_UNSIGNED, 1.5),
        ],
    )
    def test_refuses_what_does_not_fit(self, kind, value):
        with pytest.raises(LocalProtocolError):
            RowEncoder(kinds=(kind,)).encode([[value]])

    def test_refuses_columns_of_different_lengths(self):
        with pytest.raises(LocalProtocolError):
            RowEncoder(kinds=(Kind.UNSIGNED, Kind.UNSIGNED)).encode([[1], [1, 2]])

    def test_refuses_a_clock_column_that_is_not_octets(self):
        with pytest.raises(LocalProtocolError):
            RowEncoder(kinds=(Kind.CLOCK,)).encode([[1]])

    def test_refuses_no_columns(self):
        with pytest.raises(LocalProtocolError):
            RowEncoder(kinds=())


class TestCompactArray:
    DESCRIPTION = bytes((2, 3, 9, 18, 6))

    def buffer(self, *rows: tuple[bytes, int, int]) -> bytes:
        contents = b"".join(
            b"\x0c" + stamp + small.to_bytes(2, "big") + large.to_bytes(4, "big")
            for stamp, small, large in rows
        )
        return b"\x13" + self.DESCRIPTION + axdr.length(len(contents)) + contents

    def test_gives_the_same_columns_as_an_array(self):
        rows = [
            (bytes((0x07, 0xEA, 0x01, day, 0, 0, 0, 0, 0, 0x81, 0x4A, 0)), day, 1000 * day)
            for day in (1, 2, 3)
        ]
        plain = axdr.array(
            [
                axdr.structure(
                    axdr.octet_string(stamp), axdr.long_unsigned(small), axdr.double_long_unsigned(large)
                )
                for stamp, small, large in rows
            ]
        )

        found, expected = shape.decode(self.buffer(*rows)), shape.decode(plain)

        assert found.count == expected.count == 3
        for column, other in zip(found.columns, expected.columns, strict=True):
            assert column.values.tolist() == other.values.tolist()
        gathered, counts = shape.decode_gathered([self.buffer(*rows), plain])
        assert counts == (3, 3)
        assert gathered.columns[2].values.tolist() == [1000, 2000, 3000] * 2

    def test_without_rows_has_no_columns(self):
        assert shape.decode(self.buffer()).count == 0
        assert shape.decode_gathered([self.buffer(), self.buffer()])[0].count == 0

    def test_of_other_things_than_rows_is_refused(self):
        with pytest.raises(Malformed):
            shape.decode(b"\x13" + bytes((17,)) + b"\x02\x01\x02")
