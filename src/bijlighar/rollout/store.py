"""The tables of this room."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, ForeignKey, Index, Integer, String, Table, Text, func, select
from sqlalchemy.engine import RowMapping

from bijlighar.base.period import Month, Period
from bijlighar.registry.model import MeterType
from bijlighar.rollout.model import (
    OPEN_ORDER_STATES,
    OrderState,
    StockCount,
    StockItem,
    StockState,
    Target,
    WorkOrder,
)
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

SERIALS_PER_SELECT = 500

_target = Table(
    "rollout_target",
    metadata,
    Column("office", String(64), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("meters", Integer, nullable=False),
)

_stock = Table(
    "rollout_stock",
    metadata,
    Column("serial", String(32), primary_key=True),
    Column("meter_type", String(16), nullable=False),
    Column("store", String(64), nullable=False, index=True),
    Column("box", String(64), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("received_at", Moment, nullable=False),
    Column("url", Text),
    Column("minutes", Integer, nullable=False),
    Column("multiplier", Integer, nullable=False),
    Column("gateway", String(64)),
    Column("holder", String(64)),
    Column("installed_at", Moment),
)

_movement = append_only(
    Table(
        "rollout_movement",
        metadata,
        Column("id", Whole, primary_key=True, autoincrement=True),
        Column("serial", String(32), ForeignKey("rollout_stock.serial"), nullable=False, index=True),
        Column("at", Moment, nullable=False),
        Column("event", String(16), nullable=False),
        Column("person", String(64), nullable=False),
        Column("note", Text, nullable=False),
    )
)

_order = Table(
    "rollout_order",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=True),
    Column("usage_point", String(64), nullable=False),
    Column("account", String(64), index=True),
    Column("office", String(64), index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("planned_at", Moment, nullable=False),
    Column("old_meter", String(32)),
    Column("new_meter", String(32)),
    Column("fitter", String(64)),
    Column("installed_at", Moment),
    Column("commissioned_at", Moment),
    Column("old_register_wh", Whole),
    Column("new_register_wh", Whole),
    Column("note", Text, nullable=False),
)
_is_open = _order.c.state.in_([state.value for state in OPEN_ORDER_STATES])
Index(
    "ux_rollout_order_open_usage_point",
    _order.c.usage_point,
    unique=True,
    sqlite_where=_is_open,
    postgresql_where=_is_open,
)


def save_targets(connection: Connection, *, saved: Sequence[Target]) -> None:
    """Save targets in place of earlier ones of the same office and month."""
    if not saved:
        return
    statement = insert_for(connection, _target)
    statement = statement.on_conflict_do_update(
        index_elements=[_target.c.office, _target.c.month], set_={"meters": statement.excluded.meters}
    )
    rows = [
        {"office": target.office, "month": str(target.month), "meters": target.meters} for target in saved
    ]
    connection.execute(statement, rows)


def targets(connection: Connection) -> tuple[Target, ...]:
    """Return every target, by month and office."""
    rows = connection.execute(select(_target).order_by(_target.c.month, _target.c.office))
    return tuple(Target(office=row.office, month=Month.parse(row.month), meters=row.meters) for row in rows)


def add_items(connection: Connection, *, added: Sequence[StockItem]) -> None:
    """Add meters to the stock."""
    if added:
        connection.execute(_stock.insert(), [_item_values(item) for item in added])


def save_item(connection: Connection, *, saved: StockItem) -> None:
    """Overwrite a meter of the stock."""
    connection.execute(_stock.update().where(_stock.c.serial == saved.serial).values(**_item_values(saved)))


def _item_values(item: StockItem) -> dict[str, Any]:
    values = {field.name: getattr(item, field.name) for field in fields(item)}
    return values | {"meter_type": str(item.meter_type), "state": item.state.value}


def add_movements(
    connection: Connection, *, serials: Sequence[str], event: str, person: str, note: str, at: datetime
) -> None:
    """Keep what happened to meters of the stock."""
    rows = [
        {"serial": serial, "at": at, "event": event, "person": person, "note": note} for serial in serials
    ]
    if rows:
        connection.execute(_movement.insert(), rows)


def movements(connection: Connection, *, serial: str) -> tuple[tuple[datetime, str, str, str], ...]:
    """Return when what happened to a meter, by whom, and the note; oldest first."""
    statement = select(_movement).where(_movement.c.serial == serial).order_by(_movement.c.id)
    return tuple((row.at, row.event, row.person, row.note) for row in connection.execute(statement))


def items(
    connection: Connection,
    *,
    serials: Sequence[str] | None = None,
    state: StockState | None = None,
    lock: bool = False,
) -> tuple[StockItem, ...]:
    """Return meters of the stock by serial number: some, or those in a state, or all."""
    statement = select(_stock).order_by(_stock.c.serial)
    if lock:
        statement = statement.with_for_update()
    if state is not None:
        statement = statement.where(_stock.c.state == state.value)
    if serials is None:
        return tuple(_item_of(row) for row in connection.execute(statement).mappings())
    found: list[StockItem] = []
    wanted = sorted(set(serials))
    for begin in range(0, len(wanted), SERIALS_PER_SELECT):
        some = statement.where(_stock.c.serial.in_(wanted[begin : begin + SERIALS_PER_SELECT]))
        found.extend(_item_of(row) for row in connection.execute(some).mappings())
    return tuple(found)


def _item_of(row: RowMapping) -> StockItem:
    return StockItem(**{**row, "meter_type": MeterType(row["meter_type"]), "state": StockState(row["state"])})


def counts(connection: Connection) -> tuple[StockCount, ...]:
    """Return how many meters of each store are where, by store."""
    statement = select(_stock.c.store, _stock.c.state, func.count()).group_by(_stock.c.store, _stock.c.state)
    by_store: dict[str, dict[str, int]] = {}
    for store, state, count in connection.execute(statement):
        by_store.setdefault(store, {})[state] = count
    return tuple(StockCount(store=store, **found) for store, found in sorted(by_store.items()))


def count_received(connection: Connection, *, since: datetime) -> int:
    """Return how many meters were received since a moment."""
    statement = select(func.count()).select_from(_stock).where(_stock.c.received_at >= since)
    return connection.execute(statement).scalar_one()


def count_installed(connection: Connection, *, period: Period) -> int:
    """Return how many installed meters were hung in a period."""
    return connection.execute(
        select(func.count())
        .select_from(_stock)
        .where(
            _stock.c.state == StockState.INSTALLED.value,
            _stock.c.installed_at >= period.start,
            _stock.c.installed_at < period.end,
        )
    ).scalar_one()


def first_installed_at(connection: Connection) -> datetime | None:
    """Return when the first meter was hung of which that is known."""
    statement = select(_stock.c.installed_at).where(_stock.c.installed_at.is_not(None))
    return connection.execute(statement.order_by(_stock.c.installed_at).limit(1)).scalar_one_or_none()


def add_orders(connection: Connection, *, added: Sequence[Mapping[str, object]]) -> None:
    """Add work orders; numbers are given by the database."""
    if added:
        connection.execute(_order.insert(), [dict(row) for row in added])


def save_order(connection: Connection, *, saved: WorkOrder) -> None:
    """Overwrite a work order."""
    values = {field.name: getattr(saved, field.name) for field in fields(saved)} | {
        "state": saved.state.value
    }
    connection.execute(_order.update().where(_order.c.number == saved.number).values(**values))


def order(connection: Connection, *, number: int) -> WorkOrder | None:
    """Return a work order, locked."""
    row = (
        connection.execute(select(_order).where(_order.c.number == number).with_for_update())
        .mappings()
        .one_or_none()
    )
    return None if row is None else _order_of(row)


def orders(
    connection: Connection,
    *,
    state: OrderState | None = None,
    offices: Sequence[str] | None = None,
    limit: int,
) -> tuple[WorkOrder, ...]:
    """Return work orders by number, in a state, of some offices."""
    statement = select(_order).order_by(_order.c.number).limit(limit)
    if state is not None:
        statement = statement.where(_order.c.state == state.value)
    if offices is not None:
        statement = statement.where(_order.c.office.in_(offices))
    return tuple(_order_of(row) for row in connection.execute(statement).mappings())


def open_order(connection: Connection, *, usage_point: str) -> WorkOrder:
    """Return the open work order of a place that has one."""
    statement = select(_order).where(_is_open, _order.c.usage_point == usage_point)
    return _order_of(connection.execute(statement).mappings().one())


def spoken_for(connection: Connection) -> frozenset[str]:
    """Return the usage points that have an open work order."""
    return frozenset(connection.execute(select(_order.c.usage_point).where(_is_open)).scalars())


def order_counts(connection: Connection, *, offices: Sequence[str] | None = None) -> dict[OrderState, int]:
    """Return how many work orders (of some offices, or all) are in each state."""
    statement = select(_order.c.state, func.count()).group_by(_order.c.state)
    if offices is not None:
        statement = statement.where(_order.c.office.in_(offices))
    rows = connection.execute(statement)
    return {OrderState(state): count for state, count in rows}


def _order_of(row: RowMapping) -> WorkOrder:
    return WorkOrder(**{**row, "state": OrderState(row["state"])})
