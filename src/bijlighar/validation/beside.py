"""Read what stands beside meter-days: the day before, long runs of one value, exchanges of the meter."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bijlighar.readings.model import (
    ABSENT,
    SECONDS_PER_DAY,
    DayBlock,
    Flags,
    Integers,
    intervals_per_day,
)
from bijlighar.validation import patterns
from bijlighar.validation.cases import Beside, Hangings, joined, midnight_s
from bijlighar.validation.model import ValidationSettings
from bijlighar.validation.past import Past

#: A row that ends with so many equal intervals may begin a long run.
TRAIL_MIN = 4
HOURS_PER_DAY = 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Runs:
    """Which intervals of some meters are in a long run of zero or of one value: (meters, days, intervals)."""

    place: Mapping[str, int]
    first_day: int
    zero: Flags
    flat: Flags

    def rows(self, block: DayBlock, of: Flags) -> Flags:
        """Return the marks of the rows of a block."""
        marks = np.zeros(block.quality.shape, dtype=np.bool_)
        for row, (meter, day) in enumerate(zip(block.meters, block.days.tolist(), strict=True)):
            place, column = self.place.get(meter), day - self.first_day
            if place is not None and 0 <= column < of.shape[1]:
                marks[row] = of[place, column]
        return marks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What the days before the rows of a block said, by channel, and the long runs they are in, if any may be."""

    before: Mapping[str, Integers]
    runs: _Runs | None


def see(past: Past, block: DayBlock, *, settings: ValidationSettings) -> Seen:
    """Return what the days around the rows of a block say of them."""
    before = values_before(past, block)
    meters = _run_meters(block, before)
    return Seen(before=before, runs=_runs(past, block, meters, settings) if meters else None)


