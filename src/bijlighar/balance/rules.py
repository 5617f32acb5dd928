"""
The arithmetic of the balance: numpy in, numpy out, energy in whole Wh.

A hanging is a meter at a place from a second to a second; a matrix has a row per hanging and a column per day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from bijlighar.balance.atc import per_cent as per_cent
from bijlighar.balance.model import GapAtTime
from bijlighar.base.money import round_half_up
from bijlighar.readings.model import ABSENT, Integers, Quality

SECONDS_PER_DAY = 86_400
#: How far beyond its first or last reading a register is carried on at its last rate.
EXTRAPOLATION_DAYS_MAX = 62
#: A rate is taken from readings at least so far apart.
RATE_SPAN_S_MIN = SECONDS_PER_DAY
#: The qualities of an interval that was really read.
READ_QUALITIES = (Quality.MEASURED, Quality.VALID, Quality.SUSPECT, Quality.EDITED)

Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HangingDays:
    """What hangings counted, per hanging and day: energy [Wh] with multiplier, intervals expected, known and read."""

    energy_wh: Integers
    expected: Integers
    known: Integers
    read: Integers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assessed:
    """Energy by register [Wh] per hanging and day; `known` tells where there is one, zero stands elsewhere."""

    energy_wh: Integers
    known: Booleans


def seconds_hung(*, starts: Integers, from_s: Integers, to_s: Integers) -> Integers:
    """
    Return for each hanging and day how long it hung [s]; `starts` are the midnights [s since the epoch].

    >>> seconds_hung(starts=np.array([0, 86_400]), from_s=np.array([3_600]), to_s=np.array([90_000])).tolist()
    [[82800, 3600]]
    """
    begin = np.maximum(starts[None, :], from_s[:, None])
    end = np.minimum(starts[None, :] + SECONDS_PER_DAY, to_s[:, None])
    hung: Integers = np.maximum(end - begin, 0)
    return hung


def part_of_day(
    *,
    import_wh: Integers,
    export_wh: Integers,
    quality: NDArray[np.uint8],
    start: int,
    minutes: int,
    from_s: int,
    to_s: int,
    hung_before: bool,
) -> tuple[int, int, int, int]:
    """
    Return energy [Wh], intervals expected, known and read of one meter's day, of which it hung only [from_s, to_s).

    An interval in the middle of which the meter was hung belongs to it, unless it hung elsewhere before; one in the
    middle of which it was taken down belongs to it too. Only whole intervals are expected.
    """
    begins = start + np.arange(len(import_wh), dtype=np.int64) * minutes * 60
    ends = begins + minutes * 60
    whole = (begins >= from_s) & (ends <= to_s)
    counted = (begins < to_s) & ((begins if hung_before else ends - 1) >= from_s)
    energy = np.where(import_wh == ABSENT, 0, import_wh) - np.where(export_wh == ABSENT, 0, export_wh)
    known = whole & (quality != Quality.ABSENT)
    read = whole & np.isin(quality, READ_QUALITIES)
    return int(energy[counted].sum()), int(whole.sum()), int(known.sum()), int(read.sum())


def register_at(
    *, moments: Integers, times: Integers, values: Integers, carry_on: bool
) -> tuple[Integers, Booleans]:
    """
    Return the register [Wh] at `moments` on straight lines between its readings, and where that is known.

    With `carry_on` it goes on at the nearest rate, at most `EXTRAPOLATION_DAYS_MAX`; between two readings of which
    the later is lower (a wrong reading, a register that began anew) it is not known. All times [s since the epoch].

    >>> register_at(
    ...     moments=np.array([0, 50, 200]), times=np.array([0, 100]), values=np.array([1000, 2000]), carry_on=False
    ... )
    (array([1000, 1500,    0]), array([ True,  True, False]))
    """
    result = np.zeros(len(moments), dtype=np.int64)
    if len(times) < 2:
        exact = np.isin(moments, times)
        if len(times):
            result[exact] = values[0]
        return result, exact
    place = np.clip(np.searchsorted(times, moments, side="right") - 1, 0, len(times) - 2)
    span, rise = np.diff(times), np.diff(values)
    result = values[place] + rise[place] * (moments - times[place]) // span[place]
    known = rise[place] >= 0
    before, after = moments < times[0], moments > times[-1]
    for outside, anchor in ((before, 0), (after, len(times) - 1)):
        far = np.abs(moments - times[anchor]) > EXTRAPOLATION_DAYS_MAX * SECONDS_PER_DAY
        rate = _rate(times, values, anchor) if carry_on else None
        if rate is None:
            known &= ~outside
            continue
        carried_wh, over_s = rate
        result = np.where(outside, values[anchor] + carried_wh * (moments - times[anchor]) // over_s, result)
        known = np.where(outside, ~far, known)
    nearest = np.searchsorted(times, moments, side="left") % len(times)
    exact = times[nearest] == moments
    known |= exact
    return np.where(known, np.where(exact, values[nearest], result), 0), known


def _rate(times: Integers, values: Integers, anchor: int) -> tuple[int, int] | None:
    """Return the rise [Wh] and the span [s] nearest to a reading that is long enough and does not fall."""
    order = range(1, len(times)) if anchor == 0 else range(len(times) - 2, -1, -1)
    for other in order:
        span, rise = int(abs(times[other] - times[anchor])), int(abs(values[other] - values[anchor]))
        falls = (values[other] < values[anchor]) == (times[other] > times[anchor]) and rise > 0
        if span >= RATE_SPAN_S_MIN and not falls:
            return rise, span
    return None


def assess(
    *,
    starts: Integers,
    from_s: int,
    to_s: int,
    times: Integers,
    values: Integers,
    multiplier: int,
) -> tuple[Integers, Booleans]:
    """
    Return the energy of each day [Wh] of one hanging by its register, and where it is known.

    The days of a range sum to the register's difference over the range.
    """
    edges = np.append(starts, starts[-1] + SECONDS_PER_DAY)
    clipped = np.clip(edges, from_s, max(from_s, to_s))
    register, known = register_at(moments=clipped, times=times, values=values, carry_on=True)
    day_known = known[1:] & known[:-1] & (register[1:] >= register[:-1])
    energy = np.where(day_known, (register[1:] - register[:-1]) * multiplier, 0)
    return energy, day_known


def transformer_loss_wh(
    *, load_vah: Integers, minutes: int, rated_va: int, no_load_loss_w: int, load_loss_w: int
) -> int:
    """
    Return a transformer's own loss [Wh]: no-load loss all the time, load loss by the square of the load.

    `load_vah` is the apparent energy of each interval [VAh]; an interval without one has its no-load loss only.

    >>> transformer_loss_wh(
    ...     load_vah=np.array([50_000, 25_000]), minutes=30, rated_va=100_000, no_load_loss_w=200, load_loss_w=1_600
    ... )
    1200
    """
    loads = [int(vah) for vah in load_vah if vah != ABSENT]
    no_load = Fraction(no_load_loss_w * minutes * len(load_vah), 60)
    squares = sum(vah * vah for vah in loads)
    # load = (VAh x 60 / minutes) / rated; energy = load loss x load^2 x minutes / 60
    loaded = Fraction(load_loss_w * squares * 60, minutes * rated_va * rated_va)
    return round_half_up(no_load + loaded)


def gap_by_time(
    *,
    input_wh: Integers,
    input_known: Booleans,
    consumers_wh: Integers,
    assessed_wh: Integers,
    expected: Integers,
    read: Integers,
) -> tuple[GapAtTime, ...]:
    """
    Return the mean balance of each time of the day; all are (days, times), `assessed_wh` is by day.

    Steps whose input is not known are left out. What is assessed of a day is laid along the others' use of the range,
    and flat where there is none.
    """
    days, times = input_wh.shape
    usual = np.maximum(consumers_wh, 0).sum(axis=0)
    spread = usual / usual.sum() if usual.sum() > 0 else np.full(times, 1 / times)
    used = consumers_wh + assessed_wh[:, None] * spread[None, :]
    counted = input_known.sum(axis=0)
    whole = np.maximum(counted, 1)
    mean_input = np.where(input_known, input_wh, 0).sum(axis=0) / whole
    mean_used = np.where(input_known, used, 0.0).sum(axis=0) / whole
    wanted = np.where(input_known, expected, 0).sum(axis=0)
    there = np.where(input_known, read, 0).sum(axis=0)
    minutes = SECONDS_PER_DAY // 60 // times
    return tuple(
        GapAtTime(
            minute=time * minutes,
            days=int(counted[time]),
            input_wh=round(float(mean_input[time])) if counted[time] else None,
            consumers_wh=round(float(mean_used[time])) if counted[time] else None,
            coverage_pct=per_cent(int(there[time]), int(wanted[time])),
        )
        for time in range(times)
        if days
    )


def sum_by_group(values: Integers, *, groups: Integers, count: int) -> Integers:
    """
    Return the sums of rows by group; a row of group -1 belongs to none.

    >>> sum_by_group(np.array([[1], [2], [4]]), groups=np.array([0, 1, 0]), count=2).tolist()
    [[5], [2]]
    """
    summed = np.zeros((count, values.shape[1]), dtype=np.int64)
    member = groups >= 0
    np.add.at(summed, groups[member], values[member])
    return summed


def runs_of(days: Sequence[int], *, length_max: int) -> tuple[tuple[int, int], ...]:
    """
    Return sorted day numbers as runs (first, last) of consecutive days, none longer than `length_max`.

    >>> runs_of([1, 2, 3, 7], length_max=2)
    ((1, 2), (3, 3), (7, 7))
    """
    runs: list[tuple[int, int]] = []
    for day in days:
        if runs and day == runs[-1][1] + 1 and day - runs[-1][0] < length_max:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return tuple(runs)
