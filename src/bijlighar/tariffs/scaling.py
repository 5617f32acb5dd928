"""Decimal rates as integers for int64 arithmetic."""

from collections.abc import Sequence
from decimal import Decimal

MAX_DECIMALS = 4


def scale_of(values: Sequence[Decimal]) -> int:
    """
    Return the power of ten that makes integers of all `values`.

    >>> scale_of((Decimal("6.5"), Decimal("0.967"))), scale_of((Decimal(445),))
    (1000, 1)
    """
    decimals = (-int(value.normalize().as_tuple().exponent) for value in values)
    return int(10 ** max((*decimals, 0)))


def scaled(value: Decimal, scale: int) -> int:
    """
    Return `value` times `scale`, which is an integer by the choice of the scale.

    >>> scaled(Decimal("6.5"), 1000)
    6500
    """
    return int(value * scale)
