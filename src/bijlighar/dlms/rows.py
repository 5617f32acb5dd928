"""Rows of a profile, by columns."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bijlighar.dlms import axdr, clock
from bijlighar.dlms.clock import ABSENT
from bijlighar.dlms.errors import Malformed

Values: TypeAlias = "NDArray[Any] | tuple[axdr.Value, ...]"


_TIME = (clock.OCTETS,)


class Column(NamedTuple):
    """
    One column of decoded rows.

    values -- int64 (uint64 for long64-unsigned, float64) array; octet strings of one length as a uint8 array
        [rows, length]; else a tuple of plain values.
    nulls -- None, or a bool array that is True where the cell was null-data; the value there stands for nothing.
    """

    values: Values
    nulls: NDArray[np.bool_] | None = None


@dataclass(slots=True, kw_only=True)  # not frozen, which takes twice as long to make
class Rows:
    """Decoded rows, by columns; nobody changes them."""

    count: int
    columns: tuple[Column, ...]

    def epochs(self, column: int, *, treat_as_ist: bool = True) -> NDArray[np.int64]:
        """
        Return the epoch seconds of a column of COSEM times; ABSENT where undefined, impossible or null.

        :raises Malformed: if the column holds something else.
        """
        found = self.columns[column]
        values = found.values
        if isinstance(values, tuple) or values.shape[1:] != _TIME:
            if found.nulls is not None and found.nulls.all():
                return np.full(self.count, ABSENT)
            raise Malformed(f"column {column + 1} does not hold times")
        seconds = clock.epochs(values, treat_as_ist=treat_as_ist)
        if found.nulls is not None:
            seconds[found.nulls] = ABSENT
        return seconds

    def repeat_nulls(self, *, period_s: int = 0, clock_column: int | None = 0) -> "Rows":
        """
        Return the rows with each null cell standing for the cell above it; a null time is the one above + `period_s`.

        A null cell in the first row stays null.
        """
        columns = tuple(
            _repeat(column, period_s=period_s if index == clock_column else 0)
            for index, column in enumerate(self.columns)
        )
        return replace(self, columns=columns)


def _repeat(column: Column, *, period_s: int) -> Column:
    nulls = column.nulls
    if nulls is None:
        return column
    own = np.maximum.accumulate(np.where(nulls, -1, np.arange(nulls.size)))
    still = own < 0
    source = np.maximum(own, 0)
    values = column.values
    if isinstance(values, tuple):
        return Column(values=tuple(values[at] for at in source), nulls=still if still.any() else None)
    repeated = values[source]
    if period_s and repeated.ndim == 2 and repeated.shape[1] == clock.OCTETS:
        # The local fields move on by the period, whatever the deviation says; deviation and status are kept.
        local = repeated.copy()
        local[:, 9:11] = 0
        seconds = clock.epochs(local)
        moved = clock.encode_epochs(
            np.where(seconds == ABSENT, ABSENT, seconds + (np.arange(nulls.size) - source) * period_s),
            deviation=clock.Deviation.UTC,
        )
        moved[:, 9:] = repeated[:, 9:]
        repeated = np.where((nulls & ~still)[:, None], moved, repeated)
    return Column(values=repeated, nulls=still if still.any() else None)
