"""Orders and their life cycle, the facts a decision is made from, and the decision itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any

from bijlighar.base.lifecycle import LifeCycle
from bijlighar.base.words import Words
from bijlighar.headend.model import ControlReason


class OrderState(StrEnum):
    """The states of one row of a disconnection list, from the list to the supply's return."""

    LISTED = "listed"
    EXCLUDED = "excluded"
    APPROVED = "approved"
    WARNED = "warned"
    SENT = "sent"
    UNKNOWN = "unknown"
    MANUAL = "manual"
    OPEN = "open"
    HELD = "held"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class OrderEvent(StrEnum):
    """What happens to an order."""

    APPROVE = "approve"
    WARN = "warn"
    SEND = "send"
    HAND_OVER = "hand over"
    OPENED = "opened"
    LOSE = "lose"
    FAIL = "fail"
    CANCEL = "cancel"
    LAPSE = "lapse"
    RELEASE = "release"
    HOLD_OPEN = "hold open"
    RECONNECTED = "reconnected"


#: Whatever the order had come to, a relay that turns out open after the dues are settled is closed again: RELEASE
#: leads to RECONNECTING from every state in which octets or a lineman may have been on the way.
ORDER_STEPS: LifeCycle[OrderState, OrderEvent] = MappingProxyType(
    {
        OrderState.LISTED: {
            OrderEvent.APPROVE: OrderState.APPROVED,
            OrderEvent.CANCEL: OrderState.CANCELLED,
            OrderEvent.LAPSE: OrderState.EXPIRED,
        },
        OrderState.EXCLUDED: {},
        OrderState.APPROVED: {
            OrderEvent.WARN: OrderState.WARNED,
            OrderEvent.CANCEL: OrderState.CANCELLED,
            OrderEvent.LAPSE: OrderState.EXPIRED,
        },
        OrderState.WARNED: {
            OrderEvent.SEND: OrderState.SENT,
            OrderEvent.HAND_OVER: OrderState.MANUAL,
            OrderEvent.CANCEL: OrderState.CANCELLED,
            OrderEvent.LAPSE: OrderState.EXPIRED,
        },
        OrderState.SENT: {
            OrderEvent.OPENED: OrderState.OPEN,
            OrderEvent.LOSE: OrderState.UNKNOWN,
            OrderEvent.FAIL: OrderState.FAILED,
            OrderEvent.CANCEL: OrderState.CANCELLED,
            OrderEvent.LAPSE: OrderState.EXPIRED,
            OrderEvent.RELEASE: OrderState.RECONNECTING,
            OrderEvent.HOLD_OPEN: OrderState.HELD,
        },
        OrderState.UNKNOWN: {
            OrderEvent.OPENED: OrderState.OPEN,
            OrderEvent.FAIL: OrderState.FAILED,
            OrderEvent.RELEASE: OrderState.RECONNECTING,
            OrderEvent.HOLD_OPEN: OrderState.HELD,
        },
        OrderState.MANUAL: {
            OrderEvent.OPENED: OrderState.OPEN,
            OrderEvent.FAIL: OrderState.FAILED,
            OrderEvent.CANCEL: OrderState.CANCELLED,
            OrderEvent.LAPSE: OrderState.EXPIRED,
            OrderEvent.RELEASE: OrderState.RECONNECTING,
        },
        OrderState.OPEN: {
            OrderEvent.RELEASE: OrderState.RECONNECTING,
            OrderEvent.HOLD_OPEN: OrderState.HELD,
        },
        OrderState.HELD: {OrderEvent.RELEASE: OrderState.RECONNECTING},
        OrderState.RECONNECTING: {OrderEvent.RECONNECTED: OrderState.CLOSED},
        OrderState.CLOSED: {OrderEvent.RELEASE: OrderState.RECONNECTING},
        OrderState.FAILED: {OrderEvent.RELEASE: OrderState.RECONNECTING},
        OrderState.CANCELLED: {OrderEvent.RELEASE: OrderState.RECONNECTING},
        OrderState.EXPIRED: {OrderEvent.RELEASE: OrderState.RECONNECTING},
    }
)

#: Nothing has left for the meter or the lineman: a payment simply cancels the order.
UNSENT = frozenset({OrderState.LISTED, OrderState.APPROVED, OrderState.WARNED})
#: The relay is open, or may be.
MAYBE_OPEN = frozenset({OrderState.SENT, OrderState.UNKNOWN, OrderState.OPEN})
#: The states that are looked at again and again; what has not left is decided anew before it leaves.
WATCHED = MAYBE_OPEN | {OrderState.MANUAL, OrderState.HELD, OrderState.RECONNECTING}
#: An account has at most one order in one of these.
ACTIVE = UNSENT | WATCHED

