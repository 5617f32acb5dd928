"""
Time: aware UTC inside, IST as the calendar, periods half-open.

A day number is the count of days of the IST calendar since 1970-01-01 and stands in tables and arrays where a
`date` would be slow; day number and `date` are converted here only.
"""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bijlighar.base.errors import InvalidValue

IST = ZoneInfo("Asia/Kolkata")
EPOCH = date(1970, 1, 1)
ONE_DAY = timedelta(days=1)
#: What a person or a file may name; beyond it neither the calendar nor a database reckons safely.
YEAR_MIN, YEAR_MAX = 1900, 2199
SECONDS_PER_DAY = 86_400
MINUTES_PER_DAY = 1_440


class NaiveTime(InvalidValue):
    """A time without an offset was given where an aware one is needed."""

    code = "base.naive-time"


def local_date(moment: datetime) -> date:
    """
    Return the IST calendar day of an aware `moment`.

    >>> local_date(datetime(2026, 3, 31, 18, 30, tzinfo=UTC))
    datetime.date(2026, 4, 1)

    :raises NaiveTime: if `moment` has no offset.
    """
    if moment.tzinfo is None:
        raise NaiveTime(f"{moment.isoformat()} has no offset; give it as 2026-04-01T00:00:00+05:30")
    return moment.astimezone(IST).date()


def local_midnight(day: date) -> datetime:
    """
    Return the start of an IST calendar day in UTC.

    >>> local_midnight(date(2026, 4, 1))
    datetime.datetime(2026, 3, 31, 18, 30, tzinfo=datetime.timezone.utc)
    """
    return datetime.combine(day, time(0), tzinfo=IST).astimezone(UTC)


def local_time(day: date, at: time) -> datetime:
    """
    Return the moment of an IST calendar day and wall time, in UTC.

    >>> local_time(date(2026, 4, 1), time(8, 0))
    datetime.datetime(2026, 4, 1, 2, 30, tzinfo=datetime.timezone.utc)
    """
    return datetime.combine(day, at, tzinfo=IST).astimezone(UTC)


def day_number(day: date) -> int:
    """
    Return the count of days since 1970-01-01.

    >>> day_number(date(1970, 1, 2))
    1
    """
    return (day - EPOCH).days


def date_of(number: int) -> date:
    """
    Return the calendar day of a day number.

    >>> date_of(day_number(date(2026, 2, 28)) + 1)
    datetime.date(2026, 3, 1)
    """
    return EPOCH + timedelta(days=number)


def epoch_seconds(moment: datetime) -> int:
    """
    Return the whole seconds since 1970-01-01T00:00Z of an aware moment.

    >>> epoch_seconds(datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
    60

    :raises NaiveTime: if `moment` has no offset.
    """
    if moment.tzinfo is None:
        raise NaiveTime(f"{moment.isoformat()} has no offset; give it as 2026-04-01T00:00:00+05:30")
    return int(moment.timestamp())


def moment_of(seconds: int) -> datetime:
    """Return the aware UTC moment of whole seconds since the epoch."""
    return datetime.fromtimestamp(seconds, tz=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """
    A half-open span of time [start, end), both aware UTC.

    >>> Period.of_local_day(date(2026, 4, 1)).start.isoformat()
    '2026-03-31T18:30:00+00:00'
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise NaiveTime("a period needs times with an offset")
        if self.end < self.start:
            raise InvalidValue(f"a period cannot end ({self.end}) before it starts ({self.start})")

    @classmethod
    def of_local_day(cls, day: date) -> "Period":
        """Return the period of one IST calendar day."""
        return cls(start=local_midnight(day), end=local_midnight(day + ONE_DAY))

    @classmethod
    def of_local_days(cls, first: date, last: date) -> "Period":
        """Return the period of the IST days `first` to `last`, both included."""
        return cls(start=local_midnight(first), end=local_midnight(last + ONE_DAY))

    def __contains__(self, moment: datetime) -> bool:
        """Return whether `moment` lies in the period."""
        return self.start <= moment < self.end


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Month:
    """
    A month of the IST calendar.

    >>> Month.parse("2026-02").days, str(Month.parse("2026-12").next)
    (28, '2027-01')
    """

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> "Month":
        """
        Return the month written as `YYYY-MM`.

        :raises InvalidValue: if it is not one.
        """
        year, dash, month = text.partition("-")
        if not (dash and len(year) == 4 and len(month) == 2 and year.isdigit() and month.isdigit()):
            raise InvalidValue(f"{text!r} is not a month; write it like 2026-04")
        if not 1 <= int(month) <= 12:
            raise InvalidValue(f"{text!r} is not a month; write it like 2026-04")
        _check_year(int(year), text)
        return cls(year=int(year), month=int(month))

    @classmethod
    def of(cls, day: date) -> "Month":
        """Return the month of a day."""
        return cls(year=day.year, month=day.month)

    @property
    def first(self) -> date:
        """Return the first day."""
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        """Return the last day."""
        return date(self.year, self.month, self.days)

    @property
    def days(self) -> int:
        """Return the number of days."""
        return calendar.monthrange(self.year, self.month)[1]

    @property
    def next(self) -> "Month":
        """Return the month after."""
        return Month.of(self.last + ONE_DAY)

    @property
    def previous(self) -> "Month":
        """Return the month before."""
        return Month.of(self.first - ONE_DAY)

    @property
    def period(self) -> Period:
        """Return the month as a period."""
        return Period.of_local_days(self.first, self.last)

    def __str__(self) -> str:
        """Return the month as `YYYY-MM`."""
        return f"{self.year:04d}-{self.month:02d}"


def days_between(first: date, last: date) -> Iterator[date]:
    """Yield the days from `first` to `last`, both included."""
    for number in range(day_number(first), day_number(last) + 1):
        yield date_of(number)


def parse_day(text: str) -> date:
    """
    Return the IST day written as `YYYY-MM-DD`.

    :raises InvalidValue: if it is not one.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidValue(f"{text!r} is not a day; write it like 2026-04-01") from None
    _check_year(day.year, text)
    return day


def parse_moment(text: str) -> datetime:
    """
    Return the moment written in ISO 8601 with an offset, in UTC.

    >>> parse_moment("2026-04-01T00:00:00+05:30").isoformat()
    '2026-03-31T18:30:00+00:00'

    :raises InvalidValue: if it is no time, or has no offset.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidValue(f"{text!r} is not a time; write it like 2026-04-01T00:00:00+05:30") from None
    if moment.tzinfo is None:
        raise NaiveTime(f"{text!r} has no offset; write it like 2026-04-01T00:00:00+05:30")
    _check_year(moment.year, text)
    return moment.astimezone(UTC)


def _check_year(year: int, text: str) -> None:
    if not YEAR_MIN <= year <= YEAR_MAX:
        raise InvalidValue(f"{text!r} is beyond this calendar; it reaches from {YEAR_MIN} to {YEAR_MAX}")
