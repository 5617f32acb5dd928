"""
COSEM date-time (12 octets) to aware UTC and back; the one place where the deviation's sign is settled.

The Blue Book (IEC 62056-6-2 clause 4.1.6.1) says UTC = local time + deviation, so IST is -330 minutes. Indian meters
are seen to send -330, +330 or 8000h (unspecified) and mean IST all the same: `treat_as_ist` reads all three as IST.
A deviation of 0 is UTC. The daylight-saving bit of the status octet shifts nothing.
"""

import struct
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Any

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


_AS_IST = (Deviation.IST, Deviation.IST_FLIPPED, Deviation.UNSPECIFIED)


def offset_minutes(deviation: int, *, treat_as_ist: bool) -> int:
    """
    Return how far the local time is ahead of UTC [minutes].

    >>> offset_minutes(330, treat_as_ist=True), offset_minutes(330, treat_as_ist=False)
    (330, -330)
    >>> offset_minutes(0, treat_as_ist=True), offset_minutes(-0x8000, treat_as_ist=False)
    (0, 330)
    """
    if deviation == Deviation.UNSPECIFIED or (treat_as_ist and deviation in _AS_IST):
        return -Deviation.IST
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


def epochs(octets: NDArray[np.uint8], *, treat_as_ist: bool = True) -> NDArray[np.int64]:
    """
    Return the epoch seconds of COSEM date-times, an array [n, 12]; ABSENT where undefined or impossible.

    >>> epochs(np.frombuffer(bytes.fromhex("07ea0401ff001e00ff800000"), np.uint8).reshape(1, 12)).tolist()
    [1774983600]
    """
    rows = np.ascontiguousarray(octets).view(_DTYPE).reshape(-1)
    if rows.size == 0:
        return np.empty(0, np.int64)
    year, month, day, hour, minute = rows["year"], rows["month"], rows["day"], rows["hour"], rows["minute"]
    index = year.astype(np.int64) * 12 + month - (_FIRST_YEAR * 12 + 1)
    bad = (month - np.uint8(1) > 11) | (index < 0) | (index >= _MONTH_STARTS.size)
    index[bad] = 0
    bad |= (day - np.uint8(1) >= _MONTH_DAYS[index]) | (hour > 23) | (minute > 59)
    second = rows["second"]
    if second.max() > 59:
        bad |= (second > 59) & (second != 0xFF)
        second = np.where(second == 0xFF, 0, second)
    offset_s = _offsets_s(rows["deviation"], bad, treat_as_ist=treat_as_ist)
    result: NDArray[np.int64] = (
        _MONTH_STARTS[index]
        + (day.astype(np.int64) - 1) * 86_400
        + (hour.astype(np.int64) * 3_600 + minute * np.int64(60) + second - offset_s)
    )
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
