"""
Frozen values of the readings.

An interval is named by its start [s since the epoch, UTC]; a meter-day is the intervals that start on one IST day.
Energy is integer Wh (VAh), voltage and current are hundredths of a volt and of an ampere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bijlighar.base.words import Words
from bijlighar.readings.seals import SEAL_STATE_NAMES as SEAL_STATE_NAMES
from bijlighar.readings.seals import SEAL_STEPS as SEAL_STEPS
from bijlighar.readings.seals import SHUT as SHUT
from bijlighar.readings.seals import LateSum as LateSum
from bijlighar.readings.seals import MonthSeal as MonthSeal
from bijlighar.readings.seals import Removable as Removable
from bijlighar.readings.seals import SealCheck as SealCheck
from bijlighar.readings.seals import SealEvent as SealEvent
from bijlighar.readings.seals import SealOutlook as SealOutlook
from bijlighar.readings.seals import SealState as SealState

Integers = NDArray[np.int64]
Days = NDArray[np.int32]
Qualities = NDArray[np.uint8]
Flags = NDArray[np.bool_]

CHANNELS = ("wh_import", "vah_import", "wh_export", "volt", "amp")
#: The channels whose intervals may be estimated.
ENERGY_CHANNELS = ("wh_import", "wh_export")
#: What stands in an int64 array where there is no value.
ABSENT = int(np.iinfo(np.int64).min)
INTERVAL_MINUTES = (15, 30)
MINUTES_PER_DAY = 1_440
SECONDS_PER_DAY = 86_400
#: IST is five and a half hours before UTC all year round.
IST_OFFSET_S = 19_800


def intervals_per_day(minutes: int) -> int:
    """
    Return how many intervals of `minutes` [min] a day has.

    >>> intervals_per_day(30), intervals_per_day(15)
    (48, 96)
    """
    return MINUTES_PER_DAY // minutes


def interval_start(day: int, slot: int, minutes: int) -> int:
    """
    Return the start [s since the epoch] of an interval of an IST day number; slot 0 starts at midnight IST.

    >>> interval_start(0, 0, 30), interval_start(1, 3, 30)
    (-19800, 72000)
    """
    return day * SECONDS_PER_DAY - IST_OFFSET_S + slot * minutes * 60


def runs(marks: Flags) -> list[tuple[int, int]]:
    """
    Return the half-open runs of true in a row of flags.

    >>> runs(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    return [(begin, end) for _, begin, end in row_runs(marks[None])]


def row_runs(marks: Flags) -> list[tuple[int, int, int]]:
    """
    Return (row, begin, end) of the half-open runs of true in rows of flags.

    >>> row_runs(np.array([[False, True], [True, True]]))
    [(0, 1, 2), (1, 0, 2)]
    """
    padded = np.zeros((marks.shape[0], marks.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = marks
    steps = np.diff(padded, axis=1)
    rows, begins = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    return list(zip(rows.tolist(), begins.tolist(), ends.tolist(), strict=True))


class Origin(StrEnum):
    """Where a value comes from."""

    METER = "meter"
    IMPORT = "import"
    HAND = "hand"
    ESTIMATE = "estimate"


class Quality(IntEnum):
    """What is known about an interval's energy."""

    ABSENT = 0
    MEASURED = 1
    VALID = 2
    SUSPECT = 3
    ESTIMATED = 4
    EDITED = 5


QUALITY_NAMES: Mapping[Quality, Words] = MappingProxyType(
    {
        Quality.ABSENT: Words(hi="रीडिंग नहीं मिली", en="not read"),
        Quality.MEASURED: Words(hi="मापा गया, जाँच शेष", en="measured, not yet checked"),
        Quality.VALID: Words(hi="मान्य", en="valid"),
        Quality.SUSPECT: Words(hi="संदिग्ध", en="suspect"),
        Quality.ESTIMATED: Words(hi="आंकलित", en="estimated"),
        Quality.EDITED: Words(hi="हाथ से सुधारा गया", en="corrected by hand"),
    }
)


class EditKind(StrEnum):
    """What an edit does: give other values, take measured ones out, or let the meter's own word stand again."""

    SET = "set"
    TAKE_OUT = "take_out"
    RESTORE = "restore"


class RegisterKind(StrEnum):
    """On what occasion a register was read."""

    DAILY = "daily"
    BILLING = "billing"
    HAND = "hand"
    FINAL = "final"
    INITIAL = "initial"


class FindingKind(StrEnum):
    """What a delivery contained beside its values."""

    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out_of_order"
    UNREADABLE = "unreadable"
    CHANGED = "changed"
    FLAGGED = "flagged"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Delivery:
    """
    What one meter said in one go: rows in the order in which they came.

    `values` holds an int64 array as long as `starts` for each channel that was delivered, `ABSENT` where a row has
    no value. `unreadable` tells in words what could not be understood.
    """

    meter: str
    minutes: int
    starts: Integers
    values: Mapping[str, Integers]
    origin: Origin = Origin.METER
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DayBlock:
    """
    Many meter-days of one interval length; row i is day `days[i]` of `meters[i]` in its version `versions[i]`.

    `values` holds an int64 array (rows, intervals) for each channel that any row has; `wh_import` is always there.
    """

    meters: tuple[str, ...]
    days: Days
    minutes: int
    versions: Days
    values: Mapping[str, Integers]
    quality: Qualities
    validated: Flags

    @property
    def rows(self) -> int:
        """Return the number of meter-days."""
        return len(self.meters)

    @property
    def intervals(self) -> int:
        """Return the number of intervals of a day."""
        return MINUTES_PER_DAY // self.minutes

    def channel(self, name: str) -> Integers:
        """Return the values of a channel, all absent where no row has it."""
        found = self.values.get(name)
        return np.full(self.quality.shape, ABSENT, dtype=np.int64) if found is None else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The meter-days that changed after a sequence number, and the last number they reach to."""

    blocks: tuple[DayBlock, ...]
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSnapshot:
    """The registers of a meter at a moment [Wh, VAh, W], as the meter counts them (no multiplier)."""

    meter: str
    at: datetime
    kind: RegisterKind
    wh_import: int | None
    vah_import: int | None = None
    wh_export: int | None = None
    md_w: int | None = None
    origin: Origin = Origin.METER


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Midnights:
    """
    Registers of some meters at the midnights that begin a run of days, from `first_day`; arrays are (meters, days).

    `wh_import` and `wh_export` [Wh] are `ABSENT` where a register is not known.
    """

    meters: tuple[str, ...]
    first_day: int
    wh_import: Integers
    wh_export: Integers

    @property
    def days(self) -> int:
        """Return how many midnights there are."""
        return int(self.wh_import.shape[1])

    def channel(self, name: str) -> Integers:
        """Return the registers of a channel of energy."""
        return self.wh_import if name == "wh_import" else self.wh_export


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterEvent:
    """An event of a meter: IS 15959 `code` and family, pushed by the meter or read from its log."""

    meter: str
    code: int
    at: datetime
    family: str
    origin: str
    received_at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    What a delivery contained beside its values, over [start, end).

    `intervals` counts the rows (or lines) concerned; `equal` tells of a duplicate whether it said the same twice;
    `detail` keeps what the merged day does not show, such as the values that were displaced.
    """

    meter: str
    channel: str
    kind: FindingKind
    start: datetime
    end: datetime
    intervals: int
    equal: bool = True
    detail: Mapping[str, Any] = field(default_factory=dict)
    sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DayEdit:
    """
    An edit of the intervals `first` to before `last` of one meter-day, as it stood in its version `version`.

    `values` [Wh] are given where the kind is `SET`, one for each interval.
    """

    meter: str
    day: int
    minutes: int
    version: int
    kind: EditKind
    channel: str
    first: int
    last: int
    values: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendReport:
    """What a call of `append` changed; `intervals_late` were held apart, for their months are sealed."""

    days_written: int
    intervals_new: int
    intervals_changed: int
    findings: tuple[Finding, ...]
    intervals_late: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an imported file contained and changed; `left_out` names what it holds and is not stored."""

    lines: int
    meters: int
    days_written: int
    intervals_new: int
    intervals_changed: int
    registers_new: int
    rounded: int
    findings: tuple[Finding, ...]
    left_out: tuple[str, ...] = ()
    intervals_late: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DailyEnergy:
    """
    Energy of many meters over a run of days, from `first_day`; arrays are (meters, days).

    `wh_import` and `wh_export` [Wh] sum what is known, estimates included; `counts[:, :, q]` is how many intervals
    have `Quality` q; `expected` is how many a whole day of that meter has (0 where nothing was stored).
    """

    meters: tuple[str, ...]
    first_day: int
    wh_import: Integers
    wh_export: Integers
    counts: NDArray[np.uint16]
    expected: NDArray[np.uint16]
