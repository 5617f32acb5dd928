"""Encodes many rows of one layout at once."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bijlighar.dlms import axdr, clock
from bijlighar.dlms.axdr import Tag
from bijlighar.dlms.errors import LocalProtocolError


class Kind(Enum):
    """The type of a column to encode: A-XDR tag, its numpy type, smallest and largest value (of whole numbers)."""

    CLOCK = (Tag.OCTET_STRING, "u1", 0, 0)
    BOOLEAN = (Tag.BOOLEAN, "u1", 0, 1)
    DOUBLE_LONG = (Tag.DOUBLE_LONG, ">i4", -(1 << 31), (1 << 31) - 1)
    DOUBLE_LONG_UNSIGNED = (Tag.DOUBLE_LONG_UNSIGNED, ">u4", 0, (1 << 32) - 1)
    INTEGER = (Tag.INTEGER, "i1", -128, 127)
    LONG = (Tag.LONG, ">i2", -(1 << 15), (1 << 15) - 1)
    UNSIGNED = (Tag.UNSIGNED, "u1", 0, 255)
    LONG_UNSIGNED = (Tag.LONG_UNSIGNED, ">u2", 0, (1 << 16) - 1)
    LONG64 = (Tag.LONG64, ">i8", -(1 << 63), (1 << 63) - 1)
    LONG64_UNSIGNED = (Tag.LONG64_UNSIGNED, ">u8", 0, (1 << 64) - 1)
    ENUM = (Tag.ENUM, "u1", 0, 255)
    FLOAT32 = (Tag.FLOAT32, ">f4", None, None)
    FLOAT64 = (Tag.FLOAT64, ">f8", None, None)

    @property
    def tag(self) -> Tag:
        """Return the A-XDR tag."""
        tag: Tag = self.value[0]
        return tag

    @property
    def dtype(self) -> str:
        """Return the numpy type on the line."""
        dtype: str = self.value[1]
        return dtype


class RowEncoder:
    """Encodes many rows of one layout at once."""

    __slots__ = ("_dtype", "_kinds", "_template")

    def __init__(self, *, kinds: Sequence[Kind]) -> None:
        if not 0 < len(kinds) < 0x80:
            raise LocalProtocolError(f"a row has 1 to 127 columns, not {len(kinds)}")
        self._kinds = tuple(kinds)
        template = bytearray((Tag.STRUCTURE, len(kinds)))
        offsets: list[int] = []
        formats: list[Any] = []
        for kind in kinds:
            template.append(kind.tag)
            if kind is Kind.CLOCK:
                template.append(clock.OCTETS)
            offsets.append(len(template))
            formats.append(("u1", (clock.OCTETS,)) if kind is Kind.CLOCK else kind.dtype)
            template += bytes(clock.OCTETS if kind is Kind.CLOCK else axdr.FIXED_SIZES[kind.tag])
        self._template = bytes(template)
        self._dtype = np.dtype(
            {
                "names": [f"c{index}" for index in range(len(kinds))],
                "formats": formats,
                "offsets": offsets,
                "itemsize": len(template),
            }
        )

    def encode(self, columns: Sequence[Any]) -> bytes:
        """
        Return the buffer of these columns (arrays of one length; a CLOCK column is uint8 [rows, 12]).

        >>> RowEncoder(kinds=(Kind.LONG_UNSIGNED,)).encode([[5, 6]]).hex()
        '010202011200050201120006'

        :raises LocalProtocolError: if a value does not fit its type, or lengths differ.
        """
        arrays = [np.asarray(column) for column in columns]
        if len(arrays) != len(self._kinds) or len({len(array) for array in arrays}) != 1:
            raise LocalProtocolError("a buffer needs one array of the same length for each column")
        count = len(arrays[0])
        octets = bytearray(self._template * count)
        if count:
            table = np.frombuffer(octets, self._dtype, count)
            for index, (kind, array) in enumerate(zip(self._kinds, arrays, strict=True)):
                _check_fits(kind, array)
                table[f"c{index}"] = array
        return b"\x01" + axdr.length(count) + octets


def _check_fits(kind: Kind, array: NDArray[Any]) -> None:
    """Check that all values of a column fit its type, so that none is cut off silently."""
    if kind is Kind.CLOCK:
        if array.dtype != np.uint8 or array.shape[1:] != (clock.OCTETS,):
            raise LocalProtocolError("a CLOCK column is an array of uint8 [rows, 12]")
        return
    _, _, low, high = kind.value
    if low is None or high is None:
        return
    if array.dtype.kind not in "iub":
        raise LocalProtocolError(f"a column of {kind.name} needs whole numbers, not {array.dtype}")
    if int(array.min()) < low or int(array.max()) > high:
        raise LocalProtocolError(f"{array.min()} to {array.max()} does not fit into {kind.name}")
