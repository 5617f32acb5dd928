"""
COSEM date-time (12 octets) to aware UTC and back; the one place where the deviation's sign is settled.

The Blue Book (IEC 62056-6-2 clause 4.1.6.1) says UTC = local time + deviation, so IST is -330 minutes. Indian meters
are seen to send -330, +330 or 8000h (unspecified) and mean IST all the same: `treat_as_ist` reads all three as IST.
A deviation of 0 is UTC. The daylight-saving bit of the status octet shifts nothing.
"""

import struct
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bijlighar.dlms.errors import Malformed, Truncated

OCTETS = 12
ABSENT = int(np.iinfo(np.int64).min)
IST_OFFSET_S = 19_800
DEVIATION_MINUTES_MAX = 840

#: A time that is not defined: all FF, with the deviation unspecified.
UNDEFINED = bytes.fromhex("ffffffffffffffffff8000ff")

_LAYOUT = struct.Struct(">HBBBBBBBhB")
_IST = timezone(timedelta(seconds=IST_OFFSET_S))


class Deviation(IntEnum):
    """What stands in the deviation field of a time that we write [minutes]; the local time is IST, or UTC for UTC."""

    IST = -330
    IST_FLIPPED = 330
    UTC = 0
    UNSPECIFIED = -0x8000


#: As plain numbers: to look members of an enumeration up takes longer than the rest.
_UNSPECIFIED, _IST_MINUTES = int(Deviation.UNSPECIFIED), -int(Deviation.IST)
_AS_IST = (int(Deviation.IST), int(Deviation.IST_FLIPPED), _UNSPECIFIED)


def offset_minutes(deviation: int, *, treat_as_ist: bool) -> int:
    """
    Return how far the local time is ahead of UTC [minutes].

    >>> offset_minutes(330, treat_as_ist=True), offset_minutes(330, treat_as_ist=False)
    (330, -330)
    >>> offset_minutes(0, treat_as_ist=True), offset_minutes(-0x8000, treat_as_ist=False)
    (0, 330)
    """
    if deviation == _UNSPECIFIED or (treat_as_ist and deviation in _AS_IST):
        return _IST_MINUTES
    return -deviation


def decode(octets: bytes, *, treat_as_ist: bool = True) -> datetime | None:
    """
    Return the moment in UTC that a COSEM date-time names, or None if it is undefined (FF in date, hour or minute).

    >>> decode(bytes.fromhex("07ea0401ff001e00ff014a00")).isoformat()
    '2026-03-31T19:00:00+00:00'

    :raises Truncated: if there are not 12 octets.
    :raises Malformed: if there is no such day, time or deviation.
    """
    if len(octets) != OCTETS:
        raise Truncated(f"a COSEM time has {OCTETS} octets, not {len(octets)}")
    year, month, day, _, hour, minute, second, _, deviation, _ = _LAYOUT.unpack(octets)
    if year == 0xFFFF or month >= 0xFD or day >= 0xFD or hour == 0xFF or minute == 0xFF:
        return None
    offset = offset_minutes(deviation, treat_as_ist=treat_as_ist)
    if abs(offset) > DEVIATION_MINUTES_MAX:
        raise Malformed(f"a deviation of {deviation} minutes is not a time zone")
    try:
        local = datetime(year, month, day, hour, minute, 0 if second == 0xFF else second, tzinfo=UTC)
        return local - timedelta(minutes=offset)
    except (ValueError, OverflowError):
        raise Malformed(f"{octets.hex()} is not a time") from None


def encode(moment: datetime, *, deviation: Deviation = Deviation.IST, status: int = 0) -> bytes:
    """
    Return the COSEM date-time of an aware moment, in whole seconds.

    >>> encode(datetime(2026, 3, 31, 19, 0, tzinfo=UTC)).hex()
    '07ea040103001e0000feb600'
    """
    local = moment.astimezone(UTC if deviation == Deviation.UTC else _IST)
    return _LAYOUT.pack(
        local.year,
        local.month,
        local.day,
        local.isoweekday(),
        local.hour,
        local.minute,
        local.second,
        0,
        deviation,
        status,
    )


