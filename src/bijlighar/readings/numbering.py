"""
One integer for a meter-day: the day, the number of the meter, and the interval length, in this order. Pure.

So the meter-days of one day lie side by side, those of one meter are found without an index, and both are told by
arithmetic, on arrays as in SQL.
"""

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from sqlalchemy import ColumnElement, Integer, literal_column, type_coerce

from bijlighar.readings.model import Days, Integers

NUMBER_BITS = 31
DAY_SHIFT = NUMBER_BITS + 1
NUMBER_MAX = (1 << NUMBER_BITS) - 1
_QUARTERS, _HALVES = 15, 30


def meter_day_of(*, days: Integers | Days | Sequence[int], numbers: Integers, minutes: int) -> Integers:
    """
    Return the numbers of meter-days of one interval length.

    >>> meter_day_of(days=[20_544], numbers=np.array([7]), minutes=15).tolist() == [(20_544 << 32) + 2 * 7 + 1]
    True
    """
    wide = np.asarray(days, dtype=np.int64)
    return (wide << DAY_SHIFT) | (numbers << 1) | int(minutes == _QUARTERS)


def days_between(first: int, last: int) -> tuple[int, int]:
    """Return the least and the greatest number that a meter-day of the days `first` to `last` can have."""
    return first << DAY_SHIFT, ((last + 1) << DAY_SHIFT) - 1


@overload
def day_of(meter_day: int) -> int: ...
@overload
def day_of(meter_day: Integers) -> Integers: ...
@overload
def day_of(meter_day: ColumnElement[int]) -> ColumnElement[int]: ...
def day_of(meter_day: Any) -> Any:
    """
    Return the IST day number of a meter-day, of an array of them, or of a column.

    >>> day_of((20_544 << 32) + 5)
    20544
    """
    if isinstance(meter_day, ColumnElement):
        return type_coerce(meter_day.op(">>")(_constant(DAY_SHIFT)), Integer())
    return meter_day >> DAY_SHIFT


@overload
def minutes_of(meter_day: int) -> int: ...
@overload
def minutes_of(meter_day: ColumnElement[int]) -> ColumnElement[int]: ...
def minutes_of(meter_day: Any) -> Any:
    """
    Return the interval length of a meter-day, or of a column of them [min].

    >>> minutes_of(14), minutes_of(15)
    (30, 15)
    """
    if isinstance(meter_day, ColumnElement):
        is_quarter = meter_day.op("&")(_constant(1))
        return type_coerce(_constant(_HALVES) - _constant(_HALVES - _QUARTERS) * is_quarter, Integer())
    return _HALVES - (_HALVES - _QUARTERS) * (meter_day & 1)


def numbers_of(meter_day: Integers) -> Integers:
    """
    Return the numbers of the meters of meter-days.

    >>> numbers_of(np.array([(20_544 << 32) + 2 * 7 + 1])).tolist()
    [7]
    """
    return np.asarray((meter_day >> 1) & NUMBER_MAX, dtype=np.int64)


def _constant(number: int) -> ColumnElement[int]:
    """Return a number that stands in the SQL itself: PostgreSQL shifts by no 64-bit parameter."""
    return literal_column(str(number), Integer())
