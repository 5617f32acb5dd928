"""The parts of A-XDR: tags, lengths, and the types that hold no others."""

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from bijlighar.dlms.errors import LocalProtocolError, Malformed, TooDeep, TooLong, Truncated

DEPTH_MAX = 16
LENGTH_OCTETS_MAX = 4
LENGTH_MAX = 1 << 24
VALUES_MAX = 1 << 18

#: Plain value: None, bool, int, float, bytes, str, BitString, list (array), tuple (structure).
Value: TypeAlias = "bool | int | float | bytes | str | BitString | list[Value] | tuple[Value, ...] | None"


class Tag(IntEnum):
    """The tags of Data."""

    NULL_DATA = 0
    ARRAY = 1
    STRUCTURE = 2
    BOOLEAN = 3
    BIT_STRING = 4
    DOUBLE_LONG = 5
    DOUBLE_LONG_UNSIGNED = 6
    OCTET_STRING = 9
    VISIBLE_STRING = 10
    UTF8_STRING = 12
    BCD = 13
    INTEGER = 15
    LONG = 16
    UNSIGNED = 17
    LONG_UNSIGNED = 18
    COMPACT_ARRAY = 19
    LONG64 = 20
    LONG64_UNSIGNED = 21
    ENUM = 22
    FLOAT32 = 23
    FLOAT64 = 24
    DATE_TIME = 25
    DATE = 26
    TIME = 27
    DONT_CARE = 255


class BitString(NamedTuple):
    """A bit-string: its octets, and how many of their bits count; bit 0 is the leftmost."""

    octets: bytes
    bits: int

    def is_set(self, bit: int) -> bool:
        r"""
        Return whether `bit` is 1; a bit beyond the end is 0.

        >>> BitString(octets=b"\x20", bits=8).is_set(2)
        True
        """
        return 0 <= bit < self.bits and bool(self.octets[bit >> 3] & (0x80 >> (bit & 7)))


NUMBERS: dict[int, struct.Struct] = {
    Tag.DOUBLE_LONG: struct.Struct(">i"),
    Tag.DOUBLE_LONG_UNSIGNED: struct.Struct(">I"),
    Tag.BCD: struct.Struct(">b"),
    Tag.INTEGER: struct.Struct(">b"),
    Tag.LONG: struct.Struct(">h"),
    Tag.UNSIGNED: struct.Struct(">B"),
    Tag.LONG_UNSIGNED: struct.Struct(">H"),
    Tag.LONG64: struct.Struct(">q"),
    Tag.LONG64_UNSIGNED: struct.Struct(">Q"),
    Tag.ENUM: struct.Struct(">B"),
    Tag.FLOAT32: struct.Struct(">f"),
    Tag.FLOAT64: struct.Struct(">d"),
}
FIXED_OCTETS: dict[int, int] = {Tag.DATE_TIME: 12, Tag.DATE: 5, Tag.TIME: 4}

#: Octets of content of the types of fixed size (needed where rows are compiled).
FIXED_SIZES: dict[int, int] = {
    Tag.NULL_DATA: 0,
    Tag.BOOLEAN: 1,
    **FIXED_OCTETS,
    **{tag: packed.size for tag, packed in NUMBERS.items()},
}


def length(count: int) -> bytes:
    """
    Return the octets of a length.

    >>> length(127).hex(), length(128).hex(), length(1922).hex()
    ('7f', '8180', '820782')
    """
    if count < 0x80:
        return bytes((count,))
    octets = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def encode_number(tag: Tag, value: float) -> bytes:
    """Return tag and octets of a number; :raises LocalProtocolError: if it does not fit."""
    try:
        return bytes((tag,)) + NUMBERS[tag].pack(value)
    except (struct.error, OverflowError):
        raise LocalProtocolError(f"{value} does not fit into {tag.name.lower().replace('_', '-')}") from None


