"""
Rows of a profile buffer, decoded and encoded by their compiled shape.

A buffer is an array of structures that nearly always have the same layout. The layout of the first row is compiled
once into a mask of the octets that must be the same in every row (tags and lengths) and a numpy type for the rest.
Every such octet of every row is checked; a buffer that differs anywhere (null cells, odd rows, strings of changing
length) goes the slow way through `axdr` and gives the same columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
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
#: So many octets, or one row (one buffer), are looked at together: they stay in the processor's cache, and are less
#: than malloc gets anew from the system each time (128 KiB).
PART_OCTETS = 122_880
_OCTET = np.dtype(np.uint8)
#: Octets of a number in a column.
_NUMBER_OCTETS = 8
#: Makes a named tuple in half the time.
_new = tuple.__new__
ROWS_MAX = 1 << 20
_COMPACT = bytes((Tag.COMPACT_ARRAY,))


_NUMBERS: dict[int, str] = {kind.tag: kind.dtype for kind in Kind if kind is not Kind.CLOCK}
#: What numbers become that do not fit into int64.
_TARGETS: dict[str, type[np.generic]] = {
    Kind.LONG64_UNSIGNED.dtype: np.uint64,
    Kind.FLOAT32.dtype: np.float64,
    Kind.FLOAT64.dtype: np.float64,
}


# Compiled layouts.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Columns of one type whose cells lie at equal distances, so that one view shows them all."""

    places: tuple[int, ...]
    dtype: "np.dtype[Any]"
    target: "np.dtype[Any]"
    offset: int
    stride: int


