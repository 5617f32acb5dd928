"""The orders under way as people watch them: each with its command, what its relay said, and by when it is due."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from bijlighar.arrears import decision_store, order_store, targets
from bijlighar.arrears.errors import UnknownOrder
from bijlighar.arrears.model import ACTIVE, DecisionRow, Order, OrderState
from bijlighar.arrears.order_store import CommandRow
from bijlighar.arrears.policy import Policy
from bijlighar.arrears.wording import reasons_of
from bijlighar.base.period import Period
from bijlighar.base.words import Words
from bijlighar.headend import queries as headend
from bijlighar.headend.model import ControlCommand, GateEntry, RelayReading
from bijlighar.offices import queries as offices
from bijlighar.readings import queries as readings
from bijlighar.readings.model import MeterEvent
from bijlighar.registry import queries as registry

#: The order in which a person looks: what must go fastest first, what is over last.
RANK: Mapping[OrderState, int] = {
    state: rank
    for rank, state in enumerate(
        (
            OrderState.RECONNECTING,
            OrderState.UNKNOWN,
            OrderState.SENT,
            OrderState.MANUAL,
            OrderState.WARNED,
            OrderState.APPROVED,
            OrderState.LISTED,
            OrderState.HELD,
            OrderState.OPEN,
            OrderState.FAILED,
            OrderState.CLOSED,
            OrderState.CANCELLED,
            OrderState.EXPIRED,
        )
    )
}
#: What has ended is shown for so long.
ENDED_SHOWN = timedelta(days=2)
ENDED_LOOKED_AT = 1_000
LINES_MAX = 500
DECISIONS_MAX = 100
EVENTS_BEFORE = timedelta(hours=1)
EVENTS_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLine:
    """
    One order on its way.

    command: the newest that was queued in the head-end for it; None before, and where it is done by hand.
    relay, relay_read_at: what was last read of the meter's relay, whoever read it.
    send_from: from when on it may be sent, if it waits for that.
    reconnect_by: by when its supply is to be on, if it is being reconnected.
    """

    order: Order
    name: str
    command: ControlCommand | None
    relay: RelayReading | None
    relay_read_at: datetime | None
    send_from: datetime | None
    reconnect_by: datetime | None
    is_late: bool
    reasons: tuple[Words, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The lines shown, how many more there are, and how many orders stand in each state."""

    lines: tuple[QueueLine, ...]
    left_out: int
    counts: Mapping[OrderState, int]
    late: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStory:
    """Everything that is known of one order."""

    line: QueueLine
    phone: str | None
    decisions: tuple[DecisionRow, ...]
    commands: tuple[tuple[CommandRow, ControlCommand | None], ...]
    gate: tuple[GateEntry, ...]
    events: tuple[MeterEvent, ...]


def queue(
    connection: Connection,
    *,
    office: str,
    now: datetime,
    policy: Policy,
    states: Sequence[OrderState] | None = None,
    limit: int = LINES_MAX,
) -> Queue:
    """Return the orders of an office and those below it that are under way or have just ended, most urgent first."""
    below = offices.offices_below(connection, code=office)
    under_way = order_store.orders(
        connection, states=sorted(ACTIVE), offices=below, limit=order_store.ORDERS_MAX
    )
    ended = order_store.orders(
        connection,
        states=[state for state in RANK if state not in ACTIVE],
        offices=below,
        limit=ENDED_LOOKED_AT,
        newest_first=True,
    )
    every = [*under_way, *(order for order in ended if _moment(order) >= now - ENDED_SHOWN)]
    counts = {state: sum(order.state is state for order in every) for state in RANK}
    lines = _lines(connection, orders=every, now=now, policy=policy, states=states, limit=limit)
    wanted = sum(states is None or order.state in states for order in every)
    return Queue(
        lines=lines,
        left_out=wanted - len(lines),
        counts=counts,
        late=sum(line.is_late for line in lines),
    )


def story(connection: Connection, *, number: int, office: str, now: datetime, policy: Policy) -> OrderStory:
    """
    Return everything that is known of one order of an office or of one below it.

    :raises UnknownOrder: if there is none.
    """
    order = order_store.order(connection, number=number)
    if order is None or order.office not in offices.offices_below(connection, code=office):
        raise UnknownOrder(f"there is no order {number} in your offices; the list of commands names them")
    own = order_store.commands(connection, order_number=number)
    sent = headend.control_commands(connection, order_ids=[command.order_id for command in own])
    line = _line_of(connection, order=order, now=now, policy=policy)
    first = order.sent_at or order.released_at
    events: tuple[MeterEvent, ...] = ()
    if order.meter is not None and first is not None:
        last = max(order.closed_at or first, order.opened_at or first, order.released_at or first)
        around = Period(start=first - EVENTS_BEFORE, end=last + EVENTS_AFTER)
        events = readings.events_of(connection, meter=order.meter, period=around)
    return OrderStory(
        line=line,
        phone=registry.account(connection, number=order.account).phone,
        decisions=decision_store.decisions(connection, order_number=number, limit=DECISIONS_MAX),
        commands=tuple((command, sent.get(command.order_id)) for command in own),
        gate=headend.gate_log(connection, order_ids=[command.order_id for command in own]),
        events=events,
    )


def _line_of(connection: Connection, *, order: Order, now: datetime, policy: Policy) -> QueueLine:
    (line,) = _lines(connection, orders=(order,), now=now, policy=policy, states=None, limit=1)
    return line


def _lines(
    connection: Connection,
    *,
    orders: Sequence[Order],
    now: datetime,
    policy: Policy,
    states: Sequence[OrderState] | None,
    limit: int,
) -> tuple[QueueLine, ...]:
    wanted = [order for order in orders if states is None or order.state in states]
    shown = sorted(wanted, key=_urgency)[:limit]
    numbers = [order.number for order in shown]
    customers = registry.accounts_of(connection, numbers=[order.account for order in shown])
    decisions = decision_store.newest_decisions(connection, orders=numbers)
    queued = order_store.commands_of(connection, orders=numbers)
    newest = {number: commands[-1].order_id for number, commands in queued.items()}
    commands = headend.control_commands(connection, order_ids=list(newest.values()))
    relays = headend.relay_readings(
        connection, meters=sorted({order.meter for order in shown if order.meter})
    )
    lines: list[QueueLine] = []
    for order in shown:
        relay, read_at = relays.get(order.meter or "", (None, None))
        customer = customers.get(order.account)
        by = targets.reconnect_by(order, area="" if customer is None else customer.area, policy=policy)
        lines.append(
            QueueLine(
                order=order,
                name="" if customer is None else customer.name,
                command=commands.get(newest.get(order.number, "")),
                relay=relay,
                relay_read_at=read_at,
                send_from=targets.send_from(order, policy=policy, now=now),
                reconnect_by=by,
                is_late=by is not None and by < now,
                reasons=reasons_of(codes=order.reason_codes, decision=decisions.get(order.number)),
            )
        )
    return tuple(lines)


def _urgency(order: Order) -> tuple[int, float, int]:
    """Return the key by which lines are sorted: the longest wait first, of what has ended the newest first."""
    moment = _moment(order).timestamp()
    return RANK.get(order.state, len(RANK)), moment if order.state in ACTIVE else -moment, order.number


def _moment(order: Order) -> datetime:
    """Return when an order last came on."""
    moments = (
        order.closed_at,
        order.released_at,
        order.opened_at,
        order.sent_at,
        order.warned_at,
        order.approved_at,
    )
    known = [moment for moment in moments if moment is not None]
    return max(known) if known else datetime.min.replace(tzinfo=UTC)
