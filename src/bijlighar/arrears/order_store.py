"""SQL of lists, orders and the commands that were queued for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Date,
    ForeignKey,
    Index,
    Integer,
    Row,
    Select,
    String,
    Table,
    func,
    select,
    update,
)

from bijlighar.arrears import rules
from bijlighar.arrears.decision_store import batched
from bijlighar.arrears.model import ACTIVE, DisconnectionList, ListState, Order, OrderState, OrderTotals, Way
from bijlighar.headend.model import ControlAction
from bijlighar.storage.schema import Document, Moment, Whole, metadata

_list = Table(
    "arrears_list",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=True),
    Column("office", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("drawn_by", String(64), nullable=False),
    Column("drawn_at", Moment, nullable=False),
    Column("approved_by", String(64)),
    Column("approved_at", Moment),
    Column("snapshot_hash", String(64)),
    Column("policy_version", String(16), nullable=False),
    Index(None, "office", "state"),
)

_order = Table(
    "arrears_order",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=True),
    Column("list_number", Whole, ForeignKey("arrears_list.number"), nullable=False),
    Column("account", String(64), nullable=False),
    Column("office", String(64), nullable=False),
    Column("meter", String(64)),
    Column("feeder", String(64)),
    Column("state", String(16), nullable=False),
    Column("way", String(16), nullable=False),
    Column("due_paise", Whole, nullable=False),
    Column("overdue_paise", Whole, nullable=False),
    Column("oldest_due_on", Date, nullable=False),
    Column("bills", Integer, nullable=False),
    Column("notice_served_on", Date),
    Column("reason_codes", Document, nullable=False),
    Column("drawn_by", String(64), nullable=False),
    Column("approved_by", String(64)),
    Column("approved_at", Moment),
    Column("warned_at", Moment),
    Column("sent_at", Moment),
    Column("opened_at", Moment),
    Column("released_at", Moment),
    Column("closed_at", Moment),
    Column("next_try_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("active", Boolean, nullable=False),
    Index(None, "list_number"),
    Index(None, "state"),
    Index(None, "office", "sent_at"),
    Index(None, "sent_at"),
)
Index(
    "uq_arrears_order_active_account",
    _order.c.account,
    unique=True,
    sqlite_where=_order.c.active,
    postgresql_where=_order.c.active,
)
Index("ix_arrears_order_account_number", _order.c.account, _order.c.number)

_command = Table(
    "arrears_command",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("order_number", Whole, ForeignKey("arrears_order.number"), nullable=False),
    Column("action", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("queued_at", Moment, nullable=False),
    Column("outcome", String(16)),
    Column("told", Whole),
    Column("finished_at", Moment),
    Index(None, "order_number"),
)

#: The most orders that are read at once.
ORDERS_MAX = 20_000
#: The moments of an order that are kept, by the column's name.
Stamps = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow:
    """A command that was queued in the head-end for an order; `outcome` is None until it was told."""

    order_id: str
    order_number: int
    action: str
    attempt: int
    queued_at: datetime
    outcome: str | None
    told: int | None
    finished_at: datetime | None


def add_list(
    connection: Connection, *, office: str, drawn_by: str, drawn_at: datetime, policy_version: str
) -> int:
    """Add a list and return its number."""
    statement = _list.insert().values(
        office=office,
        state=ListState.DRAWN.value,
        drawn_by=drawn_by,
        drawn_at=drawn_at,
        policy_version=policy_version,
    )
    number: int = connection.execute(statement.returning(_list.c.number)).scalar_one()
    return number


def lock_list(connection: Connection, *, number: int) -> DisconnectionList | None:
    """Return the list, locked to the end of the transaction."""
    statement = select(_list).where(_list.c.number == number).with_for_update()
    row = connection.execute(statement).one_or_none()
    return None if row is None else _list_of(connection, row)


def lists(
    connection: Connection,
    *,
    offices: Sequence[str] | None = None,
    state: ListState | None = None,
    number: int | None = None,
    limit: int,
) -> tuple[DisconnectionList, ...]:
    """Return lists, newest first."""
    statement = select(_list).order_by(_list.c.number.desc()).limit(limit)
    if offices is not None:
        statement = statement.where(_list.c.office.in_(offices))
    if state is not None:
        statement = statement.where(_list.c.state == state.value)
    if number is not None:
        statement = statement.where(_list.c.number == number)
    return tuple(_list_of(connection, row) for row in connection.execute(statement))


def settle_list(connection: Connection, *, number: int, state: ListState, **values: object) -> None:
    """Set the state of a list, and what came with it."""
    connection.execute(update(_list).where(_list.c.number == number).values(state=state.value, **values))


def _list_of(connection: Connection, row: Row[Any]) -> DisconnectionList:
    excluded = func.count().filter(_order.c.state == OrderState.EXCLUDED.value)
    counted = connection.execute(
        select(func.count(), excluded).select_from(_order).where(_order.c.list_number == row.number)
    ).one()
    return DisconnectionList(
        number=row.number,
        office=row.office,
        state=ListState(row.state),
        drawn_by=row.drawn_by,
        drawn_at=row.drawn_at,
        approved_by=row.approved_by,
        approved_at=row.approved_at,
        snapshot_hash=row.snapshot_hash,
        policy_version=row.policy_version,
        listed=counted[0] - counted[1],
        excluded=counted[1],
    )


def add_order(
    connection: Connection, *, state: OrderState, reason_codes: Sequence[str], **values: object
) -> int:
    """Add a row of a list and return its number."""
    statement = _order.insert().values(
        state=state.value,
        active=state in ACTIVE,
        reason_codes=list(reason_codes),
        attempts=0,
        **values,
    )
    number: int = connection.execute(statement.returning(_order.c.number)).scalar_one()
    return number


def change_order(connection: Connection, *, number: int, state: OrderState, **values: object) -> None:
    """Set the state of an order, and what came with it."""
    connection.execute(
        update(_order)
        .where(_order.c.number == number)
        .values(state=state.value, active=state in ACTIVE, **values)
    )


def stamp_order(connection: Connection, *, number: int, **values: object) -> None:
    """Set facts of an order without a step of its life."""
    connection.execute(update(_order).where(_order.c.number == number).values(**values))


def order(connection: Connection, *, number: int) -> Order | None:
    """Return an order."""
    row = connection.execute(select(_order).where(_order.c.number == number)).one_or_none()
    return None if row is None else _order_of(row)


def active_order(connection: Connection, *, account: str) -> Order | None:
    """Return the one order of an account that is under way."""
    statement = select(_order).where(_order.c.account == account, _order.c.active)
    row = connection.execute(statement).one_or_none()
    return None if row is None else _order_of(row)


def active_orders(connection: Connection, *, accounts: Sequence[str] | None = None) -> Mapping[str, int]:
    """Return the number of the order under way by account."""
    statement = select(_order.c.account, _order.c.number).where(_order.c.active)
    if accounts is not None:
        statement = statement.where(_order.c.account.in_(accounts))
    return {row.account: row.number for row in connection.execute(statement)}


def orders(
    connection: Connection,
    *,
    states: Sequence[OrderState] | None = None,
    list_number: int | None = None,
    account: str | None = None,
    offices: Sequence[str] | None = None,
    due_at: datetime | None = None,
    newest_first: bool = False,
    limit: int,
) -> tuple[Order, ...]:
    """Return orders by number; with `due_at` only those whose next try is not later."""
    by = _order.c.number.desc() if newest_first else _order.c.number
    statement: Select[Any] = select(_order).order_by(by).limit(limit)
    if states is not None:
        statement = statement.where(_order.c.state.in_([state.value for state in states]))
    if list_number is not None:
        statement = statement.where(_order.c.list_number == list_number)
    if account is not None:
        statement = statement.where(_order.c.account == account)
    if offices is not None:
        statement = statement.where(_order.c.office.in_(offices))
    if due_at is not None:
        statement = statement.where((_order.c.next_try_at.is_(None)) | (_order.c.next_try_at <= due_at))
    return tuple(_order_of(row) for row in connection.execute(statement))


def count_orders(
    connection: Connection, *, states: Sequence[OrderState], due_at: datetime | None = None
) -> int:
    """Return how many orders stand in `states`; with `due_at` only those whose next try is not later."""
    statement = (
        select(func.count()).select_from(_order).where(_order.c.state.in_([state.value for state in states]))
    )
    if due_at is not None:
        statement = statement.where((_order.c.next_try_at.is_(None)) | (_order.c.next_try_at <= due_at))
    return int(connection.execute(statement).scalar_one())


def totals(connection: Connection) -> OrderTotals:
    """Return how many rows of all lists came how far."""
    excluded = _order.c.state == OrderState.EXCLUDED.value
    row = connection.execute(
        select(
            func.count().filter(~excluded).label("listed"),
            func.count().filter(excluded).label("excluded"),
            func.count(_order.c.approved_at).label("approved"),
            func.count(_order.c.sent_at).label("sent"),
            func.count(_order.c.opened_at).label("opened"),
            func.count(_order.c.closed_at).label("reconnected"),
        ).select_from(_order)
    ).one()
    return OrderTotals(**dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping


def restored(connection: Connection, *, since: datetime, limit: int) -> tuple[tuple[datetime, datetime], ...]:
    """Return release and return of the newest supplies that came back over the air since a moment."""
    statement = (
        select(_order.c.released_at, _order.c.closed_at)
        .where(
            _order.c.state == OrderState.CLOSED.value,
            _order.c.way == Way.RELAY.value,
            _order.c.closed_at >= since,
            _order.c.released_at.is_not(None),
        )
        .order_by(_order.c.number.desc())
        .limit(limit)
    )
    return tuple((row.released_at, row.closed_at) for row in connection.execute(statement))


def sent_since(connection: Connection, *, since: datetime, office: str | None = None) -> int:
    """Return how many disconnections were sent, or handed over to be done by hand, since a moment."""
    statement = select(func.count()).select_from(_order).where(_order.c.sent_at >= since)
    if office is not None:
        statement = statement.where(_order.c.office == office)
    return int(connection.execute(statement).scalar_one())


def _order_of(row: Row[Any]) -> Order:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    del values["active"]
    values["state"] = OrderState(values["state"])
    values["way"] = Way(values["way"])
    values["reason_codes"] = tuple(values["reason_codes"])
    return Order(**values)


def add_command(
    connection: Connection,
    *,
    order_id: str,
    order_number: int,
    action: str,
    attempt: int,
    queued_at: datetime,
) -> None:
    """Remember a command that was queued for an order."""
    connection.execute(
        _command.insert().values(
            order_id=order_id,
            order_number=order_number,
            action=action,
            attempt=attempt,
            queued_at=queued_at,
        )
    )


def command(connection: Connection, *, order_id: str) -> CommandRow | None:
    """Return a command."""
    row = connection.execute(select(_command).where(_command.c.order_id == order_id)).one_or_none()
    return None if row is None else _command_of(row)


def commands(connection: Connection, *, order_number: int) -> tuple[CommandRow, ...]:
    """Return the commands of an order, as they were queued."""
    statement = select(_command).where(_command.c.order_number == order_number)
    rows = connection.execute(statement.order_by(_command.c.queued_at, _command.c.attempt))
    return tuple(_command_of(row) for row in rows)


def commands_of(connection: Connection, *, orders: Sequence[int]) -> Mapping[int, tuple[CommandRow, ...]]:
    """Return the commands of several orders by the order's number, each order's as they were queued."""
    found: dict[int, list[CommandRow]] = {}
    for part in batched(orders):
        statement = select(_command).where(_command.c.order_number.in_(part))
        for row in connection.execute(statement.order_by(_command.c.queued_at, _command.c.attempt)):
            found.setdefault(row.order_number, []).append(_command_of(row))
    return {number: tuple(rows) for number, rows in found.items()}


def reconnection_of(connection: Connection, *, order: Order) -> str | None:
    """Return the reconnection of an order that has not ended, None if it waits for its next attempt."""
    if order.way is Way.BY_HAND:
        return rules.by_hand_id(order.number)
    running = [
        command.order_id
        for command in commands(connection, order_number=order.number)
        if command.action == ControlAction.RECONNECT.value and command.outcome is None
    ]
    return running[-1] if running else None


def settle_command(
    connection: Connection, *, order_id: str, outcome: str, told: int | None, finished_at: datetime
) -> None:
    """Set what became of a command; `told` is its number in the head-end's sequence."""
    connection.execute(
        update(_command)
        .where(_command.c.order_id == order_id)
        .values(outcome=outcome, told=told, finished_at=finished_at)
    )


def _command_of(row: Row[Any]) -> CommandRow:
    return CommandRow(**dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
