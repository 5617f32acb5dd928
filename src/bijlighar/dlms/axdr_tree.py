"""Typed trees of A-XDR, for what must come out as it came in; and where a value ends."""

from typing import NamedTuple

from bijlighar.dlms.axdr_compact import skip_description
from bijlighar.dlms.axdr_parts import (
    FIXED_OCTETS,
    FIXED_SIZES,
    LEAVES,
    NUMBERS,
    BitString,
    Tag,
    encode_number,
    length,
    read_count,
    read_length,
    take,
)
from bijlighar.dlms.errors import LocalProtocolError, Malformed, Truncated

#: An array of so many rows or more is looked at as a table first.
ROWS_MIN = 4
_STRUCTURE = bytes((Tag.STRUCTURE,))
#: As plain numbers: to look a member of an enumeration up takes longer than to compare it.
_ARRAY, _CONTAINERS = int(Tag.ARRAY), (int(Tag.ARRAY), int(Tag.STRUCTURE))
_STRINGS = (int(Tag.OCTET_STRING), int(Tag.VISIBLE_STRING), int(Tag.UTF8_STRING))


class Data(NamedTuple):
    """A typed value; containers hold `Data`, a compact-array its raw octets (description and contents)."""

    tag: int
    value: "bool | int | float | bytes | str | BitString | tuple[Data, ...] | None"


def skip(data: bytes, at: int, depth: int = 0) -> int:
    """
    Return where the value that starts at `at` ends.

    :raises RemoteProtocolError: Truncated, TooLong, TooDeep or Malformed.
    """
    if at >= len(data):
        raise Truncated("the message ends where a value should stand")
    tag = data[at]
    size = FIXED_SIZES.get(tag)
    if size is not None:
        return take(data, at + 1, size)
    if tag in _CONTAINERS:
        return _skip_items(data, at, depth)
    if tag in _STRINGS:
        count, at = read_length(data, at + 1)
        return take(data, at, count)
    if tag == Tag.BIT_STRING:
        bits, at = read_length(data, at + 1)
        return take(data, at, (bits + 7) // 8)
    if tag == Tag.COMPACT_ARRAY:
        at = skip_description(data, at + 1, depth)
        count, at = read_length(data, at)
        return take(data, at, count)
    if tag == Tag.DONT_CARE:
        return at + 1
    raise Malformed(f"{tag} at {at} is not the tag of a value")


def _skip_items(data: bytes, at: int, depth: int) -> int:
    tag = data[at]
    count, at = read_count(data, at + 1, depth)
    alike = _skip_rows(data, at, count) if tag == _ARRAY and count >= ROWS_MIN else None
    if alike is not None:
        return alike
    for _ in range(count):
        at = skip(data, at, depth + 1)
    return at


def _skip_rows(data: bytes, at: int, count: int) -> int | None:
    """Return where `count` rows of plain cells end that are all of the first one's layout, None of any others."""
    if data[at : at + 1] != _STRUCTURE or at + 1 >= len(data) or data[at + 1] >= 0x80:
        return None
    heads, end = [at, at + 1], at + 2
    for _ in range(data[at + 1]):
        tag = data[end] if end < len(data) else -1
        heads.append(end)
        size = FIXED_SIZES.get(tag)
        if size is None and tag in _STRINGS and end + 1 < len(data) and data[end + 1] < 0x80:
            heads.append(end + 1)
            size = 1 + data[end + 1]
        if size is None:
            return None
        end += 1 + size
    row_octets = end - at
    end = at + count * row_octets
    if end > len(data) or any(data[head:end:row_octets] != data[head : head + 1] * count for head in heads):
        return None
    return end


def _parse(data: bytes, at: int, depth: int) -> tuple[Data, int]:
    if at >= len(data):
        raise Truncated("the message ends where a value should stand")
    tag = data[at]
    leaf = LEAVES.get(tag)
    if leaf is not None:
        value, end = leaf(data, at + 1)
        if tag == Tag.BOOLEAN:
            return Data(tag, data[at + 1] != 0), end
        return Data(tag, value), end
    if tag == Tag.COMPACT_ARRAY:
        end = skip(data, at, depth)
        return Data(tag, bytes(data[at + 1 : end])), end
    if tag not in (Tag.ARRAY, Tag.STRUCTURE):
        raise Malformed(f"{tag} at {at} is not the tag of a value")
    count, at = read_count(data, at + 1, depth)
    items: list[Data] = []
    for _ in range(count):
        item, at = _parse(data, at, depth + 1)
        items.append(item)
    return Data(tag, tuple(items)), at


def parse(data: bytes) -> Data:
    """
    Return the typed tree that `data` is.

    :raises RemoteProtocolError: Truncated, TooLong, TooDeep or Malformed.
    """
    tree, end = _parse(data, 0, 0)
    if end != len(data):
        raise Malformed(f"{len(data) - end} octets are left over after the value")
    return tree


def write(tree: Data) -> bytes:
    """
    Return the octets of a typed tree.

    >>> write(parse(bytes.fromhex("0202120004110f"))).hex()
    '0202120004110f'

    :raises LocalProtocolError: if a value does not fit its tag.
    """
    tag, value = tree
    if tag in NUMBERS and isinstance(value, int | float):
        return encode_number(Tag(tag), value)
    return bytes((tag,)) + _content(tag, value)


def _content(tag: int, value: object) -> bytes:
    """Return what follows the tag."""
    match value:
        case None:
            content = b""
        case bool():
            content = b"\x01" if value else b"\x00"
        case BitString():
            content = length(value.bits) + value.octets
        case tuple():
            content = length(len(value)) + b"".join(write(item) for item in value)
        case str():
            octets = value.encode("utf-8" if tag == Tag.UTF8_STRING else "latin-1")
            content = length(len(octets)) + octets
        case bytes() if tag in FIXED_OCTETS or tag == Tag.COMPACT_ARRAY:
            content = value
        case bytes():
            content = length(len(value)) + value
        case _:
            raise LocalProtocolError(f"{value!r} does not fit the tag {tag}")
    return content