def encode_fixed(tag: Tag, value: bytes) -> bytes:
    """Return tag and octets of a date or time; :raises LocalProtocolError: if its length is another."""
    if len(value) != FIXED_OCTETS[tag]:
        raise LocalProtocolError(
            f"a {tag.name.lower()} has {FIXED_OCTETS[tag]} octets, not {len(value)} ({value.hex()})"
        )
    return bytes((tag,)) + value


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """
    Return the length that starts at `at`, and where it ends.

    :raises Truncated: if it is cut off.
    :raises TooLong: if it has more than four octets, or announces more than `LENGTH_MAX`.
    """
    try:
        first = data[at]
    except IndexError:
        raise Truncated("the message ends where a length should stand") from None
    if first < 0x80:
        return first, at + 1
    if first == 0x82 and at + 2 < len(data):
        count, end = data[at + 1] << 8 | data[at + 2], at + 3  # the length of nearly all long messages
        return count, end
    octets = first & 0x7F
    if not 0 < octets <= LENGTH_OCTETS_MAX:
        raise TooLong(f"a length of {octets} octets is not allowed (1 to {LENGTH_OCTETS_MAX} are)")
    end = at + 1 + octets
    if end > len(data):
        raise Truncated("the message ends inside a length")
    count = int.from_bytes(data[at + 1 : end], "big")
    if count > LENGTH_MAX:
        raise TooLong(f"a length of {count} is announced ({LENGTH_MAX} is allowed)")
    return count, end


def take(data: bytes, at: int, octets: int) -> int:
    """Return the end of `octets` octets from `at`, which must be there."""
    end = at + octets
    if end > len(data):
        raise Truncated(f"{octets} octets are announced at {at}, {max(len(data) - at, 0)} are there")
    return end


def _read_octets(data: bytes, at: int) -> tuple[bytes, int]:
    count, at = read_length(data, at)
    end = take(data, at, count)
    return bytes(data[at:end]), end


def _read_visible(data: bytes, at: int) -> tuple[str, int]:
    octets, end = _read_octets(data, at)
    return octets.decode("latin-1"), end


def _read_utf8(data: bytes, at: int) -> tuple[str, int]:
    octets, end = _read_octets(data, at)
    try:
        return octets.decode(), end
    except UnicodeDecodeError:
        raise Malformed("a UTF-8 string is not UTF-8") from None


def _read_bits(data: bytes, at: int) -> tuple[BitString, int]:
    bits, at = read_length(data, at)
    end = take(data, at, (bits + 7) // 8)
    return BitString(bytes(data[at:end]), bits), end


def _read_null(data: bytes, at: int) -> tuple[None, int]:  # noqa: ARG001 - one signature for all leaves
    return None, at


def _read_boolean(data: bytes, at: int) -> tuple[bool, int]:
    end = take(data, at, 1)
    return data[at] != 0, end


def _number_reader(packed: struct.Struct) -> "Callable[[bytes, int], tuple[float, int]]":
    size, unpack = packed.size, packed.unpack_from

    def read(data: bytes, at: int) -> tuple[float, int]:
        try:
            return unpack(data, at)[0], at + size
        except struct.error:
            raise Truncated(f"a number of {size} octets is cut off at {at}") from None

    return read


def _fixed_reader(size: int) -> "Callable[[bytes, int], tuple[bytes, int]]":
    def read(data: bytes, at: int) -> tuple[bytes, int]:
        end = take(data, at, size)
        return bytes(data[at:end]), end

    return read


Leaf = Callable[[bytes, int], "tuple[bool | int | float | bytes | str | BitString | None, int]"]
LEAVES: dict[int, Leaf] = {
    Tag.NULL_DATA: _read_null,
    Tag.DONT_CARE: _read_null,
    Tag.BOOLEAN: _read_boolean,
    Tag.BIT_STRING: _read_bits,
    Tag.OCTET_STRING: _read_octets,
    Tag.VISIBLE_STRING: _read_visible,
    Tag.UTF8_STRING: _read_utf8,
    **{tag: _number_reader(packed) for tag, packed in NUMBERS.items()},
    **{tag: _fixed_reader(size) for tag, size in FIXED_OCTETS.items()},
}


def read_count(data: bytes, at: int, depth: int) -> tuple[int, int]:
    """Return the number of items of a container, of which each takes at least one octet, and their start."""
    if depth >= DEPTH_MAX:
        raise TooDeep(f"values nested deeper than {DEPTH_MAX} are refused")
    count, at = read_length(data, at)
    if count > len(data) - at:
        raise Truncated(f"{count} items are announced at {at}, {len(data) - at} octets are there")
    return count, at
