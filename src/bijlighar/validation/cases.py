"""Meter-days to be judged, and what is known beside them: pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from bijlighar.readings.model import (
    ABSENT,
    IST_OFFSET_S,
    SECONDS_PER_DAY,
    DayBlock,
    Days,
    Flags,
    Integers,
    Midnights,
)

#: How far registers may lie apart that are asked for the sum of what is missing between them [days].
REGISTER_REACH_DAYS = 62


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hangings:
    """
    Who hung when, by meter: half-open spans [s since the epoch]; and columns of what is known of each meter.

    exchanges: by meter and IST day, which other meter came or went and whether this one is the new one.
    moved: by IST day, the meters that were hung or taken down.
    place: the row of each meter in the columns; their last row stands for every other meter. load_w: the sanctioned
    load as the meter measures it (divided by its multiplier) [W], 0 where it is not known; ratio: the multiplier;
    talks: it communicates; since_ever: not known since when it hangs; first_span: the earliest span; again: it was
    hung more than once. earliest_s: since when the first that communicates hangs, of those of which it is known.
    transformer: by meter, that of its last hanging; under: by transformer, who communicates.
    """

    spans: Mapping[str, tuple[tuple[int, int], ...]]
    communicating: frozenset[str]
    minutes: Mapping[str, int]
    exchanges: Mapping[tuple[str, int], tuple[str, bool]]
    moved: Mapping[int, frozenset[str]]
    place: Mapping[str, int]
    load_w: Integers
    ratio: Integers
    talks: Flags
    since_ever: Flags
    one_phase: Flags
    categories: tuple[str, ...]
    first_span: Integers
    again: Flags
    earliest_s: int | None
    transformer: Mapping[str, str]
    under: Mapping[str, tuple[str, ...]]

    def rows(self, meters: Sequence[str]) -> Integers:
        """Return the row of each meter in the columns."""
        other, place = len(self.place), self.place
        return np.fromiter(map(place.get, meters, repeat(other)), dtype=np.int64, count=len(meters))

    def hung_on(self, meter: str, day: int) -> bool:
        """Return whether the meter hung at any time of an IST day."""
        start = midnight_s(day)
        return any(low < start + SECONDS_PER_DAY and high > start for low, high in self.spans.get(meter, ()))


class Registers:
    """Import and export registers at IST midnights [Wh], of one or more runs of days; the later run adds to it."""

    def __init__(self, *runs: Midnights) -> None:
        """Hold the registers of some meters at the midnights that begin some days."""
        self._runs = runs
        self._places = [{meter: row for row, meter in enumerate(run.meters)} for run in runs]
        self._known: dict[str, list[int]] = {}
        self._last: tuple[Sequence[str], list[Integers]] | None = None

    def joined(self, others: Midnights) -> "Registers":
        """Return these registers and others."""
        return Registers(*self._runs, others)

    def at(self, *, meters: Sequence[str], days: Days | Integers, channel: str) -> Integers:
        """Return the register of each meter at the first midnight of its day, `ABSENT` where it is not known."""
        found = np.full(len(meters), ABSENT, dtype=np.int64)
        for run, rows in zip(self._runs, self._rows(meters), strict=True):
            columns = np.asarray(days, dtype=np.int64) - run.first_day
            there = np.flatnonzero((rows >= 0) & (columns >= 0) & (columns < run.days))
            values = run.channel(channel)[rows[there], columns[there]]
            found[there] = np.where(values == ABSENT, found[there], values)
        return found

    def _rows(self, meters: Sequence[str]) -> list[Integers]:
        """Return the row of each meter in each run, -1 where it has none; what was asked for last is held."""
        if self._last is None or self._last[0] is not meters:
            rows = [
                np.fromiter(map(place.get, meters, repeat(-1)), dtype=np.int64, count=len(meters))
                for place in self._places
            ]
            self._last = (meters, rows)
        return self._last[1]

    def matrix(self, *, meters: Sequence[str], first: int, last: int, channel: str) -> Integers:
        """Return the registers of the meters at the midnights that begin the days: (meters, days)."""
        days = np.arange(first, last + 1)
        columns = [self.at(meters=meters, days=np.full(len(meters), day), channel=channel) for day in days]
        return np.stack(columns, axis=1)

    def around(self, meter: str, day: int) -> tuple[int, int] | None:
        """Return the days of the nearest registers before and after a day, None if they are not both near."""
        known = self._known_days(meter)
        before, after = bisect_right(known, day) - 1, bisect_left(known, day + 1)
        if before < 0 or after == len(known) or known[after] - known[before] > REGISTER_REACH_DAYS:
            return None
        return known[before], known[after]

    def _known_days(self, meter: str) -> list[int]:
        known = self._known.get(meter)
        if known is None:
            days: set[int] = set()
            for run, place in zip(self._runs, self._places, strict=True):
                row = place.get(meter)
                if row is not None:
                    days.update((np.flatnonzero(run.wh_import[row] != ABSENT) + run.first_day).tolist())
            known = self._known[meter] = sorted(days)
        return known


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """
    The measured past of the meters in question: (meters, days, intervals) from `first_day`, by channel of energy.

    elsewhere: what rows of the other interval length hold on a day [Wh]; registers: (meters, days + 1); neighbours:
    the mean import of those under the same transformer [thousandths of a Wh], of meters without a past of their own.
    """

    meters: tuple[str, ...]
    first_day: int
    known: Mapping[str, Integers]
    elsewhere: Mapping[str, Integers]
    registers: Mapping[str, Integers]
    neighbours: Integers | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beside:
    """
    What stands beside the rows of the cases.

    before: the day before, by channel; zero, flat: long runs of nothing, of one value; outside: values of a meter
    that hung nowhere; exchanges: by row, the other meter and whether this one is the new one; prior: the import
    register at the midnight at which the day before began.
    """

    before: Mapping[str, Integers]
    zero: Flags
    flat: Flags
    outside: Flags
    exchanges: Mapping[int, tuple[str, bool]]
    categories: tuple[str, ...]
    ratio: Integers
    one_phase: Flags
    prior: Integers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """
    The edits that stand over the rows of a block: the number of each interval's edit, 0 where there is none.

    taken_out: what is not believed; late: where the meter has said something else since.
    """

    numbers: Integers
    taken_out: Flags
    late: Flags


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cases:
    """
    Meter-days to be judged, one interval length: what was measured and what is known beside it.

    wanted: the intervals that should be there; due: the rows in which what is missing is to be estimated;
    opening, closing: the import registers at the days' ends; load, usual: see `rules.spike`;
    stands: the edits over the intervals.
    """

    block: DayBlock
    wanted: Flags
    due: Flags
    opening: Integers
    closing: Integers
    load: Integers
    usual: Integers
    window: Window | None
    stands: Standing
    beside: Beside | None = None


def joined(block: DayBlock, other: DayBlock, rows: Integers) -> DayBlock:
    """Return a block with rows of another one of the same interval length after its own."""
    return DayBlock(
        meters=block.meters + tuple(other.meters[row] for row in rows.tolist()),
        days=np.concatenate((block.days, other.days[rows])),
        minutes=block.minutes,
        versions=np.concatenate((block.versions, other.versions[rows])),
        values={
            channel: np.concatenate((block.channel(channel), other.channel(channel)[rows]))
            for channel in sorted({*block.values, *other.values})
        },
        quality=np.concatenate((block.quality, other.quality[rows])),
        validated=np.concatenate((block.validated, other.validated[rows])),
    )


def midnight_s(day: int) -> int:
    """
    Return the start of an IST day number [s since the epoch].

    >>> midnight_s(1)
    66600
    """
    return day * SECONDS_PER_DAY - IST_OFFSET_S