_DTYPE = np.dtype(
    [
        ("year", ">u2"),
        ("month", "u1"),
        ("day", "u1"),
        ("weekday", "u1"),
        ("hour", "u1"),
        ("minute", "u1"),
        ("second", "u1"),
        ("hundredth", "u1"),
        ("deviation", ">i2"),
        ("status", "u1"),
    ]
)
_FIRST_YEAR, _YEARS = 1970, 256


def _calendar_tables() -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return, for each month since January 1970, the epoch second it starts at and the number of its days."""
    months = np.arange(f"{_FIRST_YEAR}-01", f"{_FIRST_YEAR + _YEARS}-02", dtype="datetime64[M]")
    starts = months.astype("datetime64[s]").astype(np.int64)
    return starts[:-1], (np.diff(starts) // 86_400).astype(np.uint8)


_MONTH_STARTS, _MONTH_DAYS = _calendar_tables()


#: Up to so many times are looked at as one long integer, which costs less than numpy's calls do.
_FEW_ROWS = 192
#: Seconds of one day, (weekday,) hour, minute, second: octets 3 to 7 of a time.
_FIRST_FIELD = 3
_FIELD_S = np.array([86_400, 0, 3_600, 60, 1], np.int64)


class _Month(NamedTuple):
    """
    How times of one month and one deviation look that stand one after the other in one long integer.

    Year, month and deviation are those of `template`; `shared` picks them, and the eighth bit of day, hour, minute
    and second, which is 0. `low` picks the other seven, `high` the eighth, and `room` lifts what is beyond its
    largest value into it; `days` picks the day, and lifts each but 0 into `lifted`. `before_s` is the epoch second a
    day before the month, which has `days_max` days.
    """

    before_s: int
    days_max: int
    shared: int
    template: int
    low: int
    high: int
    room: int
    days: int
    lifted: int


@lru_cache(maxsize=1_024)
def _month(year_month: bytes, deviation: bytes, count: int, *, treat_as_ist: bool) -> _Month | None:
    """Return how `count` times of a month look, None if there is no such month or time zone."""
    year, month = int.from_bytes(year_month[:2], "big"), year_month[2]
    index = (year - _FIRST_YEAR) * 12 + month - 1
    offset = offset_minutes(int.from_bytes(deviation, "big", signed=True), treat_as_ist=treat_as_ist)
    if not 1 <= month <= 12 or not 0 <= index < _MONTH_STARTS.size or abs(offset) > DEVIATION_MINUTES_MAX:
        return None
    day_room = 0x7F - int(_MONTH_DAYS[index])
    lanes = (
        b"\xff\xff\xff\x80\0\x80\x80\x80\0\xff\xff\0",
        year_month + bytes(6) + deviation + b"\0",
        b"\0\0\0\x7f\0\x7f\x7f\x7f\0\0\0\0",
        b"\0\0\0\x80\0\x80\x80\x80\0\0\0\0",
        bytes((0, 0, 0, day_room, 0, 0x7F - 23, 0x7F - 59, 0x7F - 59, 0, 0, 0, 0)),
        b"\0\0\0\x7f\0\0\0\0\0\0\0\0",
        b"\0\0\0\x80\0\0\0\0\0\0\0\0",
    )
    before_s = int(_MONTH_STARTS[index]) - 86_400 - offset * 60
    return _Month(
        before_s, int(_MONTH_DAYS[index]), *(int.from_bytes(lane * count, "little") for lane in lanes)
    )


def _epochs_of_one_month(times: bytes, count: int, *, treat_as_ist: bool) -> NDArray[np.int64] | None:
    """Return the epoch seconds of whole and possible times of one month and deviation, None of any others."""
    month = _month(times[:3], times[9:11], count, treat_as_ist=treat_as_ist)
    if month is None:
        return None
    before_s, _, shared, template, low, high, room, days, lifted = month
    number = int.from_bytes(times, "little")
    if number & shared != template or (number & low) + room & high or (number & days) + days & high != lifted:
        return None
    fields: NDArray[np.uint8] = np.ndarray((count, 5), np.uint8, times, _FIRST_FIELD, (OCTETS, 1))
    seconds: NDArray[np.int64] = fields @ _FIELD_S
    seconds += before_s
    return seconds


class _Steps(NamedTuple):
    """
    How times look that stand one after the other in one long integer and follow the first at equal steps.

    What `shared` picks of them (all but weekday, hundredths and status) is the first, which `first` picks, in every
    place (`ones`), plus what each differs from it in day, hour, minute and second (`differences`). The last is `days`
    days after the first; `seconds` is how far each is from the midnight before the first.
    """

    first: int
    shared: int
    ones: int
    differences: int
    days: int
    seconds: NDArray[np.int64]


@lru_cache(maxsize=256)
def _steps(first: bytes, second: bytes, count: int) -> _Steps | None:
    """Return how `count` times look whose first two have these hours, minutes and seconds; None if there are none."""
    for hour, minute, second_ in (first, second):
        if hour > 23 or minute > 59 or second_ > 59:
            return None
    begin, after = (hour * 3_600 + minute * 60 + second_ for hour, minute, second_ in (first, second))
    seconds = begin + np.arange(count) * ((after - begin) % 86_400)
    lanes = [
        bytes((0, 0, 0, at // 86_400, 0, at // 3_600 % 24, at // 60 % 60, at % 60, 0, 0, 0, 0))
        for at in seconds.tolist()
    ]
    ones = int.from_bytes((b"\1" + bytes(OCTETS - 1)) * count, "little")
    differences = int.from_bytes(b"".join(lanes), "little") - int.from_bytes(lanes[0], "little") * ones
    picks = int.from_bytes(b"\xff\xff\xff\xff\0\xff\xff\xff\0\xff\xff\0", "little")
    return _Steps(picks, picks * ones, ones, differences, int(seconds[-1]) // 86_400, seconds)


def _epochs_at_equal_steps(times: bytes, count: int, *, treat_as_ist: bool) -> NDArray[np.int64] | None:
    """Return the epoch seconds of possible times of one month at equal steps, as most are; None of any others."""
    month = _month(times[:3], times[9:11], 1, treat_as_ist=treat_as_ist)
    steps = _steps(times[5:8], times[17:20] or times[5:8], count)
    if month is None or steps is None or not 1 <= times[3] <= month.days_max - steps.days:
        return None
    first, shared, ones, differences, _, seconds = steps
    number = int.from_bytes(times, "little")
    if number & shared != (number & first) * ones + differences:
        return None
    found: NDArray[np.int64] = seconds + (month.before_s + times[3] * 86_400)
    return found


def _epochs_of_few(times: bytes, count: int, *, treat_as_ist: bool) -> NDArray[np.int64] | None:
    """Return the epoch seconds of possible times of one month or of two; None of any others."""
    month = times[:3]
    if month != times[-OCTETS : 3 - OCTETS]:  # the last row of a month's last day is stamped in the next
        first = next(at for at in range(0, len(times), OCTETS) if times[at : at + 3] != month)
        parts = [
            _epochs_of_month(part, len(part) // OCTETS, treat_as_ist=treat_as_ist)
            for part in (times[:first], times[first:])
        ]
        whole = [part for part in parts if part is not None]
        return np.concatenate(whole) if len(whole) == len(parts) else None
    return _epochs_of_month(times, count, treat_as_ist=treat_as_ist)


def _epochs_of_month(times: bytes, count: int, *, treat_as_ist: bool) -> NDArray[np.int64] | None:
    found = _epochs_at_equal_steps(times, count, treat_as_ist=treat_as_ist)
    return _epochs_of_one_month(times, count, treat_as_ist=treat_as_ist) if found is None else found


def epochs(octets: NDArray[np.uint8], *, treat_as_ist: bool = True) -> NDArray[np.int64]:
    """
    Return the epoch seconds of COSEM date-times, an array [n, 12]; ABSENT where undefined or impossible.

    >>> epochs(np.frombuffer(bytes.fromhex("07ea0401ff001e00ff800000"), np.uint8).reshape(1, 12)).tolist()
    [1774983600]
    """
    if not len(octets):
        return np.empty(0, np.int64)
    if len(octets) <= _FEW_ROWS:
        found = _epochs_of_few(octets.tobytes(), len(octets), treat_as_ist=treat_as_ist)
        if found is not None:
            return found
    rows = np.ascontiguousarray(octets).view(_DTYPE).reshape(-1)
    year, month, day, hour, minute = rows["year"], rows["month"], rows["day"], rows["hour"], rows["minute"]
    index = year.astype(np.int64) * 12
    index += month
    index -= _FIRST_YEAR * 12 + 1
    # A month before the first is a very large one, as an unsigned number.
    bad = (month - np.uint8(1) > 11) | (index.view(np.uint64) >= _MONTH_STARTS.size)
    if bad.any():
        index[bad] = 0
    bad |= (day - np.uint8(1) >= _MONTH_DAYS[index]) | (hour > 23) | (minute > 59)
    second = rows["second"]
    if second.max() > 59:
        bad |= (second > 59) & (second != 0xFF)
        second = np.where(second == 0xFF, 0, second)
    offset_s = _offsets_s(rows["deviation"], bad, treat_as_ist=treat_as_ist)
    result: NDArray[np.int64] = _MONTH_STARTS[index]
    result -= offset_s + 86_400
    result += np.multiply(day, 86_400, dtype=np.int64)
    result += np.multiply(hour, 3_600, dtype=np.int32) + np.multiply(minute, 60, dtype=np.int16)
    result += second
    if bad.any():
        result[bad] = ABSENT
    return result


def _offsets_s(
    deviation: NDArray[np.int16], bad: NDArray[np.bool_], *, treat_as_ist: bool
) -> "NDArray[np.int64] | int":
    """Return the local offsets [s], as one number where all rows share it; marks impossible ones in `bad`."""
    first = int(deviation[0])
    if (deviation == first).all():
        offset = offset_minutes(first, treat_as_ist=treat_as_ist)
        if abs(offset) > DEVIATION_MINUTES_MAX:
            bad[:] = True
            return 0
        return offset * 60
    values, where = np.unique(deviation, return_inverse=True)
    minutes = np.array([offset_minutes(int(value), treat_as_ist=treat_as_ist) for value in values], np.int64)[
        where
    ]
    bad |= np.abs(minutes) > DEVIATION_MINUTES_MAX
    return minutes * 60


def encode_epochs(
    seconds: NDArray[np.int64], *, deviation: Deviation = Deviation.IST, status: int = 0
) -> NDArray[np.uint8]:
    """
    Return the COSEM date-times of epoch seconds as an array [n, 12]; UNDEFINED where ABSENT.

    >>> encode_epochs(np.array([1774983600])).tobytes().hex()
    '07ea040103001e0000feb600'
    """
    absent = seconds == ABSENT
    any_absent = bool(absent.any())
    local = np.where(absent, 0, seconds) if any_absent else seconds
    local = local + (0 if deviation == Deviation.UTC else IST_OFFSET_S)
    days, in_day = np.divmod(local, 86_400)
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    month_number = months.astype(np.int64)
    rows: NDArray[Any] = np.empty(local.size, _DTYPE)
    rows["year"] = month_number // 12 + _FIRST_YEAR
    rows["month"] = month_number % 12 + 1
    rows["day"] = days - months.astype("datetime64[D]").astype(np.int64) + 1
    rows["weekday"] = (days + 3) % 7 + 1
    rows["hour"] = in_day // 3_600
    rows["minute"] = in_day // 60 % 60
    rows["second"] = in_day % 60
    rows["hundredth"] = 0
    rows["deviation"] = int(deviation)
    rows["status"] = status
    octets = rows.view(np.uint8).reshape(-1, OCTETS)
    if any_absent:
        octets[absent] = np.frombuffer(UNDEFINED, np.uint8)
    return octets
