"""
Who hangs elsewhere than the registry says, by voltage and by load; numpy in, numpy out, many meters at once.

Meters of one phase of one transformer see the same voltage rise and fall. A meter of another transformer is missing
from that one's balance by just its load, and too much in the balance where it is registered.
"""

import numpy as np
from numpy.typing import NDArray

from bijlighar.balance.technical import Reals

#: Voltages must be known in so many steps to tell anything.
STEPS_MIN = 96
#: By so much must another group be more alike than the registered one (Fisher's z).
MARGIN_MIN = 0.5
#: A slope of the balance on a load this near to -1 (nothing of it goes through here) is believed ...
SLOPE_NEAR = 0.35
#: ... if it lies so many standard errors from zero.
SLOPE_ERRORS_MIN = 4.0
#: A wrong ratio doubles or halves, or is off by another factor of at least this.
RATIO_OFF_MIN = 0.12
#: How far apart the steps of two transformers' losses may be, as a share, to be one switch.
SWITCH_MATCH_MIN = 0.6
#: A step of a loss is a switch only from this share of the input on.
SWITCH_SHARE_MIN = 0.04


def alike(volt: Reals, groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], Reals]:
    """
    Return the group whose voltage each meter's follows best, and by how much better than its own (Fisher's z).

    `volt` is (meters, steps), NaN where unknown; a meter of group -1 is compared with all. What all groups do alike
    (the voltage of the feeder) is taken off first; a meter's own voltage is no part of its group's. Where too little
    is known, the answer is the registered group and 0.
    """
    count = int(groups.max(initial=-1)) + 1
    known = np.isfinite(volt)
    level = np.where(known.any(axis=1), np.nansum(np.where(known, volt, 0.0), axis=1), 0.0)
    level = level / np.maximum(known.sum(axis=1), 1)
    moved = np.where(known, volt - level[:, None], 0.0)
    sums = np.zeros((count, volt.shape[1]))
    seen = np.zeros((count, volt.shape[1]))
    for group in range(count):
        sums[group] = moved[groups == group].sum(axis=0)
        seen[group] = known[groups == group].sum(axis=0)
    common = np.where(seen.sum(axis=0) > 0, sums.sum(axis=0) / np.maximum(seen.sum(axis=0), 1), 0.0)
    best, margin = groups.copy(), np.zeros(len(volt))
    for meter in range(len(volt)):
        own = int(groups[meter])
        likeness = np.full(count, -1.0)
        for group in range(count):
            others, number = sums[group], seen[group]
            if group == own:
                others, number = others - moved[meter], number - known[meter]
            usable = known[meter] & (number > 0)
            if usable.sum() < STEPS_MIN:
                continue
            mean = others[usable] / number[usable] - common[usable]
            mine = moved[meter, usable] - common[usable]
            likeness[group] = correlation(np.diff(mine), np.diff(mean))
        if likeness.max(initial=-1.0) <= -1.0 or (own >= 0 and likeness[own] <= -1.0):
            continue
        found = int(likeness.argmax())
        z = np.arctanh(np.clip(likeness, -0.999, 0.999))
        if found != own:
            best[meter], margin[meter] = found, z[found] - (z[own] if own >= 0 else 0.0)
    return best, margin


def correlation(one: Reals, other: Reals) -> float:
    """
    Return the correlation of two rows, 0 where one of them does not move.

    >>> round(correlation(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])), 6)
    1.0
    """
    mine, theirs = one - one.mean(), other - other.mean()
    size = np.sqrt((mine**2).sum() * (theirs**2).sum())
    return float((mine * theirs).sum() / size) if size > 0 else 0.0


def slopes(unexplained: Reals, energy_wh: Reals) -> tuple[Reals, Reals]:
    """
    Return how the unexplained loss of a balance moves with each registered load, all at once, and standard errors.

    The changes from step to step are used, so that what moves slowly does not count. 0 is a meter that measures what
    goes through here, -1 one of which nothing goes through here, 1 one that counts half. A little ridge keeps loads
    that are copies of each other apart.
    """
    moved, loss = np.diff(energy_wh, axis=1).T, np.diff(unexplained)
    gram = moved.T @ moved
    ridge = 1e-3 * float(np.median(np.diag(gram))) * np.eye(len(gram)) + 1e-9 * np.eye(len(gram))
    inverse = np.linalg.inv(gram + ridge)
    found = inverse @ (moved.T @ loss)
    free = max(len(loss) - len(gram), 1)
    variance = float(((loss - moved @ found) ** 2).sum()) / free
    return found, np.sqrt(np.maximum(variance * np.diag(inverse @ gram @ inverse), 1e-18))


def input_ratio(input_wh: Reals, known_wh: Reals) -> tuple[float, float]:
    """
    Return by what factor the input moves with what is known of its use (consumers and line), and its standard error.

    Near 1 where the transformer's CT ratio is right; near 0.5 or 2 where it is entered wrongly: theft does not move
    with the whole load from minute to minute.
    """
    moved, given = np.diff(known_wh), np.diff(input_wh)
    length = float((moved**2).sum())
    if length <= 0:
        return 1.0, float("inf")
    factor = float((moved * given).sum()) / length
    variance = float(((given - factor * moved) ** 2).sum()) / max(len(moved) - 1, 1)
    return factor, float(np.sqrt(variance / length))


def switches(unexplained_wh: Reals, input_wh: Reals) -> list[tuple[int, int, int]]:
    """
    Return (from, to, day) where on one day a part of one transformer's consumers went over to another.

    `unexplained_wh` and `input_wh` are (transformers, days). The consumers are still registered at `from`: its
    balance gains what the balance of `to` loses, from the same day on.
    """
    count, days = unexplained_wh.shape
    found: list[tuple[int, int, int]] = []
    usual = np.maximum(np.abs(input_wh).mean(axis=1), 1.0)
    for begin in range(2, days - 1):
        step = unexplained_wh[:, begin:].mean(axis=1) - unexplained_wh[:, :begin].mean(axis=1)
        for source in range(count):
            for target in range(count):
                down, up = -step[source], step[target]
                if source == target or min(down / usual[source], up / usual[target]) < SWITCH_SHARE_MIN:
                    continue
                if min(down, up) / max(down, up) >= SWITCH_MATCH_MIN:
                    found.append((source, target, begin))
    strongest: dict[tuple[int, int], tuple[float, int]] = {}
    for source, target, begin in found:
        gained = unexplained_wh[source] - unexplained_wh[target]
        weight = begin * (days - begin) / days * (gained[:begin].mean() - gained[begin:].mean()) ** 2
        if weight > strongest.get((source, target), (0.0, 0))[0]:
            strongest[source, target] = (float(weight), begin)
    return [(source, target, begin) for (source, target), (_, begin) in sorted(strongest.items())]
