"""The rules: pure functions over arrays of many meters. Rows are meter-days, columns are intervals."""

from dataclasses import dataclass

import numpy as np

from bijlighar.readings.model import (
    ABSENT,
    IST_OFFSET_S,
    MINUTES_PER_DAY,
    SECONDS_PER_DAY,
    DayBlock,
    Days,
    Flags,
    Integers,
    Qualities,
    Quality,
)
from bijlighar.validation.model import ValidationSettings

MINUTES_PER_HOUR = 60
#: A day's greatest interval must stand out this much from its tenth-greatest part to be looked at without a load.
STANDS_OUT_TIMES = 3


def expected(*, days: Days, minutes: int, from_s: Integers, to_s: Integers) -> Flags:
    """
    Return which intervals lie wholly in [from_s, to_s) [s since the epoch] of their row.

    >>> expected(days=np.array([0]), minutes=30, from_s=np.array([-18_000]), to_s=np.array([-14_400]))[0, :4].tolist()
    [False, True, True, False]
    """
    length_s, count = minutes * 60, MINUTES_PER_DAY // minutes
    midnight = days.astype(np.int64) * SECONDS_PER_DAY - IST_OFFSET_S
    whole = (from_s <= midnight) & (to_s >= midnight + SECONDS_PER_DAY)
    marks = np.repeat(whole[:, None], count, axis=1)
    parts = np.flatnonzero(~whole)
    starts = midnight[parts, None] + np.arange(count, dtype=np.int64) * length_s
    marks[parts] = (starts >= from_s[parts, None]) & (starts + length_s <= to_s[parts, None])
    return marks


def missing(*, values: Integers, wanted: Flags) -> Flags:
    """Return which expected intervals have no value."""
    return np.asarray(wanted & (values == ABSENT))


def negative(*, values: Integers) -> Flags:
    """Return which intervals have a value below zero."""
    return np.asarray((values < 0) & (values != ABSENT))


def negative_in(block: DayBlock, channel: str) -> Flags:
    """Return which intervals of a channel have a value below zero; none where no row has the channel."""
    if channel not in block.values:
        return np.zeros(block.quality.shape, dtype=np.bool_)
    return negative(values=block.values[channel])


def load_wh(*, sanctioned_w: Integers, minutes: int) -> Integers:
    """
    Return what the sanctioned load makes in an interval [Wh]; 0 stands for unknown.

    >>> load_wh(sanctioned_w=np.array([2_000, 0]), minutes=15).tolist()
    [500, 0]
    """
    return sanctioned_w * minutes // MINUTES_PER_HOUR


