"""Rules on the shape of readings: pure functions over arrays of many meter-days (rows) and intervals (columns)."""

from collections.abc import Mapping

import numpy as np

from bijlighar.readings.model import ABSENT, Flags, Integers, Qualities
from bijlighar.validation.model import ValidationSettings

#: The channels that are compared with those of the day before.
COMPARED = ("wh_import", "volt", "amp")
#: One hundredth of a volt times one of an ampere, in VA.
CENTI_SQUARED = 10_000


def lead(values: Integers) -> Integers:
    """
    Return how many intervals at the start of each row equal its first one; 0 where that is absent.

    >>> lead(np.array([[3, 3, 1], [ABSENT, 1, 1], [2, 2, 2]])).tolist()
    [2, 0, 3]
    """
    same = values == values[:, :1]
    length = np.where(same.all(axis=1), values.shape[1], np.argmin(same, axis=1))
    return np.where(values[:, 0] == ABSENT, 0, length)


def may_run(*, values: Integers, before: Integers) -> Flags:
    """
    Return which rows could be a part of a long run of one value: alone, or with the end of the day before.

    >>> before = np.array([[0, 0, 0], [1, 2, 3], [1, 2, 0]])
    >>> may_run(values=np.array([[0, 0, 7], [5, 5, 5], [0, 1, 2]]), before=before).tolist()
    [True, True, False]
    """
    own, earlier = lead(values), lead(before[:, ::-1])
    goes_on = (values[:, 0] == before[:, -1]) & (own > 0)
    return np.asarray(own + np.where(goes_on, earlier, 0) >= values.shape[1])


def long_runs(
    *, values: Integers, length_min: int, flat: bool, gap_max: int = 0
) -> list[tuple[int, int, int]]:
    """
    Return (row, begin, end) of runs of at least `length_min` intervals of zero, or of one value above it (`flat`).

    A gap of up to `gap_max` intervals does not end a run of zero.

    >>> long_runs(values=np.array([[4, 0, 0, 0, 6, 6]]), length_min=3, flat=False)
    [(0, 1, 4)]
    >>> long_runs(values=np.array([[4, 0, 0, 0, 6, 6]]), length_min=2, flat=True)
    [(0, 4, 6)]
    """
    marks = (values[:, 1:] == values[:, :-1]) & (values[:, 1:] > 0) if flat else bridged(values, gap_max)
    rows, begins, ends = run_arrays(marks)
    ends = ends + 1 if flat else ends
    chosen = ends - begins >= length_min
    return list(zip(rows[chosen].tolist(), begins[chosen].tolist(), ends[chosen].tolist(), strict=True))


def bridged(values: Integers, gap_max: int) -> Flags:
    """
    Return which intervals are zero, or absent between zeros and at most `gap_max` in a row.

    >>> bridged(np.array([[ABSENT, 0, ABSENT, 0, 5, ABSENT, 0]]), 1).tolist()
    [[False, True, True, True, False, False, True]]
    """
    marks = values == 0
    rows, begins, ends = run_arrays(np.asarray(values == ABSENT))
    inside = (begins > 0) & (ends < values.shape[1]) & (ends - begins <= gap_max)
    for row, begin, end in zip(
        rows[inside].tolist(), begins[inside].tolist(), ends[inside].tolist(), strict=True
    ):
        if marks[row, begin - 1] and marks[row, end]:
            marks[row, begin:end] = True
    return np.asarray(marks)


def run_arrays(marks: Flags) -> tuple[Integers, Integers, Integers]:
    """Return the rows, begins and ends of the half-open runs of true."""
    padded = np.zeros((marks.shape[0], marks.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = marks
    steps = np.diff(padded, axis=1)
    rows, begins = np.nonzero(steps == 1)
    return rows, begins, np.nonzero(steps == -1)[1]


def repeated(
    *, values: Mapping[str, Integers], before: Mapping[str, Integers], settings: ValidationSettings
) -> Flags:
    """
    Return which intervals say again what the day before said at the same time, in every channel that is there.

    Where energy, voltage and current are told to the hundredth, two equal intervals in a row are no chance; with
    fewer channels more of them are asked for, and with energy alone several different values. Intervals without
    energy prove nothing and count only between others.
    """
    energy = values["wh_import"]
    equal = (energy == before["wh_import"]) & (energy != ABSENT)
    told: Qualities = np.zeros(energy.shape, dtype=np.uint8)
    for channel in COMPARED[1:]:
        own, earlier = values.get(channel), before.get(channel)
        if own is None or earlier is None:
            if own is not None or earlier is not None:
                equal &= _given(own, earlier) == ABSENT
            continue
        equal &= own == earlier
        told += own != ABSENT
    result = np.zeros(energy.shape, dtype=np.bool_)
    proves = equal & (energy > 0)
    may = np.flatnonzero(np.count_nonzero(proves, axis=1) >= min(settings.repeated_min_by_channels))
    if not len(may):
        return result
    counts = np.zeros((len(may), energy.shape[1] + 1), dtype=np.int64)
    np.cumsum(proves[may], axis=1, out=counts[:, 1:])
    some, begins, ends = run_arrays(equal[may])
    rows, proof = may[some], counts[some, ends] - counts[some, begins]
    wanted = np.array(settings.repeated_min_by_channels, dtype=np.int64)[told[rows, begins]]
    for place in np.flatnonzero(proof >= wanted).tolist():
        row, begin, end = int(rows[place]), int(begins[place]), int(ends[place])
        alone = told[row, begin] == 0
        if alone and len(np.unique(energy[row, begin:end])) < settings.repeated_values_min:
            continue
        result[row, begin:end] = True
    return result


def physics(
    *, values: Mapping[str, Integers], minutes: int, one_phase: Flags, settings: ValidationSettings
) -> Flags:
    """
    Return which intervals no meter can measure rightly.

    More active than apparent energy; on one phase, more energy than voltage and current make, or a voltage beyond
    `volt_max`; a current that flows while no energy is counted in either direction.
    """
    energy = values["wh_import"]
    result = np.zeros(energy.shape, dtype=np.bool_)
    apparent, volt, amp = values.get("vah_import"), values.get("volt"), values.get("amp")
    export = values.get("wh_export")
    floor = settings.physics_floor_w * minutes // 60
    if apparent is not None:
        less = (apparent < energy) & (apparent != ABSENT)  # few; the margin is a division
        result[less] = _with_margin(apparent[less], settings) + floor < energy[less]
    if volt is not None:
        result |= one_phase[:, None] & (volt > settings.volt_max * 100)
    if volt is not None and amp is not None:
        both = (volt != ABSENT) & (amp != ABSENT)
        made = np.where(both, volt, 0) * np.where(both, amp, 0) * minutes // (60 * CENTI_SQUARED)
        result |= one_phase[:, None] & both & (energy > _with_margin(made, settings) + floor)
        nothing = (energy == 0) if export is None else (energy == 0) & (export <= 0)
        result |= both & nothing & (made > floor) & (amp >= settings.idle_amp_min * 100)
    return result


def _given(first: Integers | None, second: Integers | None) -> Integers:
    """Return the one of two arrays that is there."""
    found = second if first is None else first
    assert found is not None  # noqa: S101 - asked by the caller
    return found


def export(*, values: Integers, settings: ValidationSettings) -> Flags:
    """Return which rows feed in more than a meter's noise."""
    fed = np.sum(values, axis=1, where=values > 0, initial=0)
    return np.asarray(fed > settings.export_floor_wh)


def _with_margin(values: Integers, settings: ValidationSettings) -> Integers:
    return values + values // settings.physics_margin_divisor
