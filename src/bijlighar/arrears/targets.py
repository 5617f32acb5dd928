"""By when things are due: a warned order to be sent, a supply to be back on. Pure."""

from datetime import datetime, time, timedelta

from bijlighar.arrears.dues import first_day_after_clear_days
from bijlighar.arrears.model import Order, OrderState, Way
from bijlighar.arrears.policy import Policy
from bijlighar.arrears.window import next_cutting_time
from bijlighar.base.period import local_date, local_time

#: Within which time the town office reconnects by hand.
BY_HAND_WITHIN = {"urban": timedelta(hours=6), "rural": timedelta(hours=48)}
BY_HAND_WITHIN_ELSE = timedelta(hours=24)


def by_hand_within(area: str) -> timedelta:
    """
    Return within which time the town office reconnects by hand.

    >>> by_hand_within("urban")
    datetime.timedelta(seconds=21600)
    """
    return BY_HAND_WITHIN.get(area, BY_HAND_WITHIN_ELSE)


def send_from(order: Order, *, policy: Policy, now: datetime) -> datetime | None:
    """Return from when on a warned order may be sent, None for any other or where no cutting day is known."""
    if order.state is not OrderState.WARNED or order.warned_at is None:
        return None
    first = first_day_after_clear_days(served_on=local_date(order.warned_at), clear_days=policy.warning_days)
    return next_cutting_time(after=max(local_time(first, time(0)), now), policy=policy)


def reconnect_by(order: Order, *, area: str, policy: Policy) -> datetime | None:
    """Return by when the supply of a reconnecting order is to be on, None for any other."""
    if order.state is not OrderState.RECONNECTING or order.released_at is None:
        return None
    if order.way is Way.RELAY:
        return order.released_at + timedelta(minutes=policy.by_hand_after_minutes)
    return order.released_at + by_hand_within(area)
