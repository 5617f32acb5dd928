"""
NEM12, the interval files of the Australian market (MDFF specification): pure parsing and writing.

A file is a header (100), blocks of one register each (200), their days (300), the quality of parts of a day (400),
service orders (500) and an end (900). Interval 1 begins at midnight of the market's time, UTC+10 all year round; a
value is the energy of its interval. The quality is kept as it stands: A actual, E forward estimate, S substitute,
F final substitute (with the method's number), N no value.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from bijlighar.readings.errors import BrokenFile, UnsupportedFormat
from bijlighar.readings.model import MINUTES_PER_DAY

LINES_MAX = 2_000_000
#: How many lines a day's record may be broken into; some senders break long lines.
CONTINUATIONS_MAX = 100
INTERVAL_MINUTES = (5, 10, 15, 30)
#: Beyond this no interval of any register goes, in its own unit.
VALUE_MAX = 10**9
VARIABLE = "V"
NO_VALUE = "N"
UNITS = ("wh", "kwh", "mwh", "varh", "kvarh", "mvarh", "vah", "kvah", "v", "a", "pf", "")
_METHOD = re.compile(r"A|N|[ESF]\d{2}")
_RECORDS = ("100", "200", "300", "400", "500", "550", "900")
_WIDTH_OF_BLOCK = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Intervals `first` to `last` of a day, counted from 1, of one quality and reason."""

    first: int
    last: int
    quality: str
    reason_code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day of a register, in its unit; the stretches cover it whole. `line` is that of the file."""

    day: date
    values: tuple[Decimal, ...]
    stretches: tuple[Stretch, ...]
    stamps: tuple[str, str] = ("", "")
    orders: tuple[tuple[str, ...], ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """The days of one register of a connection point (NMI); `suffix` says what it counts (E1 drawn, B1 fed in)."""

    nmi: str
    configuration: str
    register: str
    suffix: str
    stream: str
    serial: str
    unit: str
    minutes: int
    next_read: str = ""
    days: tuple[Day, ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Nem12File:
    """A whole file."""

    created: str
    sender: str
    receiver: str
    registers: tuple[Register, ...]
    lines: int


def parse(text: str) -> Nem12File:
    """
    Return what a NEM12 file says.

    :raises BrokenFile: with line and reason, if it is torn or wrong in any place.
    :raises UnsupportedFormat: if it is a NEM13 file, of registers that were read by hand.
    """
    records = _records(text)
    line, header = next(records, (1, []))
    if not header:
        _refuse(line, "the file is empty; a NEM12 file begins with the record 100")
    if header[0] != "100":
        _refuse(line, f"the file begins with {header[0][:20]!r} instead of the record 100")
    kind = _cell(header, 1).upper()
    if kind == "NEM13":
        raise UnsupportedFormat(
            f"line {line}: NEM13 files (registers read by hand) are not supported; bring the registers as CSV"
        )
    if kind != "NEM12":
        _refuse(line, f"the header names the format {kind!r} instead of NEM12")
    registers = _Registers()
    ended = 0
    for number, cells in records:
        if ended:
            _refuse(number, f"a record {cells[0][:20]!r} follows the end (900) on line {ended}")
        if cells[0] == "900":
            ended = number
            continue
        registers.take(number, cells)
        line = number
    if not ended:
        _refuse(line, "the end of the file (900) is missing; it is torn")
    return Nem12File(
        created=_cell(header, 2),
        sender=_cell(header, 3),
        receiver=_cell(header, 4),
        registers=registers.whole(ended),
        lines=ended,
    )


def write(file: Nem12File) -> str:
    """Return the text of a file; reading it again gives the same file but for its numbers of lines."""
    lines = [f"100,NEM12,{file.created},{file.sender},{file.receiver}"]
    for block in file.registers:
        named = (block.nmi, block.configuration, block.register, block.suffix, block.stream, block.serial)
        lines.append(",".join(("200", *named, block.unit, str(block.minutes), block.next_read)))
        for day in block.days:
            whole = len(day.stretches) == 1
            first = day.stretches[0]
            quality = (first.quality, first.reason_code, first.reason) if whole else (VARIABLE, "", "")
            values = (f"{value:f}" for value in day.values)
            lines.append(",".join(("300", f"{day.day:%Y%m%d}", *values, *quality, *day.stamps)))
            if not whole:
                for part in day.stretches:
                    cells = (str(part.first), str(part.last), part.quality, part.reason_code, part.reason)
                    lines.append(",".join(("400", *cells)))
            lines.extend(",".join(("500", *order)) for order in day.orders)
    return "\r\n".join([*lines, "900", ""])


class _Registers:
    """The registers of a file as they come."""

    def __init__(self) -> None:
        self._blocks: list[Register] = []
        self._days: list[list[Day]] = []
        self._parts: list[Stretch] = []
        self._variable = False
        self._seen: dict[tuple[str, str, str, int, date], int] = {}

    def take(self, line: int, cells: Sequence[str]) -> None:
        """Take the next record."""
        kind = cells[0]
        if kind != "400":
            self._close_day()
        if kind == "200":
            self._close_block(line)
            self._blocks.append(_register(line, cells))
            self._days.append([])
        elif kind == "300":
            if not self._blocks:
                _refuse(line, "a day (300) stands before any register (200)")
            day, self._variable = _day(line, cells, self._blocks[-1])
            self._not_twice(line, day)
            self._days[-1].append(day)
        elif kind == "400":
            self._part(line, cells)
        elif kind == "500":
            if not (self._days and self._days[-1]):
                _refuse(line, "a service order (500) stands before any day (300)")
            day = self._days[-1][-1]
            self._days[-1][-1] = replace(day, orders=(*day.orders, tuple(cells[1:])))
        else:
            _refuse(line, f"a record {kind[:20]!r} does not belong into a NEM12 file")

    def whole(self, line: int) -> tuple[Register, ...]:
        """Return the registers when the file is at its end."""
        self._close_day()
        self._close_block(line)
        if not self._blocks:
            _refuse(line, "the file holds no register (200) and so no value")
        return tuple(
            replace(block, days=tuple(days)) for block, days in zip(self._blocks, self._days, strict=True)
        )

    def _part(self, line: int, cells: Sequence[str]) -> None:
        if not (self._days and self._days[-1]) or not self._variable:
            _refuse(line, "a part of a day (400) does not follow a day (300) of variable quality (V)")
        day = self._days[-1][-1]
        after = self._parts[-1].last if self._parts else 0
        try:
            first, last = int(_cell(cells, 1)), int(_cell(cells, 2))
        except ValueError:
            _refuse(line, f"{','.join(cells[1:3])!r} are no intervals")
        if first != after + 1 or not first <= last <= len(day.values):
            _refuse(
                line,
                f"intervals {first} to {last} do not go on after interval {after} of the day's {len(day.values)}",
            )
        self._parts.append(
            Stretch(
                first=first,
                last=last,
                quality=_quality(line, _cell(cells, 3)),
                reason_code=_cell(cells, 4),
                reason=_cell(cells, 5),
            )
        )

    def _close_day(self) -> None:
        if not self._variable:
            return
        day = self._days[-1][-1]
        reached = self._parts[-1].last if self._parts else 0
        if reached != len(day.values):
            _refuse(
                day.line,
                f"the day is of variable quality (V), but its parts (400) tell only {reached} "
                f"of its {len(day.values)} intervals",
            )
        self._days[-1][-1] = replace(day, stretches=tuple(self._parts))
        self._parts, self._variable = [], False

    def _close_block(self, line: int) -> None:
        if self._blocks and not self._days[-1]:
            _refuse(line, f"the register of line {self._blocks[-1].line} has no day (300)")

    def _not_twice(self, line: int, day: Day) -> None:
        block = self._blocks[-1]
        key = (block.nmi, block.serial, block.suffix, block.minutes, day.day)
        earlier = self._seen.setdefault(key, line)
        if earlier != line:
            _refuse(line, f"the day {day.day} of this register stands already on line {earlier}")


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line and cells of each record; a day broken over lines is put together again."""
    lines = text.removeprefix("\ufeff").splitlines()
    if len(lines) > LINES_MAX:
        _refuse(LINES_MAX, f"a file may have {LINES_MAX} lines; divide it")
    if lines and not lines[0].strip():
        _refuse(1, "the first line is empty; a NEM12 file begins with the record 100")
    place = 0
    while place < len(lines):
        number, line = place + 1, lines[place]
        place += 1
        if not line.strip(" ,\x1a"):
            continue
        if line.startswith("300,"):
            for _ in range(CONTINUATIONS_MAX):
                if place == len(lines) or lines[place].split(",", 1)[0].strip() in (*_RECORDS, ""):
                    break
                line += lines[place]
                place += 1
        yield number, [cell.strip() for cell in line.split(",")]


