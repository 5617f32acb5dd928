"""The frozen values of the ledger; its chart of accounts stands beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

from bijlighar.base.words import Words
from bijlighar.ledger.chart import CHART as CHART
from bijlighar.ledger.chart import CLEARING as CLEARING
from bijlighar.ledger.chart import ChartLine as ChartLine
from bijlighar.ledger.chart import Head as Head
from bijlighar.ledger.chart import HeadKind as HeadKind
from bijlighar.ledger.errors import InvalidPayment, InvalidTransfer

#: The account of a transfer that belongs to no customer account.
NO_ACCOUNT = ""
#: The provider of a credit that a bill brings (a bill below zero).
BILL_PROVIDER = "bill"
#: The least sum [paise] and the longest reference that the gateway takes for a page of its own.
LINK_PAISE_MIN = 100
LINK_REFERENCE_MAX = 40


class TransferKind(StrEnum):
    """What a transfer is for."""

    BILL = "bill"
    CREDIT = "credit"
    PAYMENT = "payment"
    ALLOCATION = "allocation"
    TAKE_BACK = "take_back"
    REVERSAL = "reversal"
    MATCH = "match"
    SETTLEMENT = "settlement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """
    One immutable entry: `amount_paise` [paise, above 0] from the head `credit` to the head `debit`.

    `key` makes a repeat harmless; `account` is the customer account, or `NO_ACCOUNT`; `document` is what it is
    posted for (a bill number, a payment id).
    """

    key: str
    debit: Head
    credit: Head
    account: str
    amount_paise: int
    kind: TransferKind
    document: str
    business_date: date

    def __post_init__(self) -> None:
        if self.amount_paise <= 0:
            raise InvalidTransfer(
                f"transfer {self.key}: {self.amount_paise} paise is not above zero; swap the heads"
            )
        if self.debit == self.credit:
            raise InvalidTransfer(f"transfer {self.key} debits and credits the same head {self.debit}")


class DueKind(StrEnum):
    """What a due is for."""

    BILL = "bill"
    SURCHARGE = "surcharge"
    CHARGE = "charge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """
    What an account owes for one document.

    `open_paise` [paise] is what is not yet covered; `first_due_on` is the day the sum was first due (the day of
    issue), from which the two years of section 56(2) run.
    """

    account: str
    document: str
    kind: DueKind
    amount_paise: int
    open_paise: int
    issued_on: date
    due_on: date
    first_due_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayment:
    """
    Money that has come in for good, as its provider tells it.

    `account` is what the payer named, right or wrong; None if nothing was named. `event_id` is the provider's
    event that told of it, where there was one.
    """

    provider: str
    payment_id: str
    account: str | None
    amount_paise: int
    method: str
    paid_at: datetime
    event_id: str | None = None

    def __post_init__(self) -> None:
        if self.amount_paise <= 0:
            raise InvalidPayment(f"payment {self.payment_id}: {self.amount_paise} paise is not above zero")
        if not self.provider or not self.payment_id:
            raise InvalidPayment("a payment needs its provider and the provider's payment id")
        if self.provider == BILL_PROVIDER:
            raise InvalidPayment(f"{BILL_PROVIDER!r} is no payment provider")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The part of a payment [paise] that covers the due of one document."""

    document: str
    amount_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """
    What the payer is told: the payment, what it covered, what is left as advance, what is still owed.

    `account` is None where the payment could not be matched to an account and waits in suspense.
    """

    number: str
    provider: str
    payment_id: str
    account: str | None
    amount_paise: int
    method: str
    paid_at: datetime
    allocations: tuple[Allocation, ...]
    advance_paise: int
    owed_after_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment as stored."""

    receipt: str
    provider: str
    payment_id: str
    account: str | None
    amount_paise: int
    method: str
    paid_at: datetime
    received_at: datetime
    reversed_at: datetime | None
    reversal_reason: str | None


class HoldKind(StrEnum):
    """Why money is on its way but not yet there."""

    CHEQUE = "cheque"
    UPI = "upi"
    BBPS = "bbps"
    GATEWAY = "gateway"
    PROTEST = "protest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Money on its way: not income, but it lowers the due that may lead to a disconnection."""

    provider: str
    payment_id: str
    account: str
    kind: HoldKind
    amount_paise: int
    placed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Dues of an account (covered ones too), its money that covered none [paise], and its holds, at one moment."""

    dues: tuple[Due, ...]
    unallocated_paise: int
    holds: tuple[Hold, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassbookLine:
    """One line of an account's passbook: what raised (+) or lowered (-) what is owed, and what is owed after it."""

    business_date: date
    at: datetime
    kind: TransferKind
    document: str
    amount_paise: int
    owed_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerCheck:
    """
    The verdict of a full recount.

    `balanced`: debits equal credits and every cached balance equals the one rebuilt from the transfers.
    `allocations_ok`: no allocation beyond its payment or its due, oldest due first, advance equals what is free.
    `dues_ok`: every due equals what its document posted, every open amount is right, and their sum is the receivable.
    `receipts_ok`: clearing heads hold all payments less the reversed ones. `problems`: the first findings in words.
    """

    balanced: bool
    allocations_ok: bool
    dues_ok: bool
    receipts_ok: bool
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Return whether everything is right."""
        return self.balanced and self.allocations_ok and self.dues_ok and self.receipts_ok


class GatewayState(StrEnum):
    """The state of a payment at the gateway."""

    CREATED = "created"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    REFUNDED = "refunded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPayment:
    """A payment as the gateway itself answers when asked; the only source of an amount."""

    payment_id: str
    account: str | None
    amount_paise: int
    method: str
    state: GatewayState
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayEvent:
    """
    What a signed callback tells: that something happened to a payment; never how much was paid.

    account: whose payment it says to be, None where it says nothing; good for telling that something is on its way.
    """

    event: str
    payment_id: str
    account: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequest:
    """
    A page to be made at the gateway where `amount_paise` [paise] can be paid once for `account`.

    reference: our own name of the page, known to the gateway once; a repeat finds the same page again.
    return_url: where the payer's browser goes after the payment.
    """

    account: str
    amount_paise: int
    reference: str
    description: str
    name: str = ""
    phone: str | None = None
    return_url: str | None = None

    def __post_init__(self) -> None:
        if self.amount_paise < LINK_PAISE_MIN:
            raise InvalidPayment(
                f"{self.amount_paise} paise is less than the gateway takes; pay 1 rupee or more"
            )
        if not 0 < len(self.reference) <= LINK_REFERENCE_MAX:
            raise InvalidPayment(
                f"the reference {self.reference!r} must have 1 to {LINK_REFERENCE_MAX} signs"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentLink:
    """A page of the gateway where one sum can be paid; `is_open` as long as it is neither paid nor withdrawn."""

    link_id: str
    url: str
    amount_paise: int
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReturn:
    """What a payer's browser brings back from the gateway's page; it is worth nothing without its signature."""

    link_id: str
    reference: str
    status: str
    payment_id: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """How the payment gateway is reached."""

    base_url: str
    key_id: str
    key_secret: str
    webhook_secret: str
    provider: str = "razorpay"
    timeout_s: float = 10.0


#: What the ways of paying are called, in the order in which they are shown; any other is called by its own name.
METHOD_NAMES: Mapping[str, Words] = MappingProxyType(
    {
        "upi": Words(hi="यूपीआई", en="UPI"),
        "card": Words(hi="कार्ड", en="card"),
        "netbanking": Words(hi="नेट बैंकिंग", en="net banking"),
        "wallet": Words(hi="वॉलेट", en="wallet"),
        "bbps": Words(hi="बीबीपीएस", en="BBPS"),
        "counter": Words(hi="काउंटर", en="counter"),
        "cash": Words(hi="काउंटर पर नकद", en="cash at the counter"),
        "cheque": Words(hi="चेक", en="cheque"),
        "bank": Words(hi="बैंक अंतरण", en="bank transfer"),
        "agent": Words(hi="एजेंट", en="agent"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What an account (None: nobody yet) paid in one way in a range of days, reversed payments left out [paise]."""

    account: str | None
    method: str
    payments: int
    amount_paise: int
