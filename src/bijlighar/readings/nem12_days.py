"""
From the registers of a NEM12 file to what is stored: pure.

Consumption (suffix E…) is `wh_import`, feed-in (B…) `wh_export`, voltage (V…) `volt`; other registers are left out
and named. Registers of one direction that come to one meter are added. Intervals of 5 (10) minutes become quarters
(halves) of an hour, of which a part without value makes the whole absent. What the sender does not call actual is a
flag.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import numpy as np

from bijlighar.base.period import day_number, moment_of
from bijlighar.readings.errors import BrokenFile
from bijlighar.readings.model import ABSENT, SECONDS_PER_DAY, Delivery, Finding, FindingKind, Origin
from bijlighar.readings.nem12_file import NO_VALUE, Day, Nem12File, Register, Stretch
from bijlighar.readings.readings_file import METER_LENGTH_MAX, ParsedFile

#: The market's time is UTC+10 all year round [s].
MARKET_OFFSET_S = 36_000
CHANNEL_OF = {"E": "wh_import", "B": "wh_export", "V": "volt"}
#: How many Wh (hundredths of a volt) a unit has; a register of voltage may leave its unit out.
SCALE = {
    "wh_import": {"wh": 1, "kwh": 1_000, "mwh": 1_000_000},
    "wh_export": {"wh": 1, "kwh": 1_000, "mwh": 1_000_000},
    "volt": {"v": 100, "": 100},
}
ACTUAL = "A"
_Series = dict[int, Decimal | None]


def stored_form(file: Nem12File, *, known: Collection[str]) -> ParsedFile:
    """
    Return the deliveries of a file, for the meters whose serial numbers are `known`.

    :raises BrokenFile: with its line, if a register belongs to no known meter.
    """
    series: dict[tuple[str, int], dict[str, _Series]] = defaultdict(dict)
    flags: dict[tuple[str, str, int, int, int], list[dict[str, str]]] = defaultdict(list)
    first_lines: dict[str, int] = {}
    left_out: dict[str, int] = defaultdict(int)
    lines = 0
    for block in file.registers:
        channel = CHANNEL_OF.get(block.suffix[:1], "")
        scale = SCALE.get(channel, {}).get(block.unit.lower())
        if scale is None:
            left_out[f"{block.suffix} [{block.unit}]"] += len(block.days)
            continue
        meter = _meter(block, known)
        first_lines.setdefault(meter, block.line)
        minutes, parts = (
            (15, 3) if block.minutes == 5 else (30, 3) if block.minutes == 10 else (block.minutes, 1)
        )
        own = series[meter, minutes].setdefault(channel, {})
        for day in block.days:
            lines += 1
            _add(own, _values(day, block.minutes, scale, parts, mean=channel == "volt"))
            for start, end, part in _flagged(day, block.minutes):
                key = (meter, channel, start, end, part.last - part.first + 1)
                flags[key].append(
                    {
                        "nmi": block.nmi,
                        "suffix": block.suffix,
                        "quality": part.quality,
                        "reason_code": part.reason_code,
                        "reason": part.reason,
                    }
                )
    deliveries, rounded = [], 0
    for (meter, minutes), channels in series.items():
        delivery, inexact = _delivery(meter, minutes, channels)
        deliveries.append(delivery)
        rounded += inexact
    return ParsedFile(
        lines=lines,
        deliveries=tuple(deliveries),
        first_lines=first_lines,
        rounded=rounded,
        flags=tuple(_finding(key, told) for key, told in flags.items()),
        left_out=tuple(
            f"{days} days of register {name} are not stored" for name, days in sorted(left_out.items())
        ),
    )


def _meter(block: Register, known: Collection[str]) -> str:
    names = [f"{name}-{block.suffix}" for name in (block.serial, block.nmi) if name]
    names += [name for name in (block.serial, block.nmi) if name]
    for name in names:
        if name in known and len(name) <= METER_LENGTH_MAX:
            return name
    raise BrokenFile(
        f"line {block.line}: no meter has one of the serial numbers {', '.join(names)}; "
        "import it first with `bijlighar registry import`"
    )


def _midnight_s(day: date) -> int:
    return day_number(day) * SECONDS_PER_DAY - MARKET_OFFSET_S


def _values(day: Day, minutes: int, scale: int, parts: int, *, mean: bool) -> _Series:
    """Return the values of a day by the start of their stored interval [s since the epoch]."""
    values: list[Decimal | None] = [value * scale for value in day.values]
    for part in day.stretches:
        if part.quality == NO_VALUE:
            values[part.first - 1 : part.last] = [None] * (part.last - part.first + 1)
    midnight = _midnight_s(day.day)
    series: _Series = {}
    for place in range(0, len(values), parts):
        some = values[place : place + parts]
        present = [value for value in some if value is not None]
        total = sum(present, Decimal(0)) / (parts if mean else 1)
        series[midnight + place * minutes * 60] = total if len(present) == parts else None
    return series


def _add(own: _Series, more: _Series) -> None:
    for start, value in more.items():
        if start not in own:
            own[start] = value
            continue
        before = own[start]
        own[start] = None if before is None or value is None else before + value


def _delivery(meter: str, minutes: int, channels: dict[str, _Series]) -> tuple[Delivery, int]:
    starts = sorted({start for own in channels.values() for start in own})
    inexact = 0
    values = {}
    for channel, own in channels.items():
        column = np.full(len(starts), ABSENT, dtype=np.int64)
        for place, start in enumerate(starts):
            value = own.get(start)
            if value is not None:
                whole = value.quantize(Decimal(1), rounding=ROUND_HALF_UP)
                column[place] = int(whole)
                inexact += channel != "volt" and whole != value
        values[channel] = column
    return (
        Delivery(
            meter=meter,
            minutes=minutes,
            starts=np.array(starts, dtype=np.int64),
            values=values,
            origin=Origin.IMPORT,
        ),
        inexact,
    )


def _flagged(day: Day, minutes: int) -> Iterator[tuple[int, int, Stretch]]:
    """Yield start and end [s since the epoch] of what is not called actual, or is explained."""
    midnight = _midnight_s(day.day)
    for part in day.stretches:
        if part.quality != ACTUAL or part.reason_code or part.reason:
            yield midnight + (part.first - 1) * minutes * 60, midnight + part.last * minutes * 60, part


def _finding(key: tuple[str, str, int, int, int], told: list[dict[str, str]]) -> Finding:
    meter, channel, start, end, intervals = key
    return Finding(
        meter=meter,
        channel=channel,
        kind=FindingKind.FLAGGED,
        start=moment_of(start),
        end=moment_of(end),
        intervals=intervals,
        detail={"flags": told},
    )
