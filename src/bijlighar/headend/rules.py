"""Pure decisions of the schedule: which days a meter owes, when it is asked next, what its clock tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bijlighar.base.period import date_of, day_number, local_date, local_midnight
from bijlighar.headend.contract import Contract as Contract
from bijlighar.headend.contract import load_contract
from bijlighar.headend.meter_facts import ORIGIN_WORDS, fact_words, read_fact
from bijlighar.headend.model import ClockDeed
from bijlighar.headend.modem_wording import modem_words
from bijlighar.headend.orders import (
    is_signed,
    parse_signed_order,
    sign_order,
    signed_order_json,
    verify_key_of,
)
from bijlighar.headend.service_wording import service_words
from bijlighar.headend.wording import command_words, reason_words, relay_words, words_of

__all__ = [
    "ORIGIN_WORDS",
    "Owed",
    "clock_deed",
    "closes_month",
    "command_words",
    "due_day",
    "fact_words",
    "is_signed",
    "load_contract",
    "modem_words",
    "next_attempt",
    "owed_days",
    "parse_signed_order",
    "read_fact",
    "reason_words",
    "relay_words",
    "service_words",
    "sign_order",
    "signed_order_json",
    "verify_key_of",
    "words_of",
]

#: How near to an interval's edge no clock is set [s]: the setting itself takes a moment.
EDGE_S = 10
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """The IST days (day numbers, both included) that a meter owes."""

    first: int
    last: int

    @property
    def days(self) -> int:
        """Return how many they are."""
        return self.last - self.first + 1


def due_day(now: datetime, *, from_minutes: int) -> int:
    """
    Return the newest day (day number) that meters owe: yesterday, from `from_minutes` [min] after midnight IST.

    >>> from datetime import UTC
    >>> date_of(due_day(datetime(2025, 4, 1, 18, 45, tzinfo=UTC), from_minutes=15))
    datetime.date(2025, 4, 1)
    >>> date_of(due_day(datetime(2025, 4, 1, 18, 44, tzinfo=UTC), from_minutes=15))
    datetime.date(2025, 3, 31)
    """
    return day_number(local_date(now - timedelta(minutes=from_minutes))) - 1


def clock_deed(*, ahead_s: int, now_s: int, period_s: int, from_s: int, limit_s: int) -> ClockDeed:
    """
    Return what is to be done about a clock that is ahead by `ahead_s` [s] at `now_s` (epoch seconds).

    Up to `from_s` it is right, beyond `limit_s` a person decides. It is set where no edge of an interval of
    `period_s` lies between what it shows and what it should show; where one does, it waits for a better moment in
    the interval, or, if it is off by so much that there is none, it is set and the stretch is marked.

    >>> clock_deed(ahead_s=90, now_s=100_000, period_s=1800, from_s=60, limit_s=7200).name
    'SET'
    >>> clock_deed(ahead_s=90, now_s=100_750, period_s=1800, from_s=60, limit_s=7200).name
    'WAIT'
    """
    if abs(ahead_s) <= from_s:
        return ClockDeed.LEAVE
    if abs(ahead_s) > limit_s:
        return ClockDeed.TOO_FAR
    first, last = min(now_s, now_s + ahead_s) - EDGE_S, max(now_s, now_s + ahead_s) + EDGE_S
    if first // period_s == last // period_s:
        return ClockDeed.SET
    return ClockDeed.WAIT if last - first < period_s // 2 else ClockDeed.SET_ACROSS


def owed_days(
    *, hung_from: datetime, settled_day: int | None, newest: int, backfill_days: int
) -> Owed | None:
    """
    Return the days that a meter owes, None if it owes none.

    It owes what came after `settled_day` and since it hangs, as far back as its memory is trusted to reach.

    >>> from datetime import UTC
    >>> owed_days(
    ...     hung_from=datetime(1970, 1, 1, tzinfo=UTC), settled_day=None, newest=100, backfill_days=45
    ... )
    Owed(first=56, last=100)
    """
    first = max(day_number(local_date(hung_from)), newest - backfill_days + 1)
    if settled_day is not None:
        first = max(first, settled_day + 1)
    return Owed(first=first, last=newest) if first <= newest else None


def next_attempt(*, now: datetime, failures: int, delays_s: Sequence[int], from_minutes: int) -> datetime:
    """
    Return when a meter is asked again after its `failures`-th failure in a row (from 1).

    The first failures are tried again after `delays_s` [s] while the day lasts; after that once a day.

    >>> from datetime import UTC
    >>> morning = datetime(2025, 4, 1, 19, 0, tzinfo=UTC)
    >>> next_attempt(now=morning, failures=1, delays_s=(18000,), from_minutes=15).isoformat()
    '2025-04-02T00:00:00+00:00'
    >>> next_attempt(now=morning, failures=2, delays_s=(18000,), from_minutes=15).isoformat()
    '2025-04-02T18:45:00+00:00'
    """
    tomorrow = local_midnight(local_date(now - timedelta(minutes=from_minutes)) + ONE_DAY)
    tomorrow += timedelta(minutes=from_minutes)
    if failures <= len(delays_s):
        return min(now + timedelta(seconds=delays_s[failures - 1]), tomorrow)
    return tomorrow


def closes_month(day: int) -> bool:
    """
    Return whether a day (day number) is the last of its month, so that a billing row closes with it.

    >>> from datetime import date
    >>> closes_month(day_number(date(2025, 4, 30))), closes_month(day_number(date(2025, 4, 29)))
    (True, False)
    """
    return date_of(day + 1).day == 1
