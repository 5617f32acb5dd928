"""The plan, the stock, work orders, progress and forecast."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from fractions import Fraction
from types import MappingProxyType

from bijlighar.base.lifecycle import LifeCycle
from bijlighar.base.period import Month
from bijlighar.base.words import Words
from bijlighar.registry.model import MeterType
from bijlighar.rollout.checks import CHECK_FINDING_NAMES as CHECK_FINDING_NAMES
from bijlighar.rollout.checks import CHECK_STATE_NAMES as CHECK_STATE_NAMES
from bijlighar.rollout.checks import CHECK_STEPS as CHECK_STEPS
from bijlighar.rollout.checks import OPEN_CHECK_STATES as OPEN_CHECK_STATES
from bijlighar.rollout.checks import Check as Check
from bijlighar.rollout.checks import CheckFinding as CheckFinding
from bijlighar.rollout.checks import CheckState as CheckState

#: The store of a meter that hung before the stock was kept.
HUNG_BEFORE = "hung before"


class OrderState(Enum):
    """Where a work order stands."""

    PLANNED = "planned"
    ISSUED = "issued"
    INSTALLED = "installed"
    COMMISSIONED = "commissioned"
    FAILED = "failed"
    CANCELLED = "cancelled"


class OrderEvent(Enum):
    """What happens to a work order."""

    ISSUE = "issue"
    INSTALL = "install"
    READ_FIRST = "read_first"
    FAIL = "fail"
    PLAN_AGAIN = "plan_again"
    CANCEL = "cancel"


ORDER_STEPS: LifeCycle[OrderState, OrderEvent] = MappingProxyType(
    {
        OrderState.PLANNED: {OrderEvent.ISSUE: OrderState.ISSUED, OrderEvent.CANCEL: OrderState.CANCELLED},
        OrderState.ISSUED: {
            OrderEvent.INSTALL: OrderState.INSTALLED,
            OrderEvent.FAIL: OrderState.FAILED,
            OrderEvent.CANCEL: OrderState.CANCELLED,
        },
        OrderState.INSTALLED: {OrderEvent.READ_FIRST: OrderState.COMMISSIONED},
        OrderState.FAILED: {
            OrderEvent.PLAN_AGAIN: OrderState.PLANNED,
            OrderEvent.CANCEL: OrderState.CANCELLED,
        },
        OrderState.COMMISSIONED: {},
        OrderState.CANCELLED: {},
    }
)

#: The states in which a place is spoken for: no second order for it.
OPEN_ORDER_STATES = (OrderState.PLANNED, OrderState.ISSUED, OrderState.INSTALLED, OrderState.FAILED)

ORDER_STATE_NAMES: Mapping[OrderState, Words] = MappingProxyType(
    {
        OrderState.PLANNED: Words(hi="नियोजित", en="planned"),
        OrderState.ISSUED: Words(hi="फिटर को जारी", en="issued to the fitter"),
        OrderState.INSTALLED: Words(hi="मीटर लगा", en="installed"),
        OrderState.COMMISSIONED: Words(hi="चालू (रीडिंग प्राप्त)", en="commissioned (read)"),
        OrderState.FAILED: Words(hi="नहीं लग सका", en="failed"),
        OrderState.CANCELLED: Words(hi="निरस्त", en="cancelled"),
    }
)


class StockState(Enum):
    """Where a meter of the stock is."""

    IN_STORE = "in_store"
    ISSUED = "issued"
    INSTALLED = "installed"
    FAULTY = "faulty"
    SENT_BACK = "sent_back"


class StockEvent(Enum):
    """What happens to a meter of the stock."""

    ISSUE = "issue"
    GIVE_BACK = "give_back"
    INSTALL = "install"
    FIND_FAULTY = "find_faulty"
    SEND_BACK = "send_back"


STOCK_STEPS: LifeCycle[StockState, StockEvent] = MappingProxyType(
    {
        StockState.IN_STORE: {
            StockEvent.ISSUE: StockState.ISSUED,
            StockEvent.FIND_FAULTY: StockState.FAULTY,
            StockEvent.SEND_BACK: StockState.SENT_BACK,
        },
        StockState.ISSUED: {
            StockEvent.GIVE_BACK: StockState.IN_STORE,
            StockEvent.INSTALL: StockState.INSTALLED,
            StockEvent.FIND_FAULTY: StockState.FAULTY,
        },
        StockState.INSTALLED: {StockEvent.FIND_FAULTY: StockState.FAULTY},
        StockState.FAULTY: {StockEvent.SEND_BACK: StockState.SENT_BACK},
        StockState.SENT_BACK: {},
    }
)

STOCK_STATE_NAMES: Mapping[StockState, Words] = MappingProxyType(
    {
        StockState.IN_STORE: Words(hi="भंडार में", en="in store"),
        StockState.ISSUED: Words(hi="फिटर के पास", en="with a fitter"),
        StockState.INSTALLED: Words(hi="लगा हुआ", en="installed"),
        StockState.FAULTY: Words(hi="खराब", en="faulty"),
        StockState.SENT_BACK: Words(hi="आपूर्तिकर्ता को वापस", en="sent back to the supplier"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """How many meters an office is to hang in a month."""

    office: str
    month: Month
    meters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StockItem:
    """
    A meter of the stock.

    url: where it will answer, if the supplier's list says so.
    holder: the fitter who has it, while it is issued.
    installed_at: when it was hung; None where nobody knows.
    """

    serial: str
    meter_type: MeterType
    store: str
    box: str
    state: StockState
    received_at: datetime
    url: str | None = None
    minutes: int = 30
    multiplier: int = 1
    gateway: str | None = None
    holder: str | None = None
    installed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StockCount:
    """How many meters of a store are where; `received` is the sum of the others."""

    store: str
    in_store: int = 0
    issued: int = 0
    installed: int = 0
    faulty: int = 0
    sent_back: int = 0

    @property
    def received(self) -> int:
        """Return how many meters the store ever received."""
        return self.in_store + self.issued + self.installed + self.faulty + self.sent_back

    @property
    def stock(self) -> int:
        """Return how many meters can still be hung."""
        return self.received - self.installed - self.faulty - self.sent_back


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOrder:
    """
    The order to hang a new meter at a place.

    old_meter: what hung there when the order was made, None at a new connection.
    old_register_wh, new_register_wh: the last and the first register [Wh], as the meters show them.
    note: why it failed or was cancelled.
    """

    number: int
    usage_point: str
    account: str | None
    office: str | None
    state: OrderState
    planned_at: datetime
    old_meter: str | None = None
    new_meter: str | None = None
    fitter: str | None = None
    installed_at: datetime | None = None
    commissioned_at: datetime | None = None
    old_register_wh: int | None = None
    new_register_wh: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """
    What was observed of a roll-out up to a day.

    planned: the meters of the whole plan; installed: those that hang.
    hung_in_window, months: the meters hung since the plan began and the months since then, which make the rate.
    claimed: what somebody says will be hung this month; None if nobody does. this_month: what of it hangs already.
    stock: meters that can still be hung; None if not known. received: those that came since the plan began.
    """

    on: date
    planned: int
    installed: int
    hung_in_window: int
    months: Fraction
    claimed: int | None = None
    this_month: int = 0
    stock: int | None = None
    received: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """
    What follows from what was observed; None where it cannot be said.

    rate_per_month: meters hung a month. claim_ratio: the claim over the rate. left_after_claim: not below zero.
    months_left: at the observed rate, stock aside. done_on: the day on which the last one hangs, stock and deliveries
    at their observed rate considered. stock_lasts_months: until the stock is used up at the observed rate.
    stock_short: how many of the remaining meters are neither in stock nor, at the observed rate, coming.
    """

    remaining: int
    rate_per_month: Fraction | None
    claim_ratio: Fraction | None
    left_after_claim: int | None
    months_left: Fraction | None
    done_on: date | None
    stock_lasts_months: Fraction | None
    stock_short: int
    limited_by_stock: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The roll-out as it stands: planned, observed, this month, the stock, the forecast, and all of it in words."""

    observed: Observed
    planned_this_month: int
    commissioned: int
    orders_open: int
    forecast: Forecast
    words: Words
    by_office: tuple["OfficeProgress", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficeProgress:
    """Plan and installation of one office."""

    office: str
    planned: int
    installed: int
    this_month: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthProgress:
    """Plan and installation of one office in one month."""

    office: str
    month: Month
    planned: int
    installed: int
