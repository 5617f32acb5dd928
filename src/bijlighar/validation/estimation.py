"""
Estimation: like days and the edges of the gap, brought to the register difference where registers are known. Pure.

The order of methods: at the edges of a gap, interpolation between the intervals beside it, whose weight fades with
the distance; else the days before and after, the nearer and those of the same weekday weighing more; else the mean
of the neighbours at that time, in the proportion in which meter and neighbours stand where both are known; else the
meter's mean. Alone, the weighted median of the days stands, for it errs least; where a register tells the sum, their
weighted mean gives the shape. `bench/estimation.py` measures both.

Arrays are (meters, days, intervals) over a window of days that begins `history_days` before the first day in
question; registers are (meters, days + 1), the one at a day's column standing at its first midnight.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bijlighar.readings.model import ABSENT, Flags, Integers, Qualities, row_runs
from bijlighar.validation.model import Method

DAYS_PER_WEEK = 7
#: Profiles are kept in thousandths of a Wh, so that small means keep their shape.
PROFILE_SCALE = 1_000
#: Products of energy and weight stay below this, within 64 bits.
PRODUCT_MAX = 2**62
ROWS_PER_STEP = 1_000
#: How far after a gap days are looked at [days].
DAYS_AFTER_MAX = 7
#: The weight of a day falls to a third over so many days; that of the same weekday counts so many times.
MEDIAN_REACH_DAYS, MEDIAN_WEEKDAY_TIMES = 8, 2
MEAN_REACH_DAYS, MEAN_WEEKDAY_TIMES = 14, 3
#: The median is taken a little higher than the half, in tenths: it errs hardly more and leaves less energy out.
MEDIAN_TENTHS = 6
#: The share of the line between a gap's sides, by the distance from the nearer side, in thousandths: of values that
#: stand alone, and of the shape that a register's difference is shared by.
EDGE_SHARES: Integers = np.array([485, 294, 179, 108, 66, 40, 24, 15, 0], dtype=np.int64)
SHAPE_SHARES: Integers = np.array([717, 513, 368, 264, 189, 135, 97, 69, 50, 36, 26, 18, 0], dtype=np.int64)
#: So many intervals must be known of a meter and its neighbours before their proportion is believed.
COMMON_MIN = 4
#: So near to a side the line is named as the method.
LINEAR_REACH = 2
ABSENT_LAST = int(np.iinfo(np.int64).max)


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
    neighbours: Integers | None = None,
) -> Estimates:
    """
    Estimate the target intervals from the known ones.

    Between two midnights whose registers are known and that enclose targets, the estimates sum, with the known
    intervals and what is known `elsewhere` (meters, days) [Wh], to the register difference exactly, unless the known
    ones alone exceed it by more than `tolerance` (by meter) [Wh a day]. `neighbours` is the mean of the meters beside
    (meters, days, intervals) [thousandths of a Wh]. An interval without any past stays absent, unless a register
    tells its sum.
    """
    known = np.where(targets, ABSENT, known)
    values = np.full(known.shape, ABSENT, dtype=np.int64)
    methods = np.zeros(known.shape, dtype=np.uint8)
    scaled = np.zeros(known.shape, dtype=np.bool_)
    weights = np.full(known.shape, ABSENT, dtype=np.int64)
    shapes = np.full(known.shape, ABSENT, dtype=np.int64)
    places = np.argwhere(targets.any(axis=2))
    for begin in range(0, len(places), ROWS_PER_STEP):
        rows = places[begin : begin + ROWS_PER_STEP]
        meter, day = rows[:, 0], rows[:, 1]
        middle, mean, methods[meter, day] = profile(known, meter, day, history_days)
        weights[meter, day], shapes[meter, day] = middle, mean
    if neighbours is not None:
        _follow(neighbours, known=known, targets=targets, weights=weights, shapes=shapes, methods=methods)
    weights = blended(weights, known, targets, methods, EDGE_SHARES)
    shapes = blended(shapes, known, targets, methods, SHAPE_SHARES)
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
        shares = distribute(total=max(rest, 0), weights=_complete(shapes[part][chosen]))
        values[part][chosen] = shares
        scaled[part] |= chosen
        methods[part][chosen & (methods[part] == Method.NONE)] = Method.FLAT
    methods[values == ABSENT] = Method.NONE
    return Estimates(values=values, methods=methods, scaled=scaled)


def profile(
    known: Integers, meter: Integers, day: Integers, history_days: int
) -> tuple[Integers, Integers, Qualities]:
    """
    Return two profiles of the rows (meter, day) in thousandths of a Wh, median and mean, and the method by interval.

    The days before and up to `DAYS_AFTER_MAX` after weigh by their distance and weekday; where there are none, the
    meter's mean in all these days stands; `ABSENT` where there is nothing.
    """
    offsets = np.concatenate((np.arange(-history_days, 0), np.arange(1, DAYS_AFTER_MAX + 1)))
    other = day[:, None] + offsets[None, :]
    inside = (other >= 0) & (other < known.shape[1])
    values = known[meter[:, None], np.clip(other, 0, known.shape[1] - 1)]
    present = (values != ABSENT) & inside[:, :, None]
    values = np.where(present, np.maximum(values, 0), 0)
    methods = np.zeros((len(meter), known.shape[2]), dtype=np.uint8)
    for chosen, method in (
        (offsets > 0, Method.DAYS_AFTER),
        (offsets < 0, Method.LIKE_DAY),
        ((offsets < 0) & (offsets % DAYS_PER_WEEK == 0), Method.LIKE_WEEKDAY),
    ):
        methods[present[:, chosen].any(axis=1)] = method
    middle = _median(values, present, day_weights(offsets, MEDIAN_REACH_DAYS, MEDIAN_WEEKDAY_TIMES))
    weights = np.where(present, day_weights(offsets, MEAN_REACH_DAYS, MEAN_WEEKDAY_TIMES)[None, :, None], 0)
    mean = _mean((values * weights).sum(axis=1), weights.sum(axis=1))
    flat = _mean(values.sum(axis=(1, 2)), present.sum(axis=(1, 2)))[:, None]
    methods[(methods == Method.NONE) & (flat != ABSENT)] = Method.FLAT
    return np.where(middle == ABSENT, flat, middle), np.where(mean == ABSENT, flat, mean), methods


def _follow(
    neighbours: Integers,
    *,
    known: Integers,
    targets: Flags,
    weights: Integers,
    shapes: Integers,
    methods: Qualities,
) -> None:
    """
    Let intervals without a like day of their own follow the neighbours: `weights`, `shapes`, `methods` are changed.

    A meter of which too little is known beside them only takes their shape, for a register's difference.
    """
    told = neighbours != ABSENT
    lonely = targets & told & ((methods == Method.NONE) | (methods == Method.FLAT))
    for meter in np.flatnonzero(lonely.any(axis=(1, 2))).tolist():
        chosen = lonely[meter]
        both = (known[meter] != ABSENT) & told[meter]
        theirs = int(neighbours[meter][both].sum())
        if both.sum() >= COMMON_MIN and theirs > 0:
            own = max(int(known[meter][both].sum()), 0) * PROFILE_SCALE
            followed = [value * own // theirs for value in neighbours[meter][chosen].tolist()]
            weights[meter][chosen] = shapes[meter][chosen] = followed
        elif not (known[meter] != ABSENT).any():
            shapes[meter][chosen] = neighbours[meter][chosen]
        else:
            continue
        methods[meter][chosen] = Method.NEIGHBOURS


def day_weights(offsets: Integers, reach_days: int, weekday_times: int) -> Integers:
    """
    Return the weights of days that lie so many days away.

    >>> day_weights(np.array([-7, -1, 1]), 8, 2).tolist()
    [834, 882, 882]
    """
    fading = np.exp(-np.abs(offsets) / reach_days) * np.where(offsets % DAYS_PER_WEEK == 0, weekday_times, 1)
    return np.asarray(np.rint(fading * PROFILE_SCALE), dtype=np.int64)


def blended(
    weights: Integers, known: Integers, targets: Flags, methods: Qualities, shares: Integers
) -> Integers:
    """
    Return the profiles [thousandths of a Wh] (meters, days, intervals) with the edges of each gap drawn to its sides.

    Where the intervals on both sides of a gap are known, those near to them follow the line between them; `methods`
    is told where that weighs most.
    """
    lines = weights.reshape(len(weights), -1).copy()
    sides, told = known.reshape(len(known), -1), methods.reshape(len(methods), -1)
    for row, begin, end in row_runs(targets.reshape(len(targets), -1)):
        if begin == 0 or end == lines.shape[1]:
            continue
        left, right = int(sides[row, begin - 1]), int(sides[row, end])
        if min(left, right) < 0:  # absent, or a value that nobody believes
            continue
        places = np.arange(end - begin, dtype=np.int64)
        line = left * PROFILE_SCALE + (right - left) * PROFILE_SCALE * (places + 1) // (end - begin + 1)
        distance = np.minimum(places, end - begin - 1 - places)
        share = shares[np.minimum(distance, len(shares) - 1)]
        base = lines[row, begin:end]
        mixed = (line * share + np.where(base == ABSENT, 0, base) * (PROFILE_SCALE - share)) // PROFILE_SCALE
        lines[row, begin:end] = np.where(base == ABSENT, line, mixed)
        near = (distance < LINEAR_REACH) | (base == ABSENT)
        told[row, begin:end][near] = Method.LINEAR
    return lines.reshape(weights.shape)


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


def _median(values: Integers, present: Flags, weights: Integers) -> Integers:
    """Return the weighted median over the days (rows, days, intervals) in thousandths, `ABSENT` of nothing."""
    order = np.argsort(np.where(present, values, ABSENT_LAST), axis=1)
    given = np.where(present, weights[None, :, None], 0)
    reached = np.cumsum(np.take_along_axis(given, order, axis=1), axis=1)
    place = (10 * reached >= MEDIAN_TENTHS * reached[:, -1:]).argmax(axis=1)
    middle = np.take_along_axis(np.take_along_axis(values, order, axis=1), place[:, None], axis=1)[:, 0]
    return np.where(present.any(axis=1), middle * PROFILE_SCALE, ABSENT)


def _mean(total: Integers, count: Integers) -> Integers:
    """Return the mean in thousandths, `ABSENT` of nothing."""
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