def with_runs(past: Past, block: DayBlock, *, settings: ValidationSettings) -> tuple[DayBlock, Seen]:
    """
    Return the block with the days before (after) that only now turn out to be in a long run of one value.

    And what was seen of its rows.
    """
    seen = see(past, block, settings=settings)
    runs = seen.runs
    if runs is None:
        return block, seen
    have = set(zip(block.meters, block.days.tolist(), strict=True))
    new = set()
    for of, hours in ((runs.zero, settings.zero_run_hours), (runs.flat, settings.flat_run_hours)):
        least = hours * of.shape[2] // HOURS_PER_DAY
        for meter, place in runs.place.items():
            for _, begin, end in _stretches(of[place]):
                days = range(begin // of.shape[2], (end - 1) // of.shape[2] + 1)
                keys = [(meter, day + runs.first_day) for day in days]
                inside = sum(
                    int(of[place, day].sum()) for day, key in zip(days, keys, strict=True) if key in have
                )
                if inside and end - begin - inside < least:
                    new |= {key for key in keys if key not in have}
    if not new:
        return block, seen
    more = past.rows(keys=sorted(new), minutes=block.minutes)
    block = joined(block, more, np.flatnonzero(more.versions > 0))
    return block, see(past, block, settings=settings)


def look_beside(block: DayBlock, *, hung: Hangings, seen: Seen) -> Beside:
    """Return what stands beside the rows of a block."""
    nowhere = np.zeros(block.quality.shape, dtype=np.bool_)
    runs = seen.runs
    own = hung.rows(block.meters)
    return Beside(
        before=seen.before,
        zero=nowhere if runs is None else runs.rows(block, runs.zero),
        flat=nowhere if runs is None else runs.rows(block, runs.flat),
        outside=_outside(block, hung),
        exchanges=_exchanges(block, hung) if hung.exchanges else {},
        categories=tuple(hung.categories[row] for row in own.tolist()),
        ratio=hung.ratio[own],
        one_phase=hung.one_phase[own],
        prior=np.full(block.rows, ABSENT, dtype=np.int64),
    )


def values_before(past: Past, block: DayBlock) -> Mapping[str, Integers]:
    """Return what the day before said, for each row of a block, in the channels that are compared."""
    days = block.days.tolist()
    keys = [(meter, day - 1) for meter, day in zip(block.meters, days, strict=True)]
    inside = np.full(block.rows, -1, dtype=np.int64)
    if np.isin(block.days - 1, block.days).any():
        own = {key: row for row, key in enumerate(zip(block.meters, days, strict=True))}
        inside[:] = [own.get(key, -1) for key in keys]
    outside = np.flatnonzero(inside < 0)
    there = inside >= 0
    other: Mapping[str, Integers] = {}
    if len(outside):
        wanted = keys if len(outside) == len(keys) else [keys[row] for row in outside.tolist()]
        other = past.rows(keys=wanted, minutes=block.minutes, channels=patterns.COMPARED).values
    values = {}
    for channel in patterns.COMPARED:
        if channel != "wh_import" and channel not in block.values and channel not in other:
            continue
        if channel in other and len(outside) == len(keys):
            values[channel] = other[channel]
            continue
        matrix = np.full(block.quality.shape, ABSENT, dtype=np.int64)
        if channel in block.values:
            matrix[there] = block.values[channel][inside[there]]
        if channel in other:
            matrix[outside] = other[channel]
        values[channel] = matrix
    return values


def _run_meters(block: DayBlock, before: Mapping[str, Integers]) -> list[str]:
    """Return the meters whose rows may be in a long run of one value."""
    energy = block.values["wh_import"]
    if not block.rows:
        return []
    may = patterns.may_run(values=energy, before=before["wh_import"])
    may |= patterns.lead(energy[:, ::-1]) >= TRAIL_MIN
    return sorted({block.meters[row] for row in np.flatnonzero(may).tolist()})


def _runs(past: Past, block: DayBlock, meters: Sequence[str], settings: ValidationSettings) -> _Runs:
    wanted = set(meters)
    days = [day for meter, day in zip(block.meters, block.days.tolist(), strict=True) if meter in wanted]
    reach = -(-max(settings.zero_run_hours, settings.flat_run_hours) // HOURS_PER_DAY)
    first, last = min(days) - reach, max(days) + reach
    count = intervals_per_day(block.minutes)
    place = {meter: row for row, meter in enumerate(meters)}
    energy = np.full((len(meters), last - first + 1, count), ABSENT, dtype=np.int64)
    for found in past.days(meters=meters, first=first, last=last, channels=("wh_import",)):
        if found.minutes == block.minutes:
            rows = np.array([place[meter] for meter in found.meters], dtype=np.int64)
            energy[rows, found.days - first] = found.values["wh_import"]
    marks = {}
    gap_max = settings.zero_run_gap_hours * count // HOURS_PER_DAY
    for flat, hours in ((False, settings.zero_run_hours), (True, settings.flat_run_hours)):
        flags = np.zeros((len(meters), energy.shape[1] * count), dtype=np.bool_)
        length_min = hours * count // HOURS_PER_DAY
        lines = energy.reshape(len(meters), -1)
        for row, begin, end in patterns.long_runs(
            values=lines, length_min=length_min, flat=flat, gap_max=gap_max
        ):
            flags[row, begin:end] = True
        marks[flat] = flags.reshape(energy.shape)
    return _Runs(place=place, first_day=first, zero=marks[False], flat=marks[True])


def _stretches(days: Flags) -> list[tuple[int, int, int]]:
    rows, begins, ends = patterns.run_arrays(days.reshape(1, -1))
    return list(zip(rows.tolist(), begins.tolist(), ends.tolist(), strict=True))


def _exchanges(block: DayBlock, hung: Hangings) -> dict[int, tuple[str, bool]]:
    keys = enumerate(zip(block.meters, block.days.tolist(), strict=True))
    return {row: hung.exchanges[key] for row, key in keys if key in hung.exchanges}


def _outside(block: DayBlock, hung: Hangings) -> Flags:
    """Return which values were measured while the meter hung nowhere, on the day it was hung or taken down."""
    marks = np.zeros(block.quality.shape, dtype=np.bool_)
    length_s = block.minutes * 60
    for row in _moved_rows(block, hung):
        spans = hung.spans.get(block.meters[row], ())
        start = midnight_s(int(block.days[row]))
        if not any(start < moment < start + SECONDS_PER_DAY for span in spans for moment in span):
            continue
        begins = start + np.arange(block.intervals, dtype=np.int64) * length_s
        hangs = np.zeros(block.intervals, dtype=np.bool_)
        for low, high in spans:
            hangs |= (begins < high) & (begins + length_s > low)
        marks[row] = ~hangs & (block.values["wh_import"][row] != ABSENT)
    return marks


def _moved_rows(block: DayBlock, hung: Hangings) -> Iterator[int]:
    """Yield the rows of days on which their meter was hung or taken down."""
    for day in np.unique(block.days).tolist():
        moved = hung.moved.get(day)
        if moved:
            yield from (
                row for row in np.flatnonzero(block.days == day).tolist() if block.meters[row] in moved
            )