def _register(line: int, cells: Sequence[str]) -> Register:
    if len(cells) < _WIDTH_OF_BLOCK:
        _refuse(line, f"{len(cells)} cells where at least {_WIDTH_OF_BLOCK} belong")
    named = cells[1:8]
    if not named[0] or not named[3]:
        _refuse(line, "the register names no connection point (NMI) or no suffix")
    if named[6].lower() not in UNITS:
        _refuse(line, f"the unit {named[6]!r} is not known")
    if cells[8] not in {str(minutes) for minutes in INTERVAL_MINUTES}:
        _refuse(line, f"intervals of {cells[8]!r} minutes are not known; 5, 10, 15 and 30 are")
    nmi, configuration, register, suffix, stream, serial, unit = named
    return Register(
        nmi=nmi,
        configuration=configuration,
        register=register,
        suffix=suffix.upper(),
        stream=stream,
        serial=serial,
        unit=unit,
        minutes=int(cells[8]),
        next_read=_cell(cells, 9),
        line=line,
    )


def _day(line: int, cells: Sequence[str], block: Register) -> tuple[Day, bool]:
    """Return a day of a register and whether its quality is told by the records that follow."""
    count = MINUTES_PER_DAY // block.minutes
    if len(cells) < count + 3:
        _refuse(line, f"the day has {len(cells)} cells; {count} values and their quality belong there")
    try:
        day = date(int(cells[1][:4]), int(cells[1][4:6]), int(cells[1][6:8]))
    except ValueError:
        _refuse(line, f"{cells[1]!r} is no date")
    if len(cells[1]) != 8:
        _refuse(line, f"{cells[1]!r} is no date of eight digits")
    values = tuple(_value(line, place, cell) for place, cell in enumerate(cells[2 : count + 2], start=1))
    told = cells[count + 2]
    variable = told == VARIABLE
    quality = NO_VALUE if variable else _quality(line, told)
    stretch = Stretch(
        first=1,
        last=count,
        quality=quality,
        reason_code=_cell(cells, count + 3),
        reason=_cell(cells, count + 4),
    )
    stamps = (_cell(cells, count + 5), _cell(cells, count + 6))
    return Day(day=day, values=values, stretches=(stretch,), stamps=stamps, line=line), variable


def _value(line: int, place: int, cell: str) -> Decimal:
    try:
        value = Decimal(cell)
    except InvalidOperation:
        _refuse(line, f"value {place} is {cell!r}, which is no number; is the length of the intervals right?")
    if not value.is_finite() or abs(value) > VALUE_MAX:
        _refuse(line, f"value {place} is {cell}, beyond what any meter counts")
    return value


def _quality(line: int, told: str) -> str:
    if not _METHOD.fullmatch(told):
        _refuse(line, f"{told!r} is no quality where one belongs; is the length of the intervals right?")
    return told


def _cell(cells: Sequence[str], place: int) -> str:
    return cells[place] if place < len(cells) else ""


def _refuse(line: int, reason: str) -> NoReturn:
    raise BrokenFile(f"line {line}: {reason}")
