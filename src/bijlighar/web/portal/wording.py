"""What a consumer is told of a supply on its way back, and what the entries of a passbook are called."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from bijlighar.base.period import local_date
from bijlighar.base.words import Words
from bijlighar.ledger.model import TransferKind
from bijlighar.runtime.portal_model import PortalStatus

MINUTE = timedelta(minutes=1)

ENTRY_WORDS: Mapping[TransferKind, Words] = MappingProxyType(
    {
        TransferKind.BILL: Words(hi="बिल", en="Bill"),
        TransferKind.PAYMENT: Words(hi="भुगतान", en="Payment"),
        TransferKind.MATCH: Words(hi="भुगतान (मिलान के बाद)", en="Payment (matched later)"),
        TransferKind.REVERSAL: Words(hi="भुगतान वापस हुआ", en="Payment reversed"),
    }
)


class ComingKind(StrEnum):
    """What can be said of a supply on its way back."""

    SOON = "soon"
    LATE = "late"
    UNMEASURED = "unmeasured"
    UNREACHABLE = "unreachable"
    BY_HAND = "by_hand"
    BY_HAND_LATE = "by_hand_late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """
    What is said of a supply on its way back.

    minutes: until it should be back, at least 1; longest: within so many minutes in nine of ten cases.
    at: by when the fitter comes; is_today: that is today.
    """

    kind: ComingKind
    minutes: int = 0
    longest: int = 0
    at: datetime | None = None
    is_today: bool = False


def coming_of(status: PortalStatus) -> Coming | None:
    """Return what is said of the supply of an account, None where it is not on its way back."""
    back = status.supply.restoration
    if back is None:
        return None
    if back.by_hand:
        at = back.expected_at
        return Coming(
            kind=ComingKind.BY_HAND_LATE if back.is_late else ComingKind.BY_HAND,
            at=at,
            is_today=at is not None and local_date(at) == local_date(status.made_at),
        )
    if not back.is_reachable:
        return Coming(kind=ComingKind.UNREACHABLE)
    if back.expected_at is None or back.long is None:
        return Coming(kind=ComingKind.UNMEASURED)
    if back.is_late:
        return Coming(kind=ComingKind.LATE)
    return Coming(
        kind=ComingKind.SOON,
        minutes=minutes_up(back.expected_at - status.made_at),
        longest=minutes_up(back.long),
    )


def minutes_up(span: timedelta) -> int:
    """
    Return a span in whole minutes, rounded up, at least 1.

    >>> minutes_up(timedelta(seconds=61)), minutes_up(timedelta(0)), minutes_up(timedelta(seconds=-5))
    (2, 1, 1)
    """
    return max(1, -(-span // MINUTE))