STATE_NAMES: Mapping[OrderState, Words] = MappingProxyType(
    {
        OrderState.LISTED: Words(hi="सूची में", en="listed"),
        OrderState.EXCLUDED: Words(hi="सूची से बाहर", en="left out"),
        OrderState.APPROVED: Words(hi="अनुमोदित", en="approved"),
        OrderState.WARNED: Words(hi="अंतिम चेतावनी दी गई", en="last warning given"),
        OrderState.SENT: Words(hi="विच्छेदन आदेश भेजा गया", en="disconnection sent"),
        OrderState.UNKNOWN: Words(hi="परिणाम अज्ञात", en="outcome unknown"),
        OrderState.MANUAL: Words(hi="कर्मचारी द्वारा विच्छेदन", en="to be cut by hand"),
        OrderState.OPEN: Words(hi="विद्युत आपूर्ति विच्छेदित", en="supply cut"),
        OrderState.HELD: Words(hi="बकाया चुकता, अन्य कारण से विच्छेदित", en="settled, off for another reason"),
        OrderState.RECONNECTING: Words(hi="पुनर्संयोजन जारी", en="being reconnected"),
        OrderState.CLOSED: Words(hi="पुनर्संयोजित", en="reconnected"),
        OrderState.FAILED: Words(hi="विच्छेदन नहीं हुआ", en="not cut"),
        OrderState.CANCELLED: Words(hi="निरस्त", en="cancelled"),
        OrderState.EXPIRED: Words(hi="अवधि समाप्त", en="lapsed"),
    }
)


class ListState(StrEnum):
    """The states of a disconnection list."""

    DRAWN = "drawn"
    APPROVED = "approved"
    REPLACED = "replaced"
    LAPSED = "lapsed"


LIST_STATE_NAMES: Mapping[ListState, Words] = MappingProxyType(
    {
        ListState.DRAWN: Words(hi="अनुमोदन के लिए भेजी गई", en="sent for approval"),
        ListState.APPROVED: Words(hi="अनुमोदित", en="approved"),
        ListState.REPLACED: Words(hi="नई सूची से बदली गई", en="replaced by a newer one"),
        ListState.LAPSED: Words(hi="अवधि समाप्त", en="lapsed"),
    }
)


class ListEvent(StrEnum):
    """What happens to a list."""

    APPROVE = "approve"
    REPLACE = "replace"
    LAPSE = "lapse"


LIST_STEPS: LifeCycle[ListState, ListEvent] = MappingProxyType(
    {
        ListState.DRAWN: {
            ListEvent.APPROVE: ListState.APPROVED,
            ListEvent.REPLACE: ListState.REPLACED,
            ListEvent.LAPSE: ListState.LAPSED,
        },
        ListState.APPROVED: {},
        ListState.REPLACED: {},
        ListState.LAPSED: {},
    }
)


class CircumstanceKind(StrEnum):
    """What a person enters about an account that changes what may be enforced."""

    DISPUTE = "dispute"
    INSTALMENTS = "instalments"
    SHOWN_CONTINUOUSLY = "shown_continuously"


CIRCUMSTANCE_NAMES: Mapping[CircumstanceKind, Words] = MappingProxyType(
    {
        CircumstanceKind.DISPUTE: Words(hi="विवादित बिल", en="disputed bill"),
        CircumstanceKind.INSTALMENTS: Words(hi="किस्त योजना", en="instalment plan"),
        CircumstanceKind.SHOWN_CONTINUOUSLY: Words(
            hi="निरंतर बकाया दर्शाया गया", en="shown continuously as recoverable"
        ),
    }
)


class Stage(Enum):
    """The moments at which it is decided whether an account may be cut."""

    DRAW = "draw"
    APPROVE = "approve"
    SEND = "send"


STAGE_NAMES: Mapping[Stage, Words] = MappingProxyType(
    {
        Stage.DRAW: Words(hi="सूची बनाते समय", en="when the list was drawn up"),
        Stage.APPROVE: Words(hi="अनुमोदन के समय", en="when the list was approved"),
        Stage.SEND: Words(hi="आदेश भेजने से ठीक पहले", en="just before the order was sent"),
    }
)


class Way(StrEnum):
    """How a relay is opened or closed."""

    RELAY = "relay"
    BY_HAND = "by_hand"


