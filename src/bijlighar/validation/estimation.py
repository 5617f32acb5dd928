"""
Estimation: a like-day profile, brought to the register difference where the registers on both sides are known. Pure.

Arrays are (meters, days, intervals) over a window of days that begins `history_days` before the first day in
question; registers are (meters, days + 1), the one at a day's column standing at its first midnight.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bijlighar.readings.model import ABSENT, Flags, Integers, Qualities
from bijlighar.validation.model import Method

DAYS_PER_WEEK = 7
#: Profiles are kept in thousandths of a Wh, so that small means keep their shape.
PROFILE_SCALE = 1_000
#: Products of energy and weight stay below this, within 64 bits.
PRODUCT_MAX = 2**62
ROWS_PER_STEP = 1_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimates:
    """What was estimated: `values` is `ABSENT` and `methods` 0 elsewhere; `scaled` tells what registers were met."""

    values: Integers
    methods: Qualities
    scaled: Flags


def estimate(
    *,
    known: Integers,
    targets: Flags,
    registers: Integers,
    elsewhere: Integers,
    history_days: int,
    tolerance: Integers,
) -> Estimates:
    """
    Estimate the target intervals from the known ones.

    Between two midnights whose registers are known and that enclose targets, the estimates sum, with the known
    intervals and what is known `elsewhere` (meters, days) [Wh], to the register difference exactly, unless the known
    ones alone exceed it by more than `tolerance` (by meter) [Wh a day]. An interval without any past stays absent,
    unless a register tells its sum.
    """
    values = np.full(known.shape, ABSENT, dtype=np.int64)
    methods = np.zeros(known.shape, dtype=np.uint8)
    scaled = np.zeros(known.shape, dtype=np.bool_)
    weights = np.full(known.shape, ABSENT, dtype=np.int64)
    places = np.argwhere(targets.any(axis=2))
    for begin in range(0, len(places), ROWS_PER_STEP):
        rows = places[begin : begin + ROWS_PER_STEP]
        meter, day = rows[:, 0], rows[:, 1]
        weights[meter, day], methods[meter, day] = profile(known, meter, day, history_days)
    methods[~targets] = Method.NONE
    has_profile = targets & (weights != ABSENT)
    values[has_profile] = (weights[has_profile] + PROFILE_SCALE // 2) // PROFILE_SCALE
    for place, first, last in spans(targets=targets, registers=registers):
        part = (place, slice(first, last))
        chosen = targets[part]
        already = (known[part] != ABSENT) & ~chosen
        rest = int(
            registers[place, last]
            - registers[place, first]
            - known[part][already].sum()
            - elsewhere[part].sum()
        )
        if rest < -int(tolerance[place]) * (last - first) or registers[place, last] < registers[place, first]:
            continue
        shares = distribute(total=max(rest, 0), weights=_complete(weights[part][chosen]))
        values[part][chosen] = shares
        scaled[part] |= chosen
        methods[part][chosen & (methods[part] == Method.NONE)] = Method.FLAT
    return Estimates(values=values, methods=methods, scaled=scaled)


def profile(known: Integers, meter: Integers, day: Integers, history_days: int) -> tuple[Integers, Qualities]:
    """
    Return the profile of the rows (meter, day) in thousandths of a Wh and the method of each interval.

    Same weekday of the weeks before, else the days before, else those after, else the meter's mean in all these days;
    `ABSENT` where there is nothing.
    """
    weeks = np.arange(DAYS_PER_WEEK, history_days + 1, DAYS_PER_WEEK)
    days = np.arange(1, history_days + 1)
    result = np.full((len(meter), known.shape[2]), ABSENT, dtype=np.int64)
    methods = np.zeros(result.shape, dtype=np.uint8)
    total = np.zeros(len(meter), dtype=np.int64)
    count = np.zeros(len(meter), dtype=np.int64)
    for offsets, method in (
        (weeks, Method.LIKE_WEEKDAY),
        (days, Method.LIKE_DAY),
        (-days, Method.DAYS_AFTER),
    ):
        other = day[:, None] - offsets[None, :]
        inside = (other >= 0) & (other < known.shape[1])
        values = known[meter[:, None], np.clip(other, 0, known.shape[1] - 1)]
        present = (values != ABSENT) & inside[:, :, None]
        sums, counts = np.sum(values, axis=1, where=present, initial=0), present.sum(axis=1)
        _fill(result, methods, _mean(sums, counts), method)
        if method != Method.LIKE_WEEKDAY:
            total += sums.sum(axis=1)
            count += counts.sum(axis=1)
    _fill(result, methods, np.broadcast_to(_mean(total, count)[:, None], result.shape), Method.FLAT)
    return result, methods


def spans(*, targets: Flags, registers: Integers) -> list[tuple[int, int, int]]:
    """
    Return (meter, first, last) for each pair of neighbouring known registers that encloses a target.

    >>> targets = np.zeros((1, 3, 1), dtype=bool); targets[0, 1, 0] = True
    >>> spans(targets=targets, registers=np.array([[5, ABSENT, 9, 12]]))
    [(0, 0, 2)]
    """
    found = []
    wanted: Flags = np.asarray(targets.any(axis=2))
    for meter in np.flatnonzero(wanted.any(axis=1)).tolist():
        columns = np.flatnonzero(registers[meter] != ABSENT).tolist()
        for first, last in pairwise(columns):
            if wanted[meter, first:last].any():
                found.append((meter, first, last))
    return found


def distribute(*, total: int, weights: Integers) -> Integers:
    """
    Share `total` among `weights` in whole numbers that sum to it exactly, by largest remainder.

    >>> distribute(total=10, weights=np.array([1, 1, 1])).tolist()
    [4, 3, 3]
    >>> distribute(total=3, weights=np.array([0, 0])).tolist()
    [2, 1]
    """
    weights = np.ones_like(weights) if not weights.any() else weights
    while total * int(weights.max()) >= PRODUCT_MAX:
        weights = (weights + 1) // 2
    whole = int(weights.sum())
    shares, remainders = np.divmod(total * weights, whole)
    left = total - int(shares.sum())
    shares[np.argsort(-remainders, kind="stable")[:left]] += 1
    return np.asarray(shares, dtype=np.int64)


def _fill(result: Integers, methods: Qualities, mean: Integers, method: Method) -> None:
    free = (result == ABSENT) & (mean != ABSENT)
    result[free] = mean[free]
    methods[free] = method


def _mean(total: Integers, count: Integers) -> Integers:
    """Return the mean in thousandths, `ABSENT` of nothing; a negative mean is none of a consumption."""
    mean = total * PROFILE_SCALE // np.maximum(count, 1)
    return np.where(count > 0, np.maximum(mean, 0), ABSENT)


def _complete(weights: Integers) -> Integers:
    """Return weights in which what has no past weighs as much as the mean of the others."""
    absent = weights == ABSENT
    if not absent.any():
        return weights
    others = weights[~absent]
    usual = int(others.sum()) // len(others) if len(others) else PROFILE_SCALE
    return np.where(absent, max(usual, 1), weights)