def usual_peak_wh(*, history: Integers, days_min: int) -> Integers:
    """
    Return the usual daily peak [Wh] of each meter from its past (meters, days, intervals), 0 where that is too short.

    It is the peak that nine days in ten do not exceed, so that a single earlier spike does not hide the next.
    """
    peaks = np.max(history, axis=2, where=history != ABSENT, initial=-1)
    ordered = np.sort(peaks, axis=1)[:, ::-1]
    counts = (peaks >= 0).sum(axis=1)
    place = np.minimum(counts // 10, max(peaks.shape[1] - 1, 0))
    usual = (
        ordered[np.arange(len(ordered)), place] if peaks.shape[1] else np.zeros(len(peaks), dtype=np.int64)
    )
    return np.where(counts >= days_min, usual, 0)


def may_spike(*, values: Integers, minutes: int, load: Integers, settings: ValidationSettings) -> Flags:
    """Return which rows could hold a spike, so that only their past need be looked at."""
    greatest: Integers = np.max(values, axis=1, initial=0)
    floor = settings.spike_floor_w * minutes // MINUTES_PER_HOUR
    may = (greatest > floor) & (load > 0) & (greatest > settings.spike_load_times * load)
    alone = np.flatnonzero((greatest > floor) & (load == 0))
    if len(alone):
        tenth = -max(values.shape[1] // 10, 1)
        present = np.where(values[alone] == ABSENT, 0, values[alone])
        may[alone] = greatest[alone] > STANDS_OUT_TIMES * np.partition(present, tenth, axis=1)[:, tenth]
    return may


def spike(
    *, values: Integers, minutes: int, load: Integers, usual: Integers, settings: ValidationSettings
) -> Flags:
    """
    Return which intervals are too great for the sanctioned load and for the meter's own past (0: unknown).

    Both are asked where both are known; a meter without a past must exceed its load the more.
    """
    floor = settings.spike_floor_w * minutes // MINUTES_PER_HOUR
    load, usual = load[:, None], usual[:, None]
    over_usual = (usual > 0) & (values > settings.spike_history_times * usual)
    over_load = (load > 0) & (values > settings.spike_load_times * load)
    alone = (load > 0) & (usual == 0) & (values > settings.spike_load_alone_times * load)
    return (values > floor) & np.where(load > 0, (over_load & over_usual) | alone, over_usual)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SumCheck:
    """
    The sums of days against their registers; `failed` and `confirmed` are false where a register is unknown.

    confirmed: the intervals, as many as there are, are not more than the register counted.
    """

    sum_wh: Integers
    difference_wh: Integers
    tolerance_wh: Integers
    failed: Flags
    confirmed: Flags


def day_sums(values: Integers) -> Integers:
    """
    Return the sum of each row [Wh]; what is absent adds nothing.

    >>> day_sums(np.array([[5, ABSENT, 7], [ABSENT, ABSENT, ABSENT]])).tolist()
    [12, 0]
    """
    return np.asarray(np.where(values == ABSENT, 0, values).sum(axis=1))


def sum_check(
    *,
    values: Integers,
    wanted: Flags,
    sum_wh: Integers,
    opening: Integers,
    closing: Integers,
    settings: ValidationSettings,
) -> SumCheck:
    """
    Return how each day's sum agrees with the difference of the registers at its ends, within the registers' step.

    A day that was read in part must not sum to more than the register counted; where a meter hung for a part of the
    day only, nothing is said.
    """
    count = np.count_nonzero(values != ABSENT, axis=1)
    known = (opening != ABSENT) & (closing != ABSENT) & wanted.all(axis=1)
    difference = np.where(known, closing - opening, 0)
    allowed = tolerance_wh(opening=opening, closing=closing, intervals=count, settings=settings)
    whole = count == values.shape[1]
    too_much = sum_wh > difference + allowed
    too_little = whole & (sum_wh < difference - allowed)
    fell = difference < 0
    return SumCheck(
        sum_wh=sum_wh,
        difference_wh=difference,
        tolerance_wh=allowed,
        failed=known & (count > 0) & (too_much | too_little | fell),
        confirmed=known & ~fell & ~too_much,
    )


def tolerance_wh(
    *, opening: Integers, closing: Integers, intervals: Integers, settings: ValidationSettings
) -> Integers:
    """
    Return by how much a sum of intervals may differ from the register difference [Wh].

    >>> both = {"intervals": np.array([48, 48]), "settings": ValidationSettings()}
    >>> tolerance_wh(opening=np.array([100, 101]), closing=np.array([250, 250]), **both).tolist()
    [34, 25]
    """
    coarse = (opening % settings.coarse_step_wh == 0) & (closing % settings.coarse_step_wh == 0)
    step = np.where(coarse, settings.coarse_step_wh, settings.fine_step_wh)
    return step + (intervals * settings.rounding_wh_per_two + 1) // 2


def quality(*, values: Integers, suspect: Flags) -> Qualities:
    """Return the quality of validated intervals before any estimate."""
    found = np.full(values.shape, Quality.VALID, dtype=np.uint8)
    found[suspect] = Quality.SUSPECT
    found[values == ABSENT] = Quality.ABSENT
    return found
