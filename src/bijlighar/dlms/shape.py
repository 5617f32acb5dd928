"""
Rows of a profile buffer, decoded and encoded by their compiled shape.

A buffer is an array of structures that nearly always have the same layout. The layout of the first row is compiled
once into a mask of the octets that must be the same in every row (tags and lengths) and a numpy type for the rest.
Every such octet of every row is checked; a buffer that differs anywhere (null cells, odd rows, strings of changing
length) goes the slow way through `axdr` and gives the same columns.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bijlighar.dlms import axdr, clock
from bijlighar.dlms.axdr import Tag
from bijlighar.dlms.clock import ABSENT
from bijlighar.dlms.errors import Malformed, RemoteProtocolError, TooLong, Truncated
from bijlighar.dlms.row_encoder import Kind, RowEncoder
from bijlighar.dlms.rows import Column, Rows, Values

__all__ = ["ABSENT", "Column", "Kind", "RowEncoder", "Rows", "decode", "decode_gathered"]

COLUMNS_MAX = 255
LAYOUTS_MAX = 256
MASKS_MAX = 512
MASK_OCTETS_MAX = 16_384
ROWS_MAX = 1 << 20
_COMPACT = bytes((Tag.COMPACT_ARRAY,))


_NUMBERS: dict[int, str] = {
    kind.tag: kind.dtype for kind in Kind if kind not in (Kind.CLOCK, Kind.FLOAT32, Kind.FLOAT64)
}
_FLOATS: dict[int, str] = {Tag.FLOAT32: ">f4", Tag.FLOAT64: ">f8"}


# Compiled layouts.


class _Layout:
    """One row layout: which octets must stand where, and where the values are."""

    __slots__ = ("_masks", "columns", "dtype", "mask", "row_octets", "template")

    def __init__(self, row: bytes, at: int) -> None:
        """Compile the row that starts at `at`; :raises RemoteProtocolError: if it is not of fixed layout."""
        self.columns: list[tuple[str, str]] = []
        names: list[str] = []
        formats: list[Any] = []
        offsets: list[int] = []
        count, position = _row_head(row, at)
        mask = bytearray(b"\xff" * (position - at))
        for index in range(count):
            tag = row[position] if position < len(row) else -1
            name = f"c{index}"
            size, kind, head = self._cell(row, position, tag)
            names.append(name)
            offsets.append(position - at + head)
            formats.append((kind, (size,)) if kind == "u1" and tag not in _NUMBERS else kind)
            target = (
                "octets" if tag in (Tag.OCTET_STRING, Tag.DATE_TIME) else "float" if tag in _FLOATS else "int"
            )
            self.columns.append((name, "uint" if tag == Tag.LONG64_UNSIGNED else target))
            mask += b"\xff" * head + bytes(size)
            position += head + size
        if position > len(row):
            raise Truncated("the first row is cut off")
        self.row_octets = position - at
        self.mask = bytes(mask)
        self.template = bytes(octet & keep for octet, keep in zip(row[at:position], mask, strict=True))
        self.dtype = np.dtype(
            {"names": names, "formats": formats, "offsets": offsets, "itemsize": self.row_octets}
        )
        self._masks: dict[int, tuple[int, int]] = {}

    @staticmethod
    def _cell(row: bytes, at: int, tag: int) -> tuple[int, str, int]:
        """Return size, numpy type and octets of tag and length of a cell."""
        if tag in _NUMBERS or tag in _FLOATS:
            return axdr.FIXED_SIZES[tag], _NUMBERS.get(tag) or _FLOATS[tag], 1
        if tag == Tag.DATE_TIME:
            return clock.OCTETS, "u1", 1
        if tag == Tag.OCTET_STRING and at + 1 < len(row) and 0 < row[at + 1] < 0x80:
            return row[at + 1], "u1", 2
        raise Malformed(f"tag {tag} is not of a fixed layout")

    def holds(self, body: bytes, count: int) -> bool:
        """Return whether every tag and length octet of `count` rows is as it should be."""
        if len(body) > MASK_OCTETS_MAX:
            table = np.frombuffer(body, np.uint8).reshape(count, self.row_octets)
            mask = np.frombuffer(self.mask, np.uint8)
            return bool(((table & mask) == np.frombuffer(self.template, np.uint8)).all())
        found = self._masks.get(count)
        if found is None:
            if len(self._masks) >= MASKS_MAX:
                self._masks.clear()
            found = (
                int.from_bytes(self.mask * count, "little"),
                int.from_bytes(self.template * count, "little"),
            )
            self._masks[count] = found
        # One comparison of long integers is the fastest way to look at all octets at once.
        return int.from_bytes(body, "little") & found[0] == found[1]

    def read(self, body: bytes, count: int) -> Rows:
        """Return the rows of a checked body."""
        table = np.frombuffer(body, self.dtype, count)
        columns: list[Column] = []
        for name, target in self.columns:
            values: NDArray[Any] = table[name]
            if target == "int":
                values = values.astype(np.int64)
            elif target == "float":
                values = values.astype(np.float64)
            elif target == "uint":
                values = values.astype(np.uint64)
            columns.append(Column(values=values))
        return Rows(count=count, columns=tuple(columns))


_layouts: dict[tuple[int, bytes], _Layout] = {}


def _row_head(data: bytes, at: int) -> tuple[int, int]:
    """Return the number of cells of a row (structure) and where they start."""
    if at >= len(data):
        raise Truncated("a buffer ends where a row should stand")
    if data[at] != Tag.STRUCTURE:
        raise Malformed("a row of a buffer is not a structure")
    count, position = axdr.read_length(data, at + 1)
    if count > COLUMNS_MAX:
        raise TooLong(f"a row of {count} cells is refused ({COLUMNS_MAX} are allowed)")
    return count, position


def _array_head(data: bytes) -> tuple[int, int]:
    """Return the number of rows of a buffer and where they start."""
    if not data:
        raise Truncated("a buffer is empty")
    if data[0] != Tag.ARRAY:
        raise Malformed("a buffer is not an array")
    count, at = axdr.read_length(data, 1)
    if count > len(data) - at:
        raise Truncated(f"{count} rows are announced, {len(data) - at} octets are there")
    if count > ROWS_MAX:
        raise TooLong(f"a buffer of {count} rows is refused ({ROWS_MAX} are allowed)")
    return count, at


def _layout(body: bytes, count: int) -> _Layout | None:
    """Return the layout that all rows of `body` have, None if they differ."""
    row_octets, rest = divmod(len(body), count)
    if rest:
        return None
    # Rows of one length and the same first octets are nearly always of one layout; `holds` proves it.
    key = (row_octets, body[:3])
    known = _layouts.get(key)
    if known is not None and known.holds(body, count):
        return known
    try:
        compiled = _Layout(body, 0)
    except RemoteProtocolError:
        return None
    if compiled.row_octets != row_octets or not compiled.holds(body, count):
        return None
    if len(_layouts) >= LAYOUTS_MAX:
        _layouts.clear()
    _layouts[key] = compiled
    return compiled


def decode(data: bytes) -> Rows:
    """
    Return the rows of a profile buffer (an A-XDR array, or compact array, of structures).

    >>> rows = decode(bytes.fromhex("0102" "020212000506000003e8" "020212000606000003e9"))
    >>> rows.count, [column.values.tolist() for column in rows.columns]
    (2, [[5, 6], [1000, 1001]])

    :raises RemoteProtocolError: Truncated, TooLong, TooDeep or Malformed.
    """
    if data[:1] == _COMPACT:
        return _decode_slowly(data)
    count, at = _array_head(data)
    if count == 0:
        if at != len(data):
            raise Malformed(f"{len(data) - at} octets are left over after an empty buffer")
        return Rows(count=0, columns=())
    body = data[at:]
    layout = _layout(body, count)
    return _decode_slowly(data) if layout is None else layout.read(body, count)


def decode_gathered(buffers: Sequence[bytes]) -> tuple[Rows, tuple[int, ...]]:
    """
    Return the rows of many buffers one after the other, and how many came from each.

    Buffers of one layout are read in one go; others are read singly, and must have as many columns.

    :raises RemoteProtocolError: if a buffer is not good, or columns do not agree.
    """
    if any(data[:1] == _COMPACT for data in buffers):
        parts = [decode(data) for data in buffers]
        return _join(parts), tuple(part.count for part in parts)
    heads = [_array_head(data) for data in buffers]
    counts = tuple(count for count, _ in heads)
    total = sum(counts)
    if total > ROWS_MAX:
        raise TooLong(f"{total} rows at once are refused ({ROWS_MAX} are allowed)")
    if total == 0:
        return Rows(count=0, columns=()), counts
    body = b"".join(data[at:] for data, (_, at) in zip(buffers, heads, strict=True))
    row_octets = len(body) // total
    if all((len(data) - at) == count * row_octets for data, (count, at) in zip(buffers, heads, strict=True)):
        layout = _layout(body, total)
        if layout is not None:
            return layout.read(body, total), counts
    return _join([decode(data) for data in buffers]), counts


def _join(parts: Sequence[Rows]) -> Rows:
    """Return the rows of several decoded buffers as one."""
    filled = [part for part in parts if part.count]
    if not filled:
        return Rows(count=0, columns=())
    widths = {len(part.columns) for part in filled}
    if len(widths) != 1:
        raise Malformed("buffers of different numbers of columns cannot be joined")
    return Rows(
        count=sum(part.count for part in filled),
        columns=tuple(_join_columns([part.columns[at] for part in filled]) for at in range(widths.pop())),
    )


def _join_columns(columns: Sequence[Column]) -> Column:
    values = [column.values for column in columns]
    nulls: NDArray[np.bool_] | None = None
    if any(column.nulls is not None for column in columns):
        nulls = np.concatenate(
            [
                np.zeros(len(column.values), bool) if column.nulls is None else column.nulls
                for column in columns
            ]
        )
    arrays = [part for part in values if isinstance(part, np.ndarray)]
    if len(arrays) == len(values) and len({(part.dtype.kind, part.shape[1:]) for part in arrays}) == 1:
        return Column(values=np.concatenate(arrays), nulls=nulls)
    return Column(values=tuple(item for part in values for item in _plain(part)), nulls=nulls)


def _plain(values: Values) -> Sequence[axdr.Value]:
    """Return the values as plain ones."""
    if isinstance(values, tuple):
        return values
    if values.ndim == 2:
        return [row.tobytes() for row in values]
    plain: list[axdr.Value] = values.tolist()
    return plain


def _decode_slowly(data: bytes) -> Rows:
    """Return the rows by way of plain values."""
    table = axdr.decode(data)
    if not isinstance(table, list):
        raise Malformed("a buffer is not an array")
    if not table:
        return Rows(count=0, columns=())
    rows = [row for row in table if isinstance(row, tuple) and not isinstance(row, axdr.BitString)]
    if len(rows) != len(table) or len({len(row) for row in rows}) != 1:
        raise Malformed("the rows of a buffer are not structures of the same number of cells")
    if len(rows[0]) > COLUMNS_MAX:
        raise TooLong(f"a row of {len(rows[0])} cells is refused ({COLUMNS_MAX} are allowed)")
    return Rows(count=len(rows), columns=tuple(_column(cells) for cells in zip(*rows, strict=True)))


def _column(cells: tuple[axdr.Value, ...]) -> Column:
    """Return a column of plain cells in its tightest form."""
    nulls = np.fromiter((cell is None for cell in cells), bool, len(cells))
    some_null: NDArray[np.bool_] | None = nulls if nulls.any() else None
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds <= {int, bool}:
        numbers = [
            ABSENT if cell is None else int(cell) for cell in cells if cell is None or isinstance(cell, int)
        ]
        wide = any(number > (1 << 63) - 1 for number in numbers)
        if not wide:
            return Column(values=np.array(numbers, np.int64), nulls=some_null)
        return Column(values=np.array([max(number, 0) for number in numbers], np.uint64), nulls=some_null)
    if kinds == {float}:
        floats = [cell if isinstance(cell, float) else np.nan for cell in cells]
        return Column(values=np.array(floats, np.float64), nulls=some_null)
    if kinds == {bytes}:
        lengths = {len(cell) for cell in cells if isinstance(cell, bytes)}
        size = lengths.pop()
        if not lengths and size:
            blank = clock.UNDEFINED if size == clock.OCTETS else bytes(size)
            octets = b"".join(cell if isinstance(cell, bytes) else blank for cell in cells)
            return Column(values=np.frombuffer(octets, np.uint8).reshape(len(cells), size), nulls=some_null)
    return Column(values=cells, nulls=some_null)
