"""One meter's load over some days: what it measured, what stands, why, and what was found."""

from collections.abc import Sequence
from datetime import date, datetime

import numpy as np
from sqlalchemy import Connection

from bijlighar.base.period import Period, date_of, day_number, epoch_seconds
from bijlighar.base.words import Words
from bijlighar.readings import queries as readings
from bijlighar.readings.model import (
    ABSENT,
    ENERGY_CHANNELS,
    SECONDS_PER_DAY,
    DayBlock,
    Flags,
    Integers,
    Midnights,
    Qualities,
    Quality,
    interval_start,
    intervals_per_day,
)
from bijlighar.readings.rules import one_length_a_day
from bijlighar.registry.model import Installation
from bijlighar.validation import store
from bijlighar.validation.errors import UnusableRange
from bijlighar.validation.model import DayLoad, MeterLoad, ValidationFinding
from bijlighar.validation.reasons import BY_HAND, method
from bijlighar.validation.report import joined_gaps, of_delivery

#: More days of a meter are not given at once.
LOAD_DAYS_MAX = 62
#: The end of a hanging without an end [s since the epoch].
FOREVER_S = 2**52

_Spans = tuple[tuple[int, int], ...]
_Row = tuple[DayBlock, int]


def check_days(*, first: date, last: date) -> None:
    """
    Check that `first` to `last` is a range of days whose load can be given.

    :raises UnusableRange: if it is empty or too long.
    """
    if last < first:
        raise UnusableRange(f"{first} to {last} is no range of days; give the earlier day first")
    if (last - first).days >= LOAD_DAYS_MAX:
        raise UnusableRange(f"{first} to {last} is longer than {LOAD_DAYS_MAX} days; ask for less")


def meter_load(
    connection: Connection,
    *,
    meter: str,
    hung: Sequence[Installation],
    is_whole: bool,
    first: date,
    last: date,
    now: datetime,
) -> MeterLoad:
    """
    Return the load of a meter on the IST days `first` to `last`, up to `now`.

    What lies outside of where it `hung` is left out, unless the `is_whole` of it may be seen.

    :raises UnusableRange: if it is no range of days.
    """
    check_days(first=first, last=last)
    begin, end = day_number(first), day_number(last)
    standing = _by_day(
        readings.days(connection, meters=[meter], first=begin, last=end, channels=ENERGY_CHANNELS)
    )
    raw = _by_day(
        readings.raw_days(connection, meters=[meter], first=begin, last=end, channels=ENERGY_CHANNELS)
    )
    registers = readings.midnight_registers(connection, meters=[meter], first=begin, last=end + 1)
    found = _findings(connection, meter=meter, first=begin, last=end)
    spans = tuple((epoch_seconds(each.from_at), _end_s(each)) for each in hung)
    days = []
    for number in range(begin, end + 1):
        rows = (standing[number], raw[number]) if number in standing and number in raw else None
        minutes = rows[0][0].minutes if rows else _minutes(hung, number)
        if minutes is None:
            continue
        days.append(
            _day(
                number,
                minutes=minutes,
                rows=rows,
                spans=spans,
                is_whole=is_whole,
                now_s=epoch_seconds(now),
                registers=(_register(registers, number), _register(registers, number + 1)),
                found=found,
            )
        )
    return MeterLoad(
        days=tuple(day for day in days if day.shown.any()),
        findings=joined_gaps(each for each in found if is_whole or _overlaps(each, spans)),
    )


def _by_day(blocks: Sequence[DayBlock]) -> dict[int, _Row]:
    return {
        int(day): (block, row) for block in one_length_a_day(blocks) for row, day in enumerate(block.days)
    }


def _findings(connection: Connection, *, meter: str, first: int, last: int) -> list[ValidationFinding]:
    delivered = readings.findings(
        connection, period=Period.of_local_days(date_of(first), date_of(last)), meters=[meter]
    )
    own = store.select_findings_of(connection, meters=[meter], first=first, last=last)
    return [*own, *(of_delivery(finding) for finding in delivered)]


def _minutes(hung: Sequence[Installation], number: int) -> int | None:
    """Return the interval length that a meter has on a day of which nothing is stored, None if it did not hang."""
    start = interval_start(number, 0, 30)
    for each in hung:
        if epoch_seconds(each.from_at) < start + SECONDS_PER_DAY and _end_s(each) > start:
            return each.minutes
    return None


def _end_s(hanging: Installation) -> int:
    return FOREVER_S if hanging.to_at is None else epoch_seconds(hanging.to_at)


def _register(registers: Midnights, number: int) -> int | None:
    value = int(registers.wh_import[0, number - registers.first_day])
    return None if value == ABSENT else value


def _overlaps(finding: ValidationFinding, spans: _Spans) -> bool:
    start, end = epoch_seconds(finding.start), epoch_seconds(finding.end)
    return any(start < high and max(end, start + 1) > low for low, high in spans)


def _day(
    number: int,
    *,
    minutes: int,
    rows: tuple[_Row, _Row] | None,
    spans: _Spans,
    is_whole: bool,
    now_s: int,
    registers: tuple[int | None, int | None],
    found: Sequence[ValidationFinding],
) -> DayLoad:
    stored, raw = rows or (None, None)
    count = intervals_per_day(minutes)
    midnight = interval_start(number, 0, minutes)
    starts = midnight + np.arange(count, dtype=np.int64) * minutes * 60
    hung: Flags = np.zeros(count, dtype=np.bool_)
    for low, high in spans:
        hung |= (starts >= low) & (starts < high)

    def values(row: _Row | None, channel: str) -> Integers:
        given = np.full(count, ABSENT, dtype=np.int64) if row is None else row[0].channel(channel)[row[1]]
        return given if is_whole else np.where(hung, given, ABSENT)

    energy, raw_energy = values(stored, "wh_import"), values(raw, "wh_import")
    known = (energy != ABSENT) | (raw_energy != ABSENT)
    quality = np.full(count, Quality.ABSENT, dtype=np.uint8)
    if stored is not None:
        quality = np.where(known, stored[0].quality[stored[1]], np.uint8(Quality.ABSENT))
    in_sight = [
        value if is_whole or any(low <= at <= high for low, high in spans) else None
        for value, at in zip(registers, (midnight, midnight + SECONDS_PER_DAY), strict=True)
    ]
    return DayLoad(
        day=date_of(number),
        minutes=minutes,
        version=0 if stored is None else int(stored[0].versions[stored[1]]),
        starts=starts,
        shown=known | (hung & (starts + minutes * 60 <= now_s)),
        raw_wh=raw_energy,
        wh=energy,
        raw_export_wh=values(raw, "wh_export"),
        export_wh=values(stored, "wh_export"),
        quality=quality,
        methods=_methods(quality, starts=starts, found=found),
        opening_wh=in_sight[0],
        closing_wh=in_sight[1],
    )


def _methods(
    quality: Qualities, *, starts: Integers, found: Sequence[ValidationFinding]
) -> tuple[Words | None, ...]:
    told: list[Words | None] = [BY_HAND if each == Quality.EDITED else None for each in quality.tolist()]
    for finding in found:
        words = method(finding)
        if words is None:
            continue
        inside = (starts >= epoch_seconds(finding.start)) & (starts < epoch_seconds(finding.end))
        for place in np.flatnonzero(inside & (quality == Quality.ESTIMATED)).tolist():
            told[place] = words
    return tuple(told)