WAY_NAMES: Mapping[Way, Words] = MappingProxyType(
    {
        Way.RELAY: Words(hi="रिले से", en="by relay"),
        Way.BY_HAND: Words(hi="मौके पर, कर्मचारी द्वारा", en="by hand, at the meter"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueFact:
    """A due of the ledger that is not fully paid; the two years run from `first_due_on`."""

    document: str
    is_bill: bool
    open_paise: int
    issued_on: date
    due_on: date
    first_due_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeFact:
    """A statutory notice, the dues it names, when it was served (None: no proof) and which channel proves it."""

    reference: str
    documents: tuple[str, ...]
    amount_paise: int
    queued_on: date
    served_on: date | None
    served_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionFact:
    """A protection of the account and the last day it holds (None: without end)."""

    kind: str
    certificate: str
    until: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstance:
    """What a person entered: an empty `document` concerns every due that was issued up to the day it was entered."""

    number: int
    account: str
    kind: CircumstanceKind
    document: str
    note: str
    entered_by: str
    entered_on: date
    until: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCircumstance:
    """What a person enters; `note` names the paper, an empty `document` every due issued up to today."""

    account: str
    kind: CircumstanceKind
    note: str
    document: str = ""
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyFact:
    """What hangs at the account's place of supply now, and what is known of its relay."""

    meter: str | None
    has_relay: bool
    feeder: str | None
    last_contact: datetime | None
    open_reasons: frozenset[ControlReason]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFact:
    """What led to the order."""

    number: int
    meter: str | None
    drawn_by: str
    approved_by: str | None
    approved_at: datetime | None
    warned_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCounts:
    """How many disconnections have been sent, and how many accounts the office has."""

    last_hour: int
    office_today: int
    office_accounts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything a decision about one account depends on; `order` and `sent` are None before there is an order."""

    account: str
    office: str
    category: str
    dues: tuple[DueFact, ...]
    unallocated_paise: int
    holds_paise: int
    protest_paise: int
    average_month_paise: int | None
    notices: tuple[NoticeFact, ...]
    protections: tuple[ProtectionFact, ...]
    circumstances: tuple[Circumstance, ...]
    supply: SupplyFact
    other_order: int | None
    order: OrderFact | None
    sent: SentCounts | None
    halted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One guard's verdict: its code, what it guards, whether it lets the cut pass, and if not, why."""

    code: str
    guard: Words
    passed: bool
    words: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    Whether the account may be cut now.

    reasons: the guards that forbid it (none when `go`).
    checks: every guard of the stage, passed or not.
    due_paise: the disconnectable due D.
    record: every input and verdict, as JSON.
    """

    go: bool
    way: Way
    due_paise: int
    reasons: tuple[Reason, ...]
    checks: tuple[Reason, ...]
    record: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """A stored decision."""

    account: str
    order_number: int | None
    stage: str
    at: datetime
    go: bool
    reason_codes: tuple[str, ...]
    due_paise: int
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ageing:
    """What an account owed on one day, by the age of the dues past their due date [paise]."""

    account: str
    office: str
    on: date
    not_due_paise: int
    to_30_days_paise: int
    to_60_days_paise: int
    to_90_days_paise: int
    over_90_days_paise: int
    beyond_limit_paise: int
    oldest_due_on: date | None
    bills: int

    @property
    def overdue_paise(self) -> int:
        """Return the sum past its due date [paise]."""
        return self.to_30_days_paise + self.to_60_days_paise + self.to_90_days_paise + self.over_90_days_paise


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectionList:
    """A town office's list, with how many of its rows stand in which state."""

    number: int
    office: str
    state: ListState
    drawn_by: str
    drawn_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    snapshot_hash: str | None
    policy_version: str
    listed: int
    excluded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One row of a list: an account to be cut, or left out for `reason_codes`."""

    number: int
    list_number: int
    account: str
    office: str
    meter: str | None
    feeder: str | None
    state: OrderState
    way: Way
    due_paise: int
    overdue_paise: int
    oldest_due_on: date
    bills: int
    notice_served_on: date | None
    reason_codes: tuple[str, ...]
    drawn_by: str
    approved_by: str | None
    approved_at: datetime | None
    warned_at: datetime | None
    sent_at: datetime | None
    opened_at: datetime | None
    released_at: datetime | None
    closed_at: datetime | None
    next_try_at: datetime | None
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """The kill switch thrown for the company (`office` empty) or one office."""

    office: str
    by: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTotals:
    """How many rows of all lists came how far."""

    listed: int
    excluded: int
    approved: int
    sent: int
    opened: int
    reconnected: int
