"""
Profile buffers of few rows as plain numbers: a daily row, an event or two, for which arrays cost more than they save.

It gives what `decode.Table` gives of the same buffer, or None where that must look at it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bijlighar.base.period import epoch_seconds
from bijlighar.dlms import axdr, clock
from bijlighar.dlms.errors import Malformed
from bijlighar.headend.layout import LayoutColumn
from bijlighar.readings.model import ABSENT

#: A buffer of more octets is read as arrays.
OCTETS_MAX = 512
#: Numbers beyond this, and powers beyond that, are left to the arrays and their limits.
NUMBER_MAX, POWER_MAX = 1 << 53, 3

Row = tuple[axdr.Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FewRows:
    """Some rows as they came, and their stamps [s since the epoch], `ABSENT` where there is none."""

    stamps: list[int]
    rows: list[Row]

    def scaled(self, place: int, *, power: int) -> list[int] | None:
        """Return a column times ten to a power, rounded half up; None if it is for the arrays."""
        found: list[int] = []
        for row in self.rows:
            cell = row[place]
            if not isinstance(cell, int) or isinstance(cell, bool) or not -NUMBER_MAX <= cell <= NUMBER_MAX:
                return None
            found.append(cell)
        if power == 0:
            return found
        if abs(power) > POWER_MAX:
            return None
        step = 10 ** abs(power)
        if power > 0:
            return [cell * step for cell in found]
        sizes = [(abs(cell) + step // 2) // step for cell in found]
        return [size if cell >= 0 else -size for cell, size in zip(found, sizes, strict=True)]


def read_few(buffer: bytes, *, columns: Sequence[LayoutColumn], clock_column: int) -> FewRows | None:
    """
    Return the rows of a short buffer, None if they are not such as a profile has.

    :raises RemoteProtocolError: if the buffer is no value.
    """
    if len(buffer) > OCTETS_MAX:
        return None
    rows = axdr.decode(buffer)
    if not isinstance(rows, list):
        return None
    stamps: list[int] = []
    found: list[Row] = []
    for row in rows:
        if (
            not isinstance(row, tuple)
            or isinstance(row, axdr.BitString)
            or len(row) != len(columns)
            or None in row
        ):
            return None
        stamp = row[clock_column]
        if not isinstance(stamp, bytes) or len(stamp) != clock.OCTETS:
            return None
        try:
            moment = clock.decode(stamp)
        except Malformed:
            moment = None
        stamps.append(ABSENT if moment is None else epoch_seconds(moment))
        found.append(row)
    return FewRows(stamps=stamps, rows=found)
