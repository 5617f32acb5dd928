"""The calendar of cutting: hours, weekdays, holidays, the day before a holiday; IST."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from bijlighar.arrears.policy import Policy
from bijlighar.base.period import IST, ONE_DAY, local_date, local_time

#: How far ahead a cutting day is looked for.
SEARCH_DAYS = 60


def is_calendar_known(day: date, *, policy: Policy) -> bool:
    """Return whether the policy names the holidays of the day's year, and of the next day's."""
    return {day.year, (day + ONE_DAY).year} <= policy.holiday_years


def is_before_holiday(day: date, *, policy: Policy) -> bool:
    """Return whether the next day is a holiday."""
    return day + ONE_DAY in policy.holidays


def is_cutting_day(day: date, *, policy: Policy) -> bool:
    """Return whether a relay may be opened for arrears on a day at all; a year without holidays has none."""
    if not is_calendar_known(day, policy=policy) or day.weekday() not in policy.weekdays:
        return False
    if day in policy.holidays:
        return False
    return policy.cuts_before_holidays or not is_before_holiday(day, policy=policy)


def is_cutting_hour(now: datetime, *, policy: Policy) -> bool:
    """Return whether the hour of the day permits a cut."""
    return policy.cut_from <= now.astimezone(IST).time() < policy.cut_to


def is_cutting_time(now: datetime, *, policy: Policy) -> bool:
    """Return whether day and hour permit a cut."""
    return is_cutting_day(local_date(now), policy=policy) and is_cutting_hour(now, policy=policy)


def next_cutting_time(*, after: datetime, policy: Policy) -> datetime | None:
    """Return the first moment from `after` on at which a relay may be opened, None if none is known."""
    for day in _days_from(local_date(after)):
        if not is_cutting_day(day, policy=policy):
            continue
        opens = local_time(day, policy.cut_from)
        closes = local_time(day, policy.cut_to)
        if after < closes:
            return max(opens, after)
    return None


def end_of_window(now: datetime, *, policy: Policy) -> datetime:
    """Return the moment at which the cutting hours of the day of `now` end."""
    return local_time(local_date(now), policy.cut_to)


def _days_from(day: date) -> Iterator[date]:
    for offset in range(SEARCH_DAYS):
        yield day + timedelta(days=offset)
