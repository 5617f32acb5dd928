"""
Packed rows: several runs of integers, each as the narrowest bytes that hold it exactly, one after the other.

A run is stored little-endian as uint16 (absent 0xFFFF), int32 or int64 (absent the least value); where a run is too
wide for 16 bits but all its values are multiples of a power of ten, it is divided first. A code of five bits says
how: width in the low two bits (0: nothing stored, 1: uint16, 2: int32, 3: int64), the power of ten above them. The
codes of a row's runs stand in one integer, the first run's in the lowest bits. Nothing is ever clipped or rounded.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bijlighar.storage.errors import StorageError

Integers = NDArray[np.int64]
Codes = NDArray[np.int64]
Octets = NDArray[np.uint8]

ABSENT = int(np.iinfo(np.int64).min)
CODE_BITS = 5
CODE_MASK = (1 << CODE_BITS) - 1
WIDTH_NONE, WIDTH_16, WIDTH_32, WIDTH_64 = 0, 1, 2, 3
SCALE_MAX = 3
#: Rows that lie together so long on the average are copied run by run.
RUN_MIN = 16
_ABSENT_16 = 0xFFFF
_ABSENT_32 = int(np.iinfo(np.int32).min)
_TYPES: dict[int, np.dtype[Any]] = {
    WIDTH_16: np.dtype("<u2"),
    WIDTH_32: np.dtype("<i4"),
    WIDTH_64: np.dtype("<i8"),
}
_MARKS = {WIDTH_16: _ABSENT_16, WIDTH_32: _ABSENT_32, WIDTH_64: ABSENT}


class BrokenColumn(StorageError):
    """The bytes of a packed row have not the length that their code says."""

    code = "storage.broken-column"


def pack(matrices: Sequence[Integers | None]) -> tuple[list[bytes | None], Codes]:
    r"""
    Return the bytes and the codes of each row of matrices (rows, columns); a row that is all absent is None.

    A matrix that is None holds nothing in any row.

    >>> pack([np.array([[7, ABSENT], [ABSENT, ABSENT]]), np.array([[70_000, -10], [ABSENT, ABSENT]])])[0]
    [b'\x07\x00\xff\xffp\x11\x01\x00\xf6\xff\xff\xff', None]

    :raises ValueError: if no matrix is given.
    """
    given = [(place, matrix) for place, matrix in enumerate(matrices) if matrix is not None]
    if not given:
        raise ValueError("at least one matrix must tell how many rows there are")
    own = [(matrix, _codes(matrix)) for _, matrix in given]
    codes = np.zeros(len(given[0][1]), dtype=np.int64)
    for (place, _), (_, each) in zip(given, own, strict=True):
        codes |= each << CODE_BITS * place
    packed: list[bytes | None] = [None] * len(codes)
    for place, rows in enumerate(sorted(_alike(codes), key=len, reverse=True)):
        # Most rows are alike: all are packed as these are, and what the others need is put in its place after.
        every = place == 0
        first = int(rows[0])
        parts = [
            _narrow(matrix if every else matrix[rows], int(each[first]))
            for matrix, each in own
            if each[first] & 3
        ]
        if not parts:
            continue
        joined = np.concatenate(parts, axis=1)
        size, data = joined.shape[1], joined.tobytes()
        blobs: list[bytes | None] = [data[begin : begin + size] for begin in range(0, len(data), size)]
        if every:
            packed = blobs
            continue
        for row, blob in zip(rows.tolist(), blobs, strict=True):
            packed[row] = blob
    for row in np.flatnonzero(codes == 0).tolist():
        packed[row] = None
    return packed, codes


def unpack(
    blobs: Sequence[bytes | None], codes: Codes, columns: int, *, wanted: Sequence[bool]
) -> list[Integers | None]:
    """
    Return the matrices (rows, columns) of packed rows, one for each place in `wanted`.

    It is None where that is not wanted, or where no row holds anything.

    >>> blobs, codes = pack([np.array([[7, ABSENT], [-3, 0]]), np.array([[1, 65_535], [2, 3]])])
    >>> [matrix.tolist() for matrix in unpack(blobs, codes, 2, wanted=(False, True)) if matrix is not None]
    [[[1, 65535], [2, 3]]]

    :raises BrokenColumn: if the bytes have not the length that the code says.
    """
    groups = _alike(codes)
    matrices: list[Integers | None] = [None] * len(wanted)
    for rows in groups:
        code = int(codes[rows[0]])
        is_whole = len(groups) == 1
        octets = _octets(blobs if is_whole else [blobs[row] for row in rows.tolist()], code, columns)
        begin = 0
        for place, is_wanted in enumerate(wanted):
            own = code >> CODE_BITS * place & CODE_MASK
            if own & 3 == WIDTH_NONE:
                continue
            end = begin + columns * _TYPES[own & 3].itemsize
            if is_wanted:
                values = _widened(octets[:, begin:end], own)
                if is_whole:
                    matrices[place] = values
                else:
                    matrices[place] = _with_rows(matrices[place], rows, values, len(blobs))
            begin = end
    return matrices


def _with_rows(matrix: Integers | None, rows: Integers, values: Integers, count: int) -> Integers:
    """Return a matrix of `count` rows, absent where nothing was read, with these rows in it."""
    whole = np.full((count, values.shape[1]), ABSENT, dtype=np.int64) if matrix is None else matrix
    cuts = np.flatnonzero(np.diff(rows) != 1) + 1
    if RUN_MIN * (len(cuts) + 1) > len(rows):
        whole[rows] = values
        return whole
    ends = [*cuts.tolist(), len(rows)]
    for begin, end in zip([0, *ends[:-1]], ends, strict=True):  # long runs, copied as they lie
        first = int(rows[begin])
        whole[first : first + end - begin] = values[begin:end]
    return whole


def _alike(codes: Codes) -> list[Integers]:
    """Return the rows of equal codes together."""
    if not len(codes):
        return []
    if (codes == codes[0]).all():  # as meters of one kind deliver
        return [np.arange(len(codes), dtype=np.int64)]
    return [np.flatnonzero(codes == code) for code in np.unique(codes)]


def _narrow(values: Integers, code: int) -> Octets:
    """Return rows of one code as bytes (rows, octets)."""
    width, scale = code & 3, code >> 2
    kind = _TYPES[width]
    scaled = values // 10**scale if scale else values
    narrow = scaled.astype(kind)
    absent = values == ABSENT
    if absent.any():
        narrow[absent] = _MARKS[width]
    return narrow.view(np.uint8)


def _octets(blobs: Sequence[bytes | None], code: int, columns: int) -> Octets:
    """Return rows of one code as bytes (rows, octets)."""
    size, rest = 0, code
    while rest:
        size += columns * (_TYPES[rest & 3].itemsize if rest & 3 else 0)
        rest >>= CODE_BITS
    data = b"".join([blob for blob in blobs if blob])
    if len(data) != len(blobs) * size:
        raise BrokenColumn(f"packed rows hold {len(data)} bytes where {len(blobs)} rows of {size} belong")
    return np.frombuffer(data, dtype=np.uint8).reshape(len(blobs), size)


def _widened(octets: Octets, code: int) -> Integers:
    """Return the values of rows of one run."""
    width, scale = code & 3, code >> 2
    read = octets.view(_TYPES[width])
    wide: Integers = read.astype(np.int64)
    if scale:
        wide *= 10**scale
    if width != WIDTH_64:
        absent = read == _MARKS[width]
        if absent.any():
            wide[absent] = ABSENT
    return wide


def _codes(values: Integers) -> Codes:
    """Return how each row is packed."""
    least, greatest = values.min(axis=1, initial=_ABSENT_16), values.max(axis=1, initial=-1)
    codes = np.full(len(values), WIDTH_16, dtype=np.int64)
    others = np.flatnonzero((least < 0) | (greatest >= _ABSENT_16))
    if len(others):
        codes[others] = _codes_of_others(values[others])
    return codes


def _codes_of_others(values: Integers) -> Codes:
    """Return how rows are packed that hold something negative, large or absent."""
    absent = values == ABSENT
    least = np.min(values, axis=1, where=~absent, initial=0)
    greatest = np.max(values, axis=1, where=~absent, initial=0)
    codes = np.full(len(values), WIDTH_64, dtype=np.int64)
    codes[(least > _ABSENT_32) & (greatest < -_ABSENT_32)] = WIDTH_32
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
