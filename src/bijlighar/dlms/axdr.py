"""
A-XDR: the encoding of COSEM Data (IEC 62056-6-2 clause 4.1.5, encoded as IEC 61334-6 says).

Encoders return octets and are put together like words. Two decoders share the leaves: `decode` gives plain Python
values, `parse` a typed tree that `write` turns back into the same octets. Both refuse a length that announces more
than there is, and a nesting deeper than `DEPTH_MAX`, before they build anything.
"""

from collections.abc import Sequence

from bijlighar.dlms.axdr_compact import decode_compact
from bijlighar.dlms.axdr_parts import (
    DEPTH_MAX,
    FIXED_SIZES,
    LEAVES,
    VALUES_MAX,
    BitString,
    Tag,
    Value,
    encode_fixed,
    encode_number,
    length,
    read_count,
    read_length,
)
from bijlighar.dlms.axdr_tree import Data, parse, skip, write
from bijlighar.dlms.errors import LocalProtocolError, Malformed, Truncated

__all__ = [
    "DEPTH_MAX",
    "FIXED_SIZES",
    "NULL",
    "BitString",
    "Data",
    "Tag",
    "Value",
    "array",
    "bcd",
    "bit_string",
    "boolean",
    "date",
    "date_time",
    "decode",
    "decode_from",
    "double_long",
    "double_long_unsigned",
    "enum",
    "float32",
    "float64",
    "integer",
    "length",
    "long",
    "long64",
    "long64_unsigned",
    "long_unsigned",
    "octet_string",
    "parse",
    "read_length",
    "skip",
    "structure",
    "time",
    "unsigned",
    "utf8_string",
    "visible_string",
    "write",
]

# Encoding: each function returns octets.

NULL = b"\x00"


def boolean(value: bool) -> bytes:  # noqa: FBT001 - the value itself
    """Return the octets of a boolean."""
    return b"\x03\x01" if value else b"\x03\x00"


def bit_string(value: BitString) -> bytes:
    """Return the octets of a bit-string."""
    return b"\x04" + length(value.bits) + value.octets


def double_long(value: int) -> bytes:
    """Return the octets of an Integer32."""
    return encode_number(Tag.DOUBLE_LONG, value)


def double_long_unsigned(value: int) -> bytes:
    """
    Return the octets of an Unsigned32.

    >>> double_long_unsigned(5009).hex()
    '0600001391'
    """
    return encode_number(Tag.DOUBLE_LONG_UNSIGNED, value)


def octet_string(value: bytes) -> bytes:
    """Return the octets of an octet-string."""
    return b"\x09" + length(len(value)) + value


def visible_string(value: str) -> bytes:
    """
    Return the octets of a visible-string.

    :raises LocalProtocolError: if the text is not ASCII.
    """
    if not value.isascii():
        raise LocalProtocolError(f"{value!r} is not ASCII; use a UTF-8 string")
    return b"\x0a" + length(len(value)) + value.encode("ascii")


def utf8_string(value: str) -> bytes:
    """Return the octets of a UTF-8 string."""
    octets = value.encode()
    return b"\x0c" + length(len(octets)) + octets


def bcd(value: int) -> bytes:
    """Return the octets of a bcd."""
    return encode_number(Tag.BCD, value)


def integer(value: int) -> bytes:
    """Return the octets of an Integer8."""
    return encode_number(Tag.INTEGER, value)


def long(value: int) -> bytes:
    """Return the octets of an Integer16."""
    return encode_number(Tag.LONG, value)


def unsigned(value: int) -> bytes:
    """Return the octets of an Unsigned8."""
    return encode_number(Tag.UNSIGNED, value)


def long_unsigned(value: int) -> bytes:
    """Return the octets of an Unsigned16."""
    return encode_number(Tag.LONG_UNSIGNED, value)


def long64(value: int) -> bytes:
    """Return the octets of an Integer64."""
    return encode_number(Tag.LONG64, value)


def long64_unsigned(value: int) -> bytes:
    """Return the octets of an Unsigned64."""
    return encode_number(Tag.LONG64_UNSIGNED, value)


def enum(value: int) -> bytes:
    """Return the octets of an enum."""
    return encode_number(Tag.ENUM, value)


def float32(value: float) -> bytes:
    """Return the octets of a float32."""
    return encode_number(Tag.FLOAT32, value)


def float64(value: float) -> bytes:
    """Return the octets of a float64."""
    return encode_number(Tag.FLOAT64, value)


def date_time(value: bytes) -> bytes:
    """Return the octets of a date-time of 12 octets."""
    return encode_fixed(Tag.DATE_TIME, value)


def date(value: bytes) -> bytes:
    """Return the octets of a date of 5 octets."""
    return encode_fixed(Tag.DATE, value)


def time(value: bytes) -> bytes:
    """Return the octets of a time of 4 octets."""
    return encode_fixed(Tag.TIME, value)


def array(items: Sequence[bytes]) -> bytes:
    """Return the octets of an array of encoded items."""
    return b"\x01" + length(len(items)) + b"".join(items)


def structure(*items: bytes) -> bytes:
    """Return the octets of a structure of encoded items."""
    return b"\x02" + length(len(items)) + b"".join(items)


# Decoding.

#: As plain numbers: to look a member of an enumeration up takes longer than to compare it.
_ARRAY, _STRUCTURE, _COMPACT_ARRAY = int(Tag.ARRAY), int(Tag.STRUCTURE), int(Tag.COMPACT_ARRAY)


def _decode(data: bytes, at: int, depth: int, budget: list[int]) -> tuple[Value, int]:
    try:
        tag = data[at]
    except IndexError:
        raise Truncated("the message ends where a value should stand") from None
    leaf = LEAVES.get(tag)
    if leaf is not None:
        return leaf(data, at + 1)
    if tag == _COMPACT_ARRAY:
        return decode_compact(data, at + 1, depth, budget)
    if tag not in (_ARRAY, _STRUCTURE):
        raise Malformed(f"{tag} at {at} is not the tag of a value")
    count, at = read_count(data, at + 1, depth)
    items: list[Value] = []
    for _ in range(count):
        leaf = LEAVES.get(data[at]) if at < len(data) else None
        item, at = _decode(data, at, depth + 1, budget) if leaf is None else leaf(data, at + 1)
        items.append(item)
    return (items if tag == _ARRAY else tuple(items)), at


def decode_from(data: bytes, at: int) -> tuple[Value, int]:
    """
    Return the plain value that starts at `at`, and where it ends.

    :raises RemoteProtocolError: Truncated, TooLong, TooDeep or Malformed.
    """
    return _decode(data, at, 0, [VALUES_MAX])


def decode(data: bytes) -> Value:
    """
    Return the plain value that `data` is.

    >>> decode(structure(octet_string(b"MTR"), array([long_unsigned(4), NULL])))
    (b'MTR', [4, None])

    :raises RemoteProtocolError: Truncated, TooLong, TooDeep or Malformed (also if octets are left over).
    """
    leaf = LEAVES.get(data[0]) if data else None
    value, end = _decode(data, 0, 0, [VALUES_MAX]) if leaf is None else leaf(data, 1)
    if end != len(data):
        raise Malformed(f"{len(data) - end} octets are left over after the value")
    return value
