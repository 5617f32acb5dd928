"""A consumer's use of the last days: which is measured, which estimated, which missing."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction

from sqlalchemy import Connection

from bijlighar.base.money import round_half_up
from bijlighar.base.period import Month, Period, date_of, day_number, local_date, local_midnight, moment_of
from bijlighar.billing import queries as bills
from bijlighar.readings import queries as readings
from bijlighar.readings.model import Quality
from bijlighar.registry import queries as registry
from bijlighar.registry.model import Installation
from bijlighar.runtime.portal_model import DayQuality, Usage, UsedDay, UsedMonth

DAYS_SHOWN = 14
MONTHS_SHOWN = 12
#: So many days must be known before an average is compared.
DAYS_COMPARED_MIN = 5
#: How far back a hand reading is looked for.
HAND_READING_DAYS = 400
_UNSURE = (Quality.ESTIMATED, Quality.EDITED)


def usage(connection: Connection, *, account: str, now: datetime) -> Usage:
    """Return the use of the last days and months of an account."""
    today = local_date(now)
    before = Month.of(today).previous
    first = min(before.first, today - timedelta(days=DAYS_SHOWN))
    hung = _hung(connection, account=account, first=first, now=now)
    days = _days(connection, hung=hung, first=first, last=today - timedelta(days=1))
    shown = days[-DAYS_SHOWN:]
    average = _average(shown)
    earlier = _average([day for day in days if Month.of(day.day) == before])
    months = bills.usage_history(connection, account=account, upto=Month.of(today), months=MONTHS_SHOWN)
    return Usage(
        days=shown if any(day.energy_wh is not None for day in shown) else (),
        months=tuple(
            UsedMonth(month=month, energy_wh=energy_wh, estimated=estimated > 0)
            for month, energy_wh, estimated in months
        ),
        average_wh=None if average is None else round_half_up(average),
        change_percent=percent_change(now=average, before=earlier),
        read_to=_read_to(connection, hung=hung, now=now),
    )


def percent_change(*, now: Fraction | None, before: Fraction | None) -> int | None:
    """
    Return the change from `before` to `now` in whole per cent, None where one is not known or `before` is nothing.

    >>> percent_change(now=Fraction(88), before=Fraction(100)), percent_change(now=Fraction(5), before=Fraction(0))
    (-12, None)
    """
    if now is None or before is None or before <= 0:
        return None
    return round_half_up((now - before) * 100 / before)


def _hung(connection: Connection, *, account: str, first: date, now: datetime) -> tuple[Installation, ...]:
    period = Period(start=local_midnight(first), end=now)
    found = registry.installations(connection, account=account, period=period)
    return tuple(each for each in found if each.meter_type.is_of_consumer)


def _days(
    connection: Connection, *, hung: Sequence[Installation], first: date, last: date
) -> tuple[UsedDay, ...]:
    """Return every day from `first` to `last`; a meter counts for the days on which it hung at the account alone."""
    begin, end = day_number(first), day_number(last)
    energy: dict[int, int] = {}
    worst: dict[int, DayQuality] = {}
    for each in hung:
        known = readings.energy_by_day(connection, meters=(each.meter,), first=begin, last=end)
        from_day = max(begin, day_number(local_date(each.from_at)))
        to_day = end if each.to_at is None else min(end, day_number(local_date(each.to_at)))
        for number in range(from_day, to_day + 1):
            place = number - begin
            expected, counts = int(known.expected[0, place]), known.counts[0, place]
            if not expected:
                continue
            energy[number] = energy.get(number, 0) + int(known.wh_import[0, place]) * each.multiplier
            if int(counts[Quality.ABSENT]):
                worst[number] = DayQuality.MISSING
            elif any(int(counts[quality]) for quality in _UNSURE):
                worst.setdefault(number, DayQuality.ESTIMATED)
    return tuple(
        _used(number, energy_wh=energy.get(number), quality=worst.get(number))
        for number in range(begin, end + 1)
    )


def _used(number: int, *, energy_wh: int | None, quality: DayQuality | None) -> UsedDay:
    if energy_wh is None or quality is DayQuality.MISSING:
        return UsedDay(day=date_of(number), energy_wh=None, quality=DayQuality.MISSING)
    return UsedDay(day=date_of(number), energy_wh=energy_wh, quality=quality or DayQuality.MEASURED)


def _average(days: Sequence[UsedDay]) -> Fraction | None:
    known = [day.energy_wh for day in days if day.energy_wh is not None]
    return Fraction(sum(known), len(known)) if len(known) >= DAYS_COMPARED_MIN else None


def _read_to(connection: Connection, *, hung: Sequence[Installation], now: datetime) -> datetime | None:
    """Return up to when the meter that hangs was read."""
    for each in hung:
        if not each.hangs_at(now):
            continue
        spans = readings.measured_spans(connection, meters=(each.meter,))
        if each.meter in spans:
            return max(moment_of(spans[each.meter][1]), each.from_at)
        since = max(each.from_at, now - timedelta(days=HAND_READING_DAYS))
        taken = readings.registers(connection, meters=(each.meter,), period=Period(start=since, end=now))
        return max((row.at for row in taken), default=None)
    return None
