"""
The compact array of A-XDR (IEC 62056-6-2): one type description, then the contents of all items without tags.
"""

from typing import TypeAlias

from bijlighar.dlms.axdr_parts import DEPTH_MAX, LEAVES, VALUES_MAX, Tag, Value, read_count, read_length, take
from bijlighar.dlms.errors import Malformed, TooDeep, TooLong

_Type: TypeAlias = "int | tuple[int, tuple[_Type, ...]] | tuple[int, int, _Type]"


def _read_description(data: bytes, at: int, depth: int) -> tuple[_Type, int]:
    if depth >= DEPTH_MAX:
        raise TooDeep(f"types nested deeper than {DEPTH_MAX} are refused")
    end = take(data, at, 1)
    tag = data[at]
    if tag == Tag.ARRAY:
        take(data, end, 2)
        count = int.from_bytes(data[end : end + 2], "big")
        inner, end = _read_description(data, end + 2, depth + 1)
        return (Tag.ARRAY.value, count, inner), end
    if tag == Tag.STRUCTURE:
        count, end = read_count(data, end, depth)
        inner_types: list[_Type] = []
        for _ in range(count):
            inner, end = _read_description(data, end, depth + 1)
            inner_types.append(inner)
        return (Tag.STRUCTURE.value, tuple(inner_types)), end
    if tag not in LEAVES:
        raise Malformed(f"{tag} at {at} is not the tag of a type")
    return tag, end


def skip_description(data: bytes, at: int, depth: int) -> int:
    """Return where the type description that starts at `at` ends."""
    return _read_description(data, at, depth)[1]


def _read_content(kind: _Type, data: bytes, at: int, budget: list[int]) -> tuple[Value, int]:
    budget[0] -= 1
    if budget[0] < 0:
        raise TooLong(f"compact arrays of more than {VALUES_MAX} values are refused")
    if isinstance(kind, int):
        return LEAVES[kind](data, at)
    items: list[Value] = []
    if len(kind) == 3:
        for _ in range(kind[1]):
            item, at = _read_content(kind[2], data, at, budget)
            items.append(item)
        return items, at
    for inner in kind[1]:
        item, at = _read_content(inner, data, at, budget)
        items.append(item)
    return tuple(items), at


def decode_compact(data: bytes, at: int, depth: int, budget: list[int]) -> tuple[Value, int]:
    """
    Return the items of the compact array whose description starts at `at`, and where it ends.

    `budget` holds how many values all compact arrays of the message may still become.
    """
    kind, at = _read_description(data, at, depth + 1)
    count, at = read_length(data, at)
    end = take(data, at, count)
    contents = data[at:end]
    items: list[Value] = []
    position = 0
    while position < len(contents):
        item, after = _read_content(kind, contents, position, budget)
        if after == position:
            raise Malformed("a compact array of a type without octets has contents")
        items.append(item)
        position = after
    return items, end
