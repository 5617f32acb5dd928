"""When supply will be back, told honestly: by measured times, or by the fitter's; never by a promise."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.arrears import order_store
from bijlighar.arrears.model import Order, OrderState, Way
from bijlighar.arrears.policy import Policy
from bijlighar.arrears.targets import by_hand_within
from bijlighar.headend import queries as headend
from bijlighar.headend.model import SESSION_OK
from bijlighar.registry import queries as registry

#: The measured times that count, and how many there must be before anything is said.
MEASURED_WITHIN = timedelta(days=30)
MEASURED_MAX = 200
MEASURED_MIN = 5
USUAL_PERCENT = 50
LONG_PERCENT = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """
    A supply on its way back.

    since: when the order to give it back was made.
    by_hand: a fitter has to go: there is no relay, or it was not verified over the air in time.
    is_reachable: the last session with the meter went well.
    usual, long: in half and in nine of ten of the measured cases it took no longer; None while too few are measured.
    expected_at: when it should be back; None where nobody can say.
    is_late: it takes longer than nine of ten, or than the fitter may take.
    """

    since: datetime
    by_hand: bool
    is_reachable: bool
    usual: timedelta | None
    long: timedelta | None
    expected_at: datetime | None
    is_late: bool


def restoration(connection: Connection, *, account: str, now: datetime, policy: Policy) -> Restoration | None:
    """Return how the supply of an account is coming back; None if it is not on its way."""
    order = order_store.active_order(connection, account=account)
    if order is None or order.state is not OrderState.RECONNECTING or order.released_at is None:
        return None
    measured = order_store.restored(connection, since=now - MEASURED_WITHIN, limit=MEASURED_MAX)
    usual, longest = times([closed - released for released, closed in measured])
    reachable = is_reachable(connection, meter=order.meter)
    late_for_air = now - order.released_at >= timedelta(minutes=policy.by_hand_after_minutes)
    if order.way is Way.BY_HAND or late_for_air:
        expected_at = order.released_at + _by_hand_within(connection, order=order)
        return Restoration(
            since=order.released_at,
            by_hand=True,
            is_reachable=reachable,
            usual=usual,
            long=longest,
            expected_at=expected_at,
            is_late=now > expected_at,
        )
    known = reachable and usual is not None and longest is not None
    return Restoration(
        since=order.released_at,
        by_hand=False,
        is_reachable=reachable,
        usual=usual,
        long=longest,
        expected_at=order.released_at + usual if known and usual is not None else None,
        is_late=longest is not None and now > order.released_at + longest,
    )


def times(measured: Sequence[timedelta]) -> tuple[timedelta | None, timedelta | None]:
    """
    Return the times that half and nine of ten of the measured cases did not exceed; None while there are too few.

    >>> minutes = [timedelta(minutes=count) for count in (1, 2, 2, 3, 3, 4, 5, 6, 9, 30)]
    >>> [str(time) for time in times(minutes)], times(minutes[:4])
    (['0:03:00', '0:09:00'], (None, None))
    """
    if len(measured) < MEASURED_MIN:
        return None, None
    ordered = sorted(measured)
    usual, longest = (
        ordered[-(-len(ordered) * percent // 100) - 1] for percent in (USUAL_PERCENT, LONG_PERCENT)
    )
    return usual, longest


def is_reachable(connection: Connection, *, meter: str | None) -> bool:
    """Return whether the last session with a meter went well; a meter that was never spoken with is not reachable."""
    if meter is None:
        return False
    return any(row.outcome == SESSION_OK for row in headend.sessions(connection, meter=meter, limit=1))


def _by_hand_within(connection: Connection, *, order: Order) -> timedelta:
    return by_hand_within(registry.account(connection, number=order.account).area)
