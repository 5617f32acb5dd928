"""Alarms, events, commands and orders for tests: plain ones, and changes to them."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bijlighar.alarms.model import Alarm, AlarmState, Priority
from bijlighar.alarms.rules import words_of
from bijlighar.arrears.model import Order, OrderState, Way
from bijlighar.headend.model import CommandState, ControlAction, ControlCommand, ControlReason
from bijlighar.readings.model import MeterEvent

MAGNET, MAGNET_OVER = 201, 202
COVER = 251
OVERLOAD = 215
POWER_FAILURE = 101
RELAY_OPENED, RELAY_CLOSED = 301, 302
#: Thursday, 17 July 2025, 12:00 IST.
NOW = datetime(2025, 7, 17, 6, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

PLAIN_ALARM = Alarm(
    number=7,
    source="M-N1",
    code=MAGNET,
    words=words_of(MAGNET),
    priority=Priority.P1,
    state=AlarmState.UNACKNOWLEDGED,
    office="MHOW",
    account="N1",
    count=1,
    first_at=NOW,
    last_at=NOW,
    raised_at=NOW,
    waiting_since=NOW,
    returned_at=None,
    acknowledged_by=None,
    acknowledged_at=None,
    note="",
)
VERIFIED_CUT = ControlCommand(
    order_id="A1-D",
    serial="M-N1",
    action=ControlAction.DISCONNECT,
    reason=ControlReason.ARREARS,
    state=CommandState.VERIFIED,
    requested_at=NOW,
    finished_at=NOW + MINUTE,
    output_state=False,
    control_state=0,
    event_code=None,
    reason_code="",
    reason_text="",
    attempts=1,
    number=1,
)
CUT_BY_HAND = Order(
    number=1,
    list_number=1,
    account="N1",
    office="MHOW",
    meter="M-N1",
    feeder="F-1",
    state=OrderState.OPEN,
    way=Way.BY_HAND,
    due_paise=150_000,
    overdue_paise=300_000,
    oldest_due_on=date(2025, 5, 11),
    bills=2,
    notice_served_on=date(2025, 6, 22),
    reason_codes=(),
    drawn_by="asha",
    approved_by="vijay",
    approved_at=NOW - HOUR,
    warned_at=NOW - HOUR,
    sent_at=NOW,
    opened_at=NOW + HOUR,
    released_at=None,
    closed_at=None,
    next_try_at=None,
    attempts=0,
)


def alarm(**changes: Any) -> Alarm:
    if "code" in changes:
        changes["words"] = words_of(changes["code"])
    return replace(PLAIN_ALARM, **changes)


def command(**changes: Any) -> ControlCommand:
    return replace(VERIFIED_CUT, **changes)


def order(**changes: Any) -> Order:
    return replace(CUT_BY_HAND, **changes)


def event(
    code: int = MAGNET, *, at: datetime = NOW, meter: str = "M-N1", received_at: datetime | None = None
) -> MeterEvent:
    return MeterEvent(
        meter=meter,
        code=code,
        at=at,
        family="other",
        origin="push",
        received_at=received_at or at + MINUTE,
    )
