"""
The CSV files of readings: pure parsing, with the line of whatever is wrong.

Two kinds are told apart by their first line: intervals (`meter,start,minutes,wh_import` and further channels) and
registers (`meter,time,wh_import_register` and further registers). Times carry an offset; whether an interval's time
is its start or its end is told by the caller.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Literal

import numpy as np

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import local_date, local_midnight, parse_moment
from bijlighar.readings.arrange import DAY_MAX, DAY_MIN
from bijlighar.readings.errors import BrokenFile
from bijlighar.readings.model import (
    ABSENT,
    INTERVAL_MINUTES,
    IST_OFFSET_S,
    SECONDS_PER_DAY,
    Delivery,
    Finding,
    Origin,
    RegisterKind,
    RegisterSnapshot,
)

Stamp = Literal["start", "end"]
LINES_MAX = 20_000_000
METER_LENGTH_MAX = 32
#: Beyond this no register and no interval of any meter goes [Wh].
VALUE_MAX = 10**12
INTERVAL_COLUMNS = ("meter", "start", "minutes", "wh_import")
INTERVAL_EXTRAS = ("vah_import", "wh_export", "volt", "amp")
REGISTER_COLUMNS = ("meter", "time", "wh_import_register")
REGISTER_EXTRAS = ("wh_export_register", "kind")
_HUNDREDTHS = ("volt", "amp")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFile:
    """
    What a file says: deliveries or snapshots, the first line of each meter, how many values were rounded.

    `flags` tell how good the sender calls its values; `left_out` names what the file holds and is not stored.
    """

    lines: int
    deliveries: tuple[Delivery, ...] = ()
    snapshots: tuple[RegisterSnapshot, ...] = ()
    first_lines: dict[str, int] = field(default_factory=dict)
    rounded: int = 0
    flags: tuple[Finding, ...] = ()
    left_out: tuple[str, ...] = ()


def parse(text: str, *, stamp: Stamp) -> ParsedFile:
    """
    Return what a file says.

    :raises BrokenFile: with line and reason, if it is torn or wrong in any place.
    """
    rows = _rows(text)
    try:
        number, header = next(rows)
    except StopIteration:
        raise BrokenFile("line 1: the file is empty; it begins with a line of column names") from None
    header = [name.strip() for name in header]
    if set(INTERVAL_COLUMNS) <= set(header):
        _check_header(number, header, (*INTERVAL_COLUMNS, *INTERVAL_EXTRAS))
        return _intervals(rows, header, stamp)
    if set(REGISTER_COLUMNS) <= set(header):
        _check_header(number, header, (*REGISTER_COLUMNS, *REGISTER_EXTRAS))
        return _registers(rows, header)
    raise BrokenFile(
        f"line {number}: the columns are neither {','.join(INTERVAL_COLUMNS)}[,{','.join(INTERVAL_EXTRAS)}] "
        f"nor {','.join(REGISTER_COLUMNS)}[,{','.join(REGISTER_EXTRAS)}]"
    )


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of each line that is not empty."""
    lines = text.removeprefix("\ufeff").split("\n")
    reader = csv.reader(lines, strict=True)
    try:
        for cells in reader:
            if reader.line_num > LINES_MAX:
                raise BrokenFile(f"line {reader.line_num}: a file may have {LINES_MAX} lines; divide it")
            if cells and cells != [""]:
                yield reader.line_num, cells
    except csv.Error as problem:
        raise BrokenFile(f"line {reader.line_num}: {problem}; the file is torn or no CSV") from None


def _check_header(number: int, header: Sequence[str], allowed: Sequence[str]) -> None:
    for name in header:
        if name not in allowed:
            raise BrokenFile(f"line {number}: unknown column {name!r}; known are {', '.join(allowed)}")
        if header.count(name) > 1:
            raise BrokenFile(f"line {number}: the column {name!r} stands there twice")


class _Meter:
    """The rows of one meter and one interval length, as they come."""

    __slots__ = ("starts", "values")

    def __init__(self, channels: Sequence[str]) -> None:
        self.starts: list[int] = []
        self.values: tuple[list[int], ...] = tuple([] for _ in channels)


def _intervals(rows: Iterator[tuple[int, list[str]]], header: Sequence[str], stamp: Stamp) -> ParsedFile:
    places = {name: place for place, name in enumerate(header)}
    channels = [name for name in header if name not in ("meter", "start", "minutes")]
    readers = [(places[name], name, _reader(name)) for name in channels]
    meters: dict[tuple[str, int], _Meter] = {}
    first_lines: dict[str, int] = {}
    count = rounded = 0
    for number, cells in rows:
        _check_width(number, cells, header)
        serial = _serial(number, cells[places["meter"]])
        minutes = _minutes(number, cells[places["minutes"]])
        start = _start(number, cells[places["start"]], minutes, stamp)
        meter = meters.get((serial, minutes))
        if meter is None:
            meter = meters[serial, minutes] = _Meter(channels)
            first_lines.setdefault(serial, number)
        meter.starts.append(start)
        for values, (place, name, reader) in zip(meter.values, readers, strict=True):
            value, exact = reader(number, name, cells[place])
            values.append(value)
            rounded += not exact
        count += 1
    deliveries = tuple(
        Delivery(
            meter=serial,
            minutes=minutes,
            starts=np.array(meter.starts, dtype=np.int64),
            values={
                name: np.array(values, dtype=np.int64)
                for name, values in zip(channels, meter.values, strict=True)
            },
            origin=Origin.IMPORT,
        )
        for (serial, minutes), meter in meters.items()
    )
    return ParsedFile(lines=count, deliveries=deliveries, first_lines=first_lines, rounded=rounded)


