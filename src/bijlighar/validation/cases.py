"""Meter-days to be judged, and what is known beside them: pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bijlighar.readings.model import (
    ABSENT,
    ENERGY_CHANNELS,
    IST_OFFSET_S,
    SECONDS_PER_DAY,
    DayBlock,
    Flags,
    Integers,
)

#: How far registers may lie apart that are asked for the sum of what is missing between them [days].
REGISTER_REACH_DAYS = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Hangings:
    """
    Who hung when, by meter: half-open spans [s since the epoch].

    load_w: the sanctioned load as the meter measures it (divided by its multiplier) [W], where it is known.
    ratios: the multipliers that are not 1; categories: of the accounts; one_phase: the meters of a single phase.
    exchanges: by meter and IST day, which other meter came or went and whether this one is the new one.
    moved: the IST days on which a meter was hung or taken down.
    """

    spans: Mapping[str, tuple[tuple[int, int], ...]]
    communicating: frozenset[str]
    minutes: Mapping[str, int]
    load_w: Mapping[str, int]
    ratios: Mapping[str, int] = field(default_factory=dict)
    categories: Mapping[str, str] = field(default_factory=dict)
    one_phase: frozenset[str] = frozenset()
    exchanges: Mapping[tuple[str, int], tuple[str, bool]] = field(default_factory=dict)
    moved: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def hung_on(self, meter: str, day: int) -> bool:
        """Return whether the meter hung at any time of an IST day."""
        start = midnight_s(day)
        return any(low < start + SECONDS_PER_DAY and high > start for low, high in self.spans.get(meter, ()))


class Registers:
    """Import and export registers at IST midnights [Wh], by meter and day; `ABSENT` where they are not known."""

    def __init__(self, values: Mapping[tuple[str, int], tuple[int, int]]) -> None:
        """Hold the registers of (meter, day) keys."""
        self.values = values
        self._days: dict[str, list[int]] = {}
        for (meter, day), (imported, _) in values.items():
            if imported != ABSENT:
                self._days.setdefault(meter, []).append(day)
        for days in self._days.values():
            days.sort()

    def joined(self, others: "Registers") -> "Registers":
        """Return these registers and others."""
        return Registers({**self.values, **others.values})

    def at(self, *, meters: Sequence[str], days: Sequence[int], channel: str) -> Integers:
        """Return the register of each meter at the first midnight of its day."""
        place = ENERGY_CHANNELS.index(channel)
        unknown = (ABSENT, ABSENT)
        found = [self.values.get(key, unknown)[place] for key in zip(meters, days, strict=True)]
        return np.array(found, dtype=np.int64)

    def around(self, meter: str, day: int) -> tuple[int, int] | None:
        """Return the days of the nearest registers before and after a day, None if they are not both near."""
        known = self._days.get(meter, [])
        before, after = bisect_right(known, day) - 1, bisect_left(known, day + 1)
        if before < 0 or after == len(known) or known[after] - known[before] > REGISTER_REACH_DAYS:
            return None
        return known[before], known[after]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """
    The measured past of the meters in question: (meters, days, intervals) from `first_day`, by channel of energy.

    elsewhere: what rows of the other interval length hold on a day [Wh]; registers: (meters, days + 1).
    """

    meters: tuple[str, ...]
    first_day: int
    known: Mapping[str, Integers]
    elsewhere: Mapping[str, Integers]
    registers: Mapping[str, Integers]


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
