"""Rules on what registers say of a day: pure functions over arrays of many meter-days."""

from dataclasses import dataclass

import numpy as np

from bijlighar.readings.model import ABSENT, Flags, Integers
from bijlighar.validation.model import ValidationSettings

#: Registers begin again at one of these [Wh].
MODULI_WH = tuple(10**power for power in range(7, 12))
#: Factors by which a reading is wrong when a unit or a ratio was taken for another.
UNIT_FACTORS = (10, 100, 1_000)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fall:
    """
    Which registers fell over a day.

    rollover: they came to the end of their digits, at `modulus` [Wh]; reset: they fell without such a reason.
    """

    rollover: Flags
    reset: Flags
    modulus: Integers


def fall(
    *, opening: Integers, closing: Integers, sum_wh: Integers, load_wh: Integers, settings: ValidationSettings
) -> Fall:
    """
    Return which registers fell, and whether by running over.

    A register that ran over stood in the last tenth of its digits and counted no more in the day than the sanctioned
    load allows `spike_load_alone_times` over (0: unknown), or than the intervals' sum where that is more.

    >>> found = fall(
    ...     opening=np.array([9_999_990, 500, 80]), closing=np.array([20, 10, 90]), sum_wh=np.array([30, 0, 10]),
    ...     load_wh=np.array([48_000, 0, 0]), settings=ValidationSettings(),
    ... )
    >>> found.rollover.tolist(), found.reset.tolist()
    ([True, False, False], [False, True, False])
    """
    known = (opening != ABSENT) & (closing != ABSENT)
    fell = known & (closing < opening)
    modulus = np.zeros(len(opening), dtype=np.int64)
    for candidate in reversed(MODULI_WH):
        near = (opening < candidate) & (opening >= candidate - candidate // 10) & (closing < candidate // 10)
        modulus[near] = candidate
    limit = np.maximum(load_wh * settings.spike_load_alone_times, 2 * sum_wh)
    counted = closing + modulus - opening
    rollover = fell & (modulus > 0) & ((limit == 0) | (counted <= limit))
    return Fall(rollover=rollover, reset=fell & ~rollover, modulus=np.where(rollover, modulus, 0))


def multiplier(
    *, sum_wh: Integers, difference_wh: Integers, ratio: Integers, settings: ValidationSettings
) -> Integers:
    """
    Return by which factor intervals and registers differ where that is the meter's ratio or a unit's, else 0.

    A negative factor says that the registers are the greater.

    >>> multiplier(sum_wh=np.array([40_000, 50, 7]), difference_wh=np.array([1_000, 50_000, 9]),
    ...     ratio=np.array([40, 1, 1]), settings=ValidationSettings()).tolist()
    [40, -1000, 0]
    """
    least = np.minimum(sum_wh, difference_wh)
    greater = np.maximum(sum_wh, difference_wh)
    found = np.zeros(len(sum_wh), dtype=np.int64)
    for factor in (*(np.full(len(ratio), unit, dtype=np.int64) for unit in UNIT_FACTORS), ratio):
        wanted = least * factor
        close = np.abs(greater - wanted) * settings.multiplier_closeness <= wanted
        found = np.where((factor > 1) & (least > 0) & close, factor, found)
    big = greater >= settings.multiplier_floor_wh
    return np.where(big, np.where(sum_wh >= difference_wh, found, -found), 0)


def shifted(
    *,
    values: Integers,
    before: Integers,
    opening: Integers,
    closing: Integers,
    prior: Integers,
    allowed: Integers,
) -> Integers:
    """
    Return 1 (-1) where the sums fit the registers only if each interval is one place later (earlier) than named.

    prior: the register at the midnight before `opening`; allowed: by how much a sum may differ [Wh].
    """
    whole = (values != ABSENT).all(axis=1)
    known = (opening != ABSENT) & (closing != ABSENT)
    total = values.sum(axis=1, where=values != ABSENT, initial=0)
    own = whole & known & (np.abs(total - (closing - opening)) > allowed)
    last = before[:, -1]
    late = total - values[:, -1] + last
    is_late = own & (last != ABSENT) & (np.abs(late - (closing - opening)) <= allowed)
    whole_before = (before != ABSENT).all(axis=1)
    total_before = before.sum(axis=1, where=before != ABSENT, initial=0)
    counted = np.where((prior != ABSENT) & (opening != ABSENT), opening - prior, 0)
    early = total_before - before[:, 0] + values[:, 0]
    is_early = (
        own
        & (prior != ABSENT)
        & whole_before
        & (np.abs(total_before - counted) > allowed)
        & (np.abs(early - counted) <= allowed)
    )
    return np.where(is_late, 1, np.where(is_early, -1, 0))