class _Layout:
    """One row layout: which octets must stand where, and where the values are."""

    __slots__ = (
        *("_count", "_mask", "_masks", "_octets", "_part_octets", "_runs"),
        *("_template", "_templates", "row_octets"),
    )

    def __init__(self, row: bytes, at: int) -> None:
        """Compile the row that starts at `at`; :raises RemoteProtocolError: if it is not of fixed layout."""
        count, position = _row_head(row, at)
        mask = bytearray(b"\xff" * (position - at))
        self._octets: list[tuple[int, int, int]] = []
        numbers: dict[str, list[tuple[int, int]]] = {}
        for place in range(count):
            tag = row[position] if position < len(row) else -1
            size, dtype, head = self._cell(row, position, tag)
            offset = position - at + head
            if dtype is None:
                self._octets.append((place, offset, size))
            else:
                numbers.setdefault(dtype, []).append((place, offset))
            mask += b"\xff" * head + bytes(size)
            position += head + size
        if position > len(row):
            raise Truncated("the first row is cut off")
        self._count = count
        self._runs = [run for dtype, cells in numbers.items() for run in _runs(dtype, cells)]
        self.row_octets = position - at
        self._part_octets = max(PART_OCTETS // self.row_octets, 1) * self.row_octets
        self._mask = self._masks = np.frombuffer(bytes(mask), _OCTET)
        self._template = bytes(octet & keep for octet, keep in zip(row[at:position], mask, strict=True))
        self._templates = self._template

    @staticmethod
    def _cell(row: bytes, at: int, tag: int) -> tuple[int, str | None, int]:
        """Return size, numpy type (None for octets) and octets of tag and length of a cell."""
        if tag in _NUMBERS:
            return axdr.FIXED_SIZES[tag], _NUMBERS[tag], 1
        if tag == Tag.DATE_TIME:
            return clock.OCTETS, None, 1
        if tag == Tag.OCTET_STRING and at + 1 < len(row) and 0 < row[at + 1] < 0x80:
            return row[at + 1], None, 2
        raise Malformed(f"tag {tag} is not of a fixed layout")

    def holds(self, body: bytes) -> bool:
        """Return whether every tag and length octet of some whole rows is as it should be."""
        octets, masks, templates = len(body), self._masks, self._templates
        if octets != len(templates):
            if octets > self._part_octets:
                step = self._part_octets
                return all(self.holds(body[at : at + step]) for at in range(0, octets, step))
            if octets > len(templates):
                rows = octets // self.row_octets
                self._masks = masks = np.tile(self._mask, rows)
                self._templates = templates = self._template * rows
            else:
                masks, templates = masks[:octets], templates[:octets]
        return (np.frombuffer(body, _OCTET) & masks).tobytes() == templates

    def read(self, body: bytes, count: int) -> Rows:
        """Return the rows of a checked body."""
        row_octets = self.row_octets
        columns: list[Any] = [None] * self._count
        for place, offset, size in self._octets:
            octets: NDArray[np.uint8] = np.ndarray((count, size), _OCTET, body, offset, (row_octets, 1))
            columns[place] = _new(Column, (octets, None))
        for run in self._runs:
            cells: NDArray[Any] = np.ndarray(
                (len(run.places), count), run.dtype, body, run.offset, (run.stride, row_octets)
            )
            table = cells.astype(run.target, "C")
            for place, values in zip(run.places, table):  # noqa: B905 - both are as long as the run
                columns[place] = _new(Column, (values, None))
        return Rows(count=count, columns=tuple(columns))

    def read_alike(self, buffers: Sequence[bytes], *, head: bytes, count: int) -> Rows | None:
        """Return the rows of buffers that are `head` and `count` rows each, None if one of them is not."""
        before, row_octets, each = len(head), self.row_octets, len(buffers)
        octets, total = before + count * row_octets, each * count
        mask = np.frombuffer(b"\xff" * before + self._mask.tobytes() * count, _OCTET)
        template = np.frombuffer(head + self._template * count, _OCTET)
        texts, numbers = self._columns_in_one_block(each, count)
        in_part = max(PART_OCTETS // octets, 1)
        for first in range(0, each, in_part):
            part = b"".join(buffers[first : first + in_part])
            found = np.frombuffer(part, _OCTET).reshape(-1, octets)
            if not ((found & mask) == template).all():
                return None
            here, shape, strides = slice(first, first + in_part), (len(found), count), (octets, row_octets)
            for (_, offset, _), cells in zip(self._octets, texts, strict=True):
                cells[here] = np.ndarray(shape, cells.dtype, part, before + offset, strides)
            for run, table in zip(self._runs, numbers, strict=True):
                table[:, here] = np.ndarray(
                    (len(run.places), *shape), run.dtype, part, before + run.offset, (run.stride, *strides)
                )
        columns: list[Any] = [None] * self._count
        for (place, _, size), cells in zip(self._octets, texts, strict=True):
            columns[place] = Column(cells.view(_OCTET).reshape(total, size))
        for run, table in zip(self._runs, numbers, strict=True):
            for place, values in zip(run.places, table.reshape(-1, total), strict=True):
                columns[place] = Column(values)
        return Rows(count=total, columns=tuple(columns))

    def _columns_in_one_block(self, each: int, count: int) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """
        Return what the octets (one array a column) and the numbers (one a run) of `each` buffers are put into.

        One block for all: of several, malloc gives the memory back to the system each time, and getting it anew page
        by page took longer than reading all rows.
        """
        total = each * count
        places = sum(len(run.places) for run in self._runs) * _NUMBER_OCTETS
        block = np.empty(total * (places + sum(size for _, _, size in self._octets)), _OCTET)
        numbers, texts, end = [], [], 0
        for run in self._runs:
            first, end = end, end + total * len(run.places) * _NUMBER_OCTETS
            numbers.append(block[first:end].view(run.target).reshape(-1, each, count))
        for _, _, size in self._octets:
            first, end = end, end + total * size
            texts.append(block[first:end].view(f"V{size}").reshape(each, count))
        return texts, numbers


def _runs(dtype: str, cells: Sequence[tuple[int, int]]) -> Iterator[_Run]:
    """Give the runs of equal distances that the (place, offset) of cells of one type fall into."""
    size = np.dtype(dtype).itemsize
    first = 0
    while first < len(cells):
        stride = cells[first + 1][1] - cells[first][1] if first + 1 < len(cells) else size
        after = first + 1
        while after < len(cells) and cells[after][1] - cells[after - 1][1] == stride:
            after += 1
        yield _Run(
            places=tuple(place for place, _ in cells[first:after]),
            dtype=np.dtype(dtype),
            target=np.dtype(_TARGETS.get(dtype, np.int64)),
            offset=cells[first][1],
            stride=stride,
        )
        first = after


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
    count, at = (data[1], 2) if len(data) > 1 and data[1] < 0x80 else axdr.read_length(data, 1)
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
    if known is not None and known.holds(body):
        return known
    try:
        compiled = _Layout(body, 0)
    except RemoteProtocolError:
        return None
    if compiled.row_octets != row_octets or not compiled.holds(body):
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

    Neighbours of one length and layout are read in one go; others singly, and they must have as many columns.

    :raises RemoteProtocolError: if a buffer is not good, or columns do not agree.
    """
    parts: list[Rows] = []
    counts: list[int] = []
    total = 0
    for _, of_one_length in groupby(buffers, len):
        alike = list(of_one_length)
        rows = _decode_alike(alike)
        if rows is not None:
            parts.append(rows)
            counts += [rows.count // len(alike)] * len(alike)
            total += rows.count
        else:
            for data in alike:
                rows = decode(data)
                parts.append(rows)
                counts.append(rows.count)
                total += rows.count
        if total > ROWS_MAX:
            raise TooLong(f"{total} rows at once are refused ({ROWS_MAX} are allowed)")
    return parts[0] if len(parts) == 1 else _join(parts), tuple(counts)


def _decode_alike(buffers: Sequence[bytes]) -> Rows | None:
    """Return the rows of buffers of one length, None if they must be read singly: they are not all of one layout."""
    first = buffers[0]
    if len(buffers) == 1 or first[:1] == _COMPACT:
        return None
    count, at = _array_head(first)
    layout = _layout(first[at:], count) if 0 < count * len(buffers) <= ROWS_MAX else None
    return None if layout is None else layout.read_alike(buffers, head=first[:at], count=count)


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
