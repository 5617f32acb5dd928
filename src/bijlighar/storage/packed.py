"""
Packed columns: a row of integers as the narrowest bytes that hold it exactly.

A row is stored little-endian as uint16 (absent 0xFFFF), int32 or int64 (absent the least value); where a row is too
wide for 16 bits but all its values are multiples of a power of ten, it is divided first. A code of five bits says
how: width in the low two bits (0: nothing stored, 1: uint16, 2: int32, 3: int64), the power of ten above them.
Nothing is ever clipped or rounded.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bijlighar.storage.errors import StorageError

Integers = NDArray[np.int64]
Codes = NDArray[np.int64]

ABSENT = int(np.iinfo(np.int64).min)
CODE_BITS = 5
WIDTH_NONE, WIDTH_16, WIDTH_32, WIDTH_64 = 0, 1, 2, 3
SCALE_MAX = 3
_ABSENT_16 = 0xFFFF
_ABSENT_32 = int(np.iinfo(np.int32).min)
_TYPES: dict[int, np.dtype[Any]] = {
    WIDTH_16: np.dtype("<u2"),
    WIDTH_32: np.dtype("<i4"),
    WIDTH_64: np.dtype("<i8"),
}
_MARKS = {WIDTH_16: _ABSENT_16, WIDTH_32: _ABSENT_32, WIDTH_64: ABSENT}


class BrokenColumn(StorageError):
    """The bytes of a packed column have not the length that their code says."""

    code = "storage.broken-column"


def pack(values: Integers) -> tuple[list[bytes | None], Codes]:
    r"""
    Return the bytes and the code of each row of `values` (rows, columns); a row that is all absent is None.

    >>> pack(np.array([[7, ABSENT], [70_000, -10], [ABSENT, ABSENT]]))[0]
    [b'\x07\x00\xff\xff', b'p\x11\x01\x00\xf6\xff\xff\xff', None]
    """
    absent = values == ABSENT
    least = np.min(values, axis=1, where=~absent, initial=0)
    greatest = np.max(values, axis=1, where=~absent, initial=0)
    codes = _codes(values, absent, least, greatest)
    packed: list[bytes | None] = [None] * len(values)
    for code in np.unique(codes):
        width, scale = int(code) & 3, int(code) >> 2
        if width == WIDTH_NONE:
            continue
        rows = np.flatnonzero(codes == code)
        chosen, missing = values[rows], absent[rows]
        scaled = chosen // 10**scale if scale else chosen
        data = np.where(missing, _MARKS[width], scaled).astype(_TYPES[width]).tobytes()
        size = len(data) // len(rows)
        for place, row in enumerate(rows.tolist()):
            packed[row] = data[place * size : (place + 1) * size]
    return packed, codes


def unpack(blobs: Sequence[bytes | None], codes: Codes, columns: int) -> Integers:
    """
    Return the values (rows, columns) of packed rows.

    >>> blobs, codes = pack(np.array([[7, ABSENT, 65_535], [-3, 0, 1]]))
    >>> unpack(blobs, codes, 3)[:, 2].tolist()
    [65535, 1]

    :raises BrokenColumn: if the bytes have not the length that the code says.
    """
    values = np.full((len(blobs), columns), ABSENT, dtype=np.int64)
    for code in np.unique(codes):
        width, scale = int(code) & 3, int(code) >> 2
        if width == WIDTH_NONE:
            continue
        rows = np.flatnonzero(codes == code)
        whole = len(rows) == len(blobs)
        data = b"".join(
            blob for blob in (blobs if whole else [blobs[row] for row in rows.tolist()]) if blob is not None
        )
        kind = _TYPES[width]
        if len(data) != len(rows) * columns * kind.itemsize:
            raise BrokenColumn(
                f"a packed column holds {len(data)} bytes where {len(rows)} rows of {columns} belong"
            )
        read = np.frombuffer(data, dtype=kind).reshape(len(rows), columns)
        wide: Integers = read.astype(np.int64)
        if scale:
            wide *= 10**scale
        if width != WIDTH_64:
            wide[read == _MARKS[width]] = ABSENT
        if whole:
            return wide
        values[rows] = wide
    return values


def _codes(values: Integers, absent: NDArray[np.bool_], least: Integers, greatest: Integers) -> Codes:
    codes = np.full(len(values), WIDTH_64, dtype=np.int64)
    fits_32 = (least > _ABSENT_32) & (greatest < -_ABSENT_32)
    codes[fits_32] = WIDTH_32
    fits_16 = (least >= 0) & (greatest < _ABSENT_16)
    codes[fits_16] = WIDTH_16
    for row in np.flatnonzero(~fits_16 & (least >= 0)).tolist():
        scale = _scale(values[row][~absent[row]], int(greatest[row]))
        if scale:
            codes[row] = WIDTH_16 | scale << 2
    codes[absent.all(axis=1)] = WIDTH_NONE
    return codes


def _scale(present: Integers, greatest: int) -> int:
    """Return the power of ten that brings the row into 16 bits without loss, 0 if none does."""
    for scale in range(1, SCALE_MAX + 1):
        if (present % 10**scale).any():
            return 0
        if greatest // 10**scale < _ABSENT_16:
            return scale
    return 0
