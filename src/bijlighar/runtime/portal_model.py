"""What stands on a consumer's page, as frozen values; the rooms have worked all of it out."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from bijlighar.arrears.queries import Restoration
from bijlighar.base.period import Month
from bijlighar.base.words import Language, Words
from bijlighar.billing.model import BillLine
from bijlighar.ledger.model import PassbookLine


class SupplyState(StrEnum):
    """How the supply stands."""

    ON = "on"
    CUTTING = "cutting"
    OFF = "off"
    RESTORING = "restoring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """
    How the supply stands, and why.

    reasons: why it is off, in words.
    since: since when it is off, None where it is not or nobody knows.
    restoration: how it is coming back, None where it is not.
    """

    state: SupplyState
    reasons: tuple[Words, ...]
    since: datetime | None
    restoration: Restoration | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """
    What the account owes [paise].

    due_paise: everything open; advance_paise: what is paid ahead; one of them is 0.
    pay_by: the next due date that has not passed; overdue_since: the oldest that has.
    """

    due_paise: int
    advance_paise: int
    pay_by: date | None
    overdue_paise: int
    overdue_since: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """
    How one can pay.

    least_paise, most_paise: what may be paid at a time [paise].
    gateway: the payment gateway's page can be used.
    upi, qr: the address that opens a UPI app with what is due, and its picture (SVG); empty where nothing is due.
    """

    least_paise: int
    most_paise: int
    gateway: bool
    upi: str
    qr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Money on its way [paise] (None: only the gateway knows how much), and since when."""

    amount_paise: int | None
    since: datetime
    words: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A statutory notice that names something still open, and where its whole text stands."""

    reference: str
    given_on: date
    amount_paise: int
    cut_not_before_on: date | None
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """The last warning before a cut."""

    amount_paise: int
    cut_on: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestBill:
    """
    The newest bill; its lines sum to `total_paise`.

    pdf_octets: the size of its PDF in the page's language, None while it was not made.
    """

    number: str
    month: Month
    is_correction: bool
    issued_on: date
    due_on: date
    energy_wh: int
    estimated: bool
    lines: tuple[BillLine, ...]
    total_paise: int
    previous_paise: int
    payable_paise: int
    pdf_octets: int | None


class DayQuality(StrEnum):
    """What is known of a day's use."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedDay:
    """The use of one day [Wh], None where it is missing."""

    day: date
    energy_wh: int | None
    quality: DayQuality


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedMonth:
    """The use of one billed month [Wh]; `estimated` if part of it was."""

    month: Month
    energy_wh: int
    estimated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """
    The use of the last days, or of the billed months where a meter is read by hand.

    average_wh: a day's average of those days that are known.
    change_percent: of this average against the calendar month before, None where either is not known well enough.
    read_to: up to when the meter was read.
    """

    days: tuple[UsedDay, ...]
    months: tuple[UsedMonth, ...]
    average_wh: int | None
    change_percent: int | None
    read_to: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalStatus:
    """The part of a consumer's page that changes while one looks at it."""

    account: str
    supply: Supply
    owed: Owed
    pending: tuple[Pending, ...]
    made_at: datetime

    @property
    def is_moving(self) -> bool:
        """Return whether something is on its way, so that the page is to be looked at again soon."""
        return bool(self.pending) or self.supply.state in (SupplyState.RESTORING, SupplyState.CUTTING)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalPage:
    """Everything on a consumer's page; `place` is the usage point, None where it is not known."""

    account: str
    name: str
    place: str | None
    office: Words | None
    language: Language
    status: PortalStatus
    ways: Ways
    notice: Notice | None
    warned: Warned | None
    bill: LatestBill | None
    passbook: tuple[PassbookLine, ...]
    usage: Usage