def _registers(rows: Iterator[tuple[int, list[str]]], header: Sequence[str]) -> ParsedFile:
    places = {name: place for place, name in enumerate(header)}
    snapshots: list[RegisterSnapshot] = []
    first_lines: dict[str, int] = {}
    rounded = 0
    for number, cells in rows:
        _check_width(number, cells, header)
        serial = _serial(number, cells[places["meter"]])
        first_lines.setdefault(serial, number)
        at = _moment(number, cells[places["time"]])
        registers: dict[str, int | None] = {"wh_import_register": None, "wh_export_register": None}
        for name in registers:
            if name in places:
                value, exact = _energy(number, name, cells[places[name]])
                if value != ABSENT and value < 0:
                    raise BrokenFile(f"line {number}: {name} is {value}; a register is never negative")
                registers[name] = None if value == ABSENT else value
                rounded += not exact
        if all(value is None for value in registers.values()):
            raise BrokenFile(f"line {number}: the line holds no register")
        snapshots.append(
            RegisterSnapshot(
                meter=serial,
                at=at,
                kind=_kind(number, cells[places["kind"]] if "kind" in places else "", at),
                wh_import=registers["wh_import_register"],
                wh_export=registers["wh_export_register"],
                origin=Origin.HAND,
            )
        )
    return ParsedFile(
        lines=len(snapshots), snapshots=tuple(snapshots), first_lines=first_lines, rounded=rounded
    )


def _check_width(number: int, cells: Sequence[str], header: Sequence[str]) -> None:
    if len(cells) != len(header):
        raise BrokenFile(
            f"line {number}: {len(cells)} cells where {len(header)} belong; the file is torn or a comma is missing"
        )


def _serial(number: int, cell: str) -> str:
    serial = cell.strip()
    if not 0 < len(serial) <= METER_LENGTH_MAX:
        raise BrokenFile(f"line {number}: {cell!r} is no serial number of a meter")
    return serial


def _minutes(number: int, cell: str) -> int:
    for minutes in INTERVAL_MINUTES:
        if cell.strip() == str(minutes):
            return minutes
    raise BrokenFile(f"line {number}: intervals of {cell!r} minutes cannot be stored; 15 or 30 can")


def _moment(number: int, cell: str) -> datetime:
    try:
        moment = parse_moment(cell.strip())
        day = int(moment.timestamp()) // SECONDS_PER_DAY
    except (InvalidValue, OverflowError) as problem:
        raise BrokenFile(f"line {number}: {problem}") from None
    if not DAY_MIN < day < DAY_MAX:
        raise BrokenFile(f"line {number}: {cell!r} is beyond the calendar of any meter")
    return moment


def _start(number: int, cell: str, minutes: int, stamp: Stamp) -> int:
    seconds = int(_moment(number, cell).timestamp())
    if (seconds + IST_OFFSET_S) % (minutes * 60):
        raise BrokenFile(f"line {number}: {cell!r} is not on the grid of {minutes} minutes")
    return seconds - minutes * 60 if stamp == "end" else seconds


def _kind(number: int, cell: str, at: datetime) -> RegisterKind:
    """Return the occasion of a register; where the file is silent, midnight means the daily one."""
    if not cell.strip():
        return RegisterKind.DAILY if local_midnight(local_date(at)) == at else RegisterKind.HAND
    try:
        return RegisterKind(cell.strip())
    except ValueError:
        known = ", ".join(RegisterKind)
        raise BrokenFile(f"line {number}: {cell!r} is no kind of register; known are {known}") from None


def _reader(name: str) -> Callable[[int, str, str], tuple[int, bool]]:
    return _hundredths if name in _HUNDREDTHS else _energy


def _energy(number: int, name: str, cell: str) -> tuple[int, bool]:
    """Return the whole Wh of a cell, half up, and whether it was exact; an empty cell is absent."""
    try:
        value, exact = int(cell), True
    except ValueError:
        if not cell.strip():
            return ABSENT, True
        written = _decimal(number, name, cell)
        value = int(written.quantize(Decimal(1), rounding=ROUND_HALF_UP))
        exact = value == written
    if abs(value) > VALUE_MAX:
        raise BrokenFile(f"line {number}: {name} is {cell.strip()}, beyond what any meter counts")
    return value, exact


def _hundredths(number: int, name: str, cell: str) -> tuple[int, bool]:
    """Return the hundredths of a volt or an ampere of a cell, half up; it is measured, so rounding is not told."""
    if not cell.strip():
        return ABSENT, True
    return int((_decimal(number, name, cell) * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP)), True


def _decimal(number: int, name: str, cell: str) -> Decimal:
    try:
        value = Decimal(cell.strip())
    except InvalidOperation:
        raise BrokenFile(f"line {number}: {name} is {cell!r}, which is no number") from None
    if not value.is_finite() or abs(value) > VALUE_MAX:
        raise BrokenFile(f"line {number}: {name} is {cell.strip()}, beyond what any meter counts")
    return value
